/* house.c - builds the target on the simulation, and looks whether it is empty again. */
#include "house.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "arena.h"
#include "backend.h"
#include "conn.h"
#include "disks.h"
#include "ledger.h"
#include "session.h"
#include "volume.h"

enum { STEPS_MAX = 50 * 1000 * 1000 };

/* --- a backend on a disk of the simulation --- */

struct sim_backend {
	struct backend b; /* first */
	int disk;
};

static void sim_backend_submit(struct backend *b, struct io *io, struct backend_req *r)
{
	r->disk.fd = container_of(b, struct sim_backend, b)->disk;
	io_disk(io, &r->disk);
}

static struct backend *sim_backend_free(struct backend *b)
{
	free(container_of(b, struct sim_backend, b));
	return NULL;
}

static int sim_backend_source(const struct backend *b)
{
	return container_of(b, struct sim_backend, b)->disk;
}

static const struct backend_ops sim_backend_ops = {.name = "sim",
	.submit = sim_backend_submit,
	.free = sim_backend_free,
	.source = sim_backend_source};

static int house_open_backend(void *ctx, const char *path, struct backend **bp)
{
	struct house *h = ctx;
	struct sim_backend *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->disk = h->disk;
	s->b = (struct backend){.ops = &sim_backend_ops,
		.path = path,
		.info = {.size = h->config.disks[1].size,
			.caps = h->disk_caps,
			.align_offset = 1,
			.align_memory = 1}};
	*bp = &s->b;
	return 0;
}

/* --- building --- */

static void house_turn(void *ctx)
{
	struct house *h = ctx;

	for (unsigned i = 0; i < 1000 && sim_step(h->sim); i++)
		;
}

static void house_configure(struct house *h, const struct house_params *p)
{
	struct config *c = &h->config;
	struct config_disk *d;

	config_init(c);
	c->cache = p->cache ? p->cache : CONFIG_CACHE_MIN;
	c->r2t_line = p->r2t_line;
	check(!config_add_target(c, HOUSE_TARGET) && !config_add_disk(c, "ram", &d));
	d->size = p->ram;
	if (p->file) {
		check(!config_add_disk(c, "file", &d));
		d->path = strdup("sim");
		d->mode = MODE_THROUGH; /* what the models of the disk expect */
		d->size = p->file;
	}
	if (p->file) {
		d->mode = p->write_back ? MODE_BACK : MODE_THROUGH;
		d->has_uuid = true;
		d->uuid[0] = 1;
	}
	check(!config_finish(c));
	h->addr = c->listen[0];
}

static void house_start(struct house *h)
{
	char err[200] = "";

	if (server_new_in(&h->server, &h->config, &h->world, err, sizeof(err)))
		FAIL("server: %s", err);
	house_calm(h, 0);
}

/* --- death --- */

static struct house *mortal; /* whose die_at counts down */

static void before_publish(void)
{
	struct house *h = mortal;

	if (h->may_die && h->die_at && !--h->die_at && !sim_dead(h->sim))
		house_die(h);
}

/* keep_memory - as it is at this instant; what was never touched stays so. */
static int keep_memory(int fd)
{
	static uint8_t buf[1 << 16];
	struct stat st;
	int copy = memfd_create("left", MFD_CLOEXEC);
	off_t at = 0;

	check(copy > 0 && !fstat(fd, &st) && !ftruncate(copy, st.st_size));
	while ((at = lseek(fd, at, SEEK_DATA)) >= 0) {
		off_t end = lseek(fd, at, SEEK_HOLE);

		for (; at < end;) {
			ssize_t n = pread(fd, buf, MIN(sizeof(buf), (size_t)(end - at)), at);

			check(n > 0 && pwrite(copy, buf, (size_t)n, at) == n);
			at += n;
		}
	}
	return copy;
}

void house_die(struct house *h)
{
	int fd = server_memory_fd(h->server);

	check(!h->left);
	if (fd >= 0)
		h->left = keep_memory(fd);
	h->die_at = 0;
	sim_die(h->sim);
}

void house_open(struct house *h, const struct house_params *p)
{
	struct sim_params sp = {.seed = p->seed,
		.n_reactors = MAX(p->n_reactors, 1),
		.max_piece = p->max_piece,
		.max_delay_ns = p->max_delay_ns,
		.max_disk_delay_ns = p->max_disk_delay_ns};

	memset(h, 0, sizeof(*h));
	check(!sim_new(&h->sim, &sp));
	for (unsigned i = 0; i < sp.n_reactors; i++)
		h->io[i] = sim_io(h->sim, i);
	house_configure(h, p);
	h->world = (struct server_world){.io = h->io,
		.n = sp.n_reactors,
		.turn = house_turn,
		.open = house_open_backend,
		.ctx = h};
	if (p->file) {
		h->disk = sim_disk_new(h->sim, p->file);
		check(h->disk >= 0);
		h->disk_caps = BACKEND_WRITE | BACKEND_PUNCH | BACKEND_ZERO | BACKEND_FLUSH |
			       BACKEND_CLONE | (p->no_dsync ? 0 : BACKEND_DURABLE);
	}
	mortal = h;
	ledger_crash_point = before_publish;
	house_start(h);
}

/* --- restart --- */

void house_restart(struct house *h, bool power)
{
	check(sim_dead(h->sim));
	h->server = server_free(h->server);
	while (sim_step_by(h->sim, sim_now(h->sim)))
		; /* what had been posted to nobody */
	if (power && h->left)
		close(h->left);
	if (power && h->disk_caps)
		sim_disk_crash(h->sim, h->disk);
	h->world.memory_fd = power ? 0 : h->left;
	h->left = 0;
	sim_live(h->sim);
	house_start(h);
	h->world.memory_fd = 0; /* it was taken */
}

void house_calm(struct house *h, uint64_t ns)
{
	uint64_t end = sim_now(h->sim) + ns;

	for (unsigned i = 0; sim_step_by(h->sim, end); i++)
		EXPECT(i < STEPS_MAX, "the simulation never comes to rest");
}

/* --- empty again --- */

static void worker_empty(const struct worker *w)
{
	EXPECT_EQ(w->load, 0);
	EXPECT_EQ(w->n_tasks, 0);
	EXPECT(list_empty(&w->conns), "a connection is left");
	EXPECT(list_empty(&w->sessions), "a session is left");
	EXPECT(list_empty(&w->bursts), "a link sleeps");
}

void house_empty(struct house *h)
{
	const struct disks *d = server_disks(h->server);
	uint64_t mapped = 0;

	for (unsigned i = 0; i < server_n_workers(h->server); i++)
		worker_empty(server_worker(h->server, i));
	EXPECT_EQ(conntab_n(server_conns(h->server)), 0);
	for (unsigned i = 0; i < d->n; i++) {
		uint64_t pages = volume_mapped_bytes(d->list[i].v) / ARENA_PAGE;

		if (d->list[i].a == d->cache)
			mapped += pages;
		else
			EXPECT_EQ(arena_n_lent(d->list[i].a) + arena_n_shared(d->list[i].a), pages);
	}
	if (d->cache)
		EXPECT_EQ(arena_n_lent(d->cache) + arena_n_shared(d->cache), mapped);
}

void house_close(struct house *h)
{
	ledger_crash_point = NULL;
	server_free(h->server);
	config_deinit(&h->config);
	sim_free(h->sim);
}

/* --- the network's door --- */

struct sim_stream {
	struct house *h;
	struct sim_peer *peer;
};

/* What waits, waits in simulated time: so many steps are many events, and little of the test's own
 * time. */
enum { PATIENCE = 200000 };

static long stream_send(void *ctx, const void *buf, size_t len, int timeout_ms)
{
	struct sim_stream *s = ctx;

	for (unsigned i = 0;; i++) {
		size_t n = sim_peer_send(s->peer, buf, len);

		if (n)
			return (long)n;
		if (sim_peer_ended(s->peer))
			return -EPIPE;
		if (i == (timeout_ms ? PATIENCE : 0) || !sim_step(s->h->sim))
			return -ETIMEDOUT;
	}
}

static long stream_recv(void *ctx, void *buf, size_t room, int timeout_ms)
{
	struct sim_stream *s = ctx;

	for (unsigned i = 0;; i++) {
		size_t n = sim_peer_recv(s->peer, buf, room);

		if (n)
			return (long)n;
		if (sim_peer_ended(s->peer))
			return 0;
		if (i == (timeout_ms ? PATIENCE : 0) || !sim_step(s->h->sim))
			return -ETIMEDOUT;
	}
}

static void stream_close(void *ctx, bool abrupt)
{
	struct sim_stream *s = ctx;

	if (abrupt)
		sim_peer_reset(s->peer);
	else
		sim_peer_close(s->peer);
	free(s);
}

static const struct peer_transport stream_transport = {
	.send = stream_send, .recv = stream_recv, .close = stream_close};

struct peer *house_connect(struct house *h)
{
	struct sim_stream *s = calloc(1, sizeof(*s));
	struct peer *p;
	int rc;

	check(s);
	s->h = h;
	rc = sim_connect(h->sim, &h->addr, &s->peer);
	EXPECT(!rc, "connect: %s", strerror(-rc));
	p = peer_new(&stream_transport, s);
	snprintf(p->target, sizeof(p->target), "%s", HOUSE_TARGET);
	return p;
}
