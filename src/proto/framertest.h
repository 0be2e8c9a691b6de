/* framertest.h - for tests: small ways to say what an initiator sends to the rig. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>
#include "be.h"
#include "check.h"
#include "framer-rig.h"

#define COUNTS(r, counter, n) assert_int_equal(rig_counter(r, CTR_##counter), n)

enum { KIB = 1024, MIB = 1024 * 1024 };

static inline void say_command(
	struct stream *s, uint32_t itt, uint32_t immediate, const struct rig_cdb *cdb)
{
	uint8_t bhs[BHS_LEN];

	bhs_command(bhs, itt, cdb);
	stream_pdu(s, bhs, 0, itt, 0, immediate);
}

/* say_data - [from, to) of a command's data in PDUs of at most `cut` bytes; F where `to` is
 * reached. */
static inline void say_data(
	struct stream *s, uint32_t itt, uint32_t ttt, uint32_t from, uint32_t to, uint32_t cut)
{
	uint8_t bhs[BHS_LEN];

	for (uint32_t datasn = 0; from < to; datasn++) {
		uint32_t len = MIN(cut, to - from);

		bhs_data_out(bhs, itt, ttt, datasn, from, from + len == to);
		stream_pdu(s, bhs, 0, itt, from, len);
		from += len;
	}
}

static inline void say_plain(
	struct stream *s, uint8_t opcode, uint32_t itt, unsigned ahs_words, uint32_t len)
{
	uint8_t bhs[BHS_LEN];

	bhs_plain(bhs, opcode, itt);
	stream_pdu(s, bhs, ahs_words, itt, 0, len);
}

static inline void say_abort(struct stream *s, uint32_t itt, uint32_t ref)
{
	uint8_t bhs[BHS_LEN];

	bhs_plain(bhs, OP_TASK_MGMT, itt);
	put_be32(bhs + 20, ref);
	stream_pdu(s, bhs, 0, itt, 0, 0);
}

/* tag - of the n-th window granted, while none has been given back. */
static inline uint32_t tag(unsigned n)
{
	return tag_make(index_make(0, n), 7);
}

/* hear - what has been said so far arrives at once, and is forgotten. */
static inline void hear(struct rig *r, struct stream *s)
{
	rig_feed(r, s, 0, NULL, NULL);
	s->len = 0;
}

static inline struct rig *setup(void)
{
	struct rig *r = malloc(sizeof(*r));

	rig_init(r, 0, 0);
	return r;
}

static inline void teardown(struct rig *r, struct stream *s)
{
	stream_deinit(s);
	rig_deinit(r);
	free(r);
}

static const struct rig_cdb mib_in_bursts = {
	.length = MIB, .burst = 256 * KIB, .n_r2t = 1, .fragment = 4096};

/* say_mib - a command of 1 MiB in four windows; each burst arrives when it has been asked for. */
static inline void say_mib(struct rig *r, struct stream *s, uint32_t itt, uint32_t cut)
{
	say_command(s, itt, 0, &mib_in_bursts);
	hear(r, s);
	for (uint32_t at = 0; at < MIB; at += 256 * KIB) {
		const struct dpt_entry *e = list_first(&r->dpt.granted, struct dpt_entry, link);

		say_data(s, itt, dpt_tag(&r->dpt, e), at, at + 256 * KIB, cut);
		hear(r, s);
	}
}
