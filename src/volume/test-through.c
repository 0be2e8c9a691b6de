/* test-through.c - dirty pages, and commands that reach the disk by themselves: zeros, copies, what is written through. */
#include "backtest.h"

/* --- zeros --- */
/* --- with commands that reach the disk by themselves --- */
static void start_zero(struct back_fixture *f, struct test_op *t, uint64_t off, uint64_t len)
{
	test_op_init(t, f->v, &f->io, off, len);
	volume_zero(&t->op, true);
}

static void records_of_a_punched_range_go_when_it_is_done(void **state)
{
	struct back_fixture *f = *state;
	struct test_op t, zero;

	back_write(f, &t, 0, 4 * PAGE, 9, false);
	start_zero(f, &zero, PAGE, 2 * PAGE);
	assert_int_equal(back_records(f), 4);
	back_expect(f, 0, PAGE, 9);
	back_finish(f);
	assert_true(zero.done && !zero.end);
	assert_int_equal(back_records(f), 2);
	back_expect(f, 0, PAGE, 9);
	back_expect(f, PAGE, 2 * PAGE, 0);
	back_expect(f, 3 * PAGE, PAGE, 9);
}

/* until - the disk's next request is of that kind; all before it end well. */
static void until(struct back_fixture *f, enum io_disk_kind kind)
{
	while (!f->fake->n_pending || f->fake->pending[0]->kind != kind) {
		if (f->fake->n_pending)
			fake_end(f->fake, 0);
		else
			assert_true(turn(&f->io));
	}
}

/* A write that comes between the zeroing's own flush and its zeros is in memory only: its record stays until the
 * zeros that replace it are durable. */
static void zeros_over_a_dirty_page_are_durable_first(void **state)
{
	struct back_fixture *f = *state;
	struct test_op t, late, zero;

	back_write(f, &t, 0, PAGE, 9, false);
	start_zero(f, &zero, 0, PAGE);
	until(f, IO_FLUSH);
	back_write(f, &late, 0, PAGE, 8, false);
	assert_true(late.done && !late.end);
	until(f, IO_PUNCH);
	assert_true(f->fake->pending[0]->durable);
	assert_int_equal(back_records(f), 1);
	back_finish(f);
	assert_true(zero.done && !zero.end);
	assert_int_equal(back_records(f), 0);
	back_expect_disk(f, 0, PAGE, 0);
}

/* The same where the zeros are a hole that was copied: no flush comes before them. */
static void zeros_of_a_copy_over_a_dirty_page_are_durable_first(void **state)
{
	struct back_fixture *f = *state;
	struct test_op t, copy;

	back_write(f, &t, 0, PAGE, 9, false);
	test_op_init(&copy, f->v, &f->io, 0, PAGE);
	volume_copy(&copy.op, f->v, 8 * PAGE);
	until(f, IO_PUNCH);
	assert_true(f->fake->pending[0]->durable);
	fake_end(f->fake, 0);
	assert_int_equal(f->fake->pending[0]->disk.kind, IO_FLUSH);
	assert_int_equal(back_records(f), 1);
	fake_end(f->fake, 0);
	assert_int_equal(back_records(f), 0);
	back_finish(f);
	assert_true(copy.done && !copy.end);
	back_expect(f, 0, PAGE, 0);
	back_expect_disk(f, 0, PAGE, 0);
}

static void a_punch_waits_for_the_write_of_its_page(void **state)
{
	struct back_fixture *f = *state;
	struct test_op t, flush, zero;

	back_write(f, &t, 0, PAGE, 9, false);
	back_flush(f, &flush, 0, PAGE);
	turn(&f->io);
	assert_int_equal(f->fake->n_pending, 1);
	start_zero(f, &zero, 0, PAGE);
	assert_int_equal(f->fake->n_pending, 1); /* voltest.h would see an overlap */
	back_finish(f);
	assert_true(zero.done && flush.done && !flush.end);
	back_expect_disk(f, 0, PAGE, 0);
	assert_int_equal(back_unclean(f), 0);
}

static void a_failed_punch_leaves_the_dirty_page(void **state)
{
	struct back_fixture *f = *state;
	struct test_op t, zero, flush;

	back_write(f, &t, 0, PAGE, 9, false);
	start_zero(f, &zero, 0, PAGE);
	f->fake->fail_next = -EIO;
	back_finish(f);
	assert_int_equal(zero.end, -EIO);
	back_expect(f, 0, PAGE, 9);
	back_flush(f, &flush, 0, PAGE);
	back_finish(f);
	assert_int_equal(flush.end, 0);
	back_expect_disk(f, 0, PAGE, 9);
}

static void a_commit_behind_a_punch_is_behind_it(void **state)
{
	struct back_fixture *f = *state;
	struct test_op zero, t;

	start_zero(f, &zero, 0, 2 * PAGE);
	back_write(f, &t, PAGE, 2 * PAGE, 9, false);
	assert_false(t.done);
	back_finish(f);
	assert_true(t.done && zero.done);
	back_expect(f, 0, PAGE, 0);
	back_expect(f, PAGE, 2 * PAGE, 9);
	back_expect_disk(f, PAGE, 2 * PAGE, 9);
}

static void a_flush_waits_for_a_version_over_a_dirty_page(void **state)
{
	struct back_fixture *f = *state;
	struct test_op t, zero, flush;

	back_write(f, &t, 0, PAGE, 9, false);
	start_zero(f, &zero, 0, PAGE);
	back_flush(f, &flush, 0, PAGE);
	while (turn(&f->io))
		;
	assert_false(flush.done);
	back_finish(f);
	assert_true(flush.done && !flush.end);
	assert_true(zero.done);
}

/* --- written through --- */
static void without_write_back_commits_are_written_through(void **state)
{
	struct back_fixture *f = *state;
	struct test_op t, flush;

	back_write(f, &t, 0, 2 * PAGE, 8, false);
	volume_set_write_back(f->v, false);
	back_write(f, &t, PAGE, PAGE, 9, false);
	assert_false(t.done);
	back_finish(f);
	assert_true(t.done);
	back_expect_disk(f, PAGE, PAGE, 9);
	back_flush(f, &flush, 0, f->fake->b.info.size);
	back_finish(f);
	back_expect_disk(f, 0, PAGE, 8);
	assert_int_equal(back_records(f), 0);
	volume_set_write_back(f->v, true);
	back_write(f, &t, PAGE, PAGE, 9, false);
	assert_true(t.done);
}

static void a_failed_write_through_leaves_the_dirty_page(void **state)
{
	struct back_fixture *f = *state;
	struct test_op t, flush;

	back_write(f, &t, 0, PAGE, 8, false);
	volume_set_write_back(f->v, false);
	back_write(f, &t, 0, PAGE, 9, false);
	f->fake->fail_next = -EIO;
	back_finish(f);
	assert_int_equal(t.end, -EIO);
	back_expect(f, 0, PAGE, 8);
	back_flush(f, &flush, 0, PAGE);
	back_finish(f);
	back_expect_disk(f, 0, PAGE, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(records_of_a_punched_range_go_when_it_is_done),
		CASE(zeros_over_a_dirty_page_are_durable_first),
		CASE(zeros_of_a_copy_over_a_dirty_page_are_durable_first),
		CASE(a_punch_waits_for_the_write_of_its_page),
		CASE(a_failed_punch_leaves_the_dirty_page),
		CASE(a_commit_behind_a_punch_is_behind_it),
		CASE(a_flush_waits_for_a_version_over_a_dirty_page),
		CASE(without_write_back_commits_are_written_through),
		CASE(a_failed_write_through_leaves_the_dirty_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
