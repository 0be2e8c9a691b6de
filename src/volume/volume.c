/* volume.c - a volume's making and end, and what it says about itself. */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include "cache.h"
#include "sync.h"
#include "writer.h"

static int params_check(const struct volume_params *p)
{
	if (p->block != 512 && p->block != 4096)
		return -EINVAL;
	if (!p->size || p->size % p->block || p->size > 1ull << 50)
		return -EINVAL;
	return 0;
}

int volume_new(struct volume **vp, const struct volume_params *p)
{
	struct volume *v;
	int r = params_check(p);

	if (r)
		return r;
	v = calloc(1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	v->size = p->size;
	v->block = p->block;
	v->n_pages = (p->size + ARENA_PAGE - 1) / ARENA_PAGE;
	v->name = strdup(p->name ? p->name : "");
	r = v->name ? map_init(&v->map, v->n_pages) : -ENOMEM;
	if (r) {
		free(v->name);
		free(v);
		return r;
	}
	v->arena = p->arena;
	v->base = arena_base(p->arena);
	sync_init(&v->sync);
	pthread_mutex_init(&v->ahead.lock, NULL);
	pthread_mutex_init(&v->watch_lock, NULL);
	list_init(&v->watches);
	if (p->backend)
		r = cache_get(&v->cache, p->arena);
	if (!r && v->cache)
		v->number = cache_number(v->cache);
	if (r) {
		map_deinit(&v->map);
		free(v->name);
		free(v);
		return r;
	}
	v->backend = p->backend;
	if (p->back.ledger)
		r = writer_new(&v->writer, v, &p->back);
	if (r) {
		cache_put(v->cache);
		map_deinit(&v->map);
		free(v->name);
		free(v);
		return r;
	}
	*vp = v;
	return 0;
}

static void content_give_back(struct volume *v)
{
	struct give g = {.v = v};

	for (uint64_t leaf = 0; leaf < v->map.n_leaves; leaf++) {
		if (!v->map.n_used[leaf])
			continue;
		for (uint64_t at = leaf * MAP_LEAF_PAGES; at < (leaf + 1) * MAP_LEAF_PAGES; at++) {
			if (entry_state(v->map.entries[at]) == ENTRY_CLEAN)
				give_page(&g, entry_page(v->map.entries[at]));
		}
	}
	give_end(&g);
}

struct volume *volume_free(struct volume *v)
{
	if (!v)
		return NULL;
	/* A request's completion ends the last operation before it is through itself. */
	while (__atomic_load_n(&v->n_extents, __ATOMIC_ACQUIRE))
		sched_yield();
	if (v->backend) {
		if (v->writer)
			dirty_forget(v);
		writer_free(v->writer);
		cache_forget(v->cache, v);
		content_give_back(v);
		cache_put(v->cache);
		backend_free(v->backend);
	} else {
		content_give_back(v);
		arena_free(v->arena);
	}
	sync_deinit(&v->sync);
	check(list_empty(&v->watches));
	pthread_mutex_destroy(&v->watch_lock);
	pthread_mutex_destroy(&v->ahead.lock);
	map_deinit(&v->map);
	free(v->name);
	free(v);
	return NULL;
}

uint64_t volume_ram_pages(uint64_t size)
{
	uint64_t content = (size + ARENA_PAGE - 1) / ARENA_PAGE;

	/* What a thousand sessions are promised, and what readers pin: address space until it is used, but counted
	 * against the memory that is free. No command is longer than the disk, so a small one needs less; hundreds of
	 * them fit where hundreds of large ones do not. */
	return content +
	       MIN(16 * (MAX_BYTES / ARENA_PAGE), 2 * content + SMALL_BYTES / ARENA_PAGE) +
	       content / 16;
}

uint64_t volume_size(const struct volume *v)
{
	return v->size;
}

struct arena *volume_arena(const struct volume *v)
{
	return v->arena;
}

const struct backend_info *volume_backend_info(const struct volume *v)
{
	return v->backend ? &v->backend->info : NULL;
}

uint64_t volume_mapped_bytes(const struct volume *v)
{
	return __atomic_load_n(&v->map.total_used, __ATOMIC_RELAXED) * ARENA_PAGE;
}

uint32_t volume_gen(const struct volume *v)
{
	return __atomic_load_n(&v->gen, __ATOMIC_ACQUIRE);
}

void volume_gen_next(struct volume *v)
{
	__atomic_add_fetch(&v->gen, 1, __ATOMIC_ACQ_REL);
	if (v->writer)
		waits_wake(v->writer);
}

bool volume_can_write_back(const struct volume *v)
{
	return v->writer != NULL;
}

bool volume_write_back(const struct volume *v)
{
	return writer_on(v);
}

void volume_set_write_back(struct volume *v, bool on)
{
	if (!v->writer)
		return;
	__atomic_store_n(&v->writer->on, on, __ATOMIC_RELEASE);
	if (!on)
		writer_press(v->writer); /* nobody will ask for a flush any more */
}

uint64_t volume_unclean_bytes(const struct volume *v)
{
	return v->writer ? __atomic_load_n(&v->writer->n_unclean, __ATOMIC_RELAXED) * ARENA_PAGE
			 : 0;
}

uint32_t volume_fault(const struct volume *v, int *errorp)
{
	*errorp = v->writer ? __atomic_load_n(&v->writer->error, __ATOMIC_ACQUIRE) : 0;
	return v->writer ? __atomic_load_n(&v->writer->n_faults, __ATOMIC_RELAXED) : 0;
}

uint32_t volume_faults(const struct volume *v)
{
	return v->writer ? __atomic_load_n(&v->writer->n_faults, __ATOMIC_RELAXED) : 0;
}

void volume_start(struct volume *v, struct io *io)
{
	space_look(v);
	if (v->writer && volume_unclean_bytes(v))
		writer_kick(v->writer, io);
}

void volume_give_up(struct volume *v)
{
	if (v->writer)
		writer_give_up(v->writer);
}

bool volume_leave(struct volume *v, struct io *io)
{
	return !v->writer || writer_leave(v->writer, io);
}

void volume_make_room(struct volume *v, uint32_t n)
{
	uint64_t n_open;

	/* Promises may exceed the free pages: what is evicted is not always open at once. */
	while (v->cache && (n_open = arena_n_open(v->arena)) < n)
		if (!cache_make_room(v->cache, (uint32_t)(n - n_open)))
			return;
}
