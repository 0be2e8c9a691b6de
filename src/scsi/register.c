/* register.c - REGISTER, REGISTER AND IGNORE EXISTING KEY, REGISTER AND MOVE (SPC-4 5.12.7, 5.12.8): who is registered, by
 * his own word or by another's. */
#include <string.h>
#include "attention.h"
#include "be.h"
#include "body.h"
#include "persist.h"
#include "transport_id.h"

/* --- REGISTER (SPC-4 table 205) --- */

/* unregister - the reservation ends with its holder, and others who registered for it are told
 * (5.12.11.3). Nobody is told that he himself has unregistered. */
static void unregister(struct pr_request *q)
{
	enum pr_type was = q->r->type;

	reserve_remove(q->r, q->self);
	q->self = NULL;
	if (was != PR_NONE && q->r->type == PR_NONE && pr_registrants(was) && !pr_every(was))
		persist_tell_all(q, ATTENTION_RESERVATIONS_RELEASED);
}

static int register_port(struct pr_request *q, const char *name)
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
static int register_device(struct pr_request *q, const char *device)
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
static int register_listed(struct pr_request *q)
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

static int register_new(struct pr_request *q)
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

int register_act(struct pr_request *q)
{
	bool ignore = q->c->row->sa == OUT_REGISTER_AND_IGNORE;
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

/* --- REGISTER AND MOVE (SPC-4 5.12.8) --- */

int register_move(struct pr_request *q)
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
