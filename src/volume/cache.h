/* cache.h - clean pages of file volumes in the arena that they share, and who gives way.
 *
 * One cache an arena, shared by all file volumes on it. A page enters a volume's map when it has
 * been read, or written through; the cache notes whose it is. policy.h says which page is the next to go:
 * one that was read again since (ENTRY_USED) is spared, one that somebody pins is left alone, the others
 * leave the map. What came one after the other leaves so, and was mostly given out in one run.
 *
 * Some pages are kept open at all times (cache_tidy), so that landings and promises find room
 * without a scan. When there is none: a landing is told VOL_FULL and waits at the arena; a fetch (a
 * read, or the base of a partial page) holds nothing and is starved here. Whoever gives something
 * back calls cache_event(), which evicts for both.
 *
 * Thread: every call from any thread, with no lock of the map held (except cache_note). */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "arena.h"

struct cache;
struct vol_work;
struct volume;
struct writer;

int cache_get(struct cache **cp, struct arena *a); /* -ENOMEM */
/* cache_number - a number for a volume, which no other has: not its address, so that the same run is the same. */
uint32_t cache_number(struct cache *c);
struct cache *cache_put(struct cache *c);	   /* NULL */

/* cache_note - the page is now the content of page `at` of v; under the map's lock. */
void cache_note(struct cache *c, uint32_t page, struct volume *v, uint64_t at);
/* cache_share - the same, of a page that may be the content of others as well: false, there are too many to remember.
 * The page stays while any of them has it; when its time comes all of them lose it. */
bool cache_share(struct cache *c, uint32_t page, struct volume *v, uint64_t at);
/* cache_drop - pages that somebody read once, and nobody since, leave. */
void cache_drop(struct cache *c, struct volume *v, uint64_t first, uint32_t n);
/* cache_forget - the volume goes: its pages are not the cache's any more. */
void cache_forget(struct cache *c, struct volume *v);

/* cache_make_room - evict n pages, or as many as can be; how many. Looks at each a few times at most. */
uint32_t cache_make_room(struct cache *c, uint32_t n);
/* cache_spare - may n pages be taken for what nobody waits for? Not while somebody wants memory. */
bool cache_spare(struct cache *c, uint32_t n);
/* cache_tidy - a few steps towards the open pages that there should be. */
void cache_tidy(struct cache *c);

/* Writers hear when memory is wanted that only they can set free. */
void cache_add_writer(struct cache *c, struct writer *w);
void cache_remove_writer(struct cache *c, struct writer *w);
/* cache_want - a landing did not get its n pages. */
void cache_want(struct cache *c, uint32_t n);
/* cache_starve - w->resume() comes when there may be pages; false: nothing holds any that could
 * come back. */
bool cache_starve(struct cache *c, struct vol_work *w, bool front);
/* cache_hold, cache_release - somebody has pages that will come back: an extent under way, a
 * landing, a pinned read. cache_release() is an event. */
void cache_hold(struct cache *c);
void cache_release(struct cache *c);
void cache_event(struct cache *c);

/* cache_borrow - may a read take n pages out of the merges' reserve, when landings hold all others?
 * Reads together get a thirty-second of the arena, half of what the reserve should be, so that
 * merges always go on. cache_repay() when they are pinned no longer. */
bool cache_borrow(struct cache *c, uint32_t n);
void cache_repay(struct cache *c, uint32_t n);
