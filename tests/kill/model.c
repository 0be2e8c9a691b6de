/* model.c - see model.h. */
#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ZEROS = 1 }; /* the lowest bit of a number: the write was an UNMAP */
#define MAGIC 0x6b696c6c74657374ull

/* What a block holds: magic, place, number, a checksum of the rest, and the rest. */
struct content {
	uint64_t magic, place, number, sum;
	uint64_t words[(BLOCK - 32) / 8];
};
_Static_assert(sizeof(struct content) == BLOCK, "a block");

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

uint64_t model_random(uint64_t *state)
{
	*state += 0x9e3779b97f4a7c15;
	return mix(*state);
}

void model_init(struct model *m, uint32_t n_blocks, bool flushes)
{
	*m = (struct model){.n_blocks = n_blocks, .flushes = flushes};
	m->blocks = calloc(n_blocks, sizeof(*m->blocks));
	if (!m->blocks)
		abort();
}

void model_deinit(struct model *m)
{
	free(m->blocks);
	m->blocks = NULL;
}

bool model_begin(struct model *m, uint32_t lba, uint32_t n, bool zeros, uint64_t *numberp)
{
	for (uint32_t i = 0; i < n; i++)
		if (m->blocks[lba + i].busy || m->blocks[lba + i].n_later == LATER_MAX)
			return false;
	m->number += 2;
	*numberp = m->number | (zeros ? ZEROS : 0);
	for (uint32_t i = 0; i < n; i++) {
		struct block *b = &m->blocks[lba + i];

		b->busy = true;
		b->later[b->n_later++] = (struct later){*numberp, 0};
	}
	return true;
}

/* The first n of the later ones are past; the last of them is what must be there. */
static void settle(struct block *b, unsigned n)
{
	if (!n)
		return;
	b->stable = b->later[n - 1].number;
	b->n_later = (uint8_t)(b->n_later - n);
	memmove(b->later, b->later + n, b->n_later * sizeof(b->later[0]));
}

void model_end(struct model *m, uint32_t lba, uint32_t n, uint64_t number, bool acked, bool stable)
{
	m->now++;
	for (uint32_t i = 0; i < n; i++) {
		struct block *b = &m->blocks[lba + i];
		struct later *newest = &b->later[b->n_later - 1];

		b->busy = false;
		if (!acked)
			continue;
		m->n_acked++;
		newest->acked = m->now;
		if (newest->number == number && (stable || !m->flushes))
			settle(b, b->n_later);
	}
}

void model_flushed(struct model *m, uint64_t since)
{
	for (uint32_t k = 0; k < m->n_blocks; k++) {
		struct block *b = &m->blocks[k];
		unsigned n = b->n_later;

		while (n && !(b->later[n - 1].acked && b->later[n - 1].acked <= since))
			n--;
		settle(b, n);
	}
}

/* --- contents --- */
static uint64_t checksum(const struct content *c)
{
	uint64_t sum = mix(c->number) + mix(c->place * 3);

	for (size_t i = 0; i < sizeof(c->words) / 8; i++)
		sum = mix(sum ^ c->words[i]);
	return sum;
}

void model_fill(uint8_t *bytes, uint32_t lba, uint32_t n, uint64_t number)
{
	for (uint32_t i = 0; i < n; i++) {
		struct content c = {.magic = MAGIC, .place = lba + i, .number = number};
		uint64_t state = number ^ (uint64_t)(lba + i) << 40;

		for (size_t k = 0; k < sizeof(c.words) / 8; k++)
			c.words[k] = model_random(&state);
		c.sum = checksum(&c);
		memcpy(bytes + (size_t)i * BLOCK, &c, BLOCK);
	}
}

enum look { IS_ZERO, IS_OURS, IS_BROKEN };

static enum look look(const uint8_t *bytes, uint32_t lba, uint64_t *numberp)
{
	static const uint8_t zeros[BLOCK];
	struct content c;

	memcpy(&c, bytes, BLOCK);
	*numberp = c.number;
	if (!memcmp(bytes, zeros, BLOCK))
		return IS_ZERO;
	return c.magic == MAGIC && c.place == lba && c.sum == checksum(&c) ? IS_OURS : IS_BROKEN;
}

static bool shows(enum look what, uint64_t seen, uint64_t number)
{
	bool zeros = !number || number & ZEROS;

	return zeros ? what == IS_ZERO : what == IS_OURS && seen == number;
}

static void check_block(struct model *m, uint32_t lba, const uint8_t *bytes)
{
	struct block *b = &m->blocks[lba];
	uint64_t seen;
	enum look what = look(bytes, lba, &seen);

	m->n_checked++;
	if (shows(what, seen, b->stable)) {
		b->n_later = 0;
		return;
	}
	for (unsigned i = b->n_later; i--;) {
		if (!shows(what, seen, b->later[i].number))
			continue;
		b->stable = b->later[i].number;
		b->n_later = 0;
		return;
	}
	if (!m->n_lost++)
		snprintf(m->why, sizeof(m->why),
			"block %u has %s %llu and must have write %llu or one of %u later ones",
			lba,
			what == IS_ZERO   ? "zeros, not"
			: what == IS_OURS ? "write"
					  : "broken content,",
			(unsigned long long)seen, (unsigned long long)b->stable, b->n_later);
}

void model_check(struct model *m, uint32_t lba, uint32_t n, const uint8_t *bytes)
{
	for (uint32_t i = 0; i < n; i++)
		check_block(m, lba + i, bytes + (size_t)i * BLOCK);
}
