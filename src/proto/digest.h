/* digest.h - CRC32C of headers and data (RFC 7143 13.1, 11.2.3; the polynomial of RFC 3385).
 *
 * A digest is fed piece by piece; digest_put() writes the four bytes as they stand on the wire. Pure functions. */
#pragma once

#include <isa-l/crc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct arena;

enum { DIGEST_LEN = 4 };
#define DIGEST_START 0xffffffffu

static inline uint32_t digest_add(uint32_t crc, const void *data, uint32_t len)
{
	return crc32_iscsi((unsigned char *)data, (int)len, crc);
}

/* Pages of an arena that do not change have their checksum kept (arena_keep_sums()): what is sent of them whole is not
 * read again, and what comes for them whole is known from then on. A page's sum is its digest that begins with
 * 0; sums are joined by a table, whatever went before.
 * arena NULL: nothing is kept. */
void digest_keep(struct arena *a); /* from now on; before the first of the two below */
/* digest_add_iov - of bytes that do not change. */
uint32_t digest_add_iov(uint32_t crc, const struct iovec *iov, unsigned n, struct arena *arena);
/* digest_add_landing - of `len` bytes at `data` that belong at `place`, in pages that nobody else has seen. */
uint32_t digest_add_landing(uint32_t crc, const void *data, uint32_t len, const void *place, struct arena *arena);
void digest_put(uint8_t wire[DIGEST_LEN], uint32_t crc);
bool digest_matches(const uint8_t wire[DIGEST_LEN], uint32_t crc);
