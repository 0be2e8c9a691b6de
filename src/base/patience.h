/* patience.h - what a killed predecessor held is free in a moment, not at once.
 *
 * A process that is killed with requests in an io_uring keeps its files open, and so its locks and its
 * ports, until the kernel has taken the ring down, which goes on after the process is reaped. Who starts in
 * its place tries again for a while before it says "in use". Thread: main, before anything is served. */
#pragma once

#include <stdbool.h>
#include <unistd.h>

enum { PATIENCE_MS = 1500, PATIENCE_STEP_MS = 10 };

/* patience_left - waits a little; false: it has been long enough. *waited_msp begins with 0. */
static inline bool patience_left(unsigned *waited_msp)
{
	if (*waited_msp >= PATIENCE_MS)
		return false;
	usleep(PATIENCE_STEP_MS * 1000);
	*waited_msp += PATIENCE_STEP_MS;
	return true;
}
