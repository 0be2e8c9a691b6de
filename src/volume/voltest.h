/* voltest.h - what the tests of this room share: an engine that only turns, and a backend in memory
 * that answers when the test says so. */
#pragma once

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "reactor.h"
#include "work.h"

/* --- an engine without anything outside --- */
static inline uint64_t turn_clock(struct io *io)
{
	return io->now_ns;
}

static inline void turn_wake(struct io *io) {}

static const struct io_ops turn_ops = {.name = "turn", .clock = turn_clock, .wake = turn_wake};

static inline bool turn(struct io *io)
{
	bool some = io_run_posts(io);

	return io_run_deferred(io) || some;
}

/* --- an operation that can be asked for its end --- */
struct test_op {
	struct vol_op op;
	bool done;
	int end;
	unsigned n_done;
};

static inline void test_op_done(struct vol_op *op, int end)
{
	struct test_op *t = container_of(op, struct test_op, op);

	t->done = true;
	t->end = end;
	t->n_done++;
}

static inline void test_op_init(
	struct test_op *t, struct volume *v, struct io *io, uint64_t off, uint64_t len)
{
	*t = (struct test_op){.op = {
				      .v = v,
				      .io = io,
				      .done = test_op_done,
				      .off = off,
				      .len = len,
				      .gen = volume_gen(v),
			      }};
}

static inline void fill_iov(const struct iovec *iov, unsigned n_iov, const uint8_t *bytes)
{
	for (unsigned i = 0; i < n_iov; i++) {
		memcpy(iov[i].iov_base, bytes, iov[i].iov_len);
		bytes += iov[i].iov_len;
	}
}

static inline size_t copy_iov(uint8_t *to, const struct iovec *iov, unsigned n_iov)
{
	size_t len = 0;

	for (unsigned i = 0; i < n_iov; i++) {
		memcpy(to + len, iov[i].iov_base, iov[i].iov_len);
		len += iov[i].iov_len;
	}
	return len;
}

/* --- a backend in memory --- */
enum { FAKE_MAX = 4096 };
struct fake {
	struct backend b;
	uint8_t *disk;
	struct backend_req *pending[FAKE_MAX];
	unsigned n_pending;
	unsigned n_count[IO_CLONE + 1]; /* requests seen, by kind */
	int fail_next;		       /* error of the next request to end */
	uint64_t bad;		       /* a byte that cannot be read; 0: none */
	bool shared;		       /* several may be in flight for a page: not checked */
};

static inline bool fake_overlap(const struct backend_req *a, const struct backend_req *b)
{
	return a->disk.off < b->disk.off + b->disk.len && b->disk.off < a->disk.off + a->disk.len;
}

static inline void fake_submit(struct backend *b, struct io *io, struct backend_req *r)
{
	struct fake *f = container_of(b, struct fake, b);

	/* One request in flight a page: whatever overlaps is two reads at most. */
	for (unsigned i = 0; i < f->n_pending; i++)
		if (f->pending[i]->disk.kind != IO_FLUSH && r->disk.kind != IO_FLUSH)
			check(!fake_overlap(f->pending[i], r));
	check(f->n_pending < FAKE_MAX);
	f->n_count[r->disk.kind]++;
	f->pending[f->n_pending++] = r;
}

/* The i-th pending request ends. */
static inline void fake_end(struct fake *f, unsigned i)
{
	struct backend_req *r = f->pending[i];
	uint8_t *at = f->disk + r->disk.off;
	int64_t res =
		r->disk.kind == IO_READ || r->disk.kind == IO_WRITE ? (int64_t)r->disk.len : 0;

	f->pending[i] = f->pending[--f->n_pending];
	if (f->fail_next) {
		res = f->fail_next;
		f->fail_next = 0;
	} else if (r->disk.kind == IO_READ && f->bad && f->bad >= r->disk.off &&
		   f->bad - r->disk.off < r->disk.len) {
		res = -EIO;
	} else if (r->disk.kind == IO_READ) {
		fill_iov(r->disk.iov, r->disk.n_iov, at);
	} else if (r->disk.kind == IO_WRITE) {
		check(copy_iov(at, r->disk.iov, r->disk.n_iov) == r->disk.len);
	} else if (r->disk.kind == IO_CLONE) {
		memcpy(at, container_of(r->from, struct fake, b)->disk + r->disk.from_off,
			r->disk.len);
		res = (int64_t)r->disk.len;
	} else if (r->disk.kind != IO_FLUSH) {
		memset(at, 0, r->disk.len);
	}
	r->disk.done(&r->disk, res);
}

static inline void fake_end_all(struct fake *f, struct io *io)
{
	while (f->n_pending || turn(io))
		if (f->n_pending)
			fake_end(f, 0);
}

static inline struct backend *fake_free(struct backend *b)
{
	struct fake *f = container_of(b, struct fake, b);

	free(f->disk);
	free(f);
	return NULL;
}

static inline int fake_source(const struct backend *b)
{
	return 0;
}

static const struct backend_ops fake_ops = {
	.name = "fake", .submit = fake_submit, .free = fake_free, .source = fake_source};

static inline struct fake *fake_new(uint64_t size)
{
	struct fake *f = calloc(1, sizeof(*f));

	f->disk = calloc(1, size);
	f->b.ops = &fake_ops;
	f->b.path = "fake";
	f->b.info = (struct backend_info){
		.size = size,
		.caps = BACKEND_WRITE | BACKEND_PUNCH | BACKEND_ZERO | BACKEND_FLUSH |
			BACKEND_DURABLE,
		.align_offset = 512,
		.align_memory = 512,
	};
	return f;
}

/* --- volumes --- */
static inline struct volume *ram_volume(uint64_t size, uint32_t block)
{
	struct arena_params ap = {
		.name = "ram",
		.kind = ARENA_RAM,
		.n_pages = volume_ram_pages(size),
		.n_merge_pages = 64,
		.n_content_pages = size / ARENA_PAGE,
	};
	struct volume_params vp = {.name = "ram", .size = size, .block = block};
	struct volume *v;

	check(!arena_new(&vp.arena, &ap));
	check(!volume_new(&v, &vp));
	return v;
}

static inline struct arena *file_arena(uint64_t n_pages)
{
	struct arena_params ap = {
		.name = "cache",
		.kind = ARENA_FILE,
		.n_pages = n_pages,
		.n_merge_pages = n_pages / 16,
	};
	struct arena *a;

	check(!arena_new(&a, &ap));
	return a;
}

static inline struct volume *file_volume(struct backend *b, struct arena *a, uint32_t block)
{
	struct volume_params vp = {
		.name = "file",
		.size = b->info.size,
		.block = block,
		.backend = b,
		.arena = a,
	};
	struct volume *v;

	check(!volume_new(&v, &vp));
	return v;
}
