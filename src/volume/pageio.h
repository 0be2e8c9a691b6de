/* pageio.h - order towards the backend, page by page.
 *
 * While anything is under way for a page of a file volume its map entry leads to a record:
 *
 *   shown    what readers see: a page (clean, dirty or written), or `backend`
 *   vers     versions that are committed and not shown, oldest first; merges build on the last
 *   busy     the one backend request in flight for the page: a fill, the write of one version, or
 *            that of a dirty page (writer.h)
 *   waits    works that want to know when `shown` changes
 *
 * A version waits, flies, and is durable. When a page's request ends, the newest version goes
 * next; the ones it overtook are durable with it, since the disk then holds something newer. A
 * command owes, for each of its pages, durability and its turn (being the oldest version); when
 * nothing is owed any more it is shown, all pages under all locks of its range. So commands that
 * overlap are shown in the order of their commits, and no reader sees half of one.
 *
 * A command of which a write failed is not shown when its time comes: its pages leave the cache,
 * since nobody knows what the disk holds. A dirty page stays, and is written again. */
#pragma once

#include "backend.h"
#include "work.h"

struct page_ver {
	struct list link; /* in page_rec.vers */
	struct vol_work *w;
	uint32_t page; /* a reference; PAGE_ZERO; PAGE_NONE: what the backend has by then */
	bool durable;  /* or failed, which the work knows */
	bool shared;   /* the page may be in another entry too */
};

struct page_wait {
	struct list link; /* in page_rec.waits */
	struct vol_work *w;
	uint32_t *pin; /* gets the page with a reference, when there is one */
};

enum page_busy {
	PAGE_IDLE,
	PAGE_FILL,
	PAGE_WRITE,
	PAGE_ZEROING,
	PAGE_PUNCH,
	PAGE_BACK,
	PAGE_CLONE, /* the system copies to it */
	PAGE_LENT,  /* .. and from it; no request of its own */
};

struct page_rec {
	uint64_t at;
	entry_t shown;
	struct list vers, waits;
	struct list launch; /* about to fly: on the list of who is to send it */
	enum page_busy busy;
	struct page_ver *flying;
	uint32_t fill; /* the page that is being read into, or written back; a reference */
	bool again;    /* the writer wants to know when it is idle */
	bool counts; /* what flies is to be durable when it ends, whatever it is */
};

/* How a request ended for its pages: a read may have failed for one of them only. */
struct outcome {
	int error;
	uint64_t bad; /* byte of the volume; VOL_NOWHERE: all pages */
	enum page_busy busy;
};

/* --- under the map's locks --- */
/* page_rec_get - the record of a page, a new one (reserved) when there is none. */
struct page_rec *page_rec_get(struct volume *v, uint64_t at);
static inline entry_t entry_shown(entry_t e)
{
	return entry_state(e) == ENTRY_BUSY ? ((struct page_rec *)entry_rec(e))->shown : e;
}

/* entry_newest - the newest committed page; PAGE_ZERO; PAGE_NONE: only the backend has it. */
uint32_t entry_newest_busy(const struct volume *v, entry_t e);
static inline uint32_t entry_newest(const struct volume *v, entry_t e)
{
	return likely(entry_is_page(e)) ? entry_page(e) : entry_newest_busy(v, e);
}

/* pageio_attach - w's fresh pages (or its constant) become versions of its range. Before:
 * pageio_reserve(), outside the locks. After the locks: extents_send(), and from then on w may end
 * at any time, through w->resume, which must be set before. */
int pageio_reserve(const struct vol_work *w); /* -ENOMEM */
void pageio_attach(struct vol_work *w, struct list *launch);

/* --- with no lock held --- */
/* pageio_end - a request of n pages, all busy with the same, has ended, or could not begin. */
void pageio_end(
	struct volume *v, struct io *io, uint64_t first, uint32_t n, const struct outcome *o);

/* pageio_lend - nobody writes to these pages, which only the backend has, until pageio_lent(). False: some are elsewhere, or
 * busy. */
bool pageio_lend(struct volume *v, uint64_t first, uint32_t n);
void pageio_lent(struct volume *v, struct io *io, uint64_t first, uint32_t n);
