/* huge.c - see huge.h. */
#include "huge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "arena.h"
#include "check.h"

enum { WORD = 64, WORDS = HUGE_BLOCK / WORD };

int huge_init(struct huge *h, void *base, uint64_t n_pages)
{
	uint64_t n_blocks = n_pages / HUGE_BLOCK + 1;

	*h = (struct huge){.base = base, .n_pages = n_pages};
	h->has = calloc(n_blocks * WORDS, sizeof(h->has[0]));
	h->whole = calloc(n_blocks, sizeof(h->whole[0]));
	if (h->has && h->whole)
		return 0;
	huge_deinit(h);
	return -ENOMEM;
}

void huge_deinit(struct huge *h)
{
	free(h->has);
	free(h->whole);
	*h = (struct huge){0};
}

/* bits - those of the word at `page`, from there on and before `end`. */
static uint64_t bits(uint32_t page, uint64_t end)
{
	uint64_t from = UINT64_MAX << page % WORD, next = round_down(page, WORD) + WORD;

	return end < next ? from & ~(UINT64_MAX << end % WORD) : from;
}

static void has_set(struct huge *h, uint32_t page, uint64_t end)
{
	for (uint64_t p = page; p < end; p = round_down(p, WORD) + WORD) {
		uint64_t more = bits((uint32_t)p, end) & ~h->has[p / WORD];

		h->has[p / WORD] |= more;
		h->n_has += (unsigned)__builtin_popcountll(more);
	}
}

static void has_clear(struct huge *h, uint32_t page, uint64_t end)
{
	for (uint64_t p = page; p < end; p = round_down(p, WORD) + WORD) {
		uint64_t gone = bits((uint32_t)p, end) & h->has[p / WORD];

		h->has[p / WORD] &= ~gone;
		h->n_has -= (unsigned)__builtin_popcountll(gone);
	}
}

static bool is_bare(const struct huge *h, uint32_t block)
{
	uint64_t any = 0;

	for (unsigned i = 0; i < WORDS; i++)
		any |= h->has[block * WORDS + i];
	return !any;
}

/* opens - shall this block, of which a page is taken, come whole? What is left over behind the last whole one
 * stays small. */
static bool opens(const struct huge *h, uint32_t block)
{
	return h->n_has >= HUGE_FROM && (block + UINT64_C(1)) * HUGE_BLOCK <= h->n_pages &&
	       is_bare(h, block);
}

void huge_take(struct huge *h, uint32_t page, uint32_t n, struct huge_opens *o)
{
	uint64_t end = (uint64_t)page + n;

	if (!h->base)
		return;
	for (uint64_t p = page; p < end; p = round_down(p, HUGE_BLOCK) + HUGE_BLOCK) {
		uint32_t block = (uint32_t)(p / HUGE_BLOCK);
		uint64_t next = (block + UINT64_C(1)) * HUGE_BLOCK;

		if (__atomic_load_n(&h->whole[block], __ATOMIC_RELAXED))
			continue;
		if (o->n < HUGE_OPENS && opens(h, block)) {
			o->page[o->n++] = (uint32_t)p;
			__atomic_store_n(&h->whole[block], true, __ATOMIC_RELAXED);
			has_set(h, block * HUGE_BLOCK, next);
		} else {
			has_set(h, (uint32_t)p, MIN(end, next));
		}
	}
}

void huge_open(const struct huge *h, const struct huge_opens *o)
{
	for (unsigned i = 0; i < o->n; i++) {
		char *at = h->base + round_down(o->page[i], HUGE_BLOCK) * ARENA_PAGE;
		size_t len = (size_t)HUGE_BLOCK * ARENA_PAGE;

		/* Advice only, and the touch is what counts: a page that is the caller's, of any content. */
		if (madvise(at, len, MADV_HUGEPAGE) == 0)
			*(volatile char *)(h->base + (uint64_t)o->page[i] * ARENA_PAGE) = 0;
		(void)madvise(at, len, MADV_NOHUGEPAGE);
	}
}

void huge_split(const struct huge *h, uint32_t page, uint32_t n)
{
	uint64_t end = (uint64_t)page + n;

	if (!h->base)
		return;
	for (uint64_t p = page; p < end; p = round_down(p, HUGE_BLOCK) + HUGE_BLOCK) {
		uint64_t stop = MIN(end, round_down(p, HUGE_BLOCK) + HUGE_BLOCK);

		/* To free a part lazily splits the block; to drop it at once would not. */
		if (stop - p < HUGE_BLOCK &&
			__atomic_load_n(&h->whole[p / HUGE_BLOCK], __ATOMIC_RELAXED))
			(void)madvise(h->base + p * ARENA_PAGE, (stop - p) * ARENA_PAGE, MADV_FREE);
	}
}

void huge_punch(struct huge *h, uint32_t page, uint32_t n)
{
	uint64_t end = (uint64_t)page + n;

	if (!h->base)
		return;
	for (uint64_t p = page; p < end; p = round_down(p, HUGE_BLOCK) + HUGE_BLOCK)
		__atomic_store_n(&h->whole[p / HUGE_BLOCK], false, __ATOMIC_RELAXED);
	has_clear(h, page, end);
}
