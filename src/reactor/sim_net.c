/* sim_net.c - streams of the simulation, between a reactor's socket and the outside.
 *
 * A stream is two pipes. What is sent is in transit; an event lets a piece of it arrive, cut and
 * delayed by the seed; the end of the stream arrives by an event of its own, after the last byte. A
 * side that has closed takes no more: what is sent to it vanishes until the sender has seen the
 * end. One struct sim_peer is the whole stream; it lives until both sides have closed. */
#include "sim_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "counter.h"

enum { PIPE_ROOM = 256 * 1024, SIM_BACKLOG = 1024, FIRST_PORT = 40000, FIRST_PEER_PORT = 50000 };

struct pipe {
	uint8_t *ring;
	size_t head; /* of what has arrived */
	size_t n_arrived, n_transit;
	uint64_t due_ns;  /* of the next piece, or of the end */
	bool ended;       /* the sender closed */
	bool end_arrived; /* and it is known to the receiver */
};

/* What a socket of a reactor stands for; embedded as first member. */
struct port {
	struct list link; /* of its reactor; by itself while it has none */
	struct sim_reactor *reactor;
	struct io_sock *sock;
	bool is_listener;
};

struct listener {
	struct port port; /* first */
	struct list link; /* sim.listeners */
	struct io_addr addr;
	struct list backlog; /* struct sim_peer.waiting */
	unsigned n_backlog;
};

struct sim_peer {
	struct port port; /* first: the reactor's end */
	struct list link; /* sim.streams */
	struct list waiting;
	struct sim *sim;
	struct listener *to; /* while the connection is being made */
	unsigned number;
	int handle; /* 0: not accepted */
	struct io_addr local, remote;
	uint32_t lowat;
	bool ours_closed, theirs_closed, is_reset;
	uint64_t due_ns; /* of the connection */
	struct pipe in, out;
};

void sim_net_init(struct sim *s)
{
	list_init(&s->listeners);
	list_init(&s->streams);
	s->next_handle = 1000;
}

static void stream_free(struct sim_peer *p)
{
	list_remove(&p->link);
	list_remove(&p->waiting);
	list_remove(&p->port.link);
	free(p->in.ring);
	free(p->out.ring);
	free(p);
}

void sim_net_deinit(struct sim *s)
{
	while (!list_empty(&s->streams))
		stream_free(list_first(&s->streams, struct sim_peer, link));
	while (!list_empty(&s->listeners)) {
		struct listener *l = list_first(&s->listeners, struct listener, link);

		list_remove(&l->link);
		free(l);
	}
}

/* --- pipes --- */

static size_t pipe_room(const struct pipe *q)
{
	return PIPE_ROOM - q->n_arrived - q->n_transit;
}

static void pipe_put(struct sim *s, struct pipe *q, const void *data, size_t len)
{
	size_t at = (q->head + q->n_arrived + q->n_transit) % PIPE_ROOM;
	size_t first = MIN(len, PIPE_ROOM - at);

	if (!q->n_transit)
		q->due_ns = sim_delay(s);
	memcpy(q->ring + at, data, first);
	memcpy(q->ring, (const char *)data + first, len - first);
	q->n_transit += len;
}

static size_t pipe_get(struct pipe *q, void *data, size_t len)
{
	size_t n = MIN(len, q->n_arrived), first = MIN(n, PIPE_ROOM - q->head);

	memcpy(data, q->ring + q->head, first);
	memcpy((char *)data + first, q->ring, n - first);
	q->head = (q->head + n) % PIPE_ROOM;
	q->n_arrived -= n;
	return n;
}

static void pipe_end(struct sim *s, struct pipe *q)
{
	q->ended = true;
	if (!q->n_transit)
		q->due_ns = sim_delay(s);
}

static void pipe_arrive(struct sim *s, struct pipe *q)
{
	size_t len = q->n_transit, at = (q->head + q->n_arrived) % PIPE_ROOM, first;

	if (!len) {
		q->end_arrived = true;
		sim_mix(s, UINT64_MAX);
		return;
	}
	if (s->p.max_piece)
		len = 1 + sim_random(s, MIN(len, s->p.max_piece));
	first = MIN(len, PIPE_ROOM - at);
	sim_mix_bytes(s, q->ring + at, first);
	sim_mix_bytes(s, q->ring, len - first);
	q->n_arrived += len;
	q->n_transit -= len;
	q->due_ns = sim_delay(s);
}

static bool pipe_moves(const struct pipe *q)
{
	return q->n_transit || (q->ended && !q->end_arrived);
}

/* --- events --- */

static void arrive_in(struct sim *s, void *arg)
{
	struct sim_peer *p = arg;

	sim_mix(s, p->number);
	pipe_arrive(s, &p->in);
}

static void arrive_out(struct sim *s, void *arg)
{
	struct sim_peer *p = arg;

	sim_mix(s, ~(uint64_t)p->number);
	pipe_arrive(s, &p->out);
}

static void arrive_connection(struct sim *s, void *arg)
{
	struct sim_peer *p = arg;
	struct listener *l = p->to;

	sim_mix(s, p->number);
	p->to = NULL;
	list_push_back(&l->backlog, &p->waiting);
	l->n_backlog++;
}

void sim_net_offer(struct sim *s)
{
	list_for_each(node, &s->streams) {
		struct sim_peer *p = list_entry(node, struct sim_peer, link);

		if (p->to)
			sim_offer(s, p->due_ns, arrive_connection, p);
		if (!p->ours_closed && pipe_moves(&p->in))
			sim_offer(s, p->in.due_ns, arrive_in, p);
		if (!p->theirs_closed && pipe_moves(&p->out))
			sim_offer(s, p->out.due_ns, arrive_out, p);
	}
}

/* What was sent before the end of the program arrives up to some byte, and the stream ends there. */
void sim_net_die(struct sim *s)
{
	list_for_each(node, &s->streams) {
		struct sim_peer *p = list_entry(node, struct sim_peer, link);

		if (p->ours_closed)
			continue;
		if (p->out.n_transit && sim_coin(s, 2))
			p->out.n_transit = sim_random(s, p->out.n_transit);
		pipe_end(s, &p->out);
	}
}

bool sim_net_idle(const struct sim_reactor *r)
{
	return list_empty(&r->ports);
}

static unsigned stream_state(const struct sim_peer *p)
{
	const struct pipe *in = &p->in;
	unsigned state = 0;

	if (in->end_arrived || p->is_reset || p->sim->dead ||
		(in->n_arrived && in->n_arrived >= MIN(p->lowat, PIPE_ROOM)))
		state |= IO_IN;
	if (p->theirs_closed || pipe_room(&p->out))
		state |= IO_OUT;
	return state;
}

static unsigned port_ready(const struct port *port)
{
	const struct io_sock *sock = port->sock;
	unsigned state;

	if (port->is_listener)
		state = list_empty(&((const struct listener *)port)->backlog) ? 0 : IO_IN;
	else
		state = stream_state((const struct sim_peer *)port);
	return state & sock->want;
}

bool sim_net_ready(const struct sim_reactor *r)
{
	list_for_each(node, &r->ports)
		if (port_ready(list_entry(node, struct port, link)))
			return true;
	return false;
}

/* Most of the ready ones, in an order that drifts: the seed leaves some for a later turn. */
bool sim_net_serve(struct sim_reactor *r)
{
	struct list batch, *node;
	bool some = false;

	list_init(&batch);
	list_splice_back(&batch, &r->ports);
	while ((node = list_pop(&batch))) {
		struct port *port = list_entry(node, struct port, link);
		unsigned ready = port_ready(port);

		if (sim_coin(r->sim, 2))
			list_push_back(&r->ports, node);
		else
			list_push_front(&r->ports, node);
		if (!ready || sim_coin(r->sim, 4))
			continue;
		some = true;
		port->sock->on_ready(port->sock, ready);
	}
	return some;
}

/* --- a reactor's sockets --- */

static void port_enter(struct port *port, struct sim_reactor *r, struct io_sock *sock, int handle)
{
	port->reactor = r;
	port->sock = sock;
	list_push_back(&r->ports, &port->link);
	sock->handle = handle;
	sock->want = 0;
	sock->engine = port;
}

static int port_leave(struct io_sock *sock)
{
	struct port *port = sock->engine;
	int handle = sock->handle;

	list_remove(&port->link);
	port->reactor = NULL;
	port->sock = NULL;
	sock->handle = -1;
	sock->want = 0;
	sock->engine = NULL;
	return handle;
}

static in_port_t *port_number(struct io_addr *a)
{
	return a->sa.sa_family == AF_INET6 ? &a->in6.sin6_port : &a->in.sin_port;
}

static bool same_host(const struct io_addr *bound, const struct io_addr *to)
{
	if (bound->sa.sa_family != to->sa.sa_family)
		return false;
	if (bound->sa.sa_family == AF_INET6)
		return IN6_IS_ADDR_UNSPECIFIED(&bound->in6.sin6_addr) ||
		       IN6_ARE_ADDR_EQUAL(&bound->in6.sin6_addr, &to->in6.sin6_addr);
	return bound->in.sin_addr.s_addr == htonl(INADDR_ANY) ||
	       bound->in.sin_addr.s_addr == to->in.sin_addr.s_addr;
}

static struct listener *listener_find(struct sim *s, const struct io_addr *to)
{
	struct io_addr want = *to;

	list_for_each(node, &s->listeners) {
		struct listener *l = list_entry(node, struct listener, link);

		if (*port_number(&l->addr) == *port_number(&want) && same_host(&l->addr, to))
			return l;
	}
	return NULL;
}

int sim_listen(struct io *io, struct io_sock *sock, struct io_addr *addr)
{
	struct sim *s = sim_reactor_of(io)->sim;
	struct listener *l;

	if (!*port_number(addr))
		*port_number(addr) = htons((uint16_t)(FIRST_PORT + s->next_port++ % 10000));
	if (listener_find(s, addr))
		return -EADDRINUSE;
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->port.is_listener = true;
	l->addr = *addr;
	list_init(&l->port.link);
	list_init(&l->backlog);
	list_push_back(&s->listeners, &l->link);
	port_enter(&l->port, sim_reactor_of(io), sock, s->next_handle++);
	return 0;
}

int sim_accept(struct io *io, struct io_sock *sock, struct io_addr *peer)
{
	struct listener *l = sock->engine;
	struct list *node = list_pop(&l->backlog);
	struct sim_peer *p;

	if (!node || sim_reactor_of(io)->sim->dead) {
		if (node)
			list_push_front(&l->backlog, node);
		return -EAGAIN;
	}
	l->n_backlog--;
	p = list_entry(node, struct sim_peer, waiting);
	p->handle = sim_reactor_of(io)->sim->next_handle++;
	*peer = p->remote;
	return p->handle;
}

int sim_attach(struct io *io, struct io_sock *sock, int handle)
{
	struct sim_reactor *r = sim_reactor_of(io);

	list_for_each(node, &r->sim->streams) {
		struct sim_peer *p = list_entry(node, struct sim_peer, link);

		if (p->handle != handle || p->port.sock || p->ours_closed)
			continue;
		p->lowat = 1;
		port_enter(&p->port, r, sock, handle);
		return 0;
	}
	return -EBADF;
}

int sim_detach(struct io *io, struct io_sock *sock)
{
	return port_leave(sock);
}

void sim_want(struct io *io, struct io_sock *sock, unsigned want)
{
	sock->want = want;
}

ssize_t sim_recv(struct io *io, struct io_sock *sock, const struct iovec *iov, unsigned n)
{
	struct sim_peer *p = sock->engine;
	size_t got = 0;

	if (p->is_reset || p->sim->dead)
		return -ECONNRESET;
	for (unsigned i = 0; i < n && p->in.n_arrived; i++)
		got += pipe_get(&p->in, iov[i].iov_base, iov[i].iov_len);
	if (!got)
		return p->in.end_arrived ? 0 : -EAGAIN;
	count(CTR_RECEIVE_CALLS, 1);
	count(CTR_RECEIVED_BYTES, got);
	return (ssize_t)got;
}

/* Now and then less is taken than there is room for: senders must live with that. */
ssize_t sim_send(struct io *io, struct io_sock *sock, const struct iovec *iov, unsigned n)
{
	struct sim_peer *p = sock->engine;
	size_t room = pipe_room(&p->out), sent = 0;

	if (p->is_reset || p->sim->dead)
		return -ECONNRESET;
	if (p->theirs_closed && p->in.end_arrived)
		return -EPIPE;
	if (room && p->sim->p.max_piece && sim_coin(p->sim, 4))
		room = 1 + sim_random(p->sim, room);
	for (unsigned i = 0; i < n && (room || p->theirs_closed); i++) {
		size_t len = p->theirs_closed ? iov[i].iov_len : MIN(room, iov[i].iov_len);

		if (!p->theirs_closed) {
			pipe_put(p->sim, &p->out, iov[i].iov_base, len);
			room -= len;
		}
		sent += len;
	}
	if (!sent)
		return -EAGAIN;
	count(CTR_SEND_CALLS, 1);
	count(CTR_SENT_BYTES, sent);
	return (ssize_t)sent;
}

void sim_lowat(struct io *io, struct io_sock *sock, uint32_t bytes)
{
	struct sim_peer *p = sock->engine;

	p->lowat = MAX(bytes, 1);
}

int sim_local(struct io *io, struct io_sock *sock, struct io_addr *a)
{
	struct port *port = sock->engine;

	*a = port->is_listener ? ((struct listener *)port)->addr : ((struct sim_peer *)port)->local;
	return 0;
}

static void ours_close(struct sim_peer *p)
{
	p->ours_closed = true;
	if (p->theirs_closed)
		stream_free(p);
	else
		pipe_end(p->sim, &p->out);
}

static void listener_close(struct sim *s, struct listener *l)
{
	struct list *node;

	list_for_each_safe(at, next, &s->streams) {
		struct sim_peer *p = list_entry(at, struct sim_peer, link);

		if (p->to != l)
			continue;
		p->to = NULL;
		ours_close(p);
	}
	while ((node = list_pop(&l->backlog)))
		ours_close(list_entry(node, struct sim_peer, waiting));
	list_remove(&l->link);
	free(l);
}

void sim_close(struct io *io, struct io_sock *sock)
{
	struct port *port = sock->engine;

	port_leave(sock);
	if (port->is_listener)
		listener_close(sim_reactor_of(io)->sim, (struct listener *)port);
	else
		ours_close((struct sim_peer *)port);
}

/* --- the outside --- */

static void name_remote(struct sim_peer *p)
{
	p->remote = p->local;
	if (p->remote.sa.sa_family == AF_INET6)
		p->remote.in6.sin6_addr = in6addr_loopback;
	else
		p->remote.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	*port_number(&p->remote) = htons((uint16_t)(FIRST_PEER_PORT + p->number % 10000));
}

int sim_connect(struct sim *s, const struct io_addr *to, struct sim_peer **pp)
{
	struct listener *l = listener_find(s, to);
	struct sim_peer *p;

	if (!l || l->n_backlog >= SIM_BACKLOG)
		return -ECONNREFUSED;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	list_init(&p->port.link);
	list_init(&p->link);
	list_init(&p->waiting);
	p->in.ring = malloc(PIPE_ROOM);
	p->out.ring = malloc(PIPE_ROOM);
	if (!p->in.ring || !p->out.ring) {
		stream_free(p);
		return -ENOMEM;
	}
	p->sim = s;
	p->to = l;
	p->number = s->n_streams++;
	p->local = *to;
	p->lowat = 1;
	p->due_ns = sim_delay(s);
	name_remote(p);
	list_push_back(&s->streams, &p->link);
	*pp = p;
	return 0;
}

size_t sim_peer_send(struct sim_peer *p, const void *data, size_t len)
{
	size_t n = MIN(len, pipe_room(&p->in));

	if (p->is_reset || p->out.end_arrived)
		return 0;
	if (p->ours_closed)
		return len;
	pipe_put(p->sim, &p->in, data, n);
	return n;
}

size_t sim_peer_recv(struct sim_peer *p, void *data, size_t len)
{
	return pipe_get(&p->out, data, len);
}

bool sim_peer_ended(const struct sim_peer *p)
{
	return p->out.end_arrived && !p->out.n_arrived;
}

void sim_peer_close(struct sim_peer *p)
{
	p->theirs_closed = true;
	if (p->ours_closed)
		stream_free(p);
	else
		pipe_end(p->sim, &p->in);
}

void sim_peer_reset(struct sim_peer *p)
{
	p->is_reset = true;
	p->in.n_transit = 0;
	sim_peer_close(p);
}
