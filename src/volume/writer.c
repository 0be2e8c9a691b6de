/* writer.c - the writer of one volume (see writer.h): what it does next, on its home reactor. */
#include "writer_in.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "cache.h"
#include "log.h"

enum {
	AGE_MS = 5000,  /* the oldest dirty page is about so old when it is written */
	DELAY_MS = 500, /* after a failure; doubled up to .. */
	DELAY_MAX_MS = 30000,
};

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

	while (w->n_flying < WRITER_DEPTH && wants_write(w)) {
		unsigned n = back_walk(w, &w->pos, w->v->n_pages, &n_pages);

		if (!n && wrapped)
			return false; /* all that is dirty is busy */
		if (!n) {
			wrap(w);
			wrapped = true;
		}
		/* Where all is busy there is nothing to come back for: it kicks. */
		lines += n_pages ? n : 0;
		if (lines >= WRITER_LINES && w->n_flying < WRITER_DEPTH)
			return true;
	}
	return false;
}

/* --- a flush of the backend --- */

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

/* All that the flush covered is clean. */
static void cleaned(struct writer *w)
{
	int error = w->sync_error;

	if (!error && !w->failed)
		on_success(w);
	batch_end(w, error);
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
		batch_again(w);
		return;
	}
	if (w->batch_error || given_up(w))
		batch_end(w, w->batch_error ? w->batch_error : -ECANCELED);
	/* A page may be dirty anew; what was written of it before must last all the same. */
	else if (written(w) || w->unsynced)
		begin_sync(w);
	else
		batch_end(w, 0);
}

static void idle(struct writer *w)
{
	if (batch_take(w)) {
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
			batch_end(w, -ECANCELED);
		else if (batch_pass(w, laterp))
			w->state = WRITER_DRAIN;
		break;
	case WRITER_DRAIN:
		drain(w);
		break;
	case WRITER_SYNC:
		break;
	case WRITER_CLEAN:
		if (back_clean(w)) {
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
	stamp_arm(w);
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
	stamp_init(w);
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
