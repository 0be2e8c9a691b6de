/* sweep.h - what a command of one session does to the tasks of others, on every reactor (scsi.h tells what
 * is promised). Any thread may begin one; it ends on the reactor that asked. */
#pragma once

#include "scsi.h"

struct server;

/* sweep_begin - -ENOMEM: nothing was done, no done will come. */
int sweep_begin(struct server *server, struct scsi_sweep *s);
