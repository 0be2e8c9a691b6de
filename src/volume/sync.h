/* sync.h - which commits of a file volume are under way, and flushes.
 *
 * Commits are numbered as they are made. A flush waits for those that are older than itself and for
 * no others, so that writers cannot keep it waiting. Writes are durable when they end; punched and
 * zeroed ranges are `loose` until a flush of the backend that began later has succeeded. What is
 * dirty in the range is the writer's part of a flush. */
#pragma once

#include "work.h"

void sync_init(struct vol_sync *s);
void sync_deinit(struct vol_sync *s);
void sync_begin(struct vol_work *w);		      /* a commit; under the map's locks */
void sync_end(struct vol_work *w, struct list *home); /* flushes that may go on are added */
void sync_loosen(struct volume *v); /* something changed that is not durable by itself */
/* sync_wait - w->resume when all commits up to now have ended; at once if so. */
void sync_wait(struct vol_work *w);
/* sync_flush - then end(w, error) when all that changed is durable. */
void sync_flush(struct vol_work *w, void (*end)(struct vol_work *, int));
