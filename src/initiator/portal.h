/* portal.h - from "host", "port" or "host:port" to socket addresses. Names are looked up, which may block. */
#pragma once

#include "io.h"

enum { PORTAL_ADDRS = 4 };

/* 0, or -errno (-ENOENT: no such host). At most PORTAL_ADDRS are kept. */
int portal_find(const char *host, const char *port, struct io_addr addr[PORTAL_ADDRS], unsigned *np);
/* portal_find_text - the same from "host:port", "[v6]:port", "host". */
int portal_find_text(const char *text, struct io_addr addr[PORTAL_ADDRS], unsigned *np);
/* portal_split - false: not of this form. The port is 3260 where none is said. */
bool portal_split(const char *text, size_t len, char host[256], char port[6]);
