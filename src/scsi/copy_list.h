/* copy_list.h - parameter lists of EXTENDED COPY (SPC-4 6.4, 6.5), read and checked, nothing done.
 *
 * Both formats have the same descriptors behind different headers. What is wrong is told as sense data with
 * its place in the list. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "sense.h"

/* Limits, shown by RECEIVE COPY OPERATING PARAMETERS and VPD 8F. */
enum {
	COPY_MAX_CSCDS = 64,
	COPY_MAX_SEGMENTS = 64,
	COPY_CSCD_LEN = 32,
	COPY_SEGMENT_LEN = 28,
	COPY_MAX_LIST = COPY_MAX_CSCDS * COPY_CSCD_LEN + COPY_MAX_SEGMENTS * COPY_SEGMENT_LEN,
	COPY_LIST_ROOM = 48 + COPY_MAX_LIST, /* with the longer header */
};
enum { CSCD_NAMED = 0xe4, SEGMENT_BLOCKS = 0x02, CSCD_SELF = 0xffff };
enum copy_usage { USAGE_HOLD = 0, USAGE_NO_HOLD = 2, USAGE_NONE = 3 }; /* LIST ID USAGE */

/* A copy source or copy destination: a designator of VPD 83. */
struct copy_cscd {
	uint8_t set, type, device, id_len;
	const uint8_t *id;   /* in the list */
	uint32_t block;      /* DISK BLOCK LENGTH; 0: not said */
};

struct copy_segment {
	uint16_t source, destination; /* index of a CSCD, or CSCD_SELF */
	bool dc;                      /* n counts blocks of the destination */
	uint32_t n;
	uint64_t source_lba, destination_lba;
};

struct copy_list {
	uint32_t list_id;
	enum copy_usage usage;
	bool immed;
	unsigned n_cscds, n_segments;
	struct copy_cscd cscds[COPY_MAX_CSCDS];
	struct copy_segment segments[COPY_MAX_SEGMENTS];
};

/* copy_list_parse - lid4: which of the two formats. p is borrowed by *l. False: *bad says why. */
bool copy_list_parse(struct copy_list *l, const uint8_t *p, uint32_t len, bool lid4, struct sense_data *bad);
