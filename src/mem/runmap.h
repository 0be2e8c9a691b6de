/* runmap.h - which pages are free, and where the lowest free run of a wanted length starts.
 *
 * Pure: numbers only, no page is touched, no lock. See runmap.c for how. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct runmap {
	uint64_t *bits; /* a word a leaf: bit set = page free */
	struct runmap_node
		*node;	   /* heap order: node[1] is the root, the leaves start at node[n_leaves] */
	uint32_t n_leaves; /* a power of two */
	uint32_t first;	   /* no leaf before this one has a free page */
	uint64_t n_pages, n_free;
};

enum { RUNMAP_LINE = 8 }; /* what "aligned" means below, in pages */
#define RUNMAP_NONE UINT32_MAX

int runmap_init(struct runmap *m, uint64_t n_pages); /* all free; n_pages < 2^32; -ENOMEM */
void runmap_deinit(struct runmap *m);		     /* safe to call twice */

/* runmap_longest - the length of the longest free run (of those that start on a line); 0: none. */
uint32_t runmap_longest(const struct runmap *m, bool aligned);
/* runmap_find - the lowest page at which (at least) n >= 1 free pages start; RUNMAP_NONE. */
uint32_t runmap_find(struct runmap *m, uint32_t n, bool aligned);
void runmap_take(struct runmap *m, uint32_t page, uint32_t n); /* all of them must be free */
void runmap_give(struct runmap *m, uint32_t page, uint32_t n); /* none of them may be free */
bool runmap_is_free(const struct runmap *m, uint32_t page);
void runmap_check(const struct runmap *m); /* walks everything */
