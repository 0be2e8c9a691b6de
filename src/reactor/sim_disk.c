/* sim_disk.c - disks of the simulation: what readers see, what would survive, and the crash
 * between.
 *
 * A disk holds two images: `seen`, what a reader gets now, and `kept`, what is on stable storage. A
 * sector of SECTOR bytes is dirty from the first write after it was last kept. A request takes its
 * time: it moves some sectors at an event, more at the next, so that requests overlap, reads see
 * half of a write that is under way, and a crash meets writes half done.
 *
 * Flush. A flush that fails gives up what it covered: the disk calls it clean and never keeps it unless it is
 * written again, as Linux does with its page cache. A flush covers the sectors that were dirty when it began; each dirtying notes the number of the
 * last flush begun (dirty_since). A sector written again meanwhile is kept with its newer content,
 * which a disk may always do. A sector first dirtied after the flush began stays dirty. */
#include "sim_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SECTOR = 512, FIRST_DISK = 1 << 20, SHORT_ONE_IN = 64, KINDS = IO_CLONE + 1, PAGE = 4096 };

struct sim_disk {
	int number;
	uint64_t size, n_sectors;
	uint8_t *seen, *kept;
	uint32_t *dirty_since; /* 0: clean */
	uint32_t n_flushes;    /* begun; starts at 1 */
	struct {
		unsigned one_in; /* 0: never */
		int error;
		uint64_t n;
	} fail[KINDS];
};

/* A request under way. */
struct request {
	struct list link; /* sim.requests, oldest first */
	struct sim_reactor *reactor;
	struct sim_disk *disk; /* NULL: no such disk */
	struct sim_disk *from; /* IO_CLONE */
	struct io_disk *d;
	uint64_t due_ns;
	uint64_t moved, limit; /* bytes; limit: where it will end */
	int error;             /* that it will end with; 0: none */
	bool nowhere;          /* asked for by the dead */
	uint32_t flush;        /* number of a flush */
};

void sim_disks_init(struct sim *s)
{
	list_init(&s->requests);
}

void sim_disks_deinit(struct sim *s)
{
	while (!list_empty(&s->requests)) {
		struct request *q = list_first(&s->requests, struct request, link);

		list_remove(&q->link);
		free(q);
	}
	for (unsigned i = 0; i < s->n_disks; i++) {
		free(s->disks[i]->seen);
		free(s->disks[i]->kept);
		free(s->disks[i]->dirty_since);
		free(s->disks[i]);
	}
	free(s->disks);
}

static struct sim_disk *disk_find(const struct sim *s, int number)
{
	unsigned i = (unsigned)number - FIRST_DISK;

	return i < s->n_disks ? s->disks[i] : NULL;
}

static struct sim_disk *disk_get(const struct sim *s, int number)
{
	struct sim_disk *disk = disk_find(s, number);

	check(disk);
	return disk;
}

int sim_disk_new(struct sim *s, uint64_t size)
{
	struct sim_disk **disks = realloc(s->disks, (s->n_disks + 1) * sizeof(struct sim_disk *));
	struct sim_disk *disk = calloc(1, sizeof(*disk));

	if (disks)
		s->disks = disks;
	if (!disks || !disk)
		goto fail;
	disk->number = FIRST_DISK + (int)s->n_disks;
	disk->size = size;
	disk->n_sectors = (size + SECTOR - 1) / SECTOR;
	disk->n_flushes = 1;
	disk->seen = calloc(disk->n_sectors, SECTOR);
	disk->kept = calloc(disk->n_sectors, SECTOR);
	disk->dirty_since = calloc(disk->n_sectors, sizeof(*disk->dirty_since));
	if (!disk->seen || !disk->kept || !disk->dirty_since)
		goto fail;
	s->disks[s->n_disks++] = disk;
	return disk->number;
fail:
	if (disk) {
		free(disk->seen);
		free(disk->kept);
		free(disk->dirty_since);
		free(disk);
	}
	return -ENOMEM;
}

void *sim_disk_bytes(struct sim *s, int disk)
{
	return disk_get(s, disk)->seen;
}

void sim_disk_fail(struct sim *s, int disk, enum io_disk_kind kind, unsigned one_in, int error)
{
	struct sim_disk *at = disk_get(s, disk);

	at->fail[kind].one_in = one_in;
	at->fail[kind].error = error < 0 ? error : -error;
}

uint64_t sim_disk_failed(struct sim *s, int disk, enum io_disk_kind kind)
{
	return disk_get(s, disk)->fail[kind].n;
}

/* --- sectors --- */

static void keep(struct sim_disk *disk, uint64_t sector)
{
	memcpy(disk->kept + sector * SECTOR, disk->seen + sector * SECTOR, SECTOR);
	disk->dirty_since[sector] = 0;
}

static void make_dirty(struct sim_disk *disk, uint64_t off, uint64_t len)
{
	for (uint64_t i = off / SECTOR; len && i <= (off + len - 1) / SECTOR; i++)
		if (!disk->dirty_since[i])
			disk->dirty_since[i] = disk->n_flushes;
}

/* Moves the request's bytes [from, from + len) between its vector and the disk. */
static void transfer(struct request *q, uint64_t from, uint64_t len)
{
	uint8_t *at = q->disk->seen + q->d->off + from;
	uint64_t skip = from;

	if (q->d->kind == IO_PUNCH || q->d->kind == IO_ZERO)
		memset(at, 0, len);
	if (q->d->kind == IO_CLONE)
		memcpy(at, q->from->seen + q->d->from_off + from, len);
	if (q->d->kind != IO_READ)
		make_dirty(q->disk, q->d->off + from, len);
	if (q->d->kind != IO_READ && q->d->kind != IO_WRITE)
		return;
	for (unsigned i = 0; len; i++) {
		const struct iovec *v = &q->d->iov[i];
		uint64_t n;

		if (skip >= v->iov_len) {
			skip -= v->iov_len;
			continue;
		}
		n = MIN(len, v->iov_len - skip);
		if (q->d->kind == IO_READ)
			memcpy((uint8_t *)v->iov_base + skip, at, n);
		else
			memcpy(at, (uint8_t *)v->iov_base + skip, n);
		at += n;
		len -= n;
		skip = 0;
	}
}

/* --- requests --- */

static void request_end(struct sim *s, struct request *q, int64_t res)
{
	q->d->res = res;
	sim_mix(s, (uint64_t)res);
	list_remove(&q->link);
	list_push_back(&q->reactor->done, &q->d->link);
	free(q);
}

static bool moves(const struct io_disk *d)
{
	return d->kind == IO_READ || d->kind == IO_WRITE || d->kind == IO_CLONE;
}

/* sought - pages of zeros are holes. */
static int64_t sought(const struct sim_disk *disk, const struct io_disk *d)
{
	uint64_t at = d->off;

	while (at < disk->size) {
		uint64_t next = MIN(round_down(at, PAGE) + PAGE, disk->size);
		const uint8_t *p = disk->seen + at;
		bool hole = !p[0] && !memcmp(p, p + 1, next - at - 1);

		if (hole == (d->kind == IO_HOLE))
			return (int64_t)at;
		at = next;
	}
	return d->kind == IO_HOLE ? (int64_t)disk->size : -ENXIO;
}

static void end_well(struct sim *s, struct request *q)
{
	struct sim_disk *disk = q->disk;

	if (q->d->kind == IO_DATA || q->d->kind == IO_HOLE) {
		request_end(s, q, sought(disk, q->d));
		return;
	}
	if (q->d->kind == IO_FLUSH) {
		for (uint64_t i = 0; i < disk->n_sectors; i++)
			if (disk->dirty_since[i] && disk->dirty_since[i] < q->flush)
				keep(disk, i);
	} else if (q->d->kind == IO_WRITE && q->d->flags & IO_DURABLE && q->moved) {
		for (uint64_t i = q->d->off / SECTOR; i <= (q->d->off + q->moved - 1) / SECTOR; i++)
			keep(disk, i);
	}
	request_end(s, q, moves(q->d) ? (int64_t)q->moved : 0);
}

static void end_badly(struct sim *s, struct request *q)
{
	struct sim_disk *disk = q->disk;

	for (uint64_t i = 0; q->d->kind == IO_FLUSH && i < disk->n_sectors; i++)
		if (disk->dirty_since[i] < q->flush && sim_coin(s, 2))
			disk->dirty_since[i] = 0;
	request_end(s, q, q->error);
}

static uint64_t delay(struct sim *s)
{
	if (!s->p.max_disk_delay_ns)
		return sim_delay(s);
	return s->now_ns + sim_random(s, s->p.max_disk_delay_ns + 1);
}

/* How much moves next: everything, or up to some sector boundary. */
static uint64_t share(struct sim *s, const struct request *q)
{
	uint64_t left = q->limit - q->moved, at = q->d->off + q->moved, n;

	if (left <= SECTOR || sim_coin(s, 2))
		return left;
	n = round_down(at + 1 + sim_random(s, left), SECTOR);
	return n > at ? MIN(n - at, left) : left;
}

static void request_step(struct sim *s, void *arg)
{
	struct request *q = arg;
	uint64_t n;

	sim_mix(s, (uint64_t)q->d->kind << 56 | q->d->off);
	if (!q->disk) {
		request_end(s, q, -EBADF);
		return;
	}
	if (q->nowhere) {
		request_end(s, q, moves(q->d) ? (int64_t)q->limit : 0);
		return;
	}
	if (q->moved < q->limit) {
		n = share(s, q);
		transfer(q, q->moved, n);
		q->moved += n;
	}
	if (q->moved < q->limit)
		q->due_ns = delay(s);
	else if (q->error)
		end_badly(s, q);
	else
		end_well(s, q);
}

void sim_disks_offer(struct sim *s)
{
	list_for_each(node, &s->requests) {
		struct request *q = list_entry(node, struct request, link);

		sim_offer(s, q->due_ns, request_step, q);
	}
}

static uint64_t length_of(const struct io_disk *d)
{
	uint64_t len = 0;

	if (d->kind == IO_PUNCH || d->kind == IO_ZERO || d->kind == IO_CLONE)
		return d->len;
	if (d->kind == IO_FLUSH || d->kind == IO_DATA || d->kind == IO_HOLE)
		return 0;
	for (unsigned i = 0; i < d->n_iov; i++)
		len += d->iov[i].iov_len;
	return len;
}

/* What the request will come to is settled when it starts. */
static void foresee(struct sim *s, struct request *q)
{
	const struct sim_disk *disk = q->disk;
	const struct io_disk *d = q->d;
	uint64_t len = length_of(d), room = d->off < disk->size ? disk->size - d->off : 0;

	q->limit = MIN(len, room);
	if (len > room && d->kind != IO_READ && (d->kind != IO_WRITE || !room))
		q->error = -ENOSPC;
	if (moves(d) && q->limit > SECTOR && sim_coin(s, SHORT_ONE_IN))
		q->limit = round_up(1 + sim_random(s, q->limit - SECTOR), SECTOR);
	if (disk->fail[d->kind].one_in && sim_coin(s, disk->fail[d->kind].one_in)) {
		q->disk->fail[d->kind].n++;
		q->error = disk->fail[d->kind].error;
		q->limit = round_down(sim_random(s, q->limit + 1), SECTOR);
	}
}

void sim_disk_request(struct io *io, struct io_disk *d)
{
	struct sim_reactor *r = sim_reactor_of(io);
	struct sim *s = r->sim;
	struct request *q = calloc(1, sizeof(*q));

	check(q); /* of the simulation's own, not of the machine under test */
	d->io = io;
	q->reactor = r;
	q->d = d;
	q->disk = disk_find(s, d->fd);
	q->from = d->kind == IO_CLONE ? disk_get(s, d->from_fd) : NULL;
	q->due_ns = delay(s);
	q->nowhere = s->dead;
	if (q->nowhere) {
		q->limit = length_of(d);
	} else if (q->disk) {
		foresee(s, q);
		if (d->kind == IO_FLUSH)
			q->flush = ++q->disk->n_flushes;
	}
	list_push_back(&s->requests, &q->link);
}

/* --- the crash --- */

static void crash_request(struct sim *s, struct request *q)
{
	while (q->d->kind != IO_READ && q->moved < q->limit) {
		uint64_t at = q->d->off + q->moved;
		uint64_t n = MIN(q->limit - q->moved, SECTOR - at % SECTOR);

		if (sim_coin(s, 2))
			transfer(q, q->moved, n);
		q->moved += n;
	}
	request_end(s, q, -EIO);
}

void sim_disks_die(struct sim *s)
{
	list_for_each_safe(node, next, &s->requests) {
		struct request *q = list_entry(node, struct request, link);

		if (q->disk)
			crash_request(s, q);
	}
}

void sim_disk_crash(struct sim *s, int disk)
{
	struct sim_disk *at = disk_get(s, disk);

	list_for_each_safe(node, next, &s->requests) {
		struct request *q = list_entry(node, struct request, link);

		if (q->disk == at)
			crash_request(s, q);
	}
	for (uint64_t i = 0; i < at->n_sectors; i++) {
		/* Clean and yet not kept: a failed flush gave it up. */
		if (!at->dirty_since[i] || sim_coin(s, 2))
			memcpy(at->seen + i * SECTOR, at->kept + i * SECTOR, SECTOR);
		keep(at, i);
	}
	sim_mix_bytes(s, at->seen, at->size);
}
