/* attention.c - see attention.h. */
#include "attention.h"
#include "check.h"

static const enum sense senses[N_ATTENTIONS] = {
#define ATTENTION(e, sense) [ATTENTION_##e] = SENSE_##sense,
#include "attention.tbl"
#undef ATTENTION
};

_Static_assert(N_ATTENTIONS <= 32, "a bit each");

void attention_raise(struct nexus *n, const struct lu *lu, enum attention why)
{
	if (lu->lun < n->n_lus)
		atomic_fetch_or(&n->lus[lu->lun].attentions, 1u << why);
}

void attention_raise_all(const struct lu *lu, enum attention why, const struct nexus *but)
{
	struct lu_map *m = lu->map;

	if (!m)
		return;
	pthread_mutex_lock(&m->lock);
	list_for_each(l, &m->nexuses) {
		struct nexus *n = list_entry(l, struct nexus, link);

		if (n != but)
			attention_raise(n, lu, why);
	}
	pthread_mutex_unlock(&m->lock);
}

enum sense attention_take(struct nexus *n, const struct lu *lu)
{
	_Atomic uint32_t *waits = lu->lun < n->n_lus ? &n->lus[lu->lun].attentions : NULL;
	uint32_t seen = waits ? atomic_load(waits) : 0;
	unsigned first;

	if (!seen)
		return SENSE_NONE;
	/* Only the nexus's own reactor takes: the bit stays until it is cleared here. */
	first = (unsigned)__builtin_ctz(seen);
	atomic_fetch_and(waits, ~(1u << first));
	return senses[first];
}

unsigned attention_pending(const struct nexus *n, const struct lu *lu, enum sense *whyp)
{
	uint32_t seen = lu->lun < n->n_lus ? atomic_load(&n->lus[lu->lun].attentions) : 0;

	*whyp = seen ? senses[__builtin_ctz(seen)] : SENSE_NONE;
	return (unsigned)__builtin_popcount(seen);
}

void attention_clear(struct nexus *n, enum attention why)
{
	for (unsigned i = 0; i < n->n_lus; i++)
		atomic_fetch_and(&n->lus[i].attentions, ~(1u << why));
}
