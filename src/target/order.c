/* order.c - see order.h. session->tasks is in the order in which tasks entered their sets: one that was held for
 * a lower CmdSN moves to its end when it is released. */
#include "order.h"

#include "worker.h"

static bool is_special(const struct task *t)
{
	return t->scsi.attr == ATTR_ORDERED || t->scsi.attr == ATTR_HEAD_OF_QUEUE;
}

/* is_in_set - of the unit that `t` is for. */
static bool is_in_set(const struct task *u, const struct task *t)
{
	return u->scsi.lu == t->scsi.lu && !u->held && u->state != TASK_SENDING;
}

bool order_holds(struct task *t)
{
	bool older = true;

	if (t->scsi.attr == ATTR_HEAD_OF_QUEUE || !t->scsi.lu)
		return false;
	list_for_each(node, &t->s->tasks) {
		const struct task *u = list_entry(node, struct task, link);

		if (u == t)
			older = false;
		else if (!is_in_set(u, t))
			continue;
		else if (u->scsi.attr == ATTR_HEAD_OF_QUEUE)
			return true;
		else if (older && (t->scsi.attr == ATTR_ORDERED || u->scsi.attr == ATTR_ORDERED))
			return true;
	}
	return false;
}

void order_enter(struct task *t)
{
	if (likely(!is_special(t)))
		return;
	t->special = true;
	t->s->n_special++;
}

/* wake_one - the first that waits no more. Those behind an ORDERED one that still waits wait for it. */
static bool wake_one(struct session *s)
{
	const struct lu *blocked = NULL;

	list_for_each(node, &s->tasks) {
		struct task *t = list_entry(node, struct task, link);

		if (t->state != TASK_DORMANT || (blocked && t->scsi.lu == blocked))
			continue;
		if (!order_holds(t)) {
			task_run(t);
			return true;
		}
		if (t->scsi.attr == ATTR_ORDERED)
			blocked = t->scsi.lu;
	}
	return false;
}

static void wake(struct io_work *work)
{
	struct session *s = container_of(work, struct session, wake);

	s->waking = false;
	while (s->c && s->c->state != CONN_ENDING && wake_one(s))
		;
}

void order_leave(struct session *s, struct task *t)
{
	if (t->special) {
		t->special = false;
		s->n_special--;
	}
	if (s->waking)
		return;
	s->waking = true;
	io_defer(s->w->io, &s->wake);
}

void order_init(struct session *s)
{
	list_init(&s->wake.link);
	s->wake.fn = wake;
}
