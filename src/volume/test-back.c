/* test-back.c - write-back: pages become dirty, up to a limit, and are written in the background. */
#include "backtest.h"

/* --- commits --- */
/* --- commits --- */
static void a_commit_is_shown_at_once(void **state)
{
	struct back_fixture *f = *state;
	struct test_op t;

	back_write(f, &t, PAGE, 3 * PAGE, 5, false);
	assert_true(t.done && !t.end);
	assert_int_equal(f->fake->n_pending, 0);
	assert_int_equal(back_unclean(f), 3);
	assert_int_equal(back_records(f), 3);
	back_expect(f, PAGE, 3 * PAGE, 5);
	assert_int_equal(COUNT(IO_WRITE), 0);
}

static void an_overwrite_has_one_record_a_page(void **state)
{
	struct back_fixture *f = *state;
	struct test_op t;

	for (uint8_t i = 1; i < 9; i++)
		back_write(f, &t, PAGE * (i % 2), 3 * PAGE, i, false);
	assert_int_equal(back_unclean(f), 4);
	assert_int_equal(back_records(f), 4);
	assert_int_equal(arena_n_lent(f->arena), 4);
	back_expect(f, 0, 3 * PAGE, 8);
	back_expect(f, 3 * PAGE, PAGE, 7);
}

static void a_partial_write_merges_with_a_dirty_page(void **state)
{
	struct back_fixture *f = *state;
	struct test_op t;

	back_write(f, &t, 0, PAGE, 1, false);
	back_write(f, &t, 512, 512, 2, false);
	assert_true(t.done);
	back_expect(f, 0, 512, 1);
	back_expect(f, 512, 512, 2);
	back_expect(f, 1024, PAGE - 1024, 1);
	assert_int_equal(back_records(f), 1);
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
	back_expect(f, 0, 512, 1);
	back_expect(f, 512, 512, 2);
	back_expect(f, 1024, PAGE - 1024, 1);
}

/* --- background --- */
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
	back_expect_disk(f, 0, 2 * PAGE, 9);
	assert_int_equal(back_unclean(f), 0);
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
	assert_int_equal(back_unclean(f), LIMIT);
	back_finish(f);
	for (unsigned i = 0; i < 90; i++) {
		assert_true(t[i].done && !t[i].end);
		back_expect(f, i * PAGE, PAGE, 1 + i);
	}
	assert_true(back_unclean(f) <= LIMIT);
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
	back_expect(f, PAGE, (LIMIT + 9) * PAGE, 2);
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

/* --- memory --- */
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
	assert_int_equal(back_unclean(f), 0);
	while (n)
		landing_drop(&l[--n]);
	back_expect_disk(f, 0, LIMIT / 2 * PAGE, 8);
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
	const struct CMUnitTest tests[] = {
		CASE(a_commit_is_shown_at_once),
		CASE(an_overwrite_has_one_record_a_page),
		CASE(a_partial_write_merges_with_a_dirty_page),
		CASE(a_commit_while_the_page_is_read),
		CASE(what_is_old_is_written),
		CASE(commits_wait_at_the_limit_and_go_on),
		CASE(a_command_longer_than_the_limit_goes_alone),
		CASE(a_reset_ends_what_waits_at_the_limit),
		CASE(a_landing_that_finds_no_page_makes_the_writer_go),
		cmocka_unit_test(a_volume_of_many_leaves_is_cleaned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
