/* test-digest.c - the examples of RFC 7143 appendix A.4, whole and in pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "digest.h"

#define EXPECT_WIRE(data, len, ...)                                                                \
	do {                                                                                       \
		static const uint8_t want[] = {__VA_ARGS__};                                       \
		uint8_t got[DIGEST_LEN];                                                           \
		for (uint32_t cut = 0; cut <= (len); cut++) {                                      \
			uint32_t crc = digest_add(DIGEST_START, (data), cut);                      \
			crc = digest_add(crc, (const uint8_t *)(data) + cut, (len)-cut);           \
			digest_put(got, crc);                                                      \
			assert_memory_equal(got, want, DIGEST_LEN);                                \
			assert_true(digest_matches(want, crc));                                    \
		}                                                                                  \
	} while (0)

static void examples(void **state)
{
	uint8_t data[32];

	memset(data, 0, sizeof(data));
	EXPECT_WIRE(data, 32, 0xaa, 0x36, 0x91, 0x8a);
	memset(data, 0xff, sizeof(data));
	EXPECT_WIRE(data, 32, 0x43, 0xab, 0xa8, 0x62);
	for (int i = 0; i < 32; i++)
		data[i] = (uint8_t)i;
	EXPECT_WIRE(data, 32, 0x4e, 0x79, 0xdd, 0x46);
	for (int i = 0; i < 32; i++)
		data[i] = (uint8_t)(31 - i);
	EXPECT_WIRE(data, 32, 0x5c, 0xdb, 0x3f, 0x11);
}

static void a_read_command(void **state)
{
	static const uint8_t pdu[48] = {0x01, 0xc0, [16] = 0x14, [20] = 0x00, 0x00, 0x04, 0x00,
		0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x18, 0x28, 0x00, 0x00, 0x00, 0x00, 0x00,
		0x00, 0x00, 0x02};

	EXPECT_WIRE(pdu, 48, 0x56, 0x3a, 0x96, 0xd9);
}

static void vectors_and_one_wrong_bit(void **state)
{
	uint8_t data[100], wire[DIGEST_LEN];
	struct iovec iov[] = {{data, 1}, {data + 1, 62}, {data + 63, 37}};
	uint32_t crc;

	for (int i = 0; i < 100; i++)
		data[i] = (uint8_t)(i * 7);
	crc = digest_add_iov(DIGEST_START, iov, 3);
	assert_int_equal(crc, digest_add(DIGEST_START, data, 100));
	digest_put(wire, crc);
	for (int i = 0; i < 32; i++) {
		wire[i / 8] ^= 1 << i % 8;
		assert_false(digest_matches(wire, crc));
		wire[i / 8] ^= 1 << i % 8;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(examples),
		cmocka_unit_test(a_read_command),
		cmocka_unit_test(vectors_and_one_wrong_bit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
