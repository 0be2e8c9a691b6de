/* test-crash.c - what was acknowledged is on the disk after a power cut, over many seeds of the
 * simulation.
 *
 * Two reactors write and zero stripes of 12 sectors, which share pages with their neighbours, on a
 * disk that may lose or tear what was not durable. At a random moment the power goes. Each sector
 * must then hold what the last acknowledged operation of its stripe put there, or what the one
 * under way would have. */
#include "voltest.h"

#include <errno.h>
#include "effort.h"
#include "sim.h"

enum {
	SECTOR = 512,
	STRIPE = 12,
	N_STRIPES = 60,
	SIZE = 4 << 20,
	LBA = 4096 - 30 * STRIPE - 6,
	SEEDS = 300
};

struct sim_backend {
	struct backend b;
	int disk;
};

static void sim_submit(struct backend *b, struct io *io, struct backend_req *r)
{
	r->disk.fd = container_of(b, struct sim_backend, b)->disk;
	io_disk(io, &r->disk);
}

static struct backend *sim_backend_free(struct backend *b)
{
	free(container_of(b, struct sim_backend, b));
	return NULL;
}

static const struct backend_ops sim_ops = {
	.name = "sim", .submit = sim_submit, .free = sim_backend_free};

struct stripe {
	struct vol_op op;
	struct landing l;
	struct world *world;
	uint64_t acked, running; /* marks; 0: zeros */
	bool busy;
};

struct world {
	struct sim *sim;
	struct sim_backend *sb;
	struct arena *arena;
	struct volume *v;
	struct stripe stripes[N_STRIPES];
	uint64_t next;
	bool cut;
	unsigned n_acked;
};

static void on_done(struct vol_op *op, int end)
{
	struct stripe *s = container_of(op, struct stripe, op);

	check(!end || s->world->cut);
	s->busy = false;
	if (end)
		return;
	s->world->n_acked++;
	s->acked = s->running;
}

static void start(struct world *w, struct stripe *s)
{
	s->world = w;
	s->busy = true;
	s->op = (struct vol_op){
		.v = w->v,
		.io = sim_io(w->sim, (unsigned)sim_random(w->sim, 2)),
		.done = on_done,
		.off = (LBA + (uint64_t)(s - w->stripes) * STRIPE) * SECTOR,
		.len = STRIPE * SECTOR,
		.gen = volume_gen(w->v),
	};
	if (!sim_random(w->sim, 5)) {
		s->running = 0;
		volume_zero(&s->op, sim_random(w->sim, 2));
		return;
	}
	s->running = ++w->next;
	landing_init(&s->l, w->v, s->op.off, STRIPE * SECTOR, NULL);
	check(!landing_take(&s->l, STRIPE * SECTOR, false));
	for (unsigned i = 0; i < s->l.n_iov; i++)
		for (size_t k = 0; k < s->l.iov[i].iov_len; k += 8)
			memcpy((uint8_t *)s->l.iov[i].iov_base + k, &s->running, 8);
	volume_commit(&s->op, &s->l);
}

static bool sector_is(const uint8_t *sector, uint64_t mark)
{
	for (unsigned i = 0; i < SECTOR; i += 8)
		if (memcmp(sector + i, &mark, 8))
			return false;
	return true;
}

static void check_disk(struct world *w)
{
	const uint8_t *disk = sim_disk_bytes(w->sim, w->sb->disk);

	for (unsigned i = 0; i < N_STRIPES * STRIPE; i++) {
		const struct stripe *s = &w->stripes[i / STRIPE];
		const uint8_t *sector = disk + (LBA + i) * SECTOR;

		check(sector_is(sector, s->acked) || (s->busy && sector_is(sector, s->running)));
	}
	for (unsigned i = 0; i < LBA * SECTOR; i++)
		check(!disk[i]);
}

/* How many operations were acknowledged before. */
static unsigned run(uint64_t seed)
{
	struct sim_params sp = {.seed = seed, .n_reactors = 2, .max_delay_ns = 100000};
	struct world *w = calloc(1, sizeof(*w));
	unsigned n;

	check(!sim_new(&w->sim, &sp));
	w->sb = calloc(1, sizeof(*w->sb));
	w->sb->disk = sim_disk_new(w->sim, SIZE);
	check(w->sb->disk >= 0);
	w->sb->b.ops = &sim_ops;
	w->sb->b.path = "sim";
	w->sb->b.info = (struct backend_info){SIZE,
		BACKEND_WRITE | BACKEND_PUNCH | BACKEND_ZERO | BACKEND_FLUSH |
			(seed % 2 ? BACKEND_DURABLE : 0),
		512, 512, 0};
	w->arena = file_arena(1024);
	w->v = file_volume(&w->sb->b, w->arena, SECTOR);
	for (n = 200 + (unsigned)sim_random(w->sim, 2000); n > 0; n--) {
		struct stripe *s = &w->stripes[sim_random(w->sim, N_STRIPES)];

		if (!s->busy && !sim_random(w->sim, 3))
			start(w, s);
		sim_step(w->sim);
	}
	w->cut = true;
	sim_disk_crash(w->sim, w->sb->disk);
	check_disk(w);
	while (sim_step(w->sim))
		continue;
	for (unsigned i = 0; i < N_STRIPES; i++)
		check(!w->stripes[i].busy);
	n = w->n_acked;
	arena_check(w->arena);
	volume_free(w->v);
	assert_int_equal(arena_n_lent(w->arena), 0);
	arena_free(w->arena);
	sim_free(w->sim);
	free(w);
	return n;
}

static void what_was_acknowledged_survives_a_power_cut(void **state)
{
	unsigned n = 0, n_seeds = effort(SEEDS);

	for (uint64_t seed = 1; seed <= n_seeds; seed++)
		n += run(seed);
	assert_true(n > 10 * n_seeds);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_acknowledged_survives_a_power_cut),
	};

	if (argc > 1) { /* one seed, to look at */
		run(strtoull(argv[1], NULL, 0));
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
