/* pdu.c - the fields come from pdu.tbl, the rules from opcode.tbl and from flags_agree() and
 * needs_itt() below.
 *
 * Reading and writing are two expansions of the same lines, so that they cannot disagree. What
 * breaks the layout itself (a length where none can be) is the end of the connection, since the
 * stream's sense is in doubt; what contradicts itself within a sound layout can be rejected by
 * itself. Reserved bits are ignored: real initiators leave odd things in them. */
#include <stddef.h>
#include <string.h>
#include "be.h"
#include "check.h"
#include "pdu.h"
#include "tag.h"

/* clang-format off */
static const struct opcode_row rows[] = {
#define PDU_IN(e, n, o, login, disc, full, imm, sn, d)                                               \
	{ .name = #n, .op = o, .from_initiator = true, .legal = { login, disc, full },               \
	  .immediate = imm, .cmdsn = sn, .data = DATA_##d },
#define PDU_OUT(e, n, o, d) { .name = #n, .op = o, .data = DATA_##d },
#include "opcode.tbl"
#undef PDU_IN
#undef PDU_OUT
};

/* opcode -> row + 1; 0: no such opcode */
enum {
#define PDU_IN(e, ...)  ROW_##e,
#define PDU_OUT(e, ...) ROW_##e,
#include "opcode.tbl"
#undef PDU_IN
#undef PDU_OUT
};
static const uint8_t row_of[64] = {
#define PDU_IN(e, n, o, ...)  [o] = ROW_##e + 1,
#define PDU_OUT(e, n, o, ...) [o] = ROW_##e + 1,
#include "opcode.tbl"
#undef PDU_IN
#undef PDU_OUT
};

/* Every field lies inside the header. */
#define INSIDE(at, len) _Static_assert((at) >= 1 && (at) + (len) <= BHS_LEN, "field outside the header");
#define PDU(e)
#define END
#define ONE(at, mask)             INSIDE(at, 1)
#define BIT(at, mask, m)          INSIDE(at, 1)
#define BITS(at, mask, m, max)    INSIDE(at, 1)
#define U8(at, m)                 INSIDE(at, 1)
#define U16(at, m)                INSIDE(at, 2)
#define U32(at, m)                INSIDE(at, 4)
#define U64(at, m)                INSIDE(at, 8)
#define BYTES(at, len, m)         INSIDE(at, len) _Static_assert(sizeof(((struct pdu *)0)->m) == (len), "size");
#include "pdu.tbl"
/* clang-format on */

enum {
	I_BIT = 0x40,
	OPCODE_MASK = 0x3f,
};

#define LOW_BIT(mask) ((mask) & -(mask))

const struct opcode_row *opcode_find(uint8_t op)
{
	return op < sizeof(row_of) && row_of[op] ? &rows[row_of[op] - 1] : NULL;
}

/* get_fields - false: a small number has a reserved value. All fields are read all the same. */
static bool get_fields(struct pdu *p, const uint8_t *b)
{
	bool ok = true;

	/* clang-format off */
	switch (p->opcode) {
#define PDU(e)                 case OP_##e:
#define END                    break;
#define ONE(at, mask)          p->final = true;
#define BIT(at, mask, m)       p->m = b[at] & (mask);
#define BITS(at, mask, m, max) p->m = (b[at] & (mask)) / LOW_BIT(mask); ok &= p->m <= (max);
#define U8(at, m)              p->m = b[at];
#define U16(at, m)             p->m = get_be16(b + (at));
#define U32(at, m)             p->m = get_be32(b + (at));
#define U64(at, m)             p->m = get_be64(b + (at));
#define BYTES(at, len, m)      memcpy(p->m, b + (at), len);
#include "pdu.tbl"
	}
	/* clang-format on */
	return ok;
}

static void put_fields(const struct pdu *p, uint8_t *b)
{
	/* clang-format off */
	switch (p->opcode) {
#define PDU(e)                 case OP_##e:
#define END                    break;
#define ONE(at, mask)          b[at] |= (mask);
#define BIT(at, mask, m)       b[at] |= p->m ? (mask) : 0;
#define BITS(at, mask, m, max) b[at] |= (p->m * LOW_BIT(mask)) & (mask);
#define U8(at, m)              b[at] = p->m;
#define U16(at, m)             put_be16(b + (at), p->m);
#define U32(at, m)             put_be32(b + (at), p->m);
#define U64(at, m)             put_be64(b + (at), p->m);
#define BYTES(at, len, m)      memcpy(b + (at), p->m, len);
#include "pdu.tbl"
	}
	/* clang-format on */
}

/* flags_agree - do the flags of a PDU make sense together? A login's are judged by login.c, because
 * only a Login Response may tell the peer. */
static bool flags_agree(const struct pdu *p)
{
	switch (p->opcode) {
	case OP_SCSI_COMMAND:
		if (!p->final && !p->cmd.write) /* 11.3.1: W and F both 0 is an error */
			return false;
		return p->cmd.write || p->data_len == 0; /* 11.3.6: data of a write only */
	case OP_TEXT_REQUEST:
	case OP_TEXT_RESPONSE:
		return !(p->final && p->text.c); /* 11.10.2: C needs F 0 */
	case OP_SCSI_RESPONSE:                   /* 11.4.1: at most one of each pair */
		return !(p->rsp.overflow && p->rsp.underflow) &&
		       !(p->rsp.bidi_overflow && p->rsp.bidi_underflow);
	case OP_DATA_IN: /* 11.7.3: S only on the last, residual flags only with S, one of them */
		if (p->data.has_status && !p->final)
			return false;
		if ((p->data.overflow || p->data.underflow) && !p->data.has_status)
			return false;
		return !(p->data.overflow && p->data.underflow);
	default:
		return true;
	}
}

/* needs_itt - may the reserved tag not stand here (11.2.1.8)? A NOP-Out that answers or only tells
 * an ExpStatSN carries it (11.18.3), as do the PDUs that a target sends of itself. */
static bool needs_itt(const struct pdu *p)
{
	return p->opcode == OP_SCSI_COMMAND || p->opcode == OP_TASK_MGMT ||
	       p->opcode == OP_TEXT_REQUEST || p->opcode == OP_LOGOUT_REQUEST ||
	       p->opcode == OP_DATA_OUT;
}

int pdu_decode(struct pdu *p, const uint8_t bhs[BHS_LEN])
{
	const struct opcode_row *row = opcode_find(bhs[0] & OPCODE_MASK);
	bool values_ok;

	memset(p, 0, sizeof(*p));
	p->opcode = bhs[0] & OPCODE_MASK;
	p->ahs_len_words = bhs[4];
	p->data_len = bhs_data_len(bhs);
	p->itt = get_be32(bhs + 16);
	p->ttt = TAG_NONE;
	if (!row)
		return CTR_REFUSED_OPCODE;
	p->immediate = row->immediate && (bhs[0] & I_BIT);
	values_ok = get_fields(p, bhs);

	if (p->ahs_len_words &&
		p->opcode != OP_SCSI_COMMAND) /* 11.2.2: both AHS types are a command's */
		return CTR_REFUSED_LENGTH;
	if (p->data_len && row->data == DATA_NONE)
		return CTR_REFUSED_LENGTH;
	if (!values_ok || !flags_agree(p))
		return CTR_REFUSED_FLAGS;
	if (p->itt == ITT_NONE && needs_itt(p))
		return CTR_REFUSED_ITT;
	return PDU_OK;
}

void pdu_encode(const struct pdu *p, uint8_t bhs[BHS_LEN])
{
	check(opcode_find(p->opcode));
	check(p->data_len <= DATA_SEGMENT_MAX);
	memset(bhs, 0, BHS_LEN);
	bhs[0] = p->opcode | (p->immediate ? I_BIT : 0);
	bhs[4] = p->ahs_len_words;
	put_be24(bhs + 5, p->data_len);
	put_be32(bhs + 16, p->itt);
	put_fields(p, bhs);
}
