/* sim_stream.c - streams of the simulation: two pipes, a reactor's socket and the outside (see sim_net.h). */
#include "sim_net.h"

#include <errno.h>
#include <stdlib.h>
#include "counter.h"

struct sim_peer *stream_new(struct sim *s, const struct io_addr *local)
{
	struct sim_peer *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	list_init(&p->port.link);
	list_init(&p->link);
	list_init(&p->waiting);
	if (pipe_init(&p->in) || pipe_init(&p->out)) {
		stream_free(p);
		return NULL;
	}
	p->sim = s;
	p->number = s->n_streams++;
	p->local = *local;
	p->lowat = 1;
	list_push_back(&s->streams, &p->link);
	return p;
}

void stream_free(struct sim_peer *p)
{
	list_remove(&p->link);
	list_remove(&p->waiting);
	list_remove(&p->port.link);
	pipe_deinit(&p->in);
	pipe_deinit(&p->out);
	free(p);
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

void stream_offer(struct sim *s, struct sim_peer *p)
{
	if (p->to)
		sim_offer(s, p->due_ns, listener_arrive, p);
	if (!p->ours_closed && pipe_moves(&p->in))
		sim_offer(s, p->in.due_ns, arrive_in, p);
	if (!p->theirs_closed && pipe_moves(&p->out))
		sim_offer(s, p->out.due_ns, arrive_out, p);
}

void stream_die(struct sim *s, struct sim_peer *p)
{
	if (p->ours_closed)
		return;
	if (p->out.n_transit && sim_coin(s, 2))
		p->out.n_transit = sim_random(s, p->out.n_transit);
	pipe_end(s, &p->out);
}

/* --- the reactor's end --- */

unsigned stream_state(const struct sim_peer *p)
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

void stream_close(struct sim_peer *p)
{
	p->ours_closed = true;
	if (p->theirs_closed)
		stream_free(p);
	else
		pipe_end(p->sim, &p->out);
}

/* --- the outside --- */

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
