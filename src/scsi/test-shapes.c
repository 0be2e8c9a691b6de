/* test-shapes.c - units that are as large as can be, not thin, or cannot be. */
#include "double.h"

static void test_addresses_near_the_powers_of_two(void **state)
{
	GOOD(IN(HUGE_DISK, CDB(0x25), 8));
	assert_int_equal(get_be32(rig.in), 0xffffffff);
	GOOD(IN(HUGE_DISK, CDB(0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32), 32));
	assert_true(get_be64(rig.in) == (1ULL << 53) - 1);
	GOOD(IN(HUGE_DISK, CDB(0x28, 0, 255, 255, 255, 255, 0, 0, 2), 1024));
	GOOD(IN(HUGE_DISK, CDB(0x88, 0, 0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 2), 1024));
	GOOD(IN(HUGE_DISK, CDB(0x88, 0, 0, 0x1f, 255, 255, 255, 255, 255, 255, 0, 0, 0, 1), 512));
	BAD(IN(HUGE_DISK, CDB(0x88, 0, 0, 0x1f, 255, 255, 255, 255, 255, 255, 0, 0, 0, 2), 1024), 5,
		0x21, 0);
	BAD(IN(HUGE_DISK, CDB(0x88, 0, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0), 5, 0x21, 0);
	BAD(IN(HUGE_DISK, CDB(0x88, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1), 512), 5, 0x21, 0);
	BAD(IN(HUGE_DISK, CDB(0x88, 0, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 2), 1024),
		5, 0x21, 0);
	BAD(NONE(HUGE_DISK,
		    CDB(0x91, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255)),
		5, 0x21, 0);
	GOOD(NONE(HUGE_DISK, CDB(0x91)));
	assert_true(fake.n_ops > 0);
	GOOD(IN(HUGE_DISK, CDB(0x1a, 0, 0x3f, 0, 255), 255));
	assert_int_equal(get_be32(rig.in + 4), 0xffffffff);
}

static void test_unit_that_is_not_thin(void **state)
{
	GOOD(IN(THICK, CDB(0x12, 1, 0xb2, 0, 255), 255));
	assert_memory_equal(rig.in + 4, ((uint8_t[]){0, 0, 0, 0}), 4);
	GOOD(IN(THICK, CDB(0x12, 1, 0xb0, 0, 255), 255));
	assert_true(get_be64(rig.in + 20) == 0 && get_be64(rig.in + 28) == 0);
	GOOD(IN(THICK, CDB(0x12, 1, 0xb1, 0, 255), 255));
	assert_int_equal(get_be16(rig.in + 4), 0);
	GOOD(IN(THICK, CDB(0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32), 32));
	assert_int_equal(rig.in[14], 0);
	BAD(OUT(THICK, CDB(0x42, 0, 0, 0, 0, 0, 0, 0, 40), unmap_two, 40), 5, 0x20, 0);
	GOOD(IN(THICK, CDB(0xa3, 0x0c, 1, 0x42, 0, 0, 0, 0, 0, 64), 64));
	assert_int_equal(rig.in[1], 1);
	BAD(OUT(THICK, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 1), data, 4096), 7, 0x27,
		0); /* cannot write */
}

static void test_units_that_cannot_be(void **state)
{
	struct lu_params p = {
		.volume = disk->volume, .target = "t", .block = 512, .physical = 4096};
	struct lu *l = NULL;

	p.block = 1024;
	assert_int_equal(lu_new(&l, &p), -EINVAL);
	p.block = 4096;
	p.physical = 512;
	assert_int_equal(lu_new(&l, &p), -EINVAL);
	p.physical = 12288;
	assert_int_equal(lu_new(&l, &p), -EINVAL);
	p.physical = 4096;
	p.lun = 16384;
	assert_int_equal(lu_new(&l, &p), -EINVAL);
	p.lun = 1;
	for (unsigned i = 1; i <= 2; i++) {
		fake.fail_alloc = i;
		assert_int_equal(lu_new(&l, &p), -ENOMEM);
	}
	fake.fail_alloc = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_addresses_near_the_powers_of_two),
		TEST(test_unit_that_is_not_thin),
		TEST(test_units_that_cannot_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
