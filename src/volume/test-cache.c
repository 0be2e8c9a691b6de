/* test-cache.c - the page cache of file volumes: its bounds, what it spares, who gives way. */
#include "filetest.h"

static void the_cache_stays_in_its_arena(void **state)
{
	struct fixture *f;

	setup_size((void **)&f, SIZE, 512, 512, 0); /* 2 MiB for 32 MiB */
	for (int round = 0; round < 2; round++)
		for (uint64_t page = 0; page < SIZE / PAGE; page++)
			read_now(f, page * PAGE, PAGE, disk_byte(page));
	assert_true(arena_n_open(f->arena) >= 512 / 8 - 1);
	teardown((void **)&f);
}

static void used_pages_are_spared(void **state)
{
	struct fixture *f;
	unsigned before;

	setup_size((void **)&f, SIZE, 512, 512, 0);
	for (uint64_t page = 100; page < 4000; page++) {
		read_now(f, page * PAGE, PAGE, disk_byte(page));
		read_now(f, 0, PAGE, disk_byte(0));
	}
	before = COUNT(IO_READ);
	read_now(f, 0, PAGE, disk_byte(0));
	assert_int_equal(COUNT(IO_READ), before);
	assert_true(before < 3900 + 100);
	teardown((void **)&f);
}

/* Read twice each, it would stay; with DPO it goes, and what others use stays all the same. */
static void reads_of_the_lowest_priority_spare_nothing(void **state)
{
	struct fixture *f;
	unsigned before;

	for (int dpo = 0; dpo < 2; dpo++) {
		setup_size((void **)&f, SIZE, 512, 512, 0);
		for (unsigned i = 0; i < 2 * 16; i++) {
			struct test_op t;

			test_op_init(&t, f->v, &f->io, i % 16 * 32 * PAGE, PAGE);
			t.op.dpo = dpo;
			volume_read(&t.op);
			finish(f);
			assert_true(t.done && !t.end);
			volume_unpin(&t.op);
		}
		for (uint64_t page = 1000; page < 3000;
			page += 2) /* a scan, as far as the cache knows */
			read_now(f, page * PAGE, PAGE, disk_byte(page));
		before = COUNT(IO_READ);
		for (uint64_t i = 0; i < 16; i++)
			read_now(f, i * 32 * PAGE, PAGE, disk_byte(i * 32));
		assert_int_equal(COUNT(IO_READ) - before, dpo ? 16 : 0);
		teardown((void **)&f);
	}
}

static void long_reads_take_turns_in_a_small_cache(void **state)
{
	struct fixture *f;
	struct test_op t[8];
	unsigned n_done = 0;

	setup_size((void **)&f, SIZE, 4096 + 1024, 512, 0);
	for (unsigned i = 0; i < 8; i++)
		start_read(f, &t[i], i * MIB, 16 * MIB);
	while (n_done < 8) {
		finish(f);
		for (unsigned i = 0; i < 8; i++)
			if (t[i].done && t[i].op.work) {
				assert_int_equal(t[i].end, 0);
				assert_true(all_bytes(&t[i], 0, PAGE, disk_byte(i * (MIB / PAGE))));
				volume_unpin(&t[i].op);
				n_done++;
			}
	}
	teardown((void **)&f);
}

static void a_read_that_can_never_fit_is_told(void **state)
{
	struct fixture *f;
	struct test_op t;

	setup_size((void **)&f, SIZE, 512, 512, 0);
	start_read(f, &t, 0, 16 * MIB);
	finish(f);
	assert_int_equal(t.end, VOL_FULL);
	read_now(f, 0, PAGE, disk_byte(0));
	teardown((void **)&f);
}

static void landings_push_the_cache_out(void **state)
{
	struct fixture *f;
	struct landing l;
	struct test_op r;

	setup_size((void **)&f, SIZE, 1024, 512, 0);
	for (uint64_t page = 0; page < 2048; page++)
		read_now(f, page * PAGE, PAGE, disk_byte(page));
	landing_init(&l, f->v, 0, 3 * MIB, NULL);
	assert_int_equal(landing_take(&l, 3 * MIB, false), 0);
	landing_drop(&l);
	/* Pinned pages stay, the landing is told and its wish remembered. */
	start_read(f, &r, 0, 2 * MIB);
	finish(f);
	landing_init(&l, f->v, 0, 3 * MIB, NULL);
	assert_int_equal(landing_take(&l, 3 * MIB, false), VOL_FULL);
	volume_unpin(&r.op);
	assert_true(arena_n_open(f->arena) >= 3 * MIB / PAGE);
	landing_drop(&l);
	teardown((void **)&f);
}

static void a_promise_finds_room(void **state)
{
	struct fixture *f;
	struct quota q = {0};

	setup_size((void **)&f, SIZE, 1024, 512, 0);
	for (uint64_t page = 0; page < 2048; page++)
		read_now(f, page * PAGE, PAGE, disk_byte(page));
	assert_int_equal(arena_grant(f->arena, &q, 600), ARENA_FULL);
	volume_make_room(f->v, 600);
	assert_int_equal(arena_grant(f->arena, &q, 600), 0);
	read_now(f, 7 * PAGE, PAGE, disk_byte(7)); /* the rest is enough to go on */
	arena_revoke(&q);
	teardown((void **)&f);
}

static void reads_go_on_while_landings_hold_all_pages(void **state)
{
	struct fixture *f;
	struct landing l[64];
	struct test_op t[4], w;
	unsigned n = 0, n_done = 0;

	setup_size((void **)&f, SIZE, 1024, 512, 0);
	/* Silent peers. */
	do
		landing_init(&l[n], f->v, 0, 64 * KIB, NULL);
	while (landing_take(&l[n++], 64 * KIB, false) != VOL_FULL);
	for (uint64_t page = 0; page < 500; page++)
		read_now(f, page * PAGE, 4 * KIB, disk_byte(page));
	/* Together they may pin some, and the others wait. */
	for (unsigned i = 0; i < 4; i++)
		start_read(f, &t[i], i * MIB, 64 * KIB);
	finish(f);
	for (unsigned i = 0; i < 4; i++)
		n_done += t[i].done;
	assert_in_range(n_done, 2, 3);
	while (n--)
		if (n >= 4)
			landing_drop(&l[n]);
		else
			break;
	finish(f);
	for (unsigned i = 0; i < 4; i++) {
		assert_true(t[i].done && !t[i].end);
		assert_true(all_bytes(&t[i], 0, PAGE, disk_byte(i * (MIB / PAGE))));
		volume_unpin(&t[i].op);
	}
	start_write(f, &f->io, &w, 512, 512, 1);
	finish(f);
	assert_true(w.done && !w.end);
	for (unsigned i = 0; i < 4; i++)
		landing_drop(&l[i]);
	teardown((void **)&f);
}

static void two_volumes_share_an_arena(void **state)
{
	struct fixture *f = *state;
	struct fake *fake = fake_new(SIZE);
	struct volume *v = file_volume(&fake->b, f->arena, 512);
	struct test_op t;

	for (int i = 0; i < 4; i++) {
		test_op_init(&t, v, &f->io, (uint64_t)i * 4 * MIB, 4 * MIB);
		volume_read(&t.op);
		fake_end_all(fake, &f->io);
		assert_true(t.done && !t.end);
		volume_unpin(&t.op);
		read_now(f, (uint64_t)i * PAGE, PAGE, disk_byte((uint64_t)i));
	}
	volume_free(v);
	read_now(f, 0, PAGE, disk_byte(0));
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_cache_stays_in_its_arena),
		cmocka_unit_test(used_pages_are_spared),
		cmocka_unit_test(reads_of_the_lowest_priority_spare_nothing),
		cmocka_unit_test(long_reads_take_turns_in_a_small_cache),
		cmocka_unit_test(a_read_that_can_never_fit_is_told),
		cmocka_unit_test(landings_push_the_cache_out),
		cmocka_unit_test(a_promise_finds_room),
		cmocka_unit_test(reads_go_on_while_landings_hold_all_pages),
		CASE(two_volumes_share_an_arena),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
