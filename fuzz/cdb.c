/* cdb.c - any sequence of commands to three logical units (512 and 4096 byte blocks, read-only) and to one that is not
 * there: each ends once, with a status that fits, and lends nothing for longer than it lives (rig.c checks that).
 *
 * Input, for each command: LUN and direction, Expected Data Transfer Length, the CDB, then two bytes of length and
 * so much data-out, repeated where the command takes more. */
#include <stdlib.h>
#include "door.h"
#include "rig.h"

enum { COMMANDS_MAX = 24, EDTL_MAX = 1 << 20 };

static const struct rig_unit units[] = {
	{.lun = 0, .size = 1 << 20, .block = 512, .physical = 4096},
	{.lun = 1, .size = 1 << 20, .block = 4096, .physical = 4096, .removable = true},
	{.lun = 2, .size = 1 << 20, .block = 512, .physical = 512, .ro = true},
};

static void fill(struct scsi_cmd *c, const uint8_t *from, size_t len)
{
	size_t at = 0;

	for (unsigned i = 0; len && i < c->n_out_iov; i++) {
		uint8_t *to = c->out_iov[i].iov_base;

		for (size_t k = 0; k < c->out_iov[i].iov_len; k++)
			to[k] = from[at++ % len];
	}
}

static void one(struct rig *r, struct feed *f)
{
	struct scsi_cmd c;
	uint8_t where = feed_u8(f), cdb[SCSI_CDB_MAX];
	uint32_t edtl = feed_u32(f) % EDTL_MAX;
	const uint8_t *out;
	size_t len;

	feed_bytes(f, cdb, sizeof(cdb));
	out = feed_rest(f, &len);
	rig_begin(r, &c, where & 3, cdb, where & 0x40, where & 0x80, edtl);
	if (c.out_have < c.out_len ||
		where & 0x20) { /* no pages for all of it, or the initiator changed its mind */
		check(scsi_abort(&c));
		scsi_release(&c);
	} else {
		fill(&c, out, len);
		rig_finish(r, &c);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct feed f = {data, len};
	struct rig r;

	rig_init(&r);
	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		rig_unit(&r, &units[i]);
	for (unsigned n = 0; f.left && n < COMMANDS_MAX; n++)
		one(&r, &f);
	while (rig_turn(&r))
		;
	rig_deinit(&r);
	return 0;
}
