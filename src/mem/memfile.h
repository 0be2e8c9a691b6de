/* clang-format off */
/* memfile.h - finds, makes, locks and leaves the file that a buffer memory lies in.
 *
 * Where: a directory that must be tmpfs (a file on a disk would be written to that disk all the time, and a full one
 * is a SIGBUS): the one that is given, else /run/berth, else $XDG_RUNTIME_DIR/berth, else /dev/shm/berth-UID. A given
 * one that is no tmpfs is replaced by the last, which is said.
 *
 * Which: names mean nothing. Every memory of the directory that no living process has locked is looked at: one that
 * has records of our volumes is ours; one without any record is used again or removed; one with records of other volumes
 * stays as it is; one that does not validate is renamed (.bad) and said. A service manager may hand one in by its
 * descriptor (stored_fd), which is looked at first. Two daemons never adopt one memory: whoever uses it has flock()
 * on it, and looking and making is done under a lock on the directory.
 *
 * How much: taken whole with fallocate(). When the size was asked for and does not fit, that is refused with the
 * size that would; else what fits is taken and said. A memory with records keeps its size. Making gigabytes of memory
 * takes seconds, so only the first part is taken by memfile_open(), and what has records; memfile_take() takes the rest, piece by
 * piece, while the first part is already in use.
 *
 * Main thread, before and after the reactors run. */
#pragma once

#include "ledger.h"

struct memfile_params {
	const char *dir;              /* NULL: the default places */
	uint64_t n_pages, min_pages;
	bool exact;                   /* n_pages was asked for */
	const uint8_t (*uuids)[16];   /* of the volumes that are to be served */
	unsigned n_uuids;
	int stored_fd;                /* -1: none; taken */
};

struct memfile {
	struct ledger *ledger;
	int fd;
	void *head;           /* mapped up to the pages */
	uint64_t head_len;
	uint64_t pages_at;    /* in the file */
	bool adopted;         /* it has records */
	uint64_t n_taken;     /* pages that have memory; the others must not be touched */
	char *path;           /* NULL: it has no name here */
};

int memfile_open(struct memfile **mp, const struct memfile_params *p, char *err, size_t err_len);
/* memfile_anonymous - a memory that lives as long as its descriptor. fd: -1, or one that is adopted (taken). */
int memfile_anonymous(struct memfile **mp, uint64_t n_pages, int fd);
/* memfile_take - memory for up to n more pages: how many it were, 0: all have it; -errno. Any one thread. */
int64_t memfile_take(struct memfile *m, uint64_t n);
/* memfile_close - NULL. A memory without records loses its name. */
struct memfile *memfile_close(struct memfile *m);
