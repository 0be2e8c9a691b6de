/* test-cdb.c - the table of commands is what its readers take it for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "cdb.h"
#include "lun.h"

static unsigned key(const struct scsi_opcode *row)
{
	return row->op << 8 | row->sa;
}

static void test_rows_ascend(void **state)
{
	for (unsigned i = 1; i < N_CDB_ROWS; i++)
		assert_true(key(&cdb_rows[i - 1]) < key(&cdb_rows[i]));
}

/* SPC-4 4.2.5.1: the opcode's group says how long the CDB is. */
static void test_lengths_follow_the_group(void **state)
{
	static const uint8_t len[8] = {6, 10, 10, 0, 16, 12, 0, 0};

	for (unsigned i = 0; i < N_CDB_ROWS; i++)
		assert_int_equal(cdb_rows[i].len, len[cdb_rows[i].op >> 5]);
}

static void test_masks_hold_no_control_bits(void **state)
{
	for (unsigned i = 0; i < N_CDB_ROWS; i++) {
		const struct scsi_opcode *row = &cdb_rows[i];

		assert_int_equal(row->mask[0], 0xff);
		assert_int_equal(row->mask[row->len - 1], 0);
		if (row->has_sa)
			assert_int_equal(row->mask[1] & 0x1f, 0);
	}
}

/* What a stopped, write-protected or missing unit answers must not change the medium. */
static void test_permissions_agree(void **state)
{
	for (unsigned i = 0; i < N_CDB_ROWS; i++) {
		const struct scsi_opcode *row = &cdb_rows[i];

		if (row->no_lu)
			assert_true(row->state == STATE_ANY && row->access == ACCESS_ALWAYS &&
				    row->sanitize == SANITIZE_YES && row->on_ro && !row->ua);
		if (!row->on_ro)
			assert_true(row->conflict == CONFLICT_WRITE && row->state == STATE_READY &&
				    row->sanitize != SANITIZE_YES);
	}
}

static void test_find(void **state)
{
	bool known;

	for (unsigned i = 0; i < N_CDB_ROWS; i++)
		assert_ptr_equal(
			cdb_find(NULL, cdb_rows[i].op, cdb_rows[i].sa, &known), &cdb_rows[i]);
	assert_null(cdb_find(NULL, 0xff, 0, &known));
	assert_false(known);
	assert_null(cdb_find(NULL, 0x9e, 0x11, &known));
	assert_true(known);
	assert_non_null(cdb_find(NULL, 0x28, 0x1f, &known)); /* no service action there */
	assert_true(cdb_has_actions(0xa3) && cdb_has_actions(0x9e));
	assert_false(cdb_has_actions(0x28) || cdb_has_actions(0x01));
}

static void test_thin_rows(void **state)
{
	struct lu thick = {.thin = false}, thin = {.thin = true};
	bool known;

	assert_null(cdb_find(&thick, 0x42, 0, &known));
	assert_false(known);
	assert_non_null(cdb_find(&thin, 0x42, 0, &known));
}

#define RANGE(want_lba, want_n, ...)                                                               \
	do {                                                                                       \
		struct cdb_range r = cdb_range((const uint8_t[16]){__VA_ARGS__});                  \
		assert_true(r.lba == (want_lba) && r.n == (want_n));                               \
	} while (0)

static void test_ranges(void **state)
{
	RANGE(0x1fffff, 256, 0x08, 0xff, 0xff, 0xff, 0);
	RANGE(0x010203, 4, 0x0a, 1, 2, 3, 4);
	RANGE(0xffffffff, 0xffff, 0x28, 0, 0xff, 0xff, 0xff, 0xff, 0, 0xff, 0xff);
	RANGE(0x01020304, 0x0506, 0x41, 0, 1, 2, 3, 4, 0, 5, 6);
	RANGE(0x01020304, 0x05060708, 0xa8, 0, 1, 2, 3, 4, 5, 6, 7, 8);
	RANGE(0x0102030405060708, 0x090a0b0c, 0x88, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12);
	RANGE(0xffffffffffffffff, 7, 0x89, 0, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 7);
}

#define LUN(wire, flat) assert_int_equal(scsi_lun_flat(wire), flat)

/* SAM-5 4.7 */
static void test_lun_addresses(void **state)
{
	LUN(0, 0);
	LUN(0x00ff000000000000, 255);
	LUN(0x4000000000000000, 0);
	LUN(0x4100000000000000, 256);
	LUN(0x7fff000000000000, 16383);
	LUN(0x012b000000000000, 299); /* bus 1 by the book; libiscsi means 299 */
	LUN(0x412b000000000000, 299);
	LUN(0x8001000000000000, -1); /* logical unit addressing */
	LUN(0xc101000000000000, -1); /* well known */
	LUN(0x0001000000000001, -1); /* a second level */
	for (unsigned i = 0; i < 16384; i++)
		LUN(scsi_lun_wire(i), (int)i);
	assert_true(scsi_lun_wire(255) == 0x00ff000000000000);
	assert_true(scsi_lun_wire(256) == 0x4100000000000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows_ascend),
		cmocka_unit_test(test_lengths_follow_the_group),
		cmocka_unit_test(test_masks_hold_no_control_bits),
		cmocka_unit_test(test_permissions_agree),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_thin_rows),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_lun_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
