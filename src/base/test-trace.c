/* test-trace.c */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "trace.h"

static char path[] = "test-trace-XXXXXX";

static int setup(void **state)
{
	int fd = mkstemp(path);

	return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
	return unlink(path);
}

static unsigned n_lines(const char *first)
{
	FILE *f = fopen(path, "r");
	char line[2048];
	unsigned n = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		assert_int_equal(line[strlen(line) - 1], '\n');
		if (n++ == 0)
			assert_string_equal(line, first);
	}
	fclose(f);
	return n;
}

static void nothing_while_closed(void **state)
{
	assert_false(trace_on);
	trace("status itt=%x", 1u);
	trace_flush();
	trace_close();
}

static void whole_lines(void **state)
{
	assert_int_equal(trace_open(path), 0);
	assert_true(trace_on);
	trace("r2t ttt=%#010x", 0x00100123u);
	assert_int_equal(n_lines(""), 0);
	trace_flush();
	assert_int_equal(n_lines("r2t ttt=0x00100123\n"), 1);
	for (int i = 0; i < 5000; i++)
		trace("data conn=%d place=%#x", i, 0x54000);
	trace("%02000d", 0); /* longer than a line may be: cut, still one line */
	trace_close();
	assert_int_equal(n_lines("r2t ttt=0x00100123\n"), 5002);
	assert_int_equal(trace_open(path), 0);
	trace_close();
	assert_int_equal(n_lines(""), 0);
}

static void open_fails(void **state)
{
	assert_int_equal(trace_open("no-such-directory/trace"), -ENOENT);
	assert_false(trace_on);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_while_closed),
		cmocka_unit_test(whole_lines),
		cmocka_unit_test(open_fails),
	};

	return cmocka_run_group_tests_name("trace", tests, setup, teardown);
}
