/* room.c - places for a command's data-out, and waiting for them.
 *
 * A command that did not get its pages stands in two queues: the arena's, for pages that anybody
 * gives back, and its nexus's, for those that come back to the nexus's quota, of which the arena's
 * queue for open pages knows nothing (its head may want more than we do). The first calls from any
 * thread and is posted home; the second is kicked whenever a command of the nexus is released. Both
 * only say 'try again'. */
#include <errno.h>
#include "body.h"
#include "check.h"

/* --- waiting for pages --- */

void room_on_pages(struct arena_wait *w)
{
	struct scsi_body *b = container_of(w, struct scsi_body, wait);

	io_post(b->home, &b->pages);
}

static void stop_waiting(struct scsi_body *b)
{
	struct arena *a = b->landed ? volume_arena(b->landing.v) : NULL;

	list_remove(&b->link);
	if (b->waits && arena_wait_cancel(a, &b->wait)) {
		b->waits = false;
		b->n_calls--;
	}
}

/* pages_missing - what the next landing_take() will ask the arena for. */
static uint32_t pages_missing(const struct scsi_cmd *c)
{
	const struct landing *l = &c->body->landing;
	uint64_t first = l->off / ARENA_PAGE;
	uint64_t n = (l->off + l->len - 1) / ARENA_PAGE - first + 1;

	if (c->line_policy)
		n = round_up(n + first % ARENA_LINE_PAGES, ARENA_LINE_PAGES);
	return (uint32_t)n - l->n_pages;
}

static void wait_for_pages(struct scsi_cmd *c)
{
	struct scsi_body *b = c->body;

	if (!list_linked(&b->link))
		list_push_back(&c->nexus->waiting, &b->link);
	if (b->waits)
		return;
	b->waits = true;
	b->n_calls++;
	b->wait.quota = b->landing.quota;
	arena_wait(volume_arena(b->landing.v), &b->wait, pages_missing(c), b->turned);
}

void room_kick(struct nexus *n)
{
	struct scsi_body *b;

	if (list_empty(&n->waiting))
		return;
	b = list_first(&n->waiting, struct scsi_body, link);
	if (b->kicked)
		return;
	b->kicked = true;
	b->n_calls++;
	io_defer(b->cmd->io, &b->kick);
}

static void try_again(struct scsi_cmd *c)
{
	if (c->state == SCSI_PREPARED && c->out_have < c->out_len)
		c->ops->room(c);
}

void room_on_kick(struct io_work *w)
{
	struct scsi_body *b = container_of(w, struct scsi_body, kick);

	b->kicked = false;
	if (body_called(b))
		try_again(b->cmd);
}

void room_on_posted(struct io_work *w)
{
	struct scsi_body *b = container_of(w, struct scsi_body, pages);

	b->waits = false;
	b->turned = true;
	if (body_called(b))
		try_again(b->cmd);
}

/* --- landings --- */

static void show_landing(struct scsi_cmd *c)
{
	const struct landing *l = &c->body->landing;

	c->out_have = l->have;
	c->out_iov = l->iov;
	c->n_out_iov = l->n_iov;
}

void room_drop(struct scsi_cmd *c)
{
	struct scsi_body *b = c->body;

	if (b->landed) {
		stop_waiting(b);
		landing_drop(&b->landing);
		b->landed = false;
	}
	c->out_len = c->out_have = 0;
	c->out_iov = NULL;
	c->n_out_iov = 0;
}

/* take_pages - all that is missing, when it is this command's turn; else what the unsolicited bytes
 * need. */
static int take_pages(struct scsi_cmd *c, bool turn)
{
	struct landing *l = &c->body->landing;
	uint32_t unasked = MIN(c->unsolicited, c->out_len);
	int end = VOL_FULL;

	if (turn || unasked == c->out_len)
		end = landing_take(l, c->out_len, c->line_policy);
	if (end == VOL_FULL && l->have < unasked)
		end = landing_take(l, unasked, c->line_policy) == 0 ? VOL_FULL : -ENOBUFS;
	show_landing(c);
	return end;
}

/* is_turn - who comes new does not overtake those who wait, except with what his quota promises
 * him. */
static bool is_turn(struct scsi_cmd *c, struct arena *a)
{
	const struct quota *q = c->body->landing.quota;

	if (!list_empty(&c->nexus->waiting))
		return false;
	return (q && q->a && q->n_granted - q->n_used >= pages_missing(c)) || !arena_waited(a);
}

void cmd_landing(struct scsi_cmd *c, uint64_t off)
{
	struct scsi_body *b = c->body;
	struct volume *v = c->lu->volume;
	struct arena *a = volume_arena(v);
	struct nexus *n = c->nexus;
	int end;

	if (c->out_len == 0)
		return;
	landing_init(
		&b->landing, v, off, c->out_len, n->find_quota ? n->find_quota(n, a) : n->quota);
	b->landed = true;
	end = take_pages(c, is_turn(c, a));
	if (end == VOL_FULL && (uint64_t)c->out_len + ARENA_PAGE > arena_n_pages(a) * ARENA_PAGE)
		end = -ENOBUFS; /* it can never have them */
	if (end == VOL_FULL)
		wait_for_pages(c);
	else if (end != 0)
		c->status = end == -ENOBUFS ? SCSI_TASK_SET_FULL : SCSI_BUSY;
	if (c->status == SCSI_GOOD && (off | c->out_len) & (ARENA_PAGE - 1))
		volume_base(v, c->io, off, c->out_len);
}

void scsi_room(struct scsi_cmd *c)
{
	struct scsi_body *b = c->body;
	int end;

	if (c->state != SCSI_PREPARED || c->out_have == c->out_len)
		return;
	end = take_pages(c, true);
	if (end == 0) {
		stop_waiting(b);
		room_kick(c->nexus);
	} else {
		wait_for_pages(c); /* keeps its place; -ENOMEM too may pass */
	}
}
