/* wire_in.h - the driver's connection from inside.
 *
 *   wire_open.c   one PDU at a time: the URL, login, and what comes before the load
 *   wire.c        the load: many commands under way, batches out and in */
#pragma once

#include <sys/uio.h>
#include "wire.h"

enum {
	IN_LEN = 256 << 10,
	BATCH_PDUS = 256,
	PAYLOAD_LEN = 16 << 20,
	JOBS = 4096,
};
enum {
	NOP_OUT = 0x00,
	COMMAND = 0x01,
	LOGIN = 0x43, /* with the I bit */
	DATA_OUT = 0x05,
	NOP_IN = 0x20,
	RESPONSE = 0x21,
	LOGIN_RSP = 0x23,
	DATA_IN = 0x25,
	R2T = 0x31,
	REJECT = 0x3f,
	FINAL = 0x80,
};

struct slot {
	uint64_t start_ns, lba;
	uint32_t n_blocks, len;
	bool busy, write;
};

struct job {
	uint16_t slot;
	bool command;
	uint32_t ttt, at, end, datasn;
};

struct wire {
	int fd;
	unsigned index, depth, limit, n_busy;
	struct wire_params p;
	const struct wire_url *url;
	uint8_t lun[8];
	uint32_t cmdsn, expstatsn, maxcmdsn;
	struct slot *slots;

	/* out */
	struct job jobs[JOBS];
	unsigned job, n_jobs;
	uint8_t headers[BATCH_PDUS][WIRE_BHS];
	struct iovec iov[2 * BATCH_PDUS + 1];
	unsigned vec, n_vec;

	/* in */
	uint8_t in[IN_LEN];
	size_t have;
	uint8_t kept[WIRE_BHS]; /* the header whose data segment is coming */
	size_t skip;
};

extern uint8_t *wire_payload; /* PAYLOAD_LEN and a pad, shared by all */

/* wire_header - a request's, with the numbers of this moment; the rest is 0. */
void wire_header(const struct wire *w, uint8_t *bhs, uint8_t op, uint8_t flags, uint32_t itt);
/* wire_send - all of it, waiting for room. */
void wire_send(struct wire *w, const void *buf, size_t len);
