/* arena.c - the memory itself: mapped, grown, adopted, released; and what there is to see of it. */
#include "arena.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "arena_in.h"
#include "sysmem.h"

enum { HUGE = 2 << 20 };

_Static_assert((int)RUNMAP_LINE == (int)ARENA_LINE_PAGES, "the run map aligns to arena lines");
_Static_assert(RUNMAP_NONE == PAGE_NONE, "no page is no page");

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
	return a->kind == ARENA_RAM ? huge_init(&a->huge, at, a->n_pages) : 0;
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
	huge_deinit(&a->huge);
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
