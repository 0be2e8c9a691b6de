/* test-fixed.c - which requests go by a registered buffer. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "check.h"
#include "fixed.h"

enum { TAIL = 1 << 20, LEN = 2 * FIXED_CHUNK + TAIL };

static struct io_uring ring;
static struct fixed fixed;
static char *base;

static int begin(void **state)
{
	if (io_uring_queue_init(8, &ring, 0) < 0)
		return 0;
	fixed_init(&fixed, &ring);
	base = mmap(NULL, LEN + 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return base == MAP_FAILED;
}

static int end(void **state)
{
	if (!base)
		return 0;
	io_uring_queue_exit(&ring);
	munmap(base, LEN + 4096);
	base = NULL;
	return 0;
}

#define NEED_RING()                                                                                \
	do {                                                                                       \
		if (!base)                                                                         \
			skip();                                                                    \
	} while (0)

static void by_chunk(void **state)
{
	NEED_RING();
	assert_int_equal(fixed_lend(&fixed, base, LEN), 0);
	assert_int_equal(fixed.registered_len, 0); /* not before it is named */
	assert_int_equal(fixed_find(&fixed, base + FIXED_CHUNK, 4096), fixed.full ? -1 : 1);
	if (fixed.full)
		skip(); /* RLIMIT_MEMLOCK is small here */
	assert_int_equal(fixed.registered_len, FIXED_CHUNK);
	assert_int_equal(fixed_find(&fixed, base + 2 * FIXED_CHUNK - 512, 512), 1);
	assert_int_equal(fixed_find(&fixed, base, FIXED_CHUNK), 0);
	assert_int_equal(fixed_find(&fixed, base + LEN - 4096, 4096), 2);
	assert_int_equal(fixed.registered_len, LEN);
}

static void not_what_is_in_two_chunks_or_outside(void **state)
{
	char other[512];

	NEED_RING();
	assert_int_equal(fixed_find(&fixed, base, 512), -1); /* nothing lent */
	assert_int_equal(fixed_lend(&fixed, base, LEN), 0);
	assert_int_equal(fixed_find(&fixed, base + FIXED_CHUNK - 512, 1024), -1);
	assert_int_equal(fixed_find(&fixed, base + LEN - 512, 1024), -1);
	assert_int_equal(fixed_find(&fixed, base + LEN, 512), -1);
	assert_int_equal(fixed_find(&fixed, other, sizeof(other)), -1);
	assert_int_equal(fixed.registered_len, 0);
}

static void two_areas(void **state)
{
	NEED_RING();
	assert_int_equal(fixed_lend(&fixed, base + FIXED_CHUNK, FIXED_CHUNK), 0);
	assert_int_equal(fixed_lend(&fixed, base, FIXED_CHUNK), 0);
	if (fixed_find(&fixed, base, 4096) < 0)
		skip();
	assert_int_equal(fixed_find(&fixed, base, 4096), 1);
	assert_int_equal(fixed_find(&fixed, base + FIXED_CHUNK, 4096), 0);
}

static void refused_once_is_enough(void **state)
{
	NEED_RING();
	assert_int_equal(fixed_lend(&fixed, base, LEN), 0);
	munmap(base, FIXED_CHUNK); /* what cannot be pinned is refused by the kernel */
	assert_int_equal(fixed_find(&fixed, base, 4096), -1);
	assert_true(fixed.full);
	assert_int_equal(fixed_find(&fixed, base + FIXED_CHUNK, 4096), -1);
	assert_int_equal(fixed.registered_len, 0);
}

static void areas_run_out(void **state)
{
	NEED_RING();
	for (int i = 0; i < FIXED_AREAS; i++)
		assert_int_equal(fixed_lend(&fixed, base + i * 4096, 4096), 0);
	assert_int_equal(fixed_lend(&fixed, base + FIXED_CHUNK, 4096), -ENOMEM);
}

int main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, begin, end)
	const struct CMUnitTest tests[] = {CASE(by_chunk),
		CASE(not_what_is_in_two_chunks_or_outside), CASE(two_areas),
		CASE(refused_once_is_enough), CASE(areas_run_out)};

	return cmocka_run_group_tests_name("fixed", tests, NULL, NULL);
}
