/* parse.c - numbers and sizes out of text, and sizes into text. */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include "parse.h"

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 16;
}

bool parse_u64(const char **p, uint64_t max, uint64_t *vp)
{
	const char *s = *p;
	unsigned base = 10;
	uint64_t v = 0;

	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
		base = 16;
		s += 2;
	}
	if ((unsigned)digit_of(*s) >= base)
		return false;
	for (unsigned d; (d = (unsigned)digit_of(*s)) < base; s++) {
		if (d > max || v > max / base || v * base > max - d)
			return false;
		v = v * base + d;
	}
	*vp = v;
	*p = s;
	return true;
}

static const char letters[] = "KMGTP";

/* suffix_shift - the power of two of a suffix, which is the whole rest of the text; -1: none of
 * ours. */
static int suffix_shift(const char *s)
{
	if (!*s)
		return 0;
	for (int i = 0; letters[i]; i++) {
		if ((*s & ~0x20) != letters[i])
			continue;
		if (!s[1] || ((s[1] & ~0x20) == 'I' && (s[2] & ~0x20) == 'B' && !s[3]))
			return 10 * (i + 1);
	}
	return -1;
}

bool parse_size(const char *text, uint64_t max, uint64_t *bytesp)
{
	uint64_t n;
	int shift;

	if (!parse_u64(&text, max, &n))
		return false;
	shift = suffix_shift(text);
	if (shift < 0 || n > max >> shift)
		return false;
	*bytesp = n << shift;
	return true;
}

const char *size_text(uint64_t bytes, char buf[SIZE_TEXT])
{
	uint64_t n = bytes;
	unsigned unit = 0;

	while (n && !(n % 1024) && letters[unit]) {
		n /= 1024;
		unit++;
	}
	if (unit)
		snprintf(buf, SIZE_TEXT, "%" PRIu64 "%c", n, letters[unit - 1]);
	else
		snprintf(buf, SIZE_TEXT, "%" PRIu64 " byte%s", n, n == 1 ? "" : "s");
	return buf;
}
