/* persist.c - PERSISTENT RESERVE OUT (SPC-4 5.12, 6.16).
 *
 * Each service action is a function that runs under the reservation's lock, changes it, and says
 * how it ended; the list was checked before. What it does to others is noted while the lock is held
 * and done at once: unit attentions are bits (attention.h), so the others have them before this
 * command is answered. Then, in this order: the tasks of who was preempted are waited for or ended
 * on every reactor, the record is kept when anything of it must survive, the command ends. */
#include <stdlib.h>
#include <string.h>
#include "attention.h"
#include "be.h"
#include "body.h"
#include "check.h"
#include "transport_id.h"

enum action {
	REGISTER,
	RESERVE,
	RELEASE,
	CLEAR,
	PREEMPT,
	PREEMPT_AND_ABORT,
	REGISTER_AND_IGNORE,
	REGISTER_AND_MOVE
};

enum { LIST_LEN = 24, SPEC_I_PT = 0x08, ALL_TG_PT = 0x04, APTPL = 0x01, MOVE_UNREG = 0x02 };

/* How an action ended, other than with GOOD (0). */
enum { END_CONFLICT = 1, END_FULL, END_INVALID_RELEASE, END_BAD_FIELD, END_BAD_CDB };

/* The ports whose registration PREEMPT took away. */
struct preempted {
	unsigned n;
	char names[][PORT_NAME_MAX];
};

struct request {
	struct scsi_cmd *c;
	struct lu *l;
	struct reserve *r;
	struct registrant *self; /* NULL: not registered */
	uint64_t key, new_key;   /* RESERVATION KEY, SERVICE ACTION RESERVATION KEY */
	unsigned type, scope;
	uint8_t flags;
	unsigned bad; /* byte of the list, or of the CDB */
	struct preempted *preempted;
};

/* --- telling others --- */

/* tell - the nexuses of a registrant, but not the one that asks. */
static void tell(const struct request *q, const struct registrant *g, enum attention why)
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

static void tell_all(const struct request *q, enum attention why)
{
	list_for_each(l, &q->r->registrants) {
		const struct registrant *g = list_entry(l, struct registrant, link);

		if (g != q->self)
			tell(q, g, why);
	}
}

/* --- REGISTER (SPC-4 5.12.7, table 205) --- */

/* unregister - the reservation ends with its holder, and others who registered for it are told
 * (5.12.11.3). Nobody is told that he himself has unregistered. */
static void unregister(struct request *q)
{
	enum pr_type was = q->r->type;

	reserve_remove(q->r, q->self);
	q->self = NULL;
	if (was != PR_NONE && q->r->type == PR_NONE && pr_registrants(was) && !pr_every(was))
		tell_all(q, ATTENTION_RESERVATIONS_RELEASED);
}

static int register_port(struct request *q, const char *name)
{
	struct registrant *g = reserve_find(q->r, name, q->c->nexus->port);

	if (strcmp(name, q->c->nexus->initiator) == 0)
		return 0; /* whoever asks is registered anyhow */
	if (g)            /* as if that port had sent a REGISTER with key 0 (SPC-4 5.12.7) */
		return END_CONFLICT;
	g = reserve_add(q->r, name, q->c->nexus->port, q->new_key);
	if (!g)
		return END_FULL;
	g->all_ports = q->flags & ALL_TG_PT;
	return 0;
}

/* A TransportID without a port stands for every port of the device that is logged in. */
static int register_device(struct request *q, const char *device)
{
	struct lu_map *m = q->l->map;
	int end = END_BAD_FIELD;

	pthread_mutex_lock(&m->lock);
	list_for_each(l, &m->nexuses) {
		const struct nexus *n = list_entry(l, struct nexus, link);

		if (!transport_id_of(n->initiator, device))
			continue;
		end = register_port(q, n->initiator);
		if (end)
			break;
	}
	pthread_mutex_unlock(&m->lock);
	return end;
}

/* register_listed - SPEC_I_PT: the ports of the list too, all of them or none. */
static int register_listed(struct request *q)
{
	const uint8_t *p = q->c->body->data;
	uint32_t at = LIST_LEN + 4, end = at + get_be32(p + LIST_LEN);
	struct list *last = q->r->registrants.prev;
	int r = 0;

	while (!r && at < end) {
		char name[PORT_NAME_MAX];
		bool port;
		size_t len = transport_id_get(p + at, end - at, name, &port);

		q->bad = at;
		if (!len)
			r = END_BAD_FIELD;
		else
			r = port ? register_port(q, name) : register_device(q, name);
		at += (uint32_t)len;
	}
	while (r && q->r->registrants.prev != last)
		reserve_remove(q->r, list_entry(q->r->registrants.prev, struct registrant, link));
	return r;
}

static int register_new(struct request *q)
{
	int r = 0;

	if (!q->new_key)
		return 0;
	if (q->flags & SPEC_I_PT)
		r = register_listed(q);
	if (r)
		return r;
	q->self = reserve_add(q->r, q->c->nexus->initiator, q->c->nexus->port, q->new_key);
	if (!q->self)
		return END_FULL;
	q->self->all_ports = q->flags & ALL_TG_PT;
	return 0;
}

static int act_register(struct request *q)
{
	bool ignore = q->c->row->sa == REGISTER_AND_IGNORE;
	int r = 0;

	if (q->flags & APTPL && !keep_can(&q->l->keep)) {
		q->bad = 20;
		return END_BAD_FIELD;
	}
	if (q->flags & SPEC_I_PT && (ignore || q->self)) {
		q->bad = 20;
		return END_BAD_FIELD;
	}
	if (!ignore && q->key != (q->self ? q->self->key : 0))
		return END_CONFLICT;
	if (!q->self)
		r = register_new(q);
	else if (q->new_key)
		q->self->key = q->new_key;
	else
		unregister(q);
	if (r)
		return r;
	q->r->aptpl = q->flags & APTPL;
	q->r->generation++;
	return 0;
}

/* --- RESERVE, RELEASE, CLEAR --- */

/* SPC-4 5.12.9 */
static int act_reserve(struct request *q)
{
	if (q->r->type != PR_NONE)
		return reserve_holds(q->r, q->self) && q->r->type == q->type ? 0 : END_CONFLICT;
	q->r->type = q->type;
	q->r->holder = pr_every(q->type) ? NULL : q->self;
	return 0;
}

/* SPC-4 5.12.11.2: who holds nothing releases nothing, which is GOOD. */
static int act_release(struct request *q)
{
	enum pr_type was = q->r->type;

	if (!reserve_holds(q->r, q->self))
		return 0;
	if (was != q->type)
		return END_INVALID_RELEASE;
	q->r->type = PR_NONE;
	q->r->holder = NULL;
	if (pr_registrants(was))
		tell_all(q, ATTENTION_RESERVATIONS_RELEASED);
	return 0;
}

/* SPC-4 5.12.11.6 */
static int act_clear(struct request *q)
{
	tell_all(q, ATTENTION_RESERVATIONS_PREEMPTED);
	while (!list_empty(&q->r->registrants))
		reserve_remove(q->r, list_first(&q->r->registrants, struct registrant, link));
	q->r->generation++;
	return 0;
}

/* --- PREEMPT (SPC-4 5.12.11.4, 5.12.11.5) --- */

/* mark_victims - registrants with that key, or with any; not the one that asks. */
static unsigned mark_victims(struct request *q, bool any)
{
	unsigned n = 0;

	list_for_each(l, &q->r->registrants) {
		struct registrant *g = list_entry(l, struct registrant, link);

		g->mark = g != q->self && (any || g->key == q->new_key);
		n += g->mark;
	}
	return n;
}

static void remove_victims(struct request *q)
{
	list_for_each_safe(l, next, &q->r->registrants) {
		struct registrant *g = list_entry(l, struct registrant, link);

		if (!g->mark)
			continue;
		tell(q, g, ATTENTION_REGISTRATIONS_PREEMPTED);
		strcpy(q->preempted->names[q->preempted->n++], g->name);
		reserve_remove(q->r, g);
	}
}

/* take_over - the reservation is the asker's now; who stays registered learns that it is another
 * one (5.12.11.4.3). */
static void take_over(struct request *q)
{
	enum pr_type was = q->r->type;

	remove_victims(q);
	q->r->type = q->type;
	q->r->holder = pr_every(q->type) ? NULL : q->self;
	if (was != q->type)
		tell_all(q, ATTENTION_RESERVATIONS_RELEASED);
}

static int act_preempt(struct request *q)
{
	const struct reserve *r = q->r;
	bool every = pr_every(r->type);
	bool takes = every ? !q->new_key : r->holder && r->holder->key == q->new_key;
	unsigned n;

	if (!every && !q->new_key) {
		q->bad = 8;
		return END_BAD_FIELD;
	}
	n = mark_victims(q, every && !q->new_key);
	if (takes && (q->scope || !pr_type_valid(q->type))) {
		q->bad = 2;
		return END_BAD_CDB;
	}
	if (takes)
		take_over(q);
	else if (n)
		remove_victims(q);
	else
		return END_CONFLICT;
	q->r->generation++;
	return 0;
}

/* --- REGISTER AND MOVE (SPC-4 5.12.8) --- */

static int act_move(struct request *q)
{
	const uint8_t *p = q->c->body->data;
	uint16_t port = get_be16(p + 18);
	uint32_t id_len = get_be32(p + 20);
	struct registrant *to;
	char name[PORT_NAME_MAX];
	bool is_port;

	if (!reserve_holds(q->r, q->self) || pr_every(q->r->type))
		return END_CONFLICT;
	q->bad = 17;
	if (p[17] & APTPL && !keep_can(&q->l->keep))
		return END_BAD_FIELD;
	q->bad = 8;
	if (!q->new_key)
		return END_BAD_FIELD;
	q->bad = 18;
	if (port != q->c->nexus->port) /* a target has one */
		return END_BAD_FIELD;
	q->bad = 20;
	if (!id_len)
		return END_BAD_FIELD;
	q->bad = LIST_LEN;
	if (transport_id_get(p + LIST_LEN, id_len, name, &is_port) != id_len || !is_port ||
		strcmp(name, q->self->name) == 0)
		return END_BAD_FIELD;
	to = reserve_find(q->r, name, port);
	if (!to)
		to = reserve_add(q->r, name, port, q->new_key);
	if (!to)
		return END_FULL;
	to->key = q->new_key;
	q->r->holder = to;
	if (p[17] & MOVE_UNREG) {
		reserve_remove(q->r, q->self);
		q->self = NULL;
	}
	q->r->aptpl = p[17] & APTPL;
	q->r->generation++;
	return 0;
}

/* --- one for all --- */

/* clang-format off */
static const struct action_row {
	bool registered; /* only for who is registered with this key (SPC-4 5.12.7) */
	bool type;       /* scope and type count, and must be valid */
	int (*act)(struct request *q);
} actions[] = {
	[REGISTER]            = {false, false, act_register},
	[RESERVE]             = {true,  true,  act_reserve},
	[RELEASE]             = {true,  true,  act_release},
	[CLEAR]               = {true,  false, act_clear},
	[PREEMPT]             = {true,  false, act_preempt},
	[PREEMPT_AND_ABORT]   = {true,  false, act_preempt},
	[REGISTER_AND_IGNORE] = {false, false, act_register},
	[REGISTER_AND_MOVE]   = {true,  false, act_move},
};
/* clang-format on */

/* SPC-4 6.16.3: 24 bytes, unless initiator ports are named. */
static bool check_list_length(struct scsi_cmd *c)
{
	const uint8_t *p = c->body->data;
	uint32_t len = c->out_len;

	if (len != c->out_full || len < LIST_LEN)
		return false;
	if (c->row->sa == REGISTER_AND_MOVE)
		return get_be32(p + 20) == len - LIST_LEN;
	if (c->row->sa == REGISTER && p[20] & SPEC_I_PT)
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

static void set_end(struct request *q, int end)
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

/* On the reactor of the nexus asked about; `found` does not change any more. */
static bool is_preempted(const struct scsi_sweep *s, const struct nexus *n)
{
	const struct preempted *p = container_of(s, struct scsi_body, sweep)->found;

	for (unsigned i = 0; i < p->n; i++)
		if (strcmp(p->names[i], n->initiator) == 0)
			return true;
	return false;
}

static void swept(struct scsi_sweep *s)
{
	struct scsi_body *b = container_of(s, struct scsi_body, sweep);

	if (!body_called(b))
		return;
	b->sweeping = false;
	free(b->found);
	b->found = NULL;
	cmd_keep(b->cmd);
}

/* The others' tasks come first: when this command is answered, nothing that PREEMPT AND ABORT ended
 * and nothing that was under way can reach the medium any more. */
static void sweep_preempted(struct scsi_cmd *c)
{
	struct scsi_body *b = c->body;

	b->sweep = (struct scsi_sweep){
		.kind = c->row->sa == PREEMPT_AND_ABORT ? SWEEP_ABORT : SWEEP_WAIT,
		.lu = c->lu,
		.io = c->io,
		.except = c,
		.match = is_preempted,
		.done = swept,
	};
	b->n_calls++;
	b->sweeping = true;
	if (lu_sweep(&b->sweep) == 0)
		return;
	b->sweeping = false;
	b->n_calls--;
	free(b->found);
	b->found = NULL;
	c->status = SCSI_BUSY;
	cmd_done(c);
}

static void act(struct request *q)
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
	bool preempts = c->row->sa == PREEMPT || c->row->sa == PREEMPT_AND_ABORT;
	bool kept = c->lu->reserve.aptpl;
	struct request q = {.c = c,
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
	q.flags = c->row->sa == REGISTER_AND_MOVE ? 0 : b->data[20];
	if (preempts) {
		b->found = calloc(1, sizeof(struct preempted) + RESERVE_MAX * PORT_NAME_MAX);
		q.preempted = b->found;
		if (!b->found)
			c->status = SCSI_BUSY;
	}
	if (c->status == SCSI_GOOD)
		act(&q);
	if (c->status == SCSI_GOOD && preempts) {
		sweep_preempted(c);
		return;
	}
	free(b->found);
	b->found = NULL;
	if (c->status == SCSI_GOOD && (kept || c->lu->reserve.aptpl))
		cmd_keep(c);
	else
		cmd_done(c);
}

/* --- RESERVE and RELEASE of SPC-2 (7.18, 7.21); conflicts were found by the validator --- */

void reserve_execute(struct scsi_cmd *c)
{
	struct reserve *r = &c->lu->reserve;

	pthread_mutex_lock(&r->lock);
	/* Between the validator and here somebody on another reactor may have been quicker. */
	if (r->n_registrants || (r->holder6 && r->holder6 != c->nexus))
		c->status = SCSI_RESERVATION_CONFLICT;
	else
		r->holder6 = c->nexus;
	reserve_show(c->lu);
	pthread_mutex_unlock(&r->lock);
	cmd_done(c);
}

void release_execute(struct scsi_cmd *c)
{
	reserve_forget(c->lu, c->nexus);
	cmd_done(c);
}
