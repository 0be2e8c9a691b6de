/* rundir.h - where buffer memory that outlives the process lies: on a tmpfs, in a directory of ours. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { RUNDIR_ROOM = 2048 };
struct rundir {
	char path[RUNDIR_ROOM];
};

/* rundir_find - `given` (--run-dir), or when that is NULL the first of /run/berth and $XDG_RUNTIME_DIR/berth that is on
 * a tmpfs and can be used; /dev/shm/berth-UID where none is. Made when it is not there. 0, or -errno with words in
 * err. */
int rundir_find(struct rundir *d, const char *given, char *err, size_t err_len);
