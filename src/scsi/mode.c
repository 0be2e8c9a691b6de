/* mode.c - MODE SENSE (SPC-4 6.13, 6.14) and the mode pages, one row each.
 *
 * Nothing can be changed so far, so that the changeable values of every page are zeros, and
 * defaults are the current values. */
#include <string.h>
#include "be.h"
#include "body.h"
#include "check.h"

struct mode_page {
	uint8_t code, sub;
	uint8_t len; /* with its two bytes of header; four, when it has a subpage code */
	void (*fill)(const struct lu *l, uint8_t *p);
};

/* SBC-3 6.4.5. WCE is 0: a write is acknowledged when it is as durable as the unit makes it. */
static void fill_caching(const struct lu *l, uint8_t *p) {}

/* SPC-4 7.5.10 */
static void fill_control(const struct lu *l, uint8_t *p)
{
	p[2] = 0x20 | 0x02;   /* TST 001b: a task set for each nexus; GLTSD: no log is saved */
	p[3] = 0x10;	      /* commands may be reordered; QERR 00b */
	put_be16(p + 8, 300); /* busy for at most 30 s */
}

static const struct mode_page pages[] = {
	{0x08, 0x00, 20, fill_caching},
	{0x0a, 0x00, 12, fill_control},
};

enum { PAGE_ALL = 0x3f, SUB_ALL = 0xff, PC_CHANGEABLE = 1, PC_SAVED = 3 };

/* wanted - SPC-4 table 175: one page, one with all its subpages, all pages, all with all subpages.
 */
static bool wanted(const struct mode_page *m, uint8_t code, uint8_t sub)
{
	return (code == PAGE_ALL || code == m->code) && (sub == SUB_ALL || sub == m->sub);
}

static bool page_known(uint8_t code)
{
	for (unsigned i = 0; i < ARRAY_LEN(pages); i++)
		if (code == PAGE_ALL || pages[i].code == code)
			return true;
	return false;
}

static uint32_t put_pages(const struct lu *l, uint8_t *p, unsigned pc, uint8_t code, uint8_t sub)
{
	uint32_t len = 0;

	for (unsigned i = 0; i < ARRAY_LEN(pages); i++) {
		const struct mode_page *m = &pages[i];

		if (!wanted(m, code, sub))
			continue;
		if (pc != PC_CHANGEABLE)
			m->fill(l, p + len);
		p[len] = m->code;
		p[len + 1] = m->len - 2;
		len += m->len;
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
	unsigned pc = c->cdb[2] >> 6;
	uint8_t code = c->cdb[2] & 0x3f, sub = c->cdb[3];
	uint8_t device = (uint8_t)(c->lu->ro << 7 | 0x10); /* WP, DPOFUA (SBC-3 6.4.1) */
	uint32_t head = ten ? 8 : 4, len, block = 0;
	uint8_t *p;

	if (pc == PC_SAVED)
		sense_set(c, SENSE_SAVING_NOT_SUPPORTED);
	else if (!page_known(code))
		sense_cdb(c, 2, 5);
	else if (sub != 0 && sub != SUB_ALL)
		sense_cdb(c, 3, 7);
	p = c->status == SCSI_GOOD ? cmd_in(c, MODE_MAX) : NULL;
	if (!p) {
		cmd_done(c);
		return;
	}
	if (!no_descriptor)
		block = put_descriptor(c->lu, p + head, wide);
	len = head + block;
	len += put_pages(c->lu, p + len, pc, code, sub);
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
