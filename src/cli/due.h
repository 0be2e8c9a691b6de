/* due.h - when the requests of one thread are due under --rate: evenly, from a beginning on, whatever the target does.
 *
 * The thread is one of several that share the rate; the request number n of all is due n / rate seconds after the
 * beginning, and each thread has every so-many-th of them. What could not begin in time stays due: so the rate is kept
 * as long as the target can, and the time since a request was due holds all waiting for those before it, which
 * the time since it began does not (that of a load which waits for its answers). */
#pragma once

#include <stdint.h>

struct due {
	uint64_t begin_ns, rate; /* of all threads together; 0: no limit */
	uint64_t next, step;     /* numbers of requests */
};

static inline void due_init(struct due *d, uint64_t rate, unsigned thread, uint64_t n_threads, uint64_t now_ns)
{
	*d = (struct due){.begin_ns = now_ns, .rate = rate, .next = thread, .step = n_threads};
}

/* due_ns - of the next one; without a rate it always was. */
static inline uint64_t due_ns(const struct due *d)
{
	if (!d->rate)
		return 0;
	return d->begin_ns + (uint64_t)((unsigned __int128)d->next * 1000000000u / d->rate);
}

static inline void due_took(struct due *d)
{
	d->next += d->step;
}
