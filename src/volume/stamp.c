/* stamp.c - what the image looks like from outside (size, inode, time of change) while we change it, so that the next
 * start can tell whether somebody else has: the stamp in the ledger (mem/ledger.h) is open while requests that change
 * the image are under way, and for a while after. */
#include <time.h>
#include "writer_in.h"

enum { STAMP_MS = 100 };

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

void stamp_arm(struct writer *w)
{
	if (!w->stamp_timer.index && backend_can_stamp(w->v->backend) && stamp_is_open(w))
		(void)io_timer_set(w->io, &w->stamp_timer, io_now(w->io) + STAMP_MS * MS);
}

static void on_stamp(struct io_timer *t)
{
	struct writer *w = container_of(t, struct writer, stamp_timer);

	volume_stamp(w->v);
	space_look(w->v);
	stamp_arm(w);
}

void stamp_init(struct writer *w)
{
	io_timer_init(&w->stamp_timer, on_stamp);
}
