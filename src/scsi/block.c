/* block.c - READ, WRITE, WRITE ATOMIC and SYNCHRONIZE CACHE (SBC-3 5.10 to 5.13, 5.24, 5.25, 5.32
 * to 5.35; SBC-4 5.48).
 *
 * A READ pins the pages of its range and lends them to the transport until scsi_release(). A
 * WRITE's landing is made at arrival, filled by the transport, and committed here: no byte is
 * copied. */
#include "body.h"
#include "check.h"

static bool check_range(struct scsi_cmd *c, struct cdb_range r, uint32_t max, bool zero_is_rest)
{
	struct scsi_body *b = c->body;
	uint64_t n_blocks = lu_n_blocks(c->lu);
	uint64_t n = r.n;

	/* An address behind the end is an error for a length of zero too (SBC-3 4.2.2). */
	if (r.lba >= n_blocks) {
		sense_info(c, SENSE_LBA_OUT_OF_RANGE, r.lba);
		return false;
	}
	if (n == 0 && zero_is_rest)
		n = n_blocks - r.lba;
	/* Too long and over the end: the end is told, which a client can do something about. */
	if (n > n_blocks - r.lba) {
		sense_info(c, SENSE_LBA_OUT_OF_RANGE, n_blocks);
		return false;
	}
	if (max != 0 && n > max) {
		sense_cdb(c, r.n_at, -1);
		return false;
	}
	b->lba = r.lba;
	b->off = r.lba << c->lu->shift;
	b->len = n << c->lu->shift;
	return true;
}

bool block_range(struct scsi_cmd *c, uint32_t max, bool zero_is_rest)
{
	return check_range(c, cdb_range(c->cdb), max, zero_is_rest);
}

/* For LOG SENSE. Only this reactor writes; who reads may be elsewhere. */
static void count_blocks(struct scsi_cmd *c, uint64_t *np, uint64_t *blocksp)
{
	__atomic_store_n(np, *np + 1, __ATOMIC_RELAXED);
	__atomic_store_n(blocksp, *blocksp + (c->body->len >> c->lu->shift), __ATOMIC_RELAXED);
}

static struct nexus_lu *counts_of(const struct scsi_cmd *c)
{
	return &c->nexus->lus[c->lu->lun];
}

/* --- READ --- */

void read_prepare(struct scsi_cmd *c)
{
	block_range(c, (uint32_t)LU_MAX_TRANSFER >> c->lu->shift, false);
}

static void read_done(struct vol_op *op, int end)
{
	struct scsi_cmd *c = cmd_of(op);

	if (end == 0) {
		c->in_iov = op->iov;
		c->n_in_iov = op->n_iov;
	}
	cmd_end(c, end, SENSE_UNRECOVERED_READ_ERROR);
}

/* What the initiator has no room for is checked, counted for the residual, and not read. */
void read_execute(struct scsi_cmd *c)
{
	struct scsi_body *b = c->body;
	uint64_t room = c->read ? round_up(c->edtl, c->lu->block) : 0;
	uint64_t len;
	struct vol_op *op;

	c->in_len = b->len;
	count_blocks(c, &counts_of(c)->n_reads, &counts_of(c)->blocks_read);
	len = MIN(c->in_len, room);
	if (len == 0) {
		cmd_done(c);
		return;
	}
	op = cmd_op(c, b->off, len, read_done);
	op->durable = cdb_fua(c->cdb);
	op->dpo = cdb_dpo(c->cdb);
	b->pinned = true;
	volume_read(op);
}

/* --- WRITE --- */

/* An EDTL that cuts a block of 4096 bytes at a multiple of 512 changes the block's beginning: initiators that
 * think in sectors of 512 (libiscsi's suite, ProutReserve.Access*) get a residual overflow, not a failed write. */
enum { SECTOR = 512 };

void write_prepare(struct scsi_cmd *c)
{
	struct scsi_body *b = c->body;

	if (block_range(c, (uint32_t)LU_MAX_TRANSFER >> c->lu->shift, false) &&
		cmd_wish(c, (uint32_t)b->len, SECTOR))
		cmd_landing(c, b->off);
}

/* SBC-4 5.48: shown at one moment as every write is, and on the backend whole or not at all as far
 * as VPD B0 says. No alignment, no granularity, no boundaries (the row refuses them). */
void atomic_prepare(struct scsi_cmd *c)
{
	struct scsi_body *b = c->body;

	if (check_range(c, cdb_range_atomic(c->cdb), c->lu->max_atomic >> c->lu->shift, false) &&
		cmd_wish(c, (uint32_t)b->len, (uint32_t)b->len))
		cmd_landing(c, b->off);
}

static void write_done(struct vol_op *op, int end)
{
	cmd_end(cmd_of(op), end, SENSE_WRITE_ERROR);
}

void write_execute(struct scsi_cmd *c)
{
	struct scsi_body *b = c->body;
	struct vol_op *op;

	if (c->out_len == 0) {
		cmd_done(c);
		return;
	}
	count_blocks(c, &counts_of(c)->n_writes, &counts_of(c)->blocks_written);
	op = cmd_op(c, b->off, c->out_len, write_done);
	op->durable = cdb_fua(c->cdb);
	volume_commit(op, &b->landing);
}

/* --- SYNCHRONIZE CACHE --- */

void sync_prepare(struct scsi_cmd *c)
{
	block_range(c, 0, true);
}

enum { SYNC_IMMED = 0x02 };

/* IMMED: status as soon as the CDB has been validated (SBC-3 5.18); what fails then is told as what writing back
 * finds by itself is, by a deferred error. All of the unit is written, not only the range. */
void sync_execute(struct scsi_cmd *c)
{
	struct scsi_body *b = c->body;

	if (c->cdb[1] & SYNC_IMMED) {
		volume_flush_soon(c->lu->volume, c->io);
		cmd_done(c);
		return;
	}
	volume_flush(cmd_op(c, b->off, b->len, write_done));
}
