/* window.h - a stretch of one command's data that is due, where it belongs, and the rules for each
 * Data-Out that brings a piece of it.
 *
 * A window is one R2T's (it then lives in an entry of the data pointer table, dpt.h), or that of
 * unsolicited Data-Outs, found through the ITT and kept in the task; every payload byte is placed and
 * checked by the same code. Immediate data takes a window of its own: it carries no DataSN, so it must not
 * move that of the Data-Outs behind it.
 * Pure bookkeeping: no PDU is built, no byte touched. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include "counter.h"

struct arena;

/* A cursor into a landing: byte `skip` of iov[0]. n counts the vectors from iov on. */
struct place {
	const struct iovec *iov;
	unsigned n;
	size_t skip;
};

/* place_at - the cursor `offset` bytes behind `from`. A cursor at the landing's end or behind it, and
 * one into no landing at all, have n == 0: an initiator may send more than the device takes. */
struct place place_at(struct place from, size_t offset);
/* place_fill - up to `len` bytes from the cursor on as vectors; returns the number of vectors (at
 * most max) and through *lenp how many bytes they hold (less than len only for want of vectors, or
 * at the landing's end). */
unsigned place_fill(struct place p, size_t len, struct iovec *out, unsigned max, size_t *lenp);

/* A window: what one sequence of Data-Outs (or an immediate payload) may bring, and how far it is. */
struct window {
	void *task;
	uint32_t itt;
	uint32_t offset;      /* data offset: first byte, within the command's data */
	uint64_t lun;         /* as on the wire */
	uint32_t length;
	uint32_t filled;      /* bytes that a checked header has counted as arrived */
	uint32_t next_datasn;
	struct place start;   /* data pointer; n == 0: no place, bytes go to the sink */
	struct place next;    /* where the next byte belongs */
	struct arena *sums;   /* whose pages these are, while their checksums are kept (digest.h); else NULL */
};

/* A Data-Out header, as far as placement asks (RFC 7143 11.7). */
struct data_out {
	uint64_t lun;
	uint32_t itt, ttt, datasn, offset, length;
	bool final;
};

/* What a checked Data-Out is. */
enum data_out_fate {
	DATA_OUT_PLACE,   /* *wp is its window; the bytes belong at (*wp)->next */
	DATA_OUT_DRAIN,   /* late data of a task that is gone: to the sink, silently; F frees the slot */
	DATA_OUT_REFUSED, /* *whyp tells which rule (a CTR_REFUSED_... counter) */
};

/* window_init - nothing has arrived; start is the place of the window's first byte. */
void window_init(struct window *w, void *task, uint32_t itt, uint64_t lun, uint32_t offset,
	uint32_t length, struct place start);
/* window_check - the part of the list that solicited and unsolicited data share, in order: DataSN, Buffer
 * Offset, offset + length in 64 bits, F. Changes nothing. The F bit stands exactly on the PDU that fills the window;
 * for unsolicited data this is the same rule, since who sends any has to send all of it: the lesser
 * of FirstBurstLength and the Expected Data Transfer Length (RFC 7143 4.2.5.2). Its LUN field is
 * reserved (11.7.4) and not looked at. */
enum data_out_fate window_check(const struct window *w, const struct data_out *h, enum counter *whyp);
/* window_check_in - the same list for a Data-In of a read, as the initiator sees it: DataSN, Buffer Offset,
 * offset + length in 64 bits. F only ends a sequence there (11.7.2), and a read may end short. */
bool window_check_in(const struct window *w, const struct data_out *h, enum counter *whyp);
/* window_count - the header is checked (and the data digest, when there is one): these bytes count.
 * Once for each Data-Out, also one without payload: it moves DataSN on. */
void window_count(struct window *w, uint32_t len);
static inline uint32_t window_left(const struct window *w) { return w->length - w->filled; }
