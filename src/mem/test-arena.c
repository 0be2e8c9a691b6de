/* test-arena.c - taking and giving by hand, promises, waiting, memory given back; then a long
 * random walk beside a model, and two threads that would notice a page handed out twice. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>
#include "arena.h"
#include "check.h"

enum { MAX_RUNS = 64 };

static struct arena *a;
static struct run runs[MAX_RUNS];
static unsigned n_runs;
static uint32_t n_quota;

static int take_from(
	enum arena_right right, struct quota *q, uint32_t n, bool aligned, unsigned max)
{
	return arena_take(a, right, q, n, aligned, runs, max, &n_runs, &n_quota);
}

#define NEW(...)                                                                                   \
	assert_int_equal(arena_new(&a, &(struct arena_params){.name = "test", __VA_ARGS__}), 0)
#define TAKE(n)       assert_int_equal(take_from(ARENA_OPEN, NULL, n, false, MAX_RUNS), 0)
#define TAKE_LINES(n) assert_int_equal(take_from(ARENA_OPEN, NULL, n, true, MAX_RUNS), 0)
#define TAKE_FULL(n)  assert_int_equal(take_from(ARENA_OPEN, NULL, n, false, MAX_RUNS), ARENA_FULL)
#define TAKE_QUOTA(q, n, own)                                                                      \
	do {                                                                                       \
		assert_int_equal(take_from(ARENA_OPEN, q, n, false, MAX_RUNS), 0);                 \
		assert_int_equal(n_quota, own);                                                    \
	} while (0)
#define RUNS(n) assert_int_equal(n_runs, n)
#define RUN(i, at, n)                                                                              \
	do {                                                                                       \
		assert_int_equal(runs[i].page, at);                                                \
		assert_int_equal(runs[i].n_pages, n);                                              \
	} while (0)
#define FREE(n) assert_int_equal(arena_n_free(a), n)
#define OPEN(n) assert_int_equal(arena_n_open(a), n)

/* all_back - the arena is whole again, and gone. */
static void all_back(uint32_t first, uint32_t n)
{
	arena_check(a);
	if (n > 0)
		arena_unref(a, first, n);
	arena_check(a);
	assert_int_equal(arena_n_lent(a), 0);
	a = arena_free(a);
	assert_null(a);
}

static void refuses(void **state)
{
	const struct arena_params empty = {.name = "x"},
				  reserve = {.n_pages = 8, .n_merge_pages = 9},
				  huge = {.n_pages = (1ull << 32) - (1 << 16)},
				  beyond = {.n_pages = 1ull << 32};

	assert_int_equal(arena_new(&a, &empty), -EINVAL);
	assert_int_equal(arena_new(&a, &reserve), -EINVAL);
	assert_int_equal(arena_new(&a, &beyond), -EINVAL);
	assert_int_equal(arena_new(&a, &huge), -ENOMEM); /* 16 TiB */
	assert_null(a);
	assert_null(arena_free(NULL));
}

static void lowest_first_and_parts_back(void **state)
{
	NEW(.n_pages = 64);
	TAKE(3);
	RUNS(1);
	RUN(0, 0, 3);
	TAKE(20);
	RUN(0, 3, 20);
	arena_unref(a, 5, 2);
	arena_unref(a, 10, 2);
	TAKE(1);
	RUN(0, 5, 1);
	TAKE(3);
	RUN(0, 23, 3);
	arena_unref(a, 5, 1);
	arena_unref(a, 0, 5);
	arena_unref(a, 7, 3);
	arena_unref(a, 25, 1);
	arena_check(a);
	TAKE(11);
	RUNS(1);
	RUN(0, 0, 11);
	TAKE(1);
	RUN(0, 11, 1);
	assert_int_equal(arena_n_lent(a), 25);
	all_back(0, 25);
}

/* What was given back lately is warm: who asks for just as much gets it. Others miss nothing by it.
 */
static void latest_first_for_the_same_length(void **state)
{
	NEW(.n_pages = 64);
	TAKE(64);
	arena_unref(a, 8, 1);
	arena_unref(a, 20, 1);
	arena_unref(a, 9, 1);
	FREE(3);
	TAKE(1);
	RUN(0, 9, 1);
	TAKE(1);
	RUN(0, 20, 1);
	arena_unref(a, 9, 7);
	arena_unref(a, 24, 8);
	arena_unref(a, 33, 8);
	TAKE_LINES(8); /* 33 is the latest, but no line */
	RUN(0, 8, 8);  /* 8 and 9..15, joined */
	TAKE(8);
	RUN(0, 24, 8);
	TAKE(8);
	RUN(0, 33, 8);
	for (uint32_t p = 0; p < 64; p++)
		arena_unref(a, p, 1); /* more than it keeps */
	FREE(64);
	TAKE(64);
	RUNS(1);
	all_back(0, 64);
}

static void names_are_not_addresses(void **state)
{
	NEW(.n_pages = 64);
	TAKE(64);
	assert_ptr_equal(arena_ptr(a, 0), arena_base(a));
	assert_int_equal((uintptr_t)arena_base(a) % ARENA_LINE, 0);
	assert_ptr_equal(arena_ptr_of(arena_base(a), 3), arena_ptr(a, 3));
	assert_true(arena_offset(a, (char *)arena_ptr(a, 63) + 4095) == 0x3ffff);
	assert_true(arena_offset(a, (char *)arena_ptr(a, 63) + 4096) == UINT64_MAX);
	assert_true(arena_offset(a, (char *)arena_base(a) - 1) == UINT64_MAX);
	assert_true(arena_offset(a, &n_runs) == UINT64_MAX);
	assert_int_equal(arena_n_pages(a), 64);
	assert_int_equal(arena_fd(a), -1);
	all_back(0, 64);
}

static void fewest_runs(void **state)
{
	NEW(.n_pages = 256);
	TAKE(256);
	arena_unref(a, 10, 5);
	arena_unref(a, 60, 9); /* across 64, where powers of two meet */
	arena_unref(a, 100, 20);
	arena_unref(a, 200, 3);
	TAKE(9);
	RUNS(1);
	RUN(0, 60, 9);
	arena_unref(a, 60, 9);
	TAKE(27);
	RUNS(2);
	RUN(0, 100, 20);
	RUN(1, 60, 7);
	arena_unref(a, 60, 7);
	arena_unref(a, 100, 20);
	TAKE(37);
	RUNS(4);
	TAKE_FULL(1);
	RUNS(0);
	all_back(0, 256);
}

static void room_for_runs(void **state)
{
	NEW(.n_pages = 64);
	TAKE(64);
	for (uint32_t p = 0; p < 64; p += 2)
		arena_unref(a, p, 1);
	assert_int_equal(take_from(ARENA_OPEN, NULL, 5, false, 4), -E2BIG);
	RUNS(0);
	FREE(32);
	arena_check(a);
	assert_int_equal(take_from(ARENA_OPEN, NULL, 5, false, 5), 0);
	RUNS(5);
	TAKE(27);
	all_back(0, 64);
}

static void longest_transfer(void **state)
{
	NEW(.n_pages = 3 * ARENA_MAX_RUN);
	TAKE(ARENA_MAX_RUN);
	RUNS(1);
	TAKE(ARENA_MAX_RUN + 1);
	RUNS(2);
	RUN(0, ARENA_MAX_RUN, ARENA_MAX_RUN);
	RUN(1, 2 * ARENA_MAX_RUN, 1);
	all_back(0, 2 * ARENA_MAX_RUN + 1);
}

static void whole_lines(void **state)
{
	NEW(.n_pages = 80);
	TAKE(80);
	arena_unref(a, 1, 14);  /* no line start with 8 pages behind it */
	arena_unref(a, 30, 21); /* lines 32..39, 40..47 and three pages more */
	TAKE_LINES(8);
	RUNS(1);
	RUN(0, 32, 8);
	arena_unref(a, 32, 8);
	TAKE_LINES(24); /* two lines; then no whole one is left */
	RUN(0, 32, 16);
	for (unsigned i = 1; i < n_runs; i++)
		assert_true(runs[i].n_pages < ARENA_LINE_PAGES);
	for (unsigned i = 0; i < n_runs; i++)
		arena_unref(a, runs[i].page, runs[i].n_pages);
	TAKE_LINES(18);
	RUNS(1);
	RUN(0, 32, 18); /* what does not fill the last line */
	arena_unref(a, 32, 18);
	TAKE_LINES(3);
	RUN(0, 1, 3);
	arena_unref(a, 1, 3);
	TAKE(35);
	all_back(0, 80);
}

static void shared_pages(void **state)
{
	NEW(.n_pages = 32);
	TAKE(16);
	arena_ref(a, 4, 8);
	arena_ref(a, 6, 2);
	assert_int_equal(arena_refs(a, 3), 1);
	assert_int_equal(arena_refs(a, 4), 2);
	assert_int_equal(arena_refs(a, 7), 3);
	assert_int_equal(arena_refs(a, 16), 0);
	arena_unref(a, 0, 16); /* both ends free, the middle held */
	FREE(24);
	arena_check(a);
	arena_unref(a, 4, 8);
	FREE(30);
	TAKE(6);
	RUN(0, 0, 6);
	arena_unref(a, 0, 6);
	all_back(6, 2);
}

/* --- promises --- */
static void quota_is_exact(void **state)
{
	struct quota q = {0}, other = {0};

	NEW(.n_pages = 100, .n_merge_pages = 10);
	OPEN(90);
	assert_int_equal(arena_grant(a, &q, 91), ARENA_FULL);
	assert_null(q.a);
	assert_int_equal(arena_grant(a, &q, 40), 0);
	OPEN(50);
	FREE(100);
	TAKE_FULL(51);
	TAKE_QUOTA(&q, 30, 30); /* pages 0..29 */
	OPEN(50);
	FREE(70);
	TAKE_QUOTA(&q, 60, 10); /* 30..89: ten promised, fifty open */
	OPEN(0);
	FREE(10);
	assert_int_equal(take_from(ARENA_OPEN, &q, 1, false, 1), ARENA_FULL);
	assert_int_equal(arena_grant(a, &other, 1), ARENA_FULL);
	arena_unref(a, 0, 30);
	OPEN(30); /* not yet settled: free for all */
	quota_settle(&q, 30);
	OPEN(0);
	TAKE_FULL(1);
	TAKE_QUOTA(&q, 5, 5);
	arena_unref(a, 0, 5);
	quota_settle(&q, 5);
	arena_unref(a, 30, 60);
	OPEN(60);
	quota_settle(&q, 10);
	OPEN(50);
	arena_revoke(&q);
	OPEN(90);
	arena_revoke(&q);
	all_back(0, 0);
}

static void revoked_while_in_use(void **state)
{
	struct quota q = {0};

	NEW(.n_pages = 20);
	assert_int_equal(arena_grant(a, &q, 12), 0);
	TAKE_QUOTA(&q, 7, 7);
	arena_revoke(&q);
	OPEN(13);
	quota_settle(&q, 7); /* the landing ends later: nothing to give back to */
	quota_settle(NULL, 7);
	OPEN(13);
	all_back(0, 7);
}

static void promises_never_exceed_memory(void **state)
{
	struct quota q = {0}, other = {0};

	NEW(.n_pages = 100, .n_merge_pages = 5, .n_content_pages = 60);
	OPEN(95);
	assert_int_equal(arena_grant(a, &q, 36), ARENA_FULL);
	assert_int_equal(arena_grant(a, &q, 30), 0);
	TAKE_QUOTA(&q, 30, 30);
	assert_int_equal(
		arena_grant(a, &other, 6), ARENA_FULL); /* the thirty are promised, also in use */
	assert_int_equal(arena_grant(a, &other, 5), 0);
	quota_settle(&q, 30); /* committed: the pages stay taken */
	TAKE_QUOTA(&q, 30, 30);
	quota_settle(&q, 30);
	FREE(40);
	OPEN(0);
	TAKE_QUOTA(&q, 30, 30);
	quota_settle(&q, 30); /* more promised than free: nothing is handed out twice */
	FREE(10);
	OPEN(0);
	assert_int_equal(take_from(ARENA_OPEN, &q, 11, false, 1), ARENA_FULL);
	TAKE_QUOTA(&q, 10, 10);
	quota_settle(&q, 10);
	arena_revoke(&q);
	arena_revoke(&other);
	all_back(0, 100);
}

static void reserve_is_for_merges(void **state)
{
	struct quota q = {0};

	NEW(.n_pages = 20, .n_merge_pages = 4);
	assert_int_equal(arena_grant(a, &q, 6), 0);
	TAKE(10);
	TAKE_FULL(1);
	assert_int_equal(take_from(ARENA_MERGE, NULL, 5, false, 1), ARENA_FULL);
	assert_int_equal(take_from(ARENA_MERGE, NULL, 4, false, 1), 0);
	OPEN(0);
	TAKE_QUOTA(&q, 6, 6); /* merges have not taken what was promised */
	arena_unref(a, 0, 4);
	OPEN(0); /* the reserve is filled up first */
	arena_unref(a, 4, 2);
	OPEN(2);
	quota_settle(&q, 6);
	arena_revoke(&q);
	all_back(6, 14);
}

/* --- waiting --- */
struct waiter {
	struct arena_wait w;
	char name;
};
static char served[16];
static unsigned n_served;

static void note(struct arena_wait *w)
{
	assert_false(list_linked(&w->link));
	served[n_served++] = container_of(w, struct waiter, w)->name;
	served[n_served] = '\0';
}
static struct waiter waiter(char name)
{
	n_served = 0;
	served[0] = '\0';
	return (struct waiter){.w.fn = note, .name = name};
}
#define SERVED(names) assert_string_equal(served, names)

static void first_come_first_served(void **state)
{
	struct waiter x = waiter('x'), y = waiter('y'), z = waiter('z');

	NEW(.n_pages = 32);
	TAKE(32);
	assert_false(arena_waited(a));
	arena_wait(a, &x.w, 8, false);
	arena_wait(a, &y.w, 2, false);
	arena_wait(a, &z.w, 1, false);
	assert_true(arena_waited(a));
	arena_unref(a, 0, 7);
	SERVED(""); /* y and z would fit, but it is not their turn */
	arena_unref(a, 7, 3);
	SERVED("xy");
	TAKE(8);
	arena_wait(a, &y.w, 4, true); /* its turn came too early: in front again, before z */
	arena_unref(a, 10, 1);
	SERVED("xy");
	arena_unref(a, 11, 1);
	SERVED("xyy");
	TAKE(4);
	arena_unref(a, 12, 1);
	SERVED("xyyz");
	assert_false(arena_waited(a));
	TAKE(1);
	all_back(0, 32);
}

static void wait_ends_at_once(void **state)
{
	struct waiter x = waiter('x');

	NEW(.n_pages = 8);
	TAKE(8);
	TAKE_FULL(3);
	arena_unref(a, 0, 3); /* between the failed take and the wait */
	arena_wait(a, &x.w, 3, false);
	SERVED("x");
	assert_false(arena_wait_cancel(a, &x.w));
	all_back(3, 5);
}

static void cancelled(void **state)
{
	struct waiter x = waiter('x'), y = waiter('y'), never = waiter('n');

	NEW(.n_pages = 8);
	TAKE(8);
	arena_wait(a, &x.w, 8, false);
	arena_wait(a, &y.w, 2, false);
	assert_false(arena_wait_cancel(a, &never.w));
	arena_unref(a, 0, 2);
	SERVED("");
	assert_true(arena_wait_cancel(a, &x.w));
	SERVED("y"); /* x stood in its way */
	assert_false(arena_wait_cancel(a, &x.w));
	assert_false(arena_wait_cancel(a, &y.w));
	all_back(2, 6);
}

static void promised_and_merges_do_not_wait_behind(void **state)
{
	struct waiter open = waiter('o'), merge = waiter('m'), own = waiter('q');
	struct quota q = {0};

	NEW(.n_pages = 16, .n_merge_pages = 2);
	assert_int_equal(arena_grant(a, &q, 4), 0);
	TAKE_QUOTA(&q, 4, 4);
	TAKE(10);
	assert_int_equal(take_from(ARENA_MERGE, NULL, 2, false, 1), 0);
	quota_settle(&q, 4); /* committed */
	FREE(0);
	merge.w.right = ARENA_MERGE;
	own.w.quota = &q;
	arena_wait(a, &open.w, 3, false);
	arena_wait(a, &merge.w, 1, false);
	arena_wait(a, &own.w, 3, false);
	arena_unref(a, 0, 3);
	SERVED("q");
	TAKE_QUOTA(&q, 3, 3);
	arena_unref(a, 3, 2);
	SERVED("qm"); /* one is promised to q still */
	assert_int_equal(take_from(ARENA_MERGE, NULL, 1, false, 1), 0);
	arena_unref(a, 5, 4);
	SERVED("qm");
	arena_revoke(&q);
	SERVED("qmo"); /* what was promised is open now */
	arena_unref(a, 0, 4);
	all_back(9, 7);
}

/* --- memory and the system --- */
static unsigned n_resident(uint32_t page, uint32_t n)
{
	unsigned char in[1024];
	unsigned sum = 0;

	assert_true(n <= sizeof(in) && sysconf(_SC_PAGESIZE) == ARENA_PAGE);
	assert_int_equal(mincore(arena_ptr(a, page), (size_t)n * ARENA_PAGE, in), 0);
	for (uint32_t i = 0; i < n; i++)
		sum += in[i] & 1;
	return sum;
}

static void thin(void **state)
{
	NEW(.n_pages = 1 << 16);
	TAKE(512);
	assert_int_equal(n_resident(0, 1024), 0);
	for (uint32_t p = 0; p < 512; p += 100)
		memset(arena_ptr(a, p), 1, 1);
	assert_int_equal(
		n_resident(0, 1024), 6); /* 4 KiB for each, as long as it is small (huge.h) */
	arena_unref(a, 0, 512);
	assert_int_equal(n_resident(0, 1024), 6);
	all_back(0, 0);
}

static void punched(void **state)
{
	NEW(.n_pages = 1024);
	TAKE(512);
	memset(arena_ptr(a, 0), 0xab, 512 * ARENA_PAGE);
	assert_int_equal(n_resident(0, 512), 512);
	arena_ref(a, 100, 10);
	arena_unref_punch(a, 0, 300);
	assert_int_equal(n_resident(0, 300), 10); /* those held stay */
	assert_int_equal(*(unsigned char *)arena_ptr(a, 105), 0xab);
	assert_int_equal(n_resident(300, 212), 212);
	FREE(1024 - 222);
	arena_unref_punch(a, 100, 10);
	assert_int_equal(n_resident(0, 300), 0);
	TAKE(1);
	assert_int_equal(*(unsigned char *)arena_ptr(a, runs[0].page), 0);
	arena_unref(a, 0, 1);
	all_back(300, 212);
}

static void file_memory_stays(void **state)
{
	unsigned char byte = 0;

	NEW(.n_pages = 64, .kind = ARENA_FILE);
	assert_true(arena_fd(a) >= 0);
	TAKE(8);
	memset(arena_ptr(a, 0), 0x5a, 8 * ARENA_PAGE);
	assert_int_equal(pread(arena_fd(a), &byte, 1, 7 * ARENA_PAGE), 1);
	assert_int_equal(byte, 0x5a);
	arena_unref_punch(a, 0, 8);
	FREE(64);
	assert_true(n_resident(0, 64) >= 8);
	assert_int_equal(*(unsigned char *)arena_ptr(a, 7), 0x5a);
	all_back(0, 0);
}

/* Pages without memory are nobody's, and count for no promise, until there is some. */
static void an_arena_grows(void **state)
{
	struct arena_params p = {.name = "grows",
		.kind = ARENA_FILE,
		.n_pages = 160,
		.n_merge_pages = 16,
		.n_absent = 128};
	struct quota q = {0};
	struct arena *a;
	struct run runs[4];
	unsigned n_runs;
	uint32_t n_quota;

	assert_int_equal(arena_new(&a, &p), 0);
	assert_int_equal(arena_n_free(a), 32);
	assert_int_equal(arena_n_lent(a), 0);
	assert_true(arena_n_open(a) < 32 && arena_n_promisable(a) < 32);
	assert_int_equal(arena_grant(a, &q, 40), ARENA_FULL);
	assert_int_equal(arena_take(a, ARENA_MERGE, NULL, 33, false, runs, 4, &n_runs, &n_quota),
		ARENA_FULL);
	arena_grow(a, 64);
	arena_check(a);
	assert_int_equal(arena_take(a, ARENA_OPEN, NULL, 40, false, runs, 4, &n_runs, &n_quota), 0);
	assert_int_equal(n_runs, 1);
	arena_unref(a, runs[0].page, 40);
	assert_int_equal(arena_grant(a, &q, 40), 0);
	arena_revoke(&q);
	arena_grow(a, 64);
	assert_int_equal(arena_n_absent(a), 0);
	assert_int_equal(arena_n_open(a), 144);
	arena_check(a);
	arena_free(a);
}

static void pages_are_adopted_and_kept(void **state)
{
	struct arena_params p = {.name = "kept", .kind = ARENA_FILE, .n_pages = 64};
	struct arena *a;

	assert_int_equal(arena_new(&a, &p), 0);
	arena_adopt(a, 5);
	arena_adopt(a, 5);
	arena_adopt(a, 63);
	assert_int_equal(arena_n_free(a), 62);
	assert_int_equal(arena_refs(a, 5), 2);
	arena_keep(a, 5);
	arena_keep(a, 5);
	arena_unref(a, 63, 1);
	assert_int_equal(arena_n_kept(a), 1);
	assert_int_equal(arena_n_free(a), 63);
	arena_check(a);
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses),
		cmocka_unit_test(lowest_first_and_parts_back),
		cmocka_unit_test(latest_first_for_the_same_length),
		cmocka_unit_test(names_are_not_addresses),
		cmocka_unit_test(fewest_runs),
		cmocka_unit_test(room_for_runs),
		cmocka_unit_test(longest_transfer),
		cmocka_unit_test(whole_lines),
		cmocka_unit_test(shared_pages),
		cmocka_unit_test(quota_is_exact),
		cmocka_unit_test(revoked_while_in_use),
		cmocka_unit_test(promises_never_exceed_memory),
		cmocka_unit_test(reserve_is_for_merges),
		cmocka_unit_test(first_come_first_served),
		cmocka_unit_test(wait_ends_at_once),
		cmocka_unit_test(cancelled),
		cmocka_unit_test(an_arena_grows),
		cmocka_unit_test(pages_are_adopted_and_kept),
		cmocka_unit_test(promised_and_merges_do_not_wait_behind),
		cmocka_unit_test(thin),
		cmocka_unit_test(punched),
		cmocka_unit_test(file_memory_stays),
	};

	return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
