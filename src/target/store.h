/* store.h - a unit's record in the state directory (struct lu_store).
 *
 * One file a unit, named by its UUID, with two places for a record. A save goes into the place that does
 * not hold the newest one, in one durable write with number and checksum; so whatever moment the machine stops
 * at, one of the two is whole, and the newest whole one counts. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "scsi.h"

/* store_open - *storep stays NULL where there is no such file and it cannot be made, which is no error for
 * the default directory. *recordp: malloc'd, NULL when nothing was saved. 0, or -errno with one line in err. */
int store_open(struct lu_store **storep, const char *dir, const uint8_t uuid[16], void **recordp,
	uint32_t *lenp, char *err, size_t err_len);
