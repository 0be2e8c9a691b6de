/* cmd.c - the life of a command: prepare, execute, abort, release (scsi.h tells the order; room.c
 * has the waiting for pages, body.c what is left when a command is gone before its calls). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "body.h"
#include "check.h"
#include "log.h"

/* --- data-out --- */

/* RFC 7143 11.3.1, 11.4.5: EDTL says what the initiator has. Less than the CDB asks for is a
 * residual overflow and the device takes what there is, in whole blocks; a part of a block fits
 * nothing. A command that takes data while the initiator waits for some would throw the data away
 * with GOOD status. */
bool cmd_wish(struct scsi_cmd *c, uint32_t full, uint32_t unit)
{
	uint32_t have = c->write ? c->edtl : 0;

	c->out_full = full;
	if (full == 0)
		return true;
	if ((!c->write && c->edtl > 0) || (have < full && have % unit)) {
		sense_set(c, SENSE_INVALID_FIELD_IN_IU);
		return false;
	}
	c->out_len = MIN(full, have);
	return true;
}

static uint8_t *take_data(struct scsi_body *b, uint32_t len)
{
	b->data = len <= BODY_INLINE ? b->small : malloc(len);
	b->data_len = len;
	return b->data;
}

void cmd_list(struct scsi_cmd *c)
{
	struct scsi_body *b = c->body;

	if (c->out_len == 0)
		return;
	if (!take_data(b, c->out_len)) {
		c->status = SCSI_BUSY;
		return;
	}
	b->data_iov = (struct iovec){.iov_base = b->data, .iov_len = c->out_len};
	c->out_iov = &b->data_iov;
	c->n_out_iov = 1;
	c->out_have = c->out_len;
}

/* --- data-in --- */

uint8_t *cmd_in(struct scsi_cmd *c, uint32_t len)
{
	struct scsi_body *b = c->body;

	if (!take_data(b, len)) {
		c->status = SCSI_BUSY;
		return NULL;
	}
	return memset(b->data, 0, len);
}

void cmd_in_done(struct scsi_cmd *c, uint32_t len, uint32_t alloc)
{
	struct scsi_body *b = c->body;

	check(len <= b->data_len);
	c->in_len = MIN(len, alloc); /* SPC-4 4.2.5.6 */
	b->data_iov = (struct iovec){.iov_base = b->data, .iov_len = c->in_len};
	c->in_iov = &b->data_iov;
	c->n_in_iov = c->in_len ? 1 : 0;
	cmd_done(c);
}

/* --- the volume --- */

struct vol_op *cmd_op(
	struct scsi_cmd *c, uint64_t off, uint64_t len, void (*done)(struct vol_op *, int end))
{
	struct scsi_body *b = c->body;

	check(!b->busy);
	b->op.v = c->lu->volume;
	b->op.io = c->io;
	b->op.done = done;
	b->op.off = off;
	b->op.len = len;
	b->op.gen = c->lun_gen;
	b->op.durable = false;
	b->op.dpo = false;
	b->op.bad = VOL_NOWHERE;
	b->op.watch = NULL;
	b->op.own = false;
	b->busy = true;
	return &b->op;
}

struct scsi_cmd *cmd_of(struct vol_op *op)
{
	struct scsi_body *b = container_of(op, struct scsi_body, op);

	b->busy = false;
	return b->cmd;
}

void cmd_run(struct scsi_cmd *c)
{
	struct scsi_body *b = c->body;
	uint64_t lines = 0;

	while (lines < BODY_LINES) {
		if (b->aborting) {
			cmd_end(c, VOL_STALE, SENSE_INTERNAL_FAILURE);
			return;
		}
		b->inside = true;
		b->came = false;
		if (!b->step(c))
			return;
		b->inside = false;
		if (!b->came)
			return; /* cmd_stepped() goes on */
		lines += b->op.len / ARENA_LINE + 1;
		if (!b->stepped(c, b->end))
			return;
	}
	b->n_calls++;
	io_post(c->io, &b->next);
}

void cmd_stepped(struct vol_op *op, int end)
{
	struct scsi_cmd *c = cmd_of(op);
	struct scsi_body *b = c->body;

	b->end = end;
	b->came = true;
	if (!b->inside && b->stepped(c, end))
		cmd_run(c);
}

void cmd_on_next(struct io_work *w)
{
	struct scsi_body *b = container_of(w, struct scsi_body, next);

	if (!body_called(b))
		return;
	if (b->cmd->state == SCSI_DONE)
		b->cmd->ops->done(b->cmd); /* was put off by scsi_abort() */
	else
		cmd_run(b->cmd);
}

/* --- prepare, execute, end --- */

static bool has_verdict(const struct scsi_cmd *c)
{
	return c->status != SCSI_GOOD;
}

static void clear_answer(struct scsi_cmd *c)
{
	c->out_len = c->out_have = c->out_full = 0;
	c->out_iov = NULL;
	c->n_out_iov = 0;
	c->aborted = false;
	c->status = SCSI_GOOD;
	c->sense_len = 0;
	c->in_iov = NULL;
	c->n_in_iov = 0;
	c->in_len = 0;
	c->row = NULL;
}

void scsi_prepare(struct scsi_cmd *c)
{
	clear_answer(c);
	c->state = SCSI_PREPARED;
	c->lu = lu_at(c->nexus, c->lun);
	c->lun_gen = c->lu ? volume_gen(c->lu->volume) : 0;
	c->body = body_take(c);
	if (!c->body) {
		c->status = SCSI_BUSY;
		return;
	}
	if (cdb_check(c))
		c->row->prepare(c);
	if (has_verdict(c))
		room_drop(c);
}

void scsi_execute(struct scsi_cmd *c)
{
	check(c->state == SCSI_PREPARED);
	check(c->out_have == c->out_len);
	c->state = SCSI_RUNNING;
	if (c->body && cdb_check_state(c))
		c->row->execute(c);
	else
		cmd_done(c);
}

void cmd_done(struct scsi_cmd *c)
{
	struct scsi_body *b = c->body;

	check(c->state == SCSI_RUNNING);
	if (has_verdict(c)) {
		c->in_len = 0;
		c->n_in_iov = 0;
	}
	c->state = SCSI_DONE;
	if (!b || !b->in_abort) {
		c->ops->done(c);
		return;
	}
	b->n_calls++;
	io_post(c->io, &b->next);
}

/* INFORMATION is the first block that failed (SBC-4 4.18.1): the volume may know, and one block by itself is it.
 */
static void where_it_failed(struct scsi_cmd *c, enum sense machine)
{
	const struct scsi_body *b = c->body;
	uint64_t bad = b->op.bad;

	if (bad != VOL_NOWHERE && bad >= b->off && bad - b->off < b->len)
		sense_info(c, machine, bad / c->lu->block);
	else if (b->len == c->lu->block)
		sense_info(c, machine, b->lba);
	else
		sense_set(c, machine);
}

/* sense_of - what it means where it is more than that something there cannot be read or written. */
static enum sense sense_of(int error, enum sense machine)
{
	switch (error) {
	case -ENOSPC:
	case -EDQUOT:
	case -EFBIG:
		return SENSE_SPACE_ALLOCATION_FAILED;
	case -EROFS:
		return SENSE_WRITE_PROTECTED;
	case -ESTALE: /* backend.h: the image was cut off .. */
	case -ENOENT: /* .. or removed */
	case -ENODEV: /* the device is gone */
	case -ENXIO:
	case -ENOMEDIUM:
		return SENSE_UNIT_FAILURE;
	default:
		return machine;
	}
}

enum sense sense_of_write(int error)
{
	return sense_of(error, SENSE_WRITE_ERROR);
}

/* A dead disk must not fill the log. */
static void log_failure(struct scsi_cmd *c, int error)
{
	uint64_t n = atomic_fetch_add(&c->lu->n_failures, 1) + 1;

	if (!(n & (n - 1)))
		log_warn("%s/%u: %s: %s (failure %lu)", c->lu->target, c->lu->lun, c->row->name,
			strerrordesc_np(-error), n);
}

static void machine_failed(struct scsi_cmd *c, int error, enum sense machine)
{
	enum sense why = sense_of(error, machine);

	if (why == machine || why == SENSE_UNIT_FAILURE)
		log_failure(c, error);
	if (why == machine)
		where_it_failed(c, machine);
	else
		sense_set(c, why);
}

void cmd_end(struct scsi_cmd *c, int end, enum sense machine)
{
	switch (end) {
	case 0:
		break;
	case VOL_STALE:
		c->aborted = true;
		c->status = SCSI_TASK_ABORTED;
		break;
	case VOL_FULL:
		c->status = SCSI_TASK_SET_FULL;
		break;
	case -ENOMEM:
		c->status = SCSI_BUSY;
		break;
	default:
		machine_failed(c, end, machine);
	}
	if (c->body->aborting)
		c->aborted = true;
	cmd_done(c);
}

static void on_kept(struct keep_waiter *w, int error)
{
	struct scsi_body *b = container_of(w, struct scsi_body, keep);

	if (!body_called(b))
		return;
	if (error)
		sense_set(b->cmd, SENSE_INTERNAL_FAILURE);
	cmd_done(b->cmd);
}

void cmd_keep(struct scsi_cmd *c)
{
	struct scsi_body *b = c->body;

	b->n_calls++;
	b->keep.kept = on_kept;
	keep_save(c->lu, c->io, &b->keep);
}

bool scsi_abort(struct scsi_cmd *c)
{
	struct scsi_body *b = c->body;

	switch (c->state) {
	case SCSI_RUNNING:
		b->aborting = true;
		b->in_abort = true;
		if (b->busy)
			volume_cancel(&b->op);
		else if (b->detach)
			b->detach(c);
		b->in_abort = false;
		return false;
	case SCSI_PREPARED:
		if (b)
			room_drop(c);
		c->state = SCSI_DONE;
		c->aborted = true;
		return true;
	default:
		return true;
	}
}

bool scsi_waits(const struct scsi_cmd *c)
{
	return c->state == SCSI_RUNNING && c->body->sweeping;
}

static void end_prepared(struct scsi_cmd *c)
{
	check(c->state == SCSI_PREPARED);
	if (c->body)
		room_drop(c);
	c->in_len = 0;
	c->n_in_iov = 0;
	c->state = SCSI_DONE;
}

void scsi_fail(struct scsi_cmd *c, enum sense why)
{
	end_prepared(c);
	sense_set(c, why);
}

void scsi_busy(struct scsi_cmd *c)
{
	end_prepared(c);
	c->status = SCSI_BUSY;
}

void scsi_release(struct scsi_cmd *c)
{
	struct scsi_body *b = c->body;

	check(c->state != SCSI_RUNNING);
	c->state = SCSI_IDLE;
	c->body = NULL;
	if (!b)
		return;
	if (b->pinned)
		volume_unpin(&b->op);
	c->body = b;
	room_drop(c);
	c->body = NULL;
	body_give(b, c->nexus);
	room_kick(c->nexus);
}
