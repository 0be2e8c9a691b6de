/* test-world.h - one way to drive each engine from a test: two reactors on the test's own thread,
 * clients on the outside, a disk. */
#pragma once

#include <stdbool.h>
#include "io.h"

enum { WORLD_DISK = 1 << 20 };

struct client; /* the outside's end of a stream */

struct world {
	const struct world_kind *kind;
	struct io *io[2];
	void *own;
};

struct world_kind {
	const char *name;
	bool (*open)(struct world *); /* false: cannot be had here */
	void (*close)(struct world *);
	bool (*step)(struct world *); /* false: nothing will happen any more */
	struct client *(*connect)(struct world *, const struct io_addr *);
	size_t (*send)(struct client *, const void *, size_t); /* how much was taken */
	size_t (*recv)(struct client *, void *, size_t);       /* what is there */
	bool (*ended)(struct client *);
	void (*leave)(struct client *, bool reset);
	int (*disk)(struct world *); /* of WORLD_DISK bytes, zeros */
};

extern const struct world_kind world_epoll, world_uring, world_uring_519, world_uring_510,
	world_sim;

/* WORLD_UNTIL - steps until the condition holds; fails the test when it never will. */
#define WORLD_UNTIL(w, cond)                                                                       \
	do {                                                                                       \
		for (unsigned n_ = 0; !(cond); n_++) {                                             \
			assert_true(n_ < 2000000);                                                 \
			assert_true((w)->kind->step(w) || (cond));                                 \
		}                                                                                  \
	} while (0)

void world_settle(struct world *w); /* let everything happen that is on its way */

struct world_case {
	const char *name;
	void (*fn)(struct world *);
};

#define WORLD_CASE(fn)                                                                             \
	{                                                                                          \
#fn, fn                                                                            \
	}
int world_main(const char *name, const struct world_case *cases, unsigned n_cases);
