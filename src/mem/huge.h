/* huge.h - huge pages for a thin arena: where it grows, not where it is given back.
 *
 * An arena of thin volumes is to cost what was written. Left to the system, huge pages would break that: a
 * first 4 KiB would cost 2 MiB, and what was given back would return when the system collapses what is left. But
 * such an arena takes its lowest free pages first and so grows dense. Therefore the mapping is kept to
 * small pages, and a block (2 MiB, aligned) of which no page has memory is opened to huge pages for the one moment
 * at which its first page is taken; not before HUGE_FROM pages have memory, so that a small disk stays
 * small. The first piece given back of a block that came whole is split off before, or the system would keep all of
 * the block until it is short of memory. A system that has no huge page free, or is told never to, gives a small
 * one: nobody minds. The arena costs one block more than was written, at most.
 *
 * A bit for each page says that it has memory, or may have. huge_take() and huge_punch() are called under the
 * arena's lock; huge_open() and huge_split() are system calls, on pages that are the caller's alone, without it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
	HUGE_BLOCK = 512, /* pages */
	HUGE_FROM = 512,  /* pages with memory */
	HUGE_OPENS = 8,   /* blocks that one take opens; further ones come in small pages */
};

struct huge {
	char *base;    /* NULL: not for this arena; all calls do nothing */
	uint64_t *has; /* a bit a page */
	bool *whole;   /* a block: it was opened, and nothing of it was given back since; atomic */
	uint64_t n_pages, n_has;
};

/* Pages of blocks that are to be opened before anything is written to them. */
struct huge_opens {
	uint32_t page[HUGE_OPENS];
	unsigned n;
};

int huge_init(struct huge *h, void *base, uint64_t n_pages); /* base starts on a block; -ENOMEM */
void huge_deinit(struct huge *h);			     /* safe to call twice */

void huge_take(struct huge *h, uint32_t page, uint32_t n, struct huge_opens *o); /* adds to *o */
void huge_open(const struct huge *h, const struct huge_opens *o);
void huge_split(const struct huge *h, uint32_t page, uint32_t n); /* before the memory goes */
void huge_punch(struct huge *h, uint32_t page, uint32_t n);	  /* it is gone */
