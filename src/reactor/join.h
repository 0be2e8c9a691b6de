/* join.h - neighbours among the disk requests of one turn go to the kernel as one.
 *
 * Commands that come together are often neighbours: a stream that is cut into small writes, a reader of small pieces.
 * What a turn has asked for is looked through once, before it is handed over: requests that follow each other, of one
 * kind, one descriptor and the same flags, and that continue each other, become one request of all their vectors.
 * Durable writes gain most: one journal commit for all of them. Long ones stay apart, so that several are in flight.
 *
 * Each is told by itself how it ended. Of a joint request that came to an end halfway, those that it reached end as
 * they would have, the last of them short; the others are sent alone. When it fails, all are: the failure may be one's
 * only.
 *
 * Thread: the reactor's. */
#pragma once

#include "io.h"

enum {
	JOIN_PART = 128 << 10, /* bytes; a longer request is long enough */
	JOIN_MOST = 1 << 20,   /* bytes of a joint one */
	JOIN_IOV = 256,
	JOIN_IDLE = 32,        /* kept for the next turns */
};

struct join {
	struct list fresh; /* of this turn */
	struct list *out;  /* where the engine takes them from; borrowed */
	struct list idle;
	unsigned n_idle;
};

void join_init(struct join *j, struct list *out);
void join_deinit(struct join *j); /* nothing is under way */
/* join_add - one more of this turn; nothing of it is looked at before join_flush(). */
static inline void join_add(struct join *j, struct io_disk *d)
{
	d->res = 0;
	list_push_back(&j->fresh, &d->link);
}
/* join_flush - the turn is over: all of it goes to `out`. */
void join_flush(struct join *j);
