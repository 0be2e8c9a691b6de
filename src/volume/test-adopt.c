/* test-adopt.c - what a process left in its memory is adopted, wherever it died.
 *
 * A few hundred random commands on a small volume with a small limit, so that commits, background
 * writes, flushes, punches and evictions meet. Before each publish() the memory and the disk are
 * copied and adopted by a fresh volume, whose content must be lawful: each sector as the last
 * acknowledged command left it, or as the one under way does; that one's pages all or none when
 * it writes back. Then the fresh volume is flushed, and its disk must hold the same. Two memories
 * are chosen: records of several commands, and two of one page. */
#include "backtest.h"
#include "effort.h"

#include <stdio.h>

enum { SECTOR = 512, N_SECTORS = N_VOLUME * 8 - 1, N_COMMANDS = 220, SEEDS = 3 };

struct command {
	struct test_op t;
	unsigned from, n; /* sectors */
	uint8_t byte;
	bool atomic;
};

static struct {
	struct back_fixture *f;
	uint8_t acked[N_SECTORS];
	struct command c; /* under way */
	bool running;
	uint64_t n_points;
	uint64_t seed;
} w;

static unsigned pick(unsigned n)
{
	w.seed = w.seed * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)((w.seed >> 33) % n);
}

static bool is_in(unsigned sector)
{
	return w.running && sector >= w.c.from && sector < w.c.from + w.c.n;
}

static bool sector_is(const uint8_t *at, uint8_t byte)
{
	for (unsigned i = 0; i < SECTOR; i++)
		if (at[i] != byte)
			return false;
	return true;
}

static void check_lawful(const uint8_t *bytes)
{
	unsigned n_old = 0, n_new = 0;

	for (unsigned i = 0; i < N_SECTORS; i++) {
		const uint8_t *at = bytes + i * SECTOR;
		bool old = sector_is(at, w.acked[i]), fresh = is_in(i) && sector_is(at, w.c.byte);

		if (!old && !fresh)
			fail_msg("point %lu: sector %u is %u, acknowledged was %u", w.n_points, i,
				*at, w.acked[i]);
		if (is_in(i) && old != fresh) {
			n_old += old;
			n_new += fresh;
		}
	}
	if (w.running && w.c.atomic && n_old && n_new)
		fail_msg("point %lu: half of a command is there", w.n_points);
}

static void die_here(void)
{
	static uint8_t bytes[N_SECTORS * SECTOR];
	struct back_fixture g;
	struct test_op flush;
	void (*hook)(void) = ledger_crash_point;

	w.n_points++;
	ledger_crash_point = NULL;
	back_copy(&g, w.f);
	for (unsigned at = 0; at < sizeof(bytes); at += 16 * PAGE)
		back_read(&g, at, MIN(16 * PAGE, sizeof(bytes) - at), bytes + at);
	check_lawful(bytes);
	back_flush(&g, &flush, 0, sizeof(bytes));
	back_finish(&g);
	assert_true(flush.done && !flush.end);
	assert_memory_equal(bytes, g.fake->disk, sizeof(bytes));
	assert_int_equal(back_records(&g), 0);
	back_close(&g);
	ledger_crash_point = hook;
}

/* Some of what is in flight ends, in any order. */
static void let_go_on(unsigned n)
{
	struct fake *fake = w.f->fake;

	while (n-- && (fake->n_pending || turn(&w.f->io)))
		if (fake->n_pending && pick(2))
			fake_end(fake, pick(fake->n_pending));
}

static void begin(struct command *c)
{
	struct back_fixture *f = w.f;

	c->from = pick(N_SECTORS);
	c->n = 1 + pick(pick(3) ? 20 : 120);
	c->n = MIN(c->n, N_SECTORS - c->from);
	c->byte = (uint8_t)(1 + pick(255));
	c->atomic = true;
	w.running = true;
	switch (pick(12)) {
	case 0:
		c->byte = 0;
		c->atomic = false;
		test_op_init(&c->t, f->v, &f->io, c->from * SECTOR, c->n * SECTOR);
		volume_zero(&c->t.op, pick(2));
		break;
	case 1:
		w.running = false;
		back_flush(f, &c->t, c->from * SECTOR, c->n * SECTOR);
		break;
	case 2:
		c->atomic = volume_write_back(f->v);
		back_write(f, &c->t, c->from * SECTOR, c->n * SECTOR, c->byte, true);
		break;
	default:
		c->atomic = volume_write_back(f->v);
		back_write(f, &c->t, c->from * SECTOR, c->n * SECTOR, c->byte, false);
	}
}

static void run(uint64_t seed)
{
	struct back_fixture *f = calloc(1, sizeof(*f));
	struct memfile *m;

	memset(&w, 0, sizeof(w));
	w.seed = seed;
	w.f = f;
	f->fake = fake_new(N_SECTORS * SECTOR);
	check(!memfile_anonymous(&m, N_MEMORY / 2, -1));
	back_open(f, m, LIMIT / 2);
	ledger_crash_point = die_here;
	for (unsigned i = 0; i < N_COMMANDS; i++) {
		if (!pick(10))
			volume_set_write_back(f->v, pick(4));
		begin(&w.c);
		while (!w.c.t.done)
			let_go_on(1);
		assert_int_equal(w.c.t.end, 0);
		if (w.running)
			memset(w.acked + w.c.from, w.c.byte, w.c.n);
		w.running = false;
		let_go_on(pick(20));
		if (!pick(30))
			f->io.now_ns += 6000000000;
		io_run_timers(&f->io);
	}
	ledger_crash_point = NULL;
	back_finish(f);
	back_close(f);
	free(f);
}

static void whatever_store_it_dies_before(void **state)
{
	uint64_t n = 0;

	for (uint64_t seed = 1; seed <= effort(SEEDS); seed++) {
		run(seed);
		assert_true(w.n_points > N_COMMANDS);
		n += w.n_points;
	}
	print_message("%lu crash points\n", n);
}

/* --- chosen memories --- */
static void what_is_left_is_adopted(void **state)
{
	struct back_fixture *f = *state, g;
	struct test_op t, flush;

	back_write(f, &t, 0, 3 * PAGE, 8, false);
	back_write(f, &t, PAGE, PAGE, 9, false);
	back_write(f, &t, 90 * PAGE, 6 * PAGE - 512, 7, false);
	back_copy(&g, f);
	assert_int_equal(back_unclean(&g), 9);
	back_expect(&g, 0, PAGE, 8);
	back_expect(&g, PAGE, PAGE, 9);
	back_expect(&g, 90 * PAGE, 6 * PAGE - 512, 7);
	back_write(&g, &t, 0, PAGE, 6, false);
	back_flush(&g, &flush, 0, g.fake->b.info.size);
	back_finish(&g);
	back_expect_disk(&g, 0, PAGE, 6);
	back_expect_disk(&g, PAGE, PAGE, 9);
	back_expect_disk(&g, 90 * PAGE, 6 * PAGE - 512, 7);
	assert_int_equal(back_records(&g), 0);
	assert_int_equal(back_unclean(&g), 0);
	back_close(&g);
}

/* A record that was published and whose predecessor was not retired yet. */
static void the_newest_of_two_records_is_adopted(void **state)
{
	struct back_fixture *f = *state, g;
	struct ledger *l = f->m->ledger;
	struct test_op t;

	back_write(f, &t, 0, PAGE, 8, false);
	memset(arena_ptr(f->arena, 400), 9, PAGE);
	ledger_publish(l, 400, f->v->writer->volume, 0, ledger_next_seq(l), 1);
	back_copy(&g, f);
	back_expect(&g, 0, PAGE, 9);
	assert_int_equal(back_records(&g), 1);
	back_close(&g);
	ledger_retire(l, 400);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whatever_store_it_dies_before),
		CASE(what_is_left_is_adopted),
		CASE(the_newest_of_two_records_is_adopted),
	};

	if (argc > 1) { /* one seed, to look at */
		run(strtoull(argv[1], NULL, 0));
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
