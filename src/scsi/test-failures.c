/* test-failures.c - what a command makes of a volume that fails, is lost or is full, and of no memory. */
#include "double.h"

static void test_errors_of_the_machine(void **state)
{
	EACH_COMMAND(i)
	{
		fake.end = -EIO;
		BAD(RUN(i), 3, commands[i].asc, 0);
		assert_int_equal(
			rig.last.sense[0], 0x70); /* which of sixteen blocks is not known */
		fake.end = -ENOSPC;
		BAD(RUN(i), 7, 0x27, 7);
		fake.end = -ENOMEM;
		ENDS(RUN(i), SCSI_BUSY);
		fake.end = VOL_FULL;
		ENDS(RUN(i), SCSI_TASK_SET_FULL);
		fake.end = VOL_STALE;
		RUN(i);
		assert_true(rig.last.aborted);
		fake.end = 0;
		GOOD(RUN(i));
		assert_false(rig.last.aborted);
		assert_int_equal(lent(), 0);
	}
}

static void test_information_names_the_only_block(void **state)
{
	fake.end = -EIO;
	BAD(IN(DISK, CDB(0x28, 0, 0, 0, 1, 8, 0, 0, 1), 512), 3, 0x11, 0);
	assert_int_equal(rig.last.sense[0], 0xf0);
	assert_int_equal(get_be32(rig.last.sense + 3), 0x108);
}

static void test_information_names_the_first_block_that_failed(void **state)
{
	fake.end = -EIO;
	fake.bad = 0x10d * 512;
	BAD(IN(DISK, CDB(0x28, 0, 0, 0, 1, 8, 0, 0, 16), 8192), 3, 0x11, 0);
	assert_int_equal(rig.last.sense[0], 0xf0);
	assert_int_equal(get_be32(rig.last.sense + 3), 0x10d);
	/* the base of a page that is written in part: no block of the command's */
	fake.bad = 0x107 * 512;
	BAD(OUT(DISK, CDB(0x2a, 0, 0, 0, 1, 8, 0, 0, 16), data, 8192), 3, 0x0c, 0);
	assert_int_equal(rig.last.sense[0], 0x70);
	fake.bad = 0;
}

static void test_a_lost_disk_is_a_failure_of_the_unit(void **state)
{
	static const int lost[] = {-ESTALE, -ENOENT, -ENODEV, -ENXIO};

	thin_unit();
	for (unsigned i = 0; i < ARRAY_LEN(lost); i++) {
		fake.end = lost[i];
		BAD(IN(THIN, CDB(0x28, 0, 0, 0, 0, 8, 0, 0, 1), 4096), 4, 0x3e, 1);
		BAD(OUT(THIN, CDB(0x2a, 0, 0, 0, 0, 8, 0, 0, 1), data, 4096), 4, 0x3e, 1);
		BAD(NONE(THIN, CDB(0x35)), 4, 0x3e, 1);
		fake.end = 0;
		fake.fault = lost[i];
		fake.n_faults++;
		BAD(OUT(THIN, CDB(0x2a, 0, 0, 0, 0, 8, 0, 0, 1), data, 4096), 4, 0x3e, 1);
		assert_int_equal(rig.last.sense[0], 0x71); /* deferred */
	}
}

static void test_a_stop_that_cannot_flush_does_not_stop(void **state)
{
	fake.end = -EIO;
	BAD(NONE(DISK, CDB(0x1b)), 3, 0x0c, 0);
	GOOD(NONE(DISK, CDB(0)));
	GOOD(NONE(DISK, CDB(0x1b, 0, 0, 0, 4))); /* NO_FLUSH */
	ENDS(NONE(DISK, CDB(0)), SCSI_CHECK_CONDITION);
}

static void test_unmap_stops_at_the_first_error(void **state)
{
	fake.end = -EIO;
	fake.n_ops = 0;
	BAD(OUT(DISK, CDB(0x42, 0, 0, 0, 0, 0, 0, 0, 40), unmap_two, 40), 3, 0x0c, 0);
	assert_int_equal(fake.n_ops, 1);
}

static void test_no_memory(void **state)
{
	static struct lu_map map;

	fake.fail_alloc = 1; /* the body */
	ENDS(NONE(DISK, CDB(0)), SCSI_BUSY);
	GOOD(NONE(DISK, CDB(0)));
	fake.fail_alloc = 1; /* a list of more than a body holds */
	ENDS(OUT(DISK, CDB(0x42, 0, 0, 0, 0, 0, 0, 4, 0), data, 1024), SCSI_BUSY);
	assert_int_equal(rig.last.out_len, 0);
	fake.fail_alloc = 1;
	for (map.n = 0; map.n < 200; map.n++)
		map.lu[map.n] = disk;
	rig.nexus.luns = &map;
	ENDS(IN(DISK, CDB(0xa0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff), 0xffff), SCSI_BUSY);
	GOOD(IN(DISK, CDB(0xa0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff), 0xffff));
	assert_int_equal(rig.in_len, 8 + 200 * 8);
}

/* A READ or WRITE allocates nothing once its nexus has a spare body. */
static void test_fast_path_allocates_nothing(void **state)
{
	GOOD(NONE(DISK, CDB(0)));
	fake.fail_alloc = 1;
	GOOD(IN(DISK, CDB(0x28, 0, 0, 0, 0, 8, 0, 0, 64), 64 * 512));
	GOOD(OUT(DISK, WRITE_8K, data, 8192));
	GOOD(NONE(DISK, CDB(0)));
	assert_int_equal(fake.fail_alloc, 1);
	fake.fail_alloc = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_errors_of_the_machine),
		TEST(test_information_names_the_only_block),
		TEST(test_information_names_the_first_block_that_failed),
		TEST(test_a_lost_disk_is_a_failure_of_the_unit),
		TEST(test_a_stop_that_cannot_flush_does_not_stop),
		TEST(test_unmap_stops_at_the_first_error),
		TEST(test_no_memory),
		TEST(test_fast_path_allocates_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
