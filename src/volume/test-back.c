/* test-back.c - write-back: every change of an entry's state, and what initiators are told of it. */
#include "backtest.h"

#define COUNT(kind) (f->fake->n_count[kind])
enum { SECOND = 1000000000 };

static uint64_t n_records(struct back_fixture *f)
{
	return ledger_count(f->m->ledger, LEDGER_NONE);
}

static uint64_t n_unclean(struct back_fixture *f)
{
	return volume_unclean_bytes(f->v) / PAGE;
}

static void expect_bytes(struct back_fixture *f, uint64_t off, uint32_t len, uint8_t byte)
{
	uint8_t *got = malloc(len);

	back_read(f, off, len, got);
	for (uint32_t i = 0; i < len; i++)
		if (got[i] != byte)
			fail_msg("byte %lu is %u, not %u", off + i, got[i], byte);
	free(got);
}

static void expect_disk(struct back_fixture *f, uint64_t off, uint32_t len, uint8_t byte)
{
	for (uint32_t i = 0; i < len; i++)
		if (f->fake->disk[off + i] != byte)
			fail_msg("byte %lu of the disk is %u", off + i, f->fake->disk[off + i]);
}

/* --- commits --- */
static void a_commit_is_shown_at_once(void **state)
{
	struct back_fixture *f = *state;
	struct test_op t;

	back_write(f, &t, PAGE, 3 * PAGE, 5, false);
	assert_true(t.done && !t.end);
	assert_int_equal(f->fake->n_pending, 0);
	assert_int_equal(n_unclean(f), 3);
	assert_int_equal(n_records(f), 3);
	expect_bytes(f, PAGE, 3 * PAGE, 5);
	assert_int_equal(COUNT(IO_WRITE), 0);
}

static void an_overwrite_has_one_record_a_page(void **state)
{
	struct back_fixture *f = *state;
	struct test_op t;

	for (uint8_t i = 1; i < 9; i++)
		back_write(f, &t, PAGE * (i % 2), 3 * PAGE, i, false);
	assert_int_equal(n_unclean(f), 4);
	assert_int_equal(n_records(f), 4);
	assert_int_equal(arena_n_lent(f->arena), 4);
	expect_bytes(f, 0, 3 * PAGE, 8);
	expect_bytes(f, 3 * PAGE, PAGE, 7);
}

static void a_partial_write_merges_with_a_dirty_page(void **state)
{
	struct back_fixture *f = *state;
	struct test_op t;

	back_write(f, &t, 0, PAGE, 1, false);
	back_write(f, &t, 512, 512, 2, false);
	assert_true(t.done);
	expect_bytes(f, 0, 512, 1);
	expect_bytes(f, 512, 512, 2);
	expect_bytes(f, 1024, PAGE - 1024, 1);
	assert_int_equal(n_records(f), 1);
}

/* The base is being read, and a whole page comes meanwhile. */
static void a_commit_while_the_page_is_read(void **state)
{
	struct back_fixture *f = *state;
	struct test_op part, whole;

	back_write(f, &part, 512, 512, 2, false);
	assert_false(part.done);
	assert_int_equal(f->fake->n_pending, 1);
	back_write(f, &whole, 0, PAGE, 1, false);
	assert_true(whole.done);
	back_finish(f);
	assert_true(part.done && !part.end);
	expect_bytes(f, 0, 512, 1);
	expect_bytes(f, 512, 512, 2);
	expect_bytes(f, 1024, PAGE - 1024, 1);
}

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
	assert_int_equal(n_unclean(f), 0);
	assert_int_equal(n_records(f), 0);
	expect_disk(f, 0, 6 * PAGE, 3);
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
	assert_int_equal(n_records(f), 1);
	assert_int_equal(COUNT(IO_FLUSH), 1);
	assert_false(flush.done);
	fake_end(f->fake, 0);
	assert_true(flush.done);
	assert_int_equal(entry_state(map_get(&f->v->map, 0)), ENTRY_CLEAN);
	assert_int_equal(n_records(f), 0);
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
	assert_int_equal(n_unclean(f), 2);
	expect_disk(f, 20 * PAGE, PAGE, 4);
	expect_disk(f, 21 * PAGE, PAGE, 0);
	expect_disk(f, 0, PAGE, 0);
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
	assert_int_equal(n_records(f), 1);
	back_finish(f);
	assert_true(two.done && !two.end);
	expect_disk(f, 0, PAGE, 4);
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
	expect_bytes(f, 0, PAGE, 4); /* ends the write as well */
	assert_true(flush.done);
	assert_int_equal(n_records(f), 1);
	back_flush(f, &flush, 0, PAGE);
	back_finish(f);
	assert_true(flush.done && !flush.end);
	expect_disk(f, 0, PAGE, 4);
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
	expect_disk(f, 0, PAGE, 4);
	assert_int_equal(n_unclean(f), 0);
}

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
	expect_disk(f, PAGE + 512, 2 * PAGE, 9);
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
	expect_disk(f, 0, PAGE, 9);
	assert_int_equal(n_unclean(f), 0);
}

/* --- background --- */
static void what_is_old_is_written(void **state)
{
	struct back_fixture *f = *state;
	struct test_op t;

	back_write(f, &t, 0, 2 * PAGE, 9, false);
	back_turn(f);
	f->io.now_ns = 4ull * SECOND;
	back_turn(f);
	assert_int_equal(f->fake->n_pending, 0);
	f->io.now_ns = 6ull * SECOND;
	back_turn(f);
	back_finish(f);
	expect_disk(f, 0, 2 * PAGE, 9);
	assert_int_equal(n_unclean(f), 0);
	/* A timer that finds nothing leaves nothing behind: the next page may grow as old. */
	f->io.now_ns = 20ull * SECOND;
	back_turn(f);
	back_write(f, &t, 0, PAGE, 8, false);
	back_turn(f);
	assert_int_equal(f->fake->n_pending, 0);
}

static void commits_wait_at_the_limit_and_go_on(void **state)
{
	struct back_fixture *f = *state;
	struct test_op t[N_VOLUME];
	unsigned n_done = 0;

	for (unsigned i = 0; i < 90; i++)
		back_write(f, &t[i], i * PAGE, PAGE, 1 + i, false);
	for (unsigned i = 0; i < 90; i++)
		n_done += t[i].done;
	assert_int_equal(n_done, LIMIT);
	assert_int_equal(n_unclean(f), LIMIT);
	back_finish(f);
	for (unsigned i = 0; i < 90; i++) {
		assert_true(t[i].done && !t[i].end);
		expect_bytes(f, i * PAGE, PAGE, 1 + i);
	}
	assert_true(n_unclean(f) <= LIMIT);
}

static void a_command_longer_than_the_limit_goes_alone(void **state)
{
	struct back_fixture *f = *state;
	struct test_op t, u;

	back_write(f, &t, 0, PAGE, 1, false);
	back_write(f, &u, PAGE, (LIMIT + 9) * PAGE, 2, false);
	assert_false(u.done);
	back_finish(f);
	assert_true(u.done && !u.end);
	expect_bytes(f, PAGE, (LIMIT + 9) * PAGE, 2);
}

static void a_reset_ends_what_waits_at_the_limit(void **state)
{
	struct back_fixture *f = *state;
	struct test_op t[2];

	back_write(f, &t[0], 0, LIMIT * PAGE, 1, false);
	back_write(f, &t[1], LIMIT * PAGE, PAGE, 2, false);
	assert_false(t[1].done);
	volume_gen_next(f->v);
	turn(&f->io);
	assert_true(t[1].done);
	assert_int_equal(t[1].end, VOL_STALE);
	back_finish(f);
}

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
	assert_int_equal(n_records(f), 1);
	expect_bytes(f, 0, PAGE, 9);
	assert_int_equal(COUNT(IO_WRITE), 1);
	f->io.now_ns += SECOND;
	back_turn(f);
	back_finish(f);
	assert_int_equal(COUNT(IO_WRITE), 2);
	assert_int_equal(volume_fault(f->v, &error), 1);
	assert_int_equal(error, 0);
	expect_disk(f, 0, PAGE, 9);
	assert_int_equal(n_records(f), 0);
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
		assert_int_equal(n_records(f), 1);
		f->io.now_ns += SECOND;
		back_turn(f);
		back_finish(f);
		assert_int_equal(n_records(f), 0);
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
	assert_int_equal(n_records(f), 2);
	memset(f->fake->disk, 0, 2 * PAGE); /* the disk has lost it */
	back_flush(f, &flush, 0, 2 * PAGE);
	back_finish(f);
	assert_true(flush.done && !flush.end);
	expect_disk(f, 0, 2 * PAGE, 9);
	assert_int_equal(n_records(f), 0);
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
	expect_bytes(f, 0, LIMIT * PAGE, 1);
	f->io.now_ns += SECOND;
	back_turn(f);
	back_finish(f);
	back_write(f, &u, LIMIT * PAGE, PAGE, 2, false);
	back_finish(f);
	assert_true(u.done && !u.end);
}

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
	assert_int_equal(n_records(f), 4);
	expect_bytes(f, 0, PAGE, 9);
	back_finish(f);
	assert_true(zero.done && !zero.end);
	assert_int_equal(n_records(f), 2);
	expect_bytes(f, 0, PAGE, 9);
	expect_bytes(f, PAGE, 2 * PAGE, 0);
	expect_bytes(f, 3 * PAGE, PAGE, 9);
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
	assert_int_equal(n_records(f), 1);
	back_finish(f);
	assert_true(zero.done && !zero.end);
	assert_int_equal(n_records(f), 0);
	expect_disk(f, 0, PAGE, 0);
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
	assert_int_equal(n_records(f), 1);
	fake_end(f->fake, 0);
	assert_int_equal(n_records(f), 0);
	back_finish(f);
	assert_true(copy.done && !copy.end);
	expect_bytes(f, 0, PAGE, 0);
	expect_disk(f, 0, PAGE, 0);
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
	expect_disk(f, 0, PAGE, 0);
	assert_int_equal(n_unclean(f), 0);
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
	expect_bytes(f, 0, PAGE, 9);
	back_flush(f, &flush, 0, PAGE);
	back_finish(f);
	assert_int_equal(flush.end, 0);
	expect_disk(f, 0, PAGE, 9);
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
	expect_bytes(f, 0, PAGE, 0);
	expect_bytes(f, PAGE, 2 * PAGE, 9);
	expect_disk(f, PAGE, 2 * PAGE, 9);
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
	expect_disk(f, PAGE, PAGE, 9);
	back_flush(f, &flush, 0, f->fake->b.info.size);
	back_finish(f);
	expect_disk(f, 0, PAGE, 8);
	assert_int_equal(n_records(f), 0);
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
	expect_bytes(f, 0, PAGE, 8);
	back_flush(f, &flush, 0, PAGE);
	back_finish(f);
	expect_disk(f, 0, PAGE, 8);
}

/* --- memory --- */
static void a_landing_that_finds_no_page_makes_the_writer_go(void **state)
{
	struct back_fixture *f = *state;
	struct test_op t;
	struct landing l[20];
	unsigned n = 0;

	back_write(f, &t, 0, LIMIT / 2 * PAGE, 8, false);
	while (n < 20) {
		landing_init(&l[n], f->v, 0, LIMIT * PAGE, NULL);
		if (landing_take(&l[n++], LIMIT * PAGE, false))
			break;
	}
	assert_true(n < 20);
	while (turn(&f->io))
		;
	assert_true(f->fake->n_pending > 0);
	back_finish(f);
	assert_int_equal(n_unclean(f), 0);
	while (n)
		landing_drop(&l[--n]);
	expect_disk(f, 0, LIMIT / 2 * PAGE, 8);
}

static void what_is_left_is_adopted(void **state)
{
	struct back_fixture *f = *state, g;
	struct test_op t, flush;

	back_write(f, &t, 0, 3 * PAGE, 8, false);
	back_write(f, &t, PAGE, PAGE, 9, false);
	back_write(f, &t, 90 * PAGE, 6 * PAGE - 512, 7, false);
	back_copy(&g, f);
	assert_int_equal(n_unclean(&g), 9);
	expect_bytes(&g, 0, PAGE, 8);
	expect_bytes(&g, PAGE, PAGE, 9);
	expect_bytes(&g, 90 * PAGE, 6 * PAGE - 512, 7);
	back_write(&g, &t, 0, PAGE, 6, false);
	back_flush(&g, &flush, 0, g.fake->b.info.size);
	back_finish(&g);
	expect_disk(&g, 0, PAGE, 6);
	expect_disk(&g, PAGE, PAGE, 9);
	expect_disk(&g, 90 * PAGE, 6 * PAGE - 512, 7);
	assert_int_equal(n_records(&g), 0);
	assert_int_equal(n_unclean(&g), 0);
	back_close(&g);
}

/* A record that was published and whose predecessor was not retired yet. */
static void the_newest_of_two_records_is_adopted(void **state)
{
	struct back_fixture *f = *state, g;
	struct ledger *l = f->m->ledger;
	struct test_op t;

	back_write(f, &t, 0, PAGE, 8, false);
	memset(arena_ptr(f->arena, 400), 9, PAGE);
	ledger_publish(l, 400, f->v->writer->volume, 0, ledger_next_seq(l), 1);
	back_copy(&g, f);
	expect_bytes(&g, 0, PAGE, 9);
	assert_int_equal(n_records(&g), 1);
	back_close(&g);
	ledger_retire(l, 400);
}

/* Several leaves, several turns. */
static void a_volume_of_many_leaves_is_cleaned(void **state)
{
	struct back_fixture *f = calloc(1, sizeof(*f));
	struct memfile *m;
	struct test_op t[16];

	f->fake = fake_new(8192 * PAGE);
	check(!memfile_anonymous(&m, 8192, -1));
	back_open(f, m, 2048);
	for (unsigned i = 0; i < 16; i++)
		back_write(f, &t[i], i * 400 * PAGE, 400 * PAGE, 1 + i, false);
	for (unsigned i = 0; i < 10000 && (f->fake->n_pending || turn(&f->io)); i++)
		if (f->fake->n_pending)
			fake_end(f->fake, 0);
	for (unsigned i = 0; i < 16; i++)
		assert_true(t[i].done && !t[i].end);
	assert_false(turn(&f->io));
	back_close(f);
	free(f);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, back_setup, back_teardown)
	const struct CMUnitTest tests[] = {
		CASE(a_commit_is_shown_at_once),
		CASE(an_overwrite_has_one_record_a_page),
		CASE(a_partial_write_merges_with_a_dirty_page),
		CASE(a_commit_while_the_page_is_read),
		CASE(a_flush_writes_neighbours_together_and_makes_them_clean),
		CASE(a_page_is_written_until_the_flush_and_then_clean),
		CASE(a_flush_is_of_its_range),
		CASE(a_write_that_ends_during_a_flush_is_not_covered),
		CASE(a_page_that_changes_while_it_is_written_is_written_again),
		CASE(a_flush_waits_for_a_busy_page),
		CASE(a_fua_write_ends_when_it_is_durable),
		CASE(a_fua_read_writes_what_is_dirty_first),
		CASE(what_is_old_is_written),
		CASE(commits_wait_at_the_limit_and_go_on),
		CASE(a_command_longer_than_the_limit_goes_alone),
		CASE(a_reset_ends_what_waits_at_the_limit),
		CASE(a_failed_write_is_told_and_tried_again),
		CASE(what_takes_room_is_told_of_a_disk_that_has_none_left),
		CASE(a_failed_flush_makes_what_was_written_dirty_again),
		CASE(with_a_dead_disk_commits_end_at_the_limit),
		CASE(records_of_a_punched_range_go_when_it_is_done),
		CASE(zeros_over_a_dirty_page_are_durable_first),
		CASE(zeros_of_a_copy_over_a_dirty_page_are_durable_first),
		CASE(a_punch_waits_for_the_write_of_its_page),
		CASE(a_failed_punch_leaves_the_dirty_page),
		CASE(a_commit_behind_a_punch_is_behind_it),
		CASE(a_flush_waits_for_a_version_over_a_dirty_page),
		CASE(without_write_back_commits_are_written_through),
		CASE(a_failed_write_through_leaves_the_dirty_page),
		CASE(a_landing_that_finds_no_page_makes_the_writer_go),
		cmocka_unit_test(a_volume_of_many_leaves_is_cleaned),
		CASE(what_is_left_is_adopted),
		CASE(the_newest_of_two_records_is_adopted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
