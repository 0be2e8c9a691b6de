/* sim_impl.h - what the parts of the simulation share. Only sim*.c include this.
 *
 * sim.c has the seed, the clock, the choice of the next event and the reactors' turns; sim_net.h
 * the network; sim_disk.c the disks. Each part offers what could happen now (sim_offer) and does
 * one thing when it is chosen. Nothing is ever ordered by an address in memory. */
#pragma once

#include "sim.h"

struct sim_reactor {
	struct io io; /* first */
	struct sim *sim;
	struct list ports; /* sockets attached here */
	struct list done;  /* struct io_disk, finished, to be told in the next turn */
};

/* Something that could happen at this moment. */
struct sim_event {
	void (*fn)(struct sim *s, void *arg);
	void *arg;
};

struct sim {
	struct sim_params p;
	uint64_t random, now_ns, hash;
	bool stepping, dead;
	struct sim_reactor *reactors;
	/* while an event is looked for */
	uint64_t n_offers, next_ns;
	struct sim_event chosen;
	/* sim_net.c */
	struct list listeners, streams;
	unsigned n_streams, next_port;
	int next_handle;
	/* sim_disk.c */
	struct sim_disk **disks;
	unsigned n_disks;
	struct list requests;
};

/* sim_offer - it can happen from due_ns on; of all that are due each is as likely. */
void sim_offer(struct sim *s, uint64_t due_ns, void (*fn)(struct sim *, void *), void *arg);
void sim_mix(struct sim *s, uint64_t v); /* into the hash of the run */
void sim_mix_bytes(struct sim *s, const void *data, size_t len);
uint64_t sim_delay(struct sim *s); /* a time from now on, within max_delay_ns */
static inline bool sim_coin(struct sim *s, unsigned one_in)
{
	return sim_random(s, one_in) == 0;
}
static inline struct sim_reactor *sim_reactor_of(struct io *io)
{
	return container_of(io, struct sim_reactor, io);
}

void sim_net_init(struct sim *s);
void sim_net_deinit(struct sim *s);
void sim_net_offer(struct sim *s);
void sim_net_die(struct sim *s);
bool sim_net_idle(const struct sim_reactor *r); /* no socket is attached */
bool sim_net_ready(const struct sim_reactor *r);
bool sim_net_serve(struct sim_reactor *r);
int sim_listen(struct io *io, struct io_sock *sock, struct io_addr *addr);
int sim_accept(struct io *io, struct io_sock *sock, struct io_addr *peer);
int sim_attach(struct io *io, struct io_sock *sock, int handle);
int sim_detach(struct io *io, struct io_sock *sock);
void sim_want(struct io *io, struct io_sock *sock, unsigned want);
ssize_t sim_recv(struct io *io, struct io_sock *sock, const struct iovec *iov, unsigned n);
ssize_t sim_send(struct io *io, struct io_sock *sock, const struct iovec *iov, unsigned n);
void sim_lowat(struct io *io, struct io_sock *sock, uint32_t bytes);
int sim_local(struct io *io, struct io_sock *sock, struct io_addr *a);
void sim_close(struct io *io, struct io_sock *sock);

void sim_disks_init(struct sim *s);
void sim_disks_deinit(struct sim *s);
void sim_disks_offer(struct sim *s);
void sim_disks_die(struct sim *s);
void sim_disk_request(struct io *io, struct io_disk *d);
