/* sim_listen.c - listeners of the simulation, and how the outside comes to them (see sim_net.h). */
#include "sim_net.h"

#include <errno.h>
#include <stdlib.h>

enum { SIM_BACKLOG = 1024, FIRST_PORT = 40000, FIRST_PEER_PORT = 50000 };

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

unsigned listener_state(const struct listener *l)
{
	return list_empty(&l->backlog) ? 0 : IO_IN;
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

void listener_close(struct sim *s, struct listener *l)
{
	struct list *node;

	list_for_each_safe(at, next, &s->streams) {
		struct sim_peer *p = list_entry(at, struct sim_peer, link);

		if (p->to != l)
			continue;
		p->to = NULL;
		stream_close(p);
	}
	while ((node = list_pop(&l->backlog)))
		stream_close(list_entry(node, struct sim_peer, waiting));
	list_remove(&l->link);
	free(l);
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
	p = stream_new(s, to);
	if (!p)
		return -ENOMEM;
	p->to = l;
	p->due_ns = sim_delay(s);
	name_remote(p);
	*pp = p;
	return 0;
}

void listener_arrive(struct sim *s, void *arg)
{
	struct sim_peer *p = arg;
	struct listener *l = p->to;

	sim_mix(s, p->number);
	p->to = NULL;
	list_push_back(&l->backlog, &p->waiting);
	l->n_backlog++;
}
