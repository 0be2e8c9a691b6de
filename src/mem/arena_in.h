/* arena_in.h - the arena from inside: what its files share, and nobody else sees.
 *
 *   arena.c    the memory itself: made, grown, adopted, looked at
 *   pages.c    pages are taken, referred to and given back; their checksums
 *   huge.c     where a thin arena grows by huge pages
 *   admit.c    who may take how many: promises, and who waits for pages
 *
 * A page's life:
 *   free      its bit in the run map is set, no reference
 *   taken     bit clear, references >= 1
 *   between   bit clear, no reference: only inside arena_unref(), which has seen the last reference
 *             go and is the only one to know; here pages are punched, so nobody can take them meanwhile
 *
 * References are plain 32-bit words beside the pages, changed by atomics and without the lock.
 * Counts under the lock: free_pages(), n_granted (the sum over quotas), n_promised (of it, not
 * taken). A promise may for a while exceed the free pages: a landing that is committed leaves its
 * quota while its pages stay taken until what they replace is given back. Then open is 0, and a
 * quota's take may find the arena full and wait; nothing is ever handed out twice. */
#pragma once

#include "arena.h"
#include "check.h"
#include "huge.h"
#include "lock.h"
#include "runmap.h"
#include "stash.h"

enum { WAIT_OPEN, WAIT_QUOTA, WAIT_MERGE, N_WAITS };

struct arena {
	char *base;
	uint32_t *refs;
	uint32_t *sums; /* atomic; NULL: nobody wants them */
	enum arena_kind kind;
	int fd;
	bool fd_lent;
	uint64_t fd_at;
	uint64_t n_pages, n_merge, n_content;

	_Alignas(64) struct lock lock; /* for all below */
	struct runmap map;             /* free pages, but for those in the stash */
	struct stash stash;
	struct huge huge;              /* of thin arenas */
	uint64_t n_granted, n_promised;
	unsigned n_quotas;
	uint64_t n_kept; /* pages that stay taken for ever */
	uint64_t n_absent;
	uint32_t n_waiting; /* written under the lock; arena_waited() looks without */
	struct list waits[N_WAITS];
	uint64_t n_bytes; /* reserved of the system */
	char name[32];
};

/* --- admission; under the lock --- */

static inline uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static inline uint64_t free_pages(const struct arena *a)
{
	return a->map.n_free + a->stash.n_pages;
}

/* by_now - a part of the arena, while not all of it has memory. */
static inline uint64_t by_now(const struct arena *a, uint64_t n)
{
	return likely(!a->n_absent) ? n : n * (a->n_pages - a->n_absent) / a->n_pages;
}

static inline uint64_t open_pages(const struct arena *a)
{
	return less(free_pages(a), a->n_promised + by_now(a, a->n_merge));
}

static inline uint32_t quota_left(const struct quota *q)
{
	return q && q->a ? q->n_granted - q->n_used : 0;
}

/* arena_admits - may n pages be taken now? `gone`: free pages that are as good as taken. */
bool arena_admits(const struct arena *a, enum arena_right right, const struct quota *q, uint32_t n, uint64_t gone);

/* settle - n pages that came out of the quota are promised to it again. */
static inline void settle(struct arena *a, struct quota *q, uint32_t n)
{
	check(n <= q->n_used);
	q->n_used -= n;
	a->n_promised += n;
}

/* --- waiting; under the lock --- */

/* arena_wake - whoever can be served now is told, one after the other; the lock goes meanwhile. */
void arena_wake(struct arena *a);

static inline void unlock_and_wake(struct arena *a)
{
	if (unlikely(a->n_waiting > 0))
		arena_wake(a);
	lock_leave(&a->lock);
}
