/* pageio.c - versions and records (see pageio.h).
 *
 * Three steps, each under the locks of its own range and with no lock between them: attach (a
 * commit gives each page a version; idle pages are marked busy and listed), pageio_end (a request
 * has ended: fills are put in place, versions become durable, what waits is marked and listed),
 * show (nothing is owed: the versions become what readers see). Lists of marked records are then
 * sent, neighbours in one request.
 *
 * A marked record belongs to whoever marked it, until the request has ended; others add to its
 * lists under the lock and touch nothing else of it. */
#include "pageio.h"

#include <errno.h>
#include <string.h>
#include "cache.h"
#include "extent.h"
#include "sync.h"
#include "writer.h"

/* What a step leaves to be done when its locks are off. */
struct after {
	struct volume *v;
	struct io *io;
	struct list launch;            /* page_rec.launch */
	struct list ready;             /* works that owe nothing any more */
	struct list home;              /* works that go on */
	uint32_t give[2 * ARRAY_ROOM]; /* what was shown, and what is not */
	uint32_t n_give;
	bool missed; /* a fill has failed that somebody waits for */
};

static void after_init(struct after *a, struct volume *v, struct io *io)
{
	a->v = v;
	a->io = io;
	list_init(&a->launch);
	list_init(&a->ready);
	list_init(&a->home);
	a->n_give = 0;
	a->missed = false;
}

static void after_give(struct after *a)
{
	struct give g = {.v = a->v};

	for (uint32_t i = 0; i < a->n_give; i++)
		give_page(&g, a->give[i]);
	give_end(&g);
	a->n_give = 0;
}

static void after_home(struct after *a)
{
	struct list *node;

	while ((node = list_pop(&a->home)))
		work_home(list_entry(node, struct vol_work, link), a->io);
}

/* --- records, under the lock of their page --- */
static struct page_ver *oldest_ver(const struct page_rec *r)
{
	return list_empty(&r->vers) ? NULL : list_first(&r->vers, struct page_ver, link);
}

static struct page_ver *newest_ver(const struct page_rec *r)
{
	return list_empty(&r->vers) ? NULL : list_entry(r->vers.prev, struct page_ver, link);
}

uint32_t entry_newest_busy(const struct volume *v, entry_t e)
{
	const struct page_ver *ver = NULL;

	if (entry_state(e) == ENTRY_BUSY) {
		ver = newest_ver(entry_rec(e));
		e = entry_shown(e);
	}
	if (ver)
		return ver->page;
	if (entry_is_page(e))
		return entry_page(e);
	return v->backend ? PAGE_NONE : PAGE_ZERO;
}

struct page_rec *page_rec_get(struct volume *v, uint64_t at)
{
	entry_t e = map_get(&v->map, at);
	struct page_rec *r;

	if (entry_state(e) == ENTRY_BUSY)
		return entry_rec(e);
	r = freelist_get(FREE_REC);
	check(r); /* reserved */
	r->at = at;
	r->shown = e & ~(entry_t)(ENTRY_USED | ENTRY_NEW);
	list_init(&r->vers);
	list_init(&r->waits);
	list_init(&r->launch);
	r->busy = PAGE_IDLE;
	r->flying = NULL;
	r->again = r->counts = false;
	map_set(&v->map, at, entry_busy(r));
	return r;
}

static void retire_if_idle(struct after *a, struct page_rec *r)
{
	struct volume *v = a->v;

	if (r->busy != PAGE_IDLE || !list_empty(&r->vers))
		return;
	check(list_empty(&r->waits));
	map_set(&v->map, r->at, r->shown);
	if (r->again)
		writer_woken(v->writer, a->io);
	freelist_put(FREE_REC, r);
}

static bool overtakes(const struct page_rec *r, const struct page_ver *ver)
{
	list_for_each(node, &r->vers) {
		const struct page_ver *v = list_entry(node, struct page_ver, link);

		if (v == ver || !v->durable)
			return v != ver;
	}
	return false;
}

static void mark_fly(struct page_rec *r, struct page_ver *ver, struct list *launch)
{
	r->flying = ver;
	r->counts = ver->w->lasts || entry_is_unclean(r->shown) || overtakes(r, ver);
	if (ver->page == PAGE_NONE)
		r->busy = PAGE_CLONE;
	else if (ver->page != PAGE_ZERO)
		r->busy = PAGE_WRITE;
	else
		r->busy = ver->w->unmap ? PAGE_PUNCH : PAGE_ZEROING;
	list_push_back(launch, &r->launch);
}

/* The first of several, which may be told at the same time. */
static void fail_at(struct vol_work *w, const struct outcome *o)
{
	uint64_t known = __atomic_load_n(&w->bad, __ATOMIC_RELAXED);

	while (o->bad < known && !__atomic_compare_exchange_n(&w->bad, &known, o->bad, true,
					 __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
	__atomic_store_n(&w->error, o->error, __ATOMIC_RELAXED);
}

/* `shown` has changed, a fill has failed, or it did not come so far (then whoever waits looks again). */
static void wake_waits(struct page_rec *r, const struct outcome *o, struct after *a)
{
	struct list *node;

	while ((node = list_pop(&r->waits))) {
		struct page_wait *wait = list_entry(node, struct page_wait, link);
		struct vol_work *w = wait->w;

		if (o) {
			fail_at(w, o);
			a->missed = true;
		} else if (entry_is_page(r->shown)) {
			arena_ref(a->v->arena, entry_page(r->shown), 1);
			*wait->pin = entry_page(r->shown);
		}
		freelist_put(FREE_WAIT, wait);
		if (!__atomic_sub_fetch(&w->n_waits, 1, __ATOMIC_ACQ_REL))
			list_push_back(&a->home, &w->link);
	}
}

static void pay(struct vol_work *w, struct after *a)
{
	if (!__atomic_sub_fetch(&w->n_owed, 1, __ATOMIC_ACQ_REL))
		list_push_back(&a->ready, &w->link);
}

/* --- attach --- */
int pageio_reserve(const struct vol_work *w)
{
	int r = freelist_reserve(FREE_REC, w->n);

	return r ? r : freelist_reserve(FREE_VER, w->n);
}

void pageio_attach(struct vol_work *w, struct list *launch)
{
	struct volume *v = w->v;
	struct page_walk walk = {w->fresh.runs};
	uint32_t n_owed = 0;

	for (uint32_t i = 0; i < w->n; i++) {
		struct page_rec *r = page_rec_get(v, w->first + i);
		struct page_ver *ver = freelist_get(FREE_VER);

		check(ver); /* reserved */
		ver->w = w;
		ver->page = w->constant ? w->pattern : page_next(&walk);
		ver->durable = false;
		/* What nobody else has seen has one reference. */
		ver->shared =
			w->shares && ver->page < PAGE_ZERO && arena_refs(v->arena, ver->page) > 1;
		if (w->constant && ver->page < PAGE_ZERO)
			arena_ref(v->arena, ver->page, 1);
		n_owed += list_empty(&r->vers) ? 1 : 2;
		list_push_back(&r->vers, &ver->link);
		if (r->busy == PAGE_IDLE)
			mark_fly(r, ver, launch);
	}
	/* Whoever could count it down needs a lock that we hold. */
	w->n_owed = n_owed;
	sync_begin(w);
}

/* --- show --- */

/* False: no memory to remember one more owner of the page. */
static bool note(struct volume *v, const struct page_ver *ver, uint64_t at)
{
	if (ver->shared)
		return cache_share(v->cache, ver->page, v, at);
	cache_note(v->cache, ver->page, v, at);
	return true;
}

static void show_page(struct vol_work *w, struct page_rec *r, bool failed, struct after *a)
{
	struct volume *v = w->v;
	struct page_ver *ver = oldest_ver(r);

	check(ver && ver->w == w && ver->durable);
	list_remove(&ver->link);
	if (failed && entry_is_unclean(r->shown)) {
		r->shown = dirty_again(v, r->at, r->shown);
		if (ver->page != PAGE_ZERO)
			a->give[a->n_give++] = ver->page;
		goto out;
	}
	if (entry_is_unclean(r->shown))
		dirty_drop(v, r->shown);
	if (entry_is_page(r->shown))
		a->give[a->n_give++] = entry_page(r->shown);
	if (failed || w->constant || w->passes || ver->page >= PAGE_ZERO || !note(v, ver, r->at)) {
		/* What the disk holds; a pattern page would have too many owners. */
		r->shown = ENTRY_HOME;
		if (ver->page < PAGE_ZERO)
			a->give[a->n_give++] = ver->page;
	} else {
		r->shown = entry_clean(ver->page);
	}
out:
	freelist_put(FREE_VER, ver);
	wake_waits(r, NULL, a);
	if (oldest_ver(r))
		pay(oldest_ver(r)->w, a);
	retire_if_idle(a, r);
}

static void show(struct vol_work *w, struct after *a)
{
	struct volume *v = w->v;
	bool failed = __atomic_load_n(&w->error, __ATOMIC_RELAXED) != 0;

	map_lock(&v->map, w->first, w->n);
	for (uint32_t i = 0; i < w->n; i++)
		show_page(w, entry_rec(map_get(&v->map, w->first + i)), failed, a);
	work_changed(w);
	map_unlock(&v->map, w->first, w->n);
	after_give(a);
	if (w->zeros || (w->constant && w->pattern >= PAGE_ZERO))
		sync_loosen(v);
	sync_end(w, &a->home);
	list_push_back(&a->home, &w->link);
}

/* --- a request has ended --- */
static void fill_end(struct page_rec *r, const struct outcome *o, struct after *a)
{
	uint64_t bad_at = o->bad / ARENA_PAGE;
	bool failed = o->error && (o->bad == VOL_NOWHERE || r->at == bad_at);
	bool late = r->shown != ENTRY_HOME; /* a commit came while it was read */

	if (late || failed || (o->error && r->at > bad_at)) {
		a->give[a->n_give++] = r->fill;
	} else {
		r->shown = entry_clean(r->fill) | (list_empty(&r->waits) ? ENTRY_NEW : 0);
		cache_note(a->v->cache, r->fill, a->v, r->at);
	}
	wake_waits(r, failed && !late ? o : NULL, a);
}

static void write_end(struct page_rec *r, int error, struct after *a)
{
	list_for_each_safe(node, tmp, &r->vers) {
		struct page_ver *ver = list_entry(node, struct page_ver, link);
		bool last = ver == r->flying;

		if (!ver->durable) {
			ver->durable = true;
			if (error)
				__atomic_store_n(&ver->w->error, error, __ATOMIC_RELAXED);
			pay(ver->w, a);
		}
		if (last)
			break;
	}
	r->flying = NULL;
}

static void page_end(struct page_rec *r, const struct outcome *o, struct after *a)
{
	struct page_ver *newest;
	enum page_busy was = r->busy;

	r->busy = PAGE_IDLE;
	if (was == PAGE_FILL) {
		fill_end(r, o, a);
	} else if (was == PAGE_BACK) {
		r->shown = back_end(a->v->writer, r, o->error);
		a->give[a->n_give++] = r->fill;
	} else if (was == PAGE_LENT) {
		wake_waits(r, NULL, a);
	} else {
		write_end(r, o->error, a);
	}
	newest = newest_ver(r);
	if (newest && !newest->durable)
		mark_fly(r, newest, &a->launch);
	else
		retire_if_idle(a, r);
}

/* What was read ahead and cannot be read is nobody's error yet: who asks for it asks the disk again. Works go home
 * last: what they end may be the last that kept the volume. */
void pageio_end(
	struct volume *v, struct io *io, uint64_t first, uint32_t n, const struct outcome *o)
{
	struct after a;
	struct list *node;

	after_init(&a, v, io);
	map_lock(&v->map, first, n);
	for (uint32_t i = 0; i < n; i++)
		page_end(entry_rec(map_get(&v->map, first + i)), o, &a);
	map_unlock(&v->map, first, n);
	/* What cannot be cloned goes another way. */
	if (o->error && o->busy != PAGE_CLONE && (o->busy != PAGE_FILL || a.missed))
		extent_failed(v, first, n, o);
	after_give(&a);
	extents_send(v, io, &a.launch);
	while ((node = list_pop(&a.ready)))
		show(list_entry(node, struct vol_work, link), &a);
	cache_tidy(v->cache);
	cache_release(v->cache);
	__atomic_sub_fetch(&v->n_extents, 1, __ATOMIC_RELEASE);
	after_home(&a);
}

/* --- pages that the system copies from --- */

/* Where all are lent there is one more extent under way, though it has no request of its own. */
bool pageio_lend(struct volume *v, uint64_t first, uint32_t n)
{
	bool idle = !freelist_reserve(FREE_REC, n);

	map_lock(&v->map, first, n);
	for (uint32_t i = 0; idle && i < n; i++)
		idle = map_get(&v->map, first + i) == ENTRY_HOME;
	for (uint32_t i = 0; idle && i < n; i++)
		page_rec_get(v, first + i)->busy = PAGE_LENT;
	map_unlock(&v->map, first, n);
	if (!idle)
		return false;
	cache_hold(v->cache);
	__atomic_add_fetch(&v->n_extents, 1, __ATOMIC_RELAXED);
	return true;
}

void pageio_lent(struct volume *v, struct io *io, uint64_t first, uint32_t n)
{
	static const struct outcome well = {0, VOL_NOWHERE, PAGE_LENT};

	pageio_end(v, io, first, n, &well);
}
