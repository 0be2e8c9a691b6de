/* test-world.c - the three worlds. The real ones talk to themselves over loopback. */
#include "test-world.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>
#include "engine.h"
#include "reactor.h"
#include "sim.h"

struct real {
	struct engine_core *engine[2];
	FILE *disk;
	uint64_t idle_since_ns;
};

struct client {
	int fd;
	struct sim_peer *peer;
	bool ended;
};

static bool real_open(struct world *w, bool uring)
{
	struct real *x = calloc(1, sizeof(*x));
	const char *why;

	for (unsigned i = 0; i < 2; i++) {
		int rc = uring ? uring_engine_new(&x->engine[i], i, 5000, &why)
			       : epoll_engine_new(&x->engine[i], i, 5000);

		if (rc < 0) {
			printf("no %s here: %s\n", w->kind->name, uring ? why : "");
			if (i)
				x->engine[0]->kind->free(x->engine[0]);
			free(x);
			return false;
		}
		check(x->engine[i]->kind->start(x->engine[i]) == 0);
		w->io[i] = &x->engine[i]->io;
	}
	w->own = x;
	return true;
}

static bool epoll_open(struct world *w)
{
	return real_open(w, false);
}

static bool uring_open(struct world *w)
{
	return real_open(w, true);
}

static bool uring_519_open(struct world *w)
{
	bool open;

	uring_setups_skipped = 1;
	open = real_open(w, true);
	uring_setups_skipped = 0;
	return open;
}

static bool uring_510_open(struct world *w)
{
	bool open;

	uring_setups_skipped = 2;
	open = real_open(w, true);
	uring_setups_skipped = 0;
	return open;
}

static void real_close(struct world *w)
{
	struct real *x = w->own;

	for (unsigned i = 0; i < 2; i++)
		x->engine[i]->kind->free(x->engine[i]);
	if (x->disk)
		fclose(x->disk);
	free(x);
}

/* After twenty seconds in which nothing happened, nothing more is expected: a busy disk may take some for a
 * flush. */
static bool real_step(struct world *w)
{
	struct real *x = w->own;
	bool some = false, lately = w->io[0]->now_ns - x->idle_since_ns < 1000 * 1000;

	for (unsigned i = 0; i < 2; i++) {
		struct engine_core *e = x->engine[i];

		engine_wait(e, lately || !list_empty(&e->io.deferred) ? 0 : 1000 * 1000);
		some |= engine_turn(e);
	}
	if (some || !x->idle_since_ns)
		x->idle_since_ns = w->io[0]->now_ns;
	if (io_next_timer(w->io[0]) != UINT64_MAX || io_next_timer(w->io[1]) != UINT64_MAX)
		x->idle_since_ns = w->io[0]->now_ns;
	return w->io[0]->now_ns - x->idle_since_ns < 20ull * 1000 * 1000 * 1000;
}

static struct client *real_connect(struct world *w, const struct io_addr *to)
{
	int fd = socket(to->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct client *c = calloc(1, sizeof(*c));

	check(fd >= 0 && connect(fd, &to->sa, to->len) == 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	c->fd = fd;
	return c;
}

static size_t real_send(struct client *c, const void *data, size_t len)
{
	ssize_t n = send(c->fd, data, len, MSG_NOSIGNAL);

	return n > 0 ? (size_t)n : 0;
}

static size_t real_recv(struct client *c, void *data, size_t len)
{
	ssize_t n = recv(c->fd, data, len, 0);

	if (n == 0 || (n < 0 && errno != EAGAIN))
		c->ended = true;
	return n > 0 ? (size_t)n : 0;
}

static bool real_ended(struct client *c)
{
	char byte;

	if (!c->ended && recv(c->fd, &byte, 1, MSG_PEEK) == 0)
		c->ended = true;
	return c->ended;
}

static void real_leave(struct client *c, bool reset)
{
	struct linger hard = {.l_onoff = 1};

	if (reset)
		setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(c->fd);
	free(c);
}

static int real_disk(struct world *w)
{
	struct real *x = w->own;

	x->disk = tmpfile();
	check(x->disk && ftruncate(fileno(x->disk), WORLD_DISK) == 0);
	return fileno(x->disk);
}

#define REAL                                                                                       \
	.close = real_close, .step = real_step, .connect = real_connect, .send = real_send,        \
	.recv = real_recv, .ended = real_ended, .leave = real_leave, .disk = real_disk
const struct world_kind world_epoll = {.name = "epoll", .open = epoll_open, REAL};
const struct world_kind world_uring = {.name = "uring", .open = uring_open, REAL};
/* As kernels without DEFER_TASKRUN, and without COOP_TASKRUN, have it. */
const struct world_kind world_uring_519 = {.name = "uring 5.19", .open = uring_519_open, REAL};
const struct world_kind world_uring_510 = {.name = "uring 5.10", .open = uring_510_open, REAL};

static bool sim_open(struct world *w)
{
	struct sim *s;

	check(sim_new(&s, &(struct sim_params){.seed = 7,
				  .n_reactors = 2,
				  .max_piece = 5000,
				  .max_delay_ns = 300 * 1000}) == 0);
	w->io[0] = sim_io(s, 0);
	w->io[1] = sim_io(s, 1);
	w->own = s;
	return true;
}

static void sim_world_close(struct world *w)
{
	sim_free(w->own);
}

static bool sim_world_step(struct world *w)
{
	return sim_step(w->own);
}

static struct client *sim_world_connect(struct world *w, const struct io_addr *to)
{
	struct client *c = calloc(1, sizeof(*c));

	check(sim_connect(w->own, to, &c->peer) == 0);
	return c;
}

static size_t sim_world_send(struct client *c, const void *data, size_t len)
{
	return sim_peer_send(c->peer, data, len);
}

static size_t sim_world_recv(struct client *c, void *data, size_t len)
{
	return sim_peer_recv(c->peer, data, len);
}

static bool sim_world_ended(struct client *c)
{
	return sim_peer_ended(c->peer);
}

static void sim_world_leave(struct client *c, bool reset)
{
	if (reset)
		sim_peer_reset(c->peer);
	else
		sim_peer_close(c->peer);
	free(c);
}

static int sim_world_disk(struct world *w)
{
	return sim_disk_new(w->own, WORLD_DISK);
}

const struct world_kind world_sim = {
	.name = "sim",
	.open = sim_open,
	.close = sim_world_close,
	.step = sim_world_step,
	.connect = sim_world_connect,
	.send = sim_world_send,
	.recv = sim_world_recv,
	.ended = sim_world_ended,
	.leave = sim_world_leave,
	.disk = sim_world_disk,
};

void world_settle(struct world *w)
{
	bool real = w->kind != &world_sim;
	uint64_t end_ns = io_clock(w->io[0]) + 15 * 1000 * 1000;

	while (w->kind->step(w) && !(real && io_clock(w->io[0]) > end_ns))
		;
}

/* --- each case in each world --- */

static const struct world_kind *const kinds[] = {
	&world_epoll, &world_uring, &world_uring_519, &world_uring_510, &world_sim};

struct run {
	const struct world_case *c;
	const struct world_kind *kind;
	char name[80];
};

static void run_case(void **state)
{
	const struct run *run = *state;
	struct world w = {.kind = run->kind};

	if (!w.kind->open(&w))
		skip();
	run->c->fn(&w);
	w.kind->close(&w);
}

int world_main(const char *name, const struct world_case *cases, unsigned n_cases)
{
	unsigned n = n_cases * ARRAY_LEN(kinds);
	struct run *runs = calloc(n, sizeof(*runs));
	struct CMUnitTest *tests = calloc(n, sizeof(*tests));
	int rc;

	for (unsigned i = 0; i < n; i++) {
		struct run *run = &runs[i];

		run->c = &cases[i / ARRAY_LEN(kinds)];
		run->kind = kinds[i % ARRAY_LEN(kinds)];
		snprintf(run->name, sizeof(run->name), "%s: %s", run->kind->name, run->c->name);
		tests[i].name = run->name;
		tests[i].test_func = run_case;
		tests[i].initial_state = run;
	}
	rc = _cmocka_run_group_tests(name, tests, n, NULL, NULL);
	free(tests);
	free(runs);
	return rc;
}
