/* server.h - a `berth serve` that is started, killed and started again over one image. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct server {
	const char *program, *engine;
	char dir[64];            /* of our own: image, state */
	char run_dir[64];        /* on tmpfs */
	char image[96];
	char options[160];       /* of the disk, with a comma in front; "" */
	char url[512];           /* while it is ready */
	pid_t pid;               /* 0: it does not run */
	int out;
	unsigned n_starts;
};

void server_prepare(struct server *s, uint64_t size);
void server_start(struct server *s);       /* and it is ready */
void server_begin(struct server *s);       /* only started */
void server_kill(struct server *s);        /* SIGKILL */
void server_stop(struct server *s);        /* SIGTERM, and it must end with 0 */
void server_forget(struct server *s);      /* the run directory is deleted */
void server_remove(struct server *s);      /* what is left of it */
void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn)); /* "not ok", and all removed */
