/* wire.c - the driver's connection: bytes in, bytes out (see wire.h).
 *
 * What is to be said stands in a ring of jobs: a command with its immediate data, or a stretch of
 * Data-Outs (unsolicited, or an R2T's window). A batch takes headers and vectors from the head of
 * the ring until it is as long as one call should carry; jobs are cut anywhere between two PDUs.
 * Headers that come in with a data segment are kept until it is through, so that a command ends
 * with its last byte. */
#include "wire.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include "be.h"
#include "check.h"

enum {
	IN_LEN = 256 << 10,
	BATCH_PDUS = 256,
	BATCH_BYTES = 2 << 20,
	PAYLOAD_LEN = 16 << 20,
	JOBS = 4096,
};
enum {
	NOP_OUT = 0x00,
	COMMAND = 0x01,
	LOGIN = 0x43, /* with the I bit */
	DATA_OUT = 0x05,
	NOP_IN = 0x20,
	RESPONSE = 0x21,
	LOGIN_RSP = 0x23,
	DATA_IN = 0x25,
	R2T = 0x31,
	REJECT = 0x3f,
	FINAL = 0x80,
};

struct slot {
	uint64_t start_ns, lba;
	uint32_t n_blocks, len;
	bool busy, write;
};

struct job {
	uint16_t slot;
	bool command;
	uint32_t ttt, at, end, datasn;
};

struct wire {
	int fd;
	unsigned index, depth, limit, n_busy;
	struct wire_params p;
	const struct wire_url *url;
	uint8_t lun[8];
	uint32_t cmdsn, expstatsn, maxcmdsn;
	struct slot *slots;

	/* out */
	struct job jobs[JOBS];
	unsigned job, n_jobs;
	uint8_t headers[BATCH_PDUS][WIRE_BHS];
	struct iovec iov[2 * BATCH_PDUS + 1];
	unsigned vec, n_vec;

	/* in */
	uint8_t in[IN_LEN];
	size_t have;
	uint8_t kept[WIRE_BHS]; /* the header whose data segment is coming */
	size_t skip;
};

static uint8_t *payload; /* PAYLOAD_LEN and a pad, shared by all */

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

/* --- one PDU at a time: login, and what comes before the load --- */

static void send_all(struct wire *w, const void *buf, size_t len)
{
	while (len) {
		ssize_t n = send(w->fd, buf, len, MSG_NOSIGNAL);

		if (n < 0)
			wire_die("send: %s", strerror(errno));
		buf = (const char *)buf + n;
		len -= (size_t)n;
	}
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

static void blank(struct wire *w, uint8_t *bhs, uint8_t op, uint8_t flags, uint32_t itt)
{
	memset(bhs, 0, WIRE_BHS);
	bhs[0] = op;
	bhs[1] = flags;
	put_be32(bhs + 16, itt);
	put_be32(bhs + 24, w->cmdsn);
	put_be32(bhs + 28, w->expstatsn);
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
		blank(w, bhs, LOGIN, FINAL | 1 << 2 | 3, 0);
		put_be24(bhs + 5, len);
		put_be32(bhs + 8, 0x80000000u); /* ISID: a random one's type, then our number */
		put_be16(bhs + 12, (uint16_t)w->index);
		send_all(w, bhs, WIRE_BHS);
		send_all(w, text, (len + 3) & ~3u);
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

	blank(w, bhs, COMMAND, in_len ? FINAL | 0x40 : FINAL, 0);
	memcpy(bhs + 8, w->lun, 8);
	put_be32(bhs + 20, in_len);
	memcpy(bhs + 32, cdb, 16);
	w->cmdsn++;
	send_all(w, bhs, WIRE_BHS);
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

	if (!payload) {
		payload = malloc(PAYLOAD_LEN + 4);
		check(payload);
		for (size_t i = 0; i < PAYLOAD_LEN + 4; i++)
			payload[i] = (uint8_t)(i * 2654435761u >> 13);
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

struct wire *wire_free(struct wire *w)
{
	close(w->fd);
	free(w->slots);
	free(w);
	return NULL;
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

/* --- out --- */

static void job_add(struct wire *w, struct job j)
{
	if (w->n_jobs == JOBS)
		wire_die("the target asks for more than can be");
	w->jobs[(w->job + w->n_jobs++) % JOBS] = j;
}

void wire_limit(struct wire *w, unsigned depth)
{
	w->limit = MIN(depth, w->depth);
}

bool wire_may_start(const struct wire *w)
{
	return w->n_busy < w->limit && (int32_t)(w->maxcmdsn - w->cmdsn) >= 0;
}

void wire_start(
	struct wire *w, bool write, uint64_t lba, uint32_t n_blocks, uint32_t len, uint64_t now_ns)
{
	unsigned i = 0;

	while (w->slots[i].busy)
		i++;
	w->slots[i] = (struct slot){now_ns, lba, n_blocks, len, true, write};
	w->n_busy++;
	w->cmdsn++;
	job_add(w, (struct job){.slot = (uint16_t)i, .command = true});
}

static uint8_t *batch_header(struct wire *w, unsigned n_pdus)
{
	w->iov[w->n_vec++] = (struct iovec){w->headers[n_pdus], WIRE_BHS};
	return w->headers[n_pdus];
}

static void batch_data(struct wire *w, uint8_t *bhs, uint32_t at, uint32_t len)
{
	put_be24(bhs + 5, len);
	if (len)
		w->iov[w->n_vec++] = (struct iovec){payload + at, (len + 3) & ~3u};
}

/* A command PDU; unsolicited Data-Outs that must follow become the job that it was. */
static uint32_t batch_command(struct wire *w, struct job *j, unsigned n_pdus, uint32_t cmdsn)
{
	const struct slot *s = &w->slots[j->slot];
	uint32_t unasked = s->write && !w->p.initial_r2t ? MIN(s->len, w->p.first_burst) : 0;
	uint32_t now = s->write && w->p.immediate_data
			       ? MIN(MIN(s->len, w->p.first_burst), w->p.send_data)
			       : 0;
	uint8_t *bhs = batch_header(w, n_pdus);

	unasked = MAX(unasked, now);
	blank(w, bhs, COMMAND, (s->write ? 0x20 : 0x40) | 1, j->slot);
	bhs[1] |= now == unasked ? FINAL : 0;
	memcpy(bhs + 8, w->lun, 8);
	put_be32(bhs + 20, s->len);
	put_be32(bhs + 24, cmdsn);
	bhs[32] = s->write ? 0x8a : 0x88;
	put_be64(bhs + 34, s->lba);
	put_be32(bhs + 42, s->n_blocks);
	batch_data(w, bhs, 0, now);
	*j = (struct job){.slot = j->slot, .ttt = 0xffffffffu, .at = now, .end = unasked};
	return now;
}

static uint32_t batch_data_out(struct wire *w, struct job *j, unsigned n_pdus)
{
	uint32_t len = MIN(j->end - j->at, w->p.send_data);
	uint8_t *bhs = batch_header(w, n_pdus);

	blank(w, bhs, DATA_OUT, j->at + len == j->end ? FINAL : 0, j->slot);
	put_be32(bhs + 24, 0);
	if (j->ttt != 0xffffffffu)
		memcpy(bhs + 8, w->lun, 8);
	put_be32(bhs + 20, j->ttt);
	put_be32(bhs + 36, j->datasn++);
	put_be32(bhs + 40, j->at);
	batch_data(w, bhs, j->at, len);
	j->at += len;
	return len;
}

static void batch_fill(struct wire *w)
{
	size_t bytes = 0;
	uint32_t cmdsn = w->cmdsn;

	for (unsigned i = 0; i < w->n_jobs; i++)
		cmdsn -= w->jobs[(w->job + i) % JOBS].command;
	w->vec = w->n_vec = 0;
	for (unsigned n = 0; w->n_jobs && n < BATCH_PDUS && bytes < BATCH_BYTES; n++) {
		struct job *j = &w->jobs[w->job];

		bytes += j->command ? batch_command(w, j, n, cmdsn++) : batch_data_out(w, j, n);
		if (j->at < j->end)
			continue;
		w->job = (w->job + 1) % JOBS;
		w->n_jobs--;
	}
}

bool wire_flush(struct wire *w)
{
	while (w->vec < w->n_vec || w->n_jobs) {
		struct msghdr msg = {0};
		ssize_t n;

		if (w->vec == w->n_vec)
			batch_fill(w);
		msg.msg_iov = w->iov + w->vec;
		msg.msg_iovlen = w->n_vec - w->vec;
		n = sendmsg(w->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			return false;
		if (n < 0)
			wire_die("send: %s", strerror(errno));
		while (n > 0) {
			struct iovec *v = &w->iov[w->vec];
			size_t part = MIN((size_t)n, v->iov_len);

			v->iov_base = (char *)v->iov_base + part;
			v->iov_len -= part;
			n -= (ssize_t)part;
			w->vec += !v->iov_len;
		}
	}
	return true;
}

/* --- in --- */

static void ended(struct wire *w, const uint8_t *bhs, void (*done)(void *, uint64_t), void *ctx)
{
	uint32_t i = get_be32(bhs + 16);

	if (i >= w->depth || !w->slots[i].busy)
		wire_die("an answer to nothing we asked");
	if (bhs[2] || bhs[3])
		wire_die("%s at block %llu: response 0x%02x status 0x%02x",
			w->slots[i].write ? "WRITE" : "READ", (unsigned long long)w->slots[i].lba,
			bhs[2], bhs[3]);
	w->slots[i].busy = false;
	w->n_busy--;
	done(ctx, w->slots[i].start_ns);
}

static void answer_ping(struct wire *w, const uint8_t *ping)
{
	uint8_t bhs[WIRE_BHS];

	if (get_be32(ping + 20) == 0xffffffffu)
		return;
	while (!wire_flush(w))
		poll(&(struct pollfd){w->fd, POLLOUT, 0}, 1, -1);
	blank(w, bhs, NOP_OUT | 0x40, FINAL, 0xffffffffu);
	memcpy(bhs + 8, ping + 8, 8);
	memcpy(bhs + 20, ping + 20, 4);
	send_all(w, bhs, WIRE_BHS);
}

static void heard(struct wire *w, const uint8_t *bhs, void (*done)(void *, uint64_t), void *ctx)
{
	uint8_t op = bhs[0] & 0x3f;
	bool numbered = op == RESPONSE || (op == DATA_IN && bhs[1] & 1);

	if (numbered)
		w->expstatsn = get_be32(bhs + 24) + 1;
	if ((int32_t)(get_be32(bhs + 32) - w->maxcmdsn) > 0)
		w->maxcmdsn = get_be32(bhs + 32);
	if (numbered)
		ended(w, bhs, done, ctx);
	else if (op == R2T)
		job_add(w, (struct job){.slot = (uint16_t)get_be32(bhs + 16),
				   .ttt = get_be32(bhs + 20),
				   .at = get_be32(bhs + 40),
				   .end = get_be32(bhs + 40) + get_be32(bhs + 44)});
	else if (op == NOP_IN)
		answer_ping(w, bhs);
	else if (op != DATA_IN)
		wire_die("an answer with opcode 0x%02x", op);
}

/* parse - returns how many bytes are through. */
static size_t parse(struct wire *w, void (*done)(void *, uint64_t), void *ctx)
{
	size_t at = 0;

	for (;;) {
		size_t part = MIN(w->skip, w->have - at);
		const uint8_t *bhs;

		at += part;
		if (w->skip && !(w->skip -= part))
			heard(w, w->kept, done, ctx);
		if (w->skip || w->have - at < WIRE_BHS)
			return at;
		bhs = w->in + at;
		at += WIRE_BHS;
		w->skip = (get_be24(bhs + 5) + 3) & ~3u;
		if (w->skip)
			memcpy(w->kept, bhs, WIRE_BHS);
		else
			heard(w, bhs, done, ctx);
	}
}

void wire_receive(struct wire *w, void (*done)(void *ctx, uint64_t start_ns), void *ctx)
{
	ssize_t n = recv(w->fd, w->in + w->have, IN_LEN - w->have, MSG_DONTWAIT);
	size_t through;

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0)
		wire_die("the target hung up: %s", n ? strerror(errno) : "end of the stream");
	w->have += (size_t)n;
	through = parse(w, done, ctx);
	w->have -= through;
	memmove(w->in, w->in + through, w->have);
}
