/* session.h - an I_T nexus: one initiator port (name, ISID) and one target, over one connection.
 *
 * Life: session_admit() (names are known) -> wait for an old session of the same name to settle
 * (reinstatement, RFC 7143 6.3.5) -> full feature phase -> its connection ends -> tasks settle -> freed.
 * Ownership: the worker's list. Thread: its reactor; the node's table of sessions has a lock, so that
 * logins on other reactors find it. */
#pragma once

#include "conn.h"
#include "node.h"
#include "scsi.h"
#include "sn.h"
#include "task.h"

enum {
	SESSION_WINDOW = 128, /* commands (RFC 7143 4.2.2.1) */
	SESSION_IMMEDIATE = 32, /* immediate commands at once */
	SESSION_BUCKETS = 64,
	SESSION_ARENAS = 8,
};

struct session {
	struct worker *w;
	struct list link;       /* worker->sessions */
	struct list node_link;  /* node->sessions */
	struct node *node;      /* NULL: discovery */
	struct conn *c;         /* NULL once it has ended */
	char initiator[ISCSI_NAME_MAX + 1];
	char user[TEXT_VALUE_MAX + 1]; /* who proved to be whom by CHAP; empty: nobody */
	uint8_t isid[6];
	uint16_t tsih;
	struct cmd_window cmdsn;
	unsigned weight;        /* its part of w->load */
	uint32_t seen_cmdsn;    /* the next number when load.c last looked */
	unsigned limit;         /* command window */
	unsigned n_counted, n_immediate; /* tasks under way */
	unsigned n_held;        /* tasks that wait for a lower CmdSN */
	uint64_t skipped[SESSION_WINDOW / 64]; /* by CmdSN: used up before their turn, by aborts */
	unsigned n_skipped;
	unsigned n_tasks;
	unsigned n_special;     /* of them, ORDERED and HEAD OF QUEUE ones in their task set (order.h) */
	bool waking;
	struct io_work wake;
	struct nexus nexus;
	struct quota quotas[SESSION_ARENAS];
	unsigned n_quotas;
	struct list tasks;
	struct list by_itt[SESSION_BUCKETS];
	struct conn *successor; /* waits for this session's end */
	struct io_work done;
};

/* --- session_admit.c --- */
/* session_admit - c->login is at LOGIN_IDENTIFIED: find the node, settle what must be, then answer. May
 * move the connection to another reactor. Answers through login_accept()/login_refuse() and
 * rx_login_step(). */
void session_admit(struct conn *c);
void session_admit_here(struct conn *c); /* on the session's reactor, after a move */

/* --- session.c --- */
struct session *session_new(struct worker *w, struct node *node, const struct login *l); /* NULL: no memory */
/* session_reserve - pages in each arena of the target, at full feature; the window shrinks to what there is. False:
 * not even one command's worth. */
bool session_reserve(struct session *s, const struct params *p);

/* session_recall - its connection ended before it could leave for the session's reactor: it ends here. */
void session_recall(struct session *s);
void session_close(struct session *s);   /* its connection ended: abort all, free when settled */
void session_settled(struct session *s); /* a task has gone */
void session_leave(struct session *s);   /* the connection lets go of it */

struct task *session_find(struct session *s, uint32_t itt);
void session_add(struct session *s, struct task *t);
void session_remove(struct session *s, struct task *t);
void session_grant(struct session *s);   /* a slot is free again: R2Ts that waited */
bool session_receiving(const struct session *s); /* data-out of some task is still due */

/* --- session_cmdsn.c --- */
/* session_order - a PDU with a CmdSN: may it run now? */
enum session_turn { TURN_NOW, TURN_HELD, TURN_IGNORE };
enum session_turn session_order(struct session *s, uint32_t cmdsn, bool immediate);
bool session_holds(struct session *s, uint32_t cmdsn); /* this very number has come before */
/* session_skip - ABORT TASK named a command that has not come: its number counts as received (RFC 7143
 * 11.6.1). False: the number is outside the window. */
bool session_skip(struct session *s, uint32_t cmdsn);
void session_unhold(struct session *s, uint32_t cmdsn); /* a held command ends before its turn */
void session_advance(struct session *s); /* ExpCmdSN moved: held commands whose turn has come */
