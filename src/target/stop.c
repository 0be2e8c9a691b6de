/* stop.c - the server is taken down: from SIGTERM to nothing left.
 *
 * Listening ends, initiators are asked to log out, what runs may finish, connections end; then what is only in
 * memory goes to the disks, and when the units are quiet the threads stop. It works in rounds: each reactor looks at what
 * is its own and says how much is left. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include "conn.h"
#include "server_own.h"
#include "session.h"
#include "task.h"
#include "volume.h"

enum round { ROUND_STOP, ROUND_END, ROUND_QUIET };

struct round_work {
	struct io_work work;
	struct server *s;
	struct worker *w;
	enum round round;
	_Atomic unsigned *n_busy; /* connections still there, summed over the workers */
	_Atomic unsigned *n_left;
};

/* leave_units - how many still have something to do on this reactor. */
static unsigned leave_units(
	struct server *s, struct io *io, bool (*leave)(struct lu *, struct io *))
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->n_nodes; i++) {
		for (unsigned lun = 0; lun < s->nodes[i]->luns.n; lun++) {
			if (s->nodes[i]->luns.lu[lun])
				n += !leave(s->nodes[i]->luns.lu[lun], io);
		}
	}
	return n;
}

static bool conn_busy(const struct conn *c)
{
	return (c->s && c->s->n_tasks) || c->tx.n || c->tx.batch || c->n_functions;
}

static void round_run(struct io_work *work)
{
	struct round_work *r = container_of(work, struct round_work, work);
	unsigned n = 0;

	if (r->round == ROUND_QUIET) {
		*r->n_busy += leave_units(r->s, r->w->io, lu_quiet);
		--*r->n_left;
		return;
	}
	if (r->w == &r->s->workers[0])
		portals_close(&r->s->portals);
	list_for_each_safe(node, next, &r->w->conns) {
		struct conn *c = list_entry(node, struct conn, link);

		n++;
		if (c->state != CONN_ENDING &&
			(r->round == ROUND_END || (conn_farewell(c) && !conn_busy(c))))
			conn_end(c, "the server stops");
	}
	list_for_each(node, &r->w->sessions)
		n++;
	n += leave_units(r->s, r->w->io, lu_leave);
	*r->n_busy += n;
	--*r->n_left;
}

void server_pause(const struct server *s, unsigned us)
{
	if (s->world)
		s->world->turn(s->world->ctx);
	else
		nanosleep(
			&(struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000L},
			NULL);
}

/* round_all - one sweep over all reactors; how many connections and sessions it found. */
static unsigned round_all(struct server *s, enum round round)
{
	struct round_work *r = calloc(s->n_workers, sizeof(*r));
	_Atomic unsigned n_busy = 0, n_left = s->n_workers;

	check(r);
	for (unsigned i = 0; i < s->n_workers; i++) {
		r[i] = (struct round_work){.s = s,
			.w = &s->workers[i],
			.round = round,
			.n_busy = &n_busy,
			.n_left = &n_left,
			.work.fn = round_run};
		list_init(&r[i].work.link);
		io_post(s->workers[i].io, &r[i].work);
	}
	while (n_left)
		server_pause(s, 1000);
	free(r);
	return n_busy;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* --- what is only in memory goes to the disks --- */

struct flush_unit {
	struct io_work work;
	struct vol_op op;
	_Atomic unsigned *n_left;
	_Atomic int *errorp;
};

static void on_flushed(struct vol_op *op, int end)
{
	struct flush_unit *u = container_of(op, struct flush_unit, op);

	if (end)
		*u->errorp = end;
	--*u->n_left;
}

static void flush_run(struct io_work *work)
{
	struct flush_unit *u = container_of(work, struct flush_unit, work);

	volume_flush(&u->op);
}

static void flush_begin(struct server *s, struct flush_unit *u, struct volume *v)
{
	struct io *io = s->workers[0].io;

	u->op = (struct vol_op){
		.v = v, .io = io, .done = on_flushed, .len = volume_size(v), .gen = volume_gen(v)};
	u->work.fn = flush_run;
	list_init(&u->work.link);
	io_post(io, &u->work);
}

static void give_up(struct server *s)
{
	for (unsigned i = 0; i < s->disks.n; i++)
		volume_give_up(s->disks.list[i].v);
}

static int flush_all(struct server *s, struct server_watch *watch)
{
	unsigned n = s->disks.n;
	struct flush_unit *units = calloc(MAX(n, 1u), sizeof(*units));
	_Atomic unsigned n_left = n;
	_Atomic int error = 0;
	bool going = true;

	if (!units)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++) {
		units[i].n_left = &n_left;
		units[i].errorp = &error;
		flush_begin(s, &units[i], s->disks.list[i].v);
	}
	while (n_left) {
		server_pause(s, 1000);
		if (going && watch && !watch->go_on(watch, server_unclean_bytes(s))) {
			going = false;
			give_up(s);
		}
	}
	free(units);
	return error;
}

uint64_t server_unclean_bytes(const struct server *s)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < s->disks.n; i++)
		n += volume_unclean_bytes(s->disks.list[i].v);
	return n;
}

static void quiet(struct server *s)
{
	give_up(s);
	while (round_all(s, ROUND_QUIET))
		server_pause(s, 1000);
}

int server_stop(struct server *s, unsigned timeout_ms, struct server_watch *watch)
{
	unsigned waited = 0;
	uint64_t start = now_ms();
	int rc;

	if (!s->started)
		return 0;
	if (s->disks.memory)
		memory_stop_filling(s->disks.memory);
	/* Two empty sweeps in a row: a connection may have been on its way between reactors. */
	for (unsigned empty = 0; empty < 2;) {
		bool hurry = watch && !watch->go_on(watch, server_unclean_bytes(s));
		unsigned n = round_all(s, waited < timeout_ms && !hurry ? ROUND_STOP : ROUND_END);

		empty = n ? 0 : empty + 1;
		if (n) {
			server_pause(s, 10000);
			waited = s->world ? waited + 10 : (unsigned)(now_ms() - start);
		}
	}
	rc = flush_all(s, watch);
	quiet(s);
	for (unsigned i = 0; i < s->n_workers && !s->world; i++)
		reactor_stop(s->workers[i].reactor);
	for (unsigned i = 0; i < s->n_workers && !s->world; i++)
		reactor_join(s->workers[i].reactor);
	s->started = false;
	return rc;
}
