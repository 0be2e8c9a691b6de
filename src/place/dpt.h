/* dpt.h - the data pointer table: where the bytes of each granted window belong (Figures 9A to 9D).
 *
 * One table a connection, used on its reactor only. Pure bookkeeping: no PDU is built, no socket read.
 * An entry is one R2T's window [offset, offset + length) of one task's data, and says where it lies:
 *   place of a byte = data pointer + (Buffer Offset - data offset)
 * where the data pointer is one run of memory, or a list of runs (iovec of the task's landing).
 *
 * Also here: the windows of unsolicited data, found through the ITT and not through a tag; they are
 * the same struct, kept in the task and not in the table, so that every payload byte is placed and
 * checked by the same code.
 *
 * Slot states:  free -> granted -> free            all bytes in
 *                       granted -> draining -> free  the task is gone; late Data-Outs go to the sink until
 *                                                  F or the end of the connection
 * Ownership: an entry borrows the task and its iovec until dpt_close() or dpt_drain(). */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include "counter.h"
#include "list.h"
#include "tag.h"

/* A cursor into a landing: byte `skip` of iov[0]. n counts the vectors from iov on. */
struct place {
	const struct iovec *iov;
	unsigned n;
	size_t skip;
};

/* place_at - the cursor `offset` bytes behind `from` (offset within the landing, or just its end). */
struct place place_at(struct place from, size_t offset);
/* place_fill - up to `len` bytes from the cursor on as vectors; returns the number of vectors (at
 * most max) and through *lenp how many bytes they hold (less than len only for want of vectors). */
unsigned place_fill(struct place p, size_t len, struct iovec *out, unsigned max, size_t *lenp);

/* A window: what one sequence of Data-Outs (or an immediate payload) may bring, and how far it is. */
struct window {
	void *task;
	uint32_t itt;
	uint64_t lun;         /* as on the wire */
	uint32_t offset;      /* data offset: first byte, within the command's data */
	uint32_t length;
	uint32_t filled;      /* bytes that a checked header has counted as arrived */
	uint32_t next_datasn;
	struct place start;   /* data pointer; n == 0: no place, bytes go to the sink */
	struct place next;    /* where the next byte belongs */
};

enum dpt_state { DPT_FREE, DPT_GRANTED, DPT_DRAINING };

struct dpt_entry {
	struct window w;
	struct list link;   /* free list (oldest first) or granted list (grant order) */
	uint8_t state, gen;
	uint16_t slot;
};

struct dpt {
	uint16_t conn;          /* this connection's half of the tag */
	uint16_t n_granted, n_draining, n_free;
	struct list free;       /* slots below TAG_OTHER_FIRST, oldest first */
	struct list granted;    /* in grant order: the receive plan reaches along it */
	struct dpt_entry *slots; /* TAG_OTHER_FIRST of them; allocated in blocks as they are first needed */
	uint16_t n_slots;
};

enum { DPT_FULL = 1 };

int dpt_init(struct dpt *d, uint16_t conn);
void dpt_deinit(struct dpt *d); /* safe to call twice; entries are dropped, draining ones too */

/* dpt_grant - take a free slot for a window; DPT_FULL: the R2T waits; -ENOMEM.
 * w->start must be the place of w->offset; filled and next_datasn start at 0. */
int dpt_grant(struct dpt *d, const struct window *w, struct dpt_entry **ep);
uint32_t dpt_tag(const struct dpt *d, const struct dpt_entry *e);
void dpt_close(struct dpt *d, struct dpt_entry *e); /* all in: the slot is free, the tag stale */
void dpt_drain(struct dpt *d, struct dpt_entry *e); /* the task is gone */

/* A Data-Out header, as far as placement asks (RFC 7143 11.7). */
struct data_out {
	uint64_t lun;
	uint32_t itt, ttt, datasn, offset, length;
	bool final;
};

/* What a checked Data-Out is. */
enum data_out_fate {
	DATA_OUT_PLACE,   /* *wp is its window; the bytes belong at window_place() */
	DATA_OUT_DRAIN,   /* late data of a task that is gone: to the sink, silently; F frees the slot */
	DATA_OUT_REFUSED, /* *whyp tells which rule (a CTR_REFUSED_... counter); *wp is the window or NULL */
};

/* dpt_check - the check list for solicited data, in order: connection half, slot and generation, ITT,
 * LUN, DataSN, Buffer Offset, offset + length in 64 bits, F. Changes nothing but draining slots. */
enum data_out_fate dpt_check(struct dpt *d, const struct data_out *h, struct window **wp,
	struct dpt_entry **ep, enum counter *whyp);
/* window_check - the part of the list that unsolicited data shares. */
enum data_out_fate window_check(struct window *w, const struct data_out *h, enum counter *whyp);
/* window_count - the header is checked (and the data digest, when there is one): these bytes count. */
void window_count(struct window *w, uint32_t len);
static inline uint32_t window_left(const struct window *w) { return w->length - w->filled; }
