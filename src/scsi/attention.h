/* attention.h - pending unit attentions of a nexus (SAM-5 5.14).
 *
 * A condition is established for one unit and one nexus, waits in nexus->ua, and is reported once:
 * by the next command that its row says reports it, or by REQUEST SENSE. The list is the nexus's
 * reactor's own. */
#pragma once

#include "scsi.h"

/* attention_raise - a condition that already waits for this unit is not doubled; -ENOMEM. */
int attention_raise(struct nexus *n, const struct lu *lu, enum sense why);
/* attention_take - the oldest that waits for this unit, which then waits no more; SENSE_NONE. */
enum sense attention_take(struct nexus *n, const struct lu *lu);
/* attention_pending - how many wait for this unit; *whyp is the oldest, which goes on waiting. */
unsigned attention_pending(const struct nexus *n, const struct lu *lu, enum sense *whyp);
void attention_clear(struct nexus *n);
