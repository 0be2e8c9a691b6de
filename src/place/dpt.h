/* dpt.h - the data pointer table: where the bytes of each granted window belong (Figures 9A to 9D).
 *
 * One table a connection, used on its reactor only. Pure bookkeeping: no PDU is built, no socket read.
 * An entry is one R2T's window [offset, offset + length) of one task's data, and says where it lies:
 *   place of a byte = data pointer + (Buffer Offset - data offset)
 * where the data pointer is one run of memory, or a list of runs (iovec of the task's landing).
 *
 * What an entry holds is a struct window (window.h), the same that unsolicited data has in its task.
 *
 * Slot states:  free -> granted -> free            all bytes in
 *                       granted -> draining -> free  the task is gone; late Data-Outs go to the sink until
 *                                                  F or the end of the connection
 * Ownership: an entry borrows the task and its iovec until dpt_close() or dpt_drain(). */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "counter.h"
#include "list.h"
#include "tag.h"
#include "window.h"

enum dpt_state { DPT_FREE, DPT_GRANTED, DPT_DRAINING };

struct dpt_entry {
	struct window w;
	struct list link;   /* free list (oldest first) or granted list (grant order) */
	uint8_t state, gen;
	bool last_seen;     /* a Data-Out with F has come */
	uint16_t slot;
};

enum { DPT_BLOCK = 16, DPT_BLOCKS = TAG_OTHER_FIRST / DPT_BLOCK };

/* Slots exist in blocks, made when all that exist are in use: an idle connection has none, and most
 * never need a second. */
struct dpt {
	uint16_t conn;          /* this connection's half of the tag */
	uint16_t n_granted, n_draining;
	uint16_t n_slots;       /* that exist; those neither granted nor draining are on the free list */
	struct list free;       /* oldest first */
	struct list granted;    /* in grant order: the receive plan reaches along it */
	struct list draining;   /* oldest first: where all slots are in use, the oldest is given up */
	struct dpt_entry *block[DPT_BLOCKS];
};

enum { DPT_FULL = 1 };

int dpt_init(struct dpt *d, uint16_t conn);
void dpt_deinit(struct dpt *d); /* safe to call twice; entries are dropped, draining ones too */

/* dpt_grant - take a free slot for a window; DPT_FULL: the R2T waits; -ENOMEM. When none is free the slot that
 * drains longest is taken: the rest of its data is not to be expected any more, and is stale if it comes.
 * w->start must be the place of w->offset; filled and next_datasn start at 0. */
int dpt_grant(struct dpt *d, const struct window *w, struct dpt_entry **ep);
/* dpt_name - take a free slot only for its tag: for a task that names itself by one and for which no data is due
 * (the initiator's; window.length is 0, and the receive plan does not reach there). Ends as dpt_grant(). */
int dpt_name(struct dpt *d, void *task, struct dpt_entry **ep);
/* dpt_find - the entry that a tag names, granted and of this connection; NULL: there is none. */
struct dpt_entry *dpt_find(struct dpt *d, uint32_t tag);
uint32_t dpt_tag(const struct dpt *d, const struct dpt_entry *e);
void dpt_close(struct dpt *d, struct dpt_entry *e); /* all in: the slot is free, the tag stale */
/* dpt_drain - the task is gone. The slot is free at once when F has been seen already, with a PDU that
 * was refused or whose payload is still coming in. */
void dpt_drain(struct dpt *d, struct dpt_entry *e);

/* dpt_check - the check list for solicited data, in order: connection half, slot and generation, ITT,
 * LUN, then window_check(). Changes nothing but draining slots, and notes F.
 * PLACE: *wp and *ep are set. REFUSED: *whyp is; *wp and *ep too where the task ends (scope TASK of
 * refusal.tbl), else they are NULL. DRAIN: they are NULL.
 * A LUN of 0 where the task's is another is let pass, and counted (CTR_LUN_MISMATCH). */
enum data_out_fate dpt_check(struct dpt *d, const struct data_out *h, struct window **wp,
	struct dpt_entry **ep, enum counter *whyp);
