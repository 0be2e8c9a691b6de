/* framer.c - a stream of PDUs, honest and not, cut anywhere: the framer, which guesses where bytes will belong, tells
 * the same story and places the same bytes as a parser that has the whole stream (framer-rig.c).
 *
 * Input: digests, then PDUs (a kind and its fields), behind 0xff the lengths of the receive calls. */
#include <stdlib.h>
#include "door.h"
#include "framer-rig.h"
#include "tag.h"

enum { PDUS_MAX = 64, CONN = 7, DATA_MAX = 24 << 10 };
enum kind { COMMAND, DATA_OUT, PLAIN, RAW, N_KINDS, THE_END = 0xff };

static void add_command(struct stream *s, struct feed *f)
{
	uint8_t bhs[BHS_LEN], shape = feed_u8(f);
	struct rig_cdb cdb = {.length = feed_u16(f) * 4u,
		.burst = 512 + feed_u16(f),
		.n_r2t = 1 + shape % 4,
		.fragment = shape & 0x10 ? 4096 : 0,
		.half = shape & 0x20};
	uint32_t itt = feed_u8(f) % 6, now = (uint32_t)feed_most(f, cdb.length);

	if (shape & 0x40)
		cdb.unasked = now + (uint32_t)feed_most(f, cdb.length - now);
	else
		now = 0;
	bhs_command(bhs, itt, &cdb);
	stream_pdu(s, bhs, shape & 0x80 ? 3 : 0, itt, 0, MIN(now, cdb.unasked));
}

static void add_data_out(struct stream *s, struct feed *f)
{
	uint8_t bhs[BHS_LEN], slot = feed_u8(f);
	uint32_t itt = feed_u8(f) % 6, datasn = feed_u8(f), offset = feed_u32(f) % (256 << 10);
	uint32_t ttt = slot == 0xff
			       ? TAG_NONE
			       : tag_make(index_make(slot >> 5, slot & 15), CONN + (slot >> 4 & 1));
	uint8_t last = feed_u8(f);

	bhs_data_out(bhs, itt, ttt, datasn, offset, last & 1);
	stream_pdu(s, bhs, last & 2 ? 1 : 0, itt, offset, feed_u16(f) % DATA_MAX);
}

static void add_raw(struct stream *s, struct feed *f, enum kind kind)
{
	uint8_t bhs[BHS_LEN];

	if (kind == PLAIN)
		bhs_plain(bhs, feed_u8(f) & 0x3f, feed_u8(f));
	else
		feed_bytes(f, bhs, sizeof(bhs));
	if ((bhs[0] & 0x3f) ==
		OP_SCSI_COMMAND) /* its CDB is the rig's own language: add_command() */
		bhs[0] ^= 0x10;
	stream_pdu(s, bhs, feed_u8(f) & 7, 0, 0, feed_u16(f) % DATA_MAX);
}

static void build(struct stream *s, struct feed *f)
{
	unsigned n_commands = 0;

	for (unsigned n = 0; f->left && n < PDUS_MAX; n++) {
		uint8_t kind = feed_u8(f);

		if (kind == THE_END)
			return;
		switch (kind % N_KINDS) {
		case COMMAND:
			if (n_commands++ <
				RIG_TASKS - 1) /* a window of commands that the target keeps */
				add_command(s, f);
			break;
		case DATA_OUT:
			add_data_out(s, f);
			break;
		default:
			add_raw(s, f, kind % N_KINDS);
		}
	}
}

/* cut - two bytes say how much has come; when they run out, all. */
static size_t cut(void *ctx, size_t at, size_t left)
{
	struct feed *f = ctx;

	return f->left ? 1 + feed_most(f, left - 1) : left;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct feed f = {data, len};
	uint8_t digests = feed_u8(&f);
	struct stream s = {
		.header_digest = digests & 1 ? 4 : 0, .data_digest = digests & 2 ? 4 : 0};
	struct rig whole, fed;

	build(&s, &f);
	rig_init(&whole, s.header_digest, s.data_digest);
	rig_init(&fed, s.header_digest, s.data_digest);
	rig_whole(&whole, &s, 0);
	rig_feed(&fed, &s, 0, cut, &f);
	check(rig_same(&whole, &fed));
	rig_deinit(&whole);
	rig_deinit(&fed);
	stream_deinit(&s);
	return 0;
}
