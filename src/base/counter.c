/* counter.c - the blocks of all threads, and their sum.
 *
 * A block is written by its owner alone. What threads without a block count, and what blocks that
 * left have counted, is in `shared`, which is written by atomic additions. So a sum under the lock
 * sees each count once: in a listed block, or in `shared`. */
#include <pthread.h>
#include <stdlib.h>
#include "check.h"
#include "counter.h"

static const struct {
	const char *name, *label;
} names[N_COUNTERS] = {
#define COUNTER(e, n, l, text) [CTR_##e] = {n, l},
#include "counter.tbl"
#undef COUNTER
#define REFUSAL(e, l, ...) [CTR_REFUSED_##e] = {"refused_pdus", l},
#include "refusal.tbl"
#undef REFUSAL
};

static struct counters shared;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct counters *blocks; /* under lock */

_Thread_local struct counters *counters;

void count_shared(enum counter c, uint64_t n)
{
	__atomic_fetch_add(&shared.v[c], n, __ATOMIC_RELAXED);
}

void counters_enter(struct counters *block)
{
	check(!counters);
	pthread_mutex_lock(&lock);
	block->next = blocks;
	blocks = block;
	pthread_mutex_unlock(&lock);
	counters = block;
}

void counters_leave(struct counters *block)
{
	struct counters **at = &blocks;

	pthread_mutex_lock(&lock);
	while (*at && *at != block)
		at = &(*at)->next;
	check(*at);
	*at = block->next;
	block->next = NULL;
	for (unsigned c = 0; c < N_COUNTERS; c++) {
		count_shared(c, block->v[c]);
		block->v[c] = 0; /* entered again, it starts afresh */
	}
	pthread_mutex_unlock(&lock);
	if (counters == block)
		counters = NULL;
}

static uint64_t sum_locked(enum counter c)
{
	uint64_t sum = __atomic_load_n(&shared.v[c], __ATOMIC_RELAXED);

	for (const struct counters *b = blocks; b; b = b->next)
		sum += __atomic_load_n(&b->v[c], __ATOMIC_RELAXED);
	return sum;
}

uint64_t counter_sum(enum counter c)
{
	uint64_t sum;

	pthread_mutex_lock(&lock);
	sum = sum_locked(c);
	pthread_mutex_unlock(&lock);
	return sum;
}

void counters_print(FILE *f)
{
	uint64_t sums[N_COUNTERS];

	pthread_mutex_lock(&lock); /* not held while a slow reader of f makes us wait */
	for (unsigned c = 0; c < N_COUNTERS; c++)
		sums[c] = sum_locked(c);
	pthread_mutex_unlock(&lock);
	for (unsigned c = 0; c < N_COUNTERS; c++) {
		if (names[c].label[0])
			fprintf(f, "%s{%s} %llu\n", names[c].name, names[c].label,
				(unsigned long long)sums[c]);
		else
			fprintf(f, "%s %llu\n", names[c].name, (unsigned long long)sums[c]);
	}
}
