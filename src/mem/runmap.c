/* runmap.c - a tree of longest free runs over a bitmap of pages.
 *
 * A leaf is one word, 64 pages. Each node says of the pages below it how many are free at its
 * beginning (pre), at its end (suf), and how long the longest free run is (max), and the longest
 * one that starts on an arena line (amax). Two neighbours are joined in a few steps:
 *
 *       left                 right
 *   |pre| ..  |suf|     |pre| ..  |suf|       a run across the middle: left.suf + right.pre
 *
 * So the root knows at once whether a run of n pages is to be had, the lowest one is found on one
 * walk down, and a change is told upwards until nothing changes. A buddy of powers of two would be
 * about as fast, but it forgets runs that lie across its borders: it could neither promise the
 * fewest runs nor say what the longest one is. Any run may be taken from, any part given back.
 *
 * Zero bytes mean "nothing free", so that the padding up to a power of two is never touched. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include "check.h"
#include "runmap.h"

enum { LEAF = 64 };
#define LINE_STARTS 0x0101010101010101ull
#define LINE_MASK   (~(uint32_t)(RUNMAP_LINE - 1))

struct runmap_node {
	uint32_t pre, suf, max, amax;
};

/* --- one word --- */

/* powers - bit i of p[j] is set when 2^j free pages start at page i. */
static inline void powers(uint64_t word, uint64_t p[7])
{
	p[0] = word;
	for (unsigned j = 0; j < 6; j++)
		p[j + 1] = p[j] & (p[j] >> (1u << j));
}

/* word_longest - the longest run that starts at one of `starts`, by its length's bits from above.
 */
static inline uint32_t word_longest(const uint64_t p[7], uint64_t starts)
{
	uint32_t len = 0;

	for (int j = 5; j >= 0; j--) {
		uint64_t longer = starts & (p[j] >> len);

		if (longer) {
			starts = longer;
			len += 1u << j;
		}
	}
	return len; /* at most 63: a full word is told apart before */
}

/* word_starts - where in the word runs of n pages start, n <= 64. */
static uint64_t word_starts(uint64_t word, uint32_t n)
{
	uint64_t p[7], starts = ~0ull;
	uint32_t len = 0;

	powers(word, p);
	if (n == LEAF)
		return p[6];
	for (unsigned j = 0; j < 6; j++) {
		if (n & (1u << j)) {
			starts &= p[j] >> len;
			len += 1u << j;
		}
	}
	return starts;
}

static struct runmap_node leaf_node(uint64_t word)
{
	struct runmap_node r = {0};
	uint64_t p[7];

	if (word == 0)
		return r;
	if (word == ~0ull)
		return (struct runmap_node){LEAF, LEAF, LEAF, LEAF};
	powers(word, p);
	r.pre = (uint32_t)__builtin_ctzll(~word);
	r.suf = (uint32_t)__builtin_clzll(~word);
	r.max = word_longest(p, ~0ull);
	r.amax = word_longest(p, LINE_STARTS);
	return r;
}

static uint64_t word_mask(unsigned at, unsigned n)
{
	return (n == LEAF ? ~0ull : (1ull << n) - 1) << at;
}

/* --- nodes --- */

static inline struct runmap_node joined(
	const struct runmap_node *l, const struct runmap_node *r, uint64_t width)
{
	struct runmap_node up;

	up.pre = l->pre == width ? l->pre + r->pre : l->pre;
	up.suf = r->suf == width ? r->suf + l->suf : r->suf;
	up.max = MAX(MAX(l->max, r->max), l->suf + r->pre);
	up.amax = MAX(MAX(l->amax, r->amax), (l->suf & LINE_MASK) + r->pre);
	return up;
}

static inline bool same(const struct runmap_node *a, const struct runmap_node *b)
{
	return a->pre == b->pre && a->suf == b->suf && a->max == b->max && a->amax == b->amax;
}

/* tell_path - one leaf has changed. What changes is carried upwards in registers, and which side it
 * came from is chosen without a branch, since nobody could predict it: this is the cost of most
 * calls. */
static void tell_path(struct runmap *m, uint32_t leaf)
{
	uint32_t i = leaf + m->n_leaves;
	struct runmap_node cur = m->node[i];
	uint64_t width = LEAF;

	for (; i > 1; i /= 2, width *= 2) {
		struct runmap_node sib = m->node[i ^ 1], *up = &m->node[i / 2];
		uint32_t swap = -(i & 1); /* all ones: we are the right side */
		struct runmap_node l, r;

		l.pre = cur.pre ^ ((cur.pre ^ sib.pre) & swap);
		r.pre = sib.pre ^ ((cur.pre ^ sib.pre) & swap);
		l.suf = cur.suf ^ ((cur.suf ^ sib.suf) & swap);
		r.suf = sib.suf ^ ((cur.suf ^ sib.suf) & swap);
		l.max = cur.max;
		r.max = sib.max;
		l.amax = cur.amax;
		r.amax = sib.amax;
		cur = joined(&l, &r, width);
		if (same(&cur, up))
			return;
		*up = cur;
	}
}

/* tell_up - the leaves [lo, hi] have changed. */
static void tell_up(struct runmap *m, uint32_t lo, uint32_t hi)
{
	uint64_t width = LEAF;

	if (lo == hi) {
		tell_path(m, lo);
		return;
	}
	lo = (lo + m->n_leaves) / 2;
	hi = (hi + m->n_leaves) / 2;
	for (; lo > 0; lo /= 2, hi /= 2, width *= 2) {
		bool changed = false;

		for (uint32_t i = lo; i <= hi; i++) {
			struct runmap_node up = joined(&m->node[2 * i], &m->node[2 * i + 1], width);

			changed |= !same(&up, &m->node[i]);
			m->node[i] = up;
		}
		if (!changed)
			return;
	}
}

/* flip - the pages [page, page + n) become free, or taken; they must all be the other thing. */
static void flip(struct runmap *m, uint32_t page, uint32_t n, bool free)
{
	uint32_t lo = page / LEAF, hi = (uint32_t)(((uint64_t)page + n - 1) / LEAF);
	unsigned at = page % LEAF;

	check(n > 0 && (uint64_t)page + n <= m->n_pages);
	for (uint32_t leaf = lo; leaf <= hi; leaf++) {
		unsigned here = MIN(n, LEAF - at);
		uint64_t mask = word_mask(at, here);

		check((m->bits[leaf] & mask) == (free ? 0 : mask));
		m->bits[leaf] ^= mask;
		m->node[m->n_leaves + leaf] = leaf_node(m->bits[leaf]);
		n -= here;
		at = 0;
	}
	tell_up(m, lo, hi);
}

void runmap_take(struct runmap *m, uint32_t page, uint32_t n)
{
	flip(m, page, n, false);
	m->n_free -= n;
}

void runmap_give(struct runmap *m, uint32_t page, uint32_t n)
{
	flip(m, page, n, true);
	m->n_free += n;
	m->first = MIN(m->first, page / LEAF);
}

uint32_t runmap_longest(const struct runmap *m, bool aligned)
{
	return aligned ? m->node[1].amax : m->node[1].max;
}

bool runmap_is_free(const struct runmap *m, uint32_t page)
{
	return page < m->n_pages && m->bits[page / LEAF] >> (page % LEAF) & 1;
}

/* A walk down, taking the left side whenever it can: what is found is the lowest. When the way goes
 * right, no run of n starts left of the middle, so that none can be missed by having left it. */
static uint32_t find_in_tree(const struct runmap *m, uint32_t n, bool aligned)
{
	uint64_t width = (uint64_t)LEAF * m->n_leaves, base = 0, starts;
	uint32_t i = 1;

	if (runmap_longest(m, aligned) < n)
		return RUNMAP_NONE;
	while (i < m->n_leaves) {
		const struct runmap_node *l = &m->node[2 * i], *r = l + 1;
		uint32_t suf = aligned ? l->suf & LINE_MASK : l->suf;

		width /= 2;
		i *= 2;
		if ((aligned ? l->amax : l->max) >= n)
			continue;
		if (suf > 0 && suf + r->pre >= n)
			return (uint32_t)(base + width - suf);
		base += width;
		i++;
	}
	starts = word_starts(m->bits[i - m->n_leaves], n) & (aligned ? LINE_STARTS : ~0ull);
	check(starts != 0);
	return (uint32_t)base + (uint32_t)__builtin_ctzll(starts);
}

uint32_t runmap_find(struct runmap *m, uint32_t n, bool aligned)
{
	uint32_t page;

	check(n > 0);
	if (n > 1 || aligned)
		return find_in_tree(m, n, aligned);
	/* Single pages are what small writes ask for: mostly the word of the last time still has
	 * one. */
	if (m->bits[m->first] == 0) {
		page = find_in_tree(m, 1, false);
		if (page == RUNMAP_NONE)
			return page;
		m->first = page / LEAF;
	}
	return m->first * LEAF + (uint32_t)__builtin_ctzll(m->bits[m->first]);
}

/* --- life --- */

static void *zeros(uint64_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static uint64_t bits_size(const struct runmap *m)
{
	return m->n_leaves * sizeof(m->bits[0]);
}

static uint64_t node_size(const struct runmap *m)
{
	return 2ull * m->n_leaves * sizeof(m->node[0]);
}

int runmap_init(struct runmap *m, uint64_t n_pages)
{
	uint32_t last = (uint32_t)((n_pages - 1) / LEAF);

	check(n_pages > 0 && n_pages < UINT32_MAX);
	memset(m, 0, sizeof(*m));
	m->n_pages = m->n_free = n_pages;
	m->n_leaves = 1;
	while (m->n_leaves <= last)
		m->n_leaves *= 2;
	m->bits = zeros(bits_size(m));
	m->node = zeros(node_size(m));
	if (!m->bits || !m->node) {
		runmap_deinit(m);
		return -ENOMEM;
	}
	for (uint32_t leaf = 0; leaf <= last; leaf++) {
		m->bits[leaf] = word_mask(0, (unsigned)MIN(n_pages - (uint64_t)leaf * LEAF, LEAF));
		m->node[m->n_leaves + leaf] = leaf_node(m->bits[leaf]);
	}
	if (m->n_leaves > 1)
		tell_up(m, 0, last);
	return 0;
}

void runmap_deinit(struct runmap *m)
{
	if (m->bits)
		munmap(m->bits, bits_size(m));
	if (m->node)
		munmap(m->node, node_size(m));
	memset(m, 0, sizeof(*m));
}

void runmap_check(const struct runmap *m)
{
	uint32_t n_used = (uint32_t)((m->n_pages - 1) / LEAF) + 1;
	uint64_t n_free = 0, width = LEAF, tail = m->n_pages % LEAF;

	for (uint32_t leaf = 0; leaf < n_used; leaf++) {
		struct runmap_node want = leaf_node(m->bits[leaf]);

		check(same(&want, &m->node[m->n_leaves + leaf]));
		check(m->bits[leaf] == 0 || leaf >= m->first);
		n_free += (uint64_t)__builtin_popcountll(m->bits[leaf]);
	}
	check(n_free == m->n_free);
	check(tail == 0 || m->bits[n_used - 1] >> tail == 0);
	for (uint32_t lo = m->n_leaves / 2; lo > 0; lo /= 2, width *= 2) {
		for (uint32_t i = lo; i < 2 * lo; i++) {
			struct runmap_node want =
				joined(&m->node[2 * i], &m->node[2 * i + 1], width);

			check(same(&want, &m->node[i]));
		}
	}
}
