/* ahead.h - read-ahead: who reads a volume in order, and how far before him to read.
 *
 * A few streams a volume, known by the page that should come next; the third read in a row makes one. Its window
 * begins at 128 KiB, doubles with each request and ends at 4 MiB or a 32nd of the arena. The pages come in as others do, in large
 * requests, marked ENTRY_NEW: the first read of such a page is what it came for, not a second use.
 *
 * Only reads that miss, and those that meet a new page, are told of here, so a hit pays nothing. Nothing is read
 * ahead while somebody waits for memory, nor behind the end. Any thread: who finds the lock taken does without. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct io;
struct volume;

enum { AHEAD_STREAMS = 8 };
struct ahead_stream {
	uint64_t next, front; /* pages: the reader's, and ours */
	uint32_t window, n_row;
	uint32_t seen; /* when, by `now` */
};
struct ahead {
	pthread_mutex_t lock;
	uint32_t now;
	struct ahead_stream streams[AHEAD_STREAMS];
};

/* ahead_run - the same, and it is read. */
void ahead_run(struct volume *v, struct io *io, uint64_t first, uint32_t n);
