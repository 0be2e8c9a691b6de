/* server_in.h - what the rooms' inside asks of the server: nodes, reactors, settings. Any thread. */
#pragma once

#include "conntab.h"
#include "node.h"
#include "param.h"
#include "server.h"
#include "worker.h"

/* A world of its own: what the server stands on when it is not the machine (the simulation). Its reactors are turned by
 * somebody else, and where the server would sleep until they have done something, it calls turn(). */
struct backend;
struct server_world {
	struct io *const *io;
	unsigned n;
	void (*turn)(void *ctx);
	int (*open)(void *ctx, const char *path, struct backend **bp); /* instead of backend_file_open() */
	int memory_fd; /* a buffer memory to adopt, as SIGKILL left it (taken); 0: none */
	void *ctx;
};
/* server_new_in - as server_new(); config.threads and config.engine count for nothing. world is borrowed. */
int server_new_in(struct server **sp, const struct config *c, const struct server_world *world, char *err, size_t err_len);
/* server_pause - let the reactors go on for a while. */
void server_pause(const struct server *s, unsigned us);

struct conntab *server_conns(struct server *s);
struct node *server_find_node(struct server *s, const char *name);
struct node *server_node(struct server *s, unsigned i); /* NULL behind the last */
struct worker *server_worker(struct server *s, unsigned i);
unsigned server_n_workers(const struct server *s);
uint16_t server_tsih(struct server *s); /* a new one, never 0 */
bool server_line_policy(const struct server *s);
const struct param_offer *server_offer(const struct server *s);
const struct config *server_config(const struct server *s);
struct disks;
const struct disks *server_disks(const struct server *s);
