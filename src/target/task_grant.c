/* task_grant.c - where the data-out of a command goes: its places in the landing, and the R2Ts that ask for it. */
#include "arena.h"
#include "server_in.h"
#include "session.h"
#include "task_in.h"
#include "trace.h"
#include "worker.h"

struct place task_place(const struct task *t, uint32_t offset)
{
	struct place start = {.iov = t->scsi.out_iov, .n = t->scsi.n_out_iov};

	if (!start.n || offset >= t->scsi.out_have)
		return (struct place){.n = 0};
	return place_at(start, offset);
}

void task_trace_data(const struct task *t, const struct window *w, uint32_t ttt, uint32_t len)
{
	struct arena *a = t->scsi.lu ? volume_arena(lu_volume(t->scsi.lu)) : NULL;
	uint32_t offset = w->offset + w->filled;
	struct iovec iov[64];
	size_t got;
	unsigned n = place_fill(w->next, len, iov, ARRAY_LEN(iov), &got);

	for (unsigned i = 0; a && i < n; i++) {
		trace("data conn=%u itt=0x%08x ttt=0x%08x offset=0x%08x length=0x%08lx place=0x%08lx",
			t->c->index, t->itt, ttt, offset, (unsigned long)iov[i].iov_len,
			(unsigned long)arena_offset(a, iov[i].iov_base));
		offset += iov[i].iov_len;
	}
}

/* --- R2Ts --- */

static void trace_r2t(const struct task *t, const struct dpt_entry *e, uint32_t r2tsn)
{
	const struct window *w = &e->w;
	struct arena *a = volume_arena(lu_volume(t->scsi.lu));
	uint32_t ttt = dpt_tag(&t->c->dpt, e), offset = w->offset;
	struct iovec iov[64];
	size_t got;
	unsigned n = place_fill(w->start, w->length, iov, ARRAY_LEN(iov), &got);

	trace("r2t conn=%u itt=0x%08x r2tsn=%u ttt=0x%08x offset=0x%08x length=0x%08x", t->c->index,
		t->itt, r2tsn, ttt, w->offset, w->length);
	for (unsigned i = 0; i < n; i++) {
		trace("entry conn=%u itt=0x%08x index=0x%04x pointer=0x%08lx offset=0x%08x length=0x%08lx",
			t->c->index, t->itt, tag_index(ttt),
			(unsigned long)arena_offset(a, iov[i].iov_base), offset,
			(unsigned long)iov[i].iov_len);
		offset += iov[i].iov_len;
	}
}

/* line_limit - policy `line`: one window for each arena line (the source's Figure 9B). */
static uint32_t line_limit(const struct task *t, uint32_t max_burst)
{
	struct place at = task_place(t, t->xfer.granted);
	uint64_t in_arena;

	if (!t->scsi.line_policy || !at.n)
		return max_burst;
	in_arena = arena_offset(
		volume_arena(lu_volume(t->scsi.lu)), (char *)at.iov->iov_base + at.skip);
	return in_arena == UINT64_MAX ? max_burst
				      : MIN(max_burst, ARENA_LINE - in_arena % ARENA_LINE);
}

static bool grant_one(struct task *t, uint32_t off, uint32_t len, uint32_t r2tsn)
{
	struct conn *c = t->c;
	struct window w = {
		.task = t, .itt = t->itt, .lun = t->scsi.lun, .offset = off, .length = len};
	struct dpt_entry *e;
	struct tx *tx = tx_new(c->w);

	if (!tx)
		return false;
	w.start = w.next = task_place(t, off);
	w.sums = task_sums(t);
	if (dpt_grant(&c->dpt, &w, &e)) {
		tx->done(tx, false);
		return false;
	}
	tx->pdu.opcode = OP_R2T;
	tx->pdu.final = true;
	tx->pdu.lun = t->scsi.lun;
	tx->pdu.itt = t->itt;
	tx->pdu.ttt = dpt_tag(&c->dpt, e);
	tx->pdu.r2t.r2tsn = r2tsn;
	tx->pdu.r2t.offset = off;
	tx->pdu.r2t.length = len;
	count(CTR_R2TS, 1);
	if (trace_on)
		trace_r2t(t, e, r2tsn);
	tx_push(c, tx);
	return true;
}

void task_grant(struct task *t)
{
	struct xfer_limits lim = xfer_limits_of(&t->c->params);
	uint32_t off, len, max_burst = lim.max_burst;

	if (t->state != TASK_RECEIVING || t->failed || t->held || t->parting ||
		window_left(&t->immediate_data) || window_left(&t->unsolicited))
		return;
	for (;;) {
		uint32_t r2tsn = t->xfer.r2tsn;

		lim.max_burst = line_limit(t, max_burst);
		if (!xfer_next(&t->xfer, &lim, t->scsi.out_have, &off, &len))
			return;
		if (!grant_one(t, off, len, r2tsn)) {
			xfer_undo(&t->xfer, off, len);
			return;
		}
	}
}
