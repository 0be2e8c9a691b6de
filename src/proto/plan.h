/* plan.h - the predictive gather: vectors for one receive call, and what each of them is meant for.
 *
 * Private to the framer. One plan and its scratch a reactor; both are only used between
 * framer_plan() and framer_landed(). */
#pragma once

#include "copy.h"
#include "framer.h"

enum span {
	SPAN_SLOT,  /* header, or pad and digest, of a PDU */
	SPAN_PLACE, /* final place of payload: known (rest of a PDU) or predicted */
	SPAN_SINK,
	SPAN_TAIL,  /* look-ahead: whatever follows */
	SPAN_AGAIN, /* put in stream order after a wrong guess */
};

struct plan {
	unsigned n;
	size_t bytes;
	size_t limit; /* no payload is planned beyond so many bytes */
	unsigned n_slots;
	struct iovec iov[PLAN_VECTORS];
	uint8_t kind[PLAN_VECTORS];
};

struct rx_scratch {
	struct plan plan;
	uint8_t slot[PLAN_VECTORS][HEADER_SLOT];
	uint8_t *tail;  /* TAIL_LARGE */
	uint8_t *sink;  /* SINK_LEN */
	uint8_t *again; /* AGAIN_LEN: a whole plan but its tail */
};
enum { AGAIN_LEN = PLAN_BYTES + PLAN_VECTORS * HEADER_SLOT };

void plan_build(struct plan *p, struct framer *f);

/* plan_reorder - the bytes of the plan behind (i, skip), `left` of them, but not those of the tail, move to
 * the scratch in stream order; the plan then consists of them and the tail. */
void plan_reorder(struct plan *p, struct rx_scratch *s, unsigned i, size_t skip, size_t left);

static inline uint32_t trailer_len(const struct framer *f, uint32_t data_len)
{
	return data_len ? pad_len(data_len) + f->data_digest : 0;
}
