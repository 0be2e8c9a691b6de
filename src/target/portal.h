/* portal.h - the addresses that the target listens on (RFC 7143 4.3: one portal group of all of them).
 *
 * Connections are accepted on the first worker; they move to their session's reactor when their names are known
 * (session_admit.c). Thread: opened by the main thread, then the first worker's reactor. */
#pragma once

#include <stddef.h>
#include "io.h"
#include "worker.h"

struct config;

struct portal {
	struct io_sock sock;
	struct worker *w;
	struct io_addr addr; /* with the port that it got */
};

struct portals {
	struct portal *list;
	unsigned n;
};

/* portals_open - bound to config.listen, nothing is accepted yet. -errno, with one line in err. */
int portals_open(struct portals *p, struct worker *first, const struct config *c, char *err, size_t err_len);
void portals_accept(struct portals *p); /* from now on */
void portals_close(struct portals *p);  /* nothing more is accepted; safe to call twice */
void portals_free(struct portals *p);   /* closed before */
