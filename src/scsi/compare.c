/* compare.c - COMPARE AND WRITE (SBC-3 5.2): one indivisible read, compare, and write; ORWRITE
 * (5.7): one indivisible read, OR, and write.
 *
 * The list holds the blocks to compare with, then the blocks to write. The volume builds the new
 * pages with build_compared() from the newest committed content, and builds them again when another
 * commit came between; nothing is changed unless every block was equal. */
#include <string.h>
#include "body.h"
#include "check.h"
#include "copy.h"

void compare_prepare(struct scsi_cmd *c)
{
	struct scsi_body *b = c->body;
	uint32_t full;

	if (!block_range(c, LU_MAX_COMPARE, false))
		return;
	full = (uint32_t)b->len * 2;
	if (full == 0 && !(c->write && c->edtl))
		return; /* no block is compared or written; that is no error */
	if (!c->write || c->edtl != full) {
		sense_cdb(c, 13, -1);
		return;
	}
	if (cmd_wish(c, full, full))
		cmd_list(c);
}

static int build_compared(
	void *ctx, uint64_t at, uint32_t len, const uint8_t *base, uint8_t *fresh, uint32_t *wherep)
{
	const struct scsi_body *b = ctx;
	const uint8_t *expect = b->data + at;
	const uint8_t *wanted = b->data + b->data_len / 2 + at;

	check(at + len <= b->data_len / 2);
	if (memcmp(base, expect, len) != 0) {
		uint32_t i = 0;

		while (base[i] == expect[i])
			i++;
		*wherep = i;
		return VOL_MISCOMPARE;
	}
	copy_payload(CTR_COPIED_MERGE, fresh, wanted, len);
	return 0;
}

/* SBC-3 5.2: INFORMATION is the offset of the first byte that differs. */
static void compared(struct vol_op *op, int end)
{
	struct scsi_cmd *c = cmd_of(op);

	if (end == VOL_MISCOMPARE) {
		sense_info(c, SENSE_MISCOMPARE, op->where);
		end = 0;
	}
	cmd_end(c, end, SENSE_WRITE_ERROR);
}

void compare_execute(struct scsi_cmd *c)
{
	struct scsi_body *b = c->body;
	struct vol_op *op;

	if (c->out_len == 0) {
		cmd_done(c);
		return;
	}
	op = cmd_op(c, b->off, c->out_len / 2, compared);
	op->durable = cdb_fua(c->cdb);
	volume_update(op, build_compared, b);
}

/* --- ORWRITE --- */

void orwrite_prepare(struct scsi_cmd *c)
{
	struct scsi_body *b = c->body;

	if (block_range(c, (uint32_t)LU_MAX_TRANSFER >> c->lu->shift, false) &&
		cmd_wish(c, (uint32_t)b->len, c->lu->block))
		cmd_landing(c, b->off);
}

/* The data came in pages like a write's, so that its memory is admitted by the same rules; they are
 * dropped afterwards. */
static int build_or(
	void *ctx, uint64_t at, uint32_t len, const uint8_t *base, uint8_t *fresh, uint32_t *wherep)
{
	const struct scsi_body *b = ctx;
	const struct iovec *v = b->cmd->out_iov;

	check(at + len <= b->cmd->out_len);
	while (at >= v->iov_len)
		at -= v++->iov_len;
	while (len > 0) {
		const uint8_t *given = (const uint8_t *)v->iov_base + at;
		uint32_t n = (uint32_t)MIN(v->iov_len - at, len);

		for (uint32_t i = 0; i < n; i++)
			fresh[i] = base[i] | given[i];
		base += n;
		fresh += n;
		len -= n;
		at = 0;
		v++;
	}
	return 0;
}

static void orwritten(struct vol_op *op, int end)
{
	cmd_end(cmd_of(op), end, SENSE_WRITE_ERROR);
}

void orwrite_execute(struct scsi_cmd *c)
{
	struct scsi_body *b = c->body;
	struct vol_op *op;

	if (c->out_len == 0) {
		cmd_done(c);
		return;
	}
	op = cmd_op(c, b->off, c->out_len, orwritten);
	op->durable = cdb_fua(c->cdb);
	volume_update(op, build_or, b);
}
