/* work.h - inside the volume room: struct volume, and the work behind one operation.
 *
 * A vol_work lives from the asking call to done() (a read's to volume_unpin()). It runs on op->io's
 * reactor, except that backend completions on other reactors may count down n_waits and n_owed and
 * store `error` and pins, under the map's locks; who counts one down to zero has the work to
 * himself and hands it home with work_home(). */
#pragma once

#include "ahead.h"
#include "backend.h"
#include "freelist.h"
#include "map.h"
#include "volume.h"
#include "watch.h"

struct cache;
struct writer;

enum {
	MAX_BYTES = 16 << 20,
	SMALL_BYTES = 8 << 20, /* what even the smallest disk has for what is on its way */
	/* 16 MiB that start within a page, and the rest of the first and last line of a landing. */
	ARRAY_ROOM = MAX_BYTES / ARENA_PAGE + 2 * MAP_LINE_PAGES,
	FEW = LANDING_RUNS,
	ZERO_BYTES = 1 << 20,
	TRIES = 3, /* optimistic merges before the writer's turn is taken */
};
#define PAGE_ZERO (PAGE_NONE - 1) /* no page: its content is zeros */

struct copy;

/* Write order and durability of a file volume (sync.c). */
struct vol_sync {
	pthread_mutex_t lock;
	struct list writes;  /* works that are committed and not finished, oldest first */
	struct list flushes; /* works that wait for older writes */
	uint64_t next_seq;
	uint64_t loose_seq; /* last change that is not durable by itself (punch, zero) */
	uint64_t tight_seq; /* a flush that began after it has succeeded up to here */
};

struct volume {
	struct map map;
	struct arena *arena;
	void *base;		 /* arena_base() */
	struct backend *backend; /* NULL: RAM */
	struct cache *cache;	 /* NULL: RAM */
	uint32_t number;	 /* in the cache */
	struct writer *writer;	 /* NULL: RAM, or all is written through */
	uint64_t size, n_pages;
	uint32_t block;
	uint32_t gen; /* atomic */
	uint32_t n_watches; /* atomic */
	struct list watches;
	pthread_mutex_t watch_lock; /* innermost */
	char *name;
	struct vol_sync sync;
	struct ahead ahead;
	uint32_t n_extents; /* atomic: requests whose completion still looks at the volume */
	uint64_t n_errors;  /* atomic */
};

/* Pages in runs, in the order of the volume's pages. A page of zeros is a run of its own, PAGE_ZERO. */
struct pages {
	struct run *runs; /* few[], or an array out of FREE_ARRAY */
	unsigned n_runs;
	uint32_t n_pages;
	struct run few[FEW];
};

/* A page whose newest committed content is needed: volume page first + at. */
struct base {
	uint32_t at;
	uint32_t page; /* pinned; PAGE_ZERO; PAGE_NONE: not here yet */
};

struct vol_work {
	struct vol_op *op;
	struct volume *v;
	uint64_t first;	  /* volume page */
	uint32_t n;	  /* pages of this operation, or of its present step */
	uint32_t n_waits; /* atomic: page_waits to come, and one for who is setting up */
	uint32_t n_owed;  /* atomic: see pageio.h */
	int error;	  /* atomic */
	uint64_t bad;	  /* atomic: see vol_op */
	void (*resume)(struct vol_work *);
	void (*committed)(struct vol_work *, int end); /* work_done(), or the next step */
	struct list link;			       /* one of: ready, woken, starved */
	struct list active;			       /* in vol_sync */
	uint64_t seq;

	/* commits */
	struct pages fresh;
	struct base *bases;
	uint32_t n_bases;
	struct base few_bases[2];
	unsigned tries;
	bool turn;
	bool starved;
	bool waited; /* for pages to become clean: it has had its turn */
	/* Read by whoever shows it, so not in one word with what its owner still writes. */
	_Alignas(8) bool constant; /* every page becomes `pattern` (volume_zero, volume_same) */
	bool zeros; /* among the fresh pages, some are PAGE_ZERO */
	bool shares; /* among the fresh pages, some are in a map already */
	bool passes; /* file volumes: the pages do not stay when they are durable */
	bool unmap;
	bool lasts; /* zeros are durable when they are shown, without a flush at the end */
	uint32_t pattern; /* PAGE_ZERO or a page filled with copies of the block */
	vol_build_fn build;
	void *ctx;

	/* long operations */
	bool cancelled;
	uint32_t n_failed; /* flushes of the backend that had failed when it began */
	unsigned n_again;  /* times that it was begun anew for that */
	uint64_t pos, stop, from; /* bytes; pages in a flush */
	struct vol_op sub;
	struct backend_req flush;
	void (*flushed)(struct vol_work *, int error);
	struct copy *copy; /* NULL: it is none */

	/* reads */
	uint32_t n_borrowed; /* pages taken out of the merges' reserve */
	bool met_new; /* among what it found, some was read ahead for it */
	uint32_t *pins; /* FREE_ARRAY: one page number a page, PAGE_NONE where nothing is pinned */
	struct iovec *iov;
	unsigned n_iov;
	struct iovec few_iov[FEW];
};

/* --- work.c --- */
struct vol_work *work_new(struct vol_op *op, uint64_t off, uint64_t len); /* NULL: no memory */
void work_free(struct vol_work *w);	     /* gives pages, pins and arrays back */
void work_done(struct vol_work *w, int end); /* frees, then done(); on op->io's reactor */
/* work_home - w->resume(w) on op->io's reactor: now if that is `here`, else as a post (here may be
 * NULL). */
void work_home(struct vol_work *w, struct io *here);
void work_later(struct vol_work *w); /* w->resume(w) in a later turn */
void op_end(struct vol_op *op, int end);

static inline void *page_ptr(const struct volume *v, uint32_t page)
{
	return arena_ptr_of(v->base, page);
}

/* pages_take - n pages into an empty list: 0, VOL_FULL, -ENOMEM. File volumes evict to make room.
 */
int pages_take(struct volume *v, struct pages *p, enum arena_right right, uint32_t n);
void pages_drop(struct volume *v, struct pages *p); /* safe to call twice */

/* A walk over runs, page by page. */
struct page_walk {
	const struct run *run;
	uint32_t i;
};

static inline uint32_t page_next(struct page_walk *w)
{
	uint32_t page = w->run->page + w->i;

	if (++w->i == w->run->n_pages) {
		w->run++;
		w->i = 0;
	}
	return page;
}

/* page_skip - n pages further; returns n. */
static inline uint32_t page_skip(struct page_walk *w, uint32_t n)
{
	uint32_t left = n;

	while (left && left >= w->run->n_pages - w->i) {
		left -= w->run->n_pages - w->i;
		w->run++;
		w->i = 0;
	}
	w->i += left;
	return n;
}

/* Pages to be given back when the locks are off, neighbours in one call. */
struct give {
	struct volume *v;
	bool punch;
	struct run run;
};
void give_end(struct give *g);
void give_run(struct give *g, uint32_t page); /* a page that begins another run; PAGE_ZERO, PAGE_NONE: nothing */
static inline void give_page(struct give *g, uint32_t page)
{
	if (likely(g->run.n_pages && page == g->run.page + g->run.n_pages && page < PAGE_ZERO))
		g->run.n_pages++;
	else
		give_run(g, page);
}

static inline bool is_watched(const struct volume *v)
{
	return __atomic_load_n(&v->n_watches, __ATOMIC_SEQ_CST);
}

/* work_changed - w's pages are seen now; under the locks of its range. */
static inline void work_changed(const struct vol_work *w)
{
	uint64_t off = MAX(w->first * ARENA_PAGE, w->op->off);
	uint64_t end = MIN((w->first + w->n) * ARENA_PAGE, w->op->off + w->op->len);

	if (unlikely(is_watched(w->v)))
		volume_changed(w->v, off, end - off, w->op->own ? w->op->watch : NULL);
}

/* --- commit.c --- */
/* commit_run - merge what is partial, flip, and end with w->committed(). The work has its op,
 * first, n, its fresh pages (or `constant`) and its bases; it may have to wait for base pages, and
 * for durability. */
void commit_run(struct vol_work *w);
/* commit_bases - the pages at the ends of w's range that its operation covers in part become bases. */
void commit_bases(struct vol_work *w);

/* The part [from, to) of volume page `at` that [off, off + len) covers. */
struct page_part {
	uint32_t from, to;
};
struct page_part page_part(uint64_t at, uint64_t off, uint64_t len);
/* page_is_partial - the volume has bytes of that page outside the part. */
bool page_is_partial(const struct volume *v, uint64_t at, struct page_part p);

extern uint8_t zero_area[ZERO_BYTES]; /* page-aligned; nobody writes it */
#define zero_bytes ((const uint8_t *)zero_area)

/* --- copy.c --- */
void copy_free(struct vol_work *w);

/* --- landing.c --- */
/* landing_exchange - its only page has become the volume's content; `old` (PAGE_NONE: none), which it replaced, is
 * given back. */
void landing_exchange(struct landing *l, uint32_t old);
void landing_give(struct landing *l,
	struct vol_work *w); /* its pages become w->fresh, trimmed to w's range */
