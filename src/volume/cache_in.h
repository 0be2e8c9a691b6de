/* cache_in.h - the cache from inside: what its files share, and nobody else sees.
 *
 *   cache.c    its life, who gives way, the open pages
 *   owner.c    whose content a page is: slots and sharers
 *   starve.c   who waits for pages, and who is asked for them
 *
 * A slot says whose content a page is. It is written under the map's lock by who puts the page in,
 * and read by who evicts without it, so it is a hint: it counts only when, under that volume's lock,
 * the entry it leads to names this very page. Slots of pages that left a map otherwise are stale
 * and harmless, and so are their places in the policy's queues: a page gets a new one whenever it enters a
 * map. Volumes do not go while pages are evicted: both hold `lock`.
 *
 * A page that volume_copy() has put into several entries has a slot for one of them; the others are
 * its sharers, in a chain that begins at more[page] (an index into the pool), and the slot's `at`
 * has the bit MORE. When the slot's entry gives way a sharer takes the slot. */
#pragma once

#include "cache.h"
#include "policy.h"

struct slot {
	struct volume *v; /* NULL: nobody's */
	uint64_t at;      /* with MORE */
};
#define MORE (1ull << 63) /* it has sharers */

struct sharer {
	struct volume *v;
	uint64_t at;
	uint32_t next; /* 0: none */
};

struct cache {
	struct list link;
	unsigned n_refs;
	uint32_t n_numbers; /* atomic */
	struct arena *arena;
	struct slot *slots;
	uint32_t n_slots, n_keep_open;

	pthread_mutex_t lock; /* one evicts; and volumes that go */

	pthread_mutex_t order_lock; /* innermost */
	struct policy policy;

	pthread_mutex_t share_lock; /* the three below; innermost but for the arena's */
	uint32_t *more;             /* a page: its first sharer; 0: none */
	struct sharer *pool;        /* [0] is not used */
	uint32_t n_pool, free_sharer;

	uint32_t n_holders; /* atomic, as the three below */
	uint32_t n_borrowed;
	uint32_t n_starved;
	uint32_t n_wanted;
	pthread_mutex_t starve_lock;
	struct list starved;
	pthread_mutex_t writers_lock;
	struct list writers;
};

/* What ghosts know a page by. */
uint64_t owner_id(const struct volume *v, uint64_t at);
/* owner_promote - the slot's owner has none of it any more: a sharer takes its place. False: there is none. */
bool owner_promote(struct cache *c, uint32_t page);
