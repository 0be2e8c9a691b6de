/* rundir.c - see rundir.h. */
#include "rundir.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "dir.h"
#include "log.h"
#include "why.h"

static bool is_tmpfs(const char *dir)
{
	struct statfs fs;

	return statfs(dir, &fs) == 0 &&
	       ((uint32_t)fs.f_type == TMPFS_MAGIC || (uint32_t)fs.f_type == RAMFS_MAGIC);
}

/* A directory that everybody could have made must be ours. */
static bool dir_usable(const char *dir, bool mine)
{
	struct stat st;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return false;
	if (lstat(dir, &st) < 0 || access(dir, W_OK | X_OK) < 0)
		return false;
	return !mine || (S_ISDIR(st.st_mode) && st.st_uid == geteuid() && !(st.st_mode & 022));
}

static bool try_dir(struct rundir *d, bool mine, const char *parent, const char *name)
{
	if ((size_t)snprintf(d->path, sizeof(d->path), "%s%s%s", parent, *name ? "/" : "", name) >=
		sizeof(d->path))
		return false;
	return is_tmpfs(*name ? parent : d->path) && dir_usable(d->path, mine);
}

int rundir_find(struct rundir *d, const char *given, char *err, size_t err_len)
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	char own[40];
	int rc;

	snprintf(own, sizeof(own), "berth-%u", (unsigned)geteuid());
	if (given) {
		rc = dir_take(given);
		if (rc)
			return why_not(err, err_len, rc, "--run-dir %s: %s", given, strerror(-rc));
		if (try_dir(d, false, given, ""))
			return 0;
	} else if (try_dir(d, false, "/run", "berth") ||
		   (xdg && *xdg == '/' && try_dir(d, false, xdg, "berth"))) {
		return 0;
	}
	if (!try_dir(d, true, "/dev/shm", own))
		return why_not(err, err_len, -ENOTDIR,
			"--run-dir: there is no tmpfs that buffer memory could lie in (neither /run, "
			"$XDG_RUNTIME_DIR nor /dev/shm)");
	if (given)
		log_warn("--run-dir %s: is no tmpfs; buffer memory lies in %s", given, d->path);
	return 0;
}
