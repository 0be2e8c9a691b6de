/* backend.h - where a volume's bytes finally lie: a vtable with capability flags and one narrow door.
 *
 * A backend serves bytes at offsets; it knows neither blocks nor caches. Requests are asynchronous,
 * embedded in their owner, and complete exactly once on the reactor that asked, never from inside the
 * asking call. The door (backend_io) checks what every backend may then rely on: range inside the
 * size, alignment as the backend asked, capability present; and what every backend must keep: one completion.
 * The door splits what is too long for one call, finishes short transfers, makes writes durable on
 * backends that cannot do so by themselves, and where the backend cannot punch or zero it sends zeros.
 * IO_CLONE lets the system copy, which may share the bytes; a flush makes that durable.
 * IO_DATA and IO_HOLE ask where content lies from `off` on (len means nothing); what cannot tell is all data.
 * A read that the medium fails is looked into: `found` is where the first unit lies that cannot be read.
 * Errors: negative errno of the machine in done(); -EROFS for a write to what may only be read.
 *
 * Somebody else may do away with what lies behind. The door looks before it asks (once a turn of a reactor, without
 * waiting), and from then on no request is sent, since a write behind the end of a file that was cut off would make
 * it long again, with zeros where data were: -ESTALE, it is shorter than it was; -ENODEV, the device is gone; -ENOENT,
 * the file has no name any more, so that nothing can be made durable there: changes and flushes end so, reads go on. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include "io.h"

struct backend;

enum backend_cap {
	BACKEND_WRITE = 1 << 0,
	BACKEND_PUNCH = 1 << 1,   /* ranges can be given back and then read as zeros */
	BACKEND_ZERO = 1 << 2,    /* ranges can be made zero without sending zeros */
	BACKEND_FLUSH = 1 << 3,
	BACKEND_DURABLE = 1 << 4, /* a write can be asked to be durable by itself (O_DSYNC) */
	BACKEND_ROTATES = 1 << 5, /* a spinning disk, for VPD B1 */
	BACKEND_CLONE = 1 << 6,   /* a range of another such backend can be copied by the system (IO_CLONE) */
};

struct backend_info {
	uint64_t size;         /* bytes */
	uint32_t caps;
	uint32_t align_offset; /* offsets and lengths must be multiples of it, for direct I/O; 1: any */
	uint32_t align_memory;
	uint64_t max_atomic;   /* bytes that survive a power cut whole; 0: nothing promised. Files and devices are 0: what
				* one write gave them lies in several blocks of theirs, and Linux tells only of late, and
				* only with RWF_ATOMIC, when those go together. */
};

struct backend_req {
	enum io_disk_kind kind;
	bool durable;
	uint64_t off, len;
	struct backend *from;     /* IO_CLONE: of whose bytes, .. */
	uint64_t from_off;        /* .. from where on; nobody may write there meanwhile */
	const struct iovec *iov;  /* borrowed until done */
	unsigned n_iov;
	void (*done)(struct backend_req *, int error);
	/* the door's and the backend's own */
	struct backend *b;
	struct io *io;
	struct io_disk disk;      /* the piece under way */
	enum io_disk_kind way;    /* how it is done now: a backend that cannot punch is sent zeros */
	bool sync;                /* the bytes are there; a flush makes them durable */
	uint32_t n_failed;        /* flushes of the backend that had failed when it began to move */
	unsigned n_again;
	uint64_t moved;
	unsigned at_iov;          /* the vector of byte `moved` .. */
	size_t skip;              /* .. and how far into it */
	struct iovec one;         /* the rest of that vector */
	struct io_work later;
	struct io_timer timer;    /* fault.h: a delay's .. */
	struct backend *late;     /* .. which is this one */
	struct backend *cut;      /* a power cut's, and to whom it passes on the end of a read */
	void (*behind)(struct io_disk *, int64_t res);
	struct backend_req *flush_next; /* who shares a flush, or waits for one */
	int64_t flush_res;
	void (*flushed)(struct backend_req *, int64_t res);
	int error;
	uint64_t suspect;         /* a read failed: `moved` up to which it is searched (0: none has) */
	uint64_t found;           /* IO_DATA, IO_HOLE: where it begins, the size when nowhere; a failed IO_READ: see above */
};

/* What an image looks like from outside, to find out whether somebody else has changed it. */
struct backend_stamp {
	uint64_t size, dev, ino;
	uint64_t mtime_ns; /* 0: a device, whose inode does not tell */
};

/* What a thin image has taken, and may still take, bytes. */
struct backend_room {
	uint64_t used, available;
};

struct backend_ops {
	const char *name;
	/* submit - do the piece r->disk (kind, flags, off, len, iov), never ending it from inside: io_disk() on
	 * a descriptor, or anything else that calls r->disk.done(&r->disk, res) once, on r->io's reactor. */
	void (*submit)(struct backend *b, struct io *io, struct backend_req *r);
	struct backend *(*free)(struct backend *b);
	int (*stamp)(struct backend *b, struct backend_stamp *s); /* may be NULL; does not wait */
	int (*look)(struct backend *b); /* 0, or how it is lost (see above); may be NULL; does not wait */
	int (*room)(struct backend *b, struct backend_room *r); /* may be NULL; hardly waits */
	int (*source)(const struct backend *b); /* the descriptor that the system copies from; NULL: it must be read */
};

struct backend { /* first member of each backend's struct */
	const struct backend_ops *ops;
	struct backend_info info; /* caps may lose bits later: a system that refuses at first use */
	const char *path; /* for messages */
	struct backend_stamp opened; /* as it was found, before we touched it; all 0 where stamps are not */
	/* the door's: zero at first */
	int lost;            /* atomic: -ESTALE .. */
	uint64_t looked_ns;  /* atomic */
	uint32_t n_failed_flushes; /* atomic */
	pthread_mutex_t flush_lock;
	bool flushing;
	struct backend_req *flush_waiting;
};

/* backend_caps - the capabilities by now. */
uint32_t backend_caps(const struct backend *b);
/* backend_failed_flushes - how many so far. What was changed before one that failed, and was not durable by then, may
 * never be: a flush that succeeds later says nothing about it. (Requests that are durable themselves see to that.) */
uint32_t backend_failed_flushes(const struct backend *b);
/* backend_can_clone - may IO_CLONE be tried? It may still fail, with nothing or some of it moved: then read and write. */
bool backend_can_clone(const struct backend *to, const struct backend *from);
void backend_io(struct backend *b, struct io *io, struct backend_req *r);
/* backend_lost - 0, or how (see above); from then on it stays so. */
int backend_lost(const struct backend *b);
int backend_look(struct backend *b, struct io *io); /* the same, having looked */
/* backend_room - -EOPNOTSUPP: nobody knows. */
int backend_room(struct backend *b, struct backend_room *r);
bool backend_can_stamp(const struct backend *b);
int backend_stamp(struct backend *b, struct backend_stamp *s); /* now; -EOPNOTSUPP, -errno */
struct backend *backend_free(struct backend *b); /* NULL; no request may be under way */

/* A raw image or a block device. ENOENT and the like come back as -errno with a line in err. */
struct file_params {
	const char *path;
	uint64_t create_size; /* nonzero: create sparse when it is not there; when it is there its size must match */
	bool ro;
	uint32_t block;       /* size must be a multiple of it */
};
int backend_file_open(struct backend **bp, const struct file_params *p, char *err, size_t err_len);
/* backend_memory_open - an image in memory, gone with the process: for a RAM disk that is to lie behind a door. */
int backend_memory_open(struct backend **bp, uint64_t size, uint32_t block, char *err, size_t err_len);
