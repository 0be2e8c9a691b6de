/* digest.c - see digest.h. The wire has the bytes of the inverted CRC, the least significant first. */
#include "digest.h"

#include <endian.h>
#include <string.h>

uint32_t digest_add_iov(uint32_t crc, const struct iovec *iov, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		crc = digest_add(crc, iov[i].iov_base, (uint32_t)iov[i].iov_len);
	return crc;
}

void digest_put(uint8_t wire[DIGEST_LEN], uint32_t crc)
{
	uint32_t v = htole32(~crc);

	memcpy(wire, &v, DIGEST_LEN);
}

bool digest_matches(const uint8_t wire[DIGEST_LEN], uint32_t crc)
{
	uint8_t want[DIGEST_LEN];

	digest_put(want, crc);
	return !memcmp(wire, want, DIGEST_LEN);
}
