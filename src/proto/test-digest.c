/* test-digest.c - the examples of RFC 7143 appendix A.4, whole and in pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <stdlib.h>
#include "arena.h"
#include "counter.h"
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
	crc = digest_add_iov(DIGEST_START, iov, 3, NULL);
	assert_int_equal(crc, digest_add(DIGEST_START, data, 100));
	digest_put(wire, crc);
	for (int i = 0; i < 32; i++) {
		wire[i / 8] ^= 1 << i % 8;
		assert_false(digest_matches(wire, crc));
		wire[i / 8] ^= 1 << i % 8;
	}
}

static uint8_t noise[5 * ARENA_PAGE + 100];

static void fill_noise(void)
{
	uint32_t x = 1;

	for (size_t i = 0; i < sizeof(noise); i++) {
		x = x * 1664525 + 1013904223;
		noise[i] = (uint8_t)(x >> 24);
	}
}

/* Four pages of an arena, whose bytes are those of `noise`. */
static struct arena *arena;
static struct run run;
static uint8_t *pages;

static void take_pages(void)
{
	unsigned n;
	uint32_t n_quota;

	assert_int_equal(arena_take(arena, ARENA_OPEN, NULL, 4, false, &run, 1, &n, &n_quota), 0);
	pages = arena_ptr(arena, run.page);
}

static int setup(void **state)
{
	struct arena_params p = {.name = "test", .kind = ARENA_RAM, .n_pages = 16};

	fill_noise();
	assert_int_equal(arena_new(&arena, &p), 0);
	take_pages();
	memcpy(pages, noise, 4 * ARENA_PAGE);
	digest_keep(arena);
	return 0;
}

static int teardown(void **state)
{
	arena_unref(arena, run.page, 4);
	arena_free(arena);
	return 0;
}

static uint32_t sent(size_t from, size_t len)
{
	struct iovec iov = {pages + from, len};

	return digest_add_iov(DIGEST_START, &iov, 1, arena);
}

/* Any range of pages gives what its bytes give, whatever of it is known already. */
static void any_range(void **state)
{
	static const size_t edges[] = {
		0, 1, 512, 4095, 4096, 4097, 8192, 9000, 12288, 16383, 16384};

	for (unsigned round = 0; round < 2; round++)
		for (unsigned i = 0; i < sizeof(edges) / sizeof(edges[0]); i++)
			for (unsigned k = i; k < sizeof(edges) / sizeof(edges[0]); k++) {
				uint32_t len = (uint32_t)(edges[k] - edges[i]);

				assert_int_equal(sent(edges[i], len),
					digest_add(DIGEST_START, noise + edges[i], len));
			}
}

/* What has landed whole is not read again: the sums that are kept are believed (other bytes would show). */
static void landed_is_known(void **state)
{
	uint32_t *sums = arena_sums(arena, pages);

	assert_non_null(sums);
	for (uint32_t head = 0; head < 600; head += 100) {
		uint32_t crc;

		memset(sums, 0, 4 * sizeof(*sums));
		memcpy(pages + 100, noise + head, 3 * ARENA_PAGE);
		/* from elsewhere (the tail), to where it belongs */
		crc = digest_add_landing(
			DIGEST_START, noise + head, 3 * ARENA_PAGE, pages + 100, arena);
		assert_int_equal(crc, digest_add(DIGEST_START, noise + head, 3 * ARENA_PAGE));
		assert_int_equal(sums[0], 0); /* begun before it */
		assert_int_equal(sums[1], digest_add(0, pages + ARENA_PAGE, ARENA_PAGE));
		assert_int_equal(sums[2], digest_add(0, pages + 2 * ARENA_PAGE, ARENA_PAGE));
		assert_int_equal(sums[3], 0); /* not full */
		assert_int_equal(sent(100, 3 * ARENA_PAGE), crc);
	}
}

/* Who takes a page again knows nothing of it. */
static void taken_again(void **state)
{
	uint32_t *sums = arena_sums(arena, pages);

	sent(0, 4 * ARENA_PAGE);
	for (unsigned i = 0; i < 4; i++)
		assert_int_not_equal(sums[i], 0);
	arena_unref(arena, run.page, 4);
	take_pages();
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(arena_sums(arena, pages)[i], 0);
}

/* Memory of others, and an arena that keeps nothing, are read as they are. */
static void nothing_kept(void **state)
{
	struct arena_params p = {.name = "plain", .kind = ARENA_RAM, .n_pages = 16};
	struct iovec iov = {noise, sizeof(noise)};
	struct arena *plain;

	assert_int_equal(arena_new(&plain, &p), 0);
	assert_null(arena_sums(plain, arena_ptr(plain, 0)));
	assert_null(arena_sums(arena, noise));
	assert_int_equal(digest_add_iov(DIGEST_START, &iov, 1, arena),
		digest_add(DIGEST_START, noise, sizeof(noise)));
	assert_int_equal(digest_add_iov(DIGEST_START, &iov, 1, plain),
		digest_add(DIGEST_START, noise, sizeof(noise)));
	arena_free(plain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(examples),
		cmocka_unit_test(a_read_command),
		cmocka_unit_test(vectors_and_one_wrong_bit),
		cmocka_unit_test_setup_teardown(any_range, setup, teardown),
		cmocka_unit_test_setup_teardown(landed_is_known, setup, teardown),
		cmocka_unit_test_setup_teardown(taken_again, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_kept, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
