/* reactor.c - one engine, one thread: turns, the spin between them, start and stop.
 *
 * Spin. A small request that follows another at low depth comes sooner than a sleeping thread
 * wakes. So after a turn that did small work the reactor looks again and again for spin_us before
 * it sleeps; not while a known burst arrives (the low-water mark does better), nor after turns that
 * moved much. Whether it pays is learnt: a spin that found work earns credit, one in vain costs
 * some, and without credit only one turn in SPIN_PROBE spins. A gap between two looks means that
 * somebody else needs this core, perhaps the very one whose request is awaited: that takes all
 * credit. A reactor with nothing to do does not spin: only work starts a spin.
 *
 * Nap. The opposite case: initiators that are slower than we are, have answers to read and send a command for
 * each, one by one. Their commands are taken several at a time, after a short sleep that nobody waits
 * for (io_ease()); a wake-up, a turn and a send call are then shared by all of them. */
#include "reactor.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include "engine.h"
#include "log.h"
#include "thread.h"

enum {
	SPIN_CREDIT = 8,        /* most that can be earned */
	SPIN_REWARD = 2,        /* for a spin that found work; one in vain costs 1 */
	SPIN_PROBE = 32,        /* without credit: every so many turns with work */
	SPIN_MAX_BYTES = 65536, /* received in a turn: more is no small work */
	SPIN_GAP_NS = 20000,    /* between two looks: the core was taken away */
	NAP_MOST_NS = 1000 * 1000,
	NAP_SLACK_NS = 1000,        /* a nap of 20 us is not to take 70 */
	NAP_HURRY_NS = 1000 * 1000, /* so long after somebody was in a hurry there is no nap */
};

struct reactor {
	struct engine_core *engine;
	struct counters counters;
	struct {
		uint64_t ns;       /* how long; 0: never */
		uint64_t until_ns; /* of the spin under way; 0: none */
		uint64_t look_ns;  /* its last look */
		unsigned credit, n_skipped;
	} spin;
	pthread_t thread;
	bool started;
	char reason[128];
};

static int engine_choose(
	struct reactor *r, unsigned index, const struct reactor_params *p, const char **whyp)
{
	int rc;

	if (p->engine == ENGINE_EPOLL)
		return epoll_engine_new(&r->engine, index, p->user_timeout_ms);
	rc = uring_engine_new(&r->engine, index, p->user_timeout_ms, whyp);
	if (rc == 0 || p->engine == ENGINE_URING)
		return rc;
	snprintf(r->reason, sizeof(r->reason), "io_uring: %s: %s", *whyp, strerror(-rc));
	return epoll_engine_new(&r->engine, index, p->user_timeout_ms);
}

int reactor_new(
	struct reactor **rp, unsigned index, const struct reactor_params *p, const char **reasonp)
{
	struct reactor *r = aligned_alloc(64, round_up(sizeof(*r), 64));
	const char *why = NULL;
	int rc;

	if (!r)
		return -ENOMEM;
	*r = (struct reactor){.spin = {.ns = p->spin_us * UINT64_C(1000), .credit = SPIN_CREDIT}};
	rc = engine_choose(r, index, p, &why);
	if (rc < 0) {
		if (reasonp)
			*reasonp = why;
		free(r);
		return rc;
	}
	if (reasonp)
		*reasonp = r->reason[0] ? r->reason : NULL;
	*rp = r;
	return 0;
}

struct reactor *reactor_free(struct reactor *r)
{
	if (!r)
		return NULL;
	check(!r->started);
	r->engine->kind->free(r->engine);
	free(r);
	return NULL;
}

struct io *reactor_io(struct reactor *r)
{
	return &r->engine->io;
}

struct counters *reactor_counters(struct reactor *r)
{
	return &r->counters;
}

static bool small_work(const struct engine_core *e)
{
	return e->n_turn_bytes <= SPIN_MAX_BYTES && !e->n_bursts;
}

static bool worth_a_spin(struct reactor *r)
{
	if (!r->spin.ns || !small_work(r->engine))
		return false;
	if (r->spin.credit)
		return true;
	if (++r->spin.n_skipped < SPIN_PROBE)
		return false;
	r->spin.n_skipped = 0;
	return true;
}

static bool was_pushed_aside(const struct reactor *r)
{
	return r->engine->io.now_ns - r->spin.look_ns > SPIN_GAP_NS;
}

static void spin_after_work(struct reactor *r)
{
	if (r->spin.until_ns && was_pushed_aside(r))
		r->spin.credit = 0;
	else if (r->spin.until_ns)
		r->spin.credit = MIN(r->spin.credit + SPIN_REWARD, SPIN_CREDIT);
	r->spin.until_ns = 0;
	if (worth_a_spin(r)) {
		r->spin.look_ns = engine_clock(&r->engine->io);
		r->spin.until_ns = r->spin.look_ns + r->spin.ns;
	}
}

static void spin_in_vain(struct reactor *r)
{
	if (was_pushed_aside(r)) {
		r->spin.until_ns = r->spin.credit = 0;
		return;
	}
	r->spin.look_ns = r->engine->io.now_ns;
	if (r->engine->io.now_ns < r->spin.until_ns) {
		return; /* a look is a system call, and pause enough */
	}
	r->spin.until_ns = 0;
	if (r->spin.credit)
		r->spin.credit--;
}

/* What came was small, all that were served have work of their own, and nobody else was in a hurry lately. */
static bool may_nap(const struct reactor *r)
{
	const struct io *io = &r->engine->io;

	return io->ease_ns && io->ease_ns <= NAP_MOST_NS && small_work(r->engine) &&
	       io->now_ns - io->hurry_ns > NAP_HURRY_NS && list_empty(&io->deferred);
}

static void nap(struct reactor *r)
{
	r->spin.until_ns = 0;
	engine_nap(r->engine, r->engine->io.ease_ns);
}

/* How long the wait of the next turn may be. */
static uint64_t patience(const struct reactor *r)
{
	const struct io *io = &r->engine->io;
	uint64_t timer = io_next_timer(io), now;

	if (r->spin.until_ns || !list_empty(&io->deferred))
		return 0;
	if (timer == UINT64_MAX)
		return UINT64_MAX;
	now = engine_clock(&r->engine->io);
	return timer > now ? timer - now : 0;
}

static void loop(struct reactor *r)
{
	struct engine_core *e = r->engine;

	while (!__atomic_load_n(&e->stop, __ATOMIC_SEQ_CST)) {
		engine_wait(e, patience(r));
		if (!engine_turn(e)) {
			if (r->spin.until_ns)
				spin_in_vain(r);
		} else if (may_nap(r)) {
			nap(r);
		} else {
			spin_after_work(r);
		}
	}
}

void reactor_run(struct reactor *r)
{
	int rc;

	counters_enter(&r->counters);
	prctl(PR_SET_TIMERSLACK, NAP_SLACK_NS, 0, 0, 0); /* in vain on no kernel that we know */
	rc = r->engine->kind->start(r->engine);
	if (rc < 0)
		log_error(
			"reactor %u cannot run its engine: %s", r->engine->io.index, strerror(-rc));
	else
		loop(r);
	counters_leave(&r->counters);
}

static void *thread_main(void *arg)
{
	reactor_run(arg);
	return NULL;
}

int reactor_start(struct reactor *r)
{
	char name[16];
	int rc;

	snprintf(name, sizeof(name), "berth-%u", r->engine->io.index);
	rc = thread_start(&r->thread, name, thread_main, r);
	r->started = rc == 0;
	return rc;
}

void reactor_stop(struct reactor *r)
{
	engine_stop(r->engine);
}

void reactor_join(struct reactor *r)
{
	if (!r->started)
		return;
	pthread_join(r->thread, NULL);
	r->started = false;
}
