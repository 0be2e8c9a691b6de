/* inquiry.c - INQUIRY: standard data and vital product data pages, one row each (SPC-4 6.6, 7.8;
 * SBC-3 6.6).
 *
 * Whatever names the unit is derived from its uuid, so that it stays what it is through restarts
 * and moves. */
#include <stdio.h>
#include <string.h>
#include "be.h"
#include "body.h"
#include "check.h"

enum { STANDARD_LEN = 96, VPD_ROOM = BODY_INLINE };
static const char vendor[] = "BERTH   ", product[] = "VIRTUAL-DISK    ";

/* SPC-4 table 132: qualifier 011b and type 1Fh say that no unit can be here. */
static uint8_t peripheral(const struct lu *l)
{
	return l ? 0x00 : 0x7f;
}

static void put_hex(uint8_t *p, const uint8_t uuid[16])
{
	static const char digits[] = "0123456789abcdef";

	for (unsigned i = 0; i < 16; i++) {
		p[2 * i] = (uint8_t)digits[uuid[i] >> 4];
		p[2 * i + 1] = (uint8_t)digits[uuid[i] & 0x0f];
	}
}

/* --- standard data --- */

/* revision - four characters: major and minor number of the version. */
static void put_revision(uint8_t *p)
{
	const char *dot = strchr(BERTH_VERSION, '.');
	const char *end = dot ? strchr(dot + 1, '.') : NULL;
	size_t len = end ? (size_t)(end - BERTH_VERSION) : strlen(BERTH_VERSION);

	memset(p, ' ', 4);
	memcpy(p, BERTH_VERSION, MIN(len, 4));
}

static void standard(struct scsi_cmd *c)
{
	/* SPC-4 table 142: SAM-5, SPC-4, SBC-3, iSCSI; no version claimed of each */
	static const uint16_t standards[] = {0x00a0, 0x0460, 0x04c0, 0x0960};
	uint8_t *p = cmd_in(c, STANDARD_LEN);

	if (!p) {
		cmd_done(c);
		return;
	}
	p[0] = peripheral(c->lu);
	p[1] = c->lu && c->lu->removable ? 0x80 : 0;
	p[2] = 0x06; /* SPC-4 */
	p[3] = 0x12; /* HISUP: LUNs as in SAM-5; response data format 2 */
	p[4] = STANDARD_LEN - 5;
	p[5] = 0x38; /* TPGS: implicit and explicit; 3PC: copies */
	p[7] = 0x02; /* CMDQUE */
	memcpy(p + 8, vendor, 8);
	memcpy(p + 16, product, 16);
	put_revision(p + 32);
	for (unsigned i = 0; i < ARRAY_LEN(standards); i++)
		put_be16(p + 58 + 2 * i, standards[i]);
	cmd_in_done(c, STANDARD_LEN, get_be16(c->cdb + 3));
}

/* --- pages: fill what follows the four bytes of header, return its length --- */

static uint32_t vpd_supported(const struct scsi_cmd *c, uint8_t *p);

/* Unit serial number (SPC-4 7.8.15) */
static uint32_t vpd_serial(const struct scsi_cmd *c, uint8_t *p)
{
	put_hex(p, c->lu->uuid);
	return 32;
}

enum {
	SET_BINARY = 1,
	SET_ASCII = 2,
	SET_UTF8 = 3,
	OF_UNIT = 0x00,
	OF_PORT = 0x10,
	OF_TARGET = 0x20
};
enum { ID_T10 = 1, ID_NAA = 3, ID_PORT = 4, ID_GROUP = 5, ID_NAME = 8, PIV = 0x80, ISCSI = 0x50 };

/* One designation descriptor (SPC-4 7.8.6.1); ports and targets name their protocol. */
static uint32_t put_id(uint8_t *p, unsigned set, unsigned of, unsigned type, uint32_t len)
{
	p[0] = (uint8_t)((of != OF_UNIT ? ISCSI : 0) | set);
	p[1] = (uint8_t)((of != OF_UNIT ? PIV : 0) | of | type);
	p[3] = (uint8_t)len;
	return 4 + len;
}

/* NAA 3h, locally assigned (SPC-4 7.8.6.6.4): sixty bits of the uuid's two halves folded together.
 */
static uint32_t put_naa(uint8_t *p, const uint8_t uuid[16])
{
	uint64_t folded = get_be64(uuid) ^ get_be64(uuid + 8);

	put_be64(p + 4, (folded & 0x0fffffffffffffffULL) | 0x3000000000000000ULL);
	return put_id(p, SET_BINARY, OF_UNIT, ID_NAA, 8);
}

static uint32_t put_t10(uint8_t *p, const uint8_t uuid[16])
{
	memcpy(p + 4, vendor, 8);
	put_hex(p + 12, uuid);
	return put_id(p, SET_ASCII, OF_UNIT, ID_T10, 40);
}

/* A SCSI name string ends in NUL and is filled with NULs to a multiple of four (SPC-4 7.8.6.11). */
static uint32_t put_name(uint8_t *p, unsigned of, const char *name)
{
	uint32_t len = (uint32_t)strnlen(name, SCSI_PORT_NAME - 1);

	memcpy(p + 4, name, len);
	return put_id(p, SET_UTF8, of, ID_NAME, (uint32_t)round_up(len + 1, 4));
}

static uint32_t put_number(uint8_t *p, unsigned type, uint16_t n)
{
	put_be16(p + 6, n);
	return put_id(p, SET_BINARY, OF_PORT, type, 4);
}

uint32_t inquiry_names(const struct lu *l, uint8_t *p)
{
	uint32_t len = put_naa(p, l->uuid);

	return len + put_t10(p + len, l->uuid);
}

/* Device identification (SPC-4 7.8.6). All ports of a target are one target port group. */
static uint32_t vpd_identification(const struct scsi_cmd *c, uint8_t *p)
{
	uint32_t len = inquiry_names(c->lu, p);

	len += put_number(p + len, ID_PORT, c->nexus->port);
	len += put_number(p + len, ID_GROUP, 1);
	len += put_name(p + len, OF_PORT, c->nexus->target);
	len += put_name(p + len, OF_TARGET, c->lu->target);
	return len;
}

/* Management network addresses (SPC-4 7.8.9): none. */
static uint32_t vpd_addresses(const struct scsi_cmd *c, uint8_t *p)
{
	return 0;
}

/* Extended INQUIRY data (SPC-4 7.8.7); the bytes' numbers are the page's. */
static uint32_t vpd_extended(const struct scsi_cmd *c, uint8_t *p)
{
	uint8_t *page = p - 4;

	page[5] = 0x07; /* HEADSUP, ORDSUP, SIMPSUP */
	page[7] = 0x01; /* LUICLR */
	page[13] = SCSI_SENSE_MAX;
	return 0x3c;
}

/* Mode page policy (SPC-4 7.8.10): every page is shared by all nexuses. */
static uint32_t vpd_mode_policy(const struct scsi_cmd *c, uint8_t *p)
{
	p[0] = 0x3f;
	p[1] = 0xff;
	return 4;
}

/* SCSI ports (SPC-4 7.8.14): the one that this nexus came by. */
static uint32_t vpd_ports(const struct scsi_cmd *c, uint8_t *p)
{
	uint32_t len = put_name(p + 12, OF_PORT, c->nexus->target);

	put_be16(p + 2, c->nexus->port);
	put_be16(p + 10, (uint16_t)len);
	return 12 + len;
}

/* Block limits (SBC-3 6.6.4); the bytes' numbers are the page's. */
static uint32_t vpd_limits(const struct scsi_cmd *c, uint8_t *p)
{
	const struct lu *l = c->lu;
	uint8_t *page = p - 4;

	page[5] = LU_MAX_COMPARE;
	put_be16(page + 6, (uint16_t)(LU_GRAIN >> l->shift));
	put_be32(page + 8, (uint32_t)LU_MAX_TRANSFER >> l->shift);
	put_be32(page + 12, (uint32_t)LU_BEST_TRANSFER >> l->shift);
	put_be32(page + 20, lu_max_unmap(l));
	put_be32(page + 24, l->thin ? LU_MAX_UNMAP_DESCRIPTORS : 0);
	put_be32(page + 28, l->thin ? (uint32_t)LU_GRAIN >> l->shift : 0);
	page[32] = l->thin ? 0x80 : 0; /* UGAVALID: grains begin at LBA 0 */
	put_be64(page + 36, LU_MAX_SAME);
	put_be32(page + 44, l->max_atomic >> l->shift);
	return 0x3c;
}

/* Block device characteristics (SBC-3 6.6.3): 1 is a medium that does not rotate, 0 says nothing.
 */
static uint32_t vpd_characteristics(const struct scsi_cmd *c, uint8_t *p)
{
	put_be16(p, c->lu->rotates ? 0 : 1);
	if (c->lu->thin)
		p[3] = 0x50; /* WABEREQ, WACEREQ: reads after an erase end well */
	return 0x3c;
}

/* Logical block provisioning (SBC-3 6.6.5) */
static uint32_t vpd_provisioning(const struct scsi_cmd *c, uint8_t *p)
{
	if (c->lu->thin) {
		p[1] = 0xe4; /* LBPU, LBPWS, LBPWS10, LBPRZ */
		p[2] = 0x02; /* thin */
	}
	if (lu_counts_resources(c->lu))
		p[0] = (uint8_t)(LU_RESOURCE_SHIFT - c->lu->shift); /* threshold exponent */
	return 4;
}

static const struct vpd_page {
	uint8_t code;
	bool no_lu; /* also shown where no unit is */
	uint32_t (*fill)(const struct scsi_cmd *c, uint8_t *p);
} pages[] = {
	/* ascending */
	{0x00, true, vpd_supported},
	{0x80, false, vpd_serial},
	{0x83, false, vpd_identification},
	{0x85, false, vpd_addresses},
	{0x86, false, vpd_extended},
	{0x87, false, vpd_mode_policy},
	{0x88, false, vpd_ports},
	{0x8f, false, vpd_copies},
	{0xb0, false, vpd_limits},
	{0xb1, false, vpd_characteristics},
	{0xb2, false, vpd_provisioning},
};

static uint32_t vpd_supported(const struct scsi_cmd *c, uint8_t *p)
{
	uint32_t len = 0;

	for (unsigned i = 0; i < ARRAY_LEN(pages); i++)
		if (c->lu || pages[i].no_lu)
			p[len++] = pages[i].code;
	return len;
}

static const struct vpd_page *find_page(const struct lu *l, uint8_t code)
{
	for (unsigned i = 0; i < ARRAY_LEN(pages); i++)
		if (pages[i].code == code && (l || pages[i].no_lu))
			return &pages[i];
	return NULL;
}

static void vital(struct scsi_cmd *c)
{
	const struct vpd_page *page = find_page(c->lu, c->cdb[2]);
	uint32_t len;
	uint8_t *p;

	if (!page)
		sense_cdb(c, 2, -1);
	p = page ? cmd_in(c, VPD_ROOM) : NULL;
	if (!p) {
		cmd_done(c);
		return;
	}
	len = page->fill(c, p + 4);
	check(len + 4 <= VPD_ROOM);
	p[0] = peripheral(c->lu);
	p[1] = page->code;
	put_be16(p + 2, (uint16_t)len);
	cmd_in_done(c, len + 4, get_be16(c->cdb + 3));
}

void inquiry_execute(struct scsi_cmd *c)
{
	if (c->cdb[1] & 0x01) {
		vital(c);
	} else if (c->cdb[2] != 0) { /* SPC-4 6.6.1: a page code without EVPD */
		sense_cdb(c, 2, -1);
		cmd_done(c);
	} else {
		standard(c);
	}
}
