/* task_answer.c - what a command is answered: data-in, status, sense, residual counts. */
#include <string.h>
#include "be.h"
#include "order.h"
#include "session.h"
#include "task_in.h"
#include "trace.h"
#include "worker.h"

/* residual - RFC 7143 11.4.5: what the device wanted to move against what the initiator expected. */
static void residual(const struct task *t, bool *overp, bool *underp, uint32_t *np)
{
	uint64_t expected = t->scsi.edtl, moved = 0;

	/* A command that was refused because EDTL is too short says by how much. */
	if (t->scsi.write && t->scsi.status == SCSI_CHECK_CONDITION && t->scsi.out_full > expected)
		moved = t->scsi.out_full;
	else if (t->scsi.write && t->scsi.status == SCSI_CHECK_CONDITION)
		moved = t->failed ? 0 : t->scsi.out_len;
	else if (t->scsi.write ||
		 t->scsi.status == SCSI_GOOD) /* EDTL 0 has no direction, and may be too short */
		moved = t->scsi.out_full;
	if (t->scsi.in_len && !t->scsi.write) /* what goes the wrong way does not go */
		moved = t->scsi.in_len;
	if (!t->scsi.read && !t->scsi.write)
		expected = 0;
	*overp = moved > expected;
	*underp = moved < expected;
	*np = (uint32_t)MIN(moved > expected ? moved - expected : expected - moved, UINT32_MAX);
}

static void task_sent(struct tx *tx, bool sent)
{
	task_free(tx->owner);
}

static void answer_data_in(struct task *t, uint32_t len)
{
	struct pdu *p = &t->tx.pdu;

	p->opcode = OP_DATA_IN;
	p->itt = t->itt;
	p->ttt = TAG_NONE;
	p->data.status = t->scsi.status;
	residual(t, &p->data.overflow, &p->data.underflow, &p->data.residual);
	t->tx.data_in = t->tx.has_status = true;
	t->tx.sums = task_sums(t);
	t->tx.data = (struct place){.iov = t->scsi.in_iov, .n = t->scsi.n_in_iov};
	t->tx.left = len;
}

static void answer_response(struct task *t)
{
	struct pdu *p = &t->tx.pdu;
	uint8_t sense[2 + SCSI_SENSE_MAX];

	p->opcode = OP_SCSI_RESPONSE;
	p->final = true;
	p->itt = t->itt;
	p->rsp.response = 0;
	p->rsp.status = t->scsi.status;
	p->rsp.exp_datasn = t->xfer.r2tsn;
	residual(t, &p->rsp.overflow, &p->rsp.underflow, &p->rsp.residual);
	t->tx.takes_statsn = true;
	if (t->scsi.sense_len) {
		put_be16(sense, t->scsi.sense_len);
		memcpy(sense + 2, t->scsi.sense, t->scsi.sense_len);
		/* Without memory the status goes without its sense; the initiator then asks for it. */
		(void)tx_own(&t->tx, sense, 2u + t->scsi.sense_len);
	}
}

/* task_answer - it has settled. Whoever waited for that hears now, not when the answer has left: a peer that
 * does not read must not hold up others. */
void task_answer(struct task *t)
{
	uint32_t len = t->scsi.read ? (uint32_t)MIN(t->scsi.in_len, t->scsi.edtl) : 0;

	task_tell(&t->waiters);
	t->state = TASK_SENDING;
	if (unlikely(t->s->n_special))
		order_leave(t->s, t);
	t->tx.owner = t;
	t->tx.done = task_sent;
	if (len && t->scsi.status == SCSI_GOOD)
		answer_data_in(t, len);
	else
		answer_response(t);
	trace("status conn=%u itt=0x%08x status=0x%02x residual=%u", t->c->index, t->itt,
		t->scsi.status, t->tx.data_in ? t->tx.pdu.data.residual : t->tx.pdu.rsp.residual);
	task_uncount(t);
	tx_push(t->c, &t->tx);
}

/* task_ended - it was aborted, and has settled. */
void task_ended(struct task *t)
{
	struct scsi_cmd *cmd = &t->scsi;

	if (!t->tas || t->c->state != CONN_FULL) {
		task_free(t);
		return;
	}
	cmd->status = SCSI_TASK_ABORTED;
	cmd->sense_len = 0;
	cmd->in_len = 0;
	task_answer(t);
}

void task_done(struct scsi_cmd *cmd)
{
	struct task *t = container_of(cmd, struct task, scsi);

	if (t->state == TASK_ABORTING || cmd->aborted || t->c->state == CONN_ENDING)
		task_ended(t);
	else
		task_answer(t);
}
