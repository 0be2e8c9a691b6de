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
	b->lba = number ? lba : 0;
	for (unsigned i = 0; i < sizeof(b->noise) / 8; i++)
		b->noise[i] = number ? noise(number, lba, i) : 0;
}

void model_init(struct model *m, const char *name, uint32_t n_blocks, bool loose)
{
	*m = (struct model){
		.name = name, .n_blocks = n_blocks, .loose = loose, .first = 1, .room = 64};
	m->writes = calloc(m->room, sizeof(*m->writes));
	m->base = calloc(n_blocks, sizeof(*m->base));
}

void model_deinit(struct model *m)
{
	free(m->writes);
	free(m->base);
}

uint64_t model_tick(struct model *m)
{
	return ++m->now;
}

static struct model_write *write_of(const struct model *m, uint32_t number)
{
	return &m->writes[number - m->first];
}

static uint32_t begin(struct model *m, uint32_t lba, uint32_t n, bool zeros)
{
	if (m->n_writes == m->room) {
		m->room *= 2;
		m->writes = realloc(m->writes, m->room * sizeof(*m->writes));
	}
	m->writes[m->n_writes] = (struct model_write){
		.lba = lba, .n = n, .begun = model_tick(m), .ended = UINT64_MAX, .zeros = zeros};
	return m->first + m->n_writes++;
}

uint32_t model_begin(struct model *m, uint32_t lba, uint32_t n, void *buf)
{
	uint32_t number = begin(m, lba, n, false);
	struct block *b = buf;

	for (uint32_t i = 0; i < n; i++)
		block_fill(&b[i], number, lba + i);
	return number;
}

uint32_t model_begin_zeros(struct model *m, uint32_t lba, uint32_t n)
{
	return begin(m, lba, n, true);
}

static void end(struct model *m, struct model_write *w)
{
	uint64_t now = model_tick(m);

	/* A read may have shown it before: then it had happened by then. */
	if (w->ended > now)
		w->ended = now;
}

void model_sure(struct model *m, uint32_t number, bool durable)
{
	struct model_write *w = write_of(m, number);

	EXPECT(!w->voided, "%s: write %u is acknowledged, and cannot have happened", m->name,
		number);
	w->sure = true;
	w->durable |= durable;
	end(m, w);
}

void model_doubt(struct model *m, uint32_t number)
{
	end(m, write_of(m, number));
}

void model_void(struct model *m, uint32_t number)
{
	struct model_write *w = write_of(m, number);

	EXPECT(!w->sure, "%s: write %u was seen, and cannot have happened", m->name, number);
	w->voided = true;
}

void model_flushed(struct model *m, uint32_t lba, uint32_t n, uint64_t begun)
{
	for (uint32_t i = 0; i < m->n_writes; i++) {
		struct model_write *w = &m->writes[i];

		if (w->sure && w->ended < begun && w->lba >= lba && w->lba + w->n <= lba + n)
			w->durable = true;
	}
}

/* --- what a block may be --- */

static bool covers(const struct model_write *w, uint32_t lba)
{
	return lba >= w->lba && lba - w->lba < w->n;
}

static bool survives(const struct model *m, const struct model_write *w)
{
	return m->crashed && m->crash == MODEL_POWER ? w->durable : w->sure;
}

/* buried - the number of a write that makes it impossible to see what ended at `ended`; 0: it may be
 * seen. */
static uint32_t buried(const struct model *m, uint64_t ended, uint32_t lba, uint64_t begun)
{
	for (uint32_t i = 0; i < m->n_writes; i++) {
		const struct model_write *w = &m->writes[i];

		if (covers(w, lba) && w->begun > ended && w->ended < begun && survives(m, w))
			return m->first + i;
	}
	return 0;
}

/* zeros_of - whose zeros may a block show? The newest that can be; 0: none, or those it began with. */
static uint32_t zeros_of(const struct model *m, uint32_t lba, uint64_t begun)
{
	for (uint32_t i = m->n_writes; i-- > 0;) {
		const struct model_write *w = &m->writes[i];

		if (w->zeros && !w->voided && covers(w, lba) && !buried(m, w->ended, lba, begun))
			return m->first + i;
	}
	return 0;
}

static void check_old(struct model *m, uint32_t lba, uint64_t begun, uint32_t number)
{
	uint32_t over = buried(m, 0, lba, begun);

	EXPECT(m->base[lba] == number, "%s: block %u is of write %u of an earlier life, not %u",
		m->name, lba, number, m->base[lba]);
	EXPECT(!over, "%s: block %u shows what it was before write %u, which must be there",
		m->name, lba, over);
}

static void check_new(struct model *m, uint32_t lba, uint64_t begun, uint32_t number)
{
	const struct model_write *w;
	uint32_t over;

	EXPECT(number - m->first < m->n_writes, "%s: block %u holds what nobody wrote", m->name,
		lba);
	w = write_of(m, number);
	EXPECT(covers(w, lba) && !w->zeros, "%s: block %u is of write %u, which is elsewhere",
		m->name, lba, number);
	EXPECT(!w->voided, "%s: block %u is of write %u, which cannot have happened", m->name, lba,
		number);
	over = buried(m, w->ended, lba, begun);
	EXPECT(!over, "%s: block %u still shows write %u, and write %u came after it", m->name, lba,
		number, over);
}

/* check_block - returns the number of the write that it shows. */
static uint32_t check_block(struct model *m, uint32_t lba, uint64_t begun, const struct block *b)
{
	uint32_t number = (uint32_t)b->number;
	struct block expected;

	block_fill(&expected, b->number, lba);
	EXPECT(!memcmp(&expected, b, MODEL_BLOCK),
		"%s: block %u is not whole, or another's (write %u, place %lu)", m->name, lba,
		number, (unsigned long)b->lba);
	m->n_checked++;
	if (!number) {
		number = zeros_of(m, lba, begun);
		if (!number)
			check_old(m, lba, begun, 0);
		return number;
	}
	if (number < m->first)
		check_old(m, lba, begun, number);
	else
		check_new(m, lba, begun, number);
	return number;
}

/* --- no halves --- */

/* in_epoch - the write of this epoch that block b shows; NULL: what the epoch began with, or zeros, which are
 * atomic for each page only. */
static const struct model_write *in_epoch(const struct model *m, const struct block *b)
{
	return b->number >= m->first ? write_of(m, (uint32_t)b->number) : NULL;
}

/* is_old - it shows what the epoch began with, and no zeros of this epoch. */
static bool is_old(const struct model *m, uint32_t lba, const struct block *b)
{
	for (uint32_t i = 0; !b->number && i < m->n_writes; i++) {
		if (m->writes[i].zeros && covers(&m->writes[i], lba))
			return false;
	}
	return b->number < m->first;
}

/* check_halves - blocks of one read: where two writes cover both, both show the same one; and where
 * one shows a write that covers the other, that one does not show what was there before. */
static void check_halves(const struct model *m, uint32_t lba, uint32_t n, const struct block *b)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct model_write *wi = in_epoch(m, &b[i]);
		uint32_t from = wi && wi->lba > lba ? wi->lba - lba : 0;

		for (uint32_t k = from; wi && !wi->torn && k < n && covers(wi, lba + k); k++) {
			const struct model_write *wk = in_epoch(m, &b[k]);

			if (wi == wk)
				continue;
			EXPECT(!wk || wk->torn || !covers(wk, lba + i),
				"%s: block %u shows write %lu and block %u write %lu: one is torn",
				m->name, lba + i, (unsigned long)b[i].number, lba + k,
				(unsigned long)b[k].number);
			EXPECT(wk || !is_old(m, lba + k, &b[k]),
				"%s: block %u shows write %lu and block %u what was before: half of it",
				m->name, lba + i, (unsigned long)b[i].number, lba + k);
		}
	}
}

/* missed - block `lba` shows the write `number`, so doubtful ones that began after it had ended, and ended
 * before the read began, have not happened. */
static void missed(struct model *m, uint32_t lba, uint64_t begun, uint32_t number)
{
	uint64_t ended = number >= m->first ? write_of(m, number)->ended : 0;

	for (uint32_t i = 0; i < m->n_writes; i++) {
		struct model_write *w = &m->writes[i];

		if (!w->sure && !w->torn && !w->zeros && covers(w, lba) && w->begun > ended &&
			w->ended < begun)
			w->voided = true;
	}
}

/* seen - whole writes that were seen have happened. */
static void seen(struct model *m, uint32_t n, const struct block *b)
{
	for (uint32_t i = 0; i < n; i++) {
		struct model_write *w =
			b[i].number >= m->first ? write_of(m, (uint32_t)b[i].number) : NULL;

		if (!w || w->torn)
			continue;
		w->sure = true;
		end(m, w);
	}
}

void model_check(struct model *m, uint32_t lba, uint32_t n, uint64_t begun, const void *buf)
{
	const struct block *b = buf;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t number = check_block(m, lba + i, begun, &b[i]);

		if (!m->loose)
			missed(m, lba + i, begun, number);
	}
	if (m->loose)
		return;
	check_halves(m, lba, n, b);
	seen(m, n, b);
}

/* --- crashes --- */

enum { PAGE_BLOCKS = 8 };

/* met_zeros - some of its pages were being zeroed during its life. */
static bool met_zeros(const struct model *m, const struct model_write *w)
{
	for (uint32_t i = 0; i < m->n_writes; i++) {
		const struct model_write *z = &m->writes[i];

		if (z->zeros && z->ended > w->begun &&
			z->lba / PAGE_BLOCKS <= (w->lba + w->n - 1) / PAGE_BLOCKS &&
			w->lba / PAGE_BLOCKS <= (z->lba + z->n - 1) / PAGE_BLOCKS)
			return true;
	}
	return false;
}

static bool may_tear(const struct model *m, const struct model_write *w, enum model_crash crash)
{
	return w->ended == UINT64_MAX &&
	       (crash == MODEL_KILLED_TORN || (crash == MODEL_KILLED && met_zeros(m, w)));
}

void model_crashed(struct model *m, enum model_crash crash)
{
	for (uint32_t i = 0; i < m->n_writes; i++)
		m->writes[i].torn |= may_tear(m, &m->writes[i], crash);
	for (uint32_t i = 0; i < m->n_writes; i++) {
		struct model_write *w = &m->writes[i];

		end(m, w);
	}
	m->crashed = true;
	m->crash = crash;
}

static void recovered_zeros(const struct model *m, const struct block *b)
{
	static const struct block zeros;

	for (uint32_t i = 0; i < m->n_blocks; i++)
		EXPECT(!memcmp(&b[i], &zeros, MODEL_BLOCK), "%s: block %u is not a new disk's",
			m->name, i);
}

static void rebase(struct model *m, const struct block *b)
{
	for (uint32_t i = 0; i < m->n_blocks; i++)
		m->base[i] = (uint32_t)b[i].number;
	m->first += m->n_writes;
	m->n_writes = 0;
}

void model_recovered(struct model *m, const void *buf)
{
	const struct block *b = buf;
	uint64_t begun = model_tick(m);
	bool killed = m->crash == MODEL_KILLED || m->crash == MODEL_KILLED_TORN;

	if (m->crash == MODEL_FORGOTTEN)
		recovered_zeros(m, b);
	else if (killed)
		model_check(m, 0, m->n_blocks, begun, buf);
	for (uint32_t i = 0; i < m->n_blocks && m->crash == MODEL_POWER; i++)
		check_block(m, i, begun, &b[i]);
	if (!killed)
		rebase(m, b);
	m->n_recovered += m->n_blocks;
	m->crashed = false;
}
