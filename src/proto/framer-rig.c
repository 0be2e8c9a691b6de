/* framer-rig.c - the tests' target behind the framer, and the parser it is compared with. */
#include "framer-rig.h"
#include "digest.h"
#include "plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "be.h"
#include "check.h"

enum { GUARD = 32, GUARD_BYTE = 0xa5 };

uint8_t pattern_at(uint32_t itt, uint32_t offset)
{
	return (uint8_t)((offset * 2654435761u ^ itt * 40503u) >> 11);
}

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

static void memory_free(struct rig_task *t)
{
	struct place at = {.iov = &foreign_iov, .n = 1};

	guards_check(t);
	free(t->iov);
	free(t->mem);
	t->used = false;
	window_init(&t->immediate, NULL, ITT_NONE, 0, 0, sizeof(foreign), at);
	window_init(&t->unasked, NULL, ITT_NONE, 0, 0, sizeof(foreign), at);
}

/* is_ours - memory of a task that is there, or of the text under way. */
static bool is_ours(const struct rig *r, const struct iovec *v)
{
	const uint8_t *b = v->iov_base;

	if (r->opaque && b >= r->opaque && b + v->iov_len <= r->opaque + r->opaque_iov.iov_len)
		return true;
	for (unsigned i = 0; i < RIG_TASKS; i++) {
		const struct rig_task *t = &r->tasks[i];

		if (t->used && b >= t->mem && b + v->iov_len <= t->mem + t->mem_len)
			return true;
	}
	return false;
}

static struct place memory_at(const struct rig_task *t, uint32_t offset)
{
	uint32_t len = t->cdb.half ? t->cdb.length / 2 : t->cdb.length;

	if (offset >= len)
		return (struct place){.n = 0};
	return place_at((struct place){.iov = t->iov, .n = t->n_iov}, offset);
}

/* --- the log --- */

static void note(struct rig *r, uint64_t v)
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
	memory_free(t);
	r->n_done++;
}

static void task_command(struct rig *r, const uint8_t *bhs, struct rx_target *target)
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

static void task_data_out(struct rig *r, const uint8_t *bhs, struct rx_target *target)
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
	note(r, fate);
	if (fate != DATA_OUT_PLACE)
		return;
	r->window = w;
	r->task = w->task;
	if (w->start.n)
		*target = (struct rx_target){.place = w->next, .window = w};
}

static void task_counts(struct rig *r)
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

static void abort_now(struct rig_task *t)
{
	memory_free(t);
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
		abort_now(t);
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
	note(r, hash(bhs, BHS_LEN + bhs_ahs_len(bhs)));
	r->n_pdus++;
	r->task = NULL;
	r->window = NULL;
	r->entry = NULL;
	switch (bhs[0] & 0x3f) {
	case OP_SCSI_COMMAND:
		task_command(r, bhs, target);
		break;
	case OP_DATA_OUT:
		task_data_out(r, bhs, target);
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
		task_counts(r);
	if (r->opaque)
		note(r, hash(r->opaque, r->opaque_iov.iov_len));
	free(r->opaque);
	r->opaque = NULL;
	r->task = NULL;
	if ((r->bhs[0] & 0x3f) == OP_TASK_MGMT && (t = rig_find(r, get_be32(r->bhs + 20))))
		rig_abort(r, t);
	note(r, ~(uint64_t)r->n_pdus);
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
			memory_free(&r->tasks[i]);
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

/* --- streams --- */

void stream_deinit(struct stream *s)
{
	free(s->bytes);
	*s = (struct stream){.bytes = NULL};
}

static uint8_t *stream_room(struct stream *s, size_t len)
{
	uint8_t *at;

	while (s->room - s->len < len) {
		s->room = s->room ? s->room * 2 : 4096;
		s->bytes = realloc(s->bytes, s->room);
		check(s->bytes);
	}
	at = s->bytes + s->len;
	s->len += len;
	return at;
}

/* put_digest - of the last `len` bytes of the stream. */
static void put_digest(struct stream *s, uint32_t len)
{
	uint8_t *at = stream_room(s, DIGEST_LEN);

	digest_put(at, digest_add(DIGEST_START, at - len, len));
}

/* Pads are of values that a header byte would not have. */
void stream_pdu(struct stream *s, uint8_t *bhs, unsigned ahs_words, uint32_t pattern_itt,
	uint32_t offset, uint32_t data_len)
{
	uint8_t *at;

	bhs[4] = (uint8_t)ahs_words;
	put_be24(bhs + 5, data_len);
	memcpy(stream_room(s, BHS_LEN), bhs, BHS_LEN);
	at = stream_room(s, ahs_words * 4);
	for (unsigned i = 0; i < ahs_words * 4; i++)
		at[i] = (uint8_t)(i * 7 + 1);
	if (s->header_digest)
		put_digest(s, BHS_LEN + ahs_words * 4);
	at = stream_room(s, data_len);
	for (uint32_t i = 0; i < data_len; i++)
		at[i] = pattern_at(pattern_itt, offset + i);
	memset(stream_room(s, pad_len(data_len)), 0xee, pad_len(data_len));
	if (data_len && s->data_digest)
		put_digest(s, data_len + pad_len(data_len));
}

void bhs_plain(uint8_t bhs[BHS_LEN], uint8_t opcode, uint32_t itt)
{
	memset(bhs, 0, BHS_LEN);
	bhs[0] = opcode;
	bhs[1] = 0x80;
	put_be32(bhs + 16, itt);
}

void bhs_command(uint8_t bhs[BHS_LEN], uint32_t itt, const struct rig_cdb *c)
{
	uint8_t *cdb = bhs + RIG_CDB_AT;

	bhs_plain(bhs, OP_SCSI_COMMAND, itt);
	put_be32(cdb, c->length);
	put_be32(cdb + 4, c->burst);
	put_be32(cdb + 8, c->unasked);
	put_be16(cdb + 12, c->fragment);
	cdb[14] = c->n_r2t;
	cdb[15] = c->half;
}

void bhs_data_out(uint8_t bhs[BHS_LEN], uint32_t itt, uint32_t ttt, uint32_t datasn,
	uint32_t offset, bool final)
{
	bhs_plain(bhs, OP_DATA_OUT, itt);
	bhs[1] = final ? 0x80 : 0;
	put_be32(bhs + 20, ttt);
	put_be32(bhs + 36, datasn);
	put_be32(bhs + 40, offset);
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
		abort_now(r->parting[--r->n_parting]);
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
