/* pages.c - pages are taken out of the pool in runs, referred to, and given back. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include "arena_in.h"

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
	unsigned max_runs, unsigned *n_runsp, struct huge_opens *opens)
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
	for (unsigned i = 0; i < n_runs; i++)
		huge_take(&a->huge, runs[i].page, runs[i].n_pages, opens);
	*n_runsp = n_runs;
	return 0;
}

int arena_take(struct arena *a, enum arena_right right, struct quota *q, uint32_t n,
	bool line_aligned, struct run *runs, unsigned max_runs, unsigned *n_runsp,
	uint32_t *n_quotap)
{
	struct huge_opens opens;
	uint32_t own, *sums;
	int end;

	check(n > 0 && (!q || !q->a || q->a == a));
	*n_runsp = 0;
	*n_quotap = 0;
	opens.n = 0;
	lock_take(&a->lock);
	end = arena_admits(a, right, q, n, 0)
		      ? take_runs(a, n, line_aligned, runs, max_runs, n_runsp, &opens)
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
	if (unlikely(opens.n > 0))
		huge_open(&a->huge, &opens);
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
	if (punch) {
		huge_split(&a->huge, page, n);
		(void)madvise(arena_ptr(a, page), (uint64_t)n * ARENA_PAGE, MADV_DONTNEED);
	}
	lock_take(&a->lock);
	if (punch)
		huge_punch(&a->huge, page, n);
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
