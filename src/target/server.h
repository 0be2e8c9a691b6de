/* server.h - the whole target: portals, nodes (targets), reactors; from a configuration to `ready`.
 *
 * Thread: the main thread calls; reactors run on their own. */
#pragma once

#include <stdio.h>
#include "config.h"

struct server;

/* server_new - opens volumes, binds portals, starts reactors. 0, or -errno / -EINVAL with one line in err. */
int server_new(struct server **sp, const struct config *c, char *err, size_t err_len);
/* server_print - one line a LUN on f, iscsi://ADDR:PORT/IQN/LUN, for the first portal. */
void server_print(const struct server *s, FILE *f);
/* server_dump - counters and live tables (SIGUSR1). */
void server_dump(struct server *s, FILE *f);
/* server_stop - stop accepting, let what runs finish (at most timeout_ms), close, write what is only in memory. watch
 * (NULL: none) hears from time to time how many bytes are left, and says whether to go on: when it does not, or a
 * disk fails, the rest stays in memory for the next start. Returns 0 when all was durable. */
struct server_watch {
	bool (*go_on)(struct server_watch *w, uint64_t left);
};
int server_stop(struct server *s, unsigned timeout_ms, struct server_watch *watch);
uint64_t server_unclean_bytes(const struct server *s); /* acknowledged, and perhaps not on its disk */
int server_memory_fd(const struct server *s); /* the files' buffer memory, for the service manager; -1: none */
struct server *server_free(struct server *s);
