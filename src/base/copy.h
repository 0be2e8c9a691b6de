/* copy.h - the only functions that copy payload, so that the counters cannot forget a copy.
 *
 * What is copied to a page of a disk will hardly be looked at before it has left the cache, and was not in it: an
 * ordinary store reads the line from memory first, only to overwrite it, and puts out another that somebody wants.
 * copy_payload_past() stores past the cache, where the machine can. */
#pragma once

#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif
#include "counter.h"

enum { COPY_PAST_FROM = 1024, COPY_LINE = 64 }; /* bytes: a shorter piece is not worth the fence */

/* why is one of CTR_COPIED_MERGE, CTR_COPIED_TAIL, CTR_COPIED_GUESS, CTR_COPIED_COPY. The areas do not overlap. */
static inline void copy_payload(enum counter why, void *dst, const void *src, size_t len)
{
	count(why, len);
	memcpy(dst, src, len);
}

/* copy_payload_past - the same, to where nobody is about to look. */
static inline void copy_payload_past(enum counter why, void *dst, const void *src, size_t len)
{
#ifdef __SSE2__
	size_t head = -(uintptr_t)dst % COPY_LINE;
	uint8_t *to = dst;
	const uint8_t *from = src;

	if (len >= COPY_PAST_FROM) {
		count(why, len);
		memcpy(to, from, head);
		for (to += head, from += head, len -= head; len >= COPY_LINE; len -= COPY_LINE) {
			const __m128i *f = (const __m128i *)from;
			__m128i a = _mm_loadu_si128(f), b = _mm_loadu_si128(f + 1),
				c = _mm_loadu_si128(f + 2), d = _mm_loadu_si128(f + 3);

			_mm_stream_si128((__m128i *)to, a);
			_mm_stream_si128((__m128i *)to + 1, b);
			_mm_stream_si128((__m128i *)to + 2, c);
			_mm_stream_si128((__m128i *)to + 3, d);
			to += COPY_LINE;
			from += COPY_LINE;
		}
		memcpy(to, from, len);
		_mm_sfence(); /* such stores are not ordered by the lock that publishes the page */
		return;
	}
#endif
	copy_payload(why, dst, src, len);
}
