/* test-arena-walk.c - a long random walk beside a model, and threads that would notice a page
 * handed out twice. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "arena.h"
#include "check.h"

enum { MAX_RUNS = 64 };

static struct arena *a;

static void new_arena(uint64_t n_pages)
{
	const struct arena_params p = {.name = "walk", .n_pages = n_pages};

	assert_int_equal(arena_new(&a, &p), 0);
}

static void all_back(void)
{
	arena_check(a);
	assert_int_equal(arena_n_lent(a), 0);
	a = arena_free(a);
}

/* --- beside a model --- */
enum { WALK_PAGES = 777, WALK_ROUNDS = 40000 };
static uint32_t model[WALK_PAGES]; /* references */
static uint64_t seed = 88172645463325252ull;

static uint32_t chance(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 24) % n;
}

static uint32_t model_free(void)
{
	uint32_t n = 0;

	for (uint32_t p = 0; p < WALK_PAGES; p++)
		n += model[p] == 0;
	return n;
}

static void walk_take(bool aligned)
{
	uint32_t n = 1 + chance(chance(4) ? 12 : 200), got = 0, n_free = model_free(), n_quota;
	struct run runs[MAX_RUNS];
	unsigned n_runs;

	if (arena_take(a, ARENA_OPEN, NULL, n, aligned, runs, MAX_RUNS, &n_runs, &n_quota) != 0) {
		assert_true(n > n_free || n > MAX_RUNS); /* full, or in shreds */
		return;
	}
	for (unsigned i = 0; i < n_runs; i++) {
		if (aligned && runs[i].n_pages >= ARENA_LINE_PAGES)
			assert_int_equal(runs[i].page % ARENA_LINE_PAGES, 0);
		for (uint32_t p = runs[i].page; p < runs[i].page + runs[i].n_pages; p++)
			assert_int_equal(model[p]++, 0);
		got += runs[i].n_pages;
	}
	assert_int_equal(got, n);
}

static void walk_refs(bool more)
{
	uint32_t page = chance(WALK_PAGES), n = 0, want = 1 + chance(40);

	while (n < want && page + n < WALK_PAGES && model[page + n] > 0)
		n++;
	if (n == 0)
		return;
	for (uint32_t i = 0; i < n; i++)
		model[page + i] += more ? 1 : -1u;
	if (more)
		arena_ref(a, page, n);
	else if (chance(8))
		arena_unref(a, page, n);
	else
		arena_unref_punch(a, page, n);
}

static void random_walk(void **state)
{
	new_arena(WALK_PAGES);
	memset(model, 0, sizeof(model));
	for (int i = 0; i < WALK_ROUNDS; i++) {
		if (chance(3) == 0)
			walk_take(chance(2));
		else
			walk_refs(chance(4) == 0);
		assert_int_equal(arena_n_free(a), model_free());
		if (i % 16 == 0) {
			arena_check(a);
			for (uint32_t p = 0; p < WALK_PAGES; p++)
				assert_int_equal(arena_refs(a, p), model[p]);
		}
	}
	for (uint32_t p = 0; p < WALK_PAGES; p++) {
		while (model[p] > 0) {
			arena_unref(a, p, 1);
			model[p]--;
		}
	}
	all_back();
}

/* --- threads --- */
enum { THREADS = 3, THREAD_ROUNDS = 4000, THREAD_PAGES = 96 };

struct sleeper {
	struct arena_wait w;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool woken;
};

static void wake_sleeper(struct arena_wait *w)
{
	struct sleeper *s = container_of(w, struct sleeper, w);

	pthread_mutex_lock(&s->lock);
	s->woken = true;
	pthread_cond_signal(&s->cond);
	pthread_mutex_unlock(&s->lock);
}

static void sleep_until_woken(struct sleeper *s, uint32_t n, bool front)
{
	s->woken = false;
	arena_wait(a, &s->w, n, front);
	pthread_mutex_lock(&s->lock);
	while (!s->woken)
		pthread_cond_wait(&s->cond, &s->lock);
	pthread_mutex_unlock(&s->lock);
}

/* Each thread stamps its pages with plain stores and looks again: a page with two owners is seen
 * here, and by the thread sanitizer. Half of the pages are shared with a reference more. */
static void *taking(void *arg)
{
	struct sleeper s = {.w.fn = wake_sleeper,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.cond = PTHREAD_COND_INITIALIZER};
	uint64_t me = (uint64_t)(uintptr_t)arg, x = me * 7919;

	for (uint32_t i = 0; i < THREAD_ROUNDS; i++) {
		uint32_t n = 1 + (uint32_t)((x = x * 6364136223846793005u + 1442695040888963407u) >>
					    33) %
					 60;
		struct run mine[60];
		unsigned n_mine;
		uint32_t own;

		for (bool again = false;
			arena_take(a, ARENA_OPEN, NULL, n, i % 2, mine, 60, &n_mine, &own) != 0;
			again = true)
			sleep_until_woken(&s, n, again);
		for (unsigned r = 0; r < n_mine; r++) {
			arena_ref(a, mine[r].page, mine[r].n_pages / 2);
			for (uint32_t p = 0; p < mine[r].n_pages; p++)
				*(volatile uint64_t *)arena_ptr(a, mine[r].page + p) = me << 32 | i;
		}
		for (unsigned r = 0; r < n_mine; r++) {
			for (uint32_t p = 0; p < mine[r].n_pages; p++)
				check(*(volatile uint64_t *)arena_ptr(a, mine[r].page + p) ==
					(me << 32 | i));
			arena_unref(a, mine[r].page, mine[r].n_pages);
			if (mine[r].n_pages > 1)
				arena_unref_punch(a, mine[r].page, mine[r].n_pages / 2);
		}
	}
	return NULL;
}

static void threads(void **state)
{
	pthread_t t[THREADS];

	new_arena(THREAD_PAGES);
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, taking, (void *)(i + 1)), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	all_back();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_walk),
		cmocka_unit_test(threads),
	};

	return cmocka_run_group_tests_name("arena-walk", tests, NULL, NULL);
}
