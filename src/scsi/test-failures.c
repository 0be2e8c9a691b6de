/* test-failures.c - what a command makes of a volume that fails, is slow, is full, or is unlike the
 * RAM ones.
 *
 * The volume here is a double: it holds no content, ends each operation as it is told, at once or
 * when it is told, and takes landings from a real, small arena. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "be.h"
#include "check.h"
#include "rig.h"
#include "watch.h"

/* --- the double --- */

struct volume {
	uint64_t size;
	struct arena *arena;
	const struct backend_info *info;
	uint32_t gen;
};

static struct {
	int end;          /* of the next operations */
	uint64_t bad;     /* where they say that it was; 0: they do not */
	bool hold;        /* they wait for finish() */
	bool source;      /* it was the reading of a copy that failed */
	bool cancel_ends; /* volume_cancel() ends the held one from inside */
	struct vol_op *held;
	unsigned n_ops, n_cancels, n_bases, n_soon;
	bool durable, dpo;   /* the last op's */
	unsigned fail_alloc; /* so many allocations fail */
	bool can_back, back; /* write-back */
	uint32_t n_faults;   /* of it */
	int fault;
	bool has_room, low; /* of what it may still take */
	uint32_t n_lows;
} fake;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);

void *__wrap_malloc(size_t n)
{
	return fake.fail_alloc && fake.fail_alloc-- ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fake.fail_alloc && fake.fail_alloc-- ? NULL : __real_calloc(n, size);
}

int volume_new(struct volume **vp, const struct volume_params *p)
{
	struct volume *v = calloc(1, sizeof(*v));

	check(v);
	v->size = p->size;
	v->arena = p->arena;
	v->info = p->backend ? &p->backend->info : NULL;
	*vp = v;
	return 0;
}

struct volume *volume_free(struct volume *v)
{
	arena_check(v->arena);
	arena_free(v->arena);
	free(v);
	return NULL;
}

enum { SMALL_ARENA = 128 };

uint64_t volume_ram_pages(uint64_t size)
{
	return SMALL_ARENA;
}
uint64_t volume_size(const struct volume *v)
{
	return v->size;
}
struct arena *volume_arena(const struct volume *v)
{
	return v->arena;
}
const struct backend_info *volume_backend_info(const struct volume *v)
{
	return v->info;
}
uint64_t volume_mapped_bytes(const struct volume *v)
{
	return SMALL_ARENA * ARENA_PAGE;
}
uint32_t volume_gen(const struct volume *v)
{
	return v->gen;
}
void volume_gen_next(struct volume *v)
{
	v->gen++;
}
bool volume_can_write_back(const struct volume *v)
{
	return fake.can_back;
}
bool volume_write_back(const struct volume *v)
{
	return fake.back;
}
void volume_set_write_back(struct volume *v, bool on)
{
	fake.back = on;
}
uint32_t volume_fault(const struct volume *v, int *errorp)
{
	*errorp = fake.fault;
	return fake.n_faults;
}
int volume_room(const struct volume *v, uint64_t *usedp, uint64_t *availablep)
{
	*usedp = 5ull << 20;
	*availablep = 7ull << 20;
	return v->info && fake.has_room ? 0 : -EOPNOTSUPP;
}
uint64_t volume_low_mark(const struct volume *v)
{
	return 3 << 20;
}
uint32_t volume_lows(const struct volume *v)
{
	return fake.n_lows;
}
bool volume_is_low(const struct volume *v)
{
	return fake.low;
}
uint32_t volume_faults(const struct volume *v)
{
	return fake.n_faults;
}
void volume_start(struct volume *v, struct io *io) {}
bool volume_leave(struct volume *v, struct io *io)
{
	return true;
}

static void finish(int end)
{
	struct vol_op *op = fake.held;

	check(op);
	fake.held = NULL;
	op->bad = fake.bad ? fake.bad : VOL_NOWHERE;
	op->done(op, end);
}

static void operation(struct vol_op *op)
{
	fake.n_ops++;
	fake.durable = op->durable;
	fake.dpo = op->dpo;
	check(!fake.held);
	fake.held = op;
	if (!fake.hold)
		finish(fake.end);
}

void volume_read(struct vol_op *op)
{
	static uint8_t zeros[4096];
	static struct iovec iov[4096];

	check(op->len <= 16 << 20);
	op->iov = iov;
	op->n_iov = 0;
	for (uint64_t at = 0; at < op->len; at += 4096)
		iov[op->n_iov++] = (struct iovec){zeros, MIN(op->len - at, (uint64_t)4096)};
	operation(op);
}

void volume_unpin(struct vol_op *op) {}
void volume_base(struct volume *v, struct io *io, uint64_t off, uint64_t len)
{
	fake.n_bases++;
}

void volume_commit(struct vol_op *op, struct landing *l)
{
	check(l->have == op->len);
	landing_drop(l);
	operation(op);
}

void volume_update(struct vol_op *op, vol_build_fn build, void *ctx)
{
	operation(op);
}
void volume_zero(struct vol_op *op, bool unmap)
{
	operation(op);
}
void volume_same(struct vol_op *op, const void *block)
{
	operation(op);
}
void volume_copy(struct vol_op *op, struct volume *from, uint64_t from_off)
{
	op->source = fake.source;
	operation(op);
}
void volume_flush(struct vol_op *op)
{
	operation(op);
}

void volume_flush_soon(struct volume *v, struct io *io)
{
	fake.n_soon++;
}

void volume_status(struct vol_op *op)
{
	op->mapped = true;
	op->where = op->len;
	operation(op);
}

struct watch *volume_watch(struct volume *v, const struct watch_range *ranges, unsigned n)
{
	return NULL;
}
struct watch *watch_get(struct watch *w)
{
	return w;
}
struct watch *watch_put(struct watch *w)
{
	return NULL;
}
void volume_changed(struct volume *v, uint64_t off, uint64_t len, const struct watch *but) {}
void volume_cancel(struct vol_op *op)
{
	fake.n_cancels++;
	check(fake.held == op);
	if (fake.cancel_ends)
		finish(VOL_STALE);
}

void landing_init(struct landing *l, struct volume *v, uint64_t off, uint32_t len, struct quota *q)
{
	memset(l, 0, sizeof(*l));
	l->v = v;
	l->off = off;
	l->len = len;
	l->quota = q;
	l->runs = l->few;
	l->iov = l->few_iov;
}

int landing_take(struct landing *l, uint32_t upto, bool line_aligned)
{
	uint32_t n =
		(uint32_t)((l->off % ARENA_PAGE + upto + ARENA_PAGE - 1) / ARENA_PAGE) - l->n_pages;
	uint32_t n_quota;
	unsigned n_runs;
	int r = arena_take(l->v->arena, ARENA_OPEN, l->quota, n, false, l->runs + l->n_runs,
		LANDING_RUNS - l->n_runs, &n_runs, &n_quota);

	if (r)
		return r == ARENA_FULL ? VOL_FULL : r;
	l->n_runs += n_runs;
	l->n_pages += n;
	l->n_quota += n_quota;
	l->iov[l->n_iov++] =
		(struct iovec){arena_ptr(l->v->arena, l->runs[0].page), upto - l->have};
	l->have = upto;
	return 0;
}

void landing_drop(struct landing *l)
{
	for (unsigned i = 0; i < l->n_runs; i++)
		arena_unref(l->v->arena, l->runs[i].page, l->runs[i].n_pages);
	if (l->quota)
		quota_settle(l->quota, l->n_quota);
	landing_init(l, l->v, l->off, l->len, l->quota);
}

/* --- the rig --- */

enum { DISK, HUGE_DISK, THICK };
static struct rig rig;
static struct lu *disk;
static struct scsi_cmd cmd;
static uint8_t data[1 << 20];
static unsigned n_done, n_rooms;

static void on_done(struct scsi_cmd *c)
{
	n_done++;
}

static void on_room(struct scsi_cmd *c)
{
	n_rooms++;
	scsi_room(c);
}

static const struct scsi_ops ops = {.done = on_done, .room = on_room};

static int setup(void **state)
{
	static struct backend thick = {.info = {.caps = BACKEND_ROTATES}};

	memset(&fake, 0, sizeof(fake));
	n_done = n_rooms = 0;
	rig_init(&rig);
	disk = rig_unit(&rig, &(struct rig_unit){.lun = DISK, .size = 1 << 30, .block = 512});
	rig_unit(&rig, &(struct rig_unit){.lun = HUGE_DISK, .size = 1ULL << 62, .block = 512});
	rig_unit(&rig, &(struct rig_unit){
			       .lun = THICK, .size = 1 << 20, .block = 4096, .backend = &thick});
	return 0;
}

static int teardown(void **state)
{
	while (rig_turn(&rig))
		;
	rig_deinit(&rig);
	return 0;
}

#define CDB(...)                 ((const uint8_t[16]){__VA_ARGS__})
#define NONE(lun, cdb)           rig_run(&rig, lun, cdb, false, false, 0, NULL)
#define IN(lun, cdb, room)       rig_run(&rig, lun, cdb, true, false, room, NULL)
#define OUT(lun, cdb, from, len) rig_run(&rig, lun, cdb, false, true, len, from)
#define STATUS(command, want)                                                                      \
	do {                                                                                       \
		command;                                                                           \
		assert_int_equal(rig.last.status, want);                                           \
	} while (0)
#define GOOD(command) STATUS(command, SCSI_GOOD)
#define BAD(command, key, asc, ascq)                                                               \
	do {                                                                                       \
		STATUS(command, SCSI_CHECK_CONDITION);                                             \
		assert_int_equal(rig.last.sense[2] << 16 | get_be16(rig.last.sense + 12),          \
			(key) << 16 | (asc) << 8 | (ascq));                                        \
	} while (0)

#define WRITE_8K CDB(0x2a, 0, 0, 0, 0, 8, 0, 0, 16)

static void begin(struct scsi_cmd *c, const uint8_t *cdb, uint32_t edtl, uint32_t unsolicited)
{
	memset(c, 0, sizeof(*c));
	c->ops = &ops;
	c->io = &rig.io;
	c->nexus = &rig.nexus;
	c->lun = scsi_lun_wire(DISK);
	memcpy(c->cdb, cdb, SCSI_CDB_MAX);
	c->write = edtl > 0;
	c->edtl = edtl;
	c->unsolicited = unsolicited;
	scsi_prepare(c);
}

static uint64_t lent(void)
{
	return arena_n_lent(volume_arena(disk->volume));
}

/* --- ends of operations --- */

static const uint8_t unmap_two[] = {0, 38, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0, 0, 8, 0, 0, 0, 0};

static const struct {
	uint8_t cdb[16];
	bool read;
	uint32_t edtl;
	const uint8_t *from;
	unsigned asc; /* of the machine's error: a read's or a write's */
} commands[] = {
	{{0x28, 0, 0, 0, 0, 8, 0, 0, 16}, true, 8192, NULL, 0x11},
	{{0x2a, 0, 0, 0, 0, 8, 0, 0, 16}, false, 8192, data, 0x0c},
	{{0x2f, 0, 0, 0, 0, 8, 0, 0, 16}, false, 0, NULL, 0x11},
	{{0x2f, 2, 0, 0, 0, 8, 0, 0, 16}, false, 8192, data, 0x11}, {{0x35}, false, 0, NULL, 0x0c},
	{{0x41, 0, 0, 0, 0, 8, 0, 0, 16}, false, 512, data, 0x0c},
	{{0x42, 0, 0, 0, 0, 0, 0, 0, 40}, false, 40, unmap_two, 0x0c},
	{{0x89, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 2}, false, 2048, data, 0x0c},
	{{0x1b}, false, 0, NULL, 0x0c}, /* the last: it stops the unit */
};

#define EACH_COMMAND(i) for (unsigned i = 0; i < ARRAY_LEN(commands); i++)
#define RUN(i)                                                                                     \
	rig_run(&rig, DISK, commands[i].cdb, commands[i].read,                                     \
		!commands[i].read && commands[i].edtl, commands[i].edtl, commands[i].from)

static void test_errors_of_the_machine(void **state)
{
	EACH_COMMAND(i)
	{
		fake.end = -EIO;
		BAD(RUN(i), 3, commands[i].asc, 0);
		assert_int_equal(
			rig.last.sense[0], 0x70); /* which of sixteen blocks is not known */
		fake.end = -ENOSPC;
		BAD(RUN(i), 7, 0x27, 7);
		fake.end = -ENOMEM;
		STATUS(RUN(i), SCSI_BUSY);
		fake.end = VOL_FULL;
		STATUS(RUN(i), SCSI_TASK_SET_FULL);
		fake.end = VOL_STALE;
		RUN(i);
		assert_true(rig.last.aborted);
		fake.end = 0;
		GOOD(RUN(i));
		assert_false(rig.last.aborted);
		assert_int_equal(lent(), 0);
	}
}

static void test_information_names_the_only_block(void **state)
{
	fake.end = -EIO;
	BAD(IN(DISK, CDB(0x28, 0, 0, 0, 1, 8, 0, 0, 1), 512), 3, 0x11, 0);
	assert_int_equal(rig.last.sense[0], 0xf0);
	assert_int_equal(get_be32(rig.last.sense + 3), 0x108);
}

static void test_information_names_the_first_block_that_failed(void **state)
{
	fake.end = -EIO;
	fake.bad = 0x10d * 512;
	BAD(IN(DISK, CDB(0x28, 0, 0, 0, 1, 8, 0, 0, 16), 8192), 3, 0x11, 0);
	assert_int_equal(rig.last.sense[0], 0xf0);
	assert_int_equal(get_be32(rig.last.sense + 3), 0x10d);
	/* the base of a page that is written in part: no block of the command's */
	fake.bad = 0x107 * 512;
	BAD(OUT(DISK, CDB(0x2a, 0, 0, 0, 1, 8, 0, 0, 16), data, 8192), 3, 0x0c, 0);
	assert_int_equal(rig.last.sense[0], 0x70);
	fake.bad = 0;
}

static void test_a_stop_that_cannot_flush_does_not_stop(void **state)
{
	fake.end = -EIO;
	BAD(NONE(DISK, CDB(0x1b)), 3, 0x0c, 0);
	GOOD(NONE(DISK, CDB(0)));
	GOOD(NONE(DISK, CDB(0x1b, 0, 0, 0, 4))); /* NO_FLUSH */
	STATUS(NONE(DISK, CDB(0)), SCSI_CHECK_CONDITION);
}

static void test_unmap_stops_at_the_first_error(void **state)
{
	fake.end = -EIO;
	fake.n_ops = 0;
	BAD(OUT(DISK, CDB(0x42, 0, 0, 0, 0, 0, 0, 0, 40), unmap_two, 40), 3, 0x0c, 0);
	assert_int_equal(fake.n_ops, 1);
}

static void test_fua_asks_for_durable(void **state)
{
	GOOD(OUT(DISK, CDB(0x2a, 0x08, 0, 0, 0, 8, 0, 0, 1), data, 512));
	assert_true(fake.durable);
	GOOD(OUT(DISK, CDB(0x2a, 0x10, 0, 0, 0, 8, 0, 0, 1), data, 512));
	assert_false(fake.durable);
	GOOD(OUT(DISK, CDB(0x0a, 0x08, 0, 0, 1), data, 512)); /* six bytes: an LBA bit */
	assert_false(fake.durable);
}

static void test_dpo_is_passed_on(void **state)
{
	GOOD(IN(DISK, CDB(0x28, 0x10, 0, 0, 0, 8, 0, 0, 1), 512));
	assert_true(fake.dpo);
	GOOD(IN(DISK, CDB(0x28, 0x08, 0, 0, 0, 8, 0, 0, 1), 512));
	assert_false(fake.dpo);
	GOOD(IN(DISK, CDB(0x88, 0x18, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 1), 512));
	assert_true(fake.dpo && fake.durable);
	GOOD(IN(DISK, CDB(0x08, 0x10, 0, 0, 1), 512)); /* six bytes: an LBA bit */
	assert_false(fake.dpo);
}

static void test_base_is_fetched_for_partial_pages(void **state)
{
	GOOD(OUT(DISK, CDB(0x2a, 0, 0, 0, 0, 8, 0, 0, 8), data, 4096));
	assert_int_equal(fake.n_bases, 0);
	GOOD(OUT(DISK, CDB(0x2a, 0, 0, 0, 0, 9, 0, 0, 8), data, 4096));
	GOOD(OUT(DISK, CDB(0x2a, 0, 0, 0, 0, 8, 0, 0, 7), data, 7 * 512));
	assert_int_equal(fake.n_bases, 2);
}

static void test_no_memory(void **state)
{
	static struct lu_map map;

	fake.fail_alloc = 1; /* the body */
	STATUS(NONE(DISK, CDB(0)), SCSI_BUSY);
	GOOD(NONE(DISK, CDB(0)));
	fake.fail_alloc = 1; /* a list of more than a body holds */
	STATUS(OUT(DISK, CDB(0x42, 0, 0, 0, 0, 0, 0, 4, 0), data, 1024), SCSI_BUSY);
	assert_int_equal(rig.last.out_len, 0);
	fake.fail_alloc = 1;
	for (map.n = 0; map.n < 200; map.n++)
		map.lu[map.n] = disk;
	rig.nexus.luns = &map;
	STATUS(IN(DISK, CDB(0xa0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff), 0xffff), SCSI_BUSY);
	GOOD(IN(DISK, CDB(0xa0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff), 0xffff));
	assert_int_equal(rig.in_len, 8 + 200 * 8);
}

/* A READ or WRITE allocates nothing once its nexus has a spare body. */
static void test_fast_path_allocates_nothing(void **state)
{
	GOOD(NONE(DISK, CDB(0)));
	fake.fail_alloc = 1;
	GOOD(IN(DISK, CDB(0x28, 0, 0, 0, 0, 8, 0, 0, 64), 64 * 512));
	GOOD(OUT(DISK, WRITE_8K, data, 8192));
	GOOD(NONE(DISK, CDB(0)));
	assert_int_equal(fake.fail_alloc, 1);
	fake.fail_alloc = 0;
}

/* --- abort --- */

static void test_abort_of_what_runs(void **state)
{
	EACH_COMMAND(i)
	{
		for (fake.cancel_ends = false;; fake.cancel_ends = true) {
			fake.hold = true;
			n_done = fake.n_cancels = 0;
			begin(&cmd, commands[i].cdb, commands[i].read ? 0 : commands[i].edtl, 0);
			cmd.read = commands[i].read;
			cmd.edtl = commands[i].edtl;
			if (commands[i].from)
				rig_fill(&cmd, commands[i].from);
			scsi_execute(&cmd);
			assert_int_equal(n_done, 0);
			assert_false(scsi_abort(&cmd));
			assert_int_equal(fake.n_cancels, 1);
			assert_int_equal(n_done, 0); /* never from inside */
			if (!fake.cancel_ends)
				finish(0);
			while (rig_turn(&rig))
				;
			assert_int_equal(n_done, 1);
			assert_true(cmd.aborted);
			assert_null(fake.held);
			scsi_release(&cmd);
			assert_int_equal(lent(), 0);
			if (fake.cancel_ends)
				break;
		}
	}
}

/* Between two turns of a long command nothing is under way that could be cancelled. */
static void test_abort_between_steps(void **state)
{
	static uint8_t list[8 + 16 * 200];

	put_be16(list + 2, 16 * 200);
	for (unsigned i = 0; i < 200; i++)
		put_be32(list + 8 + 16 * i + 8, 8);
	begin(&cmd, CDB(0x42, 0, 0, 0, 0, 0, 0, sizeof(list) >> 8, sizeof(list) & 0xff),
		sizeof(list), 0);
	rig_fill(&cmd, list);
	scsi_execute(&cmd);
	assert_int_equal(n_done, 0);
	assert_true(fake.n_ops >= 32 && fake.n_ops <= 64);
	assert_true(rig_turn(&rig));
	assert_true(fake.n_ops > 64 && fake.n_ops <= 128);
	assert_false(scsi_abort(&cmd));
	assert_int_equal(n_done, 0);
	while (rig_turn(&rig))
		;
	assert_int_equal(n_done, 1);
	assert_true(cmd.aborted && fake.n_ops <= 128);
	scsi_release(&cmd);
}

/* --- pages that are not there --- */

static struct arena *arena(void)
{
	return volume_arena(disk->volume);
}

static struct run hog; /* what a silent peer holds */

static void take_all_but(uint32_t n)
{
	unsigned n_runs;
	uint32_t n_quota;

	assert_int_equal(arena_take(arena(), ARENA_OPEN, NULL, (uint32_t)arena_n_open(arena()) - n,
				 false, &hog, 1, &n_runs, &n_quota),
		0);
}

static void give_back(uint32_t n)
{
	arena_unref(arena(), hog.page + hog.n_pages - n, n);
	hog.n_pages -= n;
}

static void end_write(struct scsi_cmd *c)
{
	assert_int_equal(c->out_have, c->out_len);
	scsi_execute(c);
	assert_int_equal(c->status, SCSI_GOOD);
	scsi_release(c);
}

static void turns(void)
{
	while (rig_turn(&rig))
		;
}

static void test_landing_waits_for_pages(void **state)
{
	struct scsi_cmd second;

	take_all_but(1);
	begin(&cmd, WRITE_8K, 8192, 0);
	begin(&second, CDB(0x2a, 0, 0, 0, 0, 8, 0, 0, 8), 4096, 0);
	assert_int_equal(cmd.status, SCSI_GOOD);
	assert_true(
		cmd.out_len == 8192 && cmd.out_have == 0); /* one page is not taken in advance */
	assert_int_equal(second.out_have, 0);              /* and nobody overtakes */
	turns();
	assert_int_equal(n_rooms, 0);
	give_back(1);
	turns();
	assert_true(cmd.out_have == 8192 && second.out_have == 0);
	end_write(&cmd);
	turns();
	assert_int_equal(second.out_have, 4096);
	end_write(&second);
	give_back(hog.n_pages);
}

static void test_unsolicited_bytes_have_places_at_once(void **state)
{
	take_all_but(1);
	begin(&cmd, WRITE_8K, 8192, 4096);
	assert_true(cmd.out_have == 4096 && cmd.out_len == 8192);
	give_back(1);
	turns();
	assert_int_equal(cmd.out_have, 8192);
	assert_int_equal(cmd.n_out_iov, 2);
	end_write(&cmd);
	give_back(hog.n_pages);
	take_all_but(0);
	begin(&cmd, WRITE_8K, 8192, 4096);
	assert_int_equal(cmd.status, SCSI_TASK_SET_FULL);
	assert_true(cmd.out_len == 0 && cmd.n_out_iov == 0 && cmd.out_full == 8192);
	scsi_execute(&cmd);
	assert_int_equal(n_done, 2);
	scsi_release(&cmd);
	give_back(hog.n_pages);
}

static void test_transfer_larger_than_all_memory(void **state)
{
	begin(&cmd, CDB(0x2a, 0, 0, 0, 0, 8, 0, 8, 0), 2048 * 512, 0);
	assert_int_equal(cmd.status, SCSI_TASK_SET_FULL);
	scsi_fail(&cmd, SENSE_INTERNAL_FAILURE);
	scsi_release(&cmd);
}

/* A waiting command goes away: queued, called but not yet run, by abort or by verdict. */
static void test_waiting_commands_go_away(void **state)
{
	for (unsigned how = 0; how < 4; how++) {
		take_all_but(1);
		begin(&cmd, WRITE_8K, 8192, 4096);
		if (how & 1)
			give_back(1); /* the call is posted now */
		if (how & 2)
			assert_true(scsi_abort(&cmd));
		else
			scsi_fail(&cmd, SENSE_INITIATOR_TIMEOUT);
		scsi_release(&cmd);
		n_rooms = 0;
		turns();
		assert_int_equal(n_rooms, 0);
		give_back(hog.n_pages);
		assert_int_equal(lent(), 0);
	}
	GOOD(OUT(DISK, WRITE_8K, data, 8192));
}

/* The same, with the pages arriving by themselves while the post still travels. */
static void test_room_found_before_the_call(void **state)
{
	take_all_but(1);
	begin(&cmd, WRITE_8K, 8192, 0);
	give_back(3);
	scsi_room(&cmd);
	assert_int_equal(cmd.out_have, 8192);
	end_write(&cmd);
	turns();
	assert_int_equal(n_rooms, 0);
	give_back(hog.n_pages);
}

/* What comes back to the nexus's own quota is no open page; the arena's queue does not see it. */
static void test_pages_of_the_quota_come_back(void **state)
{
	struct scsi_cmd second, third;

	assert_int_equal(arena_grant(arena(), &rig.quota, 2), 0);
	rig.nexus.quota = &rig.quota;
	take_all_but(0);
	begin(&cmd, WRITE_8K, 8192, 0);
	assert_int_equal(cmd.out_have, 8192);
	begin(&second, WRITE_8K, 8192, 0);
	begin(&third, WRITE_8K, 8192, 0);
	assert_true(second.out_have == 0 && third.out_have == 0);
	end_write(&cmd);
	turns();
	assert_true(second.out_have == 8192 && third.out_have == 0);
	end_write(&second);
	turns();
	end_write(&third);
	assert_int_equal(rig.quota.n_used, 0);
	give_back(hog.n_pages);
	arena_revoke(&rig.quota);
}

/* --- other units --- */

static void test_addresses_near_the_powers_of_two(void **state)
{
	GOOD(IN(HUGE_DISK, CDB(0x25), 8));
	assert_int_equal(get_be32(rig.in), 0xffffffff);
	GOOD(IN(HUGE_DISK, CDB(0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32), 32));
	assert_true(get_be64(rig.in) == (1ULL << 53) - 1);
	GOOD(IN(HUGE_DISK, CDB(0x28, 0, 255, 255, 255, 255, 0, 0, 2), 1024));
	GOOD(IN(HUGE_DISK, CDB(0x88, 0, 0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 2), 1024));
	GOOD(IN(HUGE_DISK, CDB(0x88, 0, 0, 0x1f, 255, 255, 255, 255, 255, 255, 0, 0, 0, 1), 512));
	BAD(IN(HUGE_DISK, CDB(0x88, 0, 0, 0x1f, 255, 255, 255, 255, 255, 255, 0, 0, 0, 2), 1024), 5,
		0x21, 0);
	BAD(IN(HUGE_DISK, CDB(0x88, 0, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0), 5, 0x21, 0);
	BAD(IN(HUGE_DISK, CDB(0x88, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1), 512), 5, 0x21, 0);
	BAD(IN(HUGE_DISK, CDB(0x88, 0, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 2), 1024),
		5, 0x21, 0);
	BAD(NONE(HUGE_DISK,
		    CDB(0x91, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255)),
		5, 0x21, 0);
	GOOD(NONE(HUGE_DISK, CDB(0x91)));
	assert_true(fake.n_ops > 0);
	GOOD(IN(HUGE_DISK, CDB(0x1a, 0, 0x3f, 0, 255), 255));
	assert_int_equal(get_be32(rig.in + 4), 0xffffffff);
}

static void test_unit_that_is_not_thin(void **state)
{
	GOOD(IN(THICK, CDB(0x12, 1, 0xb2, 0, 255), 255));
	assert_memory_equal(rig.in + 4, ((uint8_t[]){0, 0, 0, 0}), 4);
	GOOD(IN(THICK, CDB(0x12, 1, 0xb0, 0, 255), 255));
	assert_true(get_be64(rig.in + 20) == 0 && get_be64(rig.in + 28) == 0);
	GOOD(IN(THICK, CDB(0x12, 1, 0xb1, 0, 255), 255));
	assert_int_equal(get_be16(rig.in + 4), 0);
	GOOD(IN(THICK, CDB(0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32), 32));
	assert_int_equal(rig.in[14], 0);
	BAD(OUT(THICK, CDB(0x42, 0, 0, 0, 0, 0, 0, 0, 40), unmap_two, 40), 5, 0x20, 0);
	GOOD(IN(THICK, CDB(0xa3, 0x0c, 1, 0x42, 0, 0, 0, 0, 0, 64), 64));
	assert_int_equal(rig.in[1], 1);
	BAD(OUT(THICK, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 1), data, 4096), 7, 0x27,
		0); /* cannot write */
}

static void test_units_that_cannot_be(void **state)
{
	struct lu_params p = {
		.volume = disk->volume, .target = "t", .block = 512, .physical = 4096};
	struct lu *l = NULL;

	p.block = 1024;
	assert_int_equal(lu_new(&l, &p), -EINVAL);
	p.block = 4096;
	p.physical = 512;
	assert_int_equal(lu_new(&l, &p), -EINVAL);
	p.physical = 12288;
	assert_int_equal(lu_new(&l, &p), -EINVAL);
	p.physical = 4096;
	p.lun = 16384;
	assert_int_equal(lu_new(&l, &p), -EINVAL);
	p.lun = 1;
	for (unsigned i = 1; i <= 2; i++) {
		fake.fail_alloc = i;
		assert_int_equal(lu_new(&l, &p), -ENOMEM);
	}
	fake.fail_alloc = 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

enum { CACHED = 9 };

static void cached_unit(void)
{
	fake.can_back = fake.back = true;
	rig_unit(&rig, &(struct rig_unit){.lun = CACHED, .size = 1 << 20, .block = 512});
	NONE(CACHED, CDB(0)); /* it is new */
}

static uint8_t wce(unsigned values)
{
	GOOD(IN(CACHED, CDB(0x1a, 0x08, (uint8_t)(values << 6 | 8), 0, 64), 64));
	return rig.in[4 + 2] & 0x04;
}

static void select_wce(bool on)
{
	uint8_t list[24] = {[4] = 8, [5] = 18, [6] = on ? 4 : 0};

	OUT(CACHED, CDB(0x15, 0x10, 0, 0, sizeof(list)), list, sizeof(list));
}

static void test_write_cache_is_a_mode(void **state)
{
	unsigned n;

	cached_unit();
	assert_true(wce(0) && wce(1) && wce(2));
	n = fake.n_ops;
	select_wce(false);
	assert_int_equal(rig.last.status, SCSI_GOOD);
	assert_false(fake.back);
	assert_int_equal(fake.n_ops, n + 1); /* what was acknowledged is flushed */
	assert_true(!wce(0) && wce(2));
	select_wce(true);
	assert_true(fake.back && wce(0));
	assert_int_equal(fake.n_ops, n + 1);
	select_wce(false);
	lu_reset(rig.map.lu[CACHED]); /* as saved */
	assert_true(fake.back);
	NONE(CACHED, CDB(0));
	fake.end = -EIO;
	select_wce(false);
	assert_int_equal(rig.last.status, SCSI_CHECK_CONDITION);
}

static void test_without_a_write_cache_there_is_none(void **state)
{
	GOOD(IN(DISK, CDB(0x1a, 0x08, 0x48, 0, 64), 64));
	assert_int_equal(rig.in[4 + 2] & 0x04, 0); /* not changeable */
}

static void test_failed_write_back_is_told_once(void **state)
{
	cached_unit();
	GOOD(OUT(CACHED, CDB(0x2a, 0, 0, 0, 0, 8, 0, 0, 1), data, 512));
	fake.n_faults = 1;
	fake.fault = -ENOSPC;
	GOOD(IN(CACHED, CDB(0x28, 0, 0, 0, 0, 8, 0, 0, 1), 512)); /* reads know nothing of it */
	BAD(OUT(CACHED, CDB(0x2a, 0, 0, 0, 0, 8, 0, 0, 1), data, 512), 7, 0x27, 7);
	assert_int_equal(rig.last.sense[0], 0x71);
	GOOD(OUT(CACHED, CDB(0x2a, 0, 0, 0, 0, 8, 0, 0, 1), data, 512));
	fake.n_faults = 2;
	fake.fault = -EIO;
	BAD(OUT(CACHED, CDB(0x2a, 0, 0, 0, 0, 8, 0, 0, 1), data, 512), 3, 0x0c, 0);
	fake.n_faults = 3;
	fake.fault = 0; /* well again before anybody asked */
	GOOD(OUT(CACHED, CDB(0x2a, 0, 0, 0, 0, 8, 0, 0, 1), data, 512));
}

/* --- a thin unit whose file system has little left (SBC-3 4.7.3.8, 6.3.4, 6.4.9) --- */

enum { THIN = 10 };

static void thin_unit(void)
{
	static struct backend thin = {.info = {.caps = BACKEND_WRITE | BACKEND_PUNCH}};

	fake.has_room = true;
	rig_unit(&rig,
		&(struct rig_unit){.lun = THIN, .size = 1 << 30, .block = 4096, .backend = &thin});
	NONE(THIN, CDB(0)); /* it is new */
}

static void test_a_soft_threshold_is_told_once(void **state)
{
	thin_unit();
	GOOD(NONE(THIN, CDB(0)));
	fake.n_lows = 1;
	fake.low = true;
	GOOD(IN(THIN, CDB(0x12, 0, 0, 0, 36), 36)); /* INQUIRY reports none */
	BAD(OUT(THIN, CDB(0x2a, 0, 0, 0, 0, 8, 0, 0, 1), data, 4096), 6, 0x38, 7);
	GOOD(OUT(THIN, CDB(0x2a, 0, 0, 0, 0, 8, 0, 0, 1), data, 4096));
	fake.n_lows = 2;
	fake.low = false; /* there is room again before anybody asked */
	GOOD(NONE(THIN, CDB(0)));
	fake.n_lows = 3;
	fake.low = true;
	BAD(NONE(THIN, CDB(0)), 6, 0x38, 7);
	GOOD(NONE(THIN, CDB(0)));
}

static void test_the_threshold_stands_in_its_pages(void **state)
{
	static const uint8_t page[24] = {0x5c, 2, 0, 20, [16] = 0x80, [17] = 1, [23] = 3};
	static const uint8_t log[24] = {
		0, 1, 3, 8, 0, 0, 0, 7, 2, 0, 0, 0, 0, 2, 3, 8, 0, 0, 0, 5, 1};

	thin_unit();
	GOOD(IN(THIN, CDB(0x12, 1, 0xb2, 0, 64), 64));
	assert_int_equal(rig.in[4], 8); /* 2^8 blocks of 4 KiB */
	GOOD(IN(THIN, CDB(0x4d, 0, 0x4c, 0, 0, 0, 0, 0, 64), 64));
	assert_int_equal(get_be16(rig.in + 2), sizeof(log));
	assert_memory_equal(rig.in + 4, log, sizeof(log));
	GOOD(IN(THIN, CDB(0x1a, 8, 0x1c, 2, 255), 255)); /* the subpage alone */
	assert_int_equal(rig.in[0], 3 + sizeof(page));
	assert_memory_equal(rig.in + 4, page, sizeof(page));
	GOOD(IN(THIN, CDB(0x1a, 8, 0x1c, 0, 255), 255)); /* the page without it */
	assert_int_equal(rig.in[0], 3 + 12);
	GOOD(IN(THIN, CDB(0x1a, 8, 0x1c, 0xff, 255), 255)); /* both */
	assert_int_equal(rig.in[0], 3 + 12 + sizeof(page));
	GOOD(IN(THIN, CDB(0x1a, 8, 0x3f, 0xff, 255), 255));
	assert_int_equal(rig.in[0], 3 + 12 + 16 + 20 + 12 + 12 + sizeof(page));
	GOOD(IN(THIN, CDB(0x1a, 8, 0x3f, 0, 255), 255));
	assert_int_equal(rig.in[0], 3 + 12 + 16 + 20 + 12 + 12);
	BAD(IN(THIN, CDB(0x1a, 8, 0x1c, 3, 255), 255), 5, 0x24, 0);
	BAD(IN(THIN, CDB(0x1a, 8, 0x0a, 2, 255), 255), 5, 0x24, 0);
	BAD(IN(DISK, CDB(0x1a, 8, 0x1c, 2, 255), 255), 5, 0x24,
		0); /* memory has no such threshold */
}

/* As it is it can be sent; otherwise it cannot. */
static void test_the_threshold_cannot_be_changed(void **state)
{
	uint8_t list[28] = {[4] = 0x5c, 2, 0, 20, [20] = 0x80, [21] = 1, [27] = 3};

	thin_unit();
	GOOD(OUT(THIN, CDB(0x15, 0x10, 0, 0, 28), list, 28));
	list[27] = 4;
	BAD(OUT(THIN, CDB(0x15, 0x10, 0, 0, 28), list, 28), 5, 0x26, 0);
	list[27] = 3;
	list[7] = 19;
	BAD(OUT(THIN, CDB(0x15, 0x10, 0, 0, 28), list, 28), 5, 0x26, 0);
	list[7] = 20;
	list[5] = 0; /* a page without subpages, in the other format */
	BAD(OUT(THIN, CDB(0x15, 0x10, 0, 0, 28), list, 28), 5, 0x26, 0);
	list[5] = 2;
	BAD(OUT(THIN, CDB(0x15, 0x10, 0, 0, 6), list, 6), 5, 0x1a, 0);
	BAD(OUT(THIN, CDB(0x15, 0x10, 0, 0, 24), list, 24), 5, 0x1a, 0);
	BAD(OUT(DISK, CDB(0x15, 0x10, 0, 0, 28), list, 28), 5, 0x26, 0);
}

/* SBC-3 5.18 */
static void test_immed_does_not_wait(void **state)
{
	fake.hold = true;
	GOOD(NONE(DISK, CDB(0x35, 2)));
	GOOD(NONE(DISK, CDB(0x91, 2)));
	assert_int_equal(fake.n_soon, 2);
	assert_int_equal(fake.n_ops, 0);
}

static void test_a_lost_disk_is_a_failure_of_the_unit(void **state)
{
	static const int lost[] = {-ESTALE, -ENOENT, -ENODEV, -ENXIO};

	thin_unit();
	for (unsigned i = 0; i < ARRAY_LEN(lost); i++) {
		fake.end = lost[i];
		BAD(IN(THIN, CDB(0x28, 0, 0, 0, 0, 8, 0, 0, 1), 4096), 4, 0x3e, 1);
		BAD(OUT(THIN, CDB(0x2a, 0, 0, 0, 0, 8, 0, 0, 1), data, 4096), 4, 0x3e, 1);
		BAD(NONE(THIN, CDB(0x35)), 4, 0x3e, 1);
		fake.end = 0;
		fake.fault = lost[i];
		fake.n_faults++;
		BAD(OUT(THIN, CDB(0x2a, 0, 0, 0, 0, 8, 0, 0, 1), data, 4096), 4, 0x3e, 1);
		assert_int_equal(rig.last.sense[0], 0x71); /* deferred */
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_soft_threshold_is_told_once),
		TEST(test_the_threshold_stands_in_its_pages),
		TEST(test_the_threshold_cannot_be_changed),
		TEST(test_immed_does_not_wait),
		TEST(test_a_lost_disk_is_a_failure_of_the_unit),
		TEST(test_errors_of_the_machine),
		TEST(test_information_names_the_only_block),
		TEST(test_information_names_the_first_block_that_failed),
		TEST(test_a_stop_that_cannot_flush_does_not_stop),
		TEST(test_unmap_stops_at_the_first_error),
		TEST(test_fua_asks_for_durable),
		TEST(test_dpo_is_passed_on),
		TEST(test_write_cache_is_a_mode),
		TEST(test_without_a_write_cache_there_is_none),
		TEST(test_failed_write_back_is_told_once),
		TEST(test_base_is_fetched_for_partial_pages),
		TEST(test_no_memory),
		TEST(test_fast_path_allocates_nothing),
		TEST(test_abort_of_what_runs),
		TEST(test_abort_between_steps),
		TEST(test_landing_waits_for_pages),
		TEST(test_unsolicited_bytes_have_places_at_once),
		TEST(test_transfer_larger_than_all_memory),
		TEST(test_waiting_commands_go_away),
		TEST(test_room_found_before_the_call),
		TEST(test_pages_of_the_quota_come_back),
		TEST(test_addresses_near_the_powers_of_two),
		TEST(test_unit_that_is_not_thin),
		TEST(test_units_that_cannot_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
