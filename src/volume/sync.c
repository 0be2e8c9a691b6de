/* sync.c - the order of commits, and flushes (see sync.h). */
#include <errno.h>
#include "sync.h"
#include "writer.h"

void sync_init(struct vol_sync *s)
{
	pthread_mutex_init(&s->lock, NULL);
	list_init(&s->writes);
	list_init(&s->flushes);
	s->next_seq = 1;
	s->loose_seq = s->tight_seq = 0;
}

void sync_deinit(struct vol_sync *s)
{
	check(list_empty(&s->writes) && list_empty(&s->flushes));
	pthread_mutex_destroy(&s->lock);
}

void sync_begin(struct vol_work *w)
{
	struct vol_sync *s = &w->v->sync;

	pthread_mutex_lock(&s->lock);
	w->seq = s->next_seq++;
	list_push_back(&s->writes, &w->active);
	pthread_mutex_unlock(&s->lock);
}

static uint64_t oldest_seq(const struct vol_sync *s)
{
	return list_empty(&s->writes) ? UINT64_MAX
				      : list_first(&s->writes, struct vol_work, active)->seq;
}

void sync_end(struct vol_work *w, struct list *home)
{
	struct vol_sync *s = &w->v->sync;
	pthread_mutex_lock(&s->lock);
	list_remove(&w->active);
	/* In the order of their coming, which is that of their numbers. */
	while (!list_empty(&s->flushes) &&
		list_first(&s->flushes, struct vol_work, active)->seq <= oldest_seq(s))
		list_push_back(
			home, &list_entry(list_pop(&s->flushes), struct vol_work, active)->link);
	pthread_mutex_unlock(&s->lock);
}

void sync_loosen(struct volume *v)
{
	pthread_mutex_lock(&v->sync.lock);
	v->sync.loose_seq = v->sync.next_seq++;
	pthread_mutex_unlock(&v->sync.lock);
}

void sync_wait(struct vol_work *w)
{
	struct vol_sync *s = &w->v->sync;
	bool now;

	pthread_mutex_lock(&s->lock);
	w->seq = s->next_seq++;
	now = w->seq <= oldest_seq(s);
	if (!now)
		list_push_back(&s->flushes, &w->active);
	pthread_mutex_unlock(&s->lock);
	if (now)
		w->resume(w);
}

static void on_flushed(struct backend_req *r, int error)
{
	struct vol_work *w = container_of(r, struct vol_work, flush);
	struct vol_sync *s = &w->v->sync;

	if (!error) {
		pthread_mutex_lock(&s->lock);
		s->tight_seq = MAX(s->tight_seq, w->seq);
		pthread_mutex_unlock(&s->lock);
	}
	w->flushed(w, error);
}

void sync_flush(struct vol_work *w, void (*end)(struct vol_work *, int))
{
	struct vol_sync *s = &w->v->sync;
	bool tight;

	pthread_mutex_lock(&s->lock);
	w->seq = s->loose_seq;
	tight = s->loose_seq <= s->tight_seq;
	pthread_mutex_unlock(&s->lock);
	if (tight) { /* if it is still there */
		end(w, backend_look(w->v->backend, w->op->io));
		return;
	}
	w->flushed = end;
	w->flush = (struct backend_req){.kind = IO_FLUSH, .done = on_flushed};
	backend_io(w->v->backend, w->op->io, &w->flush);
}

static void flush_done(struct vol_work *w, int error)
{
	work_done(w, error);
}

static void flush_written(struct vol_work *w)
{
	if (w->error)
		work_done(w, w->error);
	else
		sync_flush(w, flush_done);
}

static void flush_ready(struct vol_work *w)
{
	struct vol_op *op = w->op;

	w->resume = flush_written;
	writer_flush(w, op->off / ARENA_PAGE, (op->off + op->len + ARENA_PAGE - 1) / ARENA_PAGE);
}

void volume_flush(struct vol_op *op)
{
	struct vol_work *w;

	if (!op->v->backend) {
		op_end(op, 0); /* nothing is promised */
		return;
	}
	w = work_new(op, 0, 1);
	if (!w) {
		op_end(op, -ENOMEM);
		return;
	}
	w->resume = flush_ready;
	sync_wait(w);
}
