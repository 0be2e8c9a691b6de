/* worker.c - a worker is made with its engine, and taken down. */
#include "worker.h"

#include <errno.h>
#include <string.h>
#include "config.h"
#include "link.h"
#include "log.h"
#include "server_in.h"
#include "task.h"
#include "tx.h"
#include "why.h"

static int get_reactor(
	struct worker *w, const struct config *c, unsigned index, char *err, size_t err_len)
{
	struct reactor_params p = {
		.engine = c->engine,
		.spin_us = c->spin_us,
		.user_timeout_ms = 30000,
	};
	static const char *const forced[] = {[ENGINE_AUTO] = "engine",
		[ENGINE_EPOLL] = "--engine epoll",
		[ENGINE_URING] = "--engine uring"};
	const char *reason = NULL, *hint;
	int rc;

	rc = reactor_new(&w->reactor, index, &p, &reason);
	hint = p.engine == ENGINE_URING && rc == -EPERM
		       ? " (by a container's filter, or sysctl kernel.io_uring_disabled)"
		       : "";
	if (rc)
		return why_not(err, err_len, rc, "%s: %s%s%s%s", forced[p.engine],
			reason ? reason : "", reason ? ": " : "", strerror(-rc), hint);
	w->io = reactor_io(w->reactor);
	if (!index)
		log_info("engine %s%s%s%s", w->io->ops->name, reason ? " (" : "",
			reason ? reason : "", reason ? ")" : "");
	return 0;
}

int worker_init(struct worker *w, struct server *s, unsigned index, struct io *io, char *err,
	size_t err_len)
{
	int rc = 0;

	list_init(&w->conns);
	list_init(&w->sessions);
	list_init(&w->free_tasks);
	list_init(&w->free_txs);
	list_init(&w->free_batches);
	w->server = s;
	w->io = io;
	if (!io)
		rc = get_reactor(w, server_config(s), index, err, err_len);
	if (rc)
		return rc;
	link_tick_init(w);
	rc = rx_scratch_new(&w->scratch);
	return rc ? why_not(err, err_len, rc, "receive scratch: %s", strerror(-rc)) : 0;
}

void worker_deinit(struct worker *w)
{
	task_free_lists(w);
	tx_free_lists(w);
	rx_scratch_free(w->scratch);
	if (w->reactor)
		reactor_free(w->reactor);
}
