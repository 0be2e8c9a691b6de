/* digest.h - CRC32C of headers and data (RFC 7143 13.1, 11.2.3; the polynomial of RFC 3385).
 *
 * A digest is fed piece by piece; digest_put() writes the four bytes as they stand on the wire. Pure functions. */
#pragma once

#include <isa-l/crc.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

enum { DIGEST_LEN = 4 };
#define DIGEST_START 0xffffffffu

static inline uint32_t digest_add(uint32_t crc, const void *data, uint32_t len)
{
	return crc32_iscsi((unsigned char *)data, (int)len, crc);
}

uint32_t digest_add_iov(uint32_t crc, const struct iovec *iov, unsigned n);
void digest_put(uint8_t wire[DIGEST_LEN], uint32_t crc);
bool digest_matches(const uint8_t wire[DIGEST_LEN], uint32_t crc);
