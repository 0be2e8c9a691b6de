/* dir.c - see dir.h. */
#include "dir.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

int dir_take(const char *path)
{
	struct stat st;

	if (mkdir(path, 0700) == 0)
		return 0;
	if (errno != EEXIST || stat(path, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	return access(path, W_OK | X_OK) < 0 ? -errno : 0;
}
