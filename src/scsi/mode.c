/* mode.c - the mode pages, one row each, and MODE SENSE (SPC-4 6.13, 6.14).
 *
 * What can be changed is a bit of the unit's state, and a row of `changeable`; everything else of a
 * page is as fill() says. Pages are shared by all nexuses (VPD 87 says so). */
#include <string.h>
#include "be.h"
#include "body.h"
#include "check.h"
#include "mode.h"

/* SBC-3 6.4.7: nothing is corrected, relocated or retried here; below us somebody does. */
static void fill_recovery(const struct lu *l, uint8_t *p) {}

/* SPC-4 7.5.13: limits of buses that can disconnect. */
static void fill_disconnect(const struct lu *l, uint8_t *p) {}

/* SBC-3 6.4.5. WCE is 0 where a write is acknowledged when it is as durable as the unit makes it, 1 where
 * it is in memory that outlives this program but no power cut. */
static void fill_caching(const struct lu *l, uint8_t *p) {}

/* SPC-4 7.5.10 */
static void fill_control(const struct lu *l, uint8_t *p)
{
	p[2] = 0x20 | 0x02;   /* TST 001b: a task set for each nexus; GLTSD: no log is saved */
	p[3] = 0x10;          /* commands may be reordered; QERR 00b */
	put_be16(p + 8, 300); /* busy for at most 30 s */
}

/* SBC-3 6.4.8: nothing is ever reported. */
static void fill_exceptions(const struct lu *l, uint8_t *p) {}

/* SBC-3 6.4.9: one threshold, soft, of what may still be taken, armed for its way down; every nexus is told (SITUA 0).
 * A count of 2^exponent blocks (VPD B2). */
static void fill_provisioning(const struct lu *l, uint8_t *p)
{
	p[16] = 0x80; /* enabled; type 000b, soft; arming 000b, decreasing */
	p[17] = 0x01; /* available LBA mapping resource, parameter 0001h of log page 0Ch */
	put_be32(p + 20, (uint32_t)(volume_low_mark(l->volume) >> LU_RESOURCE_SHIFT));
}

static const struct mode_page pages[] = {
	{0x01, 0, 12, fill_recovery},
	{0x02, 0, 16, fill_disconnect},
	{0x08, 0, 20, fill_caching},
	{0x0a, 0, 12, fill_control},
	{0x1c, 0, 12, fill_exceptions},
	{0x1c, 2, 24, fill_provisioning, lu_has_threshold},
};

static const struct {
	uint8_t code, byte, mask;
	uint32_t bit;
} changeable[] = {
	{0x0a, 2, 0x04, LU_D_SENSE}, {0x0a, 4, 0x08, LU_PROTECTED}, /* SWP */
	{0x0a, 5, 0x40, LU_TAS},
	{0x08, 2, 0x04, LU_WCE}, /* the last: older records end before it */
};

enum { MODE_BITS = LU_D_SENSE | LU_PROTECTED | LU_TAS | LU_WCE };

static bool page_on(const struct mode_page *m, const struct lu *l)
{
	return !m->on || m->on(l);
}

const struct mode_page *mode_page(const struct lu *l, uint8_t code, uint8_t sub)
{
	for (unsigned i = 0; i < ARRAY_LEN(pages); i++)
		if (pages[i].code == code && pages[i].sub == sub && page_on(&pages[i], l))
			return &pages[i];
	return NULL;
}

static uint32_t values_of(const struct lu *l, enum mode_values v)
{
	switch (v) {
	case MODE_CURRENT:
		return lu_state(l);
	case MODE_SAVED:
		return atomic_load(&l->saved_mode);
	case MODE_CHANGEABLE:
		return volume_can_write_back(l->volume) ? MODE_BITS : MODE_BITS & ~LU_WCE;
	default:
		return l->default_mode;
	}
}

void mode_fill(const struct lu *l, const struct mode_page *m, enum mode_values v, uint8_t *p)
{
	uint32_t bits = values_of(l, v);

	memset(p, 0, m->len);
	if (v != MODE_CHANGEABLE)
		m->fill(l, p);
	for (unsigned i = 0; i < ARRAY_LEN(changeable); i++)
		if (changeable[i].code == m->code && bits & changeable[i].bit)
			p[changeable[i].byte] |= changeable[i].mask;
	p[0] = (uint8_t)(m->code | (keep_can(&l->keep) ? 0x80 : 0)); /* PS */
	p[1] = m->len - 2;
	if (m->sub) { /* SPC-4 table 452: the format with subpages */
		p[0] |= MODE_SPF;
		p[1] = m->sub;
		put_be16(p + 2, m->len - 4);
	}
}

uint32_t mode_take(const struct mode_page *m, const uint8_t *p)
{
	uint32_t bits = 0;

	for (unsigned i = 0; i < ARRAY_LEN(changeable); i++)
		if (changeable[i].code == m->code && p[changeable[i].byte] & changeable[i].mask)
			bits |= changeable[i].bit;
	return bits;
}

uint32_t mode_bits(const struct mode_page *m)
{
	uint32_t bits = 0;

	for (unsigned i = 0; i < ARRAY_LEN(changeable); i++)
		if (changeable[i].code == m->code)
			bits |= changeable[i].bit;
	return bits;
}

/* --- over resets and restarts --- */

void mode_reset(struct lu *l)
{
	uint32_t saved = atomic_load(&l->saved_mode);

	lu_state_set(l, MODE_BITS & ~saved, false);
	lu_state_set(l, saved, true);
	mode_apply(l);
}

void mode_apply(struct lu *l)
{
	bool on = lu_state(l) & LU_WCE;

	if (on != volume_write_back(l->volume))
		volume_set_write_back(l->volume, on);
}

/* Kept as a byte a row of `changeable`, so that the order of the LU_ bits is free. */
size_t mode_encode(struct lu *l, uint8_t *p, size_t room)
{
	uint32_t saved = atomic_load(&l->saved_mode);

	if (saved == l->default_mode)
		return 0;
	check(room >= ARRAY_LEN(changeable));
	for (unsigned i = 0; i < ARRAY_LEN(changeable); i++)
		p[i] = saved & changeable[i].bit ? 1 : 0;
	return ARRAY_LEN(changeable);
}

bool mode_decode(struct lu *l, const uint8_t *p, size_t len)
{
	uint32_t saved = 0;

	if (len > ARRAY_LEN(changeable))
		return false;
	for (unsigned i = 0; i < ARRAY_LEN(changeable); i++)
		saved |= i >= len ? l->default_mode & changeable[i].bit
			 : p[i]   ? changeable[i].bit
				  : 0;
	if (!volume_can_write_back(l->volume))
		saved &= ~LU_WCE;
	atomic_store(&l->saved_mode, saved);
	mode_reset(l);
	return true;
}

/* --- MODE SENSE --- */

enum { PAGE_ALL = 0x3f, SUB_ALL = 0xff };

/* SPC-4 table 175: one page, or all; without subpages, with all of them, or one. */
static bool wanted(const struct lu *l, const struct mode_page *m, uint8_t code, uint8_t sub)
{
	return (code == PAGE_ALL || code == m->code) && (sub == SUB_ALL || sub == m->sub) &&
	       page_on(m, l);
}

static bool page_known(const struct lu *l, uint8_t code, uint8_t sub)
{
	for (unsigned i = 0; i < ARRAY_LEN(pages); i++)
		if (wanted(l, &pages[i], code, sub))
			return true;
	return false;
}

static uint32_t put_pages(
	const struct lu *l, uint8_t *p, enum mode_values v, uint8_t code, uint8_t sub)
{
	uint32_t len = 0;

	for (unsigned i = 0; i < ARRAY_LEN(pages); i++) {
		if (!wanted(l, &pages[i], code, sub))
			continue;
		mode_fill(l, &pages[i], v, p + len);
		len += pages[i].len;
	}
	return len;
}

/* SBC-3 6.4.2: the short block descriptor shows FFFFFFFFh for what it cannot count. */
static uint32_t put_descriptor(const struct lu *l, uint8_t *p, bool wide)
{
	uint64_t n = lu_n_blocks(l);

	if (wide) {
		put_be64(p, n);
		put_be32(p + 12, l->block);
		return 16;
	}
	put_be32(p, n > UINT32_MAX ? UINT32_MAX : (uint32_t)n);
	put_be24(p + 5, l->block);
	return 8;
}

enum { MODE_MAX = 255 };

void mode_sense_execute(struct scsi_cmd *c)
{
	bool ten = c->cdb[0] == 0x5a;
	bool no_descriptor = c->cdb[1] & 0x08, wide = c->cdb[1] & 0x10;
	enum mode_values v = c->cdb[2] >> 6;
	uint8_t code = c->cdb[2] & 0x3f, sub = c->cdb[3];
	bool protected = c->lu->ro || lu_state(c->lu) & LU_PROTECTED;
	uint8_t device = (uint8_t)(protected << 7 | 0x10); /* WP, DPOFUA (SBC-3 6.4.1) */
	uint32_t head = ten ? 8 : 4, len, block = 0;
	uint8_t *p;

	if (v == MODE_SAVED && !keep_can(&c->lu->keep))
		sense_set(c, SENSE_SAVING_NOT_SUPPORTED);
	else if (!page_known(c->lu, code, SUB_ALL))
		sense_cdb(c, 2, 5);
	else if (sub != SUB_ALL && (!page_known(c->lu, code, sub) || (code == PAGE_ALL && sub)))
		sense_cdb(c, 3, 7);
	p = c->status == SCSI_GOOD ? cmd_in(c, MODE_MAX) : NULL;
	if (!p) {
		cmd_done(c);
		return;
	}
	if (!no_descriptor)
		block = put_descriptor(c->lu, p + head, wide);
	len = head + block;
	len += put_pages(c->lu, p + len, v, code, sub);
	check(len <= MODE_MAX);
	if (ten) {
		put_be16(p, (uint16_t)(len - 2));
		p[3] = device;
		p[4] = wide && block;
		put_be16(p + 6, (uint16_t)block);
	} else {
		p[0] = (uint8_t)(len - 1);
		p[2] = device;
		p[3] = (uint8_t)block;
	}
	cmd_in_done(c, len, ten ? get_be16(c->cdb + 7) : c->cdb[4]);
}
