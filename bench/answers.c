/* answers.c - what a disk must say so that libiscsi and QEMU use it: a READ CAPACITY, an INQUIRY.
 */
#include "be.h"
#include "check.h"
#include "limit.h"

static int inquiry(const uint8_t *cdb, uint8_t *d)
{
	static const uint8_t pages[] = {0x00, 0x83};

	if (!(cdb[1] & 1)) {
		d[2] = 6; /* SPC-4 */
		d[3] = 2;
		d[4] = 91;
		memcpy(d + 8, "BERTH   LIMIT           0001", 28);
		return 96;
	}
	d[1] = cdb[2];
	if (cdb[2] == 0x00) {
		d[3] = sizeof(pages);
		memcpy(d + 4, pages, sizeof(pages));
		return 4 + (int)sizeof(pages);
	}
	if (cdb[2] != 0x83)
		return -1;
	d[3] = 12; /* a vendor's identifier of eight letters */
	d[4] = 2;
	d[5] = 1;
	d[7] = 8;
	memcpy(d + 8, "BERTH   ", 8);
	return 16;
}

int limit_answer(const uint8_t *cdb, uint8_t data[512])
{
	uint64_t n_blocks = (uint64_t)LIMIT_PAGES * ARENA_PAGE / 512;

	memset(data, 0, 512);
	switch (cdb[0]) {
	case 0x00: /* TEST UNIT READY */
	case 0x35: /* SYNCHRONIZE CACHE */
	case 0x91:
		return 0;
	case 0x12:
		return inquiry(cdb, data);
	case 0x1a: /* MODE SENSE(6): a header and no page */
		data[0] = 3;
		return 4;
	case 0x25:
		put_be32(data, (uint32_t)(n_blocks - 1));
		put_be32(data + 4, 512);
		return 8;
	case 0x9e: /* READ CAPACITY(16) */
		put_be64(data, n_blocks - 1);
		put_be32(data + 8, 512);
		return 32;
	case 0xa0: /* REPORT LUNS */
		put_be32(data, 8);
		return 16;
	default:
		return -1;
	}
}
