/* read.c - volume_read(): all pages of the range are pinned at one moment, and shown as vectors.
 *
 * Pages with neighbouring numbers make one vector, and so do pages without content, which all lie
 * in one area of zeros. The vectors name the pins: volume_unpin() walks them. */
#include "work.h"

#include <errno.h>

/* Vectors of whole pages under the lock; cut to the range afterwards. */
static void add_page(struct vol_work *w, uint8_t *ptr)
{
	struct iovec *last = w->n_iov ? &w->iov[w->n_iov - 1] : NULL;

	if (last && (uint8_t *)last->iov_base + last->iov_len == ptr)
		last->iov_len += ARENA_PAGE;
	else
		w->iov[w->n_iov++] = (struct iovec){ptr, ARENA_PAGE};
}

static void add_zeros(struct vol_work *w)
{
	struct iovec *last = w->n_iov ? &w->iov[w->n_iov - 1] : NULL;

	if (last && last->iov_base == zero_bytes && last->iov_len < ZERO_BYTES)
		last->iov_len += ARENA_PAGE;
	else
		w->iov[w->n_iov++] = (struct iovec){(void *)zero_bytes, ARENA_PAGE};
}

/* The pages that one vector holds; 0: zeros, which nobody counts. */
static uint32_t pages_of(const struct volume *v, const struct iovec *iov, uint32_t *pagep)
{
	uint64_t off = arena_offset(v->arena, iov->iov_base);

	if (off == UINT64_MAX)
		return 0;
	*pagep = off / ARENA_PAGE;
	return (off + iov->iov_len + ARENA_PAGE - 1) / ARENA_PAGE - *pagep;
}

static void cut_to_range(struct vol_work *w)
{
	uint64_t head = w->op->off % ARENA_PAGE;
	uint64_t tail = (w->first + w->n) * ARENA_PAGE - (w->op->off + w->op->len);

	w->iov[0].iov_base = (uint8_t *)w->iov[0].iov_base + head;
	w->iov[0].iov_len -= head;
	w->iov[w->n_iov - 1].iov_len -= tail;
}

static void pin_ram(struct vol_work *w)
{
	struct volume *v = w->v;
	uint32_t page, n;

	map_lock(&v->map, w->first, w->n);
	for (uint32_t i = 0; i < w->n; i++) {
		entry_t e = map_get(&v->map, w->first + i);

		if (entry_state(e) == ENTRY_CLEAN)
			add_page(w, page_ptr(v, entry_page(e)));
		else
			add_zeros(w);
	}
	for (unsigned i = 0; i < w->n_iov; i++) {
		n = pages_of(v, &w->iov[i], &page);
		if (n)
			arena_ref(v->arena, page, n);
	}
	map_unlock(&v->map, w->first, w->n);
}

static void read_done(struct vol_work *w)
{
	cut_to_range(w);
	w->op->iov = w->iov;
	w->op->n_iov = w->n_iov;
	w->op->end = 0;
	w->op->done(w->op, 0);
}

void volume_read(struct vol_op *op)
{
	struct vol_work *w = work_new(op, op->off, op->len);

	check(op->len && op->len <= MAX_BYTES && op->off + op->len <= op->v->size);
	if (w && w->n > FEW) {
		w->iov = freelist_get(FREE_ARRAY);
		if (!w->iov) {
			w->iov = w->few_iov;
			work_free(w);
			w = NULL;
		}
	}
	if (!w) {
		op_end(op, -ENOMEM);
		return;
	}
	pin_ram(w);
	read_done(w);
}

void volume_unpin(struct vol_op *op)
{
	struct vol_work *w = op->work;
	uint32_t page, n;

	if (!w)
		return;
	for (unsigned i = 0; i < w->n_iov; i++) {
		n = pages_of(w->v, &w->iov[i], &page);
		if (n)
			arena_unref(w->v->arena, page, n);
	}
	op->work = NULL;
	op->iov = NULL;
	op->n_iov = 0;
	work_free(w);
}
