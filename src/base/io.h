/* io.h - whatever leaves the process goes through here: clock, random, sockets, disk, posts.
 *
 * One `struct io` is one reactor's engine. Three engines implement the table below: io_uring, epoll
 * with a small thread pool for the disk, and sim (deterministic, several reactors in one thread).
 * Nothing outside an engine calls the kernel for I/O, time or random.
 *
 * Thread: every call is made on the reactor that owns the io, except io_post(). Callbacks run on
 * that reactor, from its loop, never from inside the call that asked for them.
 * Errors: negative errno of the machine. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include "list.h"

struct io;

struct io_addr {
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	};
	socklen_t len;
};

enum { IO_ADDR_TEXT = 64 }; /* "[v6%zone]:port" and NUL */

/* A piece of work to run later. Owner: whoever embeds it; it may be queued once at a time. */
struct io_work {
	struct list link;
	void (*fn)(struct io_work *);
};

struct io_timer {
	uint64_t at_ns;   /* of io_now(); meaningful while index != 0 */
	uint32_t index;   /* place in the heap, 0 = stopped */
	void (*fn)(struct io_timer *);
};

enum { IO_IN = 1, IO_OUT = 2 };

/* A socket on this reactor, embedded by its owner. on_ready is level-triggered: it comes again in
 * the next turn for as long as the condition holds and is wanted. An error or hang-up is shown as
 * IO_IN (io_recv() then tells) to whoever wants anything, IO_IN or not. */
struct io_sock {
	int handle; /* descriptor, or the sim's number; -1 = closed */
	unsigned want;
	void (*on_ready)(struct io_sock *, unsigned ready);
	void *engine; /* the engine's own */
};

enum io_disk_kind {
	IO_READ,      /* preadv */
	IO_WRITE,     /* pwritev; with IO_DURABLE as if opened O_DSYNC */
	IO_FLUSH,     /* fdatasync */
	IO_PUNCH,     /* fallocate(PUNCH_HOLE | KEEP_SIZE), BLKDISCARD's zeroing kin on block devices */
	IO_ZERO,      /* the range reads as zeros afterwards, allocated or not */
	IO_DATA,      /* lseek(SEEK_DATA): res is where data begins, at off or behind */
	IO_HOLE,      /* lseek(SEEK_HOLE) */
	IO_CLONE,     /* FICLONERANGE: the bytes of from_fd, from from_off on, are shared; with IO_COPIES else copy_file_range */
};
/* IO_ALONE: never joined with its neighbours, since the system may tell its failure once only. */
enum { IO_DURABLE = 1, IO_BLOCKDEV = 2, IO_COPIES = 4, IO_ALONE = 8 };

/* A disk request, embedded by its owner; iov is borrowed until done. done runs exactly once.
 * res: bytes moved (may be short: at the end of the file, or past 1024 vectors), an offset, 0 for the
 * others, or negative errno. */
struct io_disk {
	enum io_disk_kind kind;
	unsigned flags;
	int fd;
	int from_fd;
	uint64_t off, len, from_off;
	const struct iovec *iov;
	unsigned n_iov;
	void (*done)(struct io_disk *, int64_t res);
	/* the engine's own */
	struct list link;
	struct io *io;
	int64_t res;
};

struct io_ops {
	const char *name; /* "epoll", "uring", "sim" */
	uint64_t (*clock)(struct io *);
	void (*random)(struct io *, void *buf, size_t len);
	void (*wake)(struct io *); /* any thread: io_post() queued something */
	int (*listen)(struct io *, struct io_sock *, struct io_addr *);
	int (*accept)(struct io *, struct io_sock *, struct io_addr *peer);
	int (*attach)(struct io *, struct io_sock *, int handle);
	int (*detach)(struct io *, struct io_sock *);
	void (*want)(struct io *, struct io_sock *, unsigned want);
	ssize_t (*recv)(struct io *, struct io_sock *, const struct iovec *, unsigned n);
	ssize_t (*send)(struct io *, struct io_sock *, const struct iovec *, unsigned n);
	void (*lowat)(struct io *, struct io_sock *, uint32_t bytes);
	int (*local)(struct io *, struct io_sock *, struct io_addr *);
	void (*close)(struct io *, struct io_sock *);
	void (*disk)(struct io *, struct io_disk *);
	int (*lend_memory)(struct io *, void *base, size_t len);
};

struct io_heap {
	struct io_timer **slot; /* slot[1..n]: a binary heap by at_ns */
	uint32_t n, room;
};

/* Engines embed this as their first member; the loop (reactor/loop.c) owns the lists and the heap. */
struct io {
	const struct io_ops *ops;
	unsigned index;      /* number of the reactor, 0 .. n-1 */
	uint64_t now_ns;     /* read once a turn */
	uint64_t ease_ns;    /* of this turn: what io_ease() said least; UINT64_MAX: nobody did */
	uint64_t hurry_ns;   /* when io_hurry() was called last */
	struct list deferred;
	struct io_heap timers;
	struct { /* filled by any thread */
		_Alignas(64) uint32_t lock;
		struct list list;
	} posts;
};

/* --- clock and random --- */
static inline uint64_t io_now(const struct io *io) { return io->now_ns; } /* monotonic, this turn's */
static inline uint64_t io_clock(struct io *io) { return io->ops->clock(io); } /* monotonic, fresh */
static inline void io_random(struct io *io, void *buf, size_t len) { io->ops->random(io, buf, len); }

/* --- work and timers (reactor/loop.c) --- */
void io_defer(struct io *io, struct io_work *w); /* later in this turn, before the reactor sleeps */
void io_post(struct io *to, struct io_work *w);  /* from any thread; in order for each sender */
void io_timer_init(struct io_timer *t, void (*fn)(struct io_timer *));
int io_timer_set(struct io *io, struct io_timer *t, uint64_t at_ns); /* moves it when it is set; -ENOMEM */
void io_timer_stop(struct io *io, struct io_timer *t);               /* safe when it is not set */

/* --- may the reactor look away for a moment? --- */
/* io_ease - whoever was served in this turn has work without us for ns; 0: none. A reactor of which all that
 * were served say so sleeps for the shortest of them, and finds more at once when it looks again. */
static inline void io_ease(struct io *io, uint64_t ns) { if (ns < io->ease_ns) io->ease_ns = ns; }
/* io_hurry - here is somebody who waits for each of our answers: no such sleep for the next while. */
static inline void io_hurry(struct io *io) { io->hurry_ns = io->now_ns; }

/* --- sockets: TCP, non-blocking, TCP_NODELAY; send never raises a signal --- */
/* io_listen - port 0 asks for a free one; *addr is set to what was bound; nothing is wanted yet. */
static inline int io_listen(struct io *io, struct io_sock *s, struct io_addr *addr) { return io->ops->listen(io, s, addr); }
/* io_accept - a handle to give to io_attach() here or on another reactor; -EAGAIN when none waits. */
static inline int io_accept(struct io *io, struct io_sock *s, struct io_addr *peer) { return io->ops->accept(io, s, peer); }
/* io_attach - takes the handle, which is closed when this fails; s->on_ready must be set; nothing is wanted yet. */
static inline int io_attach(struct io *io, struct io_sock *s, int handle) { return io->ops->attach(io, s, handle); }
/* io_detach - the socket leaves this reactor; the handle is the caller's again. */
static inline int io_detach(struct io *io, struct io_sock *s) { return io->ops->detach(io, s); }
static inline void io_want(struct io *io, struct io_sock *s, unsigned want) { if (s->want != want) io->ops->want(io, s, want); }
/* io_recv - 0 is the end of the stream; -EAGAIN when nothing is there. */
static inline ssize_t io_recv(struct io *io, struct io_sock *s, const struct iovec *iov, unsigned n) { return io->ops->recv(io, s, iov, n); }
static inline ssize_t io_send(struct io *io, struct io_sock *s, const struct iovec *iov, unsigned n) { return io->ops->send(io, s, iov, n); }
/* io_lowat - do not report IO_IN before so many bytes wait (a hint; 1 is the default). */
static inline void io_lowat(struct io *io, struct io_sock *s, uint32_t bytes) { io->ops->lowat(io, s, bytes); }
static inline int io_local(struct io *io, struct io_sock *s, struct io_addr *a) { return io->ops->local(io, s, a); }
/* io_close - safe to call twice; on_ready is not called again. */
static inline void io_close(struct io *io, struct io_sock *s) { if (s->handle >= 0) io->ops->close(io, s); }

/* --- disk --- */
static inline void io_disk(struct io *io, struct io_disk *d) { io->ops->disk(io, d); }
/* io_lend_memory - page-aligned memory that disk requests will often name; the engine may register
 * it with the kernel. Such memory must never be given back (MADV_DONTNEED, punch) while lent.
 * 0, or -errno when it stays plain (-ENOMEM: RLIMIT_MEMLOCK; -EOPNOTSUPP: the engine has no use for it). */
static inline int io_lend_memory(struct io *io, void *base, size_t len) { return io->ops->lend_memory(io, base, len); }

/* --- addresses (base/addr.c) --- */
/* io_addr_parse - "1.2.3.4:3260", "[::1]:3260", ":3260" is refused; -EINVAL. No name is looked up. */
int io_addr_parse(struct io_addr *a, const char *text, size_t len);
const char *io_addr_text(const struct io_addr *a, char buf[IO_ADDR_TEXT]);
