/* rx_command.c - SCSI Command and Data-Out: where payload finds its berth. */
#include "rx.h"
#include "session.h"
#include "worker.h"

/* --- SCSI Command (RFC 7143 11.3) --- */

void rx_scsi_command_header(struct conn *c, struct rx_target *target)
{
	struct session *s = c->s;
	const struct pdu *p = &c->rx;
	enum session_turn turn;
	struct task *t;

	c->rx_task = NULL;
	turn = session_order(s, p->cmdsn, p->immediate);
	if (turn == TURN_IGNORE || (turn == TURN_HELD && session_holds(s, p->cmdsn))) {
		conn_refuse(c, CTR_REFUSED_CMDSN, NULL);
		return;
	}
	if (session_find(s, p->itt) || (p->immediate && s->n_immediate >= SESSION_IMMEDIATE)) {
		conn_refuse(c,
			session_find(s, p->itt) ? CTR_REFUSED_ITT_IN_USE : CTR_REFUSED_IMMEDIATE,
			NULL);
		session_advance(s); /* its number is used up all the same (RFC 7143 4.2.2.1) */
		return;
	}
	t = task_new(c);
	if (!t) {
		conn_end(c, "no memory for a task");
		return;
	}
	if (turn == TURN_HELD) {
		t->held = true;
		s->n_held++;
	}
	c->rx_task = t;
	task_begin(t, target);
}

void rx_scsi_command(struct conn *c)
{
	struct task *t = c->rx_task;

	c->rx_task = NULL;
	if (t)
		task_immediate_in(t);
	session_advance(c->s); /* its number is used up, whatever became of it */
}

/* --- SCSI Data-Out (RFC 7143 11.7) --- */

/* late_unsolicited - a task that was aborted before its unsolicited data was all in: drained until F. */
static bool late_unsolicited(struct conn *c)
{
	for (unsigned i = 0; i < ARRAY_LEN(c->late_itt); i++) {
		if (i < c->n_late && c->late_itt[i] == c->rx.itt) {
			if (c->rx.final)
				c->late_itt[i] = ITT_NONE;
			return true;
		}
	}
	return false;
}

static enum data_out_fate check_unsolicited(
	struct conn *c, const struct data_out *h, struct window **wp, enum counter *whyp)
{
	struct task *t = session_find(c->s, h->itt);
	bool due = t && window_left(&t->unsolicited);

	if (!due && late_unsolicited(c))
		return DATA_OUT_DRAIN;
	*whyp = t ? CTR_REFUSED_UNSOLICITED : CTR_REFUSED_NO_TASK;
	*wp = t ? &t->unsolicited : NULL;
	if (!due)
		return DATA_OUT_REFUSED;
	return window_check(*wp, h, whyp);
}

void rx_data_out_header(struct conn *c, struct rx_target *target)
{
	const struct pdu *p = &c->rx;
	struct data_out h = {
		.lun = p->lun,
		.itt = p->itt,
		.ttt = p->ttt,
		.datasn = p->data.datasn,
		.offset = p->data.offset,
		.length = p->data_len,
		.final = p->final,
	};
	struct window *w = NULL;
	struct dpt_entry *e = NULL;
	enum counter why = CTR_REFUSED_TAG_STALE;
	enum data_out_fate fate = p->ttt == TAG_NONE ? check_unsolicited(c, &h, &w, &why)
						     : dpt_check(&c->dpt, &h, &w, &e, &why);

	c->rx_task = NULL;
	c->rx_window = NULL;
	c->rx_entry = NULL;
	switch (fate) {
	case DATA_OUT_PLACE:
		c->rx_task = w->task;
		c->rx_window = w;
		c->rx_entry = e;
		if (w->start.n)
			*target = (struct rx_target){.place = w->next, .window = w};
		break;
	case DATA_OUT_DRAIN:
		break;
	case DATA_OUT_REFUSED:
		conn_refuse(c, why, w ? w->task : NULL);
		break;
	}
}

void rx_data_out(struct conn *c)
{
	struct task *t = c->rx_task;

	c->rx_task = NULL;
	if (t)
		task_data_in(t, c->rx_window, c->rx_entry, c->rx.data_len);
}
