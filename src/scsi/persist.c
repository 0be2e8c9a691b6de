/* persist.c - PERSISTENT RESERVE OUT (SPC-4 5.12, 6.16).
 *
 * Each service action is a function that runs under the reservation's lock, changes it, and says
 * how it ended; the list was checked before. What it does to others is noted while the lock is held
 * and done at once: unit attentions are bits (attention.h), so the others have them before this
 * command is answered. Then, in this order: the tasks of who was preempted are waited for or ended
 * on every reactor, the record is kept when anything of it must survive, the command ends. */
#include <string.h>
#include "be.h"
#include "body.h"
#include "persist.h"

/* --- telling others --- */

void persist_tell(const struct pr_request *q, const struct registrant *g, enum attention why)
{
	struct lu_map *m = q->l->map;

	pthread_mutex_lock(&m->lock);
	list_for_each(l, &m->nexuses) {
		struct nexus *n = list_entry(l, struct nexus, link);

		if (n != q->c->nexus && (g->all_ports || g->port == n->port) &&
			strcmp(g->name, n->initiator) == 0)
			attention_raise(n, q->l, why);
	}
	pthread_mutex_unlock(&m->lock);
}

void persist_tell_all(const struct pr_request *q, enum attention why)
{
	list_for_each(l, &q->r->registrants) {
		const struct registrant *g = list_entry(l, struct registrant, link);

		if (g != q->self)
			persist_tell(q, g, why);
	}
}

/* --- RESERVE, RELEASE, CLEAR --- */

/* SPC-4 5.12.9 */
static int act_reserve(struct pr_request *q)
{
	if (q->r->type != PR_NONE)
		return reserve_holds(q->r, q->self) && q->r->type == q->type ? 0 : END_CONFLICT;
	q->r->type = q->type;
	q->r->holder = pr_every(q->type) ? NULL : q->self;
	return 0;
}

/* SPC-4 5.12.11.2: who holds nothing releases nothing, which is GOOD. */
static int act_release(struct pr_request *q)
{
	enum pr_type was = q->r->type;

	if (!reserve_holds(q->r, q->self))
		return 0;
	if (was != q->type)
		return END_INVALID_RELEASE;
	q->r->type = PR_NONE;
	q->r->holder = NULL;
	if (pr_registrants(was))
		persist_tell_all(q, ATTENTION_RESERVATIONS_RELEASED);
	return 0;
}

/* SPC-4 5.12.11.6 */
static int act_clear(struct pr_request *q)
{
	persist_tell_all(q, ATTENTION_RESERVATIONS_PREEMPTED);
	while (!list_empty(&q->r->registrants))
		reserve_remove(q->r, list_first(&q->r->registrants, struct registrant, link));
	q->r->generation++;
	return 0;
}

/* --- one for all --- */

/* clang-format off */
static const struct action_row {
	bool registered; /* only for who is registered with this key (SPC-4 5.12.7) */
	bool type;       /* scope and type count, and must be valid */
	int (*act)(struct pr_request *q);
} actions[] = {
	[OUT_REGISTER]            = {false, false, register_act},
	[OUT_RESERVE]             = {true,  true,  act_reserve},
	[OUT_RELEASE]             = {true,  true,  act_release},
	[OUT_CLEAR]               = {true,  false, act_clear},
	[OUT_PREEMPT]             = {true,  false, preempt_act},
	[OUT_PREEMPT_AND_ABORT]   = {true,  false, preempt_act},
	[OUT_REGISTER_AND_IGNORE] = {false, false, register_act},
	[OUT_REGISTER_AND_MOVE]   = {true,  false, register_move},
};
/* clang-format on */

/* SPC-4 6.16.3: 24 bytes, unless initiator ports are named. */
static bool check_list_length(struct scsi_cmd *c)
{
	const uint8_t *p = c->body->data;
	uint32_t len = c->out_len;

	if (len != c->out_full || len < LIST_LEN)
		return false;
	if (c->row->sa == OUT_REGISTER_AND_MOVE)
		return get_be32(p + 20) == len - LIST_LEN;
	if (c->row->sa == OUT_REGISTER && p[20] & SPEC_I_PT)
		return len >= LIST_LEN + 4 && get_be32(p + LIST_LEN) == len - LIST_LEN - 4;
	return len == LIST_LEN;
}

void persist_out_prepare(struct scsi_cmd *c)
{
	const struct action_row *row = &actions[c->row->sa];
	uint32_t len = get_be32(c->cdb + 5);

	if (row->type && c->cdb[2] >> 4) /* scope: the unit, nothing else */
		sense_cdb(c, 2, 7);
	else if (row->type && !pr_type_valid(c->cdb[2] & 0x0f))
		sense_cdb(c, 2, 3);
	else if (len < LIST_LEN || len > LU_RECORD_MAX)
		sense_set(c, SENSE_PARAMETER_LIST_LENGTH);
	else if (cmd_wish(c, len, 1))
		cmd_list(c);
}

static void set_end(struct pr_request *q, int end)
{
	struct scsi_cmd *c = q->c;

	switch (end) {
	case END_CONFLICT:
		c->status = SCSI_RESERVATION_CONFLICT;
		break;
	case END_FULL:
		sense_set(c, SENSE_REGISTRATIONS_FULL);
		break;
	case END_INVALID_RELEASE:
		sense_set(c, SENSE_INVALID_RELEASE);
		break;
	case END_BAD_FIELD:
		sense_list(c, q->bad, -1);
		break;
	case END_BAD_CDB:
		sense_cdb(c, q->bad, -1);
		break;
	default:
		break;
	}
}

static void act(struct pr_request *q)
{
	struct scsi_cmd *c = q->c;
	const struct action_row *row = &actions[c->row->sa];
	struct reserve *r = q->r;
	int end;

	pthread_mutex_lock(&r->lock);
	q->self = reserve_find(r, c->nexus->initiator, c->nexus->port);
	if (row->registered && (!q->self || q->self->key != q->key))
		end = END_CONFLICT;
	else
		end = row->act(q);
	reserve_show(q->l);
	pthread_mutex_unlock(&r->lock);
	set_end(q, end);
}

void persist_out_execute(struct scsi_cmd *c)
{
	struct scsi_body *b = c->body;
	bool preempts = c->row->sa == OUT_PREEMPT || c->row->sa == OUT_PREEMPT_AND_ABORT;
	bool kept = c->lu->reserve.aptpl;
	struct pr_request q = {.c = c,
		.l = c->lu,
		.r = &c->lu->reserve,
		.type = c->cdb[2] & 0x0f,
		.scope = c->cdb[2] >> 4};

	if (!check_list_length(c)) {
		sense_set(c, SENSE_PARAMETER_LIST_LENGTH);
		cmd_done(c);
		return;
	}
	q.key = get_be64(b->data);
	q.new_key = get_be64(b->data + 8);
	q.flags = c->row->sa == OUT_REGISTER_AND_MOVE ? 0 : b->data[20];
	if (!preempts || preempt_begin(c))
		act(&q);
	if (c->status == SCSI_GOOD && preempts) {
		preempt_sweep(c);
		return;
	}
	preempt_end(c);
	if (c->status == SCSI_GOOD && (kept || c->lu->reserve.aptpl))
		cmd_keep(c);
	else
		cmd_done(c);
}
