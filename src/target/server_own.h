/* server_own.h - the server from inside: what its files share. The rest of the target asks by server_in.h.
 *
 *   server.c   from a configuration to `ready`, and what the inside asks
 *   stop.c     from SIGTERM to nothing left */
#pragma once

#include "disks.h"
#include "portal.h"
#include "server_in.h"

struct start;

struct server {
	const struct config *config;
	const struct server_world *world; /* NULL: the machine, with a thread a reactor */
	struct conntab *conns;
	struct worker *workers;
	unsigned n_workers;
	struct node **nodes;
	unsigned n_nodes;
	struct disks disks;
	struct scsi_host host; /* of the units */
	struct portals portals;
	_Atomic uint16_t tsih;
	struct start *starts; /* a worker */
	bool started;
};
