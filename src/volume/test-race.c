/* test-race.c - threads on one RAM volume: no acknowledged sector is lost, no reader sees half a
 * write.
 *
 * Each writer owns some sectors of pages that it shares with the others, and marks every sector of
 * a write with its number and a counter. Writers of `group` ranges write several sectors that cross
 * pages and leaves at once: a reader must find one counter in all of them. */
#include "voltest.h"

#include <pthread.h>
#include "be.h"
#include "counter.h"
#include "effort.h"

enum { SECTOR = 512, N_WRITERS = 3, ROUNDS = 1000000, LEAF = MAP_LEAF_PAGES * ARENA_PAGE };

static struct volume *volume;
static unsigned rounds;
static unsigned running; /* atomic: writers */

struct writer {
	pthread_t thread;
	uint32_t number;
	uint64_t last[32]; /* the counter last acknowledged, a sector */
	struct counters counters;
	struct io io;
};

static void mark(uint8_t *sector, uint32_t writer, uint64_t counter)
{
	memset(sector, (int)(counter & 0xff), SECTOR);
	put_be32(sector, writer);
	memcpy(sector + 8, &counter, sizeof(counter));
	memcpy(sector + SECTOR - 8, &counter, sizeof(counter));
}

/* The counter of a sector, which must be whole and the writer's. */
static uint64_t read_mark(const uint8_t *sector, uint32_t writer)
{
	uint64_t head, tail;

	memcpy(&head, sector + 8, sizeof(head));
	memcpy(&tail, sector + SECTOR - 8, sizeof(tail));
	check(head == tail);
	check(!head || get_be32(sector) == writer);
	for (int i = 16; i < SECTOR - 8; i++)
		check(sector[i] == (uint8_t)head);
	return head;
}

static void write_sectors(
	struct io *io, uint32_t writer, uint64_t lba, unsigned n, uint64_t counter)
{
	uint8_t bytes[64 * SECTOR];
	struct landing l;
	struct test_op t;

	for (unsigned i = 0; i < n; i++)
		mark(bytes + i * SECTOR, writer, counter);
	landing_init(&l, volume, lba * SECTOR, n * SECTOR, NULL);
	check(!landing_take(&l, n * SECTOR, false));
	fill_iov(l.iov, l.n_iov, bytes);
	test_op_init(&t, volume, io, lba * SECTOR, n * SECTOR);
	volume_commit(&t.op, &l);
	check(t.done && !t.end);
}

static unsigned next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(*seed >> 33);
}

/* Sectors number, number + N_WRITERS ... of the first pages. */
static void *write_own_sectors(void *arg)
{
	struct writer *w = arg;
	uint64_t seed = w->number + 1;

	counters_enter(&w->counters);
	for (uint64_t i = 1; i <= rounds; i++) {
		unsigned k = next_random(&seed) % 32;

		write_sectors(&w->io, w->number, k * N_WRITERS + w->number, 1, i);
		w->last[k] = i;
	}
	counters_leave(&w->counters);
	__atomic_sub_fetch(&running, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void read_range(struct io *io, uint64_t lba, unsigned n, uint8_t *to)
{
	struct test_op t;

	test_op_init(&t, volume, io, lba * SECTOR, n * SECTOR);
	volume_read(&t.op);
	check(t.done && !t.end);
	check(copy_iov(to, t.op.iov, t.op.n_iov) == n * SECTOR);
	volume_unpin(&t.op);
}

static void start(struct writer *w, void *(*fn)(void *), unsigned n)
{
	running = n;
	for (unsigned i = 0; i < n; i++) {
		memset(&w[i], 0, sizeof(w[i]));
		w[i].number = i;
		io_init(&w[i].io, &turn_ops, i);
		check(!pthread_create(&w[i].thread, NULL, fn, &w[i]));
	}
}

static void join(struct writer *w, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		pthread_join(w[i].thread, NULL);
		io_deinit(&w[i].io);
	}
}

static void no_acknowledged_sector_is_lost(void **state)
{
	static struct writer w[N_WRITERS];
	static uint8_t bytes[32 * N_WRITERS * SECTOR];
	uint64_t seen[32 * N_WRITERS] = {0};
	struct io io;

	io_init(&io, &turn_ops, 9);
	rounds = effort(ROUNDS / N_WRITERS);
	start(w, write_own_sectors, N_WRITERS);
	while (__atomic_load_n(&running, __ATOMIC_ACQUIRE)) {
		read_range(&io, 0, 32 * N_WRITERS, bytes);
		for (unsigned i = 0; i < 32 * N_WRITERS; i++) {
			uint64_t counter = read_mark(bytes + i * SECTOR, i % N_WRITERS);

			assert_true(counter >= seen[i]); /* never older than before */
			seen[i] = counter;
		}
	}
	join(w, N_WRITERS);
	read_range(&io, 0, 32 * N_WRITERS, bytes);
	for (unsigned i = 0; i < 32 * N_WRITERS; i++)
		assert_int_equal(read_mark(bytes + i * SECTOR, i % N_WRITERS),
			w[i % N_WRITERS].last[i / N_WRITERS]);
	io_deinit(&io);
}

/* The same with stripes of 12 sectors: every one shares its first or last page, and some lie across
 * the border of two leaves. */
enum { STRIPE = 12, STRIPES = 12, STRIPES_LBA = LEAF / SECTOR - 5 * STRIPE - 6 };

static void *write_own_stripes(void *arg)
{
	struct writer *w = arg;
	uint64_t seed = w->number + 1;

	counters_enter(&w->counters);
	for (uint64_t i = 1; i <= rounds; i++) {
		unsigned k = next_random(&seed) % (STRIPES / N_WRITERS);

		write_sectors(&w->io, w->number, STRIPES_LBA + (k * N_WRITERS + w->number) * STRIPE,
			STRIPE, i);
		w->last[k] = i;
	}
	counters_leave(&w->counters);
	__atomic_sub_fetch(&running, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void check_stripes(struct io *io, uint64_t *seen)
{
	static uint8_t bytes[STRIPES * STRIPE * SECTOR];

	read_range(io, STRIPES_LBA, STRIPES * STRIPE, bytes);
	for (unsigned i = 0; i < STRIPES * STRIPE; i++) {
		unsigned k = i / STRIPE;
		uint64_t counter = read_mark(bytes + i * SECTOR, k % N_WRITERS);

		assert_true(counter >= seen[k]);
		assert_true(i % STRIPE == 0 || counter == seen[k]);
		seen[k] = counter;
	}
}

static void no_acknowledged_stripe_is_lost(void **state)
{
	static struct writer w[N_WRITERS];
	uint64_t seen[STRIPES] = {0};
	struct io io;

	io_init(&io, &turn_ops, 9);
	rounds = effort(ROUNDS / 10);
	start(w, write_own_stripes, N_WRITERS);
	while (__atomic_load_n(&running, __ATOMIC_ACQUIRE))
		check_stripes(&io, seen);
	join(w, N_WRITERS);
	check_stripes(&io, seen);
	for (unsigned k = 0; k < STRIPES; k++)
		assert_int_equal(seen[k], w[k % N_WRITERS].last[k / N_WRITERS]);
	io_deinit(&io);
}

/* All write the same 64 sectors, which begin in one leaf and end in the next. */
enum { GROUP_LBA = LEAF / SECTOR - 35, GROUP = 64 };

static void *write_group(void *arg)
{
	struct writer *w = arg;

	counters_enter(&w->counters);
	for (uint64_t i = 1; i <= rounds; i++)
		write_sectors(&w->io, 0, GROUP_LBA, GROUP, i * N_WRITERS + w->number);
	counters_leave(&w->counters);
	__atomic_sub_fetch(&running, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void no_reader_sees_half_a_write(void **state)
{
	static struct writer w[N_WRITERS];
	uint8_t bytes[GROUP * SECTOR];
	struct io io;

	io_init(&io, &turn_ops, 9);
	rounds = effort(ROUNDS / 30);
	start(w, write_group, N_WRITERS);
	while (__atomic_load_n(&running, __ATOMIC_ACQUIRE)) {
		read_range(&io, GROUP_LBA, GROUP, bytes);
		for (unsigned i = 1; i < GROUP; i++)
			assert_int_equal(read_mark(bytes + i * SECTOR, 0), read_mark(bytes, 0));
	}
	join(w, N_WRITERS);
	io_deinit(&io);
}

static int count_up(
	void *ctx, uint64_t at, uint32_t len, const uint8_t *base, uint8_t *fresh, uint32_t *wherep)
{
	for (uint32_t i = 0; i + 8 <= len; i += 8) {
		uint64_t n;

		memcpy(&n, base + i, 8);
		n++;
		memcpy(fresh + i, &n, 8);
	}
	return 0;
}

static void *update_counters(void *arg)
{
	struct writer *w = arg;

	counters_enter(&w->counters);
	for (uint64_t i = 1; i <= rounds; i++) {
		struct test_op t;

		test_op_init(&t, volume, &w->io, 2 * LEAF - 3 * SECTOR, 6 * SECTOR);
		volume_update(&t.op, count_up, NULL);
		check(t.done && !t.end);
	}
	counters_leave(&w->counters);
	__atomic_sub_fetch(&running, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void no_update_is_lost(void **state)
{
	static struct writer w[N_WRITERS];
	uint8_t bytes[6 * SECTOR];
	struct io io;

	io_init(&io, &turn_ops, 9);
	rounds = effort(ROUNDS / 10);
	start(w, update_counters, N_WRITERS);
	join(w, N_WRITERS);
	read_range(&io, (2 * LEAF - 3 * SECTOR) / SECTOR, 6, bytes);
	for (unsigned i = 0; i < sizeof(bytes); i += 8) {
		uint64_t n;

		memcpy(&n, bytes + i, 8);
		assert_int_equal(n, (uint64_t)rounds * N_WRITERS);
	}
	io_deinit(&io);
}

static int setup(void **state)
{
	volume = ram_volume(16 << 20, SECTOR);
	return 0;
}

static int teardown(void **state)
{
	struct arena *a = volume_arena(volume);

	arena_check(a);
	assert_int_equal(arena_n_lent(a) * ARENA_PAGE, volume_mapped_bytes(volume));
	volume_free(volume);
	return 0;
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(no_acknowledged_sector_is_lost),
		CASE(no_acknowledged_stripe_is_lost),
		CASE(no_reader_sees_half_a_write),
		CASE(no_update_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
