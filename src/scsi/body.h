/* body.h - what a command needs while it lives, and what handlers call.
 *
 * One body a command, from its nexus's spare ones, so that a READ or WRITE allocates nothing. A
 * handler's prepare may set a verdict (sense_*(), or a status) and nothing is executed then; it
 * asks for its data-out with cmd_landing() or cmd_list(). Its execute ends in exactly one
 * cmd_done() or cmd_end(), at once or from a completion; after that neither command nor body may be
 * touched, since the transport may have released them from inside. */
#pragma once

#include <stddef.h>
#include "cdb.h"
#include "lun.h"
#include "scsi.h"
#include "sense.h"
#include "volume.h"

/* clang-format off */
enum {
	BODY_INLINE = 640,    /* bytes of parameter data that need no allocation */
	BODY_PIECE = 1 << 20, /* bytes that a command with a cursor reads in one step */
	BODY_LINES = 64,      /* map lines that its steps may touch in one turn of the reactor */
};

struct scsi_body {
	struct scsi_cmd *cmd;    /* NULL: released while calls were on their way */
	struct list link;        /* nexus->spare, or nexus->waiting */
	struct io *home;         /* cmd->io; read by room_on_pages() on any thread */
	unsigned n_calls;        /* posts, waits and saves on their way that name this body */
	bool busy;               /* op is under way */
	bool aborting;
	bool in_abort;           /* inside scsi_abort(): done must not come from there */
	bool landed;             /* landing is in use */
	bool pinned;             /* op was a volume_read(): volume_unpin() is owed */
	bool waits;              /* wait is queued, or its call is on its way */
	bool kicked;             /* kick is queued */
	bool turned;             /* woken by the arena: has a place in its queue to keep */

	uint64_t lba;            /* block commands: the CDB's range, in blocks and in bytes */
	uint64_t off, len;

	struct vol_op op;
	struct landing landing;
	struct arena_wait wait;  /* its fn posts `pages` */
	struct io_work pages;    /* pages may be there */
	struct io_work kick;     /* another landing of this nexus was given back */
	struct io_work next;     /* the next step, or the end that scsi_abort() put off */

	/* commands that change what is kept, or what others may do (persist.h, sanitize_in.h) */
	struct keep_waiter keep;
	struct scsi_sweep sweep;
	bool sweeping; /* it waits for other commands */
	void *found;   /* their own */
	/* detach - scsi_abort() of a command that waits for something that goes on without it: ends it,
	 * with cmd_done() */
	void (*detach)(struct scsi_cmd *);

	/* commands with a cursor (cmd_run) */
	bool (*step)(struct scsi_cmd *);
	bool (*stepped)(struct scsi_cmd *, int end);
	bool inside, came;
	bool compares; /* verify.c: with what came, and not only readable */
	int end;
	uint64_t cursor;

	/* parameter data, in or out */
	uint8_t *data;           /* small, or allocated */
	uint32_t data_len;
	struct iovec data_iov;
	uint8_t small[BODY_INLINE];
};
/* clang-format on */

/* --- bodies (body.c) --- */
struct scsi_body *body_take(struct scsi_cmd *c); /* NULL: no memory */
void body_give(struct scsi_body *b, struct nexus *n);
/* body_called - a call that was on its way is here; false: it came too late, the command is gone.
 */
bool body_called(struct scsi_body *b);
void cmd_on_next(struct io_work *w);

/* --- places for data-out (room.c) --- */
void room_drop(struct scsi_cmd *c); /* the landing, when there is one, and all waiting for it */
/* room_kick - pages of this nexus may have come back: the command that waits longest tries again.
 */
void room_kick(struct nexus *n);
void room_on_pages(struct arena_wait *w); /* any thread */
void room_on_posted(struct io_work *w);
void room_on_kick(struct io_work *w);

/* --- data-out, called by prepare --- */
/* cmd_wish - the CDB asks for `full` bytes of data-out: how many of them come, cut to whole
 * `unit`s. False: the command has its verdict. */
bool cmd_wish(struct scsi_cmd *c, uint32_t full, uint32_t unit);
/* cmd_landing - fresh pages for all of out_len, to become the volume's content at byte `off`. */
void cmd_landing(struct scsi_cmd *c, uint64_t off);
/* cmd_list - a plain buffer for all of out_len. */
void cmd_list(struct scsi_cmd *c);

/* --- data-in, called by execute --- */
/* cmd_in - zeroed room for `len` bytes of parameter data; NULL: the command has its verdict, BUSY.
 */
uint8_t *cmd_in(struct scsi_cmd *c, uint32_t len);
/* cmd_in_done - the command ends with `len` of them, cut to the CDB's allocation length. */
void cmd_in_done(struct scsi_cmd *c, uint32_t len, uint32_t alloc);

/* --- the volume --- */
/* cmd_op - the body's op for [off, off + len) of the unit's volume. */
struct vol_op *cmd_op(
	struct scsi_cmd *c, uint64_t off, uint64_t len, void (*done)(struct vol_op *, int end));
struct scsi_cmd *cmd_of(struct vol_op *op);

/* cmd_run - commands with a cursor. step() begins one op with cmd_stepped() as its done and says
 * true, or ends the command and says false; stepped() looks at its end and says true to go on, or
 * ends the command. No recursion, at most BODY_LINES a turn, scsi_abort() is seen between two. */
void cmd_run(struct scsi_cmd *c);
void cmd_stepped(struct vol_op *op, int end);

/* --- the end --- */
/* cmd_keep - the command has changed something of what is kept (keep.h): it ends when that is
 * durable. */
void cmd_keep(struct scsi_cmd *c);
void cmd_done(struct scsi_cmd *c);
/* cmd_end - with what an operation of the volume ended in: 0, VOL_ or -errno; `machine` names the
 * machine's error for this kind of command (an unreadable or an unwritable medium). */
void cmd_end(struct scsi_cmd *c, int end, enum sense machine);

/* sense_of_write - how a write is told that the machine could not carry it out. */
enum sense sense_of_write(int error);

/* --- handlers, named in cdb.tbl --- */
#define CDB(e, nm, o, s, p, x, ...)                                                                \
	void p(struct scsi_cmd *);                                                                 \
	void x(struct scsi_cmd *);
#include "cdb.tbl"
#undef CDB

/* inquiry_names - the designators of the unit itself, as VPD 83 begins; at most 64 bytes. Their length. */
uint32_t inquiry_names(const struct lu *l, uint8_t *p);
/* vpd_copies - the page of third-party copies (tpc_page.c), as those of inquiry.c. */
uint32_t vpd_copies(const struct scsi_cmd *c, uint8_t *p);

/* block_range - the CDB's blocks into the body: first inside the unit, not more than `max`, the
 * last inside too. A length of zero is 'to the end' where zero_is_rest. False: the command has its
 * verdict. */
bool block_range(struct scsi_cmd *c, uint32_t max, bool zero_is_rest);
