/* ramtest.h - a RAM volume beside a model of what it should hold. */
#pragma once

#include "voltest.h"

enum { KIB = 1024, MIB = 1 << 20, SIZE = 64 * MIB };

struct fixture {
	struct volume *v;
	struct io io;
	uint8_t *model, *got;
};

static inline void setup_block(void **state, uint64_t size, uint32_t block)
{
	struct fixture *f = calloc(1, sizeof(*f));

	io_init(&f->io, &turn_ops, 0);
	f->v = ram_volume(size, block);
	f->model = calloc(1, size);
	f->got = malloc(size);
	*state = f;
}

static inline int setup(void **state)
{
	setup_block(state, SIZE, 512);
	return 0;
}

static inline int teardown_shared(void **state)
{
	struct fixture *f = *state;

	arena_check(volume_arena(f->v));
	volume_free(f->v);
	io_deinit(&f->io);
	free(f->model);
	free(f->got);
	free(f);
	return 0;
}

/* Nothing lent beside the content, all counts agree, and volume_free() finds every page. */
static inline int teardown(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(arena_n_lent(volume_arena(f->v)) * ARENA_PAGE, volume_mapped_bytes(f->v));
	return teardown_shared(state);
}

static inline void wait_op(struct fixture *f, struct test_op *t)
{
	while (!t->done)
		assert_true(turn(&f->io));
	assert_int_equal(t->n_done, 1);
}

static inline int write_bytes(struct fixture *f, uint64_t off, uint32_t len, const uint8_t *bytes)
{
	struct landing l;
	struct test_op t;

	landing_init(&l, f->v, off, len, NULL);
	assert_int_equal(landing_take(&l, len, false), 0);
	fill_iov(l.iov, l.n_iov, bytes);
	test_op_init(&t, f->v, &f->io, off, len);
	volume_commit(&t.op, &l);
	wait_op(f, &t);
	landing_drop(&l);
	return t.end;
}

/* The same to the volume and to the model. */
static inline void put(struct fixture *f, uint64_t off, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		f->model[off + i] = (uint8_t)rand();
	assert_int_equal(write_bytes(f, off, len, f->model + off), 0);
}

static inline unsigned read_bytes(struct fixture *f, uint64_t off, uint32_t len)
{
	struct test_op t;
	unsigned n_iov;

	test_op_init(&t, f->v, &f->io, off, len);
	volume_read(&t.op);
	wait_op(f, &t);
	assert_int_equal(t.end, 0);
	n_iov = t.op.n_iov;
	assert_int_equal(copy_iov(f->got, t.op.iov, t.op.n_iov), len);
	volume_unpin(&t.op);
	volume_unpin(&t.op);
	return n_iov;
}

#define EXPECT_MODEL(off, len)                                                                     \
	do {                                                                                       \
		read_bytes(f, off, len);                                                           \
		assert_memory_equal(f->got, f->model + (off), len);                                \
	} while (0)
