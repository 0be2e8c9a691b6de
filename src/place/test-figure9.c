/* test-figure9.c - the source's Figures 9A to 9D, to the number.
 *
 * A 64 KiB write that starts in the middle of its first arena line, in a buffer memory of which
 * only three lines are free: the real allocator finds them, the real connection table gives index
 * 0x123, the real data pointer table the slots 0x10 to 0x12, one R2T a line. The numbers below are
 * those of the figures; nothing in the code under test knows them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "arena.h"
#include "check.h"
#include "conntab.h"
#include "dpt.h"

enum {
	ARENA_PAGES = 0x100000 / ARENA_PAGE,
	WRITE_LEN = 64 << 10,
	LINE_OFFSET = 0x4000, /* where in its first line the write starts */
	CONN = 0x123,
	FIRST_SLOT = 0x10,
	DATA_OUT_LEN = 0x2000,
	ITT = 0x77,
	N_R2T = 3,
	N_DATA_OUT = 8,
};

/* clang-format off */
static const uint64_t free_lines[] = {0x50000, 0x68000, 0x80000};

/* 9A: where each 8 KiB of the write lie. */
static const struct { uint64_t line, address; uint32_t offset; } figure_9a[N_DATA_OUT] = {
	{0x50000, 0x54000, 0x0000}, {0x50000, 0x56000, 0x2000},
	{0x68000, 0x68000, 0x4000}, {0x68000, 0x6a000, 0x6000}, {0x68000, 0x6c000, 0x8000}, {0x68000, 0x6e000, 0xa000},
	{0x80000, 0x80000, 0xc000}, {0x80000, 0x82000, 0xe000},
};

/* 9B: the R2Ts. */
static const struct { uint32_t tag, offset, length; } figure_9b[N_R2T] = {
	{0x00100123, 0x00000000, 0x00004000},
	{0x00110123, 0x00004000, 0x00008000},
	{0x00120123, 0x0000c000, 0x00004000},
};

/* 9C: the data pointer table. */
static const struct { uint16_t index; uint64_t pointer; uint32_t offset, length; } figure_9c[N_R2T] = {
	{0x0010, 0x00054000, 0x00000000, 0x00004000},
	{0x0011, 0x00068000, 0x00004000, 0x00008000},
	{0x0012, 0x00080000, 0x0000c000, 0x00004000},
};

/* 9D: the Data-Outs, and the place that follows. */
static const struct { uint32_t tag, offset, length; bool final; uint64_t place; } figure_9d[N_DATA_OUT] = {
	{0x00100123, 0x00000000, 0x2000, false, 0x54000},
	{0x00100123, 0x00002000, 0x2000, true,  0x56000},
	{0x00110123, 0x00004000, 0x2000, false, 0x68000},
	{0x00110123, 0x00006000, 0x2000, false, 0x6a000},
	{0x00110123, 0x00008000, 0x2000, false, 0x6c000},
	{0x00110123, 0x0000a000, 0x2000, true,  0x6e000},
	{0x00120123, 0x0000c000, 0x2000, false, 0x80000},
	{0x00120123, 0x0000e000, 0x2000, true,  0x82000},
};
/* clang-format on */

struct fixture {
	struct arena *a;
	struct conntab *tab;
	struct dpt d;
	struct dpt_entry *held[FIRST_SLOT]; /* R2Ts of other tasks */
	struct run runs[N_R2T];
	struct iovec iov[N_R2T];
	struct dpt_entry *e[N_R2T];
	uint8_t sent[WRITE_LEN];
};

/* others_hold - all of the memory but the three lines. */
static void others_hold(struct fixture *f)
{
	const struct arena_params p = {.name = "figure9", .n_pages = ARENA_PAGES};
	struct run all;
	unsigned n_runs;
	uint32_t n_quota;

	assert_int_equal(arena_new(&f->a, &p), 0);
	assert_int_equal(
		arena_take(f->a, ARENA_OPEN, NULL, ARENA_PAGES, false, &all, 1, &n_runs, &n_quota),
		0);
	for (unsigned i = 0; i < N_R2T; i++)
		arena_unref(f->a, (uint32_t)(free_lines[i] / ARENA_PAGE), ARENA_LINE_PAGES);
}

/* land - whole lines are taken; the vectors leave out what the write does not fill. */
static void land(struct fixture *f)
{
	uint32_t n_pages = (uint32_t)round_up(LINE_OFFSET + WRITE_LEN, ARENA_LINE) / ARENA_PAGE;
	size_t skip = LINE_OFFSET, left = WRITE_LEN;
	unsigned n_runs;
	uint32_t n_quota;

	assert_int_equal(arena_take(f->a, ARENA_OPEN, NULL, n_pages, true, f->runs, N_R2T, &n_runs,
				 &n_quota),
		0);
	assert_int_equal(n_runs, N_R2T);
	for (unsigned i = 0; i < n_runs; i++, skip = 0) {
		size_t len = MIN((size_t)f->runs[i].n_pages * ARENA_PAGE - skip, left);

		f->iov[i].iov_base = (char *)arena_ptr(f->a, f->runs[i].page) + skip;
		f->iov[i].iov_len = len;
		left -= len;
	}
	assert_int_equal(left, 0);
}

static void connect_as(struct fixture *f, uint16_t index)
{
	struct place nowhere = {0};
	struct window other;

	assert_int_equal(conntab_new(&f->tab), 0);
	assert_int_equal(conntab_add_at(f->tab, f, index), 0);
	assert_int_equal(dpt_init(&f->d, index), 0);
	window_init(&other, f, 0x55, 0, 0, 512, nowhere);
	for (unsigned i = 0; i < FIRST_SLOT; i++)
		assert_int_equal(dpt_grant(&f->d, &other, &f->held[i]), 0);
}

/* grant - one entry for each arena line that the landing touches. */
static void grant(struct fixture *f)
{
	struct place start = {f->iov, N_R2T, 0};
	uint32_t offset = 0;

	for (unsigned i = 0; i < N_R2T; i++) {
		uint64_t address = arena_offset(f->a, f->iov[i].iov_base);
		uint32_t to_line_end = (uint32_t)(round_up(address + 1, ARENA_LINE) - address);
		struct window w;

		window_init(&w, f, ITT, 0, offset, MIN(to_line_end, WRITE_LEN - offset),
			place_at(start, offset));
		assert_int_equal(dpt_grant(&f->d, &w, &f->e[i]), 0);
		offset += w.length;
	}
	assert_int_equal(offset, WRITE_LEN);
}

static int setup(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	for (unsigned i = 0; i < WRITE_LEN; i++)
		f.sent[i] = (uint8_t)(i * 31 + (i >> 8));
	others_hold(&f);
	land(&f);
	connect_as(&f, CONN);
	grant(&f);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	dpt_deinit(&f->d);
	conntab_remove(f->tab, CONN);
	f->tab = conntab_free(f->tab);
	arena_unref(f->a, 0, ARENA_PAGES); /* the others', and the landing's */
	f->a = arena_free(f->a);
	return 0;
}

/* address_of - where byte `offset` of the write lies, by the landing. */
static uint64_t address_of(struct fixture *f, uint32_t offset)
{
	struct place p = place_at((struct place){f->iov, N_R2T, 0}, offset);

	return arena_offset(f->a, (char *)p.iov->iov_base + p.skip);
}

static void nine_a_landing(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < N_R2T; i++)
		assert_int_equal((uint64_t)f->runs[i].page * ARENA_PAGE, free_lines[i]);
	for (unsigned i = 0; i < N_DATA_OUT; i++) {
		assert_int_equal(address_of(f, figure_9a[i].offset), figure_9a[i].address);
		assert_int_equal(round_down(figure_9a[i].address, ARENA_LINE), figure_9a[i].line);
	}
	assert_int_equal(address_of(f, 0) % ARENA_LINE, LINE_OFFSET);
}

static void nine_b_r2ts(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < N_R2T; i++) {
		assert_int_equal(dpt_tag(&f->d, f->e[i]), figure_9b[i].tag);
		assert_int_equal(f->e[i]->w.offset, figure_9b[i].offset);
		assert_int_equal(f->e[i]->w.length, figure_9b[i].length);
	}
}

static void nine_c_table(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < N_R2T; i++) {
		const struct dpt_entry *e = f->e[i];
		const char *pointer = (char *)e->w.start.iov->iov_base + e->w.start.skip;

		assert_int_equal(index_make(e->gen, e->slot), figure_9c[i].index);
		assert_int_equal(arena_offset(f->a, pointer), figure_9c[i].pointer);
		assert_int_equal(e->w.offset, figure_9c[i].offset);
		assert_int_equal(e->w.length, figure_9c[i].length);
	}
}

/* receive - one Data-Out as a connection handles it; returns where its payload went. */
static uint64_t receive(struct fixture *f, const struct data_out *h)
{
	struct dpt_entry *e;
	struct window *w;
	enum counter why;
	struct iovec out[2];
	size_t len;

	assert_ptr_equal(conntab_find(f->tab, tag_conn(h->ttt)), f);
	assert_int_equal(dpt_check(&f->d, h, &w, &e, &why), DATA_OUT_PLACE);
	assert_ptr_equal(w->task, f);
	assert_int_equal(place_fill(w->next, h->length, out, 2, &len), 1);
	assert_int_equal(len, h->length);
	memcpy(out[0].iov_base, f->sent + h->offset, len);
	window_count(w, h->length);
	if (window_left(w) == 0)
		dpt_close(&f->d, e);
	return arena_offset(f->a, out[0].iov_base);
}

static void receive_row(struct fixture *f, unsigned i)
{
	struct data_out h = {
		.itt = ITT,
		.ttt = figure_9d[i].tag,
		.datasn = (figure_9d[i].offset -
				  figure_9c[(figure_9d[i].tag >> 16) - FIRST_SLOT].offset) /
			  DATA_OUT_LEN,
		.offset = figure_9d[i].offset,
		.length = figure_9d[i].length,
		.final = figure_9d[i].final,
	};

	assert_int_equal(receive(f, &h), figure_9d[i].place);
}

static void all_is_there(struct fixture *f)
{
	for (unsigned i = 0; i < N_DATA_OUT; i++)
		assert_memory_equal((char *)arena_base(f->a) + figure_9a[i].address,
			f->sent + figure_9a[i].offset, DATA_OUT_LEN);
	assert_int_equal(f->d.n_granted, FIRST_SLOT);
}

static void nine_d_data_outs(void **state)
{
	for (unsigned i = 0; i < N_DATA_OUT; i++)
		receive_row(*state, i);
	all_is_there(*state);
}

/* The tag alone says where a payload goes: the three sequences may come mixed. */
static void nine_d_in_another_order(void **state)
{
	const unsigned order[N_DATA_OUT] = {6, 2, 0, 3, 7, 1, 4, 5};

	for (unsigned i = 0; i < N_DATA_OUT; i++)
		receive_row(*state, order[i]);
	all_is_there(*state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nine_a_landing, setup, teardown),
		cmocka_unit_test_setup_teardown(nine_b_r2ts, setup, teardown),
		cmocka_unit_test_setup_teardown(nine_c_table, setup, teardown),
		cmocka_unit_test_setup_teardown(nine_d_data_outs, setup, teardown),
		cmocka_unit_test_setup_teardown(nine_d_in_another_order, setup, teardown),
	};

	return cmocka_run_group_tests_name("figure9", tests, NULL, NULL);
}
