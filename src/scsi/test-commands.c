/* test-commands.c - CDBs and what a RAM volume behind them answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "attention.h"
#include "be.h"
#include "rig.h"
#include "sense.h"

/* LUN 0: 1 MiB in blocks of 512. 1: 64 MiB of 4096. 2: as 0, write-protected. 3: as 0, removable.
 * 300: as 0, reached by flat addressing. */
enum { DISK, BIG, RO, REMOVABLE, FAR = 300, NOBODY = 7 };
enum { BLOCKS = 2048 };

static struct rig rig;
static uint8_t data[1 << 20];

static int setup(void **state)
{
	rig_init(&rig);
	rig_unit(&rig, &(struct rig_unit){.lun = DISK, .size = 1 << 20, .block = 512});
	rig_unit(&rig, &(struct rig_unit){.lun = BIG, .size = 64 << 20, .block = 4096});
	rig_unit(&rig, &(struct rig_unit){.lun = RO, .size = 1 << 20, .block = 512, .ro = true});
	rig_unit(&rig, &(struct rig_unit){
			       .lun = REMOVABLE, .size = 1 << 20, .block = 512, .removable = true});
	rig_unit(&rig,
		&(struct rig_unit){.lun = FAR, .size = 1 << 20, .block = 512, .physical = 512});
	return 0;
}

static int teardown(void **state)
{
	rig_deinit(&rig);
	return 0;
}

/* --- one line an expectation --- */
#define CDB(...)		 ((const uint8_t[16]){__VA_ARGS__})
#define NONE(lun, cdb)		 rig_run(&rig, lun, cdb, false, false, 0, NULL)
#define IN(lun, cdb, room)	 rig_run(&rig, lun, cdb, true, false, room, NULL)
#define OUT(lun, cdb, from, len) rig_run(&rig, lun, cdb, false, true, len, from)
#define GOOD(command)                                                                              \
	do {                                                                                       \
		command;                                                                           \
		assert_int_equal(rig.last.status, SCSI_GOOD);                                      \
	} while (0)
#define BAD(command, key, asc, ascq)                                                               \
	do {                                                                                       \
		command;                                                                           \
		assert_int_equal(rig.last.status, SCSI_CHECK_CONDITION);                           \
		assert_int_equal(rig.last.sense[2], key);                                          \
		assert_int_equal(                                                                  \
			rig.last.sense[12] << 8 | rig.last.sense[13], (asc) << 8 | (ascq));        \
	} while (0)
/* INVALID FIELD IN CDB at this byte; bit -1: without one */
#define FIELD(command, byte, bit)                                                                  \
	do {                                                                                       \
		BAD(command, 5, 0x24, 0);                                                          \
		assert_int_equal(rig.last.sense[15], (bit) < 0 ? 0xc0 : 0xc8 | (bit));             \
		assert_int_equal(get_be16(rig.last.sense + 16), byte);                             \
	} while (0)
#define OUT_OF_RANGE(command) BAD(command, 5, 0x21, 0)

static void fill(unsigned seed, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		data[i] = (uint8_t)((i * 7 + i / 512 * 13 + seed) | 1);
}

static bool is_zero(const uint8_t *p, size_t len)
{
	return p[0] == 0 && memcmp(p, p + 1, len - 1) == 0;
}

/* --- reading and writing --- */

static void test_every_read_and_write(void **state)
{
	static const struct {
		uint8_t write[16], read[16];
	} pairs[] = {
		{{0x0a, 0, 0, 5, 3}, {0x08, 0, 0, 5, 3}},
		{{0x2a, 0, 0, 0, 0, 5, 0, 0, 3}, {0x28, 0, 0, 0, 0, 5, 0, 0, 3}},
		{{0xaa, 0x18, 0, 0, 0, 5, 0, 0, 0, 3}, {0xa8, 0x18, 0, 0, 0, 5, 0, 0, 0, 3}},
		{{0x8a, 0x0a, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 3},
			{0x88, 0x08, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 3}},
	};

	for (unsigned i = 0; i < ARRAY_LEN(pairs); i++)
		for (unsigned j = 0; j < ARRAY_LEN(pairs); j++) {
			fill(i * 16 + j, 3 * 512);
			GOOD(OUT(DISK, pairs[i].write, data, 3 * 512));
			assert_int_equal(rig.last.out_full, 3 * 512);
			GOOD(IN(DISK, pairs[j].read, 3 * 512));
			assert_int_equal(rig.last.in_len, 3 * 512);
			assert_memory_equal(rig.in, data, 3 * 512);
		}
}

static void test_six_byte_length_zero_is_256(void **state)
{
	fill(1, 256 * 512);
	GOOD(OUT(DISK, CDB(0x0a, 0, 0, 9, 0), data, 256 * 512));
	GOOD(IN(DISK, CDB(0x08, 0, 0, 9, 0), 256 * 512));
	assert_memory_equal(rig.in, data, 256 * 512);
}

static void test_length_zero_moves_nothing(void **state)
{
	GOOD(IN(DISK, CDB(0x28), 512));
	assert_int_equal(rig.last.in_len, 0);
	GOOD(OUT(DISK, CDB(0x2a), data, 512));
	assert_int_equal(rig.last.out_full, 0);
	GOOD(NONE(DISK, CDB(0x2f)));
	GOOD(NONE(DISK, CDB(0x89)));
}

static void test_unwritten_reads_zeros(void **state)
{
	GOOD(IN(BIG, CDB(0x28, 0, 0, 0, 0x10, 0, 0, 0, 4), 4 * 4096));
	assert_true(is_zero(rig.in, 4 * 4096));
}

static void test_longest_transfer(void **state)
{
	uint8_t *all = malloc(16 << 20);

	for (uint32_t i = 0; i < 16 << 20; i++)
		all[i] = (uint8_t)(i >> 9) ^ (uint8_t)i;
	GOOD(OUT(BIG, CDB(0x2a, 0, 0, 0, 0, 1, 0, 0x10, 0), all, 16 << 20));
	GOOD(IN(BIG, CDB(0x28, 0, 0, 0, 0, 1, 0, 0x10, 0), 16 << 20));
	assert_memory_equal(rig.in, all, 16 << 20);
	GOOD(OUT(BIG, CDB(0x2f, 0x02, 0, 0, 0, 1, 0, 0x10, 0), all, 16 << 20));
	all[(16 << 20) - 1] ^= 1;
	BAD(OUT(BIG, CDB(0x2f, 0x02, 0, 0, 0, 1, 0, 0x10, 0), all, 16 << 20), 0xe, 0x1d, 0);
	free(all);
	FIELD(IN(BIG, CDB(0x28, 0, 0, 0, 0, 1, 0, 0x10, 1), 512), 7, -1);
	FIELD(OUT(BIG, CDB(0x2a, 0, 0, 0, 0, 1, 0, 0x10, 1), NULL, 0), 7, -1);
	FIELD(NONE(BIG, CDB(0x8f, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0x10, 1)), 10, -1);
}

/* RFC 7143 11.4.5 */
static void test_edtl_shorter_than_the_cdb(void **state)
{
	fill(2, 2 * 512);
	GOOD(OUT(DISK, CDB(0x2a, 0, 0, 0, 0, 1, 0, 0, 2), data, 2 * 512));
	fill(3, 512);
	GOOD(OUT(DISK, CDB(0x2a, 0, 0, 0, 0, 1, 0, 0, 2), data, 512));
	assert_int_equal(rig.last.out_full, 1024);
	assert_int_equal(rig.last.out_len, 512);
	GOOD(IN(DISK, CDB(0x28, 0, 0, 0, 0, 1, 0, 0, 2), 2 * 512));
	assert_memory_equal(rig.in, data, 512);
	fill(2, 2 * 512);
	assert_memory_equal(rig.in + 512, data + 512, 512);

	GOOD(OUT(DISK, CDB(0x2a, 0, 0, 0, 0, 1, 0, 0, 1), NULL, 0));
	assert_int_equal(rig.last.out_full, 512);
	BAD(OUT(DISK, CDB(0x2a, 0, 0, 0, 0, 1, 0, 0, 1), NULL, 200), 5, 0x0e, 3);
	assert_int_equal(rig.last.out_full, 512);
	GOOD(IN(DISK, CDB(0x28, 0, 0, 0, 0, 1, 0, 0, 2), 200));
	assert_int_equal(rig.last.in_len, 1024);
	assert_memory_equal(rig.in, data, 0);
	GOOD(IN(DISK, CDB(0x28, 0, 0, 0, 0, 1, 0, 0, 2), 0));
	assert_int_equal(rig.last.in_len, 1024);
	assert_int_equal(rig.last.n_in_iov, 0);
}

static void test_edtl_longer_than_the_cdb(void **state)
{
	fill(4, 10000);
	GOOD(OUT(DISK, CDB(0x2a, 0, 0, 0, 0, 1, 0, 0, 1), data, 10000));
	assert_int_equal(rig.last.out_len, 512);
	GOOD(IN(DISK, CDB(0x28, 0, 0, 0, 0, 1, 0, 0, 1), 10000));
	assert_int_equal(rig.in_len, 512);
	assert_memory_equal(rig.in, data, 512);
}

static void test_direction_bits_that_contradict(void **state)
{
	GOOD(rig_run(&rig, DISK, CDB(0x28, 0, 0, 0, 0, 1, 0, 0, 1), false, true, 512, data));
	assert_int_equal(rig.last.out_full, 0);
	assert_int_equal(rig.last.n_in_iov, 0);
	BAD(IN(DISK, CDB(0x2a, 0, 0, 0, 0, 1, 0, 0, 1), 512), 5, 0x0e, 3);
	BAD(IN(DISK, CDB(0x42, 0, 0, 0, 0, 0, 0, 0, 24), 24), 5, 0x0e, 3);
	GOOD(NONE(DISK, CDB(0x2a, 0, 0, 0, 0, 1, 0, 0, 1)));
}

/* --- addresses --- */

static void test_addresses_out_of_range(void **state)
{
	OUT_OF_RANGE(IN(DISK, CDB(0x08, 0, 0x08, 0, 1), 512));
	OUT_OF_RANGE(IN(DISK, CDB(0x08, 0, 0x07, 0xff, 2), 1024));
	OUT_OF_RANGE(IN(DISK, CDB(0x28, 0, 0, 0, 0x08, 0), 0));
	OUT_OF_RANGE(IN(DISK, CDB(0x28, 0, 0, 0, 0x08, 1), 0));
	OUT_OF_RANGE(IN(DISK, CDB(0x28, 0, 0x80), 0));
	OUT_OF_RANGE(IN(DISK, CDB(0x28, 0, 0xff, 0xff, 0xff, 0xff), 0));
	OUT_OF_RANGE(OUT(DISK, CDB(0xaa, 0, 0, 0, 0x07, 0xff, 0, 0, 0, 2), data, 1024));
	OUT_OF_RANGE(IN(DISK, CDB(0x88, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1), 512));
	OUT_OF_RANGE(
		IN(DISK, CDB(0x88, 0, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 1), 512));
	OUT_OF_RANGE(OUT(DISK, CDB(0x8a, 0, 0x7f, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 1),
		data, 512));
	OUT_OF_RANGE(IN(DISK, CDB(0x88, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1), 512));
	OUT_OF_RANGE(NONE(DISK, CDB(0x35, 0, 0, 0, 0x08, 0)));
	OUT_OF_RANGE(NONE(DISK, CDB(0x91, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff)));
	OUT_OF_RANGE(NONE(DISK, CDB(0x2f, 0, 0, 0, 0x08, 1)));
	OUT_OF_RANGE(OUT(DISK, CDB(0x41, 0, 0, 0, 0x08, 1), data, 512));
	OUT_OF_RANGE(OUT(DISK, CDB(0x89, 0, 0, 0, 0, 0, 0, 0, 0x07, 0xff, 0, 0, 0, 2), data, 2048));
	assert_int_equal(rig.last.sense[0] & 0x80, 0x80);
	assert_int_equal(get_be32(rig.last.sense + 3), BLOCKS);
	GOOD(IN(DISK, CDB(0x28, 0, 0, 0, 0x07, 0xff, 0, 0, 1), 512));
}

/* --- reserved bits, unknown commands --- */

static void test_reserved_bits(void **state)
{
	FIELD(IN(DISK, CDB(0x28, 0x20, 0, 0, 0, 0, 0, 0, 1), 512), 1, 5); /* RDPROTECT 001b */
	FIELD(IN(DISK, CDB(0x28, 0xe0, 0, 0, 0, 0, 0, 0, 1), 512), 1, 7);
	FIELD(IN(DISK, CDB(0x28, 0, 0, 0, 0, 0, 0x01, 0, 1), 512), 6, 0); /* group number */
	FIELD(NONE(DISK, CDB(0, 0, 0, 0, 0, 0x04)), 5, 2);		  /* NACA */
	FIELD(OUT(DISK, CDB(0x2a, 0x80, 0, 0, 0, 0, 0, 0, 1), data, 512), 1, 7);
	FIELD(OUT(DISK, CDB(0x41, 0x10, 0, 0, 0, 0, 0, 0, 1), data, 512), 1, 4); /* ANCHOR */
	FIELD(OUT(DISK, CDB(0x42, 0x01, 0, 0, 0, 0, 0, 0, 24), data, 24), 1, 0);
	FIELD(OUT(DISK, CDB(0x89, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1), data, 1024), 10, 0);
	FIELD(IN(DISK, CDB(0x12, 0x02, 0, 0, 96), 96), 1, 1);			 /* CMDDT */
	FIELD(OUT(DISK, CDB(0x2f, 0x04, 0, 0, 0, 0, 0, 0, 1), data, 512), 1, 2); /* BYTCHK 10b */
	FIELD(IN(DISK, CDB(0x9e, 0x30, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32), 32), 1, 5);
}

static void test_unknown_commands(void **state)
{
	BAD(NONE(DISK, CDB(0x01)), 5, 0x20, 0);
	BAD(NONE(DISK, CDB(0xff)), 5, 0x20, 0);
	BAD(OUT(DISK, CDB(0x7f), data, 512), 5, 0x20, 0);
	FIELD(IN(DISK, CDB(0x9e, 0x1f), 32), 1, 4);
	FIELD(IN(DISK, CDB(0xa3, 0x00), 32), 1, 4);
}

/* --- units that are not there, protected, stopped --- */

static void test_no_unit_at_the_lun(void **state)
{
	BAD(NONE(NOBODY, CDB(0)), 5, 0x25, 0);
	BAD(OUT(NOBODY, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 1), data, 512), 5, 0x25, 0);
	BAD(NONE(NOBODY, CDB(0xff)), 5, 0x25, 0);
	GOOD(IN(NOBODY, CDB(0x12, 0, 0, 0, 96), 96));
	assert_int_equal(rig.in[0], 0x7f);
	GOOD(IN(NOBODY, CDB(0x12, 1, 0, 0, 96), 96));
	assert_memory_equal(rig.in, ((uint8_t[]){0x7f, 0, 0, 1, 0}), 5);
	FIELD(IN(NOBODY, CDB(0x12, 1, 0x83, 0, 96), 96), 2, -1);
	GOOD(IN(NOBODY, CDB(0x03, 0, 0, 0, 18), 18));
	assert_int_equal(rig.in[2], 5);
	assert_int_equal(rig.in[12], 0x25);
	GOOD(IN(NOBODY, CDB(0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0), 256));
	assert_int_equal(get_be32(rig.in), 5 * 8);
}

static void test_write_protected(void **state)
{
	static const uint8_t writes[][16] = {{0x0a, 0, 0, 0, 1}, {0x2a, 0, 0, 0, 0, 0, 0, 0, 1},
		{0xaa, 0, 0, 0, 0, 0, 0, 0, 0, 1}, {0x8a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1},
		{0x41, 0, 0, 0, 0, 0, 0, 0, 1}, {0x93, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1},
		{0x42, 0, 0, 0, 0, 0, 0, 0, 24}, {0x89, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};

	for (unsigned i = 0; i < ARRAY_LEN(writes); i++)
		BAD(OUT(RO, writes[i], data, 512), 7, 0x27, 0);
	GOOD(IN(RO, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1), 512));
	GOOD(NONE(RO, CDB(0x35)));
	GOOD(IN(RO, CDB(0x1a, 0, 0x3f, 0, 255), 255));
	assert_int_equal(rig.in[2], 0x90);
}

static void test_stop_and_start(void **state)
{
	GOOD(NONE(DISK, CDB(0)));
	GOOD(NONE(DISK, CDB(0x1b, 0, 0, 0, 0x00)));
	BAD(NONE(DISK, CDB(0)), 2, 0x04, 2);
	BAD(IN(DISK, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1), 512), 2, 0x04, 2);
	BAD(OUT(DISK, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 1), data, 512), 2, 0x04, 2);
	GOOD(IN(DISK, CDB(0x12, 0, 0, 0, 36), 36));
	GOOD(IN(DISK, CDB(0x03, 0, 0, 0, 18), 18));
	assert_memory_equal(rig.in + 12, ((uint8_t[]){0x04, 0x02}), 2);
	GOOD(NONE(BIG, CDB(0)));
	GOOD(NONE(DISK, CDB(0x1b, 1, 0, 0, 0x01)));
	GOOD(NONE(DISK, CDB(0)));
	for (uint8_t condition = 1; condition < 16; condition++) {
		GOOD(NONE(DISK, CDB(0x1b, 1, 0, 0, (uint8_t)(condition << 4 | 2))));
		GOOD(NONE(DISK, CDB(0)));
	}
	FIELD(NONE(DISK, CDB(0x1b, 0, 0, 0, 0x02)), 4, 1);
}

static void test_eject_and_load(void **state)
{
	GOOD(NONE(
		REMOVABLE, CDB(0x1b, 0, 0, 0, 0x00))); /* stopped, not ejected: ready when wanted */
	GOOD(NONE(REMOVABLE, CDB(0)));
	GOOD(NONE(REMOVABLE, CDB(0x1b, 1, 0, 0, 0x02)));
	BAD(NONE(REMOVABLE, CDB(0)), 2, 0x3a, 0);
	BAD(IN(REMOVABLE, CDB(0x25), 8), 2, 0x3a, 0);
	BAD(NONE(REMOVABLE, CDB(0x35, 0x06, 0, 0, 0, 0, 0, 0, 1)), 2, 0x3a, 0);
	BAD(OUT(REMOVABLE, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 1), data, 512), 2, 0x3a, 0);
	BAD(NONE(REMOVABLE, CDB(0x1b, 0, 0, 0, 0x01)), 2, 0x3a, 0);
	GOOD(NONE(REMOVABLE, CDB(0x1b, 0, 0, 0, 0x03)));
	GOOD(NONE(REMOVABLE, CDB(0)));
	GOOD(IN(REMOVABLE, CDB(0x12, 0, 0, 0, 36), 36));
	assert_int_equal(rig.in[1], 0x80);
}

/* A command that arrives while the unit is stopped counts when it is executed. */
static void test_state_is_that_of_execution(void **state)
{
	struct scsi_cmd stop, start, ready;

	GOOD(NONE(DISK, CDB(0x1b, 0, 0, 0, 0)));
	rig_begin(&rig, &start, DISK, CDB(0x1b, 0, 0, 0, 1), false, false, 0);
	rig_begin(&rig, &ready, DISK, CDB(0), false, false, 0);
	rig_finish(&rig, &start);
	GOOD(rig_finish(&rig, &ready));
	rig_begin(&rig, &stop, DISK, CDB(0x1b, 0, 0, 0, 0), false, false, 0);
	rig_begin(&rig, &ready, DISK, CDB(0), false, false, 0);
	rig_finish(&rig, &stop);
	BAD(rig_finish(&rig, &ready), 2, 4, 2);
	GOOD(NONE(DISK, CDB(0x1b, 0, 0, 0, 1)));
}

/* --- what the unit says of itself --- */

static void test_standard_inquiry(void **state)
{
	GOOD(IN(DISK, CDB(0x12, 0, 0, 1, 4), 260));
	assert_int_equal(rig.in_len, 96);
	assert_memory_equal(rig.in, ((uint8_t[]){0, 0, 6, 0x12, 91, 0, 0, 2}), 8);
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
	assert_memory_equal(rig.in, ((uint8_t[]){0, 0, 0, 6, 0, 0x80, 0x83, 0xb0, 0xb1, 0xb2}), 10);
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
	assert_memory_equal(rig.in, ((uint8_t[]){0, 0xb2, 0, 4, 0, 0xe4, 2, 0}), 8);
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
	assert_int_equal(rig.in_len, 4 + 8 + 20 + 12);
	assert_memory_equal(
		rig.in, ((uint8_t[]){43, 0, 0x10, 8, 0, 0, 8, 0, 0, 0, 2, 0, 0x08, 18, 0}), 15);
	assert_memory_equal(rig.in + 32, ((uint8_t[]){0x0a, 10, 0x22, 0x10, 0}), 5);
	GOOD(IN(DISK, CDB(0x1a, 0x08, 0x08, 0, 255), 255));
	assert_int_equal(rig.in_len, 4 + 20);
	GOOD(IN(DISK, CDB(0x1a, 0x08, 0x4a, 0, 255), 255)); /* changeable: nothing */
	assert_true(rig.in_len == 16 && is_zero(rig.in + 6, 10));
	GOOD(IN(DISK, CDB(0x5a, 0x10, 0x3f, 0xff, 0, 0, 0, 1, 0), 256));
	assert_memory_equal(rig.in, ((uint8_t[]){0, 54, 0, 0x10, 1, 0, 0, 16}), 8);
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
	assert_int_equal(rig.in_len, 8 + 5 * 8);
	assert_true(get_be64(rig.in + 8) == 0 && get_be64(rig.in + 32) == 3ULL << 48);
	assert_true(get_be64(rig.in + 40) == 0x412c000000000000);
	GOOD(IN(DISK, CDB(0xa0, 0, 1, 0, 0, 0, 0, 0, 1, 0), 256));
	assert_true(rig.in_len == 8 && get_be32(rig.in) == 0);
	GOOD(IN(DISK, CDB(0xa0, 0, 2, 0, 0, 0, 0, 0, 0, 16), 16));
	assert_true(rig.in_len == 16 && get_be32(rig.in) == 40);
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
	GOOD(OUT(DISK, CDB(0x89, 0, 0, 0, 0, 0, 0, 0, 0, 41, 0, 0, 0, 0), both, 512));
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
	/* not zeros: written, UNMAP or not */
	GOOD(OUT(DISK, CDB(0x93, 0x08, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 1), data, 512));
	GOOD(IN(DISK, CDB(0x28, 0, 0, 0, 2, 0, 0, 0, 1), 512));
	assert_memory_equal(rig.in, data, 512);
	/* zeros, to the end of the unit */
	memset(data, 0, 512);
	GOOD(OUT(DISK, CDB(0x93, 0x08, 0, 0, 0, 0, 0, 0, 2, 0), data, 512));
	assert_true(volume_mapped_bytes(lu_volume(rig.map.lu[DISK])) <= before);
	GOOD(NONE(DISK, CDB(0x93, 0x01, 0, 0, 0, 0, 0, 0, 2, 0)));
	BAD(OUT(DISK, CDB(0x41, 0, 0, 0, 0, 0, 0, 0, 1), data, 256), 5, 0x0e, 3);
	BAD(OUT(DISK, CDB(0x41, 0, 0, 0, 0, 0, 0, 0, 1), data, 1024), 5, 0x0e, 3);
	BAD(NONE(DISK, CDB(0x41, 0, 0, 0, 0, 0, 0, 0, 1)), 5, 0x0e, 3);
	GOOD(OUT(BIG, CDB(0x41), data, 4096)); /* 16384 blocks, all of it */
	FIELD(OUT(BIG, CDB(0x41, 0, 0, 0, 0, 0, 0, 0x80, 0), data, 4096), 7, -1);
}

/* --- order, abort, attention --- */

static void test_abort_before_execution(void **state)
{
	struct scsi_cmd c;

	fill(50, 512);
	GOOD(OUT(DISK, CDB(0x2a, 0, 0, 0, 0, 9, 0, 0, 1), data, 512));
	rig_begin(&rig, &c, DISK, CDB(0x2a, 0, 0, 0, 0, 9, 0, 0, 1), false, true, 512);
	assert_int_equal(c.out_have, 512);
	memset(c.out_iov[0].iov_base, 0xee, 100);
	assert_true(scsi_abort(&c));
	assert_true(c.aborted);
	assert_true(scsi_abort(&c));
	scsi_release(&c);
	GOOD(IN(DISK, CDB(0x28, 0, 0, 0, 0, 9, 0, 0, 1), 512));
	assert_memory_equal(rig.in, data, 512);
}

static void test_verdict_of_the_transport(void **state)
{
	struct scsi_cmd c;

	rig_begin(&rig, &c, DISK, CDB(0x2a, 0, 0, 0, 0, 9, 0, 0, 1), false, true, 512);
	scsi_fail(&c, SENSE_DATA_OFFSET_ERROR);
	assert_int_equal(c.status, SCSI_CHECK_CONDITION);
	assert_int_equal(c.sense[2] << 16 | c.sense[12] << 8 | c.sense[13], 0x0b4b05);
	assert_int_equal(c.n_out_iov, 0);
	scsi_release(&c);
}

static void test_reset_stops_what_was_prepared(void **state)
{
	struct scsi_cmd c;

	fill(51, 512);
	GOOD(OUT(DISK, CDB(0x2a, 0, 0, 0, 0, 9, 0, 0, 1), data, 512));
	rig_begin(&rig, &c, DISK, CDB(0x2a, 0, 0, 0, 0, 9, 0, 0, 1), false, true, 512);
	memset(c.out_iov[0].iov_base, 0xee, 512);
	lu_reset(rig.map.lu[DISK]);
	rig_finish(&rig, &c);
	assert_true(rig.last.aborted);
	GOOD(IN(DISK, CDB(0x28, 0, 0, 0, 0, 9, 0, 0, 1), 512));
	assert_memory_equal(rig.in, data, 512);
}

static void test_unit_attention(void **state)
{
	assert_int_equal(attention_raise(&rig.nexus, rig.map.lu[DISK], SENSE_POWER_ON), 0);
	assert_int_equal(attention_raise(&rig.nexus, rig.map.lu[DISK], SENSE_BUS_DEVICE_RESET), 0);
	assert_int_equal(attention_raise(&rig.nexus, rig.map.lu[DISK], SENSE_POWER_ON), 0);
	GOOD(IN(DISK, CDB(0x12, 0, 0, 0, 36), 36));
	GOOD(IN(DISK, CDB(0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0), 256));
	GOOD(NONE(BIG, CDB(0)));
	BAD(IN(DISK, CDB(0xff), 0), 6, 0x29, 0); /* before anything the CDB lacks */
	GOOD(IN(DISK, CDB(0x03, 0, 0, 0, 18), 18));
	assert_memory_equal(rig.in + 12, ((uint8_t[]){0x29, 0x03}), 2);
	GOOD(NONE(DISK, CDB(0)));
	assert_int_equal(attention_raise(&rig.nexus, rig.map.lu[DISK], SENSE_POWER_ON), 0);
	BAD(OUT(DISK, CDB(0x2a, 0, 0, 0, 0, 9, 0, 0, 1), data, 512), 6, 0x29, 0);
	GOOD(NONE(DISK, CDB(0)));
}

/* Many landings at once, released in another order than they came. */
static void test_commands_overlap(void **state)
{
	enum { N = 64 };
	static struct scsi_cmd c[N];

	for (unsigned i = 0; i < N; i++) {
		rig_begin(&rig, &c[i], DISK, CDB(0x2a, 0, 0, 0, 4, (uint8_t)i, 0, 0, 1), false,
			true, 512);
		memset(c[i].out_iov[0].iov_base, (int)(i + 1), 512);
	}
	for (unsigned i = 0; i < N; i++) {
		scsi_execute(&c[i * 29 % N]);
		while (rig_turn(&rig))
			;
	}
	for (unsigned i = 0; i < N; i++) {
		assert_int_equal(c[i * 37 % N].status, SCSI_GOOD);
		scsi_release(&c[i * 37 % N]);
	}
	GOOD(IN(DISK, CDB(0x28, 0, 0, 0, 4, 0, 0, 0, N), N * 512));
	for (unsigned i = 0; i < N * 512; i++)
		assert_int_equal(rig.in[i], i / 512 + 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_every_read_and_write),
		TEST(test_six_byte_length_zero_is_256),
		TEST(test_length_zero_moves_nothing),
		TEST(test_unwritten_reads_zeros),
		TEST(test_longest_transfer),
		TEST(test_edtl_shorter_than_the_cdb),
		TEST(test_edtl_longer_than_the_cdb),
		TEST(test_direction_bits_that_contradict),
		TEST(test_addresses_out_of_range),
		TEST(test_reserved_bits),
		TEST(test_unknown_commands),
		TEST(test_no_unit_at_the_lun),
		TEST(test_write_protected),
		TEST(test_stop_and_start),
		TEST(test_eject_and_load),
		TEST(test_state_is_that_of_execution),
		TEST(test_standard_inquiry),
		TEST(test_vpd_pages),
		TEST(test_device_identification),
		TEST(test_capacity),
		TEST(test_mode_sense),
		TEST(test_request_sense),
		TEST(test_report_luns),
		TEST(test_report_all_opcodes),
		TEST(test_report_one_opcode),
		TEST(test_verify),
		TEST(test_compare_and_write),
		TEST(test_compare_and_write_of_255_blocks),
		TEST(test_unmap),
		TEST(test_unmap_lists_that_are_wrong),
		TEST(test_unmap_limit),
		TEST(test_write_same),
		TEST(test_abort_before_execution),
		TEST(test_verdict_of_the_transport),
		TEST(test_reset_stops_what_was_prepared),
		TEST(test_unit_attention),
		TEST(test_commands_overlap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
