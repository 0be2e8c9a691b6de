/* test-args.c */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "args.h"

static bool flag;
static const char *word;
static uint64_t number, size, seconds;
static const char *words[2];
static unsigned n_words;
static char err[200];

static const struct arg table[] = {
	{"--flag", ARG_FLAG, &flag, 0, 0, NULL, "a flag"},
	{"--word", ARG_WORD, &word, 0, 0, "WORD", "a word"},
	{"--number", ARG_NUMBER, &number, 2, 9, "N", "a number"},
	{"--size", ARG_SIZE, &size, 512, 1 << 20, "SIZE", "a size"},
	{"--time", ARG_TIME, &seconds, 1, 7200, "S", "a time"},
	{NULL},
};

static int parse(const char *const *argv)
{
	int argc = 0;

	while (argv[argc])
		argc++;
	flag = false;
	word = NULL;
	number = size = 0;
	n_words = 0;
	err[0] = '\0';
	return args_parse(table, argc, (char **)argv, words, 2, &n_words, err, sizeof(err));
}

#define PARSE(...) parse((const char *const[]){"x", __VA_ARGS__, NULL})
#define BAD(says, ...)                                                                             \
	do {                                                                                       \
		assert_int_equal(PARSE(__VA_ARGS__), -EINVAL);                                     \
		assert_non_null(strstr(err, says));                                                \
	} while (0)

static void options(void **state)
{
	assert_int_equal(
		PARSE("a", "--flag", "--number=7", "--size", "4k", "b", "--word", "--size"),
		ARGS_RUN);
	assert_true(flag);
	assert_int_equal(number, 7);
	assert_int_equal(size, 4096);
	assert_string_equal(word, "--size");
	assert_int_equal(n_words, 2);
	assert_string_equal(words[0], "a");
	assert_string_equal(words[1], "b");
	assert_int_equal(PARSE("--", "--flag"), ARGS_RUN);
	assert_false(flag);
	assert_string_equal(words[0], "--flag");
	assert_int_equal(PARSE("--flag", "--help"), ARGS_HELP);
}

static void times(void **state)
{
	/* clang-format off */
	static const struct { const char *text; uint64_t seconds; } rows[] = {
		{"1", 1}, {"90s", 90}, {"5m", 300}, {"2h", 7200}, {"7200", 7200},
	};
	static const char *const bad[] = {"0", "0m", "3h", "5d", "1m30", "s", "-1", "1.5", "99999999999999999999h"};
	/* clang-format on */

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(PARSE("--time", rows[i].text), ARGS_RUN);
		assert_int_equal(seconds, rows[i].seconds);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		BAD("not a time of 1 to 7200 seconds", "--time", bad[i]);
}

static void refused(void **state)
{
	BAD("--none: no such option (see berth x --help)", "--none");
	BAD("--none: no such option", "--none=4");
	BAD("--fla: no such option", "--fla");
	BAD("--flag: takes no value", "--flag=yes");
	BAD("--word: needs WORD", "--word");
	BAD("from 2 to 9", "--number", "1");
	BAD("from 2 to 9", "--number", "10");
	BAD("from 2 to 9", "--number", "3x");
	BAD("--number: needs N", "--number", "");
	BAD("--word: needs WORD", "--word=");
	BAD("not a size", "--size", "1");
	BAD("not a size", "--size", "2M");
	BAD("c: one word too many (see berth x --help)", "a", "b", "c");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options),
		cmocka_unit_test(times),
		cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
