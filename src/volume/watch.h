/* watch.h - have some ranges of a volume changed since a moment?
 *
 * A watch sees every change from volume_watch() on, however it comes about, at the instant at which readers see it: what
 * was pinned or read before watch_changed() says no is what the ranges held at that moment. It is told once.
 *
 * Thread: any. A commit to a volume that nobody watches pays for one look at a word. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "list.h"

struct volume;

struct watch_range {
	uint64_t off, len; /* bytes */
};

struct watch {
	struct list link;       /* of the volume, until something changed */
	struct volume *v;
	uint32_t n_refs;        /* atomic */
	uint32_t changed;       /* atomic */
	uint64_t first, end;    /* all ranges lie within */
	unsigned n;
	struct watch_range ranges[];
};

/* volume_watch - NULL: no memory. One reference. */
struct watch *volume_watch(struct volume *v, const struct watch_range *ranges, unsigned n);
struct watch *watch_get(struct watch *w); /* w; NULL stays NULL */
struct watch *watch_put(struct watch *w); /* NULL; the last one while the volume is there */
static inline bool watch_changed(const struct watch *w)
{
	return __atomic_load_n(&w->changed, __ATOMIC_ACQUIRE);
}

/* volume_changed - the bytes are others now: tell all watches but one (NULL: all). Under the map's locks of the range where it
 * is a commit. */
void volume_changed(struct volume *v, uint64_t off, uint64_t len, const struct watch *but);
