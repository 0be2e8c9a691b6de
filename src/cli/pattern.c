/* pattern.c - see pattern.h. */
#include "pattern.h"

#include <errno.h>
#include <stdio.h>

enum {
	WORDS = PATTERN_SECTOR / sizeof(uint64_t),
	AT_RUN = 0,
	AT_OFFSET = 1,
	AT_SEQ = 2,
	AT_REST = 3
};

/* Odd constants without structure: the rest of a sector is an arithmetic sequence from a mixed
 * start. */
static const uint64_t magic = 0x6265727468206264ull, step = 0x9e3779b97f4a7c15ull;

static uint64_t start_of(uint64_t run, uint64_t offset, uint64_t seq)
{
	uint64_t x = (run ^ offset * 0xd6e8feb86659fd93ull ^ seq * 0xa0761d6478bd642full) + step;

	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93ull;
	return x ^ x >> 29;
}

void pattern_fill(void *buf, size_t len, uint64_t run, uint64_t offset, uint64_t seq)
{
	for (uint64_t *w = buf, *end = w + len / sizeof(*w); w < end;
		w += WORDS, offset += PATTERN_SECTOR) {
		uint64_t x = start_of(run, offset, seq);

		w[AT_RUN] = run ^ magic;
		w[AT_OFFSET] = offset;
		w[AT_SEQ] = seq;
		for (unsigned i = AT_REST; i < WORDS; i++)
			w[i] = x + i * step;
	}
}

static int explain(
	const uint64_t *w, uint64_t run, uint64_t offset, uint64_t seq, char *why, size_t len)
{
	int n = snprintf(why, len, "offset %llu should hold write %llu of it, and holds ",
		(unsigned long long)offset, (unsigned long long)seq);
	size_t at = n > 0 && (size_t)n < len ? (size_t)n : 0;
	unsigned i;

	if (w[AT_RUN] != (run ^ magic)) {
		for (i = 0; i < WORDS && !w[i]; i++)
			;
		snprintf(why + at, len - at,
			i == WORDS ? "zeros" : "data of no write of this run (%016llx)",
			(unsigned long long)w[AT_RUN]);
	} else if (w[AT_OFFSET] != offset || w[AT_SEQ] != seq) {
		snprintf(why + at, len - at, "write %llu of offset %llu",
			(unsigned long long)w[AT_SEQ], (unsigned long long)w[AT_OFFSET]);
	} else {
		snprintf(why + at, len - at, "it with other bytes behind the stamp");
	}
	return -EILSEQ;
}

int pattern_check(const void *buf, size_t len, uint64_t run, uint64_t offset, uint64_t seq,
	char *why, size_t why_len)
{
	for (const uint64_t *w = buf, *end = w + len / sizeof(*w); w < end;
		w += WORDS, offset += PATTERN_SECTOR) {
		uint64_t x = start_of(run, offset, seq);
		uint64_t wrong =
			(w[AT_RUN] ^ run ^ magic) | (w[AT_OFFSET] ^ offset) | (w[AT_SEQ] ^ seq);

		for (unsigned i = AT_REST; i < WORDS; i++)
			wrong |= w[i] ^ (x + i * step);
		if (wrong)
			return explain(w, run, offset, seq, why, why_len);
	}
	return 0;
}
