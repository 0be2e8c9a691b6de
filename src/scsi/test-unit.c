/* test-unit.c - the unit's own state: mode pages that can be changed, access states, the medium, a
 * sanitize operation, log pages; and who is told. */
#include "attention.h"
#include "units.h"
#include "mode.h"

#define TOLD(asc, ascq) AS_OTHER(BAD(NONE(DISK, CDB(0)), 6, asc, ascq))
#define NOT_TOLD()      AS_OTHER(GOOD(NONE(DISK, CDB(0))))

/* --- MODE SELECT --- */

/* select_6 - the control page with these bytes 2, 4 and 5. */
static void select_6(uint8_t b2, uint8_t b4, uint8_t b5)
{
	uint8_t list[16] = {0, 0, 0, 0, 0x0a, 10, b2, 0x10, b4, b5};

	put_be16(list + 12, 300);
	OUT(DISK, CDB(0x15, 0x10, 0, 0, 16), list, 16);
}

enum { B2 = 0x22, D_SENSE = 0x04, SWP = 0x08, TAS = 0x40 };

static void test_control_page(void **state)
{
	GOOD(select_6(B2, SWP, TAS));
	TOLD(0x2a, 1);
	GOOD(NONE(DISK, CDB(0)));
	GOOD(IN(DISK, CDB(0x1a, 0x08, 0x0a, 0, 255), 255));
	assert_memory_equal(
		rig.in, ((uint8_t[]){15, 0, 0x90, 0, 0x0a, 10, B2, 0x10, SWP, TAS}), 10);
	assert_true(lu_task_aborted(rig.map.lu[DISK]));
	GOOD(IN(DISK, CDB(0x1a, 0x08, 0x8a, 0, 255), 255)); /* defaults */
	assert_memory_equal(rig.in + 4, ((uint8_t[]){0x0a, 10, B2, 0x10, 0, 0}), 6);
	GOOD(select_6(B2, SWP, TAS)); /* nothing changes: nobody is told */
	NOT_TOLD();
	GOOD(select_6(B2, 0, 0));
	TOLD(0x2a, 1);
	assert_false(lu_task_aborted(rig.map.lu[DISK]));
	GOOD(OUT(DISK, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 1), data, 512));
}

static void test_software_write_protect(void **state)
{
	GOOD(select_6(B2, SWP, 0));
	BAD(OUT(DISK, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 1), data, 512), 7, 0x27, 2);
	BAD(NONE(DISK, CDB(0x48, 0x02)), 7, 0x27, 2);
	GOOD(IN(DISK, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1), 512));
	GOOD(NONE(DISK, CDB(0x35)));
	lu_reset(rig.map.lu[DISK]); /* back to what is saved: nothing */
	BAD(NONE(DISK, CDB(0)), 6, 0x29, 3);
	GOOD(OUT(DISK, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 1), data, 512));
}

static void test_descriptor_sense(void **state)
{
	GOOD(select_6(B2 | D_SENSE, 0, 0));
	IN(DISK, CDB(0x28, 0, 0, 0, 0x08, 0, 0, 0, 1), 512);
	assert_int_equal(rig.last.status, SCSI_CHECK_CONDITION);
	assert_memory_equal(rig.last.sense,
		((uint8_t[]){
			0x72, 5, 0x21, 0, 0, 0, 0, 12, 0, 10, 0x80, 0, 0, 0, 0, 0, 0, 0, 8, 0}),
		20);
	BAD(IN(BIG, CDB(0x28, 0, 0xff), 512), 5, 0x21, 0); /* another unit */
	GOOD(select_6(B2, 0, 0));
	OUT_OF_RANGE(IN(DISK, CDB(0x28, 0, 0xff), 512));
}

#define LIST_ERROR(command, byte, bit)                                                             \
	do {                                                                                       \
		BAD(command, 5, 0x26, 0);                                                          \
		assert_int_equal(rig.last.sense[15], (bit) < 0 ? 0x80 : 0x88 | (bit));             \
		assert_int_equal(get_be16(rig.last.sense + 16), byte);                             \
	} while (0)
#define SELECT(...)                                                                                \
	select_bytes((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void select_bytes(const uint8_t *p, size_t len)
{
	OUT(DISK, CDB(0x15, 0x10, 0, 0, (uint8_t)len), p, (uint32_t)len);
}

static void test_select_lists(void **state)
{
	GOOD(NONE(DISK, CDB(0x15, 0x10)));
	GOOD(SELECT(0, 0, 0, 0));
	GOOD(SELECT(0, 0, 0x90, 8, 0, 0, 0, 0, 0, 0, 2, 0));
	GOOD(SELECT(0, 0, 0, 8, 0, 0, 8, 0, 0, 0, 2, 0)); /* 2048 blocks, as there are */
	LIST_ERROR(SELECT(0, 0, 0, 8, 0, 0, 8, 1, 0, 0, 2, 0), 4, -1);
	LIST_ERROR(SELECT(0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 16, 0), 9, -1);
	LIST_ERROR(SELECT(0, 0, 0, 4, 0, 0, 0, 0), 3, -1);
	LIST_ERROR(SELECT(0, 0, 0, 0, 0x07, 10), 4, 5);
	LIST_ERROR(SELECT(0, 0, 0, 0, 0x4a, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 4, 6);
	LIST_ERROR(SELECT(0, 0, 0, 0, 0x0a, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 5, -1);
	LIST_ERROR(SELECT(0, 0, 0, 0, 0x0a, 10, 0x22, 0x12, 0, 0, 0, 0, 1, 44, 0, 0), 7, 1);
	LIST_ERROR(
		SELECT(0, 0, 0, 0, 0x08, 18, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
		6, 2); /* WCE */
	BAD(SELECT(0, 0, 0), 5, 0x1a, 0);
	BAD(SELECT(0, 0, 0, 8, 0, 0), 5, 0x1a, 0);
	BAD(SELECT(0, 0, 0, 0, 0x0a, 10, 0x22), 5, 0x1a, 0);
	FIELD(OUT(DISK, CDB(0x15, 0x11, 0, 0, 4), data, 4), 1, 0); /* SP: nothing is kept here */
	FIELD(OUT(DISK, CDB(0x15, 0x00, 0, 0, 4), data, 4), 1, 4);
	NOT_TOLD();
}

static void test_select_10(void **state)
{
	uint8_t list[8 + 16 + 12] = {0, 0, 0, 0, 1, 0, 0, 16};

	put_be64(list + 8, BLOCKS);
	put_be32(list + 20, 512);
	memcpy(list + 24, ((uint8_t[]){0x0a, 10, B2, 0x10, 0, TAS}), 6);
	put_be16(list + 32, 300);
	GOOD(OUT(DISK, CDB(0x55, 0x10, 0, 0, 0, 0, 0, 0, sizeof(list)), list, sizeof(list)));
	assert_true(lu_task_aborted(rig.map.lu[DISK]));
	TOLD(0x2a, 1);
}

/* --- target port groups --- */

#define SET(code)                                                                                  \
	OUT(DISK, CDB(0xa4, 0x0a, 0, 0, 0, 0, 0, 0, 0, 8),                                         \
		((const uint8_t[]){0, 0, 0, 0, code, 0, 0, 1}), 8)
#define STATE(code, status)                                                                        \
	do {                                                                                       \
		GOOD(IN(DISK, CDB(0xa3, 0x0a, 0, 0, 0, 0, 0, 0, 0, 64), 64));                      \
		assert_memory_equal(rig.in,                                                        \
			((uint8_t[]){0, 0, 0, 12, code, 0x0f, 0, 1, 0, status, 0, 1, 0, 0, 0, 1}), \
			16);                                                                       \
	} while (0)

static void test_target_port_groups(void **state)
{
	STATE(0, 0);
	GOOD(SET(1));
	TOLD(0x2a, 6);
	STATE(1, 1);
	GOOD(IN(DISK, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1), 512));
	GOOD(SET(2));
	BAD(IN(DISK, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1), 512), 2, 0x04, 0x0b);
	BAD(NONE(DISK, CDB(0)), 2, 0x04, 0x0b);
	GOOD(IN(DISK, CDB(0x1a, 0, 0x3f, 0, 255), 255));
	GOOD(IN(DISK, CDB(0x5e, 0, 0, 0, 0, 0, 0, 0, 8), 8));
	GOOD(SET(3));
	BAD(IN(DISK, CDB(0x1a, 0, 0x3f, 0, 255), 255), 2, 0x04, 0x0c);
	GOOD(IN(DISK, CDB(0x12, 0, 0, 0, 36), 36));
	GOOD(IN(DISK, CDB(0x03, 0, 0, 0, 18), 18));
	assert_memory_equal(rig.in + 12, ((uint8_t[]){0x04, 0x0c}), 2);
	STATE(3, 1);
	lu_set_access(rig.map.lu[DISK], 0);
	BAD(NONE(DISK, CDB(0)), 6, 0x2a, 6);
	TOLD(0x2a, 6);
	STATE(0, 0);
	GOOD(NONE(DISK, CDB(0)));
	GOOD(IN(DISK, CDB(0xa3, 0x2a, 0, 0, 0, 0, 0, 0, 0, 64), 64)); /* extended header */
	assert_memory_equal(rig.in, ((uint8_t[]){0, 0, 0, 16, 0x10, 0, 0, 0, 0, 0x0f}), 10);
	FIELD(IN(DISK, CDB(0xa3, 0x4a, 0, 0, 0, 0, 0, 0, 0, 64), 64), 1, 7);
}

static void test_set_groups_lists(void **state)
{
	GOOD(NONE(DISK, CDB(0xa4, 0x0a)));
	LIST_ERROR(SET(4), 4, 3);
	LIST_ERROR(SET(0x80), 4, 3);
	LIST_ERROR(OUT(DISK, CDB(0xa4, 0x0a, 0, 0, 0, 0, 0, 0, 0, 8),
			   ((const uint8_t[]){0, 0, 0, 0, 0, 0, 0, 2}), 8),
		6, -1);
	BAD(OUT(DISK, CDB(0xa4, 0x0a, 0, 0, 0, 0, 0, 0, 0, 6), data, 6), 5, 0x1a, 0);
	STATE(0, 0);
}

/* --- the medium --- */

static void test_prevent_and_eject(void **state)
{
	GOOD(NONE(REMOVABLE, CDB(0x1e, 0, 0, 0, 1)));
	AS_OTHER(BAD(NONE(REMOVABLE, CDB(0x1b, 0, 0, 0, 2)), 5, 0x53, 2));
	BAD(NONE(REMOVABLE, CDB(0x1b, 0, 0, 0, 3)), 5, 0x53, 2); /* neither out nor in */
	AS_OTHER(GOOD(NONE(REMOVABLE, CDB(0x1e))));              /* not his word */
	BAD(NONE(REMOVABLE, CDB(0x1b, 0, 0, 0, 2)), 5, 0x53, 2);
	GOOD(NONE(REMOVABLE, CDB(0)));
	GOOD(NONE(REMOVABLE, CDB(0x1e)));
	GOOD(NONE(REMOVABLE, CDB(0x1b, 0, 0, 0, 2)));
	AS_OTHER(BAD(NONE(REMOVABLE, CDB(0)), 2, 0x3a, 0));
	GOOD(NONE(REMOVABLE, CDB(0x1b, 0, 0, 0, 3)));
	AS_OTHER(BAD(NONE(REMOVABLE, CDB(0)), 6, 0x28, 0));
	GOOD(NONE(REMOVABLE, CDB(0)));
	FIELD(NONE(REMOVABLE, CDB(0x1e, 0, 0, 0, 2)), 4, 1);
}

static void test_what_ends_prevention(void **state)
{
	GOOD(NONE(REMOVABLE, CDB(0x1e, 0, 0, 0, 1)));
	nexus_leave(&rig.nexus);
	GOOD(NONE(REMOVABLE, CDB(0x1b, 0, 0, 0, 3)));
	GOOD(NONE(REMOVABLE, CDB(0x1e, 0, 0, 0, 1)));
	lu_reset(rig.map.lu[REMOVABLE]);
	BAD(NONE(REMOVABLE, CDB(0)), 6, 0x29, 3);
	GOOD(NONE(REMOVABLE, CDB(0x1b, 0, 0, 0, 3)));
}

/* --- SANITIZE --- */

static void dirty(void)
{
	fill(1, 64 * 512);
	for (unsigned at = 0; at < BLOCKS; at += 64)
		GOOD(OUT(DISK, CDB(0x2a, 0, 0, 0, (uint8_t)(at >> 8), (uint8_t)at, 0, 0, 64), data,
			64 * 512));
}

static void all_is(const uint8_t *block)
{
	for (unsigned at = 0; at < BLOCKS; at += 64) {
		GOOD(IN(DISK, CDB(0x28, 0, 0, 0, (uint8_t)(at >> 8), (uint8_t)at, 0, 0, 64),
			64 * 512));
		for (unsigned i = 0; i < 64; i++)
			assert_memory_equal(rig.in + i * 512, block, 512);
	}
}

static void test_sanitize_erase(void **state)
{
	static const uint8_t zeros[512];

	for (uint8_t sa = 2; sa <= 3; sa++) {
		dirty();
		GOOD(NONE(DISK, CDB(0x48, sa)));
		all_is(zeros);
		GOOD(IN(DISK, CDB(0x9e, 0x12, [13] = 64), 64));
		assert_int_equal(rig.in_len, 24); /* one run, deallocated */
		assert_int_equal(rig.in[20], 1);
	}
}

static void test_sanitize_overwrite(void **state)
{
	uint8_t list[4 + 512] = {0x01, 0, 0, 5, 'b', 'e', 'r', 't', 'h'}, block[512];

	for (unsigned i = 0; i < 512; i++)
		block[i] = list[4 + i % 5];
	dirty();
	GOOD(OUT(DISK, CDB(0x48, 0x01, 0, 0, 0, 0, 0, 0, 9), list, 9));
	all_is(block);
	list[0] = 0x80 | 4; /* four passes, each inverted, the last one is the pattern */
	GOOD(OUT(DISK, CDB(0x48, 0x01, 0, 0, 0, 0, 0, 0, 9), list, 9));
	all_is(block);
	list[0] = 0x80 | 5;
	GOOD(OUT(DISK, CDB(0x48, 0x01, 0, 0, 0, 0, 0, 0, 9), list, 9));
	all_is(block);
}

static void test_sanitize_lists(void **state)
{
	uint8_t list[4 + 513] = {1, 0, 2, 0};

	for (uint8_t n = 0; n < 5; n++)
		FIELD(OUT(DISK, CDB(0x48, 0x01, 0, 0, 0, 0, 0, 0, n), list, n), 7, -1);
	FIELD(OUT(DISK, CDB(0x48, 0x01, 0, 0, 0, 0, 0, 2, 5), list, 517), 7, -1);
	FIELD(OUT(DISK, CDB(0x48, 0x01, 0, 0, 0, 0, 0, 2, 3), list, 515), 7, -1);
	list[0] = 0; /* no pass */
	FIELD(OUT(DISK, CDB(0x48, 0x01, 0, 0, 0, 0, 0, 2, 4), list, 516), 7, -1);
	FIELD(OUT(DISK, CDB(0x48, 0x02, 0, 0, 0, 0, 0, 0, 8), list, 8), 7, -1);
	FIELD(NONE(DISK, CDB(0x48, 0x42)), 1, 6);
	GOOD(NONE(DISK, CDB(0x48, 0x1f)));
	BAD(NONE(RO, CDB(0x48, 0x02)), 7, 0x27, 0);
	GOOD(NONE(DISK, CDB(0)));
}

static void test_sanitize_in_progress(void **state)
{
	dirty();
	rig.stop_clock = true;
	GOOD(NONE(DISK, CDB(0x48, 0x82))); /* IMMED */
	BAD(NONE(DISK, CDB(0)), 2, 0x04, 0x1b);
	assert_int_equal(rig.last.sense[15], 0x80);
	assert_true(get_be16(rig.last.sense + 16) > 0);
	AS_OTHER(BAD(IN(DISK, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1), 512), 2, 0x04, 0x1b));
	BAD(NONE(DISK, CDB(0x48, 0x82)), 2, 0x04, 0x1b);
	BAD(NONE(DISK, CDB(0x1b, 0, 0, 0, 1)), 2, 0x04, 0x1b);
	GOOD(IN(DISK, CDB(0x12, 0, 0, 0, 36), 36));
	GOOD(IN(DISK, CDB(0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0), 256));
	GOOD(IN(DISK, CDB(0x03, 0, 0, 0, 18), 18));
	assert_memory_equal(rig.in + 12, ((uint8_t[]){0x04, 0x1b}), 2);
	GOOD(NONE(BIG, CDB(0)));
	lu_reset(rig.map.lu[DISK]);
	BAD(NONE(DISK, CDB(0)), 6, 0x29, 3);
	BAD(NONE(DISK, CDB(0)), 2, 0x04, 0x1b); /* goes on */
	rig.stop_clock = false;
	while (rig_turn(&rig))
		;
	GOOD(NONE(DISK, CDB(0)));
}

/* A command that is aborted leaves at once; the operation goes on. */
static void test_sanitize_outlives_its_command(void **state)
{
	struct scsi_cmd c;

	dirty();
	rig.stop_clock = true;
	rig_begin(&rig, &c, DISK, CDB(0x48, 0x02), false, false, 0);
	scsi_execute(&c);
	while (rig_turn(&rig))
		;
	assert_int_equal(c.state, SCSI_RUNNING);
	assert_false(scsi_abort(&c));
	while (c.state != SCSI_DONE)
		assert_true(rig_turn(&rig));
	while (rig_turn(&rig))
		;
	assert_true(c.aborted);
	scsi_release(&c);
	BAD(NONE(DISK, CDB(0)), 2, 0x04, 0x1b);
	rig.stop_clock = false;
	while (rig_turn(&rig))
		;
	all_is((uint8_t[512]){0});
}

/* --- attentions, attributes --- */

static void test_attentions_by_weight(void **state)
{
	struct lu *l = rig.map.lu[DISK];

	for (int i = N_ATTENTIONS - 1; i >= 0; i--)
		attention_raise(&rig.nexus, l, (enum attention)i);
	attention_raise(&rig.nexus, rig.map.lu[BIG], ATTENTION_LUNS);
	BAD(NONE(DISK, CDB(0)), 6, 0x29, 0);
	BAD(NONE(DISK, CDB(0)), 6, 0x29, 3);
	BAD(NONE(DISK, CDB(0)), 6, 0x29, 7);
	BAD(NONE(DISK, CDB(0)), 6, 0x28, 0);
	BAD(NONE(DISK, CDB(0)), 6, 0x2a, 9);
	BAD(NONE(DISK, CDB(0)), 6, 0x3f, 3);
	GOOD(IN(DISK, CDB(0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0), 256)); /* clears 3Fh/0Eh everywhere */
	GOOD(NONE(BIG, CDB(0)));
	BAD(NONE(DISK, CDB(0)), 6, 0x2a, 1);
	BAD(NONE(DISK, CDB(0)), 6, 0x2a, 6);
	BAD(NONE(DISK, CDB(0)), 6, 0x2a, 3);
	BAD(NONE(DISK, CDB(0)), 6, 0x2a, 4);
	BAD(NONE(DISK, CDB(0)), 6, 0x2a, 5);
	BAD(NONE(DISK, CDB(0)), 6, 0x38, 7);
	BAD(NONE(DISK, CDB(0)), 6, 0x2f, 0);
	GOOD(NONE(DISK, CDB(0)));
	lu_commands_cleared(l, &rig.other);
	TOLD(0x2f, 0);
}

static void test_task_attributes(void **state)
{
	for (uint8_t attr = 0; attr < 8; attr++) {
		struct scsi_cmd c = {.ops = NULL};

		rig.attr = attr;
		rig_begin(&rig, &c, DISK, CDB(0), false, false, 0);
		rig_finish(&rig, &c);
		if (attr < ATTR_ACA)
			assert_int_equal(rig.last.status, SCSI_GOOD);
		else
			assert_int_equal(rig.last.sense[12], 0x49);
	}
	rig.attr = 0;
}

/* --- LOG SENSE, lists of functions and defects --- */

#define LOG(page, sub) IN(DISK, CDB(0x4d, 0, 0x40 | (page), sub, 0, 0, 0, 1, 0), 256)

static void test_log_pages(void **state)
{
	GOOD(LOG(0, 0));
	assert_memory_equal(rig.in, ((uint8_t[]){0, 0, 0, 5, 0, 0x0c, 0x0d, 0x19, 0x2f}), 9);
	GOOD(LOG(0, 0xff));
	assert_memory_equal(rig.in, ((uint8_t[]){0x40, 0xff, 0, 12, 0, 0, 0, 0xff, 0x0c, 0}), 10);
	GOOD(LOG(0x0d, 0));
	assert_memory_equal(rig.in, ((uint8_t[]){0x0d, 0, 0, 6, 0, 0, 3, 2, 0, 0xff}), 10);
	GOOD(LOG(0x2f, 0));
	assert_memory_equal(rig.in, ((uint8_t[]){0x2f, 0, 0, 8, 0, 0, 3, 4, 0, 0, 0xff, 0}), 12);
	dirty();
	GOOD(LOG(0x0c, 0));
	assert_memory_equal(rig.in, ((uint8_t[]){0x0c, 0, 0, 12, 0, 2, 3, 8, 0, 0, 0, 1, 1}), 13);
	FIELD(LOG(0x10, 0), 2, 5);
	FIELD(LOG(0x0d, 1), 3, 7);
	FIELD(IN(DISK, CDB(0x4d, 0, 0x0d, 0, 0, 0, 0, 1, 0), 256), 2, 7);
	FIELD(IN(DISK, CDB(0x4d, 0, 0x4d, 0, 0, 0, 1, 1, 0), 256), 5, -1);
}

static void test_log_statistics(void **state)
{
	dirty();
	AS_OTHER(GOOD(IN(DISK, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 7), 7 * 512)));
	GOOD(LOG(0x19, 0));
	assert_memory_equal(rig.in, ((uint8_t[]){0x19, 0, 0, 92, 0, 1, 3, 64}), 8);
	assert_true(get_be64(rig.in + 8) == 1 && get_be64(rig.in + 16) == BLOCKS / 64);
	assert_true(get_be64(rig.in + 24) == BLOCKS && get_be64(rig.in + 32) == 7);
	assert_memory_equal(rig.in + 72, ((uint8_t[]){0, 2, 3, 8, 0, 0, 0, 0, 0, 0, 0, 0}), 12);
	assert_memory_equal(rig.in + 84, ((uint8_t[]){0, 3, 3, 8, 0, 0, 0, 3, 0, 0, 0, 1}), 12);
	nexus_deinit(&rig.other); /* what it did stays */
	GOOD(LOG(0x19, 0));
	assert_true(get_be64(rig.in + 8) == 1 && get_be64(rig.in + 32) == 7);
}

static void test_functions_and_defects(void **state)
{
	GOOD(IN(DISK, CDB(0xa3, 0x0d, 0, 0, 0, 0, 0, 0, 0, 64), 64));
	assert_memory_equal(rig.in, ((uint8_t[]){0x88, 0, 0, 0}), 4);
	assert_int_equal(rig.in_len, 4);
	GOOD(IN(DISK, CDB(0xa3, 0x0d, 0x80, 0, 0, 0, 0, 0, 0, 64), 64));
	assert_memory_equal(rig.in, ((uint8_t[]){0x88, 0, 0, 12, 0}), 5);
	assert_int_equal(rig.in_len, 16);
	GOOD(IN(DISK, CDB(0x37, 0, 0x1d, 0, 0, 0, 0, 0, 64), 64));
	assert_memory_equal(rig.in, ((uint8_t[]){0, 0x1d, 0, 0}), 4);
	assert_int_equal(rig.in_len, 4);
	GOOD(IN(DISK, CDB(0xb7, 0x0d, 0, 0, 0, 0, 0, 0, 0, 64), 64));
	assert_int_equal(rig.in_len, 8);
	FIELD(IN(DISK, CDB(0xb7, 0x0d, 0, 0, 0, 1, 0, 0, 0, 64), 64), 2, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_control_page),
		TEST(test_software_write_protect),
		TEST(test_descriptor_sense),
		TEST(test_select_lists),
		TEST(test_select_10),
		TEST(test_target_port_groups),
		TEST(test_set_groups_lists),
		TEST(test_prevent_and_eject),
		TEST(test_what_ends_prevention),
		TEST(test_sanitize_erase),
		TEST(test_sanitize_overwrite),
		TEST(test_sanitize_lists),
		TEST(test_sanitize_in_progress),
		TEST(test_sanitize_outlives_its_command),
		TEST(test_attentions_by_weight),
		TEST(test_task_attributes),
		TEST(test_log_pages),
		TEST(test_log_statistics),
		TEST(test_functions_and_defects),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
