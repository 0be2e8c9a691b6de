/* capacity.c - READ CAPACITY (SBC-3 5.15, 5.16). */
#include "be.h"
#include "body.h"

/* What SBC-2 said of the fields that SBC-3 made obsolete: an LBA without PMI is an error. With PMI
 * every LBA gets the same answer, there being no place from which access is slower. */
void capacity_prepare(struct scsi_cmd *c)
{
	bool wide = c->cdb[0] != 0x25;
	uint64_t lba = wide ? get_be64(c->cdb + 2) : get_be32(c->cdb + 2);

	if (lba != 0 && !(c->cdb[wide ? 14 : 8] & 0x01))
		sense_cdb(c, 2, -1);
}

void capacity_10_execute(struct scsi_cmd *c)
{
	uint64_t last = lu_n_blocks(c->lu) - 1;
	uint8_t *p = cmd_in(c, 8);

	if (!p) {
		cmd_done(c);
		return;
	}
	put_be32(p, last > UINT32_MAX ? UINT32_MAX : (uint32_t)last);
	put_be32(p + 4, c->lu->block);
	cmd_in_done(c, 8, 8);
}

void capacity_16_execute(struct scsi_cmd *c)
{
	uint8_t *p = cmd_in(c, 32);

	if (!p) {
		cmd_done(c);
		return;
	}
	put_be64(p, lu_n_blocks(c->lu) - 1);
	put_be32(p + 8, c->lu->block);
	p[13] = (uint8_t)__builtin_ctz(c->lu->physical / c->lu->block); /* LBPPBE */
	if (c->lu->thin)
		p[14] = 0xc0; /* LBPME, LBPRZ; lowest aligned LBA 0 */
	cmd_in_done(c, 32, get_be32(c->cdb + 10));
}
