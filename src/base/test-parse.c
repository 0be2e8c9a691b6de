/* test-parse.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "parse.h"

/* U64 - text, maximum -> value and what is left behind it. */
#define U64(text, max, value, rest)                                                                \
	do {                                                                                       \
		const char *p = text;                                                              \
		uint64_t v = 0;                                                                    \
		assert_true(parse_u64(&p, max, &v));                                               \
		assert_true(v == (value));                                                         \
		assert_string_equal(p, rest);                                                      \
	} while (0)
#define U64_BAD(text, max)                                                                         \
	do {                                                                                       \
		const char *start = text, *p = start;                                              \
		uint64_t v = 77;                                                                   \
		assert_false(parse_u64(&p, max, &v));                                              \
		assert_ptr_equal(p, start);                                                        \
		assert_true(v == 77);                                                              \
	} while (0)
#define IS_SIZE(text, max, value)                                                                  \
	do {                                                                                       \
		uint64_t v = 0;                                                                    \
		assert_true(parse_size(text, max, &v));                                            \
		assert_true(v == (value));                                                         \
	} while (0)
#define SIZE_BAD(text, max)                                                                        \
	do {                                                                                       \
		uint64_t v = 77;                                                                   \
		assert_false(parse_size(text, max, &v));                                           \
		assert_true(v == 77);                                                              \
	} while (0)

static void numbers(void **state)
{
	U64("0", UINT64_MAX, 0, "");
	U64("007,x", 7, 7, ",x");
	U64("5", 7, 5, "");
	U64("0x1fG", UINT64_MAX, 0x1f, "G");
	U64("0XaBc", UINT64_MAX, 0xabc, "");
	U64("12ab", 12, 12, "ab");
	U64("18446744073709551615", UINT64_MAX, UINT64_MAX, "");
	U64("0xffffffffffffffff", UINT64_MAX, UINT64_MAX, "");
}

static void numbers_refused(void **state)
{
	U64_BAD("", 9);
	U64_BAD("x1", 9);
	U64_BAD("-1", UINT64_MAX);
	U64_BAD("+1", UINT64_MAX);
	U64_BAD(" 1", UINT64_MAX);
	U64_BAD("0x", UINT64_MAX);
	U64_BAD("0xg", UINT64_MAX);
	U64_BAD("10", 9);
	U64_BAD("1", 0);
	U64_BAD("8", 7);
	U64_BAD("18446744073709551616", UINT64_MAX);
	U64_BAD("0x10000000000000000", UINT64_MAX);
	U64_BAD("99999999999999999999999", UINT64_MAX);
}

static void sizes(void **state)
{
	IS_SIZE("512", 512, 512);
	IS_SIZE("1K", UINT64_MAX, 1024);
	IS_SIZE("1k", UINT64_MAX, 1024);
	IS_SIZE("64KiB", UINT64_MAX, 65536);
	IS_SIZE("64kib", UINT64_MAX, 65536);
	IS_SIZE("3M", UINT64_MAX, 3ull << 20);
	IS_SIZE("1G", 1ull << 30, 1ull << 30);
	IS_SIZE("2TiB", UINT64_MAX, 2ull << 40);
	IS_SIZE("0x10P", UINT64_MAX, 16ull << 50);
	IS_SIZE("16383P", UINT64_MAX, 16383ull << 50);
}

static void sizes_refused(void **state)
{
	SIZE_BAD("", 9);
	SIZE_BAD("K", UINT64_MAX);
	SIZE_BAD("1KB", UINT64_MAX);
	SIZE_BAD("1Ki", UINT64_MAX);
	SIZE_BAD("1KiBx", UINT64_MAX);
	SIZE_BAD("1 K", UINT64_MAX);
	SIZE_BAD("1.5G", UINT64_MAX);
	SIZE_BAD("1E", UINT64_MAX);
	SIZE_BAD("513", 512);
	SIZE_BAD("1G", (1ull << 30) - 1);
	SIZE_BAD("16384P", UINT64_MAX);
}

static void sizes_told(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} rows[] = {{0, "0 bytes"}, {1, "1 byte"}, {513, "513 bytes"}, {1023, "1023 bytes"},
		{1024, "1K"}, {1536, "1536 bytes"}, {1536 << 10, "1536K"}, {32 << 20, "32M"},
		{5ull << 30, "5G"}, {100ull << 40, "100T"}, {1ull << 50, "1P"},
		{16383ull << 50, "16383P"}, {2048ull << 50, "2048P"},
		{UINT64_MAX, "18446744073709551615 bytes"}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_string_equal(SIZE(rows[i].bytes), rows[i].text);
	}
	/* What is told is understood when it is said. */
	for (unsigned shift = 10; shift < 64; shift++) {
		uint64_t n = 0;

		assert_true(parse_size(SIZE(3ull << shift), UINT64_MAX, &n));
		assert_int_equal(n, 3ull << shift);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),
		cmocka_unit_test(numbers_refused),
		cmocka_unit_test(sizes),
		cmocka_unit_test(sizes_refused),
		cmocka_unit_test(sizes_told),
	};

	return cmocka_run_group_tests_name("parse", tests, NULL, NULL);
}
