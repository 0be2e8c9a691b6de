/* keep.h - what a unit keeps over a restart: persistent reservations (APTPL), saved mode pages, a
 * sanitize operation under way.
 *
 * All of it is one record, encoded from the state of the moment and saved whole (struct lu_store),
 * one save at a time. Who changes something calls keep_save() after the change and is answered when
 * a record that holds the change is durable; changes that come during a save share the next one. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include "list.h"
#include "scsi.h"

struct keep_waiter {
	struct list link;
	struct io *io;
	int error;
	void (*kept)(struct keep_waiter *w, int error);
	struct io_work work;
};

struct keep {
	pthread_mutex_t lock;
	struct lu_store *store; /* NULL: nothing is kept */
	struct lu_save save;
	struct list waiters, writers; /* of a save to come; of the save under way */
	bool busy;
	uint8_t *record;
};

int keep_init(struct lu *l, struct lu_store *store, const void *record, uint32_t len);
void keep_deinit(struct lu *l);
static inline bool keep_can(const struct keep *k)
{
	return k->store;
}
/* keep_save - w->kept(w, error) on io, not from inside; 0 at once (also not from inside) when
 * nothing is kept. */
void keep_save(struct lu *l, struct io *io, struct keep_waiter *w);
