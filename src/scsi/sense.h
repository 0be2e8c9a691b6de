/* sense.h - sense data: from a named condition to its bytes.
 *
 * Handlers name conditions (sense.tbl) and, where the standard asks for it, say what they were
 * looking at: the byte and bit of the CDB or parameter list, or a number for the INFORMATION field.
 * The two formats of the wire are made in one place. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "scsi.h"

enum sense_key {
	KEY_NO_SENSE = 0x0,
	KEY_NOT_READY = 0x2,
	KEY_MEDIUM_ERROR = 0x3,
	KEY_HARDWARE_ERROR = 0x4,
	KEY_ILLEGAL_REQUEST = 0x5,
	KEY_UNIT_ATTENTION = 0x6,
	KEY_DATA_PROTECT = 0x7,
	KEY_COPY_ABORTED = 0xa,
	KEY_ABORTED_COMMAND = 0xb,
	KEY_MISCOMPARE = 0xe,
};

struct sense_data {
	enum sense why;
	bool deferred; /* of a command that was acknowledged (SPC-4 4.5.7) */
	bool has_info; /* INFORMATION (SPC-4 4.5.2.2) */
	uint64_t info;
	bool has_specific; /* COMMAND-SPECIFIC INFORMATION (4.5.2.3) */
	uint32_t specific;
	/* sense key specific (4.5.2.4.2, 4.5.2.4.4, 4.5.2.4.5) */
	enum { FIELD_NONE, FIELD_CDB, FIELD_LIST, FIELD_SEGMENT, FIELD_PROGRESS } field;
	uint16_t byte; /* or progress, in 65536ths */
	int bit;       /* -1: the whole byte, or a field that starts with it */
};

enum { SENSE_FIXED_LEN = 18 };

/* sense_encode - descriptor or fixed format; returns the length. In the fixed format INFORMATION
 * has 32 bits; what does not fit is left out (SPC-4 4.5.3: VALID is 0). */
size_t sense_encode(const struct sense_data *s, bool descriptor, uint8_t out[SCSI_SENSE_MAX]);
const char *sense_text(enum sense why);
/* sense_code - sense key, ASC and ASCQ, as three bytes of one number. */
uint32_t sense_code(enum sense why);

/* The command ends with CHECK CONDITION ... */
void sense_put(struct scsi_cmd *c, const struct sense_data *s);
void sense_set(struct scsi_cmd *c, enum sense why);
/* ... and the condition is that of an earlier one: this one was not carried out. */
void sense_deferred(struct scsi_cmd *c, enum sense why);
void sense_info(struct scsi_cmd *c, enum sense why, uint64_t info);
void sense_progress(struct scsi_cmd *c, enum sense why, uint16_t progress);
/* ... INVALID FIELD IN CDB, or IN PARAMETER LIST, with the field pointer; bit -1: none. */
void sense_cdb(struct scsi_cmd *c, unsigned byte, int bit);
void sense_list(struct scsi_cmd *c, unsigned byte, int bit);
