/* torture.h - for tests: the same body again and again, with the 1st, 2nd, ... allocation failing, until none is left
 * to fail.
 *
 * Each run is a child process of its own, so that nothing that one has kept (freelists, caches) serves the next, and
 * so that checkers look at what each leaves behind. The allocators are replaced by the linker (`torture` in
 * src/base/meson.build); a body prepares, calls torture_arm(), does what may run out of memory, and holds
 * TORTURE()s about its end. Failing: the nth allocation alone, or it and all after it. */
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

/* torture - about how many allocations the body made; fails the test (cmocka) when a run did not end well. Each of the
 * first 64 fails once, of later ones fewer and fewer: they are batches for freelists. */
unsigned torture(void (*body)(void *ctx), void *ctx);
void torture_arm(void);    /* allocations count from here .. */
void torture_disarm(void); /* .. to here */
bool torture_hit(void);    /* one has failed */
/* torture_where - if it is set, only allocations during which it says true count. */
extern bool (*torture_where)(void);

#define TORTURE(condition)                                                                         \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)
