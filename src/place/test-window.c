/* test-window.c - cursors; each rule of a sequence of Data-Outs; unsolicited data. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "check.h"
#include "tag.h"
#include "window.h"

static char memory[64];
static const struct iovec iov[] = {
	{memory, 10}, {memory + 20, 1}, {memory + 30, 0}, {memory + 40, 9}}; /* 20 bytes in all */
static const struct place landing = {iov, ARRAY_LEN(iov), 0};

#define AT(offset, i, s)                                                                           \
	do {                                                                                       \
		struct place got = place_at(landing, offset);                                      \
		assert_ptr_equal(got.iov, &iov[i]);                                                \
		assert_int_equal(got.n, ARRAY_LEN(iov) - (i));                                     \
		assert_int_equal(got.skip, s);                                                     \
	} while (0)

static void cursor(void **state)
{
	struct place nowhere = {0};

	AT(0, 0, 0);
	AT(9, 0, 9);
	AT(10, 1, 0);
	AT(11, 3, 0);
	AT(19, 3, 8);
	AT(20, 4, 0);
	assert_int_equal(place_at(place_at(landing, 9), 3).skip, 1);
	assert_int_equal(place_at(nowhere, 1000).n, 0);
}

/* filled - the vectors as text "at+len ", and how many bytes they hold. */
static void filled(size_t offset, size_t len, unsigned max, const char *want, size_t want_len)
{
	struct iovec out[8];
	char text[128] = "";
	size_t got = 77;
	unsigned n = place_fill(place_at(landing, offset), len, out, max, &got);

	assert_true(n <= max);
	for (unsigned i = 0; i < n; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%d+%zu ",
			(int)((char *)out[i].iov_base - memory), out[i].iov_len);
	assert_string_equal(text, want);
	assert_int_equal(got, want_len);
}

static void fill(void **state)
{
	filled(0, 20, 8, "0+10 20+1 40+9 ", 20);
	filled(0, 10, 8, "0+10 ", 10);
	filled(3, 8, 8, "3+7 20+1 ", 8);
	filled(10, 1, 8, "20+1 ", 1);
	filled(15, 3, 1, "44+3 ", 3);
	filled(0, 20, 2, "0+10 20+1 ", 11); /* for want of vectors */
	filled(0, 20, 0, "", 0);
	filled(5, 0, 8, "", 0);
	filled(20, 5, 8, "", 0);
	filled(12, 100, 8, "41+8 ", 8);
}

static struct window window_of(uint32_t offset, uint32_t length)
{
	struct window w;

	window_init(&w, &memory, 1, 0, offset, length, (struct place){0});
	return w;
}

static int sent(
	const struct window *w, uint32_t datasn, uint32_t offset, uint32_t length, bool final)
{
	struct data_out h = {.itt = 1,
		.ttt = TAG_NONE,
		.datasn = datasn,
		.offset = offset,
		.length = length,
		.final = final};
	enum counter why = N_COUNTERS;
	enum data_out_fate fate = window_check(w, &h, &why);

	assert_int_equal(fate == DATA_OUT_REFUSED, why != N_COUNTERS);
	return (int)why;
}
#define OK(...)         assert_int_equal(sent(&w, __VA_ARGS__), N_COUNTERS)
#define REFUSED(e, ...) assert_int_equal(sent(&w, __VA_ARGS__), CTR_REFUSED_##e)

static void in_order_to_the_last(void **state)
{
	struct window w = window_of(0x4000, 9216);

	OK(0, 0x4000, 2848, false); /* as seen in the wild: 2848 + 6368 */
	window_count(&w, 2848);
	assert_int_equal(window_left(&w), 6368);
	REFUSED(DATASN, 0, 0x4000 + 2848, 6368, true);
	REFUSED(DATASN, 2, 0x4000 + 2848, 6368, true);
	REFUSED(DATASN, UINT32_MAX, 0x4000 + 2848, 6368, true);
	REFUSED(OFFSET, 1, 0x4000, 6368, true);
	REFUSED(OFFSET, 1, 0x4000 + 2847, 6369, true);
	REFUSED(OFFSET, 1, 0x4000 + 2849, 6367, true);
	REFUSED(OVERRUN, 1, 0x4000 + 2848, 6369, true);
	REFUSED(OVERRUN, 1, 0x4000 + 2848, 0xffffff, false);
	REFUSED(FINAL, 1, 0x4000 + 2848, 6368, false);
	REFUSED(FINAL, 1, 0x4000 + 2848, 6367, true);
	OK(1, 0x4000 + 2848, 6368, true);
	window_count(&w, 6368);
	assert_int_equal(window_left(&w), 0);
	REFUSED(OVERRUN, 2, 0x4000 + 9216, 1, true);
}

static void order_of_the_list(void **state)
{
	struct window w = window_of(0, 100);

	REFUSED(DATASN, 1, 50, 1000, true);
	REFUSED(OFFSET, 0, 50, 1000, true);
	REFUSED(OVERRUN, 0, 0, 1000, true);
	REFUSED(FINAL, 0, 0, 99, true);
}

static void without_payload(void **state)
{
	struct window w = window_of(0, 100);

	OK(0, 0, 0, false);
	window_count(&w, 0);
	assert_int_equal(window_left(&w), 100);
	REFUSED(DATASN, 0, 0, 0, false);
	REFUSED(FINAL, 1, 0, 0, true);
	OK(1, 0, 100, true);
}

static void near_four_gibibytes(void **state)
{
	struct window w = window_of(0xffffc000, 0x4000);

	OK(0, 0xffffc000, 0x4000, true);
	REFUSED(OVERRUN, 0, 0xffffc000, 0x4001, true); /* 1 in 32 bits */
	REFUSED(OVERRUN, 0, 0xffffc000, 0xffffff, true);
	REFUSED(OFFSET, 0, 0, 0x4000, true);
	window_count(&w, 0x4000);
	REFUSED(OFFSET, 1, 0, 0, true); /* the next byte would be 2^32, which is not 0 */
	w = window_of(0, UINT32_MAX);
	window_count(&w, 0x7fffffff);
	window_count(&w, 0x7fffffff);
	OK(2, 0xfffffffe, 1, true);
	REFUSED(OVERRUN, 2, 0xfffffffe, 3, true);
}

/* Unsolicited Data-Outs bring exactly what the command announced, FirstBurst at most (4.2.5.2). */
static void unsolicited(void **state)
{
	struct window w = window_of(8192, 65536 - 8192); /* behind 8 KiB of immediate data */

	REFUSED(FINAL, 0, 8192, 4096, true); /* ends the phase, with too little */
	OK(0, 8192, 65536 - 8192 - 512, false);
	window_count(&w, 65536 - 8192 - 512);
	REFUSED(OVERRUN, 1, 65536 - 512, 513, true); /* more than FirstBurst */
	OK(1, 65536 - 512, 512, true);
}

#define IN(sn, off, len, ok, why)                                                                  \
	do {                                                                                       \
		struct data_out h = {.datasn = sn, .offset = off, .length = len};                  \
		enum counter told = N_COUNTERS;                                                    \
		assert_int_equal(window_check_in(&w, &h, &told), ok);                              \
		assert_int_equal(told, why);                                                       \
	} while (0)

/* The same as an initiator sees a read: F says nothing there, and less than all may come. */
static void data_in(void **state)
{
	struct window w = window_of(0, 8192);

	IN(0, 0, 4096, true, N_COUNTERS);
	IN(0, 0, 8192, true, N_COUNTERS);
	IN(0, 0, 0, true, N_COUNTERS);
	IN(1, 0, 4096, false, CTR_REFUSED_DATASN);
	IN(0, 4096, 4096, false, CTR_REFUSED_OFFSET);
	IN(0, 0, 8193, false, CTR_REFUSED_OVERRUN);
	window_count(&w, 4096);
	IN(1, 4096, 4096, true, N_COUNTERS);
	IN(1, 0, 4096, false, CTR_REFUSED_OFFSET);
	IN(1, 4096, UINT32_MAX, false, CTR_REFUSED_OVERRUN);
}

static void next_place_moves_along(void **state)
{
	struct window w;

	window_init(&w, NULL, 0, 0, 0, 18, place_at(landing, 2));
	assert_int_equal(w.next.skip, 2);
	window_count(&w, 8);
	assert_ptr_equal(w.next.iov, &iov[1]);
	window_count(&w, 10);
	assert_int_equal(w.next.n, 0);
	assert_int_equal(w.next_datasn, 2);
	assert_ptr_equal(w.start.iov, &iov[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cursor),
		cmocka_unit_test(fill),
		cmocka_unit_test(in_order_to_the_last),
		cmocka_unit_test(order_of_the_list),
		cmocka_unit_test(without_payload),
		cmocka_unit_test(near_four_gibibytes),
		cmocka_unit_test(unsolicited),
		cmocka_unit_test(data_in),
		cmocka_unit_test(next_place_moves_along),
	};

	return cmocka_run_group_tests_name("window", tests, NULL, NULL);
}
