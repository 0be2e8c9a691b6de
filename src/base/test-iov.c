/* test-iov.c - whatever the pieces that are moved, what is left is the rest of the bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "iov.h"

enum { N = 4 };
static const size_t lens[N] = {3, 1, 5, 2};
static uint8_t bytes[3 + 1 + 5 + 2];

static void expect_rest(const struct iovec *iov, unsigned first, size_t moved)
{
	for (unsigned i = first; i < N; i++) {
		assert_true(iov[i].iov_len > 0);
		assert_ptr_equal(iov[i].iov_base, bytes + moved);
		moved += iov[i].iov_len;
	}
	assert_int_equal(moved, sizeof(bytes));
}

static void any_two_pieces(void **state)
{
	for (size_t one = 0; one <= sizeof(bytes); one++) {
		for (size_t two = 0; one + two <= sizeof(bytes); two++) {
			struct iovec iov[N];
			unsigned first;
			uint8_t *at = bytes;

			for (unsigned i = 0; i < N; at += lens[i++])
				iov[i] = (struct iovec){at, lens[i]};
			first = iov_moved(iov, one);
			expect_rest(iov, first, one);
			first += iov_moved(iov + first, two);
			expect_rest(iov, first, one + two);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_two_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
