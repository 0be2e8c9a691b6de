/* model.c - writes with their times, and the rule for reads. */
#include "may.h"

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

static void block_fill(struct block *b, struct content c)
{
	b->number = c.number;
	b->lba = c.lba;
	for (unsigned i = 0; i < sizeof(b->noise) / 8; i++)
		b->noise[i] = c.number ? noise(c.number, c.lba, i) : 0;
}

void model_init(struct model *m, const char *name, uint32_t n_blocks, bool loose)
{
	*m = (struct model){
		.name = name, .n_blocks = n_blocks, .loose = loose, .first = 1, .room = 64};
	m->writes = calloc(m->room, sizeof(*m->writes));
	m->base = calloc(n_blocks, sizeof(*m->base));
	m->clock = &m->now;
}

static void forget_copies(struct model *m)
{
	for (uint32_t i = 0; i < m->n_writes; i++)
		contents_free(m->writes[i].copy, m->writes[i].n);
	m->n_copies = 0;
}

void model_deinit(struct model *m)
{
	forget_copies(m);
	free(m->writes);
	free(m->base);
}

void model_join(struct model *m, struct model *with)
{
	m->clock = with->clock;
	m->id = with->id + 1;
}

uint64_t model_tick(struct model *m)
{
	return ++*m->clock;
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
		block_fill(&b[i], content_of(m, number, lba + i));
	return number;
}

uint32_t model_begin_zeros(struct model *m, uint32_t lba, uint32_t n)
{
	return begin(m, lba, n, true);
}

uint32_t model_begin_copy(
	struct model *m, uint32_t lba, uint32_t n, struct model *from, uint32_t from_lba)
{
	uint32_t number = begin(m, lba, n, false);
	struct model_copy *copy = calloc(1, sizeof(*copy));

	copy->from = from;
	copy->lba = from_lba;
	write_of(m, number)->copy = copy;
	m->n_copies++;
	return number;
}

static void end(struct model *m, struct model_write *w)
{
	uint64_t now = model_tick(m);

	/* A read may have shown it before: then it had happened by then. */
	if (w->ended > now)
		w->ended = now;
	contents_settle(w);
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

/* zeros_of - whose zeros may a block show? The newest that can be; NULL: none, or those it began with. */
static const struct model_write *zeros_of(const struct model *m, uint32_t lba, uint64_t from)
{
	for (uint32_t i = m->n_writes; i-- > 0;) {
		const struct model_write *w = &m->writes[i];

		if (w->zeros && !w->voided && covers(w, lba) && w->ended >= from)
			return w;
	}
	return NULL;
}

/* in_epoch - the write of this epoch and of this very block whose content it is; NULL: something else. */
static struct model_write *in_epoch(const struct model *m, uint32_t lba, struct content c)
{
	uint32_t number = (uint32_t)c.number;

	if (!number || c.number >> 32 != m->id || c.lba != lba || number < m->first ||
		number - m->first >= m->n_writes)
		return NULL;
	return write_of(m, number);
}

static void check_old(struct model *m, uint32_t lba, struct content c, uint32_t over)
{
	struct content base = m->base[lba];

	EXPECT(is_same(base, c),
		"%s: block %u is of write %lx at %lu and no copy brought it, base %lx at %lu",
		m->name, lba, (unsigned long)c.number, (unsigned long)c.lba,
		(unsigned long)base.number, (unsigned long)base.lba);
	EXPECT(!over, "%s: block %u shows what it was before write %u, which must be there",
		m->name, lba, over);
}

static void check_new(struct model *m, uint32_t lba, const struct model_write *w, uint32_t number,
	uint64_t from, uint32_t over)
{
	EXPECT(covers(w, lba) && !w->zeros && !w->copy,
		"%s: block %u is of write %u, which is elsewhere", m->name, lba, number);
	EXPECT(!w->voided, "%s: block %u is of write %u, which cannot have happened", m->name, lba,
		number);
	EXPECT(w->ended >= from, "%s: block %u still shows write %u, and write %u came after it",
		m->name, lba, number, over);
}

static uint64_t later(uint64_t ended, const struct model_write *w)
{
	return w && w->ended > ended ? w->ended : ended;
}

/* check_block - when the newest write that it may show had ended; 0: what the epoch began with. */
static uint64_t check_block(struct model *m, uint32_t lba, uint64_t begun, const struct block *b)
{
	struct content c = {b->number, b->lba};
	struct block expected;
	uint32_t over;
	uint64_t from = bound(m, lba, begun, &over);
	const struct model_write *copy, *w;

	block_fill(&expected, c);
	EXPECT(!memcmp(&expected, b, MODEL_BLOCK), "%s: block %u is not whole (write %lx at %lu)",
		m->name, lba, (unsigned long)c.number, (unsigned long)c.lba);
	m->n_checked++;
	copy = copied(m, lba, begun, c);
	w = c.number ? in_epoch(m, lba, c) : zeros_of(m, lba, from);
	if (copy)
		return later(copy->ended, w && !w->voided && w->ended >= from ? w : NULL);
	if (w && c.number)
		check_new(m, lba, w, (uint32_t)c.number, from, over);
	else if (!w)
		check_old(m, lba, c, over);
	return w ? w->ended : 0;
}

/* --- no halves --- */

/* What a block shows: a write that is seen whole or not at all, what the epoch began with, or neither (zeros and
 * copies, which are atomic for each page only). */
struct sight {
	const struct model_write *w;
	bool old;
};

static bool was_zeroed(const struct model *m, uint32_t lba)
{
	for (uint32_t i = 0; i < m->n_writes; i++) {
		if (m->writes[i].zeros && covers(&m->writes[i], lba))
			return true;
	}
	return false;
}

static struct sight sight_of(
	const struct model *m, uint32_t lba, uint64_t begun, const struct block *b)
{
	struct content c = {b->number, b->lba};
	struct sight s = {.w = in_epoch(m, lba, c)};

	if (copied(m, lba, begun, c))
		return (struct sight){.w = NULL};
	s.old = !s.w && (b->number || !was_zeroed(m, lba));
	return s;
}

/* check_halves - blocks of one read: where two writes cover both, both show the same one; and where
 * one shows a write that covers the other, that one does not show what was there before. */
static void check_halves(const struct model *m, uint32_t lba, uint32_t n, const struct sight *s)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct model_write *wi = s[i].w;
		uint32_t from = wi && wi->lba > lba ? wi->lba - lba : 0;

		for (uint32_t k = from; wi && !wi->torn && k < n && covers(wi, lba + k); k++) {
			const struct model_write *wk = s[k].w;

			if (wi == wk)
				continue;
			EXPECT(!wk || wk->torn || !covers(wk, lba + i),
				"%s: block %u shows write %lu and block %u write %lu: one is torn",
				m->name, lba + i, (unsigned long)(wi - m->writes) + m->first,
				lba + k, (unsigned long)(wk - m->writes) + m->first);
			EXPECT(!s[k].old,
				"%s: block %u shows write %lu and block %u what was before: half of it",
				m->name, lba + i, (unsigned long)(wi - m->writes) + m->first,
				lba + k);
		}
	}
}

/* missed - block `lba` shows what had ended at `ended`, so doubtful writes that began after it, and ended
 * before the read began, have not happened. */
static void missed(struct model *m, uint32_t lba, uint64_t begun, uint64_t ended)
{
	for (uint32_t i = 0; i < m->n_writes; i++) {
		struct model_write *w = &m->writes[i];

		if (!w->sure && !w->torn && !w->zeros && !w->copy && covers(w, lba) &&
			w->begun > ended && w->ended < begun)
			w->voided = true;
	}
}

/* seen - whole writes that were seen have happened. */
static void seen(struct model *m, uint32_t n, const struct sight *s)
{
	for (uint32_t i = 0; i < n; i++) {
		if (!s[i].w || s[i].w->torn)
			continue;
		m->writes[s[i].w - m->writes].sure = true;
		end(m, &m->writes[s[i].w - m->writes]);
	}
}

void model_check(struct model *m, uint32_t lba, uint32_t n, uint64_t begun, const void *buf)
{
	const struct block *b = buf;
	struct sight *s;

	for (uint32_t i = 0; i < n; i++) {
		uint64_t ended = check_block(m, lba + i, begun, &b[i]);

		if (!m->loose)
			missed(m, lba + i, begun, ended);
	}
	if (m->loose)
		return;
	s = malloc(n * sizeof(*s));
	for (uint32_t i = 0; i < n; i++)
		s[i] = sight_of(m, lba + i, begun, &b[i]);
	check_halves(m, lba, n, s);
	seen(m, n, s);
	free(s);
}

/* --- crashes --- */

enum { PAGE_BLOCKS = 8 };

/* met_pages - some of its pages were being zeroed, or copied to, during its life. */
static bool met_pages(const struct model *m, const struct model_write *w)
{
	for (uint32_t i = 0; i < m->n_writes; i++) {
		const struct model_write *z = &m->writes[i];

		if ((z->zeros || z->copy) && z->ended > w->begun &&
			z->lba / PAGE_BLOCKS <= (w->lba + w->n - 1) / PAGE_BLOCKS &&
			w->lba / PAGE_BLOCKS <= (z->lba + z->n - 1) / PAGE_BLOCKS)
			return true;
	}
	return false;
}

static bool may_tear(const struct model *m, const struct model_write *w, enum model_crash crash)
{
	return w->ended == UINT64_MAX &&
	       (crash == MODEL_KILLED_TORN || (crash == MODEL_KILLED && met_pages(m, w)));
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
		m->base[i] = (struct content){b[i].number, b[i].lba};
	m->first += m->n_writes;
	forget_copies(m);
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
