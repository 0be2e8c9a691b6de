/* clone.c - a step of a copy that the system carries out, from file to file, with nothing of it in our memory.
 *
 * Nobody may write to the source's range meanwhile, or the copy would hold halves: its pages, all of which only
 * the backend has, are lent (pageio.h). Nobody may read or write the destination's: its pages get versions
 * without a page, whose content the backend has when their request ends. What is dirty there goes to the
 * disk first, since it is replaced by what a flush makes durable.
 *
 * All of this is tried, and nothing waits for a page that is busy, so that two copies which go each other's way
 * never wait for one another. What cannot be cloned goes through the window (copy.c). */
#include "copywork.h"
#include "extent.h"
#include "writer.h"

bool clone_may(const struct vol_work *w)
{
	const struct copy *c = w->copy;

	return c->cold && !c->no_clone && !w->lasts && c->lo % ARENA_PAGE == 0 &&
	       copy_source(w, c->lo) % ARENA_PAGE == 0 && c->hi - c->lo >= ARENA_PAGE &&
	       w->v->backend && backend_can_clone(w->v->backend, c->from->backend);
}

static void clone_shown(struct vol_work *w)
{
	w->constant = false;
	w->committed(w, w->error);
}

/* The range is settled: nothing is under way there, and nothing is in memory only. */
static bool is_settled(struct vol_work *w)
{
	for (uint32_t i = 0; i < w->n; i++) {
		entry_t e = map_get(&w->v->map, w->first + i);

		if (entry_state(e) == ENTRY_BUSY || entry_is_unclean(e))
			return false;
	}
	return true;
}

static enum clone_end attach(struct vol_work *w, struct list *launch)
{
	struct map *m = &w->v->map;
	bool settled;

	if (pageio_reserve(w) || freelist_reserve(FREE_EXTENT, 1))
		return CLONE_NOT;
	w->error = 0;
	w->resume = clone_shown;
	w->constant = true;
	w->zeros = false;
	w->pattern = PAGE_NONE;
	w->copy->loose = true;
	map_lock_write(m, w->first, w->n, false);
	settled = w->op->gen == volume_gen(w->v) && is_settled(w);
	if (settled)
		pageio_attach(w, launch);
	map_unlock(m, w->first, w->n);
	w->constant = settled;
	return settled ? CLONE_WAITS : CLONE_UNSETTLED;
}

enum clone_end clone_step(struct vol_work *w)
{
	struct copy *c = w->copy;
	uint64_t source = copy_source(w, c->lo) / ARENA_PAGE;
	struct list launch;
	enum clone_end r;

	w->first = c->lo / ARENA_PAGE;
	w->n = (c->hi - c->lo) / ARENA_PAGE;
	list_init(&launch);
	if (!pageio_lend(c->from, source, w->n))
		return CLONE_NOT;
	r = attach(w, &launch);
	if (r == CLONE_WAITS)
		extents_send(w->v, w->op->io, &launch);
	else
		pageio_lent(c->from, w->op->io, source, w->n);
	return r;
}
