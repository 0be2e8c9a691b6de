/* test-threshold.c - a thin unit whose file system has little left (SBC-3 4.7.3.8, 6.3.4, 6.4.9). */
#include "double.h"

static void test_a_soft_threshold_is_told_once(void **state)
{
	thin_unit();
	GOOD(NONE(THIN, CDB(0)));
	fake.n_lows = 1;
	fake.low = true;
	GOOD(IN(THIN, CDB(0x12, 0, 0, 0, 36), 36)); /* INQUIRY reports none */
	BAD(OUT(THIN, CDB(0x2a, 0, 0, 0, 0, 8, 0, 0, 1), data, 4096), 6, 0x38, 7);
	GOOD(OUT(THIN, CDB(0x2a, 0, 0, 0, 0, 8, 0, 0, 1), data, 4096));
	fake.n_lows = 2;
	fake.low = false; /* there is room again before anybody asked */
	GOOD(NONE(THIN, CDB(0)));
	fake.n_lows = 3;
	fake.low = true;
	BAD(NONE(THIN, CDB(0)), 6, 0x38, 7);
	GOOD(NONE(THIN, CDB(0)));
}

static void test_the_threshold_stands_in_its_pages(void **state)
{
	static const uint8_t page[24] = {0x5c, 2, 0, 20, [16] = 0x80, [17] = 1, [23] = 3};
	static const uint8_t log[24] = {
		0, 1, 3, 8, 0, 0, 0, 7, 2, 0, 0, 0, 0, 2, 3, 8, 0, 0, 0, 5, 1};

	thin_unit();
	GOOD(IN(THIN, CDB(0x12, 1, 0xb2, 0, 64), 64));
	assert_int_equal(rig.in[4], 8); /* 2^8 blocks of 4 KiB */
	GOOD(IN(THIN, CDB(0x4d, 0, 0x4c, 0, 0, 0, 0, 0, 64), 64));
	assert_int_equal(get_be16(rig.in + 2), sizeof(log));
	assert_memory_equal(rig.in + 4, log, sizeof(log));
	GOOD(IN(THIN, CDB(0x1a, 8, 0x1c, 2, 255), 255)); /* the subpage alone */
	assert_int_equal(rig.in[0], 3 + sizeof(page));
	assert_memory_equal(rig.in + 4, page, sizeof(page));
	GOOD(IN(THIN, CDB(0x1a, 8, 0x1c, 0, 255), 255)); /* the page without it */
	assert_int_equal(rig.in[0], 3 + 12);
	GOOD(IN(THIN, CDB(0x1a, 8, 0x1c, 0xff, 255), 255)); /* both */
	assert_int_equal(rig.in[0], 3 + 12 + sizeof(page));
	GOOD(IN(THIN, CDB(0x1a, 8, 0x3f, 0xff, 255), 255));
	assert_int_equal(rig.in[0], 3 + 12 + 16 + 20 + 12 + 12 + sizeof(page));
	GOOD(IN(THIN, CDB(0x1a, 8, 0x3f, 0, 255), 255));
	assert_int_equal(rig.in[0], 3 + 12 + 16 + 20 + 12 + 12);
	BAD(IN(THIN, CDB(0x1a, 8, 0x1c, 3, 255), 255), 5, 0x24, 0);
	BAD(IN(THIN, CDB(0x1a, 8, 0x0a, 2, 255), 255), 5, 0x24, 0);
	BAD(IN(DISK, CDB(0x1a, 8, 0x1c, 2, 255), 255), 5, 0x24,
		0); /* memory has no such threshold */
}

/* As it is it can be sent; otherwise it cannot. */
static void test_the_threshold_cannot_be_changed(void **state)
{
	uint8_t list[28] = {[4] = 0x5c, 2, 0, 20, [20] = 0x80, [21] = 1, [27] = 3};

	thin_unit();
	GOOD(OUT(THIN, CDB(0x15, 0x10, 0, 0, 28), list, 28));
	list[27] = 4;
	BAD(OUT(THIN, CDB(0x15, 0x10, 0, 0, 28), list, 28), 5, 0x26, 0);
	list[27] = 3;
	list[7] = 19;
	BAD(OUT(THIN, CDB(0x15, 0x10, 0, 0, 28), list, 28), 5, 0x26, 0);
	list[7] = 20;
	list[5] = 0; /* a page without subpages, in the other format */
	BAD(OUT(THIN, CDB(0x15, 0x10, 0, 0, 28), list, 28), 5, 0x26, 0);
	list[5] = 2;
	BAD(OUT(THIN, CDB(0x15, 0x10, 0, 0, 6), list, 6), 5, 0x1a, 0);
	BAD(OUT(THIN, CDB(0x15, 0x10, 0, 0, 24), list, 24), 5, 0x1a, 0);
	BAD(OUT(DISK, CDB(0x15, 0x10, 0, 0, 28), list, 28), 5, 0x26, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_soft_threshold_is_told_once),
		TEST(test_the_threshold_stands_in_its_pages),
		TEST(test_the_threshold_cannot_be_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
