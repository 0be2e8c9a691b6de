/* copywork.h - inside the volume room: what a volume_copy() keeps between its steps (copy.c), and how the
 * pages of one step are made (copypages.c). */
#pragma once

#include "work.h"

enum {
	COPY_STEP = 256,  /* pages: with the source's, 64 map lines a turn */
	COPY_LEAST = 8,   /* a step is not made shorter for want of pages */
	COPY_AGAIN = 8,   /* times that a copy begins anew because a flush failed */
	COPY_COLD = 16,   /* pages in a row that are not in the cache, to be treated apart */
};

struct copy {
	struct volume *from;
	uint64_t from_off; /* of byte op->off */
	uint64_t lo, hi;   /* bytes of the destination: the present step */
	uint32_t most;     /* pages of a step */
	bool backward;     /* from the end, since the source would be overwritten before it is read */
	bool cold;         /* nothing of the step's source is in the cache */
	bool loose;        /* something is durable by a flush only */
};

static inline uint64_t copy_source(const struct vol_work *w, uint64_t at)
{
	return at - w->op->off + w->copy->from_off;
}

/* copy_pages - the step's pages become w's fresh ones: shared, PAGE_ZERO, or fresh with the bytes copied;
 * w->first and w->n are set. iov holds the source's bytes; NULL: zeros. 0, VOL_FULL, -ENOMEM. */
int copy_pages(struct vol_work *w, const struct iovec *iov);
