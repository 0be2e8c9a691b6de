/* outbox.h - what leaves together: one sendmsg for all that a session has to say in a turn.
 *
 * A batch is headers of its own and vectors that name them and the callers' buffers. It belongs to the pool
 * and is lent to a session from its making until its last byte is out. */
#pragma once

#include <stdint.h>
#include "list.h"
#include "pdu.h"
#include "window.h"

enum { BATCH_PDUS = 256, BATCH_VECTORS = 1000, BATCH_BYTES = 1 << 20 };

struct batch {
	struct list link;
	unsigned vec, n_vec, n_pdus;
	uint32_t bytes;
	uint8_t bhs[BATCH_PDUS * (BHS_LEN + 4)]; /* headers and their digests, back to back */
	uint32_t bhs_len;
	uint8_t trailer[BATCH_PDUS][8];          /* pad and data digest */
	struct iovec iov[BATCH_VECTORS];
};

struct outbox {
	struct batch *batch; /* under way, NULL: none */
	uint32_t made, sent; /* batches so far; a request whose .batch is above `sent` has its buffers in use */
};
