/* test-write-cache.c - what a command asks of the cache in front of a disk, and the mode page that turns it off. */
#include "double.h"

enum { CACHED = 9 };

static void cached_unit(void)
{
	fake.can_back = fake.back = true;
	rig_unit(&rig, &(struct rig_unit){.lun = CACHED, .size = 1 << 20, .block = 512});
	NONE(CACHED, CDB(0)); /* it is new */
}

static uint8_t wce(unsigned values)
{
	GOOD(IN(CACHED, CDB(0x1a, 0x08, (uint8_t)(values << 6 | 8), 0, 64), 64));
	return rig.in[4 + 2] & 0x04;
}

static void select_wce(bool on)
{
	uint8_t list[24] = {[4] = 8, [5] = 18, [6] = on ? 4 : 0};

	OUT(CACHED, CDB(0x15, 0x10, 0, 0, sizeof(list)), list, sizeof(list));
}

static void test_fua_asks_for_durable(void **state)
{
	GOOD(OUT(DISK, CDB(0x2a, 0x08, 0, 0, 0, 8, 0, 0, 1), data, 512));
	assert_true(fake.durable);
	GOOD(OUT(DISK, CDB(0x2a, 0x10, 0, 0, 0, 8, 0, 0, 1), data, 512));
	assert_false(fake.durable);
	GOOD(OUT(DISK, CDB(0x0a, 0x08, 0, 0, 1), data, 512)); /* six bytes: an LBA bit */
	assert_false(fake.durable);
}

static void test_dpo_is_passed_on(void **state)
{
	GOOD(IN(DISK, CDB(0x28, 0x10, 0, 0, 0, 8, 0, 0, 1), 512));
	assert_true(fake.dpo);
	GOOD(IN(DISK, CDB(0x28, 0x08, 0, 0, 0, 8, 0, 0, 1), 512));
	assert_false(fake.dpo);
	GOOD(IN(DISK, CDB(0x88, 0x18, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 1), 512));
	assert_true(fake.dpo && fake.durable);
	GOOD(IN(DISK, CDB(0x08, 0x10, 0, 0, 1), 512)); /* six bytes: an LBA bit */
	assert_false(fake.dpo);
}

/* SBC-3 5.18 */
static void test_immed_does_not_wait(void **state)
{
	fake.hold = true;
	GOOD(NONE(DISK, CDB(0x35, 2)));
	GOOD(NONE(DISK, CDB(0x91, 2)));
	assert_int_equal(fake.n_soon, 2);
	assert_int_equal(fake.n_ops, 0);
}

static void test_write_cache_is_a_mode(void **state)
{
	unsigned n;

	cached_unit();
	assert_true(wce(0) && wce(1) && wce(2));
	n = fake.n_ops;
	select_wce(false);
	assert_int_equal(rig.last.status, SCSI_GOOD);
	assert_false(fake.back);
	assert_int_equal(fake.n_ops, n + 1); /* what was acknowledged is flushed */
	assert_true(!wce(0) && wce(2));
	select_wce(true);
	assert_true(fake.back && wce(0));
	assert_int_equal(fake.n_ops, n + 1);
	select_wce(false);
	lu_reset(rig.map.lu[CACHED]); /* as saved */
	assert_true(fake.back);
	NONE(CACHED, CDB(0));
	fake.end = -EIO;
	select_wce(false);
	assert_int_equal(rig.last.status, SCSI_CHECK_CONDITION);
}

static void test_without_a_write_cache_there_is_none(void **state)
{
	GOOD(IN(DISK, CDB(0x1a, 0x08, 0x48, 0, 64), 64));
	assert_int_equal(rig.in[4 + 2] & 0x04, 0); /* not changeable */
}

static void test_failed_write_back_is_told_once(void **state)
{
	cached_unit();
	GOOD(OUT(CACHED, CDB(0x2a, 0, 0, 0, 0, 8, 0, 0, 1), data, 512));
	fake.n_faults = 1;
	fake.fault = -ENOSPC;
	GOOD(IN(CACHED, CDB(0x28, 0, 0, 0, 0, 8, 0, 0, 1), 512)); /* reads know nothing of it */
	BAD(OUT(CACHED, CDB(0x2a, 0, 0, 0, 0, 8, 0, 0, 1), data, 512), 7, 0x27, 7);
	assert_int_equal(rig.last.sense[0], 0x71);
	GOOD(OUT(CACHED, CDB(0x2a, 0, 0, 0, 0, 8, 0, 0, 1), data, 512));
	fake.n_faults = 2;
	fake.fault = -EIO;
	BAD(OUT(CACHED, CDB(0x2a, 0, 0, 0, 0, 8, 0, 0, 1), data, 512), 3, 0x0c, 0);
	fake.n_faults = 3;
	fake.fault = 0; /* well again before anybody asked */
	GOOD(OUT(CACHED, CDB(0x2a, 0, 0, 0, 0, 8, 0, 0, 1), data, 512));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_fua_asks_for_durable),
		TEST(test_dpo_is_passed_on),
		TEST(test_immed_does_not_wait),
		TEST(test_write_cache_is_a_mode),
		TEST(test_without_a_write_cache_there_is_none),
		TEST(test_failed_write_back_is_told_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
