/* result.c - what a result says, in words. Sense data in fixed and descriptor format (SPC-4 4.5).
 */
#include <stdio.h>
#include <string.h>
#include "berth/initiator.h"
#include "check.h"

/* clang-format off */
static const struct { uint8_t status; const char *text; } statuses[] = { /* SAM-5 5.3 */
	{0x00, "GOOD"}, {0x02, "CHECK CONDITION"}, {0x04, "CONDITION MET"}, {0x08, "BUSY"},
	{0x18, "RESERVATION CONFLICT"}, {0x28, "TASK SET FULL"}, {0x30, "ACA ACTIVE"}, {0x40, "TASK ABORTED"},
};
static const char *const keys[16] = {
	"NO SENSE", "RECOVERED ERROR", "NOT READY", "MEDIUM ERROR", "HARDWARE ERROR", "ILLEGAL REQUEST",
	"UNIT ATTENTION", "DATA PROTECT", "BLANK CHECK", "VENDOR SPECIFIC", "COPY ABORTED", "ABORTED COMMAND",
	"RESERVED", "VOLUME OVERFLOW", "MISCOMPARE", "COMPLETED",
};
/* clang-format on */

static bool is_descriptor(const struct berth_result *r)
{
	return (r->sense[0] & 0x7e) == 0x72;
}

uint8_t berth_sense_key(const struct berth_result *r)
{
	if (!r->sense || r->sense_len < 3)
		return 0;
	return (is_descriptor(r) ? r->sense[1] : r->sense[2]) & 0x0f;
}

uint16_t berth_sense_code(const struct berth_result *r)
{
	unsigned at;

	if (!r->sense || !r->sense_len)
		return 0;
	at = is_descriptor(r) ? 2 : 12;
	return r->sense_len < at + 2 ? 0 : (uint16_t)(r->sense[at] << 8 | r->sense[at + 1]);
}

static const char *status_text(uint8_t status)
{
	for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
		if (statuses[i].status == status)
			return statuses[i].text;
	}
	return NULL;
}

const char *berth_result_text(const struct berth_result *r, char *buf, size_t buf_len)
{
	const char *status = status_text(r->status);
	char number[16];
	uint16_t code = berth_sense_code(r);
	uint8_t key = berth_sense_key(r);

	if (!r->status) {
		snprintf(buf, buf_len, "%s", r->error ? strerror(-r->error) : "GOOD");
		return buf;
	}
	if (!status) {
		snprintf(number, sizeof(number), "status %02xh", r->status);
		status = number;
	}
	if (r->sense && r->sense_len >= 3)
		snprintf(buf, buf_len, "%s: %s (%02xh/%02xh/%02xh)", status, keys[key], key,
			code >> 8, code & 0xff);
	else
		snprintf(buf, buf_len, "%s", status);
	return buf;
}
