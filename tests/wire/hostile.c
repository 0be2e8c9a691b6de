/* hostile.c - lies about a transfer, one a case.
 *
 * Each has one outcome: a Reject, or the task's CHECK CONDITION, or the connection's end; never two
 * and never silence, where an answer is owed. The server lives, counts the refusal once, under its
 * name, and the old data is what it was, to the byte. After a Reject the same write goes on and
 * ends well; after CHECK CONDITION the rest of its data may still come and is drained without a
 * word. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "scene.h"

enum { BLOCK = 512, LEN = 65536, PART = 8192, LBA = 40 };
enum outcome { REJECTED, FAILED, CLOSED };
enum how { SET, ADD, XOR };

struct lie {
	enum peer_field field;
	enum how how;
	uint64_t value;
	enum outcome outcome;
	uint8_t reason, asc, ascq; /* of the Reject; of the sense, whose key is ABORTED COMMAND */
	const char *label;         /* refused_pdus{label} */
	/* what is sent: `len` bytes at `at` of the write's first window, F as given */
	uint32_t at, len;
	bool final;
};

/* A stage: two connections, known old data, and a write of which one window is granted. */
struct stage {
	struct peer *a, *b;
	uint8_t *old, *fresh, *now;
	uint32_t itt;
	struct peer_r2t r;
	struct dump before;
};

static void set_stage(struct daemon *d, struct stage *s)
{
	s->a = daemon_peer(d, NULL);
	s->b = daemon_peer(d, NULL);
	s->old = scene_alloc(LEN * 2);
	s->fresh = scene_alloc(LEN * 2);
	s->now = scene_alloc(LEN * 2);
	pattern(s->old, LEN * 2, 1, 0);
	pattern(s->fresh, LEN * 2, 2, 0);
	peer_write(s->b, LBA, LEN / BLOCK, s->old);
	s->itt = peer_send_write(s->a, LBA, LEN / BLOCK);
	peer_expect_r2t(s->a, s->itt, &s->r);
	EXPECT_EQ(s->r.length, LEN);
	daemon_dump(d, &s->before);
}

static void expect_content(struct stage *s, struct peer *by, uint64_t seed)
{
	peer_read(by, LBA, LEN / BLOCK, s->now);
	pattern_expect(s->now, LEN, seed, 0);
}

static void expect_counted(struct daemon *d, const struct stage *s, const char *label, uint64_t n)
{
	char name[56];
	struct dump after;

	snprintf(name, sizeof(name), "refused_pdus{%s}", label);
	daemon_dump(d, &after);
	EXPECT_EQ(dump_get(&after, name) - dump_get(&s->before, name), n);
	EXPECT_EQ(dump_sum(&after, "refused_pdus") - dump_sum(&s->before, "refused_pdus"), n);
}

static void write_on(struct stage *s)
{
	peer_answer(s->a, &s->r, s->fresh);
	peer_expect_good(s->a, s->itt);
	expect_content(s, s->b, 2);
}

static void after_the_task(struct stage *s, bool final)
{
	if (!final) { /* the rest of the sequence comes late, and is drained */
		peer_answer_part(s->a, &s->r, 1, s->fresh, PART, LEN);
		peer_ping(s->a, 9);
		expect_content(s, s->b, 1);
	}
	peer_write(s->a, LBA, LEN / BLOCK, s->fresh);
	expect_content(s, s->b, 2);
}

static void tell_lie(struct daemon *d)
{
	const struct lie *lie = d->arg;
	struct peer_pdu pdu;
	struct stage s;
	uint64_t v;

	set_stage(d, &s);
	peer_data_out_pdu(s.a, &pdu, &s.r, 0, lie->at, s.fresh + lie->at, lie->len, lie->final);
	v = peer_get(pdu.bhs, lie->field);
	v = lie->how == SET ? lie->value : lie->how == ADD ? v + lie->value : v ^ lie->value;
	peer_put(pdu.bhs, lie->field, v);
	peer_send(s.a, &pdu);
	if (lie->outcome == REJECTED)
		peer_expect_reject(s.a, lie->reason, &pdu);
	else if (lie->outcome == FAILED)
		peer_expect_sense(s.a, s.itt, 0xb, lie->asc, lie->ascq);
	else
		peer_expect_close(s.a);
	if (lie->outcome != CLOSED)
		peer_ping(s.a, 5); /* nothing came after the one outcome */
	expect_content(&s, s.b, 1);
	expect_counted(d, &s, lie->label, 1);
	if (lie->outcome == REJECTED)
		write_on(&s);
	else if (lie->outcome == FAILED)
		after_the_task(&s, lie->final);
	peer_ping(s.b, 5);
}

/* --- tags of another time and place --- */
static void stale_tag(struct daemon *d)
{
	struct peer_pdu pdu;
	struct peer_r2t old;
	struct stage s;

	set_stage(d, &s);
	old = s.r;
	write_on(&s);
	peer_data_out_pdu(s.a, &pdu, &old, 0, 0, s.old, PART, false); /* the finished task's */
	peer_send(s.a, &pdu);
	peer_expect_reject(s.a, 9, &pdu);
	peer_ping(s.a, 5);
	expect_counted(d, &s, "tag_stale", 1);
	s.itt = peer_send_write(s.a, LBA, LEN / BLOCK); /* and while the next one waits */
	peer_expect_r2t(s.a, s.itt, &s.r);
	EXPECT(s.r.ttt != old.ttt, "a tag comes again at once");
	peer_send(s.a, &pdu);
	peer_expect_reject(s.a, 9, &pdu);
	expect_content(&s, s.b, 2);
	write_on(&s);
	expect_counted(d, &s, "tag_stale", 2);
}

/* The tag that another connection was given, used here, with all the rest as that task has it. */
static void tag_of_another_connection(struct daemon *d)
{
	struct peer_pdu pdu;
	struct stage s;

	set_stage(d, &s);
	peer_data_out_pdu(s.b, &pdu, &s.r, 0, 0, s.old, PART, false);
	peer_send(s.b, &pdu);
	peer_expect_reject(s.b, 9, &pdu);
	peer_ping(s.b, 5);
	expect_content(&s, s.b, 1);
	expect_counted(d, &s, "tag_foreign", 1);
	write_on(&s);
}

static void data_without_a_task(struct daemon *d)
{
	struct peer_r2t none = {.itt = 0x5555, .ttt = PEER_NONE, .length = PART};
	struct peer_pdu pdu;
	struct stage s;

	set_stage(d, &s);
	none.lun = s.a->lun;
	peer_data_out_pdu(s.a, &pdu, &none, 0, 0, s.old, PART, true);
	peer_send(s.a, &pdu);
	peer_expect_reject(s.a, 9, &pdu);
	expect_counted(d, &s, "no_task", 1);
	write_on(&s);
}

static void more_than_was_declared(struct daemon *d)
{
	struct peer_pdu pdu;
	struct stage s;

	set_stage(d, &s);
	peer_data_out_pdu(s.a, &pdu, &s.r, 0, 0, NULL, 0, false);
	pdu_set(&pdu, DATA_LEN, s.a->params.max_send_data + 4);
	peer_send(s.a, &pdu);
	peer_expect_close(s.a);
	expect_content(&s, s.b, 1);
	expect_counted(d, &s, "too_long", 1);
}

/* --- PDUs that are wrong whatever the transfer --- */
static void unknown_opcodes(struct daemon *d)
{
	static const uint8_t opcodes[] = {0x07, 0x0f, 0x1c, 0x1e};
	uint8_t noise[1000];
	struct peer_pdu pdu;
	struct stage s;

	set_stage(d, &s);
	pattern(noise, sizeof(noise), 9, 0);
	for (unsigned i = 0; i < sizeof(opcodes); i++) {
		peer_pdu(s.a, &pdu, opcodes[i], PEER_F, peer_itt(s.a), noise, 250 * i + 1);
		peer_send(s.a, &pdu);
		peer_expect_reject(s.a, 5, &pdu);
		peer_ping(s.a, 3); /* its payload was drained */
	}
	expect_counted(d, &s, "opcode", sizeof(opcodes));
	write_on(&s);
}

static void lengths_that_cannot_be(struct daemon *d)
{
	static const uint8_t ahs[8] = {0, 5, 2, 0};

	for (unsigned i = 0; i < 2; i++) {
		struct peer_pdu pdu;
		struct stage s;

		set_stage(d, &s);
		if (i == 0) {
			peer_data_out_pdu(s.a, &pdu, &s.r, 0, 0, s.fresh, PART, false);
			pdu.ahs = ahs;
			pdu.ahs_len = sizeof(ahs);
			pdu_set(&pdu, AHS_LEN, sizeof(ahs) / 4);
		} else {
			peer_pdu(s.a, &pdu, PEER_TASK_MGMT | PEER_IMMEDIATE, PEER_F | 1,
				peer_itt(s.a), "data", 4);
		}
		peer_send(s.a, &pdu);
		peer_expect_close(s.a);
		expect_content(&s, s.b, 1);
		expect_counted(d, &s, "length", 1);
		peer_close(s.a);
		peer_close(s.b);
	}
}

static void itt_in_use(struct daemon *d)
{
	struct peer_cmd c = {.read = true, .edtl = BLOCK};
	struct peer_pdu pdu;
	struct stage s;

	set_stage(d, &s);
	cdb_rw(c.cdb, false, 0, 1);
	c.itt = s.itt;
	peer_cmd_pdu(s.a, &pdu, &c);
	peer_send(s.a, &pdu);
	peer_expect_reject(s.a, 7, &pdu);
	expect_counted(d, &s, "itt_in_use", 1);
	peer_answer(s.a, &s.r, s.fresh);
	peer_expect_good(s.a, s.itt);
	s.a->cmdsn = s.a->expcmdsn; /* whether the refused one took its number or not */
	expect_content(&s, s.a, 2);
}

/* 4.2.2.1: outside the window, and a second time: dropped without a word. */
static void cmdsn_outside_the_window(struct daemon *d)
{
	static const int32_t offs[] = {-1, -100, 200, 0x40000000, -0x40000000};
	struct peer_cmd c = {0};
	struct peer_pdu pdu;
	struct stage s;
	uint32_t right;

	set_stage(d, &s);
	for (unsigned i = 0; i < sizeof(offs) / sizeof(offs[0]); i++) {
		right = s.a->cmdsn;
		peer_cmd_pdu(s.a, &pdu, &c);
		s.a->cmdsn = right;
		pdu_set(&pdu, CMDSN, right + (uint32_t)offs[i]);
		peer_send(s.a, &pdu);
	}
	peer_expect_nothing(s.a, 200);
	peer_ping(s.a, 5);
	expect_counted(d, &s, "cmdsn", sizeof(offs) / sizeof(offs[0]));
	write_on(&s);
	expect_content(&s, s.a, 2);
}

static void not_for_this_phase(struct daemon *d)
{
	struct peer_pdu pdu;
	struct stage s;

	set_stage(d, &s);
	peer_login_pdu(s.a, &pdu, PEER_F, 1, 3, NULL, 0);
	peer_send(s.a, &pdu);
	peer_expect_reject(s.a, 0, &pdu);
	peer_ping(s.a, 5);
	peer_pdu(s.a, &pdu, PEER_SNACK, PEER_F, PEER_NONE, NULL, 0); /* level 0 has none */
	pdu_set(&pdu, TTT, PEER_NONE);
	peer_send(s.a, &pdu);
	peer_expect_reject(s.a, 0, &pdu);
	peer_ping(s.a, 5);
	write_on(&s);
}

/* one_outcome - exactly one of the three, for a command that is wrong in itself. */
static void one_outcome(struct stage *s, const struct peer_pdu *about, uint32_t itt)
{
	struct peer_pdu pdu;
	struct peer_status st;

	if (peer_poll(s->a, &pdu, s->a->timeout_ms) == PEER_ENDED)
		return;
	if (pdu_get(&pdu, OPCODE) == PEER_REJECT) {
		EXPECT(!memcmp(pdu.data, about->bhs, PEER_BHS), "a Reject of something else");
		s->a->cmdsn = s->a->expcmdsn;
	} else {
		EXPECT(pdu_get(&pdu, OPCODE) == PEER_RESPONSE && pdu_get(&pdu, ITT) == itt,
			"got %s", peer_describe(&pdu));
		peer_status_of(&pdu, &st);
		EXPECT(st.status != 0, "a lie was answered with GOOD");
	}
	peer_ping(s->a, 5);
	write_on(s);
}

static void data_that_was_not_agreed(struct daemon *d)
{
	for (unsigned i = 0; i < 3; i++) {
		struct peer_cmd c = {.write = true, .edtl = LEN};
		struct peer_pdu pdu;
		struct stage s;
		uint32_t itt;

		set_stage(d, &s);
		cdb_rw(c.cdb, true, LBA, LEN / BLOCK);
		c.data = s.fresh;
		c.data_len = i == 0 || i == 2 ? PART : 0; /* ImmediateData=No */
		c.more = i == 1 || i == 2;                /* InitialR2T=Yes */
		itt = peer_cmd_pdu(s.a, &pdu, &c);
		peer_send(s.a, &pdu);
		one_outcome(&s, &pdu, itt);
		peer_close(s.a);
		peer_close(s.b);
		daemon_settled(d);
	}
}

static void more_unasked_than_agreed(struct daemon *d)
{
	struct peer_params want = peer_params_default();
	struct peer_cmd c = {.write = true, .edtl = LEN, .data_len = 2 * PART};
	struct peer_pdu pdu;
	struct stage s;
	uint32_t itt;

	set_stage(d, &s);
	peer_close(s.a);
	want.immediate_data = true;
	want.first_burst = PART;
	s.a = daemon_peer(d, &want);
	s.itt = peer_send_write(s.a, LBA, LEN / BLOCK);
	peer_expect_r2t(s.a, s.itt, &s.r);
	cdb_rw(c.cdb, true, LBA, LEN / BLOCK);
	c.data = s.fresh;
	itt = peer_cmd_pdu(s.a, &pdu, &c);
	peer_send(s.a, &pdu);
	one_outcome(&s, &pdu, itt);
}

#define LIE(title, ...)                                                                            \
	{                                                                                          \
		.name = title, .run = tell_lie, .ours = true, .arg = &(const struct lie)           \
		{                                                                                  \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}
#define HONEST .field = PF_OPCODE, .how = XOR, .value = 0
#define FIRST  .len = PART

static const struct scene_case cases[] = {
	/* clang-format off */
	LIE("foreign_tag",        PF_TTT,    XOR, 1,          REJECTED, 9, .label = "tag_foreign", FIRST),
	LIE("foreign_tag_far",    PF_TTT,    XOR, 0x8000,     REJECTED, 9, .label = "tag_foreign", FIRST),
	LIE("forged_generation",  PF_TTT,    XOR, 0x04000000, REJECTED, 9, .label = "tag_stale",   FIRST),
	LIE("forged_slot",        PF_TTT,    XOR, 0x00100000, REJECTED, 9, .label = "tag_stale",   FIRST),
	LIE("slot_of_other_users",PF_TTT,    XOR, 0x03ff0000, REJECTED, 9, .label = "tag_stale",   FIRST),
	LIE("wrong_itt",          PF_ITT,    ADD, 1000,       REJECTED, 9, .label = "itt",         FIRST),
	LIE("no_itt",             PF_ITT,    SET, PEER_NONE,  REJECTED, 9, .label = "itt",         FIRST),
	LIE("wrong_lun",          PF_LUN,    SET, 5ull << 48, REJECTED, 9, .label = "lun",         FIRST),
	LIE("datasn_skips",       PF_DATASN, SET, 1,          FAILED, .asc = 0x4b, .ascq = 0, .label = "datasn", FIRST),
	LIE("datasn_far",         PF_DATASN, SET, PEER_NONE,  FAILED, .asc = 0x4b, .ascq = 0, .label = "datasn", FIRST),
	LIE("offset_skips",       PF_OFFSET, ADD, PART,       FAILED, .asc = 0x4b, .ascq = 5, .label = "offset", FIRST),
	LIE("offset_odd",         PF_OFFSET, ADD, 3,          FAILED, .asc = 0x4b, .ascq = 5, .label = "offset", FIRST),
	LIE("offset_near_4_GiB",  PF_OFFSET, SET, 0xfffff000, FAILED, .asc = 0x4b, .ascq = 5, .label = "offset", FIRST),
	LIE("offset_wraps",       PF_OFFSET, SET, 0xffffe000, FAILED, .asc = 0x4b, .ascq = 5, .label = "offset", FIRST),
	LIE("window_overrun",     HONEST,                     FAILED, .asc = 0x4b, .ascq = 2, .label = "overrun", .len = LEN + 4096, .final = true),
	LIE("window_overrun_by_1",HONEST,                     FAILED, .asc = 0x4b, .ascq = 2, .label = "overrun", .len = LEN + 1, .final = true),
	LIE("final_too_early",    HONEST,                     FAILED, .asc = 0x4b, .ascq = 0, .label = "final", FIRST, .final = true),
	LIE("final_missing",      HONEST,                     FAILED, .asc = 0x4b, .ascq = 0, .label = "final", .len = LEN),
	LIE("unasked_tag",        PF_TTT,    SET, PEER_NONE,  FAILED, .asc = 0x0c, .ascq = 0x0c, .label = "unsolicited", FIRST),
	/* clang-format on */
	CASE(stale_tag, .ours = true),
	CASE(tag_of_another_connection, .ours = true),
	CASE(data_without_a_task, .ours = true),
	CASE(more_than_was_declared, .ours = true),
	CASE(unknown_opcodes, .ours = true),
	CASE(lengths_that_cannot_be, .ours = true),
	CASE(itt_in_use, .ours = true),
	CASE(cmdsn_outside_the_window, .ours = true),
	CASE(not_for_this_phase, .ours = true),
	CASE(data_that_was_not_agreed, .ours = true),
	CASE(more_unasked_than_agreed, .ours = true),
};
SCENES(cases)
