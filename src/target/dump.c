/* dump.c - SIGUSR1: counters, and the live tables of each reactor, gathered on the reactor itself. */
#include <errno.h>
#include <stdlib.h>
#include "conn.h"
#include "disks.h"
#include "server_in.h"
#include "session.h"
#include "task.h"
#include "trace.h"
#include "volume.h"

struct sums {
	unsigned sessions, connections, tasks, granted, draining;
};

struct gather {
	struct io_work work;
	struct worker *w;
	struct sums sums;
	char *text;
	size_t text_len;
	_Atomic unsigned *n_left;
};

static const char *const conn_states[] = {[CONN_LOGIN] = "login",
	[CONN_ADMITTING] = "admitting",
	[CONN_FULL] = "full",
	[CONN_LOGOUT] = "logout",
	[CONN_ENDING] = "ending"};
static const char *const task_states[] = {[TASK_RECEIVING] = "receiving",
	[TASK_HELD] = "held",
	[TASK_DORMANT] = "dormant",
	[TASK_WAITING] = "waiting",
	[TASK_RUNNING] = "running",
	[TASK_SENDING] = "sending",
	[TASK_ABORTING] = "aborting"};

static void dump_entries(FILE *f, const struct conn *c)
{
	list_for_each(node, &c->dpt.granted) {
		const struct dpt_entry *e = list_entry(node, struct dpt_entry, link);

		fprintf(f, "entry conn=%u tag=0x%08x itt=0x%08x offset=%u length=%u filled=%u\n",
			c->index, dpt_tag(&c->dpt, e), e->w.itt, e->w.offset, e->w.length,
			e->w.filled);
	}
}

static void dump_tasks(FILE *f, const struct session *s, struct sums *sums)
{
	list_for_each(node, &s->tasks) {
		const struct task *t = list_entry(node, struct task, link);

		sums->tasks++;
		fprintf(f,
			"task conn=%u itt=0x%08x cmdsn=%u cdb=%02x state=%s arrived=%u length=%u\n",
			t->c->index, t->itt, t->cmdsn, t->scsi.cdb[0], task_states[t->state],
			t->xfer.arrived, t->xfer.length);
	}
}

static void gather_run(struct io_work *work)
{
	struct gather *g = container_of(work, struct gather, work);
	FILE *f = open_memstream(&g->text, &g->text_len);

	list_for_each(node, &g->w->conns) {
		const struct conn *c = list_entry(node, struct conn, link);
		char peer[IO_ADDR_TEXT];

		g->sums.connections++;
		g->sums.granted += c->dpt.n_granted;
		g->sums.draining += c->dpt.n_draining;
		if (!f)
			continue;
		fprintf(f,
			"connection index=%u reactor=%u peer=%s state=%s initiator=%s queued=%u\n",
			c->index, g->w->io->index, io_addr_text(&c->peer, peer),
			conn_states[c->state], c->s ? c->s->initiator : "-", c->tx.n);
		dump_entries(f, c);
	}
	list_for_each(node, &g->w->sessions) {
		const struct session *s = list_entry(node, struct session, link);

		g->sums.sessions++;
		if (f)
			dump_tasks(f, s, &g->sums);
	}
	if (f)
		fclose(f);
	--*g->n_left;
}

/* When nothing is under way each reference is an entry of a map: lent + shared = mapped. */
static void print_pages(
	FILE *f, const char *name, uint64_t lent, const struct arena *a, uint64_t mapped)
{
	fprintf(f, "lent_pages{%s} %llu\nshared_pages{%s} %llu\nmapped_pages{%s} %llu\n", name,
		(unsigned long long)lent, name, (unsigned long long)arena_n_shared(a), name,
		(unsigned long long)mapped);
}

static void print_sums(struct server *s, struct gather *g, FILE *f)
{
	struct sums all = {0};
	const struct disks *d = server_disks(s);

	for (unsigned i = 0; i < server_n_workers(s); i++) {
		const struct sums *one = &g[i].sums;

		all.sessions += one->sessions;
		all.connections += one->connections;
		all.tasks += one->tasks;
		all.granted += one->granted;
		all.draining += one->draining;
		if (g[i].text)
			fputs(g[i].text, f);
		free(g[i].text);
		fprintf(f, "reactor_sessions{%u} %u\nreactor_load{%u} %u\n", i, one->sessions, i,
			g[i].w->load);
	}
	fprintf(f, "sessions %u\nconnections %u\ntasks %u\ngranted %u\ndraining %u\n", all.sessions,
		all.connections, all.tasks, all.granted, all.draining);
	for (unsigned i = 0; i < d->n; i++) {
		uint64_t lent = arena_n_lent(d->list[i].a);

		if (d->list[i].a == d->cache)
			continue;
		print_pages(f, d->list[i].name, lent, d->list[i].a,
			volume_mapped_bytes(d->list[i].v) / ARENA_PAGE);
	}
}

static void print_cache(const struct disks *d, FILE *f)
{
	uint64_t mapped = 0;

	if (!d->cache)
		return;
	for (unsigned i = 0; i < d->n; i++) {
		if (d->list[i].a == d->cache)
			mapped += volume_mapped_bytes(d->list[i].v) / ARENA_PAGE;
	}
	for (unsigned i = 0; i < d->n; i++) {
		if (d->list[i].a == d->cache)
			fprintf(f, "unclean_pages{%s} %llu\n", d->list[i].name,
				(unsigned long long)(volume_unclean_bytes(d->list[i].v) /
						     ARENA_PAGE));
	}
	/* What waits for disks that are not served is in nobody's map. */
	print_pages(f, "cache", arena_n_lent(d->cache) - arena_n_kept(d->cache), d->cache, mapped);
}

void server_dump(struct server *s, FILE *f)
{
	unsigned n = server_n_workers(s);
	struct gather *g = calloc(n, sizeof(*g));
	_Atomic unsigned n_left = n;

	trace_flush();
	counters_print(f);
	if (!g)
		return;
	for (unsigned i = 0; i < n; i++) {
		g[i] = (struct gather){
			.w = server_worker(s, i), .n_left = &n_left, .work.fn = gather_run};
		list_init(&g[i].work.link);
		io_post(g[i].w->io, &g[i].work);
	}
	while (n_left)
		server_pause(s, 200);
	print_sums(s, g, f);
	print_cache(server_disks(s), f);
	fflush(f);
	free(g);
}
