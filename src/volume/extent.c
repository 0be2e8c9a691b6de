/* extent.c - requests of the backend (see extent.h). */
#include "extent.h"

#include <errno.h>
#include <string.h>
#include "cache.h"
#include "copywork.h"
#include "counter.h"
#include "log.h"
#include "parse.h"
#include "writer.h"

/* What a page is busy with, as a request and in words. */
static const struct {
	enum io_disk_kind kind;
	const char *what;
} requests[] = {
	[PAGE_FILL] = {IO_READ, "read"},
	[PAGE_WRITE] = {IO_WRITE, "write"},
	[PAGE_ZEROING] = {IO_ZERO, "zero"},
	[PAGE_PUNCH] = {IO_PUNCH, "punch"},
	[PAGE_BACK] = {IO_WRITE, "write back"},
	[PAGE_CLONE] = {IO_CLONE, "clone"},
};

void extent_failed(struct volume *v, uint64_t first, uint32_t n, const struct outcome *o)
{
	uint64_t n_errors = __atomic_add_fetch(&v->n_errors, 1, __ATOMIC_RELAXED);

	if (!(n_errors & (n_errors - 1)))
		log_error("%s: cannot %s %s at %lu: %s (error %lu)", v->name,
			requests[o->busy].what, SIZE(n * (uint64_t)ARENA_PAGE), first * ARENA_PAGE,
			strerror(-o->error), n_errors);
}

/* --- the end --- */
static void on_extent(struct backend_req *req, int error)
{
	struct extent *x = container_of(req, struct extent, req);
	struct volume *v = x->v;
	struct io *io = x->io;
	uint64_t first = x->first;
	uint32_t n = x->n;
	struct outcome o = {error, x->busy == PAGE_FILL ? req->found : VOL_NOWHERE, x->busy};
	bool back = x->busy == PAGE_BACK, clone = x->busy == PAGE_CLONE;
	struct volume *lender = x->lender;
	uint64_t lent = x->lent;

	if (x->busy != PAGE_FILL)
		stamp_end(v);
	if (clone && !error)
		count(CTR_CLONED_BYTES, req->len);
	freelist_put(FREE_EXTENT, x);
	if (clone)
		pageio_lent(lender, io, lent, n);
	if (back)
		writer_ended(v->writer, error);
	pageio_end(v, io, first, n, &o);
}

/* --- sending --- */
static uint8_t *rec_bytes(const struct volume *v, const struct page_rec *r)
{
	if (r->busy == PAGE_FILL || r->busy == PAGE_BACK)
		return page_ptr(v, r->fill);
	return r->busy == PAGE_WRITE ? page_ptr(v, r->flying->page) : NULL;
}

/* A tail that the disk cannot take directly goes by itself. */
static bool is_odd_tail(const struct volume *v, uint64_t at)
{
	return at == v->n_pages - 1 && v->size % v->backend->info.align_offset;
}

static bool extent_add(struct extent *x, const struct page_rec *r)
{
	uint8_t *bytes = rec_bytes(x->v, r);
	struct iovec *last = x->req.n_iov ? &x->iov[x->req.n_iov - 1] : NULL;
	uint32_t most = x->busy == PAGE_BACK ? EXTENT_IOV : ARENA_MAX_RUN;

	if (x->n && (r->at != x->first + x->n || r->busy != x->busy || x->n == most ||
			    is_odd_tail(x->v, r->at)))
		return false;
	if (bytes && last && (uint8_t *)last->iov_base + last->iov_len == bytes)
		last->iov_len += ARENA_PAGE;
	else if (bytes && x->req.n_iov == EXTENT_IOV)
		return false;
	else if (bytes)
		x->iov[x->req.n_iov++] = (struct iovec){bytes, ARENA_PAGE};
	x->counts |= r->counts;
	x->n++;
	return true;
}

static void clone_begin(struct extent *x, const struct vol_work *w)
{
	x->lender = w->copy->from;
	x->lent = copy_source(w, x->first * ARENA_PAGE) / ARENA_PAGE;
	x->req.from = x->lender->backend;
	x->req.from_off = x->lent * ARENA_PAGE;
}

static void extent_begin(struct extent *x, struct volume *v, struct io *io, struct page_rec *r)
{
	x->v = v;
	x->io = io;
	x->first = r->at;
	x->n = 0;
	x->busy = r->busy;
	x->counts = false;
	x->req = (struct backend_req){.iov = x->iov, .done = on_extent};
	x->lender = NULL;
	x->lent = 0;
	if (x->busy == PAGE_CLONE)
		clone_begin(x, r->flying->w);
}

static void extent_send(struct extent *x)
{
	struct backend_req *req = &x->req;
	uint64_t end = MIN((x->first + x->n) * ARENA_PAGE, x->v->size);
	bool zeroes = x->busy == PAGE_ZEROING || x->busy == PAGE_PUNCH;

	req->kind = requests[x->busy].kind;
	/* Zeros are made durable by their command, unless somebody counts on it: a write that they overtook, or
	 * acknowledged data that has been in memory only, which they replace. */
	req->durable = x->busy == PAGE_WRITE || (zeroes && x->counts);
	req->off = x->first * ARENA_PAGE;
	req->len = end - req->off;
	if (req->n_iov)
		x->iov[req->n_iov - 1].iov_len -= (x->first + x->n) * ARENA_PAGE - end;
	if (x->busy != PAGE_FILL)
		stamp_begin(x->v, x->io);
	if (x->busy == PAGE_BACK)
		writer_began(x->v->writer);
	backend_io(x->v->backend, x->io, req);
}

void extents_send(struct volume *v, struct io *io, struct list *launch)
{
	while (!list_empty(launch)) {
		struct page_rec *r = list_first(launch, struct page_rec, launch);
		struct extent *x = freelist_get(FREE_EXTENT);
		struct outcome no_memory = {-ENOMEM, VOL_NOWHERE, r->busy};

		cache_hold(v->cache);
		__atomic_add_fetch(&v->n_extents, 1, __ATOMIC_RELAXED);
		if (!x) {
			list_remove(&r->launch);
			pageio_end(v, io, r->at, 1, &no_memory);
			continue;
		}
		extent_begin(x, v, io, r);
		while (!list_empty(launch)) {
			r = list_first(launch, struct page_rec, launch);
			if (!extent_add(x, r))
				break;
			list_remove(&r->launch);
		}
		extent_send(x);
	}
}
