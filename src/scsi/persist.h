/* persist.h - what the files of PERSISTENT RESERVE OUT have in common: persist.c (the command; RESERVE, RELEASE, CLEAR),
 * register.c, preempt.c. Actions run under the reservation's lock. */
#pragma once

#include "attention.h"
#include "lun.h"

/* Service actions (SPC-4 table 203). */
enum {
	OUT_REGISTER,
	OUT_RESERVE,
	OUT_RELEASE,
	OUT_CLEAR,
	OUT_PREEMPT,
	OUT_PREEMPT_AND_ABORT,
	OUT_REGISTER_AND_IGNORE,
	OUT_REGISTER_AND_MOVE
};

enum { LIST_LEN = 24, SPEC_I_PT = 0x08, ALL_TG_PT = 0x04, APTPL = 0x01, MOVE_UNREG = 0x02 };

/* How an action ended, other than with GOOD (0). */
enum { END_CONFLICT = 1, END_FULL, END_INVALID_RELEASE, END_BAD_FIELD, END_BAD_CDB };

struct pr_request {
	struct scsi_cmd *c;
	struct lu *l;
	struct reserve *r;
	struct registrant *self; /* NULL: not registered */
	uint64_t key, new_key;	 /* RESERVATION KEY, SERVICE ACTION RESERVATION KEY */
	unsigned type, scope;
	uint8_t flags;
	unsigned bad; /* byte of the list, or of the CDB */
};

/* persist_tell - the nexuses of a registrant, but not the one that asks; persist_tell_all - of all registrants. */
void persist_tell(const struct pr_request *q, const struct registrant *g, enum attention why);
void persist_tell_all(const struct pr_request *q, enum attention why);

/* --- register.c --- */
int register_act(struct pr_request *q);
int register_move(struct pr_request *q);

/* --- preempt.c --- */
bool preempt_begin(struct scsi_cmd *c); /* room for who is preempted; false: c is BUSY */
int preempt_act(struct pr_request *q);
/* preempt_sweep - their tasks are waited for, or ended; then the record is kept, and the command ends. */
void preempt_sweep(struct scsi_cmd *c);
void preempt_end(struct scsi_cmd *c); /* the room is given back, if there is any */
