/* rig.h - for tests: two nexuses in front of RAM volumes, and commands that run to their end at
 * once.
 *
 * Single thread; posted and deferred work runs in rig_turn(), in order. What a command left behind
 * is checked after each: one done, sense exactly with CHECK CONDITION, data-in long enough, no page
 * and no quota lent. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "lun.h"
#include "scsi.h"
#include "volume.h"

enum { RIG_IN_MAX = 17 << 20 };

struct rig {
	struct io io;
	struct lu_map map;
	struct nexus nexus, other; /* two of them */
	bool as_other;		   /* commands to come are the other one's */
	bool stop_clock;	   /* timers do not come */
	bool stop_turns;	   /* a command that needs no turn of the reactor gets none: others stand still */
	struct quota quota;
	bool line_policy; /* of commands to come */
	uint8_t attr;
	uint32_t unsolicited;
	uint8_t *in; /* data-in of the last command, cut as the transport would */
	uint32_t in_len;
	uint64_t n_done;      /* calls of ops->done */
	struct scsi_cmd last; /* as it was at done */
};

struct rig_unit {
	unsigned lun;
	uint64_t size;
	uint32_t block, physical;
	bool ro, removable;
	bool power_on; /* is told of, as in life; else both nexuses have heard it */
	struct backend *backend; /* NULL: RAM */
	uint64_t n_pages;	 /* of the arena; 0: as many as it should have */
	struct lu_store *store;
	const void *record;
	uint32_t record_len;
};

void rig_init(struct rig *r);
void rig_deinit(struct rig *r);
struct lu *rig_unit(struct rig *r, const struct rig_unit *u);
bool rig_turn(struct rig *r); /* false: nothing was to do */

void rig_check(const struct rig *r); /* no page is lent to anybody */

/* rig_begin, rig_fill, rig_finish - a command in its three phases; rig_run - all of them. */
void rig_begin(struct rig *r, struct scsi_cmd *c, unsigned lun, const uint8_t *cdb, bool read,
	bool write, uint32_t edtl);
void rig_fill(struct scsi_cmd *c, const void *data);
void rig_finish(struct rig *r, struct scsi_cmd *c);
void rig_run(struct rig *r, unsigned lun, const uint8_t *cdb, bool read, bool write, uint32_t edtl,
	const void *data);
