/* log_page.c - LOG SENSE (SPC-4 6.6, 7.3; SBC-3 6.3): log pages, one row each.
 *
 * All values are cumulative and current; nothing can be cleared or saved. Parameters before the
 * CDB's PARAMETER POINTER are left out, as the standard says. */
#include <string.h>
#include "be.h"
#include "body.h"
#include "check.h"

enum { LOG_ROOM = BODY_INLINE, BINARY_LIST = 0x03 };

/* A page under construction: parameters in ascending order, from `first` on. */
struct log {
	const struct scsi_cmd *c;
	uint8_t *p;
	uint32_t len;
	uint16_t first;
};

static uint8_t *put_parameter(struct log *g, uint16_t code, uint8_t control, uint8_t len)
{
	uint8_t *d = g->p + g->len;

	if (code < g->first)
		return NULL;
	check(g->len + 4 + len <= LOG_ROOM - 4);
	put_be16(d, code);
	d[2] = control;
	d[3] = len;
	g->len += 4 + len;
	return d + 4;
}

static void log_supported(struct log *g);

enum { SCOPE_OWN = 0x01, SCOPE_SHARED = 0x02 };

static void put_resource(struct log *g, uint16_t code, uint64_t bytes, uint8_t scope)
{
	uint8_t *d = put_parameter(g, code, BINARY_LIST, 8);

	if (!d)
		return;
	put_be32(d, (uint32_t)MIN(bytes >> LU_RESOURCE_SHIFT, UINT32_MAX));
	d[4] = scope;
}

/* SBC-3 6.3.4: what a thin unit may still take, and has taken, in units of 2^exponent blocks (VPD B2). What the
 * file system of a file can give is there for others too; memory is taken at the start. */
static void log_provisioning(struct log *g)
{
	const struct lu *l = g->c->lu;
	uint64_t used, available;

	if (!volume_backend_info(l->volume)) {
		put_resource(g, 0x0002, volume_mapped_bytes(l->volume), SCOPE_OWN);
	} else if (!volume_room(l->volume, &used, &available)) {
		put_resource(g, 0x0001, available, SCOPE_SHARED);
		put_resource(g, 0x0002, used, SCOPE_OWN);
	}
}

/* SPC-4 7.3.22: FFh, no sensor. */
static void log_temperature(struct log *g)
{
	uint8_t *d = put_parameter(g, 0x0000, BINARY_LIST, 2);

	if (d)
		d[1] = 0xff;
}

static void add_counts(struct nexus_lu *sum, const struct nexus_lu *n)
{
	sum->n_reads += __atomic_load_n(&n->n_reads, __ATOMIC_RELAXED);
	sum->n_writes += __atomic_load_n(&n->n_writes, __ATOMIC_RELAXED);
	sum->blocks_read += __atomic_load_n(&n->blocks_read, __ATOMIC_RELAXED);
	sum->blocks_written += __atomic_load_n(&n->blocks_written, __ATOMIC_RELAXED);
}

static void log_counts(struct log *g)
{
	const struct lu *l = g->c->lu;
	struct nexus_lu sum = {0};
	uint8_t *d = put_parameter(g, 0x0001, BINARY_LIST, 64);

	if (!d)
		return;
	pthread_mutex_lock(&l->map->lock);
	add_counts(&sum, &l->past);
	list_for_each(at, &l->map->nexuses) {
		const struct nexus *n = list_entry(at, struct nexus, link);

		if (l->lun < n->n_lus)
			add_counts(&sum, &n->lus[l->lun]);
	}
	pthread_mutex_unlock(&l->map->lock);
	put_be64(d, sum.n_reads);
	put_be64(d + 8, sum.n_writes);
	put_be64(d + 16, sum.blocks_written); /* received */
	put_be64(d + 24, sum.blocks_read);
}

/* SPC-4 7.3.9: commands and blocks, idle time, and the unit of times, a millisecond. Times are not measured: 0. */
static void log_statistics(struct log *g)
{
	uint8_t *unit;

	log_counts(g);
	put_parameter(g, 0x0002, BINARY_LIST, 8);
	unit = put_parameter(g, 0x0003, BINARY_LIST, 8);
	if (unit) {
		put_be32(unit, 3); /* 1 * 10^-3 s */
		put_be32(unit + 4, 1);
	}
}

/* SPC-4 7.3.11: no exception, no sensor. */
static void log_exceptions(struct log *g)
{
	uint8_t *d = put_parameter(g, 0x0000, BINARY_LIST, 4);

	if (d)
		d[2] = 0xff;
}

static const struct log_page {
	uint8_t code;
	bool thin;
	void (*fill)(struct log *g);
} pages[] = {
	/* ascending */
	{0x00, false, log_supported},
	{0x0c, true, log_provisioning},
	{0x0d, false, log_temperature},
	{0x19, false, log_statistics},
	{0x2f, false, log_exceptions},
};

static bool page_on(const struct log_page *page, const struct lu *l)
{
	return !page->thin || l->thin;
}

static const struct log_page *find_page(const struct lu *l, uint8_t code)
{
	for (unsigned i = 0; i < ARRAY_LEN(pages); i++)
		if (pages[i].code == code && page_on(&pages[i], l))
			return &pages[i];
	return NULL;
}

/* SPC-4 7.3.19, 7.3.20: codes, or codes and subpages; this page has the only one. */
static void log_supported(struct log *g)
{
	bool subpages = g->c->cdb[3] == 0xff;

	for (unsigned i = 0; i < ARRAY_LEN(pages); i++) {
		if (!page_on(&pages[i], g->c->lu))
			continue;
		g->p[g->len++] = pages[i].code;
		if (!subpages)
			continue;
		g->p[g->len++] = 0;
		if (pages[i].code == 0) {
			g->p[g->len++] = 0;
			g->p[g->len++] = 0xff;
		}
	}
}

enum { PC_THRESHOLD, PC_CUMULATIVE };

void log_sense_execute(struct scsi_cmd *c)
{
	uint8_t code = c->cdb[2] & 0x3f, sub = c->cdb[3];
	const struct log_page *page = find_page(c->lu, code);
	struct log g = {.c = c, .first = get_be16(c->cdb + 5)};
	uint8_t *p;

	if (!page)
		sense_cdb(c, 2, 5);
	else if (sub != 0 && (sub != 0xff || code != 0))
		sense_cdb(c, 3, 7);
	else if (c->cdb[2] >> 6 != PC_CUMULATIVE && code != 0)
		sense_cdb(c, 2, 7); /* there are no thresholds and no defaults */
	p = c->status == SCSI_GOOD ? cmd_in(c, LOG_ROOM) : NULL;
	if (!p) {
		cmd_done(c);
		return;
	}
	g.p = p + 4;
	page->fill(&g);
	if (g.first && g.len == 0) { /* a pointer behind the last parameter */
		sense_cdb(c, 5, -1);
		cmd_done(c);
		return;
	}
	p[0] = (uint8_t)(page->code | (sub ? 0x40 : 0));
	p[1] = sub;
	put_be16(p + 2, (uint16_t)g.len);
	cmd_in_done(c, g.len + 4, get_be16(c->cdb + 7));
}
