/* test-framer-random.c - streams out of a seed, cut out of a seed, against the parser that knows
 * everything.
 *
 *   test-framer-random [--seed N] [--pdus N]     one seed only
 *
 * An initiator with habits (how it cuts, in which order it fills its windows, whether it keeps to it) runs several
 * tasks at once, sends late, refused and drained data, aborts, texts and AHS. Tasks are aborted by other hands, too, at
 * any byte of a PDU. The framer gets it in pieces that rarely agree with PDUs; both parsers must see the same PDUs, and
 * each task's bytes must be where they belong (framer-rig). */
#include "framer-rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include "be.h"
#include "check.h"

enum { PDUS = 20000 };
static const uint64_t seeds[] = {1, 2, 3, 4, 5, 6, 7, 8};

static struct {
	uint64_t seed;
	unsigned n_pdus;
} only;

static uint64_t state_of;

static uint32_t draw(uint32_t below)
{
	uint64_t z = state_of += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return (uint32_t)(((z ^ z >> 31) >> 32) * below >> 32);
}

/* A task that ends by another hand than its initiator's, when so much of the stream is in. */
struct blow {
	size_t at;
	uint32_t itt;
};
enum { MOST_BLOWS = 64 };

/* The initiator: it knows what the reference has granted. */
struct initiator {
	struct rig *ref;
	struct stream *s;
	uint32_t itt;
	uint32_t cut;    /* its habit */
	unsigned steady; /* of 16 PDUs so many keep it */
	unsigned
		astray; /* of 9 steps along the granted windows so many go on: 0, the oldest is next */
	unsigned stays; /* of so many PDUs of a burst one lets something else go first */
	uint32_t late_itt, late_ttt, late_at, late_end,
		late_sn; /* an aborted window it goes on with */
	struct blow blows[MOST_BLOWS];
	unsigned n_blows;
	uint32_t blow_every; /* PDUs */
};

/* late_of - the initiator goes on with a window of a task that ends. */
static void late_of(struct initiator *in, const struct rig_task *t)
{
	list_for_each(node, &in->ref->dpt.granted) {
		const struct dpt_entry *e = list_entry(node, struct dpt_entry, link);

		if (e->w.task != t || in->late_at < in->late_end)
			continue;
		in->late_itt = t->itt;
		in->late_ttt = dpt_tag(&in->ref->dpt, e);
		in->late_at = e->w.offset + e->w.filled;
		in->late_end = e->w.offset + e->w.length;
		in->late_sn = e->w.next_datasn;
	}
}

static void emit(struct initiator *in, uint8_t *bhs, uint32_t itt, uint32_t offset, uint32_t len)
{
	size_t from = in->s->len;
	unsigned ahs = draw(40) ? 0 : 1 + draw(draw(8) ? 4 : 255);
	struct blow *b = in->n_blows < MOST_BLOWS && !draw(in->blow_every)
				 ? &in->blows[in->n_blows++]
				 : NULL;

	stream_pdu(in->s, bhs, ahs, itt, offset, len);
	if (!b) {
		rig_whole(in->ref, in->s, from);
		return;
	}
	/* Half of them hit whoever the PDU is for; a task's own command is seen by nobody before it is in. */
	switch (draw(3)) {
	case 0: /* anywhere, mostly in the payload */
		b->at = from + draw((uint32_t)(in->s->len - from) + 1);
		break;
	case 1:
		b->at = from + draw(BHS_LEN);
		break;
	case 2: /* before the next one */
		b->at = in->s->len;
		break;
	}
	b->itt = draw(2) ? itt : in->ref->tasks[draw(RIG_TASKS)].itt;
	if (rig_find(in->ref, b->itt))
		late_of(in, rig_find(in->ref, b->itt));
	rig_whole_but(in->ref, in->s, from, b->at - from, b->itt);
}

static void emit_command(struct initiator *in)
{
	static const uint16_t fragments[] = {0, 4096, 4096, 32768, 512, 100, 61};
	uint8_t bhs[BHS_LEN];
	struct rig_cdb cdb = {.length = 1 + draw(draw(4) ? 30000 : 200000),
		.burst = 1 + draw(65536),
		.n_r2t = (uint8_t)(1 + draw(4)),
		.fragment = fragments[draw(ARRAY_LEN(fragments))]};
	uint32_t immediate = 0;

	if (cdb.length > 60000)
		cdb.fragment = MAX(cdb.fragment, 512) & (cdb.fragment ? 0xffff : 0);
	if (!draw(3))
		immediate = draw(MIN(cdb.length, 8192) + 1);
	cdb.unasked = immediate;
	if (!draw(4))
		cdb.unasked += draw(cdb.length - immediate + 1);
	if (!draw(16)) {
		cdb.half = true;
		cdb.unasked = cdb.length;
	}
	bhs_command(bhs, ++in->itt, &cdb);
	emit(in, bhs, in->itt, 0, immediate);
}

static uint32_t next_cut(struct initiator *in, uint32_t left)
{
	uint32_t cut = draw(16) < in->steady ? in->cut : 1 + draw(in->cut);

	return MIN(cut, left);
}

static void emit_window(struct initiator *in, const struct window *w, uint32_t ttt)
{
	uint8_t bhs[BHS_LEN];
	uint32_t len = next_cut(in, window_left(w)), at = w->offset + w->filled;

	bhs_data_out(bhs, w->itt, ttt, w->next_datasn, at, len == window_left(w));
	if (!draw(200)) /* refused: goes to the sink, and is sent again as it should be */
		put_be32(bhs + 40, at + 4);
	emit(in, bhs, w->itt, at, len);
}

/* emit_data - the next Data-Out of a window, most often of the oldest; false: none is due. */
static bool emit_data(struct initiator *in)
{
	struct dpt *d = &in->ref->dpt;
	struct list *node = d->granted.next;

	for (unsigned i = 0; i < RIG_TASKS; i++) {
		struct rig_task *t = &in->ref->tasks[i];

		if (t->used && window_left(&t->unasked) && draw(2)) {
			emit_window(in, &t->unasked, TAG_NONE);
			return true;
		}
	}
	if (list_empty(&d->granted))
		return false;
	while (draw(9) < in->astray && node->next != &d->granted)
		node = node->next;
	do {
		struct dpt_entry *e = list_entry(node, struct dpt_entry, link);

		emit_window(in, &e->w, dpt_tag(d, e));
		if (e->state != DPT_GRANTED)
			return true;
	} while (draw(in->stays));
	return true;
}

static void emit_abort(struct initiator *in)
{
	struct rig_task *t = &in->ref->tasks[draw(RIG_TASKS)];
	uint8_t bhs[BHS_LEN];

	if (!t->used)
		return;
	late_of(in, t);
	bhs_plain(bhs, OP_TASK_MGMT, ++in->itt);
	put_be32(bhs + 20, t->itt);
	emit(in, bhs, in->itt, 0, 0);
}

static void emit_late(struct initiator *in)
{
	uint8_t bhs[BHS_LEN];
	uint32_t len;

	if (in->late_at == in->late_end)
		return;
	len = next_cut(in, in->late_end - in->late_at);
	bhs_data_out(bhs, in->late_itt, in->late_ttt, in->late_sn++, in->late_at,
		in->late_at + len == in->late_end);
	emit(in, bhs, in->late_itt, in->late_at, len);
	in->late_at += len;
}

static void emit_plain(struct initiator *in)
{
	uint8_t bhs[BHS_LEN];

	bhs_plain(bhs, draw(2) ? OP_TEXT_REQUEST : OP_NOP_OUT, ++in->itt);
	emit(in, bhs, in->itt, 0, draw(2) ? draw(6000) : 0);
}

static unsigned n_used(const struct rig *r)
{
	unsigned n = 0;

	for (unsigned i = 0; i < RIG_TASKS; i++)
		n += r->tasks[i].used;
	return n;
}

static void emit_some(struct initiator *in)
{
	uint32_t what = draw(64);

	if (what < 4)
		emit_plain(in);
	else if (what == 4)
		emit_abort(in);
	else if (what < 8)
		emit_late(in);
	else if (what == 8)
		in->cut = 1 + draw(draw(2) ? 16384 : 65536);
	else if ((what < 16 || !emit_data(in)) && n_used(in->ref) < RIG_TASKS - 4)
		emit_command(in);
}

/* What the framer gets: the pieces, and the blows between two of them. */
struct pieces {
	struct rig *r;
	unsigned rarely;
	const struct blow *next, *end;
};

static void fall(struct pieces *c, size_t at)
{
	for (; c->next < c->end && c->next->at <= at; c->next++) {
		struct rig_task *t = rig_find(c->r, c->next->itt);

		if (t)
			rig_abort(c->r, t);
	}
}

/* cut_piece - mostly as much as there is; else a few bytes, or some. */
static size_t cut_piece(void *ctx, size_t at, size_t left)
{
	struct pieces *c = ctx;
	uint32_t most;

	fall(c, at);
	if (c->next < c->end)
		left = MIN(left, c->next->at - at);
	most = (uint32_t)MIN(left, 1u << 30);
	if (draw(16) < c->rarely)
		return left;
	return MIN(left, 1 + draw(draw(3) ? MIN(most, 100) : MIN(most, 20000)));
}

static void run_seed(uint64_t seed, unsigned n_pdus)
{
	static struct rig ref, r;
	struct stream s = {0};
	struct initiator in = {.ref = &ref, .s = &s};
	struct pieces pieces = {.r = &r};

	state_of = seed;
	s.header_digest = seed % 3 ? 0 : 4;
	s.data_digest = seed % 4 ? 0 : 4;
	in.cut = 1 + draw(65536);
	in.steady = draw(17);
	in.astray = draw(9);
	in.stays = 1 + draw(draw(2) ? 6 : 60);
	in.blow_every = 10 + draw(200);
	rig_init(&ref, s.header_digest, s.data_digest);
	rig_init(&r, s.header_digest, s.data_digest);
	while (ref.n_pdus < n_pdus) {
		/* An initiator sends a little, or a lot, before the target gets to see it. */
		for (unsigned n = 1 + draw(draw(4) ? 4 : 60); n; n--)
			emit_some(&in);
		if (draw(2)) /* it would soon guess nothing any more */
			r.f.careful = r.f.shy = 0;
		pieces.rarely = draw(17);
		pieces.next = in.blows;
		pieces.end = in.blows + in.n_blows;
		rig_feed(&r, &s, 0, cut_piece, &pieces);
		fall(&pieces, s.len);
		s.len = 0;
		in.n_blows = 0;
	}
	if (!rig_same(&r, &ref) || r.n_done != ref.n_done || r.dpt.n_draining != ref.dpt.n_draining)
		fail_msg("seed %llu", (unsigned long long)seed);
	assert_true(framer_idle(&r.f));
	assert_true(ref.n_done > n_pdus / 100 && ref.n_drained && ref.n_refused);
	assert_true(rig_counter(&r, CTR_PLACED_BYTES) && rig_counter(&r, CTR_WRONG_GUESSES));
	stream_deinit(&s);
	rig_deinit(&ref);
	rig_deinit(&r);
}

static void test_random_streams(void **state)
{
	if (only.seed) {
		run_seed(only.seed, only.n_pdus);
		return;
	}
	for (unsigned i = 0; i < ARRAY_LEN(seeds); i++)
		run_seed(seeds[i], PDUS);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_streams)};

	only.n_pdus = PDUS;
	for (int i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--seed"))
			only.seed = strtoull(argv[i + 1], NULL, 0);
		if (!strcmp(argv[i], "--pdus"))
			only.n_pdus = (unsigned)strtoul(argv[i + 1], NULL, 0);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
