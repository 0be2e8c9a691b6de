/* writer.c - the writer of one volume (see writer.h): what it does next, on its home reactor. */
#include "writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "cache.h"
#include "log.h"

enum {
	DEPTH = 32, /* requests in flight */
	LINES_A_TURN = 64,
	AGE_MS = 5000, /* the oldest dirty page is about so old when it is written */
	STAMP_MS = 100,
	DELAY_MS = 500, /* after a failure; doubled up to .. */
	DELAY_MAX_MS = 30000,
};
#define MS 1000000ull

static void run(struct writer *w);

static uint64_t unclean(const struct writer *w)
{
	return __atomic_load_n(&w->n_unclean, __ATOMIC_SEQ_CST);
}

static uint64_t written(const struct writer *w)
{
	return __atomic_load_n(&w->n_written, __ATOMIC_RELAXED);
}

static uint64_t n_dirty(const struct writer *w)
{
	uint64_t all = unclean(w), done = written(w);

	return all - MIN(all, done);
}

/* --- being called --- */

static void on_work(struct io_work *work)
{
	struct writer *w = container_of(work, struct writer, work);

	__atomic_store_n(&w->kicked, false, __ATOMIC_SEQ_CST);
	run(w);
}

void writer_kick(struct writer *w, struct io *io)
{
	struct io *home = __atomic_load_n(&w->io, __ATOMIC_ACQUIRE);

	if (!home && io) {
		struct io *none = NULL;

		__atomic_compare_exchange_n(
			&w->io, &none, io, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
		home = __atomic_load_n(&w->io, __ATOMIC_ACQUIRE);
	}
	if (!home || __atomic_exchange_n(&w->kicked, true, __ATOMIC_SEQ_CST))
		return;
	list_init(&w->work.link);
	io_post(home, &w->work);
}

void writer_press(struct writer *w)
{
	if (!unclean(w))
		return;
	__atomic_store_n(&w->pressed, true, __ATOMIC_RELAXED);
	writer_kick(w, NULL);
}

void writer_woken(struct writer *w, struct io *io)
{
	__atomic_store_n(&w->woken, true, __ATOMIC_SEQ_CST);
	writer_kick(w, io);
}

static void arm(struct writer *w, uint64_t at_ns)
{
	if (!w->timer.index || w->timer.at_ns > at_ns)
		(void)io_timer_set(
			w->io, &w->timer, at_ns); /* without one, the next kick does it */
}

static void begin_cycle(struct writer *w)
{
	w->cycle = unclean(w) > 0; /* else the next page would not be let grow old */
	w->pos = 0;
	w->failed = false;
}

static void on_timer(struct io_timer *t)
{
	struct writer *w = container_of(t, struct writer, timer);

	begin_cycle(w);
	run(w);
}

/* --- the image's stamp --- */

static uint64_t wall_ns(void)
{
	struct timespec t;

	/* The clock that file systems stamp with, and no kernel call. */
	clock_gettime(CLOCK_REALTIME_COARSE, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void stamp_begin(struct volume *v, struct io *io)
{
	struct writer *w = v->writer;

	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->n_changes++;
	if (!backend_lost(v->backend))
		ledger_stamp_open(w->ledger, w->volume, wall_ns());
	if (!w->open) {
		w->open = true;
		writer_kick(w, io);
	}
	pthread_mutex_unlock(&w->lock);
}

void stamp_end(struct volume *v)
{
	struct writer *w = v->writer;

	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->n_changes--;
	pthread_mutex_unlock(&w->lock);
}

void volume_stamp(struct volume *v)
{
	struct writer *w = v->writer;
	struct backend_stamp now;
	struct ledger_stamp s;

	if (!w || backend_stamp(v->backend, &now))
		return;
	if (backend_lost(v->backend)) { /* it is not what it was, whatever it looks like */
		now.size = v->size;
		now.mtime_ns = 1;
	}
	pthread_mutex_lock(&w->lock);
	if (!w->n_changes) {
		s = (struct ledger_stamp){now.size, now.dev, now.ino, now.mtime_ns};
		ledger_stamp_close(w->ledger, w->volume, &s);
		w->open = false;
	}
	pthread_mutex_unlock(&w->lock);
}

static bool stamp_is_open(struct writer *w)
{
	bool open;

	pthread_mutex_lock(&w->lock);
	open = w->open;
	pthread_mutex_unlock(&w->lock);
	return open;
}

static void arm_stamp(struct writer *w)
{
	if (!w->stamp_timer.index && backend_can_stamp(w->v->backend) && stamp_is_open(w))
		(void)io_timer_set(w->io, &w->stamp_timer, io_now(w->io) + STAMP_MS * MS);
}

static void on_stamp(struct io_timer *t)
{
	struct writer *w = container_of(t, struct writer, stamp_timer);

	volume_stamp(w->v);
	space_look(w->v);
	arm_stamp(w);
}

/* --- failure --- */

static void on_failure(struct writer *w, int error)
{
	w->failed = true;
	if (__atomic_load_n(&w->error, __ATOMIC_RELAXED) != error)
		__atomic_add_fetch(&w->n_faults, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&w->error, error, __ATOMIC_RELEASE);
	if (backend_lost(w->v->backend))
		volume_stamp(w->v);
	w->cycle = false;
	if (w->retry_ns > io_now(w->io))
		return;
	w->delay_ns = MIN(MAX(w->delay_ns * 2, DELAY_MS * MS), DELAY_MAX_MS * MS);
	w->retry_ns = io_now(w->io) + w->delay_ns;
	io_timer_stop(w->io, &w->timer);
	arm(w, w->retry_ns);
}

static void on_success(struct writer *w)
{
	w->delay_ns = w->retry_ns = 0;
	__atomic_store_n(&w->error, 0, __ATOMIC_RELEASE);
}

/* --- pages are written --- */

void back_begin(struct volume *v, uint64_t at, struct list *launch)
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

void writer_began(struct writer *w)
{
	w->n_flying++;
}

void writer_ended(struct writer *w, int error)
{
	w->n_flying--;
	if (error) {
		w->batch_error = error;
		on_failure(w, error);
	} else {
		w->unsynced = true;
	}
	writer_kick(w, NULL);
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

/* walk - the next leaf with something dirty from page *posp on, up to `end`; *posp moves behind what
 * was looked at. Lines touched, 0: there is none; *np: pages that are on their way. */
static unsigned walk(struct writer *w, uint64_t *posp, uint64_t end, uint32_t *np)
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
	pageio_launch(v, w->io, &launch);
	return lines;
}

/* --- background --- */

static bool given_up(const struct writer *w)
{
	return __atomic_load_n(&w->given_up, __ATOMIC_RELAXED);
}

static bool waited_for(const struct writer *w)
{
	return __atomic_load_n(&w->n_waits, __ATOMIC_SEQ_CST) ||
	       __atomic_load_n(&w->pressed, __ATOMIC_RELAXED);
}

static bool wants_write(struct writer *w)
{
	uint64_t dirty = n_dirty(w);

	if (!dirty || given_up(w) || backend_lost(w->v->backend) || io_now(w->io) < w->retry_ns)
		return false;
	if (w->cycle || waited_for(w))
		return true;
	if (unclean(w) >= w->limit / 4 * 3)
		w->hot = true;
	else if (dirty <= w->limit / 2)
		w->hot = false;
	return w->hot;
}

static bool wants_sync(struct writer *w)
{
	uint64_t n = written(w);

	if (!n || given_up(w) || backend_lost(w->v->backend) || io_now(w->io) < w->retry_ns)
		return false;
	if (n >= w->limit / 8)
		return true;
	return (w->sync_due || waited_for(w)) && !w->n_flying;
}

/* The end of the volume: a cycle has seen all. */
static void wrap(struct writer *w)
{
	w->pos = 0;
	w->sync_due = true;
	w->cycle = false;
	__atomic_store_n(&w->pressed, false, __ATOMIC_RELAXED);
}

static bool background(struct writer *w)
{
	unsigned lines = 0;
	bool wrapped = false;
	uint32_t n_pages;

	while (w->n_flying < DEPTH && wants_write(w)) {
		unsigned n = walk(w, &w->pos, w->v->n_pages, &n_pages);

		if (!n && wrapped)
			return false; /* all that is dirty is busy */
		if (!n) {
			wrap(w);
			wrapped = true;
		}
		/* Where all is busy there is nothing to come back for: it kicks. */
		lines += n_pages ? n : 0;
		if (lines >= LINES_A_TURN && w->n_flying < DEPTH)
			return true;
	}
	return false;
}

/* --- batches --- */

static bool take_batch(struct writer *w)
{
	struct list *node;

	pthread_mutex_lock(&w->lock);
	while ((node = list_pop(&w->flushes)))
		list_push_back(&w->batch, node);
	pthread_mutex_unlock(&w->lock);
	return !list_empty(&w->batch);
}

static void end_batch(struct writer *w, int error)
{
	struct list *node;

	while ((node = list_pop(&w->batch)))
		list_push_back(&w->served, node);
	w->state = WRITER_IDLE;
	while ((node = list_pop(&w->served))) {
		struct vol_work *work = list_entry(node, struct vol_work, link);

		work->error = error;
		work_home(work, w->io);
	}
}

/* pass - true: all ranges have been walked. */
static bool pass(struct writer *w, bool *morep)
{
	unsigned lines = 0;
	uint32_t n_pages;

	while (!list_empty(&w->batch)) {
		struct vol_work *work = list_first(&w->batch, struct vol_work, link);

		if (w->n_flying >= DEPTH)
			return false;
		if (lines >= LINES_A_TURN) {
			*morep = true;
			return false;
		}
		lines += walk(w, &work->pos, work->stop, &n_pages);
		if (work->pos >= work->stop) {
			list_remove(&work->link);
			list_push_back(&w->served, &work->link);
		}
	}
	return true;
}

/* Another walk over the ranges, for what was busy in the first. */
static bool pass_again(struct writer *w)
{
	struct list *node;

	if (!__atomic_exchange_n(&w->woken, false, __ATOMIC_SEQ_CST))
		return false;
	w->redo = false;
	while ((node = list_pop(&w->served))) {
		struct vol_work *work = list_entry(node, struct vol_work, link);

		work->pos = work->from;
		list_push_back(&w->batch, node);
	}
	w->state = WRITER_PASS;
	return true;
}

static void on_flushed(struct backend_req *r, int error)
{
	struct writer *w = container_of(r, struct writer, flush);

	uint32_t n_failed = backend_failed_flushes(w->v->backend);

	/* Whoever's flush it was that failed: a later one says nothing about what that one lost. */
	if (!error && n_failed != w->n_failed)
		error = -EIO;
	w->n_failed = n_failed;
	w->sync_error = error;
	if (error) {
		on_failure(w, error);
		log_warn("%s: flush: %s; what was written since the last one is written again",
			w->v->name, strerror(-error));
	}
	w->state = WRITER_CLEAN;
	w->clean_pos = 0;
	run(w);
}

static void begin_sync(struct writer *w)
{
	w->state = WRITER_SYNC;
	w->mark = !w->mark;
	w->sync_due = false;
	w->unsynced = false;
	w->flush = (struct backend_req){.kind = IO_FLUSH, .done = on_flushed};
	backend_io(w->v->backend, w->io, &w->flush);
}

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

/* clean - false: all is done. */
static bool clean(struct writer *w)
{
	unsigned lines = 0, n;

	while (lines < LINES_A_TURN && (n = clean_leaf(w)))
		lines += n;
	return lines >= LINES_A_TURN;
}

/* All that the flush covered is clean. */
static void cleaned(struct writer *w)
{
	int error = w->sync_error;

	if (!error && !w->failed)
		on_success(w);
	end_batch(w, error);
	if (unclean(w))
		arm(w, MAX(io_now(w->io) + AGE_MS * MS, w->retry_ns));
	cache_event(w->v->cache);
}

/* --- what next --- */

static void drain(struct writer *w)
{
	if (w->n_flying)
		return;
	if (w->redo && !w->batch_error) {
		pass_again(w);
		return;
	}
	if (w->batch_error || given_up(w))
		end_batch(w, w->batch_error ? w->batch_error : -ECANCELED);
	/* A page may be dirty anew; what was written of it before must last all the same. */
	else if (written(w) || w->unsynced)
		begin_sync(w);
	else
		end_batch(w, 0);
}

static void idle(struct writer *w)
{
	if (take_batch(w)) {
		w->state = WRITER_PASS;
		w->redo = w->failed = false;
		w->batch_error = 0;
		__atomic_store_n(&w->woken, false, __ATOMIC_SEQ_CST);
	} else if (wants_sync(w)) {
		begin_sync(w);
	}
}

/* step - true: there is more to do at once. */
static bool step(struct writer *w, bool *laterp)
{
	enum writer_state before = w->state;

	switch (w->state) {
	case WRITER_IDLE:
		idle(w);
		break;
	case WRITER_PASS:
		if (given_up(w))
			end_batch(w, -ECANCELED);
		else if (pass(w, laterp))
			w->state = WRITER_DRAIN;
		break;
	case WRITER_DRAIN:
		drain(w);
		break;
	case WRITER_SYNC:
		break;
	case WRITER_CLEAN:
		if (clean(w)) {
			*laterp = true;
			waits_wake_fitting(w);
			break;
		}
		cleaned(w);
		break;
	}
	return w->state != before && !*laterp;
}

static void hold_cache(struct writer *w)
{
	bool some = unclean(w) > 0;

	if (some == w->holding)
		return;
	w->holding = some;
	if (some)
		cache_hold(w->v->cache);
	else
		cache_release(w->v->cache);
}

static void run(struct writer *w)
{
	bool later = false;

	if (__atomic_exchange_n(&w->hastened, false, __ATOMIC_SEQ_CST))
		begin_cycle(w);
	while (step(w, &later))
		continue;
	if (w->state != WRITER_PASS && w->state != WRITER_DRAIN) {
		later |= background(w);
		if (w->state == WRITER_IDLE && wants_sync(w))
			begin_sync(w);
	}
	hold_cache(w);
	waits_wake_fitting(w);
	if (__atomic_load_n(&w->error, __ATOMIC_RELAXED) &&
		__atomic_load_n(&w->n_waits, __ATOMIC_RELAXED))
		waits_wake(w); /* they end with the error */
	if (unclean(w) && !w->timer.index)
		arm(w, MAX(io_now(w->io) + AGE_MS * MS, w->retry_ns));
	arm_stamp(w);
	if (later)
		writer_kick(w, NULL);
}

/* --- from outside --- */

void writer_flush(struct vol_work *work, uint64_t first, uint64_t end)
{
	struct writer *w = work->v->writer;

	work->error = 0;
	if (!w || !unclean(w)) {
		work->resume(work);
		return;
	}
	work->pos = work->from = first;
	work->stop = end;
	pthread_mutex_lock(&w->lock);
	list_push_back(&w->flushes, &work->link);
	pthread_mutex_unlock(&w->lock);
	writer_kick(w, work->op->io);
}

void volume_flush_soon(struct volume *v, struct io *io)
{
	if (!v->writer || !unclean(v->writer))
		return;
	__atomic_store_n(&v->writer->hastened, true, __ATOMIC_SEQ_CST);
	writer_kick(v->writer, io);
}

void writer_give_up(struct writer *w)
{
	__atomic_store_n(&w->given_up, true, __ATOMIC_RELAXED);
	writer_kick(w, NULL);
}

bool writer_leave(struct writer *w, struct io *io)
{
	if (__atomic_load_n(&w->io, __ATOMIC_ACQUIRE) != io)
		return true;
	if (w->state != WRITER_IDLE || w->n_flying || !list_empty(&w->flushes) ||
		__atomic_load_n(&w->kicked, __ATOMIC_SEQ_CST))
		return false;
	volume_stamp(w->v);
	io_timer_stop(io, &w->timer);
	io_timer_stop(io, &w->stamp_timer);
	return true;
}

int writer_new(struct writer **wp, struct volume *v, const struct volume_back *p)
{
	struct writer *w = aligned_alloc(_Alignof(struct writer), sizeof(*w));

	if (!w)
		return -ENOMEM;
	memset(w, 0, sizeof(*w));
	w->v = v;
	w->ledger = p->ledger;
	w->volume = p->volume;
	w->on = p->on;
	w->limit = p->limit;
	if (lines_init(&w->dirty, v->map.n_leaves) || lines_init(&w->written, v->map.n_leaves)) {
		lines_deinit(&w->dirty);
		free(w);
		return -ENOMEM;
	}
	pthread_mutex_init(&w->lock, NULL);
	list_init(&w->flushes);
	list_init(&w->waits);
	list_init(&w->batch);
	list_init(&w->served);
	list_init(&w->work.link);
	w->work.fn = on_work;
	io_timer_init(&w->timer, on_timer);
	io_timer_init(&w->stamp_timer, on_stamp);
	cache_add_writer(v->cache, w);
	*wp = w;
	return 0;
}

struct writer *writer_free(struct writer *w)
{
	if (!w)
		return NULL;
	check(list_empty(&w->waits) && list_empty(&w->flushes) && list_empty(&w->batch));
	cache_remove_writer(w->v->cache, w);
	if (w->io) {
		io_timer_stop(w->io, &w->timer);
		io_timer_stop(w->io, &w->stamp_timer);
	}
	if (w->holding)
		cache_release(w->v->cache);
	lines_deinit(&w->dirty);
	lines_deinit(&w->written);
	pthread_mutex_destroy(&w->lock);
	free(w);
	return NULL;
}
