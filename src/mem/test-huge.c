/* test-huge.c - blocks come whole where an arena grows, and what is given back is gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "arena.h"
#include "check.h"
#include "huge.h"

enum { BLOCKS = 16, PAGES = BLOCKS * HUGE_BLOCK + 7 };

static struct huge_opens take(struct huge *h, uint32_t page, uint32_t n)
{
	struct huge_opens o = {.n = 0};

	huge_take(h, page, n, &o);
	return o;
}

/* The rules need no memory: open and split are not called. */
static struct huge rules(void)
{
	static char nowhere[1];
	struct huge h;

	assert_int_equal(huge_init(&h, nowhere, PAGES), 0);
	return h;
}

static void small_disk_stays_small(void **state)
{
	struct huge h = rules();

	(void)state;
	assert_int_equal(take(&h, 0, HUGE_FROM - 1).n, 0);
	assert_int_equal(h.n_has, HUGE_FROM - 1);
	assert_int_equal(take(&h, HUGE_BLOCK, 1).n, 0);
	assert_int_equal(h.n_has, HUGE_FROM);
	assert_int_equal(take(&h, 2 * HUGE_BLOCK + 5, 1).n, 1);
	huge_deinit(&h);
}

static void block_opens_once_with_its_first_page(void **state)
{
	struct huge h = rules();
	struct huge_opens o;

	(void)state;
	(void)take(&h, 0, HUGE_BLOCK);
	o = take(&h, HUGE_BLOCK + 3, 2);
	assert_int_equal(o.n, 1);
	assert_int_equal(o.page[0], HUGE_BLOCK + 3);
	assert_int_equal(h.n_has, 2 * HUGE_BLOCK); /* all of it has memory now */
	assert_int_equal(take(&h, HUGE_BLOCK + 5, 100).n, 0);
	assert_int_equal(take(&h, HUGE_BLOCK, 3).n, 0);
	huge_deinit(&h);
}

static void run_over_blocks_opens_those_that_are_bare(void **state)
{
	struct huge h = rules();
	struct huge_opens o;

	(void)state;
	(void)take(&h, 0, HUGE_BLOCK);
	(void)take(&h, 3 * HUGE_BLOCK, 1); /* opened by itself */
	o = take(&h, 2 * HUGE_BLOCK - 1, HUGE_BLOCK + 1);
	assert_int_equal(o.n, 2);
	assert_int_equal(o.page[0], 2 * HUGE_BLOCK - 1);
	assert_int_equal(o.page[1], 2 * HUGE_BLOCK);
	huge_deinit(&h);
}

static void block_with_a_page_or_cut_off_stays_small(void **state)
{
	struct huge h = rules();

	(void)state;
	(void)take(&h, 5 * HUGE_BLOCK + 1, 1);
	(void)take(&h, 0, HUGE_BLOCK);
	assert_int_equal(take(&h, 5 * HUGE_BLOCK + 2, 1).n, 0);
	assert_int_equal(take(&h, BLOCKS * HUGE_BLOCK + 1, 6).n, 0);
	huge_deinit(&h);
}

static void block_given_back_in_parts_opens_again_when_bare(void **state)
{
	struct huge h = rules();

	(void)state;
	(void)take(&h, 0, HUGE_BLOCK);
	assert_int_equal(take(&h, HUGE_BLOCK, 1).n, 1);
	huge_punch(&h, HUGE_BLOCK + 1, HUGE_BLOCK - 1);
	assert_int_equal(h.n_has, HUGE_BLOCK + 1);
	assert_int_equal(take(&h, HUGE_BLOCK + 8, 8).n, 0); /* its first page has memory still */
	huge_punch(&h, HUGE_BLOCK + 8, 8);
	huge_punch(&h, HUGE_BLOCK, 1);
	assert_int_equal(take(&h, HUGE_BLOCK + 8, 8).n, 1);
	huge_deinit(&h);
}

static void only_so_many_open_at_once(void **state)
{
	struct huge h = rules();
	struct huge_opens o;

	(void)state;
	(void)take(&h, 0, HUGE_BLOCK);
	o = take(&h, HUGE_BLOCK, (HUGE_OPENS + 2) * HUGE_BLOCK);
	assert_int_equal(o.n, HUGE_OPENS);
	assert_int_equal(h.n_has, (HUGE_OPENS + 3) * HUGE_BLOCK);
	huge_deinit(&h);
}

static void without_memory_nothing_is_kept(void **state)
{
	struct huge h = {0};

	(void)state;
	assert_int_equal(take(&h, 0, 4 * HUGE_BLOCK).n, 0);
	huge_split(&h, 0, 1);
	huge_punch(&h, 0, 1);
	huge_deinit(&h);
	huge_deinit(&h);
}

/* --- with the system --- */

static uint64_t resident_kib(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	unsigned long all, resident;

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%lu %lu", &all, &resident), 2);
	fclose(f);
	return resident * 4;
}

static void fill(struct arena *a, struct run *runs, unsigned n_runs)
{
	for (unsigned i = 0; i < n_runs; i++)
		memset(arena_ptr(a, runs[i].page), 0x5a, (size_t)runs[i].n_pages * ARENA_PAGE);
}

/* An arena of 64 MiB, filled, then given back page by page but for every eighth page. */
static void what_is_given_back_costs_nothing(void **state)
{
	enum { N = 16384, KEEP = 8 };
	struct arena_params p = {.kind = ARENA_RAM, .n_pages = N, .name = "huge"};
	struct run runs[N / ARENA_MAX_RUN + 1];
	struct arena *a;
	uint64_t before, full, left;
	unsigned n_runs;
	uint32_t own;

	(void)state;
	assert_int_equal(arena_new(&a, &p), 0);
	before = resident_kib();
	assert_int_equal(arena_take(a, ARENA_OPEN, NULL, N, true, runs, N / ARENA_MAX_RUN + 1,
				 &n_runs, &own),
		0);
	fill(a, runs, n_runs);
	full = resident_kib();
	assert_in_range(full - before, N * 4, N * 4 + 4096);
	for (uint32_t page = 0; page < N; page++) {
		if (page % KEEP)
			arena_unref_punch(a, page, 1);
	}
	left = resident_kib() - before;
	assert_in_range(left, N * 4 / KEEP - 1024, N * 4 / KEEP + 4096);
	for (uint32_t page = 0; page < N; page += KEEP) {
		const unsigned char *at = arena_ptr(a, page);

		assert_int_equal(at[0] + at[ARENA_PAGE - 1], 2 * 0x5a); /* what was kept is whole */
		arena_unref_punch(a, page, 1);
	}
	assert_true(resident_kib() < before + 4096);
	assert_null(arena_free(a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_disk_stays_small),
		cmocka_unit_test(block_opens_once_with_its_first_page),
		cmocka_unit_test(run_over_blocks_opens_those_that_are_bare),
		cmocka_unit_test(block_with_a_page_or_cut_off_stays_small),
		cmocka_unit_test(block_given_back_in_parts_opens_again_when_bare),
		cmocka_unit_test(only_so_many_open_at_once),
		cmocka_unit_test(without_memory_nothing_is_kept),
		cmocka_unit_test(what_is_given_back_costs_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
