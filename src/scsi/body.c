/* body.c - a nexus's bodies: taken by commands, given back, and outlived by calls on their way.
 *
 * The hard part is who may still call whom. A body can be named by the arena's wait (its fn runs on
 * any thread and posts), by a deferred kick, by a post for the next step, by a save or a sweep.
 * They are counted in n_calls; a body released while some are on their way is no command's any more
 * (cmd is NULL), and the last of them frees it. */
#include <stdlib.h>
#include "body.h"
#include "check.h"

/* --- bodies --- */

static struct scsi_body *body_new(void)
{
	struct scsi_body *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	list_init(&b->link);
	list_init(&b->wait.link);
	list_init(&b->pages.link);
	list_init(&b->kick.link);
	list_init(&b->next.link);
	b->wait.fn = room_on_pages;
	b->pages.fn = room_on_posted;
	b->kick.fn = room_on_kick;
	b->next.fn = cmd_on_next;
	return b;
}

struct scsi_body *body_take(struct scsi_cmd *c)
{
	struct list *l = list_pop(&c->nexus->spare);
	struct scsi_body *b = l ? list_entry(l, struct scsi_body, link) : body_new();

	if (!b)
		return NULL;
	b->cmd = c;
	b->home = c->io;
	b->busy = b->aborting = b->in_abort = b->landed = b->pinned = false;
	b->waits = b->kicked = b->turned = b->inside = b->came = false;
	b->lba = b->off = b->len = 0;
	b->op.bad = VOL_NOWHERE;
	b->data = NULL;
	b->data_len = 0;
	b->found = NULL;
	b->detach = NULL;
	b->sweeping = false;
	return b;
}

static void drop_data(struct scsi_body *b)
{
	if (b->data != b->small)
		free(b->data);
	b->data = NULL;
}

void body_give(struct scsi_body *b, struct nexus *n)
{
	check(!b->busy);
	drop_data(b);
	b->cmd = NULL;
	if (b->n_calls == 0)
		list_push_front(&n->spare, &b->link);
}

bool body_called(struct scsi_body *b)
{
	check(b->n_calls > 0);
	b->n_calls--;
	if (b->cmd)
		return true;
	if (b->n_calls == 0)
		free(b);
	return false;
}
