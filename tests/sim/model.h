/* model.h - what a disk may answer while several initiators write to it.
 *
 * Each 512-byte block that is written carries the number of its write and its own place, so that a
 * block read tells which write it comes from. A write begins (its command is sent), and may end:
 * acknowledged (it has happened, at one moment between both), doubtful (it has happened or not, and
 * will not any more), or void (it cannot have happened). A read may show of a block any write that
 * is not void, unless another one that is sure began after it had ended, and ended before the read
 * began. Of two writes that cover the same two blocks a read shows one: no half of a write is ever
 * seen.
 *
 * Time is the order of events as the initiators see them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { MODEL_BLOCK = 512 };

struct model_write {
	uint32_t lba, n;
	uint64_t begun, ended; /* ended: UINT64_MAX while it may still happen */
	bool sure, voided;
};

struct model {
	const char *name;
	uint32_t n_blocks;
	bool loose;		    /* writes may fail half way: halves can be seen */
	struct model_write *writes; /* number 0: the zeros of the beginning */
	uint32_t n_writes, room;
	uint64_t now;
	uint64_t n_checked; /* blocks */
};

void model_init(struct model *m, const char *name, uint32_t n_blocks, bool loose);
void model_deinit(struct model *m);
uint32_t model_begin(
	struct model *m, uint32_t lba, uint32_t n, void *buf); /* fills buf; the number */
void model_sure(struct model *m, uint32_t number);
void model_doubt(struct model *m, uint32_t number);
void model_void(struct model *m, uint32_t number);
uint64_t model_tick(struct model *m); /* a read begins */
/* model_check - a read of n blocks that began at `begun` showed this; a contradiction fails the
 * test. What it shows has happened: no later read may show what was before. */
void model_check(struct model *m, uint32_t lba, uint32_t n, uint64_t begun, const void *buf);
