/* commit.c - fresh pages get their place in the order.
 *
 * A commit is optimistic. For each page that it covers in part, the newest committed page (shown or
 * not) is pinned, and the bytes that are missing around the fresh ones are copied from it with no
 * lock held. Then the range is locked, every base must still be the newest, and the map is flipped;
 * else all is merged again from the new bases. Whoever fails makes somebody else succeed, so the
 * system goes on; after TRIES failures a writer takes the turn of its leaves so that it goes on
 * too. A pinned base cannot be freed, so its page number names it without doubt.
 *
 * volume_update() is the same with all pages of the range as bases, and a function of the caller's
 * that makes the fresh bytes. Pages that become constant (zeros, a pattern) have neither.
 *
 * RAM: the flip shows. A file volume that is written through: the fresh pages become versions
 * (pageio.h), and the commit ends when they are durable and shown. Write-back: the flip shows dirty
 * pages (writer.h); for FUA the range is flushed then. */
#include <errno.h>
#include <string.h>
#include "copy.h"
#include "extent.h"
#include "fetch.h"
#include "sync.h"
#include "writer.h"

/* Not const, which would fill the binary with it. */
_Alignas(ARENA_PAGE) uint8_t zero_area[ZERO_BYTES];

enum {
	COMMIT_AGAIN = 100, /* a base is not the newest any more */
	COMMIT_DIRTY,       /* write-back: done */
};

struct page_part page_part(uint64_t at, uint64_t off, uint64_t len)
{
	uint64_t start = at * ARENA_PAGE;

	return (struct page_part){
		.from = off > start ? off - start : 0,
		.to = MIN(off + len - start, ARENA_PAGE),
	};
}

bool page_is_partial(const struct volume *v, uint64_t at, struct page_part p)
{
	return p.from > 0 || p.to < MIN(v->size - at * ARENA_PAGE, ARENA_PAGE);
}

/* --- bases --- */
static void bases_drop(struct vol_work *w)
{
	struct give g = {.v = w->v};

	for (uint32_t i = 0; i < w->n_bases; i++) {
		give_page(&g, w->bases[i].page);
		w->bases[i].page = PAGE_NONE;
	}
	give_end(&g);
}

/* Pins the newest committed page of each base; a pin that is still good stays. False: some are not
 * here. */
static bool bases_pin(struct vol_work *w)
{
	struct volume *v = w->v;
	struct give g = {.v = v};
	uint32_t old[ARRAY_ROOM];
	bool all = true;

	map_lock(&v->map, w->first, w->n);
	for (uint32_t i = 0; i < w->n_bases; i++) {
		struct base *b = &w->bases[i];
		uint32_t page = entry_newest(v, map_get(&v->map, w->first + b->at));

		old[i] = PAGE_NONE;
		all &= page != PAGE_NONE;
		if (page == b->page || page == PAGE_NONE)
			continue;
		old[i] = b->page;
		b->page = page;
		if (page < PAGE_ZERO)
			arena_ref(v->arena, page, 1);
	}
	map_unlock(&v->map, w->first, w->n);
	for (uint32_t i = 0; i < w->n_bases; i++)
		give_page(&g, old[i]);
	give_end(&g);
	return all;
}

/* The bytes of a fresh page around `part`, out of its base. */
static void merge_page(uint8_t *fresh, const uint8_t *base, struct page_part part)
{
	if (!base) {
		memset(fresh, 0, part.from);
		memset(fresh + part.to, 0, ARENA_PAGE - part.to);
		return;
	}
	if (part.from)
		copy_payload(CTR_COPIED_MERGE, fresh, base, part.from);
	if (part.to < ARENA_PAGE)
		copy_payload(
			CTR_COPIED_MERGE, fresh + part.to, base + part.to, ARENA_PAGE - part.to);
}

static int build_page(
	struct vol_work *w, uint64_t at, struct page_part part, uint8_t *fresh, const uint8_t *base)
{
	uint64_t from = at * ARENA_PAGE + part.from - w->op->off;
	uint32_t where = 0;
	int r = w->build(w->ctx, from, part.to - part.from, (base ? base : zero_bytes) + part.from,
		fresh + part.from, &where);

	if (r)
		w->op->where = from + where;
	return r;
}

/* No lock is held here: bytes move. */
static int merge(struct vol_work *w)
{
	struct page_walk walk = {w->fresh.runs};
	uint32_t at = 0;

	for (uint32_t i = 0; i < w->n_bases; i++) {
		struct base *b = &w->bases[i];
		uint64_t page = w->first + b->at;
		struct page_part part = page_part(page, w->op->off, w->op->len);
		const uint8_t *base = b->page == PAGE_ZERO ? NULL : page_ptr(w->v, b->page);
		uint8_t *fresh;
		int r;

		at += page_skip(&walk, b->at - at);
		fresh = page_ptr(w->v, page_next(&walk));
		at++;
		merge_page(fresh, base, part);
		r = w->build ? build_page(w, page, part, fresh, base) : 0;
		if (r)
			return r;
	}
	return 0;
}

/* --- the flip --- */
static int flip_check(struct vol_work *w)
{
	struct volume *v = w->v;

	if (w->op->gen != volume_gen(v))
		return VOL_STALE;
	for (uint32_t i = 0; i < w->n_bases; i++)
		if (entry_newest(v, map_get(&v->map, w->first + w->bases[i].at)) !=
			w->bases[i].page)
			return COMMIT_AGAIN;
	return 0;
}

/* The references of the fresh pages are the map's, or the versions', from here on. */
static void fresh_gone(struct vol_work *w)
{
	if (!w->constant)
		w->fresh.n_runs = w->fresh.n_pages = 0;
}

/* RAM: committed is shown. The old pages' references are dropped when the locks are off. */
static int flip_ram(struct vol_work *w)
{
	struct map *m = &w->v->map;
	struct give g = {.v = w->v, .punch = w->constant || w->zeros};
	struct page_walk walk = {w->fresh.runs};
	uint32_t old[ARRAY_ROOM];
	int r;

	map_lock_write(m, w->first, w->n, w->turn);
	r = flip_check(w);
	for (uint32_t i = 0; !r && i < w->n; i++) {
		uint32_t page = w->constant ? w->pattern : page_next(&walk);

		old[i] = entry_newest(w->v, map_get(m, w->first + i));
		if (w->constant && page != PAGE_ZERO)
			arena_ref(w->v->arena, page, 1);
		map_set(m, w->first + i, page == PAGE_ZERO ? ENTRY_HOME : entry_clean(page));
	}
	if (!r)
		work_changed(w);
	if (!r && (w->constant || w->zeros)) {
		map_trim(m, w->first);
		map_trim(m, w->first + w->n - 1);
	}
	map_unlock(m, w->first, w->n);
	if (r)
		return r;
	fresh_gone(w);
	for (uint32_t i = 0; i < w->n; i++)
		give_page(&g, old[i]);
	give_end(&g);
	return 0;
}

static void commit_shown(struct vol_work *w)
{
	w->committed(w, w->error);
}

static int flip_file(struct vol_work *w, struct list *launch)
{
	struct map *m = &w->v->map;
	int r = pageio_reserve(w);

	if (r)
		return r;
	w->error = 0;
	w->resume = commit_shown;
	map_lock_write(m, w->first, w->n, w->turn);
	r = flip_check(w);
	if (!r) {
		pageio_attach(w, launch);
		fresh_gone(w);
	}
	map_unlock(m, w->first, w->n);
	return r;
}

/* flip_back - the fresh pages are shown, dirty. COMMIT_DIRTY; 0: they are versions all the same. */
static int flip_back(struct vol_work *w, struct list *launch)
{
	struct map *m = &w->v->map;
	struct give g = {.v = w->v};
	uint32_t old[ARRAY_ROOM];
	int r;

	map_lock_write(m, w->first, w->n, w->turn);
	r = flip_check(w);
	if (!r)
		r = dirty_commit(w, old) ? COMMIT_DIRTY : 0;
	if (r == COMMIT_DIRTY)
		work_changed(w);
	map_unlock(m, w->first, w->n);
	if (!r)
		return flip_file(w, launch);
	if (r != COMMIT_DIRTY)
		return r;
	fresh_gone(w);
	for (uint32_t i = 0; i < w->n; i++)
		give_page(&g, old[i]);
	give_end(&g);
	return r;
}

/* Long ranges that become constant, or a copy, would only fill the memory with what the disk has. */
static bool stays_dirty(const struct vol_work *w)
{
	return writer_on(w->v) && !w->constant && !w->copy;
}

static int flip(struct vol_work *w, struct list *launch)
{
	if (!w->v->backend)
		return flip_ram(w);
	return stays_dirty(w) ? flip_back(w, launch) : flip_file(w, launch);
}

/* --- one try after the other --- */
static void give_turn(struct vol_work *w)
{
	if (w->turn)
		map_give_turn(&w->v->map, w->first, w->n);
	w->turn = false;
}

static int take_fresh(struct vol_work *w)
{
	int r = pages_take(w->v, &w->fresh, ARENA_OPEN, w->n);

	if (r == VOL_FULL)
		r = pages_take(w->v, &w->fresh, ARENA_MERGE, w->n);
	if (r != VOL_FULL || !w->v->cache)
		return r;
	give_turn(w);
	w->resume = commit_run;
	return fetch_starve(w);
}

/* No turn is held over I/O. */
static int fetch_bases(struct vol_work *w)
{
	give_turn(w);
	w->resume = commit_run;
	return fetch_run(w);
}

/* Before anything is taken for it, since it may have to wait. */
static int admit(struct vol_work *w)
{
	if (!stays_dirty(w))
		return 0;
	if (w->cancelled || w->op->gen != volume_gen(w->v))
		return VOL_STALE;
	w->resume = commit_run;
	return dirty_admit(w);
}

static int commit_try(struct vol_work *w, struct list *launch)
{
	int r = w->error; /* of a fetch */

	if (!r && w->v->writer)
		r = admit(w);
	if (r)
		return r;
	if (w->build && !w->fresh.n_pages)
		r = take_fresh(w);
	if (r)
		return r;
	if (w->n_bases && !bases_pin(w))
		return fetch_bases(w);
	r = merge(w);
	if (r)
		return r;
	return flip(w, launch);
}

static void miscompared(struct vol_work *w)
{
	w->committed(w, VOL_MISCOMPARE);
}

static void commit_end(struct vol_work *w, int r, struct list *launch)
{
	struct volume *v = w->v;

	if (r == FETCH_WAITS)
		return;
	bases_drop(w);
	/* After each of these the work may be gone. */
	if (!r && v->backend) {
		extents_send(v, w->op->io, launch);
	} else if (r == VOL_MISCOMPARE && v->backend) {
		/* What it was compared with must not be lost after the answer. */
		w->resume = miscompared;
		sync_wait(w);
	} else if (r == COMMIT_DIRTY && w->op->durable) {
		w->resume = commit_shown;
		writer_flush(w, w->first, w->first + w->n);
	} else {
		w->committed(w, r == COMMIT_DIRTY ? 0 : r);
	}
}

void commit_run(struct vol_work *w)
{
	struct list launch;
	int r;

	list_init(&launch);
	while ((r = commit_try(w, &launch)) == COMMIT_AGAIN || r == FETCH_AGAIN) {
		if (r == COMMIT_AGAIN && ++w->tries % TRIES == 0 && !w->turn) {
			map_take_turn(&w->v->map, w->first, w->n);
			w->turn = true;
		}
	}
	give_turn(w);
	commit_end(w, r, &launch);
}

/* --- the calls --- */
static bool may_write(const struct volume *v)
{
	return !v->backend || backend_caps(v->backend) & BACKEND_WRITE;
}

static void base_add(struct vol_work *w, uint32_t at)
{
	w->bases[w->n_bases++] = (struct base){at, PAGE_NONE};
}

void commit_bases(struct vol_work *w)
{
	uint64_t off = w->op->off, len = w->op->len, last = w->first + w->n - 1;

	if (page_is_partial(w->v, w->first, page_part(w->first, off, len)))
		base_add(w, 0);
	if (w->n > 1 && page_is_partial(w->v, last, page_part(last, off, len)))
		base_add(w, w->n - 1);
}

/* is_whole_page - RAM, and one fresh page is all that this commit needs. */
static bool is_whole_page(
	const struct volume *v, const struct landing *l, uint64_t off, uint64_t len)
{
	return !v->backend && l->n_pages == 1 && len <= ARENA_PAGE &&
	       !page_is_partial(v, off / ARENA_PAGE, page_part(off / ARENA_PAGE, off, len));
}

/* commit_page - most random writes: nothing to merge, nothing to wait for, so no work either. */
static void commit_page(struct vol_op *op, struct landing *l)
{
	struct map *m = &op->v->map;
	uint64_t at = op->off / ARENA_PAGE;
	uint32_t fresh = l->runs->page, old = fresh;
	int r = 0;

	map_lock_write(m, at, 1, false);
	if (op->gen == volume_gen(op->v)) {
		old = entry_newest(op->v, map_get(m, at));
		map_set(m, at, entry_clean(fresh));
		if (unlikely(is_watched(op->v)))
			volume_changed(op->v, op->off, op->len, NULL);
	} else {
		r = VOL_STALE;
	}
	map_unlock(m, at, 1);
	landing_exchange(l, old < PAGE_ZERO ? old : PAGE_NONE);
	op_end(op, r);
}

void volume_commit(struct vol_op *op, struct landing *l)
{
	struct vol_work *w;

	check(op->v == l->v && op->off == l->off && op->len && op->len <= l->have);
	if (is_whole_page(op->v, l, op->off, op->len)) {
		commit_page(op, l);
		return;
	}
	w = may_write(op->v) ? work_new(op, op->off, op->len) : NULL;
	if (!w) {
		landing_drop(l);
		op_end(op, may_write(op->v) ? -ENOMEM : -EROFS);
		return;
	}
	landing_give(l, w);
	commit_bases(w);
	commit_run(w);
}

static int update_prepare(struct vol_work *w)
{
	if (!may_write(w->v))
		return -EROFS;
	if (w->n > ARRAY_LEN(w->few_bases)) {
		struct base *bases = freelist_get(FREE_ARRAY);

		if (!bases)
			return -ENOMEM;
		w->bases = bases;
	}
	for (uint32_t i = 0; i < w->n; i++)
		base_add(w, i);
	return 0;
}

void volume_update(struct vol_op *op, vol_build_fn build, void *ctx)
{
	struct vol_work *w = work_new(op, op->off, op->len);
	int r;

	check(op->len && op->len <= MAX_BYTES && op->off + op->len <= op->v->size);
	if (!w) {
		op_end(op, -ENOMEM);
		return;
	}
	w->build = build;
	w->ctx = ctx;
	r = update_prepare(w);
	if (r)
		work_done(w, r);
	else
		commit_run(w);
}

void volume_base(struct volume *v, struct io *io, uint64_t off, uint64_t len)
{
	uint64_t first = off / ARENA_PAGE, last = (off + len - 1) / ARENA_PAGE;

	if (!v->backend || !len)
		return;
	if (page_is_partial(v, first, page_part(first, off, len)))
		fetch_ahead(v, io, first, 1);
	if (last != first && page_is_partial(v, last, page_part(last, off, len)))
		fetch_ahead(v, io, last, 1);
}
