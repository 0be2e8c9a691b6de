/* wire_open.c - one PDU at a time: login, and what comes before the load (see wire.h). */
#include "wire_in.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "be.h"
#include "check.h"

uint8_t *wire_payload;

void wire_die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "drive: ");
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, "\n");
	va_end(ap);
	exit(1);
}

bool wire_parse(struct wire_url *u, const char *text)
{
	return sscanf(text, "iscsi://%63[^:/]:%7[0-9]/%223[^/]/%u", u->host, u->port, u->target,
		       &u->lun) == 4;
}

void wire_header(const struct wire *w, uint8_t *bhs, uint8_t op, uint8_t flags, uint32_t itt)
{
	memset(bhs, 0, WIRE_BHS);
	bhs[0] = op;
	bhs[1] = flags;
	put_be32(bhs + 16, itt);
	put_be32(bhs + 24, w->cmdsn);
	put_be32(bhs + 28, w->expstatsn);
}

void wire_send(struct wire *w, const void *buf, size_t len)
{
	while (len) {
		ssize_t n = send(w->fd, buf, len, MSG_NOSIGNAL);

		if (n < 0)
			wire_die("send: %s", strerror(errno));
		buf = (const char *)buf + n;
		len -= (size_t)n;
	}
}

static int connect_to(const struct wire_url *u)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *a;
	int fd, one = 1, rc = getaddrinfo(u->host, u->port, &hints, &a);

	if (rc)
		wire_die("%s: %s", u->host, gai_strerror(rc));
	fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, a->ai_addr, a->ai_addrlen) < 0)
		wire_die("%s:%s: %s", u->host, u->port, strerror(errno));
	freeaddrinfo(a);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static void recv_all(struct wire *w, void *buf, size_t len)
{
	while (len) {
		ssize_t n = recv(w->fd, buf, len, MSG_WAITALL);

		if (n <= 0)
			wire_die("the target hung up");
		buf = (char *)buf + n;
		len -= (size_t)n;
	}
}

/* recv_pdu - header and data segment, which is ended with a NUL; returns its length. */
static uint32_t recv_pdu(struct wire *w, uint8_t *bhs, char *data, uint32_t room)
{
	uint32_t len;

	recv_all(w, bhs, WIRE_BHS);
	len = get_be24(bhs + 5);
	if (bhs[4] || len + 4 >= room)
		wire_die("a PDU of %u bytes that is none of this time", len);
	recv_all(w, data, (len + 3) & ~3u);
	data[len] = 0;
	return len;
}

static void learn(struct wire *w, const char *text, uint32_t len)
{
	struct wire_params *p = &w->p;

	for (const char *at = text; at < text + len; at += strlen(at) + 1) {
		const char *v = strchr(at, '=');
		size_t n = v ? (size_t)(v++ - at) : 0;
		struct {
			const char *key;
			uint32_t *to;
		} numbers[] = {{"MaxBurstLength", &p->max_burst},
			{"FirstBurstLength", &p->first_burst}, {"MaxOutstandingR2T", &p->max_r2t}};

		for (unsigned i = 0; v && i < ARRAY_LEN(numbers); i++)
			if (strlen(numbers[i].key) == n && !strncmp(at, numbers[i].key, n))
				*numbers[i].to = (uint32_t)strtoul(v, NULL, 0);
		if (v && n == 24 && !strncmp(at, "MaxRecvDataSegmentLength", n))
			p->send_data = MIN(p->send_data, (uint32_t)strtoul(v, NULL, 0));
		if (v && n == 10 && !strncmp(at, "InitialR2T", n))
			p->initial_r2t = *v == 'Y';
		if (v && n == 13 && !strncmp(at, "ImmediateData", n))
			p->immediate_data = *v == 'Y';
	}
}

static uint32_t login_text(struct wire *w, char *text, size_t room)
{
	const struct wire_params *p = &w->p;
	int n = snprintf(text, room,
		"InitiatorName=iqn.2026-11.io.berth:drive%cSessionType=Normal%cTargetName=%s%c"
		"HeaderDigest=None%cDataDigest=None%cInitialR2T=%s%cImmediateData=%s%c"
		"MaxRecvDataSegmentLength=%u%cMaxBurstLength=%u%cFirstBurstLength=%u%c"
		"MaxOutstandingR2T=%u%cMaxConnections=1%cErrorRecoveryLevel=0%c"
		"DefaultTime2Wait=2%cDefaultTime2Retain=0%c",
		0, 0, w->url->target, 0, 0, 0, p->initial_r2t ? "Yes" : "No", 0,
		p->immediate_data ? "Yes" : "No", 0, p->recv_data, 0, p->max_burst, 0,
		p->first_burst, 0, p->max_r2t, 0, 0, 0, 0, 0);

	check(n > 0 && (size_t)n < room);
	return (uint32_t)n;
}

static void login(struct wire *w)
{
	uint8_t bhs[WIRE_BHS];
	char text[8192 + 8] = "";
	uint32_t len = login_text(w, text, sizeof(text));

	do {
		wire_header(w, bhs, LOGIN, FINAL | 1 << 2 | 3, 0);
		put_be24(bhs + 5, len);
		put_be32(bhs + 8, 0x80000000u); /* ISID: a random one's type, then our number */
		put_be16(bhs + 12, (uint16_t)w->index);
		wire_send(w, bhs, WIRE_BHS);
		wire_send(w, text, (len + 3) & ~3u);
		len = recv_pdu(w, bhs, text, sizeof(text));
		if (bhs[0] != LOGIN_RSP || bhs[36])
			wire_die("login refused: opcode 0x%02x status 0x%02x%02x", bhs[0], bhs[36],
				bhs[37]);
		learn(w, text, len);
		w->expstatsn = get_be32(bhs + 24) + 1;
		len = 0;
	} while (!(bhs[1] & FINAL));
	w->maxcmdsn = get_be32(bhs + 32);
}

/* simple - a command without data-out; returns its status. */
static uint8_t simple(
	struct wire *w, const uint8_t *cdb, uint32_t in_len, char *data, uint32_t room)
{
	uint8_t bhs[WIRE_BHS];
	uint32_t got;

	wire_header(w, bhs, COMMAND, in_len ? FINAL | 0x40 : FINAL, 0);
	memcpy(bhs + 8, w->lun, 8);
	put_be32(bhs + 20, in_len);
	memcpy(bhs + 32, cdb, 16);
	w->cmdsn++;
	wire_send(w, bhs, WIRE_BHS);
	do {
		got = recv_pdu(w, bhs, data, room);
	} while ((bhs[0] & 0x3f) != RESPONSE && !((bhs[0] & 0x3f) == DATA_IN && bhs[1] & 1));
	w->expstatsn = get_be32(bhs + 24) + 1;
	w->maxcmdsn = get_be32(bhs + 32);
	return got || bhs[3] || !in_len ? bhs[3] : 0xff;
}

struct wire *wire_open(
	const struct wire_url *u, const struct wire_params *want, unsigned index, unsigned depth)
{
	struct wire *w = calloc(1, sizeof(*w));
	static const uint8_t ready[16];
	char data[512];

	if (!wire_payload) {
		wire_payload = malloc(PAYLOAD_LEN + 4);
		check(wire_payload);
		for (size_t i = 0; i < PAYLOAD_LEN + 4; i++)
			wire_payload[i] = (uint8_t)(i * 2654435761u >> 13);
	}
	check(w && depth && depth <= 1024);
	/* The buffers stay untouched until they are used: there may be a thousand of us. */
	w->index = index;
	w->depth = w->limit = depth;
	w->p = *want;
	w->url = u;
	w->cmdsn = 1;
	w->slots = calloc(depth, sizeof(*w->slots));
	check(w->slots);
	put_be16(w->lun, (uint16_t)u->lun);
	w->fd = connect_to(u);
	login(w);
	for (int i = 0; simple(w, ready, 0, data, sizeof(data)); i++)
		if (i == 8)
			wire_die("the unit does not become ready");
	return w;
}

int wire_fd(const struct wire *w)
{
	return w->fd;
}

void wire_capacity(struct wire *w, uint64_t *n_blocksp, uint32_t *blockp)
{
	uint8_t cdb[16] = {0x9e, 0x10, [13] = 32};
	char data[64] = "";

	if (simple(w, cdb, 32, data, sizeof(data)))
		wire_die("READ CAPACITY fails");
	*n_blocksp = get_be64(data) + 1;
	*blockp = get_be32(data + 8);
}
