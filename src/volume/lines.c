/* lines.c - see lines.h. */
#include "lines.h"

#include <errno.h>
#include <sys/mman.h>

static uint64_t *words_new(uint64_t n)
{
	void *at = mmap(NULL, n * sizeof(uint64_t), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

static uint64_t n_some(const struct lines *l)
{
	return (l->n_leaves + 63) / 64;
}

static uint64_t n_more(const struct lines *l)
{
	return (n_some(l) + 63) / 64;
}

int lines_init(struct lines *l, uint64_t n_leaves)
{
	*l = (struct lines){.n_leaves = n_leaves};
	l->leaf = words_new(n_leaves);
	l->some = words_new(n_some(l));
	l->more = words_new(n_more(l));
	if (l->leaf && l->some && l->more)
		return 0;
	lines_deinit(l);
	return -ENOMEM;
}

void lines_deinit(struct lines *l)
{
	if (l->leaf)
		munmap(l->leaf, l->n_leaves * sizeof(uint64_t));
	if (l->some)
		munmap(l->some, n_some(l) * sizeof(uint64_t));
	if (l->more)
		munmap(l->more, n_more(l) * sizeof(uint64_t));
	l->leaf = l->some = l->more = NULL;
}

static void set_bit(uint64_t *words, uint64_t i)
{
	if (!(__atomic_load_n(&words[i / 64], __ATOMIC_SEQ_CST) & 1ull << i % 64))
		__atomic_fetch_or(&words[i / 64], 1ull << i % 64, __ATOMIC_SEQ_CST);
}

static uint64_t clear_bit(uint64_t *words, uint64_t i)
{
	return __atomic_and_fetch(&words[i / 64], ~(1ull << i % 64), __ATOMIC_SEQ_CST);
}

void lines_mark(struct lines *l, uint64_t leaf)
{
	set_bit(l->some, leaf);
	set_bit(l->more, leaf / 64);
}

void lines_keep(struct lines *l, uint64_t leaf, uint64_t bits)
{
	l->leaf[leaf] = bits;
	if (bits || clear_bit(l->some, leaf))
		return;
	clear_bit(l->more, leaf / 64);
	if (__atomic_load_n(&l->some[leaf / 64], __ATOMIC_SEQ_CST))
		set_bit(l->more, leaf / 64);
}

/* The first bit from `i` on; n: none. */
static uint64_t next_bit(const uint64_t *words, uint64_t i, uint64_t n)
{
	while (i < n) {
		uint64_t word = __atomic_load_n(&words[i / 64], __ATOMIC_RELAXED) >> i % 64;

		if (word)
			return MIN(i + (uint64_t)__builtin_ctzll(word), n);
		i = round_down(i, 64) + 64;
	}
	return n;
}

uint64_t lines_next(const struct lines *l, uint64_t leaf)
{
	while (leaf < l->n_leaves) {
		uint64_t word = leaf / 64, end = MIN((word + 1) * 64, l->n_leaves);

		leaf = next_bit(l->some, leaf, end);
		if (leaf < end)
			return leaf;
		leaf = next_bit(l->more, word + 1, n_some(l)) * 64;
	}
	return LINES_NONE;
}
