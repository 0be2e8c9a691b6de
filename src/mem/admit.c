/* admit.c - who may take how many pages: promises, the reserve, and who waits for pages. */
#include "arena_in.h"

/* arena_admits - may n pages be taken now? `gone`: free pages that are as good as taken. */
bool arena_admits(const struct arena *a, enum arena_right right, const struct quota *q, uint32_t n,
	uint64_t gone)
{
	uint32_t own = MIN(n, quota_left(q));
	uint64_t rest;

	if (n > less(free_pages(a), gone))
		return false;
	rest = right == ARENA_MERGE ? less(free_pages(a), a->n_promised) : open_pages(a);
	return n == own || n - own <= less(rest, gone);
}

/* --- waiting --- */

static unsigned wait_class(const struct arena_wait *w)
{
	if (w->right == ARENA_MERGE)
		return WAIT_MERGE;
	return quota_left(w->quota) >= w->n_pages ? WAIT_QUOTA : WAIT_OPEN;
}

static void waiting_add(struct arena *a, int by)
{
	__atomic_store_n(&a->n_waiting, a->n_waiting + (uint32_t)by, __ATOMIC_RELAXED);
}

/* next_served - the first wait, of any queue, that could take its pages now; off its queue. */
static struct arena_wait *next_served(struct arena *a, uint64_t gone)
{
	for (unsigned i = N_WAITS; a->n_waiting > 0 && i-- > 0;) {
		struct arena_wait *w;

		if (list_empty(&a->waits[i]))
			continue;
		w = list_first(&a->waits[i], struct arena_wait, link);
		if (!arena_admits(a, w->right, w->quota, w->n_pages, gone))
			continue;
		list_remove(&w->link);
		waiting_add(a, -1);
		return w;
	}
	return NULL;
}

/* Pages that one of them was told of are not offered to the next. */
void arena_wake(struct arena *a)
{
	uint64_t gone = 0;

	while (a->n_waiting > 0) {
		struct arena_wait *w = next_served(a, gone);

		if (!w)
			return;
		gone += w->n_pages;
		lock_leave(&a->lock);
		w->fn(w); /* w may be gone after this */
		lock_take(&a->lock);
	}
}

void arena_wait(struct arena *a, struct arena_wait *w, uint32_t n_pages, bool front)
{
	struct list *queue;

	lock_take(&a->lock);
	w->n_pages = n_pages;
	queue = &a->waits[wait_class(w)];
	if (front)
		list_push_front(queue, &w->link);
	else
		list_push_back(queue, &w->link);
	waiting_add(a, 1);
	unlock_and_wake(a);
}

bool arena_wait_cancel(struct arena *a, struct arena_wait *w)
{
	bool queued;

	lock_take(&a->lock);
	queued = w->link.next && list_linked(&w->link); /* NULL: never waited */
	if (queued) {
		list_remove(&w->link);
		waiting_add(a, -1);
	}
	unlock_and_wake(a); /* it may have stood in the way of smaller ones */
	return queued;
}

bool arena_waited(struct arena *a)
{
	bool waited;

	/* Asked for every landing, and nearly always nobody waits: no lock for that answer. Who
	 * begins to wait at this very moment is overtaken as if he had come a moment later. */
	if (likely(!__atomic_load_n(&a->n_waiting, __ATOMIC_RELAXED)))
		return false;
	lock_take(&a->lock);
	waited = !list_empty(&a->waits[WAIT_OPEN]);
	lock_leave(&a->lock);
	return waited;
}

/* --- promises --- */

/* promisable - what one more quota may have: not the content's, and nobody else's. */
static uint64_t promisable(const struct arena *a)
{
	return less(by_now(a, a->n_pages), by_now(a, a->n_merge + a->n_content) + a->n_granted);
}

int arena_grant(struct arena *a, struct quota *q, uint32_t n)
{
	int end = 0;

	check(!q->a);
	lock_take(&a->lock);
	if (n > open_pages(a) || n > promisable(a)) {
		end = ARENA_FULL;
	} else {
		a->n_granted += n;
		a->n_promised += n;
		a->n_quotas++;
		*q = (struct quota){.a = a, .n_granted = n};
	}
	lock_leave(&a->lock);
	return end;
}

void arena_revoke(struct quota *q)
{
	struct arena *a = q->a;

	if (!a)
		return;
	lock_take(&a->lock);
	a->n_granted -= q->n_granted;
	a->n_promised -= quota_left(q);
	a->n_quotas--;
	*q = (struct quota){0};
	unlock_and_wake(a);
}

void quota_settle(struct quota *q, uint32_t n)
{
	struct arena *a = q ? q->a : NULL;

	if (!a || n == 0)
		return;
	lock_take(&a->lock);
	settle(a, q, n);
	unlock_and_wake(a); /* its owner may wait for just these */
}

/* --- looking --- */

uint64_t arena_n_promisable(const struct arena *a)
{
	struct arena *m = (struct arena *)a; /* the lock is no part of what is looked at */
	uint64_t n;

	lock_take(&m->lock);
	n = promisable(a);
	lock_leave(&m->lock);
	return n;
}

unsigned arena_n_quotas(const struct arena *a)
{
	struct arena *m = (struct arena *)a;
	unsigned n;

	lock_take(&m->lock);
	n = a->n_quotas;
	lock_leave(&m->lock);
	return n;
}

uint64_t arena_n_open(const struct arena *a)
{
	struct arena *locked = (struct arena *)a;
	uint64_t n;

	lock_take(&locked->lock);
	n = open_pages(a);
	lock_leave(&locked->lock);
	return n;
}
