/* engine.h - what the two real engines share: one epoll set to sleep in, the wake-up, the sockets.
 *
 * engine.c owns the epoll set, the clock and the random bytes; sock.c drives the sockets by
 * readiness; an engine proper (epoll.c, uring.c) adds the disk. reactor.c runs the turns.
 *
 * Sleep. `asleep` is 1 only around an epoll_wait() that may block. Whoever queues something for the
 * reactor queues first and then takes `asleep`: if it was 1, the eventfd is written. The reactor
 * sets `asleep` first and then looks at the queues. So one of the two always sees the other, and a
 * reactor that runs or spins is never sent a system call's worth of wake-up. The eventfd is
 * edge-triggered in the epoll set, and read only by who has napped on it alone. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include "io.h"

enum {
	ENGINE_EVENTS = 128,   /* sockets served in one turn */
	ENGINE_RANDOM = 256,   /* random bytes fetched at once */
	ENGINE_MAX_IOV = 1024, /* IOV_MAX of Linux; longer vectors are taken in part */
};

struct engine_core;

struct engine_kind {
	int (*start)(struct engine_core *);  /* first on the thread that runs it */
	void (*flush)(struct engine_core *); /* end of a turn: hand the turn's requests over */
	bool (*reap)(struct engine_core *);  /* tell finished requests; true if there were any */
	uint64_t (*may_sleep)(
		struct engine_core *); /* ns it may sleep at most; called with asleep set */
	void (*free)(struct engine_core *);
};

struct engine_core {
	struct io io; /* first */
	const struct engine_kind *kind;
	int epoll_fd, wake_fd;
	uint32_t asleep, stop;
	unsigned user_timeout_ms;
	uint64_t n_turn_bytes; /* received in this turn */
	unsigned n_bursts;     /* sockets whose low-water mark is up: a known burst is arriving */
	struct {
		struct list changed; /* wanted events differ from the armed ones */
		struct list idle;    /* free slots */
		struct list dead;    /* free once the events at hand are through */
	} slots;
	struct {
		unsigned left;
		uint8_t bytes[ENGINE_RANDOM];
	} random;
	int n_events;
	struct epoll_event events[ENGINE_EVENTS];
};

static inline struct engine_core *engine_of(struct io *io)
{
	return container_of(io, struct engine_core, io);
}

int engine_init(struct engine_core *e, const struct io_ops *ops, const struct engine_kind *kind,
	unsigned index, unsigned user_timeout_ms);
void engine_deinit(struct engine_core *e);
void engine_wait(
	struct engine_core *e, uint64_t timeout_ns); /* sleeps at most so long; fills events */
void engine_nap(struct engine_core *e, uint64_t ns); /* the same, deaf to sockets */
bool engine_turn(struct engine_core *e);	     /* true if anything was done */
void engine_stop(struct engine_core *e);	     /* any thread, any signal handler */

int epoll_engine_new(struct engine_core **ep, unsigned index, unsigned user_timeout_ms);
int uring_engine_new(
	struct engine_core **ep, unsigned index, unsigned user_timeout_ms, const char **whyp);
/* So many of the ring's setups, best first, are passed over: tests play an older kernel. */
extern unsigned uring_setups_skipped;

/* sock.c */
void sock_init(struct engine_core *e);
void sock_deinit(struct engine_core *e);
void sock_apply(struct engine_core *e); /* tell the kernel what is wanted by now */
bool sock_dispatch(struct engine_core *e);

/* The rows of io_ops that do not differ. */
uint64_t engine_clock(struct io *io);
void engine_random(struct io *io, void *buf, size_t len);
void engine_wake(struct io *io);
int sock_listen(struct io *io, struct io_sock *s, struct io_addr *addr);
int sock_accept(struct io *io, struct io_sock *s, struct io_addr *peer);
int sock_attach(struct io *io, struct io_sock *s, int handle);
int sock_detach(struct io *io, struct io_sock *s);
void sock_want(struct io *io, struct io_sock *s, unsigned want);
ssize_t sock_recv(struct io *io, struct io_sock *s, const struct iovec *iov, unsigned n);
ssize_t sock_send(struct io *io, struct io_sock *s, const struct iovec *iov, unsigned n);
void sock_lowat(struct io *io, struct io_sock *s, uint32_t bytes);
int sock_local(struct io *io, struct io_sock *s, struct io_addr *a);
void sock_close(struct io *io, struct io_sock *s);

/* clang-format off */
#define ENGINE_SHARED_OPS                                                                          \
	.clock = engine_clock, .random = engine_random, .wake = engine_wake,                       \
	.listen = sock_listen, .accept = sock_accept, .attach = sock_attach,                       \
	.detach = sock_detach, .want = sock_want, .recv = sock_recv, .send = sock_send,            \
	.lowat = sock_lowat, .local = sock_local, .close = sock_close
/* clang-format on */
