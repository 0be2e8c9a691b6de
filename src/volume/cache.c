/* cache.c - the clock, the open pages, and who waits (see cache.h).
 *
 * A slot says whose content a page is. It is written under the map's lock by who puts the page in,
 * and read by the hand without it, so it is a hint: it counts only when, under that volume's lock,
 * the entry it leads to names this very page. Slots of pages that left a map otherwise are stale
 * and harmless. Volumes do not go while the hand moves: both hold `lock`. */
#include "cache.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "work.h"

enum {
	BATCH = 64,        /* pages evicted in one go under the lock */
	TIDY_STEPS = 1024, /* slots that cache_tidy() looks at */
	TIDY_PAGES = 128,
	OPEN_MAX = 16384, /* pages kept open: an eighth, at most 64 MiB */
};

struct slot {
	struct volume *v; /* NULL: nobody's */
	uint64_t at;
};

struct cache {
	struct list link;
	unsigned n_refs;
	struct arena *arena;
	struct slot *slots;
	uint32_t n_slots, n_keep_open;

	pthread_mutex_t lock; /* the hand, and volumes that go */
	uint32_t hand;

	uint32_t n_holders; /* atomic, as the three below */
	uint32_t n_borrowed;
	uint32_t n_starved;
	uint32_t n_wanted;
	pthread_mutex_t starve_lock;
	struct list starved;
};

static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static struct list all = {&all, &all};

static struct cache *cache_new(struct arena *a)
{
	struct cache *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->n_slots = arena_n_pages(a);
	c->slots = mmap(NULL, c->n_slots * sizeof(struct slot), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (c->slots == MAP_FAILED) {
		free(c);
		return NULL;
	}
	c->arena = a;
	c->n_keep_open = MIN(c->n_slots / 8, OPEN_MAX);
	pthread_mutex_init(&c->lock, NULL);
	pthread_mutex_init(&c->starve_lock, NULL);
	list_init(&c->starved);
	list_push_back(&all, &c->link);
	return c;
}

int cache_get(struct cache **cp, struct arena *a)
{
	struct cache *c = NULL;

	pthread_mutex_lock(&all_lock);
	list_for_each(node, &all) {
		if (list_entry(node, struct cache, link)->arena == a)
			c = list_entry(node, struct cache, link);
	}
	if (!c)
		c = cache_new(a);
	if (c)
		c->n_refs++;
	pthread_mutex_unlock(&all_lock);
	*cp = c;
	return c ? 0 : -ENOMEM;
}

struct cache *cache_put(struct cache *c)
{
	pthread_mutex_lock(&all_lock);
	if (--c->n_refs == 0) {
		check(list_empty(&c->starved) && !c->n_holders && !c->n_borrowed);
		list_remove(&c->link);
		munmap(c->slots, c->n_slots * sizeof(struct slot));
		pthread_mutex_destroy(&c->lock);
		pthread_mutex_destroy(&c->starve_lock);
		free(c);
	}
	pthread_mutex_unlock(&all_lock);
	return NULL;
}

/* --- slots --- */
void cache_note(struct cache *c, uint32_t page, struct volume *v, uint64_t at)
{
	__atomic_store_n(&c->slots[page].at, at, __ATOMIC_RELAXED);
	__atomic_store_n(&c->slots[page].v, v, __ATOMIC_RELEASE);
}

void cache_forget(struct cache *c, struct volume *v)
{
	struct give g = {.v = v};

	pthread_mutex_lock(&c->lock);
	for (uint32_t page = 0; page < c->n_slots; page++) {
		struct slot *s = &c->slots[page];
		uint64_t at = s->at;

		if (s->v != v)
			continue;
		s->v = NULL;
		if (map_get(&v->map, at) >> 32 != page ||
			entry_state(map_get(&v->map, at)) != ENTRY_CLEAN)
			continue;
		map_set(&v->map, at, ENTRY_HOME);
		give_page(&g, page);
	}
	pthread_mutex_unlock(&c->lock);
	give_end(&g);
}

/* --- the clock --- */
static bool evict(struct cache *c, uint32_t page)
{
	struct slot *s = &c->slots[page];
	struct volume *v = __atomic_load_n(&s->v, __ATOMIC_ACQUIRE);
	uint64_t at = __atomic_load_n(&s->at, __ATOMIC_RELAXED);
	bool out = false;
	entry_t e;

	if (!v || at >= v->n_pages)
		return false;
	map_lock(&v->map, at, 1);
	e = map_get(&v->map, at);
	if (entry_state(e) == ENTRY_CLEAN && entry_page(e) == page) {
		if (e & ENTRY_USED) {
			map_set(&v->map, at, e & ~(entry_t)ENTRY_USED);
		} else if (arena_refs(c->arena, page) == 1) {
			/* Only the map has it, and nobody gets it without the lock. */
			map_set(&v->map, at, ENTRY_HOME);
			map_trim(&v->map, at);
			__atomic_store_n(&s->v, NULL, __ATOMIC_RELAXED);
			out = true;
		}
	}
	map_unlock(&v->map, at, 1);
	return out;
}

/* Up to n pages, at most BATCH; *stepsp is what the hand may still go. The pages are given back
 * with no lock held, since that may wake somebody. */
static uint32_t evict_batch(struct cache *c, uint32_t n, uint64_t *stepsp)
{
	uint32_t out[BATCH], n_out = 0;

	n = MIN(n, BATCH);
	pthread_mutex_lock(&c->lock);
	while (n_out < n && *stepsp) {
		(*stepsp)--;
		if (evict(c, c->hand))
			out[n_out++] = c->hand;
		if (++c->hand == c->n_slots)
			c->hand = 0;
	}
	pthread_mutex_unlock(&c->lock);
	for (uint32_t i = 0, from = 0; i < n_out; i++)
		if (i + 1 == n_out || out[i + 1] != out[i] + 1) {
			arena_unref(c->arena, out[from], i + 1 - from);
			from = i + 1;
		}
	return n_out;
}

static uint32_t evict_pages(struct cache *c, uint32_t n, uint64_t steps)
{
	uint32_t n_out = 0;

	while (n_out < n && steps)
		n_out += evict_batch(c, n - n_out, &steps);
	return n_out;
}

uint32_t cache_make_room(struct cache *c, uint32_t n)
{
	/* Once round to spare what was used, once more to take it. */
	return evict_pages(c, n, 2ull * c->n_slots);
}

void cache_tidy(struct cache *c)
{
	uint64_t n_open = arena_n_open(c->arena);

	if (n_open < c->n_keep_open)
		evict_pages(c, MIN(c->n_keep_open - n_open, TIDY_PAGES), TIDY_STEPS);
}

/* --- who waits --- */
void cache_want(struct cache *c, uint32_t n)
{
	if (__atomic_load_n(&c->n_wanted, __ATOMIC_RELAXED) < n)
		__atomic_store_n(&c->n_wanted, n, __ATOMIC_SEQ_CST);
}

static void starved_next(struct cache *c)
{
	struct vol_work *w = NULL;

	pthread_mutex_lock(&c->starve_lock);
	if (!list_empty(&c->starved)) {
		w = list_entry(list_pop(&c->starved), struct vol_work, link);
		__atomic_sub_fetch(&c->n_starved, 1, __ATOMIC_SEQ_CST);
	}
	pthread_mutex_unlock(&c->starve_lock);
	if (w)
		work_later(w);
}

void cache_event(struct cache *c)
{
	uint32_t n_wanted = __atomic_load_n(&c->n_wanted, __ATOMIC_SEQ_CST);

	if (unlikely(n_wanted)) {
		cache_make_room(c, n_wanted);
		if (arena_n_open(c->arena) >= n_wanted && !arena_waited(c->arena))
			__atomic_store_n(&c->n_wanted, 0, __ATOMIC_SEQ_CST);
	}
	if (unlikely(__atomic_load_n(&c->n_starved, __ATOMIC_SEQ_CST)))
		starved_next(c);
}

void cache_hold(struct cache *c)
{
	__atomic_add_fetch(&c->n_holders, 1, __ATOMIC_SEQ_CST);
}

void cache_release(struct cache *c)
{
	__atomic_sub_fetch(&c->n_holders, 1, __ATOMIC_SEQ_CST);
	cache_event(c);
}

bool cache_borrow(struct cache *c, uint32_t n)
{
	uint32_t most = c->n_slots / 32;

	if (n > most)
		return false;
	if (__atomic_add_fetch(&c->n_borrowed, n, __ATOMIC_RELAXED) <= most)
		return true;
	__atomic_sub_fetch(&c->n_borrowed, n, __ATOMIC_RELAXED);
	return false;
}

void cache_repay(struct cache *c, uint32_t n)
{
	if (n)
		__atomic_sub_fetch(&c->n_borrowed, n, __ATOMIC_RELAXED);
}

/* Whoever starves says so and then looks for holders; the last holder goes and then looks for who
 * starves: one of them sees the other. */
bool cache_starve(struct cache *c, struct vol_work *w, bool front)
{
	bool stays = true;

	pthread_mutex_lock(&c->starve_lock);
	if (front)
		list_push_front(&c->starved, &w->link);
	else
		list_push_back(&c->starved, &w->link);
	__atomic_add_fetch(&c->n_starved, 1, __ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&c->n_holders, __ATOMIC_SEQ_CST)) {
		list_remove(&w->link);
		__atomic_sub_fetch(&c->n_starved, 1, __ATOMIC_SEQ_CST);
		stays = false;
	}
	pthread_mutex_unlock(&c->starve_lock);
	return stays;
}
