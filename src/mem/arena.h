/* arena.h - buffer memory: pages of 4 KiB in arena lines of 32 KiB, handed out in runs.
 *
 * Shape. An arena is one page-aligned mapping. A page is named by a 32-bit number, never by an
 * address, in everything that may outlive the process. A map of free runs (runmap.h) hands out
 * contiguous runs, as long as the transfer wants them, the lowest first, so that what is used stays
 * together (but who asks for as few as 8 pages gets a run of just that length that was given back lately,
 * if there is one); any part of a run may be given back by itself.
 *
 * Ownership. A page that was taken has one reference; whoever holds a reference may read it (pin).
 * Pages are written only by their taker, before anybody else can see them. The last arena_unref()
 * gives the page back.
 *
 * Admission. Free pages are promised before they are taken: a quota is a number of pages that its
 * owner can always get (a connection's MaxBurst and unsolicited window). What nobody was promised is
 * open to all, except a reserve that only merges and write-back may use (ARENA_MERGE):
 *   open = free - promised and not yet taken - reserve, and never below 0
 *
 * Threads: every call from any thread; one lock, held for the map's few steps.
 * Memory: kind ARENA_RAM is anonymous, never lent to an engine, and arena_unref_punch() gives pages
 * back to the system: a thin volume is to cost what was written. Huge pages come in only where it grows
 * dense (huge.h).
 * Kind ARENA_FILE is a shared-memory file, may be lent to engines (io_lend_memory), never gives pages
 * back, and so takes huge pages where the system offers them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include "list.h"

enum {
	ARENA_PAGE = 4096,
	ARENA_LINE = 32768,
	ARENA_LINE_PAGES = ARENA_LINE / ARENA_PAGE,
	ARENA_MAX_RUN = 4096, /* pages: 16 MiB, the longest transfer */
};
#define PAGE_NONE UINT32_MAX

enum arena_kind { ARENA_RAM, ARENA_FILE };

struct run {
	uint32_t page, n_pages;
};

struct arena;

struct arena_params {
	const char *name;
	enum arena_kind kind;
	uint64_t n_pages;        /* at most 2^32 - 2^16 */
	uint64_t n_merge_pages;  /* the reserve inside n_pages */
	uint64_t n_content_pages; /* inside n_pages: never promised to quotas, so that a RAM volume that fills up
				     does not eat what was promised; 0: all may be promised */
	/* ARENA_FILE: the pages lie here, taken whole already (memfile.h); borrowed. 0: a file of its own. */
	int fd;
	uint64_t fd_at;
	uint64_t n_absent; /* of n_pages: the last ones have no memory yet (arena_grow) */
};

/* arena_new - -EINVAL; -ENOMEM when the system, or our control group, has not the memory for it and for
 * what the other arenas of this process have not touched yet. */
int arena_new(struct arena **ap, const struct arena_params *p);
struct arena *arena_free(struct arena *a);                      /* NULL; every page must be back, or kept */
/* arena_grow - the next n of the absent pages have memory now; any thread. */
void arena_grow(struct arena *a, uint32_t n);
uint64_t arena_n_absent(const struct arena *a);
/* arena_adopt - before anything else is taken: page has content of an earlier life, and one reference more. */
void arena_adopt(struct arena *a, uint32_t page);
/* arena_keep - one reference less, but if it is the last the page stays taken: what it holds must outlive the arena. */
void arena_keep(struct arena *a, uint32_t page);
uint64_t arena_n_kept(const struct arena *a);

/* --- taking --- */
struct quota {
	struct arena *a;     /* NULL: no quota */
	uint32_t n_granted;  /* pages promised to the owner */
	uint32_t n_used;     /* of them, taken at present */
};

enum { ARENA_FULL = 1 }; /* named end: nothing was taken */
enum arena_right { ARENA_OPEN, ARENA_MERGE };

/* arena_grant - promise n pages to an empty quota; ARENA_FULL when the open pages do not suffice. */
int arena_grant(struct arena *a, struct quota *q, uint32_t n);
/* arena_revoke - the promise ends; pages still in use stay taken and are no longer the quota's. */
void arena_revoke(struct quota *q);

/* arena_take - exactly n pages (n >= 1) in as few runs as the pool allows, at most max_runs, each at
 * most ARENA_MAX_RUN long. ARENA_FULL: not so many pages now, worth waiting for. -E2BIG: pages enough, but not
 * in max_runs runs; waiting is no remedy, more room is (max_runs = n always suffices).
 * line_aligned asks that runs of 8 pages and more start on an arena line, and that all but the last of
 * them are whole lines. Where the pool has no whole line left, runs of less than 8 pages make up the rest.
 * Every page has one reference. From the quota first (q may be NULL), the rest from the open pages.
 * *n_quotap says how many came out of the quota; the taker gives them back with quota_settle() when
 * the landing ends (committed to a map or dropped); after arena_revoke() that does nothing. */
int arena_take(struct arena *a, enum arena_right right, struct quota *q, uint32_t n, bool line_aligned,
	struct run *runs, unsigned max_runs, unsigned *n_runsp, uint32_t *n_quotap);
void quota_settle(struct quota *q, uint32_t n);
/* arena_exchange - quota_settle() and arena_unref() of one page (PAGE_NONE: of none) in one: the end of a landing whose
 * page has replaced another. */
void arena_exchange(struct arena *a, struct quota *q, uint32_t n, uint32_t page);

/* arena_ref, arena_unref - one reference more or less; n pages from `page` on. */
void arena_ref(struct arena *a, uint32_t page, uint32_t n);
void arena_unref(struct arena *a, uint32_t page, uint32_t n);
/* arena_unref_punch - as arena_unref(), and pages that become free are given back to the system
 * (ARENA_RAM; elsewhere the same as arena_unref()). */
void arena_unref_punch(struct arena *a, uint32_t page, uint32_t n);
uint32_t arena_refs(const struct arena *a, uint32_t page); /* a snapshot */

/* --- checksums, kept beside the pages --- */
/* arena_keep_sums - from now on there is a word for each page, 0 while nobody knows its checksum (digest.h has them);
 * whoever takes a page begins with 0. A thousandth of the arena at most, and none of it before this call.
 * Any thread, any number of times; without memory nothing is kept. */
void arena_keep_sums(struct arena *a);
/* arena_sums - the word of the page that `ptr` lies in; those of the pages behind it follow. NULL: no page of the
 * arena, or nothing is kept. To be read and written, by atomics, while the page is held and does not change. */
uint32_t *arena_sums(const struct arena *a, const void *ptr);

/* --- waiting for pages --- */
/* First come, first served. fn runs on whatever thread gave pages back, with no lock held: it is
 * meant to post. It is called once, with the wait no longer queued; the taker then tries again, and
 * when it fails queues at the front (arena_wait(..., true)) so that it does not lose its turn.
 * Who comes new should not overtake: when arena_waited(), it queues behind before it tries.
 * right and quota (borrowed) are those of the arena_take() to come, n_pages is its n: the wait ends when that
 * take would be admitted. Three queues, so that a wait for open pages does not hold up one that its quota or
 * the reserve can serve (the merge may be what sets the others' pages free).
 * fn may come from inside arena_wait(), when pages were given back in the meantime. */
struct arena_wait {
	struct list link;
	uint32_t n_pages;
	void (*fn)(struct arena_wait *);
	enum arena_right right;    /* zero: ARENA_OPEN */
	const struct quota *quota; /* NULL: none */
};
void arena_wait(struct arena *a, struct arena_wait *w, uint32_t n_pages, bool front);
bool arena_waited(struct arena *a); /* somebody waits for open pages */
bool arena_wait_cancel(struct arena *a, struct arena_wait *w); /* false: fn has run or is running */

/* --- looking --- */
void *arena_base(const struct arena *a);
static inline void *arena_ptr_of(void *base, uint32_t page) { return (char *)base + (uint64_t)page * ARENA_PAGE; }
void *arena_ptr(const struct arena *a, uint32_t page);
/* arena_offset - the address in the figures' sense: bytes from the arena's start; UINT64_MAX for
 * memory that is not the arena's. */
uint64_t arena_offset(const struct arena *a, const void *ptr);
uint64_t arena_n_pages(const struct arena *a);
uint64_t arena_n_free(const struct arena *a);
uint64_t arena_n_lent(const struct arena *a);  /* taken pages */
/* arena_n_shared - references of pages beyond the first one. Walks all pages. */
uint64_t arena_n_shared(const struct arena *a);
uint64_t arena_n_open(const struct arena *a);  /* free, promised to nobody, not in the reserve */
uint64_t arena_n_promisable(const struct arena *a); /* what one more quota may have, once so much is open */
unsigned arena_n_quotas(const struct arena *a); /* granted, and not revoked */
int arena_fd(const struct arena *a);           /* ARENA_FILE's memory file, else -1 */

/* arena_check - walk everything (tests, while no call is under way): runs, counts and references agree. */
void arena_check(const struct arena *a);
