/* pace.c - see pace.h. The time between two commands is taken from the last look alone: an
 * initiator that was idle before looks slow for one look, which PACE_MOST_NS bounds. */
#include "pace.h"

#include "check.h"

enum { FADE = 128 }; /* looks in which a depth fades to about a third */

uint64_t pace_look(struct pace *p, uint64_t now_ns, uint32_t cmdsn, uint32_t behind)
{
	uint32_t n = cmdsn - p->cmdsn, depth = MIN(behind, UINT16_MAX) << 8;
	uint64_t took_ns = now_ns - p->look_ns, ease_ns;

	p->look_ns = now_ns;
	p->cmdsn = cmdsn;
	p->depth = MAX(depth, p->depth - p->depth / FADE);
	if (p->eased && n < 2)
		p->grudge = PACE_GRUDGE;
	p->eased = false;
	if (p->grudge) {
		p->grudge--;
		return 0;
	}
	if (behind < PACE_BEHIND || n == 0 || n >= PACE_FULL)
		return 0;
	ease_ns = MIN(took_ns, PACE_MOST_NS * UINT64_C(2)) * (behind / 2) / n;
	p->eased = ease_ns >= PACE_LEAST_NS;
	return p->eased ? MIN(ease_ns, PACE_MOST_NS) : 0;
}
