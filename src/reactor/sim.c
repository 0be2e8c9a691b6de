/* sim.c - the deterministic engine: one seed, one clock, one event at a time.
 *
 * A step asks every part what could happen now and lets the seed choose among it; when nothing can,
 * the clock moves to the earliest thing to come. So the order of everything that real machines
 * leave open is the seed's, and a run is repeated by its seed. Every event goes into a hash, by
 * which two runs are compared. */
#include "sim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "reactor.h"
#include "sim_impl.h"

/* splitmix64: every seed is a good one. */
static uint64_t next_random(struct sim *s)
{
	uint64_t z = s->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

uint64_t sim_random(struct sim *s, uint64_t below)
{
	uint64_t r = next_random(s);

	return below ? (uint64_t)((unsigned __int128)r * below >> 64) : r;
}

uint64_t sim_delay(struct sim *s)
{
	return s->now_ns + sim_random(s, s->p.max_delay_ns + 1);
}

void sim_mix(struct sim *s, uint64_t v)
{
	s->hash = (s->hash ^ v) * UINT64_C(0x100000001b3);
	s->hash ^= s->hash >> 32;
}

void sim_mix_bytes(struct sim *s, const void *data, size_t len)
{
	const uint8_t *b = data;
	uint64_t word;

	for (; len >= sizeof(word); len -= sizeof(word), b += sizeof(word)) {
		memcpy(&word, b, sizeof(word));
		sim_mix(s, word);
	}
	for (; len; len--)
		sim_mix(s, *b++);
}

uint64_t sim_hash(const struct sim *s)
{
	return s->hash;
}

uint64_t sim_now(const struct sim *s)
{
	return s->now_ns;
}

struct io *sim_io(struct sim *s, unsigned reactor)
{
	check(reactor < s->p.n_reactors);
	return &s->reactors[reactor].io;
}

/* --- death --- */

void sim_die(struct sim *s)
{
	check(!s->dead);
	s->dead = true;
	sim_mix(s, s->now_ns);
	sim_net_die(s);
	sim_disks_die(s);
}

void sim_live(struct sim *s)
{
	check(s->dead && !s->stepping);
	for (unsigned i = 0; i < s->p.n_reactors; i++) {
		struct sim_reactor *r = &s->reactors[i];

		check(sim_net_idle(r) && list_empty(&r->done) && !io_has_posts(&r->io));
	}
	s->dead = false;
}

bool sim_dead(const struct sim *s)
{
	return s->dead;
}

static uint64_t sim_clock(struct io *io)
{
	return sim_reactor_of(io)->sim->now_ns;
}

static void sim_fill_random(struct io *io, void *buf, size_t len)
{
	uint8_t *b = buf;

	while (len--)
		*b++ = (uint8_t)next_random(sim_reactor_of(io)->sim);
}

static void sim_wake(struct io *io) {}

static int sim_lend_memory(struct io *io, void *base, size_t len)
{
	return -EOPNOTSUPP;
}

static const struct io_ops ops = {
	.name = "sim",
	.clock = sim_clock,
	.random = sim_fill_random,
	.wake = sim_wake,
	.listen = sim_listen,
	.accept = sim_accept,
	.attach = sim_attach,
	.detach = sim_detach,
	.want = sim_want,
	.recv = sim_recv,
	.send = sim_send,
	.lowat = sim_lowat,
	.local = sim_local,
	.close = sim_close,
	.disk = sim_disk_request,
	.lend_memory = sim_lend_memory,
};

int sim_new(struct sim **sp, const struct sim_params *p)
{
	struct sim *s = calloc(1, sizeof(*s));
	size_t room = round_up(p->n_reactors * sizeof(struct sim_reactor), 64);

	if (!s)
		return -ENOMEM;
	s->p = *p;
	s->random = p->seed;
	s->now_ns = UINT64_C(1000000000);
	s->hash = UINT64_C(0xcbf29ce484222325);
	s->reactors = aligned_alloc(64, room);
	if (!s->reactors) {
		free(s);
		return -ENOMEM;
	}
	memset(s->reactors, 0, room);
	for (unsigned i = 0; i < p->n_reactors; i++) {
		struct sim_reactor *r = &s->reactors[i];

		io_init(&r->io, &ops, i);
		r->io.now_ns = s->now_ns;
		r->sim = s;
		list_init(&r->ports);
		list_init(&r->done);
	}
	sim_net_init(s);
	sim_disks_init(s);
	*sp = s;
	return 0;
}

struct sim *sim_free(struct sim *s)
{
	if (!s)
		return NULL;
	sim_net_deinit(s);
	sim_disks_deinit(s);
	for (unsigned i = 0; i < s->p.n_reactors; i++)
		io_deinit(&s->reactors[i].io);
	free(s->reactors);
	free(s);
	return NULL;
}

static bool tell_done(struct sim_reactor *r)
{
	struct list batch, *node;
	bool some = false;

	list_init(&batch);
	list_splice_back(&batch, &r->done);
	while ((node = list_pop(&batch))) {
		struct io_disk *d = list_entry(node, struct io_disk, link);

		some = true;
		d->done(d, d->res);
	}
	return some;
}

static void turn(struct sim *s, void *arg)
{
	struct sim_reactor *r = arg;
	unsigned did;

	r->io.now_ns = s->now_ns;
	did = io_run_posts(&r->io);
	did |= (unsigned)io_run_timers(&r->io) << 1;
	did |= (unsigned)sim_net_serve(r) << 2;
	did |= (unsigned)tell_done(r) << 3;
	did |= (unsigned)io_run_deferred(&r->io) << 4;
	sim_mix(s, (uint64_t)r->io.index << 8 | did);
}

void sim_offer(struct sim *s, uint64_t due_ns, void (*fn)(struct sim *, void *), void *arg)
{
	if (due_ns > s->now_ns) {
		s->next_ns = MIN(s->next_ns, due_ns);
		return;
	}
	if (sim_coin(s, ++s->n_offers)) /* the n-th of n is taken with one in n */
		s->chosen = (struct sim_event){fn, arg};
}

static void offer_turns(struct sim *s)
{
	for (unsigned i = 0; i < s->p.n_reactors; i++) {
		struct sim_reactor *r = &s->reactors[i];
		bool now = io_has_posts(&r->io) || !list_empty(&r->io.deferred) ||
			   !list_empty(&r->done) || sim_net_ready(r);
		uint64_t due = now ? s->now_ns : io_next_timer(&r->io);

		if (due != UINT64_MAX)
			sim_offer(s, due, turn, r);
	}
}

bool sim_step(struct sim *s)
{
	return sim_step_by(s, UINT64_MAX - 1);
}

bool sim_in_turn(const struct sim *s)
{
	return s->stepping;
}

bool sim_step_by(struct sim *s, uint64_t until_ns)
{
	check(!s->stepping);
	s->n_offers = 0;
	s->next_ns = UINT64_MAX;
	offer_turns(s);
	sim_net_offer(s);
	sim_disks_offer(s);
	if (s->n_offers) {
		s->stepping = true;
		s->chosen.fn(s, s->chosen.arg);
		s->stepping = false;
	} else if (s->next_ns <= until_ns) {
		s->now_ns = s->next_ns;
		sim_mix(s, s->now_ns);
	} else {
		return false;
	}
	return true;
}
