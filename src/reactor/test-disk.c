/* test-disk.c - what io.h promises of disk requests, asked of every engine. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "test-world.h"

static char pattern(size_t i)
{
	return (char)(i * 31 + i / 251);
}

struct request {
	struct io_disk d;
	struct iovec iov[4];
	unsigned n_done;
	int64_t res;
	bool in_call;
};

static void request_done(struct io_disk *d, int64_t res)
{
	struct request *q = container_of(d, struct request, d);

	assert_false(q->in_call);
	q->n_done++;
	q->res = res;
}

static void submit(struct world *w, struct request *q)
{
	q->d.done = request_done;
	q->d.iov = q->iov;
	q->in_call = true;
	io_disk(w->io[0], &q->d);
	q->in_call = false;
}

static int64_t perform(struct world *w, enum io_disk_kind kind, unsigned flags, int fd,
	uint64_t off, void *buf, size_t len)
{
	struct request q = {.d = {.kind = kind, .flags = flags, .fd = fd, .off = off, .len = len}};

	if (buf) {
		q.iov[0] = (struct iovec){buf, len / 3};
		q.iov[1] = (struct iovec){NULL, 0};
		q.iov[2] = (struct iovec){(char *)buf + len / 3, len - len / 3};
		q.d.n_iov = 3;
	}
	submit(w, &q);
	WORLD_UNTIL(w, q.n_done);
	world_settle(w);
	assert_int_equal(q.n_done, 1);
	return q.res;
}

/* The whole of it, however short the single transfers. */
static void move(struct world *w, enum io_disk_kind kind, unsigned flags, int fd, uint64_t off,
	void *buf, size_t len)
{
	for (size_t n = 0; n < len;) {
		int64_t res = perform(w, kind, flags, fd, off + n, (char *)buf + n, len - n);

		assert_true(res > 0);
		n += (size_t)res;
	}
}

static void disk_write_and_read(struct world *w)
{
	enum { LEN = 100000 };
	static char out[LEN], in[LEN];
	int fd = w->kind->disk(w);

	for (size_t i = 0; i < LEN; i++)
		out[i] = pattern(i);
	move(w, IO_WRITE, 0, fd, 5000, out, LEN);
	move(w, IO_WRITE, IO_DURABLE, fd, 300000, out, LEN);
	assert_int_equal(perform(w, IO_FLUSH, 0, fd, 0, NULL, 0), 0);
	move(w, IO_READ, 0, fd, 5000, in, LEN);
	assert_memory_equal(in, out, LEN);
	memset(in, 0, LEN);
	move(w, IO_READ, 0, fd, 300000, in, LEN);
	assert_memory_equal(in, out, LEN);
}

static void disk_zero(struct world *w)
{
	static const enum io_disk_kind kinds[] = {IO_PUNCH, IO_ZERO};
	static char data[65536], zeros[16384];
	int fd = w->kind->disk(w);

	for (unsigned i = 0; i < 2; i++) {
		int64_t res;

		memset(data, 'x', sizeof(data));
		move(w, IO_WRITE, 0, fd, 0, data, sizeof(data));
		res = perform(w, kinds[i], 0, fd, 16384, NULL, 16384);
		if (res == -EOPNOTSUPP)
			continue; /* this file system cannot; the caller's to handle */
		assert_int_equal(res, 0);
		move(w, IO_READ, 0, fd, 0, data, sizeof(data));
		assert_memory_equal(data + 16384, zeros, 16384);
		assert_true(data[16383] == 'x' && data[32768] == 'x');
	}
}

static void disk_short_at_the_end(struct world *w)
{
	static char buf[8192];
	int fd = w->kind->disk(w);
	int64_t res = perform(w, IO_READ, 0, fd, WORLD_DISK - 1000, buf, sizeof(buf));

	assert_true(res > 0 && res <= 1000);
	assert_int_equal(perform(w, IO_READ, 0, fd, WORLD_DISK, buf, sizeof(buf)), 0);
	assert_int_equal(perform(w, IO_READ, 0, fd, WORLD_DISK + 5000, buf, sizeof(buf)), 0);
}

/* Where data and holes begin; who cannot tell says that all is data, or EINVAL. */
static void disk_seek_data_and_holes(struct world *w)
{
	static char data[65536];
	int fd = w->kind->disk(w);
	int64_t hole, at;

	memset(data, 'x', sizeof(data));
	move(w, IO_WRITE, 0, fd, 65536, data, sizeof(data));
	at = perform(w, IO_DATA, 0, fd, 0, NULL, 0);
	if (at == -EINVAL)
		return;
	assert_true(at >= 0 && at <= 65536);
	assert_int_equal(perform(w, IO_DATA, 0, fd, 70000, NULL, 0), 70000);
	hole = perform(w, IO_HOLE, 0, fd, 70000, NULL, 0);
	assert_true(hole >= 2 * 65536 && hole <= WORLD_DISK);
	assert_int_equal(perform(w, IO_DATA, 0, 999999, 0, NULL, 0), -EBADF);
}

/* Off the reactor, also where the ring does all else; a file system that cannot says so. */
static void disk_clone(struct world *w)
{
	enum { LEN = 65536 };
	static char out[LEN], in[LEN];
	int from = w->kind->disk(w), to = w->kind->disk(w);
	struct request q = {.d = {.kind = IO_CLONE, .flags = IO_COPIES, .fd = to, .from_fd = from}};

	for (size_t i = 0; i < LEN; i++)
		out[i] = pattern(i);
	move(w, IO_WRITE, 0, from, 8192, out, LEN);
	for (size_t n = 0; n < LEN; n += (size_t)q.res) {
		q.d.from_off = 8192 + n;
		q.d.off = 4096 + n;
		q.d.len = LEN - n;
		q.n_done = 0;
		submit(w, &q);
		WORLD_UNTIL(w, q.n_done);
		if (q.res == -EOPNOTSUPP || q.res == -EXDEV || q.res == -EINVAL)
			return;
		assert_true(q.res > 0);
	}
	move(w, IO_READ, 0, to, 4096, in, LEN);
	assert_memory_equal(in, out, LEN);
}

static void disk_errors(struct world *w)
{
	char buf[512] = {0};

	assert_int_equal(perform(w, IO_READ, 0, 999999, 0, buf, sizeof(buf)), -EBADF);
	assert_int_equal(perform(w, IO_WRITE, IO_DURABLE, 999999, 0, buf, sizeof(buf)), -EBADF);
	assert_int_equal(perform(w, IO_FLUSH, 0, 999999, 0, NULL, 0), -EBADF);
	assert_int_equal(perform(w, IO_PUNCH, 0, 999999, 0, NULL, 4096), -EBADF);
	assert_int_equal(perform(w, IO_ZERO, 0, 999999, 0, NULL, 4096), -EBADF);
}

static void disk_each_is_told_once(struct world *w)
{
	unsigned n = w->kind == &world_sim ? 300 : 3000, n_done = 0;
	struct request *q = calloc(n, sizeof(*q));
	char *data = calloc(n, 1024);
	int fd = w->kind->disk(w);

	for (unsigned i = 0; i < n; i++) {
		q[i].d = (struct io_disk){.kind = i % 3 == 0 ? IO_WRITE : IO_READ, .fd = fd};
		q[i].d.flags = i % 6 == 0 ? IO_DURABLE : 0;
		q[i].d.off = (uint64_t)i % 1000 * 1024;
		q[i].iov[0] = (struct iovec){data + (size_t)i * 1024, 512};
		q[i].iov[1] = (struct iovec){data + (size_t)i * 1024 + 512, 512};
		q[i].d.n_iov = 2;
		if (i % 100 == 50)
			q[i].d.kind = IO_FLUSH;
		submit(w, &q[i]);
	}
	WORLD_UNTIL(w, ({
		n_done = 0;
		for (unsigned i = 0; i < n; i++)
			n_done += q[i].n_done;
		n_done >= n;
	}));
	world_settle(w);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(q[i].n_done, 1);
		assert_true(q[i].d.kind == IO_FLUSH ? q[i].res == 0 : q[i].res > 0);
	}
	free(q);
	free(data);
}

/* Neighbours that are asked for in one turn, of which the system cannot do one: it has no memory. */
static void disk_neighbours(struct world *w)
{
	enum { N = 64, LEN = 1024, BAD = 40 };
	static char out[N][2 * LEN], in[N][2 * LEN];
	int fd = w->kind->disk(w);
	bool bad = w->kind != &world_sim;

	for (unsigned kind = 0; kind < 2; kind++) {
		struct request *q = calloc(N, sizeof(*q));
		unsigned n_done = 0;

		for (unsigned i = 0; i < N; i++) {
			char *at = kind ? in[i] : out[i];

			for (unsigned k = 0; !kind && k < LEN; k++)
				out[i][k] = pattern(i * LEN + k);
			q[i].d = (struct io_disk){.kind = kind ? IO_READ : IO_WRITE, .fd = fd};
			q[i].d.off = 4096 + i * LEN;
			q[i].iov[0] = (struct iovec){bad && i == BAD ? (char *)16 : at, LEN};
			q[i].d.n_iov = 1;
			submit(w, &q[i]);
		}
		WORLD_UNTIL(w, ({
			n_done = 0;
			for (unsigned i = 0; i < N; i++)
				n_done += q[i].n_done;
			n_done >= N;
		}));
		world_settle(w);
		for (unsigned i = 0; i < N; i++) {
			assert_int_equal(q[i].n_done, 1);
			if (bad && i == BAD)
				assert_int_equal(q[i].res, -EFAULT);
			else if (bad)
				assert_int_equal(q[i].res, LEN);
			else
				assert_true(q[i].res > 0); /* the simulation's may be short */
		}
		free(q);
	}
	for (unsigned i = 0; bad && i < N; i++)
		assert_true(i == BAD || !memcmp(in[i], out[i], LEN));
}

struct chain {
	struct request q;
	struct world *w;
	unsigned n_left;
	char buf[512];
};

static void chain_done(struct io_disk *d, int64_t res)
{
	struct chain *c = container_of(d, struct chain, q.d);

	assert_int_equal(res, 512);
	if (--c->n_left)
		io_disk(c->w->io[0], d);
}

static void disk_request_from_its_own_end(struct world *w)
{
	struct chain c = {.w = w, .n_left = 200};

	c.q.iov[0] = (struct iovec){c.buf, sizeof(c.buf)};
	c.q.d = (struct io_disk){.kind = IO_WRITE,
		.fd = w->kind->disk(w),
		.iov = c.q.iov,
		.n_iov = 1,
		.done = chain_done};
	io_disk(w->io[0], &c.q.d);
	WORLD_UNTIL(w, c.n_left == 0);
	world_settle(w);
	assert_int_equal(c.n_left, 0);
}

int main(void)
{
	static const struct world_case cases[] = {
		WORLD_CASE(disk_write_and_read),
		WORLD_CASE(disk_zero),
		WORLD_CASE(disk_short_at_the_end),
		WORLD_CASE(disk_seek_data_and_holes),
		WORLD_CASE(disk_clone),
		WORLD_CASE(disk_errors),
		WORLD_CASE(disk_each_is_told_once),
		WORLD_CASE(disk_neighbours),
		WORLD_CASE(disk_request_from_its_own_end),
	};

	return world_main("disk", cases, ARRAY_LEN(cases));
}
