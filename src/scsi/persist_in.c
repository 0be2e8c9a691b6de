/* persist_in.c - PERSISTENT RESERVE IN (SPC-4 6.15): what is registered, and what is reserved. */
#include <string.h>
#include "be.h"
#include "body.h"
#include "check.h"
#include "transport_id.h"

enum { KEY_LEN = 8, FULL_LEN = 24, HEAD_LEN = 8 };

/* SPC-4 6.15.2 */
static uint32_t put_keys(const struct reserve *r, uint8_t *p)
{
	uint32_t len = 0;

	list_for_each(l, &r->registrants) {
		put_be64(p + len, list_entry(l, struct registrant, link)->key);
		len += KEY_LEN;
	}
	return len;
}

/* SPC-4 6.15.3: a reservation that all hold has no key. */
static uint32_t put_reservation(const struct reserve *r, uint8_t *p)
{
	if (r->type == PR_NONE)
		return 0;
	put_be64(p, r->holder ? r->holder->key : 0);
	p[13] = (uint8_t)r->type; /* scope 0: the unit */
	return 16;
}

/* SPC-4 6.15.5 */
static uint32_t put_full_status(const struct reserve *r, uint8_t *p)
{
	uint32_t len = 0;

	list_for_each(l, &r->registrants) {
		const struct registrant *g = list_entry(l, struct registrant, link);
		uint8_t *d = p + len;
		size_t id_len = transport_id_put(d + FULL_LEN, g->name);

		put_be64(d, g->key);
		d[12] = (uint8_t)(g->all_ports << 1);
		if (reserve_holds(r, g)) {
			d[12] |= 0x01;
			d[13] = (uint8_t)r->type;
		}
		put_be16(d + 18, g->all_ports ? 0 : g->port);
		put_be32(d + 20, (uint32_t)id_len);
		len += FULL_LEN + (uint32_t)id_len;
	}
	return len;
}

/* SPC-4 6.15.4: SPEC_I_PT and ALL_TG_PT; APTPL where the unit has a place for it; allowed through
 * every reservation: TEST UNIT READY (001b). */
static uint32_t put_capabilities(const struct lu *l, uint8_t *p)
{
	put_be16(p, 8);
	p[2] = (uint8_t)(0x08 | 0x04 | (keep_can(&l->keep) ? 0x01 : 0));
	p[3] = (uint8_t)(0x80 | 0x10 | l->reserve.aptpl);
	p[4] = 0x80 | 0x40 | 0x20 | 0x08 | 0x02;
	p[5] = 0x01;
	return 8;
}

enum { READ_KEYS, READ_RESERVATION, REPORT_CAPABILITIES, READ_FULL_STATUS };

void persist_in_execute(struct scsi_cmd *c)
{
	struct reserve *r = &c->lu->reserve;
	uint32_t len;
	uint8_t *p = cmd_in(c, HEAD_LEN + RESERVE_MAX * (FULL_LEN + TRANSPORT_ID_MAX));

	if (!p) {
		cmd_done(c);
		return;
	}
	pthread_mutex_lock(&r->lock);
	switch (c->row->sa) {
	case READ_KEYS:
		len = put_keys(r, p + HEAD_LEN);
		break;
	case READ_RESERVATION:
		len = put_reservation(r, p + HEAD_LEN);
		break;
	case READ_FULL_STATUS:
		len = put_full_status(r, p + HEAD_LEN);
		break;
	default:
		len = put_capabilities(c->lu, p);
	}
	if (c->row->sa != REPORT_CAPABILITIES) {
		put_be32(p, r->generation);
		put_be32(p + 4, len);
		len += HEAD_LEN;
	}
	pthread_mutex_unlock(&r->lock);
	cmd_in_done(c, len, get_be16(c->cdb + 7));
}
