/* framer-stream.h - for tests: bytes as an initiator of the rig sends them.
 *
 * The bytes of a command's data are a pattern of its ITT and their offset; what the command asks for stands in its CDB. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "pdu.h"

enum { RIG_CDB_AT = 32 };

/* cdb: big-endian on the wire, at byte RIG_CDB_AT of the header. */
struct rig_cdb {
	uint32_t length;   /* of the command's data */
	uint32_t burst;	   /* of a window */
	uint32_t unasked;  /* [0, unasked) comes without R2T; immediate data is the first part of it
			    */
	uint16_t fragment; /* the memory is in pieces of so many bytes; 0: one run */
	uint8_t n_r2t;	   /* windows at once */
	bool half;	   /* there is memory for the first half only */
};

struct stream {
	uint8_t *bytes;
	size_t len, room;
	unsigned header_digest, data_digest;
};
void stream_deinit(struct stream *s);
/* stream_pdu - header, AHS, digests, data by the pattern, pad; DataSegmentLength and AHS length are
 * set in bhs. */
void stream_pdu(struct stream *s, uint8_t *bhs, unsigned ahs_words, uint32_t pattern_itt,
	uint32_t offset, uint32_t data_len);
void bhs_command(uint8_t bhs[BHS_LEN], uint32_t itt, const struct rig_cdb *cdb);
void bhs_data_out(uint8_t bhs[BHS_LEN], uint32_t itt, uint32_t ttt, uint32_t datasn,
	uint32_t offset, bool final);
void bhs_plain(uint8_t bhs[BHS_LEN], uint8_t opcode, uint32_t itt);
uint8_t pattern_at(uint32_t itt, uint32_t offset);
