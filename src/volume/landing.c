/* landing.c - places for the data-out of one WRITE, before anybody sees them (see volume.h).
 *
 * A landing's pages correspond one to one to pages of the volume, so that commit is a flip: the
 * first byte lies at the same place within its page as in the volume. Line-aligned landings are
 * taken in whole arena lines with the offset within the map line kept too; what lies before and
 * after the write is given back at commit.
 *
 * The arrays grow once, from the few embedded ones to ones that hold the worst case, and the few
 * keep their content, so that a cursor into them stays good (place/dpt.h borrows them). */
#include "work.h"

#include <errno.h>
#include <string.h>
#include "cache.h"

void landing_init(
	struct landing *l, struct volume *v, uint64_t off, uint32_t len, struct quota *quota)
{
	check(len && len <= MAX_BYTES && off + len <= v->size);
	map_soon(&v->map, off / ARENA_PAGE); /* the commit's, when the payload is here */
	l->v = v;
	l->off = off;
	l->len = len;
	l->have = 0;
	l->runs = l->few;
	l->n_runs = 0;
	l->room_runs = LANDING_RUNS;
	l->iov = l->few_iov;
	l->n_iov = 0;
	l->quota = quota;
	l->n_quota = l->n_pages = l->n_lead = 0;
}

static int landing_grow(struct landing *l)
{
	if (freelist_reserve(FREE_ARRAY, 2))
		return -ENOMEM;
	l->runs = memcpy(freelist_get(FREE_ARRAY), l->few, sizeof(l->few));
	l->iov = memcpy(freelist_get(FREE_ARRAY), l->few_iov, sizeof(l->few_iov));
	l->room_runs = ARRAY_ROOM;
	return 0;
}

/* Enter the vectors of runs [from, n_runs), cut to the write. `page` counts from the first one
 * taken. */
static void landing_places(struct landing *l, unsigned from, uint64_t page)
{
	uint64_t start = round_down(l->off, ARENA_PAGE) - (uint64_t)l->n_lead * ARENA_PAGE;

	for (unsigned i = from; i < l->n_runs; i++) {
		const struct run *r = &l->runs[i];
		uint64_t run_off = start + page * ARENA_PAGE;
		uint64_t lo = MAX(run_off, l->off);
		uint64_t hi = MIN(run_off + (uint64_t)r->n_pages * ARENA_PAGE, l->off + l->len);

		if (lo < hi)
			l->iov[l->n_iov++] = (struct iovec){
				(uint8_t *)page_ptr(l->v, r->page) + (lo - run_off), hi - lo};
		page += r->n_pages;
	}
}

static int landing_try(struct landing *l, uint32_t n, bool line_aligned)
{
	unsigned n_more, from = l->n_runs;
	uint32_t n_quota;
	int r;

	if (l->n_runs == l->room_runs)
		return -E2BIG;
	do
		r = arena_take(l->v->arena, ARENA_OPEN, l->quota, n, line_aligned,
			l->runs + l->n_runs, l->room_runs - l->n_runs, &n_more, &n_quota);
	while (r == ARENA_FULL && l->v->cache && cache_make_room(l->v->cache, n));
	if (r)
		return r;
	if (l->v->cache && !l->n_pages)
		cache_hold(l->v->cache);
	l->n_runs += n_more;
	l->n_quota += n_quota;
	landing_places(l, from, l->n_pages);
	l->n_pages += n;
	return 0;
}

int landing_take(struct landing *l, uint32_t upto, bool line_aligned)
{
	uint64_t within = l->off % ARENA_PAGE;
	uint32_t n;
	int r;

	if (upto <= l->have)
		return 0;
	check(upto <= l->len);
	if (line_aligned)
		l->n_lead = l->off / ARENA_PAGE % MAP_LINE_PAGES;
	n = l->n_lead + (within + upto + ARENA_PAGE - 1) / ARENA_PAGE;
	if (line_aligned)
		n = round_up(n, ARENA_LINE_PAGES);
	n -= l->n_pages;
	r = landing_try(l, n, line_aligned);
	if (r == -E2BIG && l->runs == l->few) {
		/* There are pages, only scattered. */
		r = landing_grow(l);
		if (!r)
			r = landing_try(l, n, line_aligned);
	}
	if (r == ARENA_FULL && l->v->cache)
		cache_want(l->v->cache, n);
	if (r)
		return r == ARENA_FULL ? VOL_FULL : r;
	l->have = MIN((uint64_t)(l->n_pages - l->n_lead) * ARENA_PAGE - within, l->len);
	return 0;
}

static void landing_clear(struct landing *l)
{
	struct cache *c = l->n_pages ? l->v->cache : NULL;
	if (l->quota)
		quota_settle(l->quota, l->n_quota);
	if (l->runs != l->few)
		freelist_put(FREE_ARRAY, l->runs);
	if (l->iov != l->few_iov)
		freelist_put(FREE_ARRAY, l->iov);
	landing_init(l, l->v, l->off, l->len, l->quota);
	if (c)
		cache_release(c);
}

void landing_drop(struct landing *l)
{
	for (unsigned i = 0; i < l->n_runs; i++)
		arena_unref(l->v->arena, l->runs[i].page, l->runs[i].n_pages);
	landing_clear(l);
}

/* Cut runs[] to the pages [from, from + n); the others are given back. Returns the number of runs.
 */
static unsigned runs_trim(
	struct arena *a, struct run *runs, unsigned n_runs, uint32_t from, uint32_t n)
{
	unsigned n_out = 0;

	for (unsigned i = 0; i < n_runs; i++) {
		struct run r = runs[i];
		uint32_t before = MIN(from, r.n_pages);
		uint32_t kept = MIN(n, r.n_pages - before);
		uint32_t after = r.n_pages - before - kept;

		if (before)
			arena_unref(a, r.page, before);
		if (after)
			arena_unref(a, r.page + before + kept, after);
		if (kept)
			runs[n_out++] = (struct run){r.page + before, kept};
		from -= before;
		n -= kept;
	}
	return n_out;
}

void landing_exchange(struct landing *l, uint32_t old)
{
	check(l->n_pages == 1 && l->runs == l->few);
	arena_exchange(l->v->arena, l->quota, l->n_quota, old);
	l->have = 0;
	l->n_runs = l->n_iov = 0;
	l->n_quota = l->n_pages = 0;
}

void landing_give(struct landing *l, struct vol_work *w)
{
	struct pages *p = &w->fresh;

	p->n_runs = l->n_runs;
	if (l->n_pages != w->n)
		p->n_runs = runs_trim(l->v->arena, l->runs, l->n_runs, l->n_lead, w->n);
	p->n_pages = w->n;
	if (l->runs == l->few) {
		memcpy(p->few, l->few, p->n_runs * sizeof(struct run));
	} else {
		p->runs = l->runs;
		l->runs = l->few;
	}
	landing_clear(l);
}
