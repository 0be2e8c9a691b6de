/* power.c - a disk with a volatile write cache, whose power goes when the program ends.
 *
 * What is written lies in memory of ours, the shadow, until a flush takes it to the disk behind, or a
 * write that asked to be durable has gone there. However the program ends, by SIGKILL or in order, the
 * shadow is gone with it: that is the power cut. With `tear` some writes reach the disk behind before
 * anybody asked, or a part of them does, unit by unit, as a disk may choose to: so a cut finds writes
 * whole, torn and missing, in no order. With `flush=ignored` the disk lies: flushes and writes that ask to be
 * durable are answered and not done, as by disks that should not be bought; what a test finds there tells
 * whether it can find anything.
 *
 * has    the unit's newest content lies in the shadow (for good: reads never depend on when the disk
 *        behind has it)
 * dirty  and the disk behind has not been sent it: bytes, or a hole
 *
 * Whatever goes behind (a durable write, a leak, a flush) is a job; one runs at a time, so that no old
 * content overtakes newer and a flush covers what others have on their way. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "check.h"
#include "fault.h"

enum { BOUNCE = 1 << 20, MIN_UNIT = 512 };
enum { CLEAN, BYTES, HOLE }; /* dirty[] */

struct power {
	struct filter x;
	uint32_t unit;
	pthread_mutex_t lock; /* of all below but the job */
	uint8_t *shadow;
	uint8_t *has, *dirty; /* a byte a unit */
	size_t n_units;
	struct list jobs; /* backend_req.disk.link: those that wait */
	bool running;
	/* the job that runs, on the reactor of its request */
	struct backend_req *job;
	uint64_t at, end; /* units */
	uint64_t from, n; /* being moved */
	uint8_t what;
	struct backend_req req;
	struct iovec iov;
	uint8_t *bounce;
};

static struct power *self(struct backend *b)
{
	return container_of(b, struct power, x.b);
}

/* --- the shadow, under the lock --- */
static void mark(struct power *p, const struct io_disk *d, uint8_t dirty)
{
	uint64_t from = d->off / p->unit, to = (d->off + d->len + p->unit - 1) / p->unit;

	memset(p->has + from, 1, to - from);
	memset(p->dirty + from, dirty, to - from);
}

static void keep_bytes(struct power *p, const struct io_disk *d)
{
	uint8_t *at = p->shadow + d->off;

	for (unsigned i = 0; i < d->n_iov; i++) {
		memcpy(at, d->iov[i].iov_base, d->iov[i].iov_len);
		at += d->iov[i].iov_len;
	}
	mark(p, d, BYTES);
}

static void keep_zeros(struct power *p, const struct io_disk *d)
{
	memset(p->shadow + d->off, 0, d->len);
	mark(p, d, HOLE);
}

/* The first `len` bytes of a read, where the shadow has them. */
static void show(struct power *p, const struct io_disk *d, uint64_t len)
{
	uint64_t at = d->off, end = d->off + len;
	unsigned i = 0;
	size_t skip = 0;

	while (at < end) {
		uint64_t n = MIN(MIN(p->unit - at % p->unit, end - at), d->iov[i].iov_len - skip);

		if (p->has[at / p->unit])
			memcpy((uint8_t *)d->iov[i].iov_base + skip, p->shadow + at, n);
		at += n;
		skip += n;
		if (skip == d->iov[i].iov_len) {
			skip = 0;
			i++;
		}
	}
}

/* --- jobs --- */
static bool is_leak(const struct io_disk *d)
{
	return d->kind == IO_WRITE && !(d->flags & IO_DURABLE);
}

static bool goes(struct power *p, uint64_t u)
{
	return p->dirty[u] && (!is_leak(&p->job->disk) || filter_roll(&p->x) & 1);
}

/* The next units that go, bytes into the bounce buffer; false: there are none. */
static bool next_run(struct power *p)
{
	uint64_t most = BOUNCE / p->unit, off, len;
	uint8_t what;

	pthread_mutex_lock(&p->lock);
	while (p->at < p->end && !goes(p, p->at))
		p->at++;
	p->from = p->at;
	what = p->at < p->end ? p->dirty[p->at] : CLEAN;
	for (p->n = 0; p->at < p->end && p->n < most; p->at++, p->n++) {
		if (p->n && (p->dirty[p->at] != what || !goes(p, p->at)))
			break;
		p->dirty[p->at] = CLEAN;
	}
	p->what = what;
	off = p->from * p->unit;
	len = MIN((p->from + p->n) * p->unit, p->x.b.info.size) - off;
	if (p->n)
		memcpy(p->bounce, p->shadow + off, len);
	pthread_mutex_unlock(&p->lock);
	if (!p->n)
		return false;
	p->iov = (struct iovec){p->bounce, len};
	p->req = (struct backend_req){.kind = what == HOLE ? IO_PUNCH : IO_WRITE,
		.off = off,
		.len = len,
		.iov = &p->iov,
		.n_iov = what == HOLE ? 0 : 1};
	return true;
}

static void run_job(struct power *p);

static void on_turn(struct io_work *work)
{
	struct backend_req *r = container_of(work, struct backend_req, later);
	struct power *p = self(r->cut);
	struct io_disk *d = &r->disk;

	p->job = r;
	p->at = d->kind == IO_FLUSH ? 0 : d->off / p->unit;
	p->end = d->kind == IO_FLUSH ? p->n_units : (d->off + d->len + p->unit - 1) / p->unit;
	run_job(p);
}

static void start_job(struct backend_req *r)
{
	r->later.fn = on_turn;
	list_init(&r->later.link);
	io_post(r->io, &r->later);
}

static void end_job(struct power *p, int error)
{
	struct backend_req *r = p->job;
	struct list *node;

	p->job = NULL;
	pthread_mutex_lock(&p->lock);
	node = list_pop(&p->jobs);
	p->running = node;
	pthread_mutex_unlock(&p->lock);
	if (node)
		start_job(list_entry(node, struct backend_req, disk.link));
	r->disk.done(&r->disk, error ? error : r->disk.kind == IO_WRITE ? (int64_t)r->disk.len : 0);
}

static void on_moved(struct backend_req *req, int error)
{
	struct power *p = container_of(req, struct power, req);

	if (!error) {
		run_job(p);
		return;
	}
	pthread_mutex_lock(&p->lock);
	for (uint64_t u = p->from; u < p->from + p->n; u++)
		if (p->dirty[u] == CLEAN) /* else newer than what failed */
			p->dirty[u] = p->what;
	pthread_mutex_unlock(&p->lock);
	end_job(p, error);
}

static void on_synced(struct backend_req *req, int error)
{
	end_job(container_of(req, struct power, req), error);
}

static void run_job(struct power *p)
{
	const struct io_disk *d = &p->job->disk;
	struct io *io = p->job->io;

	if (next_run(p)) {
		p->req.durable = d->flags & IO_DURABLE;
		p->req.done = on_moved;
		backend_io(p->x.inner, io, &p->req);
	} else if (d->kind == IO_FLUSH) {
		p->req = (struct backend_req){.kind = IO_FLUSH, .done = on_synced};
		backend_io(p->x.inner, io, &p->req);
	} else {
		end_job(p, 0);
	}
}

static void queue_job(struct power *p, struct backend_req *r)
{
	bool now;

	pthread_mutex_lock(&p->lock);
	now = !p->running;
	p->running = true;
	if (!now)
		list_push_back(&p->jobs, &r->disk.link);
	pthread_mutex_unlock(&p->lock);
	if (now)
		start_job(r);
}

/* --- requests --- */
static void on_read(struct io_disk *d, int64_t res)
{
	struct backend_req *r = container_of(d, struct backend_req, disk);
	struct power *p = self(r->cut);

	if (res > 0) {
		pthread_mutex_lock(&p->lock);
		show(p, d, MIN((uint64_t)res, d->len));
		pthread_mutex_unlock(&p->lock);
	}
	r->behind(d, res);
}

static void write_submit(struct power *p, struct io *io, struct backend_req *r)
{
	pthread_mutex_lock(&p->lock);
	keep_bytes(p, &r->disk);
	pthread_mutex_unlock(&p->lock);
	if ((r->disk.flags & IO_DURABLE && !p->x.f.lies) || (p->x.f.tear && filter_roll(&p->x) & 1))
		queue_job(p, r);
	else
		filter_end(io, r, (int64_t)r->disk.len);
}

static void power_submit(struct backend *b, struct io *io, struct backend_req *r)
{
	struct power *p = self(b);
	struct io_disk *d = &r->disk;

	r->cut = b;
	switch (d->kind) {
	case IO_READ:
		r->behind = d->done;
		d->done = on_read;
		filter_pass(&p->x, io, r);
		break;
	case IO_WRITE:
		write_submit(p, io, r);
		break;
	case IO_PUNCH:
	case IO_ZERO:
		pthread_mutex_lock(&p->lock);
		keep_zeros(p, d);
		pthread_mutex_unlock(&p->lock);
		filter_end(io, r, 0);
		break;
	case IO_FLUSH:
		if (p->x.f.lies)
			filter_end(io, r, 0);
		else
			queue_job(p, r);
		break;
	default:
		filter_end(io, r, -EINVAL); /* where data lies: everywhere, for all we tell */
	}
}

static void drop_memory(struct power *p)
{
	if (p->shadow != MAP_FAILED)
		munmap(p->shadow, p->x.b.info.size);
	free(p->has);
	free(p->dirty);
	free(p->bounce);
	free(p);
}

static struct backend *power_free(struct backend *b)
{
	struct power *p = self(b);

	check(!p->running);
	backend_free(p->x.inner);
	pthread_mutex_destroy(&p->lock);
	drop_memory(p);
	return NULL;
}

static const struct backend_ops power_ops = {
	.name = "power",
	.submit = power_submit,
	.free = power_free,
	.stamp = filter_stamp,
	.look = filter_look,
	.room = filter_room,
};

int power_new(struct backend **bp, struct backend *inner, const struct fault *f)
{
	struct power *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	filter_init(&p->x, &power_ops, inner, f);
	p->x.b.info.caps |= BACKEND_ZERO | BACKEND_FLUSH;
	p->x.b.info.caps &= ~(uint32_t)BACKEND_CLONE;
	p->x.b.info.max_atomic = 0;
	p->unit = MAX(inner->info.align_offset, (uint32_t)MIN_UNIT);
	p->n_units = (inner->info.size + p->unit - 1) / p->unit;
	p->shadow = mmap(NULL, inner->info.size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	p->has = calloc(1, p->n_units);
	p->dirty = calloc(1, p->n_units);
	p->bounce = aligned_alloc(4096, BOUNCE);
	if (p->shadow == MAP_FAILED || !p->has || !p->dirty || !p->bounce) {
		drop_memory(p);
		return -ENOMEM;
	}
	pthread_mutex_init(&p->lock, NULL);
	list_init(&p->jobs);
	*bp = &p->x.b;
	return 0;
}
