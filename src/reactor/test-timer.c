/* test-timer.c - the heap against a plain table of what is set. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "reactor.h"

enum { N = 500 };

struct entry {
	struct io_timer timer;
	bool set;
	uint64_t at_ns;
};

static struct io io;
static struct entry entries[N];
static uint64_t last_ns;
static unsigned n_fired;

static void fire(struct io_timer *t)
{
	struct entry *e = container_of(t, struct entry, timer);

	assert_true(e->set);
	assert_int_equal(t->index, 0);
	assert_true(t->at_ns == e->at_ns && t->at_ns <= io.now_ns);
	assert_true(t->at_ns >= last_ns);
	last_ns = t->at_ns;
	e->set = false;
	n_fired++;
}

static int begin(void **state)
{
	io_init(&io, NULL, 0);
	last_ns = n_fired = 0;
	memset(entries, 0, sizeof(entries));
	for (int i = 0; i < N; i++)
		io_timer_init(&entries[i].timer, fire);
	return 0;
}

static int end(void **state)
{
	io_deinit(&io);
	return 0;
}

static void set(int i, uint64_t at_ns)
{
	assert_int_equal(io_timer_set(&io, &entries[i].timer, at_ns), 0);
	entries[i].set = true;
	entries[i].at_ns = at_ns;
}

static void stop(int i)
{
	io_timer_stop(&io, &entries[i].timer);
	entries[i].set = false;
}

static void check_heap(void)
{
	uint32_t n = 0;
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < N; i++) {
		uint32_t at = entries[i].timer.index;

		assert_int_equal(at != 0, entries[i].set);
		if (!at)
			continue;
		n++;
		least = MIN(least, entries[i].at_ns);
		assert_ptr_equal(io.timers.slot[at], &entries[i].timer);
	}
	assert_int_equal(io.timers.n, n);
	assert_true(io_next_timer(&io) == least);
}

static void none_set(void **state)
{
	assert_true(io_next_timer(&io) == UINT64_MAX);
	io.now_ns = UINT64_MAX - 1;
	assert_false(io_run_timers(&io));
	stop(0);
}

static void in_order_of_time(void **state)
{
	for (int i = 0; i < N; i++)
		set(i, (uint64_t)(i * 7919 % N));
	io.now_ns = N / 2;
	assert_true(io_run_timers(&io));
	assert_int_equal(n_fired, N / 2 + 1);
	check_heap();
	io.now_ns = N;
	assert_true(io_run_timers(&io));
	assert_int_equal(n_fired, N);
}

static void any_order_of_calls(void **state)
{
	srand(42);
	for (int round = 0; round < 20000; round++) {
		int i = rand() % N;

		if (rand() % 3)
			set(i, io.now_ns + (uint64_t)(rand() % 1000));
		else
			stop(i);
		if (round % 100 == 0) {
			check_heap();
			io.now_ns += 50;
			last_ns = 0;
			io_run_timers(&io);
			assert_true(io_next_timer(&io) > io.now_ns);
		}
	}
}

static unsigned n_again;

static void again(struct io_timer *t)
{
	n_again++;
	assert_int_equal(io_timer_set(&io, t, 0), 0);
}

static void set_again_runs_once_a_turn(void **state)
{
	struct io_timer t;

	n_again = 0;
	io_timer_init(&t, again);
	io_timer_set(&io, &t, 1);
	io.now_ns = 10;
	for (unsigned turn = 1; turn < 5; turn++) {
		assert_true(io_run_timers(&io));
		assert_int_equal(n_again, turn);
	}
	io_timer_stop(&io, &t);
	assert_false(io_run_timers(&io));
}

static void stop_others(struct io_timer *t)
{
	n_again++;
	for (int i = 0; i < N; i++)
		stop(i);
}

static void stopped_by_an_earlier_one(void **state)
{
	struct io_timer t;

	n_again = 0;
	io_timer_init(&t, stop_others);
	io_timer_set(&io, &t, 1);
	for (int i = 0; i < N; i++)
		set(i, 2);
	io.now_ns = 10;
	io_run_timers(&io);
	assert_int_equal(n_again, 1);
	assert_int_equal(n_fired, 0);
}

int main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, begin, end)
	const struct CMUnitTest tests[] = {CASE(none_set), CASE(in_order_of_time),
		CASE(any_order_of_calls), CASE(set_again_runs_once_a_turn),
		CASE(stopped_by_an_earlier_one)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
