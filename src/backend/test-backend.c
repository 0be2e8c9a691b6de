/* test-backend.c - the door: pieces, short transfers, ways down, one completion; and opening files.
 */
#include "backend.h"

#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "check.h"
#include "reactor.h"

enum { SIZE = 8 << 20 };

static uint64_t no_clock(struct io *io)
{
	return 0;
}

static void no_wake(struct io *io) {}

static const struct io_ops turn_ops = {.name = "turn", .clock = no_clock, .wake = no_wake};

/* --- a backend that moves as much as it is told --- */
struct slow {
	struct backend b;
	uint8_t *disk;
	uint64_t at_most;  /* bytes a piece; 0: all */
	int error;         /* of the next piece */
	uint64_t bad;      /* a byte that cannot be read; 0: all can be */
	struct io_disk *d; /* the piece under way */
	unsigned n_pieces, n_flushes, max_iov;
};

static void slow_submit(struct backend *b, struct io *io, struct backend_req *r)
{
	struct slow *s = container_of(b, struct slow, b);

	check(!s->d);
	s->d = &r->disk;
	s->n_pieces++;
	s->n_flushes += r->disk.kind == IO_FLUSH;
	s->max_iov = MAX(s->max_iov, r->disk.n_iov);
}

static struct backend *slow_free(struct backend *b)
{
	struct slow *s = container_of(b, struct slow, b);

	free(s->disk);
	s->disk = NULL;
	return NULL;
}

static const struct backend_ops slow_ops = {
	.name = "slow", .submit = slow_submit, .free = slow_free};

static int64_t move(struct slow *s, struct io_disk *d)
{
	uint64_t left = s->at_most ? MIN(s->at_most, d->len) : d->len, moved = 0;

	for (unsigned i = 0; i < d->n_iov && left; i++) {
		size_t n = MIN(d->iov[i].iov_len, left);

		if (d->kind == IO_WRITE)
			memcpy(s->disk + d->off + moved, d->iov[i].iov_base, n);
		else
			memcpy(d->iov[i].iov_base, s->disk + d->off + moved, n);
		moved += n;
		left -= n;
	}
	return (int64_t)moved;
}

/* Pieces end until there is none. */
static void run(struct slow *s)
{
	while (s->d) {
		struct io_disk *d = s->d;
		int64_t res = s->error;

		s->d = NULL;
		s->error = 0;
		if (!res && d->kind == IO_READ && s->bad >= d->off && s->bad - d->off < d->len &&
			s->bad)
			res = -EIO;
		if (!res && (d->kind == IO_READ || d->kind == IO_WRITE))
			res = move(s, d);
		else if (!res && d->kind != IO_FLUSH)
			memset(s->disk + d->off, 0, d->len);
		d->done(d, res);
	}
}

struct req {
	struct backend_req r;
	unsigned n_done;
	int error;
};

static void on_done(struct backend_req *r, int error)
{
	struct req *q = container_of(r, struct req, r);

	q->n_done++;
	q->error = error;
}

struct fixture {
	struct slow s;
	struct io io;
	uint8_t *bytes;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	io_init(&f->io, &turn_ops, 0);
	f->s.b.ops = &slow_ops;
	f->s.b.path = "slow";
	f->s.b.info = (struct backend_info){.size = SIZE,
		.caps = BACKEND_WRITE | BACKEND_PUNCH | BACKEND_ZERO | BACKEND_FLUSH |
			BACKEND_DURABLE,
		.align_offset = 512,
		.align_memory = 512};
	f->s.disk = malloc(SIZE);
	f->bytes = aligned_alloc(4096, SIZE);
	for (int i = 0; i < SIZE; i++) {
		f->s.disk[i] = (uint8_t)(i / 512);
		f->bytes[i] = (uint8_t)(i / 512 * 3 + 1);
	}
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	backend_free(&f->s.b);
	io_deinit(&f->io);
	free(f->bytes);
	free(f);
	return 0;
}

static struct req ask(struct fixture *f, enum io_disk_kind kind, uint64_t off, uint64_t len,
	const struct iovec *iov, unsigned n_iov, bool durable)
{
	struct req q = {.r = {.kind = kind,
				.off = off,
				.len = len,
				.iov = iov,
				.n_iov = n_iov,
				.durable = durable,
				.done = on_done}};

	backend_io(&f->s.b, &f->io, &q.r);
	assert_int_equal(q.n_done, 0); /* never from inside the call */
	run(&f->s);
	io_run_deferred(&f->io);
	assert_int_equal(q.n_done, 1);
	return q;
}

/* Many small vectors, cut anywhere. */
static void transfers_are_split_and_finished(void **state)
{
	struct fixture *f = *state;
	struct iovec *iov = calloc(4096, sizeof(*iov));
	uint64_t len = 0;

	for (unsigned i = 0; i < 4096; i++) {
		iov[i] = (struct iovec){f->bytes + len, 512 * (1 + i % 3)};
		len += iov[i].iov_len;
	}
	for (unsigned round = 0; round < 4; round++) {
		static const uint64_t cuts[] = {0, 100000, 777, 512};

		f->s.at_most = cuts[round];
		f->s.max_iov = 0;
		memset(f->s.disk, 0, SIZE);
		assert_int_equal(ask(f, IO_WRITE, 1024, len, iov, 4096, true).error, 0);
		assert_memory_equal(f->s.disk + 1024, f->bytes, len);
		assert_true(f->s.max_iov <= 1024);
		memset(f->bytes, 0, len);
		assert_int_equal(ask(f, IO_READ, 1024, len, iov, 4096, false).error, 0);
		assert_memory_equal(f->s.disk + 1024, f->bytes, len);
	}
	assert_int_equal(f->s.n_flushes, 0);
	free(iov);
}

static void errors_end_a_request_once(void **state)
{
	struct fixture *f = *state;
	struct iovec iov = {f->bytes, 8192};

	f->s.error = -EIO;
	assert_int_equal(ask(f, IO_READ, 0, 8192, &iov, 1, false).error, -EIO);
	f->s.error = -ENOMEM;
	assert_int_equal(ask(f, IO_READ, 0, 8192, &iov, 1, false).error, -ENOMEM);
	f->s.at_most = 512;
	assert_int_equal(ask(f, IO_READ, 0, 8192, &iov, 1, false).error, 0);
	f->s.b.info.caps &= ~(uint32_t)BACKEND_WRITE;
	assert_int_equal(ask(f, IO_WRITE, 0, 8192, &iov, 1, false).error, -EROFS);
	assert_int_equal(ask(f, IO_PUNCH, 0, 8192, NULL, 0, false).error, -EROFS);
}

/* Whatever the vectors are: the first unit that cannot be read is named, and all before it is there. */
static void a_failed_read_says_where(void **state)
{
	struct fixture *f = *state;
	struct iovec iov[40];
	uint64_t len = 0;

	for (unsigned i = 0; i < ARRAY_LEN(iov); i++) {
		iov[i] = (struct iovec){f->bytes + len, 512 * (1 + i % 5)};
		len += iov[i].iov_len;
	}
	for (uint64_t bad = 1024; bad < 1024 + len; bad += 512) {
		struct req q;

		f->s.bad = bad + 100;
		f->s.n_pieces = 0;
		memset(f->bytes, 0, len);
		q = ask(f, IO_READ, 1024, len, iov, ARRAY_LEN(iov), false);
		assert_int_equal(q.error, -EIO);
		assert_int_equal(q.r.found, bad);
		assert_memory_equal(f->bytes, f->s.disk + 1024, bad - 1024);
		assert_true(f->s.n_pieces <= 60);
	}
	f->s.bad = 0;
	f->s.error = -EIO; /* once: it is an error all the same */
	assert_int_equal(ask(f, IO_READ, 1024, len, iov, ARRAY_LEN(iov), false).error, -EIO);
	f->s.error = -ENODATA;
	f->s.bad = 1024;
	assert_int_equal(ask(f, IO_READ, 1024, 512, iov, 1, false).error, -ENODATA);
}

static void durable_writes_are_flushed_where_need_be(void **state)
{
	struct fixture *f = *state;
	struct iovec iov = {f->bytes, 8192};

	f->s.b.info.caps &= ~(uint32_t)BACKEND_DURABLE;
	assert_int_equal(ask(f, IO_WRITE, 0, 8192, &iov, 1, true).error, 0);
	assert_int_equal(f->s.n_flushes, 1);
	assert_int_equal(ask(f, IO_WRITE, 0, 8192, &iov, 1, false).error, 0);
	assert_int_equal(f->s.n_flushes, 1);
	f->s.b.info.caps &= ~(uint32_t)BACKEND_FLUSH;
	f->s.n_pieces = 0;
	assert_int_equal(ask(f, IO_FLUSH, 0, 0, NULL, 0, false).error, 0);
	assert_int_equal(f->s.n_pieces, 0);
}

static void begin(struct fixture *f, struct req *q, enum io_disk_kind kind, const struct iovec *iov)
{
	*q = (struct req){.r = {.kind = kind,
				  .len = iov ? iov->iov_len : 0,
				  .iov = iov,
				  .n_iov = iov ? 1 : 0,
				  .durable = true,
				  .done = on_done}};
	backend_io(&f->s.b, &f->io, &q->r);
}

/* One piece under way ends; then what it lets go on. */
static void end_piece(struct fixture *f, int error)
{
	struct io_disk *d = f->s.d;

	f->s.d = NULL;
	d->done(d, error ? error : d->kind == IO_WRITE ? move(&f->s, d) : 0);
	io_run_posts(&f->io);
}

static void one_flush_at_a_time_serves_all_who_wait(void **state)
{
	struct fixture *f = *state;
	struct req q[4];

	for (unsigned i = 0; i < 4; i++)
		begin(f, &q[i], IO_FLUSH, NULL);
	assert_int_equal(f->s.n_flushes, 1);
	end_piece(f, 0);
	assert_int_equal(q[0].n_done, 1);
	assert_int_equal(q[1].n_done + q[2].n_done + q[3].n_done, 0);
	assert_int_equal(f->s.n_flushes, 2);
	end_piece(f, -EIO);
	for (unsigned i = 1; i < 4; i++) {
		assert_int_equal(q[i].n_done, 1);
		assert_int_equal(q[i].error, -EIO);
	}
	assert_int_equal(backend_failed_flushes(&f->s.b), 1);
	begin(f, &q[0], IO_FLUSH, NULL);
	end_piece(f, 0);
	assert_int_equal(q[0].error, 0);
}

/* Linux gives up what a failed flush covered: whoever was written by then is written again. */
static void a_flush_that_fails_beside_a_write_makes_it_write_again(void **state)
{
	struct fixture *f = *state;
	struct iovec iov = {f->bytes, 8192};
	struct req other, q;

	f->s.b.info.caps &= ~(uint32_t)BACKEND_DURABLE;
	begin(f, &q, IO_WRITE, &iov);
	end_piece(f, 0); /* written; its flush is under way */
	begin(f, &other, IO_FLUSH, NULL);
	end_piece(f, -EIO);
	assert_int_equal(q.error, -EIO); /* its own has failed */
	end_piece(f, 0);
	assert_int_equal(other.error, 0);

	begin(f, &other, IO_FLUSH, NULL);
	f->s.d = NULL; /* the flush stays under way */
	begin(f, &q, IO_WRITE, &iov);
	end_piece(f, 0);
	assert_null(f->s.d); /* its own flush waits */
	f->s.d = &other.r.disk;
	end_piece(f, -EIO);
	memset(f->s.disk, 0, 8192);
	end_piece(f, 0); /* the flush that came too late to be trusted */
	assert_int_equal(q.n_done, 0);
	end_piece(f, 0); /* written again */
	assert_memory_equal(f->s.disk, f->bytes, 8192);
	end_piece(f, 0);
	assert_int_equal(q.n_done, 1);
	assert_int_equal(q.error, 0);
}

/* A write that is durable by itself tells, through a buffered descriptor, what befell other bytes, too. */
static void a_buffered_durable_write_that_fails_is_a_failed_flush(void **state)
{
	struct fixture *f = *state;
	struct iovec iov = {f->bytes, 8192};
	struct req q;

	for (unsigned alone = 0; alone <= 1; alone++) {
		begin(f, &q, IO_WRITE, &iov);
		f->s.d->flags |= IO_DURABLE | (alone ? IO_ALONE : 0);
		end_piece(f, -EIO);
		assert_int_equal(q.error, -EIO);
		assert_int_equal(backend_failed_flushes(&f->s.b), alone);
	}
}

static void zeros_are_sent_where_nothing_else_helps(void **state)
{
	struct fixture *f = *state;

	f->s.error = -EOPNOTSUPP;
	assert_int_equal(ask(f, IO_PUNCH, 512, 1024, NULL, 0, false).error, 0);
	assert_int_equal(backend_caps(&f->s.b) & (BACKEND_PUNCH | BACKEND_ZERO), BACKEND_ZERO);
	f->s.b.info.caps &= ~(uint32_t)BACKEND_ZERO;
	f->s.at_most = 300000;
	assert_int_equal(ask(f, IO_PUNCH, 4096, 6 << 20, NULL, 0, true).error, 0);
	assert_int_equal(f->s.n_flushes, 0);
	for (int i = 0; i < SIZE; i++) {
		bool zero = (i >= 512 && i < 1536) || (i >= 4096 && i < 4096 + (6 << 20));

		if (f->s.disk[i] != (zero ? 0 : (uint8_t)(i / 512)))
			fail_msg("byte %d", i);
	}
}

/* --- files --- */
static char path[32];

static int setup_path(void **state)
{
	snprintf(path, sizeof(path), "test-backend-%d.img", (int)getpid());
	unlink(path);
	return 0;
}

static int teardown_path(void **state)
{
	unlink(path);
	rmdir(path);
	return 0;
}

static char err[256];

static int file_open(struct backend **bp, uint64_t create_size, bool ro, uint32_t block)
{
	struct file_params p = {.path = path, .create_size = create_size, .ro = ro, .block = block};

	return backend_file_open(bp, &p, err, sizeof(err));
}

static void make_file(off_t size)
{
	int fd = open(path, O_CREAT | O_RDWR | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	close(fd);
}

#define REFUSED(create_size, ro, block, error, text)                                               \
	do {                                                                                       \
		struct backend *no;                                                                \
		assert_int_equal(file_open(&no, create_size, ro, block), error);                   \
		assert_non_null(strstr(err, text));                                                \
		assert_ptr_equal(strstr(err, path), err);                                          \
	} while (0)

static void what_cannot_be_served_is_refused_in_words(void **state)
{
	REFUSED(0, false, 512, -ENOENT, "No such file");
	REFUSED(1 << 20, true, 512, -ENOENT, "No such file");
	make_file(1000);
	REFUSED(0, false, 512, -EINVAL, "no multiple");
	make_file(0);
	REFUSED(0, false, 512, -EINVAL, "is empty");
	make_file(512 * 9);
	REFUSED(0, false, 4096, -EINVAL, "no multiple");
	REFUSED(1 << 20, false, 512, -EINVAL, "has 4608 bytes, not size=1M");
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	REFUSED(0, true, 512, -EINVAL, "neither");
}

static void a_file_is_made_sparse_and_opened_again(void **state)
{
	struct backend *b;
	struct stat st;

	assert_int_equal(file_open(&b, 1ull << 40, false, 512), 0);
	assert_int_equal(b->info.size, 1ull << 40);
	assert_int_equal(b->info.caps & (BACKEND_WRITE | BACKEND_FLUSH | BACKEND_DURABLE),
		BACKEND_WRITE | BACKEND_FLUSH | BACKEND_DURABLE);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_blocks < 1000);
	assert_null(backend_free(b));
	assert_int_equal(file_open(&b, 1ull << 40, false, 512), 0);
	backend_free(b);
	assert_int_equal(file_open(&b, 0, true, 4096), 0);
	assert_int_equal(backend_caps(b) & (BACKEND_WRITE | BACKEND_PUNCH | BACKEND_ZERO), 0);
	backend_free(b);
}

static void a_second_server_is_kept_off(void **state)
{
	struct backend *b, *other;

	assert_int_equal(file_open(&b, 1 << 20, false, 512), 0);
	REFUSED(0, false, 512, -EBUSY, "in use");
	REFUSED(0, true, 512, -EBUSY, "in use");
	backend_free(b);
	assert_int_equal(file_open(&b, 0, true, 512), 0);
	assert_int_equal(file_open(&other, 0, true, 512), 0);
	REFUSED(0, false, 512, -EBUSY, "in use");
	backend_free(b);
	backend_free(other);
	assert_int_equal(file_open(&b, 0, false, 512), 0);
	backend_free(b);
}

#define CASE(fn)      cmocka_unit_test_setup_teardown(fn, setup, teardown)
#define CASE_FILE(fn) cmocka_unit_test_setup_teardown(fn, setup_path, teardown_path)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(transfers_are_split_and_finished),
		CASE(errors_end_a_request_once),
		CASE(a_failed_read_says_where),
		CASE(durable_writes_are_flushed_where_need_be),
		CASE(one_flush_at_a_time_serves_all_who_wait),
		CASE(a_flush_that_fails_beside_a_write_makes_it_write_again),
		CASE(a_buffered_durable_write_that_fails_is_a_failed_flush),
		CASE(zeros_are_sent_where_nothing_else_helps),
		CASE_FILE(what_cannot_be_served_is_refused_in_words),
		CASE_FILE(a_file_is_made_sparse_and_opened_again),
		CASE_FILE(a_second_server_is_kept_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
