/* copypages.c - the pages of one step of a copy (see copywork.h).
 *
 * A page of the destination that is covered whole, and whose bytes lie in one page of the source,
 * takes that page: pages are immutable, so a reference is a copy. It must be in the destination's
 * arena for that. What is all zeros takes no page. The rest is copied into fresh pages. */
#include <errno.h>
#include <string.h>
#include "copy.h"
#include "copywork.h"

/* Where the source's bytes are looked at. */
struct cursor {
	const struct iovec *iov; /* NULL: zeros */
	size_t at;
};

static const uint8_t *cursor_piece(const struct cursor *c, uint32_t *np)
{
	if (!c->iov)
		return zero_bytes;
	*np = MIN(*np, c->iov->iov_len - c->at);
	return (const uint8_t *)c->iov->iov_base + c->at;
}

static void cursor_skip(struct cursor *c, uint32_t n)
{
	if (!c->iov)
		return;
	c->at += n;
	if (c->at == c->iov->iov_len) {
		c->iov++;
		c->at = 0;
	}
}

static bool is_zero_area(const uint8_t *p)
{
	return p >= zero_bytes && p < zero_bytes + ZERO_BYTES;
}

/* Most bytes are told apart by the first look. */
static bool is_zero(struct cursor c, uint32_t len)
{
	while (len) {
		uint32_t n = len;
		const uint8_t *p = cursor_piece(&c, &n);

		if (!is_zero_area(p) && (p[0] || memcmp(p, p + 1, n - 1)))
			return false;
		cursor_skip(&c, n);
		len -= n;
	}
	return true;
}

static void copy_bytes(struct cursor *c, uint8_t *to, uint32_t len)
{
	while (len) {
		uint32_t n = len;
		const uint8_t *p = cursor_piece(c, &n);

		if (is_zero_area(p))
			memset(to, 0, n);
		else
			copy_payload(CTR_COPIED_COPY, to, p, n);
		cursor_skip(c, n);
		to += n;
		len -= n;
	}
}

/* The page of the destination's arena that holds these bytes and nothing else; PAGE_NONE: there is none. */
static uint32_t whole_page(const struct volume *v, const struct cursor *c)
{
	uint32_t n = ARENA_PAGE;
	const uint8_t *p = cursor_piece(c, &n);
	uint64_t off = arena_offset(v->arena, p);

	return off == UINT64_MAX || off % ARENA_PAGE || n < ARENA_PAGE ? PAGE_NONE
								       : off / ARENA_PAGE;
}

/* plan - for each page of the step: the one to share, PAGE_ZERO, or PAGE_NONE for a fresh one, of which the
 * number is returned. */
static uint32_t plan(const struct vol_work *w, struct cursor c, uint32_t *pages)
{
	uint32_t n_own = 0;

	for (uint32_t i = 0; i < w->n; i++) {
		struct page_part part = page_part(w->first + i, w->op->off, w->op->len);

		if (page_is_partial(w->v, w->first + i, part))
			pages[i] = PAGE_NONE;
		else
			pages[i] = is_zero(c, part.to) ? PAGE_ZERO : whole_page(w->v, &c);
		n_own += pages[i] == PAGE_NONE;
		for (uint32_t left = part.to - part.from, n; left; left -= n) {
			n = left;
			cursor_piece(&c, &n);
			cursor_skip(&c, n);
		}
	}
	return n_own;
}

static void add_page(struct pages *p, uint32_t page)
{
	struct run *last = p->n_runs ? &p->runs[p->n_runs - 1] : NULL;

	if (last && page < PAGE_ZERO && last->page + last->n_pages == page)
		last->n_pages++;
	else
		p->runs[p->n_runs++] = (struct run){page, 1};
	p->n_pages++;
}

static void make_pages(
	struct vol_work *w, struct cursor c, const uint32_t *pages, struct pages *own)
{
	struct page_walk walk = {own->runs};

	for (uint32_t i = 0; i < w->n; i++) {
		struct page_part part = page_part(w->first + i, w->op->off, w->op->len);
		uint32_t len = part.to - part.from, page = pages[i];

		if (page == PAGE_NONE) {
			page = page_next(&walk);
			copy_bytes(&c, (uint8_t *)page_ptr(w->v, page) + part.from, len);
			if (part.to < ARENA_PAGE && part.from == 0) /* the volume may end here */
				memset((uint8_t *)page_ptr(w->v, page) + part.to, 0,
					ARENA_PAGE - part.to);
		} else {
			if (page == PAGE_ZERO) {
				w->zeros = true;
			} else {
				arena_ref(w->v->arena, page, 1);
				count(CTR_SHARED_BYTES, len);
				w->shares = true;
			}
			for (uint32_t n; len; len -= n) {
				n = len;
				cursor_piece(&c, &n);
				cursor_skip(&c, n);
			}
		}
		add_page(&w->fresh, page);
	}
}

int copy_pages(struct vol_work *w, const struct iovec *iov)
{
	const struct copy *c = w->copy;
	struct cursor from = {iov, 0};
	struct pages own = {.runs = own.few};
	uint32_t pages[COPY_STEP + 1], n_own;
	int r = 0;

	w->first = c->lo / ARENA_PAGE;
	w->n = (c->hi - 1) / ARENA_PAGE + 1 - w->first;
	check(w->n <= ARRAY_LEN(pages));
	w->zeros = w->shares = false;
	pages_drop(w->v, &w->fresh);
	if (w->n > FEW) {
		struct run *runs = freelist_get(FREE_ARRAY);

		if (!runs)
			return -ENOMEM;
		w->fresh.runs = runs;
	}
	n_own = plan(w, from, pages);
	if (n_own)
		r = pages_take(w->v, &own, ARENA_OPEN, n_own);
	if (r == VOL_FULL && n_own <= COPY_LEAST + 1)
		r = pages_take(w->v, &own, ARENA_MERGE, n_own);
	if (r)
		return r;
	make_pages(w, from, pages, &own);
	own.n_runs = 0; /* they are among the fresh ones now */
	pages_drop(w->v, &own);
	return 0;
}
