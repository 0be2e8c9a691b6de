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
#include "arena.h"
#include "be.h"
#include "order.h"
#include "server_in.h"
#include "session.h"
#include "trace.h"
#include "volume.h"
#include "worker.h"

enum { READ_BUDGET = 16 << 20 }; /* bytes of data-in under way on a connection */
static const uint64_t stall_ns = 30ull * 1000000000;  /* a window without progress */
static const uint64_t starve_ns = 10ull * 1000000000; /* a command without pages */

static void task_done(struct scsi_cmd *cmd);
static void task_room(struct scsi_cmd *cmd);
static void task_go(struct task *t);

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

_Static_assert((int)CONN_LATE >= (int)SESSION_WINDOW + SESSION_IMMEDIATE, "a reset ends them all");

/* window_end - nothing more of it is awaited, and it has no place any more. */
static void window_end(struct window *w)
{
	w->filled = w->length;
	w->start = w->next = (struct place){.n = 0};
}

/* windows_drain - the task's pages will be another's, though it may still stand in the tables with a status that
 * waits to be sent. */
static void windows_drain(struct task *t)
{
	struct conn *c = t->c;

	if (t->xfer.n_open) {
		list_for_each_safe(node, next, &c->dpt.granted) {
			struct dpt_entry *e = list_entry(node, struct dpt_entry, link);

			if (e->w.task == t)
				dpt_drain(&c->dpt, e);
		}
	}
	if (c->framer.unsolicited == &t->unsolicited)
		c->framer.unsolicited = NULL;
	if (c->rx_task == t) {
		/* The payload under way goes to the sink from here on. */
		c->rx_task = NULL;
		c->rx_window = NULL;
		c->rx_entry = NULL;
		c->framer.target = (struct rx_target){.window = NULL};
	}
	window_end(&t->immediate_data);
	if (!window_left(&t->unsolicited))
		return;
	window_end(&t->unsolicited);
	c->late_itt[c->n_late++ % ARRAY_LEN(c->late_itt)] = t->itt;
}

static void task_uncount(struct task *t)
{
	if (!t->counted)
		return;
	t->counted = false;
	if (t->immediate)
		t->s->n_immediate--;
	else
		t->s->n_counted--;
}

/* One function that waits for one task. */
struct wait {
	struct list link;
	struct task_waiter *waiter;
};

void task_wait(struct task *t, struct task_waiter *waiter)
{
	struct wait *w = malloc(sizeof(*w));

	if (!w) {
		waiter->failed = true;
		return;
	}
	w->waiter = waiter;
	waiter->n++;
	list_push_back(&t->waiters, &w->link);
}

static void tell_waiters(struct list *waiters)
{
	struct list *node;

	while ((node = list_pop(waiters))) {
		struct wait *w = list_entry(node, struct wait, link);
		struct task_waiter *waiter = w->waiter;

		free(w);
		if (!--waiter->n)
			waiter->settled(waiter);
	}
}

static void task_free(struct task *t)
{
	struct conn *c = t->c;
	struct session *s = t->s;
	struct worker *w = s->w;

	task_uncount(t);
	windows_drain(t);
	list_remove(&t->wait);
	free(t->tx.owned);
	scsi_release(&t->scsi);
	session_remove(s, t);
	w->n_tasks--;
	if (unlikely(s->n_special))
		order_leave(s, t);
	budget_give(c, t);
	tell_waiters(&t->waiters);
	list_push_front(&w->free_tasks, &t->link);
	session_settled(s);
}

/* --- the answer --- */

/* residual - RFC 7143 11.4.5: what the device wanted to move against what the initiator expected. */
static void residual(const struct task *t, bool *overp, bool *underp, uint32_t *np)
{
	uint64_t expected = t->scsi.edtl, moved = 0;

	/* A command that was refused because EDTL is too short says by how much. */
	if (t->scsi.write && t->scsi.status == SCSI_CHECK_CONDITION && t->scsi.out_full > expected)
		moved = t->scsi.out_full;
	else if (t->scsi.write && t->scsi.status == SCSI_CHECK_CONDITION)
		moved = t->failed ? 0 : t->scsi.out_len;
	else if (t->scsi.write)
		moved = t->scsi.out_full;
	if (t->scsi.in_len)
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

/* task_sums - the arena of its pages, where data digests are wanted. */
static struct arena *task_sums(const struct task *t)
{
	return unlikely(t->c->framer.data_digest) && t->scsi.lu
		       ? volume_arena(lu_volume(t->scsi.lu))
		       : NULL;
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
static void task_answer(struct task *t)
{
	uint32_t len = t->scsi.read ? (uint32_t)MIN(t->scsi.in_len, t->scsi.edtl) : 0;

	tell_waiters(&t->waiters);
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
static void task_ended(struct task *t)
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

static void task_done(struct scsi_cmd *cmd)
{
	struct task *t = container_of(cmd, struct task, scsi);

	if (t->state == TASK_ABORTING || cmd->aborted || t->c->state == CONN_ENDING)
		task_ended(t);
	else
		task_answer(t);
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
static void task_go(struct task *t)
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

static struct place task_place(const struct task *t, uint32_t offset)
{
	struct place start = {.iov = t->scsi.out_iov, .n = t->scsi.n_out_iov};

	if (!start.n || offset >= t->scsi.out_have)
		return (struct place){.n = 0};
	return place_at(start, offset);
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
	struct xfer_limits lim = session_limits(c);

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

static void trace_data(const struct task *t, const struct window *w, uint32_t ttt, uint32_t len)
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

void task_immediate_in(struct task *t)
{
	uint32_t len = t->immediate_data.length;

	if (trace_on && len)
		trace_data(t, &t->immediate_data, TAG_NONE, len);
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
		trace_data(t, w, e ? dpt_tag(&c->dpt, e) : TAG_NONE, len);
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
	struct xfer_limits lim = session_limits(t->c);
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

/* --- failure and abort --- */

static void part(struct task *t)
{
	t->parting = true;
	list_remove(&t->wait);
	list_push_back(&t->c->parting, &t->wait);
}

static void fail_now(struct task *t)
{
	scsi_fail(&t->scsi, t->verdict);
	t->failed = true;
	task_go(t);
}

/* unhold - it ends before its turn: its number is used up all the same, those behind it wait for it no more. */
static void unhold(struct task *t)
{
	if (t->held)
		session_unhold(t->s, t->cmdsn);
	t->held = false;
}

void task_fail(struct task *t, enum sense why)
{
	if (t->parting || t->failed || (t->state != TASK_RECEIVING && t->state != TASK_HELD))
		return;
	t->verdict = why;
	windows_drain(t); /* it is reported at once: what else was announced is drained */
	t->state = TASK_RECEIVING;
	unhold(t);
	if (t->c->walking)
		part(t);
	else
		fail_now(t);
}

static void abort_now(struct task *t)
{
	if (t->failed || scsi_abort(&t->scsi))
		task_ended(t);
}

bool task_abort_by_other(struct task *t, bool tas, struct task_waiter *waiter)
{
	if (t->state == TASK_SENDING)
		return false;
	if (t->state != TASK_ABORTING)
		t->tas = tas;
	task_abort(t, waiter);
	return true;
}

void task_abort(struct task *t, struct task_waiter *waiter)
{
	bool running = t->state == TASK_RUNNING;

	if (t->state == TASK_SENDING)
		return;
	if (waiter)
		task_wait(t, waiter);
	if (t->state == TASK_ABORTING)
		return;
	windows_drain(t);
	unhold(t);
	t->state = TASK_ABORTING;
	if (running) {
		abort_now(t);
	} else if (t->c->walking && t->c->state != CONN_ENDING) {
		if (!t->parting)
			part(t);
	} else {
		list_remove(&t->wait);
		abort_now(t);
	}
}

void task_part(struct conn *c)
{
	struct list *node;

	while ((node = list_pop(&c->parting))) {
		struct task *t = list_entry(node, struct task, wait);

		t->parting = false;
		if (t->state == TASK_ABORTING)
			abort_now(t);
		else
			fail_now(t);
	}
}

void task_tick(struct task *t, uint64_t now_ns)
{
	uint64_t quiet_ns = now_ns - t->progress_ns;

	if (t->state != TASK_RECEIVING || t->held || t->failed || t->parting)
		return;
	if (t->xfer.n_open || window_left(&t->unsolicited) || window_left(&t->immediate_data)) {
		if (quiet_ns > stall_ns)
			task_fail(t, SENSE_INITIATOR_TIMEOUT);
	} else if (quiet_ns > starve_ns) {
		/* Nothing was asked for: it is we who have no pages. */
		scsi_busy(&t->scsi);
		t->failed = true;
		task_go(t);
	}
}
