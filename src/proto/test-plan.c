/* test-plan.c - what the plan guesses: how often is received, what is copied, and that it stays within its bounds. */
#include "framertest.h"
#include "plan.h"

/* --- as predicted --- */

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

/* --- what is copied --- */

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

int main(void)
{
	const struct CMUnitTest tests[] = {
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
