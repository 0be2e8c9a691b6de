/* test-framer.c - chosen streams: every cut of one conversation, what is copied and what is not,
 * the bounds. */
#include "framer-rig.h"
#include "effort.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include "be.h"
#include "check.h"
#include "plan.h"

#define COUNTS(r, counter, n) assert_int_equal(rig_counter(r, CTR_##counter), n)

enum { KIB = 1024, MIB = 1024 * 1024 };

/* --- small ways to say things --- */

static void say_command(
	struct stream *s, uint32_t itt, uint32_t immediate, const struct rig_cdb *cdb)
{
	uint8_t bhs[BHS_LEN];

	bhs_command(bhs, itt, cdb);
	stream_pdu(s, bhs, 0, itt, 0, immediate);
}

/* say_data - [from, to) of a command's data in PDUs of at most `cut` bytes; F where `to` is
 * reached. */
static void say_data(
	struct stream *s, uint32_t itt, uint32_t ttt, uint32_t from, uint32_t to, uint32_t cut)
{
	uint8_t bhs[BHS_LEN];

	for (uint32_t datasn = 0; from < to; datasn++) {
		uint32_t len = MIN(cut, to - from);

		bhs_data_out(bhs, itt, ttt, datasn, from, from + len == to);
		stream_pdu(s, bhs, 0, itt, from, len);
		from += len;
	}
}

static void say_plain(
	struct stream *s, uint8_t opcode, uint32_t itt, unsigned ahs_words, uint32_t len)
{
	uint8_t bhs[BHS_LEN];

	bhs_plain(bhs, opcode, itt);
	stream_pdu(s, bhs, ahs_words, itt, 0, len);
}

static void say_abort(struct stream *s, uint32_t itt, uint32_t ref)
{
	uint8_t bhs[BHS_LEN];

	bhs_plain(bhs, OP_TASK_MGMT, itt);
	put_be32(bhs + 20, ref);
	stream_pdu(s, bhs, 0, itt, 0, 0);
}

/* tag - of the n-th window granted, while none has been given back. */
static uint32_t tag(unsigned n)
{
	return tag_make(index_make(0, n), 7);
}

/* hear - what has been said so far arrives at once, and is forgotten. */
static void hear(struct rig *r, struct stream *s)
{
	rig_feed(r, s, 0, NULL, NULL);
	s->len = 0;
}

static struct rig *setup(void)
{
	struct rig *r = malloc(sizeof(*r));

	rig_init(r, 0, 0);
	return r;
}

static void teardown(struct rig *r, struct stream *s)
{
	stream_deinit(s);
	rig_deinit(r);
	free(r);
}

/* --- one conversation, cut everywhere --- */

/* Commands with and without immediate data, unsolicited data, windows side by side, odd sizes,
 * pads, AHS on several opcodes, a text, a task that is aborted with its data on the way, a refused
 * tag. */
static void say_conversation(struct stream *s)
{
	say_plain(s, OP_TEXT_REQUEST, 1, 0, 333);
	say_command(s, 2, 0,
		&(struct rig_cdb){.length = 9216, .burst = 9216, .n_r2t = 1, .fragment = 4096});
	say_plain(s, OP_NOP_OUT, 3, 0, 0);
	say_data(s, 2, tag(0), 0, 9216, 2848); /* 2848 + 2848 + 2848 + 672 */
	say_command(s, 4, 777,
		&(struct rig_cdb){.length = 3001,
			.burst = 1000,
			.n_r2t = 2,
			.unasked = 1777,
			.fragment = 100});
	say_data(s, 4, TAG_NONE, 777, 1777, 333);
	say_plain(s, OP_TEXT_REQUEST, 5, 3, 21);
	say_data(s, 4, tag(1), 1777, 2777, 999);
	say_plain(s, OP_NOP_OUT, 6, 255, 0);
	say_data(s, 4, tag(2), 2777, 3001, 224);
	say_command(s, 7, 0, &(struct rig_cdb){.length = 1500, .burst = 1500, .n_r2t = 1});
	say_data(s, 7, 0x1fff0007, 0, 130, 100); /* refused: such a tag was never given */
	say_abort(s, 8, 7);
	say_data(s, 7, tag(3), 0, 1500, 1000); /* drained */
	say_plain(s, OP_LOGOUT_REQUEST, 9, 1, 0);
}

struct splits {
	const size_t *at;
	unsigned n;
	size_t every;
};

static size_t split(void *ctx, size_t at, size_t left)
{
	const struct splits *c = ctx;

	for (unsigned i = 0; i < c->n; i++) {
		if (c->at[i] > at)
			return MIN(c->at[i] - at, left);
	}
	return c->every ? MIN(c->every, left) : left;
}

static void converse(const struct stream *s, const struct rig *expected, struct splits *cuts)
{
	struct rig r;

	rig_init(&r, s->header_digest, s->data_digest);
	rig_feed(&r, s, 0, cuts ? split : NULL, cuts);
	assert_true(r.stopped);
	assert_true(rig_same(&r, expected));
	assert_int_equal(r.n_done, 2);
	assert_int_equal(r.n_refused, 2);
	assert_int_equal(r.n_drained, 2);
	assert_int_equal(r.dpt.n_granted + r.dpt.n_draining, 0);
	rig_deinit(&r);
}

/* in_every_way - whole, in equal pieces, and split in two at each byte (each fifth, say, under a checker). */
static void in_every_way(unsigned header_digest, unsigned data_digest)
{
	struct stream s = {.header_digest = header_digest, .data_digest = data_digest};
	struct rig expected;
	size_t step = 100 / effort(100);

	say_conversation(&s);
	rig_init(&expected, header_digest, data_digest);
	rig_whole(&expected, &s, 0);
	assert_int_equal(expected.n_done, 2);
	converse(&s, &expected, NULL);
	for (size_t every = 1; every < 200; every += 1 + every / 16)
		converse(&s, &expected, &(struct splits){.every = every});
	for (size_t at = 1; at < s.len; at += step)
		converse(&s, &expected, &(struct splits){.at = &at, .n = 1});
	rig_deinit(&expected);
	stream_deinit(&s);
}

static void test_every_split(void **state)
{
	in_every_way(0, 0);
}

static void test_every_split_with_header_digest(void **state)
{
	in_every_way(4, 0);
}

static void test_every_split_with_both_digests(void **state)
{
	in_every_way(4, 4);
}

/* --- what is copied --- */

static const struct rig_cdb mib_in_bursts = {
	.length = MIB, .burst = 256 * KIB, .n_r2t = 1, .fragment = 4096};

/* say_mib - a command of 1 MiB in four windows; each burst arrives when it has been asked for. */
static void say_mib(struct rig *r, struct stream *s, uint32_t itt, uint32_t cut)
{
	say_command(s, itt, 0, &mib_in_bursts);
	hear(r, s);
	for (uint32_t at = 0; at < MIB; at += 256 * KIB) {
		const struct dpt_entry *e = list_first(&r->dpt.granted, struct dpt_entry, link);

		say_data(s, itt, dpt_tag(&r->dpt, e), at, at + 256 * KIB, cut);
		hear(r, s);
	}
}

static void test_nothing_is_copied_as_predicted(void **state)
{
	static const uint32_t cuts[] = {8192, 512, 65536, 262144, 8196, 1000, 4095, 2848};
	struct stream s = {0};

	for (unsigned i = 0; i < ARRAY_LEN(cuts); i++) {
		struct rig *r = setup();

		for (uint32_t itt = 1; itt <= 4; itt++)
			say_mib(r, &s, itt, cuts[i]);
		assert_int_equal(r->n_done, 4);
		COUNTS(r, PLACED_BYTES, 4 * MIB);
		COUNTS(r, COPIED_TAIL, 0);
		COUNTS(r, COPIED_GUESS, 0);
		COUNTS(r, WRONG_GUESSES, 0);
		teardown(r, &s);
	}
}

static void test_receive_calls(void **state)
{
	struct rig *r = setup();
	struct stream s = {0};
	uint64_t before;

	say_mib(r, &s, 1, 8192); /* the cut is learnt */
	before = r->n_calls;
	for (uint32_t itt = 2; itt < 18; itt++)
		say_mib(r, &s, itt, 8192);
	assert_true(r->n_calls - before <= 10 * 16);
	teardown(r, &s);
}

/* Four windows are granted at once, and the initiator fills them without a pause. */
static void say_windows(
	struct rig *r, struct stream *s, uint32_t itt, uint32_t burst, bool last_first)
{
	struct rig_cdb cdb = {.length = 4 * burst, .burst = burst, .n_r2t = 4};
	const struct list *node = &r->dpt.granted;

	say_command(s, itt, 0, &cdb);
	hear(r, s);
	for (unsigned i = 0; i < 4; i++) {
		const struct dpt_entry *e;

		node = last_first ? node->prev : node->next;
		e = list_entry(node, struct dpt_entry, link);
		say_data(s, itt, dpt_tag(&r->dpt, e), e->w.offset, e->w.offset + burst, 8192);
	}
	hear(r, s);
}

static void test_plan_reaches_across_windows(void **state)
{
	struct rig *r = setup();
	struct stream s = {0};
	uint32_t itt = 0;
	uint64_t before;

	say_mib(r, &s, ++itt, 8192);
	while (itt <
		5) /* each burst that comes where it was guessed lets the next plan reach further */
		say_windows(r, &s, ++itt, 32 * KIB, false);
	before = r->n_calls;
	say_windows(r, &s, ++itt, 32 * KIB, false);
	assert_int_equal(r->n_calls - before, 2); /* the command, and all that it asked for */
	assert_int_equal(r->n_done, itt);
	COUNTS(r, COPIED_GUESS, 0);
	teardown(r, &s);
}

/* An initiator that fills its windows in another order than they were granted in costs a call for each, not a copy. */
static void test_bursts_in_another_order(void **state)
{
	struct rig *r = setup();
	struct stream s = {0};
	uint32_t itt = 0;
	uint64_t before;

	say_mib(r, &s, ++itt, 8192);
	before = r->n_calls;
	while (itt < 101)
		say_windows(r, &s, ++itt, 256 * KIB, true);
	assert_int_equal(r->n_done, itt);
	assert_true(r->n_calls - before <= 10 * 100);
	assert_in_range(rig_counter(r, CTR_WRONG_GUESSES), 4, 14);
	assert_true(rig_counter(r, CTR_COPIED_GUESS) < 100ull * MIB / 50);
	teardown(r, &s);
}

/* Immediate data behind a command that nobody expected: what the small tail takes is copied, the
 * rest placed. */
static void test_tail_is_counted(void **state)
{
	struct rig *r = setup();
	struct stream s = {0};

	say_command(&s, 1, 1000, &(struct rig_cdb){.length = 1000});
	hear(r, &s);
	COUNTS(r, COPIED_TAIL, 1000);
	COUNTS(r, PLACED_BYTES, 0);
	say_command(&s, 2, 65536, &(struct rig_cdb){.length = 65536, .fragment = 4096});
	hear(r, &s);
	COUNTS(r, COPIED_TAIL, 1000 + TAIL_SMALL - BHS_LEN);
	COUNTS(r, PLACED_BYTES, 65536 - (TAIL_SMALL - BHS_LEN));
	/* behind a large one, only as much as it takes to know the next */
	say_command(&s, 3, 65536, &(struct rig_cdb){.length = 65536, .fragment = 4096});
	hear(r, &s);
	COUNTS(r, COPIED_TAIL, 1000 + TAIL_SMALL - BHS_LEN + TAIL_SHORT - BHS_LEN);
	assert_int_equal(r->n_done, 3);
	teardown(r, &s);
}

/* A burst of one PDU of 4096 where 8192 each were the habit: header and payload are right, then a
 * header lies where payload was expected. Everything from there on is moved once into order and
 * once into place. */
static void test_shorter_cut_is_counted(void **state)
{
	struct rig *r = setup();
	struct stream s = {0};
	struct rig_cdb cdb = {.length = 8192, .burst = 8192, .n_r2t = 1};

	say_command(&s, 1, 0, &cdb);
	hear(r, &s);
	say_data(&s, 1, tag(0), 0, 8192, 8192);
	hear(r, &s);
	say_command(&s, 2, 0, &cdb);
	hear(r, &s);
	say_data(&s, 2, tag(1), 0, 8192, 4096);
	hear(r, &s);
	assert_int_equal(r->n_done, 2);
	COUNTS(r, WRONG_GUESSES, 1);
	/* 8192 and two headers came; the plan had 8192 and one header slot, the rest lay in the tail. */
	COUNTS(r, PLACED_BYTES, 8192 + 4096);
	COUNTS(r, COPIED_GUESS, 8192 - 4096 + (4096 - BHS_LEN));
	COUNTS(r, COPIED_TAIL, BHS_LEN);
	teardown(r, &s);
}

/* Whoever breaks the guess again and again is believed less and less. */
static void test_grudge_grows(void **state)
{
	struct rig *r = setup();
	struct stream s = {0};
	struct rig_cdb cdb = {.length = 12 * KIB, .burst = 12 * KIB, .n_r2t = 1};
	enum { TASKS = 5000 };

	for (uint32_t itt = 1; itt <= TASKS; itt++) {
		const struct dpt_entry *e;
		uint32_t ttt;

		say_command(&s, itt, 0, &cdb);
		hear(r, &s);
		e = list_first(&r->dpt.granted, struct dpt_entry, link);
		ttt = dpt_tag(&r->dpt, e);
		/* A ping comes before each burst: no burst begins as it was guessed. */
		say_plain(&s, OP_NOP_OUT, 1u << 20, 0, 0);
		say_data(&s, itt, ttt, 0, 12 * KIB, 4 * KIB);
		hear(r, &s);
	}
	assert_int_equal(r->n_done, TASKS);
	/* 32 + 64 + ... + 4096 PDUs of patience after the n-th; five PDUs a task. */
	assert_in_range(rig_counter(r, CTR_WRONG_GUESSES), 4, 14);
	assert_true(rig_counter(r, CTR_COPIED_GUESS) < (uint64_t)TASKS * 12 * KIB / 100);
	teardown(r, &s);
}

/* An initiator that has a new cut for each of its PDUs: bytes right, most of them not copied. */
static void test_cut_that_never_repeats(void **state)
{
	struct rig *r = setup();
	struct stream s = {0};
	uint64_t random = 1;

	for (uint32_t itt = 1; itt <= 200; itt++) {
		uint32_t at = 0, datasn = 0;
		const struct dpt_entry *e;
		uint32_t ttt;

		say_command(&s, itt, 0,
			&(struct rig_cdb){.length = 256 * KIB, .burst = 256 * KIB, .n_r2t = 1});
		hear(r, &s);
		e = list_first(&r->dpt.granted, struct dpt_entry, link);
		ttt = dpt_tag(&r->dpt, e);
		while (at < 256 * KIB) {
			uint8_t bhs[BHS_LEN];
			uint32_t len;

			random = random * 6364136223846793005u + 1442695040888963407u;
			len = MIN(1 + (uint32_t)(random >> 40) % 16384, 256 * KIB - at);
			bhs_data_out(bhs, itt, ttt, datasn++, at, at + len == 256 * KIB);
			stream_pdu(&s, bhs, 0, itt, at, len);
			at += len;
		}
		hear(r, &s);
	}
	assert_int_equal(r->n_done, 200);
	assert_true(rig_counter(r, CTR_COPIED_GUESS) < 200ull * 256 * KIB / 4);
	teardown(r, &s);
}

/* --- bounds --- */

static void test_vectors_are_bounded(void **state)
{
	static const uint16_t fragments[] = {16, 17, 100, 64, 1000};

	for (unsigned i = 0; i < ARRAY_LEN(fragments); i++) {
		struct rig *r = setup();
		struct stream s = {.data_digest = 4};
		struct rig_cdb cdb = {.length = 32 * KIB + 1,
			.burst = 32 * KIB + 1,
			.n_r2t = 4,
			.fragment = fragments[i]};

		r->f.data_digest = 4;
		for (uint32_t itt = 1; itt < 9; itt++) {
			say_command(&s, itt, 0, &cdb);
			hear(r, &s);
			say_data(&s, itt, tag(itt - 1), 0, 32 * KIB + 1, itt * 1000 + 7);
			hear(r, &s);
		}
		assert_int_equal(r->n_done, 8);
		assert_in_range(r->most_vectors, 30, PLAN_VECTORS);
		teardown(r, &s);
	}
}

/* One bit of the data: the PDU is told as damaged, its bytes do not count, and the stream goes on. One bit of a
 * header: no further PDU can be found. */
static void test_damage_is_told(void **state)
{
	struct rig_cdb cdb = {.length = 8192, .burst = 8192, .n_r2t = 1};

	for (unsigned header = 0; header < 2; header++) {
		struct rig *r = setup();
		struct stream s = {.header_digest = 4, .data_digest = 4};

		framer_digests(&r->f, true, true);
		say_command(&s, 1, 0, &cdb);
		hear(r, &s);
		say_data(&s, 1, tag(0), 0, 8192, 8192);
		s.bytes[s.len - 8192 / 2 - (header ? 8192 / 2 + 4 + 4 + 40 : 0)] ^= 1;
		hear(r, &s);
		assert_int_equal(r->n_damaged, 1);
		assert_int_equal(r->n_done, 0);
		assert_int_equal(r->stopped, header);
		teardown(r, &s);
	}
}

/* The payload under way takes all vectors but a chosen few: its pad, the next header and the tail
 * must not be planned past the end. While no cut is known, the header comes alone and its payload
 * whole. */
static void test_vectors_at_the_edge(void **state)
{
	for (unsigned n = PLAN_VECTORS - 6; n < PLAN_VECTORS + 4; n++) {
		struct rig *r = setup();
		struct stream s = {.data_digest = 4};
		uint32_t len = n * 16 - 3;

		r->f.data_digest = 4;
		say_command(&s, 1, 0,
			&(struct rig_cdb){.length = len, .burst = len, .n_r2t = 1, .fragment = 16});
		say_command(&s, 2, 0, &(struct rig_cdb){.length = 64, .burst = 64, .n_r2t = 1});
		hear(r, &s);
		say_data(&s, 1, tag(0), 0, len, len);
		say_data(&s, 2, tag(1), 0, 64, 64);
		hear(r, &s);
		assert_int_equal(r->n_done, 2);
		assert_in_range(r->most_vectors, MIN(n, PLAN_VECTORS - 1), PLAN_VECTORS);
		teardown(r, &s);
	}
}

static void test_bytes_are_bounded(void **state)
{
	struct rig *r = setup();
	struct stream s = {0};
	struct rig_cdb cdb = {
		.length = 16 * MIB, .burst = 4 * MIB, .n_r2t = 4, .fragment = 32 * KIB};

	say_mib(r, &s, 1, 64 * KIB);
	say_command(&s, 2, 0, &cdb);
	hear(r, &s);
	for (uint32_t at = 0; at < 16 * MIB; at += 4 * MIB) {
		const struct dpt_entry *e = list_first(&r->dpt.granted, struct dpt_entry, link);

		say_data(&s, 2, dpt_tag(&r->dpt, e), at, at + 4 * MIB, 64 * KIB);
		hear(r, &s);
	}
	assert_int_equal(r->n_done, 2);
	assert_in_range(r->most_bytes, MIB / 2, AGAIN_LEN + TAIL_LARGE);
	COUNTS(r, COPIED_GUESS, 0);
	teardown(r, &s);
}

/* --- payload that nobody wants --- */

static void test_refused_payload_is_drained(void **state)
{
	struct rig *r = setup();
	struct stream s = {0};

	say_data(&s, 1, tag(5), 0, 300000, 300000);
	say_plain(&s, OP_NOP_OUT, 2, 0, 70001);
	say_plain(&s, OP_NOP_OUT, 3, 0, 0);
	hear(r, &s);
	assert_int_equal(r->n_pdus, 3);
	COUNTS(r, DRAINED_BYTES, 300000 + 70001);
	COUNTS(r, PLACED_BYTES, 0);
	teardown(r, &s);
}

/* More unasked data comes than the command has memory for, in one PDU and over several. */
static void test_place_that_ends_early(void **state)
{
	struct rig *r = setup();
	struct stream s = {0};

	say_command(&s, 1, 5000, &(struct rig_cdb){.length = 5000, .half = true});
	say_command(&s, 2, 100,
		&(struct rig_cdb){
			.length = 10000, .unasked = 10000, .half = true, .fragment = 700});
	hear(r, &s);
	say_data(&s, 2, TAG_NONE, 100, 10000, 1100);
	hear(r, &s);
	assert_int_equal(r->n_done, 2);
	COUNTS(r, DRAINED_BYTES, 2500 + 5000);
	teardown(r, &s);
}

/* --- tasks that go while their bytes come --- */

/* aborted_at - the initiator's Data-Outs are cut after `at` bytes, and there the task is given up,
 * by a timer. */
static void aborted_at(size_t at, uint32_t cut)
{
	struct rig *r = setup();
	struct stream s = {0};
	struct rig_cdb cdb = {.length = 16384, .burst = 16384, .n_r2t = 1, .fragment = 4096};

	say_command(&s, 1, 0, &cdb);
	hear(r, &s);
	say_data(&s, 1, tag(0), 0, 16384, 4096); /* the cut is learnt */
	hear(r, &s);
	say_command(&s, 2, 0, &cdb);
	hear(r, &s);
	say_data(&s, 2, tag(1), 0, 16384, cut);
	say_plain(&s, OP_TEXT_REQUEST, 3, 0, 40);
	for (size_t done = 0; done < at;)
		done += rig_receive(r, s.bytes + done, at - done);
	if (rig_find(r, 2))
		rig_abort(r, rig_find(r, 2));
	rig_feed(r, &s, at, NULL, NULL);
	assert_true(framer_idle(&r->f));
	assert_int_equal(r->dpt.n_granted + r->dpt.n_draining, 0);
	assert_int_equal(r->bhs[0] & 0x3f, OP_TEXT_REQUEST);
	teardown(r, &s);
}

static void test_abort_between_two_walks(void **state)
{
	for (size_t at = 0; at < 16384 + 4 * BHS_LEN; at += at % 4144 < 100 ? 1 : 97) {
		aborted_at(at, 4096);
		aborted_at(at, 5000);
	}
}

/* A command whose immediate data, or whose unsolicited Data-Outs, were all of it is gone before the next plan, and its
 * memory may be another connection's by then: nothing is planned there (plan_watch of the rig). */
static void test_nothing_is_planned_where_a_command_ended(void **state)
{
	struct rig *r = setup();
	struct stream s = {0};

	say_mib(r, &s, 1, 8192);
	say_command(&s, 2, 4096, &(struct rig_cdb){.length = 4096});
	hear(r, &s);
	say_command(&s, 3, 4096, &(struct rig_cdb){.length = 4096});
	hear(r, &s);
	say_command(&s, 4, 0, &(struct rig_cdb){.length = 65536, .unasked = 65536});
	hear(r, &s);
	say_data(&s, 4, TAG_NONE, 0, 65536, 8192);
	hear(r, &s);
	say_plain(&s, OP_NOP_OUT, 5, 0, 0);
	hear(r, &s);
	assert_int_equal(r->n_done, 4);
	COUNTS(r, WRONG_GUESSES, 0);
	teardown(r, &s);
}

/* The abort stands in the stream, and bytes behind it lie in the places of the task that goes. */
static void test_abort_within_a_walk(void **state)
{
	struct rig *r = setup();
	struct stream s = {0};
	struct rig_cdb cdb = {.length = 64 * KIB, .burst = 64 * KIB, .n_r2t = 1, .fragment = 4096};

	say_command(&s, 1, 0, &cdb);
	hear(r, &s);
	say_data(&s, 1, tag(0), 0, 64 * KIB, 8192);
	hear(r, &s);
	say_command(&s, 2, 0, &cdb);
	say_command(&s, 3, 0, &cdb);
	hear(r, &s);
	say_abort(&s, 4, 2);
	say_data(&s, 3, tag(2), 0, 64 * KIB, 8192);
	say_plain(&s, OP_TEXT_REQUEST, 5, 0, 100);
	hear(r, &s);
	say_data(&s, 2, tag(1), 0, 64 * KIB, 8192);
	hear(r, &s);
	assert_int_equal(r->n_done, 2);
	assert_int_equal(r->n_drained, 8);
	COUNTS(r, WRONG_GUESSES, 1);
	assert_int_equal(r->dpt.n_granted + r->dpt.n_draining, 0);
	teardown(r, &s);
}

/* --- the end --- */

static void test_nothing_is_parsed_behind_a_stop(void **state)
{
	struct rig *r = setup();
	struct stream s = {0};

	say_plain(&s, OP_NOP_OUT, RIG_STOP_ITT, 0, 8);
	say_plain(&s, OP_NOP_OUT, 2, 0, 0);
	hear(r, &s);
	assert_int_equal(r->n_pdus, 1);
	assert_int_equal(framer_unread(&r->f), BHS_LEN);
	assert_true(framer_idle(&r->f));
	teardown(r, &s);
}

/* due - what is known to be coming never counts a byte twice, and falls to 0. */
/* due_until_all_is_in - the stream a byte at a time; what is due is what is left of it, but for headers. */
static void due_until_all_is_in(struct rig *r, struct stream *s, uint32_t left)
{
	assert_int_equal(framer_due(&r->f, 1 << 30), left);
	for (size_t at = 0; at < s->len; at++) {
		uint32_t due;

		rig_receive(r, s->bytes + at, 1);
		due = framer_due(&r->f, 1 << 30);
		assert_true(due <= left && left - due <= 1);
		left = due;
	}
	assert_int_equal(left, 0);
	s->len = 0;
}

static void test_due(void **state)
{
	struct rig *r = setup();
	struct stream s = {0};

	say_command(&s, 1, 0, &(struct rig_cdb){.length = 20000, .burst = 10000, .n_r2t = 2});
	hear(r, &s);
	assert_int_equal(framer_due(&r->f, 300), 300);
	say_data(&s, 1, tag(0), 0, 10000, 3000);
	say_data(&s, 1, tag(1), 10000, 20000, 3000);
	due_until_all_is_in(r, &s, 20000);
	say_command(&s, 2, 0, &(struct rig_cdb){.length = 5000, .unasked = 5000});
	hear(r, &s);
	say_data(&s, 2, TAG_NONE, 0, 5000, 3000);
	due_until_all_is_in(r, &s, 5000);
	teardown(r, &s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_split),
		cmocka_unit_test(test_every_split_with_header_digest),
		cmocka_unit_test(test_every_split_with_both_digests),
		cmocka_unit_test(test_damage_is_told),
		cmocka_unit_test(test_nothing_is_copied_as_predicted),
		cmocka_unit_test(test_receive_calls),
		cmocka_unit_test(test_plan_reaches_across_windows),
		cmocka_unit_test(test_bursts_in_another_order),
		cmocka_unit_test(test_tail_is_counted),
		cmocka_unit_test(test_shorter_cut_is_counted),
		cmocka_unit_test(test_grudge_grows),
		cmocka_unit_test(test_cut_that_never_repeats),
		cmocka_unit_test(test_vectors_are_bounded),
		cmocka_unit_test(test_vectors_at_the_edge),
		cmocka_unit_test(test_bytes_are_bounded),
		cmocka_unit_test(test_refused_payload_is_drained),
		cmocka_unit_test(test_place_that_ends_early),
		cmocka_unit_test(test_abort_between_two_walks),
		cmocka_unit_test(test_nothing_is_planned_where_a_command_ended),
		cmocka_unit_test(test_abort_within_a_walk),
		cmocka_unit_test(test_nothing_is_parsed_behind_a_stop),
		cmocka_unit_test(test_due),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
