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

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_sequential_reader_finds_all_but_the_first_pages),
		CASE(a_random_reader_gets_what_he_asks_for),
		CASE(several_streams_are_told_apart),
		CASE(nothing_is_read_ahead_while_a_landing_waits),
		CASE(the_end_is_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
