/* framer-rig.c - the tests' target behind the framer, and the parser it is compared with. */
#include "framer-task.h"
#include "plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "be.h"
#include "check.h"

/* --- the log --- */

void rig_note(struct rig *r, uint64_t v)
{
	if (r->n_log == r->room_log) {
		r->room_log = r->room_log ? r->room_log * 2 : 256;
		r->log = realloc(r->log, r->room_log * sizeof(*r->log));
		check(r->log);
	}
	r->log[r->n_log++] = v;
}

static uint64_t hash(const uint8_t *b, size_t len)
{
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < len; i++)
		h = (h ^ b[i]) * 0x100000001b3;
	return h;
}

bool rig_same(const struct rig *a, const struct rig *b)
{
	size_t n = MIN(a->n_log, b->n_log);

	for (size_t i = 0; i < n; i++) {
		if (a->log[i] != b->log[i]) {
			fprintf(stderr, "event %zu differs\n", i);
			return false;
		}
	}
	if (a->n_log != b->n_log)
		fprintf(stderr, "%zu events, and %zu\n", a->n_log, b->n_log);
	return a->n_log == b->n_log;
}

/* --- the calls up --- */

static void opaque(struct rig *r, uint32_t len, struct rx_target *t)
{
	if (!len)
		return;
	r->opaque = malloc(len);
	r->opaque_iov = (struct iovec){r->opaque, len};
	t->place = (struct place){.iov = &r->opaque_iov, .n = 1};
}

static int rig_header(void *ctx, const uint8_t *bhs, struct rx_target *target)
{
	struct rig *r = ctx;

	check(!r->stopped);
	memcpy(r->bhs, bhs, BHS_LEN);
	rig_note(r, hash(bhs, BHS_LEN + bhs_ahs_len(bhs)));
	r->n_pdus++;
	r->task = NULL;
	r->window = NULL;
	r->entry = NULL;
	switch (bhs[0] & 0x3f) {
	case OP_SCSI_COMMAND:
		rig_task_command(r, bhs, target);
		break;
	case OP_DATA_OUT:
		rig_task_data_out(r, bhs, target);
		break;
	case OP_TEXT_REQUEST:
		opaque(r, bhs_data_len(bhs), target);
		break;
	case OP_LOGOUT_REQUEST:
		r->stopped = true;
		return RX_STOP;
	}
	return RX_MORE;
}

static int rig_payload(void *ctx, bool damaged)
{
	struct rig *r = ctx;
	struct rig_task *t;

	check(!r->stopped);
	r->n_damaged += damaged;
	if (r->task && !damaged)
		rig_task_counts(r);
	if (r->opaque)
		rig_note(r, hash(r->opaque, r->opaque_iov.iov_len));
	free(r->opaque);
	r->opaque = NULL;
	r->task = NULL;
	if ((r->bhs[0] & 0x3f) == OP_TASK_MGMT && (t = rig_find(r, get_be32(r->bhs + 20))))
		rig_abort(r, t);
	rig_note(r, ~(uint64_t)r->n_pdus);
	if (get_be32(r->bhs + 16) == RIG_STOP_ITT) {
		r->stopped = true;
		return RX_STOP;
	}
	return RX_MORE;
}

static void rig_header_damaged(void *ctx)
{
	struct rig *r = ctx;

	r->stopped = true;
	r->n_damaged++;
}

static const struct framer_ops rig_ops = {
	.header = rig_header, .payload = rig_payload, .header_damaged = rig_header_damaged};

/* --- life --- */

void rig_init(struct rig *r, unsigned header_digest, unsigned data_digest)
{
	memset(r, 0, sizeof(*r));
	check(rx_scratch_new(&r->scratch) == 0);
	check(dpt_init(&r->dpt, 7) == 0);
	framer_init(&r->f, &rig_ops, r, r->scratch, &r->dpt);
	r->f.stores = true; /* it is a target */
	r->f.header_digest = (uint8_t)header_digest;
	r->f.data_digest = (uint8_t)data_digest;
	r->f.need = BHS_LEN + header_digest;
}

void rig_deinit(struct rig *r)
{
	for (unsigned i = 0; i < RIG_TASKS; i++) {
		if (r->tasks[i].used)
			rig_task_free(&r->tasks[i]);
	}
	framer_deinit(&r->f);
	dpt_deinit(&r->dpt);
	rx_scratch_free(r->scratch);
	free(r->opaque);
	free(r->log);
}

uint64_t rig_counter(const struct rig *r, enum counter c)
{
	return r->counters.v[c];
}

/* --- the parser that knows everything --- */

static void copy_in(struct place to, const uint8_t *from, uint32_t len)
{
	struct iovec iov[4096];
	size_t got;
	unsigned n = place_fill(to, len, iov, ARRAY_LEN(iov), &got);

	for (unsigned i = 0; i < n; from += iov[i++].iov_len)
		memcpy(iov[i].iov_base, from, iov[i].iov_len);
}

static size_t header_len(const struct stream *s, const uint8_t *bhs)
{
	return BHS_LEN + bhs_ahs_len(bhs) + s->header_digest;
}

static size_t payload_len(const struct stream *s, const uint8_t *bhs)
{
	uint32_t len = bhs_data_len(bhs);

	return len + (len ? pad_len(len) + s->data_digest : 0);
}

void rig_whole(struct rig *r, const struct stream *s, size_t from)
{
	while (from < s->len && !r->stopped) {
		const uint8_t *bhs = s->bytes + from;
		struct rx_target t = {.window = NULL};

		if (rig_header(r, bhs, &t) == RX_STOP)
			return;
		from += header_len(s, bhs);
		copy_in(t.place, s->bytes + from, bhs_data_len(bhs));
		from += payload_len(s, bhs);
		rig_payload(r, false);
	}
}

static void abort_if_there(struct rig *r, uint32_t itt)
{
	struct rig_task *t = rig_find(r, itt);

	if (t)
		rig_abort(r, t);
}

void rig_whole_but(struct rig *r, const struct stream *s, size_t from, size_t at, uint32_t itt)
{
	const uint8_t *bhs = s->bytes + from;
	size_t header = header_len(s, bhs), payload = payload_len(s, bhs);
	struct rx_target t = {.window = NULL};

	if (at < header)
		abort_if_there(r, itt);
	check(rig_header(r, bhs, &t) == RX_MORE);
	if (at >= header && at < header + payload) {
		bool had = r->task;

		abort_if_there(r, itt);
		if (had && !r->task)
			t.place.n = 0;
	}
	copy_in(t.place, s->bytes + from + header, bhs_data_len(bhs));
	rig_payload(r, false);
	if (at >= header + payload)
		abort_if_there(r, itt);
}

/* --- through the framer --- */

/* is_ours - memory of a task that is there, or of the text under way. */
static bool is_ours(const struct rig *r, const struct iovec *v)
{
	const uint8_t *b = v->iov_base;

	return (r->opaque && b >= r->opaque &&
		       b + v->iov_len <= r->opaque + r->opaque_iov.iov_len) ||
	       rig_task_owns(r, v);
}

static void plan_watch(struct rig *r, const struct iovec *iov, unsigned n)
{
	size_t bytes = 0;

	check(n);
	for (unsigned i = 0; i < n; i++) {
		check(iov[i].iov_len);
		check(r->scratch->plan.kind[i] != SPAN_PLACE || is_ours(r, &iov[i]));
		bytes += iov[i].iov_len;
	}
	check(bytes == framer_plan_len(&r->f));
	r->most_vectors = MAX(r->most_vectors, n);
	r->most_bytes = MAX(r->most_bytes, bytes);
}

size_t rig_receive(struct rig *r, const uint8_t *bytes, size_t most)
{
	unsigned n_iov;
	const struct iovec *iov;
	size_t done = 0;

	counters = &r->counters; /* the rig's alone: in nobody's sum */
	iov = framer_plan(&r->f, &n_iov);
	plan_watch(r, iov, n_iov);
	for (unsigned i = 0; i < n_iov && done < most; i++) {
		size_t part = MIN(iov[i].iov_len, most - done);

		memcpy(iov[i].iov_base, bytes + done, part);
		done += part;
	}
	r->n_calls++;
	r->walking = true;
	check(framer_landed(&r->f, done) == (r->stopped ? RX_STOP : RX_MORE));
	r->walking = false;
	while (r->n_parting)
		rig_task_free(r->parting[--r->n_parting]);
	counters = NULL;
	return done;
}

bool rig_feed(struct rig *r, const struct stream *s, size_t from, rig_cut cut, void *ctx)
{
	while (from < s->len && !r->stopped) {
		size_t left = s->len - from, most = cut ? cut(ctx, from, left) : left;

		check(most && most <= left);
		from += rig_receive(r, s->bytes + from, most);
	}
	return !r->stopped;
}
