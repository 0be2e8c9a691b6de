/* work.c - what all operations share: the work's life, lists of pages, pages given back. */
#include "work.h"

#include <errno.h>
#include "cache.h"

void op_end(struct vol_op *op, int end)
{
	op->work = NULL;
	op->end = end;
	op->done(op, end);
}

struct vol_work *work_new(struct vol_op *op, uint64_t off, uint64_t len)
{
	struct vol_work *w = freelist_get(FREE_WORK);

	if (!w)
		return NULL;
	w->op = op;
	w->v = op->v;
	w->first = off / ARENA_PAGE;
	w->n = (off + len + ARENA_PAGE - 1) / ARENA_PAGE - w->first;
	w->n_waits = w->n_owed = 0;
	w->error = 0;
	w->bad = VOL_NOWHERE;
	w->resume = NULL;
	w->committed = work_done;
	list_init(&w->link);
	list_init(&w->active);
	w->fresh.runs = w->fresh.few;
	w->fresh.n_runs = w->fresh.n_pages = 0;
	w->bases = w->few_bases;
	w->n_bases = 0;
	w->tries = 0;
	w->turn = w->starved = w->waited = w->constant = w->unmap = w->cancelled = false;
	w->zeros = w->shares = w->passes = w->lasts = w->met_new = false;
	w->copy = NULL;
	w->pattern = PAGE_ZERO;
	w->build = NULL;
	w->pins = NULL;
	w->n_borrowed = 0;
	w->iov = w->few_iov;
	w->n_iov = 0;
	op->work = w;
	op->n_iov = 0;
	return w;
}

void work_free(struct vol_work *w)
{
	struct give g = {.v = w->v};

	pages_drop(w->v, &w->fresh);
	for (uint32_t i = 0; i < w->n_bases; i++)
		give_page(&g, w->bases[i].page);
	if (w->pins) {
		for (uint32_t i = 0; i < w->n; i++)
			give_page(&g, w->pins[i]);
		freelist_put(FREE_ARRAY, w->pins);
	}
	give_end(&g);
	if (w->bases != w->few_bases)
		freelist_put(FREE_ARRAY, w->bases);
	if (w->iov != w->few_iov)
		freelist_put(FREE_ARRAY, w->iov);
	if (w->copy)
		copy_free(w);
	if (w->v->cache) {
		cache_repay(w->v->cache, w->n_borrowed);
		cache_event(w->v->cache);
	}
	freelist_put(FREE_WORK, w);
}

void work_done(struct vol_work *w, int end)
{
	struct vol_op *op = w->op;

	/* A page is read whole or not at all: within the first one, what was asked for is what fails. */
	op->bad = w->bad / ARENA_PAGE == op->off / ARENA_PAGE ? MAX(w->bad, op->off) : w->bad;
	work_free(w);
	op_end(op, end);
}

static void on_post(struct io_work *post)
{
	struct vol_work *w = container_of(post, struct vol_op, post)->work;

	w->resume(w);
}

void work_later(struct vol_work *w)
{
	list_init(&w->op->post.link);
	w->op->post.fn = on_post;
	io_post(w->op->io, &w->op->post);
}

void work_home(struct vol_work *w, struct io *here)
{
	if (w->op->io == here)
		w->resume(w);
	else
		work_later(w);
}

/* --- pages --- */
static int pages_try(struct volume *v, struct pages *p, enum arena_right right, uint32_t n)
{
	unsigned n_more, room = p->runs == p->few ? FEW : ARRAY_ROOM;
	uint32_t n_quota;
	int r = arena_take(v->arena, right, NULL, n, false, p->runs, room, &n_more, &n_quota);

	if (r)
		return r;
	p->n_runs = n_more;
	p->n_pages = n;
	return 0;
}

static int pages_grow(struct pages *p)
{
	struct run *runs = freelist_get(FREE_ARRAY);

	if (!runs)
		return -ENOMEM;
	p->runs = runs;
	return 0;
}

int pages_take(struct volume *v, struct pages *p, enum arena_right right, uint32_t n)
{
	int r;

	check(!p->n_pages);
	do
		r = pages_try(v, p, right, n);
	while (r == ARENA_FULL && v->cache && cache_make_room(v->cache, n));
	if (r == -E2BIG && p->runs == p->few) {
		/* There are pages, only scattered. */
		r = pages_grow(p);
		if (!r)
			r = pages_try(v, p, right, n);
	}
	return r == ARENA_FULL ? VOL_FULL : r;
}

void pages_drop(struct volume *v, struct pages *p)
{
	for (unsigned i = 0; i < p->n_runs; i++)
		if (p->runs[i].page != PAGE_ZERO)
			arena_unref(v->arena, p->runs[i].page, p->runs[i].n_pages);
	if (p->runs != p->few)
		freelist_put(FREE_ARRAY, p->runs);
	p->runs = p->few;
	p->n_runs = p->n_pages = 0;
}

void give_end(struct give *g)
{
	if (g->run.n_pages && g->punch)
		arena_unref_punch(g->v->arena, g->run.page, g->run.n_pages);
	else if (g->run.n_pages)
		arena_unref(g->v->arena, g->run.page, g->run.n_pages);
	g->run.n_pages = 0;
}

void give_run(struct give *g, uint32_t page)
{
	if (page >= PAGE_ZERO)
		return;
	give_end(g);
	g->run = (struct run){page, 1};
}
