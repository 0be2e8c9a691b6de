/* xfer.h - what of one command's data-out has been asked for and what comes next.
 *
 * Pure bookkeeping: no PDU, no socket, no memory of data. One task owns one xfer.
 * Life of a write's data (RFC 7143 4.2.5.2, 13.10 to 13.14):
 *   [0, immediate)            rides in the command PDU
 *   [immediate, unsolicited)  Data-Outs with TTT 0xffffffff, when InitialR2T=No and the command's F bit is 0
 *   [unsolicited, length)     windows of at most MaxBurstLength each, asked for with R2Ts
 * length is what the device wants, never above the Expected Data Transfer Length; what the initiator
 * would have sent beyond it is its underflow, and is not asked for.
 *
 * Unasked data may still reach past length: the initiator cuts it by FirstBurstLength and the Expected
 * Data Transfer Length and knows nothing of what the device wants. Such bytes are awaited (else they would
 * come for a task that is gone) and go to the sink, since their window has no place for them (place/window.h).
 * `unsolicited` may therefore be above `length`, and the transfer is complete when the larger of the two has
 * arrived. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct xfer_limits { /* as negotiated */
	uint32_t first_burst, max_burst, max_r2t;
	bool initial_r2t, immediate_data;
};
struct params;
struct xfer_limits xfer_limits_of(const struct params *p);

struct xfer {
	uint32_t length;      /* bytes of data-out that the device takes */
	uint32_t immediate;   /* [0, immediate) came with the command */
	uint32_t unsolicited; /* [0, unsolicited) comes or came without an R2T */
	uint32_t granted;     /* [unsolicited, granted) has been asked for */
	uint32_t arrived;     /* bytes in, of any kind, those for the sink too */
	uint32_t r2tsn;       /* next R2TSN */
	uint16_t n_open;      /* R2Ts granted and not yet complete */
};

/* Named ends of xfer_init(): what the command PDU itself does wrong. */
enum {
	XFER_OK,
	XFER_IMMEDIATE_FORBIDDEN,   /* ImmediateData=No (13.11) */
	XFER_IMMEDIATE_TOO_LONG,    /* above FirstBurstLength or the expected length (11.3.6, 13.14) */
	XFER_UNSOLICITED_FORBIDDEN, /* F 0 with InitialR2T=Yes, or with nothing left to send (11.3.1, 13.10) */
};
/* xfer_init - after any end *x is sound: with the last three, what comes unasked is still told
 * (`immediate`, `unsolicited`), so that the refuser knows what to drain. */
int xfer_init(struct xfer *x, const struct xfer_limits *lim, uint32_t edtl, uint32_t wanted,
	uint32_t immediate_len, bool final);

/* xfer_next - the next window to ask for, not reaching past `have` (bytes with a place);
 * false: nothing to ask for now. Counts it as granted. Where a window ends early because of `have`, the
 * next one goes on there; who wants windows that end at certain bytes (--r2t line) says so by `have`. */
bool xfer_next(struct xfer *x, const struct xfer_limits *lim, uint32_t have, uint32_t *offp, uint32_t *lenp);
/* xfer_undo - the last xfer_next() found no free slot: as if it had not been called. */
void xfer_undo(struct xfer *x, uint32_t off, uint32_t len);
/* xfer_arrived - checked bytes, immediate ones too; window_done: an R2T's last byte is among them. */
void xfer_arrived(struct xfer *x, uint32_t len, bool window_done);

/* xfer_total - bytes that will have come over the wire in the end. */
static inline uint32_t xfer_total(const struct xfer *x)
{
	return x->unsolicited > x->length ? x->unsolicited : x->length;
}

static inline bool xfer_complete(const struct xfer *x) { return x->arrived == xfer_total(x); }
