/* lock.h - a lock for some hundred instructions, in one word: taken and left without a call while nobody
 * is in the way.
 *
 * Zeroed memory is a free lock. Who finds it taken looks again for a while and then sleeps. How often
 * either happens is counted (lock_waits), so that contention shows. Not recursive; no thread may end with it. */
#pragma once

#include <stdint.h>
#include "check.h"

struct lock {
	uint32_t word; /* 0: free; 1: taken; 2: taken, and somebody may sleep */
};

void lock_wait(struct lock *l); /* the two slow halves */
void lock_wake(struct lock *l);

static inline void lock_take(struct lock *l)
{
	uint32_t none = 0;

	if (unlikely(!__atomic_compare_exchange_n(
		    &l->word, &none, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)))
		lock_wait(l);
}

static inline void lock_leave(struct lock *l)
{
	if (unlikely(__atomic_exchange_n(&l->word, 0, __ATOMIC_RELEASE) == 2))
		lock_wake(l);
}
