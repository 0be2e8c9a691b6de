/* copy.h - the verbs of conversations about copies: lists of EXTENDED COPY, tokens, and what is asked for afterwards. */
#pragma once

#include <string.h>
#include "scene.h"

enum { BLOCK = 512, LIST_ROOM = 8192, TOKEN_LEN = 512, N_UNITS = 2 };
enum way { LID1, LID4, TOKEN, N_WAYS };

/* A list and what leads to it. */
struct list {
	uint8_t cdb[16];
	uint8_t bytes[LIST_ROOM];
	uint32_t len;
};

struct units {
	uint8_t names[N_UNITS][28]; /* a designator each, as VPD 83 has it */
};

static inline void put16(uint8_t *p, uint64_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void put32(uint8_t *p, uint64_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

static inline void put64(uint8_t *p, uint64_t v)
{
	put32(p, v >> 32);
	put32(p + 4, v);
}

static inline uint64_t get(const uint8_t *p, unsigned n)
{
	uint64_t v = 0;

	while (n--)
		v = v << 8 | *p++;
	return v;
}

/* --- commands --- */
static inline void at(struct peer *p, unsigned lun)
{
	p->lun = (uint64_t)lun << 48;
}

static inline struct peer_status ask_in(struct peer *p, const uint8_t *cdb, void *buf, uint32_t room)
{
	struct peer_task t = {.cmd = {.read = true, .edtl = room}, .buf = buf};

	memcpy(t.cmd.cdb, cdb, 16);
	peer_start(p, &t);
	peer_wait(p, &t);
	return t.st;
}

static inline void list_start(struct peer *p, struct peer_task *t, struct list *l)
{
	*t = (struct peer_task){.cmd = {.write = l->len > 0, .edtl = l->len}, .buf = l->bytes};
	memcpy(t->cmd.cdb, l->cdb, 16);
	peer_start(p, t);
}

static inline struct peer_status send_list(struct peer *p, struct list *l)
{
	struct peer_task t;

	list_start(p, &t, l);
	peer_wait(p, &t);
	return t.st;
}

static inline void must_be(const struct peer_status *st, unsigned key, unsigned asc, unsigned ascq)
{
	unsigned want = key << 16 | asc << 8 | ascq,
		 is = (unsigned)(st->key << 16 | st->asc << 8 | st->ascq);

	EXPECT(st->response == 0 && st->status == (want ? 2 : 0) && (!want || is == want),
		"status %02x, sense %06x, expected sense %06x", st->status, is, want);
}

/* --- lists --- */
static inline void learn_names(struct peer *p, struct units *u)
{
	uint8_t page[255];

	for (unsigned i = 0; i < N_UNITS; i++) {
		struct peer_status st;

		at(p, i);
		peer_settle(p);
		st = ask_in(p, (uint8_t[16]){0x12, 1, 0x83, 0, 255}, page, sizeof(page));
		EXPECT(!st.status && 4u + page[7] <= sizeof(u->names[i]), "no name of unit %u", i);
		memcpy(u->names[i], page + 4, 4u + page[7]);
	}
}

static inline void add_cscd(struct list *l, const uint8_t *name, unsigned len_at)
{
	l->bytes[l->len] = 0xe4;
	memcpy(l->bytes + l->len + 4, name, 4u + name[3]);
	put16(l->bytes + len_at, get(l->bytes + len_at, 2) + 32);
	l->len += 32;
}

struct segment {
	uint16_t from, to; /* CSCDs */
	uint64_t from_lba, lba;
	uint16_t n;
};

static inline void add_segment(struct list *l, const struct segment *s, unsigned len_at, unsigned width)
{
	uint8_t *p = l->bytes + l->len, *q = l->bytes + len_at;

	p[0] = 2;
	put16(p + 2, 24);
	put16(p + 4, s->from);
	put16(p + 6, s->to);
	put16(p + 10, s->n);
	put64(p + 12, s->from_lba);
	put64(p + 20, s->lba);
	if (width == 4)
		put32(q, get(q, 4) + 28);
	else
		put16(q, get(q, 2) + 28);
	l->len += 28;
}

/* copy_list - two CSCDs, units 0 and 1, and a segment. id 0: it is not kept. */
static inline void copy_list(
	struct list *l, const struct units *u, enum way way, uint32_t id, const struct segment *s)
{
	unsigned cscds = way == LID4 ? 42 : 2, segments = way == LID4 ? 44 : 8;

	memset(l, 0, sizeof(*l));
	l->len = way == LID4 ? 48 : 16;
	l->bytes[1] = id ? 0 : 3 << 3;
	if (way == LID4) {
		l->bytes[0] = 1;
		l->bytes[3] = 32;
		l->bytes[16] = 0xff;
		put32(l->bytes + 20, id);
	} else {
		l->bytes[0] = (uint8_t)id;
	}
	for (unsigned i = 0; i < N_UNITS; i++)
		add_cscd(l, u->names[i], cscds);
	add_segment(l, s, segments, way == LID4 ? 2 : 4);
	l->cdb[0] = 0x83;
	l->cdb[1] = way == LID4;
	put32(l->cdb + 10, l->len);
}

/* --- tokens --- */
static inline void range_list(struct list *l, unsigned sa, uint32_t id, uint64_t lba, uint32_t n)
{
	uint32_t head = sa == 0x10 ? 16 : 536;

	l->len = head + 16;
	put16(l->bytes, l->len - 2);
	put16(l->bytes + head - 2, 16);
	put64(l->bytes + head, lba);
	put32(l->bytes + head + 8, n);
	l->cdb[0] = 0x83;
	l->cdb[1] = (uint8_t)sa;
	put32(l->cdb + 6, id);
	put32(l->cdb + 10, l->len);
}

static inline void populate_list(struct list *l, uint32_t id, uint64_t lba, uint32_t n)
{
	memset(l, 0, sizeof(*l));
	range_list(l, 0x10, id, lba, n);
}

static inline void write_list(
	struct list *l, const uint8_t *token, uint32_t id, uint64_t lba, uint32_t n)
{
	memset(l, 0, sizeof(*l));
	memcpy(l->bytes + 16, token, TOKEN_LEN);
	range_list(l, 0x11, id, lba, n);
}

/* RECEIVE COPY STATUS and its kin; the allocation length is the buffer's. */
static inline struct peer_status receive(
	struct peer *p, unsigned sa, uint32_t id, uint8_t *buf, uint32_t room)
{
	uint8_t cdb[16] = {0x84, (uint8_t)sa};

	if (sa == 5 || sa == 7)
		put32(cdb + 2, id);
	else
		cdb[2] = (uint8_t)id;
	put32(cdb + 10, room);
	memset(buf, 0, room);
	return ask_in(p, cdb, buf, room);
}

static inline void make_token(struct peer *p, uint8_t *token, uint64_t lba, uint32_t n)
{
	struct list *l = scene_alloc(sizeof(*l));
	uint8_t info[1024];
	struct peer_status st;

	populate_list(l, 77, lba, n);
	st = send_list(p, l);
	must_be(&st, 0, 0, 0);
	st = receive(p, 7, 77, info, sizeof(info));
	must_be(&st, 0, 0, 0);
	EXPECT_EQ(get(info + 32, 4), TOKEN_LEN + 2);
	EXPECT_EQ(info[5], 1);
	memcpy(token, info + 38, TOKEN_LEN);
}
