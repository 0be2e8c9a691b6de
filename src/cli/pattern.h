/* pattern.h - data that tells where it belongs and when it was written, for checking what comes back.
 *
 * Each sector of 512 bytes begins with a word of the run, its byte offset on the disk, and the sequence number
 * of its write; the words behind follow from these. So whatever is found elsewhere, or is old, or is torn
 * within a sector, shows and says what it is. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { PATTERN_SECTOR = 512 };

/* pattern_fill - len is a multiple of PATTERN_SECTOR, buf aligned for words. */
void pattern_fill(void *buf, size_t len, uint64_t run, uint64_t offset, uint64_t seq);
/* pattern_check - 0, or -EILSEQ with one line in why. */
int pattern_check(const void *buf, size_t len, uint64_t run, uint64_t offset, uint64_t seq, char *why,
	size_t why_len);
