/* model.c - writes with their times, and the rule for reads. */
#include "model.h"

#include <stdlib.h>
#include <string.h>
#include "peer.h"

struct block {
	uint64_t number, lba;
	uint64_t noise[(MODEL_BLOCK - 16) / 8];
};

static uint64_t noise(uint64_t number, uint64_t lba, unsigned i)
{
	uint64_t z =
		number * 0x9e3779b97f4a7c15 ^ lba * 0xbf58476d1ce4e5b9 ^ i * 0x94d049bb133111eb;

	return (z ^ z >> 31) * 0xd6e8feb86659fd93;
}

static void block_fill(struct block *b, uint64_t number, uint64_t lba)
{
	b->number = number;
	b->lba = lba;
	for (unsigned i = 0; i < sizeof(b->noise) / 8; i++)
		b->noise[i] = number ? noise(number, lba, i) : 0;
	if (!number)
		b->lba = 0;
}

void model_init(struct model *m, const char *name, uint32_t n_blocks, bool loose)
{
	*m = (struct model){
		.name = name, .n_blocks = n_blocks, .loose = loose, .n_writes = 1, .room = 64};
	m->writes = calloc(m->room, sizeof(*m->writes));
	m->writes[0] = (struct model_write){.n = n_blocks, .sure = true};
}

void model_deinit(struct model *m)
{
	free(m->writes);
}

uint64_t model_tick(struct model *m)
{
	return ++m->now;
}

uint32_t model_begin(struct model *m, uint32_t lba, uint32_t n, void *buf)
{
	struct block *b = buf;

	if (m->n_writes == m->room) {
		m->room *= 2;
		m->writes = realloc(m->writes, m->room * sizeof(*m->writes));
	}
	m->writes[m->n_writes] = (struct model_write){
		.lba = lba, .n = n, .begun = model_tick(m), .ended = UINT64_MAX};
	for (uint32_t i = 0; i < n; i++)
		block_fill(&b[i], m->n_writes, lba + i);
	return m->n_writes++;
}

static void end(struct model *m, struct model_write *w)
{
	uint64_t now = model_tick(m);

	/* A read may have shown it before: then it had happened by then. */
	if (w->ended > now)
		w->ended = now;
}

void model_sure(struct model *m, uint32_t number)
{
	struct model_write *w = &m->writes[number];

	EXPECT(!w->voided, "%s: write %u is acknowledged, and cannot have happened", m->name,
		number);
	w->sure = true;
	end(m, w);
}

void model_doubt(struct model *m, uint32_t number)
{
	end(m, &m->writes[number]);
}

void model_void(struct model *m, uint32_t number)
{
	struct model_write *w = &m->writes[number];

	EXPECT(!w->sure, "%s: write %u was seen, and cannot have happened", m->name, number);
	w->voided = true;
}

static bool covers(const struct model_write *w, uint32_t lba)
{
	return lba >= w->lba && lba - w->lba < w->n;
}

/* buried - the number of a write that makes it impossible to see this one; 0: it may be seen. */
static uint32_t buried(const struct model *m, uint32_t number, uint32_t lba, uint64_t begun)
{
	for (uint32_t i = 1; i < m->n_writes; i++) {
		const struct model_write *w = &m->writes[i];

		if (w->sure && covers(w, lba) && w->begun > m->writes[number].ended &&
			w->ended < begun)
			return i;
	}
	return 0;
}

static uint32_t check_block(struct model *m, uint32_t lba, uint64_t begun, const struct block *b)
{
	uint32_t number = (uint32_t)b->number, over;
	struct block expected;

	EXPECT(b->number < m->n_writes, "%s: block %u holds what nobody wrote", m->name, lba);
	block_fill(&expected, number, lba);
	EXPECT(!memcmp(&expected, b, MODEL_BLOCK),
		"%s: block %u is not whole, or another's (write %u, place %lu)", m->name, lba,
		number, (unsigned long)b->lba);
	EXPECT(covers(&m->writes[number], lba), "%s: block %u is of write %u, which is elsewhere",
		m->name, lba, number);
	EXPECT(!m->writes[number].voided, "%s: block %u is of write %u, which cannot have happened",
		m->name, lba, number);
	over = buried(m, number, lba, begun);
	EXPECT(!over, "%s: block %u still shows write %u, and write %u came after it", m->name, lba,
		number, over);
	m->n_checked++;
	return number;
}

/* check_halves - blocks of one read: where two writes cover both, both show the same one. */
static void check_halves(const struct model *m, uint32_t lba, uint32_t n, const struct block *b)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct model_write *wi = &m->writes[b[i].number];

		for (uint32_t k = i + 1; k < n; k++) {
			const struct model_write *wk = &m->writes[b[k].number];

			EXPECT(wi == wk || !b[i].number || !b[k].number || !covers(wi, lba + k) ||
					!covers(wk, lba + i),
				"%s: block %u shows write %lu and block %u write %lu: one is torn",
				m->name, lba + i, (unsigned long)b[i].number, lba + k,
				(unsigned long)b[k].number);
			/* A write that is seen in one of its blocks covers the zeros in the others.
			 */
			EXPECT((wi == wk || b[i].number || !covers(wk, lba + i)) &&
					(wi == wk || b[k].number || !covers(wi, lba + k)),
				"%s: blocks %u and %u show half of a write", m->name, lba + i,
				lba + k);
		}
	}
}

void model_check(struct model *m, uint32_t lba, uint32_t n, uint64_t begun, const void *buf)
{
	const struct block *b = buf;

	for (uint32_t i = 0; i < n; i++)
		check_block(m, lba + i, begun, &b[i]);
	if (m->loose)
		return;
	check_halves(m, lba, n, b);
	for (uint32_t i = 0; i < n; i++) {
		struct model_write *w = &m->writes[b[i].number];

		if (b[i].number) {
			w->sure = true;
			end(m, w);
		}
	}
}
