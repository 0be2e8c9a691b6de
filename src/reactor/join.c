/* join.c - see join.h. */
#include "join.h"

#include <stdlib.h>
#include "counter.h"

struct joint {
	struct io_disk d;
	struct list link; /* join.idle */
	struct join *join;
	struct list parts; /* io_disk.link; d.len is what they sum up to */
	struct iovec iov[JOIN_IOV];
};

static uint64_t len_of(const struct io_disk *d)
{
	uint64_t len = 0;

	for (unsigned i = 0; i < d->n_iov; i++)
		len += d->iov[i].iov_len;
	return len;
}

/* --- joints are kept, so that a turn takes no memory --- */
static struct joint *joint_get(struct join *j)
{
	struct list *node = list_pop(&j->idle);

	if (node) {
		j->n_idle--;
		return list_entry(node, struct joint, link);
	}
	return malloc(sizeof(struct joint));
}

static void joint_put(struct joint *t)
{
	struct join *j = t->join;

	if (j->n_idle == JOIN_IDLE) {
		free(t);
		return;
	}
	list_push_back(&j->idle, &t->link);
	j->n_idle++;
}

/* --- the end --- */
static void on_joint(struct io_disk *joint, int64_t res)
{
	struct joint *t = container_of(joint, struct joint, d);
	struct join *j = t->join;
	uint64_t moved = res < 0 ? 0 : (uint64_t)res;
	struct list parts, *node;

	list_init(&parts);
	list_splice_back(&parts, &t->parts);
	joint_put(t);
	while ((node = list_pop(&parts))) {
		struct io_disk *d = list_entry(node, struct io_disk, link);
		uint64_t n = MIN(len_of(d), moved);

		moved -= n;
		if (n)
			d->done(d, (int64_t)n);
		else
			list_push_back(j->out, &d->link);
	}
}

/* --- joining --- */
static bool may_join(const struct io_disk *d)
{
	return (d->kind == IO_READ || d->kind == IO_WRITE) && d->n_iov && !(d->flags & IO_ALONE);
}

/* continues - the next of the turn begins where a request of this length ends. */
static struct io_disk *continues(const struct join *j, const struct io_disk *d, uint64_t len)
{
	struct io_disk *next;

	if (list_empty(&j->fresh))
		return NULL;
	next = list_first(&j->fresh, struct io_disk, link);
	return next->kind == d->kind && next->fd == d->fd && next->flags == d->flags &&
			       next->off == d->off + len
		       ? next
		       : NULL;
}

/* True: its vectors have room; pieces of memory that meet become one. */
static bool take(struct joint *t, struct io_disk *d)
{
	uint64_t len = len_of(d);

	if (!len || len > JOIN_PART || t->d.len + len > JOIN_MOST ||
		t->d.n_iov + d->n_iov > JOIN_IOV)
		return false;
	for (unsigned i = 0; i < d->n_iov; i++) {
		struct iovec *last = t->d.n_iov ? &t->iov[t->d.n_iov - 1] : NULL;

		if (last && (char *)last->iov_base + last->iov_len == d->iov[i].iov_base)
			last->iov_len += d->iov[i].iov_len;
		else
			t->iov[t->d.n_iov++] = d->iov[i];
	}
	t->d.len += len;
	list_remove(&d->link);
	list_push_back(&t->parts, &d->link);
	return true;
}

static void joint_begin(struct joint *t, struct join *j, const struct io_disk *d)
{
	t->d = (struct io_disk){.kind = d->kind,
		.flags = d->flags,
		.fd = d->fd,
		.off = d->off,
		.iov = t->iov,
		.done = on_joint};
	list_init(&t->d.link);
	list_init(&t->link);
	list_init(&t->parts);
	t->join = j;
}

/* joined - d, which is off the list, and those that continue it. NULL: it stays alone. */
static struct io_disk *joined(struct join *j, struct io_disk *d)
{
	struct joint *t;
	struct io_disk *next;
	unsigned n = 1;

	if (!may_join(d) || !continues(j, d, len_of(d)))
		return NULL;
	t = joint_get(j);
	if (!t)
		return NULL;
	joint_begin(t, j, d);
	if (!take(t, d)) {
		joint_put(t);
		return NULL;
	}
	for (; (next = continues(j, &t->d, t->d.len)) && take(t, next); n++)
		;
	if (n == 1) { /* the next one was too long */
		list_remove(&d->link);
		joint_put(t);
		return NULL;
	}
	count(CTR_DISK_JOINED, n - 1);
	return &t->d;
}

void join_init(struct join *j, struct list *out)
{
	*j = (struct join){.out = out};
	list_init(&j->fresh);
	list_init(&j->idle);
}

void join_deinit(struct join *j)
{
	struct list *node;

	check(list_empty(&j->fresh));
	while ((node = list_pop(&j->idle)))
		free(list_entry(node, struct joint, link));
}

void join_flush(struct join *j)
{
	struct list *node;

	while ((node = list_pop(&j->fresh))) {
		struct io_disk *d = list_entry(node, struct io_disk, link);
		struct io_disk *all = joined(j, d);

		list_push_back(j->out, all ? &all->link : &d->link);
	}
}
