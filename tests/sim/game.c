/* game.c - players on a RAM disk and on a disk behind the cache, in an order out of a seed.
 *
 * Two to four players write, read, zero, copy, flush, abort, reset, leave and come back. Now and then the
 * daemon is killed, with or without the host, and starts again. Every read is held against the
 * model, and so is the whole of each disk after a restart and at the end; nothing may be left in the
 * target then. Seeds differ in the number of reactors, the network, the sizes of disk and cache, and in
 * what the disk lets fail; two of three write back. */
#include "game.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "counter.h"

enum {
	RUSH = 64,
	SETTLE_STEPS = 5000000,
	RAM = 4 << 20,
	FILE_SIZE = 4 << 20,
	SMALL_CACHE = 1 << 20,
	CACHE = 4 << 20,
};
static const uint64_t second_ns = 1000000000;

static unsigned step_now;
static bool told;

unsigned game_step(void)
{
	return step_now;
}

static void tell(const struct game *g, const char *what)
{
	if (!told)
		return;
	printf("step %u: %s: %lu commands, %lu good, %lu failed, %lu logins, %lu kills, %lu power cuts\n",
		step_now, what, g->n[EV_COMMANDS], g->n[EV_GOOD], g->n[EV_FAILED], g->n[EV_LOGINS],
		g->n[EV_KILLS], g->n[EV_POWER_CUTS]);
	fflush(stdout);
}

/* --- the beginning --- */

/* fails - what the disk of this seed lets fail; writes that fail half way show halves. */
static void disk_fails(struct game *g, bool on)
{
	struct sim *s = g->h->sim;

	sim_disk_fail(s, g->h->disk, IO_WRITE, on && g->models[1].loose ? 10 : 0, -5);
	sim_disk_fail(s, g->h->disk, IO_READ, on && g->models[1].loose ? 20 : 0, -5);
	sim_disk_fail(s, g->h->disk, IO_FLUSH, on ? 6 : 0, -5);
}

static struct peer *visitor(struct game *g)
{
	struct peer *p = house_connect(g->h);
	struct peer_params ask = peer_params_default();

	if (g->bursts < 6)
		ask.max_burst = ask.first_burst = 16384;
	p->isid = 0x800000000099;
	peer_login(p, &ask);
	return p;
}

/* learn_names - the first designator of each unit (SPC-4 7.8.6). */
static void learn_names(struct game *g)
{
	struct peer *p = visitor(g);
	struct peer_cmd c = {.cdb = {0x12, 1, 0x83, 0, 255}, .read = true, .edtl = 255};

	for (unsigned i = 0; i < g->n_luns; i++) {
		uint8_t page[255] = {0};
		struct peer_task t = {.cmd = c, .buf = page};

		p->lun = (uint64_t)i << 48;
		peer_settle(p);
		peer_start(p, &t);
		peer_wait(p, &t);
		EXPECT(!t.st.status && 4u + page[7] <= sizeof(g->names[i]), "no name of unit %u",
			i);
		memcpy(g->names[i], page + 4, 4u + page[7]);
	}
	peer_logout(p);
	house_calm(g->h, second_ns);
}

/* fill - a disk that does not fit into the cache has something to be read, and to be copied without being read. */
static void fill(struct game *g, unsigned lun)
{
	struct model *m = &g->models[lun];
	struct peer *p = visitor(g);
	static uint8_t buf[PLAYER_BLOCKS * MODEL_BLOCK];

	p->lun = (uint64_t)lun << 48;
	peer_settle(p);
	for (uint32_t i = 0; i < m->n_blocks; i += PLAYER_BLOCKS) {
		uint32_t n = MIN(PLAYER_BLOCKS, m->n_blocks - i);
		uint32_t number = model_begin(m, i, n, buf);

		peer_write(p, i, n, buf);
		model_sure(m, number, g->durable[lun]);
	}
	peer_logout(p);
	house_calm(g->h, second_ns);
}

static void game_open(struct game *g, struct house *h, uint64_t seed)
{
	static const uint32_t pieces[] = {0, 40, 500, 5000, 65536};
	static const uint64_t delays[] = {0, 1000, 50000, 2000000};
	bool crowded = seed % 4 == 3; /* the disk does not fit into the cache */
	bool back = seed % 3 != 0;
	struct house_params p = {.seed = seed,
		.n_reactors = 1 + (seed % 8 != 0) + (seed % 16 == 1),
		.max_piece = pieces[seed % 5],
		.max_delay_ns = delays[seed / 5 % 4],
		/* What is given up meanwhile is under way for long. */
		.max_disk_delay_ns = seed % 6 == 0 ? 4000000 : 0,
		.ram = RAM,
		.file = FILE_SIZE,
		.cache = crowded ? SMALL_CACHE : CACHE,
		.write_back = back,
		.no_dsync = seed % 2,
		.r2t_line = seed / 3 % 3 == 0};

	memset(g, 0, sizeof(*g));
	house_open(h, &p);
	g->h = h;
	g->n_luns = 2;
	g->bursts = crowded ? 4 : 6;
	g->durable[1] = !back;
	model_init(&g->models[0], "RAM disk", 8 + (uint32_t)sim_random(h->sim, seed % 2 ? 30 : 400),
		false);
	model_init(&g->models[1], "disk",
		crowded ? 4000 : 8 + (uint32_t)sim_random(h->sim, seed % 2 ? 400 : 30),
		seed % 7 == 6 || p.no_dsync);
	model_join(&g->models[1], &g->models[0]);
	learn_names(g);
	if (crowded)
		fill(g, 1);
	disk_fails(g, true);
	g->n_players = 2 + (unsigned)sim_random(h->sim, 3);
	for (unsigned i = 0; i < g->n_players; i++) {
		g->players[i].g = g;
		g->players[i].number = i;
		player_login(&g->players[i]);
	}
}

/* --- lives --- */

/* read_all - in pieces that any cache can hold. */
static uint8_t *read_all(struct game *g, struct peer *p, unsigned lun)
{
	enum { PIECE = 64 };
	uint32_t n = g->models[lun].n_blocks;
	uint8_t *buf = malloc((size_t)n * MODEL_BLOCK);

	p->lun = (uint64_t)lun << 48;
	peer_settle(p);
	for (uint32_t i = 0; i < n; i += PIECE)
		peer_read(p, i, MIN(PIECE, n - i), buf + (size_t)i * MODEL_BLOCK);
	return buf;
}

static void recovered(struct game *g)
{
	struct peer *p;

	disk_fails(g, false);
	p = visitor(g);
	for (unsigned i = 0; i < g->n_luns; i++) {
		uint8_t *buf = read_all(g, p, i);

		model_recovered(&g->models[i], buf);
		free(buf);
	}
	peer_logout(p);
	house_calm(g->h, second_ns);
	disk_fails(g, true);
}

/* restart - the daemon has died. */
static void restart(struct game *g, bool power)
{
	enum model_crash kill = g->durable[1] ? MODEL_KILLED_TORN : MODEL_KILLED;

	for (unsigned i = 0; i < g->n_players; i++)
		player_orphan(&g->players[i]);
	model_crashed(&g->models[0], MODEL_FORGOTTEN);
	model_crashed(&g->models[1], power ? MODEL_POWER : kill);
	game_count(g, power ? EV_POWER_CUTS : EV_KILLS);
	house_restart(g->h, power);
	recovered(g);
	tell(g, power ? "restarted after a power cut" : "restarted after a kill");
}

/* maybe_die - now, or where it hurts most. */
static void maybe_die(struct game *g)
{
	struct sim *s = g->h->sim;
	bool power;

	if (sim_dead(s)) {
		game_count(g, EV_CRASHES);
		restart(g, false);
		return;
	}
	if (sim_random(s, 600))
		return;
	if (!g->durable[1] && sim_random(s, 5) < 2) {
		g->h->die_at = 1 + (unsigned)sim_random(s, 60);
		return;
	}
	power = sim_random(s, 3);
	house_die(g->h);
	restart(g, power);
}

static void let_happen(struct game *g, uint64_t n)
{
	struct sim *s = g->h->sim;

	g->h->may_die = true;
	while (n-- && !sim_dead(s))
		sim_step_by(s, sim_now(s) + 5000000);
	g->h->may_die = false;
}

static void play(struct game *g, unsigned n_steps)
{
	struct sim *s = g->h->sim;
	unsigned rush = 1 + (unsigned)sim_random(s, RUSH);

	for (step_now = 0; step_now < n_steps; step_now++) {
		player_act(&g->players[sim_random(s, g->n_players)], true);
		let_happen(g, sim_random(s, rush));
		maybe_die(g);
		/* Now and then nobody says a word for a while. */
		if (!sim_random(s, 1000))
			house_calm(g->h, sim_random(s, 45) * second_ns);
	}
	g->h->die_at = 0;
}

/* --- the end --- */

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

/* settle - everything is answered, but for what a reset has taken: the target knows no task any more. */
static void settle(struct game *g)
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

/* leave - by a logout where nothing is under way, else without a word; then time for all to be
 * settled. */
static void leave(struct game *g)
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

/* flush - what an earlier fault left to be told is told first. */
static void flush(struct peer *p)
{
	struct peer_cmd c = {.cdb = {0x91}};
	struct peer_status st;
	unsigned tries = 0;

	do
		peer_expect_status(p, peer_send_cmd(p, &c), &st);
	while (st.status && ++tries < 8);
	EXPECT(!st.status, "SYNCHRONIZE CACHE on a disk that is well: sense %u", st.key);
}

/* look - each disk as a whole, at rest. What was flushed lies on the disk. */
static void look(struct game *g)
{
	struct peer *p;

	disk_fails(g, false);
	p = visitor(g);
	for (unsigned i = 0; i < g->n_luns; i++) {
		struct model *m = &g->models[i];
		uint8_t *buf = read_all(g, p, i);

		model_check(m, 0, m->n_blocks, model_tick(m), buf);
		if (i)
			flush(p);
		if (i)
			EXPECT(!memcmp(buf, sim_disk_bytes(g->h->sim, g->h->disk),
				       (size_t)m->n_blocks * MODEL_BLOCK),
				"the disk holds something else than readers see");
		free(buf);
	}
	peer_logout(p);
	house_calm(g->h, second_ns);
	house_empty(g->h);
}

uint64_t game_play(const struct game_params *p, uint64_t events[N_EVENTS])
{
	static struct game g;
	struct house h;
	uint64_t hash, cloned = counter_sum(CTR_CLONED_BYTES);

	told = p->told;
	step_now = 0;
	game_open(&g, &h, p->seed);
	tell(&g, "begin");
	play(&g, p->n_steps);
	tell(&g, "played");
	settle(&g);
	leave(&g);
	look(&g);
	tell(&g, "end");
	EXPECT(g.n[EV_GOOD] > p->n_steps / 250, "only %lu commands were good", g.n[EV_GOOD]);
	g.n[EV_FAILED_IO] =
		sim_disk_failed(h.sim, h.disk, IO_READ) + sim_disk_failed(h.sim, h.disk, IO_WRITE);
	g.n[EV_CLONED] = (counter_sum(CTR_CLONED_BYTES) - cloned) / 4096;
	g.n[EV_FAILED_FLUSHES] = sim_disk_failed(h.sim, h.disk, IO_FLUSH);
	for (unsigned i = 0; i < g.n_luns; i++) {
		g.n[EV_CHECKED] += g.models[i].n_checked;
		g.n[EV_RECOVERED] += g.models[i].n_recovered;
		model_deinit(&g.models[i]);
	}
	for (unsigned i = 0; i < N_EVENTS; i++)
		events[i] += g.n[i];
	hash = sim_hash(h.sim);
	house_close(&h);
	return hash;
}
