/* test-fault.c - the words of the command line, and what the disks behind them do. */
#include "fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "check.h"
#include "reactor.h"

enum { BLOCK = 512, N_BLOCKS = 256, SIZE = BLOCK * N_BLOCKS };

/* --- a disk that does at once what it is asked, and remembers in which order --- */
struct plain {
	struct backend b;
	uint8_t disk[SIZE];
	unsigned n[IO_CLONE + 1];
	bool fail;
	bool freed;
	uint64_t now;
};

static uint64_t plain_clock(struct io *io)
{
	return io->now_ns;
}

static void no_wake(struct io *io) {}

static const struct io_ops turn_ops = {.name = "turn", .clock = plain_clock, .wake = no_wake};

static int64_t do_it(struct plain *p, struct io_disk *d)
{
	uint8_t *at = p->disk + d->off;

	p->n[d->kind]++;
	if (p->fail)
		return -EIO;
	for (unsigned i = 0; i < d->n_iov; i++) {
		if (d->kind == IO_READ)
			memcpy(d->iov[i].iov_base, at, d->iov[i].iov_len);
		else
			memcpy(at, d->iov[i].iov_base, d->iov[i].iov_len);
		at += d->iov[i].iov_len;
	}
	if (d->kind == IO_PUNCH || d->kind == IO_ZERO)
		memset(at, 0, d->len);
	return d->kind == IO_READ || d->kind == IO_WRITE ? (int64_t)d->len : 0;
}

static void plain_submit(struct backend *b, struct io *io, struct backend_req *r)
{
	filter_end(io, r, do_it(container_of(b, struct plain, b), &r->disk));
}

static struct backend *plain_free(struct backend *b)
{
	container_of(b, struct plain, b)->freed = true;
	return NULL;
}

static const struct backend_ops plain_ops = {
	.name = "plain", .submit = plain_submit, .free = plain_free};

struct fixture {
	struct plain p;
	struct backend *b;
	struct io io;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	io_init(&f->io, &turn_ops, 0);
	f->p.b = (struct backend){.ops = &plain_ops,
		.path = "plain",
		.info = {.size = SIZE,
			.caps = BACKEND_WRITE | BACKEND_PUNCH | BACKEND_ZERO | BACKEND_FLUSH |
				BACKEND_DURABLE,
			.align_offset = 512,
			.align_memory = 1}};
	f->b = &f->p.b;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	backend_free(f->b);
	assert_true(f->p.freed);
	io_deinit(&f->io);
	free(f);
	return 0;
}

static void wrap(struct fixture *f, enum fault_kind kind, const char *text)
{
	struct fault fault;
	char why[100];

	if (fault_parse(&fault, kind, text, why, sizeof(why)))
		fail_msg("%s: %s", text, why);
	assert_int_equal(fault_wrap(&f->b, &fault, BLOCK), 0);
}

struct req {
	struct backend_req r;
	struct iovec iov;
	unsigned n_done;
	int error;
};

static void on_done(struct backend_req *r, int error)
{
	struct req *q = container_of(r, struct req, r);

	q->n_done++;
	q->error = error;
}

static void ask(struct fixture *f, struct req *q, enum io_disk_kind kind, unsigned lba, unsigned n,
	void *bytes, bool durable)
{
	*q = (struct req){.iov = {bytes, n * BLOCK}};
	q->r = (struct backend_req){.kind = kind,
		.off = lba * BLOCK,
		.len = n * BLOCK,
		.iov = &q->iov,
		.n_iov = bytes != NULL,
		.durable = durable,
		.done = on_done};
	backend_io(f->b, &f->io, &q->r);
	assert_int_equal(q->n_done, 0); /* never from inside the call */
}

static void turn(struct fixture *f)
{
	while (io_run_posts(&f->io) || io_run_deferred(&f->io))
		continue;
}

static int now(struct fixture *f, enum io_disk_kind kind, unsigned lba, unsigned n, void *bytes,
	bool durable)
{
	struct req q;

	ask(f, &q, kind, lba, n, bytes, durable);
	turn(f);
	assert_int_equal(q.n_done, 1);
	return q.error;
}

/* --- words --- */
static void words_are_understood(void **state)
{
	struct fault f;
	char why[100];

	assert_int_equal(fault_parse(&f, FAULT_ERROR,
				 "write:lba=1000-1999:rate=0.01:errno=ENOSPC:count=3:seed=0x10",
				 why, sizeof(why)),
		0);
	assert_int_equal(f.ops, FAULT_WRITE);
	assert_int_equal(f.first, 1000);
	assert_int_equal(f.last, 1999);
	assert_true(f.rate > 0.0099 && f.rate < 0.0101);
	assert_int_equal(f.error, -ENOSPC);
	assert_int_equal(f.count, 3);
	assert_int_equal(f.seed, 16);
	assert_int_equal(fault_parse(&f, FAULT_ERROR, "read+flush", why, sizeof(why)), 0);
	assert_int_equal(f.ops, FAULT_READ | FAULT_FLUSH);
	assert_int_equal(f.error, -EIO);
	assert_int_equal(f.last, UINT64_MAX);
	assert_int_equal(
		fault_parse(&f, FAULT_DELAY, "any:5ms:jitter=exp:lba=7", why, sizeof(why)), 0);
	assert_int_equal(f.ops, FAULT_ANY);
	assert_int_equal(f.delay_ns, 5000000);
	assert_int_equal(f.jitter, JITTER_EXP);
	assert_int_equal(f.last, 7);
	assert_int_equal(fault_parse(&f, FAULT_POWER, "tear:seed=9", why, sizeof(why)), 0);
	assert_true(f.tear);
}

static void nonsense_is_refused_in_words(void **state)
{
	/* clang-format off */
	static const struct { enum fault_kind kind; const char *text, *why; } rows[] = {
		{FAULT_ERROR, "", "no operation"},       {FAULT_ERROR, "erase", "'erase'"},
		{FAULT_ERROR, "read:lba=9-3", "FIRST-LAST"},
		{FAULT_ERROR, "read:lba=x", "FIRST"},    {FAULT_ERROR, "read:rate=2", "0 to 1"},
		{FAULT_ERROR, "read:rate=nan", "0 to 1"},{FAULT_ERROR, "read:errno=EOOPS", "EOOPS"},
		{FAULT_ERROR, "read:5ms", "'5ms'"},      {FAULT_ERROR, "read:count", "needs a value"},
		{FAULT_ERROR, "read:jitter=exp", "'jitter'"},
		{FAULT_DELAY, "read", "needs a time"},   {FAULT_DELAY, "read:5", "not a time"},
		{FAULT_DELAY, "read:5ms:jitter=x", "jitter"}, {FAULT_POWER, "off", "forget or tear"},
		{FAULT_POWER, "forget:flush=lost", "must be ignored"}, {FAULT_ERROR, "any:flush=ignored", "not known"},
		{FAULT_POWER, "tear:lba=3", "'lba'"},
	};
	/* clang-format on */
	struct fault f;
	char why[100];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(
			fault_parse(&f, rows[i].kind, rows[i].text, why, sizeof(why)), -EINVAL);
		assert_non_null(strstr(why, rows[i].why));
	}
}

/* --- error --- */
static void errors_meet_their_blocks_and_no_others(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[8 * BLOCK];
	struct req q;

	memset(bytes, 7, sizeof(bytes));
	wrap(f, FAULT_ERROR, "write:lba=10-11:errno=ENOSPC");
	wrap(f, FAULT_ERROR, "read:lba=20");
	assert_int_equal(now(f, IO_WRITE, 2, 8, bytes, false), 0);
	assert_int_equal(now(f, IO_WRITE, 3, 8, bytes, false), -ENOSPC);
	assert_int_equal(now(f, IO_WRITE, 11, 1, bytes, false), -ENOSPC);
	assert_int_equal(now(f, IO_WRITE, 12, 8, bytes, false), 0);
	assert_int_equal(f->p.disk[10 * BLOCK], 0); /* nothing of a failed one came through */
	assert_int_equal(now(f, IO_READ, 10, 2, bytes, false), 0);
	ask(f, &q, IO_READ, 16, 8, bytes, false);
	turn(f);
	assert_int_equal(q.error, -EIO);
	assert_int_equal(q.r.found, 20 * BLOCK);
	assert_int_equal(now(f, IO_FLUSH, 0, 0, NULL, false), 0);
}

static void errors_keep_their_rate_and_their_count(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[BLOCK];
	unsigned n = 0;

	wrap(f, FAULT_ERROR, "flush:count=2");
	wrap(f, FAULT_ERROR, "write:rate=0.25:seed=5");
	for (unsigned i = 0; i < 4000; i++)
		n += now(f, IO_WRITE, i % N_BLOCKS, 1, bytes, false) != 0;
	assert_in_range(n, 850, 1150);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(now(f, IO_FLUSH, 0, 0, NULL, false), i < 2 ? -EIO : 0);
}

/* --- delay --- */
static void delays_end_in_their_time(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[BLOCK];
	struct req q, r;

	wrap(f, FAULT_DELAY, "write:5ms");
	wrap(f, FAULT_DELAY, "any:1ms");
	ask(f, &q, IO_WRITE, 0, 1, bytes, false);
	ask(f, &r, IO_READ, 9, 1, bytes, false);
	for (f->io.now_ns = 1; f->io.now_ns < 20000000 && !q.n_done; f->io.now_ns += 100000) {
		io_run_timers(&f->io);
		turn(f);
		if (f->io.now_ns > 1200000)
			assert_int_equal(r.n_done, 1);
	}
	assert_in_range(f->io.now_ns, 6000000, 6400000);
}

static void delays_have_a_mean(void **state)
{
	static const char *const texts[] = {"any:1ms:jitter=uniform", "any:1ms:jitter=exp"};
	struct fixture *f = *state;
	uint8_t bytes[BLOCK];

	for (unsigned i = 0; i < 2; i++) {
		struct req q;
		uint64_t start = f->io.now_ns;

		wrap(f, FAULT_DELAY, texts[i]); /* the second in front of the first */
		for (unsigned k = 0; k < 400; k++) {
			ask(f, &q, IO_READ, 0, 1, bytes, false);
			while (!q.n_done) {
				io_run_timers(&f->io);
				turn(f);
				f->io.now_ns += 10000;
			}
		}
		assert_in_range((f->io.now_ns - start) / 400, (i + 1) * 850000, (i + 1) * 1200000);
	}
}

/* --- power --- */
static void what_is_not_flushed_is_not_behind(void **state)
{
	struct fixture *f = *state;
	uint8_t a[8 * BLOCK], b[8 * BLOCK], zero[8 * BLOCK] = {0};

	wrap(f, FAULT_POWER, "forget");
	memset(a, 0xaa, sizeof(a));
	assert_int_equal(now(f, IO_WRITE, 0, 8, a, false), 0);
	assert_int_equal(now(f, IO_WRITE, 100, 8, a, false), 0);
	assert_memory_equal(f->p.disk, zero, sizeof(zero));
	assert_int_equal(now(f, IO_READ, 0, 8, b, false), 0);
	assert_memory_equal(b, a, sizeof(a)); /* but it is what readers see */
	memset(a, 0xbb, sizeof(a));
	assert_int_equal(
		now(f, IO_WRITE, 2, 4, a, true), 0); /* durable, and what it covers with it */
	assert_int_equal(f->p.disk[2 * BLOCK], 0xbb);
	assert_int_equal(f->p.disk[0], 0);
	assert_int_equal(now(f, IO_FLUSH, 0, 0, NULL, false), 0);
	assert_int_equal(f->p.disk[0], 0xaa);
	assert_int_equal(f->p.disk[2 * BLOCK], 0xbb);
	assert_int_equal(f->p.disk[107 * BLOCK], 0xaa);
	assert_int_equal(f->p.n[IO_FLUSH], 1);
	assert_int_equal(now(f, IO_ZERO, 100, 8, NULL, false), 0);
	assert_int_equal(f->p.disk[107 * BLOCK], 0xaa);
	assert_int_equal(now(f, IO_READ, 100, 8, b, false), 0);
	assert_memory_equal(b, zero, sizeof(b));
	assert_int_equal(now(f, IO_FLUSH, 0, 0, NULL, false), 0);
	assert_int_equal(f->p.disk[107 * BLOCK], 0);
}

static void a_flush_that_fails_keeps_what_it_should_have_taken(void **state)
{
	struct fixture *f = *state;
	uint8_t a[BLOCK];

	wrap(f, FAULT_POWER, "forget");
	memset(a, 0xaa, sizeof(a));
	now(f, IO_WRITE, 5, 1, a, false);
	f->p.fail = true;
	assert_int_equal(now(f, IO_FLUSH, 0, 0, NULL, false), -EIO);
	f->p.fail = false;
	assert_int_equal(f->p.disk[5 * BLOCK], 0);
	assert_int_equal(now(f, IO_FLUSH, 0, 0, NULL, false), 0);
	assert_int_equal(f->p.disk[5 * BLOCK], 0xaa);
}

/* What readers see is right; what was promised lies nowhere. */
static void a_disk_may_lie(void **state)
{
	struct fixture *f = *state;
	uint8_t a[BLOCK], b[BLOCK];

	wrap(f, FAULT_POWER, "forget:flush=ignored");
	memset(a, 0xaa, sizeof(a));
	assert_int_equal(now(f, IO_WRITE, 5, 1, a, false), 0);
	assert_int_equal(now(f, IO_WRITE, 6, 1, a, true), 0);
	assert_int_equal(now(f, IO_FLUSH, 0, 0, NULL, false), 0);
	assert_int_equal(f->p.disk[5 * BLOCK], 0);
	assert_int_equal(f->p.disk[6 * BLOCK], 0);
	assert_int_equal(f->p.n[IO_FLUSH], 0);
	assert_int_equal(now(f, IO_READ, 6, 1, b, false), 0);
	assert_memory_equal(b, a, sizeof(a));
}

/* Many at once, durable ones and flushes among them: the newest of each block is behind after the last flush. */
static void a_torn_disk_is_whole_after_a_flush(void **state)
{
	enum { N = 2000 };
	struct fixture *f = *state;
	struct req *q = calloc(N, sizeof(*q));
	uint8_t(*bytes)[4 * BLOCK] = calloc(N, sizeof(*bytes)), want[SIZE] = {0};
	unsigned torn = 0, seed = 1;

	wrap(f, FAULT_POWER, "tear:seed=3");
	for (unsigned i = 0; i < N; i++) {
		unsigned lba = (unsigned)rand_r(&seed) % (N_BLOCKS - 4);

		if (i % 97 == 0) {
			ask(f, &q[i], IO_FLUSH, 0, 0, NULL, false);
		} else {
			memset(bytes[i], (int)(i % 255 + 1), sizeof(bytes[i]));
			memcpy(want + lba * BLOCK, bytes[i], sizeof(bytes[i]));
			ask(f, &q[i], IO_WRITE, lba, 4, bytes[i], i % 11 == 0);
		}
		if (i % 3 == 0)
			turn(f);
		if (i % 11 == 0 && i % 97) {
			turn(f);
			assert_memory_equal(f->p.disk + lba * BLOCK, bytes[i], sizeof(bytes[i]));
		}
	}
	turn(f);
	for (unsigned i = 0; i < N; i++)
		assert_true(q[i].n_done == 1 && !q[i].error);
	for (unsigned u = 0; u < N_BLOCKS; u++)
		torn += memcmp(f->p.disk + u * BLOCK, want + u * BLOCK, BLOCK) != 0;
	assert_in_range(torn, 5, N_BLOCKS - 5);
	assert_int_equal(now(f, IO_FLUSH, 0, 0, NULL, false), 0);
	assert_memory_equal(f->p.disk, want, SIZE);
	free(q);
	free(bytes);
}

static void a_memory_disk_is_a_file(void **state)
{
	struct backend *b;
	char err[100];

	assert_int_equal(backend_memory_open(&b, 1 << 20, 512, err, sizeof(err)), 0);
	assert_int_equal(b->info.size, 1 << 20);
	assert_string_equal(b->ops->name, "file");
	backend_free(b);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_understood),
		cmocka_unit_test(nonsense_is_refused_in_words),
		CASE(errors_meet_their_blocks_and_no_others),
		CASE(errors_keep_their_rate_and_their_count),
		CASE(delays_end_in_their_time),
		CASE(delays_have_a_mean),
		CASE(what_is_not_flushed_is_not_behind),
		CASE(a_flush_that_fails_keeps_what_it_should_have_taken),
		CASE(a_disk_may_lie),
		CASE(a_torn_disk_is_whole_after_a_flush),
		cmocka_unit_test(a_memory_disk_is_a_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
