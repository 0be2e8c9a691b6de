/* test-xfer.c - how a write's bytes come: with the command, unasked, asked for; and all at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "check.h"
#include "xfer.h"

#define K 1024u

/* Defaults of the cases: both kinds of unasked data allowed, 64 KiB first, 256 KiB bursts. */
static const struct xfer_limits open_limits = {.first_burst = 64 * K,
	.max_burst = 256 * K,
	.max_r2t = 4,
	.initial_r2t = false,
	.immediate_data = true};

/* clang-format off */
enum { F0 = 0, F1 = 1 };
static const struct init_case {
	bool initial_r2t, immediate_data;
	uint32_t edtl, wanted, immediate;
	bool final;
	int end;
	uint32_t length, unsolicited;
} init_cases[] = {
	/* R2T  imm   edtl      wanted    immediate F   end                         length    unsolicited */
	{ true,  true, 64 * K,   64 * K,   0,        F1, XFER_OK,                    64 * K,   0        },
	{ true,  true, 64 * K,   64 * K,   4 * K,    F1, XFER_OK,                    64 * K,   4 * K    },
	{ true,  true, 4 * K,    4 * K,    4 * K,    F1, XFER_OK,                    4 * K,    4 * K    },
	{ true,  false, 4 * K,   4 * K,    0,        F1, XFER_OK,                    4 * K,    0        },
	{ false, true, 1024 * K, 1024 * K, 0,        F1, XFER_OK,                    1024 * K, 0        },
	{ false, true, 1024 * K, 1024 * K, 8 * K,    F0, XFER_OK,                    1024 * K, 64 * K   },
	{ false, false, 1024 * K, 1024 * K, 0,       F0, XFER_OK,                    1024 * K, 64 * K   },
	{ false, true, 10 * K,   10 * K,   8 * K,    F0, XFER_OK,                    10 * K,   10 * K   },
	/* the device wants less than the initiator thought, down to nothing */
	{ false, true, 10 * K,   1 * K,    8 * K,    F0, XFER_OK,                    1 * K,    10 * K   },
	{ false, true, 10 * K,   0,        0,        F0, XFER_OK,                    0,        10 * K   },
	{ true,  true, 10 * K,   9 * K,    10 * K,   F1, XFER_OK,                    9 * K,    10 * K   },
	{ true,  true, 10 * K,   9 * K,    0,        F1, XFER_OK,                    9 * K,    0        },
	/* or more: no byte beyond the expected length can come */
	{ true,  true, 10 * K,   64 * K,   0,        F1, XFER_OK,                    10 * K,   0        },
	{ true,  true, 0,        64 * K,   0,        F1, XFER_OK,                    0,        0        },
	/* what the command does wrong */
	{ true,  false, 4 * K,   4 * K,    1,        F1, XFER_IMMEDIATE_FORBIDDEN,   4 * K,    1        },
	{ true,  true, 1024 * K, 1024 * K, 64 * K + 1, F1, XFER_IMMEDIATE_TOO_LONG,  1024 * K, 64 * K + 1 },
	{ true,  true, 4 * K,    4 * K,    4 * K + 1, F1, XFER_IMMEDIATE_TOO_LONG,   4 * K,    4 * K + 1 },
	{ true,  true, 0,        0,        512,      F1, XFER_IMMEDIATE_TOO_LONG,    0,        512      },
	{ true,  true, 64 * K,   64 * K,   4 * K,    F0, XFER_UNSOLICITED_FORBIDDEN, 64 * K,   64 * K   },
	{ false, true, 4 * K,    4 * K,    4 * K,    F0, XFER_UNSOLICITED_FORBIDDEN, 4 * K,    4 * K    },
	{ false, true, 1024 * K, 1024 * K, 64 * K,   F0, XFER_UNSOLICITED_FORBIDDEN, 1024 * K, 64 * K   },
	{ false, true, 0,        0,        0,        F0, XFER_UNSOLICITED_FORBIDDEN, 0,        0        },
	{ false, true, UINT32_MAX, UINT32_MAX, 0,    F0, XFER_OK,                    UINT32_MAX, 64 * K },
};
/* clang-format on */

static void what_the_command_tells(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(init_cases); i++) {
		const struct init_case *c = &init_cases[i];
		struct xfer_limits lim = open_limits;
		struct xfer x;

		lim.initial_r2t = c->initial_r2t;
		lim.immediate_data = c->immediate_data;
		assert_int_equal(
			xfer_init(&x, &lim, c->edtl, c->wanted, c->immediate, c->final), c->end);
		assert_int_equal(x.length, c->length);
		assert_int_equal(x.immediate, c->immediate);
		assert_int_equal(x.unsolicited, c->unsolicited);
		assert_int_equal(x.arrived, 0);
		assert_int_equal(x.n_open, 0);
	}
}

#define INIT(x, lim, edtl, wanted, imm, f)                                                         \
	assert_int_equal(xfer_init(x, lim, edtl, wanted, imm, f), XFER_OK)
#define NEXT(x, lim, have, off, len)                                                               \
	do {                                                                                       \
		uint32_t o_ = 1, l_ = 1;                                                           \
		assert_true(xfer_next(x, lim, have, &o_, &l_));                                    \
		assert_int_equal(o_, off);                                                         \
		assert_int_equal(l_, len);                                                         \
	} while (0)
#define NONE(x, lim, have)                                                                         \
	do {                                                                                       \
		uint32_t o_, l_;                                                                   \
		assert_false(xfer_next(x, lim, have, &o_, &l_));                                   \
	} while (0)

static void bursts_until_the_end(void **state)
{
	struct xfer x;

	INIT(&x, &open_limits, 600 * K, 600 * K, 8 * K, F0);
	NEXT(&x, &open_limits, 600 * K, 64 * K, 256 * K);
	NEXT(&x, &open_limits, 600 * K, 320 * K, 256 * K);
	NEXT(&x, &open_limits, 600 * K, 576 * K, 24 * K);
	NONE(&x, &open_limits, 600 * K);
	assert_int_equal(x.r2tsn, 3);
	assert_int_equal(x.n_open, 3);
	xfer_arrived(&x, 8 * K, false);
	xfer_arrived(&x, 56 * K, false);
	xfer_arrived(&x, 100 * K, false);
	xfer_arrived(&x, 156 * K, true);
	xfer_arrived(&x, 256 * K, true);
	assert_false(xfer_complete(&x));
	xfer_arrived(&x, 24 * K, true);
	assert_true(xfer_complete(&x));
	assert_int_equal(x.n_open, 0);
}

static void outstanding_windows_are_counted(void **state)
{
	struct xfer_limits lim = open_limits;
	struct xfer x;

	lim.max_r2t = 1;
	INIT(&x, &lim, 512 * K, 512 * K, 0, F1);
	NEXT(&x, &lim, 512 * K, 0, 256 * K);
	NONE(&x, &lim, 512 * K);
	xfer_arrived(&x, 256 * K - 1, false);
	NONE(&x, &lim, 512 * K);
	xfer_arrived(&x, 1, true);
	NEXT(&x, &lim, 512 * K, 256 * K, 256 * K);
}

static void windows_end_where_the_places_end(void **state)
{
	struct xfer x;

	INIT(&x, &open_limits, 512 * K, 512 * K, 0, F1);
	NONE(&x, &open_limits, 0);
	NEXT(&x, &open_limits, 12 * K, 0, 12 * K);
	NONE(&x, &open_limits, 12 * K);
	NEXT(&x, &open_limits, 512 * K, 12 * K, 256 * K);
	NEXT(&x, &open_limits, UINT32_MAX, 268 * K, 244 * K);
	NONE(&x, &open_limits, UINT32_MAX);
}

/* The source's Figure 9B: lines of 32 KiB, the write begins in the middle of the first. */
static void windows_a_line_each(void **state)
{
	struct xfer x;

	INIT(&x, &open_limits, 0x10000, 0x10000, 0, F1);
	NEXT(&x, &open_limits, 0x4000, 0x0000, 0x4000);
	NEXT(&x, &open_limits, 0xc000, 0x4000, 0x8000);
	NEXT(&x, &open_limits, 0x10000, 0xc000, 0x4000);
	NONE(&x, &open_limits, 0x10000);
}

static void undo_is_as_if_never_asked(void **state)
{
	struct xfer x, before;
	uint32_t off, len;

	INIT(&x, &open_limits, 512 * K, 512 * K, 0, F1);
	NEXT(&x, &open_limits, 512 * K, 0, 256 * K);
	before = x;
	assert_true(xfer_next(&x, &open_limits, 512 * K, &off, &len));
	xfer_undo(&x, off, len);
	assert_memory_equal(&x, &before, sizeof(x));
	NEXT(&x, &open_limits, 512 * K, 256 * K, 256 * K);
}

static void a_smaller_max_burst_makes_more_windows(void **state)
{
	struct xfer_limits lim = open_limits;
	struct xfer x;

	lim.max_burst = 512;
	lim.max_r2t = 3;
	INIT(&x, &lim, 1500, 1500, 0, F1);
	NEXT(&x, &lim, 1500, 0, 512);
	NEXT(&x, &lim, 1500, 512, 512);
	NEXT(&x, &lim, 1500, 1024, 476);
	NONE(&x, &lim, 1500);
}

static void excess_goes_to_the_sink_and_is_awaited(void **state)
{
	struct xfer x;

	/* 5 KiB wanted of 64 KiB: 4 KiB come with the command, 60 KiB unasked after it. */
	INIT(&x, &open_limits, 64 * K, 5 * K, 4 * K, F0);
	NONE(&x, &open_limits, 5 * K);
	xfer_arrived(&x, 4 * K, false);
	xfer_arrived(&x, 8 * K, false);
	assert_false(xfer_complete(&x)); /* the rest would come for a task that is gone */
	xfer_arrived(&x, 52 * K, false);
	assert_true(xfer_complete(&x));
	assert_int_equal(xfer_total(&x), 64 * K);
}

static void immediate_beyond_what_is_wanted(void **state)
{
	struct xfer x;

	INIT(&x, &open_limits, 8 * K, 512, 8 * K, F1);
	NONE(&x, &open_limits, 512);
	xfer_arrived(&x, 8 * K, false);
	assert_true(xfer_complete(&x));
}

static void nothing_wanted_is_complete_at_once(void **state)
{
	struct xfer x;

	INIT(&x, &open_limits, 0, 0, 0, F1);
	assert_true(xfer_complete(&x));
	NONE(&x, &open_limits, UINT32_MAX);
	INIT(&x, &open_limits, 64 * K, 0, 0,
		F1); /* nothing unasked, nothing asked for: a residual */
	assert_true(xfer_complete(&x));
}

/* Every split of a write into kinds asks for each byte exactly once. */
static void every_byte_once(void **state)
{
	for (uint32_t length = 0; length <= 40; length++)
		for (uint32_t first = 1; first <= 20; first++)
			for (uint32_t imm = 0; imm <= MIN(first, length); imm++)
				for (int final = 0; final <= 1; final++) {
					struct xfer_limits lim = {.first_burst = first,
						.max_burst = 7,
						.max_r2t = 2,
						.immediate_data = true};
					uint32_t off, len, at;
					struct xfer x;

					if (xfer_init(&x, &lim, length, length, imm, final))
						continue;
					at = x.unsolicited;
					xfer_arrived(&x, x.unsolicited, false);
					while (xfer_next(&x, &lim, length, &off, &len)) {
						assert_int_equal(off, at);
						assert_in_range(len, 1, 7);
						at += len;
						xfer_arrived(&x, len, true);
					}
					assert_int_equal(at, length);
					assert_true(xfer_complete(&x));
				}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_command_tells),
		cmocka_unit_test(bursts_until_the_end),
		cmocka_unit_test(outstanding_windows_are_counted),
		cmocka_unit_test(windows_end_where_the_places_end),
		cmocka_unit_test(windows_a_line_each),
		cmocka_unit_test(undo_is_as_if_never_asked),
		cmocka_unit_test(a_smaller_max_burst_makes_more_windows),
		cmocka_unit_test(excess_goes_to_the_sink_and_is_awaited),
		cmocka_unit_test(immediate_beyond_what_is_wanted),
		cmocka_unit_test(nothing_wanted_is_complete_at_once),
		cmocka_unit_test(every_byte_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
