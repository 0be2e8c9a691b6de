/* copy.c - parameter lists of third-party copies: each kind of list to a unit, then what is known of it. Whatever they
 * hold, the command ends once and lends nothing (rig.c), and the parser keeps inside what it was given.
 *
 * Input: one byte that names the command and the unit, then the list. */
#include <stdlib.h>
#include <string.h>
#include "be.h"
#include "copy_list.h"
#include "door.h"
#include "rig.h"

enum { LIST_MAX = 8192 };

static const struct rig_unit units[] = {
	{.lun = 0, .size = 1 << 20, .block = 512, .physical = 4096},
	{.lun = 1, .size = 1 << 20, .block = 4096, .physical = 4096},
};

static void parse(const uint8_t *list, uint32_t len, bool lid4)
{
	struct copy_list *l = malloc(sizeof(*l));
	uint8_t *p = malloc(len ? len : 1); /* of just that length, for the sanitizer */
	struct sense_data bad = {.why = SENSE_NONE};

	check(l && p);
	memcpy(p, list, len);
	check(copy_list_parse(l, p, len, lid4, &bad) == (bad.why == SENSE_NONE));
	check(l->n_cscds <= COPY_MAX_CSCDS && l->n_segments <= COPY_MAX_SEGMENTS);
	free(p);
	free(l);
}

static void run(
	struct rig *r, unsigned lun, uint8_t op, uint8_t sa, const uint8_t *list, uint32_t len)
{
	uint8_t cdb[SCSI_CDB_MAX] = {op, sa};

	put_be32(cdb + 10, op == 0x83 ? len : LIST_MAX);
	rig_run(r, lun, cdb, op == 0x84, op == 0x83, op == 0x83 ? len : LIST_MAX, list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t actions[] = {0x00, 0x01, 0x10, 0x11};
	struct feed f = {data, len};
	uint8_t what = feed_u8(&f);
	uint8_t list[LIST_MAX] = {0};
	struct rig r;

	len = f.left < LIST_MAX ? f.left : LIST_MAX;
	feed_bytes(&f, list, len);
	if ((what & 3) < 2)
		parse(list, (uint32_t)len, what & 1);
	rig_init(&r);
	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		rig_unit(&r, &units[i]);
	run(&r, what >> 2 & 1, 0x83, actions[what & 3], list, (uint32_t)len);
	run(&r, what >> 2 & 1, 0x84, 0x05, NULL, 0);
	run(&r, what >> 2 & 1, 0x84, 0x07, NULL, 0);
	rig_deinit(&r);
	return 0;
}
