/* test-flush.c - write-back: what a flush or FUA waits for, and what it makes clean. */
#include "backtest.h"

/* --- flushes --- */
/* --- flushes --- */
static void a_flush_writes_neighbours_together_and_makes_them_clean(void **state)
{
	struct back_fixture *f = *state;
	struct test_op t, flush;

	for (unsigned i = 0; i < 6; i++)
		back_write(f, &t, (5 - i) * PAGE, PAGE, 3, false);
	back_flush(f, &flush, 0, f->fake->b.info.size);
	assert_false(flush.done);
	back_finish(f);
	assert_true(flush.done && !flush.end);
	assert_int_equal(COUNT(IO_WRITE), 1);
	assert_int_equal(COUNT(IO_FLUSH), 1);
	assert_int_equal(back_unclean(f), 0);
	assert_int_equal(back_records(f), 0);
	back_expect_disk(f, 0, 6 * PAGE, 3);
	back_flush(f, &flush, 0, f->fake->b.info.size);
	assert_true(flush.done);
	assert_int_equal(COUNT(IO_FLUSH), 1);
}

static void a_page_is_written_until_the_flush_and_then_clean(void **state)
{
	struct back_fixture *f = *state;
	struct test_op t, flush;

	back_write(f, &t, 0, PAGE, 3, false);
	back_flush(f, &flush, 0, PAGE);
	turn(&f->io);
	assert_int_equal(COUNT(IO_WRITE), 1);
	fake_end(f->fake, 0);
	while (turn(&f->io))
		;
	assert_int_equal(entry_state(map_get(&f->v->map, 0)), ENTRY_WRITTEN);
	assert_int_equal(back_records(f), 1);
	assert_int_equal(COUNT(IO_FLUSH), 1);
	assert_false(flush.done);
	fake_end(f->fake, 0);
	assert_true(flush.done);
	assert_int_equal(entry_state(map_get(&f->v->map, 0)), ENTRY_CLEAN);
	assert_int_equal(back_records(f), 0);
}

static void a_flush_is_of_its_range(void **state)
{
	struct back_fixture *f = *state;
	struct test_op t, flush;

	back_write(f, &t, 0, PAGE, 3, false);
	back_write(f, &t, 20 * PAGE, 2 * PAGE, 4, false);
	back_flush(f, &flush, 20 * PAGE, 512);
	back_finish(f);
	assert_true(flush.done);
	assert_int_equal(back_unclean(f), 2);
	back_expect_disk(f, 20 * PAGE, PAGE, 4);
	back_expect_disk(f, 21 * PAGE, PAGE, 0);
	back_expect_disk(f, 0, PAGE, 0);
}

/* What was written while the backend flushes may be lost by it. */
static void a_write_that_ends_during_a_flush_is_not_covered(void **state)
{
	struct back_fixture *f = *state;
	struct test_op t, one, two;

	back_write(f, &t, 0, PAGE, 3, false);
	back_flush(f, &one, 0, PAGE);
	turn(&f->io);
	fake_end(f->fake, 0);
	while (turn(&f->io))
		;
	assert_int_equal(COUNT(IO_FLUSH), 1);
	back_write(f, &t, 0, PAGE, 4, false);
	back_flush(f, &two, 0, PAGE);
	while (turn(&f->io))
		;
	fake_end(f->fake, 0); /* the first flush */
	assert_true(one.done);
	assert_false(two.done);
	assert_int_equal(back_records(f), 1);
	back_finish(f);
	assert_true(two.done && !two.end);
	back_expect_disk(f, 0, PAGE, 4);
	assert_int_equal(COUNT(IO_WRITE), 2);
	assert_int_equal(COUNT(IO_FLUSH), 2);
}

static void a_page_that_changes_while_it_is_written_is_written_again(void **state)
{
	struct back_fixture *f = *state;
	struct test_op t, flush;

	back_write(f, &t, 0, PAGE, 3, false);
	back_flush(f, &flush, 0, PAGE);
	turn(&f->io);
	assert_int_equal(f->fake->n_pending, 1);
	back_write(f, &t, 0, PAGE, 4, false);
	assert_true(t.done);
	back_expect(f, 0, PAGE, 4); /* ends the write as well */
	assert_true(flush.done);
	assert_int_equal(back_records(f), 1);
	back_flush(f, &flush, 0, PAGE);
	back_finish(f);
	assert_true(flush.done && !flush.end);
	back_expect_disk(f, 0, PAGE, 4);
}

/* The new bytes were committed before the flush, which finds the page busy with older ones. */
static void a_flush_waits_for_a_busy_page(void **state)
{
	struct back_fixture *f = *state;
	struct test_op t, one, two;

	back_write(f, &t, 0, PAGE, 3, false);
	back_flush(f, &one, 0, PAGE);
	turn(&f->io);
	back_write(f, &t, 0, PAGE, 4, false);
	back_flush(f, &two, 0, PAGE);
	back_finish(f);
	assert_true(one.done && two.done && !two.end);
	back_expect_disk(f, 0, PAGE, 4);
	assert_int_equal(back_unclean(f), 0);
}

/* --- FUA --- */
/* --- FUA --- */
static void a_fua_write_ends_when_it_is_durable(void **state)
{
	struct back_fixture *f = *state;
	struct test_op t;

	back_write(f, &t, PAGE + 512, 2 * PAGE, 9, true);
	assert_false(t.done);
	while (f->fake->n_count[IO_FLUSH] == 0) {
		if (f->fake->n_pending)
			fake_end(f->fake, 0);
		turn(&f->io);
		assert_false(t.done);
	}
	back_finish(f);
	assert_true(t.done && !t.end);
	back_expect_disk(f, PAGE + 512, 2 * PAGE, 9);
}

static void a_fua_read_writes_what_is_dirty_first(void **state)
{
	struct back_fixture *f = *state;
	struct test_op t, read;

	back_write(f, &t, 0, PAGE, 9, false);
	test_op_init(&read, f->v, &f->io, 0, PAGE);
	read.op.durable = true;
	volume_read(&read.op);
	assert_false(read.done);
	back_finish(f);
	assert_true(read.done && !read.end);
	volume_unpin(&read.op);
	back_expect_disk(f, 0, PAGE, 9);
	assert_int_equal(back_unclean(f), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_flush_writes_neighbours_together_and_makes_them_clean),
		CASE(a_page_is_written_until_the_flush_and_then_clean),
		CASE(a_flush_is_of_its_range),
		CASE(a_write_that_ends_during_a_flush_is_not_covered),
		CASE(a_page_that_changes_while_it_is_written_is_written_again),
		CASE(a_flush_waits_for_a_busy_page),
		CASE(a_fua_write_ends_when_it_is_durable),
		CASE(a_fua_read_writes_what_is_dirty_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
