/* test-clone.c - steps of a copy that the backend carries out: when, what they wait for and who waits for them, and
 * what happens when they fail. */
#include "copytest.h"

static void begin_clones(uint64_t n_cache)
{
	begin(true, true, n_cache);
	for (unsigned i = 0; i < 2; i++)
		t.side[i].fake->b.info.caps |= BACKEND_CLONE;
}

static unsigned seen(unsigned side, enum io_disk_kind kind)
{
	return t.side[side].fake->n_count[kind];
}

/* The first request of this kind is under way at side 1. */
static unsigned until_pending(unsigned side, enum io_disk_kind kind)
{
	struct fake *f = t.side[side].fake;

	for (;;) {
		for (unsigned i = 0; i < f->n_pending; i++)
			if (f->pending[i]->disk.kind == kind)
				return i;
		if (f->n_pending)
			fake_end(f, 0);
		else if (t.side[!side].fake->n_pending)
			fake_end(t.side[!side].fake, 0);
		else
			assert_true(turn(&t.io));
	}
}

static void copies_and_clones_equal_the_model(void **state)
{
	begin_clones(640);
	random_commands(400);
	assert_true(counted(CTR_CLONED_BYTES) > MIB);
	end();
}

static void what_is_cold_is_never_read(void **state)
{
	begin_clones(N_CACHE);
	memset(t.side[0].fake->disk, 1, SIZE);
	memset(t.side[0].model, 1, SIZE);
	copy_now(0, 0, 1, MIB, 2 * MIB);
	assert_int_equal(counted(CTR_CLONED_BYTES), 2 * MIB);
	assert_int_equal(seen(0, IO_READ) + seen(1, IO_WRITE), 0);
	assert_int_equal(seen(1, IO_FLUSH), 1); /* one for all of it */
	assert_int_equal(volume_mapped_bytes(t.side[0].v) + volume_mapped_bytes(t.side[1].v), 0);
	check_all();
	end();
}

static void ends_within_a_page_are_copied(void **state)
{
	begin_clones(N_CACHE);
	memset(t.side[0].fake->disk, 1, SIZE);
	memset(t.side[0].model, 1, SIZE);
	copy_now(0, SECTOR, 1, SECTOR, 2 * MIB);
	assert_true(counted(CTR_CLONED_BYTES) >= MIB - PAGE);
	copy_now(0, SECTOR, 1, 2 * SECTOR, MIB); /* another place within a page */
	assert_true(counted(CTR_CLONED_BYTES) < 2 * MIB);
	check_all();
	end();
}

static void what_is_in_the_cache_is_shared(void **state)
{
	begin_clones(N_CACHE);
	write_now(0, 0, MIB);
	copy_now(0, 0, 1, 0, MIB);
	assert_int_equal(counted(CTR_SHARED_BYTES), MIB);
	assert_int_equal(counted(CTR_CLONED_BYTES), 0);
	check_all();
	end();
}

/* Where clones fail the bytes go the other way, and a system that cannot is not asked again. */
static void a_clone_that_fails_is_a_copy(void **state)
{
	static const int errors[] = {-EIO, -ENOSPC, -EXDEV};

	for (unsigned i = 0; i < ARRAY_LEN(errors); i++) {
		struct test_op op;

		begin_clones(N_CACHE);
		copy_begin(&op, 0, 0, 1, 0, MIB);
		until_pending(1, IO_CLONE);
		t.side[1].fake->fail_next = errors[i];
		finish();
		assert_true(op.done && !op.end);
		memcpy(t.side[1].model, t.side[0].model, MIB);
		assert_int_equal(seen(1, IO_CLONE), 1);
		assert_int_equal(
			!(backend_caps(&t.side[1].fake->b) & BACKEND_CLONE), errors[i] == -EXDEV);
		check_all();
		end();
	}
}

/* A flush that fails may have lost what was cloned. */
static void a_failed_flush_clones_again(void **state)
{
	struct test_op op;

	begin_clones(N_CACHE);
	copy_begin(&op, 0, 0, 1, 0, MIB);
	until_pending(1, IO_FLUSH);
	t.side[1].fake->fail_next = -EIO;
	finish();
	assert_true(op.done && !op.end);
	assert_int_equal(counted(CTR_CLONED_BYTES), 2 * MIB);
	assert_int_equal(seen(1, IO_FLUSH), 2);
	memcpy(t.side[1].model, t.side[0].model, MIB);
	check_all();
	end();
}

/* --- beside others --- */

struct writing {
	struct landing l;
	struct test_op op;
};

static void write_begin(struct writing *w, unsigned to, uint64_t off, uint32_t len, uint8_t byte)
{
	landing_init(&w->l, t.side[to].v, off, len, NULL);
	assert_int_equal(landing_take(&w->l, len, false), 0);
	for (unsigned i = 0; i < w->l.n_iov; i++)
		memset(w->l.iov[i].iov_base, byte, w->l.iov[i].iov_len);
	test_op_init(&w->op, t.side[to].v, &t.io, off, len);
	volume_commit(&w->op.op, &w->l);
}

static void run_turns(void)
{
	while (turn(&t.io))
		;
}

static void a_write_to_the_source_waits_for_the_clone(void **state)
{
	struct writing w;
	struct test_op op;

	begin_clones(N_CACHE);
	copy_begin(&op, 0, 0, 1, 0, MIB);
	until_pending(1, IO_CLONE);
	write_begin(&w, 0, PAGE, 2 * PAGE, 7);
	run_turns();
	assert_int_equal(seen(0, IO_WRITE), 0);
	finish();
	assert_true(op.done && !op.end && w.op.done && !w.op.end);
	memcpy(t.side[1].model, t.side[0].model, MIB);
	memset(t.side[0].model + PAGE, 7, 2 * PAGE);
	check_all();
	end();
}

static void a_write_to_the_destination_comes_after_it(void **state)
{
	struct writing w;
	struct test_op op;

	begin_clones(N_CACHE);
	copy_begin(&op, 0, 0, 1, 0, MIB);
	until_pending(1, IO_CLONE);
	write_begin(&w, 1, PAGE + SECTOR, PAGE, 7); /* and is merged with what was cloned */
	run_turns();
	assert_int_equal(seen(1, IO_WRITE), 0);
	finish();
	assert_true(op.done && !op.end && w.op.done && !w.op.end);
	memcpy(t.side[1].model, t.side[0].model, MIB);
	memset(t.side[1].model + PAGE + SECTOR, 7, PAGE);
	check_all();
	end();
}

static void a_read_of_the_destination_shows_old_or_new(void **state)
{
	static uint8_t got[PAGE];
	struct test_op op, read;

	begin_clones(N_CACHE);
	copy_begin(&op, 0, 0, 1, 0, MIB);
	until_pending(1, IO_CLONE);
	test_op_init(&read, t.side[1].v, &t.io, PAGE, PAGE);
	volume_read(&read.op);
	finish();
	assert_true(op.done && !op.end && read.done && !read.end);
	copy_iov(got, read.op.iov, read.op.n_iov);
	volume_unpin(&read.op);
	memcpy(t.side[1].model, t.side[0].model, MIB);
	assert_memory_equal(got, t.side[1].model + PAGE, PAGE);
	check_all();
	end();
}

/* Neither waits for what the other holds. */
static void two_that_cross_each_other_both_end(void **state)
{
	struct test_op there, back;

	begin_clones(N_CACHE);
	copy_begin(&there, 0, 0, 1, MIB, MIB);
	copy_begin(&back, 1, MIB, 0, 0, MIB);
	finish();
	assert_true(there.done && !there.end && back.done && !back.end);
	for (unsigned i = 0; i < 2; i++)
		memcpy(t.side[i].model, t.side[i].fake->disk, SIZE);
	check_all();
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copies_and_clones_equal_the_model),
		cmocka_unit_test(what_is_cold_is_never_read),
		cmocka_unit_test(ends_within_a_page_are_copied),
		cmocka_unit_test(what_is_in_the_cache_is_shared),
		cmocka_unit_test(a_clone_that_fails_is_a_copy),
		cmocka_unit_test(a_failed_flush_clones_again),
		cmocka_unit_test(a_write_to_the_source_waits_for_the_clone),
		cmocka_unit_test(a_write_to_the_destination_comes_after_it),
		cmocka_unit_test(a_read_of_the_destination_shows_old_or_new),
		cmocka_unit_test(two_that_cross_each_other_both_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
