/* pace.h - does an initiator wait for us, or we for it?
 *
 * Every command tells which answers its sender had read when it was sent (ExpStatSN, RFC 7143 11.3.5). What we
 * had said beyond that (`behind`) is work that the initiator still has: each answer it reads lets it send
 * one more command, whether we look or not. One that is far behind is slower than we are; it trickles its
 * commands one by one, and a turn of the reactor, a wake-up and a send call for each of them cost more
 * than the commands themselves. So the reactor may let more of them come before it looks again, for
 * as long as half of what the initiator has will keep it busy: nobody waits for that.
 *
 * Who acknowledges answers late is no such initiator. That shows when we look away and nothing more has come: it
 * is not believed for a while.
 *
 * Pure: no clock, no socket. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
	PACE_BEHIND = 4,            /* answers: fewer may be gone before we could look */
	PACE_DEEP = 8,              /* who has been so far behind lately may do without us for a moment */
	PACE_GRUDGE = 256,
	PACE_FULL = 8,              /* commands in one look: so many pay for a turn */
	PACE_MOST_NS = 100 * 1000,
	PACE_LEAST_NS = 10 * 1000,  /* a shorter sleep costs more than it saves */
};

struct pace {
	uint64_t look_ns; /* when commands last came */
	uint32_t cmdsn;   /* the next one's number then */
	uint32_t depth;   /* the most answers it was behind by, fading; in 256ths */
	uint16_t grudge;  /* looks for which it is not trusted: it sent next to nothing when we looked away */
	bool eased;
};

/* pace_look - what has come by now_ns: the next command's number, and how far behind the last one's sender
 * was. Returns for how long the initiator has work without us: 0 when it may have none. */
uint64_t pace_look(struct pace *p, uint64_t now_ns, uint32_t cmdsn, uint32_t behind);

/* pace_is_deep - it is not one that waits for each answer. */
static inline bool pace_is_deep(const struct pace *p) { return p->depth >= PACE_DEEP << 8; }
