/* framer-task.c - tasks of the rig: their memory and their windows (see framer-task.h). */
#include "framer-task.h"

#include <stdlib.h>
#include <string.h>
#include "be.h"
#include "check.h"
#include "framer-stream.h"

enum { GUARD = 32, GUARD_BYTE = 0xa5 };

/* --- memory of a task, with guards between its pieces --- */

static void memory_make(struct rig_task *t)
{
	uint32_t len = t->cdb.half ? t->cdb.length / 2 : t->cdb.length;
	uint32_t piece = t->cdb.fragment ? t->cdb.fragment : MAX(len, 1);
	size_t at = GUARD;

	t->n_iov = (len + piece - 1) / piece;
	t->iov = calloc(t->n_iov + 1, sizeof(*t->iov));
	t->mem_len = len + (size_t)(t->n_iov + 1) * GUARD;
	t->mem = malloc(t->mem_len);
	memset(t->mem, GUARD_BYTE, t->mem_len);
	for (unsigned i = 0; i < t->n_iov; i++) {
		uint32_t here = MIN(piece, len - i * piece);

		t->iov[i] = (struct iovec){t->mem + at, here};
		at += here + GUARD;
	}
}

static void guard_check(const struct rig_task *t, size_t at)
{
	for (unsigned i = 0; i < GUARD; i++)
		check(t->mem[at + i] == GUARD_BYTE);
}

static void guards_check(const struct rig_task *t)
{
	size_t at = 0;

	guard_check(t, at);
	for (unsigned i = 0; i < t->n_iov; i++) {
		at += GUARD + t->iov[i].iov_len;
		guard_check(t, at);
	}
}

/* counted_check - bytes [from, to) are where they belong. */
static void counted_check(const struct rig_task *t, uint32_t from, uint32_t to)
{
	uint32_t at = 0;

	for (unsigned i = 0; i < t->n_iov; i++) {
		const uint8_t *b = t->iov[i].iov_base;

		for (size_t k = 0; k < t->iov[i].iov_len; k++, at++)
			check(at < from || at >= to || b[k] == pattern_at(t->itt, at));
	}
}

/* What is freed is another connection's at once: its windows are open, and lie in its memory. */
static uint8_t foreign[64 << 10];
static const struct iovec foreign_iov = {foreign, sizeof(foreign)};

void rig_task_free(struct rig_task *t)
{
	struct place at = {.iov = &foreign_iov, .n = 1};

	guards_check(t);
	free(t->iov);
	free(t->mem);
	t->used = false;
	window_init(&t->immediate, NULL, ITT_NONE, 0, 0, sizeof(foreign), at);
	window_init(&t->unasked, NULL, ITT_NONE, 0, 0, sizeof(foreign), at);
}

static struct place memory_at(const struct rig_task *t, uint32_t offset)
{
	uint32_t len = t->cdb.half ? t->cdb.length / 2 : t->cdb.length;

	if (offset >= len)
		return (struct place){.n = 0};
	return place_at((struct place){.iov = t->iov, .n = t->n_iov}, offset);
}

/* --- tasks --- */

struct rig_task *rig_find(struct rig *r, uint32_t itt)
{
	for (unsigned i = 0; i < RIG_TASKS; i++) {
		if (r->tasks[i].used && r->tasks[i].itt == itt)
			return &r->tasks[i];
	}
	return NULL;
}

static void task_grants(struct rig *r, struct rig_task *t)
{
	while (t->n_open < t->cdb.n_r2t && t->granted < t->cdb.length) {
		uint32_t len = MIN(t->cdb.burst, t->cdb.length - t->granted);
		struct dpt_entry *e;
		struct window w;

		window_init(&w, t, t->itt, 0, t->granted, len, memory_at(t, t->granted));
		check(dpt_grant(&r->dpt, &w, &e) == 0);
		t->granted += len;
		t->n_open++;
	}
}

static void task_goes_on(struct rig *r, struct rig_task *t)
{
	if (window_left(&t->immediate) || window_left(&t->unasked))
		return;
	task_grants(r, t);
	if (t->arrived < t->cdb.length)
		return;
	counted_check(t, 0, t->cdb.length);
	rig_task_free(t);
	r->n_done++;
}

void rig_task_command(struct rig *r, const uint8_t *bhs, struct rx_target *target)
{
	const uint8_t *cdb = bhs + RIG_CDB_AT;
	uint32_t len = bhs_data_len(bhs), itt = get_be32(bhs + 16);
	struct rig_task *t = r->tasks;

	while (t->used)
		t++;
	check(t < r->tasks + RIG_TASKS);
	*t = (struct rig_task){.used = true,
		.itt = itt,
		.cdb = {.length = get_be32(cdb),
			.burst = get_be32(cdb + 4),
			.unasked = get_be32(cdb + 8),
			.fragment = get_be16(cdb + 12),
			.n_r2t = cdb[14],
			.half = cdb[15]}};
	memory_make(t);
	window_init(&t->immediate, t, itt, 0, 0, len, memory_at(t, 0));
	window_init(&t->unasked, t, itt, 0, len, MAX(t->cdb.unasked, len) - len, memory_at(t, len));
	t->granted = MAX(t->cdb.unasked, len);
	if (window_left(&t->unasked) && t->unasked.start.n)
		r->f.unsolicited = &t->unasked;
	r->task = t;
	r->window = &t->immediate;
	if (len)
		*target = (struct rx_target){.place = t->immediate.next, .window = &t->immediate};
}

void rig_task_data_out(struct rig *r, const uint8_t *bhs, struct rx_target *target)
{
	struct data_out h = {.itt = get_be32(bhs + 16),
		.ttt = get_be32(bhs + 20),
		.datasn = get_be32(bhs + 36),
		.offset = get_be32(bhs + 40),
		.length = bhs_data_len(bhs),
		.final = bhs[1] & 0x80};
	struct window *w = NULL;
	enum counter why;
	enum data_out_fate fate = DATA_OUT_REFUSED;
	struct rig_task *t = rig_find(r, h.itt);

	if (h.ttt != TAG_NONE) {
		fate = dpt_check(&r->dpt, &h, &w, &r->entry, &why);
	} else if (t && window_left(&t->unasked)) {
		w = &t->unasked;
		fate = window_check(w, &h, &why);
	}
	r->n_refused += fate == DATA_OUT_REFUSED;
	r->n_drained += fate == DATA_OUT_DRAIN;
	rig_note(r, fate);
	if (fate != DATA_OUT_PLACE)
		return;
	r->window = w;
	r->task = w->task;
	if (w->start.n)
		*target = (struct rx_target){.place = w->next, .window = w};
}

void rig_task_counts(struct rig *r)
{
	struct rig_task *t = r->task;
	struct window *w = r->window;
	uint32_t len = bhs_data_len(r->bhs);

	if (w != &t->immediate || len)
		window_count(w, len);
	t->arrived += len;
	if (!window_left(w) && r->f.unsolicited == w)
		r->f.unsolicited = NULL;
	if (!window_left(w) && r->entry) {
		t->n_open--;
		dpt_close(&r->dpt, r->entry);
	}
	task_goes_on(r, t);
}

void rig_abort(struct rig *r, struct rig_task *t)
{
	list_for_each_safe(node, next, &r->dpt.granted) {
		struct dpt_entry *e = list_entry(node, struct dpt_entry, link);

		if (e->w.task != t)
			continue;
		counted_check(t, e->w.offset, e->w.offset + e->w.filled);
		dpt_drain(&r->dpt, e);
	}
	if (r->f.unsolicited == &t->unasked)
		r->f.unsolicited = NULL;
	if (r->task == t) {
		r->task = NULL;
		r->window = NULL;
		r->entry = NULL;
		r->f.target = (struct rx_target){.window = NULL};
	}
	t->itt = ITT_NONE;
	if (r->walking)
		r->parting[r->n_parting++] = t;
	else
		rig_task_free(t);
}

bool rig_task_owns(const struct rig *r, const struct iovec *v)
{
	const uint8_t *b = v->iov_base;

	for (unsigned i = 0; i < RIG_TASKS; i++) {
		const struct rig_task *t = &r->tasks[i];

		if (t->used && b >= t->mem && b + v->iov_len <= t->mem + t->mem_len)
			return true;
	}
	return false;
}
