/* test-dpt.c - slots and generations, and each row of the check list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "check.h"
#include "dpt.h"

enum { CONN = 0x0123, ITT = 0xabcd, LEN = 8192 };
#define LUN 0x0005000000000000ull

static char memory[LEN];
static const struct iovec iov = {memory, LEN};
static struct dpt d;

/* check_dpt - every slot is on the list its state asks for. */
static void check_dpt(void)
{
	unsigned n_free = 0, n_granted = 0, n_draining = 0, on_free = 0;

	for (unsigned i = 0; i < d.n_slots; i++) {
		const struct dpt_entry *e = &d.block[i / DPT_BLOCK][i % DPT_BLOCK];

		assert_int_equal(e->slot, i);
		assert_true(e->gen < TAG_GENS);
		n_free += e->state == DPT_FREE;
		n_granted += e->state == DPT_GRANTED;
		n_draining += e->state == DPT_DRAINING;
		assert_true(list_linked(&e->link));
	}
	list_for_each(at, &d.free) {
		assert_int_equal(list_entry(at, struct dpt_entry, link)->state, DPT_FREE);
		on_free++;
	}
	list_for_each(at, &d.draining)
		assert_int_equal(list_entry(at, struct dpt_entry, link)->state, DPT_DRAINING);
	assert_int_equal(on_free, n_free);
	assert_int_equal(d.n_granted, n_granted);
	assert_int_equal(d.n_draining, n_draining);
}

static int setup(void **state)
{
	return dpt_init(&d, CONN);
}

static int teardown(void **state)
{
	check_dpt();
	dpt_deinit(&d);
	dpt_deinit(&d);
	assert_int_equal(d.n_slots, 0);
	return 0;
}

static struct dpt_entry *granted(void)
{
	struct dpt_entry *e;
	struct window w;

	window_init(&w, memory, ITT, LUN, 0x1000, LEN, (struct place){&iov, 1, 0});
	w.filled = 5; /* whatever was left there */
	w.next_datasn = 7;
	assert_int_equal(dpt_grant(&d, &w, &e), 0);
	return e;
}

static struct data_out due(const struct dpt_entry *e)
{
	return (struct data_out){.lun = e->w.lun,
		.itt = e->w.itt,
		.ttt = dpt_tag(&d, e),
		.datasn = e->w.next_datasn,
		.offset = e->w.offset + e->w.filled,
		.length = window_left(&e->w),
		.final = true};
}

static enum data_out_fate checked(
	const struct data_out *h, struct dpt_entry **ep, enum counter *whyp)
{
	enum data_out_fate fate;
	struct window *w;

	*whyp = N_COUNTERS;
	fate = dpt_check(&d, h, &w, ep, whyp);
	assert_ptr_equal(w, *ep ? &(*ep)->w : NULL);
	assert_int_equal(fate == DATA_OUT_REFUSED, *whyp != N_COUNTERS);
	return fate;
}

/* PLACED, DRAINED, REFUSED - the fate of header h; REFUSED also says whose window is told. */
#define PLACED(h, e)                                                                               \
	do {                                                                                       \
		struct dpt_entry *its;                                                             \
		enum counter why;                                                                  \
		assert_int_equal(checked(&(h), &its, &why), DATA_OUT_PLACE);                       \
		assert_ptr_equal(its, e);                                                          \
	} while (0)
#define DRAINED(h)                                                                                 \
	do {                                                                                       \
		struct dpt_entry *its;                                                             \
		enum counter why;                                                                  \
		assert_int_equal(checked(&(h), &its, &why), DATA_OUT_DRAIN);                       \
		assert_null(its);                                                                  \
	} while (0)
#define REFUSED(h, rule, e)                                                                        \
	do {                                                                                       \
		struct dpt_entry *its;                                                             \
		enum counter why;                                                                  \
		assert_int_equal(checked(&(h), &its, &why), DATA_OUT_REFUSED);                     \
		assert_int_equal(why, CTR_REFUSED_##rule);                                         \
		assert_ptr_equal(its, e);                                                          \
	} while (0)
#define DUE_BUT(e, field, value)                                                                   \
	({                                                                                         \
		struct data_out but = due(e);                                                      \
		but.field = value;                                                                 \
		but;                                                                               \
	})

static void idle_is_small(void **state)
{
	assert_true(sizeof(struct dpt) < 2048);
	assert_int_equal(d.n_slots, 0);
	for (unsigned i = 0; i < DPT_BLOCKS; i++)
		assert_null(d.block[i]);
}

static void grant_and_close(void **state)
{
	struct dpt_entry *e = granted();
	struct data_out h = due(e);

	assert_int_equal(dpt_tag(&d, e), 0x00000123);
	assert_int_equal(e->w.filled, 0);
	assert_int_equal(e->w.next_datasn, 0);
	PLACED(h, e);
	assert_ptr_equal((char *)e->w.next.iov->iov_base + e->w.next.skip, memory);
	window_count(&e->w, LEN);
	dpt_close(&d, e);
	REFUSED(h, TAG_STALE, NULL);
	check_dpt();
}

static void each_row_of_the_list(void **state)
{
	struct dpt_entry *e = granted();
	struct data_out h;

	h = DUE_BUT(e, ttt, tag_make(0, CONN + 1));
	REFUSED(h, TAG_FOREIGN, NULL);
	h = DUE_BUT(e, ttt, TAG_NONE);
	REFUSED(h, TAG_FOREIGN, NULL);
	h = DUE_BUT(e, ttt, tag_make(index_make(0, 1), CONN)); /* a free slot */
	REFUSED(h, TAG_STALE, NULL);
	h = DUE_BUT(e, ttt, tag_make(index_make(0, 500), CONN)); /* one that does not exist yet */
	REFUSED(h, TAG_STALE, NULL);
	h = DUE_BUT(e, ttt, tag_make(index_make(0, TAG_OTHER_FIRST), CONN));
	REFUSED(h, TAG_STALE, NULL);
	h = DUE_BUT(e, ttt, tag_make(index_make(63, 1023), CONN));
	REFUSED(h, TAG_STALE, NULL);
	h = DUE_BUT(e, ttt, tag_make(index_make(1, 0), CONN)); /* another generation */
	REFUSED(h, TAG_STALE, NULL);
	h = DUE_BUT(e, itt, ITT + 1);
	REFUSED(h, ITT, NULL);
	h = DUE_BUT(e, lun, LUN + 1);
	REFUSED(h, LUN, NULL);
	h = DUE_BUT(e, datasn, 1);
	REFUSED(h, DATASN, e);
	h = DUE_BUT(e, offset, 0x1001);
	REFUSED(h, OFFSET, e);
	h = DUE_BUT(e, length, LEN + 1);
	REFUSED(h, OVERRUN, e);
	h = DUE_BUT(e, final, false);
	REFUSED(h, FINAL, e);
	h = due(e);
	PLACED(h, e); /* nothing of it has changed the entry */
}

static void earlier_rows_win(void **state)
{
	struct dpt_entry *e = granted();
	struct data_out h = {
		.lun = 1, .itt = 1, .ttt = tag_make(index_make(1, 0), 9), .datasn = 9, .length = 1};

	REFUSED(h, TAG_FOREIGN, NULL);
	h.ttt = tag_make(index_make(1, 0), CONN);
	REFUSED(h, TAG_STALE, NULL);
	h.ttt = dpt_tag(&d, e);
	REFUSED(h, ITT, NULL);
	h.itt = ITT;
	REFUSED(h, LUN, NULL);
	h.lun = LUN;
	REFUSED(h, DATASN, e);
}

static void zero_lun_is_let_pass(void **state)
{
	struct dpt_entry *e = granted();
	uint64_t before = counter_sum(CTR_LUN_MISMATCH);
	struct data_out h = due(e);

	PLACED(h, e);
	assert_true(counter_sum(CTR_LUN_MISMATCH) == before);
	h.lun = 0;
	PLACED(h, e);
	assert_true(counter_sum(CTR_LUN_MISMATCH) == before + 1);
}

static void oldest_slot_first(void **state)
{
	struct dpt_entry *e[DPT_BLOCK];

	for (unsigned i = 0; i < DPT_BLOCK; i++) {
		e[i] = granted();
		assert_int_equal(e[i]->slot, i);
	}
	dpt_close(&d, e[9]);
	dpt_close(&d, e[3]);
	assert_int_equal(granted()->slot, 9);
	assert_int_equal(granted()->slot, 3);
	assert_int_equal(d.n_slots, DPT_BLOCK);
	assert_int_equal(granted()->slot, DPT_BLOCK); /* another block only now */
	assert_int_equal(list_first(&d.granted, struct dpt_entry, link)->slot, 0);
	assert_int_equal(list_entry(d.granted.prev, struct dpt_entry, link)->slot, DPT_BLOCK);
}

static void generations_wrap(void **state)
{
	static uint32_t seen[DPT_BLOCK * TAG_GENS];
	const unsigned n = ARRAY_LEN(seen);
	struct data_out first = {0};

	for (unsigned i = 0; i < n; i++) {
		struct dpt_entry *e = granted();

		seen[i] = dpt_tag(&d, e);
		assert_int_equal(tag_conn(seen[i]), CONN);
		assert_true(index_slot(tag_index(seen[i])) < DPT_BLOCK);
		assert_int_equal(index_gen(tag_index(seen[i])), i / DPT_BLOCK);
		if (i == 0)
			first = due(e);
		else
			REFUSED(first, TAG_STALE, NULL);
		dpt_close(&d, e);
	}
	assert_int_equal(dpt_tag(&d, granted()), seen[0]); /* all 6 bits used, then again from 0 */
	check_dpt();
}

static void slots_full(void **state)
{
	struct dpt_entry *e, *last = NULL;
	struct window w;

	for (unsigned i = 0; i < TAG_OTHER_FIRST; i++)
		last = granted();
	assert_int_equal(last->slot, TAG_OTHER_FIRST - 1);
	window_init(&w, NULL, ITT, LUN, 0, 1, (struct place){0});
	assert_int_equal(dpt_grant(&d, &w, &e), DPT_FULL);
	assert_null(e);
	dpt_close(&d, last);
	assert_int_equal(dpt_grant(&d, &w, &e), 0);
	assert_ptr_equal(e, last);
	assert_int_equal(dpt_grant(&d, &w, &e), DPT_FULL);
}

/* Aborted windows whose rest never comes do not use the slots up: the oldest gives way, its tag is stale. */
static void draining_slots_give_way(void **state)
{
	struct dpt_entry *e, *oldest = granted();
	uint32_t tag = dpt_tag(&d, oldest);
	struct window w;

	dpt_drain(&d, oldest);
	for (unsigned i = 1; i < TAG_OTHER_FIRST; i++)
		dpt_drain(&d, granted());
	assert_int_equal(d.n_draining, TAG_OTHER_FIRST);
	window_init(&w, NULL, ITT, LUN, 0, 1, (struct place){0});
	assert_int_equal(dpt_grant(&d, &w, &e), 0);
	assert_ptr_equal(e, oldest);
	assert_int_not_equal(dpt_tag(&d, e), tag);
	assert_int_equal(d.n_draining, TAG_OTHER_FIRST - 1);
}

/* A tag without data due: found like any other, and out of the receive plan's way. */
static void named_only(void **state)
{
	struct dpt_entry *e, *first = granted();
	uint32_t tag;

	assert_int_equal(dpt_name(&d, &d, &e), 0);
	tag = dpt_tag(&d, e);
	assert_ptr_equal(e->w.task, &d);
	assert_int_equal(e->w.length, 0);
	assert_ptr_equal(dpt_find(&d, tag), e);
	assert_ptr_equal(dpt_find(&d, dpt_tag(&d, first)), first);
	assert_ptr_equal(list_first(&d.granted, struct dpt_entry, link), first);
	assert_ptr_equal(d.granted.prev, &first->link);
	dpt_close(&d, e);
	assert_null(dpt_find(&d, tag));
	assert_null(dpt_find(&d, dpt_tag(&d, first) ^ 1));        /* another connection */
	assert_null(dpt_find(&d, dpt_tag(&d, first) ^ 1u << 26)); /* another generation */
	assert_null(dpt_find(&d, TAG_NONE));
	dpt_drain(&d, first);
	assert_null(dpt_find(&d, dpt_tag(&d, first)));
}

static void late_data_is_drained(void **state)
{
	struct dpt_entry *e = granted();
	struct data_out h = due(e), wrong;

	h.length = 512;
	h.final = false;
	PLACED(h, e);
	window_count(&e->w, 512);
	dpt_drain(&d, e);
	check_dpt();
	assert_int_equal(d.n_draining, 1);
	assert_true(list_empty(&d.granted)); /* no plan reaches into it */
	assert_int_equal(e->w.next.n, 0);
	h = (struct data_out){
		.lun = LUN, .itt = ITT, .ttt = h.ttt, .datasn = 1, .offset = 0x1200, .length = 512};
	DRAINED(h);
	wrong = h;
	wrong.itt++;
	wrong.final = true;
	REFUSED(wrong, ITT, NULL); /* not the one that is awaited: the slot stays */
	h.offset = 77;             /* nobody cares any more */
	h.final = true;
	DRAINED(h);
	assert_int_equal(d.n_draining, 0);
	REFUSED(h, TAG_STALE, NULL);
	check_dpt();
}

static void drained_after_its_last(void **state)
{
	struct dpt_entry *e = granted();
	struct data_out h = due(e);

	PLACED(h, e); /* its payload is still coming in when the task is aborted */
	dpt_drain(&d, e);
	assert_int_equal(d.n_draining, 0);
	REFUSED(h, TAG_STALE, NULL);
	e = granted();
	h = due(e);
	h.length = 1;
	REFUSED(h, FINAL, e); /* F too early: the task ends, no more will come */
	dpt_drain(&d, e);
	assert_int_equal(d.n_draining, 0);
	e = granted();
	assert_false(e->last_seen);
	dpt_drain(&d, e); /* left draining at the end of the connection */
	assert_int_equal(d.n_draining, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(idle_is_small, setup, teardown),
		cmocka_unit_test_setup_teardown(grant_and_close, setup, teardown),
		cmocka_unit_test_setup_teardown(each_row_of_the_list, setup, teardown),
		cmocka_unit_test_setup_teardown(earlier_rows_win, setup, teardown),
		cmocka_unit_test_setup_teardown(zero_lun_is_let_pass, setup, teardown),
		cmocka_unit_test_setup_teardown(oldest_slot_first, setup, teardown),
		cmocka_unit_test_setup_teardown(generations_wrap, setup, teardown),
		cmocka_unit_test_setup_teardown(slots_full, setup, teardown),
		cmocka_unit_test_setup_teardown(draining_slots_give_way, setup, teardown),
		cmocka_unit_test_setup_teardown(named_only, setup, teardown),
		cmocka_unit_test_setup_teardown(late_data_is_drained, setup, teardown),
		cmocka_unit_test_setup_teardown(drained_after_its_last, setup, teardown),
	};

	return cmocka_run_group_tests_name("dpt", tests, NULL, NULL);
}
