/* door.h - what the doors share: a cursor over the fuzzer's bytes. When they run out there are zeros.
 *
 * A door is one file, one LLVMFuzzerTestOneInput(): foreign bytes go in, and what our code promises about them is
 * checked. libFuzzer drives it in search of new paths (make fuzz); replay.c drives it over the corpus in
 * every build, as a unit test. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct feed {
	const uint8_t *at;
	size_t left;
};

static inline void feed_bytes(struct feed *f, void *out, size_t len)
{
	size_t n = MIN(f->left, len);

	if (n)
		memcpy(out, f->at, n);
	memset((uint8_t *)out + n, 0, len - n);
	f->at += n;
	f->left -= n;
}

static inline uint8_t feed_u8(struct feed *f)
{
	uint8_t v;

	feed_bytes(f, &v, sizeof(v));
	return v;
}

static inline uint16_t feed_u16(struct feed *f)
{
	uint16_t high = feed_u8(f);

	return (uint16_t)(high << 8 | feed_u8(f));
}

static inline uint32_t feed_u32(struct feed *f)
{
	uint32_t high = feed_u16(f);

	return high << 16 | feed_u16(f);
}

/* feed_most - a 16-bit length, cut at what there may be. (MIN() would feed twice.) */
static inline size_t feed_most(struct feed *f, size_t most)
{
	size_t n = feed_u16(f);

	return MIN(n, most);
}

/* feed_rest - a 16-bit length of bytes to take as they stand; the cursor moves behind them. */
static inline const uint8_t *feed_rest(struct feed *f, size_t *lenp)
{
	size_t n = feed_u16(f);
	const uint8_t *at = f->at;

	*lenp = MIN(n, f->left);
	f->at += *lenp;
	f->left -= *lenp;
	return at;
}
