/* order.h - task attributes: which commands of a nexus's task set wait for which (SAM-5 8.9).
 *
 *   SIMPLE         waits for every HEAD OF QUEUE task and for older ORDERED ones
 *   ORDERED        waits for every HEAD OF QUEUE task and for all older ones
 *   HEAD OF QUEUE  waits for nobody
 * A task is in the set of its unit from its turn by CmdSN until its status is decided or it has settled
 * after an abort. Data-out may arrive while it waits: nobody sees it. TST is 001b, so a set belongs to one
 * nexus and one unit, and other sessions are never waited for.
 *
 * Sessions without ORDERED and HEAD OF QUEUE tasks, which is nearly all, pay one load a command. */
#pragma once

#include "session.h"

/* order_enter - its turn by CmdSN has come. */
void order_enter(struct task *t);
/* order_holds - asked while session->n_special: must it wait? It is then DORMANT, and executed by task_run() later. */
bool order_holds(struct task *t);
/* order_leave - it is no longer in the set: others may run, later in this turn. */
void order_leave(struct session *s, struct task *t);
/* order_init - of a new session. */
void order_init(struct session *s);
