/* cdb.h - command descriptor blocks: readers of their fields, and the table of commands (cdb.tbl).
 *
 * A row says all that can be said about a command without running it: which bits of its CDB may be
 * set, on which units and in which states it is taken, which way its data goes. cdb_check() and
 * cdb_check_state() are the only places where a row is held against a command; handlers trust them.
 * REPORT SUPPORTED OPERATION CODES reads the same rows. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "be.h"
#include "scsi.h"

struct lu;

enum cdb_data { CDB_NONE, CDB_IN, CDB_OUT };

/* What a reservation of another nexus does to it (SPC-4 table 65, SBC-3 table 13, SPC-2 5.5.1):
 * nothing at all; only that of RESERVE refuses it; so does one that excludes readers; so does one
 * that excludes writers. Then four with rules of their own (reserve.c). */
enum cdb_conflict {
	CONFLICT_NEVER,
	CONFLICT_RESERVE,
	CONFLICT_READ,
	CONFLICT_WRITE,
	CONFLICT_TAKE,	  /* RESERVE */
	CONFLICT_RELEASE, /* RELEASE */
	CONFLICT_START,	  /* START STOP UNIT */
	CONFLICT_PREVENT, /* PREVENT ALLOW MEDIUM REMOVAL */
};

/* What it asks of the unit: a medium that is ready; nothing, so that one that is stopped or has no
 * medium answers it too. */
enum cdb_state { STATE_READY, STATE_ANY };

/* Is it taken while a sanitize operation runs, or when the last one failed? The standard has one list for both (SBC-4
 * 4.11.2), besides SANITIZE itself, which mends a failed one. */
enum cdb_sanitize { SANITIZE_NO, SANITIZE_YES, SANITIZE_PAGE, SANITIZE_MENDS };

/* In which asymmetric access states of its target port group it is taken (SPC-4 5.15.2.4). */
enum cdb_access { ACCESS_ACTIVE, ACCESS_STANDBY, ACCESS_ALWAYS };

/* clang-format off */
struct scsi_opcode {
	const char *name;
	void (*prepare)(struct scsi_cmd *); /* at arrival: fields, places for data-out; may set a verdict */
	void (*execute)(struct scsi_cmd *); /* in CmdSN order, data in: ends in cmd_done() */
	uint8_t op, sa;
	bool has_sa;
	uint8_t len;                /* of the CDB */
	enum cdb_data data;
	enum cdb_conflict conflict;
	bool on_ro;                 /* allowed on a write-protected unit */
	enum cdb_state state;
	enum cdb_sanitize sanitize;
	enum cdb_access access;
	bool no_lu;                 /* answered for a LUN that is not there (SPC-4 5.10) */
	bool ua;                    /* a pending unit attention is reported instead (SAM-5 5.14) */
	enum { ON_ALL, ON_THIN, ON_ATOMIC } on; /* units it exists on: all; thinly provisioned ones; ones
						 * that promise writes without tearing */
	uint16_t seconds;           /* recommended timeout */
	uint8_t mask[SCSI_CDB_MAX]; /* bits that mean something; [0] is the opcode itself */
};
/* clang-format on */

enum {
#define CDB(e, ...) CDB_ROW_##e,
#include "cdb.tbl"
#undef CDB
	N_CDB_ROWS
};
extern const struct scsi_opcode cdb_rows[N_CDB_ROWS]; /* ascending by op, then sa */

/* cdb_find - the row; sa is looked at only when the opcode has service actions. *opp, when it is
 * not NULL, is set to whether the opcode exists at all. NULL: no such command on this unit (lu
 * NULL: on any). */
const struct scsi_opcode *cdb_find(const struct lu *lu, uint8_t op, unsigned sa, bool *opp);
bool cdb_has_actions(uint8_t op);
bool cdb_on_lu(const struct scsi_opcode *row, const struct lu *lu);

/* cdb_check - what can be said at arrival; sets c->row. False: c has its verdict. */
bool cdb_check(struct scsi_cmd *c);
/* cdb_check_state - what depends on the moment of execution. False: c has its verdict. */
bool cdb_check_state(struct scsi_cmd *c);

/* --- fields of the block commands (SBC-3 5): all of one CDB length have them at the same place ---
 */
struct cdb_range {
	uint64_t lba;
	uint32_t n;
	uint8_t lba_at, n_at; /* their bytes, for field pointers */
};

static inline struct cdb_range cdb_range(const uint8_t *cdb)
{
	switch (cdb[0] >> 5) {
	case 0: /* six bytes: a length of 0 is 256 (SBC-3 5.10, 5.32) */
		return (struct cdb_range){
			get_be24(cdb + 1) & 0x1fffff, cdb[4] ? cdb[4] : 256, 1, 4};
	case 1:
	case 2:
		return (struct cdb_range){get_be32(cdb + 2), get_be16(cdb + 7), 2, 7};
	case 5:
		return (struct cdb_range){get_be32(cdb + 2), get_be32(cdb + 6), 2, 6};
	default:
		return (struct cdb_range){get_be64(cdb + 2), get_be32(cdb + 10), 2, 10};
	}
}

/* cdb_range_atomic - WRITE ATOMIC(16): its length has two bytes, behind the atomic boundary. */
static inline struct cdb_range cdb_range_atomic(const uint8_t *cdb)
{
	return (struct cdb_range){get_be64(cdb + 2), get_be16(cdb + 12), 2, 12};
}

static inline bool cdb_dpo(const uint8_t *cdb)
{
	return cdb[0] >> 5 != 0 && cdb[1] & 0x10;
}

static inline bool cdb_fua(const uint8_t *cdb)
{
	return cdb[0] >> 5 != 0 && cdb[1] & 0x08;
}
