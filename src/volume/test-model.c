/* test-model.c - random operations on a slow backend, held against a model of what may be seen.
 *
 * Every write marks its sectors with its own number. For a sector, a read may show
 *   - a write that began before the read ended, unless another write of that sector began after
 *     it had ended, and had itself ended well before the read began;
 *   - a write that failed, which may have reached the disk or not, is treated as one that never
 * ended. No half writes: where a read shows a write in one sector, no other sector of that write
 * may show one that had ended before it began. Steps of long ranges are exempt: they are atomic for
 * a page only.
 *
 * Everything comes from one seed: which operation, its range, which request of the backend ends
 * next, on which of two reactors, and what fails. */
#include "voltest.h"

#include <errno.h>
#include <stdio.h>
#include "effort.h"

enum {
	SECTOR = 512,
	N_SECTORS = 3 * 4096 + 3, /* six leaves, and a short last page */
	SIZE = N_SECTORS * SECTOR,
	HOT = 200, /* most operations fall near leaf borders, so that they meet */
	MAX_LEN = 96,
	N_OPS = 24,
	N_WRITES = 6000,
	ZEROS = 0,
};

enum kind { READ, WRITE, UPDATE, ZERO, SAME, FLUSH };

struct write {
	uint64_t began, ended; /* UINT64_MAX: not yet, or failed */
	uint32_t lba, n;
	bool whole; /* shown at one moment */
	bool zeros;
};

struct slot {
	struct test_op t;
	enum kind kind;
	bool busy;
	uint32_t id; /* writes */
	uint64_t began;
	uint64_t before; /* flush: what had ended when it began */
};

struct model {
	uint64_t seed, now;
	struct fake *fake;
	struct arena *arena;
	struct volume *v;
	struct io io[2];
	struct slot slots[N_OPS];
	struct write writes[N_WRITES];
	uint32_t n_writes;
	/* by sector: the numbers of its writes, in the order of their beginning; those below `dead`
	 * cannot be seen */
	uint32_t *of[N_SECTORS], n_of[N_SECTORS], dead[N_SECTORS];
	bool failing;
	unsigned n_reads;
};

static uint32_t rnd(struct model *m, uint32_t below)
{
	m->seed = m->seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((m->seed >> 33) % below);
}

/* --- the model --- */
static void begin_write(struct model *m, struct slot *s, uint32_t lba, uint32_t n, bool whole)
{
	uint32_t id = m->n_writes++;

	m->writes[id] = (struct write){m->now++, UINT64_MAX, lba, n, whole, s->kind == ZERO};
	s->id = id;
	for (uint32_t i = lba; i < lba + n; i++) {
		uint32_t k = m->n_of[i]++;

		if (!(k & (k - 1)))
			m->of[i] = realloc(m->of[i], (k ? 2 * k : 1) * sizeof(uint32_t));
		m->of[i][k] = id;
	}
}

/* Could a read that began at `began` still see write `id` in that sector? */
static bool visible(struct model *m, uint32_t sector, uint32_t id, uint64_t began)
{
	const struct write *w = &m->writes[id];

	for (uint32_t k = m->dead[sector]; k < m->n_of[sector]; k++) {
		const struct write *other = &m->writes[m->of[sector][k]];

		if (w->ended < other->began && other->ended < began)
			return false;
	}
	return true;
}

static bool allowed(struct model *m, uint32_t sector, uint64_t shown, uint64_t began)
{
	for (uint32_t k = m->n_of[sector]; k-- > 0;) {
		uint32_t id = m->of[sector][k];

		if ((m->writes[id].zeros ? ZEROS : id) == shown)
			if (visible(m, sector, id, began))
				return true;
	}
	return false;
}

static uint64_t mark_of(const uint8_t *sector)
{
	uint64_t head, tail;

	memcpy(&head, sector, 8);
	memcpy(&tail, sector + SECTOR - 8, 8);
	check(head == tail);
	return head;
}

static void no_half(struct model *m, uint32_t lba, uint32_t n, const uint64_t *shown)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct write *w = &m->writes[shown[i]];
		uint32_t from = MAX(w->lba, lba), to = MIN(w->lba + w->n, lba + n);

		if (shown[i] == ZEROS || !w->whole || w->ended == UINT64_MAX)
			continue;
		for (uint32_t k = from; k < to; k++)
			if (shown[k - lba] != ZEROS)
				check(!(m->writes[shown[k - lba]].ended < w->began));
	}
}

static void check_read(struct model *m, struct slot *s)
{
	static uint8_t bytes[MAX_LEN * SECTOR];
	uint64_t shown[MAX_LEN];
	uint32_t lba = s->t.op.off / SECTOR, n = s->t.op.len / SECTOR;

	check(copy_iov(bytes, s->t.op.iov, s->t.op.n_iov) == s->t.op.len);
	for (uint32_t i = 0; i < n; i++) {
		shown[i] = mark_of(bytes + i * SECTOR);
		if (!allowed(m, lba + i, shown[i], s->began)) {
			print_error("sector %u shows %lu\n", lba + i, shown[i]);
			check(false);
		}
	}
	no_half(m, lba, n, shown);
	m->n_reads++;
}

/* --- operations --- */
static int build_marks(
	void *ctx, uint64_t at, uint32_t len, const uint8_t *base, uint8_t *fresh, uint32_t *wherep)
{
	const uint64_t id = ((struct slot *)ctx)->id;

	for (uint32_t i = 0; i < len; i += 8)
		memcpy(fresh + i, &id, 8);
	return 0;
}

static uint32_t pick_lba(struct model *m, uint32_t n)
{
	uint32_t near = (1 + rnd(m, 3)) * 4096 - HOT / 2 + rnd(m, HOT);

	if (!rnd(m, 10))
		return rnd(m, N_SECTORS - n + 1);
	return MIN(near, N_SECTORS - n);
}

static void start_commit(struct model *m, struct slot *s)
{
	struct landing l;
	uint64_t id = s->id;

	landing_init(&l, m->v, s->t.op.off, s->t.op.len, NULL);
	check(!landing_take(&l, s->t.op.len, rnd(m, 2)));
	for (unsigned i = 0; i < l.n_iov; i++)
		for (size_t k = 0; k < l.iov[i].iov_len; k += 8)
			memcpy((uint8_t *)l.iov[i].iov_base + k, &id, 8);
	volume_commit(&s->t.op, &l);
}

static void start(struct model *m, struct slot *s)
{
	static const enum kind kinds[] = {
		READ, READ, READ, READ, WRITE, WRITE, WRITE, UPDATE, ZERO, SAME, FLUSH};
	uint32_t n = 1 + rnd(m, rnd(m, 3) ? 12 : MAX_LEN), lba = pick_lba(m, n);
	uint64_t block[SECTOR / 8];

	s->kind = kinds[rnd(m, ARRAY_LEN(kinds))];
	s->busy = true;
	test_op_init(&s->t, m->v, &m->io[rnd(m, 2)], (uint64_t)lba * SECTOR, (uint64_t)n * SECTOR);
	s->began = m->now++;
	if (s->kind != READ && s->kind != FLUSH)
		begin_write(m, s, lba, n, s->kind == WRITE || s->kind == UPDATE);
	switch (s->kind) {
	case READ:
		volume_read(&s->t.op);
		break;
	case WRITE:
		if (rnd(m, 2))
			volume_base(m->v, s->t.op.io, s->t.op.off, s->t.op.len);
		start_commit(m, s);
		break;
	case UPDATE:
		volume_update(&s->t.op, build_marks, s);
		break;
	case ZERO:
		volume_zero(&s->t.op, rnd(m, 2));
		break;
	case SAME:
		for (unsigned i = 0; i < SECTOR / 8; i++)
			block[i] = s->id;
		volume_same(&s->t.op, block);
		break;
	case FLUSH:
		volume_flush(&s->t.op);
		break;
	}
}

static void reap(struct model *m)
{
	for (unsigned i = 0; i < N_OPS; i++) {
		struct slot *s = &m->slots[i];

		if (!s->busy || !s->t.done)
			continue;
		check(s->t.n_done == 1);
		check(!s->t.end || (m->failing && s->t.end == -EIO));
		if (s->kind == READ && !s->t.end)
			check_read(m, s);
		if (s->kind == READ)
			volume_unpin(&s->t.op);
		else if (s->kind != FLUSH && !s->t.end)
			m->writes[s->id].ended = m->now++;
		s->busy = false;
	}
}

static bool step(struct model *m)
{
	unsigned what = rnd(m, 4);

	if (what < 2)
		turn(&m->io[what]);
	else if (m->fake->n_pending) {
		if (m->failing && !rnd(m, 40))
			m->fake->fail_next = -EIO;
		fake_end(m->fake, rnd(m, m->fake->n_pending));
	}
	reap(m);
	return m->fake->n_pending != 0;
}

static bool any_busy(const struct model *m)
{
	for (unsigned i = 0; i < N_OPS; i++)
		if (m->slots[i].busy)
			return true;
	return false;
}

static void drain(struct model *m)
{
	for (unsigned i = 0; any_busy(m) || m->fake->n_pending; i++) {
		check(i < 1000000);
		step(m);
	}
	check(!turn(&m->io[0]) && !turn(&m->io[1]));
}

/* With nothing under way the disk must hold what is shown. */
static void check_disk(struct model *m)
{
	uint8_t *seen = malloc(SIZE);

	for (uint32_t lba = 0; lba < N_SECTORS; lba += 64) {
		struct test_op t;

		test_op_init(&t, m->v, &m->io[0], (uint64_t)lba * SECTOR,
			MIN(64u, N_SECTORS - lba) * SECTOR);
		volume_read(&t.op);
		fake_end_all(m->fake, &m->io[0]);
		check(t.done && !t.end);
		copy_iov(seen + lba * SECTOR, t.op.iov, t.op.n_iov);
		volume_unpin(&t.op);
	}
	assert_memory_equal(seen, m->fake->disk, SIZE);
	free(seen);
}

static void run(uint64_t seed, uint64_t n_cache, bool failing)
{
	struct model *m = calloc(1, sizeof(*m));
	struct slot first = {.kind = ZERO};

	m->seed = seed;
	m->now = 1;
	m->failing = failing;
	io_init(&m->io[0], &turn_ops, 0);
	io_init(&m->io[1], &turn_ops, 1);
	m->fake = fake_new(SIZE);
	m->fake->b.info.align_offset = rnd(m, 2) ? 512 : 4096;
	m->arena = file_arena(n_cache);
	m->v = file_volume(&m->fake->b, m->arena, SECTOR);
	begin_write(m, &first, 0, N_SECTORS, false); /* what the disk holds at first */
	m->writes[0].ended = m->now++;
	while (m->n_writes < N_WRITES) {
		struct slot *s = &m->slots[rnd(m, N_OPS)];

		if (!s->busy)
			start(m, s);
		reap(m);
		for (unsigned i = rnd(m, 6); i > 0; i--)
			step(m);
	}
	drain(m);
	check_disk(m);
	arena_check(m->arena);
	volume_free(m->v);
	assert_int_equal(arena_n_lent(m->arena), 0);
	arena_free(m->arena);
	assert_true(m->n_reads > N_WRITES / 4);
	io_deinit(&m->io[0]);
	io_deinit(&m->io[1]);
	for (uint32_t i = 0; i < N_SECTORS; i++)
		free(m->of[i]);
	free(m);
}

static void every_read_shows_what_it_may(void **state)
{
	for (uint64_t seed = 1; seed <= effort(6); seed++)
		run(seed, 4096, false);
}

static void also_when_the_cache_is_small(void **state)
{
	for (uint64_t seed = 1; seed <= effort(6); seed++)
		run(seed, 640, false);
}

static void also_when_requests_fail(void **state)
{
	for (uint64_t seed = 1; seed <= effort(6); seed++)
		run(seed, 4096, true);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_read_shows_what_it_may),
		cmocka_unit_test(also_when_the_cache_is_small),
		cmocka_unit_test(also_when_requests_fail),
	};

	if (argc > 1) { /* one seed, to look at */
		run(strtoull(argv[1], NULL, 0), argc > 2 ? strtoull(argv[2], NULL, 0) : 4096,
			argc > 3);
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
