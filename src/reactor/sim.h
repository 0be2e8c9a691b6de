/* sim.h - the deterministic engine: several reactors, a network, disks and a clock from one seed.
 *
 * One thread. sim_step() picks the next event (a reactor's turn, bytes that arrive, a disk request that
 * ends, a timer) by the seed; time moves only when nothing else can happen. Streams deliver what was
 * sent in order, cut into pieces of any size and delayed. The same seed gives the same run. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "io.h"

struct sim;

struct sim_params {
	uint64_t seed;
	unsigned n_reactors;
	uint32_t max_piece;     /* longest piece a stream delivers at once; 0: no cut */
	uint64_t max_delay_ns;  /* of pieces and disk requests .. */
	uint64_t max_disk_delay_ns; /* .. or of disk requests alone; 0: the same */
};
int sim_new(struct sim **sp, const struct sim_params *p);
struct sim *sim_free(struct sim *s);
struct io *sim_io(struct sim *s, unsigned reactor);
bool sim_step(struct sim *s);            /* false: nothing will ever happen again without the outside */
/* sim_step_by - the same, but time does not move past until_ns: false when only that could go on. */
bool sim_step_by(struct sim *s, uint64_t until_ns);
uint64_t sim_now(const struct sim *s);
bool sim_in_turn(const struct sim *s); /* an event is being handled: a reactor may be at work */
/* sim_die - the program on the reactors ends at this instant, in the middle of whatever it does (may come from
 * inside a turn). From now on nothing that it does reaches the outside: of what it had sent some arrives and then the
 * streams end, requests under way have happened or not, new ones end well and move nothing, nobody
 * comes in. So what is left of it can be taken down in good order, unseen. sim_live: the next life begins; no
 * socket of the last one may be left. What is on stable storage: sim_disk_crash() before, or not. */
void sim_die(struct sim *s);
void sim_live(struct sim *s);
bool sim_dead(const struct sim *s);
uint64_t sim_random(struct sim *s, uint64_t below); /* 0: any 64 bits */
uint64_t sim_hash(const struct sim *s);             /* of all events so far: equal for equal runs */

/* The outside's end of a stream to whoever listens on the address. */
struct sim_peer;
int sim_connect(struct sim *s, const struct io_addr *to, struct sim_peer **pp);
size_t sim_peer_send(struct sim_peer *p, const void *data, size_t len);   /* how much was taken */
size_t sim_peer_recv(struct sim_peer *p, void *data, size_t len);         /* what has arrived by now */
bool sim_peer_ended(const struct sim_peer *p);                            /* the other side closed */
void sim_peer_close(struct sim_peer *p);                                  /* and frees */
void sim_peer_reset(struct sim_peer *p); /* the same with a RST: what is in transit is lost */

/* A disk in memory: its number stands for a descriptor in struct io_disk. Reads and writes end in any
 * order and may overlap in time; a write that is not flushed (nor durable) may be lost or torn by sim_disk_crash(). */
int sim_disk_new(struct sim *s, uint64_t size); /* the number, or -errno */
void *sim_disk_bytes(struct sim *s, int disk);  /* what a reader sees now */
void sim_disk_crash(struct sim *s, int disk);   /* keep what was durable, and of the rest what the seed says, but
						 * nothing of what a failed flush gave up; requests under way
						 * end with -EIO */
/* sim_disk_failed - requests of the kind that ended as sim_disk_fail() asked for, so far. */
uint64_t sim_disk_failed(struct sim *s, int disk, enum io_disk_kind kind);
/* From now on one request of the kind in so many (0: none) ends with the error, a transfer after part of it. */
void sim_disk_fail(struct sim *s, int disk, enum io_disk_kind kind, unsigned one_in, int error);
