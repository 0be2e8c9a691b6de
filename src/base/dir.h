/* dir.h - directories that we keep something in. */
#pragma once

/* dir_take - made, for us alone, when it is not there; its parent must be. 0: files can be made in it; -ENOTDIR: something
 * else has that name; -errno. */
int dir_take(const char *path);
