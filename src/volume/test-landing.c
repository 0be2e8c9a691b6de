/* test-landing.c - places before the bytes come: whole pages, whole lines, growth, scarcity. */
#include "ramtest.h"

static void landing_keeps_the_offset_in_the_page(void **state)
{
	struct fixture *f = *state;
	struct landing l;

	landing_init(&l, f->v, 512, 8 * KIB, NULL);
	assert_int_equal(landing_take(&l, 8 * KIB, false), 0);
	assert_int_equal(l.have, 8 * KIB);
	assert_int_equal(l.n_pages, 3);
	assert_int_equal(l.n_iov, 1);
	assert_int_equal((uintptr_t)l.iov[0].iov_base % ARENA_PAGE, 512);
	assert_int_equal(l.iov[0].iov_len, 8 * KIB);
	landing_drop(&l);
	landing_drop(&l);
}

static void landing_grows_and_leaves_its_vectors(void **state)
{
	struct fixture *f = *state;
	struct landing l;
	struct iovec first;

	landing_init(&l, f->v, 1024, 1 * MIB, NULL);
	assert_int_equal(landing_take(&l, 64 * KIB, false), 0);
	assert_int_equal(l.have, 68 * KIB - 1024);
	first = l.iov[0];
	for (uint32_t upto = 100 * KIB; upto < 1 * MIB; upto += 50 * KIB)
		assert_int_equal(landing_take(&l, upto, false), 0);
	assert_int_equal(landing_take(&l, 1 * MIB, false), 0);
	assert_int_equal(l.have, 1 * MIB);
	assert_int_equal(l.n_pages, 257);
	assert_memory_equal(&l.few_iov[0], &first, sizeof(first));
	assert_memory_equal(&l.iov[0], &first, sizeof(first));
	assert_true(l.n_iov > LANDING_RUNS);
	landing_drop(&l);
}

/* The source's Figure 9A: 64 KiB that begin in the middle of a line. */
static void landing_in_lines_keeps_the_offset_in_the_line(void **state)
{
	struct fixture *f = *state;
	struct test_op t;
	struct landing l;
	struct run hole[3];
	unsigned n_runs;
	uint32_t n_quota;

	/* Every second line is taken, so that the three cannot be one run. */
	for (int i = 0; i < 3; i++) {
		assert_int_equal(arena_take(volume_arena(f->v), ARENA_OPEN, NULL, 16, true,
					 &hole[i], 1, &n_runs, &n_quota),
			0);
		assert_int_equal(n_runs, 1);
	}
	for (int i = 0; i < 3; i++)
		arena_unref(volume_arena(f->v), hole[i].page, 8);
	landing_init(&l, f->v, 16 * KIB, 64 * KIB, NULL);
	assert_int_equal(landing_take(&l, 64 * KIB, true), 0);
	assert_int_equal(l.n_pages, 24);
	assert_int_equal(l.n_lead, 4);
	assert_int_equal(l.have, 64 * KIB);
	assert_int_equal(
		arena_offset(volume_arena(f->v), l.iov[0].iov_base) % ARENA_LINE, 16 * KIB);
	for (unsigned i = 1; i < l.n_iov; i++)
		assert_int_equal(
			arena_offset(volume_arena(f->v), l.iov[i].iov_base) % ARENA_LINE, 0);
	for (int i = 0; i < 64 * KIB; i++)
		f->model[16 * KIB + i] = (uint8_t)(i / 7);
	fill_iov(l.iov, l.n_iov, f->model + 16 * KIB);
	test_op_init(&t, f->v, &f->io, 16 * KIB, 64 * KIB);
	volume_commit(&t.op, &l);
	assert_int_equal(t.end, 0);
	for (int i = 0; i < 3; i++)
		arena_unref(volume_arena(f->v), hole[i].page + 8, 8);
	EXPECT_MODEL(0, 128 * KIB);
	assert_int_equal(volume_mapped_bytes(f->v), 64 * KIB);
}

static void landing_in_lines_grows_line_by_line(void **state)
{
	struct fixture *f = *state;
	struct test_op t;
	struct landing l;
	uint64_t off = 5 * 4 * KIB + 1024;

	landing_init(&l, f->v, off, 100 * KIB, NULL);
	assert_int_equal(landing_take(&l, 1, true), 0);
	assert_int_equal(l.n_pages, 8);
	assert_int_equal(l.have, 12 * KIB - 1024);
	assert_int_equal(landing_take(&l, 40 * KIB, true), 0);
	assert_int_equal(landing_take(&l, 100 * KIB, true), 0);
	for (int i = 0; i < 100 * KIB; i++)
		f->model[off + i] = (uint8_t)(i / 5);
	fill_iov(l.iov, l.n_iov, f->model + off);
	test_op_init(&t, f->v, &f->io, off, 100 * KIB);
	volume_commit(&t.op, &l);
	assert_int_equal(t.end, 0);
	EXPECT_MODEL(0, 256 * KIB);
}

static void full_arena_is_said_and_nothing_lost(void **state)
{
	struct fixture *f = *state;
	struct landing l[40];
	int n = 0, r = 0;

	while (n < 40) {
		landing_init(&l[n], f->v, 0, 16 * MIB, NULL);
		assert_int_equal(landing_take(&l[n], 1 * MIB, false), 0);
		r = landing_take(&l[n++], 16 * MIB, false);
		if (r)
			break;
	}
	assert_int_equal(r, VOL_FULL);
	assert_int_equal(l[n - 1].have, 1 * MIB);
	while (n--)
		landing_drop(&l[n]);
}

static void scattered_pages_make_a_long_landing(void **state)
{
	struct fixture *f = *state;
	struct arena *a = volume_arena(f->v);
	uint32_t n = arena_n_open(a), n_quota, page = 0;
	struct run all[64];
	unsigned n_runs;

	assert_int_equal(arena_take(a, ARENA_OPEN, NULL, n, false, all, 64, &n_runs, &n_quota), 0);
	for (unsigned i = 0; i < n_runs; i++)
		for (page = 0; page < all[i].n_pages; page += 2)
			arena_unref(a, all[i].page + page, 1);
	put(f, 4 * MIB + 512, 8 * MIB);
	put(f, 4 * MIB, 8 * MIB);
	EXPECT_MODEL(0, 16 * MIB);
	for (unsigned i = 0; i < n_runs; i++)
		for (page = 1; page < all[i].n_pages; page += 2)
			arena_unref(a, all[i].page + page, 1);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(landing_keeps_the_offset_in_the_page),
		CASE(landing_grows_and_leaves_its_vectors),
		CASE(landing_in_lines_keeps_the_offset_in_the_line),
		CASE(landing_in_lines_grows_line_by_line),
		CASE(full_arena_is_said_and_nothing_lost),
		CASE(scattered_pages_make_a_long_landing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
