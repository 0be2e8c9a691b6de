/* fixed.c - buffers registered with the ring, in chunks, each when it is first named.
 *
 * Registering pins pages and counts against RLIMIT_MEMLOCK, so a chunk is registered by the first
 * request that lies in it and not before. The first refusal ends it: what is registered stays in
 * use, the rest goes by plain vectors, and one log line says so. A pinned page must never be given
 * back to the system: the ring would go on writing out the old page. That promise is the lender's.
 */
#include "fixed.h"

#include <errno.h>
#include <string.h>
#include "check.h"
#include "log.h"
#include "parse.h"

void fixed_init(struct fixed *f, struct io_uring *ring)
{
	memset(f, 0, sizeof(*f));
	f->ring = ring;
}

int fixed_lend(struct fixed *f, void *base, size_t len)
{
	uint64_t n = ((uint64_t)len + FIXED_CHUNK - 1) / FIXED_CHUNK;
	int rc;

	check((uintptr_t)base % 4096 == 0 && len % 4096 == 0 && len > 0);
	if (f->n_areas == FIXED_AREAS || f->n_slots == FIXED_SLOTS)
		return -ENOMEM;
	if (!f->n_areas) {
		rc = io_uring_register_buffers_sparse(f->ring, FIXED_SLOTS);
		if (rc < 0) { /* Linux before 5.19 */
			log_info("io_uring: no registered buffers (%s), using plain vectors",
				strerror(-rc));
			return rc == -ENOMEM ? rc : -EOPNOTSUPP;
		}
	}
	n = MIN(n, FIXED_SLOTS - f->n_slots);
	f->area[f->n_areas++] = (struct fixed_area){
		.base = base,
		.len = MIN(len, n * FIXED_CHUNK),
		.first = f->n_slots,
	};
	f->n_slots += n;
	return 0;
}

static bool chunk_register(struct fixed *f, const struct fixed_area *a, size_t at, unsigned slot)
{
	struct iovec iov = {a->base + at, MIN(FIXED_CHUNK, a->len - at)};
	__u64 tag = 0;
	int rc = io_uring_register_buffers_update_tag(f->ring, slot, &iov, &tag, 1);

	if (rc == 1) {
		f->registered[slot] = true;
		f->registered_len += iov.iov_len;
		return true;
	}
	f->full = true;
	log_info("io_uring: %s of buffer memory registered, the rest by plain vectors (%s)",
		SIZE(f->registered_len), strerror(-rc));
	return false;
}

int fixed_find(struct fixed *f, const void *ptr, size_t len)
{
	for (unsigned i = 0; i < f->n_areas; i++) {
		const struct fixed_area *a = &f->area[i];
		size_t at = (size_t)((uintptr_t)ptr - (uintptr_t)a->base),
		       in_chunk = at % FIXED_CHUNK;
		unsigned slot = a->first + (unsigned)(at / FIXED_CHUNK);

		if ((uintptr_t)ptr < (uintptr_t)a->base || at >= a->len)
			continue;
		if (len > a->len - at || len > FIXED_CHUNK - in_chunk)
			return -1;
		if (f->registered[slot])
			return (int)slot;
		if (f->full || !chunk_register(f, a, at - in_chunk, slot))
			return -1;
		return (int)slot;
	}
	return -1;
}
