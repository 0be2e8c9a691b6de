/* clang-format off */
/* ledger.h - what a buffer memory says about itself, so that it can outlive the process.
 *
 * Pages that hold what was acknowledged and is not on the disk yet (dirty), or not durably (written), are named by
 * records in the same shared memory. Whoever maps that memory later finds with them alone what the dead process had
 * promised: no lock, no address and no list of its is needed.
 *
 *   head       magic, version, sizes; written once, with a checksum
 *   slots      groups that are being published at this moment, a slot each
 *   volumes    identity of each volume that had records here, and the stamp of its image
 *   records    64 bytes each: {volume, page of it, page of memory, seq}; one for each page of the memory, so that
 *              none has to be looked for. A page that several volume pages share is dirty for one of them at most.
 *   pages      the arena (arena.h)
 *
 * What is guaranteed between any two stores, with one process alive or none:
 *   - A record counts when its checksum is right; 0 is no record. The checksum is stored last, and is 0 while the other
 *     words change. It covers the volume's identity and this memory's, so that a record of other days never counts.
 *   - A page that a record names holds its bytes: they are in before the record is published, nobody writes a
 *     committed page, and the record is retired before the page is freed.
 *   - To overwrite, the new record is published, then the old one is retired. In between both count: highest seq wins.
 *   - Records of one command carry one seq, its group. While they are published the group stands in a slot; records
 *     of a group in a slot do not count, all of them. One store empties the slot: the moment of the commit. Older records
 *     of the same pages are retired after it. (A count in each record would not do: a later overwrite retires some of a
 *     whole group. Sealing each record would cost a second pass over them.) A single page needs no slot.
 *   - A volume's stamp is `open` while its image may change by our doing. See ledger_stamp_*().
 *
 * Every store that orders the others goes through publish(), which is a crash point: tests take a copy of the memory
 * at each of them, and adopt it.
 *
 * Threads: a record is written under the lock of the volume page that it names (map.h), a fresh page's by its
 * taker; slots by compare and swap; the volumes' table by the main thread, stamps by one thread a volume. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "check.h"

enum {
	LEDGER_VERSION = 1,
	LEDGER_SLOTS = 128,      /* more than there can be threads that commit */
	LEDGER_VOLUMES = 1024,
	LEDGER_NAME = 128,
};

struct ledger_head {
	uint64_t magic;
	uint32_t version, page_size;
	uint64_t n_pages;
	uint64_t slots_at, volumes_at, records_at, pages_at, len; /* bytes from the beginning */
	uint64_t id;         /* random: another memory has another */
	uint64_t check;      /* of all above */
	uint64_t generation; /* how often it was adopted */
};

struct ledger_slot { uint64_t seq; uint64_t pad[7]; };

/* What tells an image from one that somebody else has changed. */
struct ledger_stamp {
	uint64_t size, dev, ino, mtime_ns; /* mtime_ns 0: a block device, whose inode tells nothing */
};

struct ledger_volume {
	uint64_t check;      /* of uuid, size, born; 0: free */
	uint8_t uuid[16];
	uint64_t size;
	uint64_t born;       /* generation of the memory when it came: part of its records' checksum */
	uint64_t open;       /* the image changes by our doing; .. */
	uint64_t touched_ns; /* .. and the last change was begun at this moment of the wall clock */
	struct ledger_stamp stamp;
	uint8_t pad[40];
	char name[LEDGER_NAME];
};

struct ledger_record {
	uint64_t check;  /* of all below and of the volume; 0: none */
	uint64_t seq;    /* of its command */
	uint64_t at;     /* page of the volume */
	uint32_t volume; /* index */
	uint32_t page;   /* of the memory */
	uint64_t n;      /* pages of its command, to look at */
	uint64_t pad[3];
};
_Static_assert(sizeof(struct ledger_record) == 64 && sizeof(struct ledger_slot) == 64, "a cache line each");
_Static_assert(sizeof(struct ledger_volume) == 256, "");

struct ledger {
	struct ledger_head *head;
	struct ledger_slot *slots;
	struct ledger_volume *volumes;
	struct ledger_record *records;
	uint64_t n_pages;
	uint64_t keys[LEDGER_VOLUMES]; /* what goes into the checksums of a volume's records */
	_Alignas(64) uint64_t seq;     /* atomic: the last one given out */
};

/* ledger_len - bytes of a memory with so many pages, and where the pages begin. */
uint64_t ledger_len(uint64_t n_pages, uint64_t *pages_atp);
/* ledger_format - a new ledger in zeroed memory. id: random, not 0. -ENOMEM. */
int ledger_format(struct ledger **lp, void *base, uint64_t n_pages, uint64_t id);
/* ledger_check - is this the beginning of a memory of `len` bytes that we can read? NULL, or what is wrong. */
const char *ledger_check(const void *base, uint64_t base_len, uint64_t len);
/* ledger_attach - to a memory that was checked. What was being published is dropped, and so is every record that
 * is damaged or names what cannot be; *n_droppedp and *n_damagedp count them. -ENOMEM. */
int ledger_attach(struct ledger **lp, void *base, uint64_t *n_droppedp, uint64_t *n_damagedp);
struct ledger *ledger_free(struct ledger *l); /* NULL; the memory stays as it is */

/* --- volumes --- */
#define LEDGER_NONE UINT32_MAX
/* ledger_volume - the index of a volume, which is entered when it is not there; LEDGER_NONE: the table is full. */
uint32_t ledger_volume(struct ledger *l, const uint8_t uuid[16], uint64_t size, const char *name);
uint32_t ledger_find(const struct ledger *l, const uint8_t uuid[16]); /* LEDGER_NONE: not here */
void ledger_forget(struct ledger *l, uint32_t volume); /* it has no records any more, or they are to be lost */
uint64_t ledger_count(const struct ledger *l, uint32_t volume); /* its records; LEDGER_NONE: all */
uint64_t ledger_top(const struct ledger *l); /* behind the last page of the memory that has a record */

/* The image is about to change (cheap when it was said before); it does not change now, and looks like this. */
void ledger_stamp_open(struct ledger *l, uint32_t volume, uint64_t now_ns);
void ledger_stamp_close(struct ledger *l, uint32_t volume, const struct ledger_stamp *s);
enum { LEDGER_SLACK_NS = 1000 * 1000 * 1000 }; /* a change may be that much younger than its announcement */
/* ledger_stamp_differs - NULL: it is as we left it; else what is different. An image that we were changing may be as
 * young as our last change. */
const char *ledger_stamp_differs(const struct ledger_volume *v, const struct ledger_stamp *s);

/* --- records: the hot part --- */
extern void (*ledger_crash_point)(void); /* tests: before each publish() */

static inline void publish(uint64_t *word, uint64_t value)
{
	if (unlikely(ledger_crash_point != NULL))
		ledger_crash_point();
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static inline uint64_t ledger_mix(uint64_t h, uint64_t word)
{
	h = (h ^ word) * 0x9e3779b97f4a7c15u;
	return h ^ h >> 29;
}

static inline uint64_t ledger_sum(uint64_t key, const struct ledger_record *r)
{
	uint64_t h = ledger_mix(ledger_mix(key, r->seq), r->at);

	return ledger_mix(ledger_mix(h, (uint64_t)r->volume << 32 | r->page), r->n) | 1;
}

static inline uint64_t ledger_next_seq(struct ledger *l)
{
	return __atomic_add_fetch(&l->seq, 1, __ATOMIC_RELAXED);
}

/* ledger_begin - records of a group follow; the slot, for ledger_commit(). */
struct ledger_slot *ledger_begin(struct ledger *l, uint64_t seq);
static inline void ledger_commit(struct ledger_slot *s)
{
	publish(&s->seq, 0);
}

/* ledger_publish - the record of `page`, which counts for nothing now, says that page `at` of the volume lies there. */
static inline void ledger_publish(struct ledger *l, uint32_t page, uint32_t volume, uint64_t at, uint64_t seq, uint32_t n)
{
	struct ledger_record *r = &l->records[page];

	r->seq = seq;
	r->at = at;
	r->volume = volume;
	r->page = page;
	r->n = n;
	publish(&r->check, ledger_sum(l->keys[volume], r));
}

static inline void ledger_retire(struct ledger *l, uint32_t page)
{
	publish(&l->records[page].check, 0);
}

static inline bool ledger_lives(const struct ledger *l, uint32_t page)
{
	return __atomic_load_n(&l->records[page].check, __ATOMIC_ACQUIRE) != 0;
}
