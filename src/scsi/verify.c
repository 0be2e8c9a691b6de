/* verify.c - VERIFY (SBC-3 5.28 to 5.30): the medium can be read (BYTCHK 0), or holds what is sent
 * (BYTCHK 1).
 *
 * The data to compare with lands in pages like a write's, so that its memory is admitted by the
 * same rules, and is dropped afterwards. The medium is read in pieces (cmd_run), at most BODY_PIECE
 * bytes pinned. */
#include <string.h>
#include "body.h"
#include "check.h"

enum { BYTCHK = 0x02 };

void verify_prepare(struct scsi_cmd *c)
{
	struct scsi_body *b = c->body;

	if (!block_range(c, (uint32_t)LU_MAX_TRANSFER >> c->lu->shift, false))
		return;
	if (c->cdb[1] & BYTCHK && cmd_wish(c, (uint32_t)b->len, c->lu->block))
		cmd_landing(c, b->off);
}

/* same_bytes - `len` bytes of one list of vectors, from offset `at` on, against another from its
 * start. */
static bool same_bytes(const struct iovec *a, uint64_t at, const struct iovec *b, uint64_t len)
{
	size_t b_at = 0;

	while (at >= a->iov_len && len > 0)
		at -= a++->iov_len;
	while (len > 0) {
		size_t n = MIN(MIN(a->iov_len - at, b->iov_len - b_at), len);

		if (memcmp((char *)a->iov_base + at, (char *)b->iov_base + b_at, n) != 0)
			return false;
		len -= n;
		at += n;
		b_at += n;
		if (at == a->iov_len) {
			a++;
			at = 0;
		}
		if (b_at == b->iov_len) {
			b++;
			b_at = 0;
		}
	}
	return true;
}

static bool verify_step(struct scsi_cmd *c)
{
	struct scsi_body *b = c->body;
	uint64_t left = (c->cdb[1] & BYTCHK ? c->out_len : b->len) - b->cursor;

	if (left == 0) {
		cmd_done(c);
		return false;
	}
	b->pinned = true;
	volume_read(cmd_op(c, b->off + b->cursor, MIN(left, BODY_PIECE), cmd_stepped));
	return true;
}

static bool verify_stepped(struct scsi_cmd *c, int end)
{
	struct scsi_body *b = c->body;

	if (end != 0) {
		cmd_end(c, end, SENSE_UNRECOVERED_READ_ERROR);
		return false;
	}
	if (c->cdb[1] & BYTCHK && !same_bytes(c->out_iov, b->cursor, b->op.iov, b->op.len)) {
		sense_set(c, SENSE_MISCOMPARE);
		cmd_done(c);
		return false;
	}
	b->cursor += b->op.len;
	volume_unpin(&b->op);
	b->pinned = false;
	return true;
}

void verify_execute(struct scsi_cmd *c)
{
	struct scsi_body *b = c->body;

	b->cursor = 0;
	b->step = verify_step;
	b->stepped = verify_stepped;
	cmd_run(c);
}
