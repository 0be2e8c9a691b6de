/* filetest.h - a file volume on the backend of voltest.h, and verbs for what a test does to it. */
#pragma once

#include "voltest.h"

enum { KIB = 1024, MIB = 1 << 20, PAGE = ARENA_PAGE, SIZE = 32 * MIB, N_CACHE = 4096 };

struct fixture {
	struct fake *fake;
	struct arena *arena;
	struct volume *v;
	struct io io, other;
};

static inline void setup_size(
	void **state, uint64_t size, uint64_t n_cache, uint32_t align, uint32_t caps)
{
	struct fixture *f = calloc(1, sizeof(*f));

	io_init(&f->io, &turn_ops, 0);
	io_init(&f->other, &turn_ops, 1);
	f->fake = fake_new(size);
	f->fake->b.info.align_offset = align;
	f->fake->b.info.caps &= ~caps;
	for (uint64_t i = 0; i < size; i++)
		f->fake->disk[i] = (uint8_t)(i / PAGE * 7 + 1);
	f->arena = file_arena(n_cache);
	f->v = file_volume(&f->fake->b, f->arena, 512);
	*state = f;
}

static inline int setup(void **state)
{
	setup_size(state, SIZE, N_CACHE, 512, 0);
	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(f->fake->n_pending, 0);
	arena_check(f->arena);
	assert_false(turn(&f->io) || turn(&f->other));
	volume_free(f->v);
	assert_int_equal(arena_n_lent(f->arena), 0);
	arena_free(f->arena);
	io_deinit(&f->io);
	io_deinit(&f->other);
	free(f);
	return 0;
}

/* --- verbs --- */
static inline void start_write(struct fixture *f, struct io *io, struct test_op *t, uint64_t off,
	uint32_t len, uint8_t byte)
{
	struct landing l;

	landing_init(&l, f->v, off, len, NULL);
	assert_int_equal(landing_take(&l, len, false), 0);
	for (unsigned i = 0; i < l.n_iov; i++)
		memset(l.iov[i].iov_base, byte, l.iov[i].iov_len);
	test_op_init(t, f->v, io, off, len);
	volume_commit(&t->op, &l);
}

static inline void start_read(struct fixture *f, struct test_op *t, uint64_t off, uint32_t len)
{
	test_op_init(t, f->v, &f->io, off, len);
	volume_read(&t->op);
}

static inline void start_zero(
	struct fixture *f, struct test_op *t, uint64_t off, uint64_t len, bool unmap)
{
	test_op_init(t, f->v, &f->io, off, len);
	volume_zero(&t->op, unmap);
}

static inline void finish(struct fixture *f)
{
	do
		fake_end_all(f->fake, &f->io);
	while (turn(&f->other));
}

static inline bool all_bytes(const struct test_op *t, size_t from, size_t to, uint8_t byte)
{
	size_t at = 0;

	for (unsigned i = 0; i < t->op.n_iov; i++)
		for (size_t k = 0; k < t->op.iov[i].iov_len; k++, at++)
			if (at >= from && at < to && ((uint8_t *)t->op.iov[i].iov_base)[k] != byte)
				return false;
	return at >= to;
}

static inline void read_now(struct fixture *f, uint64_t off, uint32_t len, uint8_t byte)
{
	struct test_op t;

	start_read(f, &t, off, len);
	finish(f);
	assert_true(t.done);
	assert_int_equal(t.end, 0);
	assert_true(all_bytes(&t, 0, len, byte));
	volume_unpin(&t.op);
}

static uint8_t disk_byte(uint64_t page)
{
	return (uint8_t)(page * 7 + 1);
}

#define COUNT(kind) (f->fake->n_count[kind])
