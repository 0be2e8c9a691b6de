/* test-provision.c - VERIFY and what writes in other ways than WRITE; what takes room. */
#include "units.h"

/* --- VERIFY, COMPARE AND WRITE --- */

static void test_verify(void **state)
{
	fill(9, 4 * 512);
	GOOD(OUT(DISK, CDB(0x2a, 0, 0, 0, 0, 30, 0, 0, 4), data, 4 * 512));
	GOOD(NONE(DISK, CDB(0x2f, 0x10, 0, 0, 0, 30, 0, 0, 4)));
	GOOD(OUT(DISK, CDB(0x2f, 0x02, 0, 0, 0, 30, 0, 0, 4), data, 4 * 512));
	GOOD(OUT(DISK, CDB(0xaf, 0x12, 0, 0, 0, 30, 0, 0, 0, 4), data, 4 * 512));
	GOOD(OUT(DISK, CDB(0x8f, 0x02, 0, 0, 0, 0, 0, 0, 0, 30, 0, 0, 0, 4), data, 4 * 512));
	data[3 * 512 + 7] ^= 1;
	BAD(OUT(DISK, CDB(0x2f, 0x02, 0, 0, 0, 30, 0, 0, 4), data, 4 * 512), 0xe, 0x1d, 0);
	GOOD(OUT(DISK, CDB(0x2f, 0x02, 0, 0, 0, 30, 0, 0, 3), data, 3 * 512));
	GOOD(OUT(DISK, CDB(0x2f, 0x00, 0, 0, 0, 30, 0, 0, 4), data, 4 * 512));
	assert_int_equal(rig.last.out_full, 0);
	GOOD(NONE(DISK, CDB(0x2f, 0, 0, 0, 0, 0, 0, 0x08, 0)));
}

/* One block against all of the range. */
static void test_verify_with_one_block(void **state)
{
	fill(3, 512);
	GOOD(OUT(DISK, CDB(0x41, 0, 0, 0, 0, 7, 0, 0, 40), data, 512));
	GOOD(OUT(DISK, CDB(0x2f, 0x06, 0, 0, 0, 7, 0, 0, 40), data, 512));
	assert_int_equal(rig.last.out_full, 512);
	GOOD(OUT(DISK, CDB(0xaf, 0x06, 0, 0, 0, 7, 0, 0, 0, 40), data, 512));
	BAD(OUT(DISK, CDB(0x2f, 0x06, 0, 0, 0, 7, 0, 0, 41), data, 512), 0xe, 0x1d, 0);
	BAD(OUT(DISK, CDB(0x2f, 0x06, 0, 0, 0, 6, 0, 0, 2), data, 512), 0xe, 0x1d, 0);
	data[511] ^= 1;
	BAD(OUT(DISK, CDB(0x8f, 0x06, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 1), data, 512), 0xe, 0x1d,
		0);
	BAD(OUT(DISK, CDB(0x2f, 0x06, 0, 0, 0, 7, 0, 0, 40), data, 100), 5, 0x0e, 3);
	GOOD(NONE(DISK, CDB(0x2f, 0x06, 0, 0, 0, 7, 0, 0, 0)));
	FIELD(OUT(DISK, CDB(0x2f, 0x04, 0, 0, 0, 7, 0, 0, 1), data, 512), 1, 2);
}

static void test_write_and_verify(void **state)
{
	static const uint8_t writes[][16] = {{0x2e, 0x02, 0, 0, 0, 9, 0, 0, 5},
		{0xae, 0x10, 0, 0, 0, 9, 0, 0, 0, 5},
		{0x8e, 0x12, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 5}};

	for (unsigned i = 0; i < ARRAY_LEN(writes); i++) {
		fill(60 + i, 5 * 512);
		GOOD(OUT(DISK, writes[i], data, 5 * 512));
		GOOD(IN(DISK, CDB(0x28, 0, 0, 0, 0, 9, 0, 0, 5), 5 * 512));
		assert_memory_equal(rig.in, data, 5 * 512);
	}
	GOOD(NONE(DISK, CDB(0x2e)));
	FIELD(OUT(DISK, CDB(0x2e, 0x04, 0, 0, 0, 9, 0, 0, 1), data, 512), 1, 2);
	OUT_OF_RANGE(OUT(DISK, CDB(0x2e, 0, 0, 0, 0x07, 0xff, 0, 0, 2), data, 1024));
	BAD(OUT(RO, writes[0], data, 5 * 512), 7, 0x27, 0);
}

static void test_orwrite(void **state)
{
	uint8_t want[20 * 512];

	fill(70, 20 * 512);
	memcpy(want, data, sizeof(want));
	GOOD(OUT(DISK, CDB(0x2a, 0, 0, 0, 0, 3, 0, 0, 20), data, 20 * 512));
	for (unsigned i = 0; i < 20 * 512; i++) {
		data[i] = (uint8_t)(i * 31);
		want[i] |= data[i];
	}
	GOOD(OUT(DISK, CDB(0x8b, 0x18, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 20), data, 20 * 512));
	GOOD(IN(DISK, CDB(0x28, 0, 0, 0, 0, 3, 0, 0, 20), 20 * 512));
	assert_memory_equal(rig.in, want, 20 * 512);
	GOOD(NONE(DISK, CDB(0x8b)));
	FIELD(OUT(DISK, CDB(0x8b, 0x20, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 1), data, 512), 1, 5);
	OUT_OF_RANGE(OUT(DISK, CDB(0x8b, 0, 0, 0, 0, 0, 0, 0, 0x08, 1), NULL, 0));
}

static void test_write_atomic(void **state)
{
	fill(80, 256 * 512);
	GOOD(OUT(DISK, CDB(0x9c, 0x18, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 1, 0), data, 256 * 512));
	GOOD(IN(DISK, CDB(0x28, 0, 0, 0, 0, 5, 0, 1, 0), 256 * 512));
	assert_memory_equal(rig.in, data, 256 * 512);
	FIELD(OUT(BIG, CDB(0x9c, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1), data, 0), 12, -1);
	/* longer than the limit, and over the end besides */
	OUT_OF_RANGE(OUT(BIG, CDB(0x9c, 0, 0, 0, 0, 0, 0, 0, 0x3f, 0xff, 0, 0, 1, 1), data, 0));
	FIELD(OUT(DISK, CDB(0x9c, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 1), data, 512), 11, 3);
	OUT_OF_RANGE(OUT(DISK, CDB(0x9c, 0, 0, 0, 0, 0, 0, 0, 0x07, 0xff, 0, 0, 0, 2), data, 1024));
	/* a part of it is not all of it */
	BAD(OUT(DISK, CDB(0x9c, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2), data, 512), 5, 0x0e, 3);
}

static void test_prefetch(void **state)
{
	GOOD(NONE(DISK, CDB(0x34, 0x02, 0, 0, 0, 9, 0x1f, 0, 5)));
	GOOD(NONE(DISK, CDB(0x90, 0, 0, 0, 0, 0, 0, 0, 0, 9)));
	OUT_OF_RANGE(NONE(DISK, CDB(0x34, 0, 0, 0, 0x08, 0)));
	OUT_OF_RANGE(NONE(DISK, CDB(0x90, 0, 0, 0, 0, 0, 0, 0, 0x07, 0xff, 0, 0, 0, 2)));
}

/* --- GET LBA STATUS --- */

#define STATUS(lun, lba, alloc)                                                                    \
	GOOD(IN(lun, CDB(0x9e, 0x12, 0, 0, 0, 0, 0, 0, (lba) >> 8, (lba)&0xff, 0, 0, 0, alloc),    \
		alloc))
#define RUN(i, lba, n, kind)                                                                       \
	do {                                                                                       \
		const uint8_t *d = rig.in + 8 + 16 * (i);                                          \
		assert_true(get_be64(d) == (lba) && get_be32(d + 8) == (n) && d[12] == (kind));    \
	} while (0)

static void test_lba_status(void **state)
{
	STATUS(DISK, 0, 24);
	assert_int_equal(rig.in_len, 24);
	RUN(0, 0, BLOCKS, 1);
	fill(1, 512);
	GOOD(OUT(DISK, CDB(0x2a, 0, 0, 0, 0, 20, 0, 0, 1), data, 512)); /* a page: 16 to 23 */
	GOOD(OUT(DISK, CDB(0x2a, 0, 0, 0, 0, 24, 0, 0, 1), data, 512));
	STATUS(DISK, 0, 200);
	assert_int_equal(rig.in_len, 8 + 3 * 16);
	assert_int_equal(get_be32(rig.in), 4 + 3 * 16);
	RUN(0, 0, 16, 1);
	RUN(1, 16, 16, 0);
	RUN(2, 32, BLOCKS - 32, 1);
	STATUS(DISK, 21, 40);
	RUN(0, 21, 11, 0);
	RUN(1, 32, BLOCKS - 32, 1);
	STATUS(DISK, 2047, 24);
	RUN(0, 2047, 1, 1);
	STATUS(DISK, 0, 10);
	assert_int_equal(rig.in_len, 10);
	OUT_OF_RANGE(IN(DISK, CDB(0x9e, 0x12, 0, 0, 0, 0, 0, 0, 0x08, 0, 0, 0, 0, 24), 24));
}

/* More runs than fit. */
static void test_lba_status_of_many_runs(void **state)
{
	fill(1, 4096);
	for (unsigned i = 0; i < 64; i++)
		GOOD(OUT(BIG, CDB(0x2a, 0, 0, 0, 0, (uint8_t)(2 * i), 0, 0, 1), data, 4096));
	STATUS(BIG, 0, 255);
	assert_int_equal(rig.in_len, 8 + 15 * 16);
	for (unsigned i = 0; i < 15; i++)
		RUN(i, i, 1, i % 2);
	STATUS(BIG, 126, 255);
	assert_int_equal(rig.in_len, 8 + 2 * 16);
	RUN(0, 126, 1, 0);
	RUN(1, 127, 16384 - 127, 1);
}

static void test_compare_and_write(void **state)
{
	uint8_t both[4 * 512];

	fill(20, 2 * 512);
	GOOD(OUT(DISK, CDB(0x2a, 0, 0, 0, 0, 41, 0, 0, 2), data, 2 * 512));
	memcpy(both, data, 2 * 512);
	fill(21, 2 * 512);
	memcpy(both + 2 * 512, data, 2 * 512);
	GOOD(OUT(DISK, CDB(0x89, 0x18, 0, 0, 0, 0, 0, 0, 0, 41, 0, 0, 0, 2), both, sizeof(both)));
	GOOD(IN(DISK, CDB(0x28, 0, 0, 0, 0, 41, 0, 0, 2), 2 * 512));
	assert_memory_equal(rig.in, data, 2 * 512);

	memcpy(both, data, 2 * 512);
	both[2 * 512 - 27] ^= 0x40;
	memset(both + 2 * 512, 'B', 2 * 512);
	BAD(OUT(DISK, CDB(0x89, 0, 0, 0, 0, 0, 0, 0, 0, 41, 0, 0, 0, 2), both, sizeof(both)), 0xe,
		0x1d, 0);
	assert_int_equal(rig.last.sense[0], 0xf0);
	assert_int_equal(get_be32(rig.last.sense + 3), 2 * 512 - 27);
	GOOD(IN(DISK, CDB(0x28, 0, 0, 0, 0, 41, 0, 0, 2), 2 * 512));
	assert_memory_equal(rig.in, data, 2 * 512);

	FIELD(OUT(DISK, CDB(0x89, 0, 0, 0, 0, 0, 0, 0, 0, 41, 0, 0, 0, 1), both, sizeof(both)), 13,
		-1);
	FIELD(OUT(DISK, CDB(0x89, 0, 0, 0, 0, 0, 0, 0, 0, 41, 0, 0, 0, 3), both, sizeof(both)), 13,
		-1);
	FIELD(OUT(DISK, CDB(0x89, 0, 0, 0, 0, 0, 0, 0, 0, 41, 0, 0, 0, 0), both, 512), 13, -1);
}

static void test_compare_and_write_of_255_blocks(void **state)
{
	uint8_t *both = calloc(2, 255 * 4096);

	fill(5, 255 * 4096);
	memcpy(both + 255 * 4096, data, 255 * 4096);
	GOOD(OUT(BIG, CDB(0x93, 0x09, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 255), NULL, 0));
	GOOD(OUT(BIG, CDB(0x89, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 255), both, 2 * 255 * 4096));
	GOOD(IN(BIG, CDB(0x28, 0, 0, 0, 0, 3, 0, 0, 255), 255 * 4096));
	assert_memory_equal(rig.in, data, 255 * 4096);
	memcpy(both, data, 255 * 4096);
	both[200 * 4096 + 5] ^= 1;
	BAD(OUT(BIG, CDB(0x89, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 255), both, 2 * 255 * 4096), 0xe,
		0x1d, 0);
	assert_int_equal(get_be32(rig.last.sense + 3), 200 * 4096 + 5);
	free(both);
}

/* --- UNMAP, WRITE SAME --- */

static uint32_t unmap_list(uint8_t *p, unsigned n, const uint64_t *pairs)
{
	memset(p, 0, 8 + 16 * n);
	put_be16(p, (uint16_t)(6 + 16 * n));
	put_be16(p + 2, (uint16_t)(16 * n));
	for (unsigned i = 0; i < n; i++) {
		put_be64(p + 8 + 16 * i, pairs[2 * i]);
		put_be32(p + 16 + 16 * i, (uint32_t)pairs[2 * i + 1]);
	}
	return 8 + 16 * n;
}

#define UNMAP(p, len)                                                                              \
	OUT(DISK, CDB(0x42, 0, 0, 0, 0, 0, 0, (uint8_t)((len) >> 8), (uint8_t)(len)), p, len)

static void test_unmap(void **state)
{
	uint8_t list[8 + 16 * 4];
	uint64_t before = volume_mapped_bytes(lu_volume(rig.map.lu[DISK]));
	uint32_t len;

	fill(30, 64 * 512);
	GOOD(OUT(DISK, CDB(0x2a, 0, 0, 0, 1, 0, 0, 0, 64), data, 64 * 512));
	assert_int_equal(volume_mapped_bytes(lu_volume(rig.map.lu[DISK])) - before, 64 * 512);
	len = unmap_list(list, 3, (uint64_t[]){256, 16, 280, 1, BLOCKS, 0});
	GOOD(UNMAP(list, len));
	assert_int_equal(volume_mapped_bytes(lu_volume(rig.map.lu[DISK])) - before, 48 * 512);
	GOOD(IN(DISK, CDB(0x28, 0, 0, 0, 1, 0, 0, 0, 64), 64 * 512));
	assert_true(is_zero(rig.in, 16 * 512) && is_zero(rig.in + 24 * 512, 512));
	assert_memory_equal(rig.in + 16 * 512, data + 16 * 512, 8 * 512);
	assert_memory_equal(rig.in + 25 * 512, data + 25 * 512, 39 * 512);
	len = unmap_list(list, 1, (uint64_t[]){256, 64});
	GOOD(UNMAP(list, len));
	assert_int_equal(volume_mapped_bytes(lu_volume(rig.map.lu[DISK])), before);
}

static void test_unmap_lists_that_are_wrong(void **state)
{
	uint8_t list[8 + 16 * 257];
	uint64_t many[2 * 257] = {0};
	uint32_t len;

	GOOD(NONE(DISK, CDB(0x42)));
	len = unmap_list(list, 0, NULL);
	GOOD(UNMAP(list, len));
	GOOD(UNMAP(list, unmap_list(list, 256, many)));
	len = unmap_list(list, 257, many);
	BAD(UNMAP(list, len), 5, 0x26, 0);
	for (unsigned i = 1; i < 8; i++)
		BAD(UNMAP(list, i), 5, 0x1a, 0);
	len = unmap_list(list, 2, many);
	BAD(UNMAP(list, len - 1), 5, 0x1a, 0);
	put_be16(list + 2, 0xffff);
	BAD(UNMAP(list, len), 5, 0x1a, 0);
	GOOD(OUT(DISK, CDB(0x42, 0, 0, 0, 0, 0, 0, 0xff, 0xff), list, unmap_list(list, 1, many)));
	OUT_OF_RANGE(UNMAP(list, unmap_list(list, 1, (uint64_t[]){BLOCKS - 1, 2})));
	OUT_OF_RANGE(UNMAP(list, unmap_list(list, 1, (uint64_t[]){BLOCKS + 1, 0})));
	OUT_OF_RANGE(UNMAP(list, unmap_list(list, 1, (uint64_t[]){UINT64_MAX, UINT32_MAX})));
	OUT_OF_RANGE(UNMAP(list, unmap_list(list, 1, (uint64_t[]){1ULL << 63, 1})));

	/* nothing of a list with an error in it is carried out */
	fill(31, 8 * 512);
	GOOD(OUT(DISK, CDB(0x2a, 0, 0, 0, 1, 0, 0, 0, 8), data, 8 * 512));
	OUT_OF_RANGE(UNMAP(list, unmap_list(list, 2, (uint64_t[]){256, 8, BLOCKS, 1})));
	GOOD(IN(DISK, CDB(0x28, 0, 0, 0, 1, 0, 0, 0, 8), 8 * 512));
	assert_memory_equal(rig.in, data, 8 * 512);
	/* the limit counts all descriptors together: 1 Mi blocks, 512 times this unit */
	for (unsigned i = 0; i < 257; i++)
		many[2 * i + 1] = BLOCKS;
	GOOD(UNMAP(list, unmap_list(list, 256, many)));
}

static void test_unmap_limit(void **state)
{
	uint8_t list[8 + 16 * 32];
	uint64_t many[64];

	for (unsigned i = 0; i < 32; i++) {
		many[2 * i] = 0;
		many[2 * i + 1] = 16384; /* the whole unit; the limit is sixteen times that */
	}
	GOOD(OUT(BIG, CDB(0x42, 0, 0, 0, 0, 0, 0, 1, 8), list, unmap_list(list, 16, many)));
	BAD(OUT(BIG, CDB(0x42, 0, 0, 0, 0, 0, 0, 1, 24), list, unmap_list(list, 17, many)), 5, 0x26,
		0);
	assert_int_equal(get_be16(rig.last.sense + 16), 8 + 16 * 16 + 8);
}

static void test_write_same(void **state)
{
	uint64_t before = volume_mapped_bytes(lu_volume(rig.map.lu[DISK]));

	fill(40, 512);
	GOOD(OUT(DISK, CDB(0x41, 0, 0, 0, 2, 1, 0, 0, 99), data, 512));
	GOOD(IN(DISK, CDB(0x28, 0, 0, 0, 2, 0, 0, 0, 101), 101 * 512));
	assert_true(is_zero(rig.in, 512) && is_zero(rig.in + 100 * 512, 512));
	for (unsigned i = 1; i < 100; i++)
		assert_memory_equal(rig.in + i * 512, data, 512);
	/* not zeros: UNMAP counts more */
	GOOD(OUT(DISK, CDB(0x93, 0x08, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0, 0, 1), data, 512));
	GOOD(IN(DISK, CDB(0x28, 0, 0, 0, 2, 1, 0, 0, 1), 512));
	assert_true(is_zero(rig.in, 512));
	/* zeros, to the end of the unit */
	memset(data, 0, 512);
	GOOD(OUT(DISK, CDB(0x93, 0x08, 0, 0, 0, 0, 0, 0, 2, 0), data, 512));
	assert_true(volume_mapped_bytes(lu_volume(rig.map.lu[DISK])) <= before);
	GOOD(NONE(DISK, CDB(0x93, 0x01, 0, 0, 0, 0, 0, 0, 2, 0)));
	BAD(OUT(DISK, CDB(0x41, 0, 0, 0, 0, 0, 0, 0, 1), data, 256), 5, 0x0e, 3);
	BAD(OUT(DISK, CDB(0x41, 0, 0, 0, 0, 0, 0, 0, 1), data, 1024), 5, 0x0e, 3);
	BAD(NONE(DISK, CDB(0x41, 0, 0, 0, 0, 0, 0, 0, 1)), 5, 0x0e, 3);
	GOOD(OUT(BIG, CDB(0x41), data, 4096)); /* 16384 blocks, all of it */
	/* longer than the limit, and over the end besides */
	OUT_OF_RANGE(OUT(BIG, CDB(0x41, 0, 0, 0, 0, 0, 0, 0x80, 0), data, 4096));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_verify),
		TEST(test_verify_with_one_block),
		TEST(test_write_and_verify),
		TEST(test_orwrite),
		TEST(test_write_atomic),
		TEST(test_prefetch),
		TEST(test_lba_status),
		TEST(test_lba_status_of_many_runs),
		TEST(test_compare_and_write),
		TEST(test_compare_and_write_of_255_blocks),
		TEST(test_unmap),
		TEST(test_unmap_lists_that_are_wrong),
		TEST(test_unmap_limit),
		TEST(test_write_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
