/* server.c - builds the target from its configuration and takes it down again.
 *
 * Order of building: trace, workers (reactors), arenas, volumes and logical units, listening sockets, threads.
 * Taking down: stop listening, ask the initiators to log out, let what runs finish, end the connections, stop the
 * threads, free in the opposite order. All connections are accepted on the first worker and move to their
 * session's reactor when their names are known (session.c). */
#include "server_in.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "conn.h"
#include "disks.h"
#include "link.h"
#include "log.h"
#include "patience.h"
#include "session.h"
#include "sweep.h"
#include "task.h"
#include "trace.h"
#include "volume.h"

struct portal {
	struct io_sock sock;
	struct server *server;
	struct io_addr addr;
};

struct start;

struct server {
	const struct config *config;
	const struct server_world *world; /* NULL: the machine, with a thread a reactor */
	struct conntab *conns;
	struct worker *workers;
	unsigned n_workers;
	struct node **nodes;
	unsigned n_nodes;
	struct disks disks;
	struct scsi_host host; /* of the units */
	struct portal *portals;
	unsigned n_portals;
	_Atomic uint16_t tsih;
	struct start *starts; /* a worker */
	bool started;
};

/* --- what the inside asks --- */

struct conntab *server_conns(struct server *s)
{
	return s->conns;
}

struct node *server_node(struct server *s, unsigned i)
{
	return i < s->n_nodes ? s->nodes[i] : NULL;
}

struct node *server_find_node(struct server *s, const char *name)
{
	for (unsigned i = 0; i < s->n_nodes; i++) {
		if (!strcasecmp(s->nodes[i]->name, name))
			return s->nodes[i];
	}
	return NULL;
}

struct worker *server_worker(struct server *s, unsigned i)
{
	return &s->workers[i];
}

unsigned server_n_workers(const struct server *s)
{
	return s->n_workers;
}

struct worker *server_least_loaded(struct server *s, struct worker *here)
{
	struct worker *best = here;
	unsigned least = here->n_conns - 1; /* the one that asks is still counted here */

	for (unsigned i = 0; i < s->n_workers; i++) {
		unsigned n = s->workers[i].n_conns;

		if (&s->workers[i] != here && n < least) {
			least = n;
			best = &s->workers[i];
		}
	}
	return best;
}

unsigned server_n_conns(struct server *s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->n_workers; i++)
		n += s->workers[i].n_conns;
	return n;
}

uint16_t server_tsih(struct server *s)
{
	uint16_t t;

	do
		t = ++s->tsih;
	while (!t);
	return t;
}

bool server_line_policy(const struct server *s)
{
	return s->config->r2t_line;
}

const struct param_offer *server_offer(const struct server *s)
{
	return &s->config->offer;
}

const struct config *server_config(const struct server *s)
{
	return s->config;
}

const struct disks *server_disks(const struct server *s)
{
	return &s->disks;
}

/* --- building --- */

__attribute__((format(printf, 4, 5))) static int fail(
	char *err, size_t err_len, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, err_len, fmt, ap);
	va_end(ap);
	return rc;
}

static int worker_reactor(
	struct server *s, struct worker *w, unsigned index, char *err, size_t err_len)
{
	struct reactor_params p = {
		.engine = s->config->engine,
		.spin_us = s->config->spin_us,
		.user_timeout_ms = 30000,
	};
	static const char *const forced[] = {[ENGINE_AUTO] = "engine",
		[ENGINE_EPOLL] = "--engine epoll",
		[ENGINE_URING] = "--engine uring"};
	const char *reason = NULL, *hint;
	int rc;

	if (s->world) {
		w->io = s->world->io[index];
		return 0;
	}
	rc = reactor_new(&w->reactor, index, &p, &reason);
	hint = p.engine == ENGINE_URING && rc == -EPERM
		       ? " (by a container's filter, or sysctl kernel.io_uring_disabled)"
		       : "";
	if (rc)
		return fail(err, err_len, rc, "%s: %s%s%s%s", forced[p.engine],
			reason ? reason : "", reason ? ": " : "", strerror(-rc), hint);
	w->io = reactor_io(w->reactor);
	if (!index)
		log_info("engine %s%s%s%s", w->io->ops->name, reason ? " (" : "",
			reason ? reason : "", reason ? ")" : "");
	return 0;
}

static int worker_init(
	struct server *s, struct worker *w, unsigned index, char *err, size_t err_len)
{
	int rc;

	list_init(&w->conns);
	list_init(&w->sessions);
	list_init(&w->free_tasks);
	list_init(&w->free_txs);
	list_init(&w->free_batches);
	w->server = s;
	rc = worker_reactor(s, w, index, err, err_len);
	if (rc)
		return rc;
	link_tick_init(w);
	rc = rx_scratch_new(&w->scratch);
	return rc ? fail(err, err_len, rc, "receive scratch: %s", strerror(-rc)) : 0;
}

static int build_workers(struct server *s, char *err, size_t err_len)
{
	unsigned n = s->world ? s->world->n : s->config->threads ? s->config->threads : 1;

	s->workers = calloc(n, sizeof(*s->workers));
	if (!s->workers)
		return fail(err, err_len, -ENOMEM, "no memory for %u threads", n);
	for (unsigned i = 0; i < n; i++) {
		int rc;

		s->n_workers = i + 1;
		rc = worker_init(s, &s->workers[i], i, err, err_len);
		if (rc)
			return rc;
	}
	return 0;
}

static int on_sweep(struct scsi_host *h, struct scsi_sweep *sweep)
{
	return sweep_begin(container_of(h, struct server, host), sweep);
}

static int build_nodes(struct server *s, char *err, size_t err_len)
{
	s->nodes = calloc(s->config->n_targets, sizeof(*s->nodes));
	if (!s->nodes)
		return fail(err, err_len, -ENOMEM, "no memory");
	for (unsigned i = 0; i < s->config->n_targets; i++) {
		s->nodes[i] = node_new(s->config->targets[i]);
		if (!s->nodes[i])
			return fail(err, err_len, -ENOMEM, "no memory");
		s->n_nodes = i + 1;
	}
	s->host.sweep = on_sweep;
	s->disks.host = &s->host;
	return disks_open(&s->disks, s->config, s->world, s->nodes, err, err_len);
}

static void portal_ready(struct io_sock *sock, unsigned ready)
{
	struct portal *p = container_of(sock, struct portal, sock);
	struct worker *w = &p->server->workers[0];

	/* A few a turn: those who are connected already go on meanwhile. */
	for (unsigned i = 0; i < 64; i++) {
		struct io_addr peer;
		int handle = io_accept(w->io, sock, &peer);

		if (handle < 0)
			return;
		link_new(w, handle, &peer);
	}
	(void)ready;
}

static int build_portals(struct server *s, char *err, size_t err_len)
{
	struct io *io = s->workers[0].io;

	s->portals = calloc(s->config->n_listen, sizeof(*s->portals));
	if (!s->portals)
		return fail(err, err_len, -ENOMEM, "no memory");
	for (unsigned i = 0; i < s->config->n_listen; i++) {
		struct portal *p = &s->portals[i];
		char text[IO_ADDR_TEXT];
		unsigned waited = 0;
		int rc;

		p->server = s;
		p->addr = s->config->listen[i];
		p->sock.handle = -1;
		p->sock.on_ready = portal_ready;
		do
			rc = io_listen(io, &p->sock, &p->addr);
		while (rc == -EADDRINUSE && patience_left(&waited));
		if (rc)
			return fail(err, err_len, rc, "--listen %s: %s",
				io_addr_text(&s->config->listen[i], text), strerror(-rc));
		s->n_portals = i + 1;
		log_info("listening on %s", io_addr_text(&p->addr, text));
	}
	return 0;
}

struct start {
	struct io_work work;
	struct server *s;
	struct worker *w;
};

static void start_units(struct server *s, struct io *io)
{
	for (unsigned i = 0; i < s->n_nodes; i++) {
		for (unsigned lun = 0; lun < s->nodes[i]->luns.n; lun++) {
			if (s->nodes[i]->luns.lu[lun])
				lu_start(s->nodes[i]->luns.lu[lun], io);
		}
	}
}

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

/* start_worker - on its reactor: lend the cache to the engine; the first one listens. */
static void start_worker(struct io_work *work)
{
	struct start *st = container_of(work, struct start, work);

	st->w->lends = disks_lend(&st->s->disks, st->w->io);
	if (st->w == &st->s->workers[0]) {
		start_units(st->s, st->w->io);
		for (unsigned i = 0; i < st->s->n_portals; i++)
			io_want(st->w->io, &st->s->portals[i].sock, IO_IN);
	}
}

struct growth {
	struct io_work work;
	struct worker *w;
	void *base;
	size_t len;
};

static void on_growth(struct io_work *work)
{
	struct growth *g = container_of(work, struct growth, work);

	g->w->lends = g->w->lends && disks_lend_more(g->w->io, g->base, g->len);
	free(g);
}

/* on_grown - the cache has more memory: each reactor lends it to its engine. */
static void on_grown(void *ctx, void *base, size_t len)
{
	struct server *s = ctx;

	for (unsigned i = 0; i < s->n_workers; i++) {
		struct growth *g = malloc(sizeof(*g));

		if (!g)
			return; /* it is plain memory to that engine */
		*g = (struct growth){
			.w = &s->workers[i], .base = base, .len = len, .work.fn = on_growth};
		list_init(&g->work.link);
		io_post(s->workers[i].io, &g->work);
	}
}

/* Nobody else has heard of them yet: they have no connection. */
static void stop_first(struct server *s, unsigned n)
{
	for (unsigned i = 0; i < n && !s->world; i++) {
		reactor_stop(s->workers[i].reactor);
		reactor_join(s->workers[i].reactor);
	}
}

static int start_workers(struct server *s, char *err, size_t err_len)
{
	s->starts = calloc(s->n_workers, sizeof(*s->starts));
	if (!s->starts)
		return fail(err, err_len, -ENOMEM, "no memory");
	for (unsigned i = 0; i < s->n_workers; i++) {
		struct start *st = &s->starts[i];
		int rc;

		*st = (struct start){.s = s, .w = &s->workers[i], .work.fn = start_worker};
		list_init(&st->work.link);
		io_post(s->workers[i].io, &st->work);
		rc = s->world ? 0 : reactor_start(s->workers[i].reactor);
		if (rc) {
			stop_first(s, i);
			return fail(err, err_len, rc, "thread: %s", strerror(-rc));
		}
	}
	s->started = true;
	if (s->disks.memory)
		memory_fill(s->disks.memory, on_grown, s);
	return 0;
}

int server_new(struct server **sp, const struct config *c, char *err, size_t err_len)
{
	return server_new_in(sp, c, NULL, err, err_len);
}

int server_new_in(struct server **sp, const struct config *c, const struct server_world *world,
	char *err, size_t err_len)
{
	struct server *s = calloc(1, sizeof(*s));
	int rc = 0;

	if (!s)
		return fail(err, err_len, -ENOMEM, "no memory");
	s->config = c;
	s->world = world;
	if (c->trace)
		rc = trace_open(c->trace);
	if (rc)
		rc = fail(err, err_len, rc, "--trace %s: %s", c->trace, strerror(-rc));
	if (!rc && conntab_new(&s->conns))
		rc = fail(err, err_len, -ENOMEM, "no memory");
	if (!rc)
		rc = build_workers(s, err, err_len);
	if (!rc)
		rc = build_nodes(s, err, err_len);
	if (!rc)
		rc = build_portals(s, err, err_len);
	if (!rc)
		rc = start_workers(s, err, err_len);
	if (rc) {
		server_free(s);
		return rc;
	}
	*sp = s;
	return 0;
}

void server_print(const struct server *s, FILE *f)
{
	char text[IO_ADDR_TEXT];

	if (!s->n_portals)
		return;
	io_addr_text(&s->portals[0].addr, text);
	for (unsigned i = 0; i < s->n_nodes; i++) {
		const struct lu_map *m = &s->nodes[i]->luns;

		for (unsigned lun = 0; lun < m->n; lun++) {
			if (m->lu[lun])
				fprintf(f, "iscsi://%s/%s/%u\n", text, s->nodes[i]->name, lun);
		}
	}
}

/* --- taking down --- */

enum round { ROUND_STOP, ROUND_END, ROUND_QUIET };

struct round_work {
	struct io_work work;
	struct server *s;
	struct worker *w;
	enum round round;
	_Atomic unsigned *n_busy; /* connections still there, summed over the workers */
	_Atomic unsigned *n_left;
};

static void stop_listening(struct server *s, struct worker *w)
{
	if (w != &s->workers[0])
		return;
	for (unsigned i = 0; i < s->n_portals; i++)
		io_close(w->io, &s->portals[i].sock);
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
	stop_listening(r->s, r->w);
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

int server_memory_fd(const struct server *s)
{
	return s->disks.memory ? memory_fd(s->disks.memory) : -1;
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

static void worker_deinit(struct worker *w)
{
	task_free_lists(w);
	tx_free_lists(w);
	rx_scratch_free(w->scratch);
	if (w->reactor)
		reactor_free(w->reactor);
}

struct server *server_free(struct server *s)
{
	if (!s)
		return NULL;
	server_stop(s, 0, NULL);
	for (unsigned i = 0; i < s->n_portals; i++)
		io_close(s->workers[0].io, &s->portals[i].sock);
	for (unsigned i = 0; i < s->n_nodes; i++)
		node_free(s->nodes[i]);
	disks_close(&s->disks);
	for (unsigned i = 0; i < s->n_workers; i++)
		worker_deinit(&s->workers[i]);
	if (s->conns)
		conntab_free(s->conns);
	free(s->portals);
	free(s->nodes);
	free(s->starts);
	free(s->workers);
	trace_close();
	free(s);
	return NULL;
}
