/* test-pageio.c - file volumes on a backend that answers when the test says so: order, waiters,
 * failures. */
#include "filetest.h"

#include <errno.h>
#include "counter.h"

/* --- reads --- */
static void a_miss_is_one_request_and_then_a_hit(void **state)
{
	struct fixture *f = *state;
	struct test_op t;

	start_read(f, &t, 8 * PAGE + 512, 64 * PAGE);
	assert_false(t.done);
	assert_int_equal(f->fake->n_pending, 1);
	fake_end(f->fake, 0);
	assert_true(t.done);
	assert_true(all_bytes(&t, 0, PAGE - 512, disk_byte(8)));
	assert_true(all_bytes(&t, PAGE - 512, 2 * PAGE - 512, disk_byte(9)));
	volume_unpin(&t.op);
	start_read(f, &t, 16 * PAGE, 16 * PAGE);
	assert_true(t.done);
	volume_unpin(&t.op);
	assert_int_equal(COUNT(IO_READ), 1);
}

static void two_readers_share_a_fill(void **state)
{
	struct fixture *f = *state;
	struct test_op a, b;

	start_read(f, &a, 0, 8 * PAGE);
	start_read(f, &b, 4 * PAGE, 8 * PAGE);
	assert_int_equal(f->fake->n_pending, 2);
	fake_end(f->fake, 0);
	assert_true(a.done);
	assert_false(b.done);
	fake_end(f->fake, 0);
	assert_true(b.done);
	assert_true(all_bytes(&b, 0, PAGE, disk_byte(4)));
	volume_unpin(&a.op);
	volume_unpin(&b.op);
}

static void a_failed_read_says_so_and_the_next_works(void **state)
{
	struct fixture *f = *state;
	struct test_op a, b;

	f->fake->bad = 3 * PAGE + 1030;
	start_read(f, &a, 0, 4 * PAGE);
	start_read(f, &b, 2 * PAGE, 4 * PAGE);
	finish(f);
	assert_int_equal(a.end, -EIO);
	assert_int_equal(b.end, -EIO);
	assert_int_equal(a.op.bad, 3 * PAGE + 1024);
	assert_int_equal(b.op.bad, 3 * PAGE + 1024);
	volume_unpin(&a.op);
	volume_unpin(&b.op);
	read_now(f, 2 * PAGE, PAGE, disk_byte(2));
	f->fake->bad = 0;
	read_now(f, 3 * PAGE, PAGE, disk_byte(3));
}

/* One request for the pages of two readers: only who wanted the bad one fails. */
static void a_failed_read_fails_who_wanted_the_bad_page(void **state)
{
	struct fixture *f = *state;
	struct test_op a, b, c;

	f->fake->bad = 4 * PAGE;
	start_read(f, &a, 0, 8 * PAGE);
	start_read(f, &b, 0, 4 * PAGE);
	start_read(f, &c, 5 * PAGE, 3 * PAGE);
	assert_int_equal(f->fake->n_pending, 1);
	finish(f);
	assert_int_equal(a.end, -EIO);
	assert_int_equal(a.op.bad, 4 * PAGE);
	assert_int_equal(b.end, 0);
	assert_true(all_bytes(&b, 0, PAGE, disk_byte(0)));
	assert_int_equal(c.end, 0);
	assert_true(all_bytes(&c, 2 * PAGE, PAGE, disk_byte(7)));
	volume_unpin(&b.op);
	volume_unpin(&c.op);
}

/* --- writes --- */
static void a_write_is_one_request_and_shown_when_durable(void **state)
{
	struct fixture *f = *state;
	struct test_op w, r;

	read_now(f, 4 * PAGE, PAGE, disk_byte(4));
	start_write(f, &f->io, &w, 4 * PAGE, 64 * PAGE, 0xaa);
	assert_int_equal(f->fake->n_pending, 1);
	assert_true(f->fake->pending[0]->durable);
	assert_false(w.done);
	start_read(f, &r, 4 * PAGE, PAGE); /* cached: the old one is shown */
	assert_true(r.done && all_bytes(&r, 0, PAGE, disk_byte(4)));
	volume_unpin(&r.op);
	start_read(f, &r, 5 * PAGE, PAGE); /* not cached: the disk is being changed */
	assert_false(r.done);
	fake_end(f->fake, 0);
	assert_true(w.done && !w.end);
	assert_true(r.done && all_bytes(&r, 0, PAGE, 0xaa));
	volume_unpin(&r.op);
	read_now(f, 4 * PAGE, 64 * PAGE, 0xaa);
	assert_int_equal(COUNT(IO_WRITE), 1);
	assert_int_equal(COUNT(IO_READ), 1);
	assert_int_equal(f->fake->disk[67 * PAGE], 0xaa);
}

static void a_partial_write_reads_its_base_first(void **state)
{
	struct fixture *f = *state;
	struct test_op w;

	start_write(f, &f->io, &w, 3 * PAGE + 512, 2 * PAGE, 0xbb);
	assert_int_equal(COUNT(IO_READ), 2);
	assert_int_equal(COUNT(IO_WRITE), 0);
	finish(f);
	assert_true(w.done && !w.end);
	assert_int_equal(COUNT(IO_WRITE), 1);
	assert_int_equal(f->fake->disk[3 * PAGE + 511], disk_byte(3));
	assert_int_equal(f->fake->disk[3 * PAGE + 512], 0xbb);
	assert_int_equal(f->fake->disk[5 * PAGE + 511], 0xbb);
	assert_int_equal(f->fake->disk[5 * PAGE + 512], disk_byte(5));
}

static void bases_come_ahead_of_the_commit(void **state)
{
	struct fixture *f = *state;
	struct test_op w;

	volume_base(f->v, &f->io, 3 * PAGE + 512, 2 * PAGE);
	assert_int_equal(f->fake->n_pending, 2);
	volume_base(f->v, &f->io, 3 * PAGE + 512, 2 * PAGE);
	assert_int_equal(f->fake->n_pending, 2);
	finish(f);
	start_write(f, &f->io, &w, 3 * PAGE + 512, 2 * PAGE, 0xbb);
	assert_int_equal(COUNT(IO_WRITE), 1);
	finish(f);
	assert_int_equal(COUNT(IO_READ), 2);
}

static void newer_versions_overtake_those_that_wait(void **state)
{
	struct fixture *f = *state;
	struct test_op a, b, c;

	start_write(f, &f->io, &a, 0, PAGE, 1);
	start_write(f, &f->io, &b, 0, PAGE, 2);
	start_write(f, &f->io, &c, 0, PAGE, 3);
	assert_int_equal(f->fake->n_pending, 1);
	fake_end(f->fake, 0);
	assert_true(a.done && !b.done && !c.done);
	assert_int_equal(f->fake->n_pending, 1);
	fake_end(f->fake, 0);
	assert_true(b.done && c.done);
	assert_int_equal(COUNT(IO_WRITE), 2);
	read_now(f, 0, PAGE, 3);
}

static void merges_build_on_what_is_not_shown_yet(void **state)
{
	struct fixture *f = *state;
	struct test_op a, b, c;

	start_write(f, &f->io, &a, 0, PAGE, 1);
	start_write(f, &f->io, &b, 512, 512, 2);
	start_write(f, &f->io, &c, 1024, 512, 3);
	assert_int_equal(COUNT(IO_READ), 0);
	finish(f);
	assert_int_equal(f->fake->disk[0], 1);
	assert_int_equal(f->fake->disk[512], 2);
	assert_int_equal(f->fake->disk[1024], 3);
	assert_int_equal(f->fake->disk[1536], 1);
}

static void a_write_waits_for_the_fill_of_its_page(void **state)
{
	struct fixture *f = *state;
	struct test_op r, w;

	start_read(f, &r, 0, 2 * PAGE);
	start_write(f, &f->io, &w, PAGE, PAGE, 9);
	assert_int_equal(f->fake->n_pending, 1);
	fake_end(f->fake, 0);
	assert_true(r.done && all_bytes(&r, PAGE, 2 * PAGE, disk_byte(1)));
	assert_int_equal(f->fake->n_pending, 1);
	fake_end(f->fake, 0);
	assert_true(w.done);
	volume_unpin(&r.op);
	read_now(f, PAGE, PAGE, 9);
}

/* A: pages 0, 1. B: pages 1, 2, and done first on its own page. */
static void overlapping_writes_are_shown_in_order_and_whole(void **state)
{
	struct fixture *f = *state;
	struct test_op pin, blocker, a, b, r;

	start_read(f, &pin, 0, 3 * PAGE);
	finish(f);
	volume_unpin(&pin.op);
	start_write(f, &f->io, &blocker, 0, PAGE, 7);
	start_write(f, &f->io, &a, 0, 2 * PAGE, 1); /* page 0 waits, page 1 flies */
	assert_int_equal(f->fake->n_pending, 2);
	start_write(f, &f->io, &b, PAGE, 2 * PAGE, 2); /* page 1 waits, page 2 flies */
	assert_int_equal(f->fake->n_pending, 3);
	fake_end(f->fake, 2); /* B's page 2 */
	fake_end(f->fake, 1); /* A's page 1; B's goes */
	assert_int_equal(f->fake->n_pending, 2);
	fake_end(f->fake, 1);
	/* B is durable, but A comes before it. */
	assert_false(a.done || b.done);
	start_read(f, &r, 0, 3 * PAGE);
	assert_true(r.done);
	assert_true(all_bytes(&r, 0, PAGE, disk_byte(0)));
	assert_true(all_bytes(&r, PAGE, 2 * PAGE, disk_byte(1)));
	assert_true(all_bytes(&r, 2 * PAGE, 3 * PAGE, disk_byte(2)));
	volume_unpin(&r.op);
	fake_end(f->fake, 0); /* the blocker; A's page 0 goes */
	assert_true(blocker.done && !a.done && !b.done);
	fake_end(f->fake, 0);
	assert_true(a.done && b.done);
	read_now(f, 0, PAGE, 1);
	read_now(f, PAGE, 2 * PAGE, 2);
}

static void a_failed_write_drops_its_pages_and_tells_all(void **state)
{
	struct fixture *f = *state;
	struct test_op first, a, b, c;

	read_now(f, 0, PAGE, disk_byte(0));
	start_write(f, &f->io, &first, 0, PAGE, 1);
	start_write(f, &f->io, &a, 0, PAGE, 2);
	start_write(f, &f->io, &b, 0, 2 * PAGE, 3);
	fake_end(f->fake, 1); /* page 1 of b */
	fake_end(f->fake, 0);
	assert_true(first.done && !first.end);
	f->fake->fail_next = -EIO;
	fake_end(f->fake, 0);
	assert_true(a.done && b.done);
	assert_int_equal(a.end, -EIO);
	assert_int_equal(b.end, -EIO);
	/* What the disk holds is read again. */
	read_now(f, 0, PAGE, 1);
	read_now(f, PAGE, PAGE, 3);
	start_write(f, &f->io, &c, 512, 512, 4);
	finish(f);
	assert_int_equal(c.end, 0);
	assert_int_equal(f->fake->disk[0], 1);
	assert_int_equal(f->fake->disk[512], 4);
}

static void a_later_write_survives_an_earlier_failure(void **state)
{
	struct fixture *f = *state;
	struct test_op a, b;

	start_write(f, &f->io, &a, 0, PAGE, 1);
	start_write(f, &f->io, &b, 512, 512, 2);
	f->fake->fail_next = -ENOSPC;
	fake_end(f->fake, 0);
	assert_int_equal(a.end, -ENOSPC);
	finish(f);
	assert_true(b.done && !b.end);
	assert_int_equal(f->fake->disk[512], 2);
	read_now(f, 512, 512, 2);
}

static void a_base_that_cannot_be_read_fails_the_write(void **state)
{
	struct fixture *f = *state;
	struct test_op a;

	start_write(f, &f->io, &a, 512, 512, 1);
	f->fake->fail_next = -EIO;
	fake_end(f->fake, 0);
	finish(f);
	assert_int_equal(a.end, -EIO);
	assert_int_equal(COUNT(IO_WRITE), 0);
	read_now(f, 0, PAGE, disk_byte(0));
}

static void completions_go_home(void **state)
{
	struct fixture *f = *state;
	struct test_op a, b;

	start_write(f, &f->io, &a, 0, PAGE, 1);
	start_write(f, &f->other, &b, 0, PAGE, 2);
	fake_end(f->fake, 0);
	assert_true(a.done);
	fake_end(f->fake, 0); /* on f->io, whose reactor saw the first one end */
	assert_false(b.done);
	assert_true(turn(&f->other));
	assert_true(b.done);
	assert_int_equal(b.n_done, 1);
}

/* --- updates --- */
static int compare_first_byte(
	void *ctx, uint64_t at, uint32_t len, const uint8_t *base, uint8_t *fresh, uint32_t *wherep)
{
	if (base[0] != *(uint8_t *)ctx) {
		*wherep = 0;
		return VOL_MISCOMPARE;
	}
	memset(fresh, 0xcc, len);
	return 0;
}

static void a_miscompare_is_answered_when_its_cause_is_durable(void **state)
{
	struct fixture *f = *state;
	struct test_op a, u;
	uint8_t expect = disk_byte(0);

	start_write(f, &f->io, &a, 0, PAGE, 9);
	test_op_init(&u, f->v, &f->io, 0, 512);
	volume_update(&u.op, compare_first_byte, &expect);
	assert_false(u.done);
	fake_end(f->fake, 0);
	assert_true(a.done && u.done);
	assert_int_equal(u.end, VOL_MISCOMPARE);
	expect = 9;
	test_op_init(&u, f->v, &f->io, 0, 512);
	volume_update(&u.op, compare_first_byte, &expect);
	finish(f);
	assert_int_equal(u.end, 0);
	assert_int_equal(f->fake->disk[0], 0xcc);
	assert_int_equal(f->fake->disk[512], 9);
}

static void an_update_reads_what_it_lacks(void **state)
{
	struct fixture *f = *state;
	struct test_op u;
	uint8_t expect = disk_byte(6);

	test_op_init(&u, f->v, &f->io, 6 * PAGE, 3 * PAGE);
	volume_update(&u.op, compare_first_byte, &expect);
	finish(f);
	assert_int_equal(u.end, VOL_MISCOMPARE);
	assert_int_equal(u.op.where, PAGE);
	assert_int_equal(COUNT(IO_WRITE), 0);
}

/* --- long ranges and flushes --- */
static void punching_goes_in_order_and_is_flushed(void **state)
{
	struct fixture *f = *state;
	struct test_op w, z, r;

	start_write(f, &f->io, &w, PAGE, PAGE, 5);
	start_zero(f, &z, 0, 4 * PAGE, true);
	assert_int_equal(COUNT(IO_PUNCH), 2); /* pages 0 and 2-3; page 1 waits */
	start_read(f, &r, 2 * PAGE, PAGE);
	assert_false(r.done);
	while (COUNT(IO_PUNCH) < 3)
		fake_end(f->fake, 0);
	assert_true(w.done && !z.done);
	finish(f);
	assert_true(z.done && !z.end);
	assert_int_equal(COUNT(IO_FLUSH), 1);
	assert_true(r.done && all_bytes(&r, 0, PAGE, 0));
	volume_unpin(&r.op);
	read_now(f, 0, 4 * PAGE, 0);
	read_now(f, 4 * PAGE, PAGE, disk_byte(4));
}

/* The write is answered when the newer zeros are on the disk: then these must survive. */
static void zeros_that_overtake_a_write_are_durable(void **state)
{
	struct fixture *f = *state;
	struct test_op a, w, z;

	start_write(f, &f->io, &a, 0, PAGE, 1);
	start_write(f, &f->io, &w, 0, PAGE, 2); /* waits */
	start_zero(f, &z, 0, PAGE, true);       /* waits too, and takes its place */
	fake_end(f->fake, 0);
	assert_int_equal(COUNT(IO_PUNCH), 1);
	fake_end(f->fake, 0);
	assert_int_equal(COUNT(IO_FLUSH), 1);
	assert_true(a.done && !w.done);
	fake_end(f->fake, 0);
	assert_true(w.done && !w.end);
	finish(f);
	assert_true(z.done && !z.end);
	assert_int_equal(COUNT(IO_WRITE), 1);
}

static void edges_of_a_zeroed_range_are_merged(void **state)
{
	struct fixture *f = *state;
	struct test_op z;

	start_zero(f, &z, PAGE - 512, 4 * MIB, false);
	finish(f);
	assert_true(z.done && !z.end);
	assert_int_equal(COUNT(IO_PUNCH), 0);
	assert_true(COUNT(IO_ZERO) >= 2);
	assert_int_equal(f->fake->disk[PAGE - 513], disk_byte(0));
	read_now(f, PAGE - 512, 4 * MIB, 0);
	assert_int_equal(f->fake->disk[4 * MIB + PAGE - 512], disk_byte(4 * MIB / PAGE));
}

static void a_merge_on_a_hole_in_flight_is_over_zeros(void **state)
{
	struct fixture *f = *state;
	struct test_op z, w;

	start_zero(f, &z, 0, PAGE, true);
	start_write(f, &f->io, &w, 512, 512, 8);
	finish(f);
	assert_true(w.done && !w.end && z.done && !z.end);
	assert_int_equal(COUNT(IO_READ), 0);
	read_now(f, 512, 512, 8);
	read_now(f, 0, 512, 0);
	read_now(f, 1024, PAGE - 1024, 0);
}

static void same_is_written_from_one_page(void **state)
{
	struct fixture *f = *state;
	struct test_op s;
	uint8_t block[512];

	memset(block, 0x77, sizeof(block));
	test_op_init(&s, f->v, &f->io, 512, 3 * MIB);
	volume_same(&s.op, block);
	assert_true(arena_n_lent(f->arena) < 8);
	finish(f);
	assert_true(s.done && !s.end);
	assert_int_equal(f->fake->disk[511], disk_byte(0));
	read_now(f, 512, 3 * MIB, 0x77);
	assert_int_equal(f->fake->disk[3 * MIB + 512], disk_byte(3 * MIB / PAGE));
}

static void a_backend_that_cannot_punch_is_sent_zeros(void **state)
{
	struct fixture *f = *state;
	struct test_op z;

	start_zero(f, &z, 0, 2 * MIB, true);
	f->fake->fail_next = -EOPNOTSUPP;
	fake_end(f->fake, 0);
	f->fake->fail_next = -EOPNOTSUPP;
	fake_end(f->fake, 0);
	finish(f);
	assert_true(z.done && !z.end);
	assert_int_equal(backend_caps(&f->fake->b) & (BACKEND_PUNCH | BACKEND_ZERO), 0);
	assert_true(COUNT(IO_WRITE) > 0);
	read_now(f, 0, 2 * MIB, 0);
}

static void a_flush_waits_for_all_that_is_older_and_no_more(void **state)
{
	struct fixture *f = *state;
	struct test_op a, b, c, s;

	start_write(f, &f->io, &a, 0, PAGE, 1);
	start_write(f, &f->io, &b, PAGE, PAGE, 2);
	test_op_init(&s, f->v, &f->io, 0, SIZE);
	volume_flush(&s.op);
	start_write(f, &f->io, &c, 2 * PAGE, PAGE, 3);
	fake_end(f->fake, 1);
	assert_true(b.done && !s.done);
	fake_end(f->fake, 0);
	assert_true(a.done && s.done && !c.done);
	finish(f);
	assert_int_equal(COUNT(IO_FLUSH), 0); /* each write was durable by itself */
}

static void a_failed_punch_is_told(void **state)
{
	struct fixture *f = *state;
	struct test_op z;

	start_zero(f, &z, 0, 4 * MIB, true);
	f->fake->fail_next = -EIO;
	fake_end(f->fake, 0);
	finish(f);
	assert_true(z.done);
	assert_int_equal(z.end, -EIO);
}

/* --- shapes --- */
static void an_odd_tail_goes_by_itself(void **state)
{
	struct fixture *f;
	struct test_op w, r;
	uint64_t size = 10 * PAGE + 1536;

	setup_size((void **)&f, size, 256, PAGE, 0);
	start_write(f, &f->io, &w, 8 * PAGE, 2 * PAGE + 1536, 4);
	assert_int_equal(f->fake->n_pending, 2);
	assert_int_equal(f->fake->pending[1]->len, 1536);
	finish(f);
	assert_true(w.done && !w.end);
	start_write(f, &f->io, &w, size - 512, 512, 5);
	finish(f);
	start_read(f, &r, 8 * PAGE, 2 * PAGE + 1536);
	finish(f);
	assert_true(all_bytes(&r, 0, 2 * PAGE + 1024, 4));
	assert_true(all_bytes(&r, 2 * PAGE + 1024, 2 * PAGE + 1536, 5));
	volume_unpin(&r.op);
	start_zero(f, &w, 0, size, true);
	finish(f);
	assert_int_equal(w.end, 0);
	read_now(f, 0, (uint32_t)size, 0);
	teardown((void **)&f);
}

static void what_may_only_be_read_stays(void **state)
{
	struct fixture *f;
	struct test_op t;
	uint8_t block[512] = {1};

	setup_size((void **)&f, MIB, 256, 512, BACKEND_WRITE);
	start_write(f, &f->io, &t, 0, PAGE, 1);
	assert_int_equal(t.end, -EROFS);
	start_zero(f, &t, 0, PAGE, true);
	assert_int_equal(t.end, -EROFS);
	test_op_init(&t, f->v, &f->io, 0, PAGE);
	volume_same(&t.op, block);
	assert_int_equal(t.end, -EROFS);
	read_now(f, 0, PAGE, disk_byte(0));
	teardown((void **)&f);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_miss_is_one_request_and_then_a_hit),
		CASE(two_readers_share_a_fill),
		CASE(a_failed_read_says_so_and_the_next_works),
		CASE(a_failed_read_fails_who_wanted_the_bad_page),
		CASE(a_write_is_one_request_and_shown_when_durable),
		CASE(a_partial_write_reads_its_base_first),
		CASE(bases_come_ahead_of_the_commit),
		CASE(newer_versions_overtake_those_that_wait),
		CASE(merges_build_on_what_is_not_shown_yet),
		CASE(a_write_waits_for_the_fill_of_its_page),
		CASE(overlapping_writes_are_shown_in_order_and_whole),
		CASE(a_failed_write_drops_its_pages_and_tells_all),
		CASE(a_later_write_survives_an_earlier_failure),
		CASE(a_base_that_cannot_be_read_fails_the_write),
		CASE(completions_go_home),
		CASE(a_miscompare_is_answered_when_its_cause_is_durable),
		CASE(an_update_reads_what_it_lacks),
		CASE(punching_goes_in_order_and_is_flushed),
		CASE(zeros_that_overtake_a_write_are_durable),
		CASE(edges_of_a_zeroed_range_are_merged),
		CASE(a_merge_on_a_hole_in_flight_is_over_zeros),
		CASE(same_is_written_from_one_page),
		CASE(a_backend_that_cannot_punch_is_sent_zeros),
		CASE(a_flush_waits_for_all_that_is_older_and_no_more),
		CASE(a_failed_punch_is_told),
		cmocka_unit_test(an_odd_tail_goes_by_itself),
		cmocka_unit_test(what_may_only_be_read_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
