/* writer.h - write-back: what was acknowledged and is not on the disk yet, and who brings it there.
 *
 * An entry of the map is clean, dirty or written. Who changes it, and what is guaranteed:
 *
 *   dirty    the disk has something older. The page has a record (mem/ledger.h), so it survives this
 *            process. It comes from a commit (dirty_commit) or out of an earlier process's memory
 *            (volume_adopt).
 *   written  a write of just this page has succeeded; the disk may still forget it. The record
 *            stays. Back to dirty when a flush of the backend fails, since a second one would lie.
 *   clean    a flush that began after the write ended has succeeded. The record is retired, the
 *            page may be evicted.
 *
 * Dirty and written pages are `unclean`: never evicted, counted, and limited; a commit that would
 * exceed the limit waits in order. While a request of the writer's (PAGE_BACK) or a fill is in
 * flight the state stands in the page's record (page_rec.shown), where commits change it as they
 * would in the map. Commands that must reach the disk by themselves (a volume that is written
 * through, constant ranges) stay versions, ordered behind what is in flight; a commit that meets a
 * version becomes one too. What they replace is dirty until they are shown.
 *
 * The writer lives on one reactor, its home (that of the first commit). One at a time it does:
 *
 *   IDLE   background: pages are written while there are too many, or they are old, or somebody
 *          waits for memory; a flush of the backend when enough are written
 *   PASS   the ranges of a batch of flushes are walked once, and what is dirty is written. No
 *          background meanwhile. What is busy is looked at again later.
 *   DRAIN  what is in flight ends
 *   SYNC   a flush of the backend; the mark is changed, so that what ends from now on is not
 *          covered. The background goes on.
 *   CLEAN  what it covered becomes clean, leaf by leaf (or, when it failed, dirty again)
 *
 * A batch walks its ranges once, so writers cannot keep a flush waiting; flushes that come
 * meanwhile are the next batch. When a write or flush fails, the batch ends with the error, pages
 * stay dirty and are tried again after a while; volume_fault() tells whoever wants to tell
 * initiators. With the limit reached and the disk failing, commits end with the error.
 *
 * Lock order: the map's locks, then the writer's. */
#pragma once

#include "ledger.h"
#include "lines.h"
#include "pageio.h"

enum writer_state { WRITER_IDLE, WRITER_PASS, WRITER_DRAIN, WRITER_SYNC, WRITER_CLEAN };

struct writer {
	struct volume *v;
	struct ledger *ledger;
	uint32_t volume; /* in the ledger */
	bool on;	 /* atomic: new commits stay in memory */
	uint64_t limit;	 /* pages */
	struct lines dirty, written;

	_Alignas(64) uint64_t n_unclean; /* atomic; written ones included */
	uint64_t n_written;		 /* atomic */
	int error;			 /* atomic: what the disk last answered, until it is well */
	uint32_t n_faults;		 /* atomic: how often it fell ill */
	uint32_t n_lows;		 /* atomic (space.c) */
	bool low;			 /* atomic; set by who looks at the stamp */
	bool kicked, woken, pressed, hastened, given_up; /* atomic */

	pthread_mutex_t lock;
	struct list flushes; /* works that want their range on the disk */
	struct list waits;   /* commits that wait for pages to become clean */
	uint32_t n_waits;    /* atomic */
	uint32_t n_changes;  /* requests that change the image */
	bool open;	     /* as its stamp in the ledger is */

	/* of the home reactor */
	struct io *io; /* atomic; NULL: none yet */
	struct io_work work;
	struct io_timer timer, stamp_timer;
	bool unsynced; /* a write has ended since the last flush of the backend began */
	enum writer_state state;
	struct list batch;  /* works; served[] of them have been walked */
	struct list served;
	bool redo;	    /* some page of the ranges was busy */
	bool mark;	    /* of pages written from now on: ENTRY_MARK */
	bool cycle;	    /* the background walks all, once */
	bool sync_due;
	bool hot;
	bool failed;	    /* something, since the last pass or cycle began */
	int batch_error, sync_error;
	uint32_t n_failed;  /* flushes of the backend, and what they lost is dirty again */
	bool holding;	    /* the cache is told that pages will come back */
	uint64_t pos, clean_pos; /* leaves */
	unsigned n_flying;	 /* extents */
	uint64_t retry_ns, delay_ns;
	struct backend_req flush;
	struct list link; /* of the cache's writers */
};

int writer_new(struct writer **wp, struct volume *v, const struct volume_back *p); /* -ENOMEM */
/* writer_free - NULL; what is unclean stays in the memory, with its records. */
struct writer *writer_free(struct writer *w);
void writer_kick(struct writer *w, struct io *io); /* any thread */
void writer_press(struct writer *w);		   /* memory is wanted; any thread */
void writer_give_up(struct writer *w);		   /* any thread */
/* writer_leave - on each reactor: true when nothing of it runs here, nor will. */
bool writer_leave(struct writer *w, struct io *io);

/* --- commits (dirty.c) --- */
static inline bool writer_on(const struct volume *v)
{
	return v->writer && __atomic_load_n(&v->writer->on, __ATOMIC_RELAXED);
}
/* dirty_admit - may w->n more pages become dirty? 0; FETCH_WAITS: w->resume comes; -errno. */
int dirty_admit(struct vol_work *w);
/* dirty_commit - under the locks, after flip_check: w's fresh pages are shown; old[] gets the pages
 * they replace. False, and nothing has changed: a version is in the way. */
bool dirty_commit(struct vol_work *w, uint32_t *old);
/* Called under the locks of its page: what it replaced is shown no more. */
void dirty_drop(struct volume *v, entry_t e);
/* dirty_again - an unclean entry whose page the disk may have lost; the entry that it is now. */
entry_t dirty_again(struct volume *v, uint64_t at, entry_t e);
void dirty_forget(struct volume *v); /* volume_free(): the pages stay taken */
void waits_wake(struct writer *w);   /* all try again */
void waits_wake_fitting(struct writer *w);

/* --- flushes: w->resume on its reactor, maybe from inside, with w->error set --- */
void writer_flush(struct vol_work *w, uint64_t first, uint64_t end); /* pages */

/* --- called by pageio.c and extent.c --- */
entry_t back_end(struct writer *w, struct page_rec *r, int error); /* what is shown now */
void writer_began(struct writer *w);
void writer_ended(struct writer *w, int error); /* on the home reactor */
void writer_woken(struct writer *w, struct io *io); /* a page that was in the way is idle */
void stamp_begin(struct volume *v, struct io *io);
void stamp_end(struct volume *v);
/* --- space.c; on the home reactor, or before there is one --- */
void space_look(struct volume *v);
