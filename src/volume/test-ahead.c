/* test-ahead.c - read-ahead of file volumes: for whom, how far, and when not. */
#include "counter.h"
#include "filetest.h"

static void a_sequential_reader_finds_all_but_the_first_pages(void **state)
{
	struct fixture *f = *state;

	for (uint64_t page = 0; page < SIZE / PAGE; page++)
		read_now(f, page * PAGE, PAGE, disk_byte(page));
	/* 128 pages at most in a cache of 4096: half a window at a time. */
	assert_in_range(COUNT(IO_READ), 64, 160);
}

static void a_random_reader_gets_what_he_asks_for(void **state)
{
	struct fixture *f = *state;

	for (uint64_t i = 0; i < 1000; i++) {
		uint64_t page = i * 2741 % (SIZE / PAGE);

		read_now(f, page * PAGE, PAGE, disk_byte(page));
	}
	assert_int_equal(COUNT(IO_READ), 1000);
	assert_int_equal(volume_mapped_bytes(f->v), 1000 * PAGE);
}

static void several_streams_are_told_apart(void **state)
{
	struct fixture *f = *state;

	for (uint64_t i = 0; i < 512; i++)
		for (uint64_t s = 0; s < 4; s++)
			read_now(f, s * 8 * MIB + i * PAGE, PAGE, disk_byte(s * 2048 + i));
	assert_in_range(COUNT(IO_READ), 4 * 4, 4 * 16);
}

static void nothing_is_read_ahead_while_a_landing_waits(void **state)
{
	struct fixture *f = *state;
	struct landing l[64];
	unsigned n = 0, before;

	do
		landing_init(&l[n], f->v, 0, MIB, NULL);
	while (landing_take(&l[n++], MIB, false) != VOL_FULL);
	before = COUNT(IO_READ);
	for (uint64_t page = 0; page < 50; page++)
		read_now(f, page * PAGE, PAGE, disk_byte(page));
	assert_int_equal(COUNT(IO_READ) - before, 50);
	while (n--)
		landing_drop(&l[n]);
}

static void the_end_is_the_end(void **state)
{
	struct fixture *f = *state;
	uint64_t n = SIZE / PAGE;

	for (uint64_t page = n - 8; page < n; page++)
		read_now(f, page * PAGE, PAGE, disk_byte(page));
	assert_int_equal(volume_mapped_bytes(f->v), 8 * PAGE);
}

/* Who does not ask for the page that cannot be read never hears of it, nor does the log; who asks is told. */
static void what_could_not_be_read_ahead_is_nobodys_error(void **state)
{
	enum { BAD = 20 };
	struct fixture *f = *state;
	uint64_t page;
	struct test_op t;

	f->fake->bad = BAD * PAGE + 7;
	for (page = 0; page < BAD; page++)
		read_now(f, page * PAGE, PAGE, disk_byte(page));
	assert_in_range(COUNT(IO_READ), 4, 40); /* of them, those that looked for the place */
	assert_int_equal(f->v->n_errors, 0);
	start_read(f, &t, BAD * PAGE, PAGE);
	finish(f);
	assert_int_equal(t.end, -EIO);
	volume_unpin(&t.op);
	assert_int_equal(f->v->n_errors, 1);
	for (page = BAD + 1; page < 64; page++)
		read_now(f, page * PAGE, PAGE, disk_byte(page));
	assert_int_equal(f->v->n_errors, 1);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_sequential_reader_finds_all_but_the_first_pages),
		CASE(a_random_reader_gets_what_he_asks_for),
		CASE(several_streams_are_told_apart),
		CASE(nothing_is_read_ahead_while_a_landing_waits),
		CASE(the_end_is_the_end),
		CASE(what_could_not_be_read_ahead_is_nobodys_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
