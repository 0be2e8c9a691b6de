/* lba_status.c - GET LBA STATUS (SBC-3 5.6): which blocks of a thin unit take room.
 *
 * A cursor walks the unit from the CDB's LBA on, asking the volume for runs, until the descriptors
 * that fit are full or the unit ends. Fewer descriptors than would fit may be shown (5.6.2), at
 * most MAX_RUNS are. */
#include <string.h>
#include "be.h"
#include "body.h"
#include "check.h"

enum { HEAD = 8, EACH = 16, MAX_RUNS = (BODY_INLINE - HEAD) / EACH, MAPPED = 0, DEALLOCATED = 1 };

/* The bytes of the list so far are in b->data; b->cursor is where the next run begins, in bytes. */
static uint32_t runs_wanted(const struct scsi_cmd *c)
{
	uint32_t alloc = get_be32(c->cdb + 10);

	return alloc < HEAD + EACH ? 1 : MIN((alloc - HEAD) / EACH, (uint32_t)MAX_RUNS);
}

void lba_status_prepare(struct scsi_cmd *c)
{
	struct scsi_body *b = c->body;

	b->lba = get_be64(c->cdb + 2);
	if (b->lba >= lu_n_blocks(c->lu)) {
		sense_info(c, SENSE_LBA_OUT_OF_RANGE, b->lba);
		return;
	}
	b->off = b->lba << c->lu->shift;
	b->len = 0; /* bytes of the list */
}

static void finish(struct scsi_cmd *c)
{
	struct scsi_body *b = c->body;

	put_be32(b->data, (uint32_t)(HEAD - 4 + b->len));
	cmd_in_done(c, (uint32_t)(HEAD + b->len), get_be32(c->cdb + 10));
}

static bool status_step(struct scsi_cmd *c)
{
	struct scsi_body *b = c->body;
	uint64_t size = volume_size(c->lu->volume);

	if (b->cursor == size) {
		finish(c);
		return false;
	}
	volume_status(cmd_op(c, b->cursor, size - b->cursor, cmd_stepped));
	return true;
}

/* add_run - to the last descriptor when it is of the same kind, else to a new one. False: no room.
 */
static bool add_run(struct scsi_cmd *c, uint64_t n, uint8_t kind)
{
	struct scsi_body *b = c->body;
	uint8_t *last = b->data + HEAD + b->len - EACH;

	if (b->len && last[12] == kind) {
		n += get_be32(last + 8);
		put_be32(last + 8, (uint32_t)MIN(n, UINT32_MAX));
		return n < UINT32_MAX;
	}
	if (b->len / EACH == runs_wanted(c))
		return false;
	b->len += EACH;
	put_be64(last + EACH, b->cursor >> c->lu->shift);
	put_be32(last + EACH + 8, (uint32_t)MIN(n, UINT32_MAX));
	last[EACH + 12] = kind;
	return n < UINT32_MAX;
}

static bool status_stepped(struct scsi_cmd *c, int end)
{
	struct scsi_body *b = c->body;

	if (end != 0) {
		cmd_end(c, end, SENSE_UNRECOVERED_READ_ERROR);
		return false;
	}
	if (!add_run(c, b->op.where >> c->lu->shift, b->op.mapped ? MAPPED : DEALLOCATED)) {
		finish(c);
		return false;
	}
	b->cursor += b->op.where;
	return true;
}

void lba_status_execute(struct scsi_cmd *c)
{
	struct scsi_body *b = c->body;

	if (!cmd_in(c, BODY_INLINE)) {
		cmd_done(c);
		return;
	}
	b->cursor = b->off;
	b->step = status_step;
	b->stepped = status_stepped;
	cmd_run(c);
}
