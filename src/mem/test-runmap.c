/* test-runmap.c - cases by hand, then a long random walk beside a plain array of flags. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "check.h"
#include "runmap.h"

enum { MODEL_PAGES = 1000, ROUNDS = 60000 };

#define FIND(n, page)         assert_int_equal(runmap_find(&m, n, false), page)
#define FIND_ALIGNED(n, page) assert_int_equal(runmap_find(&m, n, true), page)
#define LONGEST(n, aligned)                                                                        \
	do {                                                                                       \
		assert_int_equal(runmap_longest(&m, false), n);                                    \
		assert_int_equal(runmap_longest(&m, true), aligned);                               \
		runmap_check(&m);                                                                  \
	} while (0)

static void sizes(void **state)
{
	const uint64_t n_pages[] = {1, 7, 63, 64, 65, 128, 1000, 4096, 100000};
	struct runmap m;

	for (unsigned i = 0; i < ARRAY_LEN(n_pages); i++) {
		assert_int_equal(runmap_init(&m, n_pages[i]), 0);
		LONGEST(n_pages[i], n_pages[i]);
		assert_true(m.n_free == n_pages[i]);
		FIND(n_pages[i], 0);
		FIND(n_pages[i] + 1, RUNMAP_NONE);
		assert_false(runmap_is_free(&m, (uint32_t)n_pages[i]));
		runmap_take(&m, 0, (uint32_t)n_pages[i]);
		LONGEST(0, 0);
		FIND(1, RUNMAP_NONE);
		FIND_ALIGNED(1, RUNMAP_NONE);
		runmap_give(&m, (uint32_t)n_pages[i] - 1, 1);
		FIND(1, n_pages[i] - 1);
		runmap_check(&m);
		runmap_deinit(&m);
		runmap_deinit(&m);
	}
}

static void lowest_first(void **state)
{
	struct runmap m;

	assert_int_equal(runmap_init(&m, 640), 0);
	runmap_take(&m, 0, 640);
	runmap_give(&m, 500, 20);
	runmap_give(&m, 300, 6);
	runmap_give(&m, 60, 10); /* across two words */
	runmap_give(&m, 3, 2);
	LONGEST(20, 16);
	FIND(1, 3);
	FIND(2, 3);
	FIND(3, 60);
	FIND(10, 60);
	FIND(11, 500);
	FIND(20, 500);
	FIND(21, RUNMAP_NONE);
	FIND_ALIGNED(1, 64);
	FIND_ALIGNED(6, 64);
	FIND_ALIGNED(7, 504);
	FIND_ALIGNED(16, 504);
	FIND_ALIGNED(17, RUNMAP_NONE);
	runmap_deinit(&m);
}

static void parts_join_again(void **state)
{
	struct runmap m;

	assert_int_equal(runmap_init(&m, 4096), 0);
	runmap_take(&m, 0, 4096);
	for (uint32_t page = 1; page < 4096; page += 2)
		runmap_give(&m, page, 1);
	LONGEST(1, 0);
	for (uint32_t page = 0; page < 4096; page += 2)
		runmap_give(&m, page, 1);
	LONGEST(4096, 4096);
	assert_true(m.n_free == 4096);
	runmap_deinit(&m);
}

static void sixty_four_gibibytes(void **state)
{
	struct runmap m;

	assert_int_equal(runmap_init(&m, 1ull << 24), 0);
	runmap_take(&m, 0, (1u << 24) - 3);
	FIND(3, (1u << 24) - 3);
	FIND_ALIGNED(1, RUNMAP_NONE);
	runmap_give(&m, 0, (1u << 24) - 3);
	LONGEST(1u << 24, 1u << 24);
	runmap_deinit(&m);
}

/* --- the random walk --- */
static bool model[MODEL_PAGES + 1]; /* true: free; the last one stays false */

static uint32_t model_find(uint32_t n, bool aligned)
{
	uint32_t len = 0;

	for (uint32_t end = 0; end < MODEL_PAGES; end++) {
		len = model[end] ? len + 1 : 0;
		for (uint32_t at = end + 1 - len; len >= n && at + n <= end + 1; at++) {
			if (!aligned || at % RUNMAP_LINE == 0)
				return at;
		}
	}
	return RUNMAP_NONE;
}

static uint32_t model_longest(bool aligned)
{
	uint32_t best = 0;

	for (uint32_t at = 0; at < MODEL_PAGES; at += aligned ? RUNMAP_LINE : 1) {
		uint32_t len = 0;

		while (model[at + len])
			len++;
		best = MAX(best, len);
	}
	return best;
}

static void agree(struct runmap *m, uint32_t n)
{
	for (int aligned = 0; aligned < 2; aligned++) {
		assert_int_equal(runmap_longest(m, aligned), model_longest(aligned));
		assert_int_equal(runmap_find(m, n, aligned), model_find(n, aligned));
		assert_int_equal(runmap_find(m, 1, aligned), model_find(1, aligned));
	}
}

static void turn(struct runmap *m, uint32_t page, uint32_t n)
{
	bool free = !model[page];

	if (free)
		runmap_give(m, page, n);
	else
		runmap_take(m, page, n);
	memset(model + page, free, n);
}

static void random_walk(void **state)
{
	uint64_t seed = 88172645463325252ull;
	struct runmap m;

	assert_int_equal(runmap_init(&m, MODEL_PAGES), 0);
	memset(model, true, MODEL_PAGES);
	for (int i = 0; i < ROUNDS; i++) {
		uint32_t page, n = 1, want;

		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		page = (uint32_t)(seed >> 20) % MODEL_PAGES;
		want = 1 + (uint32_t)(seed >> 40) % (i % 3 ? 5 : 300); /* fine grain and coarse */
		while (n < want && page + n < MODEL_PAGES && model[page + n] == model[page])
			n++;
		turn(&m, page, n);
		agree(&m, want);
		if (i % 64 == 0)
			runmap_check(&m);
	}
	runmap_check(&m);
	runmap_deinit(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes),
		cmocka_unit_test(lowest_first),
		cmocka_unit_test(parts_join_again),
		cmocka_unit_test(sixty_four_gibibytes),
		cmocka_unit_test(random_walk),
	};

	return cmocka_run_group_tests_name("runmap", tests, NULL, NULL);
}
