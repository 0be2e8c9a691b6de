/* volume.h - a volume's content: the map, landings, commit, the page cache.
 *
 * The map goes from map line (eight pages of 4 KiB) to eight entries; an entry is `backend` (not
 * cached), `zero`, `clean page`, `dirty page`, `written page` (the last two in write-back, writer.h). Pages are immutable once committed: a WRITE lands in fresh pages that nobody sees,
 * and commit flips the map to them.
 *   landed        all bytes are in
 *   committed     has its place in the order; later merges build on it
 *   shown         readers see it
 *   durable       survives what the mode promises
 *   acknowledged  status sent (not here)
 * RAM and write-back: shown at commit. Write-through: shown when durable.
 *
 * Locks: a sharded array, one lock for a leaf of 64 map lines; an operation takes all of its range in
 * ascending order. No lock is held while bytes move.
 *
 * Operations are asynchronous, embedded in their owner, complete exactly once on the reactor that
 * asked; done may come from inside the call. Offsets and lengths are bytes, multiples of the logical
 * block (a commit's length: of 512), inside the size (the caller has checked). Errors in done(): 0, a positive VOL_ end, or -errno. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include "arena.h"
#include "backend.h"
#include "io.h"
#include "list.h"

struct volume;
struct watch;

enum vol_end {
	VOL_FULL = 1,   /* no pages now */
	VOL_STALE,      /* the generation moved on (reset): nothing was committed */
	VOL_MISCOMPARE, /* volume_update(): the build function found a difference */
	VOL_CHANGED,    /* volume_copy(): the source is not what it was (op->watch) */
};
#define VOL_NOWHERE UINT64_MAX

/* Where what is acknowledged and not durable is told of, so that it outlives the process. */
struct ledger;
struct volume_back {
	struct ledger *ledger; /* NULL: everything is written through */
	uint32_t volume;       /* in the ledger */
	bool on;               /* the mode to begin with */
	uint64_t limit;        /* pages that may be dirty or written, at most */
};

struct volume_params {
	const char *name;
	uint64_t size;           /* bytes, a multiple of block */
	uint32_t block;          /* logical block, 512 or 4096 */
	struct backend *backend; /* NULL: RAM. Taken: volume_free() frees it */
	struct arena *arena;     /* RAM: its own, taken. Files: the shared cache arena, borrowed */
	struct volume_back back; /* files only */
};
int volume_new(struct volume **vp, const struct volume_params *p);
struct volume *volume_free(struct volume *v); /* NULL; no operation may be under way */
/* volume_ram_pages - pages that an arena for a RAM volume of `size` must have: the content, and headroom
 * for landings, merges and pages pinned by readers. */
uint64_t volume_ram_pages(uint64_t size);

uint64_t volume_size(const struct volume *v);
struct arena *volume_arena(const struct volume *v);
const struct backend_info *volume_backend_info(const struct volume *v); /* NULL: RAM */
uint64_t volume_mapped_bytes(const struct volume *v); /* pages in the map: RAM's content, a file's cached part */

/* --- write-back --- */
bool volume_can_write_back(const struct volume *v);
bool volume_write_back(const struct volume *v);
/* volume_set_write_back - for commits from now on; a flush brings those before it to the disk. Any thread. */
void volume_set_write_back(struct volume *v, bool on);
uint64_t volume_unclean_bytes(const struct volume *v); /* acknowledged and perhaps not on the disk */
/* volume_fault - how often writing back has begun to fail; *errorp: -errno now, 0: it is well. */
uint32_t volume_fault(const struct volume *v, int *errorp);
uint32_t volume_faults(const struct volume *v); /* the number alone */
/* volume_room - what a thin file has taken, and may still take; -EOPNOTSUPP: RAM, devices. volume_low_mark - of
 * what may be taken, where people are to be told (bytes, whole MiB). volume_lows - how often it was passed downwards,
 * *lowp: it is below now. Space is looked at while the file changes, ten times a second. */
int volume_room(const struct volume *v, uint64_t *usedp, uint64_t *availablep);
uint64_t volume_low_mark(const struct volume *v);
uint32_t volume_lows(const struct volume *v);
bool volume_is_low(const struct volume *v);
/* volume_adopt - before the first operation: the ledger says that this page, a reference, is of this
 * volume. False: there is a newer one. volume_stamp - the image is as it is by our doing. volume_start - on one
 * reactor: writing back begins. volume_leave - the server stops; on each reactor, again until true. */
bool volume_adopt(struct volume *v, uint32_t page);
void volume_stamp(struct volume *v);
void volume_start(struct volume *v, struct io *io);
bool volume_leave(struct volume *v, struct io *io);
/* volume_give_up - what is being flushed ends with -ECANCELED, and nothing more is begun: the rest stays in memory. */
void volume_give_up(struct volume *v);

/* volume_make_room - n pages of the arena are to be open: cached pages give way. Best effort; any thread. */
void volume_make_room(struct volume *v, uint32_t n);

/* The generation that LOGICAL UNIT RESET moves; commits carry the one they were prepared under. */
uint32_t volume_gen(const struct volume *v);
void volume_gen_next(struct volume *v);

/* --- landing: fresh pages for the data-out of one WRITE --- */
enum { LANDING_RUNS = 16 };
struct landing {
	struct volume *v;
	uint64_t off;            /* bytes, in the volume */
	uint32_t len;            /* of the whole WRITE, up to 16 MiB */
	uint32_t have;           /* [0, have) has places */
	struct run *runs;        /* in order of the volume's pages; points at few[] until they do not suffice */
	unsigned n_runs, room_runs;
	struct iovec *iov;       /* the places: one vector a run, first and last cut to off and len */
	unsigned n_iov;
	struct run few[LANDING_RUNS];
	struct iovec few_iov[LANDING_RUNS];
	struct quota *quota;
	uint32_t n_quota;        /* pages out of it */
	uint32_t n_pages;        /* taken */
	uint32_t n_lead;         /* of them, before the page of `off` (line_aligned) */
};
/* landing_init takes nothing yet. landing_take - places for [0, upto) at least: 0, VOL_FULL (what it has
 * stays), -ENOMEM. The new pages come in as few runs as the arena allows; line_aligned must be the same in all
 * calls. A vector, once there, never changes; the arrays may move, and the old ones stay as they were
 * until landing_drop() or volume_commit(). */
void landing_init(struct landing *l, struct volume *v, uint64_t off, uint32_t len, struct quota *quota);
int landing_take(struct landing *l, uint32_t upto, bool line_aligned);
void landing_drop(struct landing *l); /* safe to call twice; gives all pages back unseen */

/* --- operations --- */
struct vol_op {
	/* the caller's */
	struct volume *v;
	struct io *io;
	void (*done)(struct vol_op *, int end);
	uint64_t off;
	uint64_t len;
	uint32_t gen;      /* volume_gen() at prepare: commits check it under the locks */
	bool durable;      /* FUA, or a mode that asks for it */
	bool once;         /* volume_read(): nobody will want it again soon, so the cache need not remember it */
	bool dpo;          /* volume_read(): of the lowest retention priority (SBC-3 4.15): no use that spares a page */

	struct watch *watch; /* volume_copy(): what is read must not have changed since (watch.h); NULL: it may. Borrowed .. */
	bool own;          /* .. and what this operation writes is no change */

	/* results */
	struct iovec *iov; /* volume_read(): the bytes, until volume_unpin() */
	unsigned n_iov;
	struct iovec one;  /* of a range within one page */
	uint64_t where;    /* VOL_MISCOMPARE: byte offset of the first difference, from off; volume_status(); volume_copy():
			    * bytes that are done */
	bool mapped;       /* volume_status() */
	uint64_t bad;      /* -errno: byte of the volume where the first page that failed cannot be read; VOL_NOWHERE: not known */
	bool source;       /* volume_copy(): what failed was the reading, and `bad` is the source's */

	/* the volume's own */
	struct vol_work *work;
	struct list link;
	struct io_work post;
	int end;
};

/* volume_read - pin the pages of a range, whole and at one moment; missing ones are read first. Up to
 * 16 MiB. Zero entries are shown as vectors into a shared area of zeros. The vectors are the volume's: read them,
 * do not change them. VOL_FULL: the arena cannot hold so much beside what others hold for good. */
void volume_read(struct vol_op *op);
void volume_unpin(struct vol_op *op); /* owed after every volume_read(); safe to call twice */

/* volume_base - make the base pages of a partial first and last page resident, no more; called when a
 * landing begins so that commit need not wait. Best effort, no completion. */
void volume_base(struct volume *v, struct io *io, uint64_t off, uint64_t len);

/* volume_commit - the landing's bytes become the content of [op->off, op->off + op->len); takes the landing's pages
 * whatever the end is. Partial pages are merged with the newest committed ones, optimistically. */
void volume_commit(struct vol_op *op, struct landing *l);

/* volume_update - replace a range by what `build` makes of the newest committed content, page by page, whole
 * or not at all (COMPARE AND WRITE, ORWRITE). Up to 16 MiB. build: `base` are the bytes [at, at + len) of the
 * range as committed, `fresh` is where to write all of them; may be called again with another base when a
 * commit came between. 0, or VOL_MISCOMPARE with *wherep the offset within this piece. */
typedef int (*vol_build_fn)(void *ctx, uint64_t at, uint32_t len, const uint8_t *base, uint8_t *fresh, uint32_t *wherep);
void volume_update(struct vol_op *op, vol_build_fn build, void *ctx);

/* volume_zero - the range reads as zeros. unmap: whole pages are given back to the system or punched
 * where the backend can; else they stay allocated where that is the backend's way. Any length: steps of
 * 64 map lines with the reactor in between, atomic for each page only. */
void volume_zero(struct vol_op *op, bool unmap);
/* volume_same - the range is filled with copies of one logical block (WRITE SAME). block is borrowed. */
void volume_same(struct vol_op *op, const void *block);
/* volume_flush - all that was committed to the range before it is durable. */
void volume_flush(struct vol_op *op);
/* volume_flush_soon - it begins, of the whole volume, and nobody waits for it. */
void volume_flush_soon(struct volume *v, struct io *io);
/* volume_status - does the range begin with blocks that take room (op->mapped), and how many bytes of it, at least,
 * are alike (op->where, whole blocks, not 0)? Looks at so many leaves a call that it may say less than there
 * are. What is under way counts as what it was. */
void volume_status(struct vol_op *op);
/* volume_copy - the range becomes what [from_off, from_off + op->len) of `from` shows, which may be the same volume, and
 * may overlap: then as if all was read before the first byte was written. Any length: steps of 256 pages with the
 * reactor in between, each read at one moment and committed at one; a writer beside it meets some steps before
 * and some behind it. Where an offset within a page stays the same pages are shared instead of copied, if both
 * volumes have them in one arena; holes and pages of zeros become holes. */
void volume_copy(struct vol_op *op, struct volume *from, uint64_t from_off);
/* volume_cancel - a long operation ends between two steps, with VOL_STALE; others just run to their end.
 * done comes as always. */
void volume_cancel(struct vol_op *op);
