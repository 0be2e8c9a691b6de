/* histogram.c - see histogram.h. */
#include "histogram.h"

void histogram_merge(struct histogram *to, const struct histogram *from)
{
	if (!from->n)
		return;
	if (!to->n || from->min < to->min)
		to->min = from->min;
	if (from->max > to->max)
		to->max = from->max;
	to->n += from->n;
	to->sum += from->sum;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		to->bucket[i] += from->bucket[i];
}

uint64_t histogram_value(unsigned index)
{
	unsigned shift = index >> HISTOGRAM_SUB;
	uint64_t in = index & ((1u << HISTOGRAM_SUB) - 1);

	if (shift < 2)
		return index;
	shift--;
	return ((in + (1u << HISTOGRAM_SUB) + 1) << shift) - 1;
}

uint64_t histogram_percentile(const struct histogram *h, unsigned permyriad)
{
	uint64_t wanted = (h->n * permyriad + 9999) / 10000, seen = 0;

	if (!h->n)
		return 0;
	if (!wanted)
		wanted = 1;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += h->bucket[i];
		if (seen >= wanted)
			return histogram_value(i) < h->max ? histogram_value(i) : h->max;
	}
	return h->max;
}
