/* sanitize.c - see sanitize.h.
 *
 *   command checked -> LU_SANITIZING -> what runs on the unit is waited for -> kept, so that a
 * restart goes on with it -> passes of steps -> flushed -> kept that it is over -> the state goes
 * back
 *
 * The command without IMMED is answered at the end, if anybody still wants to know. An operation
 * takes LEAST_NS at least: its state and progress are there for others to see (they poll, with
 * 04h/1Bh and a progress indication), so it must not be over before they have looked.
 *
 * BLOCK ERASE gives all blocks back, as UNMAP does. There is no key that could be thrown away; what
 * CRYPTOGRAPHIC ERASE promises, that nothing of the old content can be read by any means we have,
 * is kept the same way. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "be.h"
#include "body.h"
#include "check.h"
#include "log.h"
#include "sanitize_in.h"
#include "token.h"

enum { STEPS = 64, STEP_LEAST = 1 << 20, STEP_MOST = 64 << 20 };
static const uint64_t least_ns = 6ull * 1000000000;

static void step(struct sanitize *s);

/* --- the operation --- */

static void rest(struct sanitize *s)
{
	s->io = NULL;
	s->waiter = NULL;
}

/* over - the state goes back first: whoever hears of the end finds the unit ready. */
static void over(struct sanitize *s)
{
	struct lu *l = s->l;
	struct scsi_cmd *c = s->waiter;

	if (s->error)
		log_error("%s/%u: sanitize: %s", l->target, l->lun, strerror(-s->error));
	lu_state_set(l, LU_SANITIZE_FAILED, s->error);
	lu_state_set(l, LU_SANITIZING, false);
	if (s->error && c)
		sense_set(c, SENSE_SANITIZE_FAILED);
	rest(s);
	if (c)
		cmd_done(c);
}

static void on_kept_end(struct keep_waiter *w, int error)
{
	over(container_of(w, struct sanitize, keep));
}

/* The record must not say any more that there is something to do. */
static void finish(struct sanitize *s, int error)
{
	s->error = error;
	pthread_mutex_lock(&s->lock);
	s->action = 0;
	s->failed = error;
	pthread_mutex_unlock(&s->lock);
	s->keep.kept = on_kept_end;
	keep_save(s->l, s->io, &s->keep);
}

static void on_flushed(struct vol_op *op, int end)
{
	struct sanitize *s = container_of(op, struct sanitize, op);

	s->op_busy = false;
	finish(s, end > 0 ? -EIO : end);
}

static uint64_t total_bytes(const struct sanitize *s)
{
	return volume_size(s->l->volume) * MAX(s->passes, 1u);
}

static uint64_t done_bytes(const struct sanitize *s)
{
	return volume_size(s->l->volume) * s->pass + s->cursor;
}

static void begin_op(struct sanitize *s, uint64_t len, void (*done)(struct vol_op *, int))
{
	s->op = (struct vol_op){
		.v = s->l->volume,
		.io = s->io,
		.done = done,
		.off = s->cursor,
		.len = len,
		.gen = volume_gen(s->l->volume),
	};
	s->op_busy = true;
}

static void on_work(struct io_work *w)
{
	step(container_of(w, struct sanitize, work));
}

static void on_timer(struct io_timer *t)
{
	step(container_of(t, struct sanitize, timer));
}

/* next_at - the earliest moment for the next step, so that all of them take least_ns. */
static uint64_t next_at(const struct sanitize *s)
{
	double share = (double)done_bytes(s) / (double)total_bytes(s);

	return s->start_ns + (uint64_t)((double)least_ns * share);
}

static void on_stepped(struct vol_op *op, int end)
{
	struct sanitize *s = container_of(op, struct sanitize, op);

	s->op_busy = false;
	if (end == VOL_STALE || end == VOL_FULL || end == -ENOMEM)
		end = 0; /* a reset, or no page now: once more */
	else if (!end)
		s->cursor += op->len;
	if (end) {
		finish(s, end);
		return;
	}
	if (s->cursor == volume_size(s->l->volume)) {
		s->cursor = 0;
		s->pass++;
	}
	atomic_store(
		&s->progress, (uint16_t)((double)done_bytes(s) / (double)total_bytes(s) * 65535));
	if (next_at(s) <= io_now(s->io) || io_timer_set(s->io, &s->timer, next_at(s)))
		io_post(s->io, &s->work);
}

/* SBC-3 5.24.2: with INVERT each pass writes the complement of the one before, and the last one the pattern itself. */
static void make_block(struct sanitize *s)
{
	uint8_t turn = s->invert && (s->passes - 1 - s->pass) % 2 ? 0xff : 0;

	for (uint32_t i = 0; i < s->l->block; i++)
		s->block[i] = s->pattern[i] ^ turn;
}

/* leave - the process ends; what is kept says that there is something to do. */
static void leave(struct sanitize *s)
{
	struct scsi_cmd *c = s->waiter;

	rest(s);
	if (!c)
		return;
	c->aborted = true;
	c->status = SCSI_TASK_ABORTED;
	cmd_done(c);
}

static void step(struct sanitize *s)
{
	uint64_t size = volume_size(s->l->volume);
	uint64_t len =
		round_up(MIN(MAX(size / STEPS, (uint64_t)STEP_LEAST), STEP_MOST), STEP_LEAST);

	if (s->leaving) {
		leave(s);
		return;
	}
	if (s->pass == MAX(s->passes, 1u)) {
		begin_op(s, size, on_flushed);
		volume_flush(&s->op);
		return;
	}
	if (s->cursor == 0)
		make_block(s);
	begin_op(s, MIN(len, size - s->cursor), on_stepped);
	if (s->action == OVERWRITE)
		volume_same(&s->op, s->block);
	else
		volume_zero(&s->op, true);
}

/* --- before its first step --- */

static void on_kept_start(struct keep_waiter *w, int error)
{
	struct sanitize *s = container_of(w, struct sanitize, keep);
	struct scsi_cmd *c = s->waiter;

	if (error) {
		finish(s, error);
		return;
	}
	if (c && c->cdb[1] & IMMED) {
		s->waiter = NULL;
		cmd_done(c);
	}
	step(s);
}

static void drain(struct sanitize *s);

static void on_drain(struct io_timer *t)
{
	drain(container_of(t, struct sanitize, timer));
}

/* drain - copies that commands to other units brought here: none begins another piece by now (the state
 * forbids it), and what is under way must not write behind the erasure. */
static void drain(struct sanitize *s)
{
	io_timer_init(&s->timer, on_drain);
	if (!s->leaving && atomic_load(&s->l->n_copies) &&
		!io_timer_set(s->io, &s->timer, io_now(s->io) + 1000000))
		return;
	io_timer_init(&s->timer, on_timer);
	s->keep.kept = on_kept_start;
	keep_save(s->l, s->io, &s->keep);
}

static void on_swept(struct scsi_sweep *sweep)
{
	struct sanitize *s = container_of(sweep, struct sanitize, sweep);

	tokens_revoke(s->l);
	drain(s);
}

static bool everybody(const struct scsi_sweep *s, const struct nexus *n)
{
	return true;
}

/* A command that is aborted leaves; the operation goes on (SBC-3 4.11.1). */
static void detach(struct scsi_cmd *c)
{
	struct sanitize *s = c->lu->sanitize;

	check(s->waiter == c);
	s->waiter = NULL;
	c->aborted = true;
	cmd_done(c);
}

static void end_unbegun(struct sanitize *s)
{
	pthread_mutex_lock(&s->lock);
	s->action = 0;
	pthread_mutex_unlock(&s->lock);
	lu_state_set(s->l, LU_SANITIZING, false);
	rest(s);
}

void sanitize_begin(struct sanitize *s, struct io *io, struct scsi_cmd *c)
{
	s->io = io;
	s->waiter = c;
	s->pass = 0;
	s->cursor = 0;
	s->error = 0;
	s->start_ns = io_now(io);
	atomic_store(&s->progress, 0);
	s->sweep = (struct scsi_sweep){.kind = SWEEP_WAIT,
		.lu = s->l,
		.io = io,
		.except = c,
		.match = everybody,
		.done = on_swept};
	if (c) {
		c->body->detach = detach;
		c->body->sweeping = true;
	}
	if (lu_sweep(&s->sweep) == 0)
		return;
	end_unbegun(s);
	if (!c)
		return;
	c->status = SCSI_BUSY;
	cmd_done(c);
}

int sanitize_init(struct lu *l)
{
	struct sanitize *s = calloc(1, sizeof(*s) + 2 * l->block);

	if (!s)
		return -ENOMEM;
	pthread_mutex_init(&s->lock, NULL);
	s->l = l;
	s->pattern = (uint8_t *)(s + 1);
	s->block = s->pattern + l->block;
	io_timer_init(&s->timer, on_timer);
	s->work.fn = on_work;
	list_init(&s->work.link);
	l->sanitize = s;
	return 0;
}

void sanitize_deinit(struct lu *l)
{
	if (!l->sanitize)
		return;
	check(!l->sanitize->io);
	pthread_mutex_destroy(&l->sanitize->lock);
	free(l->sanitize);
	l->sanitize = NULL;
}

void sanitize_resume(struct lu *l, struct io *io)
{
	struct sanitize *s = l->sanitize;

	if (!s->action || s->io)
		return;
	log_info("%s/%u: a sanitize operation is begun again", l->target, l->lun);
	sanitize_begin(s, io, NULL);
}

/* On the operation's own reactor; others have nothing to leave. */
bool sanitize_leave(struct lu *l, struct io *io)
{
	struct sanitize *s = l->sanitize;

	if (s->io != io)
		return true;
	s->leaving = true;
	if (s->op_busy)
		volume_cancel(&s->op);
	if (s->timer.index) {
		io_timer_stop(io, &s->timer);
		step(s);
	}
	return !s->io;
}

uint16_t sanitize_progress(const struct lu *l)
{
	return atomic_load(&l->sanitize->progress);
}

/* --- kept over a restart: what to do, or that it failed --- */

enum { KEPT_HEAD = 4, KEPT_FAILED = 0xff };

size_t sanitize_encode(struct lu *l, uint8_t *p, size_t room)
{
	struct sanitize *s = l->sanitize;

	check(room >= KEPT_HEAD + l->block);
	pthread_mutex_lock(&s->lock);
	p[0] = s->failed ? KEPT_FAILED : s->action;
	p[1] = s->ause;
	p[2] = s->invert;
	p[3] = s->passes;
	memcpy(p + KEPT_HEAD, s->pattern, l->block);
	pthread_mutex_unlock(&s->lock);
	return p[0] ? KEPT_HEAD + l->block : 0;
}

bool sanitize_decode(struct lu *l, const uint8_t *p, size_t len)
{
	struct sanitize *s = l->sanitize;

	if (len != KEPT_HEAD + l->block)
		return false;
	s->ause = p[1];
	s->invert = p[2];
	s->passes = p[3];
	memcpy(s->pattern, p + KEPT_HEAD, l->block);
	if (p[0] == KEPT_FAILED) {
		s->failed = true;
		lu_state_set(l, LU_SANITIZE_FAILED, true);
		return true;
	}
	s->action = p[0];
	lu_state_set(l, LU_SANITIZING, true);
	return true;
}
