/* plan.c - where the next bytes of the stream belong (architecture: predictive gather).
 *
 * An R2T says exactly what is coming. So one receive call can take the rest of the payload under way,
 * then for each Data-Out that is still due a header slot and the final place of its payload, then a
 * tail for whatever follows. What the plan cannot know is how the initiator cuts its Data-Outs and
 * whether something else comes first; it learns the first (framer.cut) and keeps a grudge for the second:
 *
 *   nothing known of the cut, or careful   take the next header alone, then its payload and the next header
 *   shy                                    what is left of the burst under way, and the next header
 *   otherwise                              also the bursts that are due behind it, as far as trust reaches
 *   not the last, but data PDUs small      the same without a header of its own: a large tail takes them all
 *
 * Which burst comes next is the initiator's choice. One in the order of the grants is common; another sends
 * what belongs to its oldest command first, so that an R2T it has just read overtakes others. To guess the next burst
 * spares a call for each small one, and nothing for a large one; a wrong guess costs a copy of all that was guessed.
 * So the guess starts small, and grows with each that was right.
 *
 * Every predicted place is in pages that a granted window of this connection owns and nobody sees. */
#include "plan.h"

#include <errno.h>
#include <stdlib.h>

int rx_scratch_new(struct rx_scratch **sp)
{
	struct rx_scratch *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->tail = malloc(TAIL_LARGE);
	s->sink = malloc(SINK_LEN);
	s->again = malloc(AGAIN_LEN);
	if (!s->tail || !s->sink || !s->again) {
		rx_scratch_free(s);
		return -ENOMEM;
	}
	*sp = s;
	return 0;
}

struct rx_scratch *rx_scratch_free(struct rx_scratch *s)
{
	if (s) {
		free(s->tail);
		free(s->sink);
		free(s->again);
		free(s);
	}
	return NULL;
}

static unsigned plan_room(const struct plan *p)
{
	return PLAN_VECTORS - 1 - p->n; /* one is kept for the tail */
}

static void plan_add(struct plan *p, enum span kind, void *base, size_t len)
{
	p->iov[p->n] = (struct iovec){base, len};
	p->kind[p->n++] = kind;
	p->bytes += len;
}

/* plan_place - `len` bytes from a cursor on; false when vectors or the plan's limit cut it short. */
static bool plan_place(struct plan *p, struct place at, size_t len)
{
	size_t want = MIN(len, p->limit - MIN(p->bytes, p->limit)), got = 0;
	unsigned n = place_fill(at, want, p->iov + p->n, plan_room(p), &got);

	for (unsigned i = 0; i < n; i++)
		p->kind[p->n + i] = SPAN_PLACE;
	p->n += n;
	p->bytes += got;
	return got == len;
}

static bool plan_sink(struct plan *p, struct rx_scratch *s, size_t len)
{
	while (len && plan_room(p) && p->bytes < PLAN_BYTES) {
		size_t part = MIN(len, SINK_LEN);

		plan_add(p, SPAN_SINK, s->sink, part);
		len -= part;
	}
	return !len;
}

/* plan_rest - what is missing of the PDU under way. False: no room for what comes after it. */
static bool plan_rest(struct plan *p, struct framer *f)
{
	bool whole = true;

	switch (f->state) {
	case RX_HEADER:
		return true; /* an unfinished header is the first slot of what follows */
	case RX_PAYLOAD:
		whole = f->target.place.n ? plan_place(p, f->target.place, f->need)
					  : plan_sink(p, f->scratch, f->need);
		whole = whole && plan_room(p);
		if (whole && trailer_len(f, f->pdu_len))
			plan_add(p, SPAN_SLOT, f->trailer, trailer_len(f, f->pdu_len));
		break;
	case RX_TRAILER:
		plan_add(p, SPAN_SLOT, f->trailer + trailer_len(f, f->pdu_len) - f->need, f->need);
		break;
	}
	return whole && plan_room(p);
}

static void plan_header(struct plan *p, struct framer *f)
{
	if (f->state == RX_HEADER && f->header_have && !p->n_slots) {
		uint8_t *h = f->header_have < BHS_LEN + f->header_digest ? f->bhs : f->long_header;

		plan_add(p, SPAN_SLOT, h + f->header_have, f->need);
	} else {
		plan_add(p, SPAN_SLOT, f->scratch->slot[p->n_slots], BHS_LEN + f->header_digest);
	}
	p->n_slots++;
}

/* plan_window - the Data-Outs still due in a window, as the initiator is known to cut them. */
static bool plan_window(struct plan *p, struct framer *f, const struct window *w)
{
	uint32_t taken = f->state != RX_HEADER && f->target.window == w ? f->pdu_len : 0;
	uint32_t left = window_left(w) - MIN(taken, window_left(w));
	struct place at = place_at(w->next, taken);

	while (left) {
		uint32_t len = MIN(left, f->cut), trailer = trailer_len(f, len);

		if (plan_room(p) < 3 || p->bytes >= p->limit)
			return false;
		plan_header(p, f);
		if (!plan_place(p, at, len))
			return false;
		if (trailer) {
			if (!plan_room(p))
				return false;
			plan_add(p, SPAN_SLOT, f->scratch->slot[p->n_slots++], trailer);
		}
		at = place_at(at, len);
		left -= len;
	}
	return true;
}

/* under_way - the window whose burst has begun and not ended, while it is still there; else NULL. Between two PDUs
 * target.window is only a name: its task may be gone, and be another connection's by now. */
static const struct window *under_way(const struct framer *f)
{
	const struct window *w = f->target.window;

	if (f->state != RX_HEADER)
		return w;
	if (!f->in_burst)
		return NULL;
	if (w == f->unsolicited)
		return w;
	list_for_each(node, &f->dpt->granted)
		if (&list_entry(node, struct dpt_entry, link)->w == w)
			return w;
	return NULL;
}

/* plan_others - the Data-Outs due behind the burst `now`: unsolicited ones, then the granted windows in grant
 * order. False: the plan is full, nothing may follow. */
static bool plan_others(struct plan *p, struct framer *f, const struct window *now)
{
	if (f->unsolicited && f->unsolicited != now && !plan_window(p, f, f->unsolicited))
		return false;
	list_for_each(node, &f->dpt->granted) {
		const struct window *w = &list_entry(node, struct dpt_entry, link)->w;

		if (w != now && w->start.n && !plan_window(p, f, w))
			return false;
	}
	return true;
}

/* others_due - is there more to come than the burst `now`? */
static bool others_due(const struct framer *f, const struct window *now)
{
	const struct list *l = &f->dpt->granted;

	if (f->unsolicited && f->unsolicited != now)
		return true;
	return !list_empty(l) &&
	       (l->next->next != l || &list_first(l, struct dpt_entry, link)->w != now);
}

/* plan_due - the Data-Outs that are due, as far as they are guessed. False: nothing may follow. */
static bool plan_due(struct plan *p, struct framer *f)
{
	bool trusted = f->cut && !f->careful, small = f->n_small_data >= 2;
	const struct window *now = under_way(f);

	if (trusted && now && !plan_window(p, f, now))
		return false;
	if (!others_due(f, trusted ? now : NULL))
		return true;
	if (trusted && !f->shy) {
		p->limit = MIN(p->bytes + f->reach, PLAN_BYTES);
		return plan_others(p, f, now);
	}
	if (!small)
		plan_header(p, f);
	return small;
}

/* tail_len - small PDUs are copied many at a time; of a large one, no more than it takes to know it. */
static size_t tail_len(const struct framer *f)
{
	if (f->n_small >= 2 || f->n_small_data >= 2)
		return TAIL_LARGE;
	return f->large ? TAIL_SHORT : TAIL_SMALL;
}

void plan_build(struct plan *p, struct framer *f)
{
	p->n = p->n_slots = 0;
	p->bytes = 0;
	p->limit = PLAN_BYTES;
	if (!plan_rest(p, f) || !plan_due(p, f))
		return;
	if (f->state == RX_HEADER && f->header_have && !p->n_slots)
		plan_header(p, f);
	plan_add(p, SPAN_TAIL, f->scratch->tail, tail_len(f));
}

void plan_reorder(struct plan *p, struct rx_scratch *s, unsigned i, size_t skip, size_t left)
{
	size_t len = 0;
	struct iovec tail = {0};

	for (; left && i < p->n; i++, skip = 0) {
		size_t part = MIN(left, p->iov[i].iov_len - skip);
		uint8_t *from = (uint8_t *)p->iov[i].iov_base + skip;

		left -= part;
		if (p->kind[i] == SPAN_TAIL) {
			tail = (struct iovec){from, part};
			break;
		}
		copy_payload(CTR_COPIED_GUESS, s->again + len, from, part);
		len += part;
	}
	p->iov[0] = (struct iovec){s->again, len};
	p->kind[0] = SPAN_AGAIN;
	p->iov[1] = tail;
	p->kind[1] = SPAN_TAIL;
	p->n = tail.iov_len ? 2 : 1;
	p->bytes = len + tail.iov_len;
}
