/* test-pattern.c - whatever is wrong with data that comes back is seen, and said. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "pattern.h"

enum { LEN = 4096, RUN = 99, SEQ = 5 };
static const uint64_t offset = 1 << 20;
static _Alignas(8) uint8_t buf[LEN];
static char why[200];

#define CHECK() pattern_check(buf, LEN, RUN, offset, SEQ, why, sizeof(why))
#define SAYS(words)                                                                                \
	do {                                                                                       \
		assert_int_equal(CHECK(), -EILSEQ);                                                \
		assert_non_null(strstr(why, words));                                               \
	} while (0)

static void what_was_written(void **state)
{
	pattern_fill(buf, LEN, RUN, offset, SEQ);
	assert_int_equal(CHECK(), 0);
}

static void every_byte_counts(void **state)
{
	pattern_fill(buf, LEN, RUN, offset, SEQ);
	for (unsigned i = 0; i < LEN; i++) {
		buf[i] ^= 0x10;
		assert_int_equal(CHECK(), -EILSEQ);
		buf[i] ^= 0x10;
	}
	assert_int_equal(CHECK(), 0);
}

static void says_what_it_found(void **state)
{
	pattern_fill(buf, LEN, RUN, offset, SEQ - 1);
	SAYS("write 4 of offset 1048576");
	pattern_fill(buf, LEN, RUN, offset + 4096, SEQ);
	SAYS("write 5 of offset 1052672");
	pattern_fill(buf, LEN, RUN + 1, offset, SEQ);
	SAYS("no write of this run");
	memset(buf, 0, LEN);
	SAYS("zeros");
	pattern_fill(buf, LEN, RUN, offset, SEQ);
	buf[1000] ^= 1; /* in the second sector */
	SAYS("other bytes");
	assert_non_null(strstr(why, "offset 1049088"));
}

/* A unit half of which is an older write. */
static void torn(void **state)
{
	pattern_fill(buf, LEN, RUN, offset, SEQ);
	pattern_fill(buf + LEN / 2, LEN / 2, RUN, offset + LEN / 2, SEQ - 2);
	SAYS("offset 1050624 should hold write 5 of it, and holds write 3 of offset 1050624");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_written),
		cmocka_unit_test(every_byte_counts),
		cmocka_unit_test(says_what_it_found),
		cmocka_unit_test(torn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
