/* framer-stream.c - bytes as an initiator of the rig sends them (see framer-stream.h). */
#include "framer-stream.h"

#include <stdlib.h>
#include <string.h>
#include "be.h"
#include "check.h"
#include "digest.h"

uint8_t pattern_at(uint32_t itt, uint32_t offset)
{
	return (uint8_t)((offset * 2654435761u ^ itt * 40503u) >> 11);
}

void stream_deinit(struct stream *s)
{
	free(s->bytes);
	*s = (struct stream){.bytes = NULL};
}

static uint8_t *stream_room(struct stream *s, size_t len)
{
	uint8_t *at;

	while (s->room - s->len < len) {
		s->room = s->room ? s->room * 2 : 4096;
		s->bytes = realloc(s->bytes, s->room);
		check(s->bytes);
	}
	at = s->bytes + s->len;
	s->len += len;
	return at;
}

/* put_digest - of the last `len` bytes of the stream. */
static void put_digest(struct stream *s, uint32_t len)
{
	uint8_t *at = stream_room(s, DIGEST_LEN);

	digest_put(at, digest_add(DIGEST_START, at - len, len));
}

/* Pads are of values that a header byte would not have. */
void stream_pdu(struct stream *s, uint8_t *bhs, unsigned ahs_words, uint32_t pattern_itt,
	uint32_t offset, uint32_t data_len)
{
	uint8_t *at;

	bhs[4] = (uint8_t)ahs_words;
	put_be24(bhs + 5, data_len);
	memcpy(stream_room(s, BHS_LEN), bhs, BHS_LEN);
	at = stream_room(s, ahs_words * 4);
	for (unsigned i = 0; i < ahs_words * 4; i++)
		at[i] = (uint8_t)(i * 7 + 1);
	if (s->header_digest)
		put_digest(s, BHS_LEN + ahs_words * 4);
	at = stream_room(s, data_len);
	for (uint32_t i = 0; i < data_len; i++)
		at[i] = pattern_at(pattern_itt, offset + i);
	memset(stream_room(s, pad_len(data_len)), 0xee, pad_len(data_len));
	if (data_len && s->data_digest)
		put_digest(s, data_len + pad_len(data_len));
}

void bhs_plain(uint8_t bhs[BHS_LEN], uint8_t opcode, uint32_t itt)
{
	memset(bhs, 0, BHS_LEN);
	bhs[0] = opcode;
	bhs[1] = 0x80;
	put_be32(bhs + 16, itt);
}

void bhs_command(uint8_t bhs[BHS_LEN], uint32_t itt, const struct rig_cdb *c)
{
	uint8_t *cdb = bhs + RIG_CDB_AT;

	bhs_plain(bhs, OP_SCSI_COMMAND, itt);
	put_be32(cdb, c->length);
	put_be32(cdb + 4, c->burst);
	put_be32(cdb + 8, c->unasked);
	put_be16(cdb + 12, c->fragment);
	cdb[14] = c->n_r2t;
	cdb[15] = c->half;
}

void bhs_data_out(uint8_t bhs[BHS_LEN], uint32_t itt, uint32_t ttt, uint32_t datasn,
	uint32_t offset, bool final)
{
	bhs_plain(bhs, OP_DATA_OUT, itt);
	bhs[1] = final ? 0x80 : 0;
	put_be32(bhs + 20, ttt);
	put_be32(bhs + 36, datasn);
	put_be32(bhs + 40, offset);
}
