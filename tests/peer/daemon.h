/* daemon.h - a `berth serve` of our own: started, looked into, and ended by its process number. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "peer.h"

enum { DAEMON_ROWS = 256, DAEMON_ARGS = 48 };

struct dump_row {
	char name[56]; /* as printed: copied_bytes{tail} */
	uint64_t value;
};

/* What SIGUSR1 printed. */
struct dump {
	struct dump_row rows[DAEMON_ROWS];
	unsigned n;
};
uint64_t dump_get(const struct dump *d, const char *name); /* fails when there is no such row */
uint64_t dump_sum(const struct dump *d, const char *name_start); /* of all rows that start so */

struct daemon {
	pid_t pid; /* 0: not ours */
	bool stopping;
	char host[64], iqn[PEER_NAME_LEN];
	uint16_t port;
	unsigned lun, n_luns;
	char dir[64], file[96], trace[96]; /* a directory of its own; file: the image, if any */
	char run[64];			   /* and one for its buffer memory */
	const void *arg;		   /* of the case */
	int out, err; /* err: what it says on standard error, as a memory file */
};

/* What it serves, as LUN 0. */
struct daemon_disk {
	const char *ram;     /* a size, or NULL: an image */
	uint64_t file;       /* its bytes; it is made */
	const char *options; /* behind it, a comma in front: ",mode=write-through"; NULL: none */
	bool on_tmpfs;       /* where syncing it costs nothing */
};
/* args: further ones, NULL-ended. */
void daemon_start(struct daemon *d, const char *const *args, const struct daemon_disk *disk);
/* daemon_says - has it said so on standard error? */
bool daemon_says(const struct daemon *d, const char *text);
void daemon_dump(struct daemon *d, struct dump *out);
/* daemon_settled - polls until nothing is lent, no task and no session is left; fails after a few
 * seconds. */
void daemon_settled(struct daemon *d);
/* daemon_begin_stop - SIGTERM, and no waiting: what follows is a conversation; daemon_stop() then
 * waits. */
void daemon_begin_stop(struct daemon *d);
/* daemon_stop - SIGTERM; it must end with status 0 and no sanitizer may have spoken. Safe to call
 * twice. daemon_stop_with - with this status. */
void daemon_stop(struct daemon *d);
void daemon_stop_with(struct daemon *d, int status);
/* daemon_remove - kills what still runs, removes the files; with `talk` its last words go to
 * standard output. */
void daemon_remove(struct daemon *d, bool talk);
uint64_t daemon_rss(const struct daemon *d); /* resident bytes */

/* daemon_connect - a peer with the server's target and LUN, not logged in. */
struct peer *daemon_connect(const struct daemon *d);
/* daemon_settle - unit attentions of all units are told. */
void daemon_settle(const struct daemon *d, struct peer *p);
/* daemon_peer - logged in, and settled; want NULL: peer_params_default(). */
struct peer *daemon_peer(const struct daemon *d, const struct peer_params *want);
