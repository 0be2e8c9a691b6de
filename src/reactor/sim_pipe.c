/* sim_pipe.c - one direction of a stream of the simulation (see sim_pipe.h). */
#include "sim_pipe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "sim_impl.h"

int pipe_init(struct pipe *q)
{
	q->ring = malloc(PIPE_ROOM);
	return q->ring ? 0 : -ENOMEM;
}

void pipe_deinit(struct pipe *q)
{
	free(q->ring);
}

size_t pipe_room(const struct pipe *q)
{
	return PIPE_ROOM - q->n_arrived - q->n_transit;
}

void pipe_put(struct sim *s, struct pipe *q, const void *data, size_t len)
{
	size_t at = (q->head + q->n_arrived + q->n_transit) % PIPE_ROOM;
	size_t first = MIN(len, PIPE_ROOM - at);

	if (!q->n_transit)
		q->due_ns = sim_delay(s);
	memcpy(q->ring + at, data, first);
	memcpy(q->ring, (const char *)data + first, len - first);
	q->n_transit += len;
}

size_t pipe_get(struct pipe *q, void *data, size_t len)
{
	size_t n = MIN(len, q->n_arrived), first = MIN(n, PIPE_ROOM - q->head);

	memcpy(data, q->ring + q->head, first);
	memcpy((char *)data + first, q->ring, n - first);
	q->head = (q->head + n) % PIPE_ROOM;
	q->n_arrived -= n;
	return n;
}

void pipe_end(struct sim *s, struct pipe *q)
{
	q->ended = true;
	if (!q->n_transit)
		q->due_ns = sim_delay(s);
}

void pipe_arrive(struct sim *s, struct pipe *q)
{
	size_t len = q->n_transit, at = (q->head + q->n_arrived) % PIPE_ROOM, first;

	if (!len) {
		q->end_arrived = true;
		sim_mix(s, UINT64_MAX);
		return;
	}
	if (s->p.max_piece)
		len = 1 + sim_random(s, MIN(len, s->p.max_piece));
	first = MIN(len, PIPE_ROOM - at);
	sim_mix_bytes(s, q->ring + at, first);
	sim_mix_bytes(s, q->ring, len - first);
	q->n_arrived += len;
	q->n_transit -= len;
	q->due_ns = sim_delay(s);
}

bool pipe_moves(const struct pipe *q)
{
	return q->n_transit || (q->ended && !q->end_arrived);
}
