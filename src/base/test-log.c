/* test-log.c */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "check.h"
#include "log.h"

/* logged - what one call writes to standard error. */
static ssize_t logged(char *out, size_t room, enum log_level level, const char *text)
{
	int ends[2], saved = dup(STDERR_FILENO);
	ssize_t n;

	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	errno = EBUSY;
	if (level == LOG_SILENT)
		log_plain("%s", text);
	else
		log_line(level, "%s", text);
	assert_int_equal(errno, EBUSY);
	dup2(saved, STDERR_FILENO);
	close(saved);
	n = read(ends[0], out, room - 1);
	close(ends[0]);
	out[MAX(n, 0)] = '\0';
	return n;
}

static void one_line_a_call(void **state)
{
	char out[2048];

	logged(out, sizeof(out), LOG_WARN, "two words");
	assert_string_equal(out, "berth: warning: two words\n");
	logged(out, sizeof(out), LOG_SILENT, "no level");
	assert_string_equal(out, "berth: no level\n");
	logged(out, sizeof(out), LOG_WARN, "one\nline, \xc3\xa9 as it is\x1b[2J\x7f");
	assert_string_equal(out, "berth: warning: one?line, \xc3\xa9 as it is?[2J?\n");
	logged(out, sizeof(out), LOG_INFO, "");
	assert_string_equal(out, "berth: info: \n");
	assert_int_equal(logged(out, sizeof(out), LOG_DEBUG, "not asked for"), 0);
}

static void long_line_is_cut(void **state)
{
	char out[8192], text[6000];

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(logged(out, sizeof(out), LOG_ERROR, text), 5120);
	assert_string_equal(out + 5120 - 5, "x...\n");
}

static void what_comes_often_is_counted_instead(void **state)
{
	const uint64_t period = LOG_OFTEN_S * UINT64_C(1000000000);
	uint64_t now = 5 * period;
	struct log_often o = {0};
	unsigned n;

	for (unsigned round = 0; round < 3; round++, now += period) {
		for (unsigned i = 0; i < LOG_OFTEN_LINES; i++) {
			assert_true(log_often_may(&o, now + i, &n));
			assert_int_equal(n, round && !i ? 1000 * round : 0); /* told once */
		}
		for (unsigned i = 0; i < 1000 * (round + 1); i++)
			assert_false(log_often_may(&o, now + period - 1, &n));
	}
	assert_true(log_often_may(&o, now, &n));
	assert_int_equal(n, 3000);
	assert_true(log_often_may(&o, now, &n));
	assert_int_equal(n, 0);
}

static void each_place_has_its_own_account(void **state)
{
	int saved = dup(STDERR_FILENO);
	FILE *f = tmpfile();
	unsigned n_lines = 0;
	char line[100];

	dup2(fileno(f), STDERR_FILENO);
	for (unsigned i = 0; i < 2 * LOG_OFTEN_LINES; i++)
		log_often(LOG_INFO, "one %u", i);
	for (unsigned i = 0; i < 2; i++)
		log_often(LOG_WARN, "two %u", i);
	log_often(LOG_DEBUG, "not asked for");
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(f);
	while (fgets(line, sizeof(line), f))
		n_lines++;
	assert_int_equal(n_lines, LOG_OFTEN_LINES + 2);
	assert_string_equal(line, "berth: warning: two 1\n");
	fclose(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_line_a_call),
		cmocka_unit_test(long_line_is_cut),
		cmocka_unit_test(what_comes_often_is_counted_instead),
		cmocka_unit_test(each_place_has_its_own_account),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
