/* preempt.c - PREEMPT and PREEMPT AND ABORT (SPC-4 5.12.11.4, 5.12.11.5): whose registration goes, who holds the
 * reservation then, and what becomes of their tasks. */
#include <stdlib.h>
#include <string.h>
#include "attention.h"
#include "body.h"
#include "persist.h"

/* The ports whose registration PREEMPT took away. */
struct preempted {
	unsigned n;
	char names[][PORT_NAME_MAX];
};

bool preempt_begin(struct scsi_cmd *c)
{
	c->body->found = calloc(1, sizeof(struct preempted) + RESERVE_MAX * PORT_NAME_MAX);
	if (!c->body->found)
		c->status = SCSI_BUSY;
	return c->body->found;
}

void preempt_end(struct scsi_cmd *c)
{
	free(c->body->found);
	c->body->found = NULL;
}

/* --- registrations --- */

/* mark_victims - registrants with that key, or with any; not the one that asks. */
static unsigned mark_victims(struct pr_request *q, bool any)
{
	unsigned n = 0;

	list_for_each(l, &q->r->registrants) {
		struct registrant *g = list_entry(l, struct registrant, link);

		g->mark = g != q->self && (any || g->key == q->new_key);
		n += g->mark;
	}
	return n;
}

static void remove_victims(struct pr_request *q)
{
	struct preempted *p = q->c->body->found;

	list_for_each_safe(l, next, &q->r->registrants) {
		struct registrant *g = list_entry(l, struct registrant, link);

		if (!g->mark)
			continue;
		persist_tell(q, g, ATTENTION_REGISTRATIONS_PREEMPTED);
		strcpy(p->names[p->n++], g->name);
		reserve_remove(q->r, g);
	}
}

/* take_over - the reservation is the asker's now; who stays registered learns that it is another
 * one (5.12.11.4.3). */
static void take_over(struct pr_request *q)
{
	enum pr_type was = q->r->type;

	remove_victims(q);
	q->r->type = q->type;
	q->r->holder = pr_every(q->type) ? NULL : q->self;
	if (was != q->type)
		persist_tell_all(q, ATTENTION_RESERVATIONS_RELEASED);
}

int preempt_act(struct pr_request *q)
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

/* --- their tasks --- */

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
	preempt_end(b->cmd);
	cmd_keep(b->cmd);
}

/* The others' tasks come first: when this command is answered, nothing that PREEMPT AND ABORT ended
 * and nothing that was under way can reach the medium any more. */
void preempt_sweep(struct scsi_cmd *c)
{
	struct scsi_body *b = c->body;

	b->sweep = (struct scsi_sweep){
		.kind = c->row->sa == OUT_PREEMPT_AND_ABORT ? SWEEP_ABORT : SWEEP_WAIT,
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
	preempt_end(c);
	c->status = SCSI_BUSY;
	cmd_done(c);
}
