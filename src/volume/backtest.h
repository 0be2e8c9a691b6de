/* backtest.h - a file volume that writes back, on a memory that can be copied and adopted. */
#pragma once

#include <sys/mman.h>
#include <unistd.h>
#include "memfile.h"
#include "voltest.h"
#include "writer.h"

enum { SECOND = 1000000000, PAGE = ARENA_PAGE, N_VOLUME = 96, N_MEMORY = 512, LIMIT = 64 };

struct back_fixture {
	struct fake *fake;
	struct memfile *m;
	struct arena *arena;
	struct volume *v;
	struct io io;
	uint64_t now_ns;
};

static const uint8_t back_uuid[16] = {7, 7};

static inline uint64_t back_clock(struct io *io)
{
	return io->now_ns;
}

static const struct io_ops back_ops = {.name = "turn", .clock = back_clock, .wake = turn_wake};

static inline void back_open(struct back_fixture *f, struct memfile *m, uint64_t limit)
{
	struct arena_params ap = {.name = "cache",
		.kind = ARENA_FILE,
		.n_pages = m->ledger->n_pages,
		.n_merge_pages = 32,
		.fd = m->fd,
		.fd_at = m->pages_at};
	struct volume_params vp = {.name = "file", .block = 512};

	f->m = m;
	io_init(&f->io, &back_ops, 0);
	check(!arena_new(&f->arena, &ap));
	vp.size = f->fake->b.info.size;
	vp.backend = &f->fake->b;
	vp.arena = f->arena;
	vp.back = (struct volume_back){m->ledger,
		ledger_volume(m->ledger, back_uuid, vp.size, "file"), true, limit};
	check(!volume_new(&f->v, &vp));
	for (uint32_t i = 0; i < m->ledger->n_pages; i++) {
		if (!ledger_lives(m->ledger, i))
			continue;
		arena_adopt(f->arena, i);
		volume_adopt(f->v, i);
	}
	volume_start(f->v, &f->io);
}

static inline void back_close(struct back_fixture *f)
{
	volume_free(f->v);
	arena_check(f->arena);
	arena_free(f->arena);
	f->m = memfile_close(f->m);
	io_deinit(&f->io);
}

/* back_turn - posts, deferred work, and timers that are due. */
static inline bool back_turn(struct back_fixture *f)
{
	bool some = turn(&f->io);

	return io_run_timers(&f->io) > 0 || some;
}

static inline void back_finish(struct back_fixture *f)
{
	while (f->fake->n_pending || turn(&f->io))
		if (f->fake->n_pending)
			fake_end(f->fake, 0);
}

/* What a process that dies now leaves: its memory and its disk, in another fixture. */
static inline void back_copy(struct back_fixture *to, const struct back_fixture *from)
{
	uint64_t size = from->fake->b.info.size, len = from->m->ledger->head->len;
	int fd = memfd_create("copy", MFD_CLOEXEC);
	char *all = mmap(NULL, len, PROT_READ, MAP_SHARED, from->m->fd, 0);
	struct memfile *m;

	check(all != MAP_FAILED && fd >= 0 && !ftruncate(fd, (off_t)len));
	for (uint64_t at = 0; at < len; at += PAGE) /* most of it is nothing */
		if (memcmp(all + at, zero_area, PAGE))
			check(pwrite(fd, all + at, PAGE, (off_t)at) == PAGE);
	munmap(all, len);
	check(!memfile_anonymous(&m, 0, fd));
	memset(to, 0, sizeof(*to));
	to->fake = fake_new(size);
	memcpy(to->fake->disk, from->fake->disk, size);
	back_open(to, m, LIMIT);
}

static inline int back_setup(void **state)
{
	struct back_fixture *f = calloc(1, sizeof(*f));
	struct memfile *m;

	f->fake = fake_new(N_VOLUME * PAGE - 512);
	check(!memfile_anonymous(&m, N_MEMORY, -1));
	back_open(f, m, LIMIT);
	*state = f;
	return 0;
}

static inline int back_teardown(void **state)
{
	struct back_fixture *f = *state;

	assert_int_equal(f->fake->n_pending, 0);
	back_finish(f);
	back_close(f);
	free(f);
	return 0;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, back_setup, back_teardown)

/* --- verbs --- */
static inline void back_write(
	struct back_fixture *f, struct test_op *t, uint64_t off, uint32_t len, uint8_t byte, bool fua)
{
	struct landing l;

	landing_init(&l, f->v, off, len, NULL);
	check(!landing_take(&l, len, false));
	for (unsigned i = 0; i < l.n_iov; i++)
		memset(l.iov[i].iov_base, byte, l.iov[i].iov_len);
	test_op_init(t, f->v, &f->io, off, len);
	t->op.durable = fua;
	volume_commit(&t->op, &l);
}

static inline void back_flush(struct back_fixture *f, struct test_op *t, uint64_t off, uint64_t len)
{
	test_op_init(t, f->v, &f->io, off, len);
	volume_flush(&t->op);
}

/* back_read - all of a range, which must be there in the end. */
static inline void back_read(struct back_fixture *f, uint64_t off, uint32_t len, uint8_t *to)
{
	struct test_op t;

	test_op_init(&t, f->v, &f->io, off, len);
	volume_read(&t.op);
	back_finish(f);
	check(t.done && !t.end);
	check(copy_iov(to, t.op.iov, t.op.n_iov) == len);
	volume_unpin(&t.op);
}

/* --- what is there --- */
#define COUNT(kind) (f->fake->n_count[kind]) /* requests seen by the disk */

static inline uint64_t back_records(struct back_fixture *f)
{
	return ledger_count(f->m->ledger, LEDGER_NONE);
}

static inline uint64_t back_unclean(struct back_fixture *f)
{
	return volume_unclean_bytes(f->v) / PAGE;
}

static inline void back_expect(struct back_fixture *f, uint64_t off, uint32_t len, uint8_t byte)
{
	uint8_t *got = malloc(len);

	back_read(f, off, len, got);
	for (uint32_t i = 0; i < len; i++)
		if (got[i] != byte)
			fail_msg("byte %lu is %u, not %u", off + i, got[i], byte);
	free(got);
}

static inline void back_expect_disk(struct back_fixture *f, uint64_t off, uint32_t len, uint8_t byte)
{
	for (uint32_t i = 0; i < len; i++)
		if (f->fake->disk[off + i] != byte)
			fail_msg("byte %lu of the disk is %u", off + i, f->fake->disk[off + i]);
}
