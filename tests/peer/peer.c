/* peer.c - the peer's streams and PDUs, and what a good target must keep on each of them.
 *
 * Out: PDUs are laid into one buffer; it goes out at once, or when peer_flush() says so, in the
 * pieces that the cut asks for. While the target does not take our bytes, its own are collected, so
 * that two full sockets cannot lock each other. A target that closed is no failure here: what we
 * send then is dropped, and whoever waits for an answer sees the end.
 * In: bytes are collected until a whole PDU is there; it is borrowed out of the buffer. */
#include "peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { IN_ROOM = 512 << 10, IN_MAX = 40 << 20, SLICE_MS = 20 };

bool peer_strict = true;
static struct peer *peers;
static unsigned n_made;

static const struct {
	uint8_t at, bytes;
} fields[] = {
#define FIELD(name, at, bytes) [PF_##name] = {at, bytes},
#include "bhs.tbl"
#undef FIELD
};

void peer_put(uint8_t *bhs, enum peer_field f, uint64_t v)
{
	for (unsigned i = fields[f].bytes; i--; v >>= 8)
		bhs[fields[f].at + i] = (uint8_t)v;
}

uint64_t peer_get(const uint8_t *bhs, enum peer_field f)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < fields[f].bytes; i++)
		v = v << 8 | bhs[fields[f].at + i];
	return v;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* --- life --- */
struct peer_params peer_params_default(void)
{
	return (struct peer_params){.initial_r2t = true,
		.max_r2t = 1,
		.max_burst = 65536,
		.first_burst = 65536,
		.max_recv_data = 262144,
		.max_send_data = 8192};
}

struct peer *peer_new(const struct peer_transport *t, void *ctx)
{
	struct peer *p = calloc(1, sizeof(*p));
	const char *timeout = getenv("PEER_TIMEOUT_MS");

	*p = (struct peer){.transport = t,
		.ctx = ctx,
		.next = peers,
		.isid = 0x800000000000 | ++n_made, /* random format: T = 10b */
		.cid = 1,
		.cmdsn = 1,
		.next_itt = 1,
		.params = peer_params_default(),
		.timeout_ms = timeout ? atoi(timeout) : 15000,
		.answer_pings = true,
		.in_room = IN_ROOM,
		.in = malloc(IN_ROOM)};
	snprintf(p->initiator, sizeof(p->initiator), "iqn.2026-11.io.berth.test:peer");
	peers = p;
	return p;
}

static void peer_end(struct peer *p, bool abrupt)
{
	for (struct peer **at = &peers; *at; at = &(*at)->next) {
		if (*at == p) {
			*at = p->next;
			break;
		}
	}
	p->transport->close(p->ctx, abrupt);
	free(p->in);
	free(p->out);
	free(p);
}

void peer_close(struct peer *p)
{
	peer_end(p, false);
}

void peer_reset(struct peer *p)
{
	peer_end(p, true);
}

void peer_close_all(void)
{
	while (peers)
		peer_close(peers);
}

/* --- in --- */
/* fill - some more bytes; false: none in time, or the end. */
static bool fill(struct peer *p, int timeout_ms)
{
	long n;

	if (p->ended)
		return false;
	if (p->in_len == p->in_room) {
		p->in_room *= 2;
		EXPECT(p->in_room <= IN_MAX, "the target sent more than was asked for");
		p->in = realloc(p->in, p->in_room);
	}
	n = p->transport->recv(p->ctx, p->in + p->in_len, p->in_room - p->in_len, timeout_ms);
	if (n > 0)
		p->in_len += (size_t)n;
	else if (n != -ETIMEDOUT)
		p->ended = true;
	return n > 0;
}

/* Digests begin with the full feature phase. */
static size_t header_digest_len(const struct peer *p)
{
	return p->full && p->params.header_digest ? 4 : 0;
}

static size_t data_digest_len(const struct peer *p, size_t data)
{
	return p->full && p->params.data_digest && data ? 4 : 0;
}

static void expect_digest(const uint8_t *covered, size_t len, const char *which)
{
	const uint8_t *at = covered + len;
	uint32_t is = at[0] | at[1] << 8 | at[2] << 16 | (uint32_t)at[3] << 24,
		 want = peer_digest(0, covered, len);

	EXPECT(is == want, "the target's %s digest is %08x, expected %08x", which, is, want);
}

/* whole - the PDU at the buffer's head, when all of it is there. */
static bool whole(struct peer *p, struct peer_pdu *pdu, size_t *lenp)
{
	const uint8_t *b = p->in + p->in_off;
	size_t have = p->in_len - p->in_off, ahs, data, head, padded;

	if (have < PEER_BHS)
		return false;
	ahs = peer_get(b, PF_AHS_LEN) * 4;
	data = peer_get(b, PF_DATA_LEN);
	EXPECT(data <= (p->full ? p->params.max_recv_data : 8192),
		"data segment of %zu bytes is above what was declared", data);
	head = PEER_BHS + ahs + header_digest_len(p);
	padded = (data + 3) & ~(size_t)3;
	*lenp = head + padded + data_digest_len(p, data);
	if (have < *lenp)
		return false;
	memcpy(pdu->bhs, b, PEER_BHS);
	pdu->ahs = b + PEER_BHS;
	pdu->ahs_len = (uint32_t)ahs;
	pdu->data = b + head;
	pdu->data_len = (uint32_t)data;
	for (size_t i = data; i < padded; i++)
		EXPECT(pdu->data[i] == 0, "pad byte of the target is not zero");
	if (header_digest_len(p))
		expect_digest(b, PEER_BHS + ahs, "header");
	if (data_digest_len(p, data))
		expect_digest(pdu->data, padded, "data");
	return true;
}

/* carries_status - does this PDU use up a StatSN? (RFC 7143 4.2.2.2) */
static bool carries_status(const struct peer_pdu *pdu)
{
	switch (pdu_get(pdu, OPCODE)) {
	case PEER_R2T:
		return false;
	case PEER_NOP_IN:
		return pdu_get(pdu, ITT) != PEER_NONE;
	case PEER_DATA_IN:
		return pdu_get(pdu, FLAGS) & 1;
	case PEER_LOGIN_RSP:
		return pdu_get(pdu, STATUS_CLASS) == 0;
	default:
		return true;
	}
}

static void check_numbers(struct peer *p, const struct peer_pdu *pdu)
{
	uint32_t statsn = (uint32_t)pdu_get(pdu, STATSN);
	uint32_t exp = (uint32_t)pdu_get(pdu, EXPCMDSN), max = (uint32_t)pdu_get(pdu, MAXCMDSN);

	if (pdu_get(pdu, OPCODE) == PEER_LOGIN_RSP && pdu_get(pdu, STATUS_CLASS) != 0)
		return; /* 11.13: the numbers hold only with success */
	if (carries_status(pdu)) {
		EXPECT(!p->numbered || statsn == p->expstatsn, "StatSN is %u, expected %u, in %s",
			statsn, p->expstatsn, peer_describe(pdu));
		p->expstatsn = statsn + 1;
	}
	EXPECT(!peer_strict || (int32_t)(max - exp) >= -1, "MaxCmdSN %u is below ExpCmdSN %u - 1",
		max, exp);
	if (p->numbered) {
		EXPECT((int32_t)(exp - p->expcmdsn) >= 0, "ExpCmdSN moved back from %u to %u",
			p->expcmdsn, exp);
		EXPECT((int32_t)(max - p->maxcmdsn) >= 0, "MaxCmdSN moved back from %u to %u",
			p->maxcmdsn, max);
	}
	EXPECT(!peer_strict || max - exp + 1 <= PEER_WINDOW, "command window of %u", max - exp + 1);
	p->expcmdsn = exp;
	p->maxcmdsn = max;
	p->numbered = true;
}

static bool is_ping(const struct peer_pdu *pdu)
{
	return pdu_get(pdu, OPCODE) == PEER_NOP_IN && pdu_get(pdu, ITT) == PEER_NONE &&
	       pdu_get(pdu, TTT) != PEER_NONE;
}

static void answer_ping(struct peer *p, const struct peer_pdu *ping)
{
	struct peer_pdu pdu;

	peer_pdu(p, &pdu, PEER_NOP_OUT | PEER_IMMEDIATE, PEER_F, PEER_NONE, ping->data,
		ping->data_len);
	pdu_set(&pdu, TTT, pdu_get(ping, TTT));
	pdu_set(&pdu, LUN, pdu_get(ping, LUN));
	peer_send(p, &pdu);
}

enum peer_got peer_poll(struct peer *p, struct peer_pdu *pdu, int timeout_ms)
{
	int64_t end = now_ms() + timeout_ms;
	size_t len;

	for (;;) {
		while (!whole(p, pdu, &len)) {
			int64_t left = end - now_ms();

			if (p->in_off) {
				memmove(p->in, p->in + p->in_off, p->in_len - p->in_off);
				p->in_len -= p->in_off;
				p->in_off = 0;
			}
			if (fill(p, left > 0 ? (int)left : 0))
				continue;
			if (p->ended)
				return PEER_ENDED;
			if (left <= 0)
				return PEER_TIMEOUT;
		}
		p->in_off += len;
		check_numbers(p, pdu);
		if (!is_ping(pdu))
			return PEER_GOT;
		p->n_pings++;
		if (!p->answer_pings)
			return PEER_GOT;
		answer_ping(p, pdu);
	}
}

void peer_recv(struct peer *p, struct peer_pdu *pdu)
{
	enum peer_got got = peer_poll(p, pdu, p->timeout_ms);

	EXPECT(got != PEER_TIMEOUT, "no answer within %d ms", p->timeout_ms);
	EXPECT(got != PEER_ENDED, "the target closed the connection");
}

void peer_expect(struct peer *p, struct peer_pdu *pdu, uint8_t opcode)
{
	peer_recv(p, pdu);
	EXPECT(pdu_get(pdu, OPCODE) == opcode, "got %s, expected opcode 0x%02x", peer_describe(pdu),
		opcode);
}

void peer_expect_close(struct peer *p)
{
	struct peer_pdu pdu;
	enum peer_got got = peer_poll(p, &pdu, p->timeout_ms);

	EXPECT(got != PEER_GOT, "expected the end, got %s", peer_describe(&pdu));
	EXPECT(got == PEER_ENDED, "the target did not close within %d ms", p->timeout_ms);
	EXPECT(p->in_len == p->in_off, "the stream ended inside a PDU");
}

void peer_expect_nothing(struct peer *p, int ms)
{
	struct peer_pdu pdu;
	enum peer_got got = peer_poll(p, &pdu, ms);

	EXPECT(got != PEER_GOT, "expected silence, got %s", peer_describe(&pdu));
	EXPECT(got != PEER_ENDED, "expected silence, the target closed");
}

/* --- out --- */
void peer_set_cut(struct peer *p, const struct peer_cut *cut)
{
	p->cut = cut ? *cut : (struct peer_cut){0};
	p->cut_sent = 0;
}

static size_t next_piece(struct peer *p, size_t left)
{
	struct peer_cut *c = &p->cut;
	size_t piece = left;

	if (c->every)
		piece = c->every - p->cut_sent % c->every;
	for (unsigned i = 0; i < c->n_at; i++) {
		if (c->at[i] > p->cut_sent) {
			piece = c->at[i] - p->cut_sent;
			break;
		}
	}
	if (c->random) {
		c->seed = c->seed * 6364136223846793005 + 1442695040888963407;
		piece = 1 + (c->seed >> 33) % c->random;
	}
	return piece < left ? piece : left;
}

static void push(struct peer *p, const uint8_t *buf, size_t len)
{
	int64_t last = now_ms();

	while (len && !p->broken) {
		long n = p->transport->send(p->ctx, buf, len, SLICE_MS);

		if (n == -ETIMEDOUT) {
			fill(p, 0);
			EXPECT(now_ms() - last < p->timeout_ms, "the target took no byte for %d ms",
				p->timeout_ms);
		} else if (n < 0) {
			p->broken = true;
		} else {
			buf += n;
			len -= (size_t)n;
			last = now_ms();
		}
	}
}

static void push_cut(struct peer *p)
{
	for (size_t at = 0, piece; at < p->out_len; at += piece) {
		piece = next_piece(p, p->out_len - at);
		push(p, p->out + at, piece);
		p->cut_sent += piece;
		if (p->cut.delay_us)
			nanosleep(&(struct timespec){p->cut.delay_us / 1000000,
					  p->cut.delay_us % 1000000 * 1000},
				NULL);
	}
	p->out_len = 0;
}

static void lay(struct peer *p, const void *buf, size_t len)
{
	if (!len)
		return;
	if (p->out_len + len > p->out_room) {
		p->out_room = (p->out_len + len) * 2;
		p->out = realloc(p->out, p->out_room);
	}
	memcpy(p->out + p->out_len, buf, len);
	p->out_len += len;
}

void peer_hold(struct peer *p)
{
	p->held = true;
}

void peer_flush(struct peer *p)
{
	p->held = false;
	push_cut(p);
}

void peer_send_bytes(struct peer *p, const void *buf, size_t len)
{
	lay(p, buf, len);
	if (!p->held)
		push_cut(p);
}

void peer_pdu(struct peer *p, struct peer_pdu *pdu, uint8_t opcode, uint8_t flags, uint32_t itt,
	const void *data, uint32_t data_len)
{
	*pdu = (struct peer_pdu){.data = data, .data_len = data_len};
	pdu_set(pdu, OPCODE, opcode);
	pdu_set(pdu, FLAGS, flags);
	pdu_set(pdu, DATA_LEN, data_len);
	pdu_set(pdu, ITT, itt);
	pdu_set(pdu, CMDSN, p->cmdsn);
	pdu_set(pdu, EXPSTATSN, p->expstatsn);
}

static void lay_digest(struct peer *p, uint32_t digest, bool *spoilp)
{
	if (*spoilp)
		digest ^= 0x10000;
	*spoilp = false;
	lay(p,
		(const uint8_t[]){(uint8_t)digest, (uint8_t)(digest >> 8), (uint8_t)(digest >> 16),
			(uint8_t)(digest >> 24)},
		4);
}

void peer_send(struct peer *p, const struct peer_pdu *pdu)
{
	static const uint8_t zeros[4];
	uint32_t pad = -pdu->data_len & 3;

	lay(p, pdu->bhs, PEER_BHS);
	lay(p, pdu->ahs, pdu->ahs_len);
	if (header_digest_len(p))
		lay_digest(p,
			peer_digest(peer_digest(0, pdu->bhs, PEER_BHS), pdu->ahs, pdu->ahs_len),
			&p->spoil_header);
	lay(p, pdu->data, pdu->data_len);
	lay(p, zeros, pad);
	if (data_digest_len(p, pdu->data_len))
		lay_digest(p, peer_digest(peer_digest(0, pdu->data, pdu->data_len), zeros, pad),
			&p->spoil_data);
	if (!p->held)
		push_cut(p);
}

uint32_t peer_itt(struct peer *p)
{
	uint32_t itt = p->next_itt++;

	if (p->next_itt == PEER_NONE)
		p->next_itt = 1;
	return itt;
}

const char *peer_describe(const struct peer_pdu *pdu)
{
	static char text[200];
	static const struct {
		uint8_t op;
		const char *name;
	} names[] = {{PEER_NOP_IN, "NOP-In"}, {PEER_RESPONSE, "SCSI Response"},
		{PEER_TASK_MGMT_RSP, "task management response"},
		{PEER_LOGIN_RSP, "Login Response"}, {PEER_TEXT_RSP, "Text Response"},
		{PEER_DATA_IN, "Data-In"}, {PEER_LOGOUT_RSP, "Logout Response"}, {PEER_R2T, "R2T"},
		{PEER_ASYNC, "Async Message"}, {PEER_REJECT, "Reject"}};
	const char *name = "unknown PDU";
	struct peer_status st;

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].op == pdu_get(pdu, OPCODE))
			name = names[i].name;
	peer_status_of(pdu, &st);
	snprintf(text, sizeof(text),
		"%s (opcode 0x%02x, flags 0x%02x, response or reason 0x%02x, status 0x%02x, itt 0x%x, "
		"ttt 0x%x, sense %x/%02x/%02x)",
		name, pdu->bhs[0], pdu->bhs[1], pdu->bhs[2], pdu->bhs[3],
		(unsigned)pdu_get(pdu, ITT), (unsigned)pdu_get(pdu, TTT), st.key, st.asc, st.ascq);
	return text;
}

/* --- failing --- */
static _Noreturn void stop_here(const char *text)
{
	fprintf(stderr, "%s\n", text);
	abort();
}

static void fail_default(const char *text)
{
	stop_here(text);
}

void (*peer_on_fail)(const char *text) = fail_default;

_Noreturn void peer_fail(const char *file, int line, const char *fmt, ...)
{
	static char text[800];
	const char *base = strrchr(file, '/');
	__builtin_va_list ap;
	int n = snprintf(text, sizeof(text), "%s:%d: ", base ? base + 1 : file, line);

	__builtin_va_start(ap, fmt);
	vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, ap);
	__builtin_va_end(ap);
	peer_on_fail(text);
	abort();
}
