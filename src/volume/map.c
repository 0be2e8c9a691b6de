/* map.c - the entries' memory and the shard locks (see map.h).
 *
 * A range of leaves is a range of shard numbers that may wrap around: the wrapped part has the
 * lower numbers and is locked first. A range of n_shards leaves and more takes them all. */
#include "map.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

static void *map_memory(uint64_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	/* One used leaf must not cost 2 MiB. */
	madvise(p, len, MADV_NOHUGEPAGE);
	return p;
}

static int shards_init(struct map *m)
{
	unsigned n = 1;

	while (n < MAP_SHARDS && n < m->n_leaves)
		n *= 2;
	m->shards = aligned_alloc(_Alignof(struct map_shard), n * sizeof(struct map_shard));
	if (!m->shards)
		return -ENOMEM;
	m->n_shards = n;
	for (unsigned i = 0; i < n; i++) {
		m->shards[i].lock = (struct lock){0};
		pthread_mutex_init(&m->shards[i].turn, NULL);
		m->shards[i].turn_taken = false;
	}
	return 0;
}

int map_init(struct map *m, uint64_t n_pages)
{
	*m = (struct map){
		.n_pages = n_pages,
		.n_leaves = (n_pages + MAP_LEAF_PAGES - 1) / MAP_LEAF_PAGES,
	};
	m->entries = map_memory(m->n_leaves * MAP_LEAF_PAGES * sizeof(entry_t));
	m->n_used = map_memory(m->n_leaves * sizeof(uint16_t));
	if (!m->entries || !m->n_used || shards_init(m)) {
		map_deinit(m);
		return -ENOMEM;
	}
	return 0;
}

void map_deinit(struct map *m)
{
	if (m->entries)
		munmap(m->entries, m->n_leaves * MAP_LEAF_PAGES * sizeof(entry_t));
	if (m->n_used)
		munmap(m->n_used, m->n_leaves * sizeof(uint16_t));
	for (unsigned i = 0; i < m->n_shards; i++) {
		pthread_mutex_destroy(&m->shards[i].turn);
	}
	free(m->shards);
	*m = (struct map){0};
}

/* The shards of a range, as two ascending pieces: [0, n_low) and [high, high + n_high). */
struct shard_span {
	unsigned n_low, high, n_high;
};

static struct shard_span span_of(const struct map *m, uint64_t first, uint64_t n)
{
	uint64_t leaf = first / MAP_LEAF_PAGES;
	uint64_t n_leaves = (first + n - 1) / MAP_LEAF_PAGES - leaf + 1;
	unsigned shard = leaf & (m->n_shards - 1);

	if (n_leaves >= m->n_shards)
		return (struct shard_span){0, 0, m->n_shards};
	if (shard + n_leaves <= m->n_shards)
		return (struct shard_span){0, shard, n_leaves};
	return (struct shard_span){shard + n_leaves - m->n_shards, shard, m->n_shards - shard};
}

static bool span_each(const struct map *m, struct shard_span s, bool (*fn)(struct map_shard *))
{
	bool any = false;

	for (unsigned i = 0; i < s.n_low; i++)
		any |= fn(&m->shards[i]);
	for (unsigned i = 0; i < s.n_high; i++)
		any |= fn(&m->shards[s.high + i]);
	return any;
}

static bool shard_lock(struct map_shard *s)
{
	lock_take(&s->lock);
	return s->turn_taken;
}

static bool shard_unlock(struct map_shard *s)
{
	lock_leave(&s->lock);
	return false;
}

void map_lock_span(struct map *m, uint64_t first, uint64_t n)
{
	span_each(m, span_of(m, first, n), shard_lock);
}

void map_unlock_span(struct map *m, uint64_t first, uint64_t n)
{
	span_each(m, span_of(m, first, n), shard_unlock);
}

/* --- the writer's turn --- */
static bool shard_await_turn(struct map_shard *s)
{
	pthread_mutex_lock(&s->turn);
	pthread_mutex_unlock(&s->turn);
	return false;
}

static bool shard_take_turn(struct map_shard *s)
{
	pthread_mutex_lock(&s->turn);
	lock_take(&s->lock);
	s->turn_taken = true;
	lock_leave(&s->lock);
	return true;
}

static bool shard_give_turn(struct map_shard *s)
{
	lock_take(&s->lock);
	s->turn_taken = false;
	lock_leave(&s->lock);
	pthread_mutex_unlock(&s->turn);
	return false;
}

static bool lock_each(struct map *m, struct shard_span s, struct map_shard *only)
{
	return only ? shard_lock(only) : span_each(m, s, shard_lock);
}

void map_lock_write(struct map *m, uint64_t first, uint64_t n, bool have_turn)
{
	struct map_shard *only = map_only_shard(m, first, n);
	struct shard_span s = only ? (struct shard_span){0} : span_of(m, first, n);

	while (unlikely(lock_each(m, s, only) && !have_turn)) {
		map_unlock(m, first, n);
		span_each(m, span_of(m, first, n), shard_await_turn);
	}
}

void map_take_turn(struct map *m, uint64_t first, uint64_t n)
{
	span_each(m, span_of(m, first, n), shard_take_turn);
}

void map_give_turn(struct map *m, uint64_t first, uint64_t n)
{
	span_each(m, span_of(m, first, n), shard_give_turn);
}

void map_trim(struct map *m, uint64_t at)
{
	uint64_t leaf = at / MAP_LEAF_PAGES;

	if (m->n_used[leaf] == 0)
		madvise(m->entries + leaf * MAP_LEAF_PAGES, MAP_LEAF_PAGES * sizeof(entry_t),
			MADV_DONTNEED);
}
