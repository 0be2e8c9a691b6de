/* test-engine.c - what io.h promises of sockets, work, timers and random bytes, asked of every
 * engine. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "counter.h"
#include "reactor.h"
#include "test-world.h"

#define RECV(c, buf, len) (w->kind->recv((c), (buf), (len)))
#define SEND(c, buf, len) (w->kind->send((c), (buf), (len)))

/* --- a small server --- */

enum { BUFFER = 64 * 1024 };

struct conn {
	struct io_sock sock;
	struct world *w;
	struct io *io;
	struct io_work work;
	char buf[BUFFER];
	size_t n_in, n_out; /* of buf: received, sent back */
	uint64_t n_bytes;
	int last; /* what io_recv() said when it was not bytes */
	unsigned n_ready, n_limit;
	int handle; /* while it moves */
};

struct server {
	struct world *w;
	struct io_sock listener;
	struct io_addr addr;
	void (*on_conn)(struct io_sock *, unsigned);
	struct conn *conn[4096];
	unsigned n_conns;
};

static void conn_pump(struct conn *c)
{
	ssize_t n;

	while (c->n_out < c->n_in) {
		struct iovec v = {c->buf + c->n_out, c->n_in - c->n_out};

		n = io_send(c->io, &c->sock, &v, 1);
		if (n == -EAGAIN)
			break;
		assert_true(n > 0);
		c->n_out += (size_t)n;
	}
	if (c->n_out == c->n_in)
		c->n_in = c->n_out = 0;
	io_want(c->io, &c->sock, c->n_in ? IO_OUT : IO_IN);
}

static void conn_echo(struct io_sock *s, unsigned ready)
{
	struct conn *c = container_of(s, struct conn, sock);
	struct iovec v[2] = {{c->buf, 100}, {c->buf + 100, BUFFER - 100}};
	ssize_t n;

	assert_true(s->handle >= 0);
	c->n_ready++;
	if (ready & IO_IN && !c->n_in) {
		n = io_recv(c->io, s, v, 2);
		if (n <= 0 && n != -EAGAIN) {
			c->last = (int)n;
			io_close(c->io, s);
			return;
		}
		c->n_in = n > 0 ? (size_t)n : 0;
		c->n_bytes += c->n_in;
	}
	conn_pump(c);
}

static void conn_count(struct io_sock *s, unsigned ready)
{
	struct conn *c = container_of(s, struct conn, sock);

	assert_true(s->handle >= 0);
	c->n_ready++;
	if (c->n_ready >= c->n_limit)
		io_want(c->io, s, 0);
}

static void server_ready(struct io_sock *s, unsigned ready)
{
	struct server *server = container_of(s, struct server, listener);
	struct world *w = server->w;
	struct io_addr peer;
	int handle;

	assert_int_equal(ready, IO_IN);
	while ((handle = io_accept(w->io[0], s, &peer)) >= 0) {
		struct conn *c = calloc(1, sizeof(*c));

		assert_int_equal(peer.sa.sa_family, server->addr.sa.sa_family);
		c->w = w;
		c->io = w->io[0];
		c->n_limit = 1;
		c->last = 1;
		c->sock = (struct io_sock){.handle = -1, .on_ready = server->on_conn};
		assert_int_equal(io_attach(c->io, &c->sock, handle), 0);
		io_want(c->io, &c->sock, IO_IN);
		server->conn[server->n_conns++] = c;
	}
	assert_int_equal(handle, -EAGAIN);
}

static struct server *serve(
	struct world *w, const char *addr, void (*on_conn)(struct io_sock *, unsigned))
{
	struct server *s = calloc(1, sizeof(*s));

	s->w = w;
	s->on_conn = on_conn;
	s->listener = (struct io_sock){.handle = -1, .on_ready = server_ready};
	assert_int_equal(io_addr_parse(&s->addr, addr, strlen(addr)), 0);
	assert_int_equal(io_listen(w->io[0], &s->listener, &s->addr), 0);
	assert_int_not_equal(s->addr.in.sin_port, 0);
	io_want(w->io[0], &s->listener, IO_IN);
	return s;
}

static void server_end(struct server *s)
{
	for (unsigned i = 0; i < s->n_conns; i++) {
		io_close(s->conn[i]->io, &s->conn[i]->sock);
		free(s->conn[i]);
	}
	io_close(s->w->io[0], &s->listener);
	free(s);
}

static struct client *join(struct server *s)
{
	struct world *w = s->w;
	unsigned before = s->n_conns;
	struct client *c = w->kind->connect(w, &s->addr);

	WORLD_UNTIL(w, s->n_conns > before);
	return c;
}

static char pattern(size_t i)
{
	return (char)(i * 31 + i / 251);
}

/* Sends len bytes of the pattern and takes as many back, equal to the byte. */
static void exchange(struct world *w, struct client *c, size_t len)
{
	char *data = malloc(len), *back = malloc(len);
	size_t sent = 0, got = 0;

	for (size_t i = 0; i < len; i++)
		data[i] = pattern(i);
	while (got < len) {
		if (sent < len)
			sent += SEND(c, data + sent, len - sent);
		w->kind->step(w);
		got += RECV(c, back + got, len - got);
		assert_false(w->kind->ended(c));
	}
	assert_memory_equal(data, back, len);
	free(data);
	free(back);
}

/* --- sockets --- */

static void echo(struct world *w)
{
	struct server *s = serve(w, "127.0.0.1:0", conn_echo);
	struct client *c = join(s);
	uint64_t calls = counter_sum(CTR_RECEIVE_CALLS), bytes = counter_sum(CTR_RECEIVED_BYTES);
	uint64_t sent = counter_sum(CTR_SENT_BYTES), sends = counter_sum(CTR_SEND_CALLS);

	exchange(w, c, 1000 * 1000);
	assert_int_equal(counter_sum(CTR_RECEIVED_BYTES) - bytes, 1000 * 1000);
	assert_int_equal(counter_sum(CTR_SENT_BYTES) - sent, 1000 * 1000);
	assert_true(counter_sum(CTR_RECEIVE_CALLS) > calls);
	assert_true(counter_sum(CTR_SEND_CALLS) > sends);
	w->kind->leave(c, false);
	WORLD_UNTIL(w, s->conn[0]->sock.handle < 0);
	assert_int_equal(s->conn[0]->last, 0);
	server_end(s);
}

static void echo_ipv6(struct world *w)
{
	struct server *s = serve(w, "[::1]:0", conn_echo);
	struct client *c = join(s);
	struct io_addr local;

	exchange(w, c, 100 * 1000);
	assert_int_equal(io_local(w->io[0], &s->conn[0]->sock, &local), 0);
	assert_int_equal(local.sa.sa_family, AF_INET6);
	assert_int_equal(local.in6.sin6_port, s->addr.in6.sin6_port);
	assert_true(IN6_IS_ADDR_LOOPBACK(&local.in6.sin6_addr));
	w->kind->leave(c, false);
	server_end(s);
}

static void address_in_use(struct world *w)
{
	struct server *s = serve(w, "127.0.0.1:0", conn_echo);
	struct io_sock second = {.handle = -1, .on_ready = server_ready};
	struct io_addr addr = s->addr;

	assert_int_equal(io_listen(w->io[0], &second, &addr), -EADDRINUSE);
	assert_int_equal(second.handle, -1);
	server_end(s);
}

static void both_families_on_one_port(struct world *w)
{
	struct server *s = serve(w, "0.0.0.0:0", conn_echo);
	struct io_sock second = {.handle = -1, .on_ready = server_ready};
	struct io_addr addr;

	assert_int_equal(io_addr_parse(&addr, "[::]:1", 6), 0);
	addr.in6.sin6_port = s->addr.in.sin_port;
	assert_int_equal(io_listen(w->io[0], &second, &addr), 0);
	io_close(w->io[0], &second);
	server_end(s);
}

static void level_triggered(struct world *w)
{
	struct server *s = serve(w, "127.0.0.1:0", conn_count);
	struct client *c = join(s);

	s->conn[0]->n_limit = 10;
	SEND(c, "x", 1);
	WORLD_UNTIL(w, s->conn[0]->n_ready == 10);
	world_settle(w);
	assert_int_equal(s->conn[0]->n_ready, 10); /* nothing wanted, nothing told */
	s->conn[0]->n_limit = 20;
	io_want(w->io[0], &s->conn[0]->sock, IO_IN);
	WORLD_UNTIL(w, s->conn[0]->n_ready == 20);
	w->kind->leave(c, false);
	server_end(s);
}

static void low_water_mark(struct world *w)
{
	struct server *s = serve(w, "127.0.0.1:0", conn_count);
	struct client *c = join(s);
	char data[1000] = {0};

	io_lowat(w->io[0], &s->conn[0]->sock, 1000);
	assert_int_equal(SEND(c, data, 999), 999);
	world_settle(w);
	assert_int_equal(s->conn[0]->n_ready, 0);
	assert_int_equal(SEND(c, data, 1), 1);
	WORLD_UNTIL(w, s->conn[0]->n_ready == 1);
	io_lowat(w->io[0], &s->conn[0]->sock, 5000);
	io_want(w->io[0], &s->conn[0]->sock, IO_IN);
	world_settle(w);
	assert_int_equal(s->conn[0]->n_ready, 1);
	io_lowat(w->io[0], &s->conn[0]->sock, 0); /* lowered: what waits is told */
	WORLD_UNTIL(w, s->conn[0]->n_ready == 2);
	io_lowat(w->io[0], &s->conn[0]->sock, 5000);
	io_want(w->io[0], &s->conn[0]->sock, IO_IN);
	w->kind->leave(c, false); /* and so is the end of the stream */
	WORLD_UNTIL(w, s->conn[0]->n_ready == 3);
	server_end(s);
}

static struct server *crowd;

static void conn_close_all(struct io_sock *s, unsigned ready)
{
	assert_true(s->handle >= 0);
	for (unsigned i = 0; i < crowd->n_conns; i++)
		io_close(crowd->conn[i]->io, &crowd->conn[i]->sock);
	io_close(crowd->conn[0]->io, &crowd->conn[0]->sock);
	assert_int_equal(s->handle, -1);
}

static void closed_inside_a_callback(struct world *w)
{
	struct client *c[16];

	crowd = serve(w, "127.0.0.1:0", conn_close_all);
	for (int i = 0; i < 16; i++)
		c[i] = join(crowd);
	for (int i = 0; i < 16; i++)
		SEND(c[i], "x", 1);
	WORLD_UNTIL(w, crowd->conn[0]->sock.handle < 0);
	world_settle(w);
	for (int i = 0; i < 16; i++) {
		assert_int_equal(crowd->conn[i]->sock.handle, -1);
		w->kind->leave(c[i], false);
	}
	server_end(crowd);
}

/* A socket that takes the place of one closed in the same batch gets none of its events. */
static void conn_replace(struct io_sock *s, unsigned ready)
{
	struct conn *c = container_of(s, struct conn, sock);
	struct conn *other = crowd->conn[c == crowd->conn[0]];
	int handle;

	assert_true(ready == IO_IN && other->n_ready == 0);
	c->n_ready++;
	io_want(c->io, s, 0);
	handle = io_detach(other->io, &other->sock);
	other->sock.on_ready = conn_count;
	assert_int_equal(io_attach(other->io, &other->sock, handle), 0);
}

static void replaced_inside_a_callback(struct world *w)
{
	struct client *c[2];

	crowd = serve(w, "127.0.0.1:0", conn_replace);
	c[0] = join(crowd);
	c[1] = join(crowd);
	SEND(c[0], "x", 1);
	SEND(c[1], "x", 1);
	WORLD_UNTIL(w, crowd->conn[0]->n_ready + crowd->conn[1]->n_ready);
	world_settle(w);
	assert_int_equal(crowd->conn[0]->n_ready + crowd->conn[1]->n_ready, 1);
	w->kind->leave(c[0], false);
	w->kind->leave(c[1], false);
	server_end(crowd);
}

static void conn_arrive(struct io_work *work)
{
	struct conn *c = container_of(work, struct conn, work);

	c->io = c->w->io[1];
	c->sock.on_ready = conn_echo;
	assert_int_equal(io_attach(c->io, &c->sock, c->handle), 0);
	io_want(c->io, &c->sock, IO_IN);
}

static void conn_move(struct io_sock *s, unsigned ready)
{
	struct conn *c = container_of(s, struct conn, sock);

	c->handle = io_detach(c->io, s);
	assert_true(c->handle >= 0 && s->handle == -1);
	c->work.fn = conn_arrive;
	io_post(c->w->io[1], &c->work);
}

static void moved_to_another_reactor(struct world *w)
{
	struct server *s = serve(w, "127.0.0.1:0", conn_move);
	struct client *c = join(s);

	exchange(w, c, 200 * 1000); /* the bytes that moved it are still there */
	assert_ptr_equal(s->conn[0]->io, w->io[1]);
	w->kind->leave(c, false);
	server_end(s);
}

static void sender_waits_for_room(struct world *w)
{
	struct server *s = serve(w, "127.0.0.1:0", conn_echo);
	struct client *c = join(s);
	struct conn *conn = s->conn[0];
	static char out[1 << 20], in[BUFFER];
	size_t sent = 0, got = 0, n;

	do { /* until the echo is stuck because nobody takes it */
		n = SEND(c, out, sizeof(out));
		sent += n;
		world_settle(w);
	} while (n);
	assert_int_equal(conn->sock.want, IO_OUT);
	while (got < sent) {
		got += RECV(c, in, sizeof(in));
		w->kind->step(w);
	}
	assert_int_equal(got, sent);
	w->kind->leave(c, false);
	server_end(s);
}

static void reset_by_the_peer(struct world *w)
{
	struct server *s = serve(w, "127.0.0.1:0", conn_echo);
	struct client *c = join(s);
	static char zeros[1 << 20];

	SEND(c, "x", 1);
	world_settle(w);
	w->kind->leave(c, true);
	WORLD_UNTIL(w, s->conn[0]->sock.handle < 0);
	assert_int_equal(s->conn[0]->last, -ECONNRESET);

	/* Whoever wants only IO_OUT hears of it too. */
	c = join(s);
	while (SEND(c, zeros, sizeof(zeros)))
		world_settle(w);
	assert_int_equal(s->conn[1]->sock.want, IO_OUT);
	s->conn[1]->sock.on_ready = conn_count;
	w->kind->leave(c, true);
	WORLD_UNTIL(w, s->conn[1]->n_ready && s->conn[1]->sock.want == 0);
	server_end(s);
}

static void many_sockets(struct world *w)
{
	unsigned n = w->kind == &world_sim ? 100 : 2000;
	struct server *s = serve(w, "127.0.0.1:0", conn_echo);
	struct client **c = calloc(n, sizeof(struct client *));
	unsigned n_back = 0;
	char byte;

	for (unsigned i = 0; i < n; i++) {
		c[i] = w->kind->connect(w, &s->addr);
		if (i % 100 == 99)
			WORLD_UNTIL(w, s->n_conns == i + 1);
	}
	WORLD_UNTIL(w, s->n_conns == n);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(SEND(c[i], "x", 1), 1);
	for (unsigned i = 0; i < n; i++)
		WORLD_UNTIL(w, RECV(c[i], &byte, 1) == 1 && ++n_back && byte == 'x');
	for (unsigned i = 0; i < n; i++)
		w->kind->leave(c[i], false);
	for (unsigned i = 0; i < n; i++)
		WORLD_UNTIL(w, s->conn[i]->sock.handle < 0);
	assert_int_equal(n_back, n);
	free(c);
	server_end(s);
}

/* --- work, timers, random --- */

struct job {
	struct io_work work;
	struct io *io;
	unsigned n_runs, n_left;
	unsigned *orderp, order;
};

static void job_run(struct io_work *work)
{
	struct job *j = container_of(work, struct job, work);

	j->n_runs++;
	if (j->orderp)
		j->order = ++*j->orderp;
}

static void job_post_again(struct io_work *work)
{
	struct job *j = container_of(work, struct job, work);

	j->n_runs++;
	if (--j->n_left)
		io_post(j->io, work);
}

static void job_defer_again(struct io_work *work)
{
	struct job *j = container_of(work, struct job, work);

	j->n_runs++;
	if (--j->n_left)
		io_defer(j->io, work);
}

static void posts_run_in_order(struct world *w)
{
	static struct job jobs[100];
	unsigned order = 0;

	for (unsigned i = 0; i < 100; i++) {
		jobs[i] = (struct job){.work.fn = job_run, .orderp = &order};
		io_post(w->io[1], &jobs[i].work);
		assert_int_equal(jobs[i].n_runs, 0);
	}
	WORLD_UNTIL(w, jobs[99].n_runs);
	for (unsigned i = 0; i < 100; i++)
		assert_true(jobs[i].n_runs == 1 && jobs[i].order == i + 1);
}

static void work_that_queues_itself_again(struct world *w)
{
	struct job post = {.work.fn = job_post_again, .io = w->io[0], .n_left = 1000};
	struct job defer = {.work.fn = job_defer_again, .io = w->io[0], .n_left = 1000};
	struct job once = {.work.fn = job_run};

	io_post(w->io[0], &post.work);
	io_defer(w->io[0], &defer.work);
	io_defer(w->io[0], &once.work);
	WORLD_UNTIL(w, once.n_runs);
	assert_true(post.n_runs < 10 && defer.n_runs < 10); /* it keeps nobody from running */
	WORLD_UNTIL(w, post.n_runs == 1000 && defer.n_runs == 1000);
	world_settle(w);
	assert_true(post.n_runs == 1000 && defer.n_runs == 1000 && once.n_runs == 1);
}

static struct job cancelled;

static void job_cancel(struct io_work *work)
{
	job_run(work);
	list_remove(&cancelled.work.link);
}

static void deferred_work_taken_back(struct world *w)
{
	struct job first = {.work.fn = job_cancel};

	cancelled = (struct job){.work.fn = job_run};
	io_defer(w->io[0], &first.work);
	io_defer(w->io[0], &cancelled.work);
	WORLD_UNTIL(w, first.n_runs);
	world_settle(w);
	assert_int_equal(cancelled.n_runs, 0);
}

struct alarm {
	struct io_timer timer;
	struct io *io;
	unsigned n_runs;
	uint64_t ran_ns;
};

static void alarm_ring(struct io_timer *t)
{
	struct alarm *a = container_of(t, struct alarm, timer);

	a->n_runs++;
	a->ran_ns = io_now(a->io);
	assert_true(a->ran_ns >= t->at_ns);
}

static void timers(struct world *w)
{
	enum { MS = 1000 * 1000 };
	struct io *io = w->io[0];
	struct alarm a[3];
	uint64_t t0 = io_now(io);

	for (int i = 0; i < 3; i++) {
		a[i] = (struct alarm){.io = io};
		io_timer_init(&a[i].timer, alarm_ring);
	}
	assert_int_equal(io_timer_set(io, &a[0].timer, t0 + 20 * MS), 0);
	assert_int_equal(io_timer_set(io, &a[1].timer, t0 + 500 * MS), 0);
	assert_int_equal(io_timer_set(io, &a[2].timer, t0 + 5 * MS), 0);
	assert_int_equal(io_timer_set(io, &a[1].timer, t0 + 10 * MS), 0);
	io_timer_stop(io, &a[2].timer);
	WORLD_UNTIL(w, a[0].n_runs);
	assert_true(a[1].n_runs == 1 && a[1].ran_ns <= a[0].ran_ns);
	assert_true(a[0].n_runs == 1 && a[0].ran_ns >= t0 + 20 * MS);
	assert_true(a[0].ran_ns < t0 + 400 * MS);
	world_settle(w);
	assert_true(a[0].n_runs == 1 && a[1].n_runs == 1 && a[2].n_runs == 0);
}

static void random_bytes(struct world *w)
{
	uint8_t a[1000] = {0}, b[1000] = {0};
	unsigned seen[256] = {0}, n_kinds = 0;

	io_random(w->io[0], a, sizeof(a));
	io_random(w->io[0], b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
	for (unsigned i = 0; i < sizeof(a); i++)
		n_kinds += seen[a[i]]++ == 0;
	assert_true(n_kinds > 200);
}

int main(void)
{
	static const struct world_case cases[] = {
		WORLD_CASE(echo),
		WORLD_CASE(echo_ipv6),
		WORLD_CASE(address_in_use),
		WORLD_CASE(both_families_on_one_port),
		WORLD_CASE(level_triggered),
		WORLD_CASE(low_water_mark),
		WORLD_CASE(closed_inside_a_callback),
		WORLD_CASE(replaced_inside_a_callback),
		WORLD_CASE(moved_to_another_reactor),
		WORLD_CASE(sender_waits_for_room),
		WORLD_CASE(reset_by_the_peer),
		WORLD_CASE(many_sockets),
		WORLD_CASE(posts_run_in_order),
		WORLD_CASE(work_that_queues_itself_again),
		WORLD_CASE(deferred_work_taken_back),
		WORLD_CASE(timers),
		WORLD_CASE(random_bytes),
	};

	return world_main("engine", cases, ARRAY_LEN(cases));
}
