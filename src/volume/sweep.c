/* sweep.c - volume_zero() and volume_same(): long ranges that become constant, leaf by leaf.
 *
 * Each step is a commit of at most one leaf, atomic for itself; between steps the reactor runs, and
 * volume_cancel() and a new generation end the sweep there. Pages that are covered in part at
 * either end go through volume_update(), one page each. Whole pages of a pattern share one page of
 * memory. */
#include <errno.h>
#include <string.h>
#include "copy.h"
#include "sync.h"
#include "writer.h"

enum { SWEEP_AGAIN = 8 };

static void sweep_step(struct vol_work *w);
static void zero_begin(struct vol_work *w);

/* A flush that has failed, ours or somebody else's, may have given up what was zeroed here, and what it
 * replaced is gone: all is zeroed again. */
static void sweep_flushed(struct vol_work *w, int error)
{
	uint32_t n_failed = backend_failed_flushes(w->v->backend);

	if (!error && n_failed != w->n_failed)
		error = -EIO;
	if (!error || w->cancelled || w->n_again++ == SWEEP_AGAIN) {
		work_done(w, error);
		return;
	}
	w->n_failed = n_failed;
	w->resume = zero_begin;
	work_later(w);
}

/* Zeroed and punched ranges are durable by a flush. */
static void sweep_done(struct vol_work *w, int end)
{
	if (!end && w->v->backend)
		sync_flush(w, sweep_flushed);
	else
		work_done(w, end);
}

/* After a step; `end` is how it went. */
static void sweep_next(struct vol_work *w, int end)
{
	w->resume = sweep_step;
	if (!end && w->cancelled)
		end = VOL_STALE;
	if (end || w->pos == w->stop)
		sweep_done(w, end);
	else
		work_later(w);
}

static int build_constant(
	void *ctx, uint64_t at, uint32_t len, const uint8_t *base, uint8_t *fresh, uint32_t *wherep)
{
	struct vol_work *w = ctx;

	/* Any place in the pattern page where a block begins will do. */
	if (w->pattern == PAGE_ZERO)
		memset(fresh, 0, len);
	else
		copy_payload(CTR_COPIED_MERGE, fresh, page_ptr(w->v, w->pattern), len);
	return 0;
}

static void on_edge_done(struct vol_op *sub, int end)
{
	sweep_next(container_of(sub, struct vol_work, sub), end);
}

static void sweep_edge(struct vol_work *w, uint32_t len)
{
	w->sub = (struct vol_op){
		.v = w->v,
		.io = w->op->io,
		.done = on_edge_done,
		.off = w->pos,
		.len = len,
		.gen = w->op->gen,
		.durable = w->op->durable,
	};
	w->pos += len;
	volume_update(&w->sub, build_constant, w);
}

static void sweep_step(struct vol_work *w)
{
	struct volume *v = w->v;
	uint64_t first = w->pos / ARENA_PAGE, n;
	struct page_part part = page_part(first, w->pos, w->stop - w->pos);

	if (w->cancelled) {
		sweep_done(w, VOL_STALE);
		return;
	}
	if (page_is_partial(v, first, part)) {
		sweep_edge(w, part.to - part.from);
		return;
	}
	/* Whole pages up to the end of the leaf; the volume's last page may be shorter than a page.
	 */
	n = (w->stop == v->size ? v->n_pages : w->stop / ARENA_PAGE) - first;
	w->first = first;
	w->n = MIN(n, MAP_LEAF_PAGES - first % MAP_LEAF_PAGES);
	w->pos = MIN((first + w->n) * ARENA_PAGE, w->stop);
	commit_run(w);
}

static struct vol_work *sweep_new(struct vol_op *op, bool unmap)
{
	struct vol_work *w = work_new(op, op->off, 1);

	check(op->off + op->len <= op->v->size);
	if (!w) {
		op_end(op, -ENOMEM);
		return NULL;
	}
	if (op->v->backend && !(backend_caps(op->v->backend) & BACKEND_WRITE)) {
		work_done(w, -EROFS);
		return NULL;
	}
	if (op->v->backend)
		w->n_failed = backend_failed_flushes(op->v->backend);
	w->n_again = 0;
	w->constant = true;
	w->unmap = unmap;
	w->committed = sweep_next;
	w->pos = op->off;
	w->stop = op->off + op->len;
	return w;
}

static void zero_from_the_start(struct vol_work *w)
{
	w->pos = w->op->off;
	w->stop = w->op->off + w->op->len;
	if (w->error)
		work_done(w, w->error);
	else
		sweep_step(w);
}

/* Zeros replace what is dirty before they are durable themselves. So that goes to the disk first: else an
 * acknowledged write would be gone where a power cut takes the zeros back. */
static void zero_begin(struct vol_work *w)
{
	uint64_t end = w->op->off + w->op->len;

	w->resume = zero_from_the_start;
	writer_flush(w, w->op->off / ARENA_PAGE, (end + ARENA_PAGE - 1) / ARENA_PAGE);
}

void volume_zero(struct vol_op *op, bool unmap)
{
	struct vol_work *w = sweep_new(op, unmap);

	if (!w)
		return;
	if (!op->len)
		sweep_done(w, 0);
	else
		zero_begin(w);
}

static int pattern_take(struct vol_work *w, const void *block)
{
	uint32_t len = w->v->block;
	uint8_t *page;
	int r = pages_take(w->v, &w->fresh, ARENA_OPEN, 1);

	if (r == VOL_FULL)
		r = pages_take(w->v, &w->fresh, ARENA_MERGE, 1);
	if (r)
		return r;
	w->pattern = w->fresh.runs[0].page;
	page = page_ptr(w->v, w->pattern);
	for (uint32_t at = 0; at < ARENA_PAGE; at += len)
		copy_payload(CTR_COPIED_MERGE, page + at, block, len);
	return 0;
}

void volume_same(struct vol_op *op, const void *block)
{
	struct vol_work *w;
	int r;

	if (!memcmp(block, zero_bytes, op->v->block)) {
		volume_zero(op, false);
		return;
	}
	w = sweep_new(op, false);
	if (!w)
		return;
	r = pattern_take(w, block);
	if (r || !op->len)
		sweep_done(w, r);
	else
		sweep_step(w);
}

void volume_cancel(struct vol_op *op)
{
	if (!op->work)
		return;
	op->work->cancelled = true;
	if (op->v->writer)
		waits_wake(op->v->writer);
}
