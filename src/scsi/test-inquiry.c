/* test-inquiry.c - what the unit says of itself. */
#include "units.h"

/* --- what the unit says of itself --- */

static void test_standard_inquiry(void **state)
{
	GOOD(IN(DISK, CDB(0x12, 0, 0, 1, 4), 260));
	assert_int_equal(rig.in_len, 96);
	assert_memory_equal(rig.in, ((uint8_t[]){0, 0, 6, 0x12, 91, 0x38, 0, 2}), 8);
	assert_memory_equal(rig.in + 8, "BERTH   VIRTUAL-DISK    ", 24);
	assert_memory_equal(
		rig.in + 58, ((uint8_t[]){0, 0xa0, 4, 0x60, 4, 0xc0, 9, 0x60, 0, 0}), 10);
	for (unsigned i = 0; i < 96; i++) {
		GOOD(IN(DISK, CDB(0x12, 0, 0, 0, (uint8_t)i), 255));
		assert_int_equal(rig.in_len, i);
	}
	FIELD(IN(DISK, CDB(0x12, 0, 0x80, 0, 96), 96), 2, -1);
	FIELD(IN(DISK, CDB(0x12, 1, 0xb9, 0, 96), 96), 2, -1);
}

#define VPD(lun, page) GOOD(IN(lun, CDB(0x12, 1, page, 0xff, 0xff), 0xffff))

static void test_vpd_pages(void **state)
{
	uint8_t known[16];
	unsigned n;

	VPD(DISK, 0x00);
	assert_memory_equal(rig.in,
		((uint8_t[]){0, 0, 0, 11, 0, 0x80, 0x83, 0x85, 0x86, 0x87, 0x88, 0x8f, 0xb0, 0xb1,
			0xb2}),
		15);
	n = rig.in_len - 4;
	memcpy(known, rig.in + 4, n);
	for (unsigned i = 0; i < n; i++) {
		VPD(DISK, known[i]);
		assert_int_equal(rig.in[1], known[i]);
		assert_int_equal(get_be16(rig.in + 2) + 4, rig.in_len);
	}
	VPD(DISK, 0x80);
	assert_memory_equal(rig.in + 4, "0102030405060708090a0b0c0d0e0f10", 32);
	VPD(DISK, 0xb0);
	assert_int_equal(rig.in_len, 64);
	assert_int_equal(get_be16(rig.in + 6), 8);
	assert_int_equal(get_be32(rig.in + 8), 32768);
	assert_true(get_be32(rig.in + 20) == 1 << 20 && get_be32(rig.in + 24) == 256);
	VPD(BIG, 0xb0);
	assert_int_equal(get_be16(rig.in + 6), 1);
	assert_int_equal(get_be32(rig.in + 8), 4096);
	assert_int_equal(get_be32(rig.in + 20), 1 << 18);
	VPD(DISK, 0xb1);
	assert_int_equal(get_be16(rig.in + 4), 1);
	VPD(DISK, 0xb2);
	assert_memory_equal(rig.in, ((uint8_t[]){0, 0xb2, 0, 4, 11, 0xe4, 2, 0}), 8);
	VPD(DISK, 0x86);
	assert_int_equal(rig.in[5], 7);
	VPD(DISK, 0x87);
	assert_memory_equal(rig.in + 4, ((uint8_t[]){0x3f, 0xff, 0, 0}), 4);
	VPD(DISK, 0x88);
	assert_int_equal(get_be16(rig.in + 6), 1);
	assert_int_equal(get_be16(rig.in + 14) + 16, rig.in_len);
	assert_string_equal((const char *)rig.in + 20, "iqn.2026-11.io.berth:rig,t,0x0001");
}

/* The page as a reader walks it: NAA, T10, ports, group, names. */
static void test_device_identification(void **state)
{
	unsigned seen = 0, end;

	VPD(DISK, 0x83);
	end = rig.in_len;
	for (unsigned at = 4; at < end; at += 4 + rig.in[at + 3]) {
		const uint8_t *d = rig.in + at;
		unsigned type = d[1] & 0x0f, of = d[1] >> 4 & 3;

		assert_true(at + 4 + d[3] <= end);
		seen |= 1U << type;
		if (type == 3) {
			assert_int_equal(d[3], 8);
			assert_int_equal(d[4] >> 4, 3);
		} else if (type == 1) {
			assert_memory_equal(d + 4, "BERTH   0102030405060708090a0b0c0d0e0f10", 40);
		} else if (type == 8) {
			const char *want = of == 1 ? "iqn.2026-11.io.berth:rig,t,0x0001"
						   : "iqn.2026-11.io.berth:rig";

			assert_int_equal(d[0], 0x53);
			assert_int_equal(d[3] % 4, 0);
			assert_string_equal((const char *)d + 4, want);
		}
	}
	assert_int_equal(seen, 1 << 1 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 8);
}

static void test_capacity(void **state)
{
	GOOD(IN(DISK, CDB(0x25), 8));
	assert_memory_equal(rig.in, ((uint8_t[]){0, 0, 0x07, 0xff, 0, 0, 2, 0}), 8);
	GOOD(IN(BIG, CDB(0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32), 32));
	assert_int_equal(rig.in_len, 32);
	assert_true(get_be64(rig.in) == (64 << 20) / 4096 - 1 && get_be32(rig.in + 8) == 4096);
	assert_memory_equal(rig.in + 12, ((uint8_t[]){0, 0, 0xc0, 0}), 4);
	GOOD(IN(DISK, CDB(0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32), 32));
	assert_int_equal(rig.in[13], 3);
	GOOD(IN(FAR, CDB(0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32), 32));
	assert_int_equal(rig.in[13], 0);
	for (uint8_t i = 0; i < 16; i++)
		GOOD(IN(DISK, CDB(0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, i), i));
	FIELD(IN(DISK, CDB(0x25, 0, 0, 0, 0, 1), 8), 2, -1);
	GOOD(IN(DISK, CDB(0x25, 0, 0, 0, 0, 1, 0, 0, 1), 8));
}

static void test_mode_sense(void **state)
{
	GOOD(IN(DISK, CDB(0x1a, 0, 0x3f, 0, 255), 255));
	assert_int_equal(rig.in_len, 4 + 8 + 12 + 16 + 20 + 12 + 12);
	assert_memory_equal(
		rig.in, ((uint8_t[]){83, 0, 0x10, 8, 0, 0, 8, 0, 0, 0, 2, 0, 0x01, 10, 0}), 15);
	assert_memory_equal(rig.in + 24, ((uint8_t[]){0x02, 14, 0}), 3);
	assert_memory_equal(rig.in + 40, ((uint8_t[]){0x08, 18, 0}), 3);
	assert_memory_equal(rig.in + 60, ((uint8_t[]){0x0a, 10, 0x22, 0x10, 0}), 5);
	assert_memory_equal(rig.in + 72, ((uint8_t[]){0x1c, 10, 0}), 3);
	GOOD(IN(DISK, CDB(0x1a, 0x08, 0x08, 0, 255), 255));
	assert_int_equal(rig.in_len, 4 + 20);
	GOOD(IN(DISK, CDB(0x1a, 0x08, 0x4a, 0, 255), 255)); /* changeable: nothing */
	assert_memory_equal(
		rig.in + 4, ((uint8_t[]){0x0a, 10, 0x04, 0, 0x08, 0x40, 0, 0, 0, 0}), 10);
	GOOD(IN(DISK, CDB(0x5a, 0x10, 0x3f, 0xff, 0, 0, 0, 1, 0), 256));
	assert_memory_equal(rig.in, ((uint8_t[]){0, 94, 0, 0x10, 1, 0, 0, 16}), 8);
	assert_true(get_be64(rig.in + 8) == BLOCKS && get_be32(rig.in + 20) == 512);
	GOOD(IN(DISK, CDB(0x1a, 0, 0x3f, 0, 4), 4));
	assert_int_equal(rig.last.in_len, 4);
	GOOD(IN(DISK, CDB(0x1a, 0, 0x08, 0xff, 255), 255));
	BAD(IN(DISK, CDB(0x1a, 0, 0xc8, 0, 255), 255), 5, 0x39, 0);
	FIELD(IN(DISK, CDB(0x1a, 0, 0x07, 0, 255), 255), 2, 5);
	FIELD(IN(DISK, CDB(0x1a, 0, 0x3f, 1, 255), 255), 3, 7);
	FIELD(IN(DISK, CDB(0x1a, 0, 0x0a, 1, 255), 255), 3, 7);
}

static void test_request_sense(void **state)
{
	GOOD(IN(DISK, CDB(0x03, 0, 0, 0, 252), 252));
	assert_int_equal(rig.in_len, 18);
	assert_memory_equal(rig.in, ((uint8_t[]){0x70, 0, 0, 0, 0, 0, 0, 10}), 8);
	GOOD(IN(DISK, CDB(0x03, 1, 0, 0, 252), 252));
	assert_memory_equal(rig.in, ((uint8_t[]){0x72, 0, 0, 0, 0, 0, 0, 0}), 8);
}

static void test_report_luns(void **state)
{
	GOOD(IN(DISK, CDB(0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0), 256));
	assert_int_equal(rig.in_len, 8 + 6 * 8);
	assert_true(get_be64(rig.in + 8) == 0 && get_be64(rig.in + 32) == 3ULL << 48);
	assert_true(get_be64(rig.in + 48) == 0x412c000000000000);
	GOOD(IN(DISK, CDB(0xa0, 0, 1, 0, 0, 0, 0, 0, 1, 0), 256));
	assert_true(rig.in_len == 8 && get_be32(rig.in) == 0);
	GOOD(IN(DISK, CDB(0xa0, 0, 2, 0, 0, 0, 0, 0, 0, 16), 16));
	assert_true(rig.in_len == 16 && get_be32(rig.in) == 48);
	FIELD(IN(DISK, CDB(0xa0, 0, 0x10, 0, 0, 0, 0, 0, 1, 0), 256), 2, -1);
	GOOD(NONE(FAR, CDB(0)));
}

/* --- REPORT SUPPORTED OPERATION CODES --- */

#define OPCODES(options, op, sa) CDB(0xa3, 0x0c, options, op, 0, sa, 0, 0, 0xff, 0xff)

static void test_report_all_opcodes(void **state)
{
	static uint8_t all[4096];
	unsigned len;

	for (unsigned timeouts = 0; timeouts < 2; timeouts++) {
		GOOD(IN(DISK, OPCODES((uint8_t)(timeouts << 7), 0, 0), 0xffff));
		len = rig.in_len;
		memcpy(all, rig.in, len);
		assert_int_equal(get_be32(all) + 4, len);
		for (unsigned at = 4; at < len; at += timeouts ? 20 : 8) {
			const uint8_t *d = all + at;
			bool has_sa = d[5] & 1;

			assert_int_equal(d[5] >> 1, timeouts);
			if (timeouts)
				assert_int_equal(get_be16(d + 8), 10);
			assert_true(has_sa || get_be16(d + 2) == 0);
			GOOD(IN(DISK, OPCODES(has_sa ? 2 : 1, d[0], d[3]), 64));
			assert_int_equal(rig.in[1], 3);
			assert_int_equal(rig.in[4], d[0]);
			assert_int_equal(get_be16(rig.in + 2), get_be16(d + 6));
			assert_int_equal(rig.in_len, 4 + get_be16(d + 6));
			FIELD(IN(DISK, OPCODES(has_sa ? 1 : 2, d[0], d[3]), 64), 2, 2);
			GOOD(IN(DISK, OPCODES(0x83, d[0], d[3]), 64));
			assert_int_equal(rig.in[1], 0x83);
		}
	}
}

static void test_report_one_opcode(void **state)
{
	GOOD(IN(DISK, OPCODES(1, 0x28, 0), 64));
	assert_memory_equal(rig.in,
		((uint8_t[]){0, 3, 0, 10, 0x28, 0x1a, 255, 255, 255, 255, 0, 255, 255, 0}), 14);
	GOOD(IN(DISK, OPCODES(2, 0x9e, 0x10), 64));
	assert_int_equal(rig.in[5], 0x10);
	GOOD(IN(DISK, OPCODES(1, 0xfe, 0), 64));
	assert_memory_equal(rig.in, ((uint8_t[]){0, 1, 0, 0}), 4);
	GOOD(IN(DISK, OPCODES(2, 0x9e, 0x1f), 64));
	assert_int_equal(rig.in[1], 1);
	GOOD(IN(DISK, OPCODES(3, 0x28, 5), 64));
	assert_int_equal(rig.in[1], 1);
	FIELD(IN(DISK, OPCODES(4, 0x28, 0), 64), 2, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_standard_inquiry),
		TEST(test_vpd_pages),
		TEST(test_device_identification),
		TEST(test_capacity),
		TEST(test_mode_sense),
		TEST(test_request_sense),
		TEST(test_report_luns),
		TEST(test_report_all_opcodes),
		TEST(test_report_one_opcode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
