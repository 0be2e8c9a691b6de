/* reset.c - LOGICAL UNIT RESET, TARGET WARM RESET, TARGET COLD RESET (RFC 7143 11.5.1; see
 * reset.h). */
#include "reset.h"

#include <stdlib.h>
#include "rx.h"
#include "lun.h"
#include "server_in.h"
#include "session.h"
#include "volume.h"
#include "worker.h"

struct reset_part {
	struct reset *r;
	struct worker *w;
	struct io_work work;
	struct task_waiter waiter;
};

struct reset {
	struct conn *c;
	struct io *io; /* of the reactor that asked */
	uint32_t itt;
	struct node *node;
	struct reset_plan plan;
	struct tx tx; /* the answer, when something follows on its leaving */
	unsigned n_parts, n_left;
	bool *tas; /* of each unit, before its mode parameters were reset */
	struct reset_part parts[];
};

static void post_all(struct reset *r, void (*fn)(struct io_work *))
{
	r->n_left = r->n_parts;
	for (unsigned i = 0; i < r->n_parts; i++) {
		struct reset_part *p = &r->parts[i];

		list_init(&p->work.link);
		p->work.fn = fn;
		io_post(p->w->io, &p->work);
	}
}

static void post_back(struct reset_part *p, void (*fn)(struct io_work *))
{
	p->work.fn = fn;
	io_post(p->r->io, &p->work);
}

static bool part_was_last(struct io_work *work)
{
	struct reset_part *p = container_of(work, struct reset_part, work);

	return !--p->r->n_left;
}

static void reset_over(struct reset *r)
{
	struct conn *c = r->c;

	c->n_functions--;
	conn_settled(c);
	free(r);
}

/* --- behind the answer of a cold reset: the sessions end --- */

static void end_part_back(struct io_work *work)
{
	struct reset *r = container_of(work, struct reset_part, work)->r;

	if (part_was_last(work))
		reset_over(r);
}

static void end_part_run(struct io_work *work)
{
	struct reset_part *p = container_of(work, struct reset_part, work);

	list_for_each(node, &p->w->sessions) {
		struct session *s = list_entry(node, struct session, link);

		if (s->node == p->r->node && s->c)
			conn_end(s->c, "target cold reset");
	}
	post_back(p, end_part_back);
}

static void answer_left(struct tx *tx, bool sent)
{
	post_all(tx->owner, end_part_run);
}

/* --- the answer --- */

static void reset_answer(struct reset *r)
{
	uint8_t response = TMF_RSP_COMPLETE;

	for (unsigned i = 0; i < r->n_parts; i++) {
		if (r->parts[i].waiter.failed)
			response = TMF_RSP_REJECTED;
	}
	if (r->plan.ends && response == TMF_RSP_COMPLETE) {
		tx_init(&r->tx);
		r->tx.owner = r;
		r->tx.done = answer_left;
		rx_tmf_response(&r->tx, r->itt, response);
		tx_push(r->c, &r->tx);
		return;
	}
	rx_tmf_answer(r->c, r->itt, response);
	reset_over(r);
}

static void reset_part_back(struct io_work *work)
{
	struct reset *r = container_of(work, struct reset_part, work)->r;

	if (part_was_last(work))
		reset_answer(r);
}

static void reset_part_settled(struct task_waiter *w)
{
	post_back(container_of(w, struct reset_part, waiter), reset_part_back);
}

/* --- the tasks of one reactor --- */

static bool concerns(const struct reset *r, const struct lu *lu)
{
	return lu && (!r->plan.lu || r->plan.lu == lu);
}

/* ends - it came before the reset, and has no status yet. */
static bool ends(const struct task *t, const struct reset *r)
{
	return concerns(r, t->scsi.lu) && t->state != TASK_SENDING &&
	       t->scsi.lun_gen != volume_gen(lu_volume(t->scsi.lu));
}

/* first_of_unit - of the tasks that end. */
static bool first_of_unit(const struct session *s, const struct task *t, const struct reset *r)
{
	list_for_each(node, &s->tasks) {
		const struct task *u = list_entry(node, struct task, link);

		if (u == t)
			break;
		if (u->scsi.lu == t->scsi.lu && ends(u, r))
			return false;
	}
	return true;
}

/* tell_session - RFC 7143 4.2.3.4: under FastAbort sessions other than the asker's hear of it once for
 * each unit, and send no more of what was asked for. Their windows drain until then. */
static void tell_session(struct session *s, const struct reset *r)
{
	if (!s->c || s->c == r->c || s->c->params.task_reporting != TASK_REPORTING_FAST_ABORT)
		return;
	list_for_each(node, &s->tasks) {
		const struct task *t = list_entry(node, struct task, link);

		if (ends(t, r) && first_of_unit(s, t, r))
			(void)conn_async(s->c, ASYNC_TASKS_END, t->scsi.lun, 0);
	}
}

/* is_told - by its status, that another nexus has ended it (SPC-4 7.5.10: TAS). */
static bool is_told(const struct session *s, const struct task *t, const struct reset *r)
{
	return s->c != r->c && !r->plan.ends && r->tas[t->scsi.lu->lun];
}

/* reset_session - what came before the reset ends, without an answer unless TAS asks for one; what has come behind it
 * since is not its business (RFC 7143 4.2.3.3). Every nexus was told by lu_reset(). */
static void reset_session(struct session *s, const struct reset *r, struct task_waiter *waiter)
{
	tell_session(s, r);
	list_for_each_safe(node, next, &s->tasks) {
		struct task *t = list_entry(node, struct task, link);

		if (ends(t, r))
			task_abort_by_other(t, is_told(s, t, r), waiter);
	}
}

static void reset_part_run(struct io_work *work)
{
	struct reset_part *p = container_of(work, struct reset_part, work);

	p->waiter = (struct task_waiter){.n = 1, .settled = reset_part_settled};
	list_for_each(node, &p->w->sessions) {
		struct session *s = list_entry(node, struct session, link);

		if (s->node == p->r->node)
			reset_session(s, p->r, &p->waiter);
	}
	if (!--p->waiter.n)
		reset_part_settled(&p->waiter);
}

void reset_begin(struct conn *c, const struct reset_plan *plan)
{
	unsigned n = server_n_workers(c->w->server);
	const struct lu_map *luns = &c->s->node->luns;
	struct reset *r = calloc(1, sizeof(*r) + n * sizeof(r->parts[0]) + luns->n);

	if (!r) {
		rx_tmf_answer(c, c->rx.itt, TMF_RSP_REJECTED);
		return;
	}
	r->c = c;
	r->io = c->w->io;
	r->itt = c->rx.itt;
	r->node = c->s->node;
	r->plan = *plan;
	r->n_parts = n;
	r->tas = (bool *)&r->parts[n];
	for (unsigned i = 0; i < n; i++)
		r->parts[i] = (struct reset_part){.r = r, .w = server_worker(c->w->server, i)};
	c->n_functions++;
	for (unsigned i = 0; i < luns->n; i++) {
		struct lu *lu = luns->lu[i];

		if (!concerns(r, lu))
			continue;
		r->tas[i] = lu_task_aborted(lu);
		lu_reset(lu);
	}
	post_all(r, reset_part_run);
}
