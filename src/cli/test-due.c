/* test-due.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "due.h"

static void evenly(void **state)
{
	struct due d;

	due_init(&d, 1000, 0, 1, 5000);
	for (uint64_t i = 0; i < 100; i++) {
		assert_int_equal(due_ns(&d), 5000 + i * 1000000);
		due_took(&d);
	}
}

/* Three threads, a rate that divides nothing: together, in turn, and to the second after a day. */
static void threads_share(void **state)
{
	enum { N = 3, RATE = 700001 };
	struct due d[N];
	uint64_t last = 0;

	for (unsigned t = 0; t < N; t++)
		due_init(&d[t], RATE, t, N, 0);
	for (uint64_t i = 0; i < 100000; i++) {
		uint64_t at = due_ns(&d[i % N]);

		assert_true(at >= last);
		assert_int_equal(at, i * 1000000000u / RATE);
		last = at;
		due_took(&d[i % N]);
	}
	d[0].next = (uint64_t)RATE * 86400;
	assert_int_equal(due_ns(&d[0]), 86400 * 1000000000ull);
}

/* The largest that --rate, --time and --numjobs take. */
static void the_most(void **state)
{
	struct due d;

	due_init(&d, 100000000, 255, 256, 1000);
	assert_int_equal(due_ns(&d), 1000 + 2550);
	d.next = 100000000ull * 1000000;
	assert_int_equal(due_ns(&d), 1000 + 1000000ull * 1000000000);
}

static void no_rate(void **state)
{
	struct due d;

	due_init(&d, 0, 0, 1, 5000);
	assert_int_equal(due_ns(&d), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(evenly),
		cmocka_unit_test(threads_share),
		cmocka_unit_test(the_most),
		cmocka_unit_test(no_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
