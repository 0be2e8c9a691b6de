/* test-lock.c - one at a time inside, nobody left asleep, and waits are counted. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <pthread.h>
#include <unistd.h>
#include "counter.h"
#include "lock.h"

enum { N_THREADS = 4, TIMES = 20000 };

static struct lock the_lock;
static uint64_t n_inside; /* not atomic: the lock alone protects it */

static void *add_many(void *unused)
{
	for (int i = 0; i < TIMES; i++) {
		lock_take(&the_lock);
		n_inside++;
		lock_leave(&the_lock);
	}
	return NULL;
}

static void test_one_at_a_time(void **state)
{
	pthread_t t[N_THREADS];

	n_inside = 0;
	for (int i = 0; i < N_THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, add_many, NULL), 0);
	for (int i = 0; i < N_THREADS; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(n_inside, N_THREADS * TIMES);
	assert_int_equal(the_lock.word, 0);
}

static void test_sleepers_are_woken_and_counted(void **state)
{
	uint64_t spins = counter_sum(CTR_LOCK_SPINS), sleeps = counter_sum(CTR_LOCK_SLEEPS);
	pthread_t t[N_THREADS];

	n_inside = 0;
	lock_take(&the_lock);
	for (int i = 0; i < N_THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, add_many, NULL), 0);
	while (counter_sum(CTR_LOCK_SLEEPS) < sleeps + N_THREADS)
		usleep(200);
	assert_true(counter_sum(CTR_LOCK_SPINS) >= spins + N_THREADS);
	assert_int_equal(n_inside, 0);
	lock_leave(&the_lock);
	for (int i = 0; i < N_THREADS; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(n_inside, N_THREADS * TIMES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_at_a_time),
		cmocka_unit_test(test_sleepers_are_woken_and_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
