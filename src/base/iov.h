/* iov.h - vectors of which a part has been moved. */
#pragma once

#include <stddef.h>
#include <sys/uio.h>
#include "check.h"

/* iov_moved - n bytes of the vectors, at most all, have been moved: returns how many vectors are through. The next one,
 * if it was begun, is cut to what is left of it; the others are of no use any more. */
static inline unsigned iov_moved(struct iovec *iov, size_t n)
{
	unsigned n_through = 0;

	while (n) {
		struct iovec *v = &iov[n_through];
		size_t part = MIN(n, v->iov_len);

		v->iov_base = (char *)v->iov_base + part;
		v->iov_len -= part;
		n -= part;
		n_through += !v->iov_len;
	}
	return n_through;
}
