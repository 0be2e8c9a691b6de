/* digest.c - header and data digests (RFC 7143 13.1): everything with each of the four agreements, in pieces too; and one
 * that is wrong, for every PDU that has one: a header ends the connection (7.7), data is rejected and counts for nothing,
 * and the session goes on (7.8). The peer checks each digest of the target's. */
#include <string.h>
#include "scene.h"

enum { BLOCK = 512, N_BLOCKS = 64, LEN = N_BLOCKS * BLOCK, REASON = 2 };

static struct peer_params params(unsigned digests, unsigned unasked)
{
	struct peer_params want = peer_params_default();

	want.header_digest = digests & 1;
	want.data_digest = digests & 2;
	want.immediate_data = unasked & 1;
	want.initial_r2t = !(unasked & 2);
	want.max_burst = want.first_burst = 16384;
	return want;
}

/* Writes of whole pages, of parts, and over both, then reads that begin anywhere: what is kept beside the pages is joined
 * with what is counted anew. */
static void all_kinds(struct peer *p, uint64_t seed)
{
	static const struct {
		uint32_t lba, n;
	} writes[] = {{0, 64}, {64, 8}, {65, 1}, {70, 9}, {127, 2}, {3, 40}, {8, 8}, {200, 33}};
	uint8_t *out = scene_alloc(LEN), *in = scene_alloc(256 * BLOCK),
		*model = scene_alloc(256 * BLOCK);

	peer_write(p, 0, 256, model);
	for (unsigned i = 0; i < sizeof(writes) / sizeof(writes[0]); i++) {
		pattern(out, LEN, seed + i, 0);
		memcpy(model + writes[i].lba * BLOCK, out, writes[i].n * BLOCK);
		peer_write(p, writes[i].lba, writes[i].n, out);
	}
	for (unsigned lba = 0; lba < 16; lba++) {
		uint32_t n = 256 - lba * 7;

		peer_read(p, lba, n, in);
		EXPECT(!memcmp(in, model + lba * BLOCK, n * BLOCK), "other data from block %u on",
			lba);
	}
	for (unsigned len = 0; len < 9; len++) /* pad bytes are covered */
		peer_ping(p, len);
	peer_ask(p, "SendTargets=\n");
	EXPECT(peer_said(p, "TargetName"), "no target");
}

static void every_agreement(struct daemon *d)
{
	for (unsigned digests = 0; digests < 4; digests++) {
		for (unsigned unasked = 0; unasked < 4; unasked++) {
			struct peer_params want = params(digests, unasked);
			struct peer *p = daemon_peer(d, &want);

			all_kinds(p, digests * 100 + unasked * 10);
			p->odd_seed = 1 + unasked;
			peer_set_cut(p, &(struct peer_cut){.random = 3000, .seed = 7 + digests});
			all_kinds(p, digests * 100 + unasked * 10 + 5);
			peer_logout(p);
		}
	}
}

static void byte_by_byte(struct daemon *d)
{
	struct peer_params want = params(3, 3);
	struct peer *p = daemon_peer(d, &want);
	uint8_t *out = scene_alloc(4096), *in = scene_alloc(4096);

	peer_set_cut(p, &(struct peer_cut){.every = 1});
	pattern(out, 4096, 9, 0);
	peer_write(p, 3, 8, out);
	peer_read(p, 3, 8, in);
	EXPECT(!memcmp(in, out, 4096), "other data");
	peer_ping(p, 5);
}

/* --- wrong ones --- */

static uint64_t counted(struct daemon *d, const char *name)
{
	struct dump dump;

	daemon_dump(d, &dump);
	return dump_get(&dump, name);
}

/* What carries the wrong digest. */
enum carrier {
	COMMAND,
	COMMAND_WITH_DATA,
	DATA_OUT,
	UNASKED_DATA_OUT,
	PING,
	TASK_FUNCTION,
	N_CARRIERS
};
static const char *const carriers[] = {
	"command", "command with data", "Data-Out", "unasked Data-Out", "NOP-Out", "function"};

struct spoiled {
	struct peer *p;
	struct peer_pdu pdu; /* that was wrong */
	uint8_t *fresh;
	uint32_t itt; /* of its task */
	bool has_task;
	struct peer_r2t r;
};

static uint32_t write_command(struct spoiled *s, uint32_t immediate, bool more)
{
	struct peer_cmd c = {
		.write = true, .edtl = LEN, .data = s->fresh, .data_len = immediate, .more = more};

	cdb_rw(c.cdb, true, 0, N_BLOCKS);
	return peer_cmd_pdu(s->p, &s->pdu, &c);
}

/* send_spoiled - with flags already set on the peer for the PDU that is to be wrong. */
static void send_spoiled(struct spoiled *s, enum carrier what, bool header)
{
	struct peer *p = s->p;
	bool *spoil = header ? &p->spoil_header : &p->spoil_data;

	s->has_task = what <= UNASKED_DATA_OUT;
	switch (what) {
	case COMMAND:
	case COMMAND_WITH_DATA:
		s->itt = write_command(s, what == COMMAND ? 0 : 4096, false);
		break;
	case DATA_OUT:
		s->itt = write_command(s, 0, false);
		peer_send(p, &s->pdu);
		peer_expect_r2t(p, s->itt, &s->r);
		peer_data_out_pdu(p, &s->pdu, &s->r, 0, 0, s->fresh, 4096, false);
		break;
	case UNASKED_DATA_OUT:
		s->itt = write_command(s, 0, true);
		peer_send(p, &s->pdu);
		s->r = (struct peer_r2t){.itt = s->itt, .ttt = PEER_NONE, .lun = p->lun};
		peer_data_out_pdu(p, &s->pdu, &s->r, 0, 0, s->fresh, 4096, false);
		break;
	case PING:
		peer_pdu(
			p, &s->pdu, PEER_NOP_OUT | PEER_IMMEDIATE, PEER_F, peer_itt(p), "hello", 5);
		pdu_set(&s->pdu, TTT, PEER_NONE);
		break;
	default:
		peer_pdu(p, &s->pdu, PEER_TASK_MGMT | PEER_IMMEDIATE, PEER_F | 5, peer_itt(p), NULL,
			0);
	}
	*spoil = true;
	peer_send(p, &s->pdu);
}

static void expect_old(struct peer *p)
{
	uint8_t *now = scene_alloc(LEN);

	peer_read(p, 0, N_BLOCKS, now);
	pattern_expect(now, LEN, 1, 0);
}

static void begin(struct daemon *d, struct spoiled *s, struct peer **otherp)
{
	struct peer_params want = params(3, 3);
	uint8_t *old = scene_alloc(LEN);

	*otherp = daemon_peer(d, NULL);
	pattern(old, LEN, 1, 0);
	peer_write(*otherp, 0, N_BLOCKS, old);
	s->p = daemon_peer(d, &want);
	s->fresh = scene_alloc(LEN);
	pattern(s->fresh, LEN, 2, 0);
}

static void wrong_headers(struct daemon *d)
{
	for (enum carrier what = 0; what < N_CARRIERS; what++) {
		uint64_t before = counted(d, "refused_pdus{header_digest}");
		struct spoiled s;
		struct peer *other;

		scene_note("%s", carriers[what]);
		begin(d, &s, &other);
		send_spoiled(&s, what, true);
		peer_expect_close(s.p);
		expect_old(other);
		EXPECT_EQ(counted(d, "refused_pdus{header_digest}"), before + 1);
		peer_close(s.p);
		peer_close(other);
	}
}

/* The Reject carries the header; a task whose data it was ends with 47h/05h and nothing of it is there; what still comes
 * for it is drained. */
static void wrong_data(struct daemon *d)
{
	static const enum carrier rows[] = {COMMAND_WITH_DATA, DATA_OUT, UNASKED_DATA_OUT, PING};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t before = counted(d, "refused_pdus{data_digest}");
		struct spoiled s;
		struct peer *other;

		scene_note("%s", carriers[rows[i]]);
		begin(d, &s, &other);
		send_spoiled(&s, rows[i], false);
		peer_expect_reject(s.p, REASON, &s.pdu);
		if (s.has_task)
			peer_expect_sense(s.p, s.itt, 0x0b, 0x47, 0x05);
		if (rows[i] == DATA_OUT)
			peer_answer_part(s.p, &s.r, 1, s.fresh, 4096, s.r.length);
		if (rows[i] == UNASKED_DATA_OUT)
			peer_send_data_out(s.p, &s.r, 1, 4096, s.fresh + 4096, 12288, true);
		peer_ping(s.p, 7);
		expect_old(other);
		EXPECT_EQ(counted(d, "refused_pdus{data_digest}"), before + 1);
		peer_write(s.p, 0, N_BLOCKS, s.fresh); /* the session is as good as before */
		peer_logout(s.p);
		peer_close(other);
	}
}

/* One of many Data-Outs, while others write beside it. */
static void wrong_among_many(struct daemon *d)
{
	struct peer_params want = params(3, 0);
	struct peer *p;
	struct peer_task t[8];
	uint8_t *buf = scene_alloc(LEN);
	struct spoiled s;
	struct peer *other;

	begin(d, &s, &other);
	peer_close(s.p);
	p = s.p = daemon_peer(d, &want);
	for (unsigned round = 0; round < 20; round++) {
		struct peer_pdu pdu;

		s.itt = write_command(&s, 0, false);
		peer_send(p, &s.pdu);
		peer_expect_r2t(p, s.itt, &s.r);
		peer_hold(p);
		for (uint32_t at = 0; at < s.r.length; at += 1024) {
			peer_data_out_pdu(p, &pdu, &s.r, at / 1024, at, s.fresh + at, 1024,
				at + 1024 == s.r.length);
			p->spoil_data = at / 1024 == round % 16;
			if (p->spoil_data)
				s.pdu = pdu;
			peer_send(p, &pdu);
		}
		peer_flush(p);
		peer_expect_reject(p, REASON, &s.pdu);
		peer_expect_sense(p, s.itt, 0x0b, 0x47, 0x05);
		for (unsigned i = 0; i < 8; i++) {
			peer_task_rw(&t[i], true, 1000 + i * N_BLOCKS, N_BLOCKS, buf);
			peer_start(p, &t[i]);
		}
		peer_wait_all(p);
		for (unsigned i = 0; i < 8; i++)
			EXPECT_EQ(t[i].st.status, 0);
		expect_old(other);
	}
}

/* Many small reads at once, of what was written in large pieces and without digests: what of it is known, and what is counted
 * while others wait, must be the same. */
static void many_small_reads(struct daemon *d)
{
	enum { DEPTH = 32, MIB_BLOCKS = 2048, N_MIB = 16 };
	struct peer_params want = params(3, 0);
	struct peer *w = daemon_peer(d, NULL), *p;
	uint8_t *data = scene_alloc(MIB_BLOCKS * BLOCK), *in = scene_alloc(DEPTH * 8 * BLOCK);
	struct peer_task t[DEPTH];

	for (unsigned i = 0; i < N_MIB; i++) {
		pattern(data, MIB_BLOCKS * BLOCK, 3, (uint64_t)i * MIB_BLOCKS * BLOCK);
		peer_write(w, i * MIB_BLOCKS, MIB_BLOCKS, data);
	}
	p = daemon_peer(d, &want);
	for (unsigned round = 0; round < scene_effort(200); round++) {
		uint32_t n = round % 2 ? 8 : 1 + (uint32_t)scene_random(8);

		peer_hold(p);
		for (unsigned i = 0; i < DEPTH; i++) {
			peer_task_rw(&t[i], false, scene_random(N_MIB * MIB_BLOCKS / n) * n, n,
				in + i * 8 * BLOCK);
			peer_start(p, &t[i]);
		}
		peer_flush(p);
		peer_wait_all(p);
		for (unsigned i = 0; i < DEPTH; i++)
			EXPECT_EQ(t[i].st.status, 0);
	}
}

static const struct scene_case cases[] = {
	CASE(every_agreement),
	CASE(byte_by_byte),
	CASE(wrong_headers, .ours = true),
	CASE(wrong_data, .ours = true),
	CASE(wrong_among_many, .ours = true),
	CASE(many_small_reads),
	{.name = "every_agreement_file",
		.run = every_agreement,
		.file = 64 << 20,
		.on_tmpfs = true},
};
SCENES(cases)
