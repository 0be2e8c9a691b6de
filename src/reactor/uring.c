/* uring.c - the engine that gives the disk to io_uring. Sockets stay with epoll, and epoll_wait()
 * stays the one place to sleep.
 *
 * Requests wait until the turn ends; then neighbours are joined (join.h), and one system call submits them all. At most
 * MAX_FLIGHT are with the kernel, which is what the completion ring holds, so it never overflows.
 *
 * Waking. A ring with DEFER_TASKRUN does its completions only when its own thread enters it, and
 * its descriptor does not become readable before (tried on Linux 6.18: an epoll set with the ring
 * in it sleeps on). So the engine's eventfd is registered with the ring: the kernel writes it when
 * something is to be done. While the reactor is awake it looks for itself, and the ring is told to
 * be quiet.
 *
 * Threads. SINGLE_ISSUER binds a ring to one thread. It is made disabled, on whatever thread makes
 * the reactor, and enabled by the thread that runs it. */
#include "engine.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "disk_pool.h"
#include "fixed.h"
#include "join.h"
#include "log.h"

enum {
	SQ_ENTRIES = 256,
	MAX_FLIGHT = 1024,
	MAX_TRIES = 16,         /* of one request that the kernel answers with "try again" */
	RETRY_NS = 1000 * 1000, /* before submitting again what the kernel had no memory for */
	CAUTION_NS = 50 * 1000 * 1000, /* longest sleep with requests under way */
};

unsigned uring_setups_skipped;

struct uring_engine {
	struct engine_core e; /* first */
	struct io_uring ring;
	unsigned setup; /* IORING_SETUP_* in force */
	unsigned max_flight;
	unsigned n_flight;
	bool told; /* that submitting fails */
	bool bell; /* the ring may write the eventfd */
	struct list pending;
	struct join join;
	struct fixed fixed;
	bool pooled; /* the pool has been used */
	struct disk_pool pool;
};

static struct uring_engine *self(struct engine_core *e)
{
	return container_of(e, struct uring_engine, e);
}

static void disk(struct io *io, struct io_disk *d)
{
	if (d->kind == IO_CLONE) { /* the ring has no such operation, and it may take long */
		self(engine_of(io))->pooled = true;
		disk_pool_take(&self(engine_of(io))->pool, d);
		return;
	}
	join_add(&self(engine_of(io))->join, d);
}

static int lend_memory(struct io *io, void *base, size_t len)
{
	return fixed_lend(&self(engine_of(io))->fixed, base, len);
}

/* The memory of a request whose vector is in truth one piece; 0 when it is not. */
static size_t one_piece(const struct io_disk *d)
{
	const char *end;

	if (!d->n_iov)
		return 0;
	end = (char *)d->iov[0].iov_base + d->iov[0].iov_len;
	for (unsigned i = 1; i < d->n_iov; i++) {
		if (end != d->iov[i].iov_base)
			return 0;
		end += d->iov[i].iov_len;
	}
	return (size_t)(end - (char *)d->iov[0].iov_base);
}

static void prepare_transfer(struct uring_engine *x, struct io_uring_sqe *sqe, struct io_disk *d)
{
	size_t len = x->fixed.n_areas ? one_piece(d) : 0;
	int slot = len ? fixed_find(&x->fixed, d->iov[0].iov_base, len) : -1;
	unsigned n_iov = MIN(d->n_iov, ENGINE_MAX_IOV);

	if (d->kind == IO_READ) {
		if (slot >= 0)
			io_uring_prep_read_fixed(
				sqe, d->fd, d->iov[0].iov_base, (unsigned)len, d->off, slot);
		else
			io_uring_prep_readv(sqe, d->fd, d->iov, n_iov, d->off);
		return;
	}
	if (slot >= 0)
		io_uring_prep_write_fixed(
			sqe, d->fd, d->iov[0].iov_base, (unsigned)len, d->off, slot);
	else
		io_uring_prep_writev(sqe, d->fd, d->iov, n_iov, d->off);
	if (d->flags & IO_DURABLE)
		sqe->rw_flags = RWF_DSYNC;
}

static void prepare(struct uring_engine *x, struct io_uring_sqe *sqe, struct io_disk *d)
{
	switch (d->kind) {
	case IO_READ:
	case IO_WRITE:
		prepare_transfer(x, sqe, d);
		break;
	case IO_FLUSH:
		io_uring_prep_fsync(sqe, d->fd, IORING_FSYNC_DATASYNC);
		break;
	case IO_PUNCH:
	case IO_ZERO: /* the kernel does these on threads of its own */
		io_uring_prep_fallocate(
			sqe, d->fd, disk_fallocate_mode(d->kind), (off_t)d->off, (off_t)d->len);
		break;
	case IO_DATA:
	case IO_HOLE:  /* the ring has no such operation: finish() asks */
	case IO_CLONE: /* the pool's */
		io_uring_prep_nop(sqe);
		break;
	}
	io_uring_sqe_set_data(sqe, d);
}

/* False: what is prepared stays in the ring and is submitted again before long. */
static bool submit(struct uring_engine *x)
{
	while (io_uring_sq_ready(&x->ring)) {
		int rc = io_uring_submit(&x->ring);

		if (rc > 0)
			continue;
		check(rc != -EEXIST); /* not the thread that runs the reactor */
		if (rc < 0 && rc != -EINTR && rc != -EAGAIN && rc != -EBUSY && !x->told) {
			log_error("io_uring: cannot submit: %s, trying on", strerror(-rc));
			x->told = true;
		}
		return false;
	}
	return true;
}

static void flush(struct engine_core *e)
{
	struct uring_engine *x = self(e);

	join_flush(&x->join);
	while (!list_empty(&x->pending) && x->n_flight < x->max_flight) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&x->ring);

		if (!sqe) {
			if (!submit(x))
				return;
			continue;
		}
		prepare(x, sqe, list_entry(list_pop(&x->pending), struct io_disk, link));
		x->n_flight++;
	}
	submit(x);
}

/* From the file system's tables in memory as a rule; rare, and only asked for by GET LBA STATUS. */
static int64_t seek(const struct io_disk *d)
{
	int64_t res = disk_seek(d);

	return res < 0 ? -errno : res;
}

static void finish(struct uring_engine *x, struct io_disk *d, int res)
{
	if ((res == -EINTR || res == -EAGAIN) && ++d->res < MAX_TRIES) {
		list_push_back(&x->pending, &d->link);
		return;
	}
	if (d->kind == IO_DATA || d->kind == IO_HOLE)
		d->done(d, seek(d));
	else
		d->done(d, res);
}

static bool kernel_calls(const struct uring_engine *x)
{
	return __atomic_load_n(x->ring.sq.kflags, __ATOMIC_SEQ_CST) &
	       (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
}

/* Kernels before 5.8 have no such flag: the bell always rings. */
static void bell_set(struct uring_engine *x, bool on)
{
	if (!x->ring.cq.kflags || x->bell == on)
		return;
	__atomic_store_n(x->ring.cq.kflags, on ? 0 : IORING_CQ_EVENTFD_DISABLED, __ATOMIC_SEQ_CST);
	x->bell = on;
}

/* No more than there were at the start: what a callback starts and the kernel ends at once is for
 * the next turn. */
static bool reap(struct engine_core *e)
{
	struct uring_engine *x = self(e);
	unsigned left;
	bool some = x->pooled && disk_pool_reap(&x->pool);
	struct io_uring_cqe *cqe;

	if (x->n_flight && kernel_calls(x))
		io_uring_get_events(&x->ring);
	for (left = io_uring_cq_ready(&x->ring); left && !io_uring_peek_cqe(&x->ring, &cqe);
		left--) {
		struct io_disk *d = io_uring_cqe_get_data(cqe);
		int res = cqe->res;

		io_uring_cqe_seen(&x->ring, cqe);
		x->n_flight--;
		some = true;
		finish(x, d, res);
	}
	bell_set(x, false);
	return some;
}

/* The ring is told to ring the bell, then looked at: see engine.h. That the kernel orders its side
 * as strictly is not promised anywhere, hence CAUTION_NS. */
static uint64_t may_sleep(struct engine_core *e)
{
	struct uring_engine *x = self(e);

	if (x->pooled && disk_pool_has_done(&x->pool))
		return 0;
	if (!list_empty(&x->join.fresh))
		return 0;
	if (!x->n_flight && list_empty(&x->pending))
		return UINT64_MAX;
	bell_set(x, true);
	if (kernel_calls(x) || io_uring_cq_ready(&x->ring))
		return 0;
	if (io_uring_sq_ready(&x->ring) ||
		(!list_empty(&x->pending) && x->n_flight < x->max_flight))
		return RETRY_NS;
	return CAUTION_NS;
}

static int start(struct engine_core *e)
{
	struct uring_engine *x = self(e);
	int fd = x->ring.ring_fd;

	if (!(x->setup & IORING_SETUP_R_DISABLED))
		return 0;
	/* liburing 2.3 declares a function for this but does not export it. */
	return syscall(__NR_io_uring_register, fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) < 0
		       ? -errno
		       : 0;
}

static void uring_free(struct engine_core *e)
{
	struct uring_engine *x = self(e);

	check(!x->n_flight && list_empty(&x->pending));
	join_deinit(&x->join);
	disk_pool_deinit(&x->pool);
	io_uring_queue_exit(&x->ring);
	engine_deinit(e);
	free(x);
}

static const struct io_ops ops = {
	.name = "uring",
	ENGINE_SHARED_OPS,
	.disk = disk,
	.lend_memory = lend_memory,
};

static const struct engine_kind kind = {
	.start = start,
	.flush = flush,
	.reap = reap,
	.may_sleep = may_sleep,
	.free = uring_free,
};

/* Best first; an older kernel answers EINVAL to flags it does not know. */
static int ring_open(struct uring_engine *x)
{
	static const unsigned setups[] = {
		IORING_SETUP_R_DISABLED | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			IORING_SETUP_TASKRUN_FLAG,                     /* 6.1 */
		IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG, /* 5.19 */
		0,
	};
	int rc = -EINVAL;

	for (unsigned i = uring_setups_skipped; i < ARRAY_LEN(setups) && rc == -EINVAL; i++) {
		/* A ring is locked memory: where RLIMIT_MEMLOCK is tight, a smaller one does. */
		for (unsigned shrink = 1; shrink <= 16; shrink *= 4) {
			struct io_uring_params p = {
				.flags = setups[i] | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
				.cq_entries = MAX_FLIGHT / shrink,
			};

			x->setup = setups[i];
			x->max_flight = MAX_FLIGHT / shrink;
			rc = io_uring_queue_init_params(SQ_ENTRIES / shrink, &x->ring, &p);
			if (rc != -ENOMEM)
				break;
		}
	}
	return rc;
}

/* A filter may let the first system call through and forbid the others: try each. Entering a ring
 * that is not enabled yet is refused by the kernel itself, with EBADFD. */
static int ring_prove(struct uring_engine *x, const char **whyp)
{
	static const int needed[] = {IORING_OP_READV, IORING_OP_WRITEV, IORING_OP_READ_FIXED,
		IORING_OP_WRITE_FIXED, IORING_OP_FSYNC, IORING_OP_FALLOCATE};
	struct io_uring_probe *probe = io_uring_get_probe_ring(&x->ring);
	bool all = true;
	int rc;

	*whyp = "io_uring_register";
	if (!probe)
		return -EPERM;
	for (unsigned i = 0; i < ARRAY_LEN(needed); i++)
		all &= io_uring_opcode_supported(probe, needed[i]);
	io_uring_free_probe(probe);
	*whyp = "an operation is missing";
	if (!all)
		return -EOPNOTSUPP;
	*whyp = "io_uring_register";
	rc = io_uring_register_eventfd(&x->ring, x->e.wake_fd);
	if (rc < 0)
		return rc;
	*whyp = "io_uring_enter";
	if (syscall(__NR_io_uring_enter, x->ring.ring_fd, 0, 0, 0, NULL, 0) < 0 && errno != EBADFD)
		return -errno;
	return 0;
}

int uring_engine_new(
	struct engine_core **ep, unsigned index, unsigned user_timeout_ms, const char **whyp)
{
	struct uring_engine *x = aligned_alloc(64, round_up(sizeof(*x), 64));
	int rc;

	*whyp = "memory";
	if (!x)
		return -ENOMEM;
	rc = engine_init(&x->e, &ops, &kind, index, user_timeout_ms);
	if (rc < 0)
		goto fail;
	*whyp = "io_uring_setup";
	rc = ring_open(x);
	if (rc < 0)
		goto fail_engine;
	rc = ring_prove(x, whyp);
	if (rc < 0)
		goto fail_ring;
	x->n_flight = 0;
	x->told = false;
	x->bell = true;
	x->pooled = false;
	disk_pool_init(&x->pool, &x->e.io);
	list_init(&x->pending);
	join_init(&x->join, &x->pending);
	fixed_init(&x->fixed, &x->ring);
	*ep = &x->e;
	return 0;

fail_ring:
	io_uring_queue_exit(&x->ring);
fail_engine:
	engine_deinit(&x->e);
fail:
	free(x);
	return rc;
}
