/* reset.h - functions that end the tasks of every session, on every reactor.
 *
 * A reset moves the generation of its units (so that what was prepared before no longer commits),
 * posts to all reactors, each aborts its tasks and says so when they have settled; then the answer
 * leaves. A cold reset ends all sessions of the node behind its answer.
 *
 * Thread: begun on the connection's reactor. The connection stays until the reset is over
 * (n_functions). */
#pragma once

#include "conn.h"
#include "scsi.h"

struct reset_plan {
	struct lu *lu; /* NULL: every unit of the session's node */
	bool ends;     /* all sessions of the node end afterwards */
};

/* reset_begin - answers the task management function under way, sooner or later. */
void reset_begin(struct conn *c, const struct reset_plan *plan);
