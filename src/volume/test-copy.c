/* test-copy.c - copies of ranges, inside a volume and between volumes, held against arrays of bytes;
 * what they share, what they leave in the cache, and where they end early. */
#include "copytest.h"

static void copies_between_memories_equal_the_model(void **state)
{
	random_copies(false, false, 64, 600);
}

static void copies_between_files_equal_the_model(void **state)
{
	random_copies(true, true, N_CACHE, 400);
}

static void copies_with_a_small_cache_equal_the_model(void **state)
{
	random_copies(true, true, 640, 400);
}

static void copies_between_file_and_memory_equal_the_model(void **state)
{
	random_copies(true, false, N_CACHE, 400);
}

/* --- what is shared --- */
static void a_copy_at_the_same_place_within_a_page_shares_it(void **state)
{
	uint64_t lent;

	begin(false, false, 64);
	write_now(0, 0, MIB);
	lent = arena_n_lent(volume_arena(t.side[0].v));
	copy_now(0, 0, 0, 2 * MIB, MIB);
	assert_int_equal(arena_n_lent(volume_arena(t.side[0].v)), lent);
	assert_int_equal(counted(CTR_SHARED_BYTES), MIB);
	assert_int_equal(counted(CTR_COPIED_COPY), 0);
	write_now(0, 2 * MIB, 3 * PAGE); /* the source keeps its own */
	write_now(0, 64 * KIB, PAGE);    /* and the copy */
	check_all();
	end();
}

static void only_the_ends_of_a_copy_are_copied(void **state)
{
	begin(false, false, 64);
	write_now(0, 0, MIB);
	copy_now(0, SECTOR, 0, 2 * MIB + SECTOR, MIB - 2 * SECTOR);
	assert_int_equal(counted(CTR_SHARED_BYTES), MIB - 2 * PAGE);
	assert_int_equal(counted(CTR_COPIED_COPY), 2 * (PAGE - SECTOR));
	check_all();
	end();
}

static void another_place_within_a_page_is_copied(void **state)
{
	begin(false, false, 64);
	write_now(0, 0, MIB);
	copy_now(0, 0, 0, 2 * MIB + SECTOR, 512 * KIB);
	assert_int_equal(counted(CTR_SHARED_BYTES), 0);
	assert_int_equal(counted(CTR_COPIED_COPY), 512 * KIB);
	check_all();
	end();
}

static void memories_of_their_own_share_nothing(void **state)
{
	begin(false, false, 64);
	write_now(0, 0, MIB);
	copy_now(0, 0, 1, 0, MIB);
	assert_int_equal(counted(CTR_SHARED_BYTES), 0);
	assert_int_equal(counted(CTR_COPIED_COPY), MIB);
	check_all();
	end();
}

static void holes_stay_holes(void **state)
{
	begin(false, false, 64);
	write_now(0, 64 * KIB, PAGE);
	write_now(1, 0, MIB);
	copy_now(0, 0, 1, 0, MIB);
	assert_int_equal(volume_mapped_bytes(t.side[1].v), PAGE);
	assert_int_equal(arena_n_lent(volume_arena(t.side[1].v)), 1);
	check_all();
	end();
}

static void zeros_of_a_file_become_holes(void **state)
{
	begin(true, true, N_CACHE);
	zero_now(0, 0, MIB);
	check_side(0, 0, MIB); /* in the cache, as pages of zeros */
	t.side[1].fake->n_count[IO_WRITE] = 0;
	copy_now(0, 0, 1, 0, MIB);
	assert_int_equal(t.side[1].fake->n_count[IO_WRITE], 0);
	assert_true(t.side[1].fake->n_count[IO_PUNCH] > 0);
	check_all();
	end();
}

/* --- the cache --- */
static void files_share_what_is_in_the_cache(void **state)
{
	uint64_t lent;

	begin(true, true, N_CACHE);
	write_now(0, 0, MIB);
	lent = arena_n_lent(t.cache);
	copy_now(0, 0, 1, MIB, MIB);
	assert_int_equal(counted(CTR_SHARED_BYTES), MIB);
	assert_int_equal(arena_n_lent(t.cache), lent);
	assert_int_equal(volume_mapped_bytes(t.side[1].v), MIB);
	t.side[1].fake->n_count[IO_READ] = 0;
	check_side(1, MIB, MIB);
	assert_int_equal(t.side[1].fake->n_count[IO_READ], 0);
	end();
}

static void shared_pages_give_way_like_others(void **state)
{
	begin(true, true, N_CACHE);
	write_now(0, 0, MIB);
	for (unsigned i = 0; i < 2; i++)
		copy_now(0, 0, 1, i * MIB, MIB);
	volume_make_room(t.side[0].v, N_CACHE - N_CACHE / 16);
	volume_make_room(t.side[0].v, N_CACHE - N_CACHE / 16);
	assert_int_equal(arena_n_lent(t.cache), 0);
	assert_int_equal(volume_mapped_bytes(t.side[0].v) + volume_mapped_bytes(t.side[1].v), 0);
	check_all();
	end();
}

static void a_volume_goes_and_leaves_what_it_shared(void **state)
{
	begin(true, true, N_CACHE);
	write_now(0, 0, MIB);
	copy_now(0, 0, 1, 0, MIB);
	copy_now(1, 0, 0, MIB, MIB);
	volume_free(t.side[0].v);
	t.side[0].fake = NULL; /* gone with it */
	check_side(1, 0, MIB);
	/* the pages can still be had when there is need of them */
	volume_make_room(t.side[1].v, N_CACHE - N_CACHE / 16);
	volume_make_room(t.side[1].v, N_CACHE - N_CACHE / 16);
	assert_int_equal(arena_n_lent(t.cache), 0);
	t.side[0].fake = fake_new(SIZE);
	memset(t.side[0].model, 0, SIZE);
	t.side[0].v = file_volume(&t.side[0].fake->b, t.cache, SECTOR);
	end();
}

static void the_same_copy_again_and_again_remembers_nothing_more(void **state)
{
	begin(true, true, N_CACHE);
	write_now(0, 0, PAGE);
	for (unsigned i = 0; i < 1000; i++)
		copy_now(0, 0, 1, i % 3 * PAGE, PAGE);
	check_all();
	end();
}

/* What was used stays in, though ten times the cache was copied past it. */
static void a_cold_copy_does_not_flush_the_cache(void **state)
{
	begin(true, true, 512);
	/* Backwards: nothing is read ahead. */
	for (uint64_t off = 256 * KIB; off; off -= 64 * KIB)
		check_side(0, off - 64 * KIB, 64 * KIB);
	assert_int_equal(volume_mapped_bytes(t.side[0].v), 256 * KIB);
	for (unsigned i = 0; i < 3; i++)
		copy_now(0, MIB, 1, MIB, SIZE - MIB);
	assert_int_equal(volume_mapped_bytes(t.side[0].v), 256 * KIB);
	assert_int_equal(volume_mapped_bytes(t.side[1].v), 0);
	check_all();
	end();
}

/* --- ends before the end --- */
static void a_copy_can_be_cancelled_between_steps(void **state)
{
	struct test_op op;

	begin(false, false, 64);
	write_now(0, 0, 2 * MIB);
	copy_begin(&op, 0, 0, 1, 0, 2 * MIB);
	assert_false(op.done);
	volume_cancel(&op.op);
	finish();
	assert_int_equal(op.end, VOL_STALE);
	assert_int_equal(op.op.where, MIB);
	memcpy(t.side[1].model, t.side[0].model, MIB);
	check_all();
	end();
}

static void a_reset_ends_it(void **state)
{
	struct test_op op;

	begin(false, false, 64);
	write_now(0, 0, 2 * MIB);
	copy_begin(&op, 0, 0, 1, 0, 2 * MIB);
	volume_gen_next(t.side[1].v);
	finish();
	assert_int_equal(op.end, VOL_STALE);
	memcpy(t.side[1].model, t.side[0].model, op.op.where);
	check_all();
	end();
}

static void what_cannot_be_read_is_told_as_such(void **state)
{
	struct test_op op;

	begin(true, false, N_CACHE);
	copy_begin(&op, 0, PAGE, 1, 0, PAGE);
	while (!t.side[0].fake->n_pending)
		assert_true(turn(&t.io));
	fake_end(t.side[0].fake, 0); /* where data are */
	t.side[0].fake->fail_next = -EIO;
	finish();
	assert_int_equal(op.end, -EIO);
	assert_true(op.op.source);
	check_all();
	end();
}

static void what_cannot_be_written_is_told_as_such(void **state)
{
	struct test_op op;

	begin(false, true, N_CACHE);
	write_now(0, 0, MIB);
	copy_begin(&op, 0, 0, 1, 0, MIB);
	t.side[1].fake->fail_next = -ENOSPC;
	finish();
	assert_int_equal(op.end, -ENOSPC);
	assert_false(op.op.source);
	copy_now(0, 0, 1, 0, MIB);
	check_all();
	end();
}

/* The pages that a copy needs may all be in use: it makes do with few. */
static void it_makes_do_with_few_pages(void **state)
{
	struct arena_params ap = {.name = "tight",
		.kind = ARENA_RAM,
		.n_pages = SIZE / PAGE + 1 + 32,
		.n_merge_pages = 16};
	struct volume_params vp = {.name = "tight", .size = SIZE, .block = SECTOR};

	begin(false, false, 64);
	volume_free(t.side[1].v);
	assert_int_equal(arena_new(&vp.arena, &ap), 0);
	assert_int_equal(volume_new(&t.side[1].v, &vp), 0);
	write_now(0, 0, 3 * MIB);
	copy_now(0, 0, 1, 0, 3 * MIB);
	copy_now(0, SECTOR, 1, 0, 3 * MIB - SECTOR);
	check_all();
	end();
}

/* --- two threads --- */
enum { RACE_PAGES = 380, RACE_WRITES = 4000 };

struct racer {
	pthread_t thread;
	struct counters counters;
	struct io io;
	unsigned stop; /* atomic */
};

/* Pages of one number each, the numbers of a page going up. */
static void *write_pages(void *arg)
{
	struct racer *r = arg;

	counters_enter(&r->counters);
	for (uint32_t i = 1; i <= RACE_WRITES; i++) {
		uint64_t at = i * 7919u % RACE_PAGES * PAGE;
		struct landing l;
		struct test_op op;

		landing_init(&l, t.side[0].v, at, PAGE, NULL);
		check(!landing_take(&l, PAGE, false));
		for (uint32_t k = 0; k < PAGE; k += 4)
			memcpy((uint8_t *)l.iov[0].iov_base + k, &i, 4);
		test_op_init(&op, t.side[0].v, &r->io, at, PAGE);
		volume_commit(&op.op, &l);
		check(op.done && !op.end);
	}
	counters_leave(&r->counters);
	__atomic_store_n(&r->stop, 1, __ATOMIC_RELEASE);
	return NULL;
}

/* A copy shows each page as it was at some moment, and a later copy nothing older. */
static void copies_beside_a_writer_show_whole_pages(void **state)
{
	static struct racer r;
	static uint32_t seen[RACE_PAGES], got[RACE_PAGES * PAGE / 4];
	unsigned n_copies = 0;
	bool last;

	begin(false, false, 64);
	memset(seen, 0, sizeof(seen));
	r = (struct racer){0};
	io_init(&r.io, &turn_ops, 1);
	check(!pthread_create(&r.thread, NULL, write_pages, &r));
	do {
		unsigned to = n_copies++ % 2; /* shared within the volume, copied to the other */
		uint64_t off = to ? 0 : RACE_PAGES * PAGE, n = RACE_PAGES * PAGE;
		struct test_op op;

		last = __atomic_load_n(&r.stop, __ATOMIC_ACQUIRE);
		copy_begin(&op, 0, 0, to, off, n);
		finish();
		check(op.done && !op.end);
		test_op_init(&op, t.side[to].v, &t.io, off, n);
		volume_read(&op.op);
		check(op.done && !op.end);
		copy_iov((uint8_t *)got, op.op.iov, op.op.n_iov);
		volume_unpin(&op.op);
		for (uint64_t k = 0; k < n / 4; k++) {
			check(got[k] == got[k / 1024 * 1024]);
			check(got[k] >= seen[k / 1024]);
			seen[k / 1024] = got[k];
		}
	} while (!last);
	pthread_join(r.thread, NULL);
	io_deinit(&r.io);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copies_beside_a_writer_show_whole_pages),
		cmocka_unit_test(copies_between_memories_equal_the_model),
		cmocka_unit_test(copies_between_files_equal_the_model),
		cmocka_unit_test(copies_with_a_small_cache_equal_the_model),
		cmocka_unit_test(copies_between_file_and_memory_equal_the_model),
		cmocka_unit_test(a_copy_at_the_same_place_within_a_page_shares_it),
		cmocka_unit_test(only_the_ends_of_a_copy_are_copied),
		cmocka_unit_test(another_place_within_a_page_is_copied),
		cmocka_unit_test(memories_of_their_own_share_nothing),
		cmocka_unit_test(holes_stay_holes),
		cmocka_unit_test(zeros_of_a_file_become_holes),
		cmocka_unit_test(files_share_what_is_in_the_cache),
		cmocka_unit_test(shared_pages_give_way_like_others),
		cmocka_unit_test(a_volume_goes_and_leaves_what_it_shared),
		cmocka_unit_test(the_same_copy_again_and_again_remembers_nothing_more),
		cmocka_unit_test(a_cold_copy_does_not_flush_the_cache),
		cmocka_unit_test(a_copy_can_be_cancelled_between_steps),
		cmocka_unit_test(a_reset_ends_it),
		cmocka_unit_test(what_cannot_be_read_is_told_as_such),
		cmocka_unit_test(what_cannot_be_written_is_told_as_such),
		cmocka_unit_test(it_makes_do_with_few_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
