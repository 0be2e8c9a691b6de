/* policy.h - which cached page gives way: a scan-resistant order of page numbers. It knows no volume, no map and
 * no lock: its owner calls one at a time, and says for each page that it is shown what became of it.
 *
 * Two queues in order of arrival, as in S3-FIFO. A page begins in the small one, a tenth of all; if it was used again
 * by the time it comes to the front it moves to the main one, else it goes, and a ghost of it stays: a
 * fingerprint of what it was, and when. Pages of the main queue that were used go round.
 *
 * S3-FIFO lets every ghost that is wanted again into the main queue, so that a loop that is a little larger than the
 * cache pushes itself out. Here it comes in through the small queue, and moves on only in place of a page of the
 * main queue that has gone unused for longer than it was away (the rule of LIRS). Time is counted in pages that came.
 *
 * The order within a queue is that in which pages were read, which is that in which the arena gave them out, so what
 * leaves is mostly in long runs. Memory: 24 to 32 bytes a page, on demand, ghosts included. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct policy_node {
	uint32_t next, prev;
	uint32_t stamp; /* when it came, or was last found used */
	uint32_t where : 3;
	uint32_t away : 29; /* small queue: how long its ghost had been there; 0: there was none */
};

enum { GHOST_WAYS = 8 };
struct ghost {
	uint32_t print, stamp;
};
struct ghost_set {
	struct ghost ways[GHOST_WAYS]; /* a cache line */
};

struct policy {
	struct policy_node *nodes; /* n_pages, then the heads of the queues */
	struct ghost_set *sets;
	uint32_t n_pages, n_sets; /* n_sets is a power of two */
	uint32_t n_in[2];         /* of each queue */
	uint32_t now;
	uint32_t n_stays[2]; /* of each queue: pages in a row that had to stay, less what the other gave since */
	uint32_t n_looks; /* of the main queue, for the sake of the first in the small one */
};

int policy_init(struct policy *p, uint32_t n_pages); /* -ENOMEM */
void policy_deinit(struct policy *p);		     /* safe to call twice */

/* policy_add - the page has come, and is now what `id` (any 64 bits) says; wherever it was before. */
void policy_add(struct policy *p, uint32_t page, uint64_t id);

/* policy_keep - the same, but a page that waits in a queue keeps its place. */
void policy_keep(struct policy *p, uint32_t page, uint64_t id);

/* policy_next - the page that should give way, to be told of by policy_settle() before the next; PAGE_NONE: there is none. */
uint32_t policy_next(struct policy *p);
enum policy_end {
	POLICY_OUT,  /* it gave way; its ghost stays */
	POLICY_GONE, /* it is not in the cache any more */
	POLICY_USED, /* it was used since it was last shown, or came */
	POLICY_STAYS /* it cannot go now */
};
/* policy_settle - of a page that was added again in between, nothing is done. */
void policy_settle(struct policy *p, uint32_t page, uint64_t id, enum policy_end end);
static inline uint32_t policy_count(const struct policy *p)
{
	return p->n_in[0] + p->n_in[1];
}
