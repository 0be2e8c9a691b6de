/* rx_tmf.c - task management functions (RFC 7143 11.5, 11.6; RFC 7144; SAM-5 7): one table of them.
 *
 * An answer promises something: it leaves only when no I/O of an affected task can still reach the
 * backend. Functions on tasks of this session wait for them here; those that touch other sessions
 * are resets (reset.c). The task set is the nexus' own (TST = 001b), so CLEAR TASK SET and ABORT
 * TASK SET are one. */
#include <stdlib.h>
#include "attention.h"
#include "reset.h"
#include "rx.h"
#include "sense.h"
#include "session.h"
#include "sn.h"
#include "worker.h"

enum { FUNCTIONS_MAX = 64 }; /* of one connection at once */

struct function {
	void (*run)(struct conn *c, const struct function *f);
	bool unit;      /* names a unit that must be there */
	uint8_t level;  /* iSCSIProtocolLevel from which on it exists */
	uint8_t answer; /* of those that do nothing */
	bool all_units; /* of this nexus, or of the target */
	bool loses;     /* the nexus is lost */
	bool ends;      /* sessions, behind its answer */
	uint16_t bit;   /* of REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS (SPC-4 table 319) */
};

void rx_tmf_response(struct tx *tx, uint32_t itt, uint8_t response)
{
	tx->pdu.opcode = OP_TASK_MGMT_RSP;
	tx->pdu.final = true;
	tx->pdu.itt = itt;
	tx->pdu.tmf_rsp.response = response;
	tx->takes_statsn = true;
}

static void answer_info(struct conn *c, uint32_t itt, uint8_t response, uint32_t info)
{
	struct tx *tx;

	if (c->state == CONN_ENDING)
		return;
	tx = tx_new(c->w);
	if (!tx) {
		conn_end(c, "no memory for an answer");
		return;
	}
	rx_tmf_response(tx, itt, response);
	tx->pdu.tmf_rsp.info = info;
	tx_push(c, tx);
}

void rx_tmf_answer(struct conn *c, uint32_t itt, uint8_t response)
{
	answer_info(c, itt, response, 0);
}

static void fixed_answer(struct conn *c, const struct function *f)
{
	rx_tmf_answer(c, c->rx.itt, f->answer);
}

static struct lu *unit_of(const struct conn *c)
{
	const struct lu_map *map = c->s->nexus.luns;
	int lun = scsi_lun_flat(c->rx.lun);

	return lun >= 0 && (unsigned)lun < map->n ? map->lu[lun] : NULL;
}

/* --- functions that end tasks of this session --- */

struct ending {
	struct task_waiter waiter;
	struct conn *c;
	uint32_t itt;
};

static void ending_settled(struct task_waiter *w)
{
	struct ending *e = container_of(w, struct ending, waiter);
	struct conn *c = e->c;

	c->n_functions--;
	rx_tmf_answer(c, e->itt, w->failed ? TMF_RSP_REJECTED : TMF_RSP_COMPLETE);
	conn_settled(c);
	free(e);
}

static struct ending *ending_begin(struct conn *c)
{
	struct ending *e = malloc(sizeof(*e));

	if (!e) {
		rx_tmf_answer(c, c->rx.itt, TMF_RSP_REJECTED);
		return NULL;
	}
	*e = (struct ending){
		.waiter = {.n = 1, .settled = ending_settled}, .c = c, .itt = c->rx.itt};
	c->n_functions++;
	return e;
}

static void ending_told(struct ending *e)
{
	if (!--e->waiter.n)
		ending_settled(&e->waiter);
}

/* absent - RFC 7143 11.6.1: a task that is not there is complete when its CmdSN lies in the window
 * (it has not come, and is to be ignored when it does), and does not exist otherwise. */
static uint8_t absent(struct conn *c)
{
	if (!unit_of(c))
		return TMF_RSP_NO_LUN;
	return session_skip(c->s, c->rx.tmf.ref_cmdsn) ? TMF_RSP_COMPLETE : TMF_RSP_NO_TASK;
}

/* ending_task - another function is at it already: the answer waits for the same end. */
static struct task *ending_task(struct session *s, uint32_t itt)
{
	list_for_each(node, &s->tasks) {
		struct task *t = list_entry(node, struct task, link);

		if (t->itt == itt && t->state == TASK_ABORTING)
			return t;
	}
	return NULL;
}

static void abort_task(struct conn *c, const struct function *f)
{
	struct task *t = session_find(c->s, c->rx.tmf.ref_itt);
	struct ending *e;

	if (!t)
		t = ending_task(c->s, c->rx.tmf.ref_itt);
	if (!t || t->state == TASK_SENDING || t->scsi.lun != c->rx.lun) {
		rx_tmf_answer(c, c->rx.itt, t ? TMF_RSP_NO_TASK : absent(c));
		return;
	}
	e = ending_begin(c);
	if (!e)
		return;
	task_abort(t, &e->waiter);
	ending_told(e);
}

/* in_set - it came before the function did (RFC 7143 4.2.3.3), for this unit or for any. */
static bool in_set(const struct task *t, const struct conn *c, const struct lu *lu)
{
	if (!t->immediate && !sn_lt(t->cmdsn, c->rx.cmdsn))
		return false;
	return !lu || t->scsi.lu == lu;
}

/* abort_set - ABORT TASK SET, CLEAR TASK SET; I_T NEXUS RESET, which is the same for all units of
 * the nexus. */
static void abort_set(struct conn *c, const struct function *f)
{
	const struct lu *lu = f->all_units ? NULL : unit_of(c);
	struct ending *e = ending_begin(c);

	if (!e)
		return;
	list_for_each_safe(node, next, &c->s->tasks) {
		struct task *t = list_entry(node, struct task, link);

		if (in_set(t, c, lu))
			task_abort(t, &e->waiter);
	}
	if (f->loses)
		scsi_nexus_lost(&c->s->nexus);
	ending_told(e);
}

/* --- functions that ask (RFC 7144 5; SAM-5 7.8 to 7.10): succeeded is yes, complete is no --- */

static bool is_there(const struct task *t)
{
	return t->state != TASK_SENDING && t->state != TASK_ABORTING;
}

static void query_task(struct conn *c, const struct function *f)
{
	const struct task *t = session_find(c->s, c->rx.tmf.ref_itt);
	uint8_t answer = TMF_RSP_NO_TASK;

	if (t && is_there(t) && t->scsi.lun == c->rx.lun)
		answer = TMF_RSP_SUCCEEDED;
	else if (!unit_of(c))
		answer = TMF_RSP_NO_LUN;
	else if (!t && cmd_window_place(&c->s->cmdsn, c->rx.tmf.ref_cmdsn) != SN_OUTSIDE)
		answer = TMF_RSP_COMPLETE;
	rx_tmf_answer(c, c->rx.itt, answer);
}

static void query_set(struct conn *c, const struct function *f)
{
	const struct lu *lu = unit_of(c);
	bool any = false;

	list_for_each(node, &c->s->tasks) {
		const struct task *t = list_entry(node, struct task, link);

		any |= is_there(t) && in_set(t, c, lu);
	}
	rx_tmf_answer(c, c->rx.itt, any ? TMF_RSP_SUCCEEDED : TMF_RSP_COMPLETE);
}

/* query_event - SAM-5 7.10: how deep the queue of unit attentions is (one, or more), and the first
 * of them. */
static void query_event(struct conn *c, const struct function *f)
{
	enum sense why;
	unsigned n = attention_pending(&c->s->nexus, unit_of(c), &why);
	uint32_t info = n ? (n == 1 ? 0x10u : 0x20u) << 24 | sense_code(why) << 8 : 0;

	answer_info(c, c->rx.itt, n ? TMF_RSP_SUCCEEDED : TMF_RSP_COMPLETE, info);
}

/* --- resets --- */

static void reset(struct conn *c, const struct function *f)
{
	struct reset_plan plan = {.lu = f->all_units ? NULL : unit_of(c), .ends = f->ends};

	reset_begin(c, &plan);
}

/* clang-format off */
static const struct function functions[] = {
	/*                         run           unit level answer                  all_units loses ends   bit */
	[TMF_ABORT_TASK]        = {abort_task,   false, 0, TMF_RSP_COMPLETE,      false,    false, false, 0x8000},
	[TMF_ABORT_TASK_SET]    = {abort_set,    true,  0, TMF_RSP_COMPLETE,      false,    false, false, 0x4000},
	[TMF_CLEAR_ACA]         = {fixed_answer, false, 0, TMF_RSP_NOT_SUPPORTED, false,    false, false, 0x0000}, /* NORMACA is 0 */
	[TMF_CLEAR_TASK_SET]    = {abort_set,    true,  0, TMF_RSP_COMPLETE,      false,    false, false, 0x1000},
	[TMF_LUN_RESET]         = {reset,        true,  0, TMF_RSP_COMPLETE,      false,    false, false, 0x0800},
	[TMF_TARGET_WARM_RESET] = {reset,        false, 0, TMF_RSP_COMPLETE,      true,     false, false, 0x0200},
	[TMF_TARGET_COLD_RESET] = {reset,        false, 0, TMF_RSP_COMPLETE,      true,     false, true,  0x0200},
	[TMF_TASK_REASSIGN]     = {fixed_answer, false, 0, TMF_RSP_NO_FAILOVER,   false,    false, false, 0x0000}, /* error recovery level 0 */
	[TMF_QUERY_TASK]        = {query_task,   false, 2, TMF_RSP_COMPLETE,      false,    false, false, 0x0400},
	[TMF_QUERY_TASK_SET]    = {query_set,    true,  2, TMF_RSP_COMPLETE,      false,    false, false, 0x0002},
	[TMF_I_T_NEXUS_RESET]   = {abort_set,    false, 2, TMF_RSP_COMPLETE,      true,     true,  false, 0x0001},
	[TMF_QUERY_ASYNC_EVENT] = {query_event,  true,  2, TMF_RSP_COMPLETE,      false,    false, false, 0x0004},
};
/* clang-format on */

uint16_t rx_tmf_functions(unsigned level)
{
	uint16_t bits = 0;

	for (unsigned i = 0; i < ARRAY_LEN(functions); i++)
		if (functions[i].run && level >= functions[i].level)
			bits |= functions[i].bit;
	return bits;
}

void rx_task_mgmt(struct conn *c)
{
	uint8_t code = c->rx.tmf.function;
	const struct function *f =
		code < ARRAY_LEN(functions) && functions[code].run ? &functions[code] : NULL;

	if (!f || c->params.protocol_level < f->level)
		rx_tmf_answer(c, c->rx.itt, TMF_RSP_NOT_SUPPORTED);
	else if (f->unit && !unit_of(c))
		rx_tmf_answer(c, c->rx.itt, TMF_RSP_NO_LUN);
	else if (c->n_functions >= FUNCTIONS_MAX)
		rx_tmf_answer(c, c->rx.itt, TMF_RSP_REJECTED);
	else
		f->run(c, f);
}
