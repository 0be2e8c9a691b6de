/* copy_job.c - see copy_job.h.
 *
 * Before each piece all is looked at anew that may forbid it: the state of both units, reservations, a reset
 * of the unit that was asked. Each unit counts the jobs that it is part of, so that it does not go
 * while one runs. */
#include "copy_job.h"
#include <errno.h>
#include <stdlib.h>
#include "check.h"
#include "log.h"

static void job_step(struct copy_job *j);

/* --- the list --- */

void job_free(struct copy_job *j)
{
	list_remove(&j->link);
	watch_put(j->watch);
	free(j->token);
	free(j);
}

/* A reset of the unit discards what is known of its copies (SPC-4 5.17.4.4). */
static bool is_known(const struct copy_job *j)
{
	return j->listed && (job_runs(j) || (j->held && j->lun_gen == volume_gen(j->lu->volume)));
}

struct copy_job *job_find(struct scsi_cmd *c, uint32_t list_id)
{
	list_for_each(node, &c->nexus->copies) {
		struct copy_job *j = list_entry(node, struct copy_job, link);

		if (j->lu == c->lu && j->list_id == list_id && is_known(j))
			return j;
	}
	return NULL;
}

/* The oldest that have ended go, down to `keep` of them; with list_id, those of that identifier too. */
static void drop_ended(struct nexus *n, unsigned keep)
{
	unsigned n_ended = 0;

	list_for_each(node, &n->copies)
		n_ended += !job_runs(list_entry(node, struct copy_job, link));
	list_for_each_safe(node, next, &n->copies) {
		struct copy_job *j = list_entry(node, struct copy_job, link);

		if (job_runs(j) || (n_ended <= keep && is_known(j)))
			continue;
		n_ended--;
		job_free(j);
	}
}

bool job_may_begin(struct scsi_cmd *c, uint32_t list_id, bool listed)
{
	struct copy_job *same = listed ? job_find(c, list_id) : NULL;
	unsigned n = 0;

	if (same && job_runs(same)) { /* SPC-4 5.17.4.2: it would not be known which is meant */
		sense_set(c, SENSE_OPERATION_IN_PROGRESS);
		return false;
	}
	if (same)
		job_free(same);
	drop_ended(c->nexus, COPY_JOBS - 1);
	list_for_each(node, &c->nexus->copies)
		n += job_runs(list_entry(node, struct copy_job, link));
	if (n >= COPY_JOBS_RUNNING)
		c->status = SCSI_TASK_SET_FULL;
	return n < COPY_JOBS_RUNNING;
}

static void on_next(struct io_work *w)
{
	job_step(container_of(w, struct copy_job, next));
}

struct copy_job *job_new(struct scsi_cmd *c, uint32_t list_id, uint32_t room)
{
	struct copy_job *j = calloc(1, sizeof(*j) + room * sizeof(j->extents[0]));

	if (!j)
		return NULL;
	list_init(&j->link);
	list_init(&j->next.link);
	j->next.fn = on_next;
	j->nexus = c->nexus;
	j->lu = c->lu;
	j->lun_gen = c->lun_gen;
	j->sa = c->row->sa;
	j->list_id = list_id;
	j->io = c->io;
	j->waiter = c;
	j->status = COPY_FOREGROUND;
	return j;
}

/* --- who may still copy --- */

enum sense job_refusal(const struct copy_job *j, struct lu *l, bool writes)
{
	enum cdb_conflict class = writes ? CONFLICT_WRITE : CONFLICT_READ;
	uint32_t state = lu_state(l);

	if (state & (LU_IN_THE_WAY & ~(LU_RESERVED | LU_PROTECTED)))
		return SENSE_TARGET_NOT_REACHABLE;
	if (writes && (l->ro || state & LU_PROTECTED))
		return l == j->lu ? SENSE_WRITE_PROTECTED : SENSE_THIRD_PARTY_FAILURE;
	if (state & LU_RESERVED && reserve_conflict(l, j->nexus, NULL, class))
		return SENSE_THIRD_PARTY_FAILURE;
	return SENSE_NONE;
}

static enum sense extent_refusal(const struct copy_job *j, const struct copy_extent *e)
{
	enum sense why = e->source ? job_refusal(j, e->source, false) : SENSE_NONE;

	return why != SENSE_NONE ? why : job_refusal(j, e->destination, true);
}

/* --- the end --- */

static void count_units(struct copy_job *j, int by)
{
	atomic_fetch_add(&j->lu->n_copies, (uint32_t)by);
	for (uint32_t i = 0; i < j->n_extents; i++) {
		if (j->extents[i].source)
			atomic_fetch_add(&j->extents[i].source->n_copies, (uint32_t)by);
		atomic_fetch_add(&j->extents[i].destination->n_copies, (uint32_t)by);
	}
}

static void answer(struct scsi_cmd *c, const struct copy_job *j)
{
	if (j->cancelled && !j->ended_by_other) {
		c->aborted = true;
		c->status = SCSI_TASK_ABORTED;
	} else if (j->bad.why != SENSE_NONE) {
		sense_put(c, &j->bad);
	}
}

/* The commands go last: they may take the nexus, and with it the job, along. */
static void job_end(struct copy_job *j, enum copy_status status)
{
	struct scsi_cmd *c = j->waiter, *aborter = j->aborter;

	j->status = status;
	if (j->own && j->watch)
		volume_changed(j->extents[0].destination->volume, j->extents[0].off,
			j->extents[0].len, NULL);
	j->watch = watch_put(j->watch);
	count_units(j, -1);
	j->waiter = j->aborter = NULL;
	if (c)
		answer(c, j);
	if (!j->nexus)
		job_free(j);
	if (c)
		cmd_done(c);
	if (aborter)
		cmd_done(aborter);
}

static void job_fails(struct copy_job *j, enum sense why)
{
	j->bad = (struct sense_data){.why = why};
	if (sense_code(why) >> 16 == KEY_COPY_ABORTED) { /* SPC-4 5.17.7.3: which segment */
		j->bad.has_specific = true;
		j->bad.specific = j->segments;
	}
	job_end(j, j->cancelled ? COPY_TERMINATED : COPY_FAILED);
}

/* --- piece by piece --- */

static enum sense why_it_failed(const struct copy_job *j, int end)
{
	const struct copy_extent *e = &j->extents[j->at];

	if (end == VOL_CHANGED)
		return SENSE_TOKEN_REVOKED;
	log_warn("%s/%u: copy: %s", e->destination->target, e->destination->lun,
		end > 0 ? "the other unit was reset, or there is no memory"
			: strerrordesc_np(-end));
	if (j->op.source || e->destination != j->lu || end >= 0)
		return SENSE_THIRD_PARTY_FAILURE;
	switch (end) {
	case -ENOSPC:
	case -EDQUOT:
	case -EFBIG:
		return SENSE_SPACE_ALLOCATION_FAILED;
	default:
		return SENSE_WRITE_ERROR;
	}
}

/* The unit of the command; a reset of another that is copied to is that device's failure. */
static bool was_reset(const struct copy_job *j)
{
	return j->lun_gen != volume_gen(j->lu->volume);
}

static void on_piece(struct vol_op *op, int end)
{
	struct copy_job *j = container_of(op, struct copy_job, op);
	struct copy_extent *e = &j->extents[j->at];

	j->busy = false;
	j->operations++;
	if (end && !j->cancelled && !was_reset(j)) {
		job_fails(j, why_it_failed(j, end));
		return;
	}
	if (!end) {
		j->done += op->len;
		j->bytes += op->len;
	}
	if (j->done == e->len) {
		j->at++;
		j->done = 0;
		j->segments = j->at < j->n_extents ? j->extents[j->at].segment : j->n_segments;
	}
	io_post(j->io, &j->next);
}

/* Pieces would write what later ones read. */
static bool is_one_piece(const struct copy_extent *e)
{
	return e->source && e->source->volume == e->destination->volume &&
	       e->source_off < e->off + e->len && e->off < e->source_off + e->len;
}

static void job_piece(struct copy_job *j)
{
	struct copy_extent *e = &j->extents[j->at];
	uint64_t most = is_one_piece(e) ? e->len : COPY_PIECE;

	j->op = (struct vol_op){
		.v = e->destination->volume,
		.io = j->io,
		.done = on_piece,
		.off = e->off + j->done,
		.len = MIN(e->len - j->done, most),
		.gen = e->gen,
		.watch = e->source ? j->watch : NULL,
		.own = j->own,
	};
	j->busy = true;
	if (e->source)
		volume_copy(&j->op, e->source->volume, e->source_off + j->done);
	else
		volume_zero(&j->op, true);
}

static void job_step(struct copy_job *j)
{
	enum sense why;

	if (was_reset(j))
		j->cancelled = true;
	if (j->cancelled) {
		job_fails(j, SENSE_COPY_ENDED);
		return;
	}
	if (j->at == j->n_extents) {
		j->segments = j->n_segments;
		job_end(j, j->partly ? COPY_PARTLY : COPY_GOOD);
		return;
	}
	why = extent_refusal(j, &j->extents[j->at]);
	if (why != SENSE_NONE)
		job_fails(j, why);
	else
		job_piece(j);
}

/* scsi_abort() of the command that waits: it ends when the job has. */
static void on_abort(struct scsi_cmd *c)
{
	struct copy_job *j = c->body->found;

	j->cancelled = true;
	if (j->busy)
		volume_cancel(&j->op);
}

void job_begin(struct copy_job *j, bool immed)
{
	struct scsi_cmd *c = j->waiter;

	list_push_back(&j->nexus->copies, &j->link);
	count_units(j, 1);
	if (immed) {
		j->status = COPY_BACKGROUND;
		j->waiter = NULL;
		io_post(j->io, &j->next);
		cmd_done(c);
		return;
	}
	c->body->found = j;
	c->body->detach = on_abort;
	job_step(j);
}

void job_fails_unbegun(struct copy_job *j, const struct sense_data *bad)
{
	j->status = COPY_FAILED;
	j->bad = *bad;
	j->waiter = NULL;
	list_push_back(&j->nexus->copies, &j->link);
}

/* --- ended from outside --- */

static void on_aborter_abort(struct scsi_cmd *c)
{
	struct copy_job *j = c->body->found;

	j->aborter = NULL;
	c->aborted = true;
	cmd_done(c);
}

void job_terminate(struct copy_job *j, struct scsi_cmd *c)
{
	j->cancelled = j->ended_by_other = true;
	if (j->busy)
		volume_cancel(&j->op);
	if (j->aborter) {
		cmd_done(c);
		return;
	}
	j->aborter = c;
	c->body->found = j;
	c->body->detach = on_aborter_abort;
}

void copy_forget(struct nexus *n)
{
	list_for_each_safe(node, next, &n->copies) {
		struct copy_job *j = list_entry(node, struct copy_job, link);

		if (!job_runs(j)) {
			job_free(j);
			continue;
		}
		if (j->waiter || j->aborter)
			continue; /* its command is aborted by whoever ends the nexus */
		list_remove(&j->link);
		j->nexus = NULL;
		j->cancelled = true;
		if (j->busy)
			volume_cancel(&j->op);
	}
}
