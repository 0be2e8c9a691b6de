/* counter.h - counters, one block a reactor, no lock and no atomic on the hot path.
 *
 * Each thread that counts owns a block (counters_enter()); count() adds to the calling thread's
 * block. counters_print() sums all blocks: values are monotone, a reader may be a little behind. */
#pragma once

#include <stdint.h>
#include <stdio.h>

enum counter {
#define COUNTER(e, name, label, text) CTR_##e,
#include "counter.tbl"
#undef COUNTER
#define REFUSAL(e, label, ...) CTR_REFUSED_##e,
#include "refusal.tbl"
#undef REFUSAL
	N_COUNTERS
};

struct counters {
	_Alignas(64) uint64_t v[N_COUNTERS];
	struct counters *next;
};

extern _Thread_local struct counters *counters; /* never NULL: a spare block until counters_enter() */

static inline void count(enum counter c, uint64_t n)
{
	/* One writer a block: a relaxed load and store is enough, and readers see whole words. */
	__atomic_store_n(&counters->v[c], counters->v[c] + n, __ATOMIC_RELAXED);
}

void counters_enter(struct counters *block); /* borrows block until counters_leave() */
void counters_leave(struct counters *block); /* its values stay in the sum */
uint64_t counter_sum(enum counter c);
void counters_print(FILE *f);
