/* memfile.c - see memfile.h. */
#include "memfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "arena.h"
#include "log.h"
#include "parse.h"
#include "rundir.h"
#include "sysmem.h"

enum { PATH_ROOM = 4096, NAMES_MAX = 10000, CHUNK = 64 << 20, FIRST = 256 << 20 };
#define PREFIX "memory."

struct search {
	const struct memfile_params *p;
	struct rundir dir;
	int dir_fd; /* locked */
	struct memfile *found;
	char *err;
	size_t err_len;
};

__attribute__((format(printf, 3, 4))) static int refuse(
	struct search *s, int error, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(s->err, s->err_len, fmt, ap);
	va_end(ap);
	return error;
}

/* --- one memory --- */

static struct memfile *memfile_new(int fd, const char *path)
{
	struct memfile *m = calloc(1, sizeof(*m));

	if (m && path && !(m->path = strdup(path))) {
		free(m);
		m = NULL;
	}
	if (m)
		m->fd = fd;
	else
		close(fd);
	return m;
}

static struct memfile *memfile_free(struct memfile *m)
{
	ledger_free(m->ledger);
	if (m->head)
		munmap(m->head, m->head_len);
	close(m->fd);
	free(m->path);
	free(m);
	return NULL;
}

static int map_head(struct memfile *m, uint64_t len)
{
	void *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, m->fd, 0);

	if (at == MAP_FAILED)
		return -errno;
	(void)madvise(at, len, MADV_DONTDUMP);
	m->head = at;
	m->head_len = len;
	return 0;
}

/* memfile_read - 0; 1 with *whyp: it is no memory that we can use. */
static int memfile_read(struct memfile *m, const char **whyp)
{
	struct ledger_head h = {0};
	uint64_t n_dropped, n_damaged;
	struct stat st;
	int r;

	*whyp = NULL;
	if (fstat(m->fd, &st) < 0)
		return -errno;
	if (pread(m->fd, &h, sizeof(h), 0) != sizeof(h))
		*whyp = "too short";
	else
		*whyp = ledger_check(&h, sizeof(h), (uint64_t)st.st_size);
	if (*whyp)
		return 1;
	r = map_head(m, h.pages_at);
	if (!r)
		r = ledger_attach(&m->ledger, m->head, &n_dropped, &n_damaged);
	if (r)
		return r;
	m->pages_at = h.pages_at;
	m->adopted = ledger_count(m->ledger, LEDGER_NONE) > 0;
	if (n_damaged)
		log_warn("%s: %lu records are damaged and count for nothing",
			m->path ? m->path : "the stored memory", n_damaged);
	if (n_dropped)
		log_info("%s: %lu pages of writes that were never acknowledged are dropped",
			m->path ? m->path : "the stored memory", n_dropped);
	return 0;
}

static int memfile_make(struct memfile *m, uint64_t n_pages)
{
	uint64_t id = 0;
	int r;

	ledger_len(n_pages, &m->pages_at);
	r = map_head(m, m->pages_at);
	if (r)
		return r;
	while (!id)
		if (getrandom(&id, sizeof(id), 0) < 0)
			return -errno;
	return ledger_format(&m->ledger, m->head, n_pages, id);
}

/* --- which --- */

static uint64_t count_ours(const struct search *s, const struct memfile *m)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < s->p->n_uuids; i++) {
		uint32_t volume = ledger_find(m->ledger, s->p->uuids[i]);

		if (volume != LEDGER_NONE)
			n += ledger_count(m->ledger, volume);
	}
	return n;
}

static void set_aside(const struct memfile *m, const char *why)
{
	char to[PATH_ROOM];

	if (!m->path) {
		log_warn("the stored memory cannot be used (%s): it is left where it is", why);
		return;
	}
	for (unsigned i = 0; i < NAMES_MAX; i++) {
		snprintf(to, sizeof(to), "%s.bad%u", m->path, i);
		if (access(to, F_OK) < 0)
			break;
	}
	if (rename(m->path, to) < 0)
		log_warn("%s: cannot be used (%s), nor be set aside: %s", m->path, why,
			strerror(errno));
	else
		log_warn("%s: cannot be used (%s): set aside as %s", m->path, why, to);
}

/* is_unfinished - whoever made it died before it could hold anything. */
static bool is_unfinished(int fd)
{
	char head[ARENA_PAGE + LEDGER_SLOTS * sizeof(struct ledger_slot) +
		  sizeof(struct ledger_volume)];
	ssize_t n = pread(fd, head, sizeof(head), 0);

	return n == 0 || (n > 0 && !head[0] && !memcmp(head, head + 1, (size_t)n - 1));
}

/* look_at - takes fd. */
static int look_at(struct search *s, int fd, const char *path)
{
	struct memfile *m = memfile_new(fd, path);
	const char *why;
	uint64_t n;
	int r;

	if (!m)
		return -ENOMEM;
	r = memfile_read(m, &why);
	if (r) {
		if (r > 0 && path && is_unfinished(fd))
			unlink(path);
		else if (r > 0)
			set_aside(m, why);
		memfile_free(m);
		return r > 0 ? 0 : refuse(s, r, "%s: %s", path, strerror(-r));
	}
	n = count_ours(s, m);
	if (n && s->found && s->found->adopted) {
		r = refuse(s, -EINVAL,
			"%s and %s: both hold data of these disks that are not on them yet; serve "
			"the disks of each by themselves once",
			s->found->path ? s->found->path : "the stored memory",
			path ? path : "the stored memory");
		memfile_free(m);
		return r;
	}
	if (n || (!m->adopted && !s->found && m->ledger->n_pages == s->p->n_pages)) {
		if (s->found) {
			if (s->found->path)
				unlink(s->found->path); /* it has no records */
			memfile_free(s->found);
		}
		s->found = m;
		return 0;
	}
	if (m->adopted)
		log_info("%s: %s of disks that are not served here wait in it", path,
			SIZE(ledger_count(m->ledger, LEDGER_NONE) * ARENA_PAGE));
	else if (path)
		unlink(path);
	memfile_free(m);
	return 0;
}

static int look_at_name(struct search *s, const char *name)
{
	char path[PATH_ROOM];
	int fd;

	snprintf(path, sizeof(path), "%s/%.255s", s->dir.path, name);
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return 0; /* somebody else's */
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return look_at(s, fd, path);
	close(fd); /* a living process has it */
	return 0;
}

static int look_around(struct search *s)
{
	DIR *d = opendir(s->dir.path);
	struct dirent *e;
	int r = 0;

	if (!d)
		return refuse(s, -errno, "%s: %s", s->dir.path, strerror(errno));
	while (!r && (e = readdir(d))) {
		if (!strncmp(e->d_name, PREFIX, strlen(PREFIX)) && !strstr(e->d_name, ".bad"))
			r = look_at_name(s, e->d_name);
	}
	closedir(d);
	return r;
}

/* --- how much --- */

static uint64_t bytes_left(int fd)
{
	struct statfs fs;
	uint64_t left = sysmem_available("");

	/* A tmpfs without a limit has no blocks. */
	if (fstatfs(fd, &fs) == 0 && fs.f_blocks)
		left = MIN(left, (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize);
	return left;
}

/* pages_that_fit - whole MiB of them; a little is left to others. */
static uint64_t pages_that_fit(uint64_t left)
{
	uint64_t pages_at, n = left / ARENA_PAGE;

	n -= n / 32;
	while (n && ledger_len(n, &pages_at) > left)
		n -= MIN(n, n / 64 + 256);
	return round_down(n, 256);
}

static int take_bytes(int fd, uint64_t at, uint64_t len)
{
	for (uint64_t n; len; at += n, len -= n) {
		n = MIN(len, (uint64_t)CHUNK);
		if (fallocate(fd, 0, (off_t)at, (off_t)n) < 0)
			return -errno;
	}
	return 0;
}

int64_t memfile_take(struct memfile *m, uint64_t n)
{
	int r;

	n = MIN(n, m->ledger->n_pages - m->n_taken);
	r = take_bytes(m->fd, m->pages_at + m->n_taken * ARENA_PAGE, n * ARENA_PAGE);
	if (r)
		return r;
	m->n_taken += n;
	return (int64_t)n;
}

static int take_memory(struct search *s, int fd, uint64_t *n_pagesp)
{
	uint64_t want = s->p->n_pages, left = bytes_left(fd), fits = pages_that_fit(left), at;

	if (want > fits && s->p->exact)
		return refuse(s, -ENOSPC, "--cache %s: %s has room for %s", SIZE(want * ARENA_PAGE),
			s->dir.path, SIZE(fits * ARENA_PAGE));
	if (want > fits && fits < s->p->min_pages)
		return refuse(s, -ENOSPC, "--cache: %s has room for %s, and it takes %s",
			s->dir.path, SIZE(fits * ARENA_PAGE), SIZE(s->p->min_pages * ARENA_PAGE));
	if (want > fits) {
		log_warn("%s has room for %s of buffer memory: that much it is, not %s",
			s->dir.path, SIZE(fits * ARENA_PAGE), SIZE(want * ARENA_PAGE));
		want = fits;
	}
	if (ftruncate(fd, (off_t)ledger_len(want, &at)) < 0)
		return refuse(s, -errno, "%s: %s", s->dir.path, strerror(errno));
	*n_pagesp = want;
	return 0;
}

static int take_head(int fd, uint64_t n_pages)
{
	uint64_t pages_at;

	ledger_len(n_pages, &pages_at);
	return take_bytes(fd, 0, pages_at);
}

static int make_named(struct search *s)
{
	char path[PATH_ROOM];
	uint64_t n_pages = 0;
	struct memfile *m;
	int fd = -1, r;

	for (unsigned i = 0; fd < 0 && i < NAMES_MAX; i++) {
		snprintf(path, sizeof(path), "%s/" PREFIX "%u", s->dir.path, i);
		fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0 && errno != EEXIST)
			break;
	}
	if (fd < 0)
		return refuse(s, -errno, "%s: %s", path, strerror(errno));
	m = memfile_new(fd, path);
	r = !m ? -ENOMEM : flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
	if (!r)
		r = take_memory(s, fd, &n_pages);
	if (!r)
		r = take_head(fd, n_pages);
	if (!r)
		r = memfile_make(m, n_pages);
	if (!r) {
		s->found = m;
		return 0;
	}
	if (!*s->err)
		refuse(s, r, "%s: %s", path, strerror(-r));
	unlink(path);
	if (m)
		memfile_free(m);
	return r;
}

static int open_locked(struct search *s)
{
	struct memfile *m;
	int r = 0;

	if (s->p->stored_fd >= 0)
		r = flock(s->p->stored_fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK
			    ? refuse(s, -EBUSY, "the stored memory is in use by another process")
			    : look_at(s, s->p->stored_fd, NULL);
	if (!r)
		r = look_around(s);
	if (!r && !s->found)
		r = make_named(s);
	if (r)
		return r;
	/* What was there before may have been left half made, and initiators wait. */
	m = s->found;
	if (memfile_take(m, MAX(ledger_top(m->ledger), (uint64_t)FIRST / ARENA_PAGE)) < 0)
		return refuse(s, -ENOSPC, "--cache %s: there is not so much memory in %s",
			SIZE(m->ledger->n_pages * ARENA_PAGE), s->dir.path);
	return 0;
}

int memfile_open(struct memfile **mp, const struct memfile_params *p, char *err, size_t err_len)
{
	struct search s = {.p = p, .err = err, .err_len = err_len};
	int r;

	err[0] = '\0';
	r = rundir_find(&s.dir, p->dir, err, err_len);
	if (r)
		return r;
	s.dir_fd = open(s.dir.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s.dir_fd < 0 || flock(s.dir_fd, LOCK_EX) < 0)
		r = refuse(&s, -errno, "%s: %s", s.dir.path, strerror(errno));
	else
		r = open_locked(&s);
	if (s.dir_fd >= 0)
		close(s.dir_fd);
	if (r)
		memfile_close(s.found);
	*mp = r ? NULL : s.found;
	return r;
}

int memfile_anonymous(struct memfile **mp, uint64_t n_pages, int fd)
{
	bool adopt = fd >= 0;
	const char *why;
	uint64_t at;
	struct memfile *m;
	int r = 0;

	if (!adopt) {
		fd = memfd_create("berth-memory", MFD_CLOEXEC);
		if (fd < 0 || ftruncate(fd, (off_t)ledger_len(n_pages, &at)) < 0)
			r = -errno;
	}
	if (fd < 0)
		return r;
	m = memfile_new(fd, NULL);
	if (!m)
		return -ENOMEM;
	if (!r)
		r = adopt ? memfile_read(m, &why) : memfile_make(m, n_pages);
	if (r) {
		memfile_free(m);
		return r > 0 ? -EINVAL : r;
	}
	m->n_taken = m->ledger->n_pages;
	*mp = m;
	return 0;
}

struct memfile *memfile_close(struct memfile *m)
{
	if (!m)
		return NULL;
	if (m->path && !ledger_count(m->ledger, LEDGER_NONE))
		unlink(m->path);
	return memfile_free(m);
}
