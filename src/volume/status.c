/* status.c - volume_status(): which blocks take room.
 *
 * RAM: those of pages in the map; leaves that are full or empty need no look inside. File volumes:
 * what the file system says, since the map knows only what is cached; what is dirty in the range is
 * written first. Where the disk has no room for that, all of it counts as mapped. */
#include <errno.h>
#include "writer.h"

enum { LEAVES_LOOKED_AT = 1024 };

/* --- RAM --- */

/* run_in_leaf - where pages from `at` on, up to `end` in the same leaf, are no more as `mapped`
 * says. */
static uint64_t run_in_leaf(struct map *m, uint64_t at, uint64_t end, bool mapped)
{
	uint64_t first = at;

	map_lock(m, first, 1);
	if (m->n_used[first / MAP_LEAF_PAGES] == (mapped ? MAP_LEAF_PAGES : 0))
		at = end;
	while (at < end && (map_get(m, at) != ENTRY_HOME) == mapped)
		at++;
	map_unlock(m, first, 1);
	return at;
}

static bool page_mapped(struct map *m, uint64_t at)
{
	bool mapped;

	map_lock(m, at, 1);
	mapped = map_get(m, at) != ENTRY_HOME;
	map_unlock(m, at, 1);
	return mapped;
}

static void status_ram(struct vol_op *op)
{
	struct map *m = &op->v->map;
	uint64_t first = op->off / ARENA_PAGE, at = first;
	uint64_t stop = (op->off + op->len + ARENA_PAGE - 1) / ARENA_PAGE;

	op->mapped = page_mapped(m, first);
	for (unsigned i = 0; i < LEAVES_LOOKED_AT && at < stop; i++) {
		uint64_t end = MIN((at / MAP_LEAF_PAGES + 1) * MAP_LEAF_PAGES, stop);

		at = run_in_leaf(m, at, end, op->mapped);
		if (at < end)
			break;
	}
	at = MAX(at, first + 1); /* it may have changed between the two looks */
	op->where = MIN(at * ARENA_PAGE, op->off + op->len) - op->off;
	op_end(op, 0);
}

/* --- files --- */

static void on_hole(struct backend_req *r, int error)
{
	struct vol_work *w = container_of(r, struct vol_work, flush);
	struct vol_op *op = w->op;

	/* A block with some data in it is mapped. */
	op->mapped = true;
	op->where = MIN(round_up(r->found - op->off, w->v->block), op->len);
	op->where = MAX(op->where, (uint64_t)w->v->block);
	work_done(w, error);
}

static void ask(struct vol_work *w, enum io_disk_kind kind, void (*done)(struct backend_req *, int))
{
	w->flush = (struct backend_req){.kind = kind, .off = w->op->off, .done = done};
	backend_io(w->v->backend, w->op->io, &w->flush);
}

static void on_data(struct backend_req *r, int error)
{
	struct vol_work *w = container_of(r, struct vol_work, flush);
	struct vol_op *op = w->op;
	uint64_t n = round_down(r->found - op->off, w->v->block);

	if (!error && n == 0) {
		ask(w, IO_HOLE, on_hole);
		return;
	}
	op->mapped = false;
	op->where = MIN(n, op->len);
	work_done(w, error);
}

static void status_file(struct vol_work *w)
{
	struct vol_op *op = w->op;

	if (w->error == -ENOSPC) {
		/* A question needs no room: mapped or not known, which is one status. */
		op->mapped = true;
		op->where = op->len;
		work_done(w, 0);
	} else if (w->error) {
		work_done(w, w->error);
	} else {
		ask(w, IO_DATA, on_data);
	}
}

void volume_status(struct vol_op *op)
{
	struct vol_work *w;

	check(op->len && op->off + op->len <= op->v->size);
	if (!op->v->backend) {
		status_ram(op);
		return;
	}
	w = work_new(op, op->off, 1);
	if (!w) {
		op_end(op, -ENOMEM);
		return;
	}
	w->resume = status_file;
	writer_flush(w, op->off / ARENA_PAGE, (op->off + op->len + ARENA_PAGE - 1) / ARENA_PAGE);
}
