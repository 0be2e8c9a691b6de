/* xfer.c - see xfer.h. All offsets are below 2^32 because length and unsolicited are at most the
 * Expected Data Transfer Length, a 32-bit field; no sum here can pass it. */
#include "check.h"
#include "param.h"
#include "xfer.h"

struct xfer_limits xfer_limits_of(const struct params *p)
{
	return (struct xfer_limits){
		.first_burst = p->first_burst,
		.max_burst = p->max_burst,
		.max_r2t = p->max_outstanding_r2t,
		.initial_r2t = p->initial_r2t,
		.immediate_data = p->immediate_data,
	};
}

int xfer_init(struct xfer *x, const struct xfer_limits *lim, uint32_t edtl, uint32_t wanted,
	uint32_t immediate_len, bool final)
{
	uint32_t unasked_max = MIN(lim->first_burst, edtl); /* 13.14 */

	*x = (struct xfer){.length = MIN(wanted, edtl), .immediate = immediate_len};
	x->unsolicited = final ? immediate_len : MAX(unasked_max, immediate_len);
	x->granted = x->unsolicited;

	if (immediate_len > 0 && !lim->immediate_data)
		return XFER_IMMEDIATE_FORBIDDEN;
	if (immediate_len > unasked_max)
		return XFER_IMMEDIATE_TOO_LONG;
	if (!final && (lim->initial_r2t || immediate_len == unasked_max))
		return XFER_UNSOLICITED_FORBIDDEN;
	return XFER_OK;
}

bool xfer_next(struct xfer *x, const struct xfer_limits *lim, uint32_t have, uint32_t *offp,
	uint32_t *lenp)
{
	uint32_t end = MIN(have, x->length);

	if (x->n_open >= lim->max_r2t || x->granted >= end)
		return false;
	*offp = x->granted;
	*lenp = MIN(end - x->granted, lim->max_burst);
	x->granted += *lenp;
	x->n_open++;
	x->r2tsn++;
	return true;
}

void xfer_undo(struct xfer *x, uint32_t off, uint32_t len)
{
	check(x->n_open > 0 && x->r2tsn > 0);
	check(x->granted == off + len && off >= x->unsolicited);
	x->granted = off;
	x->n_open--;
	x->r2tsn--;
}

void xfer_arrived(struct xfer *x, uint32_t len, bool window_done)
{
	check(len <=
		xfer_total(x) - x->arrived); /* each window has bounded its own bytes already */
	x->arrived += len;
	if (window_done) {
		check(x->n_open > 0);
		x->n_open--;
	}
}
