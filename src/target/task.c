/* task.c - the life of a command between the wire and SCSI.
 *
 * The order of a WRITE: begin (places are taken) -> immediate data -> unsolicited data -> windows, as
 * many as MaxOutstandingR2T, places and slots allow -> all in -> executed, when its CmdSN's turn has
 * come -> answer. A command that fails early still waits for the unsolicited data that
 * its PDU announced, so that the initiator's stream and ours agree about what belongs to it.
 *
 * Two rules keep pages safe. While a receive walk is under way (conn.walking), bytes not yet parsed may lie
 * in predicted places of any window of the connection; so a task that fails or is aborted then
 * keeps its landing until the walk is over (parting). And a window whose task is gone only drains:
 * its entry has no place any more. */
#include "task.h"

#include <stdlib.h>
#include <string.h>
#include "order.h"
#include "server_in.h"
#include "session.h"
#include "task_in.h"
#include "trace.h"
#include "worker.h"

enum { READ_BUDGET = 16 << 20 }; /* bytes of data-in under way on a connection */

static void task_room(struct scsi_cmd *cmd);

static const struct scsi_ops task_ops = {.done = task_done, .room = task_room};

static struct task *task_make(void)
{
	struct task *t = malloc(sizeof(*t));

	if (!t)
		return NULL;
	list_init(&t->link);
	list_init(&t->hash);
	list_init(&t->wait);
	list_init(&t->waiters);
	return t;
}

struct task *task_new(struct conn *c)
{
	struct list *node = list_pop(&c->w->free_tasks);
	struct task *t = node ? list_entry(node, struct task, link) : task_make();

	if (!t)
		return NULL;
	memset(&t->s, 0, offsetof(struct task, immediate_data) - offsetof(struct task, s));
	t->immediate_data.length = t->immediate_data.filled = 0;
	t->unsolicited.length = t->unsolicited.filled = 0;
	t->s = c->s;
	t->c = c;
	t->itt = c->rx.itt;
	t->cmdsn = c->rx.cmdsn;
	t->immediate = c->rx.immediate;
	t->state = TASK_RECEIVING;
	t->progress_ns = io_now(c->w->io);
	t->unsolicited.task =
		t; /* an unasked Data-Out is this task's mistake even where none is due */
	tx_init(&t->tx);
	c->w->n_tasks++;
	count(CTR_COMMANDS, 1);
	session_add(c->s, t);
	return t;
}

void task_free_lists(struct worker *w)
{
	struct list *node;

	while ((node = list_pop(&w->free_tasks)))
		free(list_entry(node, struct task, link));
}

/* --- the end --- */

/* budget_give - a READ is through: the next ones that waited may run. */
static void budget_give(struct conn *c, struct task *t)
{
	c->read_bytes -= t->budget;
	t->budget = 0;
	while (!list_empty(&c->waiting) && c->state != CONN_ENDING) {
		struct task *next = list_first(&c->waiting, struct task, wait);

		if (c->read_bytes && c->read_bytes + next->scsi.edtl > READ_BUDGET)
			return;
		list_remove(&next->wait);
		task_go(next);
	}
}

void task_uncount(struct task *t)
{
	if (!t->counted)
		return;
	t->counted = false;
	if (t->immediate)
		t->s->n_immediate--;
	else
		t->s->n_counted--;
}

void task_free(struct task *t)
{
	struct conn *c = t->c;
	struct session *s = t->s;
	struct worker *w = s->w;

	task_uncount(t);
	task_drain(t);
	list_remove(&t->wait);
	free(t->tx.owned);
	scsi_release(&t->scsi);
	session_remove(s, t);
	w->n_tasks--;
	if (unlikely(s->n_special))
		order_leave(s, t);
	budget_give(c, t);
	task_tell(&t->waiters);
	list_push_front(&w->free_tasks, &t->link);
	session_settled(s);
}

/* --- the way there --- */

static void task_execute(struct task *t)
{
	struct conn *c = t->c;

	if (t->scsi.read && t->scsi.edtl) {
		bool others = c->read_bytes || !list_empty(&c->waiting);

		if (t->state != TASK_WAITING && others &&
			c->read_bytes + t->scsi.edtl > READ_BUDGET) {
			t->state = TASK_WAITING;
			list_push_back(&c->waiting, &t->wait);
			return;
		}
		t->budget = t->scsi.edtl;
		c->read_bytes += t->budget;
	}
	t->state = TASK_RUNNING;
	scsi_execute(&t->scsi);
}

void task_run(struct task *t)
{
	t->progress_ns = io_now(t->s->w->io);
	task_execute(t);
}

/* task_go - do what can be done now. */
void task_go(struct task *t)
{
	if (t->parting ||
		(t->state != TASK_RECEIVING && t->state != TASK_HELD && t->state != TASK_WAITING))
		return;
	if (window_left(&t->immediate_data) || window_left(&t->unsolicited))
		return;
	if (t->failed) {
		if (!t->held)
			task_answer(t);
		else
			t->state = TASK_HELD;
		return;
	}
	if (!xfer_complete(&t->xfer)) {
		if (!t->held)
			task_grant(t);
		return;
	}
	if (t->held)
		t->state = TASK_HELD;
	else if (unlikely(t->s->n_special) && t->state != TASK_WAITING && order_holds(t))
		t->state = TASK_DORMANT;
	else
		task_execute(t);
}

void task_release(struct task *t)
{
	t->held = false;
	list_remove(&t->link);
	list_push_back(&t->s->tasks, &t->link);
	order_enter(t);
	t->progress_ns = io_now(t->s->w->io);
	task_go(t);
}

static void task_room(struct scsi_cmd *cmd)
{
	struct task *t = container_of(cmd, struct task, scsi);

	if (t->state != TASK_RECEIVING || t->parting)
		return;
	scsi_room(cmd);
	t->progress_ns = io_now(t->s->w->io);
	task_go(t);
}

/* expect_data - what comes unasked has its places, and the rest is asked for later. */
static void expect_data(struct task *t, const struct xfer_limits *lim, struct rx_target *target)
{
	struct conn *c = t->c;
	const struct pdu *p = &c->rx;
	int rc = xfer_init(&t->xfer, lim, p->cmd.edtl, t->scsi.out_len, p->data_len, p->final);

	if (p->data_len)
		window_init(
			&t->immediate_data, t, t->itt, p->lun, 0, p->data_len, task_place(t, 0));
	if (t->xfer.unsolicited > p->data_len)
		window_init(&t->unsolicited, t, t->itt, p->lun, p->data_len,
			t->xfer.unsolicited - p->data_len, task_place(t, p->data_len));
	t->immediate_data.sums = t->unsolicited.sums = task_sums(t);
	if (rc != XFER_OK && !t->failed)
		task_fail(t, SENSE_UNEXPECTED_UNSOLICITED);
	else if (p->cmd.read && !t->failed)
		task_fail(t, SENSE_INVALID_FIELD_IN_IU); /* bidirectional: no command of ours is */
	if (t->failed || t->parting)
		return; /* what still comes of it goes to the sink: its places will be others' by then */
	/* What reaches past the places goes to the sink, and is not predicted. */
	if (t->unsolicited.length && t->xfer.unsolicited <= t->scsi.out_have)
		c->framer.unsolicited = &t->unsolicited;
	if (p->data_len)
		*target = (struct rx_target){
			.place = t->immediate_data.start, .window = &t->immediate_data};
}

/* command - the transport's part of it; scsi_prepare() sets all the rest. */
static void command(struct scsi_cmd *cmd, const struct task *t, const struct pdu *p)
{
	cmd->ops = &task_ops;
	cmd->io = t->c->w->io;
	cmd->nexus = &t->s->nexus;
	cmd->lun = p->lun;
	cmd->attr = p->cmd.attr;
	cmd->read = p->cmd.read;
	cmd->write = p->cmd.write;
	cmd->edtl = p->cmd.edtl;
	cmd->line_policy = server_line_policy(t->c->w->server);
	memcpy(cmd->cdb, p->cmd.cdb, sizeof(cmd->cdb));
}

void task_begin(struct task *t, struct rx_target *target)
{
	struct conn *c = t->c;
	const struct pdu *p = &c->rx;
	struct xfer_limits lim = xfer_limits_of(&c->params);

	command(&t->scsi, t, p);
	t->scsi.unsolicited = p->final ? p->data_len : MIN(lim.first_burst, p->cmd.edtl);
	scsi_prepare(&t->scsi);
	trace("command conn=%u itt=0x%08x cdb=%02x lun=0x%016lx length=%u", c->index, t->itt,
		t->scsi.cdb[0], (unsigned long)p->lun, p->cmd.edtl);
	t->failed = t->scsi.state == SCSI_DONE;
	if (!t->held)
		order_enter(t);
	if (p->cmd.write) /* without W there is no data segment, and F is set: pdu_decode() saw to it */
		expect_data(t, &lim, target);
}

void task_immediate_in(struct task *t)
{
	uint32_t len = t->immediate_data.length;

	if (trace_on && len)
		task_trace_data(t, &t->immediate_data, TAG_NONE, len);
	if (len) {
		window_count(&t->immediate_data, len);
		xfer_arrived(&t->xfer, len, false);
	}
	task_go(t);
}

void task_data_in(struct task *t, struct window *w, struct dpt_entry *e, uint32_t len)
{
	struct conn *c = t->c;
	bool full = c->dpt.n_granted + c->dpt.n_draining >= TAG_OTHER_FIRST;

	if (trace_on)
		task_trace_data(t, w, e ? dpt_tag(&c->dpt, e) : TAG_NONE, len);
	window_count(w, len);
	if (len)
		t->progress_ns = io_now(c->w->io);
	xfer_arrived(&t->xfer, len, e && !window_left(w));
	if (!window_left(w)) {
		if (c->framer.unsolicited == w)
			c->framer.unsolicited = NULL;
		if (e)
			dpt_close(&c->dpt, e);
	}
	task_go(t);
	if (full && !window_left(w) && c->state == CONN_FULL)
		session_grant(t->s);
}
