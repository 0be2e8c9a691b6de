/* cmd.c - the life of a command: prepare, room, execute, abort, release (scsi.h tells the order).
 *
 * The hard part is who may still call whom. A body can be named by calls on their way: the arena's
 * wait (its fn runs on any thread and posts), a post for the next step, a deferred kick. They are
 * counted in n_calls; a body released while some are on their way is no command's any more (cmd is
 * NULL) and is given back by the last of them.
 *
 * Waiting for pages. A command that did not get its pages stands in two queues: the arena's, for
 * pages that anybody gives back, and its nexus's, for those that come back to the nexus's quota,
 * which the arena's queue knows nothing of (its head may want more than we do). The first is a post
 * from the arena, the second a kick whenever a command of the nexus is released. Both only say 'try
 * again'. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "attention.h"
#include "body.h"
#include "check.h"
#include "log.h"

/* --- nexus --- */

void nexus_init(struct nexus *n)
{
	list_init(&n->ua);
	list_init(&n->waiting);
	list_init(&n->spare);
}

void nexus_deinit(struct nexus *n)
{
	struct list *l;

	if (!n->spare.next)
		return; /* never initialised */
	check(list_empty(&n->waiting));
	attention_clear(n);
	while ((l = list_pop(&n->spare)))
		free(list_entry(l, struct scsi_body, link));
}

/* --- bodies --- */

static void on_pages(struct arena_wait *w);
static void on_posted(struct io_work *w);
static void on_kick(struct io_work *w);
static void on_next(struct io_work *w);

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
	b->wait.fn = on_pages;
	b->pages.fn = on_posted;
	b->kick.fn = on_kick;
	b->next.fn = on_next;
	return b;
}

static struct scsi_body *body_take(struct scsi_cmd *c)
{
	struct list *l = list_pop(&c->nexus->spare);
	struct scsi_body *b = l ? list_entry(l, struct scsi_body, link) : body_new();

	if (!b)
		return NULL;
	b->cmd = c;
	b->busy = b->aborting = b->in_abort = b->landed = b->pinned = false;
	b->waits = b->kicked = b->turned = b->inside = b->came = false;
	b->lba = b->off = b->len = 0;
	b->data = NULL;
	b->data_len = 0;
	return b;
}

static void drop_data(struct scsi_body *b)
{
	if (b->data != b->small)
		free(b->data);
	b->data = NULL;
}

static void body_give(struct scsi_body *b, struct nexus *n)
{
	check(!b->busy);
	drop_data(b);
	b->cmd = NULL;
	if (b->n_calls == 0)
		list_push_front(&n->spare, &b->link);
}

/* called - a call that was on its way is here; false: it came too late, the command is gone. */
static bool called(struct scsi_body *b)
{
	check(b->n_calls > 0);
	b->n_calls--;
	if (b->cmd)
		return true;
	if (b->n_calls == 0)
		free(b);
	return false;
}

/* --- waiting for pages --- */

static void on_pages(struct arena_wait *w) /* any thread */
{
	struct scsi_body *b = container_of(w, struct scsi_body, wait);

	io_post(b->op.io, &b->pages);
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
	b->op.io = c->io; /* where on_pages() posts to */
	b->wait.quota = b->landing.quota;
	arena_wait(volume_arena(b->landing.v), &b->wait, pages_missing(c), b->turned);
}

/* kick_waiting - pages of this nexus may have come back: let the command that waits longest try. */
static void kick_waiting(struct nexus *n)
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

static void on_kick(struct io_work *w)
{
	struct scsi_body *b = container_of(w, struct scsi_body, kick);

	b->kicked = false;
	if (called(b))
		try_again(b->cmd);
}

static void on_posted(struct io_work *w)
{
	struct scsi_body *b = container_of(w, struct scsi_body, pages);

	b->waits = false;
	b->turned = true;
	if (called(b))
		try_again(b->cmd);
}

static void on_next(struct io_work *w)
{
	struct scsi_body *b = container_of(w, struct scsi_body, next);

	if (!called(b))
		return;
	if (b->cmd->state == SCSI_DONE)
		b->cmd->ops->done(b->cmd); /* was put off by scsi_abort() */
	else
		cmd_run(b->cmd);
}

/* --- landings --- */

static void show_landing(struct scsi_cmd *c)
{
	const struct landing *l = &c->body->landing;

	c->out_have = l->have;
	c->out_iov = l->iov;
	c->n_out_iov = l->n_iov;
}

static void drop_landing(struct scsi_cmd *c)
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
	return !arena_waited(a) || (q && q->a && q->n_granted - q->n_used >= pages_missing(c));
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
		kick_waiting(c->nexus);
	} else {
		wait_for_pages(c); /* keeps its place; -ENOMEM too may pass */
	}
}

/* --- data-out --- */

/* RFC 7143 11.3.1, 11.4.5: EDTL says what the initiator has. Less than the CDB asks for is a
 * residual overflow and the device takes what there is, in whole blocks; a part of a block fits
 * nothing. A command that takes data while the initiator waits for some would throw the data away
 * with GOOD status. */
bool cmd_wish(struct scsi_cmd *c, uint32_t full, uint32_t unit)
{
	uint32_t have = c->write ? c->edtl : 0;

	c->out_full = full;
	if (full == 0)
		return true;
	if ((!c->write && c->edtl > 0) || (have < full && have % unit)) {
		sense_set(c, SENSE_INVALID_FIELD_IN_IU);
		return false;
	}
	c->out_len = MIN(full, have);
	return true;
}

static uint8_t *take_data(struct scsi_body *b, uint32_t len)
{
	b->data = len <= BODY_INLINE ? b->small : malloc(len);
	b->data_len = len;
	return b->data;
}

void cmd_list(struct scsi_cmd *c)
{
	struct scsi_body *b = c->body;

	if (c->out_len == 0)
		return;
	if (!take_data(b, c->out_len)) {
		c->status = SCSI_BUSY;
		return;
	}
	b->data_iov = (struct iovec){.iov_base = b->data, .iov_len = c->out_len};
	c->out_iov = &b->data_iov;
	c->n_out_iov = 1;
	c->out_have = c->out_len;
}

/* --- data-in --- */

uint8_t *cmd_in(struct scsi_cmd *c, uint32_t len)
{
	struct scsi_body *b = c->body;

	if (!take_data(b, len)) {
		c->status = SCSI_BUSY;
		return NULL;
	}
	return memset(b->data, 0, len);
}

void cmd_in_done(struct scsi_cmd *c, uint32_t len, uint32_t alloc)
{
	struct scsi_body *b = c->body;

	check(len <= b->data_len);
	c->in_len = MIN(len, alloc); /* SPC-4 4.2.5.6 */
	b->data_iov = (struct iovec){.iov_base = b->data, .iov_len = c->in_len};
	c->in_iov = &b->data_iov;
	c->n_in_iov = c->in_len ? 1 : 0;
	cmd_done(c);
}

/* --- the volume --- */

struct vol_op *cmd_op(
	struct scsi_cmd *c, uint64_t off, uint64_t len, void (*done)(struct vol_op *, int end))
{
	struct scsi_body *b = c->body;

	check(!b->busy);
	b->op.v = c->lu->volume;
	b->op.io = c->io;
	b->op.done = done;
	b->op.off = off;
	b->op.len = len;
	b->op.gen = c->lun_gen;
	b->op.durable = false;
	b->busy = true;
	return &b->op;
}

struct scsi_cmd *cmd_of(struct vol_op *op)
{
	struct scsi_body *b = container_of(op, struct scsi_body, op);

	b->busy = false;
	return b->cmd;
}

void cmd_run(struct scsi_cmd *c)
{
	struct scsi_body *b = c->body;
	uint64_t lines = 0;

	while (lines < BODY_LINES) {
		if (b->aborting) {
			cmd_end(c, VOL_STALE, SENSE_INTERNAL_FAILURE);
			return;
		}
		b->inside = true;
		b->came = false;
		if (!b->step(c))
			return;
		b->inside = false;
		if (!b->came)
			return; /* cmd_stepped() goes on */
		lines += b->op.len / ARENA_LINE + 1;
		if (!b->stepped(c, b->end))
			return;
	}
	b->n_calls++;
	io_post(c->io, &b->next);
}

void cmd_stepped(struct vol_op *op, int end)
{
	struct scsi_cmd *c = cmd_of(op);
	struct scsi_body *b = c->body;

	b->end = end;
	b->came = true;
	if (!b->inside && b->stepped(c, end))
		cmd_run(c);
}

/* --- prepare, execute, end --- */

static bool has_verdict(const struct scsi_cmd *c)
{
	return c->status != SCSI_GOOD;
}

static void clear_answer(struct scsi_cmd *c)
{
	c->out_len = c->out_have = c->out_full = 0;
	c->out_iov = NULL;
	c->n_out_iov = 0;
	c->aborted = false;
	c->status = SCSI_GOOD;
	c->sense_len = 0;
	c->in_iov = NULL;
	c->n_in_iov = 0;
	c->in_len = 0;
	c->row = NULL;
}

void scsi_prepare(struct scsi_cmd *c)
{
	clear_answer(c);
	c->state = SCSI_PREPARED;
	c->lu = lu_at(c->nexus, c->lun);
	c->lun_gen = c->lu ? volume_gen(c->lu->volume) : 0;
	c->body = body_take(c);
	if (!c->body) {
		c->status = SCSI_BUSY;
		return;
	}
	if (cdb_check(c))
		c->row->prepare(c);
	if (has_verdict(c))
		drop_landing(c);
}

void scsi_execute(struct scsi_cmd *c)
{
	check(c->state == SCSI_PREPARED);
	check(c->out_have == c->out_len);
	c->state = SCSI_RUNNING;
	if (c->body && cdb_check_state(c))
		c->row->execute(c);
	else
		cmd_done(c);
}

void cmd_done(struct scsi_cmd *c)
{
	struct scsi_body *b = c->body;

	check(c->state == SCSI_RUNNING);
	if (has_verdict(c)) {
		c->in_len = 0;
		c->n_in_iov = 0;
	}
	c->state = SCSI_DONE;
	if (!b || !b->in_abort) {
		c->ops->done(c);
		return;
	}
	b->n_calls++;
	io_post(c->io, &b->next);
}

void cmd_end(struct scsi_cmd *c, int end, enum sense machine)
{
	switch (end) {
	case 0:
		break;
	case VOL_STALE:
		c->aborted = true;
		c->status = SCSI_TASK_ABORTED;
		break;
	case VOL_FULL:
		c->status = SCSI_TASK_SET_FULL;
		break;
	case -ENOMEM:
		c->status = SCSI_BUSY;
		break;
	case -ENOSPC:
	case -EDQUOT:
	case -EFBIG:
		sense_set(c, SENSE_SPACE_ALLOCATION_FAILED);
		break;
	case -EROFS:
		sense_set(c, SENSE_WRITE_PROTECTED);
		break;
	default:
		log_warn("lun %u: %s: %s", c->lu->lun, c->row->name, strerrordesc_np(-end));
		if (c->body->len == c->lu->block) /* else nobody knows which of them it was */
			sense_info(c, machine, c->body->lba);
		else
			sense_set(c, machine);
	}
	if (c->body->aborting)
		c->aborted = true;
	cmd_done(c);
}

bool scsi_abort(struct scsi_cmd *c)
{
	struct scsi_body *b = c->body;

	switch (c->state) {
	case SCSI_RUNNING:
		b->aborting = true;
		b->in_abort = true;
		if (b->busy)
			volume_cancel(&b->op);
		b->in_abort = false;
		return false;
	case SCSI_PREPARED:
		if (b)
			drop_landing(c);
		c->state = SCSI_DONE;
		c->aborted = true;
		return true;
	default:
		return true;
	}
}

static void end_prepared(struct scsi_cmd *c)
{
	check(c->state == SCSI_PREPARED);
	if (c->body)
		drop_landing(c);
	c->in_len = 0;
	c->n_in_iov = 0;
	c->state = SCSI_DONE;
}

void scsi_fail(struct scsi_cmd *c, enum sense why)
{
	end_prepared(c);
	sense_set(c, why);
}

void scsi_busy(struct scsi_cmd *c)
{
	end_prepared(c);
	c->status = SCSI_BUSY;
}

void scsi_release(struct scsi_cmd *c)
{
	struct scsi_body *b = c->body;

	check(c->state != SCSI_RUNNING);
	c->state = SCSI_IDLE;
	c->body = NULL;
	if (!b)
		return;
	if (b->pinned)
		volume_unpin(&b->op);
	c->body = b;
	drop_landing(c);
	c->body = NULL;
	body_give(b, c->nexus);
	kick_waiting(c->nexus);
}
