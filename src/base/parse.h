/* parse.h - numbers and sizes out of text; every parse names its maximum and moves the cursor. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* parse_u64 - decimal or 0x hexadecimal at *p up to `end` of the number; false when there is no
 * digit or the value is above max. *p is moved behind it only on success. */
bool parse_u64(const char **p, uint64_t max, uint64_t *vp);

/* parse_size - the whole string: a number with an optional suffix K, M, G, T, P (powers of 1024,
 * also KiB and the like; lower case too). */
bool parse_size(const char *text, uint64_t max, uint64_t *bytesp);
