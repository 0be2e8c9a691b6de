/* test-join.c - which requests are joined, and how each of them ends. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "join.h"

enum { MOST = 400, PAGE = 4096 };

struct request {
	struct io_disk d;
	struct iovec iov[2];
	unsigned n_done;
	int64_t res;
};

/* Memory that nobody touches: only addresses count. */
static char *const memory = (char *)(1ul << 40);
static struct request q[MOST];
static unsigned n_q;
static struct list out;
static struct join j;

static void on_done(struct io_disk *d, int64_t res)
{
	struct request *r = container_of(d, struct request, d);

	r->n_done++;
	r->res = res;
}

static int setup(void **state)
{
	memset(q, 0, sizeof(q));
	n_q = 0;
	list_init(&out);
	join_init(&j, &out);
	return 0;
}

static int teardown(void **state)
{
	join_deinit(&j);
	return 0;
}

/* ask - from page `at` of a file, into page `place` of memory. */
static struct request *ask(enum io_disk_kind kind, int fd, uint64_t at, uint32_t n, uint64_t place)
{
	struct request *r = &q[n_q++];

	r->iov[0] = (struct iovec){memory + place * PAGE, (size_t)n * PAGE};
	r->d = (struct io_disk){.kind = kind,
		.fd = fd,
		.off = at * PAGE,
		.len = (uint64_t)n * PAGE,
		.iov = r->iov,
		.n_iov = 1,
		.done = on_done};
	join_add(&j, &r->d);
	return r;
}

/* came - the next that the engine gets; NULL: no more. */
static struct io_disk *came(void)
{
	struct list *node = list_pop(&out);

	return node ? list_entry(node, struct io_disk, link) : NULL;
}

static void expect(uint64_t at, uint64_t n)
{
	struct io_disk *d = came();
	uint64_t len = 0;

	assert_non_null(d);
	for (unsigned i = 0; i < d->n_iov; i++)
		len += d->iov[i].iov_len;
	assert_int_equal(d->off, at * PAGE);
	assert_int_equal(len, n * PAGE);
	assert_int_equal(d->len, len);
	d->done(d, (int64_t)len);
}

static void expect_all_done(void)
{
	assert_null(came());
	for (unsigned i = 0; i < n_q; i++) {
		assert_int_equal(q[i].n_done, 1);
		assert_int_equal(q[i].res, q[i].d.len);
	}
}

static void neighbours_are_one(void **state)
{
	for (unsigned i = 0; i < 32; i++)
		ask(IO_WRITE, 5, 100 + i, 1, 3 * i);
	join_flush(&j);
	expect(100, 32);
	expect_all_done();
}

static void memory_that_meets_is_one_vector(void **state)
{
	struct io_disk *d;

	ask(IO_READ, 5, 0, 1, 7);
	ask(IO_READ, 5, 1, 2, 8);
	ask(IO_READ, 5, 3, 1, 20);
	join_flush(&j);
	d = came();
	assert_int_equal(d->n_iov, 2);
	assert_ptr_equal(d->iov[0].iov_base, memory + 7 * PAGE);
	assert_int_equal(d->iov[0].iov_len, 3 * PAGE);
	assert_ptr_equal(d->iov[1].iov_base, memory + 20 * PAGE);
	d->done(d, 4 * PAGE);
	expect_all_done();
}

static void others_stay_apart(void **state)
{
	ask(IO_READ, 5, 0, 1, 0);
	ask(IO_WRITE, 5, 1, 1, 1); /* another kind */
	ask(IO_WRITE, 6, 2, 1, 2); /* another disk */
	ask(IO_WRITE, 6, 3, 1, 3)->d.flags = IO_DURABLE;
	ask(IO_WRITE, 6, 5, 1, 4)->d.flags = IO_DURABLE; /* a gap */
	ask(IO_WRITE, 6, 4, 1, 5)->d.flags = IO_DURABLE; /* backwards */
	ask(IO_WRITE, 6, 4, 1, 6)->d.flags = IO_DURABLE; /* the same again */
	ask(IO_WRITE, 6, 7, 1, 7)->d.flags = IO_DURABLE | IO_ALONE;
	ask(IO_WRITE, 6, 8, 1, 8)->d.flags = IO_DURABLE | IO_ALONE;
	join_flush(&j);
	expect(0, 1);
	expect(1, 1);
	expect(2, 1);
	expect(3, 1);
	expect(5, 1);
	expect(4, 1);
	expect(4, 1);
	expect(7, 1);
	expect(8, 1);
	expect_all_done();
}

static void what_has_no_vectors_is_not_joined(void **state)
{
	static const enum io_disk_kind kinds[] = {IO_FLUSH, IO_PUNCH, IO_ZERO, IO_DATA, IO_HOLE};

	for (unsigned i = 0; i < 2 * ARRAY_LEN(kinds); i++) {
		struct request *r = ask(kinds[i / 2], 5, i % 2, 1, 0);

		r->d.n_iov = 0;
		r->d.iov = NULL;
	}
	join_flush(&j);
	for (unsigned i = 0; i < n_q; i++) {
		struct io_disk *d = came();

		assert_ptr_equal(d, &q[i].d);
		d->done(d, (int64_t)d->len);
	}
	expect_all_done();
}

/* Between two turns nothing is joined. */
static void a_turn_at_a_time(void **state)
{
	ask(IO_READ, 5, 0, 1, 0);
	join_flush(&j);
	ask(IO_READ, 5, 1, 1, 1);
	join_flush(&j);
	expect(0, 1);
	expect(1, 1);
	expect_all_done();
}

static void long_ones_stay_apart(void **state)
{
	enum { PART = JOIN_PART / PAGE, MOST_PAGES = JOIN_MOST / PAGE };

	ask(IO_READ, 5, 0, PART + 1, 0);
	ask(IO_READ, 5, PART + 1, 1, 1000);
	ask(IO_READ, 5, PART + 2, PART + 1, 2000);
	ask(IO_READ, 5, 2 * PART + 3, PART, 3000);
	for (unsigned i = 1; i <= MOST_PAGES / PART; i++)
		ask(IO_READ, 5, 2 * PART + 3 + i * PART, PART, 3000 + 2 * PART * i);
	join_flush(&j);
	expect(0, PART + 1);
	expect(PART + 1, 1);
	expect(PART + 2, PART + 1);
	expect(2 * PART + 3, MOST_PAGES);
	expect(2 * PART + 3 + MOST_PAGES, PART);
	expect_all_done();
}

static void no_more_vectors_than_there_is_room_for(void **state)
{
	for (unsigned i = 0; i < JOIN_IOV + 1; i++) {
		struct request *r = ask(IO_WRITE, 5, 0, 1, 0);

		r->d.off = (uint64_t)i * 1024;
		r->d.len = r->iov[0].iov_len = 1024;
		r->iov[0].iov_base = memory + (uint64_t)i * 2 * PAGE;
	}
	join_flush(&j);
	expect(0, JOIN_IOV / 4);
	assert_ptr_equal(came(), &q[JOIN_IOV].d);
	on_done(&q[JOIN_IOV].d, 1024);
	expect_all_done();
}

/* Three pages are asked for by each of four; seven and a half come. */
static void an_early_end(void **state)
{
	struct io_disk *d;

	for (unsigned i = 0; i < 4; i++)
		ask(IO_READ, 5, 3 * i, 3, 10 * i);
	join_flush(&j);
	d = came();
	d->done(d, 7 * PAGE + PAGE / 2);
	assert_int_equal(q[0].res, 3 * PAGE);
	assert_int_equal(q[1].res, 3 * PAGE);
	assert_int_equal(q[2].res, PAGE + PAGE / 2); /* short: its owner goes on */
	assert_int_equal(q[3].n_done, 0);
	assert_ptr_equal(came(), &q[3].d);
	assert_null(came());
	on_done(&q[3].d, 0);
}

/* One of them cannot be written. The others must not suffer for it, and nobody is sent twice at once. */
static void a_failure_is_looked_into(void **state)
{
	struct io_disk *d;

	for (unsigned i = 0; i < 5; i++)
		ask(IO_WRITE, 5, i, 1, 2 * i);
	join_flush(&j);
	d = came();
	d->done(d, -EIO);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(q[i].n_done, 0);
	join_flush(&j); /* they are not joined again */
	for (unsigned i = 0; i < 5; i++) {
		d = came();
		assert_ptr_equal(d, &q[i].d);
		d->done(d, i == 2 ? -EIO : PAGE);
	}
	assert_null(came());
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(q[i].res, i == 2 ? -EIO : PAGE);
}

static void on_done_asks(struct io_disk *d, int64_t res)
{
	on_done(d, res);
	if (d->off < 8 * PAGE) {
		d->off += 8 * PAGE;
		join_add(&j, d);
	}
}

/* An end asks for the next, with the same memory of the request. */
static void asked_from_an_end(void **state)
{
	for (unsigned i = 0; i < 8; i++)
		ask(IO_READ, 5, i, 1, 2 * i)->d.done = on_done_asks;
	join_flush(&j);
	expect(0, 8);
	assert_null(came());
	join_flush(&j);
	expect(8, 8);
	assert_null(came());
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(q[i].n_done, 2);
}

/* More joints at once than are kept. */
static void many_at_once(void **state)
{
	for (unsigned round = 0; round < 2; round++) {
		n_q = 0;
		memset(q, 0, sizeof(q));
		for (unsigned i = 0; i < 4 * JOIN_IDLE; i++) {
			ask(IO_READ, 5, 10 * i, 1, 2 * i);
			ask(IO_READ, 5, 10 * i + 1, 1, 500 + 2 * i);
		}
		join_flush(&j);
		for (unsigned i = 0; i < 4 * JOIN_IDLE; i++)
			expect(10 * i, 2);
		expect_all_done();
		assert_true(j.n_idle <= JOIN_IDLE);
	}
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(neighbours_are_one),
		TEST(memory_that_meets_is_one_vector),
		TEST(others_stay_apart),
		TEST(what_has_no_vectors_is_not_joined),
		TEST(a_turn_at_a_time),
		TEST(long_ones_stay_apart),
		TEST(no_more_vectors_than_there_is_room_for),
		TEST(an_early_end),
		TEST(a_failure_is_looked_into),
		TEST(asked_from_an_end),
		TEST(many_at_once),
	};

	return cmocka_run_group_tests_name("join", tests, NULL, NULL);
}
