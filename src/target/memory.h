/* memory.h - the buffer memory of all files, which outlives the process, and what an earlier one left in it.
 *
 * What was acknowledged and is not on the disks yet is served again at once. A disk whose image is not as it was left
 * is refused, and so is one whose data lie in a memory that cannot be used together with the others'. Data of disks
 * that are not served this time stay where they are. Main thread, before and after the reactors run. */
#pragma once

#include "arena.h"
#include "backend.h"
#include "config.h"
#include "volume.h"

struct memory;
struct server_world;
/* memory_open - world: NULL, or what stands for the machine. 0, or -errno with one line in err. */
int memory_open(struct memory **mp, const struct config *c, const struct server_world *world, char *err, size_t err_len);
struct arena *memory_arena(const struct memory *m);
int memory_fd(const struct memory *m); /* to be kept by a service manager */
/* memory_back - what a file's volume is made with: where it tells of what is dirty. 0, or an error with its line. */
int memory_back(struct memory *m, const struct config *c, const struct config_disk *disk, const struct backend *b,
	struct volume_back *back, char *err, size_t err_len);
/* memory_serves - the volume of that `back` is there. */
void memory_serves(struct memory *m, const struct volume_back *back, struct volume *v);
/* memory_adopt - all volumes are there: each gets what is its own. */
void memory_adopt(struct memory *m);
/* memory_fill - a thread takes what memory is still missing; grown() is told of each piece, on that thread. Before
 * the reactors stop: memory_stop_filling(), safe to call twice. */
void memory_fill(struct memory *m, void (*grown)(void *ctx, void *base, size_t len), void *ctx);
void memory_stop_filling(struct memory *m);
/* memory_close - NULL; the volumes are gone. */
struct memory *memory_close(struct memory *m);
