/* dpt.c - slots, their generations, and whose a Data-Out is.
 *
 * A slot's generation moves on when it is freed, so that the tag it had is stale from then on; and
 * slots are taken from the free list's front and freed to its back, so that this lasts. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "dpt.h"

_Static_assert(TAG_OTHER_FIRST % DPT_BLOCK == 0, "whole blocks");
_Static_assert(sizeof(struct dpt) < 2048, "an idle connection stays small");

int dpt_init(struct dpt *d, uint16_t conn)
{
	memset(d, 0, sizeof(*d));
	d->conn = conn;
	list_init(&d->free);
	list_init(&d->granted);
	list_init(&d->draining);
	return 0;
}

void dpt_deinit(struct dpt *d)
{
	for (unsigned i = 0; i < DPT_BLOCKS; i++)
		free(d->block[i]);
	dpt_init(d, d->conn);
}

static int add_block(struct dpt *d)
{
	struct dpt_entry *block;

	if (d->n_slots == TAG_OTHER_FIRST)
		return DPT_FULL;
	block = calloc(DPT_BLOCK, sizeof(*block));
	if (!block)
		return -ENOMEM;
	d->block[d->n_slots / DPT_BLOCK] = block;
	for (unsigned i = 0; i < DPT_BLOCK; i++) {
		block[i].slot = d->n_slots++;
		list_push_back(&d->free, &block[i].link);
	}
	return 0;
}

static void set_free(struct dpt *d, struct dpt_entry *e)
{
	e->state = DPT_FREE;
	e->gen = (e->gen + 1) % TAG_GENS;
	list_push_back(&d->free, &e->link);
}

/* drained - no more is expected for this slot. */
static void drained(struct dpt *d, struct dpt_entry *e)
{
	list_remove(&e->link);
	d->n_draining--;
	set_free(d, e);
}

/* take_slot - the oldest free one, on no list. */
static int take_slot(struct dpt *d, struct dpt_entry **ep)
{
	int end = 0;

	*ep = NULL;
	if (unlikely(list_empty(&d->free)))
		end = add_block(d);
	if (end == DPT_FULL && !list_empty(&d->draining)) {
		drained(d, list_first(&d->draining, struct dpt_entry, link));
		end = 0;
	}
	if (end == 0) {
		*ep = list_entry(list_pop(&d->free), struct dpt_entry, link);
		(*ep)->state = DPT_GRANTED;
		(*ep)->last_seen = false;
		d->n_granted++;
	}
	return end;
}

int dpt_grant(struct dpt *d, const struct window *w, struct dpt_entry **ep)
{
	struct dpt_entry *e;
	int end = take_slot(d, &e);

	check(w->length > 0 && (uint64_t)w->offset + w->length <= 1ull << 32);
	*ep = e;
	if (end != 0)
		return end;
	e->w = *w;
	e->w.filled = 0;
	e->w.next_datasn = 0;
	e->w.next = w->start;
	list_push_back(&d->granted, &e->link);
	return 0;
}

int dpt_name(struct dpt *d, void *task, struct dpt_entry **ep)
{
	int end = take_slot(d, ep);

	if (end == 0)
		(*ep)->w = (struct window){.task = task};
	return end;
}

uint32_t dpt_tag(const struct dpt *d, const struct dpt_entry *e)
{
	return tag_make(index_make(e->gen, e->slot), d->conn);
}

void dpt_close(struct dpt *d, struct dpt_entry *e)
{
	check(e->state == DPT_GRANTED);
	list_remove(&e->link);
	d->n_granted--;
	set_free(d, e);
}

void dpt_drain(struct dpt *d, struct dpt_entry *e)
{
	check(e->state == DPT_GRANTED);
	list_remove(&e->link);
	d->n_granted--;
	e->w.task = NULL;
	e->w.start = e->w.next = (struct place){0};
	if (e->last_seen) {
		set_free(d, e);
		return;
	}
	e->state = DPT_DRAINING;
	list_push_back(&d->draining, &e->link);
	d->n_draining++;
}

/* find_slot - the entry that the tag's upper half names, whatever else the header says. */
static inline struct dpt_entry *find_slot(struct dpt *d, uint16_t index)
{
	unsigned slot = index_slot(index);
	struct dpt_entry *e;

	if (unlikely(slot >= d->n_slots))
		return NULL;
	e = &d->block[slot / DPT_BLOCK][slot % DPT_BLOCK];
	return likely(e->state != DPT_FREE && e->gen == index_gen(index)) ? e : NULL;
}

struct dpt_entry *dpt_find(struct dpt *d, uint32_t tag)
{
	struct dpt_entry *e = find_slot(d, tag_index(tag));

	return likely(tag_conn(tag) == d->conn && e && e->state == DPT_GRANTED) ? e : NULL;
}

enum data_out_fate dpt_check(struct dpt *d, const struct data_out *h, struct window **wp,
	struct dpt_entry **ep, enum counter *whyp)
{
	enum data_out_fate fate = DATA_OUT_REFUSED;
	struct dpt_entry *e = find_slot(d, tag_index(h->ttt));

	*wp = NULL;
	*ep = NULL;
	if (unlikely(tag_conn(h->ttt) != d->conn)) { /* RFC 7143 11.7.4 for all of the tag */
		*whyp = CTR_REFUSED_TAG_FOREIGN;
		return fate;
	}
	if (unlikely(!e)) {
		*whyp = CTR_REFUSED_TAG_STALE;
		return fate;
	}
	if (unlikely(h->itt != e->w.itt)) { /* 11.7.1 */
		*whyp = CTR_REFUSED_ITT;
		return fate;
	}
	if (unlikely(h->lun != e->w.lun)) { /* 11.7.4; some initiators leave it 0 */
		if (h->lun != 0) {
			*whyp = CTR_REFUSED_LUN;
			return fate;
		}
		count(CTR_LUN_MISMATCH, 1);
	}
	if (unlikely(e->state == DPT_DRAINING)) {
		if (h->final) {
			drained(d, e);
		}
		return DATA_OUT_DRAIN;
	}
	fate = window_check(&e->w, h, whyp);
	e->last_seen |= h->final;
	*wp = &e->w;
	*ep = e;
	return fate;
}
