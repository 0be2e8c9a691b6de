/* house.h - the whole target inside a test: a server on the reactors of the simulation.
 *
 * Everything from portals to volumes runs in the test's thread, in an order that the seed says. LUN
 * 0 is a RAM disk; LUN 1, where it is asked for, lies on a disk of the simulation. Two doors lead
 * in: house_connect  a stream of the simulated network, cut and delayed by the seed wire_connect no
 * network: the four calls of a connection, in pieces that the test says (wire.h) The peers that
 * come in share no code with the target (tests/peer). */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "config.h"
#include "peer.h"
#include "server_in.h"
#include "sim.h"

#define HOUSE_TARGET "iqn.2026-11.io.berth:house"

struct house_params {
	uint64_t seed;
	unsigned n_reactors; /* 0: one */
	uint32_t max_piece;
	uint64_t max_delay_ns, max_disk_delay_ns; /* sim.h */
	uint64_t ram, file; /* bytes; file 0: no LUN 1 */
	uint64_t cache;	    /* bytes of buffer memory for LUN 1; 0: as little as may be configured */
	bool write_back;    /* LUN 1 */
	bool no_dsync;	    /* LUN 1's disk cannot make a write durable by itself: it must be flushed */
	bool r2t_line;
};

struct house {
	struct sim *sim;
	struct io *io[4];
	struct server_world world;
	struct config config;
	struct server *server;
	struct io_addr addr;
	int disk; /* of LUN 1 */
	uint32_t disk_caps;
	int left; /* what SIGKILL left of the buffer memory; 0: nothing */
	/* die_at - between two stores of those that order what outlives the process (ledger.h): the
	 * daemon dies before that many more of them; 0: not. Only while may_die. */
	unsigned die_at;
	bool may_die;
};

void house_open(struct house *h, const struct house_params *p);
/* house_empty - what must hold when nobody is connected: no session, no task, nothing lent, no
 * window. */
void house_empty(struct house *h);
void house_close(struct house *h);

/* house_die - the daemon is killed, at this instant; from inside or outside a step. house_restart - what
 * is left of it is taken away, unseen, and the next one is started on the same disk; power: the host went down
 * with it, and the disk keeps what it had kept. */
void house_die(struct house *h);
void house_restart(struct house *h, bool power);

/* house_calm - everything happens that is due now, and within `ns` of simulated time. */
void house_calm(struct house *h, uint64_t ns);
struct peer *house_connect(struct house *h);
