/* fetch.c - missing pages are brought in from the backend.
 *
 * A work lacks pages for its pins (a read wants what is shown) or for its bases (a commit wants the
 * newest). Pages to read into are taken first and all at once, while the work holds nothing, so
 * that no two works wait for each other's pages. Then, under the locks: what is there is pinned,
 * what nobody is reading gets a record and a page, and a page_wait stands wherever something is
 * under way. Pins are kept while waiting, so that what came in is still there when the work looks
 * again. */
#include <errno.h>
#include "cache.h"
#include "extent.h"
#include "fetch.h"

static uint32_t n_slots(const struct vol_work *w)
{
	return w->pins ? w->n : w->n_bases;
}

static uint64_t slot_at(const struct vol_work *w, uint32_t i)
{
	return w->first + (w->pins ? i : w->bases[i].at);
}

static uint32_t *slot_pin(struct vol_work *w, uint32_t i)
{
	return w->pins ? &w->pins[i] : &w->bases[i].page;
}

/* The page this work wants of an entry; PAGE_NONE: it is not here. */
static uint32_t slot_wants(const struct vol_work *w, entry_t e)
{
	if (!w->pins)
		return entry_newest(w->v, e);
	e = entry_shown(e);
	return entry_is_page(e) ? entry_page(e) : PAGE_NONE;
}

static uint32_t count_missing(struct vol_work *w)
{
	uint32_t n = 0;

	map_lock(&w->v->map, w->first, w->n);
	for (uint32_t i = 0; i < n_slots(w); i++)
		n += map_get(&w->v->map, slot_at(w, i)) == ENTRY_HOME;
	map_unlock(&w->v->map, w->first, w->n);
	return n;
}

static void drop_pins(struct vol_work *w)
{
	struct give g = {.v = w->v};

	for (uint32_t i = 0; i < n_slots(w); i++) {
		give_page(&g, *slot_pin(w, i));
		*slot_pin(w, i) = PAGE_NONE;
	}
	give_end(&g);
}

/* Holding nothing that could be what others wait for. */
int fetch_starve(struct vol_work *w)
{
	bool front = w->starved;

	drop_pins(w);
	cache_repay(w->v->cache, w->n_borrowed);
	w->n_borrowed = 0;
	if (w->build)
		pages_drop(w->v, &w->fresh); /* taken again when it goes on */
	w->starved = true;
	return cache_starve(w->v->cache, w, front) ? FETCH_WAITS : VOL_FULL;
}

static void start_fill(struct volume *v, uint64_t at, uint32_t page, struct list *launch)
{
	struct page_rec *r = page_rec_get(v, at);

	r->busy = PAGE_FILL;
	r->fill = page;
	list_push_back(launch, &r->launch);
}

static void add_wait(struct vol_work *w, uint64_t at, uint32_t *pin)
{
	struct page_rec *r = entry_rec(map_get(&w->v->map, at));
	struct page_wait *wait = freelist_get(FREE_WAIT);

	check(wait); /* reserved */
	wait->w = w;
	wait->pin = pin;
	list_push_back(&r->waits, &wait->link);
	__atomic_add_fetch(&w->n_waits, 1, __ATOMIC_RELAXED);
}

/* All slots at one moment; pages of `walk` are used up in order. */
static uint32_t look(struct vol_work *w, struct page_walk *walk, uint32_t n_hand,
	struct list *launch, uint32_t *old)
{
	uint32_t n_used = 0;

	for (uint32_t i = 0; i < n_slots(w); i++) {
		uint64_t at = slot_at(w, i);
		uint32_t *pin = slot_pin(w, i);
		entry_t e = map_get(&w->v->map, at);
		uint32_t page = slot_wants(w, e);

		old[i] = PAGE_NONE;
		if (page == *pin && page != PAGE_NONE)
			continue;
		old[i] = *pin;
		*pin = page;
		if (page < PAGE_ZERO)
			arena_ref(w->v->arena, page, 1);
		if (page != PAGE_NONE)
			continue;
		if (e == ENTRY_HOME && n_used == n_hand)
			continue; /* it left just now: next time */
		if (e == ENTRY_HOME) {
			start_fill(w->v, at, page_next(walk), launch);
			n_used++;
		}
		add_wait(w, at, pin);
	}
	return n_used;
}

/* The pages of `hand` after the first n_used go back. */
static void give_unused(struct volume *v, struct pages *hand, uint32_t n_used)
{
	struct page_walk walk = {hand->runs};
	struct give g = {.v = v};

	page_skip(&walk, n_used);
	for (uint32_t i = n_used; i < hand->n_pages; i++)
		give_page(&g, page_next(&walk));
	give_end(&g);
	hand->n_runs = 0;
	pages_drop(v, hand);
}

/* Pages to read n missing ones into. Landings may hold all that is open, for as long as their peers
 * are silent: then bases, and some reads, live on the reserve. */
static int take_hand(struct vol_work *w, struct pages *hand, uint32_t n)
{
	struct cache *c = w->v->cache;
	int r;

	if (!w->pins)
		return pages_take(w->v, hand, ARENA_MERGE, n);
	r = pages_take(w->v, hand, ARENA_OPEN, n);
	if (r != VOL_FULL || !cache_borrow(c, n))
		return r;
	r = pages_take(w->v, hand, ARENA_MERGE, n);
	if (r)
		cache_repay(c, n);
	else
		w->n_borrowed += n;
	return r;
}

int fetch_run(struct vol_work *w)
{
	struct volume *v = w->v;
	struct io *io = w->op->io;
	struct pages hand = {.runs = hand.few};
	struct page_walk walk = {hand.few};
	struct list launch;
	uint32_t n = count_missing(w), n_used, old[ARRAY_ROOM];
	struct give g = {.v = v};
	int r = n ? take_hand(w, &hand, n) : 0;

	if (r)
		return r == VOL_FULL ? fetch_starve(w) : r;
	if (w->starved)
		cache_event(v->cache); /* there may be room for one more */
	w->starved = false;
	if (freelist_reserve(FREE_REC, n) || freelist_reserve(FREE_WAIT, n_slots(w))) {
		pages_drop(v, &hand);
		return -ENOMEM;
	}
	walk.run = hand.runs;
	list_init(&launch);
	w->n_waits = 1;
	map_lock(&v->map, w->first, w->n);
	n_used = look(w, &walk, n, &launch, old);
	map_unlock(&v->map, w->first, w->n);
	for (uint32_t i = 0; i < n_slots(w); i++)
		give_page(&g, old[i]);
	give_end(&g);
	give_unused(v, &hand, n_used);
	/* Our own wait goes last: until then nobody resumes the work. */
	extents_send(v, io, &launch);
	return __atomic_sub_fetch(&w->n_waits, 1, __ATOMIC_ACQ_REL) ? FETCH_WAITS : FETCH_AGAIN;
}

uint32_t fetch_missing(struct volume *v, uint64_t first, uint32_t n)
{
	uint32_t n_missing = 0;

	map_lock(&v->map, first, n);
	for (uint32_t i = 0; i < n; i++)
		n_missing += map_get(&v->map, first + i) == ENTRY_HOME;
	map_unlock(&v->map, first, n);
	return n_missing;
}

uint32_t fetch_ahead(struct volume *v, struct io *io, uint64_t first, uint32_t n)
{
	struct pages hand = {.runs = hand.few};
	struct page_walk walk = {hand.few};
	struct list launch;
	uint32_t n_used = 0, n_quota;

	hand.n_pages = fetch_missing(v, first, n);
	if (!hand.n_pages || freelist_reserve(FREE_REC, hand.n_pages) ||
		arena_take(v->arena, ARENA_OPEN, NULL, hand.n_pages, false, hand.few, FEW,
			&hand.n_runs, &n_quota))
		return 0;
	list_init(&launch);
	map_lock(&v->map, first, n);
	for (uint32_t i = 0; i < n && n_used < hand.n_pages; i++) {
		if (map_get(&v->map, first + i) != ENTRY_HOME)
			continue;
		start_fill(v, first + i, page_next(&walk), &launch);
		n_used++;
	}
	map_unlock(&v->map, first, n);
	give_unused(v, &hand, n_used);
	extents_send(v, io, &launch);
	return n_used;
}
