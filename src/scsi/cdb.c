/* cdb.c - the table of commands and the one validator that holds it against a CDB. */
#include "attention.h"
#include "body.h"
#include "cdb.h"
#include "check.h"
#include "lun.h"
#include "sanitize.h"
#include "sense.h"

#define M(...) .len = 1 + sizeof((uint8_t[]){__VA_ARGS__}), .mask = {0xff, __VA_ARGS__}

const struct scsi_opcode cdb_rows[N_CDB_ROWS] = {
#define CDB(e, nm, o, s, p, x, d, cf, ro, st, sz, ac, nolu, u, w, secs, bits)                      \
	[CDB_ROW_##e] = {.name = nm,                                                               \
		.op = o,                                                                           \
		.sa = (s) < 0 ? 0 : (s)&0x1f,                                                      \
		.has_sa = (s) >= 0,                                                                \
		.prepare = p,                                                                      \
		.execute = x,                                                                      \
		.data = CDB_##d,                                                                   \
		.conflict = CONFLICT_##cf,                                                         \
		.on_ro = ro,                                                                       \
		.state = STATE_##st,                                                               \
		.sanitize = SANITIZE_##sz,                                                         \
		.access = ACCESS_##ac,                                                             \
		.no_lu = nolu,                                                                     \
		.ua = u,                                                                           \
		.on = ON_##w,                                                                      \
		.seconds = secs,                                                                   \
		bits},
#include "cdb.tbl"
#undef CDB
};

void no_prepare(struct scsi_cmd *c) {}

/* opcode -> its last row + 1; 0: no such opcode. Each of an opcode's rows overrides the one before.
 */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
static const uint8_t last_row_of[256] = {
#define CDB(e, nm, o, ...) [o] = CDB_ROW_##e + 1,
#include "cdb.tbl"
#undef CDB
};
#pragma GCC diagnostic pop
_Static_assert(N_CDB_ROWS < 256, "a row's number fits into a byte");

/* first_row - of an opcode; N_CDB_ROWS when it has none. */
static unsigned first_row(uint8_t op)
{
	unsigned i = last_row_of[op];

	if (!i--)
		return N_CDB_ROWS;
	while (i > 0 && cdb_rows[i - 1].op == op)
		i--;
	return i;
}

bool cdb_has_actions(uint8_t op)
{
	unsigned i = first_row(op);

	return i < N_CDB_ROWS && cdb_rows[i].has_sa;
}

bool cdb_on_lu(const struct scsi_opcode *row, const struct lu *lu)
{
	switch (row->on) {
	case ON_THIN:
		return !lu || lu->thin;
	case ON_ATOMIC:
		return !lu || lu->max_atomic;
	default:
		return true;
	}
}

const struct scsi_opcode *cdb_find(const struct lu *lu, uint8_t op, unsigned sa, bool *opp)
{
	unsigned i = first_row(op);

	if (opp)
		*opp = i < N_CDB_ROWS;
	for (; i < N_CDB_ROWS && cdb_rows[i].op == op; i++) {
		const struct scsi_opcode *row = &cdb_rows[i];

		if (row->has_sa && row->sa != sa)
			continue;
		if (cdb_on_lu(row, lu))
			return row;
		if (opp)
			*opp = row->has_sa; /* other service actions are there */
		return NULL;
	}
	return NULL;
}

/* has_bad_bits - the same question as check_bits() in two words, asked of every command. */
static bool has_bad_bits(const struct scsi_opcode *row, const uint8_t *cdb)
{
	uint64_t head = get_be64(cdb) & ~get_be64(row->mask);
	uint64_t tail = get_be64(cdb + 8) & ~get_be64(row->mask + 8);

	if (row->has_sa)
		head &= ~(0x1full << 48); /* of byte 1 */
	if (row->len <= 8)
		return head >> (64 - 8 * row->len);
	return head || tail >> (128 - 8 * row->len);
}

/* Reserved bits must be zero (SPC-4 4.2.5.1); the pointer names the leftmost bad bit. */
static bool check_bits(struct scsi_cmd *c)
{
	const struct scsi_opcode *row = c->row;

	if (likely(!has_bad_bits(row, c->cdb)))
		return true;
	for (unsigned i = 1; i < row->len; i++) {
		uint8_t bad = c->cdb[i] & (uint8_t)~row->mask[i];

		if (i == 1 && row->has_sa)
			bad &= 0xe0;
		if (bad) {
			sense_cdb(c, i, 31 - __builtin_clz(bad));
			return false;
		}
	}
	return true;
}

bool cdb_check(struct scsi_cmd *c)
{
	bool known;

	c->row = cdb_find(c->lu, c->cdb[0], c->cdb[1] & 0x1f, &known);
	if (!c->lu && !(c->row && c->row->no_lu)) /* SPC-4 5.10, SAM-5 4.7.2 */
		sense_set(c, SENSE_LUN_NOT_SUPPORTED);
	else if (!known)
		sense_set(c, SENSE_INVALID_OPCODE);
	else if (!c->row)
		sense_cdb(c, 1, 4); /* an opcode without this service action */
	else if (!check_bits(c))
		return false;
	else if (c->lu && c->lu->ro && !c->row->on_ro)
		sense_set(c, SENSE_WRITE_PROTECTED);
	else if (c->attr > ATTR_HEAD_OF_QUEUE) /* SAM-5 8.9: no ACA condition, so no ACA task */
		sense_set(c, SENSE_INVALID_MESSAGE);
	else
		return true;
	return false;
}

static bool passes_unavailable(const struct scsi_cmd *c)
{
	return c->row->access == ACCESS_ALWAYS;
}

static bool passes_standby(const struct scsi_cmd *c)
{
	return c->row->access != ACCESS_ACTIVE;
}

/* SBC-4 4.11.2: of what LOG SENSE and MODE SENSE tell, the temperature, and how exceptions are reported, the cache and the
 * unit are set. The page's code stands at the same place in all of them. */
static bool is_sanitize_page(const uint8_t *cdb)
{
	static const struct {
		uint8_t op, page;
	} rows[] = {
		{0x4d, 0x0d},
		{0x1a, 0x08},
		{0x1a, 0x0a},
		{0x1a, 0x1c},
		{0x5a, 0x08},
		{0x5a, 0x0a},
		{0x5a, 0x1c},
	};

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
		if (cdb[0] == rows[i].op && (cdb[2] & 0x3f) == rows[i].page)
			return cdb[3] == 0; /* no subpage */
	return false;
}

static bool passes_sanitize(const struct scsi_cmd *c)
{
	return c->row->sanitize == SANITIZE_YES ||
	       (c->row->sanitize == SANITIZE_PAGE && is_sanitize_page(c->cdb));
}

static bool passes_not_ready(const struct scsi_cmd *c)
{
	return c->row->state != STATE_READY;
}

static bool mends(const struct scsi_cmd *c)
{
	return c->row->sanitize == SANITIZE_MENDS;
}

static bool passes_failed(const struct scsi_cmd *c)
{
	return passes_sanitize(c) || mends(c);
}

static bool passes_protected(const struct scsi_cmd *c)
{
	return c->row->on_ro;
}

/* in_the_way - something about the unit is special: may this command pass all the same? */
static bool in_the_way(struct scsi_cmd *c, uint32_t state)
{
	static const struct {
		uint32_t bit;
		enum sense why;
		bool (*passes)(const struct scsi_cmd *c);
	} rows[] = {
		/* the first that holds is told */
		{LU_UNAVAILABLE, SENSE_UNAVAILABLE, passes_unavailable},
		{LU_STANDBY, SENSE_STANDBY, passes_standby},
		{LU_SANITIZING, SENSE_SANITIZING, passes_sanitize},
		{LU_EJECTED, SENSE_MEDIUM_NOT_PRESENT, passes_not_ready},
		{LU_STOPPED, SENSE_LUN_STOPPED, passes_not_ready},
		{LU_SANITIZE_FAILED, SENSE_SANITIZE_FAILED, passes_failed},
		{LU_PROTECTED, SENSE_SOFTWARE_PROTECTED, passes_protected},
	};

	/* What else may be the matter (the unit stopped, or protected again by a reset) could not be changed: the way out
	 * stays open. */
	if ((state & (LU_SANITIZE_FAILED | LU_SANITIZING)) == LU_SANITIZE_FAILED && mends(c))
		return true;
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		if (!(state & rows[i].bit) || rows[i].passes(c))
			continue;
		if (rows[i].bit == LU_SANITIZING)
			sense_progress(c, rows[i].why, sanitize_progress(c->lu));
		else
			sense_set(c, rows[i].why);
		return false;
	}
	return true;
}

static bool is_write(const struct scsi_opcode *row)
{
	return row->data == CDB_OUT && row->conflict == CONFLICT_WRITE && !row->on_ro;
}

/* What was acknowledged could not be written back, and is tried again: the next write of each nexus is told of it
 * instead of being carried out, once (SPC-4 4.5.7). A flush finds out by itself. */
static bool tell_fault(struct scsi_cmd *c)
{
	struct nexus_lu *mine;
	uint32_t n;
	int error;

	if (c->lu->lun >= c->nexus->n_lus)
		return false;
	mine = &c->nexus->lus[c->lu->lun];
	if (likely(volume_faults(c->lu->volume) == mine->faults_seen))
		return false;
	n = volume_fault(c->lu->volume, &error);
	mine->faults_seen = n;
	if (!error)
		return false; /* it is well again: all of it is there */
	sense_deferred(c, sense_of_write(error));
	return true;
}

/* The file system under a thin unit has little left (SBC-3 4.7.3.8): each nexus is told, once. */
static void tell_low(struct scsi_cmd *c)
{
	const struct lu *l = c->lu;
	struct nexus_lu *mine;
	uint32_t n = volume_lows(l->volume);

	if (l->lun >= c->nexus->n_lus)
		return;
	mine = &c->nexus->lus[l->lun];
	if (likely(n == mine->lows_seen))
		return;
	mine->lows_seen = n;
	if (volume_is_low(l->volume))
		attention_raise(c->nexus, l, ATTENTION_SOFT_THRESHOLD);
}

/* The order is SAM-5's and SPC-4's: a unit attention before all else (SAM-5 5.14), then a
 * reservation (5.3.1), then what the CDB was found to lack at arrival, then the state of the unit.
 * Unit attentions are reported nowhere else. */
bool cdb_check_state(struct scsi_cmd *c)
{
	const struct scsi_opcode *row = c->row;
	struct lu *l = c->lu;
	uint32_t state;

	if (!l)
		return c->status == SCSI_GOOD;
	tell_low(c);
	if (unlikely(attention_waits(c->nexus, l)) && (!row || row->ua)) {
		enum sense why = attention_take(c->nexus, l);

		if (why != SENSE_NONE) {
			sense_set(c, why);
			return false;
		}
	}
	state = lu_state(l) & LU_IN_THE_WAY;
	if (unlikely(state & LU_RESERVED) && row &&
		reserve_conflict(l, c->nexus, c->cdb, row->conflict)) {
		c->status = SCSI_RESERVATION_CONFLICT;
		c->sense_len = 0;
		return false;
	}
	if (c->status != SCSI_GOOD || (unlikely(state & ~LU_RESERVED) && !in_the_way(c, state)))
		return false;
	return !row || !is_write(row) || !tell_fault(c);
}
