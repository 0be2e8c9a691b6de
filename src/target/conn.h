/* conn.h - one iSCSI connection as a protocol machine: four calls, no socket, no clock of its own.
 *
 *   conn_rx_plan     where do the next bytes of the stream belong?   -> vectors
 *   conn_rx_landed   n bytes have landed there                       -> state advances, work is queued
 *   conn_tx_plan     which bytes go out next?                        -> vectors
 *   conn_tx_sent     n of them are out                               -> pins are released
 *
 * Whoever moves the bytes (a socket in link.c, a test, a fuzzer) makes the same calls, and is told
 * through conn_host when there is output without input (kick) and when the connection has ended.
 *
 * States:
 *   LOGIN      only Login Requests are legal; login owns the text
 *   ADMITTING  names are known, the session is being found or reinstated; nothing more may arrive
 *   FULL       full feature phase (normal or discovery, see phase)
 *   LOGOUT     the Logout Response is on its way; input is ignored
 *   ENDING     dead: tasks settle, then on_free; every failure path meets here (conn_end)
 *
 * Ownership: the worker's list owns it. It frees itself (from deferred work, never inside a call) when
 * it has ended, its tasks have settled and its host has let go (conn_host.ended was called).
 * Thread: its worker's reactor; conn_move() hands an idle ADMITTING one to another. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "counter.h"
#include "dpt.h"
#include "framer.h"
#include "io.h"
#include "login.h"
#include "pdu.h"
#include "tx.h"

struct session;
struct task;
struct worker;
struct conn;

struct conn_host {
	void (*kick)(struct conn *c);  /* output may be there: call conn_tx_plan() before the turn ends */
	void (*move)(struct conn *c, struct worker *to); /* conn_moved() is to be called over there */
	void (*ended)(struct conn *c); /* close the transport now; no call of the four afterwards */
};

enum conn_state { CONN_LOGIN, CONN_ADMITTING, CONN_FULL, CONN_LOGOUT, CONN_ENDING };

enum { CONN_LATE = 160 }; /* all that a session may have under way (SESSION_WINDOW, SESSION_IMMEDIATE) */

struct conn {
	struct worker *w;
	struct list link;      /* worker->conns */
	const struct conn_host *host;
	void *host_ctx;
	struct io_addr local, peer;
	uint16_t index;        /* in the connection table: the low half of its tags */
	uint16_t cid;
	enum conn_state state;
	enum phase phase;
	struct session *s;     /* NULL until admitted */
	struct login *login;   /* NULL in full feature phase */
	struct params params;
	uint32_t statsn;       /* the next one */
	uint32_t expstatsn;    /* acknowledged by the initiator */

	struct framer framer;
	struct dpt dpt;
	struct tx_queue tx;

	/* the PDU under way */
	struct pdu rx;
	const uint8_t *rx_bhs; /* while its header is being told */
	uint8_t rx_kept[BHS_LEN]; /* the same for requests that are handled when they are complete */
	bool rx_ignore;        /* refused: payload to the sink, no more to say */
	struct task *rx_task;
	struct window *rx_window;
	struct dpt_entry *rx_entry;
	uint8_t *rx_data;      /* data segments that are no payload (text, ping) */
	struct iovec rx_iov;
	struct text *text;     /* a text request that goes on (C bit) */
	uint32_t text_itt, text_ttt;
	struct text *answer;   /* a text answer that goes on */
	uint32_t answer_at;

	bool walking;          /* inside framer_landed(): pages of windows must stay (task.c) */
	struct list parting;   /* tasks that end when it is over */
	uint32_t late_itt[CONN_LATE]; /* aborted tasks whose unsolicited data may still come */
	unsigned n_late;

	uint64_t read_bytes;   /* data-in of commands under way: the limit of peers that stop reading */
	struct list waiting;   /* tasks that wait for it, in order */

	struct io_timer timer;
	uint64_t last_rx_ns, ping_ns;
	bool ping;             /* our NOP-In is not answered yet */
	bool close_after;      /* end when all that is queued has been sent; nothing more is queued */
	struct io_work reap;
	bool reaping, moving;
	bool asked;            /* to log out, at asked_ns: the server stops */
	uint64_t asked_ns;
	bool leaving;          /* the time for that is over: no further commands */
	unsigned n_functions;  /* task management functions not yet answered */
	char why[128];         /* for the log, at the end */
};

struct conn *conn_new(struct worker *w, const struct conn_host *host, void *host_ctx,
	const struct io_addr *local, const struct io_addr *peer); /* NULL: no memory, no free index */

const struct iovec *conn_rx_plan(struct conn *c, unsigned *np);
int conn_rx_landed(struct conn *c, size_t n); /* RX_STOP: it has ended or moves away; no more calls now */
bool conn_rx_wanted(const struct conn *c);    /* false: the peer does not read what it asked for */
const struct iovec *conn_tx_plan(struct conn *c, unsigned *np); /* *np == 0: nothing to say */
void conn_tx_sent(struct conn *c, size_t n);

/* conn_full - the login is over: what is under way is looked at every few seconds. */
void conn_full(struct conn *c);
/* conn_end - from any state, any number of times; tasks are aborted, the host is told, the rest follows. */
void conn_end(struct conn *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* conn_settled - a task or the session has let go: free what can be freed. */
void conn_settled(struct conn *c);
/* Moving: host->move() was asked; once the walk is over the host calls conn_leaving() here, and conn_moved() on
 * the other reactor. */
void conn_leaving(struct conn *c);
void conn_moved(struct conn *c, struct worker *to);
void conn_kick(struct conn *c);

/* conn_async - an Asynchronous Message (RFC 7143 11.9); false: nobody to tell, or no memory to do so. */
enum async_event { ASYNC_LOGOUT = 1, ASYNC_TASKS_END = 5 };
bool conn_async(struct conn *c, enum async_event event, uint64_t lun, uint16_t parameter3);

/* conn_farewell - the server stops: the initiator is asked to log out, and has time for that. True: the time is
 * over, or there is nobody to ask; no further command is read. */
bool conn_farewell(struct conn *c);

/* conn_acknowledged - the initiator's ExpStatSN: answers below it have arrived. */
void conn_acknowledged(struct conn *c, uint32_t expstatsn);

/* conn_refuse - act on a row of refusal.tbl for the PDU under way; task: whose data it was, or NULL. */
void conn_refuse(struct conn *c, enum counter why, struct task *task);
void conn_reject(struct conn *c, uint8_t reason);
/* conn_window - ExpCmdSN and MaxCmdSN as they go into every PDU to the initiator. */
void conn_window(struct conn *c, uint32_t *expp, uint32_t *maxp);
const char *conn_name(const struct conn *c, char *buf, size_t len); /* for the log */
