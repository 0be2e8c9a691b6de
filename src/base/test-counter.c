/* test-counter.c */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "check.h"
#include "copy.h"
#include "counter.h"

enum { THREADS = 4, ROUNDS = 20000 };

#define SUM(c, n) assert_true(counter_sum(c) == (n))

static void sum_survives_leave(void **state)
{
	static struct counters a, b;
	uint64_t before = counter_sum(CTR_COMMANDS);

	count(CTR_COMMANDS, 1); /* no block yet */
	SUM(CTR_COMMANDS, before + 1);
	counters_enter(&a);
	count(CTR_COMMANDS, 10);
	assert_true(a.v[CTR_COMMANDS] == 10);
	SUM(CTR_COMMANDS, before + 11);
	counters_leave(&a);
	SUM(CTR_COMMANDS, before + 11);
	counters_enter(&b);
	count(CTR_COMMANDS, 100);
	counters_leave(&b);
	counters_enter(&a);
	count(CTR_COMMANDS, 1000);
	SUM(CTR_COMMANDS, before + 1111);
	counters_leave(&a);
	SUM(CTR_COMMANDS, before + 1111);
}

static void copy_is_counted(void **state)
{
	uint64_t before = counter_sum(CTR_COPIED_TAIL);
	char to[5] = "";

	copy_payload(CTR_COPIED_TAIL, to, "abcd", 4);
	assert_string_equal(to, "abcd");
	SUM(CTR_COPIED_TAIL, before + 4);
}

static void *counting(void *arg)
{
	struct counters *block = arg; /* NULL: a thread without one */

	if (block)
		counters_enter(block);
	for (int i = 0; i < ROUNDS; i++)
		count(CTR_R2TS, 1);
	if (block)
		counters_leave(block);
	return NULL;
}

static void threads_lose_nothing(void **state)
{
	static struct counters blocks[THREADS / 2];
	uint64_t before = counter_sum(CTR_R2TS), last = before;
	pthread_t t[THREADS];

	for (int i = 0; i < THREADS; i++)
		assert_int_equal(
			pthread_create(&t[i], NULL, counting, i < THREADS / 2 ? &blocks[i] : NULL),
			0);
	for (int i = 0; i < 1000; i++) {
		uint64_t now = counter_sum(CTR_R2TS);

		assert_true(now >= last);
		last = now;
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	SUM(CTR_R2TS, before + (uint64_t)THREADS * ROUNDS);
}

static void printed_by_name_and_label(void **state)
{
	char *text = NULL;
	size_t len = 0, lines = 0;
	FILE *f = open_memstream(&text, &len);

	assert_non_null(f);
	count(CTR_COPIED_GUESS, 7);
	count(CTR_REFUSED_TAG_STALE, 3);
	count(CTR_PLACED_BYTES, 5000000000);
	counters_print(f);
	fclose(f);
	assert_non_null(strstr(text, "copied_bytes{guess} 7\n"));
	assert_non_null(strstr(text, "refused_pdus{tag_stale} 3\n"));
	assert_non_null(strstr(text, "placed_bytes 5000000000\n"));
	for (const char *p = text; (p = strchr(p, '\n')); p++)
		lines++;
	assert_int_equal(lines, N_COUNTERS);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sum_survives_leave),
		cmocka_unit_test(copy_is_counted),
		cmocka_unit_test(threads_lose_nothing),
		cmocka_unit_test(printed_by_name_and_label),
	};

	return cmocka_run_group_tests_name("counter", tests, NULL, NULL);
}
