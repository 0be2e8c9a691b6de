/* lines.h - which map lines may have pages of a kind (dirty, written): a bit a line, and where to
 * look for the next.
 *
 * A leaf has 64 lines, so its bits are one word, changed under the leaf's lock of the map. Above it
 * stand two levels of a bit a word, changed by atomics, so that a walk over a sparse volume of a
 * PiB steps over what is empty. Whoever sets a word's first bit marks it above; whoever empties it
 * takes the mark away and looks again: one of the two sees the other. */
#pragma once

#include "map.h"

struct lines {
	uint64_t *leaf; /* under the leaf's lock */
	uint64_t *some; /* atomic: a bit a leaf */
	uint64_t *more; /* atomic: a bit a word of `some` */
	uint64_t n_leaves;
};

int lines_init(struct lines *l, uint64_t n_leaves); /* -ENOMEM */
void lines_deinit(struct lines *l);		    /* safe to call twice */

void lines_mark(struct lines *l, uint64_t leaf);
/* lines_set - the line of page `at` has some; under its lock. */
static inline void lines_set(struct lines *l, uint64_t at)
{
	uint64_t leaf = at / MAP_LEAF_PAGES, was = l->leaf[leaf];

	l->leaf[leaf] = was | 1ull << at % MAP_LEAF_PAGES / MAP_LINE_PAGES;
	if (unlikely(!was))
		lines_mark(l, leaf);
}
/* lines_keep - the leaf's lines are now these; under its lock. */
void lines_keep(struct lines *l, uint64_t leaf, uint64_t bits);
#define LINES_NONE UINT64_MAX
/* lines_next - the first leaf from `leaf` on that may have some; LINES_NONE. No lock. */
uint64_t lines_next(const struct lines *l, uint64_t leaf);
