/* backend.c - the narrow door (see backend.h).
 *
 * A request goes to the backend in pieces, one at a time: at most MAX_VECTORS vectors and MAX_PIECE
 * bytes, and after a transfer that ended within a vector, the rest of that vector by itself. The
 * way of a request may go down a step: punch -> zero -> write zeros, when the backend lacks the
 * capability or the system answers EOPNOTSUPP, which costs it the capability.
 *
 * A flush that fails may have given up what others wrote, or are writing (Linux calls such pages clean,
 * and the next flush succeeds). So a request that was under way while one failed moves all of its
 * bytes once more, and a durable one does not trust its own flush then. */
#include "backend.h"

#include <errno.h>
#include <limits.h>
#include "check.h"
#include "counter.h"
#include "flush.h"
#include "log.h"

enum {
	MAX_VECTORS = 1024, /* IOV_MAX */
	MAX_PIECE = 1 << 30,
	ZEROS_LEN = 64 << 10,
	MAX_AGAIN = 8, /* times that a request is written anew because a flush beside it failed */
	N_ZEROS = 64,
	MIN_UNIT = 512, /* of a medium that fails */
};

static _Alignas(4096) uint8_t zeros[ZEROS_LEN]; /* nobody writes it */
static const struct iovec zero_iov[N_ZEROS] = {
	[0 ... N_ZEROS - 1] = {zeros, ZEROS_LEN},
};

static void piece_next(struct backend_req *r);

uint32_t backend_caps(const struct backend *b)
{
	return __atomic_load_n(&b->info.caps, __ATOMIC_RELAXED);
}

uint32_t backend_failed_flushes(const struct backend *b)
{
	return __atomic_load_n(&b->n_failed_flushes, __ATOMIC_ACQUIRE);
}

static void drop_cap(struct backend *b, uint32_t cap, const char *what, const char *instead)
{
	if (__atomic_fetch_and(&b->info.caps, ~cap, __ATOMIC_RELAXED) & cap)
		log_info("%s: the system cannot %s here, %s", b->path, what, instead);
}

/* --- the end --- */
static void on_later(struct io_work *work)
{
	struct backend_req *r = container_of(work, struct backend_req, later);

	r->done(r, r->error);
}

static void end_later(struct backend_req *r, int error)
{
	r->error = error;
	r->later.fn = on_later;
	list_init(&r->later.link);
	io_defer(r->io, &r->later);
}

/* --- beside flushes that fail --- */
static void begin(struct backend_req *r)
{
	r->moved = 0;
	r->at_iov = 0;
	r->skip = 0;
	r->sync = false;
	r->suspect = 0;
	r->n_failed = backend_failed_flushes(r->b);
}

/* trusts - no flush has failed since the request began to move. If one has: it moves again, or has ended. */
static bool trusts(struct backend_req *r)
{
	if (r->n_failed == backend_failed_flushes(r->b))
		return true;
	if (r->n_again++ == MAX_AGAIN) {
		r->done(r, -EIO);
	} else {
		begin(r);
		piece_next(r);
	}
	return false;
}

static void moved_all(struct backend_req *r)
{
	bool changes = r->kind != IO_READ && r->kind != IO_FLUSH;
	bool by_itself = r->way == IO_WRITE && backend_caps(r->b) & BACKEND_DURABLE;

	if (changes && !trusts(r))
		return;
	if (changes && r->durable && !by_itself && !r->sync && backend_caps(r->b) & BACKEND_FLUSH) {
		r->sync = true;
		piece_next(r);
		return;
	}
	r->done(r, 0);
}

/* --- what is lost --- */
int backend_lost(const struct backend *b)
{
	return __atomic_load_n(&b->lost, __ATOMIC_RELAXED);
}

static void log_loss(const struct backend *b, int lost)
{
	if (lost == -ENOENT)
		log_error(
			"%s: somebody has removed it: nothing is written to it any more, and what it holds "
			"goes with this process",
			b->path);
	else
		log_error("%s: %s: nothing is read from it or written to it any more", b->path,
			lost == -ESTALE ? "somebody has cut it off" : "the device is gone");
}

int backend_look(struct backend *b, struct io *io)
{
	uint64_t now = io_now(io);
	int lost = backend_lost(b), none = 0;

	if (lost || !b->ops->look || __atomic_load_n(&b->looked_ns, __ATOMIC_RELAXED) == now)
		return lost;
	__atomic_store_n(&b->looked_ns, now, __ATOMIC_RELAXED);
	lost = b->ops->look(b);
	if (lost && __atomic_compare_exchange_n(
			    &b->lost, &none, lost, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		log_loss(b, lost);
	return lost;
}

/* --- pieces --- */
static void move_on(struct backend_req *r, uint64_t n)
{
	r->moved += n;
	if (r->way == IO_CLONE || (r->way == IO_WRITE && r->kind != IO_WRITE))
		return; /* it has no place; zeros have none either */
	while (n && n >= r->iov[r->at_iov].iov_len - r->skip) {
		n -= r->iov[r->at_iov++].iov_len - r->skip;
		r->skip = 0;
	}
	r->skip += n;
}

/* Down one step; false: there is none. */
static bool way_down(struct backend_req *r)
{
	static const char instead[] = "zeros are written instead";

	if (r->way == IO_PUNCH)
		drop_cap(r->b, BACKEND_PUNCH, "punch holes", instead);
	else if (r->way == IO_ZERO)
		drop_cap(r->b, BACKEND_ZERO, "zero a range", instead);
	else
		return false;
	return true;
}

/* Another time it would be the same. */
static bool is_for_good(int64_t res)
{
	return res == -EOPNOTSUPP || res == -ENOSYS || res == -EXDEV || res == -EINVAL ||
	       res == -EPERM;
}

/* SEEK_DATA finds nothing behind the last data (ENXIO); a system that does not know says EINVAL. */
static void on_sought(struct io_disk *d, int64_t res)
{
	struct backend_req *r = container_of(d, struct backend_req, disk);
	uint64_t size = r->b->info.size;

	if (res >= 0)
		r->found = MIN((uint64_t)res, size);
	else
		r->found = res == -ENXIO || d->kind == IO_HOLE ? size : d->off;
	r->done(r, res < 0 && res != -ENXIO && res != -EINVAL && res != -EOPNOTSUPP ? (int)res : 0);
}

/* --- where a read fails --- */
static bool is_of_medium(int64_t res)
{
	return res == -EIO || res == -ENODATA || res == -EILSEQ;
}

static uint64_t unit(const struct backend *b)
{
	return MAX(b->info.align_offset, (uint32_t)MIN_UNIT);
}

/* A read has failed, and its owner is told where: the piece is read again in halves, the first one
 * first, until a unit fails by itself; what lies before it has been read by then. Where all is well
 * the second time, the request has failed all the same. */
static void search(struct backend_req *r, int64_t res)
{
	if (!r->suspect)
		r->error = (int)res;
	r->found = r->disk.off;
	if (!is_of_medium(res) || r->disk.len <= unit(r->b)) {
		r->done(r, r->error);
		return;
	}
	r->suspect = r->moved + r->disk.len;
	piece_next(r);
}

static uint64_t search_len(const struct backend_req *r)
{
	uint64_t half = (r->suspect - r->moved) / 2, u = unit(r->b);

	return MAX(half / u * u, u);
}

static void on_flushed(struct backend_req *r, int64_t res)
{
	if (res < 0)
		r->done(r, (int)res);
	else if (!r->sync || trusts(r))
		r->done(r, 0);
}

static void on_disk(struct io_disk *d, int64_t res)
{
	struct backend_req *r = container_of(d, struct backend_req, disk);
	bool bytes = d->kind == IO_READ || d->kind == IO_WRITE || d->kind == IO_CLONE;
	int lost;

	if (d->kind == IO_CLONE && is_for_good(res))
		drop_cap(r->b, BACKEND_CLONE, "share ranges of files",
			"copies of them are read and written");
	if (res == -EOPNOTSUPP && way_down(r)) {
		piece_next(r);
	} else if (res < 0 && r->kind == IO_READ) {
		search(r, res);
	} else if (res < 0) {
		if (d->flags & IO_ALONE) /* what failed may be others' bytes */
			__atomic_add_fetch(&r->b->n_failed_flushes, 1, __ATOMIC_RELEASE);
		r->done(r, (int)res);
	} else if (bytes && res == 0) { /* the end came before the size */
		r->found = d->off;
		__atomic_store_n(&r->b->looked_ns, 0, __ATOMIC_RELAXED);
		lost = backend_look(r->b, r->io);
		r->done(r, lost ? lost : -EIO);
	} else {
		if (bytes)
			move_on(r, MIN((uint64_t)res, d->len));
		else
			r->moved = r->len;
		if (r->suspect && r->moved >= r->suspect)
			r->done(r, r->error);
		else if (r->moved < r->len)
			piece_next(r);
		else
			moved_all(r);
	}
}

static void piece_of_zeros(struct backend_req *r)
{
	uint64_t left = r->len - r->moved;

	if (left < ZEROS_LEN) {
		r->one = (struct iovec){zeros, left};
		r->disk.iov = &r->one;
		r->disk.n_iov = 1;
		r->disk.len = left;
		return;
	}
	r->disk.iov = zero_iov;
	r->disk.n_iov = MIN(left / ZEROS_LEN, N_ZEROS);
	r->disk.len = (uint64_t)r->disk.n_iov * ZEROS_LEN;
}

static void piece_of_vectors(struct backend_req *r)
{
	const struct iovec *iov = &r->iov[r->at_iov];
	unsigned n = 0;
	uint64_t len = 0, most = r->suspect ? search_len(r) : MAX_PIECE;

	if (r->skip || iov->iov_len > most) {
		len = MIN(iov->iov_len - r->skip, most);
		r->one = (struct iovec){(char *)iov->iov_base + r->skip, len};
		iov = &r->one;
		n = 1;
	}
	while (iov != &r->one && r->at_iov + n < r->n_iov && n < MAX_VECTORS &&
		len + iov[n].iov_len <= most)
		len += iov[n++].iov_len;
	r->disk.iov = iov;
	r->disk.n_iov = n;
	r->disk.len = len;
}

static void piece_of_source(struct backend_req *r)
{
	r->disk.from_fd = r->from->ops->source(r->from);
	r->disk.from_off = r->from_off + r->moved;
	r->disk.len = MIN(r->disk.len, (uint64_t)MAX_PIECE);
}

static enum io_disk_kind way_of(const struct backend_req *r)
{
	uint32_t caps = backend_caps(r->b);

	if (r->kind == IO_PUNCH && caps & BACKEND_PUNCH)
		return IO_PUNCH;
	if (r->kind == IO_PUNCH || r->kind == IO_ZERO)
		return caps & BACKEND_ZERO ? IO_ZERO : IO_WRITE;
	return r->kind;
}

static bool is_seek(const struct backend_req *r)
{
	return r->kind == IO_DATA || r->kind == IO_HOLE;
}

static void count_piece(const struct io_disk *d)
{
	static const enum counter kinds[] = {
		[IO_READ] = CTR_DISK_READS,
		[IO_WRITE] = CTR_DISK_WRITES,
		[IO_PUNCH] = CTR_DISK_ZEROS,
		[IO_ZERO] = CTR_DISK_ZEROS,
		[IO_FLUSH] = CTR_DISK_FLUSHES,
	};

	if (d->kind < ARRAY_LEN(kinds))
		count(kinds[d->kind], 1);
}

static void piece_next(struct backend_req *r)
{
	struct io_disk *d = &r->disk;

	r->way = r->sync ? IO_FLUSH : way_of(r);
	*d = (struct io_disk){
		.kind = r->way,
		.fd = -1,
		.off = r->off + r->moved,
		.len = r->len - r->moved,
		.done = is_seek(r) ? on_sought : on_disk,
	};
	list_init(&d->link);
	if (r->way == IO_WRITE && r->durable && backend_caps(r->b) & BACKEND_DURABLE)
		d->flags = IO_DURABLE;
	if (r->way == IO_WRITE && r->kind != IO_WRITE)
		piece_of_zeros(r);
	else if (r->way == IO_READ || r->way == IO_WRITE)
		piece_of_vectors(r);
	else if (r->way == IO_CLONE)
		piece_of_source(r);
	count_piece(d);
	if (r->way == IO_FLUSH)
		flush_submit(r, on_flushed);
	else
		r->b->ops->submit(r->b, r->io, r);
}

/* --- the door --- */
static void check_request(const struct backend *b, const struct backend_req *r)
{
	uint64_t end = r->off + r->len, len = 0;

	check(r->done && end >= r->off && end <= b->info.size);
	if (r->kind == IO_FLUSH || r->kind == IO_DATA || r->kind == IO_HOLE)
		return;
	check(r->len && r->off % b->info.align_offset == 0);
	check(end % b->info.align_offset == 0 || end == b->info.size);
	check(r->kind != IO_CLONE || r->from_off + r->len <= r->from->info.size);
	if (r->kind != IO_READ && r->kind != IO_WRITE)
		return;
	for (unsigned i = 0; i < r->n_iov; i++) {
		check((uintptr_t)r->iov[i].iov_base % b->info.align_memory == 0);
		len += r->iov[i].iov_len;
	}
	check(len == r->len);
}

bool backend_can_clone(const struct backend *to, const struct backend *from)
{
	return backend_caps(to) & backend_caps(from) & BACKEND_CLONE && from->ops->source &&
	       !backend_lost(from) && to->opened.dev == from->opened.dev;
}

void backend_io(struct backend *b, struct io *io, struct backend_req *r)
{
	uint32_t caps = backend_caps(b);
	int lost;

	check_request(b, r);
	r->b = b;
	r->io = io;
	r->n_again = 0;
	begin(r);
	lost = backend_look(b, io);
	if (unlikely(lost && !(lost == -ENOENT && (r->kind == IO_READ || is_seek(r))))) {
		r->found = r->off;
		end_later(r, lost);
	} else if (r->kind != IO_READ && r->kind != IO_FLUSH && !is_seek(r) &&
		   !(caps & BACKEND_WRITE))
		end_later(r, -EROFS);
	else if (r->kind == IO_FLUSH && !(caps & BACKEND_FLUSH))
		end_later(r, 0);
	else
		piece_next(r);
}

int backend_room(struct backend *b, struct backend_room *r)
{
	return b->ops->room ? b->ops->room(b, r) : -EOPNOTSUPP;
}

bool backend_can_stamp(const struct backend *b)
{
	return b->ops->stamp != NULL;
}

int backend_stamp(struct backend *b, struct backend_stamp *s)
{
	return b->ops->stamp ? b->ops->stamp(b, s) : -EOPNOTSUPP;
}

struct backend *backend_free(struct backend *b)
{
	return b ? b->ops->free(b) : NULL;
}
