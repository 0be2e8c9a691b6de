/* test-errors.c - write-back to a disk that fails: who is told, what stays dirty, and that it is tried again. */
#include "backtest.h"

/* --- failures --- */
static void a_failed_write_is_told_and_tried_again(void **state)
{
	struct back_fixture *f = *state;
	struct test_op t, flush;
	int error;

	back_write(f, &t, 0, PAGE, 9, false);
	back_flush(f, &flush, 0, PAGE);
	turn(&f->io);
	f->fake->fail_next = -ENOSPC;
	back_finish(f);
	assert_true(flush.done);
	assert_int_equal(flush.end, -ENOSPC);
	assert_int_equal(volume_fault(f->v, &error), 1);
	assert_int_equal(error, -ENOSPC);
	assert_int_equal(back_records(f), 1);
	back_expect(f, 0, PAGE, 9);
	assert_int_equal(COUNT(IO_WRITE), 1);
	f->io.now_ns += SECOND;
	back_turn(f);
	back_finish(f);
	assert_int_equal(COUNT(IO_WRITE), 2);
	assert_int_equal(volume_fault(f->v, &error), 1);
	assert_int_equal(error, 0);
	back_expect_disk(f, 0, PAGE, 9);
	assert_int_equal(back_records(f), 0);
}

static void what_takes_room_is_told_of_a_disk_that_has_none_left(void **state)
{
	static const int errors[] = {-ENOSPC, -EIO};
	struct back_fixture *f = *state;

	for (unsigned i = 0; i < 2; i++) {
		struct test_op t, status;

		back_write(f, &t, PAGE, PAGE, 9, false);
		test_op_init(&status, f->v, &f->io, 0, 8 * PAGE);
		volume_status(&status.op);
		turn(&f->io);
		f->fake->fail_next = errors[i];
		back_finish(f);
		assert_true(status.done);
		assert_int_equal(status.end, errors[i] == -ENOSPC ? 0 : errors[i]);
		if (!status.end) {
			assert_true(status.op.mapped);
			assert_int_equal(status.op.where, 8 * PAGE);
		}
		assert_int_equal(back_records(f), 1);
		f->io.now_ns += SECOND;
		back_turn(f);
		back_finish(f);
		assert_int_equal(back_records(f), 0);
	}
}

static void a_failed_flush_makes_what_was_written_dirty_again(void **state)
{
	struct back_fixture *f = *state;
	struct test_op t, flush;

	back_write(f, &t, 0, 2 * PAGE, 9, false);
	back_flush(f, &flush, 0, PAGE);
	turn(&f->io);
	fake_end(f->fake, 0);
	while (turn(&f->io))
		;
	f->fake->fail_next = -EIO;
	back_finish(f);
	assert_int_equal(flush.end, -EIO);
	assert_int_equal(entry_state(map_get(&f->v->map, 0)), ENTRY_DIRTY);
	assert_int_equal(back_records(f), 2);
	memset(f->fake->disk, 0, 2 * PAGE); /* the disk has lost it */
	back_flush(f, &flush, 0, 2 * PAGE);
	back_finish(f);
	assert_true(flush.done && !flush.end);
	back_expect_disk(f, 0, 2 * PAGE, 9);
	assert_int_equal(back_records(f), 0);
}

static void with_a_dead_disk_commits_end_at_the_limit(void **state)
{
	struct back_fixture *f = *state;
	struct test_op t, u;

	back_write(f, &t, 0, LIMIT * PAGE, 1, false);
	back_write(f, &u, LIMIT * PAGE, PAGE, 2, false);
	turn(&f->io);
	assert_true(f->fake->n_pending > 0);
	f->fake->fail_next = -EIO;
	back_finish(f);
	assert_true(u.done);
	assert_int_equal(u.end, -EIO);
	back_expect(f, 0, LIMIT * PAGE, 1);
	f->io.now_ns += SECOND;
	back_turn(f);
	back_finish(f);
	back_write(f, &u, LIMIT * PAGE, PAGE, 2, false);
	back_finish(f);
	assert_true(u.done && !u.end);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_failed_write_is_told_and_tried_again),
		CASE(what_takes_room_is_told_of_a_disk_that_has_none_left),
		CASE(a_failed_flush_makes_what_was_written_dirty_again),
		CASE(with_a_dead_disk_commits_end_at_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
