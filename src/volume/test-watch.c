/* test-watch.c - what a watch sees, and what it does not. */
#include "copytest.h"

static bool sees(const struct watch *w)
{
	return watch_changed(w);
}

static void it_sees_its_ranges_and_nothing_else(void **state)
{
	static const struct watch_range two[] = {{PAGE, PAGE}, {MIB, 4 * SECTOR}};

	for (unsigned file = 0; file < 2; file++) {
		struct watch *w;

		begin(file, file, N_CACHE);
		w = volume_watch(t.side[0].v, two, 2);
		write_now(0, 0, PAGE);
		write_now(0, 2 * PAGE, PAGE);
		write_now(0, MIB + 4 * SECTOR, SECTOR); /* the same page as the second range */
		write_now(1, 0, 2 * MIB);
		check_all();
		assert_false(sees(w));
		write_now(0, MIB + 3 * SECTOR, SECTOR);
		assert_true(sees(w));
		watch_put(w);
		w = volume_watch(t.side[0].v, two, 2);
		zero_now(0, 0, 2 * PAGE);
		assert_true(sees(w));
		watch_put(w);
		w = volume_watch(t.side[0].v, two, 2);
		copy_now(1, 0, 0, MIB, PAGE);
		assert_true(sees(w));
		watch_put(w);
		check_all();
		end();
	}
}

/* A write that was on its way before the watch began is seen when readers see it. */
static void it_sees_what_was_under_way(void **state)
{
	const struct watch_range range = {0, PAGE};
	struct landing l;
	struct test_op op;
	struct watch *w;

	begin(true, false, N_CACHE);
	landing_init(&l, t.side[0].v, 0, PAGE, NULL);
	assert_int_equal(landing_take(&l, PAGE, false), 0);
	memset(l.iov[0].iov_base, 7, PAGE);
	memset(t.side[0].model, 7, PAGE);
	test_op_init(&op, t.side[0].v, &t.io, 0, PAGE);
	volume_commit(&op.op, &l);
	w = volume_watch(t.side[0].v, &range, 1);
	assert_false(sees(w));
	finish();
	assert_true(sees(w));
	watch_put(w);
	check_all();
	end();
}

/* A copy whose source changes between two steps ends there; one that changes its own source does not. */
static void a_copy_minds_its_watch(void **state)
{
	const struct watch_range range = {0, 3 * MIB};
	struct test_op op;

	for (unsigned own = 0; own < 2; own++) {
		struct watch *w;

		begin(false, false, 64);
		write_now(0, 0, 3 * MIB);
		w = volume_watch(t.side[0].v, &range, 1);
		test_op_init(&op, t.side[0].v, &t.io, MIB, 2 * MIB);
		op.op.watch = w;
		op.op.own = own;
		volume_copy(&op.op, t.side[0].v, 0);
		finish();
		assert_true(op.done);
		assert_int_equal(op.end, own ? 0 : VOL_CHANGED);
		assert_int_equal(sees(w), !own);
		if (own)
			memmove(t.side[0].model + MIB, t.side[0].model, 2 * MIB);
		else
			memcpy(t.side[0].model + 3 * MIB - op.op.where,
				t.side[0].model + 2 * MIB - op.op.where, op.op.where);
		watch_put(w);
		check_all();
		end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_sees_its_ranges_and_nothing_else),
		cmocka_unit_test(it_sees_what_was_under_way),
		cmocka_unit_test(a_copy_minds_its_watch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
