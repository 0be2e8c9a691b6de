/* copy_job.h - a copy under way, and what is known of it afterwards.
 *
 * A job is what EXTENDED COPY and the commands with tokens come to: extents, copied one after the other
 * by volume_copy(). It runs on its nexus's reactor and is the nexus's: RECEIVE COPY STATUS and its kin find
 * it there, by list identifier and unit, until it is replaced, pushed out by later ones, or the nexus goes.
 * The command that asked waits for it, unless it asked for an answer at once.
 *
 * Thread: the nexus's reactor. */
#pragma once

#include "body.h"
#include "watch.h"

enum {
	COPY_JOBS = 32,          /* ended ones that a nexus is told of */
	COPY_JOBS_RUNNING = 64,  /* at once, for a nexus */
	COPY_PIECE = 64 << 20,   /* bytes between two looks at who may still copy */
	TOKEN_LEN = 512,
};

/* COPY OPERATION STATUS (SPC-4 table 232) */
enum copy_status {
	COPY_GOOD = 0x01,
	COPY_FAILED = 0x02,
	COPY_PARTLY = 0x03,     /* the token had less than was asked for */
	COPY_FOREGROUND = 0x11,
	COPY_BACKGROUND = 0x12,
	COPY_TERMINATED = 0x60,
};

struct copy_extent {
	struct lu *source; /* NULL: zeros */
	uint64_t source_off;
	struct lu *destination;
	uint64_t off, len; /* bytes */
	uint32_t gen;      /* of the destination */
	uint16_t segment;
};

struct copy_job {
	struct list link;      /* nexus.copies */
	struct nexus *nexus;   /* NULL: it has gone, nobody will ask */
	struct lu *lu;         /* that the command came to */
	uint32_t lun_gen;
	uint8_t sa;            /* of the command */
	uint32_t list_id;
	bool listed;           /* status can be asked for by its list identifier .. */
	bool held;             /* .. also when it has ended */
	enum copy_status status;
	uint16_t operations;   /* pieces, for who wants to see progress */
	uint16_t segments;     /* done, of n_segments */
	uint16_t n_segments;
	uint64_t bytes;        /* done */
	struct sense_data bad; /* why it failed */
	bool partly;           /* the token had not all that was asked for */
	uint8_t *token;        /* that POPULATE TOKEN made; NULL: none */

	struct watch *watch;   /* of what a token stands for; NULL: nothing that could change */
	bool own;              /* what it writes is no change until it has ended */

	struct io *io;
	struct scsi_cmd *waiter, *aborter;
	bool cancelled, ended_by_other, busy;
	struct vol_op op;
	struct io_work next;
	uint32_t at;
	uint64_t done;         /* bytes of extents[at] */
	uint32_t n_extents;
	struct copy_extent extents[];
};

/* job_new - for a command that is to run; with room for so many extents (job_add). Its list identifier has been looked at
 * (job_may_begin). NULL: no memory. */
struct copy_job *job_new(struct scsi_cmd *c, uint32_t list_id, uint32_t room);
void job_free(struct copy_job *j); /* not begun */
/* job_fails_unbegun - takes a job that cannot begin; that it failed is known as if it had. */
void job_fails_unbegun(struct copy_job *j, const struct sense_data *bad);
/* job_may_begin - is there room for another, and is this identifier free? False: the command has its verdict. */
bool job_may_begin(struct scsi_cmd *c, uint32_t list_id, bool listed);
/* job_begin - takes the job; the command ends at its end, or at once. */
void job_begin(struct copy_job *j, bool immed);
/* job_refusal - may this nexus read, or write, that unit just now? SENSE_NONE: yes. */
enum sense job_refusal(const struct copy_job *j, struct lu *l, bool writes);
struct copy_job *job_find(struct scsi_cmd *c, uint32_t list_id); /* NULL: not known */
/* job_add - an extent more, of those that there is room for; one without length is none. */
static inline void job_add(struct copy_job *j, struct copy_extent e)
{
	e.gen = e.destination == j->lu ? j->lun_gen : volume_gen(e.destination->volume);
	if (e.len)
		j->extents[j->n_extents++] = e;
}
static inline bool job_runs(const struct copy_job *j)
{
	return j->status == COPY_FOREGROUND || j->status == COPY_BACKGROUND;
}
/* job_terminate - COPY OPERATION ABORT: c ends when the job has. */
void job_terminate(struct copy_job *j, struct scsi_cmd *c);
/* copy_forget - the nexus goes: what runs is cancelled, the rest forgotten. Any number of times. */
void copy_forget(struct nexus *n);
