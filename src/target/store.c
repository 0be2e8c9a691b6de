/* store.c - see store.h. Opening is the main thread's, before the reactors run; saving goes through the reactor
 * that the save names. */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "be.h"
#include "check.h"
#include "digest.h"
#include "patience.h"

enum { PLACE = LU_RECORD_MAX + 4096, HEAD = 24, MAGIC = 0x42535431 };

struct store {
	struct lu_store s;
	int fd;
	uint64_t seq;   /* of the newest record */
	unsigned place; /* that does not hold it */
	struct lu_save *save;
	struct io_work work;
	struct io_disk disk;
	uint64_t written; /* bytes */
	struct iovec iov;
	uint8_t buf[PLACE];
};

/* A place: magic, checksum of all that follows, number, length, the record. */
static uint32_t checksum(const uint8_t *p, uint32_t len)
{
	return digest_add(DIGEST_START, p + 8, HEAD - 8 + len);
}

/* --- saving --- */

static void write_on(struct store *t);

static void end_save(struct store *t, int error)
{
	struct lu_save *s = t->save;

	t->save = NULL;
	if (!error)
		t->place ^= 1;
	s->done(s, error);
}

static void on_written(struct io_disk *d, int64_t res)
{
	struct store *t = container_of(d, struct store, disk);

	if (res <= 0) {
		end_save(t, res ? (int)res : -EIO);
		return;
	}
	t->written += (uint64_t)res;
	if (t->written < HEAD + t->save->len)
		write_on(t);
	else
		end_save(t, 0);
}

static void write_on(struct store *t)
{
	uint64_t len = HEAD + t->save->len - t->written;

	t->iov = (struct iovec){t->buf + t->written, len};
	t->disk = (struct io_disk){
		.kind = IO_WRITE,
		.flags = IO_DURABLE,
		.fd = t->fd,
		.off = t->place * PLACE + t->written,
		.len = len,
		.iov = &t->iov,
		.n_iov = 1,
		.done = on_written,
	};
	list_init(&t->disk.link);
	io_disk(t->save->io, &t->disk);
}

static void on_posted(struct io_work *w)
{
	struct store *t = container_of(w, struct store, work);

	write_on(t);
}

/* A record that was begun and not finished has the number of the next one too: only a whole one counts. */
static void store_save(struct lu_store *store, struct lu_save *s)
{
	struct store *t = container_of(store, struct store, s);

	check(!t->save && s->len <= LU_RECORD_MAX);
	t->save = s;
	t->written = 0;
	put_be32(t->buf, MAGIC);
	put_be64(t->buf + 8, ++t->seq);
	put_be32(t->buf + 16, s->len);
	put_be32(t->buf + 20, 0);
	memcpy(t->buf + HEAD, s->data, s->len);
	put_be32(t->buf + 4, checksum(t->buf, s->len));
	t->work.fn = on_posted;
	list_init(&t->work.link);
	io_post(s->io, &t->work);
}

static struct lu_store *store_free(struct lu_store *store)
{
	struct store *t = container_of(store, struct store, s);

	check(!t->save);
	close(t->fd);
	free(t);
	return NULL;
}

/* --- opening --- */

/* read_place - into buf; the record's number, 0 when there is none that is whole. */
static uint64_t read_place(struct store *t, unsigned place, uint32_t *lenp)
{
	ssize_t n = pread(t->fd, t->buf, PLACE, (off_t)place * PLACE);
	uint32_t len;

	if (n < HEAD || get_be32(t->buf) != MAGIC)
		return 0;
	len = get_be32(t->buf + 16);
	if (len > LU_RECORD_MAX || n < HEAD + (ssize_t)len ||
		checksum(t->buf, len) != get_be32(t->buf + 4))
		return 0;
	*lenp = len;
	return get_be64(t->buf + 8);
}

static int load(struct store *t, void **recordp, uint32_t *lenp)
{
	for (unsigned place = 0; place < 2; place++) {
		uint32_t len = 0;
		uint64_t seq = read_place(t, place, &len);

		if (seq <= t->seq)
			continue;
		free(*recordp);
		*recordp = malloc(MAX(len, 1u));
		if (!*recordp)
			return -ENOMEM;
		memcpy(*recordp, t->buf + HEAD, len);
		*lenp = len;
		t->seq = seq;
		t->place = !place;
	}
	return 0;
}

static void file_name(char *path, size_t len, const char *dir, const uint8_t uuid[16])
{
	int n = snprintf(path, len, "%s/", dir);

	for (unsigned i = 0; i < 16 && n > 0 && (size_t)n < len; i++)
		n += snprintf(path + n, len - (size_t)n, "%02x", uuid[i]);
	if (n > 0 && (size_t)n < len)
		snprintf(path + n, len - (size_t)n, ".state");
}

/* open_file - a new one has a name only when its directory is durable. */
static int open_file(const char *dir, const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC), dir_fd;

	if (fd >= 0 || errno != ENOENT)
		return fd < 0 ? -errno : fd;
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd >= 0) {
		(void)fsync(
			dir_fd); /* a directory that cannot be synced is the machine's own business */
		close(dir_fd);
	}
	return fd;
}

static int lock_it(int fd)
{
	unsigned waited = 0;

	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK)
			return -errno;
		if (!patience_left(&waited))
			return -EBUSY;
	}
	return 0;
}

int store_open(struct lu_store **storep, const char *dir, const uint8_t uuid[16], void **recordp,
	uint32_t *lenp, char *err, size_t err_len)
{
	char path[4096];
	struct store *t = calloc(1, sizeof(*t));
	int rc = 0;

	if (!t)
		return -ENOMEM;
	file_name(path, sizeof(path), dir, uuid);
	t->s = (struct lu_store){.save = store_save, .free = store_free};
	t->fd = open_file(dir, path);
	if (t->fd < 0)
		rc = t->fd;
	else
		rc = lock_it(t->fd);
	if (!rc)
		rc = load(t, recordp, lenp);
	if (rc) {
		snprintf(err, err_len, "%s: %s", path,
			rc == -EBUSY ? "in use by another process" : strerror(-rc));
		if (t->fd >= 0)
			close(t->fd);
		free(t);
		return rc;
	}
	*storep = &t->s;
	return 0;
}
