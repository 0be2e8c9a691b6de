/* expect.h - for tests: a command and what is expected of it, in one line. The units, setup() and teardown() are those
 * of units.h or double.h. */
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

static struct rig rig;
static uint8_t data[1 << 20];

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
#define ENDS(command, want)                                                                        \
	do {                                                                                       \
		command;                                                                           \
		assert_int_equal(rig.last.status, want);                                           \
	} while (0)
#define CONFLICT(command) ENDS(command, SCSI_RESERVATION_CONFLICT)
#define GOOD(command)	  ENDS(command, SCSI_GOOD)
#define BAD(command, key, asc, ascq)                                                               \
	do {                                                                                       \
		ENDS(command, SCSI_CHECK_CONDITION);                                               \
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
