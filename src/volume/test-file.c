/* test-file.c - file volumes on a real file, with both engines and two reactors. */
#include "voltest.h"

#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "effort.h"

enum { SECTOR = 512, KIB = 1024, MIB = 1 << 20, N_REACTORS = 2 };

struct fixture {
	struct reactor *reactor[N_REACTORS];
	struct arena *arena;
	struct backend *backend;
	struct volume *v;
	char path[32];
	bool is_device;
	int fd; /* looks at the file behind the server's back */
};

/* --- a call on a reactor, waited for --- */
struct call {
	struct io_work work;
	struct vol_op op;
	struct landing l;
	struct fixture *f;
	struct io *io;
	enum { CALL_READ, CALL_WRITE, CALL_ZERO, CALL_FLUSH } what;
	uint8_t *bytes;
	int end;
	sem_t done;
};

static void call_done(struct vol_op *op, int end)
{
	struct call *c = container_of(op, struct call, op);

	c->end = end;
	if (c->what == CALL_READ && !end)
		copy_iov(c->bytes, op->iov, op->n_iov);
	if (c->what == CALL_READ)
		volume_unpin(op);
	sem_post(&c->done);
}

static void call_run(struct io_work *work)
{
	struct call *c = container_of(work, struct call, work);

	c->op.gen = volume_gen(c->f->v);
	switch (c->what) {
	case CALL_READ:
		volume_read(&c->op);
		break;
	case CALL_WRITE:
		landing_init(&c->l, c->f->v, c->op.off, (uint32_t)c->op.len, NULL);
		check(!landing_take(&c->l, (uint32_t)c->op.len, false));
		fill_iov(c->l.iov, c->l.n_iov, c->bytes);
		volume_commit(&c->op, &c->l);
		break;
	case CALL_ZERO:
		volume_zero(&c->op, true);
		break;
	case CALL_FLUSH:
		volume_flush(&c->op);
		break;
	}
}

static void call(
	struct fixture *f, unsigned reactor, int what, uint64_t off, uint64_t len, void *bytes)
{
	struct call c = {.f = f, .what = what, .bytes = bytes};
	struct io *io = reactor_io(f->reactor[reactor]);

	c.op = (struct vol_op){.v = f->v, .io = io, .done = call_done, .off = off, .len = len};
	sem_init(&c.done, 0, 0);
	list_init(&c.work.link);
	c.work.fn = call_run;
	io_post(io, &c.work);
	while (sem_wait(&c.done))
		continue;
	assert_int_equal(c.end, 0);
	sem_destroy(&c.done);
}

/* --- fixture --- */
static bool start(struct fixture **fp, enum engine engine, const char *device, uint64_t size,
	uint64_t n_cache, bool lend)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct reactor_params rp = {.engine = engine};
	struct file_params fp_ = {.path = f->path, .create_size = size, .block = SECTOR};
	const char *reason;
	char err[256];

	for (unsigned i = 0; i < N_REACTORS; i++)
		if (reactor_new(&f->reactor[i], i, &rp, &reason)) {
			print_message("engine refused: %s\n", reason ? reason : "");
			while (i--)
				reactor_free(f->reactor[i]);
			free(f);
			return false;
		}
	if (device)
		snprintf(f->path, sizeof(f->path), "%s", device);
	else
		snprintf(f->path, sizeof(f->path), "test-file-%d.img", (int)getpid());
	f->is_device = device;
	if (!device)
		unlink(f->path);
	f->arena = file_arena(n_cache);
	if (backend_file_open(&f->backend, &fp_, err, sizeof(err)))
		fail_msg("%s", err);
	f->v = file_volume(f->backend, f->arena, SECTOR);
	f->fd = open(f->path, O_RDWR);
	for (unsigned i = 0; i < N_REACTORS; i++) {
		if (lend)
			io_lend_memory(reactor_io(f->reactor[i]), arena_base(f->arena),
				arena_n_pages(f->arena) * ARENA_PAGE);
		assert_int_equal(reactor_start(f->reactor[i]), 0);
	}
	*fp = f;
	return true;
}

static void stop(struct fixture *f)
{
	for (unsigned i = 0; i < N_REACTORS; i++) {
		reactor_stop(f->reactor[i]);
		reactor_join(f->reactor[i]);
	}
	arena_check(f->arena);
	volume_free(f->v);
	assert_int_equal(arena_n_lent(f->arena), 0);
	arena_free(f->arena);
	for (unsigned i = 0; i < N_REACTORS; i++)
		reactor_free(f->reactor[i]);
	close(f->fd);
	if (!f->is_device)
		unlink(f->path);
	free(f);
}

#define ENGINE_OF(state) (*(enum engine *)*(state))

static void random_bytes(uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)rand();
}

/* --- cases --- */
static void what_is_written_is_read_and_on_disk(void **state)
{
	enum { SIZE = 48 * MIB };
	uint8_t *model = malloc(SIZE), *got = malloc(SIZE);
	struct fixture *f;

	if (!start(&f, ENGINE_OF(state), NULL, SIZE, 6000, true)) /* half of it fits */
		skip();
	random_bytes(model, SIZE);
	for (uint64_t off = 0; off < SIZE; off += 3 * MIB)
		call(f, (unsigned)(off / MIB) % 2, CALL_WRITE, off, 3 * MIB, model + off);
	for (int i = 0; i < 300; i++) {
		uint32_t len = SECTOR * (1 + (unsigned)rand() % 100);
		uint64_t off = SECTOR * (uint64_t)(rand() % ((SIZE - len) / SECTOR));

		random_bytes(model + off, len);
		call(f, (unsigned)i % 2, CALL_WRITE, off, len, model + off);
	}
	call(f, 0, CALL_FLUSH, 0, SIZE, NULL);
	assert_int_equal(pread(f->fd, got, SIZE, 0), SIZE);
	assert_memory_equal(got, model, SIZE);
	memset(got, 0, SIZE);
	for (uint64_t off = 0; off < SIZE; off += 8 * MIB)
		call(f, (unsigned)(off / MIB) % 2, CALL_READ, off, 8 * MIB, got + off);
	assert_memory_equal(got, model, SIZE);
	stop(f);
	free(model);
	free(got);
}

static void a_tail_that_is_not_aligned_is_kept(void **state)
{
	enum { SIZE = 1 * MIB + 1536 };
	uint8_t *model = malloc(SIZE), *got = malloc(SIZE);
	struct fixture *f;

	if (!start(&f, ENGINE_OF(state), NULL, SIZE, 1024, false))
		skip();
	for (int i = 0; i < 30; i++) {
		uint32_t len = SECTOR * (1 + (unsigned)rand() % 16);

		if (i == 0)
			len = SIZE;
		random_bytes(model + SIZE - len, len);
		call(f, (unsigned)i % 2, CALL_WRITE, SIZE - len, len, model + SIZE - len);
		assert_int_equal(pread(f->fd, got, SIZE, 0), SIZE);
		assert_memory_equal(got, model, SIZE);
	}
	call(f, 0, CALL_ZERO, SIZE - 9 * SECTOR, 9 * SECTOR, NULL);
	memset(model + SIZE - 9 * SECTOR, 0, 9 * SECTOR);
	call(f, 0, CALL_READ, 0, SIZE, got);
	assert_memory_equal(got, model, SIZE);
	assert_int_equal(pread(f->fd, got, SIZE, 0), SIZE);
	assert_memory_equal(got, model, SIZE);
	stop(f);
	free(model);
	free(got);
}

static void unmapping_punches_holes(void **state)
{
	enum { SIZE = 16 * MIB };
	uint8_t *bytes = malloc(SIZE);
	struct fixture *f;
	struct stat full, empty;

	if (!start(&f, ENGINE_OF(state), NULL, SIZE, 6000, false))
		skip();
	memset(bytes, 1, SIZE);
	call(f, 0, CALL_WRITE, 0, SIZE, bytes);
	assert_int_equal(fstat(f->fd, &full), 0);
	call(f, 0, CALL_ZERO, 1 * MIB + 512, 14 * MIB, NULL);
	assert_int_equal(fstat(f->fd, &empty), 0);
	if (volume_backend_info(f->v)->caps & BACKEND_PUNCH)
		assert_true(empty.st_blocks + 13 * MIB / 512 < full.st_blocks);
	memset(bytes + 1 * MIB + 512, 0, 14 * MIB);
	uint8_t *got = malloc(SIZE);
	call(f, 1, CALL_READ, 0, SIZE, got);
	assert_memory_equal(got, bytes, SIZE);
	stop(f);
	free(bytes);
	free(got);
}

/* --- block devices --- */
/* A loop device over the fixture's kind of file: its descriptor, or -1 where we may not. */
static int loop_attach(char *path, size_t path_len, int file)
{
	struct loop_config config = {.fd = (uint32_t)file, .info.lo_flags = LO_FLAGS_AUTOCLEAR};
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), fd = -1, n;

	if (control < 0)
		return -1;
	n = ioctl(control, LOOP_CTL_GET_FREE);
	close(control);
	if (n < 0)
		return -1;
	snprintf(path, path_len, "/dev/loop%d", n);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0 && ioctl(fd, LOOP_CONFIGURE, &config) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static void a_block_device_is_served(void **state)
{
	enum { SIZE = 8 * MIB };
	char image[] = "test-loop-XXXXXX", path[32];
	int file = mkstemp(image), loop;
	uint8_t *model = malloc(SIZE), *got = malloc(SIZE);
	struct fixture *f = NULL;

	unlink(image);
	assert_int_equal(ftruncate(file, SIZE), 0);
	loop = loop_attach(path, sizeof(path), file);
	close(file);
	if (loop < 0 || !start(&f, ENGINE_OF(state), path, SIZE, 6000, true)) {
		free(model);
		free(got);
		skip();
	}
	assert_int_equal(volume_backend_info(f->v)->size, SIZE);
	random_bytes(model, SIZE);
	call(f, 0, CALL_WRITE, 0, 3 * MIB, model);
	call(f, 1, CALL_WRITE, 3 * MIB, SIZE - 3 * MIB, model + 3 * MIB);
	call(f, 0, CALL_WRITE, 5 * SECTOR, 7 * SECTOR, model + 5 * SECTOR);
	call(f, 0, CALL_ZERO, 1 * MIB + SECTOR, 4 * MIB, NULL);
	memset(model + 1 * MIB + SECTOR, 0, 4 * MIB);
	call(f, 1, CALL_READ, 0, SIZE, got);
	assert_memory_equal(got, model, SIZE);
	stop(f);
	assert_int_equal(pread(loop, got, SIZE, 0), SIZE);
	assert_memory_equal(got, model, SIZE);
	close(loop); /* and it is gone */
	free(model);
	free(got);
}

/* --- two reactors write into the same pages --- */
enum { DEPTH = 6, PER_ACTOR = 64, GROUP = 43, BORDER = 4096, MOST = 12 * 6 * N_REACTORS };

/* Each actor owns every other unit of so many sectors; or all write the one group. */
struct shape {
	uint32_t lba, unit, n_units;
	bool group;
};
static const struct shape sectors = {0, 1, PER_ACTOR};
static const struct shape stripes = {
	BORDER - 12 * 6 - 6, 12, 6}; /* one across the border of two leaves */
static const struct shape group = {BORDER - 21, GROUP, 1, true};

struct actor;
struct act {
	struct vol_op op;
	struct landing l;
	struct actor *actor;
	bool reads;
	uint32_t n;
	uint32_t k;
	uint64_t lba, counter;
};

struct actor {
	struct io_work work;
	struct fixture *f;
	struct io *io;
	uint32_t number;
	const struct shape *shape;
	uint64_t seed, counter, left;
	unsigned n_running;
	uint64_t last[PER_ACTOR]; /* acknowledged, by sector */
	bool busy[PER_ACTOR];
	struct act acts[DEPTH];
	sem_t done;
};

static uint32_t draw(struct actor *a, uint32_t below)
{
	a->seed = a->seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((a->seed >> 33) % below);
}

static void mark(uint8_t *sector, uint64_t counter)
{
	for (unsigned i = 0; i < SECTOR; i += 8)
		memcpy(sector + i, &counter, 8);
}

static uint64_t mark_of(const uint8_t *sector)
{
	uint64_t first, other;

	memcpy(&first, sector, 8);
	for (unsigned i = 8; i < SECTOR; i += 8) {
		memcpy(&other, sector + i, 8);
		check(other == first);
	}
	return first;
}

static void act_next(struct act *t);

/* Units are whole. */
static void check_units(struct act *t)
{
	static _Thread_local uint8_t bytes[MOST * SECTOR];
	uint32_t unit = t->actor->shape->unit;

	check(t->op.len <= sizeof(bytes));
	copy_iov(bytes, t->op.iov, t->op.n_iov);
	for (uint32_t i = 0; i < t->n; i++)
		check(mark_of(bytes + i * SECTOR) == mark_of(bytes + i / unit * unit * SECTOR));
}

static void act_done(struct vol_op *op, int end)
{
	struct act *t = container_of(op, struct act, op);
	struct actor *a = t->actor;

	check(!end);
	a->n_running--;
	if (t->reads) {
		check_units(t);
		volume_unpin(op);
	} else {
		a->last[t->k] = t->counter;
		a->busy[t->k] = false;
	}
	act_next(t);
}

static void act_pick(struct act *t)
{
	struct actor *a = t->actor;
	const struct shape *s = a->shape;

	t->reads = draw(a, 4) == 0;
	t->lba = s->lba;
	t->n = s->unit * (s->group ? 1 : s->n_units * N_REACTORS);
	if (t->reads)
		return;
	do
		t->k = draw(a, s->n_units);
	while (a->busy[t->k] && !s->group);
	a->busy[t->k] = true;
	t->lba += (t->k * N_REACTORS + (s->group ? 0 : a->number)) * s->unit;
	t->n = s->unit;
}

static void act_next(struct act *t)
{
	struct actor *a = t->actor;
	uint8_t sector[SECTOR];

	if (!a->left) {
		if (!a->n_running)
			sem_post(&a->done);
		return;
	}
	a->left--;
	a->n_running++;
	act_pick(t);
	t->op = (struct vol_op){
		.v = a->f->v,
		.io = a->io,
		.done = act_done,
		.off = t->lba * SECTOR,
		.len = t->n * SECTOR,
	};
	if (t->reads) {
		volume_read(&t->op);
		return;
	}
	t->counter = ++a->counter * N_REACTORS + a->number;
	landing_init(&t->l, a->f->v, t->op.off, (uint32_t)t->op.len, NULL);
	check(!landing_take(&t->l, (uint32_t)t->op.len, false));
	mark(sector, t->counter);
	for (unsigned i = 0; i < t->l.n_iov; i++)
		for (size_t k = 0; k < t->l.iov[i].iov_len; k += SECTOR)
			memcpy((uint8_t *)t->l.iov[i].iov_base + k, sector, SECTOR);
	volume_commit(&t->op, &t->l);
}

static void actor_run(struct io_work *work)
{
	struct actor *a = container_of(work, struct actor, work);

	for (unsigned i = 0; i < DEPTH; i++) {
		a->acts[i].actor = a;
		act_next(&a->acts[i]);
	}
}

static void run_actors(
	struct fixture *f, struct actor *actors, const struct shape *shape, uint64_t n)
{
	for (unsigned i = 0; i < N_REACTORS; i++) {
		struct actor *a = &actors[i];

		memset(a, 0, sizeof(*a));
		a->f = f;
		a->io = reactor_io(f->reactor[i]);
		a->number = i;
		a->shape = shape;
		a->seed = i + 1;
		a->left = n;
		sem_init(&a->done, 0, 0);
		list_init(&a->work.link);
		a->work.fn = actor_run;
	}
	for (unsigned i = 0; i < N_REACTORS; i++)
		io_post(actors[i].io, &actors[i].work);
	for (unsigned i = 0; i < N_REACTORS; i++)
		while (sem_wait(&actors[i].done))
			continue;
}

static void race(enum engine engine, const struct shape *s, uint64_t n)
{
	static struct actor actors[N_REACTORS];
	static uint8_t bytes[MOST * SECTOR], disk[sizeof(bytes)];
	uint32_t len = s->unit * s->n_units * (s->group ? 1 : N_REACTORS) * SECTOR;
	struct fixture *f;

	if (!start(&f, engine, NULL, 4 * MIB, 1024, true))
		skip();
	run_actors(f, actors, s, n);
	call(f, 0, CALL_READ, s->lba * SECTOR, len, bytes);
	for (uint32_t i = 0; !s->group && i < len / SECTOR; i++) {
		uint32_t k = i / s->unit;

		assert_int_equal(
			mark_of(bytes + i * SECTOR), actors[k % N_REACTORS].last[k / N_REACTORS]);
	}
	assert_int_equal(pread(f->fd, disk, len, s->lba * SECTOR), len);
	assert_memory_equal(disk, bytes, len);
	stop(f);
}

static void no_acknowledged_sector_is_lost(void **state)
{
	race(ENGINE_OF(state), &sectors, effort(20000));
}

static void no_acknowledged_stripe_is_lost(void **state)
{
	race(ENGINE_OF(state), &stripes, effort(8000));
}

static void no_reader_sees_half_a_write(void **state)
{
	race(ENGINE_OF(state), &group, effort(4000));
}

#define CASE(fn, engine)                                                                           \
	{                                                                                          \
#fn " (" #engine ")", fn, NULL, NULL, &engine                                      \
	}

int main(void)
{
	static enum engine epoll = ENGINE_EPOLL, uring = ENGINE_URING;
	const struct CMUnitTest tests[] = {
		CASE(what_is_written_is_read_and_on_disk, epoll),
		CASE(what_is_written_is_read_and_on_disk, uring),
		CASE(a_tail_that_is_not_aligned_is_kept, epoll),
		CASE(a_tail_that_is_not_aligned_is_kept, uring),
		CASE(unmapping_punches_holes, epoll),
		CASE(unmapping_punches_holes, uring),
		CASE(a_block_device_is_served, epoll),
		CASE(a_block_device_is_served, uring),
		CASE(no_acknowledged_sector_is_lost, epoll),
		CASE(no_acknowledged_sector_is_lost, uring),
		CASE(no_acknowledged_stripe_is_lost, epoll),
		CASE(no_acknowledged_stripe_is_lost, uring),
		CASE(no_reader_sees_half_a_write, epoll),
		CASE(no_reader_sees_half_a_write, uring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
