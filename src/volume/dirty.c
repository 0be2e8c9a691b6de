/* dirty.c - pages become dirty: commits in write-back mode, and what an earlier process left.
 *
 * The order of the stores to the ledger is the whole of crash safety (ledger.h): all records of the
 * command, the commit, then the old ones' retirement. The map, the counts and the lists die with
 * the process and may be in any state meanwhile. */
#include <errno.h>
#include "cache.h"
#include "fetch.h"
#include "writer.h"

static uint64_t n_unclean(const struct writer *w)
{
	return __atomic_load_n(&w->n_unclean, __ATOMIC_SEQ_CST);
}

/* --- the limit --- */

static bool fits(const struct writer *w, uint32_t n)
{
	uint64_t now = n_unclean(w);

	return now + n <= w->limit || !now;
}

static void waits_remove(struct writer *w, struct vol_work *work)
{
	list_remove(&work->link);
	__atomic_sub_fetch(&w->n_waits, 1, __ATOMIC_SEQ_CST);
}

/* Whoever waits says so and then looks again; whoever cleans counts down and then looks for who
 * waits: one of them sees the other. */
static bool wait_for_room(struct writer *w, struct vol_work *work)
{
	bool waits = true;

	pthread_mutex_lock(&w->lock);
	if (work->waited)
		list_push_front(&w->waits, &work->link);
	else
		list_push_back(&w->waits, &work->link);
	__atomic_add_fetch(&w->n_waits, 1, __ATOMIC_SEQ_CST);
	if (fits(w, work->n)) {
		waits_remove(w, work);
		waits = false;
	}
	pthread_mutex_unlock(&w->lock);
	return waits;
}

int dirty_admit(struct vol_work *work)
{
	struct writer *w = work->v->writer;
	int error;

	error = backend_lost(work->v->backend);
	if (unlikely(error)) /* nothing more is promised that can never be kept */
		return error;
	if (likely(fits(w, work->n) &&
		    (work->waited || !__atomic_load_n(&w->n_waits, __ATOMIC_RELAXED))))
		return 0;
	error = __atomic_load_n(&w->error, __ATOMIC_RELAXED);
	if (error)
		return error;
	if (!wait_for_room(w, work))
		return 0;
	writer_kick(w, work->op->io);
	return FETCH_WAITS;
}

static struct vol_work *next_wait(struct writer *w, bool all)
{
	struct vol_work *work = NULL;

	pthread_mutex_lock(&w->lock);
	if (!list_empty(&w->waits)) {
		work = list_first(&w->waits, struct vol_work, link);
		if (all || fits(w, work->n))
			waits_remove(w, work);
		else
			work = NULL;
	}
	pthread_mutex_unlock(&w->lock);
	return work;
}

static void wake(struct writer *w, bool all)
{
	struct vol_work *work;
	uint32_t n = __atomic_load_n(&w->n_waits, __ATOMIC_SEQ_CST);

	while (n-- && (work = next_wait(w, all))) {
		work->waited = !all;
		work_later(work);
	}
}

void waits_wake(struct writer *w)
{
	wake(w, true);
}

/* --- counts --- */

/* Under the locks of the pages. */
static void count_new(struct vol_work *work, uint64_t n)
{
	struct writer *w = work->v->writer;
	uint64_t before = __atomic_fetch_add(&w->n_unclean, n, __ATOMIC_SEQ_CST);
	uint64_t start = w->limit / 4 * 3;

	if (unlikely(!before || (before < start && before + n >= start)))
		writer_kick(w, work->op->io);
}

static void dirty_clean(struct writer *w, entry_t e, uint64_t n)
{
	if (entry_state(e) == ENTRY_WRITTEN)
		__atomic_sub_fetch(&w->n_written, n, __ATOMIC_RELAXED);
	if (!__atomic_sub_fetch(&w->n_unclean, n, __ATOMIC_SEQ_CST))
		writer_kick(w, NULL);
}

void dirty_drop(struct volume *v, entry_t e)
{
	ledger_retire(v->writer->ledger, entry_page(e));
	dirty_clean(v->writer, e, 1);
}

entry_t dirty_again(struct volume *v, uint64_t at, entry_t e)
{
	if (entry_state(e) == ENTRY_WRITTEN)
		__atomic_sub_fetch(&v->writer->n_written, 1, __ATOMIC_RELAXED);
	lines_set(&v->writer->dirty, at);
	return entry_dirty(entry_page(e));
}

/* --- commit --- */

static bool version_in_the_way(const struct vol_work *work)
{
	for (uint32_t i = 0; i < work->n; i++) {
		entry_t e = map_get(&work->v->map, work->first + i);

		if (unlikely(entry_state(e) == ENTRY_BUSY &&
			     !list_empty(&((struct page_rec *)entry_rec(e))->vers)))
			return true;
	}
	return false;
}

static void publish_all(struct vol_work *work)
{
	struct writer *w = work->v->writer;
	struct ledger *l = w->ledger;
	struct page_walk walk = {work->fresh.runs};
	uint64_t seq = ledger_next_seq(l);
	struct ledger_slot *slot = work->n > 1 ? ledger_begin(l, seq) : NULL;

	for (uint32_t i = 0; i < work->n; i++) {
		uint32_t page = page_next(&walk);

		slow_check(!ledger_lives(l, page));
		ledger_publish(l, page, w->volume, work->first + i, seq, work->n);
	}
	if (slot)
		ledger_commit(slot);
}

/* show_dirty - what it replaces. */
static entry_t show_dirty(struct volume *v, uint64_t at, uint32_t page)
{
	entry_t e = map_get(&v->map, at), old = e, fresh = entry_dirty(page);

	if (unlikely(entry_state(e) == ENTRY_BUSY)) {
		struct page_rec *r = entry_rec(e);

		old = r->shown;
		r->shown = fresh;
	} else {
		map_set(&v->map, at, fresh);
	}
	lines_set(&v->writer->dirty, at);
	return old;
}

bool dirty_commit(struct vol_work *work, uint32_t *old)
{
	struct volume *v = work->v;
	struct page_walk walk = {work->fresh.runs};
	uint64_t n_new = 0, n_written = 0;

	if (version_in_the_way(work))
		return false;
	publish_all(work);
	for (uint32_t i = 0; i < work->n; i++) {
		entry_t e = show_dirty(v, work->first + i, page_next(&walk));

		old[i] = entry_is_page(e) ? entry_page(e) : PAGE_NONE;
		if (!entry_is_unclean(e)) {
			n_new++;
			continue;
		}
		ledger_retire(v->writer->ledger, entry_page(e));
		n_written += entry_state(e) == ENTRY_WRITTEN;
	}
	if (n_written)
		__atomic_sub_fetch(&v->writer->n_written, n_written, __ATOMIC_RELAXED);
	if (n_new)
		count_new(work, n_new);
	return true;
}

/* --- out of another process's life, and into the next --- */

bool volume_adopt(struct volume *v, uint32_t page)
{
	struct writer *w = v->writer;
	struct ledger *l = w->ledger;
	const struct ledger_record *r = &l->records[page];
	entry_t e = map_get(&v->map, r->at);
	bool older;

	check(r->volume == w->volume && r->at < v->n_pages);
	if (entry_is_unclean(e)) {
		older = r->seq < l->records[entry_page(e)].seq;
		ledger_retire(l, older ? page : entry_page(e));
		arena_unref(v->arena, older ? page : entry_page(e), 1);
		if (older)
			return false;
	} else {
		__atomic_add_fetch(&w->n_unclean, 1, __ATOMIC_RELAXED);
	}
	map_set(&v->map, r->at, entry_dirty(page));
	lines_set(&w->dirty, r->at);
	return true;
}

static void keep_leaf(struct volume *v, uint64_t leaf)
{
	uint64_t end = MIN((leaf + 1) * MAP_LEAF_PAGES, v->n_pages);

	for (uint64_t at = leaf * MAP_LEAF_PAGES; at < end; at++) {
		entry_t e = map_get(&v->map, at);

		if (entry_is_unclean(e))
			arena_keep(v->arena, entry_page(e));
	}
}

void dirty_forget(struct volume *v)
{
	struct writer *w = v->writer;

	for (uint64_t leaf = 0; leaf < v->map.n_leaves; leaf++) {
		uint64_t next = MIN(lines_next(&w->dirty, leaf), lines_next(&w->written, leaf));

		if (next == LINES_NONE)
			break;
		leaf = next;
		keep_leaf(v, leaf);
	}
}

/* Called by the writer, with no lock held. */
void waits_wake_fitting(struct writer *w)
{
	if (__atomic_load_n(&w->n_waits, __ATOMIC_SEQ_CST))
		wake(w, false);
}
