/* copy.h - the only function that copies payload, so that the counters cannot forget a copy. */
#pragma once

#include <string.h>
#include "counter.h"

/* why is one of CTR_COPIED_MERGE, CTR_COPIED_TAIL, CTR_COPIED_GUESS, CTR_COPIED_COPY. The areas do not overlap. */
static inline void copy_payload(enum counter why, void *dst, const void *src, size_t len)
{
	count(why, len);
	memcpy(dst, src, len);
}
