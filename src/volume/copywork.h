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
	bool no_clone;     /* it was tried, and failed */
	bool settled;      /* what was dirty in the destination has been flushed */
};

static inline uint64_t copy_source(const struct vol_work *w, uint64_t at)
{
	return at - w->op->off + w->copy->from_off;
}

/* clone_may - can the present step, as far as it consists of whole pages, be tried? clone_step - it is: w->committed()
 * when it has ended, with an error maybe, in which case the step must go another way. */
enum clone_end {
	CLONE_WAITS,
	CLONE_UNSETTLED, /* something is dirty or under way in the destination */
	CLONE_NOT,
};
bool clone_may(const struct vol_work *w);
enum clone_end clone_step(struct vol_work *w);

/* copy_pages - the step's pages become w's fresh ones: shared, PAGE_ZERO, or fresh with the bytes copied;
 * w->first and w->n are set. iov holds the source's bytes; NULL: zeros. 0, VOL_FULL, -ENOMEM. */
int copy_pages(struct vol_work *w, const struct iovec *iov);
