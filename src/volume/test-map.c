/* test-map.c - entries, leaves given back, ranges of locks that wrap around, sizes up to 1 PiB. */
#include "voltest.h"

#include <sys/mman.h>

static void entries_hold_a_state_and_a_page(void **state)
{
	entry_t e = entry_clean(0xfffe0001);
	int *some = malloc(sizeof(*some));

	assert_int_equal(entry_state(e), ENTRY_CLEAN);
	assert_int_equal(entry_page(e), 0xfffe0001);
	assert_int_equal(entry_page(e | ENTRY_USED), 0xfffe0001);
	assert_int_equal(entry_state(e | ENTRY_USED), ENTRY_CLEAN);
	assert_int_equal(entry_state(entry_busy(some)), ENTRY_BUSY);
	assert_ptr_equal(entry_rec(entry_busy(some)), some);
	free(some);
}

static bool resident(const void *page)
{
	unsigned char in = 0;

	assert_int_equal(mincore((void *)page, ARENA_PAGE, &in), 0);
	return in & 1;
}

static void an_empty_leaf_is_given_back(void **state)
{
	struct map m;

	assert_int_equal(map_init(&m, 4 * MAP_LEAF_PAGES), 0);
	map_set(&m, MAP_LEAF_PAGES, entry_clean(1));
	map_set(&m, 2 * MAP_LEAF_PAGES - 1, entry_clean(2));
	map_set(&m, MAP_LEAF_PAGES, entry_clean(3));
	assert_int_equal(m.total_used, 2);
	map_set(&m, MAP_LEAF_PAGES, ENTRY_HOME);
	map_trim(&m, MAP_LEAF_PAGES);
	assert_int_equal(map_get(&m, 2 * MAP_LEAF_PAGES - 1), entry_clean(2));
	assert_true(resident(m.entries + MAP_LEAF_PAGES));
	map_set(&m, 2 * MAP_LEAF_PAGES - 1, ENTRY_HOME);
	map_trim(&m, MAP_LEAF_PAGES);
	assert_false(resident(m.entries + MAP_LEAF_PAGES));
	assert_int_equal(map_get(&m, MAP_LEAF_PAGES), ENTRY_HOME);
	assert_int_equal(m.total_used, 0);
	map_deinit(&m);
	map_deinit(&m);
}

static bool is_locked(struct map *m, unsigned shard)
{
	return m->shards[shard].lock.word != 0;
}

static void ranges_lock_their_shards_and_no_others(void **state)
{
	/* first leaf, leaves, first shard that is locked, last; a wrap has last < first */
	static const unsigned cases[][4] = {
		{0, 1, 0, 0},
		{7, 9, 7, 15},
		{1023, 1, 1023, 1023},
		{1023, 2, 1023, 0},
		{1020, 9, 1020, 4},
		{2048 + 5, 3, 5, 7},
		{3, 60, 3, 62},
	};
	struct map m;

	assert_int_equal(map_init(&m, 4096 * (uint64_t)MAP_LEAF_PAGES), 0);
	assert_int_equal(m.n_shards, MAP_SHARDS);
	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		unsigned from = cases[i][2], to = cases[i][3];
		uint64_t first = (uint64_t)cases[i][0] * MAP_LEAF_PAGES + 17;
		uint64_t n = (uint64_t)(cases[i][1] - 1) * MAP_LEAF_PAGES + 1;

		map_lock(&m, first, n);
		for (unsigned k = 0; k < MAP_SHARDS; k++)
			assert_int_equal(is_locked(&m, k),
				from <= to ? k >= from && k <= to : k >= from || k <= to);
		map_unlock(&m, first, n);
		for (unsigned k = 0; k < MAP_SHARDS; k++)
			assert_false(is_locked(&m, k));
	}
	map_deinit(&m);
}

static void a_small_map_has_few_shards(void **state)
{
	struct map m;

	assert_int_equal(map_init(&m, 3), 0);
	assert_int_equal(m.n_shards, 1);
	map_lock(&m, 0, 3);
	map_unlock(&m, 0, 3);
	map_deinit(&m);
	/* All leaves at once take every shard, once. */
	assert_int_equal(map_init(&m, 8 * MAP_LEAF_PAGES), 0);
	assert_int_equal(m.n_shards, 8);
	map_lock(&m, 0, 8 * MAP_LEAF_PAGES);
	for (unsigned k = 0; k < 8; k++)
		assert_true(is_locked(&m, k));
	map_unlock(&m, 0, 8 * MAP_LEAF_PAGES);
	for (unsigned k = 0; k < 8; k++)
		assert_false(is_locked(&m, k));
	map_deinit(&m);
}

static void a_pebibyte_costs_what_is_used(void **state)
{
	uint64_t n = (1ull << 50) / ARENA_PAGE;
	struct map m;

	/* Under valgrind and the like there is less address space. */
	while (map_init(&m, n))
		n /= 4;
	assert_true(n * ARENA_PAGE >= 1ull << 40);
	map_lock(&m, n - 2, 2);
	map_set(&m, n - 1, entry_clean(5));
	map_unlock(&m, n - 2, 2);
	map_set(&m, 0, entry_clean(6));
	assert_int_equal(map_get(&m, n - 1), entry_clean(5));
	assert_int_equal(map_get(&m, n / 2), ENTRY_HOME);
	map_deinit(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_hold_a_state_and_a_page),
		cmocka_unit_test(an_empty_leaf_is_given_back),
		cmocka_unit_test(ranges_lock_their_shards_and_no_others),
		cmocka_unit_test(a_small_map_has_few_shards),
		cmocka_unit_test(a_pebibyte_costs_what_is_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
