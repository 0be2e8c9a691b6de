/* sanitize_in.h - what sanitize.c (the operation) and sanitize_cmd.c (the command) share. */
#pragma once

#include <pthread.h>
#include "io.h"
#include "lun.h"
#include "sanitize.h"

/* Service actions, and bits beside them (SBC-3 5.24). */
enum { OVERWRITE = 0x01, BLOCK_ERASE = 0x02, CRYPTO_ERASE = 0x03, EXIT_FAILED = 0x1f };
enum { IMMED = 0x80, AUSE = 0x20 };

struct sanitize {
	/* What is to be done, or was: read when a record is encoded, so under lock. */
	pthread_mutex_t lock;
	uint8_t action; /* 0: nothing */
	bool ause, invert, failed;
	uint8_t passes;
	uint8_t *pattern; /* a block */

	/* The operation's own, on its reactor. */
	struct lu *l;
	struct io *_Atomic io; /* NULL: nothing is under way */
	uint8_t *block;        /* the pattern of this pass */
	struct scsi_cmd *waiter;
	unsigned pass;
	uint64_t cursor, start_ns;
	int error;
	bool leaving, op_busy;
	_Atomic uint16_t progress;
	struct vol_op op;
	struct scsi_sweep sweep;
	struct keep_waiter keep;
	struct io_timer timer;
	struct io_work work;
};

/* sanitize_begin - LU_SANITIZING is set, and what is to be done stands in s; c (NULL: none) waits for its end. */
void sanitize_begin(struct sanitize *s, struct io *io, struct scsi_cmd *c);
