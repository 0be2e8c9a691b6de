/* flush.c - one flush of a backend at a time; whoever asks while it is under way shares the next one.
 *
 * A flush covers what was written before it was sent, so requests that come while one is under way
 * wait for it to end, and then one flush serves them all. And what a failed one has given up is
 * known (n_failed_flushes) before the next is sent: were two under way at once, one might succeed on
 * the strength of the other's failure, and be heard first. */
#include "flush.h"

#include <errno.h>

static void send_on(struct io_work *work)
{
	struct backend_req *r = container_of(work, struct backend_req, later);

	r->b->ops->submit(r->b, r->io, r);
}

static void told(struct io_work *work)
{
	struct backend_req *r = container_of(work, struct backend_req, later);

	r->flushed(r, r->flush_res);
}

static void call(struct backend_req *r, void (*fn)(struct io_work *))
{
	r->later.fn = fn;
	list_init(&r->later.link);
	io_post(r->io, &r->later);
}

/* next_group - who has asked meanwhile: the first of them sends for all. */
static void next_group(struct backend *b)
{
	struct backend_req *next;

	pthread_mutex_lock(&b->flush_lock);
	next = b->flush_waiting;
	b->flush_waiting = NULL;
	b->flushing = next != NULL;
	pthread_mutex_unlock(&b->flush_lock);
	if (next)
		call(next, send_on);
}

static void on_flush(struct io_disk *d, int64_t res)
{
	struct backend_req *r = container_of(d, struct backend_req, disk), *other = r->flush_next;

	if (res < 0)
		__atomic_add_fetch(&r->b->n_failed_flushes, 1, __ATOMIC_RELEASE);
	next_group(r->b);
	while (other) {
		struct backend_req *next = other->flush_next;

		other->flush_res = res;
		call(other, told);
		other = next;
	}
	r->flushed(r, res);
}

void flush_submit(struct backend_req *r, void (*end)(struct backend_req *, int64_t res))
{
	struct backend *b = r->b;
	bool now;

	r->flushed = end;
	r->flush_next = NULL;
	r->disk.done = on_flush;
	pthread_mutex_lock(&b->flush_lock);
	now = !b->flushing;
	b->flushing = true;
	if (!now) {
		r->flush_next = b->flush_waiting;
		b->flush_waiting = r;
	}
	pthread_mutex_unlock(&b->flush_lock);
	if (now)
		b->ops->submit(b, r->io, r);
}
