/* expect.h - for tests: the units of the rig, and each expectation in one line. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "be.h"
#include "rig.h"
#include "sense.h"

/* LUN 0: 1 MiB in blocks of 512. 1: 64 MiB of 4096. 2: as 0, write-protected. 3: as 0, removable.
 * 4: as 0, with little memory beside the content. 300: as 0, reached by flat addressing. */
enum { DISK, BIG, RO, REMOVABLE, TIGHT, FAR = 300, NOBODY = 7 };
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
		&(struct rig_unit){
			.lun = TIGHT, .size = 1 << 20, .block = 512, .n_pages = 256 + 64 + 8});
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
/* AS_OTHER - the same by the other nexus */
#define AS_OTHER(command)                                                                          \
	do {                                                                                       \
		rig.as_other = true;                                                               \
		command;                                                                           \
		rig.as_other = false;                                                              \
	} while (0)
#define CONFLICT(command)                                                                          \
	do {                                                                                       \
		command;                                                                           \
		assert_int_equal(rig.last.status, SCSI_RESERVATION_CONFLICT);                      \
	} while (0)
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

static inline void fill(unsigned seed, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		data[i] = (uint8_t)((i * 7 + i / 512 * 13 + seed) | 1);
}

static inline bool is_zero(const uint8_t *p, size_t len)
{
	return p[0] == 0 && memcmp(p, p + 1, len - 1) == 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
