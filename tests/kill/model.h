/* model.h - what each block of the disk may hold, by all that the server has said.
 *
 * A block is `stable` (one number: the write that it must show) and has later writes that it may show instead.
 * What makes a write stable is its acknowledgement, or, for a disk whose power is cut, FUA or a flush that began
 * after it. The number, the block's place and a checksum stand in the block itself; number 0 is zeros, and so is
 * each write that was an UNMAP. No two writes of a block are under way at once. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BLOCK = 512, LATER_MAX = 12 };

struct later {
	uint64_t number;
	uint64_t acked; /* when, in events; 0: it was not */
};

struct block {
	uint64_t stable;
	struct later later[LATER_MAX];
	uint8_t n_later;
	bool busy; /* a write is under way */
};

struct model {
	struct block *blocks;
	uint32_t n_blocks;
	bool flushes;      /* only FUA and flushes make stable */
	uint64_t now;      /* events */
	uint64_t number;   /* of the last write */
	uint64_t n_acked, n_checked, n_lost; /* blocks */
	char why[200];     /* the first that was lost */
};

void model_init(struct model *m, uint32_t n_blocks, bool flushes);
void model_deinit(struct model *m);

/* model_begin - a write of n blocks; false: one of them is busy, or has as many later writes as it may. Zeros
 * have a number too, marked by model_zeros(). */
bool model_begin(struct model *m, uint32_t lba, uint32_t n, bool zeros, uint64_t *numberp);
/* model_end - it was acknowledged, or it is not known what became of it. */
void model_end(struct model *m, uint32_t lba, uint32_t n, uint64_t number, bool acked, bool stable);
/* model_flushed - a flush that began at event `since` was acknowledged. */
void model_flushed(struct model *m, uint64_t since);
/* model_check - what was read after a restart; it is what must be there from now on. */
void model_check(struct model *m, uint32_t lba, uint32_t n, const uint8_t *bytes);

/* model_fill - the blocks of a write. */
void model_fill(uint8_t *bytes, uint32_t lba, uint32_t n, uint64_t number);
uint64_t model_random(uint64_t *state);
