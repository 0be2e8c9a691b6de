/* framer.c - the stream's parser: what has landed becomes headers, payload in place, and calls up.
 *
 * The parser walks the vectors of the plan in stream order. In each state it knows where the next
 * bytes belong; most of the time that is where they are:
 *
 *   state     needs                  bytes already there            else
 *   HEADER    header bytes           unfinished header's buffer     slot or tail: gathered, or read in place
 *   PAYLOAD   place of the PDU       the predicted place            tail: copied; slot or other place: wrong guess
 *   TRAILER   pad and digest         f->trailer                     slot or tail: gathered
 *
 * A wrong guess shows as a vector that is not what the state needs. Then all that is left of the plan,
 * but for the tail, is put in stream order in the scratch and the walk goes on there: those
 * bytes lay in pages that nobody sees, and none of them had been counted. */
#include "digest.h"
#include "plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* clang-format off */
enum {
	FIRST_GRUDGE = 32, LAST_GRUDGE = 4096, /* PDUs */
	SMALL_PDU = 4096,
	REACH_STEP = 16 << 10, REACH_MOST = 256 << 10,
};
/* clang-format on */

/* The walk over what has landed. */
struct walk {
	struct plan *p;
	unsigned i;
	size_t skip, left;
};

static uint8_t *walk_at(const struct walk *w)
{
	return (uint8_t *)w->p->iov[w->i].iov_base + w->skip;
}

static size_t walk_here(const struct walk *w)
{
	return MIN(w->left, w->p->iov[w->i].iov_len - w->skip);
}

static void walk_on(struct walk *w, size_t n)
{
	w->skip += n;
	w->left -= n;
	if (w->skip == w->p->iov[w->i].iov_len) {
		w->i++;
		w->skip = 0;
	}
}

void framer_init(struct framer *f, const struct framer_ops *ops, void *ctx, struct rx_scratch *s,
	struct dpt *dpt)
{
	*f = (struct framer){
		.ops = ops,
		.ctx = ctx,
		.scratch = s,
		.dpt = dpt,
		.state = RX_HEADER,
		.need = BHS_LEN,
		.shy_next = FIRST_GRUDGE,
		.careful_next = FIRST_GRUDGE,
		.reach = REACH_STEP,
	};
}

void framer_deinit(struct framer *f)
{
	free(f->long_header);
	f->long_header = NULL;
}

bool framer_idle(const struct framer *f)
{
	return f->state == RX_HEADER && !f->header_have;
}

const struct iovec *framer_plan(struct framer *f, unsigned *n_iovp)
{
	struct plan *p = &f->scratch->plan;

	plan_build(p, f);
	*n_iovp = p->n;
	return p->iov;
}

size_t framer_plan_len(const struct framer *f)
{
	return f->scratch->plan.bytes;
}

/* window_due - what is to come of a window behind the PDU under way. */
static uint32_t window_due(const struct framer *f, const struct window *w)
{
	return window_left(w) - (f->target.window == w && f->state != RX_HEADER ? f->pdu_len : 0);
}

uint32_t framer_due(const struct framer *f, uint32_t most)
{
	uint64_t due = f->state == RX_PAYLOAD ? f->need : 0;

	if (f->unsolicited)
		due += window_due(f, f->unsolicited);
	list_for_each(node, &f->dpt->granted) {
		if (due >= most)
			break;
		due += window_due(f, &list_entry(node, struct dpt_entry, link)->w);
	}
	return (uint32_t)MIN(due, most);
}

/* --- what the plan learns --- */

static void learn_wrong(struct framer *f, bool at_start)
{
	uint16_t *left = at_start ? &f->shy : &f->careful;
	uint16_t *next = at_start ? &f->shy_next : &f->careful_next;

	count(CTR_WRONG_GUESSES, 1);
	*left = *next;
	*next = MIN(*next * 2, LAST_GRUDGE);
	f->reach = REACH_STEP;
}

static void learn_right(struct framer *f)
{
	f->reach = MIN(f->reach + REACH_STEP, REACH_MOST);
}

static void learn_pdu(struct framer *f, const uint8_t *bhs)
{
	bool final = bhs[1] & 0x80;

	if (f->shy)
		f->shy--;
	if (f->careful)
		f->careful--;
	f->at_burst = !f->in_burst;
	f->in_burst = false;
	/* A target hears Data-Outs, an initiator Data-Ins: to the plan they are the same. */
	if ((bhs[0] & 0x3f) == OP_DATA_OUT || (bhs[0] & 0x3f) == OP_DATA_IN) {
		if (!f->target.window || !f->pdu_len)
			return;
		f->n_small_data = f->pdu_len <= SMALL_PDU ? MIN(f->n_small_data + 1, 2) : 0;
		if (!final || f->pdu_len > f->cut)
			f->cut = f->pdu_len;
		f->in_burst = !final;
		return;
	}
	f->large = f->pdu_len > SMALL_PDU;
	f->n_small = f->large ? 0 : MIN(f->n_small + 1, 2);
}

/* --- the parts of a PDU --- */

void framer_digests(struct framer *f, bool header, bool data)
{
	check(framer_idle(f));
	f->header_digest = header ? DIGEST_LEN : 0;
	f->data_digest = data ? DIGEST_LEN : 0;
	f->need = BHS_LEN + f->header_digest;
}

static int pdu_end(struct framer *f, bool damaged)
{
	f->state = RX_HEADER;
	f->need = BHS_LEN + f->header_digest;
	f->header_have = 0;
	return f->ops->payload(f->ctx, damaged);
}

/* trailer_end - pad bytes belong to the data digest (RFC 7143 11.2.3). */
static int trailer_end(struct framer *f)
{
	uint32_t pad = pad_len(f->pdu_len);

	if (!f->data_digest)
		return pdu_end(f, false);
	return pdu_end(f, !digest_matches(f->trailer + pad, digest_add(f->crc, f->trailer, pad)));
}

static int payload_end(struct framer *f)
{
	f->need = trailer_len(f, f->pdu_len);
	if (!f->need)
		return pdu_end(f, false);
	f->state = RX_TRAILER;
	return RX_MORE;
}

static int header_end(struct framer *f, const uint8_t *bhs)
{
	int rc;

	if (f->header_digest) {
		uint32_t len = BHS_LEN + bhs_ahs_len(bhs);

		if (!digest_matches(bhs + len, digest_add(DIGEST_START, bhs, len))) {
			f->ops->header_damaged(f->ctx);
			return RX_STOP;
		}
	}
	f->target = (struct rx_target){.place.n = 0};
	f->pdu_len = bhs_data_len(bhs);
	f->crc = DIGEST_START;
	rc = f->ops->header(f->ctx, bhs, &f->target);
	if (rc != RX_MORE)
		return rc;
	learn_pdu(f, bhs);
	f->state = RX_PAYLOAD;
	f->need = f->pdu_len;
	return f->need ? RX_MORE : payload_end(f);
}

/* header_grow - the BHS says that an AHS follows: the header moves to a longer buffer. */
static int header_grow(struct framer *f, uint32_t ahs_len)
{
	if (!f->long_header && !(f->long_header = malloc(HEADER_MAX)))
		return RX_STOP;
	memcpy(f->long_header, f->bhs, f->header_have);
	f->need = ahs_len;
	return RX_MORE;
}

static int step_header(struct framer *f, struct walk *w)
{
	uint32_t n = (uint32_t)MIN(f->need, walk_here(w));
	bool is_long = f->header_have >= BHS_LEN + f->header_digest;
	uint8_t *to = is_long ? f->long_header : f->bhs, *at = walk_at(w);

	/* The common case: the whole header lies together and is read where it lies. */
	if (!f->header_have && n == f->need && !bhs_ahs_len(at)) {
		walk_on(w, n);
		return header_end(f, at);
	}
	if (at != to + f->header_have)
		memcpy(to + f->header_have, at, n);
	f->header_have += n;
	f->need -= n;
	walk_on(w, n);
	if (f->need)
		return RX_MORE;
	if (!is_long && bhs_ahs_len(f->bhs))
		return header_grow(f, bhs_ahs_len(f->bhs));
	return header_end(f, to);
}

/* add_to_digest - bytes of a landing, which are about to lie in their pages or do so already: theirs are kept. */
static void add_to_digest(struct framer *f, const uint8_t *at, uint32_t n)
{
	const struct place *to = &f->target.place;
	struct arena *sums = to->n && f->target.window ? f->target.window->sums : NULL;

	if (sums)
		f->crc = digest_add_landing(
			f->crc, at, n, (uint8_t *)to->iov->iov_base + to->skip, sums);
	else
		f->crc = digest_add(f->crc, at, n);
}

/* take_along - what lies elsewhere goes to its place. The last of what has landed is answered at once, and would wait
 * for stores past the cache. */
static void take_along(const struct framer *f, const struct walk *w, uint8_t *dst, uint32_t n)
{
	if (w->p->kind[w->i] != SPAN_TAIL)
		copy_payload(CTR_COPIED_GUESS, dst, walk_at(w), n);
	else if (f->stores && w->left > n)
		copy_payload_past(CTR_COPIED_TAIL, dst, walk_at(w), n);
	else
		copy_payload(CTR_COPIED_TAIL, dst, walk_at(w), n);
}

static int step_payload(struct framer *f, struct walk *w)
{
	uint32_t n = (uint32_t)MIN(f->need, walk_here(w));
	struct place *to = &f->target.place;

	uint8_t *at = walk_at(w);

	if (to->n)
		n = (uint32_t)MIN(n, to->iov->iov_len - to->skip);
	if (f->data_digest)
		add_to_digest(f, at, n);
	if (!to->n) {
		count(CTR_DRAINED_BYTES, n);
	} else {
		uint8_t *dst = (uint8_t *)to->iov->iov_base + to->skip;

		if (at != dst)
			take_along(f, w, dst, n);
		else if (f->target.window)
			count(CTR_PLACED_BYTES, n);
		to->skip += n;
		if (to->skip == to->iov->iov_len) {
			to->iov++;
			to->n--;
			to->skip = 0;
		}
		/* A place that ends early is a sink for the rest: to->n is 0 then. */
	}
	f->need -= n;
	walk_on(w, n);
	return f->need ? RX_MORE : payload_end(f);
}

static int step_trailer(struct framer *f, struct walk *w)
{
	uint32_t n = (uint32_t)MIN(f->need, walk_here(w));
	uint8_t *to = f->trailer + trailer_len(f, f->pdu_len) - f->need;

	if (walk_at(w) != to)
		memcpy(to, walk_at(w), n);
	f->need -= n;
	walk_on(w, n);
	return f->need ? RX_MORE : trailer_end(f);
}

/* fits - is this vector what the parser's state can take where it lies? */
static bool fits(const struct framer *f, const struct walk *w)
{
	const struct place *to = &f->target.place;

	switch (w->p->kind[w->i]) {
	case SPAN_TAIL:
	case SPAN_AGAIN:
		return true;
	case SPAN_SINK:
		return f->state == RX_PAYLOAD && !to->n;
	case SPAN_SLOT:
		return f->state != RX_PAYLOAD;
	case SPAN_PLACE:
		return f->state == RX_PAYLOAD &&
		       (!to->n || walk_at(w) == (uint8_t *)to->iov->iov_base + to->skip);
	}
	return false;
}

/* was_guessed - the payload that begins here has landed in its place. */
static bool was_guessed(const struct framer *f, const struct walk *w)
{
	return w->left && w->p->kind[w->i] == SPAN_PLACE && f->target.window && fits(f, w);
}

/* guess_again - the prediction did not hold from here on. */
static void guess_again(struct framer *f, struct walk *w)
{
	learn_wrong(f, f->at_burst);
	plan_reorder(w->p, f->scratch, w->i, w->skip, w->left);
	w->i = 0;
	w->skip = 0;
}

int framer_landed(struct framer *f, size_t n)
{
	struct walk w = {.p = &f->scratch->plan, .left = n};
	int rc = RX_MORE;

	check(n && n <= w.p->bytes);
	while (w.left && rc == RX_MORE) {
		if (!fits(f, &w))
			guess_again(f, &w);
		switch (f->state) {
		case RX_HEADER:
			rc = step_header(f, &w);
			if (f->state == RX_PAYLOAD && f->at_burst && was_guessed(f, &w))
				learn_right(f);
			break;
		case RX_PAYLOAD:
			rc = step_payload(f, &w);
			break;
		case RX_TRAILER:
			rc = step_trailer(f, &w);
			break;
		}
	}
	f->unread = w.left;
	return rc;
}
