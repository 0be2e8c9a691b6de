/* effort.h - how much a test does. BERTH_SLOW says how many times slower a checker makes it (scripts/matrix sets it);
 * without one, and where it is small, a test does all of it. */
#pragma once

#include <stdlib.h>

enum { EFFORT_ALL = 4 }; /* up to this slow all is done */

/* effort - a part of n, at least 1: rounds, seeds, milliseconds. */
static inline unsigned effort(unsigned n)
{
	const char *text = getenv("BERTH_SLOW");
	unsigned slow = text ? (unsigned)strtoul(text, NULL, 10) : 1;

	if (slow > EFFORT_ALL)
		n = n / slow * EFFORT_ALL + n % slow * EFFORT_ALL / slow;
	return n ? n : 1;
}
