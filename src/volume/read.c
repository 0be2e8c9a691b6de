/* read.c - volume_read(): all pages of the range are pinned at one moment, and shown as vectors.
 *
 * Pages with neighbouring numbers make one vector, and so do pages without content, which all lie
 * in one area of zeros. The vectors name the pins: volume_unpin() walks them. What a file volume
 * lacks is fetched, and then all is looked at again, since only one look under all locks is one
 * moment. */
#include <errno.h>
#include "cache.h"
#include "counter.h"
#include "fetch.h"
#include "writer.h"

/* zeros_after - where a page of zeros lies whose neighbour ends at `end`: behind it, if that is a page of
 * zeros too and the area goes on. */
static inline uint8_t *zeros_after(const uint8_t *end)
{
	uintptr_t used = (uintptr_t)end - (uintptr_t)zero_bytes;

	return (uint8_t *)zero_bytes + (used < ZERO_BYTES ? used : 0);
}

/* The pages that one vector holds; 0: zeros, which nobody counts. */
static uint32_t pages_of(const struct volume *v, const struct iovec *iov, uint32_t *pagep)
{
	uint64_t off = arena_offset(v->arena, iov->iov_base);

	if (off == UINT64_MAX)
		return 0;
	*pagep = off / ARENA_PAGE;
	return (off + iov->iov_len + ARENA_PAGE - 1) / ARENA_PAGE - *pagep;
}

static void cut_to_range(struct vol_work *w)
{
	uint64_t head = w->op->off % ARENA_PAGE;
	uint64_t tail = (w->first + w->n) * ARENA_PAGE - (w->op->off + w->op->len);

	w->iov[0].iov_base = (uint8_t *)w->iov[0].iov_base + head;
	w->iov[0].iov_len -= head;
	w->iov[w->n_iov - 1].iov_len -= tail;
}

/* page_at - the bytes of a page, of which the one before ends at `end`; NULL: they are not here. */
static inline uint8_t *page_at(struct vol_work *w, uint64_t at, const uint8_t *end)
{
	struct volume *v = w->v;
	entry_t e = map_get(&v->map, at), shown = entry_shown(e);

	/* With pins it is the second look of the same read, at what this one brought in: one use. */
	if (v->cache && entry_state(e) == ENTRY_CLEAN && !(e & ENTRY_USED) && !w->op->once &&
		!w->pins) {
		if (e & ENTRY_NEW)
			map_set(&v->map, at, e & ~(entry_t)ENTRY_NEW);
		else if (likely(!w->op->dpo))
			map_set(&v->map, at, e | ENTRY_USED);
		w->met_new |= (e & ENTRY_NEW) != 0;
	}
	if (likely(entry_is_page(shown)))
		return page_ptr(v, entry_page(shown));
	return v->backend ? NULL : zeros_after(end);
}

/* show_pages - vectors of whole pages, under the lock; cut to the range afterwards. False: some are
 * not here. */
static bool show_pages(struct vol_work *w)
{
	struct iovec *iov = w->iov;
	const uint8_t *end = NULL;
	unsigned n = 0;

	for (uint32_t i = 0; i < w->n; i++) {
		uint8_t *ptr = page_at(w, w->first + i, end);

		if (!ptr)
			return false;
		if (ptr != end || ptr == zero_bytes)
			iov[n++] = (struct iovec){ptr, 0};
		iov[n - 1].iov_len += ARENA_PAGE;
		end = ptr + ARENA_PAGE;
	}
	w->n_iov = n;
	return true;
}

/* All pages at one moment, or nothing. */
static bool pin_all(struct vol_work *w)
{
	struct volume *v = w->v;
	uint32_t page, n;
	bool all;

	map_lock(&v->map, w->first, w->n);
	all = show_pages(w);
	for (unsigned i = 0; all && i < w->n_iov; i++) {
		n = pages_of(v, &w->iov[i], &page);
		if (n)
			arena_ref(v->arena, page, n);
	}
	map_unlock(&v->map, w->first, w->n);
	return all;
}

/* What was held while fetching is pinned by the vectors now. */
static void drop_pins(struct vol_work *w)
{
	struct give g = {.v = w->v};

	if (!w->pins)
		return;
	for (uint32_t i = 0; i < w->n; i++)
		give_page(&g, w->pins[i]);
	give_end(&g);
	freelist_put(FREE_ARRAY, w->pins);
	w->pins = NULL;
}

static void read_done(struct vol_work *w)
{
	struct vol_op *op = w->op;

	if (w->v->cache) {
		cache_hold(w->v->cache);
		if (!w->pins)
			count(CTR_CACHE_HITS, w->n);
		if (unlikely(w->met_new))
			ahead_run(w->v, op->io, w->first, w->n);
	}
	drop_pins(w);
	cut_to_range(w);
	op->iov = w->iov;
	op->n_iov = w->n_iov;
	op->end = 0;
	op->done(op, 0);
}

static int fetch_pins(struct vol_work *w)
{
	uint32_t n_missing;

	if (!w->pins) {
		w->pins = freelist_get(FREE_ARRAY);
		if (!w->pins)
			return -ENOMEM;
		for (uint32_t i = 0; i < w->n; i++)
			w->pins[i] = PAGE_NONE;
		n_missing = fetch_missing(w->v, w->first, w->n);
		count(CTR_CACHE_MISSES, n_missing);
		count(CTR_CACHE_HITS, w->n - n_missing);
		w->met_new = !w->op->once;
	}
	return fetch_run(w);
}

static void read_run(struct vol_work *w)
{
	int r;

	while (!(r = w->error) && !pin_all(w)) {
		r = fetch_pins(w);
		if (r == FETCH_WAITS)
			return;
		if (r != FETCH_AGAIN)
			break;
	}
	if (r)
		work_done(w, r);
	else
		read_done(w);
}

/* read_page - a range within one page of RAM: one pin, one vector, and no work. */
static void read_page(struct vol_op *op)
{
	struct volume *v = op->v;
	uint64_t at = op->off / ARENA_PAGE;
	const uint8_t *ptr = zero_bytes;
	entry_t e;

	map_lock(&v->map, at, 1);
	e = map_get(&v->map, at);
	if (likely(entry_state(e) == ENTRY_CLEAN))
		arena_ref(v->arena, entry_page(e), 1);
	map_unlock(&v->map, at, 1);
	if (likely(entry_state(e) == ENTRY_CLEAN))
		ptr = page_ptr(v, entry_page(e));
	op->one = (struct iovec){(uint8_t *)ptr + op->off % ARENA_PAGE, op->len};
	op->iov = &op->one;
	op->n_iov = 1;
	op_end(op, 0);
}

static void unpin_page(struct vol_op *op)
{
	uint32_t page, n = op->n_iov ? pages_of(op->v, op->iov, &page) : 0;

	op->iov = NULL;
	op->n_iov = 0;
	if (n)
		arena_unref(op->v->arena, page, n);
}

void volume_read(struct vol_op *op)
{
	struct vol_work *w;

	check(op->len && op->len <= MAX_BYTES && op->off + op->len <= op->v->size);
	op->n_iov = 0;
	if (!op->v->backend && op->off % ARENA_PAGE + op->len <= ARENA_PAGE) {
		read_page(op);
		return;
	}
	w = work_new(op, op->off, op->len);
	if (w && w->n > FEW) {
		w->iov = freelist_get(FREE_ARRAY);
		if (!w->iov) {
			w->iov = w->few_iov;
			work_free(w);
			w = NULL;
		}
	}
	if (!w) {
		op_end(op, -ENOMEM);
		return;
	}
	w->resume = read_run;
	if (unlikely(op->durable && op->v->writer)) /* FUA: what is dirty first (SBC-3 5.10) */
		writer_flush(w, w->first, w->first + w->n);
	else
		read_run(w);
}

void volume_unpin(struct vol_op *op)
{
	struct vol_work *w = op->work;
	struct cache *c;
	uint32_t page, n;

	if (!w) {
		unpin_page(op);
		return;
	}
	c = w->v->cache;
	for (unsigned i = 0; i < w->n_iov; i++) {
		n = pages_of(w->v, &w->iov[i], &page);
		if (n)
			arena_unref(w->v->arena, page, n);
	}
	op->work = NULL;
	op->iov = NULL;
	op->n_iov = 0;
	work_free(w);
	if (c)
		cache_release(c);
}
