/* starve.c - who waits for pages of the cache, who holds some that will come back; and writers, who can set some free
 * (see cache.h). */
#include "cache_in.h"

#include "writer.h"

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
