/* owner.c - whose content a page of the cache is: its slot, and its sharers (see cache_in.h). */
#include "cache_in.h"

#include <stdlib.h>
#include "work.h"

enum { SHARERS = 64 }; /* of a page that are remembered */

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

uint64_t owner_id(const struct volume *v, uint64_t at)
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
		policy_keep(&c->policy, page, owner_id(v, at));
	pthread_mutex_unlock(&c->order_lock);
	return i;
}

bool owner_promote(struct cache *c, uint32_t page)
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
	policy_add(&c->policy, page, owner_id(v, at));
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
