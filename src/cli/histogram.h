/* histogram.h - latencies in buckets that are never wider than 1/128 of their value, and of fixed number.
 *
 * Values are nanoseconds from 0 to 2^40 - 1 (18 minutes); larger ones count as the largest. Below 256 each value has
 * a bucket; above, each power of two has 128. Recording takes no branch that depends on more than size.
 * One writer; summed after its thread has ended. */
#pragma once

#include <stdint.h>

enum { HISTOGRAM_SUB = 7, HISTOGRAM_TOP = 40, HISTOGRAM_BUCKETS = (HISTOGRAM_TOP - HISTOGRAM_SUB + 1) << HISTOGRAM_SUB };

struct histogram {
	uint64_t n, sum, min, max;
	uint64_t bucket[HISTOGRAM_BUCKETS];
};

/* histogram_index - value < 2^HISTOGRAM_TOP. */
static inline unsigned histogram_index(uint64_t value)
{
	unsigned shift;

	if (value < 2u << HISTOGRAM_SUB)
		return (unsigned)value;
	shift = 63 - (unsigned)__builtin_clzll(value) - HISTOGRAM_SUB;
	return (shift << HISTOGRAM_SUB) + (unsigned)(value >> shift);
}

static inline void histogram_add(struct histogram *h, uint64_t value)
{
	const uint64_t most = (1ull << HISTOGRAM_TOP) - 1;

	if (value > most)
		value = most;
	h->n++;
	h->sum += value;
	if (value > h->max)
		h->max = value;
	if (value < h->min || h->n == 1)
		h->min = value;
	h->bucket[histogram_index(value)]++;
}

void histogram_merge(struct histogram *to, const struct histogram *from);
/* histogram_value - the largest value that a bucket holds. */
uint64_t histogram_value(unsigned index);
/* histogram_percentile - the value that `permyriad` / 10000 of all are not above (to 1/128); 0 when there are none. */
uint64_t histogram_percentile(const struct histogram *h, unsigned permyriad);
