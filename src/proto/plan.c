/* plan.c - where the next bytes of the stream belong (architecture: predictive gather).
 *
 * An R2T says exactly what is coming. So one receive call can take the rest of the payload under way,
 * then for each Data-Out that is still due a header slot and the final place of its payload, then a
 * tail for whatever follows. What the plan cannot know is how the initiator cuts its Data-Outs and
 * whether something else comes first; it learns the first (framer.cut) and keeps a grudge for the second:
 *
 *   nothing known of the cut, or careful   take the next header alone, then its payload and the next header
 *   shy                                    the same at the beginning of a burst, deep inside of one
 *   either of them, but data PDUs small    nothing is guessed, a large tail takes them all
 *   otherwise                              deep from the first byte
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

/* plan_place - `len` bytes from a cursor on; false when vectors or the plan's bound cut it short. */
static bool plan_place(struct plan *p, struct place at, size_t len)
{
	size_t want = MIN(len, PLAN_BYTES - MIN(p->bytes, PLAN_BYTES)), got = 0;
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
	p->known = p->bytes;
	return whole && plan_room(p);
}

static void plan_header(struct plan *p, struct framer *f)
{
	if (f->state == RX_HEADER && f->header_have && !p->n_slots) {
		uint8_t *h = f->header_have < BHS_LEN + f->header_digest ? f->bhs : f->long_header;

		plan_add(p, SPAN_SLOT, h + f->header_have, f->need);
		p->known += f->need;
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

		if (plan_room(p) < 3 || p->bytes >= PLAN_BYTES)
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

/* plan_due - all Data-Outs that are due: those of the burst under way, unsolicited ones, then the
 * granted windows in grant order. False: the plan is full, nothing may follow. */
static bool plan_due(struct plan *p, struct framer *f)
{
	const struct window *now = f->state != RX_HEADER ? f->target.window : NULL;

	if (now && !plan_window(p, f, now))
		return false;
	if (f->unsolicited && f->unsolicited != now && !plan_window(p, f, f->unsolicited))
		return false;
	list_for_each(node, &f->dpt->granted) {
		const struct window *w = &list_entry(node, struct dpt_entry, link)->w;

		if (w != now && w->start.n && !plan_window(p, f, w))
			return false;
	}
	return true;
}

static bool any_due(const struct framer *f)
{
	return f->unsolicited || !list_empty(&f->dpt->granted);
}

void plan_build(struct plan *p, struct framer *f)
{
	bool due = any_due(f), deep;

	p->n = p->n_slots = 0;
	p->bytes = p->known = 0;
	p->starts_burst = false;
	if (!plan_rest(p, f)) {
		p->expected = p->bytes;
		return;
	}
	deep = f->cut && !f->careful && (f->in_burst || !f->shy);
	if (due && !deep && f->n_small_data < 2) {
		plan_header(p, f);
		p->expected = p->bytes;
		return;
	}
	p->starts_burst = due && deep && !f->in_burst;
	if (due && deep && !plan_due(p, f)) {
		p->expected = p->bytes;
		return;
	}
	p->expected = p->bytes;
	if (!(due && deep) && f->state == RX_HEADER && f->header_have)
		plan_header(p, f);
	plan_add(p, SPAN_TAIL, f->scratch->tail,
		f->n_small >= 2 || f->n_small_data >= 2 ? TAIL_LARGE : TAIL_SMALL);
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
