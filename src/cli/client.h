/* client.h - what the subcommands share that are clients: what their errors mean to a script, and a line of progress. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

int client_exit(int error); /* exit code of a negative errno */

/* A line on a terminal that is written over and over; nothing where standard error is none. */
struct progress {
	bool on, shown;
	uint64_t last_ns;
};
void progress_init(struct progress *p);
void progress_say(struct progress *p, const char *fmt, ...) __attribute__((format(printf, 2, 3))); /* at most 5 a second */
void progress_end(struct progress *p); /* the line is gone */
/* client_bytes - "1.5 GiB". Returns buf. */
const char *client_bytes(double bytes, char buf[32]);
