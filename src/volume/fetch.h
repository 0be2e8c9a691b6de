/* fetch.h - what only the backend has is brought in: for a work that lacks it, or before anybody asks. */
#pragma once

#include "work.h"

/* fetch_run - bring in what w lacks, for its pins (a read) or its bases (a commit).
 * FETCH_AGAIN: look again now. FETCH_WAITS: w->resume comes. VOL_FULL, -errno: it cannot be had. */
enum { FETCH_AGAIN = 200, FETCH_WAITS };
int fetch_run(struct vol_work *w);
/* fetch_starve - w->resume when there may be pages: FETCH_WAITS, or VOL_FULL. */
int fetch_starve(struct vol_work *w);
/* fetch_missing - how many of these pages only the backend has. */
uint32_t fetch_missing(struct volume *v, uint64_t first, uint32_t n);
/* fetch_ahead - read n pages, at most ARENA_MAX_RUN, into the cache as far as they are not there; nobody waits. How
 * many. */
uint32_t fetch_ahead(struct volume *v, struct io *io, uint64_t first, uint32_t n);
