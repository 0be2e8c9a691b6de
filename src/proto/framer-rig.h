/* framer-rig.h - a target of the tests behind the framer: tasks, windows and memory, no SCSI.
 *
 * The rig answers struct framer_ops over a real data pointer table, and keeps a log of what it was
 * told. The same rig is fed in two ways: through a framer, cut in any way (rig_feed), and by a
 * parser that knows the whole stream and copies (rig_whole). Both must tell the same story, and
 * every byte of every task must be the one that its pattern says.
 *
 * What a command asks for stands in its CDB (framer-stream.h). A task's memory is given back as soon
 * as its last byte is in, so that a sanitizer sees whoever touches it later; a task that is aborted
 * in a walk keeps its memory until the walk is over, as the target does. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "counter.h"
#include "framer.h"
#include "framer-stream.h"

enum { RIG_TASKS = 16, RIG_STOP_ITT = 0x570b };

struct rig_task {
	bool used;
	uint32_t itt, granted, arrived;
	struct rig_cdb cdb;
	unsigned n_open;
	struct window immediate, unasked;
	struct iovec *iov;
	unsigned n_iov;
	uint8_t *mem;
	size_t mem_len;
};

struct rig {
	struct framer f;
	struct dpt dpt;
	struct rx_scratch *scratch;
	struct counters counters; /* of rig_feed() */
	struct rig_task tasks[RIG_TASKS];
	uint64_t *log;
	size_t n_log, room_log;
	unsigned n_pdus, n_done, n_refused, n_drained;
	bool walking, stopped;
	unsigned n_damaged; /* digests that did not match */
	struct rig_task *parting[RIG_TASKS];
	unsigned n_parting;
	/* the PDU under way */
	uint8_t bhs[BHS_LEN];
	struct window *window;
	struct dpt_entry *entry;
	struct rig_task *task;
	uint8_t *opaque;
	struct iovec opaque_iov;
	/* seen of the plans */
	unsigned most_vectors;
	size_t most_bytes;
	uint64_t n_calls;
};

void rig_init(struct rig *r, unsigned header_digest, unsigned data_digest);
void rig_deinit(struct rig *r);
struct rig_task *rig_find(struct rig *r, uint32_t itt);
/* rig_abort - as a task management function would: in a walk or between two. */
void rig_abort(struct rig *r, struct rig_task *t);
/* rig_same - did both see the same PDUs? On failure says where they part. */
bool rig_same(const struct rig *a, const struct rig *b);
uint64_t rig_counter(const struct rig *r, enum counter c);

/* rig_whole - the trivial parser: [from, len) of a stream of whole PDUs. */
void rig_whole(struct rig *r, const struct stream *s, size_t from);
/* rig_whole_but - the same for one PDU during which, `at` bytes into it, a task is aborted by another hand. */
void rig_whole_but(struct rig *r, const struct stream *s, size_t from, size_t at, uint32_t itt);
/* rig_feed - through the framer; `cut` says how many bytes there are for the next receive call,
 * `at` the stream's position, `left` what there is of it at most. NULL: everything. False: stopped.
 */
typedef size_t (*rig_cut)(void *ctx, size_t at, size_t left);
bool rig_feed(struct rig *r, const struct stream *s, size_t from, rig_cut cut, void *ctx);
/* One receive call of at most `most` bytes; returns how many were taken. */
size_t rig_receive(struct rig *r, const uint8_t *bytes, size_t most);
