/* may.c - see may.h. */
#include "may.h"

#include <stdlib.h>

enum { DEPTH = 4 }; /* copies out of copies that have not ended */

/* survives - what is promised of it holds. */
static bool survives(const struct model *m, const struct model_write *w)
{
	return m->crashed && m->crash == MODEL_POWER ? w->durable : w->sure;
}

uint64_t bound(const struct model *m, uint32_t lba, uint64_t begun, uint32_t *overp)
{
	uint64_t latest = 0;

	*overp = 0;
	for (uint32_t i = 0; i < m->n_writes; i++) {
		const struct model_write *w = &m->writes[i];

		if (covers(w, lba) && w->begun > latest && w->ended < begun && survives(m, w)) {
			latest = w->begun;
			*overp = m->first + i;
		}
	}
	return latest;
}

static bool has(const struct contents *s, struct content c)
{
	for (uint32_t i = 0; i < s->n; i++) {
		if (is_same(s->list[i], c))
			return true;
	}
	return s->any;
}

static void add(struct contents *s, struct content c)
{
	if (has(s, c))
		return;
	if (s->n == s->room) {
		s->room = s->room ? 2 * s->room : 4;
		s->list = realloc(s->list, s->room * sizeof(*s->list));
	}
	s->list[s->n++] = c;
}

static void add_all(struct contents *s, const struct contents *more)
{
	for (uint32_t i = 0; i < more->n; i++)
		add(s, more->list[i]);
	s->any |= more->any;
}

static void gather(const struct model *m, uint32_t lba, uint64_t begun,
	const struct model_write *but, unsigned depth, struct contents *s);

/* gather_copy - what the copy may have brought to block i of it. */
static void gather_copy(const struct model_write *w, uint32_t i, unsigned depth, struct contents *s)
{
	const struct model_copy *copy = w->copy;

	if (copy->blocks)
		add_all(s, &copy->blocks[i]);
	else if (depth == DEPTH)
		s->any = true;
	else
		gather(copy->from, copy->lba + i, w->begun, w, depth + 1, s);
}

/* gather - what the block may show to somebody who began to read at `begun` and has not ended. */
static void gather(const struct model *m, uint32_t lba, uint64_t begun,
	const struct model_write *but, unsigned depth, struct contents *s)
{
	uint32_t over;
	uint64_t from = bound(m, lba, begun, &over);

	if (!over)
		add(s, m->base[lba]);
	for (uint32_t i = 0; i < m->n_writes; i++) {
		const struct model_write *w = &m->writes[i];

		if (w == but || w->voided || !covers(w, lba) || w->ended < from)
			continue;
		if (w->copy)
			gather_copy(w, lba - w->lba, depth, s);
		else
			add(s, content_of(m, w->zeros ? 0 : m->first + i, lba));
	}
}

static bool brings(const struct model_write *w, uint32_t i, struct content c)
{
	struct contents s = {.n = 0};
	bool yes;

	if (w->copy->blocks)
		return has(&w->copy->blocks[i], c);
	gather_copy(w, i, 0, &s);
	yes = has(&s, c);
	free(s.list);
	return yes;
}

const struct model_write *copied(
	const struct model *m, uint32_t lba, uint64_t begun, struct content c)
{
	const struct model_write *newest = NULL;
	uint32_t over;
	uint64_t from = m->n_copies ? bound(m, lba, begun, &over) : 0;

	for (uint32_t i = 0; m->n_copies && i < m->n_writes; i++) {
		const struct model_write *w = &m->writes[i];

		if (w->copy && !w->voided && covers(w, lba) && w->ended >= from &&
			(!newest || w->ended > newest->ended) && brings(w, lba - w->lba, c))
			newest = w;
	}
	return newest;
}

void contents_settle(struct model_write *w)
{
	struct contents *blocks;

	if (!w->copy || w->copy->blocks)
		return;
	blocks = calloc(w->n, sizeof(*blocks));
	for (uint32_t i = 0; i < w->n; i++)
		gather_copy(w, i, 0, &blocks[i]);
	w->copy->blocks = blocks;
}

void contents_free(struct model_copy *copy, uint32_t n)
{
	for (uint32_t i = 0; copy && copy->blocks && i < n; i++)
		free(copy->blocks[i].list);
	if (copy)
		free(copy->blocks);
	free(copy);
}
