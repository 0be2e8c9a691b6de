/* disks.c - opens what the configuration names; the first thing that is wrong is told in one line. */
#include "disks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "backend.h"
#include "dir.h"
#include "log.h"
#include "parse.h"
#include "patience.h"
#include "server_in.h"
#include "store.h"
#include "volume.h"

enum { LEND_CHUNK = 64 << 20 };

static int open_cache(struct disks *d, const struct config *c, const struct server_world *world,
	char *err, size_t err_len)
{
	int rc = d->memory ? 0 : memory_open(&d->memory, c, world, err, err_len);

	if (!rc)
		d->cache = memory_arena(d->memory);
	return rc;
}

static int open_ram(
	const struct config_disk *disk, struct volume_params *vp, char *err, size_t err_len)
{
	uint64_t n = volume_ram_pages(disk->size);
	struct arena_params p = {.name = vp->name,
		.kind = ARENA_RAM,
		.n_pages = n,
		.n_merge_pages = MIN(n / 16, 1024),
		.n_content_pages = disk->size / ARENA_PAGE};
	int rc = arena_new(&vp->arena, &p);

	vp->size = disk->size;
	if (rc == -ENOMEM)
		snprintf(
			err, err_len, "%s: this machine has not that much memory free", disk->text);
	else if (rc == -EINVAL)
		snprintf(err, err_len, "%s: more than a disk in memory can be", disk->text);
	else if (rc)
		snprintf(err, err_len, "%s: %s", disk->text, strerror(-rc));
	return rc;
}

static int open_backend(const struct config_disk *disk, const struct server_world *world,
	struct backend **bp, char *err, size_t err_len)
{
	struct file_params fp = {.path = disk->path,
		.create_size = disk->size,
		.ro = disk->ro,
		.block = disk->block};
	unsigned waited = 0;
	int rc;

	if (world)
		return world->open(world->ctx, disk->path, bp);
	if (!disk->path)
		return backend_memory_open(bp, disk->size, disk->block, err, err_len);
	do
		rc = backend_file_open(bp, &fp, err, err_len);
	while (rc == -EBUSY && patience_left(&waited));
	return rc;
}

static int add_faults(
	const struct config_disk *disk, struct backend **bp, char *err, size_t err_len)
{
	for (unsigned i = 0; i < disk->n_faults; i++) {
		int rc = fault_wrap(bp, &disk->faults[i], disk->block);

		if (rc) {
			*bp = backend_free(*bp);
			snprintf(err, err_len, "%s: %s", disk->text, strerror(-rc));
			return rc;
		}
	}
	return 0;
}

static int open_file(struct disks *d, const struct config *c, const struct server_world *world,
	const struct config_disk *disk, struct volume_params *vp, char *err, size_t err_len)
{
	int rc = open_backend(disk, world, &vp->backend, err, err_len);

	if (!rc)
		rc = add_faults(disk, &vp->backend, err, err_len);
	if (rc)
		return rc;
	/* What is not there is said before memory is taken, which takes time. */
	rc = open_cache(d, c, world, err, err_len);
	if (!rc)
		rc = memory_back(d->memory, c, disk, vp->backend, &vp->back, err, err_len);
	if (rc) {
		vp->backend = backend_free(vp->backend);
		return rc;
	}
	vp->size = vp->backend->info.size;
	vp->arena = d->cache;
	return 0;
}

/* open_store - where the unit keeps what must survive a restart. Without --state-dir that is the default directory,
 * where it is there and may be written, and for files only: a RAM disk does not survive either. */
static int open_store(const struct config *c, const struct config_disk *disk, struct lu_params *lp,
	void **recordp, char *err, size_t err_len)
{
	const char *dir = c->state_dir ? c->state_dir : CONFIG_STATE_DIR;
	int rc;

	if (!c->state_dir && (!disk->path || access(dir, W_OK) < 0))
		return 0;
	rc = c->state_dir ? dir_take(dir) : 0;
	if (rc) {
		snprintf(err, err_len, "--state-dir %s: %s", dir, strerror(-rc));
		return rc;
	}
	rc = store_open(&lp->store, dir, lp->uuid, recordp, &lp->record_len, err, err_len);
	lp->record = *recordp;
	return rc;
}

static int make_unit(const struct config *c, const struct server_world *world,
	const struct config_disk *disk, struct lu_params *lp, struct lu **lup, char *err,
	size_t err_len)
{
	void *record = NULL;
	int rc = world ? 0 : open_store(c, disk, lp, &record, err, err_len);

	if (rc)
		return rc;
	rc = lu_new(lup, lp);
	if (rc) {
		snprintf(err, err_len, "%s: %s", disk->text, strerror(-rc));
		if (lp->store)
			lp->store->free(lp->store);
	}
	free(record);
	return rc;
}

static int open_disk(struct disks *d, const struct config *c, const struct server_world *world,
	unsigned i, struct node **nodes, char *err, size_t err_len)
{
	const struct config_disk *disk = &c->disks[i];
	struct node *node = nodes[disk->target];
	struct disk_name *entry = &d->list[i];
	struct volume_params vp = {.name = entry->name, .block = disk->block};
	struct lu_params lp = {.lun = disk->lun,
		.target = node->name,
		.block = disk->block,
		.physical = disk->physical,
		.ro = disk->ro,
		.removable = disk->removable,
		.host = d->host};
	struct lu *lu = NULL;
	int rc;

	snprintf(entry->name, sizeof(entry->name), "disk%u", i);
	/* Faults belong to a door, and a RAM disk has none: with them it is a file that nobody else sees. */
	rc = disk->path || disk->n_faults ? open_file(d, c, world, disk, &vp, err, err_len)
					  : open_ram(disk, &vp, err, err_len);
	if (rc)
		return rc;
	entry->a = vp.arena;
	rc = volume_new(&entry->v, &vp);
	if (rc) {
		snprintf(err, err_len, "%s: %s", disk->text, strerror(-rc));
		if (vp.backend)
			backend_free(vp.backend);
		else
			arena_free(vp.arena);
		return rc;
	}
	if (vp.backend)
		memory_serves(d->memory, &vp.back, entry->v);
	lp.volume = entry->v;
	memcpy(lp.uuid, disk->uuid, sizeof(lp.uuid));
	rc = make_unit(c, world, disk, &lp, &lu, err, err_len);
	if (rc) {
		volume_free(entry->v);
		entry->v = NULL;
		return rc;
	}
	lu_map_add(&node->luns, lu);
	d->n = i + 1;
	return 0;
}

int disks_open(struct disks *d, const struct config *c, const struct server_world *world,
	struct node **nodes, char *err, size_t err_len)
{
	d->list = calloc(c->n_disks, sizeof(*d->list));
	if (!d->list) {
		snprintf(err, err_len, "no memory");
		return -ENOMEM;
	}
	for (unsigned i = 0; i < c->n_disks; i++) {
		int rc = open_disk(d, c, world, i, nodes, err, err_len);

		if (rc)
			return rc;
	}
	if (d->memory)
		memory_adopt(d->memory);
	return 0;
}

void disks_close(struct disks *d)
{
	free(d->list);
	d->list = NULL;
	d->memory = memory_close(d->memory);
	d->cache = NULL;
}

static bool lend(struct io *io, char *base, uint64_t len, const char *what)
{
	for (uint64_t at = 0; at < len; at += LEND_CHUNK) {
		int rc = io_lend_memory(io, base + at, MIN(len - at, LEND_CHUNK));

		if (rc && rc != -EOPNOTSUPP)
			log_info("reactor %u: %s of %s of %s are registered for direct I/O "
				 "(%s); the rest goes by plain vectors",
				io->index, SIZE(at), SIZE(len), what, strerror(-rc));
		if (rc)
			return false;
	}
	return true;
}

bool disks_lend(const struct disks *d, struct io *io)
{
	uint64_t n;

	if (!d->cache)
		return false;
	n = arena_n_pages(d->cache) - arena_n_absent(d->cache);
	return lend(io, arena_base(d->cache), n * ARENA_PAGE, "the cache");
}

bool disks_lend_more(struct io *io, void *base, size_t len)
{
	return lend(io, base, len, "what was added to the cache");
}
