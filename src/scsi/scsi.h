/* clang-format off */
/* scsi.h - the SCSI side of a command, as the transport sees it.
 *
 * Life of a command, on its session's reactor:
 *
 *   scsi_prepare()   when its PDU arrives, in order of arrival: CDB decoded and checked against the
 *                    opcode table, places taken for its data-out. Never waits.
 *   scsi_room()      while out_have < out_len: pages may be there now, try again (after ops->room)
 *   scsi_execute()   in CmdSN order, when all of out_len is in (at once when there is none)
 *   ops->done        once, never from inside scsi_prepare(); may come from inside scsi_execute(): status,
 *                    sense and data-in are set
 *   scsi_release()   after the transport has sent what it wanted: pages are unpinned, memory given back
 *
 *   scsi_abort()     at any time between prepare and done: a command that has not been executed ends at
 *                    once and without done; of one that has, done still comes (not from inside), when
 *                    none of its I/O can reach the backend any more, with `aborted` set.
 *
 * Lengths. out_len is what the device takes: whole blocks, at most edtl, and 0 for a command that already
 * has its verdict (its unsolicited data goes to the sink, scsi_execute() brings the status). Residuals
 * (RFC 7143 11.4.5) compare edtl with out_full, or with in_len, never with out_len. in_len is what the device
 * would send for an EDTL without end; in_iov covers at least the first min(in_len, edtl) bytes of it, and
 * none when the R bit is clear: data-in is cut at edtl, and at 0 without the R bit.
 *
 * Pages. A landing takes what the unsolicited bytes need, and the rest whole or not at all, so that
 * commands do not hold pages while they wait for more. ops->room comes from the reactor's loop, when it is
 * worth trying again.
 *
 * Errors of the peer are statuses with sense (sense.tbl); of the machine: HARDWARE ERROR or BUSY. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include "arena.h"
#include "io.h"
#include "list.h"

struct lu;
struct scsi_cmd;
struct scsi_opcode;

enum { SCSI_SENSE_MAX = 96, SCSI_CDB_MAX = 16 };

enum scsi_status {
	SCSI_GOOD = 0x00,
	SCSI_CHECK_CONDITION = 0x02,
	SCSI_CONDITION_MET = 0x04,
	SCSI_BUSY = 0x08,
	SCSI_RESERVATION_CONFLICT = 0x18,
	SCSI_TASK_SET_FULL = 0x28,
	SCSI_ACA_ACTIVE = 0x30,
	SCSI_TASK_ABORTED = 0x40,
};

/* Task attributes (RFC 7143 11.3.1). */
enum { ATTR_UNTAGGED, ATTR_SIMPLE, ATTR_ORDERED, ATTR_HEAD_OF_QUEUE, ATTR_ACA };

/* Named sense conditions (scsi/sense.tbl): key, ASC, ASCQ. Handlers and the transport name them. */
enum sense {
	SENSE_NONE,
#define SENSE(e, key, asc, ascq, text) SENSE_##e,
#include "sense.tbl"
#undef SENSE
	N_SENSES
};

/* The logical units that one target (node) shows, by LUN, and the nexuses that see them. The units are
 * read-only after start (later: changed by posts). `nexuses` and what the comments of struct nexus_lu say
 * are guarded by lock: conditions that one nexus causes are told to the others under it. */
struct lu_map {
	struct lu *lu[16384]; /* flat addressing reaches 16383 (SAM-5 4.7.7.4) */
	unsigned n;           /* highest LUN in use + 1 */
	pthread_mutex_t lock;
	struct list nexuses;
};
void lu_map_init(struct lu_map *m);
void lu_map_deinit(struct lu_map *m);
void lu_map_add(struct lu_map *m, struct lu *l); /* at its LUN; before any nexus uses it */

/* What a nexus and a unit have with each other. */
struct nexus_lu {
	_Atomic uint32_t attentions; /* pending unit attentions, a bit each (attention.tbl); any thread */
	uint32_t faults_seen;        /* of writing back: told to a write of this nexus (its reactor's) */
	uint32_t lows_seen;          /* of space: volume_lows() that it has been told of (its reactor's) */
	bool prevents;               /* PREVENT ALLOW MEDIUM REMOVAL; under lu_map.lock */
	/* For LOG SENSE: written by the nexus's reactor alone, read by all. */
	uint64_t n_reads, n_writes, blocks_read, blocks_written;
};

/* Room for an iSCSI port name: 223 bytes, ",i,0x", the ISID and a NUL (SPC-4 7.6.4.6). */
enum { SCSI_PORT_NAME = 244 };

/* An I_T nexus as SCSI sees it: one iSCSI session. Owned by the session; its reactor's only. */
struct nexus {
	struct lu_map *luns;
	char initiator[SCSI_PORT_NAME]; /* iSCSI initiator port name: "name,i,0xISID" */
	char target[SCSI_PORT_NAME];    /* target port name: "name,t,0xTPGT" */
	uint16_t port;            /* relative target port identifier, 1 .. */
	struct quota *quota;      /* landings draw on it (one arena at a time; see nexus_quota) */
	/* nexus_quota - the quota of this session for pages of arena `a`; NULL: none */
	struct quota *(*find_quota)(struct nexus *, struct arena *a);
	uint16_t functions;       /* task management that the transport knows: bytes 0 and 1 of SPC-4 table 319 */
	/* SCSI's own */
	struct list link;         /* lu_map.nexuses, from nexus_open() to nexus_deinit() */
	struct nexus_lu *lus;     /* by LUN */
	unsigned n_lus;
	struct list waiting;      /* commands whose landing waits for pages, oldest first */
	struct list copies;       /* what it has asked to be copied, oldest first (copy_job.h) */
	struct list spare;        /* bodies of ended commands: a READ or WRITE allocates nothing */
};
void nexus_init(struct nexus *n);   /* SCSI's own fields only */
/* nexus_open - with luns, initiator, target and port set: each unit has POWER ON, RESET, OR BUS DEVICE RESET OCCURRED
 * to tell it, and from now on what others do to the units. Again when units were added. -ENOMEM. */
int nexus_open(struct nexus *n);
/* nexus_leave - logout, or the end of the connection: reservations by RESERVE and prevented removals of
 * this nexus end here (SAM-5 6.3.4), before the answer to a logout. Any number of times. */
void nexus_leave(struct nexus *n);
/* scsi_nexus_lost - I_T NEXUS RESET: what an I_T nexus loss does to each of its units (SAM-5 6.3.4); its commands
 * are the transport's to abort. On the nexus's reactor. */
void scsi_nexus_lost(struct nexus *n);
void nexus_deinit(struct nexus *n); /* no command is left; safe to call twice */

struct scsi_ops {
	void (*done)(struct scsi_cmd *);
	void (*room)(struct scsi_cmd *); /* pages may be there: call scsi_room() */
};

struct scsi_cmd {
	/* the transport's, before scsi_prepare() */
	const struct scsi_ops *ops;
	struct io *io;
	struct nexus *nexus;
	uint64_t lun;            /* eight bytes as on the wire, host order */
	uint8_t cdb[SCSI_CDB_MAX];
	uint8_t attr;            /* RFC 7143 11.3.1 */
	bool read, write;        /* R and W bits */
	uint32_t edtl;           /* Expected Data Transfer Length */
	uint32_t unsolicited;    /* bytes that come unasked: places are needed for them before all */
	bool line_policy;        /* --r2t line: landings in whole arena lines */

	/* scsi_prepare()'s answer */
	uint32_t out_len;        /* data-out that the device takes, <= edtl; 0: none */
	uint32_t out_have;       /* of them, bytes that have a place */
	uint32_t out_full;       /* what the CDB asks for, before edtl cut it (residual) */
	const struct iovec *out_iov; /* places of [0, out_have); may move when out_have grows */
	unsigned n_out_iov;

	/* at done */
	bool aborted;
	uint8_t status;
	uint8_t sense_len;
	uint8_t sense[SCSI_SENSE_MAX]; /* fixed or descriptor format, ready for the wire */
	const struct iovec *in_iov;    /* data-in; borrowed until scsi_release() */
	unsigned n_in_iov;
	uint64_t in_len;               /* what the device wants to send; the transport cuts it at edtl */

	/* SCSI's own */
	struct lu *lu;
	const struct scsi_opcode *row;
	struct scsi_body *body;
	uint32_t lun_gen;
	enum { SCSI_IDLE, SCSI_PREPARED, SCSI_RUNNING, SCSI_DONE } state;
};

void scsi_prepare(struct scsi_cmd *c);
void scsi_room(struct scsi_cmd *c);
void scsi_execute(struct scsi_cmd *c);
bool scsi_abort(struct scsi_cmd *c); /* true: ended at once, no done will come; scsi_release() is still owed */
void scsi_release(struct scsi_cmd *c);
/* scsi_waits - it runs, but only waits for commands of others: a sweep must not wait for it in turn. */
bool scsi_waits(const struct scsi_cmd *c);

/* scsi_fail - for the transport's own verdicts (refusal.tbl): CHECK CONDITION with a named sense instead of
 * execution; the landing is dropped. status, sense are set at once; no done comes. */
void scsi_fail(struct scsi_cmd *c, enum sense why);

/* scsi_busy - the same with status BUSY: pages did not come in time. */
void scsi_busy(struct scsi_cmd *c);

/* scsi_lun_flat - the wire's eight bytes to a LUN number (peripheral and flat addressing); -1: neither. */
int scsi_lun_flat(uint64_t lun);
uint64_t scsi_lun_wire(unsigned lun);

/* --- logical units --- */
struct volume;

/* Sweeps: what a command of one nexus does to the tasks of others, on every reactor.
 *
 * SWEEP_ABORT ends the tasks of the unit that match; SWEEP_WAIT only waits for those that run. done comes once, on
 * `io`, when no I/O of any of them can reach the backend any more. match is asked on the reactor of the
 * nexus it is asked about, and must not look at anything but `s` and the nexus. */
struct scsi_sweep {
	enum { SWEEP_ABORT, SWEEP_WAIT } kind;
	struct lu *lu;
	struct io *io;
	const struct scsi_cmd *except; /* the command that asks; NULL: none */
	bool (*match)(const struct scsi_sweep *s, const struct nexus *n);
	void (*done)(struct scsi_sweep *s);
};

/* What units ask of whoever holds their nexuses; a unit without a host has but one reactor. */
struct scsi_host {
	int (*sweep)(struct scsi_host *h, struct scsi_sweep *s); /* -ENOMEM: no done will come */
};

/* Where a unit keeps what must survive a restart: one small record, replaced whole or not at all. One save at
 * a time; data is borrowed until done, which comes on io, not from inside. */
enum { LU_RECORD_MAX = 64 << 10 };
struct lu_save {
	struct io *io;
	const void *data;
	uint32_t len;
	void (*done)(struct lu_save *s, int error);
};
struct lu_store {
	void (*save)(struct lu_store *t, struct lu_save *s);
	struct lu_store *(*free)(struct lu_store *t); /* NULL */
};

struct lu_params {
	struct volume *volume;   /* taken: lu_free() frees it */
	unsigned lun;
	const char *target;      /* for identification */
	uint32_t block, physical; /* bytes */
	bool ro, removable;
	uint8_t uuid[16];
	struct scsi_host *host;  /* NULL: none; borrowed */
	struct lu_store *store;  /* NULL: nothing is kept; taken, lu_free() frees it */
	const void *record;      /* what was saved last; NULL: nothing */
	uint32_t record_len;
};
int lu_new(struct lu **lp, const struct lu_params *p); /* -EINVAL, -ENOMEM: the volume stays the caller's */
struct lu *lu_free(struct lu *l); /* no command may be under way; lu_leave() has said true */
struct volume *lu_volume(const struct lu *l);
/* lu_start - on one reactor, before the first command: goes on with what a restart interrupted. */
void lu_start(struct lu *l, struct io *io);
/* lu_quiet - the same for writing back, when nothing else runs. */
bool lu_quiet(struct lu *l, struct io *io);
/* lu_leave - the server stops; on each reactor, again until true: nothing of the unit runs here. */
bool lu_leave(struct lu *l, struct io *io);
/* lu_reset - LOGICAL UNIT RESET, or a target reset, on any reactor: commands prepared before it no longer commit, every nexus gets
 * a unit attention, what resets end has ended. The transport aborts the tasks of every session and answers when
 * all reactors have said so. */
void lu_reset(struct lu *l);
/* lu_set_access - the access state of the unit's target port group (SPC-4 table 286: 0 active/optimized to
 * 3 unavailable), by our own doing; every nexus is told. */
void lu_set_access(struct lu *l, unsigned code);
/* lu_task_aborted - does a task that another nexus ended get the status TASK ABORTED (TAS of the control
 * mode page, SPC-4 7.5.10)? If not, its nexus gets a unit attention instead: lu_commands_cleared(). */
bool lu_task_aborted(const struct lu *l);
void lu_commands_cleared(const struct lu *l, struct nexus *n);
