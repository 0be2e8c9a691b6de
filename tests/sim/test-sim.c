/* test-sim.c - the whole target in one thread: initiators, reactors, network and disks in an order
 * out of a seed.
 *
 *   test-sim [--seeds N] [--from N]     so many seeds (default 600)
 *   test-sim --seed N                   one seed, told at length
 *
 * A game: two to four players write, read, abort, reset, leave and come back, on a RAM disk and on
 * a disk behind the cache, which some seeds let fail. Every read is held against the model. At the
 * end the disks are read whole, and nothing may be left in the target. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "log.h"
#include "player.h"

enum { ACTS = 2500, RUSH = 64, SETTLE_STEPS = 5000000, RAM = 4 << 20, FILE_SIZE = 1 << 20 };
static const uint64_t second_ns = 1000000000;

static uint64_t seed_now;
static bool told;

static _Noreturn void failed(const char *text)
{
	fprintf(stderr, "seed %llu: %s\n", (unsigned long long)seed_now, text);
	exit(1);
}

static void tell(const struct game *g, const char *what)
{
	if (told)
		printf("%s: %u commands, %u good, %u failed, %u aborts, %u resets, %u cuts, %u logins, %u rejects; "
		       "%llu and %llu blocks checked\n",
			what, g->n_commands, g->n_good, g->n_failed, g->n_aborts, g->n_resets,
			g->n_cuts, g->n_logins, g->n_rejects,
			(unsigned long long)g->models[0].n_checked,
			(unsigned long long)g->models[1].n_checked);
}

/* --- the parts of a game --- */

static void game_open(struct game *g, struct house *h, uint64_t seed)
{
	static const uint32_t pieces[] = {0, 40, 500, 5000, 65536};
	static const uint64_t delays[] = {0, 1000, 50000, 2000000};
	struct house_params p = {.seed = seed,
		.n_reactors = 1 + (seed % 8 != 0) + (seed % 16 == 1),
		.max_piece = pieces[seed % 5],
		.max_delay_ns = delays[seed / 5 % 4],
		.ram = RAM,
		.file = FILE_SIZE,
		.r2t_line = seed % 3 == 0};
	bool fails = seed % 7 == 6;

	memset(g, 0, sizeof(*g));
	house_open(h, &p);
	g->h = h;
	g->n_luns = 2;
	model_init(&g->models[0], "RAM disk", 8 + (uint32_t)sim_random(h->sim, seed % 2 ? 30 : 400),
		false);
	model_init(&g->models[1], "disk", 8 + (uint32_t)sim_random(h->sim, seed % 2 ? 400 : 30),
		fails);
	if (fails) {
		sim_disk_fail(h->sim, h->disk, IO_WRITE, 10, -5);
		sim_disk_fail(h->sim, h->disk, IO_READ, 20, -5);
	}
	g->n_players = 2 + (unsigned)sim_random(h->sim, 3);
	for (unsigned i = 0; i < g->n_players; i++) {
		g->players[i].g = g;
		g->players[i].number = i;
		player_login(&g->players[i]);
	}
}

static void game_play(struct game *g)
{
	struct sim *s = g->h->sim;
	unsigned rush = 1 + (unsigned)sim_random(s, RUSH);

	for (unsigned i = 0; i < ACTS; i++) {
		player_act(&g->players[sim_random(s, g->n_players)], true);
		for (uint64_t n = sim_random(s, rush); n; n--)
			sim_step_by(s, sim_now(s) + 5000000);
		/* Now and then nobody says a word for a while. */
		if (!sim_random(s, 1000))
			house_calm(g->h, sim_random(s, 45) * second_ns);
	}
}

static bool hear_all(struct game *g)
{
	bool some = false;

	for (unsigned i = 0; i < g->n_players; i++) {
		while (player_hear(&g->players[i]))
			some = true;
	}
	return some;
}

static bool any_busy(const struct game *g)
{
	for (unsigned i = 0; i < g->n_players; i++) {
		if (player_busy(&g->players[i]))
			return true;
	}
	return false;
}

/* game_settle - everything is answered, but for what a reset has taken: the target knows no task
 * any more. */
static void game_settle(struct game *g)
{
	for (unsigned i = 0;; i++) {
		EXPECT(i < SETTLE_STEPS, "a command is not answered");
		for (unsigned k = 0; k < g->n_players; k++)
			player_act(&g->players[k], false);
		sim_step_by(g->h->sim, sim_now(g->h->sim) + 5000000);
		if (any_busy(g))
			continue;
		house_calm(g->h, 10 * second_ns); /* what is on its way may be long, and slow */
		if (!hear_all(g) && !any_busy(g))
			break;
	}
	for (unsigned i = 0; i < server_n_workers(g->h->server); i++) {
		if (told && server_worker(g->h->server, i)->n_tasks)
			server_dump(g->h->server, stdout);
		EXPECT_EQ(server_worker(g->h->server, i)->n_tasks, 0);
	}
}

/* game_leave - by a logout where nothing is under way, else without a word; then time for all to be
 * settled. */
static void game_leave(struct game *g)
{
	for (unsigned i = 0; i < g->n_players; i++) {
		struct player *p = &g->players[i];
		bool idle = true;

		for (unsigned k = 0; k < PLAYER_TASKS; k++)
			idle &= p->tasks[k].state == TASK_FREE;
		if (!p->p)
			continue;
		if (idle && sim_random(g->h->sim, 2)) {
			peer_logout(p->p);
			p->p = NULL;
		} else {
			player_cut(p, sim_random(g->h->sim, 2));
		}
	}
	house_calm(g->h, 60 * second_ns);
	house_empty(g->h);
}

/* game_read - each disk as a whole, at rest. */
static void game_read(struct game *g)
{
	struct peer *p = house_connect(g->h);
	struct peer_params ask = peer_params_default();

	p->isid = 0x800000000099;
	peer_login(p, &ask);
	for (unsigned i = 0; i < g->n_luns; i++) {
		struct model *m = &g->models[i];
		uint8_t *buf = malloc(m->n_blocks * MODEL_BLOCK);

		p->lun = (uint64_t)i << 48;
		if (i)
			sim_disk_fail(g->h->sim, g->h->disk, IO_READ, 0, 0);
		peer_settle(p);
		peer_read(p, 0, m->n_blocks, buf);
		model_check(m, 0, m->n_blocks, model_tick(m), buf);
		/* Write-through: what a reader sees is what lies on the disk. */
		if (i)
			EXPECT(!memcmp(buf, sim_disk_bytes(g->h->sim, g->h->disk),
				       m->n_blocks * MODEL_BLOCK),
				"the disk holds something else than readers see");
		free(buf);
	}
	peer_logout(p);
	house_calm(g->h, second_ns);
	house_empty(g->h);
}

static uint64_t play(uint64_t seed)
{
	static struct game g;
	struct house h;
	uint64_t hash;

	seed_now = seed;
	game_open(&g, &h, seed);
	tell(&g, "begin");
	game_play(&g);
	tell(&g, "played");
	game_settle(&g);
	game_leave(&g);
	game_read(&g);
	tell(&g, "end");
	EXPECT(g.n_good > 10, "only %u commands were good", g.n_good);
	hash = sim_hash(h.sim);
	for (unsigned i = 0; i < g.n_luns; i++)
		model_deinit(&g.models[i]);
	house_close(&h);
	return hash;
}

int main(int argc, char **argv)
{
	uint64_t from = 1, n = 600;

	log_level = LOG_ERROR;
	peer_on_fail = failed;
	for (int i = 1; i + 1 < argc; i += 2) {
		uint64_t v = strtoull(argv[i + 1], NULL, 0);

		if (!strcmp(argv[i], "--seed")) {
			from = v;
			n = 1;
			told = true;
			log_level = getenv("BERTH_DEBUG") ? LOG_DEBUG : LOG_ERROR;
		} else if (!strcmp(argv[i], "--seeds")) {
			n = v;
		} else if (!strcmp(argv[i], "--from")) {
			from = v;
		}
	}
	/* The same seed is the same run: else no failure could be found again. */
	if (play(from) != play(from))
		failed("two runs of it differ");
	for (uint64_t seed = from + 1; seed < from + n; seed++)
		play(seed);
	printf("%llu seeds\n", (unsigned long long)n);
	return 0;
}
