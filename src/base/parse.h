/* parse.h - numbers and sizes out of text, and sizes into text; every parse names its maximum and moves the cursor. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* parse_u64 - decimal or 0x hexadecimal at *p up to `end` of the number; false when there is no
 * digit or the value is above max. *p is moved behind it only on success. */
bool parse_u64(const char **p, uint64_t max, uint64_t *vp);

/* parse_size - the whole string: a number with an optional suffix K, M, G, T, P (powers of 1024,
 * also KiB and the like; lower case too). */
bool parse_size(const char *text, uint64_t max, uint64_t *bytesp);

/* size_text - the other way round, for messages: in the largest unit that is exact ("100T", "1536K", "1000 bytes").
 * Returns buf. SIZE(n) has one of its own, which lives as long as the block around it. */
enum { SIZE_TEXT = 32 };
const char *size_text(uint64_t bytes, char buf[SIZE_TEXT]);
#define SIZE(bytes) size_text(bytes, (char[SIZE_TEXT]){0})
