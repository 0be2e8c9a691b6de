/* back.c - dirty pages go to the disk and are written; what a flush of the backend has covered becomes clean, or dirty
 * again when it failed. Leaf by leaf, under its lock. */
#include "writer_in.h"

#include "cache.h"
#include "extent.h"

/* --- dirty: to the disk --- */

/* back_begin - the page of a dirty entry is to be written: its record, marked and listed. */
static void back_begin(struct volume *v, uint64_t at, struct list *launch)
{
	struct page_rec *r = page_rec_get(v, at);

	r->busy = PAGE_BACK;
	r->fill = entry_page(r->shown);
	arena_ref(v->arena, r->fill, 1);
	list_push_back(launch, &r->launch);
}

entry_t back_end(struct writer *w, struct page_rec *r, int error)
{
	entry_t e = r->shown;

	if (entry_state(e) != ENTRY_DIRTY)
		return e; /* a version is shown by now */
	if (error || entry_page(e) != r->fill) {
		lines_set(&w->dirty, r->at);
		return e;
	}
	lines_set(&w->written, r->at);
	__atomic_add_fetch(&w->n_written, 1, __ATOMIC_RELAXED);
	return (e & ~(entry_t)0xff) | ENTRY_WRITTEN | (w->mark ? ENTRY_MARK : 0);
}

/* walk_line - what is dirty in one line and in [first, end) is marked and listed; true: the line is
 * to be looked at again. */
static bool walk_line(struct writer *w, uint64_t line, uint64_t first, uint64_t end,
	struct list *launch, uint32_t *np)
{
	struct volume *v = w->v;
	uint64_t at = line * MAP_LINE_PAGES, stop = MIN(at + MAP_LINE_PAGES, v->n_pages);
	bool again = false;

	for (; at < stop; at++) {
		entry_t e = map_get(&v->map, at);
		bool inside = at >= first && at < end;

		if (entry_state(e) == ENTRY_DIRTY && inside) {
			back_begin(v, at, launch);
			++*np;
		} else if (entry_state(entry_shown(e)) == ENTRY_DIRTY) {
			again = true;
			if (inside && w->state == WRITER_PASS) {
				((struct page_rec *)entry_rec(e))->again = true;
				w->redo = true;
			}
		}
	}
	return again;
}

unsigned back_walk(struct writer *w, uint64_t *posp, uint64_t end, uint32_t *np)
{
	struct volume *v = w->v;
	uint64_t leaf = lines_next(&w->dirty, *posp / MAP_LEAF_PAGES), bits, kept;
	uint64_t first = MAX(*posp, leaf == LINES_NONE ? 0 : leaf * MAP_LEAF_PAGES);
	struct list launch;
	unsigned lines;

	*np = 0;
	if (*posp >= end || leaf == LINES_NONE || leaf * MAP_LEAF_PAGES >= end ||
		freelist_reserve(FREE_REC, MAP_LEAF_PAGES)) {
		*posp = end;
		return 0;
	}
	list_init(&launch);
	map_lock(&v->map, first, 1);
	bits = kept = w->dirty.leaf[leaf];
	lines = 1 + (unsigned)__builtin_popcountll(bits);
	for (; bits; bits &= bits - 1) {
		unsigned i = (unsigned)__builtin_ctzll(bits);
		uint64_t line = leaf * (MAP_LEAF_PAGES / MAP_LINE_PAGES) + i;

		if (!walk_line(w, line, first, end, &launch, np))
			kept &= ~(1ull << i);
	}
	lines_keep(&w->dirty, leaf, kept);
	map_unlock(&v->map, first, 1);
	*posp = MIN((leaf + 1) * MAP_LEAF_PAGES, end);
	extents_send(v, w->io, &launch);
	return lines;
}

/* --- written: clean, or dirty again --- */

/* clean_page - of a written page that the flush covered, or that it may have lost. */
static entry_t clean_page(struct writer *w, uint64_t at, entry_t e)
{
	struct volume *v = w->v;

	if (w->sync_error)
		return dirty_again(v, at, e);
	if (!(e & ENTRY_MARK) == !w->mark)
		return e; /* it ended later */
	dirty_drop(v, e);
	if (arena_refs(v->arena, entry_page(e)) == 1)
		cache_note(v->cache, entry_page(e), v, at);
	else /* perhaps a copy has it too */
		(void)cache_share(v->cache, entry_page(e), v, at);
	return entry_clean(entry_page(e));
}

static bool clean_line(struct writer *w, uint64_t line)
{
	struct volume *v = w->v;
	uint64_t at = line * MAP_LINE_PAGES, stop = MIN(at + MAP_LINE_PAGES, v->n_pages);
	bool some = false;

	for (; at < stop; at++) {
		entry_t e = map_get(&v->map, at), shown = entry_shown(e);

		if (entry_state(shown) != ENTRY_WRITTEN)
			continue;
		shown = clean_page(w, at, shown);
		some |= entry_state(shown) == ENTRY_WRITTEN;
		if (entry_state(e) == ENTRY_BUSY)
			((struct page_rec *)entry_rec(e))->shown = shown;
		else
			map_set(&v->map, at, shown);
	}
	return some;
}

/* clean_leaf - lines touched; 0: there is none left. */
static unsigned clean_leaf(struct writer *w)
{
	uint64_t leaf = lines_next(&w->written, w->clean_pos), bits, kept;
	uint64_t at = leaf * MAP_LEAF_PAGES;
	unsigned lines;

	if (leaf == LINES_NONE)
		return 0;
	map_lock(&w->v->map, at, 1);
	bits = kept = w->written.leaf[leaf];
	lines = 1 + (unsigned)__builtin_popcountll(bits);
	for (; bits; bits &= bits - 1) {
		unsigned i = (unsigned)__builtin_ctzll(bits);

		if (!clean_line(w, leaf * (MAP_LEAF_PAGES / MAP_LINE_PAGES) + i))
			kept &= ~(1ull << i);
	}
	lines_keep(&w->written, leaf, kept);
	map_unlock(&w->v->map, at, 1);
	w->clean_pos = leaf + 1;
	return lines;
}

bool back_clean(struct writer *w)
{
	unsigned lines = 0, n;

	while (lines < WRITER_LINES && (n = clean_leaf(w)))
		lines += n;
	return lines >= WRITER_LINES;
}
