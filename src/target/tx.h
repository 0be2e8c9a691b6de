/* tx.h - what a connection has to say, in order, as vectors for one send call.
 *
 * A tx is one PDU, or the Data-In PDUs of one READ. It waits in the connection's queue; a batch takes
 * as many PDUs from the head as one send call should carry, gives each its header (StatSN, ExpCmdSN and
 * MaxCmdSN are written then, so that they are in the order of the stream) and its vectors
 * straight out of the pages. A batch exists only while something is to be sent: an idle connection has none.
 *
 * Ownership: a tx is borrowed from its owner until `done`, which comes once: sent, or dropped at the
 * connection's end. Thread: the connection's reactor. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include "dpt.h"
#include "list.h"
#include "pdu.h"

struct worker;
struct conn;

enum {
	BATCH_PDUS = 96,
	BATCH_VECTORS = 480,
	BATCH_BYTES = 2 << 20,
};

struct tx {
	struct list link;
	struct pdu pdu;      /* what to encode; the numbers come with the batch */
	bool takes_statsn;   /* a numbered response: its StatSN is used up */
	bool data_in;        /* a sequence of Data-In PDUs, status in the last when has_status */
	bool has_status;
	struct place data;   /* payload not yet put into a batch */
	uint64_t left;
	uint32_t offset, datasn;
	struct arena *sums;  /* whose pages the payload may lie in, while their checksums are kept; else NULL */
	void *owned;         /* freed with the tx */
	struct iovec iov;    /* for payloads of one piece */
	void (*done)(struct tx *tx, bool sent);
	void *owner;
};

struct batch;
struct tx_queue {
	struct list list;
	struct batch *batch; /* NULL: nothing under way */
	unsigned n;
	uint64_t bytes;      /* payload waiting, for the limit of peers that stop reading */
};

void tx_queue_init(struct tx_queue *q);
/* tx_queue_drop - the connection is gone: every tx gets done(false). */
void tx_queue_drop(struct conn *c);

/* tx_new - a tx of its own, out of the worker's freelist, that frees itself; NULL: no memory. */
struct tx *tx_new(struct worker *w);
void tx_init(struct tx *tx);
/* tx_own - the tx carries a copy of `len` bytes as payload; false: no memory. */
bool tx_own(struct tx *tx, const void *data, uint32_t len);
void tx_push(struct conn *c, struct tx *tx);

const struct iovec *tx_plan(struct conn *c, unsigned *np);
void tx_sent(struct conn *c, size_t n);
void tx_free_lists(struct worker *w);
