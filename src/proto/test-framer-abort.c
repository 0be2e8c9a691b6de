/* test-framer-abort.c - tasks that go while their bytes come. */
#include "framertest.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_abort_between_two_walks),
		cmocka_unit_test(test_nothing_is_planned_where_a_command_ended),
		cmocka_unit_test(test_abort_within_a_walk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
