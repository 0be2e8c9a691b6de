/* double.c - a volume of the tests that ends as it is told (see double.h). */
#include "double.h"

#include "check.h"
#include "watch.h"

struct volume {
	uint64_t size;
	struct arena *arena;
	const struct backend_info *info;
	uint32_t gen;
};

struct fake fake;

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

void fake_finish(int end)
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
		fake_finish(fake.end);
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
		fake_finish(VOL_STALE);
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
