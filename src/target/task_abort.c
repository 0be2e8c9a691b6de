/* task_abort.c - how a command ends before its time: by a failure, an abort, or since nothing moves any more. */
#include <stdlib.h>
#include "session.h"
#include "task_in.h"
#include "worker.h"

static const uint64_t stall_ns = 30ull * 1000000000;  /* a window without progress */
static const uint64_t starve_ns = 10ull * 1000000000; /* a command without pages */

_Static_assert((int)CONN_LATE >= (int)SESSION_WINDOW + SESSION_IMMEDIATE, "a reset ends them all");

/* window_end - nothing more of it is awaited, and it has no place any more. */
static void window_end(struct window *w)
{
	w->filled = w->length;
	w->start = w->next = (struct place){.n = 0};
}

/* task_drain - the task's pages will be another's, though it may still stand in the tables with a status that
 * waits to be sent. */
void task_drain(struct task *t)
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

void task_tell(struct list *waiters)
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
	task_drain(t); /* it is reported at once: what else was announced is drained */
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
	task_drain(t);
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
