/* memory.c - see memory.h. */
#include "memory.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "log.h"
#include "memfile.h"
#include "parse.h"
#include "server_in.h"
#include "why.h"

struct memory {
	struct memfile *file;
	struct arena *arena;
	uint64_t share; /* pages of each volume that may be dirty */
	struct volume *volumes[LEDGER_VOLUMES];

	pthread_t filler;
	bool filling, stop; /* stop: atomic */
	void (*grown)(void *ctx, void *base, size_t len);
	void *ctx;
};

static bool is_file(const struct config_disk *d)
{
	return d->path || d->n_faults; /* a RAM disk with faults is one too */
}

/* --- opening --- */

static int find_memory(struct memory *m, const struct config *c, const struct server_world *world,
	char *err, size_t err_len)
{
	struct memfile_params p = {.dir = c->run_dir,
		.n_pages = c->cache / ARENA_PAGE,
		.min_pages = CONFIG_CACHE_MIN / ARENA_PAGE,
		.exact = c->cache_given,
		.stored_fd = c->memory_fd};
	uint8_t(*uuids)[16];
	int rc;

	if (world)
		return memfile_anonymous(
			&m->file, p.n_pages, world->memory_fd > 0 ? world->memory_fd : -1);
	uuids = calloc(c->n_disks, sizeof(*uuids));
	if (!uuids)
		return why_not(err, err_len, -ENOMEM, "no memory");
	for (unsigned i = 0; i < c->n_disks; i++)
		if (is_file(&c->disks[i]))
			memcpy(uuids[p.n_uuids++], c->disks[i].uuid, 16);
	p.uuids = (const uint8_t(*)[16])uuids;
	rc = memfile_open(&m->file, &p, err, err_len);
	free(uuids);
	return rc;
}

static int make_arena(struct memory *m)
{
	uint64_t n = m->file->ledger->n_pages;
	struct arena_params p = {.name = "cache",
		.kind = ARENA_FILE,
		.n_pages = n,
		.n_merge_pages = n / 16,
		.n_content_pages = n / 4,
		.fd = m->file->fd,
		.fd_at = m->file->pages_at,
		.n_absent = n - m->file->n_taken};

	return arena_new(&m->arena, &p);
}

static void share_limit(struct memory *m, const struct config *c)
{
	uint64_t n = m->file->ledger->n_pages, all = c->dirty_limit / ARENA_PAGE;
	unsigned n_files = 0;

	for (unsigned i = 0; i < c->n_disks; i++)
		n_files += is_file(&c->disks[i]) && !c->disks[i].ro;
	all = all ? MIN(all, n / 4 * 3) : n / 2;
	m->share = MAX(all / MAX(n_files, 1u), 64u);
}

int memory_open(struct memory **mp, const struct config *c, const struct server_world *world,
	char *err, size_t err_len)
{
	struct memory *m = calloc(1, sizeof(*m));
	int rc;

	if (!m)
		return why_not(err, err_len, -ENOMEM, "no memory");
	rc = find_memory(m, c, world, err, err_len);
	if (rc) {
		free(m);
		return rc;
	}
	rc = make_arena(m);
	if (rc) {
		memfile_close(m->file);
		free(m);
		return why_not(err, err_len, rc, "--cache: %s", strerror(-rc));
	}
	if (c->cache_given && m->file->ledger->n_pages != c->cache / ARENA_PAGE)
		log_info("--cache: %s this time, since the memory with the data that are not on "
			 "the disks yet is of that size",
			SIZE(m->file->ledger->n_pages * ARENA_PAGE));
	if (m->file->path)
		log_debug("buffer memory: %s", m->file->path);
	share_limit(m, c);
	*mp = m;
	return 0;
}

struct arena *memory_arena(const struct memory *m)
{
	return m->arena;
}

int memory_fd(const struct memory *m)
{
	return m->file->fd;
}

/* --- each disk --- */

/* was_left - is the image as it was when the data in memory were acknowledged? */
static int was_left(const struct memory *m, const struct config *c, const struct config_disk *disk,
	const struct backend *b, uint32_t volume, char *err, size_t err_len)
{
	const struct ledger_volume *v = &m->file->ledger->volumes[volume];
	uint64_t waiting = ledger_count(m->file->ledger, volume) * ARENA_PAGE;
	const struct backend_stamp *s = &b->opened;
	struct ledger_stamp now = {s->size, s->dev, s->ino, s->mtime_ns};
	const char *why;

	if (v->size != b->info.size)
		return why_not(err, err_len, -ESTALE,
			"%s: its size has changed while %s of acknowledged data waited in "
			"memory to be written to it: --discard-dirty drops them",
			disk->text, SIZE(waiting));
	if (!backend_can_stamp(b) || c->adopt_anyway)
		return 0;
	why = ledger_stamp_differs(v, &now);
	if (!why)
		return 0;
	return why_not(err, err_len, -ESTALE,
		"%s: somebody else has changed it (%s) while %s of acknowledged data waited in "
		"memory to be written to it: --discard-dirty drops them, --adopt-anyway writes them",
		disk->text, why, SIZE(waiting));
}

static int look_at_dirty(const struct memory *m, const struct config *c,
	const struct config_disk *disk, const struct backend *b, char *err, size_t err_len)
{
	struct ledger *l = m->file->ledger;
	uint32_t volume = ledger_find(l, disk->uuid);
	uint64_t n = volume == LEDGER_NONE ? 0 : ledger_count(l, volume);

	if (!n)
		return 0;
	if (!disk->path) { /* its content went with the process */
		ledger_forget(l, volume);
		return 0;
	}
	if (c->discard_dirty) {
		log_warn("%s: %s of acknowledged data are dropped", disk->text,
			SIZE(n * ARENA_PAGE));
		ledger_forget(l, volume);
		return 0;
	}
	if (!(b->info.caps & BACKEND_WRITE))
		return why_not(err, err_len, -EROFS,
			"%s: %s of acknowledged data wait in memory to be written to it, and it "
			"cannot be written to",
			disk->text, SIZE(n * ARENA_PAGE));
	return was_left(m, c, disk, b, volume, err, err_len);
}

int memory_back(struct memory *m, const struct config *c, const struct config_disk *disk,
	const struct backend *b, struct volume_back *back, char *err, size_t err_len)
{
	int rc = look_at_dirty(m, c, disk, b, err, err_len);

	if (rc || !(b->info.caps & BACKEND_WRITE))
		return rc;
	*back = (struct volume_back){.limit = m->share};
	back->on = disk->mode == MODE_BACK || (disk->mode == MODE_DEFAULT && disk->path);
	back->volume = ledger_volume(
		m->file->ledger, disk->uuid, b->info.size, disk->path ? disk->path : disk->text);
	if (back->volume == LEDGER_NONE)
		log_warn("%s: more than %d disks: it is written through", disk->text,
			LEDGER_VOLUMES);
	else if (m->volumes[back->volume])
		log_warn("%s: another disk has the same uuid: it is written through", disk->text);
	else
		back->ledger = m->file->ledger;
	return 0;
}

void memory_serves(struct memory *m, const struct volume_back *back, struct volume *v)
{
	if (back->ledger)
		m->volumes[back->volume] = v;
}

/* --- adoption --- */

static void tell(const struct memory *m, const uint64_t *n)
{
	const struct ledger *l = m->file->ledger;

	for (uint32_t i = 0; i < LEDGER_VOLUMES; i++) {
		if (n[i] && m->volumes[i])
			log_info("%s: %s that were acknowledged before are adopted",
				l->volumes[i].name, SIZE(n[i] * ARENA_PAGE));
		else if (n[i])
			log_warn("%s: is not served now; %s of acknowledged data for it stay in "
				 "memory",
				l->volumes[i].name, SIZE(n[i] * ARENA_PAGE));
	}
}

void memory_adopt(struct memory *m)
{
	struct ledger *l = m->file->ledger;
	uint64_t n[LEDGER_VOLUMES] = {0};

	for (uint32_t page = 0; page < l->n_pages; page++) {
		uint32_t volume = l->records[page].volume;

		if (!ledger_lives(l, page))
			continue;
		arena_adopt(m->arena, page);
		if (!m->volumes[volume])
			arena_keep(m->arena, page);
		n[volume] += !m->volumes[volume] || volume_adopt(m->volumes[volume], page);
	}
	for (uint32_t i = 0; i < LEDGER_VOLUMES; i++)
		if (m->volumes[i])
			volume_stamp(m->volumes[i]);
	tell(m, n);
}

/* --- the rest of a large memory --- */

enum { PIECE = (64 << 20) / ARENA_PAGE };

static void *fill(void *arg)
{
	struct memory *m = arg;
	int64_t n;

	while (!__atomic_load_n(&m->stop, __ATOMIC_RELAXED) &&
		(n = memfile_take(m->file, PIECE)) != 0) {
		if (n < 0) {
			log_warn("buffer memory: %s: it stays at %s", strerror((int)-n),
				SIZE(m->file->n_taken * ARENA_PAGE));
			break;
		}
		arena_grow(m->arena, (uint32_t)n);
		m->grown(m->ctx, arena_ptr(m->arena, (uint32_t)(m->file->n_taken - (uint64_t)n)),
			(size_t)n * ARENA_PAGE);
	}
	return NULL;
}

void memory_fill(struct memory *m, void (*grown)(void *ctx, void *base, size_t len), void *ctx)
{
	m->grown = grown;
	m->ctx = ctx;
	m->filling = m->file->n_taken < m->file->ledger->n_pages &&
		     pthread_create(&m->filler, NULL, fill, m) == 0;
}

void memory_stop_filling(struct memory *m)
{
	if (!m->filling)
		return;
	__atomic_store_n(&m->stop, true, __ATOMIC_RELAXED);
	pthread_join(m->filler, NULL);
	m->filling = false;
}

struct memory *memory_close(struct memory *m)
{
	if (!m)
		return NULL;
	memory_stop_filling(m);
	arena_free(m->arena);
	memfile_close(m->file);
	free(m);
	return NULL;
}
