/* reactor.h - loops that run an engine: one thread each, or the simulation's one thread for all.
 *
 * A reactor owns its io (base/io.h). Its turn: read the clock, run posts, due timers, ready sockets,
 * finished disk requests, deferred work; then spin for a while if small work was done lately, then sleep.
 * Idle costs nothing. The engine is chosen once: io_uring for the disk where the kernel allows it, else
 * epoll with a thread pool; sockets are driven by epoll readiness in both. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "counter.h"
#include "io.h"

enum engine { ENGINE_AUTO, ENGINE_EPOLL, ENGINE_URING };

struct reactor_params {
	enum engine engine;
	unsigned spin_us;       /* 0: never spin */
	unsigned user_timeout_ms; /* TCP_USER_TIMEOUT of accepted sockets; 0: the system's */
};

struct reactor;
/* reactor_new - -errno; with ENGINE_AUTO a refusal of io_uring is no error: *reasonp says why epoll was taken (NULL
 * when not). With ENGINE_URING it is: *reasonp names what was refused. */
int reactor_new(struct reactor **rp, unsigned index, const struct reactor_params *p, const char **reasonp);
/* reactor_free - not running, every socket closed, no disk request under way, and nobody posts to it any more:
 * reactors that post to each other are all joined before the first is freed. */
struct reactor *reactor_free(struct reactor *r);
struct io *reactor_io(struct reactor *r);
struct counters *reactor_counters(struct reactor *r);
int reactor_start(struct reactor *r); /* a thread of its own, with reactor_counters() entered, signals blocked */
void reactor_run(struct reactor *r);  /* or on the caller's thread, until reactor_stop(); once in its life, one thread */
void reactor_stop(struct reactor *r); /* any thread, also from a signal handler; after the turn under way */
void reactor_join(struct reactor *r);

/* Shared by all engines (loop.c); now_ns is set by the caller of the turn. */
void io_init(struct io *io, const struct io_ops *ops, unsigned index);
void io_deinit(struct io *io);
bool io_has_posts(struct io *io);
bool io_run_posts(struct io *io);
bool io_run_timers(struct io *io);
bool io_run_deferred(struct io *io);
uint64_t io_next_timer(const struct io *io); /* UINT64_MAX: none */
