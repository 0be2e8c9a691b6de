/* disks.h - arenas, volumes and logical units out of the configuration. Main thread, before and after the reactors run. */
#pragma once

#include "arena.h"
#include "config.h"
#include "memory.h"
#include "node.h"

struct disks {
	struct memory *memory; /* of all files; NULL when there are none */
	struct arena *cache;   /* its arena */
	struct disk_name { struct volume *v; struct arena *a; char name[40]; } *list;
	unsigned n;
	struct scsi_host *host; /* of the units; set before disks_open() */
};

struct server_world;
/* world: NULL, or who opens the backends instead. */
int disks_open(struct disks *d, const struct config *c, const struct server_world *world, struct node **nodes,
	char *err, size_t err_len);
void disks_close(struct disks *d); /* after the nodes, which own the volumes */
/* disks_lend - the cache's memory to one reactor's engine, as far as there is any; on that reactor. disks_lend_more - a
 * piece that came later. False: it takes no more. */
bool disks_lend(const struct disks *d, struct io *io);
bool disks_lend_more(struct io *io, void *base, size_t len);
