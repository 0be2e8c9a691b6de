/* test-pace.c - who has answers to read can do without us, everybody else cannot. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include "pace.h"

enum { US = 1000 };

/* A client that has read some of its answers and sends a command for each, one every 10 us. */
static uint64_t look(struct pace *p, uint64_t *now, uint32_t *cmdsn, unsigned n, uint32_t behind)
{
	*now += n * 10 * US;
	*cmdsn += n;
	return pace_look(p, *now, *cmdsn, behind);
}

static void test_half_of_what_it_has_to_read(void **state)
{
	struct pace p = {0};
	uint64_t now = 1000 * US;
	uint32_t cmdsn = 7;

	look(&p, &now, &cmdsn, 1, 0);
	assert_int_equal(look(&p, &now, &cmdsn, 1, 10), 50 * US);
	assert_int_equal(look(&p, &now, &cmdsn, 5, 8), 40 * US);
	assert_true(pace_is_deep(&p));
}

static void test_never_long(void **state)
{
	struct pace p = {0};
	uint64_t now = 1000 * US;
	uint32_t cmdsn = 7;

	look(&p, &now, &cmdsn, 1, 0);
	assert_int_equal(look(&p, &now, &cmdsn, 1, 31), PACE_MOST_NS);
	now += UINT64_C(3600) * 1000 * 1000 * US;                   /* silent for an hour */
	assert_int_equal(look(&p, &now, &cmdsn, 1, UINT32_MAX), 0); /* and sent one: not believed */
}

static void test_who_waits_for_each_answer_is_never_left_alone(void **state)
{
	struct pace p = {0};
	uint64_t now = 1000 * US;
	uint32_t cmdsn = 7;

	for (int i = 0; i < 1000; i++) {
		assert_int_equal(look(&p, &now, &cmdsn, 1, 0), 0);
		assert_false(pace_is_deep(&p));
	}
	for (int i = 0; i < 1000; i++)
		assert_int_equal(look(&p, &now, &cmdsn, 1 + i % 2, PACE_BEHIND - 1), 0);
}

static void test_a_turn_that_found_many_needs_no_sleep(void **state)
{
	struct pace p = {0};
	uint64_t now = 1000 * US;
	uint32_t cmdsn = 7;

	look(&p, &now, &cmdsn, 1, 0);
	assert_int_equal(look(&p, &now, &cmdsn, PACE_FULL, 100), 0);
	assert_int_not_equal(look(&p, &now, &cmdsn, PACE_FULL - 1, 100), 0);
	assert_int_equal(look(&p, &now, &cmdsn, 0, 100), 0); /* data alone */
}

/* One that acknowledges late looks as if it had much to read, and sends nothing when left alone. */
static void test_who_acknowledges_late_is_found_out(void **state)
{
	struct pace p = {0};
	uint64_t now = 1000 * US;
	uint32_t cmdsn = 7;
	unsigned n_eased = 0;

	for (int i = 0; i < 1000; i++)
		n_eased += look(&p, &now, &cmdsn, 1, 20) != 0;
	assert_in_range(n_eased, 1, 4);
}

static void test_depth_fades(void **state)
{
	struct pace p = {0};
	uint64_t now = 1000 * US;
	uint32_t cmdsn = 7;

	look(&p, &now, &cmdsn, 1, 30);
	assert_true(pace_is_deep(&p));
	for (int i = 0; i < 400; i++)
		look(&p, &now, &cmdsn, 1, 0);
	assert_false(pace_is_deep(&p));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_half_of_what_it_has_to_read),
		cmocka_unit_test(test_never_long),
		cmocka_unit_test(test_who_waits_for_each_answer_is_never_left_alone),
		cmocka_unit_test(test_a_turn_that_found_many_needs_no_sleep),
		cmocka_unit_test(test_who_acknowledges_late_is_found_out),
		cmocka_unit_test(test_depth_fades),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
