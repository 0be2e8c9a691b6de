/* filter.c - for unit tests: CMOCKA_TEST_FILTER='*digest*' runs only the cases whose names match. cmocka can do that, and leaves
 * it to programs to ask for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

static __attribute__((constructor)) void filter(void)
{
	const char *pattern = getenv("CMOCKA_TEST_FILTER");

	if (pattern)
		cmocka_set_test_filter(pattern);
}
