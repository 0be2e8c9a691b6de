/* task_in.h - a task from inside: what its files share, and nobody else sees.
 *
 *   task.c         its life: made, prepared, executed when its turn has come, freed
 *   task_grant.c   the places of its data-out, R2Ts for them
 *   task_answer.c  status and data-in
 *   task_abort.c   how it fails, is aborted, waits in vain; and who waits for its end */
#pragma once

#include "task.h"
#include "volume.h"

void task_go(struct task *t); /* do what can be done now */
void task_free(struct task *t);
void task_uncount(struct task *t); /* its place of the command window is free */

/* --- data-out --- */
struct place task_place(const struct task *t, uint32_t offset); /* empty: it has none yet */
/* task_sums - the arena of its pages, where data digests are wanted. */
static inline struct arena *task_sums(const struct task *t)
{
	return unlikely(t->c->framer.data_digest) && t->scsi.lu ? volume_arena(lu_volume(t->scsi.lu)) : NULL;
}
void task_trace_data(const struct task *t, const struct window *w, uint32_t ttt, uint32_t len);

/* --- the end --- */
void task_answer(struct task *t);        /* it has settled: its status leaves */
void task_done(struct scsi_cmd *cmd);    /* SCSI is through with it */
void task_ended(struct task *t);         /* it was aborted, and has settled */
void task_drain(struct task *t);         /* its windows have no places any more */
void task_tell(struct list *waiters);    /* it has settled */
