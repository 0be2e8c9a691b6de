/* disk.c - block commands as CDBs (SBC-3 chapter 5), and task management. */
#include <errno.h>
#include <string.h>
#include "be.h"
#include "check.h"
#include "nexus.h"

enum {
	OP_READ_10 = 0x28,
	OP_WRITE_10 = 0x2a,
	OP_SYNC_10 = 0x35,
	OP_UNMAP = 0x42,
	OP_READ_16 = 0x88,
	OP_WRITE_16 = 0x8a,
	OP_WRITE_SAME_16 = 0x93
};
enum { SAME_UNMAP = 0x08, UNMAP_LIST = 24, SAME_ZEROS = 4096, IOV_LIMIT = 1024 };

static const uint8_t zeros[SAME_ZEROS];

/* begin - a request; NULL, and *rcp says why. */
static struct request *begin(struct berth_session *s, berth_done *done, void *ctx, int *rcp)
{
	struct request *r = s->state == NX_DEAD ? NULL : request_take(s, REQ_SCSI, false);

	if (unlikely(!r)) {
		*rcp = s->state == NX_DEAD ? s->error : -EAGAIN;
		return NULL;
	}
	r->done = done;
	r->ctx = ctx;
	return r;
}

/* total - bytes of the vectors; 0 also where they are too many, too long or empty. */
static uint32_t total(const struct iovec *iov, unsigned n_iov)
{
	uint64_t sum = 0;

	if (!n_iov || n_iov > IOV_LIMIT)
		return 0;
	for (unsigned i = 0; i < n_iov; i++) {
		if (iov[i].iov_len > UINT32_MAX)
			return 0;
		sum += iov[i].iov_len;
	}
	return sum > UINT32_MAX ? 0 : (uint32_t)sum;
}

static void set_change(struct request *r, uint64_t lba, uint32_t n_blocks)
{
	r->change = (struct change){.repeat = REPEAT_UNLESS_OVERLAPPED,
		.lun = r->lun,
		.lba = lba,
		.n_blocks = n_blocks};
}

/* The ten byte form where it reaches: some targets know no other. */
static void block_cdb(uint8_t cdb[16], uint8_t op10, uint8_t op16, uint64_t lba, uint32_t n_blocks)
{
	memset(cdb, 0, 16);
	if (lba <= UINT32_MAX && n_blocks <= UINT16_MAX) {
		cdb[0] = op10;
		put_be32(cdb + 2, (uint32_t)lba);
		put_be16(cdb + 7, (uint16_t)n_blocks);
		return;
	}
	cdb[0] = op16;
	put_be64(cdb + 2, lba);
	put_be32(cdb + 10, n_blocks);
}

static int transfer(struct berth_session *s, bool reads, uint64_t lba, uint32_t n_blocks,
	const struct iovec *iov, unsigned n_iov, berth_done *done, void *ctx)
{
	uint32_t length = total(iov, n_iov);
	struct request *r;
	int rc;

	if (unlikely(!length || !n_blocks || length % n_blocks))
		return -EINVAL;
	r = begin(s, done, ctx, &rc);
	if (unlikely(!r))
		return rc;
	r->reads = reads;
	r->writes = !reads;
	r->length = length;
	r->iov = iov;
	r->n_iov = n_iov;
	if (n_iov == 1) { /* so that the vector itself may be on the caller's stack */
		r->one = *iov;
		r->iov = &r->one;
	}
	if (reads) {
		block_cdb(r->cdb, OP_READ_10, OP_READ_16, lba, n_blocks);
		r->change.repeat = REPEAT_ALWAYS;
	} else {
		block_cdb(r->cdb, OP_WRITE_10, OP_WRITE_16, lba, n_blocks);
		set_change(r, lba, n_blocks);
	}
	return request_queue(s, r);
}

int berth_read(struct berth_session *s, uint64_t lba, uint32_t n_blocks, const struct iovec *iov,
	unsigned n_iov, berth_done *done, void *ctx)
{
	return transfer(s, true, lba, n_blocks, iov, n_iov, done, ctx);
}

int berth_write(struct berth_session *s, uint64_t lba, uint32_t n_blocks, const struct iovec *iov,
	unsigned n_iov, berth_done *done, void *ctx)
{
	return transfer(s, false, lba, n_blocks, iov, n_iov, done, ctx);
}

static void send_small(struct request *r, const void *data, uint32_t len)
{
	r->writes = true;
	r->length = len;
	r->one = (struct iovec){(void *)(uintptr_t)data, len};
	r->iov = &r->one;
	r->n_iov = 1;
}

int berth_unmap(
	struct berth_session *s, uint64_t lba, uint32_t n_blocks, berth_done *done, void *ctx)
{
	int rc = -EINVAL;
	struct request *r = n_blocks ? begin(s, done, ctx, &rc) : NULL;

	if (!r)
		return rc;
	memset(r->cdb, 0, sizeof(r->cdb)); /* SBC-3 5.28: one block descriptor */
	r->cdb[0] = OP_UNMAP;
	put_be16(r->cdb + 7, UNMAP_LIST);
	memset(r->small, 0, UNMAP_LIST);
	put_be16(r->small, UNMAP_LIST - 2);
	put_be16(r->small + 2, UNMAP_LIST - 8);
	put_be64(r->small + 8, lba);
	put_be32(r->small + 16, n_blocks);
	send_small(r, r->small, UNMAP_LIST);
	set_change(r, lba, n_blocks);
	return request_queue(s, r);
}

int berth_write_same(struct berth_session *s, uint64_t lba, uint32_t n_blocks, const void *block,
	uint32_t block_len, berth_done *done, void *ctx)
{
	struct request *r;
	int rc;

	if (!n_blocks || !block_len || (!block && block_len > SAME_ZEROS))
		return -EINVAL;
	r = begin(s, done, ctx, &rc);
	if (!r)
		return rc;
	block_cdb(r->cdb, 0, OP_WRITE_SAME_16, 0,
		UINT32_MAX); /* the long form: it alone has the bits */
	put_be64(r->cdb + 2, lba);
	put_be32(r->cdb + 10, n_blocks);
	r->cdb[1] = block ? 0 : SAME_UNMAP;
	send_small(r, block ? block : zeros, block_len);
	set_change(r, lba, n_blocks);
	return request_queue(s, r);
}

int berth_sync(struct berth_session *s, berth_done *done, void *ctx)
{
	int rc;
	struct request *r = begin(s, done, ctx, &rc);

	if (!r)
		return rc;
	block_cdb(r->cdb, OP_SYNC_10, 0, 0, 0); /* SBC-3 5.25: all of it */
	r->change.repeat = REPEAT_UNBEGUN;
	return request_queue(s, r);
}

int berth_command(
	struct berth_session *s, const struct berth_command *c, berth_done *done, void *ctx)
{
	const struct iovec *iov = c->n_in ? c->in : c->out;
	unsigned n_iov = c->n_in ? c->n_in : c->n_out;
	uint32_t length = total(iov, n_iov);
	struct request *r;
	int rc;

	if ((c->n_in && c->n_out) || (n_iov && !length) || c->lun > 16383)
		return -EINVAL;
	r = begin(s, done, ctx, &rc);
	if (!r)
		return rc;
	memcpy(r->cdb, c->cdb, sizeof(r->cdb));
	if (c->lun >= 0)
		r->lun = lun_on_wire((uint16_t)c->lun);
	r->reads = c->n_in > 0;
	r->writes = c->n_out > 0;
	r->length = length;
	r->iov = iov;
	r->n_iov = n_iov;
	if (n_iov == 1) {
		r->one = *iov;
		r->iov = &r->one;
	}
	if (c->timeout_ms)
		r->timeout_ms = c->timeout_ms;
	if (c->flags & BERTH_REPEATABLE)
		r->change.repeat = REPEAT_ALWAYS;
	return request_queue(s, r);
}

/* --- task management --- */

static int manage(
	struct berth_session *s, uint8_t function, struct request *ref, berth_done *done, void *ctx)
{
	struct request *r = s->state == NX_DEAD ? NULL : request_take(s, REQ_TMF, true);

	if (!r)
		return s->state == NX_DEAD ? s->error : -EAGAIN;
	r->done = done;
	r->ctx = ctx;
	r->function = function;
	r->ref_itt = ITT_NONE;
	r->ref_cmdsn = 0;
	if (ref) {
		r->ref = request_number(s, ref);
		r->ref_itt = ref->itt;
		r->ref_cmdsn = ref->cmdsn;
		r->lun = ref->lun;
	}
	return request_queue(s, r);
}

int berth_abort(struct berth_session *s, int request, berth_done *done, void *ctx)
{
	struct request *ref = request_find(s, request), *r;

	if (ref && ref->state == REQ_SENT)
		return manage(s, TMF_ABORT_TASK, ref, done, ctx);
	/* The target has not heard of it, or has answered already: no word to it. */
	r = s->state == NX_DEAD ? NULL : request_take(s, REQ_TMF, true);
	if (!r)
		return s->state == NX_DEAD ? s->error : -EAGAIN;
	r->done = done;
	r->ctx = ctx;
	request_queue(s, r);
	if (ref && ref->state != REQ_LINGER) {
		request_end(s, ref, -ECANCELED);
		request_end(s, r, 0);
	} else {
		request_end(s, r, -ENOENT);
	}
	return request_number(s, r);
}

int berth_lun_reset(struct berth_session *s, berth_done *done, void *ctx)
{
	return manage(s, TMF_LUN_RESET, NULL, done, ctx);
}
