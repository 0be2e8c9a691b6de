/* sweep.c - PREEMPT AND ABORT ends the commands of those who were preempted; PREEMPT and SANITIZE wait for
 * what runs (see sweep.h).
 *
 * Who waits himself for a sweep is not waited for: his command has no I/O of its own, and two that
 * waited for each other would never end. */
#include "sweep.h"

#include <errno.h>
#include <stdlib.h>
#include "server_in.h"
#include "session.h"
#include "worker.h"

struct sweep;

struct sweep_part {
	struct sweep *all;
	struct worker *w;
	struct io_work work;
	struct task_waiter waiter;
};

struct sweep {
	struct scsi_sweep *s;
	unsigned n_left;
	struct sweep_part parts[];
};

static void part_back(struct io_work *work)
{
	struct sweep *a = container_of(work, struct sweep_part, work)->all;
	struct scsi_sweep *s = a->s;

	if (--a->n_left)
		return;
	free(a);
	s->done(s);
}

static void part_settled(struct task_waiter *w)
{
	struct sweep_part *p = container_of(w, struct sweep_part, waiter);

	p->work.fn = part_back;
	io_post(p->all->s->io, &p->work);
}

/* sweep_session - of commands that another nexus ends the initiator hears: by their status (TAS), or by
 * one unit attention for all of them (SPC-4 7.5.10). */
static void sweep_session(
	struct session *s, const struct scsi_sweep *sweep, struct task_waiter *waiter)
{
	bool tas = lu_task_aborted(sweep->lu), any = false;

	list_for_each_safe(node, next, &s->tasks) {
		struct task *t = list_entry(node, struct task, link);
		struct task_waiter *w = scsi_waits(&t->scsi) ? NULL : waiter;

		if (t->scsi.lu != sweep->lu || &t->scsi == sweep->except)
			continue;
		if (sweep->kind == SWEEP_ABORT) {
			any |= task_abort_by_other(t, tas, w);
		} else if (w && t->state == TASK_RUNNING) {
			task_wait(t, w);
		}
	}
	if (any && !tas)
		lu_commands_cleared(sweep->lu, &s->nexus);
}

static void part_run(struct io_work *work)
{
	struct sweep_part *p = container_of(work, struct sweep_part, work);
	const struct scsi_sweep *sweep = p->all->s;

	p->waiter = (struct task_waiter){.n = 1, .settled = part_settled};
	list_for_each(node, &p->w->sessions) {
		struct session *s = list_entry(node, struct session, link);

		if (s->node && sweep->match(sweep, &s->nexus))
			sweep_session(s, sweep, &p->waiter);
	}
	if (!--p->waiter.n)
		part_settled(&p->waiter);
}

int sweep_begin(struct server *server, struct scsi_sweep *s)
{
	unsigned n = server_n_workers(server);
	struct sweep *a = calloc(1, sizeof(*a) + n * sizeof(a->parts[0]));

	if (!a)
		return -ENOMEM;
	a->s = s;
	a->n_left = n;
	for (unsigned i = 0; i < n; i++) {
		struct sweep_part *p = &a->parts[i];

		*p = (struct sweep_part){
			.all = a, .w = server_worker(server, i), .work.fn = part_run};
		list_init(&p->work.link);
	}
	for (unsigned i = 0; i < n; i++)
		io_post(a->parts[i].w->io, &a->parts[i].work);
	return 0;
}
