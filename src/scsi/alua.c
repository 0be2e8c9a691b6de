/* alua.c - asymmetric access (SPC-4 5.15): REPORT and SET TARGET PORT GROUPS.
 *
 * A target has one port and so one target port group. Its state is the unit's: three bits of
 * lu.state, none of them set being 'active/optimized'. It is changed by initiators here (explicit)
 * and by lu_set_access() (implicit); it is what it was at the start again after a restart, not
 * after a reset. Every other nexus is told of a change. */
#include "attention.h"
#include "be.h"
#include "body.h"
#include "check.h"

enum { GROUP = 1, PORT = 1 };
enum { EXTENDED = 0x20, FORMATS = 0xe0 };

static const struct access_state {
	uint8_t code; /* SPC-4 table 286 */
	uint32_t bit;
} states[] = {
	{0x0, 0},
	{0x1, LU_NOT_OPTIMIZED},
	{0x2, LU_STANDBY},
	{0x3, LU_UNAVAILABLE},
};

enum { BITS = LU_NOT_OPTIMIZED | LU_STANDBY | LU_UNAVAILABLE };

static uint8_t access_code(const struct lu *l)
{
	uint32_t now = lu_state(l) & BITS;

	for (unsigned i = 0; i < ARRAY_LEN(states); i++)
		if (states[i].bit == now)
			return states[i].code;
	return 0; /* between two stores of another reactor */
}

/* SPC-4 6.37: header, extended or not, then the one group with its one port. */
void report_groups_execute(struct scsi_cmd *c)
{
	uint8_t format = c->cdb[1] & FORMATS;
	uint32_t head = format == EXTENDED ? 8 : 4;
	uint8_t *p, *d;

	if (format != 0 && format != EXTENDED) {
		sense_cdb(c, 1, 7);
		cmd_done(c);
		return;
	}
	p = cmd_in(c, head + 12);
	if (!p) {
		cmd_done(c);
		return;
	}
	put_be32(p, head + 12 - 4);
	if (format == EXTENDED)
		p[4] = 0x10; /* the format; implicit transitions take no time */
	d = p + head;
	d[0] = access_code(c->lu);
	d[1] = 0x0f; /* all four of `states` are supported */
	put_be16(d + 2, GROUP);
	d[5] = lu_state(c->lu) & BITS ? 0x01 : 0; /* by SET TARGET PORT GROUPS */
	d[7] = 1;                                 /* ports */
	put_be16(d + 10, PORT);
	cmd_in_done(c, head + 12, get_be32(c->cdb + 6));
}

/* SPC-4 6.45 */
void set_groups_prepare(struct scsi_cmd *c)
{
	uint32_t len = get_be32(c->cdb + 6);

	if (len > BODY_INLINE)
		sense_set(c, SENSE_PARAMETER_LIST_LENGTH);
	else if (cmd_wish(c, len, 1))
		cmd_list(c);
}

static const struct access_state *find_state(uint8_t code)
{
	for (unsigned i = 0; i < ARRAY_LEN(states); i++)
		if (states[i].code == code)
			return &states[i];
	return NULL;
}

/* The whole list is checked before its last word counts. */
static const struct access_state *check_list(struct scsi_cmd *c)
{
	const uint8_t *p = c->body->data;
	const struct access_state *to = NULL;

	if (c->out_len != c->out_full || c->out_len % 4 || c->out_len < 8) {
		sense_set(c, SENSE_PARAMETER_LIST_LENGTH);
		return NULL;
	}
	for (uint32_t at = 4; at < c->out_len; at += 4) {
		to = find_state(p[at] & 0x0f);
		if (!to || p[at] & 0xf0)
			sense_list(c, at, 3);
		else if (get_be16(p + at + 2) != GROUP)
			sense_list(c, at + 2, -1);
		else
			continue;
		return NULL;
	}
	return to;
}

void set_groups_execute(struct scsi_cmd *c)
{
	const struct access_state *to;
	struct lu *l = c->lu;

	if (c->out_full == 0) {
		cmd_done(c);
		return;
	}
	to = check_list(c);
	if (to && access_code(l) != to->code) {
		lu_state_set(l, BITS & ~to->bit, false);
		lu_state_set(l, to->bit, true);
		attention_raise_all(l, ATTENTION_ACCESS, c->nexus);
	}
	cmd_done(c);
}

void lu_set_access(struct lu *l, unsigned code)
{
	const struct access_state *to = find_state((uint8_t)code);

	check(to);
	if (access_code(l) == to->code)
		return;
	lu_state_set(l, BITS & ~to->bit, false);
	lu_state_set(l, to->bit, true);
	attention_raise_all(l, ATTENTION_ACCESS, NULL);
}
