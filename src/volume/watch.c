/* watch.c - see watch.h. */
#include "watch.h"

#include <stdlib.h>
#include <string.h>
#include "work.h"

/* A commit that saw no watch has ended when its locks have been free once. */
static void wait_for_commits(struct volume *v, const struct watch *w)
{
	uint64_t first = w->first / ARENA_PAGE, end = (w->end + ARENA_PAGE - 1) / ARENA_PAGE;

	for (uint64_t n; first < end; first += n) {
		n = MIN(end - first, MAP_LEAF_PAGES - first % MAP_LEAF_PAGES);
		map_lock(&v->map, first, n);
		map_unlock(&v->map, first, n);
	}
}

struct watch *volume_watch(struct volume *v, const struct watch_range *ranges, unsigned n)
{
	struct watch *w = malloc(sizeof(*w) + n * sizeof(w->ranges[0]));

	if (!w)
		return NULL;
	*w = (struct watch){.v = v, .n_refs = 1, .first = UINT64_MAX, .n = n};
	list_init(&w->link);
	memcpy(w->ranges, ranges, n * sizeof(ranges[0]));
	for (unsigned i = 0; i < n; i++) {
		check(ranges[i].off + ranges[i].len <= v->size);
		w->first = MIN(w->first, ranges[i].off);
		w->end = MAX(w->end, ranges[i].off + ranges[i].len);
	}
	pthread_mutex_lock(&v->watch_lock);
	list_push_back(&v->watches, &w->link);
	__atomic_add_fetch(&v->n_watches, 1, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&v->watch_lock);
	wait_for_commits(v, w);
	return w;
}

struct watch *watch_get(struct watch *w)
{
	if (w)
		__atomic_add_fetch(&w->n_refs, 1, __ATOMIC_RELAXED);
	return w;
}

/* Under the lock. */
static void leave(struct watch *w)
{
	if (list_empty(&w->link))
		return;
	list_remove(&w->link);
	__atomic_sub_fetch(&w->v->n_watches, 1, __ATOMIC_RELAXED);
}

struct watch *watch_put(struct watch *w)
{
	if (!w || __atomic_sub_fetch(&w->n_refs, 1, __ATOMIC_ACQ_REL))
		return NULL;
	pthread_mutex_lock(&w->v->watch_lock);
	leave(w);
	pthread_mutex_unlock(&w->v->watch_lock);
	free(w);
	return NULL;
}

static bool touches(const struct watch *w, uint64_t off, uint64_t len)
{
	if (off >= w->end || off + len <= w->first)
		return false;
	for (unsigned i = 0; i < w->n; i++)
		if (off < w->ranges[i].off + w->ranges[i].len && w->ranges[i].off < off + len)
			return true;
	return false;
}

void volume_changed(struct volume *v, uint64_t off, uint64_t len, const struct watch *but)
{
	pthread_mutex_lock(&v->watch_lock);
	list_for_each_safe(node, next, &v->watches) {
		struct watch *w = list_entry(node, struct watch, link);

		if (w == but || !touches(w, off, len))
			continue;
		__atomic_store_n(&w->changed, 1, __ATOMIC_RELEASE);
		leave(w);
	}
	pthread_mutex_unlock(&v->watch_lock);
}
