/* verify.c - VERIFY (SBC-3 5.28 to 5.30): the medium can be read (BYTCHK 0), holds what is sent
 * (BYTCHK 1), or holds the one block that is sent, again and again (BYTCHK 3). WRITE AND VERIFY
 * (5.36 to 5.38), PRE-FETCH (5.8, 5.9).
 *
 * The data to compare with lands in pages like a write's, so that its memory is admitted by the
 * same rules, and is dropped afterwards. The medium is read in pieces (cmd_run), at most BODY_PIECE
 * bytes pinned. */
#include <string.h>
#include "body.h"
#include "check.h"

enum { BYTCHK = 0x06, ALL = 0x02, ONE = 0x06 };

static unsigned bytchk(const struct scsi_cmd *c)
{
	return c->cdb[1] & BYTCHK;
}

void verify_prepare(struct scsi_cmd *c)
{
	struct scsi_body *b = c->body;

	if (!block_range(c, (uint32_t)LU_MAX_TRANSFER >> c->lu->shift, false))
		return;
	switch (bytchk(c)) {
	case 0:
		break;
	case ALL:
		if (cmd_wish(c, (uint32_t)b->len, c->lu->block))
			cmd_landing(c, b->off);
		break;
	case ONE:
		if (b->len && cmd_wish(c, c->lu->block, c->lu->block))
			cmd_list(c);
		break;
	default:
		sense_cdb(c, 1, 2);
	}
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

/* same_block - a list of vectors, `len` bytes long, against copies of one block. */
static bool same_block(
	const struct iovec *v, uint64_t len, const uint8_t *block, uint32_t block_len)
{
	uint32_t at = 0;

	for (; len > 0; v++) {
		const uint8_t *p = v->iov_base;
		uint64_t left = MIN(v->iov_len, len);

		len -= left;
		while (left > 0) {
			uint32_t n = (uint32_t)MIN(left, block_len - at);

			if (memcmp(p, block + at, n) != 0)
				return false;
			p += n;
			left -= n;
			at = (at + n) % block_len;
		}
	}
	return true;
}

/* to_verify - bytes: an EDTL that cut the data-out cuts the comparison too. */
static uint64_t to_verify(const struct scsi_cmd *c)
{
	switch (c->body->compares ? bytchk(c) : 0) {
	case ALL:
		return c->out_len;
	case ONE:
		return c->out_len ? c->body->len : 0;
	default:
		return c->body->len;
	}
}

static bool is_equal(const struct scsi_cmd *c)
{
	const struct scsi_body *b = c->body;

	switch (b->compares ? bytchk(c) : 0) {
	case ALL:
		return same_bytes(c->out_iov, b->cursor, b->op.iov, b->op.len);
	case ONE:
		return same_block(b->op.iov, b->op.len, b->data, c->lu->block);
	default:
		return true;
	}
}

static bool verify_step(struct scsi_cmd *c)
{
	struct scsi_body *b = c->body;
	uint64_t left = to_verify(c) - b->cursor;

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
	if (!is_equal(c)) {
		sense_set(c, SENSE_MISCOMPARE);
		cmd_done(c);
		return false;
	}
	b->cursor += b->op.len;
	volume_unpin(&b->op);
	b->pinned = false;
	return true;
}

static void verify_begin(struct scsi_cmd *c, bool compares)
{
	struct scsi_body *b = c->body;

	b->compares = compares;
	b->cursor = 0;
	b->step = verify_step;
	b->stepped = verify_stepped;
	cmd_run(c);
}

void verify_execute(struct scsi_cmd *c)
{
	verify_begin(c, true);
}

/* --- WRITE AND VERIFY --- */

static void on_written(struct vol_op *op, int end)
{
	struct scsi_cmd *c = cmd_of(op);

	if (end)
		cmd_end(c, end, SENSE_WRITE_ERROR);
	else
		verify_begin(c, false);
}

/* Durable, then readable. The pages that the initiator filled are the content now, so that to
 * compare them with what it sent (BYTCHK 1) would be to compare them with themselves. */
void write_verify_execute(struct scsi_cmd *c)
{
	struct scsi_body *b = c->body;
	struct vol_op *op;

	if (c->out_len == 0) {
		cmd_done(c);
		return;
	}
	b->len = c->out_len;
	op = cmd_op(c, b->off, c->out_len, on_written);
	op->durable = true;
	volume_commit(op, &b->landing);
}

/* --- PRE-FETCH --- */

enum { PREFETCH_MOST = 16 << 20 };

void prefetch_prepare(struct scsi_cmd *c)
{
	block_range(c, 0, true);
}

/* What is asked for is read into the cache, as far as it does not push everything else out; GOOD
 * does not say that all of it is there (that would be CONDITION MET). With IMMED it is answered
 * when it is there, which is early enough. */
void prefetch_execute(struct scsi_cmd *c)
{
	struct scsi_body *b = c->body;

	b->len = volume_backend_info(c->lu->volume) ? MIN(b->len, PREFETCH_MOST) : 0;
	verify_begin(c, false);
}
