/* copytest.h - two volumes, each a file or RAM, beside arrays of bytes that say what they should hold; for the tests of
 * copies. */
#pragma once

#include "voltest.h"

#include <errno.h>
#include <pthread.h>
#include "cache.h"
#include "counter.h"

enum {
	KIB = 1024,
	MIB = 1 << 20,
	PAGE = ARENA_PAGE,
	SECTOR = 512,
	SIZE = 3 * MIB + 5 * SECTOR,
	N_CACHE = 4096
};

/* A volume beside what it should hold. */
struct side {
	struct volume *v;
	struct fake *fake; /* NULL: RAM */
	uint8_t *model;
};

static struct {
	struct io io;
	struct arena *cache;
	struct side side[2];
	struct counters counters;
	uint64_t seed;
} t;

static inline uint32_t rnd(uint32_t below)
{
	t.seed = t.seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((t.seed >> 33) % below);
}

static inline void side_init(struct side *s, bool file)
{
	s->model = calloc(1, SIZE);
	if (!file) {
		s->v = ram_volume(SIZE, SECTOR);
		s->fake = NULL;
		return;
	}
	s->fake = fake_new(SIZE);
	for (uint32_t i = 0; i < SIZE; i++)
		s->model[i] = s->fake->disk[i] =
			i / PAGE % 3 ? (uint8_t)(i / PAGE * 7 + i % 13 + 1) : 0;
	s->v = file_volume(&s->fake->b, t.cache, SECTOR);
}

static inline void begin(bool one_file, bool other_file, uint64_t n_cache)
{
	t.seed = 1;
	io_init(&t.io, &turn_ops, 0);
	counters_enter(&t.counters);
	memset(&t.counters.v, 0, sizeof(t.counters.v));
	t.cache = file_arena(n_cache);
	side_init(&t.side[0], one_file);
	side_init(&t.side[1], other_file);
}

static inline void finish(void)
{
	bool some;

	do {
		some = turn(&t.io);
		for (unsigned i = 0; i < 2; i++)
			while (t.side[i].fake && t.side[i].fake->n_pending) {
				some = true;
				fake_end(t.side[i].fake, rnd(t.side[i].fake->n_pending));
			}
	} while (some);
}

static inline void end(void)
{
	for (unsigned i = 0; i < 2; i++) {
		struct side *s = &t.side[i];
		struct arena *a = volume_arena(s->v);

		arena_check(a);
		if (!s->fake)
			assert_true(arena_n_lent(a) * PAGE <= volume_mapped_bytes(s->v));
		else
			assert_memory_equal(s->fake->disk, s->model, SIZE);
		s->v = volume_free(s->v);
		free(s->model);
	}
	assert_int_equal(arena_n_lent(t.cache), 0);
	arena_free(t.cache);
	counters_leave(&t.counters);
	io_deinit(&t.io);
}

/* --- verbs --- */
static inline uint64_t counted(enum counter c)
{
	return t.counters.v[c];
}

static inline void copy_begin(struct test_op *op, unsigned from, uint64_t from_off, unsigned to,
	uint64_t off, uint64_t len)
{
	test_op_init(op, t.side[to].v, &t.io, off, len);
	volume_copy(&op->op, t.side[from].v, from_off);
}

static inline void copy_now(unsigned from, uint64_t from_off, unsigned to, uint64_t off, uint64_t len)
{
	struct test_op op;

	copy_begin(&op, from, from_off, to, off, len);
	finish();
	assert_true(op.done);
	assert_int_equal(op.n_done, 1);
	assert_int_equal(op.end, 0);
	assert_int_equal(op.op.where, len);
	memmove(t.side[to].model + off, t.side[from].model + from_off, len);
}

static inline void write_now(unsigned to, uint64_t off, uint32_t len)
{
	struct side *s = &t.side[to];
	struct landing l;
	struct test_op op;

	for (uint32_t i = 0; i < len; i++)
		s->model[off + i] = (uint8_t)(1 + rnd(255));
	landing_init(&l, s->v, off, len, NULL);
	assert_int_equal(landing_take(&l, len, false), 0);
	fill_iov(l.iov, l.n_iov, s->model + off);
	test_op_init(&op, s->v, &t.io, off, len);
	volume_commit(&op.op, &l);
	finish();
	assert_true(op.done && !op.end);
}

static inline void zero_now(unsigned to, uint64_t off, uint32_t len)
{
	struct test_op op;

	memset(t.side[to].model + off, 0, len);
	test_op_init(&op, t.side[to].v, &t.io, off, len);
	volume_zero(&op.op, true);
	finish();
	assert_true(op.done && !op.end);
}

static inline void check_side(unsigned i, uint64_t off, uint64_t len)
{
	static uint8_t got[SIZE];
	struct test_op op;

	test_op_init(&op, t.side[i].v, &t.io, off, len);
	volume_read(&op.op);
	finish();
	assert_true(op.done && !op.end);
	assert_int_equal(copy_iov(got, op.op.iov, op.op.n_iov), len);
	volume_unpin(&op.op);
	assert_memory_equal(got, t.side[i].model + off, len);
}

static inline void check_all(void)
{
	for (unsigned i = 0; i < 2; i++)
		for (uint64_t off = 0; off < SIZE; off += MIB)
			check_side(i, off, MIN(MIB, SIZE - off));
}

/* --- the model --- */
static inline void random_range(uint64_t *offp, uint64_t *fromp, uint64_t *lenp)
{
	uint64_t n = SIZE / SECTOR, len = 1 + rnd(rnd(4) ? 64 : n / 2);

	*offp = rnd(n - len + 1) * SECTOR;
	*fromp = rnd(n - len + 1) * SECTOR;
	if (rnd(2)) /* the same place within a page */
		*fromp = MIN(round_down(*fromp, PAGE) + *offp % PAGE, SIZE);
	if (!rnd(3)) /* near each other, so that they overlap */
		*fromp = *offp + rnd(8) * PAGE;
	*fromp = MIN(*fromp, (n - len) * SECTOR);
	*lenp = len * SECTOR;
}

/* random_commands - between begin() and end(): writes, zeros and copies, and both disks are what they should be. */
static inline void random_commands(unsigned rounds)
{
	uint64_t off, from, len;

	for (unsigned i = 0; i < rounds; i++) {
		random_range(&off, &from, &len);
		switch (rnd(5)) {
		case 0:
			write_now(rnd(2), off, MIN(len, 200 * KIB));
			break;
		case 1:
			zero_now(rnd(2), off, MIN(len, 64 * KIB));
			break;
		default:
			copy_now(rnd(2), from, rnd(2), off, len);
		}
		if (i % 16 == 0)
			check_all();
	}
	check_all();
}

static inline void random_copies(bool one_file, bool other_file, uint64_t n_cache, unsigned rounds)
{
	begin(one_file, other_file, n_cache);
	random_commands(rounds);
	end();
}
