/* rig.c - see rig.h. */
#include <stdlib.h>
#include <string.h>
#include "attention.h"
#include "check.h"
#include "rig.h"

/* --- the little of an engine that these rooms ask for --- */

void io_defer(struct io *io, struct io_work *w)
{
	check(!w->link.next || !list_linked(&w->link));
	list_push_back(&io->deferred, &w->link);
}

void io_post(struct io *io, struct io_work *w)
{
	io_defer(io, w);
}

void io_timer_init(struct io_timer *t, void (*fn)(struct io_timer *))
{
	*t = (struct io_timer){.fn = fn};
}

static struct io_timer *timers[16]; /* by index, counted from 1 */

int io_timer_set(struct io *io, struct io_timer *t, uint64_t at_ns)
{
	for (uint32_t i = 0; i < ARRAY_LEN(timers) && !t->index; i++) {
		if (timers[i])
			continue;
		timers[i] = t;
		t->index = i + 1;
	}
	check(t->index);
	t->at_ns = at_ns;
	return 0;
}

void io_timer_stop(struct io *io, struct io_timer *t)
{
	if (t->index)
		timers[t->index - 1] = NULL;
	t->index = 0;
}

/* Time passes when nothing else is to do. */
static bool rig_tick(struct rig *r)
{
	struct io_timer *t = NULL;

	for (unsigned i = 0; i < ARRAY_LEN(timers); i++)
		if (timers[i] && (!t || timers[i]->at_ns < t->at_ns))
			t = timers[i];
	if (!t || r->stop_clock)
		return false;
	r->io.now_ns = t->at_ns;
	io_timer_stop(&r->io, t);
	t->fn(t);
	return true;
}

bool rig_turn(struct rig *r)
{
	struct list now;
	struct list *l;

	if (list_empty(&r->io.deferred))
		return rig_tick(r);
	list_init(&now);
	list_splice_back(&now, &r->io.deferred);
	while ((l = list_pop(&now))) {
		struct io_work *w = list_entry(l, struct io_work, link);

		w->fn(w);
	}
	return true;
}

static void rig_random(struct io *io, void *buf, size_t len)
{
	static uint8_t next;

	for (size_t i = 0; i < len; i++)
		((uint8_t *)buf)[i] = next++ * 151 + 7;
}

static const struct io_ops io_ops = {.name = "rig", .random = rig_random};

void rig_init(struct rig *r)
{
	memset(r, 0, sizeof(*r));
	r->io.ops = &io_ops;
	list_init(&r->io.deferred);
	lu_map_init(&r->map);
	nexus_init(&r->nexus);
	nexus_init(&r->other);
	r->nexus.luns = r->other.luns = &r->map;
	r->other.port = 1;
	strcpy(r->other.target, "iqn.2026-11.io.berth:rig,t,0x0001");
	strcpy(r->nexus.initiator, "iqn.1994-05.com.example:one,i,0x400001370001");
	strcpy(r->other.initiator, "iqn.1994-05.com.example:two,i,0x400001370002");
	r->nexus.functions = r->other.functions = 0x8800;
	r->nexus.port = 1;
	strcpy(r->nexus.target, "iqn.2026-11.io.berth:rig,t,0x0001");
	r->in = malloc(RIG_IN_MAX);
	check(r->in);
}

void rig_deinit(struct rig *r)
{
	nexus_deinit(&r->nexus);
	nexus_deinit(&r->other);
	for (unsigned i = 0; i < r->map.n; i++)
		r->map.lu[i] = lu_free(r->map.lu[i]);
	lu_map_deinit(&r->map);
	free(r->in);
}

struct lu *rig_unit(struct rig *r, const struct rig_unit *u)
{
	struct arena_params ap = {.name = "rig",
		.kind = ARENA_RAM,
		.n_pages = u->n_pages ? u->n_pages : volume_ram_pages(u->size),
		.n_merge_pages = 64};
	struct volume_params vp = {
		.name = "rig", .size = u->size, .block = u->block, .backend = u->backend};
	struct lu_params lp = {.lun = u->lun,
		.target = "iqn.2026-11.io.berth:rig",
		.block = u->block,
		.physical = u->physical ? u->physical : 4096,
		.ro = u->ro,
		.removable = u->removable,
		.store = u->store,
		.record = u->record,
		.record_len = u->record_len,
		.uuid = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
			(uint8_t)(15 + u->lun / 256), (uint8_t)(16 + u->lun)}};
	struct lu *l = NULL;

	check(arena_new(&vp.arena, &ap) == 0);
	check(volume_new(&lp.volume, &vp) == 0);
	check(lu_new(&l, &lp) == 0);
	lu_map_add(&r->map, l);
	check(nexus_open(&r->nexus) == 0 && nexus_open(&r->other) == 0);
	if (!u->power_on) {
		attention_clear(&r->nexus, ATTENTION_POWER_ON);
		attention_clear(&r->other, ATTENTION_POWER_ON);
	}
	return l;
}

/* --- the transport's side of a command --- */

static struct rig *rig_of(const struct scsi_cmd *c)
{
	return container_of(c->io, struct rig, io);
}

static void on_done(struct scsi_cmd *c)
{
	check(c->state == SCSI_DONE);
	rig_of(c)->n_done++;
}

static void on_room(struct scsi_cmd *c)
{
	scsi_room(c);
}

static const struct scsi_ops ops = {.done = on_done, .room = on_room};

void rig_begin(struct rig *r, struct scsi_cmd *c, unsigned lun, const uint8_t *cdb, bool read,
	bool write, uint32_t edtl)
{
	memset(c, 0, sizeof(*c));
	c->ops = &ops;
	c->io = &r->io;
	c->nexus = r->as_other ? &r->other : &r->nexus;
	c->lun = scsi_lun_wire(lun);
	memcpy(c->cdb, cdb, SCSI_CDB_MAX);
	c->read = read;
	c->write = write;
	c->edtl = edtl;
	c->line_policy = r->line_policy;
	c->attr = r->attr;
	c->unsolicited = MIN(r->unsolicited, write ? edtl : 0);
	scsi_prepare(c);
	check(c->out_have <= c->out_len && c->out_len <= (write ? edtl : 0) &&
		c->out_len <= c->out_full);
}

void rig_fill(struct scsi_cmd *c, const void *data)
{
	uint32_t at = 0;

	for (unsigned i = 0; i < c->n_out_iov; i++) {
		memcpy(c->out_iov[i].iov_base, (const char *)data + at, c->out_iov[i].iov_len);
		at += (uint32_t)c->out_iov[i].iov_len;
	}
	check(at == c->out_have);
}

static void take_in(struct rig *r, const struct scsi_cmd *c)
{
	uint64_t want = MIN(c->in_len, c->read ? c->edtl : 0);

	r->in_len = 0;
	for (unsigned i = 0; i < c->n_in_iov && r->in_len < want; i++) {
		uint32_t n = (uint32_t)MIN(c->in_iov[i].iov_len, want - r->in_len);

		memcpy(r->in + r->in_len, c->in_iov[i].iov_base, n);
		r->in_len += n;
	}
	check(r->in_len == want);
}

/* Nothing is lent but what the maps hold. */
void rig_check(const struct rig *r)
{
	for (unsigned i = 0; i < r->map.n; i++) {
		struct lu *l = r->map.lu[i];

		if (l)
			check(arena_n_lent(volume_arena(l->volume)) * ARENA_PAGE <=
				volume_mapped_bytes(l->volume) +
					ARENA_PAGE); /* and the page of zeros */
	}
}

void rig_finish(struct rig *r, struct scsi_cmd *c)
{
	uint64_t before = r->n_done;

	scsi_execute(c);
	while (c->state != SCSI_DONE)
		check(rig_turn(r));
	while (!r->stop_turns && rig_turn(r))
		;
	check(r->n_done == before + 1);
	check((c->status == SCSI_CHECK_CONDITION) == (c->sense_len > 0));
	check(c->status == SCSI_GOOD || c->in_len == 0);
	take_in(r, c);
	r->last = *c;
	scsi_release(c);
	if (r->stop_turns)
		return;
	while (rig_turn(r))
		;
	rig_check(r);
}

void rig_run(struct rig *r, unsigned lun, const uint8_t *cdb, bool read, bool write, uint32_t edtl,
	const void *data)
{
	struct scsi_cmd c;

	rig_begin(r, &c, lun, cdb, read, write, edtl);
	check(c.out_have == c.out_len);
	rig_fill(&c, data);
	rig_finish(r, &c);
}
