/* sim_net.h - the network of the simulation from inside: what its files share. Only sim_*.c include this.
 *
 *   sim_net.c     ports: the sockets of a reactor, which of them are ready, and their turn
 *   sim_listen.c  listeners: addresses, connections on their way, the backlog
 *   sim_stream.c  streams: a reactor's socket at one end, the outside at the other
 *   sim_pipe.c    one direction of a stream
 *
 * One struct sim_peer is a whole stream, two pipes; it lives until both sides have closed. A side that has closed takes
 * no more: what is sent to it vanishes until the sender has seen the end. */
#pragma once

#include "sim_impl.h"
#include "sim_pipe.h"

/* What a socket of a reactor stands for; embedded as first member. */
struct port {
	struct list link; /* of its reactor; by itself while it has none */
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

/* --- sim_net.c --- */
void port_enter(struct port *port, struct sim_reactor *r, struct io_sock *sock, int handle);

/* --- sim_listen.c --- */
unsigned listener_state(const struct listener *l); /* IO_IN */
void listener_close(struct sim *s, struct listener *l);
void listener_arrive(struct sim *s, void *peer); /* an event: it is in the backlog now */

/* --- sim_stream.c --- */
struct sim_peer *stream_new(struct sim *s, const struct io_addr *local); /* NULL: no memory */
void stream_free(struct sim_peer *p);
void stream_offer(struct sim *s, struct sim_peer *p);
/* stream_die - what the program had sent before its end arrives up to some byte, and the stream ends there. */
void stream_die(struct sim *s, struct sim_peer *p);
unsigned stream_state(const struct sim_peer *p); /* IO_IN, IO_OUT */
void stream_close(struct sim_peer *p); /* the reactor's end */
