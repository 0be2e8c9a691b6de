/* rx_tmf.c - task management functions (RFC 7143 11.5, 11.6; SAM-5 7).
 *
 * An answer promises something: it leaves only when no I/O of an affected task can still reach the backend.
 * ABORT TASK touches one task of this session. LOGICAL UNIT RESET touches tasks of every session on every
 * reactor: it moves the unit's generation (so that what was prepared before no longer commits), posts to all
 * reactors, each aborts its tasks and says so when they have settled. */
#include <stdlib.h>
#include "attention.h"
#include "log.h"
#include "rx.h"
#include "server_in.h"
#include "session.h"
#include "sn.h"
#include "volume.h"
#include "worker.h"

static void tmf_answer(struct conn *c, uint32_t itt, uint8_t response)
{
	struct tx *tx = tx_new(c->w);

	if (!tx) {
		conn_end(c, "no memory for an answer");
		return;
	}
	tx->pdu.opcode = OP_TASK_MGMT_RSP;
	tx->pdu.final = true;
	tx->pdu.itt = itt;
	tx->pdu.tmf_rsp.response = response;
	tx->takes_statsn = true;
	tx_push(c, tx);
}

/* --- ABORT TASK --- */

struct abort {
	struct task_waiter waiter;
	struct conn *c;
	uint32_t itt;
};

static void abort_settled(struct task_waiter *w)
{
	struct abort *a = container_of(w, struct abort, waiter);
	struct conn *c = a->c;

	c->n_functions--;
	if (c->state != CONN_ENDING)
		tmf_answer(c, a->itt, TMF_RSP_COMPLETE);
	conn_settled(c);
	free(a);
}

/* gone - RFC 7143 11.6.1: a task that is not there is complete when its CmdSN lies in the window (it has not come, and
 * is to be ignored when it does), and does not exist otherwise. */
static uint8_t gone(struct session *s, uint32_t ref_cmdsn)
{
	return session_skip(s, ref_cmdsn) ? TMF_RSP_COMPLETE : TMF_RSP_NO_TASK;
}

static void abort_task(struct conn *c)
{
	struct task *t = session_find(c->s, c->rx.tmf.ref_itt);
	struct abort *a;

	if (!t || t->state == TASK_SENDING || t->scsi.lun != c->rx.lun) {
		tmf_answer(c, c->rx.itt, t ? TMF_RSP_NO_TASK : gone(c->s, c->rx.tmf.ref_cmdsn));
		return;
	}
	a = malloc(sizeof(*a));
	if (!a) {
		tmf_answer(c, c->rx.itt, TMF_RSP_REJECTED);
		return;
	}
	*a = (struct abort){.waiter = {.n = 1, .settled = abort_settled}, .c = c, .itt = c->rx.itt};
	c->n_functions++;
	task_abort(t, &a->waiter);
	if (!--a->waiter.n)
		abort_settled(&a->waiter);
}

/* --- LOGICAL UNIT RESET --- */

struct reset;

struct reset_part {
	struct reset *r;
	struct worker *w;
	struct io_work work;
	struct task_waiter waiter;
};

struct reset {
	struct conn *c;
	struct io *io;       /* of the reactor that asked */
	uint32_t itt;
	struct lu *lu;
	unsigned n_left;
	struct reset_part parts[];
};

static void reset_part_back(struct io_work *work)
{
	struct reset_part *p = container_of(work, struct reset_part, work);
	struct reset *r = p->r;
	struct conn *c = r->c;

	if (--r->n_left)
		return;
	c->n_functions--;
	if (c->state != CONN_ENDING)
		tmf_answer(c, r->itt, TMF_RSP_COMPLETE);
	conn_settled(c);
	free(r);
}

static void reset_part_settled(struct task_waiter *w)
{
	struct reset_part *p = container_of(w, struct reset_part, waiter);

	p->work.fn = reset_part_back;
	io_post(p->r->io, &p->work);
}

/* reset_session - what came before the reset ends without an answer; what has come behind it since is not its
 * business (RFC 7143 4.2.3.3). Every nexus is told (SAM-5 6.3.3); without memory for that, it finds out by itself. */
static void reset_session(struct session *s, struct lu *lu, struct task_waiter *waiter)
{
	uint32_t gen = volume_gen(lu_volume(lu));

	list_for_each_safe(node, next, &s->tasks) {
		struct task *t = list_entry(node, struct task, link);

		if (t->scsi.lu == lu && t->scsi.lun_gen != gen)
			task_abort(t, waiter);
	}
}

static void reset_part_run(struct io_work *work)
{
	struct reset_part *p = container_of(work, struct reset_part, work);

	p->waiter = (struct task_waiter){.n = 1, .settled = reset_part_settled};
	list_for_each(node, &p->w->sessions)
		reset_session(list_entry(node, struct session, link), p->r->lu, &p->waiter);
	if (!--p->waiter.n)
		reset_part_settled(&p->waiter);
}

static void lun_reset(struct conn *c)
{
	int lun = scsi_lun_flat(c->rx.lun);
	const struct lu_map *map = c->s->nexus.luns;
	unsigned n = server_n_workers(c->w->server);
	struct reset *r;

	if (lun < 0 || (unsigned)lun >= map->n || !map->lu[lun]) {
		tmf_answer(c, c->rx.itt, TMF_RSP_NO_LUN);
		return;
	}
	r = calloc(1, sizeof(*r) + n * sizeof(r->parts[0]));
	if (!r) {
		tmf_answer(c, c->rx.itt, TMF_RSP_REJECTED);
		return;
	}
	r->c = c;
	r->io = c->w->io;
	r->itt = c->rx.itt;
	r->lu = map->lu[lun];
	r->n_left = n;
	c->n_functions++;
	lu_reset(r->lu);
	for (unsigned i = 0; i < n; i++) {
		struct reset_part *p = &r->parts[i];

		*p = (struct reset_part){.r = r, .w = server_worker(c->w->server, i)};
		list_init(&p->work.link);
		p->work.fn = reset_part_run;
		io_post(p->w->io, &p->work);
	}
}

void rx_task_mgmt(struct conn *c)
{
	switch (c->rx.tmf.function) {
	case TMF_ABORT_TASK:
		abort_task(c);
		break;
	case TMF_LUN_RESET:
		lun_reset(c);
		break;
	default:
		tmf_answer(c, c->rx.itt, TMF_RSP_NOT_SUPPORTED);
		break;
	}
}
