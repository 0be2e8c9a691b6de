/* lun.h - a logical unit: what SCSI adds to a volume.
 *
 * Threads: one unit is used by all reactors at once. What is fixed at start is plain. What commands
 * look at before they run is one atomic word, `state`, so that a unit with nothing special about it
 * costs one load; what stands behind a bit has a lock of its own (reserve.h, keep.h, sanitize.h).
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "keep.h"
#include "reserve.h"
#include "scsi.h"
#include "volume.h"

struct sanitize;

enum lu_state {
	LU_STOPPED = 1 << 0,	     /* START STOP UNIT; fixed disks only */
	LU_EJECTED = 1 << 1,	     /* removable ones only */
	LU_PROTECTED = 1 << 2,	     /* SWP of the control mode page */
	LU_RESERVED = 1 << 3,	     /* somebody holds a reservation (reserve.h) */
	LU_SANITIZING = 1 << 4,	     /* sanitize.h */
	LU_SANITIZE_FAILED = 1 << 5, /* and nothing was done about it yet */
	LU_NOT_OPTIMIZED = 1 << 6,   /* its target port group (alua.c): these three */
	LU_STANDBY = 1 << 7,
	LU_UNAVAILABLE = 1 << 8,
	/* Those do not stand in the way of a command: */
	LU_D_SENSE = 1 << 16, /* descriptor format sense data */
	LU_TAS = 1 << 17,     /* TASK ABORTED status */
	LU_WCE = 1 << 18,     /* the volume writes back (mode.c keeps it so) */
};
enum {
	LU_IN_THE_WAY = LU_STOPPED | LU_EJECTED | LU_PROTECTED | LU_RESERVED | LU_SANITIZING |
			LU_SANITIZE_FAILED | LU_STANDBY | LU_UNAVAILABLE
};

struct lu {
	struct volume *volume;
	char *target;
	unsigned lun;
	unsigned shift; /* logical block = 1 << shift bytes */
	uint32_t block, physical;
	bool ro, removable;
	bool thin; /* what is unmapped takes no room, and reads as zeros */
	bool rotates;
	uint32_t max_atomic; /* bytes of WRITE ATOMIC; 0: there is no such command */
	uint8_t uuid[16];
	struct lu_map *map;
	struct list all; /* the registry of lun.c */
	struct scsi_host *host;
	_Atomic uint32_t state;
	struct reserve reserve;
	struct keep keep;
	struct sanitize *sanitize;
	_Atomic uint32_t saved_mode; /* LU_ bits as saved by MODE SELECT */
	_Atomic uint32_t n_copies;   /* copies under way that this unit is part of (copy_job.h) */
	uint32_t default_mode;	     /* without it */
	_Atomic uint64_t n_failures; /* of the machine, that commands ended with */
	struct nexus_lu past;	     /* statistics of nexuses that are gone; under map->lock */
};

static inline uint64_t lu_n_blocks(const struct lu *l)
{
	return volume_size(l->volume) >> l->shift;
}

static inline uint32_t lu_state(const struct lu *l)
{
	return atomic_load_explicit(&l->state, memory_order_acquire);
}

static inline void lu_state_set(struct lu *l, uint32_t bits, bool on)
{
	if (on)
		atomic_fetch_or(&l->state, bits);
	else
		atomic_fetch_and(&l->state, ~bits);
}

/* lu_at - the unit that this nexus sees at the wire's LUN; NULL: none. */
struct lu *lu_at(const struct nexus *n, uint64_t lun);
/* lu_by_name - the unit of the same server, of any target, that this designator of VPD 83 names (its code set,
 * designator type, and bytes); NULL: none. */
struct lu *lu_by_name(const struct lu *near, unsigned set, unsigned type, const uint8_t *id, uint32_t len);
/* lu_sweep - host->sweep(), or what that comes to without a host: done at once, from inside. */
int lu_sweep(struct scsi_sweep *s);

/* Limits shown in VPD B0 and kept by the handlers, in blocks. */
enum {
	LU_MAX_TRANSFER = 16 << 20, /* bytes */
	LU_BEST_TRANSFER = 1 << 20, /* bytes */
	LU_GRAIN = 4096,	    /* bytes: a page */
	LU_MAX_UNMAP_BYTES = 1 << 30,
	LU_MAX_UNMAP_BLOCKS = 1 << 20, /* libiscsi 1.19 takes a larger limit for nonsense */
	LU_MAX_UNMAP_DESCRIPTORS = 256,
	LU_MAX_SAME = 32767,
	LU_MAX_COMPARE = 255,
	LU_MAX_ATOMIC_RAM =
		1 << 20, /* bytes: what a commit shows at one moment, and RAM promises no more */
};
uint32_t lu_max_unmap(const struct lu *l);
/* The unit in which VPD B2 and the log page count what a thin unit has taken, where it knows. */
enum { LU_RESOURCE_SHIFT = 20 };
bool lu_counts_resources(const struct lu *l);
/* lu_has_threshold - what it may still take is known, and told of when it is little. */
bool lu_has_threshold(const struct lu *l);
