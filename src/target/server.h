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
/* server_stop - stop accepting, let what runs finish (at most timeout_ms), close, flush. Returns 0 when all was durable. */
int server_stop(struct server *s, unsigned timeout_ms);
struct server *server_free(struct server *s);
