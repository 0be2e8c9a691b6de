/* copy.c - volume_copy(): a range becomes what another shows, step by step.
 *
 * A step pins the source's pages as a read does, at one moment, makes the destination's pages of
 * them (copypages.c), and commits these like any write: what is partial is merged, the generation
 * is looked at, and a file's pages go to the disk. Between steps the reactor runs, and
 * volume_cancel() and a new generation end the copy there.
 *
 * Ranges that overlap: the copy goes from the end to the beginning when the source lies before the
 * destination. No step then writes what a later one reads, and within a step all is pinned before
 * anything is written.
 *
 * Holes are durable by a flush at the end. When one fails the copy begins anew, which ranges that overlap
 * do not allow: there each hole is durable by itself.
 *
 * A copy must not push out what others use. Where the cache of a file has nothing of the source
 * the file system is asked for holes first, then to copy by itself (clone.c); the rest is read
 * through, and leaves again, at both ends, when its step is over: a window of one step. */
#include <errno.h>
#include <string.h>
#include "cache.h"
#include "copywork.h"
#include "fetch.h"
#include "sync.h"
#include "writer.h"

static void copy_step(struct vol_work *w);

void copy_free(struct vol_work *w)
{
	freelist_put(FREE_COPY, w->copy);
	w->copy = NULL;
}

static void from_the_start(struct vol_work *w)
{
	w->op->where = 0;
	w->pos = w->op->off;
	w->stop = w->op->off + w->op->len;
	w->copy->loose = false;
	copy_step(w);
}

/* A flush that has failed, ours or somebody else's, may have given up the holes: all is copied again. */
static void copy_flushed(struct vol_work *w, int error)
{
	uint32_t n_failed = backend_failed_flushes(w->v->backend);

	if (!error && n_failed != w->n_failed)
		error = -EIO;
	if (!error || w->cancelled || w->n_again++ == COPY_AGAIN) {
		work_done(w, error);
		return;
	}
	w->n_failed = n_failed;
	w->resume = from_the_start;
	work_later(w);
}

/* What became a hole is durable by a flush. */
static void copy_done(struct vol_work *w, int end)
{
	if (!end && w->copy->loose)
		sync_flush(w, copy_flushed);
	else
		work_done(w, end);
}

/* Not so many pages at once, or later. */
static void copy_later(struct vol_work *w)
{
	struct copy *c = w->copy;
	int r = VOL_FULL;

	w->resume = copy_step;
	if (c->most > COPY_LEAST) {
		c->most /= 2;
		work_later(w);
		return;
	}
	w->n_bases = 0;
	if (w->v->cache)
		r = fetch_starve(w);
	if (r != FETCH_WAITS)
		copy_done(w, r);
}

/* --- the end of a step --- */
static uint64_t source_first(const struct vol_work *w)
{
	return copy_source(w, w->copy->lo) / ARENA_PAGE;
}

static uint32_t source_pages(const struct vol_work *w)
{
	return (uint32_t)((copy_source(w, w->copy->hi) - 1) / ARENA_PAGE + 1 - source_first(w));
}

static void copy_next(struct vol_work *w, int end)
{
	struct copy *c = w->copy;

	if (c->cold)
		cache_drop(c->from->cache, c->from, source_first(w), source_pages(w));
	if (end) {
		copy_done(w, end);
		return;
	}
	w->op->where += c->hi - c->lo;
	if (c->backward)
		w->stop = c->lo;
	else
		w->pos = c->hi;
	c->most = MIN(2 * c->most, (uint32_t)COPY_STEP);
	w->resume = copy_step;
	work_later(w);
}

/* --- a step: the source's bytes are here --- */
static bool source_changed(const struct vol_work *w)
{
	return w->op->watch && watch_changed(w->op->watch);
}

static void copy_commit(struct vol_work *w, const struct iovec *iov)
{
	int r = source_changed(w) ? VOL_CHANGED : copy_pages(w, iov);

	volume_unpin(&w->sub);
	if (r == VOL_FULL) {
		copy_later(w);
		return;
	}
	if (r) {
		copy_done(w, r);
		return;
	}
	if (w->starved)
		cache_event(w->v->cache); /* there may be room for one more */
	w->starved = false;
	w->n_bases = 0;
	w->tries = 0;
	w->error = 0;
	w->passes = w->copy->cold;
	w->unmap = true;
	w->committed = copy_next;
	w->copy->loose |= w->zeros && w->v->backend && !w->lasts;
	commit_bases(w);
	commit_run(w);
}

static void on_read(struct vol_op *sub, int end)
{
	struct vol_work *w = container_of(sub, struct vol_work, sub);

	if (!end) {
		copy_commit(w, sub->iov);
	} else if (end == VOL_FULL) {
		copy_later(w);
	} else {
		w->op->source = true;
		w->bad = sub->bad;
		copy_done(w, end);
	}
}

static void copy_read(struct vol_work *w)
{
	struct copy *c = w->copy;

	w->sub = (struct vol_op){
		.v = c->from,
		.io = w->op->io,
		.done = on_read,
		.off = copy_source(w, c->lo),
		.len = c->hi - c->lo,
		.once = true,
	};
	volume_read(&w->sub);
}

/* --- a step: how far it goes --- */

/* The step ends before `at`, if that leaves it anything: on a page of the destination. */
static void end_before(struct vol_work *w, uint64_t at)
{
	struct copy *c = w->copy;

	at = round_down(at, ARENA_PAGE);
	if (at > c->lo && at < c->hi)
		c->hi = at;
}

static void on_cloned(struct vol_work *w, int end)
{
	if (source_changed(w)) {
		copy_done(w, VOL_CHANGED);
	} else if (end) {
		w->copy->no_clone = true;
		copy_read(w);
	} else {
		copy_next(w, 0);
	}
}

static void copy_clone(struct vol_work *w);

/* What the writer's flush took for its own is as it was. */
static void on_settled(struct vol_work *w)
{
	struct copy *c = w->copy;

	w->pos = c->lo;
	w->stop = w->op->off + w->op->len;
	c->settled = true;
	if (w->error)
		copy_read(w);
	else
		copy_clone(w);
}

static void copy_clone(struct vol_work *w)
{
	struct copy *c = w->copy;
	enum clone_end r;

	w->committed = on_cloned;
	r = clone_step(w);
	if (r == CLONE_UNSETTLED && !c->settled && w->v->writer) {
		w->resume = on_settled;
		writer_flush(w, w->first, (w->stop + ARENA_PAGE - 1) / ARENA_PAGE);
	} else if (r != CLONE_WAITS) {
		copy_read(w);
	}
}

static void ask_where(
	struct vol_work *w, enum io_disk_kind kind, void (*done)(struct backend_req *, int error))
{
	w->flush = (struct backend_req){
		.kind = kind, .off = copy_source(w, w->copy->lo), .done = done};
	backend_io(w->copy->from->backend, w->op->io, &w->flush);
}

/* How far the step is from what the backend found. */
static uint64_t found_after(const struct vol_work *w, int error)
{
	return error ? 0 : w->flush.found - MIN(w->flush.found, copy_source(w, w->copy->lo));
}

static void on_hole(struct backend_req *r, int error)
{
	struct vol_work *w = container_of(r, struct vol_work, flush);

	end_before(w, w->copy->lo + found_after(w, error));
	end_before(w, w->copy->hi);
	copy_clone(w);
}

static void on_data(struct backend_req *r, int error)
{
	struct vol_work *w = container_of(r, struct vol_work, flush);
	struct copy *c = w->copy;
	uint64_t hole = found_after(w, error);

	/* Whoever writes there now does so beside us. */
	end_before(w, c->lo + hole);
	if (hole >= c->hi - c->lo)
		copy_commit(w, NULL);
	else if (clone_may(w))
		ask_where(w, IO_HOLE, on_hole);
	else
		copy_read(w);
}

/* run_cold - pages of the source that begin the step and are not in the cache; when there are none that count,
 * *warmp says how many pages come before those that do. */
static uint32_t run_cold(struct vol_work *w, uint32_t *warmp)
{
	struct map *m = &w->copy->from->map;
	uint64_t first = source_first(w);
	uint32_t n = source_pages(w), run = 0, n_cold, i;

	*warmp = n;
	map_lock(m, first, n);
	for (i = 0; i < n; i++) {
		if (map_get(m, first + i) != ENTRY_HOME) {
			if (run == i && run >= COPY_COLD)
				break;
			run = 0;
		} else if (++run == COPY_COLD && i >= COPY_COLD) {
			*warmp = i + 1 - run;
			run = 0;
			break;
		}
	}
	n_cold = run == i ? run : 0;
	map_unlock(m, first, n);
	return n_cold;
}

/* Backwards all of a step is cold or none of it. */
static void look(struct vol_work *w)
{
	struct copy *c = w->copy;
	uint32_t n = source_pages(w), warm, cold;

	c->cold = false;
	if (!c->from->backend)
		return;
	cold = run_cold(w, &warm);
	c->cold = c->backward ? cold == n : cold > 0;
	if (!c->backward && (cold ? cold : warm) < n)
		end_before(w, c->lo + (source_first(w) + (cold ? cold : warm)) * ARENA_PAGE -
				      copy_source(w, c->lo));
}

static void copy_step(struct vol_work *w)
{
	struct copy *c = w->copy;
	uint64_t most = (uint64_t)c->most * ARENA_PAGE;

	if (w->cancelled || w->op->gen != volume_gen(w->v)) {
		copy_done(w, VOL_STALE);
		return;
	}
	if (w->pos == w->stop) {
		copy_done(w, 0);
		return;
	}
	c->lo = w->pos;
	c->hi = w->stop;
	if (!c->backward)
		c->hi = MIN(c->hi, round_down(c->lo, ARENA_PAGE) + most);
	else if (round_up(c->hi, ARENA_PAGE) > most)
		c->lo = MAX(c->lo, round_up(c->hi, ARENA_PAGE) - most);
	look(w);
	if (c->cold && !c->backward)
		ask_where(w, IO_DATA, on_data);
	else
		copy_read(w);
}

/* --- the call --- */

/* In one volume, and some bytes are read and written: what has been written cannot be copied again. */
static bool overlaps(const struct vol_op *op, const struct volume *from, uint64_t from_off)
{
	return from == op->v && from_off < op->off + op->len && op->off < from_off + op->len;
}

static struct copy *copy_new(struct vol_op *op, struct volume *from, uint64_t from_off)
{
	struct copy *c = freelist_get(FREE_COPY);

	if (!c)
		return NULL;
	*c = (struct copy){.from = from, .from_off = from_off, .most = COPY_STEP};
	c->backward = overlaps(op, from, from_off) && from_off < op->off;
	return c;
}

void volume_copy(struct vol_op *op, struct volume *from, uint64_t from_off)
{
	struct vol_work *w = work_new(op, op->off, 1);

	check(op->off + op->len <= op->v->size && from_off + op->len <= from->size);
	op->where = 0;
	op->source = false;
	if (w)
		w->copy = copy_new(op, from, from_off);
	if (!w || !w->copy) {
		if (w)
			work_free(w);
		op_end(op, -ENOMEM);
		return;
	}
	if (op->v->backend && !(backend_caps(op->v->backend) & BACKEND_WRITE)) {
		work_done(w, -EROFS);
		return;
	}
	w->sub = (struct vol_op){.work = NULL}; /* nothing is pinned */
	w->lasts = overlaps(op, from, from_off);
	w->n_failed = op->v->backend ? backend_failed_flushes(op->v->backend) : 0;
	w->n_again = 0;
	w->pos = op->off;
	w->stop = op->off + op->len;
	if (from == op->v && from_off == op->off) {
		op->where = op->len;
		w->pos = w->stop;
	}
	copy_step(w);
}
