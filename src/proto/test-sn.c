/* test-sn.c - serial numbers around the wrap, and the command window. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "sn.h"

static void comparison_turns_with_the_wrap(void **state)
{
	assert_true(sn_lt(1, 2));
	assert_false(sn_lt(2, 2));
	assert_true(sn_le(2, 2));
	assert_true(sn_lt(0xffffffff, 0));
	assert_false(sn_lt(0, 0xffffffff));
	assert_true(sn_lt(0xfffffff0, 0x10));
}

static void a_window_has_both_its_ends(void **state)
{
	struct cmd_window w;

	cmd_window_init(&w, 100, 128);
	assert_int_equal(w.expcmdsn, 100);
	assert_int_equal(w.maxcmdsn, 227);
	assert_int_equal(cmd_window_place(&w, 99), SN_OUTSIDE);
	assert_int_equal(cmd_window_place(&w, 100), SN_NEXT);
	assert_int_equal(cmd_window_place(&w, 101), SN_LATER);
	assert_int_equal(cmd_window_place(&w, 227), SN_LATER);
	assert_int_equal(cmd_window_place(&w, 228), SN_OUTSIDE);
	assert_int_equal(cmd_window_place(&w, 100 + 0x80000000u), SN_OUTSIDE);
}

static void a_window_may_be_closed(void **state)
{
	struct cmd_window w;

	cmd_window_init(&w, 0, 0);
	assert_int_equal(w.maxcmdsn, 0xffffffff);
	assert_int_equal(cmd_window_place(&w, 0), SN_OUTSIDE);
	assert_int_equal(cmd_window_place(&w, 0xffffffff), SN_OUTSIDE);
	cmd_window_open(&w, 1);
	assert_int_equal(cmd_window_place(&w, 0), SN_NEXT);
	cmd_window_take(&w);
	assert_int_equal(cmd_window_place(&w, 1), SN_OUTSIDE);
	assert_int_equal(cmd_window_place(&w, 0), SN_OUTSIDE);
}

static void max_never_moves_back(void **state)
{
	struct cmd_window w;

	cmd_window_init(&w, 10, 8);
	cmd_window_open(&w, 2);
	assert_int_equal(w.maxcmdsn, 17);
	for (int i = 0; i < 8; i++)
		cmd_window_take(&w);
	assert_int_equal(w.expcmdsn, 18);
	cmd_window_open(&w, 0);
	assert_int_equal(w.maxcmdsn, 17);
	cmd_window_open(&w, 2);
	assert_int_equal(w.maxcmdsn, 19);
}

static void a_window_lies_across_the_wrap(void **state)
{
	struct cmd_window w;

	cmd_window_init(&w, 0xfffffffe, 4);
	assert_int_equal(w.maxcmdsn, 1);
	assert_int_equal(cmd_window_place(&w, 0xfffffffd), SN_OUTSIDE);
	assert_int_equal(cmd_window_place(&w, 0xfffffffe), SN_NEXT);
	assert_int_equal(cmd_window_place(&w, 0), SN_LATER);
	assert_int_equal(cmd_window_place(&w, 1), SN_LATER);
	assert_int_equal(cmd_window_place(&w, 2), SN_OUTSIDE);
	for (int i = 0; i < 3; i++)
		cmd_window_take(&w);
	assert_int_equal(cmd_window_place(&w, 1), SN_NEXT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comparison_turns_with_the_wrap),
		cmocka_unit_test(a_window_has_both_its_ends),
		cmocka_unit_test(a_window_may_be_closed),
		cmocka_unit_test(max_never_moves_back),
		cmocka_unit_test(a_window_lies_across_the_wrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
