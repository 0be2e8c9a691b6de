/* retry.h - which requests may be sent again (the rule of berth/initiator.h): what the target says it has not begun, and
 * over a new connection what was lost with the old one.
 *
 * A request that changes blocks may be repeated when nothing that overlaps has been queued since: else
 * a reader may have seen the later change already, and a repetition would bring the older data back. What is
 * not a change of a range of blocks is repeatable or not by itself. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum repeat { REPEAT_NEVER, REPEAT_UNBEGUN, REPEAT_ALWAYS, REPEAT_UNLESS_OVERLAPPED };

struct change {
	enum repeat repeat;
	bool overlapped; /* a later change has been queued while this one was under way */
	uint64_t lun, lba;
	uint32_t n_blocks;
};

/* change_may_repeat - over a new connection. */
static inline bool change_may_repeat(const struct change *c)
{
	return c->repeat == REPEAT_ALWAYS ||
	       (c->repeat == REPEAT_UNLESS_OVERLAPPED && !c->overlapped);
}

/* change_overlap - do both change a block in common? */
static inline bool change_overlap(const struct change *a, const struct change *b)
{
	if (a->repeat != REPEAT_UNLESS_OVERLAPPED || b->repeat != REPEAT_UNLESS_OVERLAPPED ||
		a->lun != b->lun)
		return false;
	return a->lba < b->lba ? b->lba - a->lba < a->n_blocks : a->lba - b->lba < b->n_blocks;
}
