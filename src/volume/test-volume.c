/* test-volume.c - RAM volumes: landings, commits, reads, long ranges. */
#include "ramtest.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
#include "counter.h"
#include "effort.h"

static void unwritten_reads_as_zeros(void **state)
{
	struct fixture *f = *state;

	EXPECT_MODEL(0, 16 * MIB);
	EXPECT_MODEL(SIZE - 512, 512);
	EXPECT_MODEL(3 * 512, 8 * KIB);
	assert_int_equal(volume_mapped_bytes(f->v), 0);
	assert_int_equal(read_bytes(f, 0, 1 * MIB), 1);
}

static void whole_pages_are_not_copied(void **state)
{
	struct fixture *f = *state;
	uint64_t before = counter_sum(CTR_COPIED_MERGE);

	put(f, 0, 4 * KIB);
	put(f, 1 * MIB, 256 * KIB);
	put(f, 2 * MIB - 4 * KIB, 8 * KIB);
	put(f, 16 * MIB + 4 * KIB, 16 * MIB);
	EXPECT_MODEL(0, 16 * MIB);
	EXPECT_MODEL(16 * MIB, 16 * MIB);
	assert_int_equal(counter_sum(CTR_COPIED_MERGE), before);
}

static void parts_of_pages_are_merged(void **state)
{
	struct fixture *f = *state;
	uint64_t before = counter_sum(CTR_COPIED_MERGE);

	put(f, 512, 512); /* over zeros: nothing to copy */
	assert_int_equal(counter_sum(CTR_COPIED_MERGE), before);
	put(f, 1024, 512);
	assert_int_equal(counter_sum(CTR_COPIED_MERGE), before + 4096 - 512);
	put(f, 3 * KIB, 6 * KIB);
	put(f, 2 * MIB - 512, 1024);
	EXPECT_MODEL(0, 16 * KIB);
	EXPECT_MODEL(2 * MIB - 4 * KIB, 8 * KIB);
	EXPECT_MODEL(2 * MIB - 1536, 3 * KIB);
}

static void the_last_page_may_be_short(void **state)
{
	struct fixture *f = *state;

	put(f, SIZE - 1536, 1536);
	put(f, SIZE - 512, 512);
	EXPECT_MODEL(SIZE - 8 * KIB, 8 * KIB);
}

static void random_writes_equal_the_model(void **state)
{
	struct fixture *f = *state;

	srand(1);
	for (int i = 0; i < (int)effort(2000); i++) {
		uint32_t len = 512 * (1 + rand() % (i % 10 ? 40 : 600));
		uint64_t off = 512 * (uint64_t)(rand() % ((8 * MIB - len) / 512));

		put(f, off, len);
		if (i % 50 == 0)
			EXPECT_MODEL(0, 8 * MIB);
	}
	EXPECT_MODEL(0, 8 * MIB);
}

/* --- pins --- */
static void a_reader_keeps_what_it_pinned(void **state)
{
	struct fixture *f = *state;
	struct test_op t;

	put(f, 0, 64 * KIB);
	test_op_init(&t, f->v, &f->io, 0, 64 * KIB);
	volume_read(&t.op);
	memcpy(f->got, f->model, 64 * KIB);
	for (int i = 0; i < 20; i++)
		put(f, 512 * (unsigned)i, 32 * KIB);
	copy_iov(f->got + 64 * KIB, t.op.iov, t.op.n_iov);
	assert_memory_equal(f->got + 64 * KIB, f->got, 64 * KIB);
	volume_unpin(&t.op);
	EXPECT_MODEL(0, 64 * KIB);
}

static void a_reset_makes_commits_stale(void **state)
{
	struct fixture *f = *state;
	struct landing l;
	struct test_op t;

	put(f, 0, 8 * KIB);
	landing_init(&l, f->v, 0, 4 * KIB, NULL);
	assert_int_equal(landing_take(&l, 4 * KIB, false), 0);
	test_op_init(&t, f->v, &f->io, 0, 4 * KIB);
	volume_gen_next(f->v);
	volume_commit(&t.op, &l);
	assert_int_equal(t.end, VOL_STALE);
	EXPECT_MODEL(0, 8 * KIB);
}

/* --- updates --- */
struct swap {
	const uint8_t *expect, *fresh;
};

static int compare_and_write(
	void *ctx, uint64_t at, uint32_t len, const uint8_t *base, uint8_t *fresh, uint32_t *wherep)
{
	const struct swap *s = ctx;

	for (uint32_t i = 0; i < len; i++)
		if (base[i] != s->expect[at + i]) {
			*wherep = i;
			return VOL_MISCOMPARE;
		}
	memcpy(fresh, s->fresh + at, len);
	return 0;
}

static void update_is_whole_or_nothing(void **state)
{
	struct fixture *f = *state;
	uint8_t *fresh = malloc(64 * KIB), *expect = malloc(64 * KIB);
	struct swap s = {expect, fresh};
	struct test_op t;

	put(f, 0, 40 * KIB);
	memcpy(expect, f->model + 512, 64 * KIB);
	memset(fresh, 0x5a, 64 * KIB);
	expect[9 * KIB + 17] ^= 1;
	test_op_init(&t, f->v, &f->io, 512, 64 * KIB);
	volume_update(&t.op, compare_and_write, &s);
	assert_int_equal(t.end, VOL_MISCOMPARE);
	assert_int_equal(t.op.where, 9 * KIB + 17);
	EXPECT_MODEL(0, 128 * KIB);
	expect[9 * KIB + 17] ^= 1;
	test_op_init(&t, f->v, &f->io, 512, 64 * KIB);
	volume_update(&t.op, compare_and_write, &s);
	assert_int_equal(t.end, 0);
	memcpy(f->model + 512, fresh, 64 * KIB);
	EXPECT_MODEL(0, 128 * KIB);
	free(fresh);
	free(expect);
}

/* Somebody else commits to the page each time before we can; the fourth time we have the turn. */
struct rival {
	struct fixture *f;
	unsigned n_builds;
	pthread_t thread;
	bool done; /* atomic */
};

static void *rival_writes(void *arg)
{
	struct rival *r = arg;
	uint8_t sector[512];

	memset(sector, 0xee, sizeof(sector));
	check(!write_bytes(r->f, 1024, 512, sector));
	__atomic_store_n(&r->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static int build_with_rival(
	void *ctx, uint64_t at, uint32_t len, const uint8_t *base, uint8_t *fresh, uint32_t *wherep)
{
	struct rival *r = ctx;
	uint8_t sector[512];

	memset(sector, (int)++r->n_builds, sizeof(sector));
	memcpy(fresh, sector, len);
	if (r->n_builds <= TRIES) {
		assert_int_equal(write_bytes(r->f, 512, 512, sector), 0);
		return 0;
	}
	assert_int_equal(pthread_create(&r->thread, NULL, rival_writes, r), 0);
	usleep(50000);
	assert_false(__atomic_load_n(&r->done, __ATOMIC_ACQUIRE));
	return 0;
}

static void who_fails_thrice_takes_the_turn(void **state)
{
	struct fixture *f = *state;
	struct rival r = {.f = f};
	struct test_op t;

	test_op_init(&t, f->v, &f->io, 0, 512);
	volume_update(&t.op, build_with_rival, &r);
	assert_true(t.done);
	pthread_join(r.thread, NULL);
	assert_int_equal(r.n_builds, TRIES + 1);
	memset(f->model, TRIES + 1, 512);
	memset(f->model + 512, TRIES, 512);
	memset(f->model + 1024, 0xee, 512);
	EXPECT_MODEL(0, 8 * KIB);
}

/* --- long ranges --- */
static int zero(struct fixture *f, uint64_t off, uint64_t len, bool unmap)
{
	struct test_op t;

	test_op_init(&t, f->v, &f->io, off, len);
	volume_zero(&t.op, unmap);
	wait_op(f, &t);
	if (!t.end)
		memset(f->model + off, 0, len);
	return t.end;
}

static void zero_gives_pages_back(void **state)
{
	struct fixture *f = *state;

	put(f, 1 * MIB, 8 * MIB);
	assert_int_equal(volume_mapped_bytes(f->v), 8 * MIB);
	assert_int_equal(zero(f, 2 * MIB + 512, 5 * MIB, true), 0);
	EXPECT_MODEL(0, 16 * MIB);
	assert_int_equal(volume_mapped_bytes(f->v), 3 * MIB + 4 * KIB);
	assert_int_equal(zero(f, 1536, 512, true), 0);
	assert_int_equal(zero(f, 3 * MIB, 0, true), 0);
	assert_int_equal(zero(f, 0, SIZE, false), 0);
	assert_int_equal(volume_mapped_bytes(f->v), 0);
	EXPECT_MODEL(0, 16 * MIB);
}

static uint64_t resident_kib(void)
{
	unsigned long pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	assert_int_equal(fscanf(file, "%*u %lu", &pages), 1);
	fclose(file);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE) / KIB;
}

static void unmapped_memory_goes_back_to_the_system(void **state)
{
	struct fixture *f = *state;
	uint64_t full;

	memset(f->model, 1, SIZE);
	for (int i = 0; i < 4; i++)
		put(f, (uint64_t)i * 16 * MIB, 16 * MIB);
	full = resident_kib();
	assert_int_equal(zero(f, 0, SIZE, true), 0);
	assert_true(resident_kib() + 60 * KIB < full);
	assert_int_equal(arena_n_lent(volume_arena(f->v)), 0);
}

static void same_fills_with_copies_of_a_block(void **state)
{
	struct fixture *f = *state;
	uint8_t block[512];
	struct test_op t;

	put(f, 0, 8 * MIB);
	for (int i = 0; i < 512; i++)
		block[i] = (uint8_t)(i * 7);
	test_op_init(&t, f->v, &f->io, 1 * MIB + 1024, 4 * MIB);
	volume_same(&t.op, block);
	memset(block, 0xff, sizeof(block)); /* borrowed until done, but not looked at again */
	wait_op(f, &t);
	assert_int_equal(t.end, 0);
	for (int i = 0; i < 4 * MIB; i++)
		f->model[1 * MIB + 1024 + i] = (uint8_t)(i % 512 * 7);
	EXPECT_MODEL(0, 8 * MIB);
	put(f, 2 * MIB + 512, 2048);
	EXPECT_MODEL(0, 8 * MIB);
	assert_true(arena_n_lent(volume_arena(f->v)) * ARENA_PAGE < 5 * MIB);
}

static void same_of_zeros_gives_pages_back(void **state)
{
	struct fixture *f = *state;
	uint8_t block[512] = {0};
	struct test_op t;

	put(f, 0, 4 * MIB);
	test_op_init(&t, f->v, &f->io, 0, 4 * MIB);
	volume_same(&t.op, block);
	wait_op(f, &t);
	assert_int_equal(volume_mapped_bytes(f->v), 0);
}

static void a_sweep_can_be_cancelled_between_steps(void **state)
{
	struct fixture *f = *state;
	struct test_op t;

	put(f, 0, 16 * MIB);
	test_op_init(&t, f->v, &f->io, 0, 16 * MIB);
	volume_zero(&t.op, true);
	assert_false(t.done);
	turn(&f->io);
	volume_cancel(&t.op);
	wait_op(f, &t);
	assert_int_equal(t.end, VOL_STALE);
	memset(f->model, 0, 4 * MIB);
	EXPECT_MODEL(0, 16 * MIB);
}

static void a_reset_ends_a_sweep(void **state)
{
	struct fixture *f = *state;
	struct test_op t;

	put(f, 0, 8 * MIB);
	test_op_init(&t, f->v, &f->io, 512, 8 * MIB - 512);
	volume_zero(&t.op, true);
	turn(&f->io);
	volume_gen_next(f->v);
	wait_op(f, &t);
	assert_int_equal(t.end, VOL_STALE);
	memset(f->model + 512, 0, 2 * MIB - 512);
	EXPECT_MODEL(0, 8 * MIB);
}

static void odd_sizes_are_refused(void **state)
{
	struct volume_params p = {.size = 1000, .block = 512};
	struct volume *v;

	assert_int_equal(volume_new(&v, &p), -EINVAL);
	p = (struct volume_params){.size = 4096, .block = 1024};
	assert_int_equal(volume_new(&v, &p), -EINVAL);
	p = (struct volume_params){.size = 0, .block = 512};
	assert_int_equal(volume_new(&v, &p), -EINVAL);
}

static void tiny_volumes_work(void **state)
{
	struct fixture *f;

	setup_block((void **)&f, 1536, 512);
	put(f, 512, 512);
	EXPECT_MODEL(0, 1536);
	put(f, 0, 1536);
	EXPECT_MODEL(512, 1024);
	assert_int_equal(zero(f, 1024, 512, true), 0);
	EXPECT_MODEL(0, 1536);
	assert_int_equal(zero(f, 0, 1536, true), 0);
	EXPECT_MODEL(0, 1536);
	assert_int_equal(volume_mapped_bytes(f->v), 0);
	teardown((void **)&f);
}

#define CASE(fn)        cmocka_unit_test_setup_teardown(fn, setup, teardown)
#define CASE_SHARED(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown_shared)

int main(void)
{
	static struct counters block;
	const struct CMUnitTest tests[] = {
		CASE(unwritten_reads_as_zeros),
		CASE(whole_pages_are_not_copied),
		CASE(parts_of_pages_are_merged),
		CASE(the_last_page_may_be_short),
		CASE(random_writes_equal_the_model),
		CASE(a_reader_keeps_what_it_pinned),
		CASE(a_reset_makes_commits_stale),
		CASE(update_is_whole_or_nothing),
		CASE(who_fails_thrice_takes_the_turn),
		CASE(zero_gives_pages_back),
		CASE(unmapped_memory_goes_back_to_the_system),
		CASE_SHARED(same_fills_with_copies_of_a_block),
		CASE(same_of_zeros_gives_pages_back),
		CASE(a_sweep_can_be_cancelled_between_steps),
		CASE(a_reset_ends_a_sweep),
		cmocka_unit_test(odd_sizes_are_refused),
		cmocka_unit_test(tiny_volumes_work),
	};
	int r;

	counters_enter(&block);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	counters_leave(&block);
	return r;
}
