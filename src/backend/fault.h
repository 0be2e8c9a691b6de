/* fault.h - disks that misbehave as they are told to: backends that hold the next one behind the same door.
 *
 *   error=OP[:lba=FIRST[-LAST]][:rate=P][:errno=NAME][:count=N][:seed=N]    some pieces fail
 *   delay=OP:TIME[:jitter=none|uniform|exp][:lba=..][:rate=P][:count=N][:seed=N]   some pieces are late
 *   power=forget|tear[:flush=ignored][:seed=N]      the program's end is a power cut (power.c)
 *
 * OP is read, write, unmap, flush, any, or several of them joined by +. An OP is one of the backend, which may
 * differ from the initiator's: a write of part of a page reads, a cached read does not, and a write-back disk
 * writes later. A copy from file to file by the system is a write, and is not done from a disk that misbehaves.
 * lba is in blocks of the disk; a flush has none and always meets it. The same seed and the same order of pieces
 * meet the same faults. */
#pragma once

#include "backend.h"

enum fault_kind { FAULT_ERROR, FAULT_DELAY, FAULT_POWER };
enum fault_op {
	FAULT_READ = 1 << 0,
	FAULT_WRITE = 1 << 1,
	FAULT_UNMAP = 1 << 2,
	FAULT_FLUSH = 1 << 3,
	FAULT_ANY = (1 << 4) - 1,
};
enum fault_jitter { JITTER_NONE, JITTER_UNIFORM, JITTER_EXP }; /* the mean is `delay_ns` in each */

struct fault {
	enum fault_kind kind;
	unsigned ops;           /* of enum fault_op */
	uint64_t first, last;   /* blocks */
	double rate;            /* 0..1 */
	uint64_t count;         /* at most so many */
	uint64_t seed;
	int error;              /* FAULT_ERROR: negative errno */
	uint64_t delay_ns;      /* FAULT_DELAY */
	enum fault_jitter jitter;
	bool tear;              /* FAULT_POWER: some of a write may survive, not only none of it */
	bool lies;              /* FAULT_POWER: flushes, and writes that ask to be durable, are answered and not done */
};

/* fault_parse - what stands behind "error=" and the like. 0, or -EINVAL with the reason in why. */
int fault_parse(struct fault *f, enum fault_kind kind, const char *text, char *why, size_t why_len);
/* fault_wrap - *bp becomes a backend that holds the old *bp; blocks are of `block` bytes. -ENOMEM: *bp stays. */
int fault_wrap(struct backend **bp, const struct fault *f, uint32_t block);

/* --- inside: what error.c, delay.c and power.c share --- */
struct filter {
	struct backend b;       /* first */
	struct backend *inner;  /* owned */
	struct fault f;
	uint32_t block;
	uint64_t n_rolls;       /* atomic */
	uint64_t n_left;        /* atomic: of f.count */
};
extern const struct backend_ops error_ops, delay_ops;
int power_new(struct backend **bp, struct backend *inner, const struct fault *f);

void filter_init(struct filter *x, const struct backend_ops *ops, struct backend *inner, const struct fault *f);
struct backend *filter_free(struct backend *b);
int filter_stamp(struct backend *b, struct backend_stamp *s);
int filter_look(struct backend *b);
int filter_room(struct backend *b, struct backend_room *r);
/* filter_pass - the piece goes on to the held backend, as it is. */
void filter_pass(struct filter *x, struct io *io, struct backend_req *r);
/* filter_end - the piece ends with res, later. */
void filter_end(struct io *io, struct backend_req *r, int64_t res);
bool filter_hits(struct filter *x, const struct io_disk *d);
uint64_t filter_roll(struct filter *x); /* a number from the seed; any thread */
