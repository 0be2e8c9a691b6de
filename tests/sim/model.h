/* model.h - what a disk may answer while several initiators write to it, before and after crashes.
 *
 * Each 512-byte block that is written carries the number of its write and its own place, so that a
 * block read tells which write it comes from. A write begins (its command is sent), and may end:
 * acknowledged (it has happened, at one moment between both), doubtful (it has happened or not, and
 * will not any more), or void (it cannot have happened). A read may show of a block any write that
 * is not void, unless another one that is sure began after it had ended, and ended before the read
 * began. Where a read shows what such a doubtful write would have covered, it has not happened, and
 * may not be seen later. Of two writes that cover the same two blocks a read shows one: no half of a write is ever
 * seen.
 *
 * A crash ends every write that is under way as doubtful. What survives it depends: acknowledged
 * writes do, but after a power cut only those that were promised to be durable (by the disk's mode,
 * FUA, or a flush that began later and was acknowledged); only they bury older ones then. The whole
 * disk is read after the restart (model_recovered). After a power cut that settles each block: a new epoch
 * begins, whose beginning is what was found. After a kill the epoch goes on, since what was found need not be
 * durable.
 *
 * Zeros (UNMAP, WRITE SAME) carry no number: a block of zeros is taken for the newest of what may have
 * zeroed it.
 *
 * A copy is a write of what its source may have shown meanwhile (may.h), block by block: like zeros it is atomic for each
 * page only.
 *
 * Time is the order of events as the initiators see them. Models between which there are copies have one clock. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { MODEL_BLOCK = 512 };

struct model_write {
	uint32_t lba, n;
	uint64_t begun, ended; /* ended: UINT64_MAX while it may still happen */
	bool sure, voided, durable, zeros;
	bool torn; /* a kill met it: some of its blocks may be there */
	struct model_copy *copy; /* NULL: it is none */
};

enum model_crash {
	MODEL_KILLED,      /* acknowledged writes survive, and no command is seen by halves (but one that met zeros
			    * on their way to the disk, which it follows there page by page) */
	MODEL_KILLED_TORN, /* acknowledged writes survive; one under way may be there by halves */
	MODEL_POWER,       /* durable writes survive; of the others some blocks may */
	MODEL_FORGOTTEN,   /* zeros */
};

struct content;
struct model {
	const char *name;
	uint32_t n_blocks;
	bool loose;		    /* writes may fail half way: halves can be seen */
	struct model_write *writes; /* of this epoch; number first + i */
	uint32_t n_writes, room, first;
	uint32_t n_copies;	    /* of them */
	struct content *base;	    /* a block: what this epoch began with */
	uint32_t id;
	uint64_t now, *clock; /* its own, or that of another */
	bool crashed;
	enum model_crash crash;
	uint64_t n_checked, n_recovered; /* blocks */
};

void model_init(struct model *m, const char *name, uint32_t n_blocks, bool loose);
void model_deinit(struct model *m);
/* model_join - there are copies between the two: one clock, and contents that can be told apart. */
void model_join(struct model *m, struct model *with);
/* model_begin - fills buf; the number. model_begin_zeros - the same for a command that makes zeros. */
uint32_t model_begin(struct model *m, uint32_t lba, uint32_t n, void *buf);
uint32_t model_begin_zeros(struct model *m, uint32_t lba, uint32_t n);
/* model_begin_copy - what `from` shows at `from_lba` comes to lba; from may be m itself. */
uint32_t model_begin_copy(struct model *m, uint32_t lba, uint32_t n, struct model *from, uint32_t from_lba);
void model_sure(struct model *m, uint32_t number, bool durable);
void model_doubt(struct model *m, uint32_t number);
void model_void(struct model *m, uint32_t number);
uint64_t model_tick(struct model *m); /* a read or a flush begins */
/* model_flushed - a flush of the range, that began at `begun`, is acknowledged. */
void model_flushed(struct model *m, uint32_t lba, uint32_t n, uint64_t begun);
/* model_check - a read of n blocks that began at `begun` showed this; a contradiction fails the
 * test. What it shows has happened: no later read may show what was before. */
void model_check(struct model *m, uint32_t lba, uint32_t n, uint64_t begun, const void *buf);

void model_crashed(struct model *m, enum model_crash crash);
/* model_recovered - the whole disk, read before anybody writes again. */
void model_recovered(struct model *m, const void *buf);
