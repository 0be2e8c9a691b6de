/* test-commands.c - READ and WRITE, and what every command is checked for. */
#include "attention.h"
#include "units.h"

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

static void test_landings_in_whole_lines(void **state)
{
	rig.line_policy = true;
	for (unsigned first = 0; first < 80; first += 13) {
		fill(first, 200 * 512);
		GOOD(OUT(DISK, CDB(0x2a, 0, 0, 0, 0, (uint8_t)first, 0, 0, 200), data, 200 * 512));
		GOOD(IN(DISK, CDB(0x28, 0, 0, 0, 0, (uint8_t)first, 0, 0, 200), 200 * 512));
		assert_memory_equal(rig.in, data, 200 * 512);
	}
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
	GOOD(IN(DISK, CDB(0x28, 0, 0, 0, 0, 1, 0, 0, 2), 0));
	assert_int_equal(rig.last.in_len, 1024);
	assert_int_equal(rig.last.n_in_iov, 0);
}

/* Half a block of 4096 bytes, in sectors: its beginning changes, the rest does not. */
static void test_edtl_cuts_a_block(void **state)
{
	fill(2, 2 * 4096);
	GOOD(OUT(BIG, CDB(0x2a, 0, 0, 0, 0, 1, 0, 0, 2), data, 2 * 4096));
	fill(3, 4096 + 512);
	GOOD(OUT(BIG, CDB(0x2a, 0, 0, 0, 0, 1, 0, 0, 2), data, 4096 + 512));
	assert_int_equal(rig.last.out_full, 2 * 4096);
	assert_int_equal(rig.last.out_len, 4096 + 512);
	GOOD(IN(BIG, CDB(0x28, 0, 0, 0, 0, 1, 0, 0, 2), 2 * 4096));
	assert_memory_equal(rig.in, data, 4096 + 512);
	fill(2, 2 * 4096);
	assert_memory_equal(rig.in + 4096 + 512, data + 4096 + 512, 4096 - 512);
	BAD(OUT(BIG, CDB(0x2a, 0, 0, 0, 0, 1, 0, 0, 1), NULL, 200), 5, 0x0e, 3);
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
	FIELD(NONE(DISK, CDB(0, 0, 0, 0, 0, 0x04)), 5, 2);                /* NACA */
	FIELD(OUT(DISK, CDB(0x2a, 0x80, 0, 0, 0, 0, 0, 0, 1), data, 512), 1, 7);
	FIELD(OUT(DISK, CDB(0x41, 0x10, 0, 0, 0, 0, 0, 0, 1), data, 512), 1, 4); /* ANCHOR */
	FIELD(OUT(DISK, CDB(0x42, 0x01, 0, 0, 0, 0, 0, 0, 24), data, 24), 1, 0);
	FIELD(OUT(DISK, CDB(0x89, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1), data, 1024), 10, 0);
	FIELD(IN(DISK, CDB(0x12, 0x02, 0, 0, 96), 96), 1, 1);                    /* CMDDT */
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
	FIELD(OUT(DISK, CDB(0x48, 0x04), NULL, 0), 1, 4);
	FIELD(IN(DISK, CDB(0x5e, 0x04), 8), 1, 4);
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
	assert_int_equal(get_be32(rig.in), 6 * 8);
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
	GOOD(IN(DISK, CDB(0x03, 0, 0, 0, 18), 18));
	assert_memory_equal(rig.in + 12, ((uint8_t[]){0x29, 0x03}), 2);
	rig_finish(&rig, &c);
	assert_true(rig.last.aborted);
	GOOD(IN(DISK, CDB(0x28, 0, 0, 0, 0, 9, 0, 0, 1), 512));
	assert_memory_equal(rig.in, data, 512);
}

static void test_unit_attention(void **state)
{
	attention_raise(&rig.nexus, rig.map.lu[DISK], ATTENTION_POWER_ON);
	attention_raise(&rig.nexus, rig.map.lu[DISK], ATTENTION_RESET);
	attention_raise(&rig.nexus, rig.map.lu[DISK], ATTENTION_POWER_ON);
	GOOD(IN(DISK, CDB(0x12, 0, 0, 0, 36), 36));
	GOOD(IN(DISK, CDB(0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0), 256));
	GOOD(NONE(BIG, CDB(0)));
	BAD(IN(DISK, CDB(0xff), 0), 6, 0x29, 0); /* before anything the CDB lacks */
	GOOD(IN(DISK, CDB(0x03, 0, 0, 0, 18), 18));
	assert_memory_equal(rig.in + 12, ((uint8_t[]){0x29, 0x03}), 2);
	GOOD(NONE(DISK, CDB(0)));
	attention_raise(&rig.nexus, rig.map.lu[DISK], ATTENTION_POWER_ON);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_every_read_and_write),
		TEST(test_six_byte_length_zero_is_256),
		TEST(test_length_zero_moves_nothing),
		TEST(test_landings_in_whole_lines),
		TEST(test_unwritten_reads_zeros),
		TEST(test_longest_transfer),
		TEST(test_edtl_shorter_than_the_cdb),
		TEST(test_edtl_cuts_a_block),
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
		TEST(test_abort_before_execution),
		TEST(test_verdict_of_the_transport),
		TEST(test_reset_stops_what_was_prepared),
		TEST(test_unit_attention),
		TEST(test_commands_overlap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
