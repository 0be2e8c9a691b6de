/* command.c - the commands of a player: of which kind, where, and what is sent with them. */
#include <string.h>
#include "be.h"
#include "check.h"
#include "counter.h"
#include "player.h"

static void unasked(struct player *p, struct player_task *t, struct peer_cmd *c)
{
	const struct peer_params *q = &p->p->params;
	uint32_t first = MIN(t->out, q->first_burst);

	if (q->immediate_data && draw(p, 4)) {
		c->data = t->buf;
		c->data_len = MIN(first, q->max_send_data);
		if (draw(p, 2))
			c->data_len = draw(p, c->data_len + 1);
	}
	t->sent = t->asked = c->data_len;
	if (q->initial_r2t || c->data_len == first || !draw(p, 4))
		return;
	c->more = true;
	t->due[0].ttt = PEER_NONE;
	t->due[0].at = c->data_len;
	t->due[0].end = first;
	t->due[0].datasn = 0;
	t->n_due = 1;
	t->asked = first;
}

/* overlaps - it writes a part of a page of which another write under way has a part too. */
static bool overlaps(const struct player *p, const struct player_task *t)
{
	enum { PAGE_BLOCKS = 8 };
	uint32_t first = t->lba / PAGE_BLOCKS, last = (t->lba + t->n - 1) / PAGE_BLOCKS;

	if (t->lba % PAGE_BLOCKS == 0 && (t->lba + t->n) % PAGE_BLOCKS == 0)
		return false;
	for (unsigned i = 0; i < p->g->n_players * PLAYER_TASKS; i++) {
		const struct player_task *o =
			&p->g->players[i / PLAYER_TASKS].tasks[i % PLAYER_TASKS];

		if (o != t && o->state == TASK_UNDER_WAY && o->kind == KIND_WRITE &&
			o->lun == t->lun && o->lba / PAGE_BLOCKS <= last &&
			(o->lba + o->n - 1) / PAGE_BLOCKS >= first)
			return true;
	}
	return false;
}

static void send_write(struct player *p, struct player_task *t, struct peer_cmd *c)
{
	c->write = true;
	c->edtl = t->out = t->n * MODEL_BLOCK;
	cdb_rw(c->cdb, true, t->lba, t->n);
	t->fua = !draw(p, 8);
	c->cdb[1] = t->fua ? 8 : 0;
	t->number = model_begin(model_of(p, t), t->lba, t->n, t->buf);
	if (overlaps(p, t))
		game_count(p->g, EV_OVERLAPS);
	unasked(p, t, c);
}

static void send_read(struct player *p, struct player_task *t, struct peer_cmd *c)
{
	c->read = true;
	c->edtl = t->n * MODEL_BLOCK;
	cdb_rw(c->cdb, false, t->lba, t->n);
	if (!draw(p, 16))
		c->cdb[1] = 8; /* FUA: what is dirty is written first */
	t->evicted = counter_sum(CTR_EVICTED_PAGES);
}

/* SYNCHRONIZE CACHE(16), of all or of a part. */
static void send_flush(struct player *p, struct player_task *t, struct peer_cmd *c)
{
	if (draw(p, 2)) {
		t->lba = 0;
		t->n = model_of(p, t)->n_blocks;
	}
	c->cdb[0] = 0x91;
	put_be64(c->cdb + 2, t->lba);
	put_be32(c->cdb + 10, t->n);
}

/* WRITE SAME(16) without a block (NDOB), with UNMAP or not. */
static void send_zero(struct player *p, struct player_task *t, struct peer_cmd *c)
{
	c->cdb[0] = 0x93;
	c->cdb[1] = draw(p, 2) ? 0x09 : 0x01;
	put_be64(c->cdb + 2, t->lba);
	put_be32(c->cdb + 10, t->n);
	t->fua = false;
	t->number = model_begin_zeros(model_of(p, t), t->lba, t->n);
	p->g->zeroed[t->at].lba = t->lba;
	p->g->zeroed[t->at].n = t->n;
	game_count(p->g, EV_ZEROINGS);
}

static enum player_kind any_kind(const struct player *p)
{
	uint32_t what = draw(p, 100);

	if (what < 40)
		return KIND_READ;
	if (what < 86)
		return KIND_WRITE;
	return what < 90 ? KIND_ZERO : what < 94 ? KIND_FLUSH : KIND_COPY;
}

/* any_range - half of all are near each other, and the place moves on now and then. */
static void any_range(const struct player *p, struct player_task *t)
{
	const struct model *m = model_of(p, t);
	uint32_t *hot = &p->g->hot[t->lun], room;

	t->n = 1 + draw(p, draw(p, 3) ? 12 : PLAYER_BLOCKS);
	t->n = MIN(t->n, m->n_blocks);
	room = m->n_blocks - t->n + 1;
	t->lba = draw(p, room);
	if (!draw(p, 40))
		*hot = t->lba;
	if (draw(p, 2)) {
		t->lba = *hot + draw(p, 32);
		t->lba = MIN(t->lba, room - 1);
	}
}

enum { COPY_HEAD = 48, CSCD_LEN = 32, SEGMENT_LEN = 28, CSCD_SELF = 0xffff };

/* put_copy - the list of an EXTENDED COPY(LID4) of one segment, without an identifier (SPC-4 6.4). The unit that the
 * command is for is itself, by any of its names; the other one is called by name. */
static uint32_t put_copy(const struct player *p, struct player_task *t, unsigned from, uint32_t lba)
{
	uint8_t *d = t->buf + COPY_HEAD, *s = d + CSCD_LEN;
	unsigned named = from != t->lun ? from : t->at;

	memset(t->buf, 0, COPY_HEAD + CSCD_LEN + SEGMENT_LEN);
	t->buf[0] = 1;
	t->buf[1] = 3 << 3;
	t->buf[3] = 32;
	t->buf[16] = 0xff;
	put_be16(t->buf + 42, CSCD_LEN);
	put_be16(t->buf + 44, SEGMENT_LEN);
	d[0] = 0xe4;
	memcpy(d + 4, p->g->names[named], 4u + p->g->names[named][3]);
	s[0] = 2;
	put_be16(s + 2, SEGMENT_LEN - 4);
	put_be16(s + 4, from == named ? 0 : CSCD_SELF);
	put_be16(s + 6, t->at == named ? 0 : CSCD_SELF);
	put_be16(s + 10, (uint16_t)t->n);
	put_be64(s + 12, lba);
	put_be64(s + 20, t->lba);
	return COPY_HEAD + CSCD_LEN + SEGMENT_LEN;
}

/* copy_from - where a copy's source begins. Some are of what was zeroed; half of all begin at the same place
 * in a page as the destination, so that pages can be shared. */
static uint32_t copy_from(const struct player *p, struct player_task *t, unsigned from)
{
	uint32_t n_blocks = p->g->models[from].n_blocks, lba;

	t->n = MIN(t->n, n_blocks);
	lba = draw(p, n_blocks - t->n + 1);
	if (p->g->zeroed[from].n && !draw(p, 4)) {
		t->n = MIN(t->n, p->g->zeroed[from].n);
		lba = p->g->zeroed[from].lba;
	}
	if (draw(p, 2) && lba / 8 * 8 + t->lba % 8 + t->n <= n_blocks)
		lba = lba / 8 * 8 + t->lba % 8;
	return lba;
}

/* send_copy - within a unit or from one to the other, as the first or the second of them is told; some are long. */
static void send_copy(struct player *p, struct player_task *t, struct peer_cmd *c)
{
	unsigned from = draw(p, 3) ? t->at : draw(p, p->g->n_luns);
	struct model *to = model_of(p, t), *source = &p->g->models[from];
	uint32_t lba, room;

	if (draw(p, 3) < (to->n_blocks > 1000 ? 2 : 1)) {
		t->n = 1 + draw(p, PLAYER_COPY_BLOCKS);
		t->n = MIN(t->n, to->n_blocks);
		room = to->n_blocks - t->n + 1;
		/* Half of them over what was written of late, of which some is in memory only. */
		t->lba = draw(p, 2) ? draw(p, room) : MIN(p->g->hot[t->at], room - 1);
		if (draw(p, 4)) /* pages: what the disk can do by itself */
			t->lba = t->lba / 8 * 8;
	}
	lba = copy_from(p, t, from);
	t->lun = draw(p, 2) ? t->at : from;
	t->maybe_lost = reset_among(p, t->lun);
	t->fua = false;
	c->cdb[0] = 0x83;
	c->cdb[1] = 0x01;
	c->write = true;
	c->edtl = t->out = put_copy(p, t, from, lba);
	put_be32(c->cdb + 10, t->out);
	t->number = model_begin_copy(to, t->lba, t->n, source, lba);
	game_count(p->g, EV_COPIES);
	unasked(p, t, c);
}

void send_command(struct player *p)
{
	static void (*const send[])(struct player *, struct player_task *, struct peer_cmd *) = {
		[KIND_READ] = send_read,
		[KIND_WRITE] = send_write,
		[KIND_FLUSH] = send_flush,
		[KIND_ZERO] = send_zero,
		[KIND_COPY] = send_copy,
	};
	struct player_task *t = p->tasks;
	struct peer_cmd c = {.data = NULL};

	while (t < p->tasks + PLAYER_TASKS && t->state != TASK_FREE)
		t++;
	if (t == p->tasks + PLAYER_TASKS || (int32_t)(p->p->maxcmdsn - p->p->cmdsn) < 0)
		return;
	if (p->look.times && draw(p, 8)) {
		p->look.times--;
		t->lun = t->at = p->look.lun;
		t->kind = KIND_READ;
		t->lba = p->look.lba;
		t->n = p->look.n;
	} else {
		t->lun = t->at = draw(p, p->g->n_luns);
		t->kind = any_kind(p);
		any_range(p, t);
	}
	t->got = t->sent = t->asked = t->n_due = t->out = 0;
	t->maybe_lost = reset_among(p, t->lun);
	t->begun = model_tick(model_of(p, t));
	send[t->kind](p, t, &c);
	t->state = TASK_UNDER_WAY;
	t->cmdsn = p->p->cmdsn;
	p->p->lun = (uint64_t)t->lun << 48;
	t->itt = c.itt = peer_itt(p->p);
	game_count(p->g, EV_COMMANDS);
	peer_send_cmd(p->p, &c);
}
