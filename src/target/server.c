/* server.c - builds the target from its configuration, and answers what its inside asks; stop.c takes it down.
 *
 * Order of building: workers (reactors), arenas, volumes and logical units, listening sockets, trace, threads.
 * Freed in the opposite order. */
#include "server_own.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "log.h"
#include "sweep.h"
#include "trace.h"
#include "why.h"

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

int server_memory_fd(const struct server *s)
{
	return s->disks.memory ? memory_fd(s->disks.memory) : -1;
}

/* --- building --- */

static int build_workers(struct server *s, char *err, size_t err_len)
{
	unsigned n = s->world ? s->world->n : s->config->threads ? s->config->threads : 1;

	s->workers = calloc(n, sizeof(*s->workers));
	if (!s->workers)
		return why_not(err, err_len, -ENOMEM, "no memory for %u threads", n);
	for (unsigned i = 0; i < n; i++) {
		int rc;

		s->n_workers = i + 1;
		rc = worker_init(
			&s->workers[i], s, i, s->world ? s->world->io[i] : NULL, err, err_len);
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
		return why_not(err, err_len, -ENOMEM, "no memory");
	for (unsigned i = 0; i < s->config->n_targets; i++) {
		s->nodes[i] = node_new(s->config->targets[i]);
		if (!s->nodes[i])
			return why_not(err, err_len, -ENOMEM, "no memory");
		s->n_nodes = i + 1;
	}
	s->host.sweep = on_sweep;
	s->disks.host = &s->host;
	return disks_open(&s->disks, s->config, s->world, s->nodes, err, err_len);
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

/* start_worker - on its reactor: lend the cache to the engine; the first one listens. */
static void start_worker(struct io_work *work)
{
	struct start *st = container_of(work, struct start, work);

	st->w->lends = disks_lend(&st->s->disks, st->w->io);
	if (st->w == &st->s->workers[0]) {
		start_units(st->s, st->w->io);
		portals_accept(&st->s->portals);
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
		return why_not(err, err_len, -ENOMEM, "no memory");
	for (unsigned i = 0; i < s->n_workers; i++) {
		struct start *st = &s->starts[i];
		int rc;

		*st = (struct start){.s = s, .w = &s->workers[i], .work.fn = start_worker};
		list_init(&st->work.link);
		io_post(s->workers[i].io, &st->work);
		rc = s->world ? 0 : reactor_start(s->workers[i].reactor);
		if (rc) {
			stop_first(s, i);
			return why_not(err, err_len, rc, "thread: %s", strerror(-rc));
		}
	}
	s->started = true;
	if (s->disks.memory)
		memory_fill(s->disks.memory, on_grown, s);
	return 0;
}

/* A start that is refused leaves the trace of the one before alone. */
static int open_trace(const char *path, char *err, size_t err_len)
{
	int rc = trace_open(path);

	return rc ? why_not(err, err_len, rc, "--trace %s: %s", path, strerror(-rc)) : 0;
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
		return why_not(err, err_len, -ENOMEM, "no memory");
	s->config = c;
	s->world = world;
	if (conntab_new(&s->conns))
		rc = why_not(err, err_len, -ENOMEM, "no memory");
	if (!rc)
		rc = build_workers(s, err, err_len);
	if (!rc)
		rc = build_nodes(s, err, err_len);
	if (!rc)
		rc = portals_open(&s->portals, &s->workers[0], c, err, err_len);
	if (!rc && c->trace)
		rc = open_trace(c->trace, err, err_len);
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

	if (!s->portals.n)
		return;
	io_addr_text(&s->portals.list[0].addr, text);
	for (unsigned i = 0; i < s->n_nodes; i++) {
		const struct lu_map *m = &s->nodes[i]->luns;

		for (unsigned lun = 0; lun < m->n; lun++) {
			if (m->lu[lun])
				fprintf(f, "iscsi://%s/%s/%u\n", text, s->nodes[i]->name, lun);
		}
	}
}

struct server *server_free(struct server *s)
{
	if (!s)
		return NULL;
	server_stop(s, 0, NULL);
	portals_close(&s->portals);
	for (unsigned i = 0; i < s->n_nodes; i++)
		node_free(s->nodes[i]);
	disks_close(&s->disks);
	for (unsigned i = 0; i < s->n_workers; i++)
		worker_deinit(&s->workers[i]);
	if (s->conns)
		conntab_free(s->conns);
	portals_free(&s->portals);
	free(s->nodes);
	free(s->starts);
	free(s->workers);
	trace_close();
	free(s);
	return NULL;
}
