/* test-histogram.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "histogram.h"

static struct histogram *fresh(void)
{
	static struct histogram h;

	memset(&h, 0, sizeof(h));
	return &h;
}

/* Every value lies in the bucket whose bounds hold it, and the bucket is narrow. */
static void check_value(uint64_t v)
{
	unsigned i = histogram_index(v);

	assert_true(i < HISTOGRAM_BUCKETS);
	assert_true(v <= histogram_value(i));
	assert_true(i == 0 || v > histogram_value(i - 1));
	assert_true(histogram_value(i) - v <= v / 128);
}

static void buckets(void **state)
{
	for (uint64_t v = 0; v < 100000; v++)
		check_value(v);
	for (unsigned bit = 8; bit < HISTOGRAM_TOP; bit++) {
		check_value((1ull << bit) - 1);
		check_value(1ull << bit);
		check_value((1ull << bit) + 1);
		check_value((1ull << bit) + (1ull << (bit - 1)));
	}
	check_value((1ull << HISTOGRAM_TOP) - 1);
	assert_int_equal(histogram_index((1ull << HISTOGRAM_TOP) - 1), HISTOGRAM_BUCKETS - 1);
}

static void percentiles(void **state)
{
	struct histogram *h = fresh();

	assert_int_equal(histogram_percentile(h, 5000), 0);
	for (uint64_t v = 1; v <= 100; v++)
		histogram_add(h, v);
	assert_int_equal(h->n, 100);
	assert_int_equal(h->min, 1);
	assert_int_equal(h->max, 100);
	assert_int_equal(h->sum, 5050);
	assert_int_equal(histogram_percentile(h, 0), 1);
	assert_int_equal(histogram_percentile(h, 5000), 50);
	assert_int_equal(histogram_percentile(h, 9000), 90);
	assert_int_equal(histogram_percentile(h, 9900), 99);
	assert_int_equal(histogram_percentile(h, 9990), 100);
	assert_int_equal(histogram_percentile(h, 10000), 100);
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Against the sorted values themselves. */
static void against_sorting(void **state)
{
	enum { N = 20000 };
	static uint64_t v[N];
	struct histogram *h = fresh();
	uint64_t x = 88172645463325252ull;

	for (unsigned i = 0; i < N; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		v[i] = x >> (24 + x % 30);
		histogram_add(h, v[i]);
	}
	qsort(v, N, sizeof(v[0]), by_size);
	for (unsigned p = 1; p <= 10000; p += 37) {
		uint64_t exact = v[((uint64_t)N * p + 9999) / 10000 - 1],
			 told = histogram_percentile(h, p);

		assert_true(told >= exact && told - exact <= exact / 128);
	}
}

static void beyond_the_top(void **state)
{
	struct histogram *h = fresh();

	histogram_add(h, UINT64_MAX);
	assert_int_equal(h->max, (1ull << HISTOGRAM_TOP) - 1);
	assert_int_equal(histogram_percentile(h, 9999), (1ull << HISTOGRAM_TOP) - 1);
}

static void merges(void **state)
{
	struct histogram *h = fresh();
	static struct histogram other, none;

	histogram_add(&other, 7);
	histogram_add(&other, 9000);
	histogram_add(h, 100);
	histogram_merge(h, &none);
	assert_int_equal(h->min, 100);
	histogram_merge(h, &other);
	assert_int_equal(h->n, 3);
	assert_int_equal(h->min, 7);
	assert_int_equal(h->max, 9000);
	assert_int_equal(histogram_percentile(h, 5000), 100);
	histogram_merge(&none, h);
	assert_int_equal(none.min, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buckets),
		cmocka_unit_test(percentiles),
		cmocka_unit_test(against_sorting),
		cmocka_unit_test(beyond_the_top),
		cmocka_unit_test(merges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
