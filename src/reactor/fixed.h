/* fixed.h - memory lent to a ring: which buffer slot of the ring names an address. */
#pragma once

#include <liburing.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	FIXED_CHUNK =
		16 << 20,   /* the longest run of an arena, so that no aligned run lies in two */
	FIXED_SLOTS = 4096, /* 64 GiB a ring */
	FIXED_AREAS = 16,
};

struct fixed {
	struct io_uring *ring;
	struct fixed_area {
		char *base;
		size_t len;
		unsigned first; /* slot of its first chunk */
	} area[FIXED_AREAS];
	unsigned n_areas, n_slots;
	size_t registered_len;
	bool full; /* the kernel refused one: no more are tried */
	uint8_t registered[FIXED_SLOTS];
};

void fixed_init(struct fixed *f, struct io_uring *ring);
int fixed_lend(struct fixed *f, void *base, size_t len);
/* fixed_find - the slot that holds the whole range, registered now if need be; -1: use plain
 * vectors. */
int fixed_find(struct fixed *f, const void *ptr, size_t len);
