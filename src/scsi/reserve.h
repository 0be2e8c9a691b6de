/* reserve.h - who may use a unit: RESERVE and RELEASE (SPC-2 5.5.1), persistent reservations (SPC-4
 * 5.12).
 *
 * Shared by all reactors under `lock`. Commands ask reserve_conflict() only while the unit's state
 * has LU_RESERVED, so that a unit without a reservation costs nothing.
 *
 * A registrant is an I_T nexus by name, not by session: it outlives sessions and, with APTPL, the
 * process. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include "cdb.h"
#include "list.h"
#include "scsi.h"

enum pr_type {
	PR_NONE = 0,
	PR_WRITE = 1,
	PR_ALL = 3,
	PR_WRITE_REGISTRANTS = 5, /* ... registrants only */
	PR_ALL_REGISTRANTS = 6,
	PR_WRITE_EVERY = 7, /* ... all registrants: each of them holds it */
	PR_ALL_EVERY = 8,
};

enum { RESERVE_MAX = 128, PORT_NAME_MAX = SCSI_PORT_NAME };

struct registrant {
	struct list link;
	uint64_t key;
	uint16_t port; /* relative target port; meaningless with all_ports */
	bool all_ports;
	bool mark; /* scratch of preempt */
	char name[PORT_NAME_MAX];
};

struct reserve {
	pthread_mutex_t lock;
	const struct nexus *holder6; /* of RESERVE; NULL: none */
	struct list registrants;
	unsigned n_registrants;
	struct registrant *holder; /* NULL with the types ..._EVERY, and without a reservation */
	enum pr_type type;
	bool aptpl;
	uint32_t generation;
};

void reserve_init(struct reserve *r);
void reserve_deinit(struct reserve *r);

/* reserve_conflict - must this command of this nexus be refused? */
bool reserve_conflict(struct lu *l, const struct nexus *n, const uint8_t *cdb, enum cdb_conflict c);
/* reserve_forget - a nexus is gone (NULL: a reset): what RESERVE gave it is free again. */
void reserve_forget(struct lu *l, const struct nexus *n);

/* --- for persist.h, persist_in.c, keep.c; under lock --- */
bool reserve_allows(const struct reserve *r, bool registered, bool holds, enum cdb_conflict c);
struct registrant *reserve_find(const struct reserve *r, const char *name, uint16_t port);
bool reserve_holds(const struct reserve *r, const struct registrant *g);
static inline bool pr_type_valid(unsigned type)
{
	return type == 1 || type == 3 || (type >= 5 && type <= 8);
}
static inline bool pr_every(enum pr_type type)
{
	return type >= PR_WRITE_EVERY;
}
static inline bool pr_registrants(enum pr_type type)
{
	return type >= PR_WRITE_REGISTRANTS;
}
struct registrant *reserve_add(struct reserve *r, const char *name, uint16_t port, uint64_t key);
void reserve_remove(struct reserve *r, struct registrant *g);
void reserve_show(struct lu *l); /* LU_RESERVED as it should be */
size_t reserve_encode(struct lu *l, uint8_t *p, size_t room);
bool reserve_decode(struct lu *l, const uint8_t *p, size_t len);
