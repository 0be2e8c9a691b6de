/* select.c - MODE SELECT (SPC-4 6.11, 6.12).
 *
 * The whole list is checked before its first value counts. What cannot be changed must be sent as
 * it is (MODE SENSE first, as initiators do); capacity and block length cannot be changed. */
#include <string.h>
#include "attention.h"
#include "be.h"
#include "body.h"
#include "check.h"
#include "mode.h"

enum { SELECT_SAVE = 0x01, SELECT_PAGES = 0x10 };

static bool is_ten(const struct scsi_cmd *c)
{
	return c->cdb[0] == 0x55;
}

void select_prepare(struct scsi_cmd *c)
{
	uint32_t len = is_ten(c) ? get_be16(c->cdb + 7) : c->cdb[4];

	if (!(c->cdb[1] & SELECT_PAGES) && len) /* pages in a format of the vendor's */
		sense_cdb(c, 1, 4);
	else if (c->cdb[1] & SELECT_SAVE && !keep_can(&c->lu->keep))
		sense_cdb(c, 1, 0);
	else if (cmd_wish(c, len, 1))
		cmd_list(c);
}

/* SBC-3 6.4.2; zero blocks, or all of them, are 'as it is'. */
static bool check_descriptor(struct scsi_cmd *c, uint32_t at, uint32_t len, bool wide)
{
	const uint8_t *p = c->body->data + at;
	uint64_t now = lu_n_blocks(c->lu), n;
	uint32_t block;

	if (len == 0)
		return true;
	if (len != (wide ? 16 : 8)) {
		sense_list(c, is_ten(c) ? 6 : 3, -1);
		return false;
	}
	n = wide ? get_be64(p) : get_be32(p);
	block = wide ? get_be32(p + 12) : get_be24(p + 5);
	if (!wide && n == UINT32_MAX)
		n = 0;
	if (n != 0 && n != now)
		sense_list(c, at, -1);
	else if (block != c->lu->block)
		sense_list(c, at + (wide ? 12 : 5), -1);
	else
		return true;
	return false;
}

/* Only changeable bits may differ from the current values. */
static bool check_page(struct scsi_cmd *c, const struct mode_page *m, uint32_t at)
{
	const uint8_t *p = c->body->data + at;
	uint8_t now[32], mask[32];

	mode_fill(c->lu, m, MODE_CURRENT, now);
	mode_fill(c->lu, m, MODE_CHANGEABLE, mask);
	for (unsigned i = m->sub ? 4 : 2; i < m->len; i++) {
		uint8_t bad = (p[i] ^ now[i]) & (uint8_t)~mask[i];

		if (bad) {
			sense_list(c, at + i, 31 - __builtin_clz(bad));
			return false;
		}
	}
	return true;
}

/* check_pages - *seenp: the LU_ bits that the list has; *wantp: those of them that are to be set.
 */
static bool check_pages(struct scsi_cmd *c, uint32_t at, uint32_t *seenp, uint32_t *wantp)
{
	const uint8_t *p = c->body->data;

	while (at < c->out_len) {
		bool spf = p[at] & MODE_SPF;
		const struct mode_page *m;

		if (spf && c->out_len - at < 4) {
			sense_set(c, SENSE_PARAMETER_LIST_LENGTH);
			return false;
		}
		m = mode_page(c->lu, p[at] & 0x3f, spf ? p[at + 1] : 0);
		if (!m || spf != (m->sub != 0)) {
			bool other = mode_page(c->lu, p[at] & 0x3f, 0);

			sense_list(c, at, other && spf ? 6 : 5);
			return false;
		}
		if (c->out_len - at < m->len) {
			sense_set(c, SENSE_PARAMETER_LIST_LENGTH);
			return false;
		}
		if (spf ? get_be16(p + at + 2) != m->len - 4 : p[at + 1] != m->len - 2) {
			sense_list(c, at + (spf ? 2 : 1), -1);
			return false;
		}
		if (!check_page(c, m, at))
			return false;
		*seenp |= mode_bits(m);
		*wantp = (*wantp & ~mode_bits(m)) | mode_take(m, p + at);
		at += m->len;
	}
	return true;
}

/* The header: mode data length and medium type are reserved here, the device's byte is ignored. */
static bool check_list(struct scsi_cmd *c, uint32_t *seenp, uint32_t *wantp)
{
	const uint8_t *p = c->body->data;
	uint32_t head = is_ten(c) ? 8 : 4, len;
	bool wide = is_ten(c) && p[4] & 0x01;

	if (c->out_len < head) {
		sense_set(c, SENSE_PARAMETER_LIST_LENGTH);
		return false;
	}
	len = is_ten(c) ? get_be16(p + 6) : p[3];
	if (c->out_len - head < len) {
		sense_set(c, SENSE_PARAMETER_LIST_LENGTH);
		return false;
	}
	return check_descriptor(c, head, len, wide) && check_pages(c, head + len, seenp, wantp);
}

static void select_end(struct scsi_cmd *c)
{
	if (c->cdb[1] & SELECT_SAVE)
		cmd_keep(c);
	else
		cmd_done(c);
}

/* Without a write cache all that was acknowledged is on the medium. */
static void flushed(struct vol_op *op, int end)
{
	struct scsi_cmd *c = cmd_of(op);

	if (end)
		cmd_end(c, end, SENSE_WRITE_ERROR);
	else
		select_end(c);
}

void select_execute(struct scsi_cmd *c)
{
	struct lu *l = c->lu;
	uint32_t seen = 0, want = 0, before = lu_state(l);

	if (c->out_full == 0 || !check_list(c, &seen, &want)) {
		cmd_done(c); /* a list of no length is no error (SPC-4 6.11) */
		return;
	}
	lu_state_set(l, seen & ~want, false);
	lu_state_set(l, want, true);
	if ((before ^ want) & seen)
		attention_raise_all(l, ATTENTION_MODE, c->nexus);
	if (c->cdb[1] & SELECT_SAVE) {
		atomic_fetch_and(&l->saved_mode, ~(seen & ~want));
		atomic_fetch_or(&l->saved_mode, want);
	}
	mode_apply(l);
	if (before & seen & ~want & LU_WCE)
		volume_flush(cmd_op(c, 0, volume_size(l->volume), flushed));
	else
		select_end(c);
}
