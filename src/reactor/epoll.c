/* epoll.c - the engine for kernels and containers without io_uring: sockets by readiness, disk
 * requests by a few threads. */
#include "engine.h"

#include <errno.h>
#include <stdlib.h>
#include "disk_pool.h"
#include "join.h"

struct epoll_engine {
	struct engine_core e; /* first */
	struct list pending;
	struct join join;
	struct disk_pool pool;
};

static struct epoll_engine *self(struct engine_core *e)
{
	return container_of(e, struct epoll_engine, e);
}

static int start(struct engine_core *e)
{
	return 0;
}

static void flush(struct engine_core *e)
{
	struct epoll_engine *x = self(e);
	struct list *node;

	join_flush(&x->join);
	while ((node = list_pop(&x->pending)))
		disk_pool_take(&x->pool, list_entry(node, struct io_disk, link));
}

static bool reap(struct engine_core *e)
{
	return disk_pool_reap(&self(e)->pool);
}

static uint64_t may_sleep(struct engine_core *e)
{
	struct epoll_engine *x = self(e);

	return disk_pool_has_done(&x->pool) || !list_empty(&x->join.fresh) ? 0 : UINT64_MAX;
}

static void epoll_free(struct engine_core *e)
{
	disk_pool_deinit(&self(e)->pool);
	join_deinit(&self(e)->join);
	engine_deinit(e);
	free(self(e));
}

static void disk(struct io *io, struct io_disk *d)
{
	join_add(&self(engine_of(io))->join, d);
}

static int lend_memory(struct io *io, void *base, size_t len)
{
	return -EOPNOTSUPP;
}

static const struct io_ops ops = {
	.name = "epoll",
	ENGINE_SHARED_OPS,
	.disk = disk,
	.lend_memory = lend_memory,
};

static const struct engine_kind kind = {
	.start = start,
	.flush = flush,
	.reap = reap,
	.may_sleep = may_sleep,
	.free = epoll_free,
};

int epoll_engine_new(struct engine_core **ep, unsigned index, unsigned user_timeout_ms)
{
	struct epoll_engine *x = aligned_alloc(64, round_up(sizeof(*x), 64));
	int rc;

	if (!x)
		return -ENOMEM;
	rc = engine_init(&x->e, &ops, &kind, index, user_timeout_ms);
	if (rc < 0) {
		free(x);
		return rc;
	}
	list_init(&x->pending);
	join_init(&x->join, &x->pending);
	disk_pool_init(&x->pool, &x->e.io);
	*ep = &x->e;
	return 0;
}
