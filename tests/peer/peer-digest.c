/* peer-digest.c - CRC32C (RFC 7143 13.1) by the shift register of its definition, a table of bytes: nothing is shared
 * with the target's. */
#include "peer.h"

enum { POLYNOMIAL = 0x82f63b78 }; /* 11edc6f41h, its bits reversed */

static uint32_t byte_step(uint32_t value)
{
	for (unsigned i = 0; i < 8; i++)
		value = value >> 1 ^ (value & 1 ? POLYNOMIAL : 0);
	return value;
}

uint32_t peer_digest(uint32_t digest, const void *buf, size_t len)
{
	static uint32_t steps[256];
	const uint8_t *b = buf;
	uint32_t crc = ~digest;

	for (unsigned i = 0; !steps[1] && i < 256; i++)
		steps[255 - i] = byte_step(255 - i);
	while (len--)
		crc = crc >> 8 ^ steps[(crc ^ *b++) & 0xff];
	return ~crc;
}
