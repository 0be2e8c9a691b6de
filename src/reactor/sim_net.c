/* sim_net.c - sockets of the simulation's reactors: which are ready, and their turn (see sim_net.h). */
#include "sim_net.h"

#include <stdlib.h>

void sim_net_init(struct sim *s)
{
	list_init(&s->listeners);
	list_init(&s->streams);
	s->next_handle = 1000;
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

void sim_net_offer(struct sim *s)
{
	list_for_each(node, &s->streams)
		stream_offer(s, list_entry(node, struct sim_peer, link));
}

void sim_net_die(struct sim *s)
{
	list_for_each(node, &s->streams)
		stream_die(s, list_entry(node, struct sim_peer, link));
}

/* --- turns --- */

bool sim_net_idle(const struct sim_reactor *r)
{
	return list_empty(&r->ports);
}

static unsigned port_ready(const struct port *port)
{
	const struct io_sock *sock = port->sock;
	unsigned state;

	if (port->is_listener)
		state = listener_state((const struct listener *)port);
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

void port_enter(struct port *port, struct sim_reactor *r, struct io_sock *sock, int handle)
{
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
	port->sock = NULL;
	sock->handle = -1;
	sock->want = 0;
	sock->engine = NULL;
	return handle;
}

int sim_detach(struct io *io, struct io_sock *sock)
{
	return port_leave(sock);
}

void sim_want(struct io *io, struct io_sock *sock, unsigned want)
{
	sock->want = want;
}

int sim_local(struct io *io, struct io_sock *sock, struct io_addr *a)
{
	struct port *port = sock->engine;

	*a = port->is_listener ? ((struct listener *)port)->addr : ((struct sim_peer *)port)->local;
	return 0;
}

void sim_close(struct io *io, struct io_sock *sock)
{
	struct port *port = sock->engine;

	port_leave(sock);
	if (port->is_listener)
		listener_close(sim_reactor_of(io)->sim, (struct listener *)port);
	else
		stream_close((struct sim_peer *)port);
}
