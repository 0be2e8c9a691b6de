/* link.h - a connection and its socket: readiness in, plans to the kernel, one send a turn.
 *
 * Thread: the reactor of its connection; link_accept() on the listening one. */
#pragma once

#include "io.h"
#include "worker.h"

/* link_new - takes the handle of an accepted socket, whatever comes of it. */
void link_new(struct worker *w, int handle, const struct io_addr *peer);
/* link_tick - every few milliseconds while any link waits for a burst: nobody waits for bytes that do not come. */
void link_tick_init(struct worker *w);
