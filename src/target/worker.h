/* worker.h - one reactor's share of the target: its connections, sessions, scratch and freelists.
 *
 * Thread: everything here belongs to the reactor, but for load, which others read, and the first one raises, to
 * choose the least loaded one. */
#pragma once

#include <stdatomic.h>
#include "framer.h"
#include "io.h"
#include "list.h"
#include "reactor.h"

struct server;

struct worker {
	struct server *server;
	struct reactor *reactor;
	struct io *io;
	bool lends; /* the engine takes more of the cache's memory */
	struct rx_scratch *scratch;
	struct list conns, sessions;
	struct list free_tasks, free_txs, free_batches;
	_Atomic unsigned load;  /* what its sessions weigh (load.h) */
	unsigned n_tasks;
	struct list bursts;     /* links that sleep until a good part of a known burst is there */
	struct io_timer burst_timer;
};

/* worker_init - with a reactor of its own by config.engine, or on somebody else's io (the simulation). -errno, with one
 * line in err; worker_deinit() is due whatever comes back. */
int worker_init(struct worker *w, struct server *s, unsigned index, struct io *io, char *err, size_t err_len);
void worker_deinit(struct worker *w); /* its reactor has stopped */
