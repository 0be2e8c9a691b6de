/* client.h - what the subcommands share that are clients: the options of every session, what their errors mean to a
 * script, a line of progress, and the end by Ctrl-C. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "args.h"
#include "berth/initiator.h"

int client_exit(int error); /* exit code of a negative errno */

/* --- sessions: options that stand in the tables of all clients --- */

struct client_words {
	const char *chap_file;
	uint64_t timeout_s, reconnect_s;
};

/* clang-format off */
#define CLIENT_ROWS(c, reconnect)                                                                                       \
	{"--chap-file", ARG_WORD, &(c)->chap_file, 0, 0, "FILE", "the secrets: a line NAME SECRET, and =NAME SECRET for the target"}, \
	{"--timeout", ARG_TIME, &(c)->timeout_s, 1, 3600, "S", "how long to wait for an answer (10 for a login, 30 for a request)"}, \
	{"--reconnect", ARG_TIME, &(c)->reconnect_s, 0, 86400, "S", "how long to try to have a lost connection again (" reconnect ")"}
/* clang-format on */

/* client_settle - the words into options and, where it names no password, into the URL. 0, or -errno with one line. */
int client_settle(const struct client_words *w, struct berth_url *u, struct berth_options *o, char *err,
	size_t err_len);
/* client_label - the URL without its secrets, for messages. Returns buf. */
enum { CLIENT_LABEL = 600 };
const char *client_label(const struct berth_url *u, char buf[CLIENT_LABEL]);

/* --- Ctrl-C --- */

/* client_catch - from now on the first SIGINT or SIGTERM is only noted; another one ends the program. */
void client_catch(void);
int client_caught(void); /* its number; 0: none has come */
/* client_leave - code; or, when a signal was caught, the end that it asked for. */
int client_leave(int code);

/* --- a line on a terminal that is written over and over; nothing where standard error is none --- */

struct progress {
	bool on, shown;
	uint64_t last_ns;
};
void progress_init(struct progress *p);
void progress_say(struct progress *p, const char *fmt, ...) __attribute__((format(printf, 2, 3))); /* at most 5 a second */
void progress_end(struct progress *p); /* the line is gone */
/* client_bytes - "1.5 GiB". Returns buf. */
const char *client_bytes(double bytes, char buf[32]);
