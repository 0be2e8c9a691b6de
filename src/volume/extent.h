/* extent.h - neighbouring pages of a file volume in one request of the backend.
 *
 * Whoever marks records as busy (pageio.h) lists them, and when the locks are off sends the list. As many as
 * lie side by side and are busy with the same make an extent, with vectors of its own. When the request has
 * ended, the writer, the file's stamp and the source of a clone are told, then the pages (pageio_end()), on
 * the reactor that sent it. */
#pragma once

#include "pageio.h"

enum { EXTENT_IOV = 256 };

struct extent {
	struct backend_req req;
	struct volume *v;
	struct io *io;
	uint64_t first;
	uint32_t n;
	enum page_busy busy;
	bool counts;
	struct volume *lender; /* PAGE_CLONE: whose pages are lent, .. */
	uint64_t lent;         /* .. from which on */
	struct iovec iov[EXTENT_IOV];
};

/* extents_send - all of the list (page_rec.launch), which is empty then; no locks are held. A request may end
 * within. */
void extents_send(struct volume *v, struct io *io, struct list *launch);
/* extent_failed - logs and counts it; a dead disk does not fill the log. */
void extent_failed(struct volume *v, uint64_t first, uint32_t n, const struct outcome *o);
