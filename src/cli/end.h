/* end.h - one end of a copy: a file, a block device, or a disk behind an iscsi URL.
 *
 * Files are read and written at once, disks answer later: in both cases on_end() of the slot's owner is not called,
 * but the slot's `waiting` goes false and `error` is set. Lengths: any for files; whole blocks for disks, which
 * the caller sees to with end_unit(). */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "client.h"

struct end {
	const char *name;
	char label[CLIENT_LABEL]; /* the name, without secrets */
	bool is_url, is_device, writes;
	bool made;           /* the file was not there before */
	int fd;
	struct berth_url url;
	struct berth_session *s;
	struct berth_disk disk;
	uint64_t len;        /* bytes; of a file that is written: as long as the source */
	bool no_same;        /* the disk does not take zeros without bytes */
	bool no_holes;       /* the disk does not tell where they are */
};

struct slot_io {
	bool waiting;
	int error;
	char why[128];
};

enum { END_DEPTH = 64 };

/* end_open - 0, or -errno with one line in err. A file that is to be written is made if need be, and is not
 * changed before end_prepare(). */
int end_open(struct end *e, const char *name, bool writes, const struct client_words *w, char *err, size_t err_len);
/* end_claim - a file is locked, a device that is to be written taken for itself; -EBUSY: somebody else has it; -ESTALE: it
 * has lost its name since it was opened. */
int end_claim(struct end *e, char *err, size_t err_len);
/* end_prepare - a destination takes on the length: files are emptied and grown, disks must be long enough. */
int end_prepare(struct end *e, uint64_t len, char *err, size_t err_len);
bool end_same(const struct end *a, const struct end *b); /* the very same file or disk */
/* end_undo - after a failure: a destination file that was made, holds nothing yet, and that nobody else has claimed, is
 * removed. True: it was. */
bool end_undo(struct end *e);
void end_close(struct end *e);                            /* safe to call twice, and on one that is all zero */

uint32_t end_unit(const struct end *e);               /* lengths and offsets are multiples of it */
uint64_t end_max(const struct end *e);                /* bytes of one read or write */
uint64_t end_max_zero(const struct end *e);           /* bytes of one end_zero() */

void end_read(struct end *e, struct slot_io *io, uint64_t off, void *buf, uint32_t len);
void end_write(struct end *e, struct slot_io *io, uint64_t off, const void *buf, uint32_t len);
bool end_takes_zeros(const struct end *e); /* without their bytes, as far as is known */
/* end_zero - the range reads as zeros afterwards. False: not to be had without writing zeros. */
bool end_zero(struct end *e, struct slot_io *io, uint64_t off, uint64_t len);
int end_sync(struct end *e, char *err, size_t err_len);

/* end_data - of a source: from off on, where do the next bytes lie that are not a hole? *fromp >= off; both at most the
 * length, and *top > off. A thin disk is asked (GET LBA STATUS), which waits for its answer. */
void end_data(struct end *e, uint64_t off, uint64_t *fromp, uint64_t *top);
