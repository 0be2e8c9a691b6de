/* sim_pipe.h - one direction of a stream of the simulation: a ring of bytes, of which some have arrived.
 *
 * What is put is in transit, behind what has arrived; each pipe_arrive() lets a piece of it arrive, cut by the
 * seed, and the end of the stream by itself, behind the last byte. When the next one may come is due_ns. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PIPE_ROOM = 256 * 1024 };
struct sim;

struct pipe {
	uint8_t *ring;
	size_t head; /* of what has arrived */
	size_t n_arrived, n_transit;
	uint64_t due_ns;  /* of the next piece, or of the end */
	bool ended;       /* the sender closed */
	bool end_arrived; /* and it is known to the receiver */
};

int pipe_init(struct pipe *q); /* of zeros before: 0, -ENOMEM */
void pipe_deinit(struct pipe *q);
size_t pipe_room(const struct pipe *q);
void pipe_put(struct sim *s, struct pipe *q, const void *data, size_t len); /* no more than there is room for */
size_t pipe_get(struct pipe *q, void *data, size_t len);                    /* of what has arrived; how much */
void pipe_end(struct sim *s, struct pipe *q);                               /* nothing will be put any more */
bool pipe_moves(const struct pipe *q); /* something is on its way; when it is due: */
void pipe_arrive(struct sim *s, struct pipe *q);
