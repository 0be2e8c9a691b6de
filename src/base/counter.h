/* counter.h - counters, one block a reactor, no lock and no atomic on the hot path.
 *
 * Each thread that counts much owns a block (counters_enter()); count() adds to the calling thread's
 * block, and for a thread that has none to a shared one. counters_print() sums all blocks: values are
 * monotone, a reader may be a little behind. */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include "check.h"

enum counter {
#define COUNTER(e, name, label, text) CTR_##e,
#include "counter.tbl"
#undef COUNTER
#define REFUSAL(e, label, ...) CTR_REFUSED_##e,
#include "refusal.tbl"
#undef REFUSAL
	N_COUNTERS,
	CTR_REFUSED_FIRST = CTR_REFUSED_TAG_FOREIGN /* the rows of refusal.tbl follow each other from here */
};

struct counters {
	_Alignas(64) uint64_t v[N_COUNTERS];
	struct counters *next;
};

extern _Thread_local struct counters *counters; /* NULL outside counters_enter() and _leave() */

void count_shared(enum counter c, uint64_t n); /* for threads without a block: an atomic addition */

static inline void count(enum counter c, uint64_t n)
{
	struct counters *own = counters;

	if (unlikely(!own)) {
		count_shared(c, n);
		return;
	}
	/* One writer a block: a relaxed load and store is enough, and readers see whole words. */
	__atomic_store_n(&own->v[c], own->v[c] + n, __ATOMIC_RELAXED);
}

void counters_enter(struct counters *block); /* borrows a zeroed block until counters_leave() */
/* counters_leave - on the thread that entered, or after it has ended; the values stay in the sum. */
void counters_leave(struct counters *block);
uint64_t counter_sum(enum counter c);
void counters_print(FILE *f);
