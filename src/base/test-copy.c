/* test-copy.c - a copy past the cache is a copy: whatever its ends lie on, and nothing beside them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include "copy.h"

enum { ROOM = 6 * 1024, GUARD = 0xa5 };

static void all_ends(void **state)
{
	static _Alignas(COPY_LINE) uint8_t from[ROOM], to[ROOM], want[ROOM];
	static const size_t lens[] = {0, 1, 63, 64, COPY_PAST_FROM - 1, COPY_PAST_FROM,
		COPY_PAST_FROM + 1, COPY_PAST_FROM + 63, 2048, 4095, 4096, 4097};

	for (size_t i = 0; i < ROOM; i++)
		from[i] = (uint8_t)(i * 31 + i / 251);
	for (size_t l = 0; l < ARRAY_LEN(lens); l++) {
		for (size_t at = 0; at <= COPY_LINE; at++) {
			size_t place = COPY_LINE + at, source = at * 7 % 61;

			memset(to, GUARD, ROOM);
			memset(want, GUARD, ROOM);
			memcpy(want + place, from + source, lens[l]);
			copy_payload_past(CTR_COPIED_TAIL, to + place, from + source, lens[l]);
			assert_memory_equal(to, want, ROOM);
		}
	}
}

static void is_counted(void **state)
{
	static uint8_t from[4096], to[4096];
	struct counters c = {0};

	counters_enter(&c);
	copy_payload_past(CTR_COPIED_TAIL, to, from, 4096);
	copy_payload_past(CTR_COPIED_TAIL, to, from, 100);
	copy_payload(CTR_COPIED_MERGE, to, from, 10);
	counters_leave(&c);
	assert_int_equal(counter_sum(CTR_COPIED_TAIL), 4196);
	assert_int_equal(counter_sum(CTR_COPIED_MERGE), 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_counted),
		cmocka_unit_test(all_ends),
	};

	return cmocka_run_group_tests_name("copy", tests, NULL, NULL);
}
