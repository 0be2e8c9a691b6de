/* space.c - how much a thin file may still grow, and when that is little.
 *
 * The file system that holds the image is shared with whoever else writes to it, so what it can give is looked at,
 * not counted: when the volume starts, and with each look at the image's stamp (stamp.c), which is while the image
 * changes. */
#include <errno.h>
#include "log.h"
#include "parse.h"
#include "writer.h"

enum { MIB = 1 << 20, LOW_PART = 32 };

int volume_room(const struct volume *v, uint64_t *usedp, uint64_t *availablep)
{
	struct backend_room r;
	int error = v->backend ? backend_room(v->backend, &r) : -EOPNOTSUPP;

	if (error)
		return error;
	*usedp = r.used;
	*availablep = r.available;
	return 0;
}

uint64_t volume_low_mark(const struct volume *v)
{
	return MAX(v->size / LOW_PART / MIB, 1u) * MIB;
}

uint32_t volume_lows(const struct volume *v)
{
	return v->writer ? __atomic_load_n(&v->writer->n_lows, __ATOMIC_ACQUIRE) : 0;
}

bool volume_is_low(const struct volume *v)
{
	return v->writer && __atomic_load_n(&v->writer->low, __ATOMIC_RELAXED);
}

/* A file that has all its blocks needs no more room. */
void space_look(struct volume *v)
{
	struct writer *w = v->writer;
	uint64_t used, available;
	bool low;

	if (!w || volume_room(v, &used, &available))
		return;
	low = available < volume_low_mark(v) && used < v->size;
	if (low == w->low)
		return;
	__atomic_store_n(&w->low, low, __ATOMIC_RELAXED);
	if (!low)
		return;
	__atomic_add_fetch(&w->n_lows, 1, __ATOMIC_RELEASE);
	log_warn("%s: its file system has %s left, and it may want %s more", v->name,
		SIZE(available), SIZE(v->size - used));
}
