/* end.c - see end.h. */
#include "end.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "check.h"
#include "parse.h"

#define NEITHER "neither a file nor a block device"
enum { FILE_MAX_IO = 16 << 20, HOLE_UNIT = 65536 };

static int refuse(char *err, size_t len, int error, const char *name, const char *why)
{
	snprintf(err, len, "%s: %s", name, why ? why : strerror(-error));
	return error;
}

/* --- opening --- */

static int open_url(struct end *e, const struct client_words *w, char *err, size_t err_len)
{
	struct berth_options o = {.depth = END_DEPTH};
	char why[200];
	int rc = berth_url_parse(&e->url, e->name, err, err_len);

	if (rc)
		return rc;
	client_label(&e->url, e->label);
	rc = client_settle(w, &e->url, &o, err, err_len);
	if (rc)
		return rc;
	if (!*e->url.target)
		return refuse(err, err_len, -EINVAL, e->label, "the URL names no target");
	rc = berth_open_wait(&e->s, &e->url, &o, why, sizeof(why));
	if (rc)
		return refuse(err, err_len, rc, e->label, why);
	rc = berth_disk_wait(e->s, &e->disk);
	if (rc)
		return refuse(err, err_len, rc, e->label,
			rc == -ENXIO ? "the target has no such LUN"
				     : "this LUN does not tell its size");
	if (e->disk.block_len > HOLE_UNIT || e->disk.block_len & (e->disk.block_len - 1))
		return refuse(err, err_len, -EINVAL, e->label, "blocks of an odd length");
	if (e->writes && e->disk.read_only)
		return refuse(err, err_len, -EROFS, e->label, "the disk is read-only");
	e->len = e->disk.n_blocks * e->disk.block_len;
	return 0;
}

static int open_file(struct end *e, char *err, size_t err_len)
{
	/* A pipe is told for what it is, not waited for. */
	int flags = (e->writes ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK;
	struct stat st;
	uint64_t len = 0;

	if (!strcmp(e->name, "-")) /* so is written what has no length, and cannot be sought in */
		return refuse(
			err, err_len, -EINVAL, e->label, NEITHER " (a file of this name: ./-)");
	e->fd = open(e->name, flags);
	if (e->fd < 0 && errno == ENOENT && e->writes) {
		e->fd = open(e->name, flags | O_CREAT | O_EXCL, 0666);
		e->made = e->fd >= 0;
		/* Another has made it by now, or it is a link to nothing yet. */
		if (!e->made && errno == EEXIST)
			e->fd = open(e->name, flags | O_CREAT, 0666);
	}
	if (e->fd < 0 && errno == EISDIR)
		return refuse(err, err_len, -EINVAL, e->label, NEITHER);
	if (e->fd < 0 || fstat(e->fd, &st) < 0)
		return refuse(err, err_len, -errno, e->label, NULL);
	if (S_ISBLK(st.st_mode)) {
		e->is_device = true;
		if (ioctl(e->fd, BLKGETSIZE64, &len) < 0)
			return refuse(err, err_len, -errno, e->label, NULL);
		e->len = len;
		return 0;
	}
	if (!S_ISREG(st.st_mode))
		return refuse(err, err_len, -EINVAL, e->label, NEITHER);
	e->len = (uint64_t)st.st_size;
	return 0;
}

int end_open(struct end *e, const char *name, bool writes, const struct client_words *w, char *err,
	size_t err_len)
{
	*e = (struct end){.name = name, .writes = writes, .fd = -1};
	e->is_url = !strncmp(name, "iscsi:", 6);
	snprintf(e->label, sizeof(e->label), "%s", e->is_url ? "" : name);
	return e->is_url ? open_url(e, w, err, err_len) : open_file(e, err, err_len);
}

/* claim_file - a server of the image has it locked (backend/file.c, and QEMU some bytes of it): written, it would be
 * spoiled; read, what is only in the server's memory would be missing. One that cannot be locked is not kept. */
static bool claim_file(const struct end *e)
{
	struct flock lock = {.l_type = e->writes ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET};

	return fcntl(e->fd, F_OFD_SETLK, &lock) == 0 || (errno != EAGAIN && errno != EACCES);
}

/* is_named - the file is still to be found. One that was locked when its maker had given it up is not. */
static bool is_named(const struct end *e)
{
	struct stat st, named;

	return fstat(e->fd, &st) == 0 && stat(e->name, &named) == 0 && st.st_dev == named.st_dev &&
	       st.st_ino == named.st_ino;
}

/* claim_device - O_EXCL: nobody has it mounted, or serves it. errno is set. */
static bool claim_device(struct end *e)
{
	int fd = open(e->name, O_RDWR | O_EXCL | O_CLOEXEC);

	if (fd < 0)
		return false;
	close(e->fd);
	e->fd = fd;
	return true;
}

int end_claim(struct end *e, char *err, size_t err_len)
{
	if (e->is_url)
		return 0;
	if (e->is_device && e->writes && !claim_device(e))
		return refuse(err, err_len, -errno, e->label, NULL);
	if (!e->is_device && !claim_file(e))
		return refuse(err, err_len, -EBUSY, e->label, "in use by another process");
	if (!e->is_device && e->writes && !is_named(e))
		return refuse(err, err_len, -ESTALE, e->label, "was replaced while it was opened");
	return 0;
}

int end_prepare(struct end *e, uint64_t len, char *err, size_t err_len)
{
	char why[128];

	if (!e->is_url && !e->is_device) {
		if (ftruncate(e->fd, 0) < 0 || ftruncate(e->fd, (off_t)len) < 0)
			return refuse(err, err_len, -errno, e->label, NULL);
		e->len = len;
		return 0;
	}
	if (len <= e->len)
		return 0;
	snprintf(why, sizeof(why), "has %s, and the source %s", SIZE(e->len), SIZE(len));
	return refuse(err, err_len, -ENOSPC, e->label, why);
}

bool end_same(const struct end *a, const struct end *b)
{
	struct stat s, t;

	if (a->is_url != b->is_url)
		return false;
	if (a->is_url)
		return !strcmp(a->url.host, b->url.host) && !strcmp(a->url.port, b->url.port) &&
		       !strcmp(a->url.target, b->url.target) && a->url.lun == b->url.lun;
	if (fstat(a->fd, &s) < 0 || fstat(b->fd, &t) < 0)
		return false;
	if (a->is_device && b->is_device)
		return s.st_rdev == t.st_rdev;
	return s.st_dev == t.st_dev && s.st_ino == t.st_ino;
}

bool end_undo(struct end *e)
{
	if (!e->made || !claim_file(e) || !is_named(e))
		return false;
	if (lseek(e->fd, 0, SEEK_DATA) >= 0 || errno != ENXIO)
		return false;
	e->made = false;
	return unlink(e->name) == 0;
}

void end_close(struct end *e)
{
	berth_close(e->s);
	e->s = NULL;
	if (e->name && !e->is_url && e->fd >= 0)
		close(e->fd);
	e->fd = -1;
}

uint32_t end_unit(const struct end *e)
{
	return e->is_url ? e->disk.block_len : 1;
}

uint64_t end_max(const struct end *e)
{
	return e->is_url ? (uint64_t)e->disk.max_blocks * e->disk.block_len : FILE_MAX_IO;
}

uint64_t end_max_zero(const struct end *e)
{
	return e->is_url ? (uint64_t)e->disk.max_same_blocks * e->disk.block_len : 1ull << 30;
}

/* --- files --- */

static void file_failed(
	struct end *e, struct slot_io *io, int error, const char *what, uint64_t off)
{
	io->error = error;
	snprintf(io->why, sizeof(io->why), "%s at offset %llu: %s", what, (unsigned long long)off,
		strerror(-error));
}

/* all - the whole length, in as many calls as it takes; what lies behind the end of a file reads as
 * zeros. */
static void file_all(
	struct end *e, struct slot_io *io, uint64_t off, uint8_t *buf, uint32_t len, bool writes)
{
	uint32_t done = 0;

	while (done < len) {
		ssize_t n = writes ? pwrite(e->fd, buf + done, len - done, (off_t)(off + done))
				   : pread(e->fd, buf + done, len - done, (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			file_failed(e, io, -errno, writes ? "writing" : "reading", off + done);
			return;
		}
		if (!n) {
			if (writes)
				file_failed(e, io, -ENOSPC, "writing", off + done);
			else
				memset(buf + done, 0, len - done);
			return;
		}
		done += (uint32_t)n;
	}
}

/* --- both --- */

static void on_done(void *ctx, const struct berth_result *r)
{
	struct slot_io *io = ctx;

	io->waiting = false;
	io->error = r->error;
	if (r->error)
		berth_result_text(r, io->why, sizeof(io->why));
}

static void started(struct slot_io *io, int rc)
{
	io->waiting = rc >= 0;
	io->error = rc < 0 ? rc : 0;
	if (rc < 0)
		snprintf(io->why, sizeof(io->why), "%s", strerror(-rc));
}

void end_read(struct end *e, struct slot_io *io, uint64_t off, void *buf, uint32_t len)
{
	struct iovec iov = {buf, len};

	io->error = 0;
	if (!e->is_url)
		file_all(e, io, off, buf, len, false);
	else
		started(io, berth_read(e->s, off / e->disk.block_len, len / e->disk.block_len, &iov,
				    1, on_done, io));
}

void end_write(struct end *e, struct slot_io *io, uint64_t off, const void *buf, uint32_t len)
{
	struct iovec iov = {(void *)(uintptr_t)buf, len};

	io->error = 0;
	if (!e->is_url)
		file_all(e, io, off, iov.iov_base, len, true);
	else
		started(io, berth_write(e->s, off / e->disk.block_len, len / e->disk.block_len,
				    &iov, 1, on_done, io));
}

bool end_takes_zeros(const struct end *e)
{
	return !e->no_same && (!e->is_url || (e->disk.thin && e->disk.block_len <= 4096));
}

bool end_zero(struct end *e, struct slot_io *io, uint64_t off, uint64_t len)
{
	io->error = 0;
	if (!end_takes_zeros(e))
		return false;
	if (!e->is_url && !e->is_device)
		return true; /* end_prepare() has left nothing but a hole */
	if (e->is_device) {
		e->no_same = fallocate(e->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				     (off_t)off, (off_t)len) < 0;
		return !e->no_same;
	}
	/* WRITE SAME with UNMAP, not UNMAP: that one is a hint, and may leave what it does not like
	 * (SBC-3 4.7.3). */
	started(io,
		berth_write_same(e->s, off / e->disk.block_len, (uint32_t)(len / e->disk.block_len),
			NULL, e->disk.block_len, on_done, io));
	return true;
}

int end_sync(struct end *e, char *err, size_t err_len)
{
	struct berth_result r;
	char why[128];
	int rc;

	if (!e->is_url)
		return fsync(e->fd) < 0 ? refuse(err, err_len, -errno, e->label, NULL) : 0;
	rc = berth_sync_wait(e->s, &r);
	/* A disk without a cache need not know the command. */
	if (rc == -EREMOTEIO && berth_sense_key(&r) == 0x05 && !e->disk.write_cache)
		return 0;
	return rc ? refuse(err, err_len, rc, e->label, berth_result_text(&r, why, sizeof(why))) : 0;
}

/* --- holes of a source --- */

enum { STATUS_HEAD = 8, STATUS_ROW = 16, STATUS_ROWS = 64, STATUS_HOLE = 1 };

/* set_data - bytes from..to are data; widened to whole units, so that pieces suit the blocks of both ends. */
static void set_data(const struct end *e, uint64_t off, uint64_t from, uint64_t to, uint64_t *fromp,
	uint64_t *top)
{
	*fromp = MAX(off, round_down(from, HOLE_UNIT));
	*top = MIN(e->len, round_up(to, HOLE_UNIT));
	if (*top <= off) /* cannot be; but nothing may stand still */
		*top = e->len;
}

/* ask_status - GET LBA STATUS (SBC-3 5.6) from a block on; the number of rows in buf, 0 when the disk does not tell. */
static unsigned ask_status(struct end *e, uint64_t lba, uint8_t *buf, uint32_t len)
{
	struct iovec iov = {buf, len};
	struct berth_command c = {
		.cdb = {0x9e, 0x12}, .lun = -1, .in = &iov, .n_in = 1, .flags = BERTH_REPEATABLE};
	struct berth_result r;

	for (unsigned i = 0; i < 8; i++) {
		c.cdb[2 + i] = (uint8_t)(lba >> (56 - 8 * i));
		if (i < 4)
			c.cdb[10 + i] = (uint8_t)(len >> (24 - 8 * i));
	}
	if (berth_command_wait(e->s, &c, &r) || r.transferred < STATUS_HEAD + STATUS_ROW)
		return 0;
	return (r.transferred - STATUS_HEAD) / STATUS_ROW;
}

static uint64_t big_endian(const uint8_t *at, unsigned len)
{
	uint64_t v = 0;

	while (len--)
		v = v << 8 | *at++;
	return v;
}

/* disk_data - the rows follow each other, holes and data in turn; false: what came is not of that kind. */
static bool disk_data(struct end *e, uint64_t off, uint64_t *fromp, uint64_t *top)
{
	uint8_t buf[STATUS_HEAD + STATUS_ROWS * STATUS_ROW];
	uint64_t lba = off / e->disk.block_len, data = UINT64_MAX;
	unsigned n = ask_status(e, lba, buf, sizeof(buf));

	for (unsigned i = 0; i < n; i++) {
		const uint8_t *row = buf + STATUS_HEAD + i * STATUS_ROW;
		uint64_t at = big_endian(row, 8), count = big_endian(row + 8, 4);
		bool hole = (row[12] & 0x0f) == STATUS_HOLE;

		if (i ? at != lba : at > lba) /* the first may begin earlier */
			return false;
		if (!count || count > e->disk.n_blocks - at || at + count <= lba)
			return false;
		if (hole && data != UINT64_MAX)
			break;
		if (!hole && data == UINT64_MAX)
			data = lba;
		lba = at + count;
	}
	if (!n)
		return false;
	set_data(e, off, (data == UINT64_MAX ? lba : data) * e->disk.block_len,
		lba * e->disk.block_len, fromp, top);
	return true;
}

void end_data(struct end *e, uint64_t off, uint64_t *fromp, uint64_t *top)
{
	off_t from, to;

	*fromp = off;
	*top = e->len;
	if (off >= e->len)
		return;
	if (e->is_url) {
		/* What was unmapped reads as zeros only where the disk says so (LBPRZ). */
		if (!e->disk.thin || !e->disk.zeros || e->no_holes)
			return;
		e->no_holes = !disk_data(e, off, fromp, top);
		return;
	}
	from = lseek(e->fd, (off_t)off, SEEK_DATA);
	if (from < 0) {
		if (errno == ENXIO) /* nothing but a hole to the end */
			*fromp = e->len;
		return;
	}
	to = lseek(e->fd, from, SEEK_HOLE);
	set_data(e, off, (uint64_t)from, to > from ? (uint64_t)to : e->len, fromp, top);
}
