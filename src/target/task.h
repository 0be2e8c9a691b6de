/* task.h - one SCSI command of one session, from its PDU to its status.
 *
 *   RECEIVING  data-out is on its way (or its unsolicited rest is drained); windows are granted as places
 *              and slots allow
 *   HELD       all in, a command with a lower CmdSN is missing
 *   DORMANT    waits for others of its task set (order.h)
 *   WAITING    a READ that waits for the connection's read budget
 *   RUNNING    scsi_execute() was called
 *   SENDING    status (and data-in) are in the connection's queue
 *   ABORTING   nobody wants an answer any more; RUNNING I/O settles
 * A task leaves the session's tables when it ends; on_settled tells a task management function.
 *
 * Ownership: the session's list; freed to the worker's freelist. Thread: the session's reactor. */
#pragma once

#include "conn.h"
#include "dpt.h"
#include "scsi.h"
#include "tx.h"
#include "xfer.h"

/* Somebody who waits until a number of tasks have settled. Whoever calls task_abort() counts himself in n, and
 * out again behind the last call. */
struct task_waiter {
	unsigned n;
	bool failed; /* no memory to wait for one of them: nothing may be promised */
	void (*settled)(struct task_waiter *);
};

enum task_state { TASK_RECEIVING, TASK_HELD, TASK_DORMANT, TASK_WAITING, TASK_RUNNING, TASK_SENDING, TASK_ABORTING };

struct task {
	/* Made once: a task that is free is on no list but the freelist. */
	struct list link;      /* session->tasks, in order of arrival */
	struct list hash;      /* session->by_itt */
	struct list wait;      /* conn->waiting */
	struct list waiters;   /* functions that wait until it has settled, any number */
	/* From here on cleared by task_new() ... */
	struct session *s;
	struct conn *c;
	uint32_t itt, cmdsn;
	bool immediate;        /* I bit */
	bool held;             /* not yet its turn by CmdSN */
	bool special;          /* counted in session->n_special */
	bool tas;              /* aborted by another nexus, with a status */
	bool failed;           /* status is decided; unsolicited data is only drained */
	bool counted;          /* takes a place of the command window */
	bool parting;          /* ends when the receive walk is over: bytes of it may lie in its pages */
	enum sense verdict;    /* what task_fail() said */
	enum task_state state;
	uint64_t progress_ns;  /* when data last arrived */
	uint64_t budget;       /* of the connection's read_bytes */
	struct xfer xfer;
	/* ... to here; of the windows it says that they are empty. */
	struct window immediate_data, unsolicited;
	struct scsi_cmd scsi;
	struct tx tx;
};

/* task_new - out of the PDU in c->rx (a SCSI Command that may be taken); NULL: no memory. */
struct task *task_new(struct conn *c);
/* task_begin - in order of CmdSN: prepared; what rides in the command goes to *t. */
void task_begin(struct task *t, struct rx_target *target);
void task_immediate_in(struct task *t);               /* the command PDU is complete */
void task_data_in(struct task *t, struct window *w, struct dpt_entry *e, uint32_t len); /* a Data-Out is */
void task_run(struct task *t);                        /* no other of its task set is in its way any more */
void task_release(struct task *t);                    /* its CmdSN's turn has come */
void task_fail(struct task *t, enum sense why);       /* ends with CHECK CONDITION */
void task_abort(struct task *t, struct task_waiter *waiter); /* no status; waiter is told when settled */
/* task_abort_by_other - another nexus ends it: with the status TASK ABORTED when `tas`. False: its status is on its way. */
bool task_abort_by_other(struct task *t, bool tas, struct task_waiter *waiter);
void task_wait(struct task *t, struct task_waiter *waiter); /* is told when it has settled */
void task_part(struct conn *c);                       /* the receive walk is over: end what had to wait */
void task_grant(struct task *t);                      /* R2Ts, as far as places and slots allow */
void task_tick(struct task *t, uint64_t now_ns);      /* ends one that has waited too long */
void task_free_lists(struct worker *w);
