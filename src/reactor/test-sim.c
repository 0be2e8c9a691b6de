/* test-sim.c - what the simulation adds to io.h: a run is its seed's, and disks crash and fail. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "reactor.h"
#include "sim.h"

enum { SECTOR = 512, DISK = 64 * SECTOR };

static struct sim *sim_of(uint64_t seed)
{
	struct sim *s;
	struct sim_params p = {
		.seed = seed, .n_reactors = 2, .max_piece = 100, .max_delay_ns = 100000};

	assert_int_equal(sim_new(&s, &p), 0);
	return s;
}

static void run(struct sim *s)
{
	while (sim_step(s))
		;
}

/* --- a run of everything at once --- */

struct party {
	struct sim *s;
	struct io_sock listener, sock;
	struct io_addr addr;
	struct io_timer timer;
	struct io_work work;
	struct io_disk d;
	struct iovec iov;
	uint8_t buf[4096];
	unsigned n_bytes, n_ticks, n_disk;
	int disk, handle;
};

static void party_disk_done(struct io_disk *d, int64_t res)
{
	struct party *p = container_of(d, struct party, d);

	p->n_disk++;
}

static void party_read(struct io_sock *sock, unsigned ready)
{
	struct party *p = container_of(sock, struct party, sock);
	struct io *io = sim_io(p->s, 1);
	struct iovec v = {p->buf, sizeof(p->buf)};
	ssize_t n = io_recv(io, sock, &v, 1);

	if (n <= 0) {
		io_close(io, sock);
		return;
	}
	p->n_bytes += (unsigned)n;
	v.iov_len = (size_t)n;
	io_send(io, sock, &v, 1);
	if (list_linked(&p->d.link))
		return;
	p->d = (struct io_disk){.kind = IO_WRITE, .fd = p->disk, .iov = &p->iov, .n_iov = 1};
	p->d.done = party_disk_done;
	p->iov = (struct iovec){p->buf, 2048};
	list_init(&p->d.link);
	if (p->n_disk == 0)
		io_disk(io, &p->d);
}

static void party_move(struct io_work *work)
{
	struct party *p = container_of(work, struct party, work);

	p->sock = (struct io_sock){.handle = -1, .on_ready = party_read};
	assert_int_equal(io_attach(sim_io(p->s, 1), &p->sock, p->handle), 0);
	io_want(sim_io(p->s, 1), &p->sock, IO_IN);
}

static void party_accept(struct io_sock *sock, unsigned ready)
{
	struct party *p = container_of(sock, struct party, listener);
	struct io_addr peer;

	p->handle = io_accept(sim_io(p->s, 0), sock, &peer);
	p->work.fn = party_move;
	io_post(sim_io(p->s, 1), &p->work);
}

static void party_tick(struct io_timer *t)
{
	struct party *p = container_of(t, struct party, timer);

	if (++p->n_ticks < 20)
		io_timer_set(sim_io(p->s, 0), t, io_now(sim_io(p->s, 0)) + 10000);
}

static uint64_t party_hash(uint64_t seed)
{
	struct party *p = calloc(1, sizeof(*p));
	struct sim_peer *peer;
	uint8_t data[3000] = {1, 2, 3};
	uint64_t hash;

	p->s = sim_of(seed);
	list_init(&p->d.link);
	p->disk = sim_disk_new(p->s, DISK);
	p->listener = (struct io_sock){.handle = -1, .on_ready = party_accept};
	io_addr_parse(&p->addr, "127.0.0.1:0", 11);
	io_listen(sim_io(p->s, 0), &p->listener, &p->addr);
	io_want(sim_io(p->s, 0), &p->listener, IO_IN);
	io_timer_init(&p->timer, party_tick);
	io_timer_set(sim_io(p->s, 0), &p->timer, 0);
	assert_int_equal(sim_connect(p->s, &p->addr, &peer), 0);
	assert_int_equal(sim_peer_send(peer, data, sizeof(data)), sizeof(data));
	run(p->s);
	assert_int_equal(p->n_bytes, sizeof(data));
	assert_int_equal(p->n_ticks, 20);
	assert_true(p->n_disk > 0);
	sim_peer_close(peer);
	run(p->s);
	assert_int_equal(p->sock.handle, -1);
	io_close(sim_io(p->s, 0), &p->listener);
	hash = sim_hash(p->s);
	sim_free(p->s);
	free(p);
	return hash;
}

static void same_seed_same_run(void **state)
{
	for (uint64_t seed = 0; seed < 50; seed++)
		assert_true(party_hash(seed) == party_hash(seed));
}

static void another_seed_another_run(void **state)
{
	uint64_t hash[50];

	for (uint64_t seed = 0; seed < 50; seed++) {
		hash[seed] = party_hash(seed);
		for (uint64_t i = 0; i < seed; i++)
			assert_true(hash[i] != hash[seed]);
	}
}

static void nobody_listens(void **state)
{
	struct sim *s = sim_of(1);
	struct sim_peer *peer;
	struct io_addr a;

	io_addr_parse(&a, "127.0.0.1:3260", 14);
	assert_int_equal(sim_connect(s, &a, &peer), -ECONNREFUSED);
	assert_false(sim_step(s));
	sim_free(s);
}

static void never_accepted(struct io_sock *sock, unsigned ready) {}

static void listener_closed_under_a_peer(void **state)
{
	struct sim *s = sim_of(3);
	struct io_sock listener = {.handle = -1, .on_ready = never_accepted};
	struct sim_peer *early, *late;
	struct io_addr a;

	io_addr_parse(&a, "[::1]:3260", 10);
	assert_int_equal(io_listen(sim_io(s, 0), &listener, &a), 0);
	assert_int_equal(sim_connect(s, &a, &early), 0);
	run(s);
	assert_int_equal(sim_connect(s, &a, &late), 0);
	io_close(sim_io(s, 0), &listener);
	run(s);
	assert_true(sim_peer_ended(early) && sim_peer_ended(late));
	sim_peer_close(early);
	sim_peer_close(late);
	sim_free(s);
}

/* --- disks --- */

struct request {
	struct io_disk d;
	struct iovec iov;
	unsigned n_done;
	int64_t res;
};

static void request_done(struct io_disk *d, int64_t res)
{
	struct request *q = container_of(d, struct request, d);

	q->n_done++;
	q->res = res;
}

static void submit(struct sim *s, struct request *q, enum io_disk_kind kind, unsigned flags,
	int disk, unsigned sector, void *buf, unsigned n)
{
	*q = (struct request){.d = {.kind = kind,
				      .flags = flags,
				      .fd = disk,
				      .off = (uint64_t)sector * SECTOR,
				      .len = (uint64_t)n * SECTOR,
				      .n_iov = buf != NULL,
				      .done = request_done}};
	q->iov = (struct iovec){buf, (size_t)n * SECTOR};
	q->d.iov = &q->iov;
	io_disk(sim_io(s, 0), &q->d);
}

static int64_t perform(struct sim *s, enum io_disk_kind kind, unsigned flags, int disk,
	unsigned sector, void *buf, unsigned n)
{
	struct request q;

	submit(s, &q, kind, flags, disk, sector, buf, n);
	run(s);
	assert_int_equal(q.n_done, 1);
	return q.res;
}

/* Which of 64 sectors hold nothing but `byte`. */
static uint64_t sectors_of(struct sim *s, int disk, uint8_t byte)
{
	const uint8_t *b = sim_disk_bytes(s, disk);
	uint64_t set = 0;

	for (unsigned i = 0; i < 64; i++) {
		unsigned n = 0;

		while (n < SECTOR && b[i * SECTOR + n] == byte)
			n++;
		set |= (uint64_t)(n == SECTOR) << i;
	}
	return set;
}

static void fill(struct sim *s, int disk, uint8_t byte, unsigned flags)
{
	uint8_t data[DISK];

	memset(data, byte, sizeof(data));
	for (unsigned at = 0; at < 64;) {
		int64_t res = perform(s, IO_WRITE, flags, disk, at, data, 64 - at);

		assert_true(res > 0 && res % SECTOR == 0);
		at += (unsigned)(res / SECTOR);
	}
}

static void crash_keeps_what_was_durable(void **state)
{
	for (uint64_t seed = 0; seed < 200; seed++) {
		struct sim *s = sim_of(seed);
		int disk = sim_disk_new(s, DISK);

		if (seed % 2) {
			fill(s, disk, 1, IO_DURABLE);
		} else {
			fill(s, disk, 1, 0);
			assert_int_equal(perform(s, IO_FLUSH, 0, disk, 0, NULL, 0), 0);
		}
		assert_true(sectors_of(s, disk, 1) == UINT64_MAX);
		sim_disk_crash(s, disk);
		assert_true(sectors_of(s, disk, 1) == UINT64_MAX);
		sim_free(s);
	}
}

static void crash_may_lose_the_rest(void **state)
{
	unsigned n_torn = 0;
	uint64_t ever_lost = 0, ever_kept = 0;

	for (uint64_t seed = 0; seed < 100; seed++) {
		struct sim *s = sim_of(seed);
		int disk = sim_disk_new(s, DISK);
		uint64_t old, new;

		fill(s, disk, 1, IO_DURABLE);
		fill(s, disk, 2, 0);
		sim_disk_crash(s, disk);
		old = sectors_of(s, disk, 1);
		new = sectors_of(s, disk, 2);
		assert_true((old | new) == UINT64_MAX && (old & new) == 0);
		ever_lost |= old;
		ever_kept |= new;
		n_torn += old && new;
		sim_disk_crash(s, disk); /* what survived is durable by now */
		assert_true(sectors_of(s, disk, 1) == old);
		sim_free(s);
	}
	assert_true(ever_lost == UINT64_MAX && ever_kept == UINT64_MAX && n_torn > 50);
}

/* A flush says nothing of what was written after it began. */
static void flush_covers_what_was_before(void **state)
{
	unsigned n_lost = 0;

	for (uint64_t seed = 0; seed < 100; seed++) {
		struct sim *s = sim_of(seed);
		int disk = sim_disk_new(s, DISK);
		static uint8_t data[8 * SECTOR];
		struct request write, flush;

		fill(s, disk, 1, 0);
		submit(s, &flush, IO_FLUSH, 0, disk, 0, NULL, 0);
		memset(data, 2, sizeof(data));
		submit(s, &write, IO_WRITE, 0, disk, 8, data, 8);
		run(s);
		assert_true(flush.n_done == 1 && flush.res == 0 && write.n_done == 1);
		sim_disk_crash(s, disk);
		assert_true((sectors_of(s, disk, 1) | sectors_of(s, disk, 2)) == UINT64_MAX);
		assert_true((sectors_of(s, disk, 1) & ~UINT64_C(0xff00)) == ~UINT64_C(0xff00));
		n_lost += (sectors_of(s, disk, 1) & 0xff00) != 0;
		sim_free(s);
	}
	assert_true(n_lost > 10);
}

static void crash_in_the_middle_of_a_write(void **state)
{
	unsigned n_some = 0;

	for (uint64_t seed = 0; seed < 100; seed++) {
		struct sim *s = sim_of(seed);
		int disk = sim_disk_new(s, DISK);
		static uint8_t data[DISK];
		struct request q;

		fill(s, disk, 1, IO_DURABLE);
		memset(data, 2, sizeof(data));
		submit(s, &q, IO_WRITE, IO_DURABLE, disk, 0, data, 64);
		sim_disk_crash(s, disk);
		run(s);
		assert_true(q.n_done == 1 && q.res == -EIO);
		assert_true((sectors_of(s, disk, 1) | sectors_of(s, disk, 2)) == UINT64_MAX);
		n_some += sectors_of(s, disk, 2) != 0 && sectors_of(s, disk, 1) != 0;
		sim_free(s);
	}
	assert_true(n_some > 50);
}

static void overlapping_in_time(void **state)
{
	unsigned n_mixed = 0, n_old = 0, n_new = 0;

	for (uint64_t seed = 0; seed < 200; seed++) {
		struct sim *s = sim_of(seed);
		int disk = sim_disk_new(s, DISK);
		static uint8_t out[8 * SECTOR], in[8 * SECTOR];
		struct request write, read;
		unsigned n = 0;

		memset(out, 1, sizeof(out));
		submit(s, &write, IO_WRITE, 0, disk, 0, out, 8);
		submit(s, &read, IO_READ, 0, disk, 0, in, 8);
		run(s);
		assert_true(read.n_done == 1 && write.n_done == 1);
		for (int64_t i = 0; i < read.res; i += SECTOR)
			n += in[i];
		n_old += n == 0;
		n_new += n * SECTOR == read.res;
		n_mixed += n && n * SECTOR < read.res;
		sim_free(s);
	}
	assert_true(n_mixed > 10 && n_old > 10 && n_new > 10);
}

static void fails_as_told(void **state)
{
	struct sim *s = sim_of(11);
	int disk = sim_disk_new(s, DISK);
	uint8_t data[2 * SECTOR] = {0};
	unsigned n_failed = 0;

	sim_disk_fail(s, disk, IO_WRITE, 4, -EIO);
	for (int i = 0; i < 400; i++) {
		int64_t res = perform(s, IO_WRITE, 0, disk, 4, data, 2);

		assert_true(res == -EIO || res > 0);
		n_failed += res == -EIO;
		assert_true(perform(s, IO_READ, 0, disk, 4, data, 2) > 0);
	}
	assert_in_range(n_failed, 60, 140);
	sim_disk_fail(s, disk, IO_WRITE, 0, 0);
	sim_disk_fail(s, disk, IO_FLUSH, 1, -ENOSPC);
	assert_true(perform(s, IO_WRITE, 0, disk, 4, data, 2) > 0);
	assert_int_equal(perform(s, IO_FLUSH, 0, disk, 0, NULL, 0), -ENOSPC);
	assert_int_equal(perform(s, IO_PUNCH, 0, disk, 0, NULL, 2), 0);
	sim_free(s);
}

/* A flush that failed has made nothing durable. */
static void failed_flush_keeps_nothing(void **state)
{
	uint64_t lost = 0;

	for (uint64_t seed = 0; seed < 50; seed++) {
		struct sim *s = sim_of(seed);
		int disk = sim_disk_new(s, DISK);

		fill(s, disk, 1, 0);
		sim_disk_fail(s, disk, IO_FLUSH, 1, -EIO);
		assert_int_equal(perform(s, IO_FLUSH, 0, disk, 0, NULL, 0), -EIO);
		sim_disk_crash(s, disk);
		lost |= sectors_of(s, disk, 0);
		sim_free(s);
	}
	assert_true(lost == UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_seed_same_run),
		cmocka_unit_test(another_seed_another_run),
		cmocka_unit_test(nobody_listens),
		cmocka_unit_test(listener_closed_under_a_peer),
		cmocka_unit_test(crash_keeps_what_was_durable),
		cmocka_unit_test(crash_may_lose_the_rest),
		cmocka_unit_test(flush_covers_what_was_before),
		cmocka_unit_test(crash_in_the_middle_of_a_write),
		cmocka_unit_test(overlapping_in_time),
		cmocka_unit_test(fails_as_told),
		cmocka_unit_test(failed_flush_keeps_nothing),
	};

	return cmocka_run_group_tests_name("sim", tests, NULL, NULL);
}
