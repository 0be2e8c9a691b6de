/* file.c - a raw image or a block device.
 *
 * Bytes go past the page cache of the system (O_DIRECT) through one descriptor. What cannot,
 * because it is not aligned (the tail of an image whose size is no multiple of the disk's block,
 * the rest of a short transfer), goes through a second, buffered one; the system keeps both
 * coherent, and nobody else has the file: a lock keeps other servers off, O_EXCL other users of a
 * device. A file system without O_DIRECT gets buffered descriptors only. */
#include "backend.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/stat.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "check.h"
#include "log.h"
#include "parse.h"

enum { MAX_ALIGN = 4096 }; /* the pages we move */

struct file {
	struct backend b;
	int fd;          /* locked; O_DIRECT where it can be had */
	int buffered_fd; /* the same when it cannot */
	bool device;
	bool copies; /* the file system copies ranges by itself, elsewhere */
	bool named;  /* else it never had a name that it could lose */
	char path[];
};

static struct file *self(const struct backend *b)
{
	return container_of(b, struct file, b);
}

/* --- requests --- */
static bool is_aligned(const struct file *f, const struct io_disk *d)
{
	uint32_t align = f->b.info.align_offset, align_memory = f->b.info.align_memory;

	if ((d->off | d->len) % align)
		return false;
	for (unsigned i = 0; i < d->n_iov; i++)
		if ((uintptr_t)d->iov[i].iov_base % align_memory || d->iov[i].iov_len % align)
			return false;
	return true;
}

static void file_submit(struct backend *b, struct io *io, struct backend_req *r)
{
	struct file *f = self(b);
	struct io_disk *d = &r->disk;

	d->fd = f->fd;
	if ((d->kind == IO_READ || d->kind == IO_WRITE) && !is_aligned(f, d))
		d->fd = f->buffered_fd;
	/* Of bytes in the system's cache, whosoever they are, each failure to write them back is told once. */
	if (d->flags & IO_DURABLE && d->fd == f->buffered_fd)
		d->flags |= IO_ALONE;
	if (d->kind == IO_CLONE)
		d->fd = f->buffered_fd;
	if (d->kind == IO_CLONE && f->copies)
		d->flags |= IO_COPIES;
	if (f->device)
		d->flags |= IO_BLOCKDEV;
	io_disk(io, d);
}

static struct backend *file_free(struct backend *b)
{
	struct file *f = self(b);

	if (f->buffered_fd >= 0 && f->buffered_fd != f->fd)
		close(f->buffered_fd);
	if (f->fd >= 0)
		close(f->fd);
	free(f);
	return NULL;
}

static int file_stamp(struct backend *b, struct backend_stamp *s)
{
	struct file *f = self(b);
	struct stat st;

	if (fstat(f->fd, &st) < 0)
		return -errno;
	*s = (struct backend_stamp){
		.dev = st.st_dev, .ino = st.st_ino, .size = (uint64_t)st.st_size};
	s->mtime_ns = (uint64_t)st.st_mtim.tv_sec * 1000000000 + (uint64_t)st.st_mtim.tv_nsec;
	if (f->device) /* a node may be made anew for the same device */
		*s = (struct backend_stamp){.dev = st.st_rdev, .size = b->info.size};
	return 0;
}

static int file_look(struct backend *b)
{
	struct file *f = self(b);
	uint64_t size;
	struct stat st;

	if (f->device)
		return ioctl(f->fd, BLKGETSIZE64, &size) < 0 || size < b->info.size ? -ENODEV : 0;
	if (fstat(f->fd, &st) < 0)
		return -ESTALE;
	if ((uint64_t)st.st_size < b->info.size)
		return -ESTALE;
	return f->named && !st.st_nlink ? -ENOENT : 0;
}

/* The file system knows what it can still give; a device does not tell. */
static int file_room(struct backend *b, struct backend_room *r)
{
	struct file *f = self(b);
	struct statvfs fs;
	struct stat st;

	if (f->device || fstat(f->fd, &st) < 0 || fstatvfs(f->fd, &fs) < 0 || !fs.f_blocks)
		return -EOPNOTSUPP;
	r->used = (uint64_t)st.st_blocks * 512;
	r->available = (uint64_t)fs.f_bavail * fs.f_frsize;
	return 0;
}

static int file_source(const struct backend *b)
{
	return self(b)->buffered_fd;
}

static const struct backend_ops file_ops = {
	.name = "file",
	.submit = file_submit,
	.free = file_free,
	.stamp = file_stamp,
	.look = file_look,
	.room = file_room,
	.source = file_source,
};

/* --- opening --- */
struct opening {
	const struct file_params *p;
	struct file *f;
	char *err;
	size_t err_len;
};

static int refuse(struct opening *o, int error, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int refuse(struct opening *o, int error, const char *fmt, ...)
{
	int n = snprintf(o->err, o->err_len, "%s: ", o->p->path);
	va_list ap;

	va_start(ap, fmt);
	if (n >= 0 && (size_t)n < o->err_len)
		vsnprintf(o->err + n, o->err_len - n, fmt, ap);
	va_end(ap);
	return error;
}

static int refuse_errno(struct opening *o, int error)
{
	return refuse(o, error, "%s", strerror(-error));
}

static int open_path(const struct file_params *p, int flags)
{
	int fd = open(p->path, (p->ro ? O_RDONLY : O_RDWR) | O_CLOEXEC | flags, 0600);

	return fd < 0 ? -errno : fd;
}

/* By itself, since an open that is refused O_DIRECT may leave an empty file behind. */
static int create_missing(const struct file_params *p)
{
	int fd, r = 0;

	if (!p->create_size || p->ro)
		return 0;
	fd = open_path(p, O_CREAT | O_EXCL);
	if (fd < 0)
		return fd == -EEXIST ? 0 : fd;
	if (ftruncate(fd, (off_t)p->create_size) < 0) {
		r = -errno;
		unlink(p->path);
	}
	close(fd);
	return r;
}

/* The first descriptor. O_EXCL without O_CREAT is what claims a block device. */
static int open_first(struct opening *o, int flags)
{
	struct stat st;
	int fd;

	if (stat(o->p->path, &st) < 0)
		return -errno;
	/* Before it is opened: a pipe would be waited for, and other devices do what they like. */
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return refuse(o, -EINVAL, "is neither a file nor a block device");
	fd = open_path(o->p, flags | (S_ISBLK(st.st_mode) ? O_EXCL : 0));
	return fd == -EBUSY ? refuse(o, fd, "in use by another process") : fd;
}

static int open_direct(struct opening *o)
{
	struct file *f = o->f;
	int fd = open_first(o, O_DIRECT);

	if (fd == -EINVAL) {
		fd = open_first(o, 0);
		f->buffered_fd = fd;
	}
	if (fd < 0)
		return o->err[0] ? fd : refuse_errno(o, fd);
	f->fd = fd;
	return 0;
}

static int lock_file(struct opening *o)
{
	struct flock lock = {.l_type = o->p->ro ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET};

	if (fcntl(o->f->fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	if (errno == EAGAIN || errno == EACCES)
		return refuse(
			o, -EBUSY, "in use: by another process, or as another disk of this one");
	if (flock(o->f->fd, (o->p->ro ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return refuse(
			o, -EBUSY, "in use: by another process, or as another disk of this one");
	log_warn("%s: cannot be locked (%s): nothing keeps a second server off it", o->p->path,
		strerror(errno));
	return 0;
}

/* --- shape --- */
static uint64_t queue_limit(dev_t dev, const char *name, uint64_t otherwise)
{
	static const char *const where[] = {"queue", "../queue"}; /* whole disks, partitions */
	uint64_t value = otherwise;

	for (unsigned i = 0; i < ARRAY_LEN(where); i++) {
		char path[128];
		FILE *file;

		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s/%s", major(dev), minor(dev),
			where[i], name);
		file = fopen(path, "re");
		if (!file)
			continue;
		if (fscanf(file, "%lu", &value) != 1)
			value = otherwise;
		fclose(file);
		break;
	}
	return value;
}

static int device_shape(struct opening *o, const struct stat *st)
{
	struct backend_info *info = &o->f->b.info;
	int sector = 512;

	if (ioctl(o->f->fd, BLKGETSIZE64, &info->size) < 0 ||
		ioctl(o->f->fd, BLKSSZGET, &sector) < 0)
		return refuse_errno(o, -errno);
	if ((uint32_t)sector > o->p->block)
		return refuse(o, -EINVAL, "the device has blocks of %d bytes, more than block=%u",
			sector, o->p->block);
	if (o->p->create_size && o->p->create_size != info->size)
		return refuse(o, -EINVAL, "the device has %s, not size=%s", SIZE(info->size),
			SIZE(o->p->create_size));
	o->f->device = true;
	o->f->b.opened = (struct backend_stamp){.dev = st->st_rdev, .size = info->size};
	info->align_offset = sector;
	info->align_memory = sector;
	info->caps |= BACKEND_ZERO;
	if (queue_limit(st->st_rdev, "write_zeroes_max_bytes", 0))
		info->caps |= BACKEND_PUNCH;
	if (queue_limit(st->st_rdev, "rotational", 0))
		info->caps |= BACKEND_ROTATES;
	return 0;
}

/* nameless - a file of the same file system to ask things of, so that the image keeps its time of
 * change, by which we know whether somebody else has written to it; -1: there is none. */
static int nameless(const struct file *f)
{
	const char *slash = strrchr(f->path, '/');
	char dir[4096];

	if (slash && (size_t)(slash - f->path) >= sizeof(dir))
		return -1;
	snprintf(dir, sizeof(dir), "%.*s", slash ? MAX((int)(slash - f->path), 1) : 1,
		slash ? f->path : ".");
	return open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

/* Else it is asked of the image beyond its end, where nothing can be lost: a file system that cannot
 * says so all the same. */
static void image_caps(struct file *f)
{
	off_t beyond = (off_t)((f->b.info.size + MAX_ALIGN - 1) / MAX_ALIGN * MAX_ALIGN);
	int other = nameless(f), fd = other < 0 ? f->fd : other;

	if (fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_ZERO_RANGE, beyond, MAX_ALIGN) == 0)
		f->b.info.caps |= BACKEND_ZERO;
	if (fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, beyond, MAX_ALIGN) == 0)
		f->b.info.caps |= BACKEND_PUNCH;
	if (other >= 0)
		close(other);
}

/* What direct I/O asks for; without an answer, a page. A file system may take O_DIRECT and say only here that it has
 * no direct I/O for this file (statx(2): an alignment of 0). */
static void image_align(struct file *f)
{
	struct backend_info *info = &f->b.info;
	struct statx sx = {0};

	info->align_offset = info->align_memory = MAX_ALIGN;
#ifdef STATX_DIOALIGN
	if (f->buffered_fd != f->fd && statx(f->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &sx) == 0 &&
		sx.stx_mask & STATX_DIOALIGN) {
		info->align_offset = sx.stx_dio_offset_align;
		info->align_memory = MAX(sx.stx_dio_mem_align, 1u);
		if (!info->align_offset && fcntl(f->fd, F_SETFL, 0) == 0)
			f->buffered_fd = f->fd;
	}
#endif
	if (f->buffered_fd == f->fd) {
		log_info("%s: no direct I/O here, the system's page cache is used", f->path);
		info->align_offset = info->align_memory = 1;
	}
}

/* copies_itself - on others, local ones, copy_file_range moves the bytes through the system's page cache: three times
 * slower than through ours (docs/PERFORMANCE.md). */
static bool copies_itself(int fd)
{
	static const uint32_t kinds[] = {
		0x6969,     /* NFS */
		0xfe534d42, /* SMB */
		0xff534d42, /* CIFS */
		0x00c36400, /* Ceph */
		0x65735546, /* FUSE */
	};
	struct statfs fs;

	for (unsigned i = 0; fstatfs(fd, &fs) == 0 && i < ARRAY_LEN(kinds); i++)
		if ((uint32_t)fs.f_type == kinds[i])
			return true;
	return false;
}

static int image_shape(struct opening *o, const struct stat *st)
{
	struct backend_info *info = &o->f->b.info;

	info->size = (uint64_t)st->st_size;
	o->f->named = st->st_nlink > 0;
	if (o->p->create_size && o->p->create_size != info->size)
		return refuse(o, -EINVAL, "is there and has %s, not size=%s", SIZE(info->size),
			SIZE(o->p->create_size));
	image_align(o->f);
	if (!o->p->ro)
		image_caps(o->f);
	info->caps |= BACKEND_CLONE;
	o->f->copies = copies_itself(o->f->fd);
	if (queue_limit(st->st_dev, "rotational", 0))
		info->caps |= BACKEND_ROTATES;
	return 0;
}

static int open_buffered(struct opening *o, const struct stat *st)
{
	struct file *f = o->f;
	struct stat same;

	if (f->buffered_fd >= 0)
		return 0;
	f->buffered_fd = open_path(o->p, 0);
	if (f->buffered_fd < 0)
		return refuse_errno(o, f->buffered_fd);
	if (fstat(f->buffered_fd, &same) < 0 || same.st_dev != st->st_dev ||
		same.st_ino != st->st_ino)
		return refuse(o, -ESTALE, "was replaced while it was opened");
	return 0;
}

static int shape(struct opening *o)
{
	struct backend_info *info = &o->f->b.info;
	struct stat st;
	int r;

	/* Before asking what it can do, which may leave a trace. */
	if (fstat(o->f->fd, &st) < 0 || file_stamp(&o->f->b, &o->f->b.opened) < 0)
		return refuse_errno(o, -errno);
	info->caps = BACKEND_FLUSH;
	if (S_ISBLK(st.st_mode))
		r = device_shape(o, &st);
	else if (S_ISREG(st.st_mode))
		r = image_shape(o, &st);
	else
		r = refuse(o, -EINVAL, "is neither a file nor a block device");
	if (r)
		return r;
	if (o->p->ro)
		info->caps &= BACKEND_FLUSH | BACKEND_ROTATES | BACKEND_CLONE;
	else
		info->caps |= BACKEND_WRITE | BACKEND_DURABLE;
	if (!info->size)
		return refuse(o, -EINVAL, "is empty");
	if (info->size % o->p->block)
		return refuse(o, -EINVAL, "its size, %s, is no multiple of block=%u",
			SIZE(info->size), o->p->block);
	if (info->align_offset > MAX_ALIGN || info->align_memory > MAX_ALIGN)
		return refuse(o, -EINVAL, "direct I/O in units of %u bytes is not supported",
			MAX(info->align_offset, info->align_memory));
	return open_buffered(o, &st);
}

int backend_file_open(struct backend **bp, const struct file_params *p, char *err, size_t err_len)
{
	size_t path_len = strlen(p->path) + 1;
	struct opening o = {.p = p, .err = err, .err_len = err_len};
	int r;

	check(err_len);
	err[0] = '\0';
	o.f = calloc(1, sizeof(*o.f) + path_len);
	if (!o.f)
		return refuse_errno(&o, -ENOMEM);
	o.f->b.ops = &file_ops;
	o.f->b.path = memcpy(o.f->path, p->path, path_len);
	o.f->fd = o.f->buffered_fd = -1;
	r = create_missing(p);
	r = r ? refuse_errno(&o, r) : open_direct(&o);
	if (!r)
		r = lock_file(&o);
	if (!r)
		r = shape(&o);
	if (r) {
		file_free(&o.f->b);
		return r;
	}
	*bp = &o.f->b;
	return 0;
}

/* The descriptor's own name opens it again, twice, as a path does. */
int backend_memory_open(
	struct backend **bp, uint64_t size, uint32_t block, char *err, size_t err_len)
{
	int fd = memfd_create("berth-disk", MFD_CLOEXEC), r = fd < 0 ? -errno : 0;
	char path[32];
	struct file_params p = {.path = path, .block = block};

	if (!r && ftruncate(fd, (off_t)size) < 0)
		r = -errno;
	if (r) {
		snprintf(err, err_len, "memory: %s", strerror(-r));
	} else {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		r = backend_file_open(bp, &p, err, err_len);
	}
	if (fd >= 0)
		close(fd);
	return r;
}
