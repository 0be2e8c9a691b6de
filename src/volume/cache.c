/* cache.c - who gives way, and the open pages (see cache.h, cache_in.h). */
#include "cache_in.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "counter.h"
#include "writer.h"

enum {
	BATCH = 64,        /* pages evicted in one go under the lock */
	TIDY_STEPS = 1024, /* pages that cache_tidy() looks at */
	TIDY_PAGES = 128,
	OPEN_MAX = 16384, /* pages kept open: an eighth, at most 64 MiB */
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
	*idp = owner_id(v, at);
	if (v && at < v->n_pages)
		r = leave_entry(c, v, at, page, shared);
	if (r == POLICY_OUT)
		__atomic_store_n(&s->v, NULL, __ATOMIC_RELAXED);
	*againp =
		unlikely(shared) && (r == POLICY_OUT || r == POLICY_GONE) && owner_promote(c, page);
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
