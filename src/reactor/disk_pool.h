/* disk_pool.h - a few threads that do disk requests with plain system calls, for one reactor. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include "io.h"

enum { DISK_POOL_THREADS = 4 };

struct disk_pool {
	struct io *io;
	pthread_mutex_t mutex;
	pthread_cond_t more;
	struct list todo; /* under mutex */
	unsigned n_idle, n_threads;
	bool ending;
	pthread_t thread[DISK_POOL_THREADS];
	uint32_t done_lock;
	struct list done; /* under done_lock */
};

void disk_pool_init(struct disk_pool *p, struct io *io);
void disk_pool_deinit(struct disk_pool *p); /* no request under way */
void disk_pool_take(struct disk_pool *p, struct io_disk *d);
bool disk_pool_reap(struct disk_pool *p); /* tells finished requests; true if there were any */
bool disk_pool_has_done(struct disk_pool *p);

/* disk_fallocate_mode - of IO_PUNCH and IO_ZERO, on files and block devices alike. */
int disk_fallocate_mode(enum io_disk_kind kind);
/* disk_seek - IO_DATA and IO_HOLE: as lseek(2), errno included. */
int64_t disk_seek(const struct io_disk *d);
