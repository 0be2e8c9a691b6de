/* nexus.h - one session at work: its connection, its requests, what is to be sent. Private to the initiator.
 *
 * States of the connection, and what is guaranteed in each:
 *
 *   CONNECTING   fd is open, its connect() under way; nothing of the framer is used
 *   LOGIN        `signon` is valid; only Login Responses are taken
 *   FULL         params hold; commands flow
 *   LEAVING      a Logout is on its way; no command begins
 *   WAITING      fd == -1; at wake_ns the next attempt begins (reconnecting, or a redirection)
 *   DEAD         fd == -1, error says why; no request is left, none is taken
 *
 *   CONNECTING -> LOGIN -> FULL -> LEAVING -> DEAD        any of the first four -> WAITING -> CONNECTING
 *                                                        any -> DEAD
 *
 * States of a request:
 *
 *   QUEUED   on s->queue: waits for the login or the command window; nothing of it has been sent
 *   SENT     on s->active, in sending order; entry e is its tag's; may be on s->due with data to send
 *   LATER    on s->later until again_ns: the target was busy
 *   LINGER   on s->linger: has its result, but a batch still names its buffers
 *   ENDED    on s->ended: its callback runs before berth_service() returns
 *   FREE     on s->free
 *
 * Callbacks run only from nexus_tell(), never while received bytes are being walked over: the walk's plan
 * names buffers of requests that a callback could end. */
#pragma once

#include "berth/initiator.h"
#include "counter.h"
#include "dpt.h"
#include "framer.h"
#include "io.h"
#include "outbox.h"
#include "retry.h"
#include "signon.h"
#include "sn.h"

enum { SENSE_ROOM = 96, REQUEST_R2TS = 4, REQUEST_SMALL = 24, SPARE_REQUESTS = 8 };

enum request_kind { REQ_SCSI, REQ_TMF, REQ_PING, REQ_TEXT, REQ_LOGOUT };
enum request_state { REQ_FREE, REQ_QUEUED, REQ_SENT, REQ_LATER, REQ_LINGER, REQ_ENDED };

/* A stretch of data-out that the target has asked for, or (TTT reserved) that it takes unasked. */
struct asked {
	uint32_t ttt, offset, length, sent, datasn;
};

struct request {
	struct list link; /* by state */
	struct list due;  /* on s->due while n_asked > 0 */
	struct dpt_entry *e;
	uint32_t itt, cmdsn;
	uint8_t kind, state, tries, losses, n_asked; /* losses: connections that went with it */
	bool reads, writes, aborting;
	uint16_t gen;
	uint32_t length;  /* Expected Data Transfer Length */
	uint32_t arrived; /* bytes of data-in */
	uint32_t batch;   /* the last batch that names its buffers */
	uint32_t r2tsn;
	unsigned n_iov;
	const struct iovec *iov;
	struct iovec one;
	uint8_t cdb[16];
	uint64_t lun;     /* as on the wire */
	struct change change;   /* for the retry rule */
	struct asked asked[REQUEST_R2TS + 1];
	uint64_t deadline_ns, again_ns;
	uint32_t timeout_ms;
	berth_done *done;
	void *ctx;
	/* the result */
	int error;
	uint8_t status, sense_len;
	uint32_t transferred;
	uint8_t function, response;    /* REQ_TMF */
	uint32_t ref_itt, ref_cmdsn;
	int ref;                       /* REQ_TMF: number of the request to abort, -1: none */
	uint8_t small[REQUEST_SMALL];  /* a parameter list of ours */
	uint8_t sense[SENSE_ROOM];
};

struct berth_pool {
	struct rx_scratch *scratch;
	struct list batches; /* free ones */
	unsigned refs;
};

enum nexus_state { NX_CONNECTING, NX_LOGIN, NX_FULL, NX_LEAVING, NX_WAITING, NX_DEAD };

struct berth_session {
	enum nexus_state state;
	int fd, poll_fd;
	bool want_out; /* the socket's room is awaited */
	bool closing;  /* in berth_close() */
	uint64_t now_ns;
	struct berth_pool *pool;
	struct berth_options opt;
	struct io_addr addr[4];        /* of the portal, as found */
	unsigned n_addr, at_addr;
	char initiator[ISCSI_NAME_MAX + 1], target[ISCSI_NAME_MAX + 1];
	struct berth_url url;          /* for its secrets */
	bool short_hashes;             /* the target refused a response of CHAP that may have been too long for it */
	uint64_t lun;
	uint8_t isid[6];
	bool discovery, once_ready;
	bool once_answered;            /* a SCSI status came over this connection */
	/* the connection */
	struct framer framer;
	struct dpt dpt;
	struct signon signon;
	struct params params;
	uint32_t cut;                  /* Data-Outs at most so long */
	uint32_t cmdsn, expstatsn;     /* next to send, next expected */
	struct cmd_window window;
	struct outbox out;
	struct pdu rx;                 /* the PDU under way */
	struct request *rx_request;    /* whose data is coming; NULL: rx_data, or nobody's */
	uint8_t *rx_data;
	uint32_t rx_room;
	struct iovec rx_iov;
	/* a text of ours that is due: login or SendTargets */
	bool text_due, text_asks_more;
	uint32_t text_ttt;
	struct request *texter;        /* the REQ_TEXT that was sent */
	struct text text_out, text_in;
	/* requests */
	struct request *table;
	unsigned n_table, n_active, n_spare;
	struct list free, queue, active, due, later, linger, ended;
	unsigned n_pongs;              /* NOP-Ins that want an answer */
	struct { uint32_t ttt; uint64_t lun; } pong[8];
	/* time */
	uint64_t limit_ns;             /* of connecting and logging in */
	uint64_t wake_ns, give_up_ns, tick_ns, heard_ns;
	unsigned n_attempts, n_moves;
	uint64_t ping_ns;              /* 0: no ping of ours is out */
	uint16_t incarnation;
	/* the end */
	int error;
	int fault;                     /* the walk met something that ends the connection */
	char why[160];
	uint8_t last_sense[SENSE_ROOM]; /* of the last _wait call */
	struct counters counted, counted_before; /* before the login under way, whose texts are not data */
	uint64_t received_bytes, sent_bytes, receive_calls, send_calls;
	unsigned n_reconnects;
};

static inline uint64_t lun_on_wire(uint16_t lun) /* SAM-5 4.7: peripheral, or flat above 255 */
{
	return (uint64_t)(lun < 256 ? lun : 0x4000 | lun) << 48;
}

/* --- nexus.c: the connection's life --- */
void nexus_fault(struct berth_session *s, int error, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void nexus_die(struct berth_session *s, int error);
void nexus_ready(struct berth_session *s);           /* the login has succeeded */
void nexus_now(struct berth_session *s);

/* --- request.c --- */
int requests_init(struct berth_session *s);
void requests_deinit(struct berth_session *s);
struct request *request_take(struct berth_session *s, enum request_kind kind, bool spare); /* NULL: none free */
int request_queue(struct berth_session *s, struct request *r);  /* its number */
struct request *request_find(struct berth_session *s, int number); /* NULL: it has ended */
int request_number(const struct berth_session *s, const struct request *r);
void request_end(struct berth_session *s, struct request *r, int error);
void request_answered(struct berth_session *s, struct request *r, uint8_t status); /* a SCSI status came */
void requests_lost(struct berth_session *s);          /* the connection is gone */
void requests_end_all(struct berth_session *s, int error);
void requests_batch_sent(struct berth_session *s);    /* those that lingered may end */
void requests_tick(struct berth_session *s);          /* timeouts and what waited for the target */
void nexus_tell(struct berth_session *s);             /* callbacks */

/* --- inbox.c --- */
extern const struct framer_ops nexus_framer_ops;

/* --- outbox.c --- */
void nexus_send(struct berth_session *s);            /* all that can go out now */
