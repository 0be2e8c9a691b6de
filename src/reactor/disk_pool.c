/* disk_pool.c - disk requests of a reactor without io_uring.
 *
 * Threads come on demand, up to DISK_POOL_THREADS: a server of RAM volumes never starts one. A
 * request goes todo -> a thread -> done -> the reactor's turn, on its own link; nothing is
 * allocated. When not even the first thread can be had the request ends with that error, through
 * the same list. */
#include "disk_pool.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "engine.h"
#include "spin.h"
#include "thread.h"

/* On a block device both end in the kernel's zero-out: punching with discard where the device then
 * reads as zeros (else EOPNOTSUPP), zeroing by whatever the device can. */
int disk_fallocate_mode(enum io_disk_kind kind)
{
	return FALLOC_FL_KEEP_SIZE |
	       (kind == IO_PUNCH ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE);
}

int64_t disk_seek(const struct io_disk *d)
{
	return lseek(d->fd, (off_t)d->off, d->kind == IO_DATA ? SEEK_DATA : SEEK_HOLE);
}

/* A file system that can share may still refuse it, for a range that is not aligned as it wants. */
static int64_t clone_range(const struct io_disk *d)
{
	struct file_clone_range r = {.src_fd = d->from_fd,
		.src_offset = d->from_off,
		.src_length = d->len,
		.dest_offset = d->off};
	off_t from = (off_t)d->from_off, to = (off_t)d->off;

	if (ioctl(d->fd, FICLONERANGE, &r) == 0)
		return (int64_t)d->len;
	if (!(d->flags & IO_COPIES))
		return -1;
	return copy_file_range(d->from_fd, &from, d->fd, &to, d->len, 0);
}

static int64_t call(const struct io_disk *d)
{
	int n_iov = (int)MIN(d->n_iov, ENGINE_MAX_IOV);

	switch (d->kind) {
	case IO_READ:
		return preadv2(d->fd, d->iov, n_iov, (off_t)d->off, 0);
	case IO_WRITE:
		return pwritev2(
			d->fd, d->iov, n_iov, (off_t)d->off, d->flags & IO_DURABLE ? RWF_DSYNC : 0);
	case IO_FLUSH:
		return fdatasync(d->fd);
	case IO_PUNCH:
	case IO_ZERO:
		return fallocate(d->fd, disk_fallocate_mode(d->kind), (off_t)d->off, (off_t)d->len);
	case IO_DATA:
	case IO_HOLE:
		return disk_seek(d);
	case IO_CLONE:
		return clone_range(d);
	}
	errno = EINVAL;
	return -1;
}

static int64_t perform(const struct io_disk *d)
{
	int64_t res;

	do
		res = call(d);
	while (res < 0 && errno == EINTR);
	return res < 0 ? -errno : res;
}

static void finish(struct disk_pool *p, struct io_disk *d, int64_t res)
{
	d->res = res;
	spin_lock(&p->done_lock);
	list_push_back(&p->done, &d->link);
	spin_unlock(&p->done_lock);
	p->io->ops->wake(p->io);
}

static void *worker(void *arg)
{
	struct disk_pool *p = arg;

	pthread_mutex_lock(&p->mutex);
	while (!p->ending) {
		struct list *node = list_pop(&p->todo);
		struct io_disk *d;

		if (!node) {
			p->n_idle++;
			pthread_cond_wait(&p->more, &p->mutex);
			p->n_idle--;
			continue;
		}
		pthread_mutex_unlock(&p->mutex);
		d = list_entry(node, struct io_disk, link);
		finish(p, d, perform(d));
		pthread_mutex_lock(&p->mutex);
	}
	pthread_mutex_unlock(&p->mutex);
	return NULL;
}

void disk_pool_init(struct disk_pool *p, struct io *io)
{
	*p = (struct disk_pool){.io = io};
	pthread_mutex_init(&p->mutex, NULL);
	pthread_cond_init(&p->more, NULL);
	list_init(&p->todo);
	list_init(&p->done);
}

void disk_pool_deinit(struct disk_pool *p)
{
	pthread_mutex_lock(&p->mutex);
	check(list_empty(&p->todo));
	p->ending = true;
	pthread_cond_broadcast(&p->more);
	pthread_mutex_unlock(&p->mutex);
	for (unsigned i = 0; i < p->n_threads; i++)
		pthread_join(p->thread[i], NULL);
	check(list_empty(&p->done));
	pthread_cond_destroy(&p->more);
	pthread_mutex_destroy(&p->mutex);
}

static int add_thread(struct disk_pool *p)
{
	char name[16];
	int rc;

	snprintf(name, sizeof(name), "berth-%u-disk%u", p->io->index % 1000, p->n_threads % 10);
	rc = thread_start(&p->thread[p->n_threads], name, worker, p);
	if (rc == 0)
		p->n_threads++;
	return rc;
}

void disk_pool_take(struct disk_pool *p, struct io_disk *d)
{
	bool all_busy;
	int rc = 0;

	d->io = p->io;
	pthread_mutex_lock(&p->mutex);
	list_push_back(&p->todo, &d->link);
	all_busy = p->n_idle == 0;
	pthread_cond_signal(&p->more);
	pthread_mutex_unlock(&p->mutex);
	/* n_threads is the reactor's own: only it adds and ends threads. */
	if (all_busy && p->n_threads < DISK_POOL_THREADS)
		rc = add_thread(p);
	if (rc < 0 && !p->n_threads) {
		list_remove(&d->link); /* nobody else has seen it */
		finish(p, d, rc);
	}
}

bool disk_pool_has_done(struct disk_pool *p)
{
	bool some;

	spin_lock(&p->done_lock);
	some = !list_empty(&p->done);
	spin_unlock(&p->done_lock);
	return some;
}

bool disk_pool_reap(struct disk_pool *p)
{
	bool some = false;
	struct list batch, *node;

	list_init(&batch);
	spin_lock(&p->done_lock);
	list_splice_back(&batch, &p->done);
	spin_unlock(&p->done_lock);
	while ((node = list_pop(&batch))) {
		struct io_disk *d = list_entry(node, struct io_disk, link);

		some = true;
		d->done(d, d->res);
	}
	return some;
}
