/* tpc_page.c - VPD page 8F, third-party copy (SPC-4 7.8.17, SBC-3 6.6.7): what copies there are, and how much of each,
 * a descriptor a row. */
#include <string.h>
#include "body.h"
#include "check.h"
#include "copy_job.h"
#include "copy_list.h"
#include "token.h"

/* Each fills what follows a descriptor's type and length; how many bytes. */

/* Block device ROD token limits */
static uint32_t rod_limits(const struct lu *l, uint8_t *p)
{
	put_be16(p + 6, TOKEN_RANGES);
	put_be32(p + 8, TOKEN_IDLE_MAX_S);
	put_be32(p + 12, TOKEN_IDLE_DEFAULT_S);
	put_be64(p + 16, TOKEN_MAX_BYTES >> l->shift);
	put_be64(p + 24, COPY_PIECE >> l->shift); /* optimal */
	return 32;
}

/* Supported commands: every service action of the two opcodes, out of the table. */
static uint32_t commands(const struct lu *l, uint8_t *p)
{
	static const uint8_t ops[] = {0x83, 0x84};
	uint32_t len = 1;

	for (unsigned i = 0; i < ARRAY_LEN(ops); i++) {
		uint8_t *head = p + len;

		head[0] = ops[i];
		len += 2;
		for (unsigned k = 0; k < N_CDB_ROWS; k++) {
			if (cdb_rows[k].op != ops[i])
				continue;
			p[len++] = cdb_rows[k].sa;
			head[1]++;
		}
	}
	p[0] = (uint8_t)(len - 1);
	return len;
}

static uint32_t parameters(const struct lu *l, uint8_t *p)
{
	put_be16(p + 4, COPY_MAX_CSCDS);
	put_be16(p + 6, COPY_MAX_SEGMENTS);
	put_be32(p + 8, COPY_MAX_LIST);
	return 28;
}

static uint32_t descriptors(const struct lu *l, uint8_t *p)
{
	p[0] = 2;
	p[1] = SEGMENT_BLOCKS;
	p[2] = CSCD_NAMED;
	return 3;
}

static uint32_t cscd_ids(const struct lu *l, uint8_t *p)
{
	put_be16(p, 2);
	put_be16(p + 2, CSCD_SELF);
	return 4;
}

/* ROD token features: those of block devices follow in a descriptor of their own. */
static uint32_t token_features(const struct lu *l, uint8_t *p)
{
	uint8_t *page = p - 4, *block = page + 48;

	put_be32(page + 16, TOKEN_IDLE_DEFAULT_S); /* the shortest life */
	put_be32(page + 20, TOKEN_LIFE_S);
	put_be32(page + 24, TOKEN_IDLE_MAX_S);
	put_be16(page + 46, 48);
	put_be16(block + 2, 44);
	put_be16(block + 6, (uint16_t)(LU_GRAIN >> l->shift));
	put_be64(block + 8, TOKEN_MAX_BYTES);
	put_be64(block + 16, COPY_PIECE);
	put_be64(block + 24, COPY_PIECE);
	put_be64(block + 32, COPY_PIECE);
	return 48 - 4 + 48;
}

static uint32_t rod_types(const struct lu *l, uint8_t *p)
{
	static const struct {
		uint32_t type;
		uint8_t flags; /* TOKEN_IN: to be written from; TOKEN_OUT: to be made */
		uint16_t preference;
	} types[] = {
		{ROD_UPON_REFERENCE, 0x03, 0x0000},
		{ROD_CHANGE_VULNERABLE, 0x03, 0x0001},
		{ROD_ZERO, 0x02, 0x0000},
	};

	put_be16(p + 2, ARRAY_LEN(types) * 64);
	for (unsigned i = 0; i < ARRAY_LEN(types); i++) {
		uint8_t *d = p + 4 + i * 64;

		put_be32(d, types[i].type);
		d[4] = types[i].flags;
		put_be16(d + 6, types[i].preference);
	}
	return 4 + ARRAY_LEN(types) * 64;
}

static uint32_t general(const struct lu *l, uint8_t *p)
{
	put_be32(p, COPY_JOBS_RUNNING);
	put_be32(p + 4, COPY_JOBS_RUNNING);
	put_be32(p + 8, 0xffff * l->block);
	p[12] = (uint8_t)l->shift;
	return 32;
}

/* None is held. */
static uint32_t held_data(const struct lu *l, uint8_t *p)
{
	return 28;
}

uint32_t vpd_copies(const struct scsi_cmd *c, uint8_t *p)
{
	static const struct {
		uint16_t type;
		uint32_t (*fill)(const struct lu *, uint8_t *);
	} rows[] = {
		/* ascending */
		{0x0000, rod_limits},
		{0x0001, commands},
		{0x0004, parameters},
		{0x0008, descriptors},
		{0x000c, cscd_ids},
		{0x0106, token_features},
		{0x0108, rod_types},
		{0x8001, general},
		{0xc001, held_data},
	};
	uint32_t len = 0;

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		uint32_t n = round_up(rows[i].fill(c->lu, p + len + 4), 4);

		put_be16(p + len, rows[i].type);
		put_be16(p + len + 2, (uint16_t)n);
		len += 4 + n;
	}
	return len;
}
