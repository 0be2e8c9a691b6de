/* may.h - inside the model: what a block may show, and where copies may have it from.
 *
 * A copy is a write whose content is not known beforehand: of each of its blocks it may be anything that the source
 * may have shown at one moment between the copy's beginning and its end. What that is stands fixed from its end on. */
#pragma once

#include "model.h"

/* What a block holds: the write it comes from, with its model in the upper half, and its place then; zeros: 0, 0. */
struct content {
	uint64_t number, lba;
};

struct contents {
	struct content *list;
	uint32_t n, room;
	bool any; /* too much is under way to tell */
};

struct model_copy {
	struct model *from;
	uint32_t lba; /* of the source */
	struct contents *blocks; /* NULL: it has not ended */
};

static inline bool covers(const struct model_write *w, uint32_t lba)
{
	return lba >= w->lba && lba - w->lba < w->n;
}

static inline struct content content_of(const struct model *m, uint32_t number, uint32_t lba)
{
	return number ? (struct content){(uint64_t)m->id << 32 | number, lba} : (struct content){0, 0};
}

static inline bool is_same(struct content a, struct content b)
{
	return a.number == b.number && a.lba == b.lba;
}

/* bound - a read of the block that begins at `begun` shows nothing that ended before the time returned; *overp: the number
 * of the write that came after it. 0: nothing came. */
uint64_t bound(const struct model *m, uint32_t lba, uint64_t begun, uint32_t *overp);
/* copied - the newest copy that may have brought this content there; NULL: none. */
const struct model_write *copied(const struct model *m, uint32_t lba, uint64_t begun, struct content c);
/* contents_settle - what it may have brought is settled. */
void contents_settle(struct model_write *w);
void contents_free(struct model_copy *copy, uint32_t n);
