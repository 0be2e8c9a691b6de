/* berth/initiator.h - iSCSI disks for programs: a client library (RFC 7143), asynchronous at heart.
 *
 * Shape. A session is one connection to one target. Requests are queued with berth_read(), berth_write() and
 * the like, leave together, and end by calling back. There is no thread inside and no signal: the caller
 * waits until berth_fd() is readable or berth_timeout_ms() has passed, then calls berth_service(), which
 * receives, calls back, and sends what has been queued meanwhile. The descriptor stays the same over
 * reconnections and fits poll(), epoll and every event loop.
 *
 *     berth_open(&s, &url, NULL, err, sizeof(err));
 *     berth_read(s, lba, n_blocks, &iov, 1, on_done, ctx);
 *     berth_flush(s);
 *     for (;;) { poll({berth_fd(s), POLLIN}, 1, berth_timeout_ms(s)); berth_service(s); }
 *
 * Each call with _wait in its name does the same and waits for it to end.
 *
 * Direct placement. The Initiator Task Tag of a command is an index into the session's data pointer table:
 * read data comes off the socket straight into the caller's vectors, and written data leaves from them.
 *
 * Errors are negative errno:
 *   -EREMOTEIO     the target answered with a SCSI status other than GOOD; status and sense tell
 *   -ETIMEDOUT     no answer in time; the command has been aborted, or the connection given up
 *   -ECANCELED     aborted, reset, or the session was closed
 *   -ECONNRESET    the connection was lost and the request may not be repeated (see below), or no more
 *   -EPROTO        the target broke the protocol
 *   -EAGAIN        as many requests as the session's depth are under way
 *   -EINVAL        an argument
 *   others         of the machine: connect, memory
 *
 * Ownership. Vectors and the buffers they name are borrowed from the call until the request has ended
 * (its callback runs); after an error a read's buffer holds anything, and until a read has ended what belongs to other
 * answers may pass through it: no two reads under way may share a byte. What a callback is given is
 * valid until it returns. Callbacks run inside berth_service(), berth_close() and the _wait calls, never
 * inside the call that queues; they may queue, abort and flush, but not close the session.
 *
 * Repeating. With reconnect_ms a lost connection is made again, under the same name and ISID, so that the
 * target has ended the old session, and whatever it was still doing, before the new one begins. Then, in
 * their old order, are sent again:
 *   - reads, always;
 *   - writes, UNMAP and WRITE SAME without a status, unless a later request that changes blocks of the same
 *     range was queued while they were under way: that one may have been seen done already;
 *   - other commands only where BERTH_REPEATABLE says so.
 * All others end with -ECONNRESET: done or not, nobody knows. So does a flush, because a target that was
 * started anew could affirm it without having the data. Whether writes acknowledged before
 * a loss have survived a target's restart the library cannot know: see berth_info.n_reconnects.
 * BUSY, TASK SET FULL and UNIT ATTENTION mean that a command was not begun: reads, writes, flushes
 * and what is BERTH_REPEATABLE are sent again, as long as their time lasts. Most targets say UNIT ATTENTION (29h) to the
 * first command of every session, so any other command may meet that after berth_open() and after a reconnection. A flush
 * that meets it later than that ends with -EREMOTEIO: the target was reset, and what it had may be gone.
 *
 * Threads. A session, and a pool, is used by one thread at a time. Different sessions with
 * different pools have nothing in common. */
#ifndef BERTH_INITIATOR_H
#define BERTH_INITIATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

struct berth_session;
struct berth_pool;

/* --- where the disk is --- */

/* iscsi://[user[%password]@]host[:port][/target[/lun]][?target_user=NAME][&target_password=SECRET], IPv6 addresses in
 * brackets; the port is 3260 by default, the LUN 0. %XX is decoded in names, passwords and target.
 *
 * With a user and a password the session logs in by CHAP, if the target wants that; with a target_password too
 * it must prove itself (mutual CHAP), or the login fails with -EACCES. Both secrets must differ. */
struct berth_url {
	char host[256];
	char port[6];
	char user[256], password[256];
	char target_user[256], target_password[256]; /* target_user empty: any */
	char target[224];              /* empty: only a portal, for berth_discover_wait() */
	uint16_t lun;                  /* 0 to 16383 */
};

/* 0, or -EINVAL with one line in err, in which there is no password. */
int berth_url_parse(struct berth_url *u, const char *text, char *err, size_t err_len);

/* --- sessions --- */

enum { BERTH_DEPTH_MAX = 960 };

/* All zero is good: the defaults in brackets. */
struct berth_options {
	const char *initiator_name; /* [iqn.2026-11.io.berth:client. and the host's name] */
	struct berth_pool *pool;    /* shared with other sessions of the same thread [one of its own] */
	unsigned depth;             /* requests under way at once, 1 to BERTH_DEPTH_MAX [128] */
	uint32_t max_recv_data;     /* bytes; Data-In PDUs at most as long, 512 to 16777215 [262144] */
	uint32_t max_send_data;     /* bytes; Data-Out PDUs at most as long [what the target takes] */
	uint32_t max_burst, first_burst; /* bytes, offered to the target [1048576, 65536] */
	bool no_immediate_data;     /* refuse ImmediateData */
	bool initial_r2t;           /* ask for InitialR2T=Yes */
	bool header_digest, data_digest; /* prefer CRC32C; without, it is used when the target insists */
	const char *congestion;     /* TCP congestion control, borrowed while the session lives [the system's] */
	unsigned connect_ms;        /* for connecting and logging in [10000] */
	unsigned command_ms;        /* for each command [30000] */
	unsigned keepalive_ms;      /* ask after so long a silence; thrice that and the connection is lost [5000] */
	unsigned reconnect_ms;      /* how long to try to have a lost connection again [0: not] */
};

/* A pool holds the memory that work needs for a moment only (1.4 MiB); many sessions of one thread need
 * but one. Freed when the last of its sessions and berth_pool_free() are done with it. */
struct berth_pool *berth_pool_new(void); /* NULL: no memory */
void berth_pool_free(struct berth_pool *p);

/* berth_open - begin to connect. A host name is looked up at once, which may block; numeric addresses do not.
 * Requests may be queued from now on. 0 and *sp, or -errno with one line in err. */
int berth_open(struct berth_session **sp, const struct berth_url *u, const struct berth_options *o,
	char *err, size_t err_len);
/* berth_open_wait - the same, until the session is ready. */
int berth_open_wait(struct berth_session **sp, const struct berth_url *u, const struct berth_options *o,
	char *err, size_t err_len);
/* berth_close - what is under way ends with -ECANCELED, the target is told (at most 1 s), all is freed. */
void berth_close(struct berth_session *s);

int berth_fd(const struct berth_session *s);         /* wait until it is readable */
int berth_timeout_ms(const struct berth_session *s); /* call berth_service() at the latest then; -1: no limit */
/* berth_service - 0, or the error that ended the session for good; all requests have then ended. */
int berth_service(struct berth_session *s);
/* berth_flush - send now what was queued outside of callbacks. */
void berth_flush(struct berth_session *s);

enum berth_state { BERTH_CONNECTING, BERTH_READY, BERTH_RECONNECTING, BERTH_FAILED };

struct berth_info {
	enum berth_state state;
	int error;             /* of BERTH_FAILED */
	const char *why;       /* one line about the last trouble, or "" ; valid until the next call */
	unsigned n_active;     /* requests under way or waiting */
	unsigned n_reconnects;
	uint32_t window;       /* commands that the target would take beyond those under way */
	uint32_t max_recv_data, max_send_data, max_burst, first_burst; /* as negotiated */
	bool initial_r2t, immediate_data, header_digest, data_digest;
	uint64_t received_bytes, sent_bytes, receive_calls, send_calls; /* headers included */
	uint64_t placed_bytes, copied_bytes; /* read data: received in place, and moved once more */
};
void berth_info(const struct berth_session *s, struct berth_info *i);

/* --- requests --- */

struct berth_result {
	int error;            /* 0, or negative errno */
	uint8_t status;       /* SCSI status, with error 0 or -EREMOTEIO */
	uint8_t sense_len;
	const uint8_t *sense; /* NULL when there is none */
	uint32_t transferred; /* bytes of data */
	uint64_t ended_ns;    /* CLOCK_MONOTONIC, right after the call that received the answer */
};
typedef void berth_done(void *ctx, const struct berth_result *r);

/* One line: "Input/output error", or "CHECK CONDITION: ILLEGAL REQUEST (05h/21h/00h)". Returns buf. */
const char *berth_result_text(const struct berth_result *r, char *buf, size_t buf_len);
uint8_t berth_sense_key(const struct berth_result *r); /* 0 when there is none */
uint16_t berth_sense_code(const struct berth_result *r); /* ASC << 8 | ASCQ */

/* Each queues one request for the session's LUN and returns its number (>= 0), good for berth_abort() until it
 * has ended, or -errno; then done is not called. The vectors' bytes are n_blocks whole blocks. */
int berth_read(struct berth_session *s, uint64_t lba, uint32_t n_blocks, const struct iovec *iov,
	unsigned n_iov, berth_done *done, void *ctx);
int berth_write(struct berth_session *s, uint64_t lba, uint32_t n_blocks, const struct iovec *iov,
	unsigned n_iov, berth_done *done, void *ctx);
/* berth_unmap - the blocks' content is given up; thin disks read as zeros afterwards (berth_disk.zeros). */
int berth_unmap(struct berth_session *s, uint64_t lba, uint32_t n_blocks, berth_done *done, void *ctx);
/* berth_write_same - one block, block_len bytes at `block` (borrowed), again and again; NULL: zeros, which
 * a thin disk may keep as a hole. */
int berth_write_same(struct berth_session *s, uint64_t lba, uint32_t n_blocks, const void *block,
	uint32_t block_len, berth_done *done, void *ctx);
/* berth_sync - all writes that have ended are durable when this has. */
int berth_sync(struct berth_session *s, berth_done *done, void *ctx);

enum { BERTH_REPEATABLE = 1 }; /* doing the command twice does no harm */

struct berth_command {
	uint8_t cdb[16];
	int lun;                    /* -1: the session's */
	const struct iovec *in, *out; /* data from the target, to the target: one of them, or neither */
	unsigned n_in, n_out;
	unsigned flags;
	unsigned timeout_ms;        /* 0: command_ms */
};
int berth_command(struct berth_session *s, const struct berth_command *c, berth_done *done, void *ctx);

/* Task management. error: 0 done; -ENOENT no such task any more; -EOPNOTSUPP; -EREMOTEIO refused.
 * Requests that a function ended have ended with -ECANCELED before it does. */
int berth_abort(struct berth_session *s, int request, berth_done *done, void *ctx);
int berth_lun_reset(struct berth_session *s, berth_done *done, void *ctx);

/* --- waiting --- */

/* berth_wait - serve this session until *endedp is true (a callback sets it). 0, or the session's end. */
int berth_wait(struct berth_session *s, const bool *endedp);

/* The error of the result; *r (may be NULL) holds until the session's next call. */
int berth_read_wait(struct berth_session *s, uint64_t lba, uint32_t n_blocks, void *buf, size_t len,
	struct berth_result *r);
int berth_write_wait(struct berth_session *s, uint64_t lba, uint32_t n_blocks, const void *buf, size_t len,
	struct berth_result *r);
int berth_unmap_wait(struct berth_session *s, uint64_t lba, uint32_t n_blocks, struct berth_result *r);
int berth_write_same_wait(struct berth_session *s, uint64_t lba, uint32_t n_blocks, const void *block,
	uint32_t block_len, struct berth_result *r);
int berth_sync_wait(struct berth_session *s, struct berth_result *r);
int berth_command_wait(struct berth_session *s, const struct berth_command *c, struct berth_result *r);
int berth_abort_wait(struct berth_session *s, int request);
int berth_lun_reset_wait(struct berth_session *s);

/* What the disk says of itself (READ CAPACITY, VPD pages B0 and B2, MODE SENSE). -ENXIO: no unit is at this LUN. */
struct berth_disk {
	uint64_t n_blocks;
	uint32_t block_len;         /* bytes */
	uint32_t max_blocks;        /* of one read or write; always > 0 */
	uint32_t max_unmap_blocks;  /* 0: no UNMAP */
	uint32_t max_same_blocks;   /* of WRITE SAME; always > 0 */
	bool thin;                  /* may have holes */
	bool zeros;                 /* an unmapped block reads as zeros */
	bool read_only, write_cache;
};
int berth_disk_wait(struct berth_session *s, struct berth_disk *d);

/* berth_discover_wait - ask a portal for its targets; `found` is told each address of each target
 * ("192.0.2.1:3260,1"), and ends the search by returning nonzero, which is then returned. */
typedef int berth_found(void *ctx, const char *target, const char *address);
int berth_discover_wait(const struct berth_url *u, const struct berth_options *o, berth_found *found,
	void *ctx, char *err, size_t err_len);

#ifdef __cplusplus
}
#endif
#endif
