/* xfer.h - what of one command's data-out has been asked for and what comes next.
 *
 * Pure bookkeeping: no PDU, no socket, no memory of data. One task owns one xfer.
 * Life of a write's data (RFC 7143 4.2.5.2, 13.10 to 13.14):
 *   [0, immediate)            rides in the command PDU
 *   [immediate, unsolicited)  Data-Outs with TTT 0xffffffff, when InitialR2T=No and the command's F bit is 0
 *   [unsolicited, length)     windows of at most MaxBurstLength each, asked for with R2Ts
 * length is what the device wants, never above the Expected Data Transfer Length; bytes of the
 * initiator beyond it are the residual (overflow of the initiator's view is the target's underflow). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct xfer_limits { /* as negotiated */
	uint32_t first_burst, max_burst, max_r2t;
	bool initial_r2t, immediate_data;
};

struct xfer {
	uint32_t length;      /* bytes of data-out that the device takes */
	uint32_t unsolicited; /* [0, unsolicited) comes or came without an R2T */
	uint32_t granted;     /* [unsolicited, granted) has been asked for */
	uint32_t arrived;     /* bytes in, of any kind */
	uint32_t r2tsn;       /* next R2TSN */
	uint16_t n_open;      /* R2Ts granted and not yet complete */
};

/* Named ends of xfer_init(): what the command PDU itself does wrong. */
enum { XFER_OK, XFER_IMMEDIATE_FORBIDDEN, XFER_IMMEDIATE_TOO_LONG, XFER_UNSOLICITED_FORBIDDEN };
int xfer_init(struct xfer *x, const struct xfer_limits *lim, uint32_t edtl, uint32_t wanted,
	uint32_t immediate_len, bool final);

/* xfer_next - the next window to ask for, not reaching past `have` (bytes with a place);
 * false: nothing to ask for now. Counts it as granted. */
bool xfer_next(struct xfer *x, const struct xfer_limits *lim, uint32_t have, uint32_t *offp, uint32_t *lenp);
/* xfer_undo - the last xfer_next() found no free slot: as if it had not been called. */
void xfer_undo(struct xfer *x, uint32_t off, uint32_t len);
void xfer_arrived(struct xfer *x, uint32_t len, bool window_done); /* window_done: an R2T's last byte */
static inline bool xfer_complete(const struct xfer *x) { return x->arrived == x->length; }
