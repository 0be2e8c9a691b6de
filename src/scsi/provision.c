/* provision.c - UNMAP and WRITE SAME (SBC-3 5.27, 5.43, 5.44).
 *
 * All of an UNMAP's list is checked before its first block is touched. What is unmapped reads as
 * zeros, always (LBPRZ), so a WRITE SAME of zeros and an unmapped range differ only in the room
 * they take. */
#include <string.h>
#include "be.h"
#include "body.h"
#include "check.h"

/* --- UNMAP --- */

enum { UNMAP_HEADER = 8, UNMAP_DESCRIPTOR = 16 };

/* A list shorter than what EDTL brings, or than its own lengths say, shows at execution. */
void unmap_prepare(struct scsi_cmd *c)
{
	if (cmd_wish(c, get_be16(c->cdb + 7), 1))
		cmd_list(c);
}

static uint32_t n_descriptors(const struct scsi_body *b)
{
	return get_be16(b->data + 2) / UNMAP_DESCRIPTOR;
}

/* SBC-3 5.27.2. True: every descriptor can be carried out. */
static bool check_list(struct scsi_cmd *c)
{
	struct scsi_body *b = c->body;
	uint64_t n_blocks = lu_n_blocks(c->lu);
	uint64_t total = 0;

	if (c->out_len < UNMAP_HEADER || get_be16(b->data + 2) > c->out_len - UNMAP_HEADER) {
		sense_set(c, SENSE_PARAMETER_LIST_LENGTH);
		return false;
	}
	if (n_descriptors(b) > LU_MAX_UNMAP_DESCRIPTORS) {
		sense_list(c, 2, -1);
		return false;
	}
	for (uint32_t i = 0; i < n_descriptors(b); i++) {
		uint32_t at = UNMAP_HEADER + i * UNMAP_DESCRIPTOR;
		uint64_t lba = get_be64(b->data + at);
		uint32_t n = get_be32(b->data + at + 8);

		if (lba > n_blocks || n > n_blocks - lba) {
			sense_info(c, SENSE_LBA_OUT_OF_RANGE, lba > n_blocks ? lba : n_blocks);
			return false;
		}
		total += n;
		if (total > lu_max_unmap(c->lu)) {
			sense_list(c, at + 8, -1);
			return false;
		}
	}
	return true;
}

static bool unmap_step(struct scsi_cmd *c)
{
	struct scsi_body *b = c->body;

	while (b->cursor < n_descriptors(b)) {
		const uint8_t *d = b->data + UNMAP_HEADER + b->cursor++ * UNMAP_DESCRIPTOR;
		uint64_t off = get_be64(d) << c->lu->shift;
		uint64_t len = (uint64_t)get_be32(d + 8) << c->lu->shift;

		if (len == 0)
			continue;
		volume_zero(cmd_op(c, off, len, cmd_stepped), true);
		return true;
	}
	cmd_done(c);
	return false;
}

static bool unmap_stepped(struct scsi_cmd *c, int end)
{
	if (end == 0)
		return true;
	cmd_end(c, end, SENSE_WRITE_ERROR);
	return false;
}

void unmap_execute(struct scsi_cmd *c)
{
	struct scsi_body *b = c->body;

	/* A parameter list length of zero is no error (SBC-3 5.27.1). */
	if (c->out_full == 0 || !check_list(c)) {
		cmd_done(c);
		return;
	}
	b->cursor = 0;
	b->step = unmap_step;
	b->stepped = unmap_stepped;
	cmd_run(c);
}

/* --- WRITE SAME --- */

enum { SAME_UNMAP = 0x08, SAME_NDOB = 0x01 };

/* ANCHOR is refused by the row: there are no anchored blocks (ANC_SUP is 0). A NUMBER OF LOGICAL
 * BLOCKS of zero means up to the last one (WSNZ is 0), within the same limit. */
void same_prepare(struct scsi_cmd *c)
{
	if (!block_range(c, LU_MAX_SAME, true))
		return;
	if (c->cdb[1] & SAME_UNMAP && !c->lu->thin) {
		sense_cdb(c, 1, 3);
		return;
	}
	if (c->cdb[1] & SAME_NDOB)
		return;
	/* One block, no more and no less: with any other length the initiator means something else.
	 */
	if (!c->write || c->edtl != c->lu->block) {
		c->out_full = c->lu->block;
		sense_set(c, SENSE_INVALID_FIELD_IN_IU);
		return;
	}
	if (cmd_wish(c, c->lu->block, c->lu->block))
		cmd_list(c);
}

static bool all_zero(const uint8_t *p, size_t len)
{
	return p[0] == 0 && memcmp(p, p + 1, len - 1) == 0;
}

static void same_done(struct vol_op *op, int end)
{
	cmd_end(cmd_of(op), end, SENSE_WRITE_ERROR);
}

void same_execute(struct scsi_cmd *c)
{
	struct scsi_body *b = c->body;
	struct vol_op *op = cmd_op(c, b->off, b->len, same_done);

	/* UNMAP with data that are not zeros: SBC-3 4.7.3.4.4 would have them written. LIO and tgt
	 * unmap, and libiscsi 1.19 (WriteSame10.UnmapUntilEnd) expects it: who asks for UNMAP gets
	 * it. */
	if (c->cdb[1] & SAME_UNMAP)
		volume_zero(op, true);
	else if (!b->data || all_zero(b->data, b->data_len))
		volume_zero(op, false);
	else
		volume_same(op, b->data);
}
