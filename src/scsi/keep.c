/* keep.c - see keep.h. The record: magic, version, then sections of tag, length, bytes; a section
 * that this version does not know is an error, so that nothing is lost by going back. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "be.h"
#include "body.h"
#include "check.h"
#include "log.h"
#include "lun.h"
#include "mode.h"
#include "sanitize.h"

enum { RECORD_MAGIC = 0x42525448, RECORD_VERSION = 1, RECORD_HEAD = 8, SECTION_HEAD = 4 };

/* clang-format off */
static const struct section {
	uint16_t tag;
	size_t (*encode)(struct lu *l, uint8_t *p, size_t room); /* 0: nothing to keep */
	bool (*decode)(struct lu *l, const uint8_t *p, size_t len);
} sections[] = {
	{1, reserve_encode,  reserve_decode},
	{2, mode_encode,     mode_decode},
	{3, sanitize_encode, sanitize_decode},
};
/* clang-format on */

static uint32_t encode(struct lu *l, uint8_t *p)
{
	size_t len = RECORD_HEAD;

	put_be32(p, RECORD_MAGIC);
	put_be32(p + 4, RECORD_VERSION);
	for (unsigned i = 0; i < ARRAY_LEN(sections); i++) {
		size_t room = LU_RECORD_MAX - len - SECTION_HEAD;
		size_t n = sections[i].encode(l, p + len + SECTION_HEAD, room);

		check(n <= room);
		if (n == 0)
			continue;
		put_be16(p + len, sections[i].tag);
		put_be16(p + len + 2, (uint16_t)n);
		len += SECTION_HEAD + n;
	}
	return (uint32_t)len;
}

static bool decode_section(struct lu *l, unsigned tag, const uint8_t *p, size_t len)
{
	for (unsigned i = 0; i < ARRAY_LEN(sections); i++)
		if (sections[i].tag == tag)
			return sections[i].decode(l, p, len);
	return false;
}

static bool decode(struct lu *l, const uint8_t *p, uint32_t len)
{
	uint32_t at = RECORD_HEAD;

	if (len < RECORD_HEAD || get_be32(p) != RECORD_MAGIC || get_be32(p + 4) != RECORD_VERSION)
		return false;
	while (at < len) {
		uint32_t n;

		if (len - at < SECTION_HEAD)
			return false;
		n = get_be16(p + at + 2);
		if (len - at - SECTION_HEAD < n ||
			!decode_section(l, get_be16(p + at), p + at + SECTION_HEAD, n))
			return false;
		at += SECTION_HEAD + n;
	}
	return true;
}

int keep_init(struct lu *l, struct lu_store *store, const void *record, uint32_t len)
{
	struct keep *k = &l->keep;

	pthread_mutex_init(&k->lock, NULL);
	list_init(&k->waiters);
	list_init(&k->writers);
	if (record && !decode(l, record, len)) {
		log_error("%s/%u: what was kept of it cannot be read", l->target, l->lun);
		return -EBADMSG;
	}
	if (!store)
		return 0;
	k->record = malloc(LU_RECORD_MAX);
	if (!k->record)
		return -ENOMEM;
	k->store = store;
	return 0;
}

void keep_deinit(struct lu *l)
{
	struct keep *k = &l->keep;

	if (!k->waiters.next)
		return; /* never initialised */
	check(!k->busy && list_empty(&k->waiters));
	free(k->record);
	if (k->store)
		k->store->free(k->store);
	pthread_mutex_destroy(&k->lock);
}

/* --- saving --- */

static void on_kept(struct io_work *work)
{
	struct keep_waiter *w = container_of(work, struct keep_waiter, work);

	w->kept(w, w->error);
}

static void tell(struct keep_waiter *w, int error)
{
	w->error = error;
	w->work.fn = on_kept;
	list_init(&w->work.link);
	io_post(w->io, &w->work);
}

static void on_saved(struct lu_save *s, int error);

/* Under the lock: everybody who waits is in this one. The encoders take locks that nobody holds
 * while saving. */
static void begin(struct lu *l)
{
	struct keep *k = &l->keep;

	k->busy = true;
	list_splice_back(&k->writers, &k->waiters);
	k->save.io = list_first(&k->writers, struct keep_waiter, link)->io;
	k->save.data = k->record;
	k->save.len = encode(l, k->record);
	k->save.done = on_saved;
	k->store->save(k->store, &k->save);
}

static void on_saved(struct lu_save *s, int error)
{
	struct keep *k = container_of(s, struct keep, save);
	struct lu *l = container_of(k, struct lu, keep);
	struct list told, *node;

	list_init(&told);
	if (error)
		log_error(
			"%s/%u: its state cannot be kept: %s", l->target, l->lun, strerror(-error));
	pthread_mutex_lock(&k->lock);
	list_splice_back(&told, &k->writers);
	k->busy = false;
	if (!list_empty(&k->waiters))
		begin(l);
	pthread_mutex_unlock(&k->lock);
	while ((node = list_pop(&told)))
		tell(list_entry(node, struct keep_waiter, link), error);
}

void keep_save(struct lu *l, struct io *io, struct keep_waiter *w)
{
	struct keep *k = &l->keep;

	w->io = io;
	list_init(&w->link);
	if (!k->store) {
		tell(w, 0);
		return;
	}
	pthread_mutex_lock(&k->lock);
	list_push_back(&k->waiters, &w->link);
	if (!k->busy)
		begin(l);
	pthread_mutex_unlock(&k->lock);
}
