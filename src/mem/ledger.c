/* ledger.c - see ledger.h. */
#include "ledger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "arena.h"

#define MAGIC 0x314d454d48544542ull /* "BETHMEM1" */
enum { HUGE = 2 << 20 };

void (*ledger_crash_point)(void);

/* --- shape --- */

static void shape(struct ledger_head *h, uint64_t n_pages)
{
	h->magic = MAGIC;
	h->version = LEDGER_VERSION;
	h->page_size = ARENA_PAGE;
	h->n_pages = n_pages;
	h->slots_at = ARENA_PAGE;
	h->volumes_at = h->slots_at + LEDGER_SLOTS * sizeof(struct ledger_slot);
	h->records_at = h->volumes_at + LEDGER_VOLUMES * sizeof(struct ledger_volume);
	h->pages_at = round_up(h->records_at + n_pages * sizeof(struct ledger_record), HUGE);
	h->len = h->pages_at + n_pages * ARENA_PAGE;
}

uint64_t ledger_len(uint64_t n_pages, uint64_t *pages_atp)
{
	struct ledger_head h = {0};

	shape(&h, n_pages);
	*pages_atp = h.pages_at;
	return h.len;
}

static uint64_t head_sum(const struct ledger_head *h)
{
	uint64_t words[offsetof(struct ledger_head, check) / 8], sum = MAGIC;

	memcpy(words, h, sizeof(words));
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		sum = ledger_mix(sum, words[i]);
	return sum | 1;
}

static uint64_t volume_sum(const struct ledger *l, const struct ledger_volume *v)
{
	uint64_t words[2], sum = l->head->id;

	memcpy(words, v->uuid, sizeof(words));
	sum = ledger_mix(ledger_mix(sum, words[0]), words[1]);
	return ledger_mix(ledger_mix(sum, v->size), v->born) | 1;
}

/* --- life --- */

static struct ledger *ledger_on(void *base)
{
	struct ledger *l = aligned_alloc(_Alignof(struct ledger), sizeof(*l));
	struct ledger_head *h = base;

	if (!l)
		return NULL;
	memset(l, 0, sizeof(*l));
	l->head = h;
	l->slots = (void *)((char *)base + h->slots_at);
	l->volumes = (void *)((char *)base + h->volumes_at);
	l->records = (void *)((char *)base + h->records_at);
	l->n_pages = h->n_pages;
	return l;
}

int ledger_format(struct ledger **lp, void *base, uint64_t n_pages, uint64_t id)
{
	struct ledger_head *h = base;

	check(id);
	memset(h, 0, sizeof(*h));
	shape(h, n_pages);
	h->id = id;
	*lp = ledger_on(base);
	if (!*lp)
		return -ENOMEM;
	publish(&h->check, head_sum(h));
	return 0;
}

const char *ledger_check(const void *base, uint64_t base_len, uint64_t len)
{
	struct ledger_head h, want = {0};

	if (base_len < sizeof(h))
		return "too short";
	memcpy(&h, base, sizeof(h));
	if (h.magic != MAGIC)
		return "no memory of ours";
	if (h.version != LEDGER_VERSION)
		return "of another version";
	if (h.check != head_sum(&h))
		return "its head is damaged";
	if (!h.n_pages || h.n_pages > UINT32_MAX - (1 << 16))
		return "of an impossible size";
	shape(&want, h.n_pages);
	want.id = h.id;
	if (head_sum(&want) != h.check)
		return "of another shape";
	return h.len != len ? "of another size than it says" : NULL;
}

struct ledger *ledger_free(struct ledger *l)
{
	if (!l)
		return NULL;
	free(l);
	return NULL;
}

/* --- adoption --- */

static bool in_slot(const struct ledger *l, uint64_t seq)
{
	for (unsigned i = 0; i < LEDGER_SLOTS; i++)
		if (l->slots[i].seq == seq)
			return true;
	return false;
}

static bool any_slot(const struct ledger *l)
{
	for (unsigned i = 0; i < LEDGER_SLOTS; i++)
		if (l->slots[i].seq)
			return true;
	return false;
}

static bool record_is_good(const struct ledger *l, uint32_t page)
{
	const struct ledger_record *r = &l->records[page];
	const struct ledger_volume *v;

	if (r->volume >= LEDGER_VOLUMES || r->page != page)
		return false;
	v = &l->volumes[r->volume];
	return v->check && r->at < (v->size + ARENA_PAGE - 1) / ARENA_PAGE &&
	       r->check == ledger_sum(l->keys[r->volume], r);
}

/* Records before slots: if we die here too, whoever comes next finds the same. */
static void settle(struct ledger *l, uint64_t *n_droppedp, uint64_t *n_damagedp)
{
	bool slots = any_slot(l);

	for (uint32_t i = 0; i < l->n_pages; i++) {
		struct ledger_record *r = &l->records[i];

		if (!r->check)
			continue;
		if (!record_is_good(l, i)) {
			++*n_damagedp;
			ledger_retire(l, i);
			continue;
		}
		l->seq = MAX(l->seq, r->seq);
		if (slots && in_slot(l, r->seq)) {
			++*n_droppedp;
			ledger_retire(l, i);
		}
	}
	for (unsigned i = 0; slots && i < LEDGER_SLOTS; i++) {
		l->seq = MAX(l->seq, l->slots[i].seq);
		publish(&l->slots[i].seq, 0);
	}
}

int ledger_attach(struct ledger **lp, void *base, uint64_t *n_droppedp, uint64_t *n_damagedp)
{
	struct ledger *l = ledger_on(base);

	*n_droppedp = *n_damagedp = 0;
	*lp = l;
	if (!l)
		return -ENOMEM;
	for (uint32_t i = 0; i < LEDGER_VOLUMES; i++) {
		struct ledger_volume *v = &l->volumes[i];

		if (v->check && v->check != volume_sum(l, v))
			publish(&v->check, 0); /* it came and had no record yet, or is damaged */
		l->keys[i] = v->check;
	}
	settle(l, n_droppedp, n_damagedp);
	l->head->generation++;
	return 0;
}

/* --- volumes --- */

uint32_t ledger_find(const struct ledger *l, const uint8_t uuid[16])
{
	for (uint32_t i = 0; i < LEDGER_VOLUMES; i++)
		if (l->volumes[i].check && !memcmp(l->volumes[i].uuid, uuid, 16))
			return i;
	return LEDGER_NONE;
}

/* A place whose volume has nothing here may go to another. */
static uint32_t free_place(struct ledger *l)
{
	for (uint32_t i = 0; i < LEDGER_VOLUMES; i++)
		if (!l->volumes[i].check)
			return i;
	return LEDGER_NONE;
}

uint32_t ledger_volume(struct ledger *l, const uint8_t uuid[16], uint64_t size, const char *name)
{
	uint32_t i = ledger_find(l, uuid);
	struct ledger_volume *v;
	size_t len = strlen(name);

	if (i != LEDGER_NONE && l->volumes[i].size == size)
		return i;
	if (i != LEDGER_NONE)
		ledger_forget(l, i);
	i = free_place(l);
	if (i == LEDGER_NONE)
		return i;
	v = &l->volumes[i];
	memset(v, 0, sizeof(*v));
	memcpy(v->uuid, uuid, 16);
	v->size = size;
	v->born = l->head->generation + ledger_next_seq(l);
	/* The end of a path tells more than its beginning. */
	strncpy(v->name, len < LEDGER_NAME ? name : name + len - LEDGER_NAME + 1, LEDGER_NAME - 1);
	l->keys[i] = volume_sum(l, v);
	publish(&v->check, l->keys[i]);
	return i;
}

void ledger_forget(struct ledger *l, uint32_t volume)
{
	for (uint32_t i = 0; i < l->n_pages; i++)
		if (ledger_lives(l, i) && l->records[i].volume == volume)
			ledger_retire(l, i);
	publish(&l->volumes[volume].check, 0);
}

uint64_t ledger_count(const struct ledger *l, uint32_t volume)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < l->n_pages; i++)
		n += ledger_lives(l, i) &&
		     (volume == LEDGER_NONE || l->records[i].volume == volume);
	return n;
}

uint64_t ledger_top(const struct ledger *l)
{
	uint64_t n = l->n_pages;

	while (n && !ledger_lives(l, (uint32_t)(n - 1)))
		n--;
	return n;
}

/* --- stamps --- */

void ledger_stamp_open(struct ledger *l, uint32_t volume, uint64_t now_ns)
{
	struct ledger_volume *v = &l->volumes[volume];

	__atomic_store_n(&v->touched_ns, now_ns, __ATOMIC_RELAXED);
	if (!__atomic_load_n(&v->open, __ATOMIC_RELAXED))
		publish(&v->open, 1);
}

void ledger_stamp_close(struct ledger *l, uint32_t volume, const struct ledger_stamp *s)
{
	struct ledger_volume *v = &l->volumes[volume];

	v->stamp = *s;
	publish(&v->open, 0);
}

const char *ledger_stamp_differs(const struct ledger_volume *v, const struct ledger_stamp *s)
{
	if (v->stamp.size != s->size)
		return "its size is another";
	if (v->stamp.dev != s->dev || v->stamp.ino != s->ino)
		return "it is another file";
	if (!v->open)
		return v->stamp.mtime_ns != s->mtime_ns ? "it was written to" : NULL;
	return s->mtime_ns > v->touched_ns + LEDGER_SLACK_NS ? "it was written to" : NULL;
}

/* --- records --- */

static _Thread_local unsigned slot_hint;

struct ledger_slot *ledger_begin(struct ledger *l, uint64_t seq)
{
	if (unlikely(ledger_crash_point != NULL))
		ledger_crash_point();
	for (;; slot_hint++) {
		struct ledger_slot *s = &l->slots[slot_hint % LEDGER_SLOTS];
		uint64_t none = 0;

		if (__atomic_compare_exchange_n(
			    &s->seq, &none, seq, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			return s;
	}
}
