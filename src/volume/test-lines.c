/* test-lines.c - lines are found again, wherever they are, and none that is gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "lines.h"

static void every_leaf_is_found(void **state)
{
	static const uint64_t leaves[] = {
		0, 5, 63, 64, 127, 128, 4095, 4096, 262143, 262144, 299999};
	struct lines l;
	uint64_t at = 0;

	assert_int_equal(lines_init(&l, 300000), 0);
	assert_int_equal(lines_next(&l, 0), LINES_NONE);
	for (unsigned i = 0; i < ARRAY_LEN(leaves); i++)
		lines_set(&l, leaves[i] * MAP_LEAF_PAGES + i);
	for (unsigned i = 0; i < ARRAY_LEN(leaves); i++) {
		assert_int_equal(lines_next(&l, at), leaves[i]);
		assert_int_equal(lines_next(&l, leaves[i]), leaves[i]);
		at = leaves[i] + 1;
	}
	assert_int_equal(lines_next(&l, at), LINES_NONE);
	assert_int_equal(lines_next(&l, 300000), LINES_NONE);
	for (unsigned i = 0; i < ARRAY_LEN(leaves); i += 2)
		lines_keep(&l, leaves[i], 0);
	at = 0;
	for (unsigned i = 1; i < ARRAY_LEN(leaves); i += 2) {
		assert_int_equal(lines_next(&l, at), leaves[i]);
		lines_keep(&l, leaves[i], 1);
		at = leaves[i] + 1;
	}
	for (unsigned i = 1; i < ARRAY_LEN(leaves); i += 2)
		lines_keep(&l, leaves[i], 0);
	assert_int_equal(lines_next(&l, 0), LINES_NONE);
	lines_deinit(&l);
	lines_deinit(&l);
}

static void a_bit_is_a_line(void **state)
{
	struct lines l;

	assert_int_equal(lines_init(&l, 3), 0);
	lines_set(&l, MAP_LEAF_PAGES);
	lines_set(&l, MAP_LEAF_PAGES + MAP_LINE_PAGES - 1);
	lines_set(&l, 2 * MAP_LEAF_PAGES - 1);
	assert_int_equal(l.leaf[1], 1ull << 63 | 1);
	lines_deinit(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_leaf_is_found),
		cmocka_unit_test(a_bit_is_a_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
