/* arena.c - the memory itself, references, promises, and who waits for pages.
 *
 * A page's life:
 *   free      its bit in the run map is set, no reference
 *   taken     bit clear, references >= 1
 *   between   bit clear, no reference: only inside arena_unref(), which has seen the last reference
 * go and is the only one to know; here pages are punched, so nobody can take them meanwhile
 *
 * References are plain 32-bit words beside the pages, changed by atomics and without the lock.
 * Counts under the lock: free_pages(), n_granted (the sum over quotas), n_promised (of it, not
 * taken). A promise may for a while exceed the free pages: a landing that is committed leaves its
 * quota while its pages stay taken until what they replace is given back. Then open is 0, and a
 * quota's take may find the arena full and wait; nothing is ever handed out twice. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "arena.h"
#include "check.h"
#include "lock.h"
#include "runmap.h"
#include "stash.h"
#include "sysmem.h"

enum { WAIT_OPEN, WAIT_QUOTA, WAIT_MERGE, N_WAITS };
enum { HUGE = 2 << 20 };

struct arena {
	char *base;
	uint32_t *refs;
	uint32_t *sums; /* atomic; NULL: nobody wants them */
	enum arena_kind kind;
	int fd;
	bool fd_lent;
	uint64_t fd_at;
	uint64_t n_pages, n_merge, n_content;

	_Alignas(64) struct lock lock; /* for all below */
	struct runmap map;             /* free pages, but for those in the stash */
	struct stash stash;
	uint64_t n_granted, n_promised;
	uint64_t n_kept; /* pages that stay taken for ever */
	uint64_t n_absent;
	uint32_t n_waiting; /* written under the lock; arena_waited() looks without */
	struct list waits[N_WAITS];
	uint64_t n_bytes; /* reserved of the system */
	char name[32];
};

_Static_assert((int)RUNMAP_LINE == (int)ARENA_LINE_PAGES, "the run map aligns to arena lines");
_Static_assert(RUNMAP_NONE == PAGE_NONE, "no page is no page");

/* --- admission; under the lock --- */

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static uint64_t free_pages(const struct arena *a)
{
	return a->map.n_free + a->stash.n_pages;
}

/* by_now - a part of the arena, while not all of it has memory. */
static uint64_t by_now(const struct arena *a, uint64_t n)
{
	return likely(!a->n_absent) ? n : n * (a->n_pages - a->n_absent) / a->n_pages;
}

static uint64_t open_pages(const struct arena *a)
{
	return less(free_pages(a), a->n_promised + by_now(a, a->n_merge));
}

static uint32_t quota_left(const struct quota *q)
{
	return q && q->a ? q->n_granted - q->n_used : 0;
}

/* admits - may n pages be taken now? `gone`: free pages that are as good as taken. */
static bool admits(const struct arena *a, enum arena_right right, const struct quota *q, uint32_t n,
	uint64_t gone)
{
	uint32_t own = MIN(n, quota_left(q));
	uint64_t rest;

	if (n > less(free_pages(a), gone))
		return false;
	rest = right == ARENA_MERGE ? less(free_pages(a), a->n_promised) : open_pages(a);
	return n == own || n - own <= less(rest, gone);
}

/* --- waiting --- */

static unsigned wait_class(const struct arena_wait *w)
{
	if (w->right == ARENA_MERGE)
		return WAIT_MERGE;
	return quota_left(w->quota) >= w->n_pages ? WAIT_QUOTA : WAIT_OPEN;
}

static void waiting_add(struct arena *a, int by)
{
	__atomic_store_n(&a->n_waiting, a->n_waiting + (uint32_t)by, __ATOMIC_RELAXED);
}

/* next_served - the first wait, of any queue, that could take its pages now; off its queue. */
static struct arena_wait *next_served(struct arena *a, uint64_t gone)
{
	for (unsigned i = N_WAITS; a->n_waiting > 0 && i-- > 0;) {
		struct arena_wait *w;

		if (list_empty(&a->waits[i]))
			continue;
		w = list_first(&a->waits[i], struct arena_wait, link);
		if (!admits(a, w->right, w->quota, w->n_pages, gone))
			continue;
		list_remove(&w->link);
		waiting_add(a, -1);
		return w;
	}
	return NULL;
}

/* unlock_and_wake - the lock goes, and whoever can be served now is told, one after the other.
 * Pages that one of them was told of are not offered to the next. */
static void unlock_and_wake(struct arena *a)
{
	uint64_t gone = 0;

	while (unlikely(a->n_waiting > 0)) {
		struct arena_wait *w = next_served(a, gone);

		if (!w)
			break;
		gone += w->n_pages;
		lock_leave(&a->lock);
		w->fn(w); /* w may be gone after this */
		lock_take(&a->lock);
	}
	lock_leave(&a->lock);
}

void arena_wait(struct arena *a, struct arena_wait *w, uint32_t n_pages, bool front)
{
	struct list *queue;

	lock_take(&a->lock);
	w->n_pages = n_pages;
	queue = &a->waits[wait_class(w)];
	if (front)
		list_push_front(queue, &w->link);
	else
		list_push_back(queue, &w->link);
	waiting_add(a, 1);
	unlock_and_wake(a);
}

bool arena_wait_cancel(struct arena *a, struct arena_wait *w)
{
	bool queued;

	lock_take(&a->lock);
	queued = w->link.next && list_linked(&w->link); /* NULL: never waited */
	if (queued) {
		list_remove(&w->link);
		waiting_add(a, -1);
	}
	unlock_and_wake(a); /* it may have stood in the way of smaller ones */
	return queued;
}

bool arena_waited(struct arena *a)
{
	bool waited;

	/* Asked for every landing, and nearly always nobody waits: no lock for that answer. Who
	 * begins to wait at this very moment is overtaken as if he had come a moment later. */
	if (likely(!__atomic_load_n(&a->n_waiting, __ATOMIC_RELAXED)))
		return false;
	lock_take(&a->lock);
	waited = !list_empty(&a->waits[WAIT_OPEN]);
	lock_leave(&a->lock);
	return waited;
}

/* --- promises --- */

/* promisable - what one more quota may have: not the content's, and nobody else's. */
static uint64_t promisable(const struct arena *a)
{
	return less(by_now(a, a->n_pages), by_now(a, a->n_merge + a->n_content) + a->n_granted);
}

int arena_grant(struct arena *a, struct quota *q, uint32_t n)
{
	int end = 0;

	check(!q->a);
	lock_take(&a->lock);
	if (n > open_pages(a) || n > promisable(a)) {
		end = ARENA_FULL;
	} else {
		a->n_granted += n;
		a->n_promised += n;
		*q = (struct quota){.a = a, .n_granted = n};
	}
	lock_leave(&a->lock);
	return end;
}

void arena_revoke(struct quota *q)
{
	struct arena *a = q->a;

	if (!a)
		return;
	lock_take(&a->lock);
	a->n_granted -= q->n_granted;
	a->n_promised -= quota_left(q);
	*q = (struct quota){0};
	unlock_and_wake(a);
}

static void settle(struct arena *a, struct quota *q, uint32_t n)
{
	check(n <= q->n_used);
	q->n_used -= n;
	a->n_promised += n;
}

void quota_settle(struct quota *q, uint32_t n)
{
	struct arena *a = q ? q->a : NULL;

	if (!a || n == 0)
		return;
	lock_take(&a->lock);
	settle(a, q, n);
	unlock_and_wake(a); /* its owner may wait for just these */
}

/* --- taking --- */

/* next_run - the best run towards n pages. The longest first makes the runs few; the lowest one
 * that holds all that is left keeps the arena compact. */
static struct run next_run(struct runmap *m, uint32_t n, bool line_aligned)
{
	struct run r = {PAGE_NONE, MIN(n, ARENA_MAX_RUN)};
	bool aligned = line_aligned && r.n_pages >= ARENA_LINE_PAGES;
	uint32_t longest = runmap_longest(m, aligned);

	if (aligned && longest < r.n_pages) {
		longest = (uint32_t)round_down(longest, ARENA_LINE_PAGES);
		if (longest == 0) {
			aligned = false;
			longest = MIN(runmap_longest(m, false), ARENA_LINE_PAGES - 1);
		}
	}
	r.n_pages = MIN(r.n_pages, longest);
	r.page = runmap_find(m, r.n_pages, aligned);
	return r;
}

/* take_runs - the pages are known to be there. Nothing is taken on -E2BIG. */
static int take_runs(struct arena *a, uint32_t n, bool line_aligned, struct run *runs,
	unsigned max_runs, unsigned *n_runsp)
{
	unsigned n_runs = 0;

	if (max_runs > 0 &&
		stash_take(&a->stash, n, line_aligned && n >= ARENA_LINE_PAGES, &runs->page)) {
		runs->n_pages = n;
		*n_runsp = 1;
		return 0;
	}
	stash_drain(&a->stash, &a->map);
	while (n > 0 && n_runs < max_runs) {
		struct run r = next_run(&a->map, n, line_aligned);

		runmap_take(&a->map, r.page, r.n_pages);
		runs[n_runs++] = r;
		n -= r.n_pages;
	}
	if (n > 0) {
		while (n_runs-- > 0)
			runmap_give(&a->map, runs[n_runs].page, runs[n_runs].n_pages);
		return -E2BIG;
	}
	*n_runsp = n_runs;
	return 0;
}

int arena_take(struct arena *a, enum arena_right right, struct quota *q, uint32_t n,
	bool line_aligned, struct run *runs, unsigned max_runs, unsigned *n_runsp,
	uint32_t *n_quotap)
{
	uint32_t own, *sums;
	int end;

	check(n > 0 && (!q || !q->a || q->a == a));
	*n_runsp = 0;
	*n_quotap = 0;
	lock_take(&a->lock);
	end = admits(a, right, q, n, 0) ? take_runs(a, n, line_aligned, runs, max_runs, n_runsp)
					: ARENA_FULL;
	if (end == 0) {
		own = MIN(n, quota_left(q));
		if (own > 0) {
			q->n_used += own;
			a->n_promised -= own;
		}
		*n_quotap = own;
	}
	sums = __atomic_load_n(&a->sums, __ATOMIC_RELAXED); /* as new as any page that is taken */
	lock_leave(&a->lock);
	/* Ours alone until we hand them on: no need of the lock, nor of more than a plain word. */
	for (unsigned i = 0; i < *n_runsp; i++) {
		if (unlikely(sums))
			memset(sums + runs[i].page, 0, runs[i].n_pages * sizeof(*sums));
		for (uint32_t p = 0; p < runs[i].n_pages; p++)
			__atomic_store_n(&a->refs[runs[i].page + p], 1, __ATOMIC_RELAXED);
	}
	return end;
}

/* --- references --- */

void arena_ref(struct arena *a, uint32_t page, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		check(__atomic_fetch_add(&a->refs[page + i], 1, __ATOMIC_RELAXED) > 0);
}

/* last_ref - one reference less; was it the last? Who sees 1 holds the only one, and nobody can get
 * another without having one, so the dear atomic is not needed then. */
static inline bool last_ref(struct arena *a, uint32_t page)
{
	uint32_t before = __atomic_load_n(&a->refs[page], __ATOMIC_ACQUIRE);

	if (likely(before == 1)) {
		__atomic_store_n(&a->refs[page], 0, __ATOMIC_RELAXED);
		return true;
	}
	before = __atomic_fetch_sub(&a->refs[page], 1, __ATOMIC_ACQ_REL);
	check(before > 0);
	return before == 1;
}

static void give_back(struct arena *a, uint32_t page, uint32_t n, bool punch)
{
	/* Failure leaves the memory with us, full of old bytes, which is what a free page may be.
	 */
	if (punch)
		(void)madvise(arena_ptr(a, page), (uint64_t)n * ARENA_PAGE, MADV_DONTNEED);
	lock_take(&a->lock);
	if (punch ||
		!stash_put(&a->stash, page, n)) /* who takes next wants pages that have memory */
		runmap_give(&a->map, page, n);
	unlock_and_wake(a);
}

static void unref(struct arena *a, uint32_t page, uint32_t n, bool punch)
{
	uint64_t end = (uint64_t)page + n;
	uint32_t n_last = 0; /* pages just before `page` that lost their last reference */

	check(end <= a->n_pages);
	for (; page < end; page++) {
		if (last_ref(a, page)) {
			n_last++;
			continue;
		}
		if (n_last > 0)
			give_back(a, page - n_last, n_last, punch);
		n_last = 0;
	}
	if (n_last > 0)
		give_back(a, page - n_last, n_last, punch);
}

void arena_unref(struct arena *a, uint32_t page, uint32_t n)
{
	unref(a, page, n, false);
}

void arena_exchange(struct arena *a, struct quota *q, uint32_t n, uint32_t page)
{
	bool settles = q && q->a && n > 0, gives = page != PAGE_NONE && last_ref(a, page);

	if (!settles && !gives)
		return;
	lock_take(&a->lock);
	if (settles)
		settle(a, q, n);
	if (gives && !stash_put(&a->stash, page, 1))
		runmap_give(&a->map, page, 1);
	unlock_and_wake(a);
}

void arena_unref_punch(struct arena *a, uint32_t page, uint32_t n)
{
	unref(a, page, n, a->kind == ARENA_RAM);
}

/* --- checksums --- */

void arena_keep_sums(struct arena *a)
{
	size_t len = a->n_pages * sizeof(a->sums[0]);
	void *sums;

	lock_take(&a->lock);
	if (!a->sums) {
		sums = mmap(NULL, len, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (sums != MAP_FAILED)
			__atomic_store_n(&a->sums, (uint32_t *)sums, __ATOMIC_RELEASE);
	}
	lock_leave(&a->lock);
}

uint32_t *arena_sums(const struct arena *a, const void *ptr)
{
	uint32_t *sums = __atomic_load_n(&a->sums, __ATOMIC_ACQUIRE);
	uint64_t off = arena_offset(a, ptr);

	return sums && off != UINT64_MAX ? sums + off / ARENA_PAGE : NULL;
}

uint64_t arena_n_shared(const struct arena *a)
{
	uint64_t n = 0;

	for (uint64_t page = 0; page < a->n_pages; page++)
		n += MAX(arena_refs(a, (uint32_t)page), 1u) - 1;
	return n;
}

uint32_t arena_refs(const struct arena *a, uint32_t page)
{
	return __atomic_load_n(&a->refs[page], __ATOMIC_RELAXED);
}

/* --- life --- */

/* map_memory - the pages, at an address that huge pages could start at. */
static int map_memory(struct arena *a)
{
	uint64_t len = a->n_pages * ARENA_PAGE;
	int flags = MAP_FIXED | MAP_NORESERVE;
	char *room, *at;

	room = mmap(
		NULL, len + HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (room == MAP_FAILED)
		return -errno;
	at = (char *)round_up((uintptr_t)room, HUGE);
	if (at > room)
		munmap(room, (size_t)(at - room));
	munmap(at + len, (size_t)(room + HUGE - at));
	a->base = at;
	flags |= a->kind == ARENA_FILE ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;
	if (mmap(at, len, PROT_READ | PROT_WRITE, flags, a->fd, (off_t)a->fd_at) == MAP_FAILED)
		return -errno;
	/* Advice only: a kernel without it keeps its own ways. */
	(void)madvise(at, len, a->kind == ARENA_FILE ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	(void)madvise(at, len, MADV_DONTDUMP);
	return 0;
}

static int open_memory(struct arena *a)
{
	void *refs;

	if (a->kind == ARENA_FILE && !a->fd_lent) {
		a->fd = memfd_create(a->name, MFD_CLOEXEC);
		if (a->fd < 0 || ftruncate(a->fd, (off_t)(a->n_pages * ARENA_PAGE)) < 0)
			return -errno;
	}
	refs = mmap(NULL, a->n_pages * sizeof(a->refs[0]), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (refs == MAP_FAILED)
		return -errno;
	a->refs = refs;
	return map_memory(a);
}

static void release(struct arena *a)
{
	if (a->base)
		munmap(a->base, a->n_pages * ARENA_PAGE);
	if (a->refs)
		munmap(a->refs, a->n_pages * sizeof(a->refs[0]));
	if (a->sums)
		munmap(a->sums, a->n_pages * sizeof(a->sums[0]));
	if (a->fd >= 0 && !a->fd_lent)
		close(a->fd);
	runmap_deinit(&a->map);
	sysmem_release(a->n_bytes);
	free(a);
}

static struct arena *arena_blank(const struct arena_params *p)
{
	struct arena *a = aligned_alloc(_Alignof(struct arena), sizeof(*a));

	if (!a)
		return NULL;
	memset(a, 0, sizeof(*a));
	a->kind = p->kind;
	a->fd_lent = p->kind == ARENA_FILE && p->fd > 0;
	a->fd = a->fd_lent ? p->fd : -1;
	a->fd_at = p->fd_at;
	a->n_pages = p->n_pages;
	a->n_merge = p->n_merge_pages;
	a->n_content = p->n_content_pages;
	strncpy(a->name, p->name ? p->name : "arena", sizeof(a->name) - 1);
	for (unsigned i = 0; i < N_WAITS; i++)
		list_init(&a->waits[i]);
	return a;
}

int arena_new(struct arena **ap, const struct arena_params *p)
{
	struct arena *a;
	int end;

	*ap = NULL;
	if (p->n_pages == 0 || p->n_pages > (1ull << 32) - (1 << 16) ||
		p->n_merge_pages > p->n_pages || p->n_content_pages > p->n_pages ||
		p->n_absent >= p->n_pages)
		return -EINVAL;
	a = arena_blank(p);
	if (!a)
		return -ENOMEM;
	/* What is lent was taken from the system by whoever lends it. */
	end = a->fd_lent ? 0 : sysmem_reserve(p->n_pages * ARENA_PAGE);
	if (end == 0) {
		a->n_bytes = a->fd_lent ? 0 : p->n_pages * ARENA_PAGE;
		end = open_memory(a);
	}
	if (end == 0)
		end = runmap_init(&a->map, p->n_pages);
	if (end == 0 && p->n_absent) {
		a->n_absent = p->n_absent;
		runmap_take(&a->map, (uint32_t)(p->n_pages - p->n_absent), (uint32_t)p->n_absent);
	}
	if (end != 0) {
		release(a);
		return end;
	}
	*ap = a;
	return 0;
}

struct arena *arena_free(struct arena *a)
{
	if (!a)
		return NULL;
	check(free_pages(a) + a->n_kept + a->n_absent == a->n_pages);
	check(a->n_waiting == 0);
	release(a);
	return NULL;
}

void arena_grow(struct arena *a, uint32_t n)
{
	lock_take(&a->lock);
	check(n <= a->n_absent);
	runmap_give(&a->map, (uint32_t)(a->n_pages - a->n_absent), n);
	a->n_absent -= n;
	unlock_and_wake(a);
}

uint64_t arena_n_absent(const struct arena *a)
{
	struct arena *m = (struct arena *)a;
	uint64_t n;

	lock_take(&m->lock);
	n = a->n_absent;
	lock_leave(&m->lock);
	return n;
}

void arena_adopt(struct arena *a, uint32_t page)
{
	lock_take(&a->lock);
	check(page < a->n_pages);
	stash_drain(&a->stash, &a->map);
	if (!a->refs[page]++)
		runmap_take(&a->map, page, 1);
	lock_leave(&a->lock);
}

void arena_keep(struct arena *a, uint32_t page)
{
	lock_take(&a->lock);
	if (__atomic_load_n(&a->refs[page], __ATOMIC_ACQUIRE) == 1)
		a->n_kept++;
	else
		__atomic_sub_fetch(&a->refs[page], 1, __ATOMIC_ACQ_REL);
	lock_leave(&a->lock);
}

/* --- looking --- */

void *arena_base(const struct arena *a)
{
	return a->base;
}

void *arena_ptr(const struct arena *a, uint32_t page)
{
	return arena_ptr_of(a->base, page);
}

uint64_t arena_offset(const struct arena *a, const void *ptr)
{
	uint64_t off = (uint64_t)((uintptr_t)ptr - (uintptr_t)a->base);

	return off < a->n_pages * ARENA_PAGE ? off : UINT64_MAX;
}

uint64_t arena_n_pages(const struct arena *a)
{
	return a->n_pages;
}

uint64_t arena_n_free(const struct arena *a)
{
	struct arena *locked = (struct arena *)a;
	uint64_t n;

	lock_take(&locked->lock);
	n = free_pages(a);
	lock_leave(&locked->lock);
	return n;
}

uint64_t arena_n_lent(const struct arena *a)
{
	return a->n_pages - arena_n_free(a) - arena_n_absent(a);
}

uint64_t arena_n_kept(const struct arena *a)
{
	struct arena *m = (struct arena *)a;
	uint64_t n;

	lock_take(&m->lock);
	n = a->n_kept;
	lock_leave(&m->lock);
	return n;
}

uint64_t arena_n_promisable(const struct arena *a)
{
	struct arena *m = (struct arena *)a; /* the lock is no part of what is looked at */
	uint64_t n;

	lock_take(&m->lock);
	n = promisable(a);
	lock_leave(&m->lock);
	return n;
}

uint64_t arena_n_open(const struct arena *a)
{
	struct arena *locked = (struct arena *)a;
	uint64_t n;

	lock_take(&locked->lock);
	n = open_pages(a);
	lock_leave(&locked->lock);
	return n;
}

int arena_fd(const struct arena *a)
{
	return a->fd;
}

void arena_check(const struct arena *a)
{
	struct arena *locked = (struct arena *)a;
	uint32_t n_waiting = 0;

	lock_take(&locked->lock);
	stash_drain(&locked->stash, &locked->map);
	runmap_check(&a->map);
	for (uint64_t p = 0; p < a->n_pages - a->n_absent; p++)
		check(runmap_is_free(&a->map, (uint32_t)p) == (arena_refs(a, (uint32_t)p) == 0));
	check(a->n_promised <= a->n_granted && a->n_granted + a->n_merge <= a->n_pages);
	for (unsigned i = 0; i < N_WAITS; i++) {
		list_for_each(at, &a->waits[i])
			n_waiting++;
	}
	check(n_waiting == a->n_waiting);
	lock_leave(&locked->lock);
}
