/* map.h - from map line to eight entries, and the locks over it.
 *
 * A map line is eight pages of the volume and eight entries of 64 bits: one cache line. 64 lines
 * are a leaf: 2 MiB of the volume, 4 KiB of map, one lock. The entries lie in one array that the
 * system fills in on demand (a mapping without reserve), so that finding an entry is one addition,
 * nothing is allocated on the way, and a leaf that holds nothing but ENTRY_HOME is given back by
 * map_trim(). 1 PiB of volume takes 2 TiB of address space and no memory until it is used.
 *
 * An entry's low byte is its state, then flags; the high half is a page number, or the upper 56 bits
 * are the address of the page's record while backend I/O is under way (ENTRY_BUSY).
 *
 * Lock order: the cache's lock, then shards in ascending order of shard number, then the arena's.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include "check.h"
#include "lock.h"

typedef uint64_t entry_t;

enum entry_state {
	ENTRY_HOME,  /* not here: zeros (RAM: `zero`), or what the backend holds (`backend`) */
	ENTRY_BUSY,  /* a page record knows (pageio.h) */
	/* A page, of which writer.h says more: */
	ENTRY_CLEAN,
	ENTRY_DIRTY,
	ENTRY_WRITTEN,
};
enum {
	ENTRY_USED = 1 << 8, /* read again since it came, or was last spared (cache.h) */
	ENTRY_NEW = 1 << 10, /* read ahead, and by nobody since (ahead.h) */
	ENTRY_MARK = 1 << 9, /* ENTRY_WRITTEN: which flush will cover it */
};

enum {
	MAP_LINE_PAGES = 8,
	MAP_LEAF_PAGES = 512, /* 64 lines */
	MAP_SHARDS = 1024,
};

static inline enum entry_state entry_state(entry_t e)
{
	return e & 0xff;
}

static inline entry_t entry_clean(uint32_t page)
{
	return (entry_t)page << 32 | ENTRY_CLEAN;
}

static inline bool entry_is_page(entry_t e)
{
	return (e & 0xff) >= ENTRY_CLEAN;
}

/* Dirty or written: it has a record in the ledger. */
static inline bool entry_is_unclean(entry_t e)
{
	return (e & 0xff) > ENTRY_CLEAN;
}

static inline entry_t entry_dirty(uint32_t page)
{
	return (entry_t)page << 32 | ENTRY_DIRTY;
}

static inline uint32_t entry_page(entry_t e)
{
	return (uint32_t)(e >> 32);
}

static inline entry_t entry_busy(const void *rec)
{
	return (entry_t)(uintptr_t)rec << 8 | ENTRY_BUSY;
}

static inline void *entry_rec(entry_t e)
{
	return (void *)(uintptr_t)(e >> 8);
}

struct map_shard {
	_Alignas(64) struct lock lock;
	bool turn_taken; /* a writer that failed thrice is at work: other writers wait for `turn` */
	pthread_mutex_t turn;
};

struct map {
	entry_t *entries;
	uint16_t *n_used; /* a leaf: entries that are not ENTRY_HOME */
	struct map_shard *shards;
	uint64_t n_pages, n_leaves;
	uint64_t total_used; /* atomic */
	unsigned n_shards;   /* a power of two */
};

int map_init(struct map *m, uint64_t n_pages);
void map_deinit(struct map *m); /* safe to call twice */

/* map_only_shard - the one of a range that lies in one leaf, as most do; else NULL. */
static inline struct map_shard *map_only_shard(struct map *m, uint64_t first, uint64_t n)
{
	uint64_t leaf = first / MAP_LEAF_PAGES;

	slow_check(n && first + n <= m->n_pages);
	return likely((first + n - 1) / MAP_LEAF_PAGES == leaf)
		       ? &m->shards[leaf & (m->n_shards - 1)]
		       : NULL;
}

/* map_lock - all shards of a range of pages, at most 2 * MAP_SHARDS leaves less one. */
void map_lock_span(struct map *m, uint64_t first, uint64_t n);
void map_unlock_span(struct map *m, uint64_t first, uint64_t n);
static inline void map_lock(struct map *m, uint64_t first, uint64_t n)
{
	struct map_shard *only = map_only_shard(m, first, n);

	if (only)
		lock_take(&only->lock);
	else
		map_lock_span(m, first, n);
}
static inline void map_unlock(struct map *m, uint64_t first, uint64_t n)
{
	struct map_shard *only = map_only_shard(m, first, n);

	if (only)
		lock_leave(&only->lock);
	else
		map_unlock_span(m, first, n);
}
/* map_lock_write - the same for who will commit: waits while somebody else has the writer's turn.
 */
void map_lock_write(struct map *m, uint64_t first, uint64_t n, bool have_turn);
/* map_take_turn - until map_give_turn() nobody else commits in the leaves of the range. For who has
 * failed often to commit an optimistic merge; held over a copy of a few KiB, never over I/O. */
void map_take_turn(struct map *m, uint64_t first, uint64_t n);
void map_give_turn(struct map *m, uint64_t first, uint64_t n);

/* Under the lock: */
static inline entry_t map_get(const struct map *m, uint64_t at)
{
	return m->entries[at];
}

/* map_soon - the entry will be asked for; without the lock. */
static inline void map_soon(const struct map *m, uint64_t at)
{
	__builtin_prefetch(&m->entries[at], 1);
}

static inline void map_set(struct map *m, uint64_t at, entry_t e)
{
	entry_t *p = &m->entries[at];

	if (unlikely((*p == ENTRY_HOME) != (e == ENTRY_HOME))) {
		int by = e == ENTRY_HOME ? -1 : 1;

		m->n_used[at / MAP_LEAF_PAGES] += by;
		__atomic_add_fetch(&m->total_used, (int64_t)by, __ATOMIC_RELAXED);
	}
	*p = e;
}

void map_trim(struct map *m, uint64_t at); /* the leaf of `at` is given back when it is empty */
