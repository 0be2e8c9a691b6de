/* cache.c - who gives way, the open pages, and who waits (see cache.h).
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
#include "cache.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "counter.h"
#include "policy.h"
#include "writer.h"

enum {
	BATCH = 64,        /* pages evicted in one go under the lock */
	TIDY_STEPS = 1024, /* pages that cache_tidy() looks at */
	TIDY_PAGES = 128,
	OPEN_MAX = 16384, /* pages kept open: an eighth, at most 64 MiB */
	SHARERS = 64,     /* of a page that are remembered */
};

struct slot {
	struct volume *v; /* NULL: nobody's */
	uint64_t at;      /* with MORE */
};
#define MORE (1ull << 63)

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

static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static struct list all = {&all, &all};

static void slots_free(struct cache *c)
{
	if (c->slots != MAP_FAILED)
		munmap(c->slots, c->n_slots * sizeof(struct slot));
	if (c->more != MAP_FAILED)
		munmap(c->more, c->n_slots * sizeof(uint32_t));
	policy_deinit(&c->policy);
	free(c->pool);
}

static struct cache *cache_new(struct arena *a)
{
	struct cache *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->n_slots = arena_n_pages(a);
	c->slots = mmap(NULL, c->n_slots * sizeof(struct slot), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	c->more = mmap(NULL, c->n_slots * sizeof(uint32_t), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (c->slots == MAP_FAILED || c->more == MAP_FAILED ||
		policy_init(&c->policy, c->n_slots)) {
		slots_free(c);
		free(c);
		return NULL;
	}
	c->arena = a;
	c->n_keep_open = MIN(c->n_slots / 8, OPEN_MAX);
	pthread_mutex_init(&c->lock, NULL);
	pthread_mutex_init(&c->order_lock, NULL);
	pthread_mutex_init(&c->starve_lock, NULL);
	pthread_mutex_init(&c->share_lock, NULL);
	pthread_mutex_init(&c->writers_lock, NULL);
	list_init(&c->writers);
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

uint32_t cache_number(struct cache *c)
{
	return __atomic_add_fetch(&c->n_numbers, 1, __ATOMIC_RELAXED);
}

struct cache *cache_put(struct cache *c)
{
	pthread_mutex_lock(&all_lock);
	if (--c->n_refs == 0) {
		check(list_empty(&c->starved) && !c->n_holders && !c->n_borrowed);
		list_remove(&c->link);
		slots_free(c);
		pthread_mutex_destroy(&c->share_lock);
		pthread_mutex_destroy(&c->lock);
		pthread_mutex_destroy(&c->order_lock);
		pthread_mutex_destroy(&c->starve_lock);
		pthread_mutex_destroy(&c->writers_lock);
		free(c);
	}
	pthread_mutex_unlock(&all_lock);
	return NULL;
}

/* --- slots --- */
static void sharer_put(struct cache *c, uint32_t i)
{
	c->pool[i].next = c->free_sharer;
	c->free_sharer = i;
}

static uint32_t sharer_get(struct cache *c)
{
	uint32_t i = c->free_sharer, n = MAX(2 * c->n_pool, 64u);
	struct sharer *pool;

	if (i) {
		c->free_sharer = c->pool[i].next;
		return i;
	}
	pool = realloc(c->pool, n * sizeof(*pool));
	if (!pool)
		return 0;
	c->pool = pool;
	for (uint32_t k = MAX(c->n_pool, 1u); k < n; k++)
		sharer_put(c, k);
	c->n_pool = n;
	return sharer_get(c);
}

/* Sharers of what the page was before. */
static void sharers_drop(struct cache *c, uint32_t page)
{
	pthread_mutex_lock(&c->share_lock);
	while (c->more[page]) {
		uint32_t i = c->more[page];

		c->more[page] = c->pool[i].next;
		sharer_put(c, i);
	}
	pthread_mutex_unlock(&c->share_lock);
}

/* What ghosts know a page by. */
static uint64_t id_of(const struct volume *v, uint64_t at)
{
	return ((uint64_t)(v ? v->number : 0) << 40) + at;
}

bool cache_share(struct cache *c, uint32_t page, struct volume *v, uint64_t at)
{
	struct slot *s = &c->slots[page];
	unsigned n = 0;
	uint32_t i;

	pthread_mutex_lock(&c->share_lock);
	for (i = c->more[page]; i; i = c->pool[i].next)
		n++;
	i = n < SHARERS ? sharer_get(c) : 0;
	if (i) {
		c->pool[i] = (struct sharer){v, at, c->more[page]};
		c->more[page] = i;
		__atomic_fetch_or(&s->at, MORE, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&c->share_lock);
	pthread_mutex_lock(&c->order_lock);
	if (i)
		policy_keep(&c->policy, page, id_of(v, at));
	pthread_mutex_unlock(&c->order_lock);
	return i;
}

/* promote - the slot's owner has none of it any more: a sharer takes its place. False: there is none. */
static bool promote(struct cache *c, uint32_t page)
{
	struct slot *s = &c->slots[page];
	uint32_t i;

	pthread_mutex_lock(&c->share_lock);
	i = c->more[page];
	if (i) {
		c->more[page] = c->pool[i].next;
		__atomic_store_n(
			&s->at, c->pool[i].at | (c->more[page] ? MORE : 0), __ATOMIC_RELAXED);
		__atomic_store_n(&s->v, c->pool[i].v, __ATOMIC_RELEASE);
		sharer_put(c, i);
	}
	pthread_mutex_unlock(&c->share_lock);
	return i;
}

void cache_note(struct cache *c, uint32_t page, struct volume *v, uint64_t at)
{
	if (unlikely(__atomic_load_n(&c->slots[page].at, __ATOMIC_RELAXED) & MORE))
		sharers_drop(c, page);
	__atomic_store_n(&c->slots[page].at, at, __ATOMIC_RELAXED);
	__atomic_store_n(&c->slots[page].v, v, __ATOMIC_RELEASE);
	pthread_mutex_lock(&c->order_lock);
	policy_add(&c->policy, page, id_of(v, at));
	pthread_mutex_unlock(&c->order_lock);
}

static void forget_sharers(struct cache *c, const struct volume *v)
{
	pthread_mutex_lock(&c->share_lock);
	for (uint32_t page = 0; c->n_pool && page < c->n_slots; page++) {
		uint32_t *ip = &c->more[page];

		if (!(__atomic_load_n(&c->slots[page].at, __ATOMIC_RELAXED) & MORE))
			continue;
		while (*ip) {
			uint32_t i = *ip;

			if (c->pool[i].v != v) {
				ip = &c->pool[i].next;
				continue;
			}
			*ip = c->pool[i].next;
			sharer_put(c, i);
		}
	}
	pthread_mutex_unlock(&c->share_lock);
}

void cache_forget(struct cache *c, struct volume *v)
{
	pthread_mutex_lock(&c->lock);
	forget_sharers(c, v);
	for (uint32_t page = 0; page < c->n_slots; page++)
		if (c->slots[page].v == v)
			__atomic_store_n(&c->slots[page].v, NULL, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&c->lock);
}

void cache_drop(struct cache *c, struct volume *v, uint64_t first, uint32_t n)
{
	struct give g = {.v = v};
	uint32_t out[BATCH];

	for (uint32_t i = 0, n_out = 0; i < n; i += BATCH, n_out = 0) {
		uint32_t part = MIN(n - i, BATCH);

		map_lock(&v->map, first + i, part);
		for (uint32_t k = 0; k < part; k++) {
			entry_t e = map_get(&v->map, first + i + k);

			if (entry_state(e) != ENTRY_CLEAN || e & ENTRY_USED ||
				arena_refs(c->arena, entry_page(e)) != 1)
				continue;
			map_set(&v->map, first + i + k, ENTRY_HOME);
			out[n_out++] = entry_page(e);
		}
		map_trim(&v->map, first + i);
		map_unlock(&v->map, first + i, part);
		for (uint32_t k = 0; k < n_out; k++)
			give_page(&g, out[k]);
	}
	give_end(&g);
}

/* --- giving way --- */

/* leave_entry - the page `at` of v gives way, if it is this one. */
static enum policy_end leave_entry(
	struct cache *c, struct volume *v, uint64_t at, uint32_t page, bool shared)
{
	enum policy_end r = POLICY_STAYS;
	entry_t e;

	map_lock(&v->map, at, 1);
	e = map_get(&v->map, at);
	if (entry_state(e) != ENTRY_CLEAN || entry_page(e) != page) {
		r = entry_state(e) == ENTRY_BUSY ? POLICY_STAYS : POLICY_GONE;
	} else if (e & ENTRY_USED) {
		map_set(&v->map, at, e & ~(entry_t)ENTRY_USED);
		r = POLICY_USED;
	} else if (shared || arena_refs(c->arena, page) == 1) {
		/* Nobody gets it of this entry without the lock. */
		map_set(&v->map, at, ENTRY_HOME);
		map_trim(&v->map, at);
		r = POLICY_OUT;
	}
	map_unlock(&v->map, at, 1);
	return r;
}

/* evict - POLICY_OUT: a reference of the page is the caller's. It is to be looked at again when *againp. */
static enum policy_end evict(struct cache *c, uint32_t page, uint64_t *idp, bool *againp)
{
	struct slot *s = &c->slots[page];
	struct volume *v = __atomic_load_n(&s->v, __ATOMIC_ACQUIRE);
	uint64_t at = __atomic_load_n(&s->at, __ATOMIC_RELAXED);
	bool shared = at & MORE;
	enum policy_end r = POLICY_GONE;

	at &= ~MORE;
	*idp = id_of(v, at);
	if (v && at < v->n_pages)
		r = leave_entry(c, v, at, page, shared);
	if (r == POLICY_OUT)
		__atomic_store_n(&s->v, NULL, __ATOMIC_RELAXED);
	*againp = unlikely(shared) && (r == POLICY_OUT || r == POLICY_GONE) && promote(c, page);
	return r;
}

static uint32_t first_to_go(struct cache *c)
{
	uint32_t page;

	pthread_mutex_lock(&c->order_lock);
	page = policy_next(&c->policy);
	pthread_mutex_unlock(&c->order_lock);
	return page;
}

static void settle(struct cache *c, uint32_t page, uint64_t id, enum policy_end end)
{
	pthread_mutex_lock(&c->order_lock);
	policy_settle(&c->policy, page, id, end);
	pthread_mutex_unlock(&c->order_lock);
}

/* Under the lock: pages of which a reference each is the caller's. */
static uint32_t evict_some(struct cache *c, uint32_t *out, uint32_t n, uint64_t *stepsp)
{
	uint32_t n_out = 0, page = PAGE_NONE;
	uint64_t id = 0;
	bool again = false;

	while (n_out < n && *stepsp) {
		enum policy_end r;

		page = again ? page : first_to_go(c);
		if (page == PAGE_NONE) {
			*stepsp = 0;
			break;
		}
		(*stepsp)--;
		r = evict(c, page, &id, &again);
		if (r == POLICY_OUT)
			out[n_out++] = page;
		if (!again)
			settle(c, page, id, r);
	}
	if (again)
		settle(c, page, id, POLICY_STAYS);
	return n_out;
}

/* Up to n pages, at most BATCH; *stepsp is how many may still be looked at. The pages are given back
 * with no lock held, since that may wake somebody. */
static uint32_t evict_batch(struct cache *c, uint32_t n, uint64_t *stepsp)
{
	uint32_t out[BATCH], n_out;

	pthread_mutex_lock(&c->lock);
	n_out = evict_some(c, out, MIN(n, BATCH), stepsp);
	pthread_mutex_unlock(&c->lock);
	count(CTR_EVICTED_PAGES, n_out);
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
	/* A page may be looked at twice because it was used, in either queue, before it is taken. */
	return evict_pages(c, n, 3ull * c->n_slots);
}

void cache_tidy(struct cache *c)
{
	uint64_t n_open = arena_n_open(c->arena);

	if (n_open < c->n_keep_open)
		evict_pages(c, MIN(c->n_keep_open - n_open, TIDY_PAGES), TIDY_STEPS);
}

bool cache_spare(struct cache *c, uint32_t n)
{
	uint64_t n_open = arena_n_open(c->arena), n_left = c->n_keep_open / 2;

	if (__atomic_load_n(&c->n_wanted, __ATOMIC_RELAXED) ||
		__atomic_load_n(&c->n_starved, __ATOMIC_RELAXED) || arena_waited(c->arena))
		return false;
	if (n_open < n + n_left)
		n_open += evict_pages(c, n, 4ull * n);
	return n_open >= n + n_left;
}

/* --- writers --- */
void cache_add_writer(struct cache *c, struct writer *w)
{
	pthread_mutex_lock(&c->writers_lock);
	list_push_back(&c->writers, &w->link);
	pthread_mutex_unlock(&c->writers_lock);
}

void cache_remove_writer(struct cache *c, struct writer *w)
{
	pthread_mutex_lock(&c->writers_lock);
	list_remove(&w->link);
	pthread_mutex_unlock(&c->writers_lock);
}

static void press_writers(struct cache *c)
{
	pthread_mutex_lock(&c->writers_lock);
	list_for_each(node, &c->writers)
		writer_press(list_entry(node, struct writer, link));
	pthread_mutex_unlock(&c->writers_lock);
}

/* --- who waits --- */
void cache_want(struct cache *c, uint32_t n)
{
	press_writers(c);
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

	press_writers(c);
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
