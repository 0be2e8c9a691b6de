/* wire.h - a peer and a connection of the target with nothing between them but the four calls.
 *
 * The bytes of the peer are told to the connection in pieces: cut at chosen offsets of all that is
 * sent, or in pieces of one length. Between two pieces the target does all it has to do. The wire
 * also notes where PDUs begin in what the peer sends. */
#pragma once

#include <stddef.h>
#include "house.h"

struct conn;

struct wire_cut {
	uint64_t at[4];	  /* ascending offsets; 0: none */
	uint32_t every;	  /* pieces of so many bytes; 0: whole */
	uint32_t answers; /* so many bytes of the target leave at once; 0: all there are */
};

struct wire {
	struct house *h;
	struct conn *c; /* NULL: it has ended */
	struct wire_cut cut;
	uint64_t sent;
	uint64_t *starts; /* of PDUs */
	size_t n_starts, room_starts;
	uint64_t next_start;
	uint8_t head[8];
};

/* Not 0 while the target is at work, and not the peer or the test. */
extern int wire_in_target;

/* wire_connect - w stays the caller's, and outlives the peer. */
struct peer *wire_connect(struct wire *w, struct house *h, const struct wire_cut *cut);
void wire_deinit(struct wire *w);
