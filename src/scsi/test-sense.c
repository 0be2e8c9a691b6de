/* test-sense.c - sense data, byte for byte, in both formats. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "sense.h"

#define BYTES(descriptor, s, ...)                                                                  \
	do {                                                                                       \
		const uint8_t want[] = {__VA_ARGS__};                                              \
		uint8_t got[SCSI_SENSE_MAX];                                                       \
		assert_int_equal(sense_encode(s, descriptor, got), sizeof(want));                  \
		assert_memory_equal(got, want, sizeof(want));                                      \
	} while (0)

static void test_plain(void **state)
{
	const struct sense_data s = {.why = SENSE_WRITE_PROTECTED};

	BYTES(false, &s, 0x70, 0, 7, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x27, 0, 0, 0, 0, 0);
	BYTES(true, &s, 0x72, 7, 0x27, 0, 0, 0, 0, 0);
}

static void test_information(void **state)
{
	struct sense_data s = {.why = SENSE_MISCOMPARE, .has_info = true, .info = 0x01020304};

	BYTES(false, &s, 0xf0, 0, 0xe, 1, 2, 3, 4, 10, 0, 0, 0, 0, 0x1d, 0, 0, 0, 0, 0);
	BYTES(true, &s, 0x72, 0xe, 0x1d, 0, 0, 0, 0, 12, 0, 10, 0x80, 0, 0, 0, 0, 0, 1, 2, 3, 4);
	s.info = 0x100000000;
	BYTES(false, &s, 0x70, 0, 0xe, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x1d, 0, 0, 0, 0, 0);
	BYTES(true, &s, 0x72, 0xe, 0x1d, 0, 0, 0, 0, 12, 0, 10, 0x80, 0, 0, 0, 0, 1, 0, 0, 0, 0);
}

static void test_field_pointers(void **state)
{
	struct sense_data s = {
		.why = SENSE_INVALID_FIELD_IN_CDB, .field = FIELD_CDB, .byte = 1, .bit = 4};

	BYTES(false, &s, 0x70, 0, 5, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x24, 0, 0, 0xcc, 0, 1);
	BYTES(true, &s, 0x72, 5, 0x24, 0, 0, 0, 0, 8, 2, 6, 0, 0, 0xcc, 0, 1, 0);
	s = (struct sense_data){.why = SENSE_INVALID_FIELD_IN_PARAMETERS,
		.field = FIELD_LIST,
		.byte = 0x208,
		.bit = -1};
	BYTES(false, &s, 0x70, 0, 5, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x26, 0, 0, 0x80, 2, 8);
}

static void test_every_condition_has_a_text(void **state)
{
	for (unsigned i = 0; i < N_SENSES; i++) {
		struct sense_data s = {.why = (enum sense)i};
		uint8_t got[SCSI_SENSE_MAX];

		assert_true(strlen(sense_text(s.why)) > 0);
		assert_int_equal(sense_encode(&s, false, got), SENSE_FIXED_LEN);
		assert_true(got[2] <= KEY_MISCOMPARE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_information),
		cmocka_unit_test(test_field_pointers),
		cmocka_unit_test(test_every_condition_has_a_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
