/* digest.c - see digest.h. The wire has the bytes of the inverted CRC, the least significant first.
 *
 * Arithmetic. A CRC register is a polynomial over GF(2) of degree below 32, its highest power in the lowest bit; to
 * feed n bytes of zeros is to multiply it by x^(8n) modulo P. Feeding is linear, so what a page does to a register is:
 * the register times x^(8 * 4096), plus the page's own sum. The first is a table of four times 256 words. */
#include "digest.h"

#include <endian.h>
#include <pthread.h>
#include <string.h>
#include "arena.h"
#include "check.h"
#include "counter.h"

static const uint32_t polynomial = 0x82f63b78; /* CRC32C, reflected */
static const uint32_t one = 0x80000000;        /* x^0 */

/* times_x - modulo P. */
static uint32_t times_x(uint32_t a)
{
	return a >> 1 ^ (a & 1 ? polynomial : 0);
}

static uint32_t multiply(uint32_t a, uint32_t b)
{
	uint32_t product = 0;

	for (uint32_t power = one; power; power >>= 1) {
		if (a & power)
			product ^= b;
		b = times_x(b);
	}
	return product;
}

/* zeros - x^(8n): squared once a bit of n. */
static uint32_t zeros(uint64_t n)
{
	uint32_t power = one >> 8, product = one;

	for (; n; n >>= 1) {
		if (n & 1)
			product = multiply(product, power);
		power = multiply(power, power);
	}
	return product;
}

/* --- pages --- */

static uint32_t behind_page[4]
			   [256]; /* a byte of a register, and what a page of zeros makes of it */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_table(void)
{
	uint32_t page = zeros(ARENA_PAGE);

	for (unsigned byte = 0; byte < 4; byte++)
		for (uint32_t v = 0; v < 256; v++)
			behind_page[byte][v] = multiply(v << 8 * byte, page);
}

void digest_keep(struct arena *a)
{
	pthread_once(&once, make_table);
	arena_keep_sums(a);
}

static inline uint32_t add_page(uint32_t crc, uint32_t sum)
{
	return behind_page[0][crc & 0xff] ^ behind_page[1][crc >> 8 & 0xff] ^
	       behind_page[2][crc >> 16 & 0xff] ^ behind_page[3][crc >> 24] ^ sum;
}

/* A sum that is 0 looks unknown, and is found again each time. */
static uint32_t page_sum(uint32_t *kept, const void *page)
{
	uint32_t sum = __atomic_load_n(kept, __ATOMIC_RELAXED);

	if (!sum) {
		sum = digest_add(0, page, ARENA_PAGE);
		__atomic_store_n(kept, sum, __ATOMIC_RELAXED);
		count(CTR_DIGEST_READ, ARENA_PAGE);
	} else {
		count(CTR_DIGEST_KEPT, ARENA_PAGE);
		slow_check(sum == digest_add(0, page, ARENA_PAGE));
	}
	return sum;
}

/* to_page - bytes from `at` to the beginning of a page, at most len. */
static uint32_t to_page(const void *at, size_t len)
{
	uint32_t off = (uintptr_t)at % ARENA_PAGE;

	return off ? (uint32_t)MIN(ARENA_PAGE - off, len) : 0;
}

static uint32_t add_kept(uint32_t crc, const uint8_t *data, size_t len, struct arena *arena)
{
	uint32_t head = to_page(data, len), tail;
	uint32_t *sums = len - head >= ARENA_PAGE ? arena_sums(arena, data + head) : NULL;

	if (!sums) {
		count(CTR_DIGEST_READ, len);
		return digest_add(crc, data, (uint32_t)len);
	}
	crc = digest_add(crc, data, head);
	data += head;
	tail = (len - head) % ARENA_PAGE;
	count(CTR_DIGEST_READ, head + tail);
	for (size_t n = (len - head) / ARENA_PAGE; n > 0; n--, data += ARENA_PAGE)
		crc = add_page(crc, page_sum(sums++, data));
	return digest_add(crc, data, tail);
}

uint32_t digest_add_iov(uint32_t crc, const struct iovec *iov, unsigned n, struct arena *arena)
{
	for (unsigned i = 0; i < n; i++)
		crc = arena ? add_kept(crc, iov[i].iov_base, iov[i].iov_len, arena)
			    : digest_add(crc, iov[i].iov_base, (uint32_t)iov[i].iov_len);
	return crc;
}

uint32_t digest_add_landing(
	uint32_t crc, const void *data, uint32_t len, const void *place, struct arena *arena)
{
	uint32_t head = to_page(place, len);
	const uint8_t *from = (const uint8_t *)data + head;
	uint32_t *sums =
		len - head >= ARENA_PAGE ? arena_sums(arena, (const uint8_t *)place + head) : NULL;

	if (!sums)
		return digest_add(crc, data, len);
	crc = digest_add(crc, data, head);
	for (len -= head; len >= ARENA_PAGE; len -= ARENA_PAGE, from += ARENA_PAGE) {
		uint32_t sum = digest_add(0, from, ARENA_PAGE);

		__atomic_store_n(sums++, sum, __ATOMIC_RELAXED);
		crc = add_page(crc, sum);
	}
	return digest_add(crc, from, len);
}

/* --- the wire --- */

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
