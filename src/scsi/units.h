/* units.h - for tests: the units of the rig, RAM disks of several shapes. */
#pragma once

#include "expect.h"

/* LUN 0: 1 MiB in blocks of 512. 1: 64 MiB of 4096. 2: as 0, write-protected. 3: as 0, removable.
 * 4: as 0, with little memory beside the content. 300: as 0, reached by flat addressing. */
enum { DISK, BIG, RO, REMOVABLE, TIGHT, FAR = 300, NOBODY = 7 };
enum { BLOCKS = 2048 };

static int setup(void **state)
{
	rig_init(&rig);
	rig_unit(&rig, &(struct rig_unit){.lun = DISK, .size = 1 << 20, .block = 512});
	rig_unit(&rig, &(struct rig_unit){.lun = BIG, .size = 64 << 20, .block = 4096});
	rig_unit(&rig, &(struct rig_unit){.lun = RO, .size = 1 << 20, .block = 512, .ro = true});
	rig_unit(&rig, &(struct rig_unit){
			       .lun = REMOVABLE, .size = 1 << 20, .block = 512, .removable = true});
	rig_unit(&rig,
		&(struct rig_unit){
			.lun = TIGHT, .size = 1 << 20, .block = 512, .n_pages = 256 + 64 + 8});
	rig_unit(&rig,
		&(struct rig_unit){.lun = FAR, .size = 1 << 20, .block = 512, .physical = 512});
	return 0;
}

static int teardown(void **state)
{
	rig_deinit(&rig);
	return 0;
}
