/* stash.h - short runs given back lately, kept for the next taker of the same length.
 *
 * A random overwrite takes a page and, at commit, gives the replaced one back. Told to the run map
 * both climb its whole tree, for nothing: the second undoes the first. Here they cost a few steps,
 * and the page that comes back is still in the cache. The map does not know of what lies here, so
 * whoever asks it for anything drains the stash first: nothing is ever missed for being stashed. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "runmap.h"

enum { STASH_RUN = 8, STASH_ROOM = 32 };

struct stash {
	uint64_t n_pages; /* in all */
	uint32_t n[STASH_RUN];
	uint32_t page[STASH_RUN]
		     [STASH_ROOM]; /* page[k]: first pages of runs of k + 1, the latest last */
};

static inline bool stash_take(struct stash *s, uint32_t n, bool aligned, uint32_t *pagep)
{
	uint32_t k = n - 1;

	if (k >= STASH_RUN || s->n[k] == 0)
		return false;
	*pagep = s->page[k][s->n[k] - 1];
	if (aligned && *pagep % RUNMAP_LINE != 0)
		return false;
	s->n[k]--;
	s->n_pages -= n;
	return true;
}

static inline bool stash_put(struct stash *s, uint32_t page, uint32_t n)
{
	uint32_t k = n - 1;

	if (k >= STASH_RUN || s->n[k] == STASH_ROOM)
		return false;
	s->page[k][s->n[k]++] = page;
	s->n_pages += n;
	return true;
}

static inline void stash_drain(struct stash *s, struct runmap *m)
{
	for (uint32_t k = 0; s->n_pages > 0 && k < STASH_RUN; k++) {
		s->n_pages -= (uint64_t)s->n[k] * (k + 1);
		while (s->n[k] > 0)
			runmap_give(m, s->page[k][--s->n[k]], k + 1);
	}
}
