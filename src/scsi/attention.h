/* attention.h - pending unit attentions of a nexus (SAM-5 5.14).
 *
 * A condition is a bit of nexus_lu.attentions, so that raising one needs no memory, does not double
 * it, and can be done from any thread: a condition that this nexus causes for others is there
 * before this nexus gets its answer. It is reported once: by the next command that its row says
 * reports it, or by REQUEST SENSE. */
#pragma once

#include <stdatomic.h>
#include "lun.h"
#include "scsi.h"

enum attention {
#define ATTENTION(e, sense) ATTENTION_##e,
#include "attention.tbl"
#undef ATTENTION
	N_ATTENTIONS
};

static inline bool attention_waits(const struct nexus *n, const struct lu *lu)
{
	return lu->lun < n->n_lus &&
	       atomic_load_explicit(&n->lus[lu->lun].attentions, memory_order_acquire);
}
void attention_raise(struct nexus *n, const struct lu *lu, enum attention why);
/* attention_raise_all - to every nexus of the unit's target but one (NULL: to all). */
void attention_raise_all(const struct lu *lu, enum attention why, const struct nexus *but);
/* attention_take - the weightiest that waits for this unit, which then waits no more; SENSE_NONE.
 */
enum sense attention_take(struct nexus *n, const struct lu *lu);
/* attention_pending - how many wait for this unit; *whyp is the weightiest, which goes on waiting. */
unsigned attention_pending(const struct nexus *n, const struct lu *lu, enum sense *whyp);
void attention_clear(struct nexus *n, enum attention why); /* for all units */
