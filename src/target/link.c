/* link.c - moves a connection's bytes by readiness.
 *
 * Readable: plan, one receive call, landed; again while the plan came back full. What this made the connection
 * say is sent at once, in one call; whatever it has to say besides, by deferred work at the end of the turn.
 *
 * While a burst that was asked for arrives, SO_RCVLOWAT lets the reactor sleep until a good part of it is
 * there. An initiator may yet send something else and stop: links in that state are on the worker's list, and
 * are woken after BURST_WAIT at the latest. */
#include "link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "conn.h"
#include "log.h"
#include "pace.h"
#include "server_in.h"
#include "session.h"

enum { TURNS = 8, SENDS = 8, LOWAT_FROM = 64 << 10, LOWAT_MOST = 256 << 10 };
static const uint64_t burst_wait_ns = 5 * 1000 * 1000;

struct link {
	struct io_sock sock;
	struct worker *w;
	struct conn *c; /* NULL: ended */
	struct io_work flush, reap, move;
	struct worker *to;
	int handle;        /* while it moves */
	struct list burst; /* worker->bursts */
	uint64_t burst_ns; /* since when it sleeps */
	bool blocked;      /* the socket took less than there was */
	struct pace pace;
};

/* --- receiving --- */

static void link_want(struct link *l)
{
	io_want(l->w->io, &l->sock, (conn_rx_wanted(l->c) ? IO_IN : 0) | (l->blocked ? IO_OUT : 0));
}

static void burst_end(struct link *l)
{
	if (!list_linked(&l->burst))
		return;
	list_remove(&l->burst);
	io_lowat(l->w->io, &l->sock, 1);
}

/* link_sleep - what to wait for. */
static void link_sleep(struct link *l)
{
	uint32_t due = framer_due(&l->c->framer, LOWAT_MOST);

	if (due < LOWAT_FROM) {
		burst_end(l);
		return;
	}
	io_lowat(l->w->io, &l->sock, due);
	l->burst_ns = io_now(l->w->io);
	if (!list_linked(&l->burst)) {
		if (list_empty(&l->w->bursts) &&
			io_timer_set(l->w->io, &l->w->burst_timer, l->burst_ns + burst_wait_ns)) {
			io_lowat(l->w->io, &l->sock, 1); /* without a timer nobody may sleep deep */
			return;
		}
		list_push_back(&l->w->bursts, &l->burst);
	}
}

static void burst_tick(struct io_timer *t)
{
	struct worker *w = container_of(t, struct worker, burst_timer);
	uint64_t now = io_now(w->io);

	list_for_each_safe(node, next, &w->bursts) {
		struct link *l = list_entry(node, struct link, burst);

		if (now - l->burst_ns >= burst_wait_ns)
			burst_end(l);
	}
	if (!list_empty(&w->bursts) && io_timer_set(w->io, t, now + burst_wait_ns)) {
		while (!list_empty(&w->bursts))
			burst_end(list_first(&w->bursts, struct link, burst));
	}
}

void link_tick_init(struct worker *w)
{
	list_init(&w->bursts);
	io_timer_init(&w->burst_timer, burst_tick);
}

static void link_depart(struct link *l);

/* link_receive - false: the connection has ended or left for another reactor. */
static bool link_receive(struct link *l)
{
	for (unsigned i = 0; i < TURNS && l->c; i++) {
		unsigned n_iov;
		const struct iovec *iov = conn_rx_plan(l->c, &n_iov);
		size_t whole = framer_plan_len(&l->c->framer);
		ssize_t n = io_recv(l->w->io, &l->sock, iov, n_iov);

		if (n == -EAGAIN)
			break;
		if (n <= 0) {
			if (n)
				conn_end(l->c, "receive: %s", strerror((int)-n));
			else
				conn_end(l->c, "closed by the initiator");
			return false;
		}
		if (conn_rx_landed(l->c, (size_t)n) == RX_STOP) {
			if (l->c && l->c->moving)
				link_depart(l);
			return false;
		}
		if ((size_t)n < whole || !conn_rx_wanted(l->c))
			break;
	}
	if (!l->c)
		return false;
	link_sleep(l);
	link_want(l);
	return true;
}

/* --- sending --- */

static void link_send(struct link *l)
{
	bool was_blocked = l->blocked;

	for (unsigned i = 0; i < SENDS && l->c; i++) {
		unsigned n_iov;
		const struct iovec *iov = conn_tx_plan(l->c, &n_iov);
		ssize_t n;

		l->blocked = false;
		if (!n_iov)
			break;
		n = io_send(l->w->io, &l->sock, iov, n_iov);
		if (n == -EAGAIN) {
			l->blocked = true;
			break;
		}
		if (n < 0) {
			conn_end(l->c, "send: %s", strerror((int)-n));
			return;
		}
		conn_tx_sent(l->c, (size_t)n);
		l->blocked = true; /* unless the next turn of the loop finds nothing left */
	}
	if (l->c && (was_blocked || l->blocked || !conn_rx_wanted(l->c) || !(l->sock.want & IO_IN)))
		link_want(l);
}

static void link_flush(struct io_work *work)
{
	struct link *l = container_of(work, struct link, flush);

	if (l->c && !l->blocked)
		link_send(l);
}

/* link_pace - may the reactor look away for a moment after what was just received? */
static void link_pace(struct link *l)
{
	const struct conn *c = l->c;
	bool commands = c->state == CONN_FULL && c->phase == PHASE_FULL && c->s;
	uint64_t ease_ns = 0;

	if (commands)
		ease_ns = pace_look(
			&l->pace, io_now(l->w->io), c->s->cmdsn.expcmdsn, c->statsn - c->expstatsn);
	io_ease(l->w->io, l->blocked ? 0 : ease_ns);
	if (!pace_is_deep(&l->pace))
		io_hurry(l->w->io);
}

static void link_ready(struct io_sock *s, unsigned ready)
{
	struct link *l = container_of(s, struct link, sock);

	if (ready & IO_OUT && l->c)
		link_send(l);
	if (!(ready & IO_IN) || !l->c || !link_receive(l))
		return;
	link_pace(l);
	/* What the commands want to say is sent while they are still in the cache; what comes later in this
	 * turn, from the disk or from other connections, leaves at its end. */
	if (list_linked(&l->flush.link)) {
		list_remove(&l->flush.link);
		link_flush(&l->flush);
	}
}

/* --- the host's side of a connection --- */

static void link_kick(struct conn *c)
{
	struct link *l = c->host_ctx;

	if (!list_linked(&l->flush.link) && !c->moving)
		io_defer(l->w->io, &l->flush);
}

static void link_reap(struct io_work *work)
{
	free(container_of(work, struct link, reap));
}

static void link_ended(struct conn *c)
{
	struct link *l = c->host_ctx;

	list_remove(&l->burst);
	list_remove(&l->flush.link);
	io_close(l->w->io, &l->sock);
	l->c = NULL;
	io_defer(l->w->io, &l->reap);
}

static void link_arrive(struct io_work *work)
{
	struct link *l = container_of(work, struct link, move);
	int rc;

	l->w = l->to;
	rc = io_attach(l->w->io, &l->sock, l->handle);
	conn_moved(l->c, l->w);
	if (!l->c)
		return;
	if (rc)
		conn_end(l->c, "attach: %s", strerror(-rc));
	else
		link_want(l);
}

static void link_move(struct conn *c, struct worker *to)
{
	struct link *l = c->host_ctx;

	l->to = to;
}

/* link_depart - the walk that asked for the move is over. What was said before must be out: a peer that
 * sends on without having read its answer breaks the login's turn-taking. */
static void link_depart(struct link *l)
{
	list_remove(&l->flush.link);
	if (l->c->tx.n || l->c->tx.batch)
		link_send(l);
	if (!l->c)
		return;
	if (l->c->tx.n || l->c->tx.batch) {
		conn_end(l->c,
			"a login request came before the answer to the one before it was read");
		return;
	}
	burst_end(l);
	l->handle = io_detach(l->w->io, &l->sock);
	conn_leaving(l->c);
	io_post(l->to->io, &l->move);
}

static const struct conn_host link_host = {
	.kick = link_kick, .move = link_move, .ended = link_ended};

static void handle_close(struct worker *w, int handle)
{
	struct io_sock s = {.handle = -1, .on_ready = link_ready};

	if (!io_attach(w->io, &s, handle))
		io_close(w->io, &s);
}

void link_new(struct worker *w, int handle, const struct io_addr *peer)
{
	struct link *l = calloc(1, sizeof(*l));
	struct io_addr local = {.len = 0};
	int rc;

	if (!l) {
		handle_close(w, handle);
		return;
	}
	l->w = w;
	l->sock.handle = -1;
	l->sock.on_ready = link_ready;
	list_init(&l->burst);
	list_init(&l->flush.link);
	list_init(&l->reap.link);
	list_init(&l->move.link);
	l->flush.fn = link_flush;
	l->reap.fn = link_reap;
	l->move.fn = link_arrive;
	rc = io_attach(w->io, &l->sock, handle);
	if (!rc)
		rc = io_local(w->io, &l->sock, &local);
	if (!rc)
		l->c = conn_new(w, &link_host, l, &local, peer);
	if (!l->c) {
		log_often(LOG_WARN, "a connection was turned away: %s",
			rc ? strerror(-rc) : "no memory or no free index");
		io_close(w->io, &l->sock);
		free(l);
		return;
	}
	link_want(l);
}
