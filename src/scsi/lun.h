/* lun.h - a logical unit: what SCSI adds to a volume.
 *
 * Threads: one unit is used by all reactors at once. What is fixed at start is plain; what commands
 * change (stopped, ejected) is atomic, read where it decides and by nobody twice for one decision.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "scsi.h"
#include "volume.h"

struct lu {
	struct volume *volume;
	char *target;
	unsigned lun;
	unsigned shift; /* logical block = 1 << shift bytes */
	uint32_t block, physical;
	bool ro, removable;
	bool thin; /* what is unmapped takes no room, and reads as zeros */
	bool rotates;
	uint8_t uuid[16];
	atomic_bool stopped; /* START STOP UNIT; fixed disks only */
	atomic_bool ejected; /* removable ones only */
};

static inline uint64_t lu_n_blocks(const struct lu *l)
{
	return volume_size(l->volume) >> l->shift;
}

/* lu_at - the unit that this nexus sees at the wire's LUN; NULL: none. */
struct lu *lu_at(const struct nexus *n, uint64_t lun);
/* lu_not_ready - why commands that need the medium cannot have it; SENSE_NONE: they can. */
enum sense lu_not_ready(const struct lu *l);

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
};
uint32_t lu_max_unmap(const struct lu *l);
