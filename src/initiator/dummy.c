/* dummy.c - see dummy.h. */
#include "dummy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "login.h"
#include "tag.h"

enum { PATIENCE = 4000, QUIET = 30 }; /* turns of a millisecond */

void dummy_init(struct dummy *d)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);

	memset(d, 0, sizeof(*d));
	d->fd = -1;
	d->window = 32;
	d->max_recv_data = 65536;
	d->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(d->listen_fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(d->listen_fd, 4), 0);
	assert_int_equal(getsockname(d->listen_fd, (struct sockaddr *)&a, &len), 0);
	d->port = ntohs(a.sin_port);
}

void dummy_hang_up(struct dummy *d)
{
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
}

void dummy_deinit(struct dummy *d)
{
	dummy_hang_up(d);
	close(d->listen_fd);
}

void dummy_url(const struct dummy *d, struct berth_url *u)
{
	char text[100], err[100];

	snprintf(text, sizeof(text), "iscsi://127.0.0.1:%u/iqn.2026-11.test:dummy/3", d->port);
	assert_int_equal(berth_url_parse(u, text, err, sizeof(err)), 0);
}

void dummy_serve(struct dummy *d, unsigned turns)
{
	while (turns--) {
		struct pollfd p = {.fd = berth_fd(d->s), .events = POLLIN};
		int wait = berth_timeout_ms(d->s);

		berth_flush(d->s);
		poll(&p, 1, wait >= 0 && wait < 1 ? wait : 1);
		berth_service(d->s);
	}
}

/* hear - all of len; false: hung up, or nothing in time. */
static const uint8_t dice[LOGIN_RANDOM_LEN] = {1, 2, 3};

static bool hear(struct dummy *d, void *buf, size_t len)
{
	size_t have = 0;

	for (unsigned i = 0; have < len && i < PATIENCE;) {
		ssize_t n = recv(d->fd, (char *)buf + have, len - have, MSG_DONTWAIT);

		if (n > 0) {
			have += (size_t)n;
			continue;
		}
		if (!n || errno != EAGAIN)
			return false;
		dummy_serve(d, 1);
		i++;
	}
	return have == len;
}

struct pdu *dummy_hear(struct dummy *d, uint8_t opcode)
{
	uint8_t bhs[BHS_LEN];

	assert_true(hear(d, bhs, BHS_LEN));
	assert_int_equal(pdu_decode(&d->rx, bhs), PDU_OK);
	assert_int_equal(d->rx.opcode, opcode);
	assert_true(d->rx.data_len <= sizeof(d->data));
	assert_true(hear(d, d->data, d->rx.data_len + pad_len(d->rx.data_len)));
	if (opcode == OP_SCSI_COMMAND) {
		assert_int_equal(d->rx.cmdsn, d->expcmdsn);
		d->expcmdsn++;
	}
	return &d->rx;
}

bool dummy_silence(struct dummy *d)
{
	char byte;

	dummy_serve(d, QUIET);
	return recv(d->fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
}

void dummy_say(struct dummy *d, struct pdu *p, const void *data)
{
	static uint8_t buf[BHS_LEN + (1 << 20) + 4];
	size_t len = BHS_LEN + p->data_len + pad_len(p->data_len), done = 0;

	p->expcmdsn = d->expcmdsn;
	p->maxcmdsn = d->expcmdsn + d->window - 1;
	if (p->opcode != OP_DATA_IN || p->data.has_status)
		p->statsn = d->statsn;
	if (p->opcode != OP_R2T && (p->opcode != OP_DATA_IN || p->data.has_status) &&
		(p->opcode != OP_NOP_IN || p->itt != ITT_NONE))
		d->statsn++;
	pdu_encode(p, buf);
	if (p->data_len)
		memcpy(buf + BHS_LEN, data, p->data_len);
	memset(buf + BHS_LEN + p->data_len, 0, pad_len(p->data_len));
	while (done < len) {
		size_t part = d->crumb && len - done > d->crumb ? d->crumb : len - done;
		ssize_t n = send(d->fd, buf + done, part, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0) {
			done += (size_t)n;
			if (d->crumb)
				dummy_serve(d, 1);
		} else if (n < 0 && errno != EAGAIN) {
			return; /* it has left, as some tests expect */
		} else {
			dummy_serve(d, 1);
		}
	}
}

static void await_connection(struct dummy *d)
{
	for (unsigned i = 0; i < PATIENCE && d->fd < 0; i++) {
		d->fd = accept4(d->listen_fd, NULL, NULL, SOCK_NONBLOCK);
		if (d->fd < 0)
			dummy_serve(d, 1);
	}
	assert_true(d->fd >= 0);
}

void dummy_login(struct dummy *d)
{
	struct param_offer offer;
	struct login l;
	enum login_step step;

	await_connection(d);
	param_offer_default(&offer);
	offer.v.max_recv_data = d->max_recv_data;
	offer.v.initial_r2t = d->initial_r2t;
	assert_int_equal(login_init(&l, &offer, 1, dice), 0);
	do {
		dummy_hear(d, OP_LOGIN_REQUEST);
		step = login_rx(&l, &d->rx, d->data, d->rx.data_len);
		if (step == LOGIN_IDENTIFIED)
			step = login_accept(&l, 1, NULL);
		assert_int_not_equal(step, LOGIN_FAILED);
		d->expcmdsn = d->rx.cmdsn;
		d->statsn = l.rsp.statsn;
		dummy_say(d, &l.rsp, l.rsp_text);
	} while (step != LOGIN_DONE);
	login_deinit(&l);
	dummy_serve(d, 1);
}

void dummy_status(struct dummy *d, uint32_t itt, uint8_t status)
{
	struct pdu p = {.opcode = OP_SCSI_RESPONSE, .itt = itt, .rsp.status = status};

	dummy_say(d, &p, NULL);
}

void dummy_data_in(struct dummy *d, uint32_t itt, uint32_t datasn, uint32_t offset,
	const void *data, uint32_t len, bool with_status)
{
	struct pdu p = {
		.opcode = OP_DATA_IN,
		.final = with_status,
		.itt = itt,
		.ttt = TAG_NONE,
		.data_len = len,
		.data = {.datasn = datasn, .offset = offset, .has_status = with_status},
	};

	dummy_say(d, &p, data);
}
