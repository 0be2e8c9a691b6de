/* report.c - REPORT LUNS (SPC-4 6.33), REPORT SUPPORTED OPERATION CODES (6.35), out of cdb.tbl,
 * REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS (6.36), READ DEFECT DATA (SBC-3 5.17, 5.18). */
#include <string.h>
#include "attention.h"
#include "be.h"
#include "body.h"
#include "check.h"

/* --- REPORT LUNS --- */

enum { LUNS_NOT_WELL_KNOWN, LUNS_WELL_KNOWN, LUNS_ALL };

void report_luns_execute(struct scsi_cmd *c)
{
	const struct lu_map *map = c->nexus->luns;
	uint8_t select = c->cdb[2];
	uint32_t n = 0, len = 8;
	uint8_t *p;

	if (select > LUNS_ALL) {
		sense_cdb(c, 2, -1);
		cmd_done(c);
		return;
	}
	for (unsigned i = 0; i < map->n && select != LUNS_WELL_KNOWN; i++)
		n += map->lu[i] != NULL;
	p = cmd_in(c, 8 + n * 8);
	if (!p) {
		cmd_done(c);
		return;
	}
	put_be32(p, n * 8);
	for (unsigned i = 0; len < 8 + n * 8; i++) {
		if (!map->lu[i])
			continue;
		put_be64(p + len, scsi_lun_wire(i));
		len += 8;
	}
	attention_clear(c->nexus, ATTENTION_LUNS); /* SPC-4 6.33 */
	cmd_in_done(c, len, get_be32(c->cdb + 6));
}

/* --- REPORT SUPPORTED OPERATION CODES --- */

enum { OPCODES_ALL, OPCODES_ONE, OPCODES_ONE_ACTION, OPCODES_EITHER };
enum { TIMEOUTS_LEN = 12, SUPPORT_NO = 1, SUPPORT_YES = 3 };

/* SPC-4 6.35.4; the nominal time is not specified. */
static uint32_t put_timeouts(uint8_t *p, const struct scsi_opcode *row)
{
	put_be16(p, TIMEOUTS_LEN - 2);
	put_be32(p + 8, row->seconds);
	return TIMEOUTS_LEN;
}

/* SPC-4 6.35.2 */
static void report_all(struct scsi_cmd *c, bool timeouts, uint32_t alloc)
{
	uint8_t *p = cmd_in(c, 4 + N_CDB_ROWS * (8 + TIMEOUTS_LEN));
	uint32_t len = 4;

	if (!p) {
		cmd_done(c);
		return;
	}
	for (unsigned i = 0; i < N_CDB_ROWS; i++) {
		const struct scsi_opcode *row = &cdb_rows[i];

		if (!cdb_on_lu(row, c->lu))
			continue;
		p[len] = row->op;
		put_be16(p + len + 2, row->sa);
		p[len + 5] = (uint8_t)(timeouts << 1 | row->has_sa);
		put_be16(p + len + 6, row->len);
		len += 8;
		if (timeouts)
			len += put_timeouts(p + len, row);
	}
	put_be32(p, len - 4);
	cmd_in_done(c, len, alloc);
}

/* SPC-4 6.35.3; row NULL: not supported. */
static void report_one(
	struct scsi_cmd *c, const struct scsi_opcode *row, bool timeouts, uint32_t alloc)
{
	uint8_t *p = cmd_in(c, 4 + SCSI_CDB_MAX + TIMEOUTS_LEN);
	uint32_t len = 4;

	if (!p) {
		cmd_done(c);
		return;
	}
	p[1] = row ? SUPPORT_YES : SUPPORT_NO;
	if (row) {
		put_be16(p + 2, row->len);
		memcpy(p + 4, row->mask, row->len);
		p[4] = row->op;
		if (row->has_sa)
			p[5] |= row->sa;
		len += row->len;
		if (timeouts) {
			p[1] |= 0x80;
			len += put_timeouts(p + len, row);
		}
	}
	cmd_in_done(c, len, alloc);
}

void report_opcodes_execute(struct scsi_cmd *c)
{
	bool timeouts = c->cdb[2] & 0x80;
	uint8_t op = c->cdb[3];
	unsigned sa = get_be16(c->cdb + 4);
	uint32_t alloc = get_be32(c->cdb + 6);
	unsigned what = c->cdb[2] & 0x07;
	const struct scsi_opcode *row = cdb_find(c->lu, op, sa, NULL);

	if (what == OPCODES_ALL) {
		report_all(c, timeouts, alloc);
		return;
	}
	/* One that has service actions must be asked for with one, and the other way round. */
	if (what > OPCODES_EITHER || (what == OPCODES_ONE && cdb_has_actions(op)) ||
		(what == OPCODES_ONE_ACTION && row && !row->has_sa)) {
		sense_cdb(c, 2, 2);
		cmd_done(c);
		return;
	}
	if (what == OPCODES_EITHER && row && !row->has_sa && sa != 0)
		row = NULL;
	report_one(c, row, timeouts, alloc);
}

/* --- REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS --- */

enum { FUNCTIONS_EXTENDED = 0x80 };

/* SPC-4 6.36.2, extended: with timeouts, which are not specified. */
void report_functions_execute(struct scsi_cmd *c)
{
	bool extended = c->cdb[2] & FUNCTIONS_EXTENDED;
	uint32_t len = extended ? 16 : 4;
	uint8_t *p = cmd_in(c, len);

	if (!p) {
		cmd_done(c);
		return;
	}
	put_be16(p, c->nexus->functions);
	p[3] = (uint8_t)(len - 4);
	cmd_in_done(c, len, get_be32(c->cdb + 6));
}

/* --- READ DEFECT DATA --- */

/* No list has an entry, in any format. */
void read_defects_execute(struct scsi_cmd *c)
{
	bool twelve = c->cdb[0] == 0xb7;
	uint8_t asked = c->cdb[twelve ? 1 : 2] & 0x1f;
	uint32_t len = twelve ? 8 : 4;
	uint8_t *p;

	if (twelve && get_be32(c->cdb + 2) != 0) { /* an index behind the last entry */
		sense_cdb(c, 2, -1);
		cmd_done(c);
		return;
	}
	p = cmd_in(c, len);
	if (!p) {
		cmd_done(c);
		return;
	}
	p[1] = asked;
	cmd_in_done(c, len, twelve ? get_be32(c->cdb + 6) : get_be16(c->cdb + 7));
}
