/* lun.c - logical units and their addresses (SAM-5 4.7). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "attention.h"
#include "body.h"
#include "check.h"
#include "lun.h"
#include "medium.h"
#include "mode.h"
#include "sanitize.h"
#include "token.h"

static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static struct list all = {&all, &all}; /* every unit of the process */

/* One level, by peripheral or flat space addressing; anything deeper is nobody's (SAM-5 4.7.6, 4.7.7). A bus other
 * than 0 is one level deeper by the book, but libiscsi (1.19, and QEMU with it) puts the number of a URL into the
 * field as it is: taken as one number of 14 bits, so that the URLs we print can be opened. */
int scsi_lun_flat(uint64_t lun)
{
	unsigned first = (unsigned)(lun >> 48);

	if (lun & 0xffffffffffffULL)
		return -1;
	return first >> 14 < 2 ? (int)(first & 0x3fff) : -1;
}

uint64_t scsi_lun_wire(unsigned lun)
{
	check(lun < 16384);
	return (uint64_t)(lun < 256 ? lun : 0x4000 | lun) << 48;
}

struct lu *lu_at(const struct nexus *n, uint64_t lun)
{
	int flat = scsi_lun_flat(lun);

	if (flat < 0 || (unsigned)flat >= n->luns->n)
		return NULL;
	return n->luns->lu[flat];
}

static void parts_deinit(struct lu *l)
{
	keep_deinit(l);
	sanitize_deinit(l);
	reserve_deinit(&l->reserve);
}

static int parts_init(struct lu *l, const struct lu_params *p)
{
	int r;

	reserve_init(&l->reserve);
	r = sanitize_init(l);
	if (!r)
		r = keep_init(l, p->store, p->record, p->record_len);
	if (r)
		parts_deinit(l);
	return r;
}

int lu_new(struct lu **lp, const struct lu_params *p)
{
	const struct backend_info *info = volume_backend_info(p->volume);
	struct lu *l;
	int r;

	if ((p->block != 512 && p->block != 4096) || p->physical < p->block || p->lun >= 16384 ||
		p->physical & (p->physical - 1) || volume_size(p->volume) < p->block)
		return -EINVAL;
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->target = strdup(p->target);
	if (!l->target) {
		free(l);
		return -ENOMEM;
	}
	l->volume = p->volume;
	l->lun = p->lun;
	l->block = p->block;
	l->physical = p->physical;
	l->shift = (unsigned)__builtin_ctz(p->block);
	l->ro = p->ro || (info && !(info->caps & BACKEND_WRITE));
	l->removable = p->removable;
	l->thin = !info || info->caps & BACKEND_PUNCH;
	l->rotates = info && info->caps & BACKEND_ROTATES;
	l->max_atomic = info ? (uint32_t)MIN(info->max_atomic, LU_MAX_TRANSFER) : LU_MAX_ATOMIC_RAM;
	memcpy(l->uuid, p->uuid, sizeof(l->uuid));
	l->host = p->host;
	l->default_mode = volume_write_back(p->volume) ? LU_WCE : 0;
	atomic_init(&l->saved_mode, l->default_mode);
	mode_reset(l);
	r = parts_init(l, p);
	if (r) { /* the volume, and the store, stay the caller's */
		free(l->target);
		free(l);
		return r;
	}
	pthread_mutex_lock(&all_lock);
	list_push_back(&all, &l->all);
	pthread_mutex_unlock(&all_lock);
	*lp = l;
	return 0;
}

static bool has_name(
	const struct lu *l, unsigned set, unsigned type, const uint8_t *id, uint32_t len)
{
	uint8_t names[64];
	uint32_t n = inquiry_names(l, names);

	for (uint32_t at = 0; at < n; at += 4 + names[at + 3])
		if ((names[at] & 0x0f) == set && (names[at + 1] & 0x0f) == type &&
			names[at + 3] == len && memcmp(names + at + 4, id, len) == 0)
			return true;
	return false;
}

struct lu *lu_by_name(
	const struct lu *near, unsigned set, unsigned type, const uint8_t *id, uint32_t len)
{
	struct lu *found = NULL;

	pthread_mutex_lock(&all_lock);
	list_for_each(node, &all) {
		struct lu *l = list_entry(node, struct lu, all);

		if (l->host == near->host && has_name(l, set, type, id, len) &&
			(!found || l == near))
			found = l;
	}
	pthread_mutex_unlock(&all_lock);
	return found;
}

struct lu *lu_free(struct lu *l)
{
	if (!l)
		return NULL;
	check(!l->n_copies);
	pthread_mutex_lock(&all_lock);
	list_remove(&l->all);
	pthread_mutex_unlock(&all_lock);
	tokens_forget(l);
	parts_deinit(l);
	volume_free(l->volume);
	free(l->target);
	free(l);
	return NULL;
}

struct volume *lu_volume(const struct lu *l)
{
	return l->volume;
}

void lu_start(struct lu *l, struct io *io)
{
	volume_start(l->volume, io);
	sanitize_resume(l, io);
}

bool lu_quiet(struct lu *l, struct io *io)
{
	return volume_leave(l->volume, io);
}

bool lu_leave(struct lu *l, struct io *io)
{
	return sanitize_leave(l, io) && !atomic_load(&l->n_copies);
}

/* SAM-5 6.3.3: a reset ends what RESERVE and PREVENT ALLOW MEDIUM REMOVAL began, and the mode pages
 * are as saved; persistent reservations and a sanitize operation stay. */
void lu_reset(struct lu *l)
{
	volume_gen_next(l->volume);
	reserve_forget(l, NULL);
	medium_allow(l);
	mode_reset(l);
	attention_raise_all(l, ATTENTION_RESET, NULL);
}

bool lu_task_aborted(const struct lu *l)
{
	return lu_state(l) & LU_TAS;
}

void lu_commands_cleared(const struct lu *l, struct nexus *n)
{
	attention_raise(n, l, ATTENTION_COMMANDS_CLEARED);
}

int lu_sweep(struct scsi_sweep *s)
{
	if (s->lu->host)
		return s->lu->host->sweep(s->lu->host, s);
	s->done(s);
	return 0;
}

bool lu_counts_resources(const struct lu *l)
{
	return l->thin && (!volume_backend_info(l->volume) || lu_has_threshold(l));
}

bool lu_has_threshold(const struct lu *l)
{
	uint64_t used, available;

	return l->thin && !l->ro && !volume_room(l->volume, &used, &available);
}

uint32_t lu_max_unmap(const struct lu *l)
{
	if (!l->thin)
		return 0;
	return MIN((uint32_t)LU_MAX_UNMAP_BYTES >> l->shift, (uint32_t)LU_MAX_UNMAP_BLOCKS);
}
