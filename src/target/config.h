/* config.h - what `berth serve` is asked to do, as plain values.
 *
 * Filled by control/options.c (command line) and later by control/config.c (file); checked by
 * config_check(). Ownership: strings belong to the config (config_deinit()). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "io.h"
#include "param.h"
#include "reactor.h"

struct config_disk {
	char *path;            /* NULL: RAM */
	uint64_t size;         /* --ram SIZE, or size= (0: the file's) */
	uint32_t block;        /* 512 or 4096 */
	uint32_t physical;     /* 512 or 4096, at least block */
	bool ro, removable;
	bool has_uuid;
	uint8_t uuid[16];
	unsigned target;       /* index into config.targets */
	unsigned lun;
	char *text;            /* as it was given, for messages */
};

struct config {
	char **targets;        /* iSCSI names */
	unsigned n_targets;
	struct config_disk *disks;
	unsigned n_disks;
	struct io_addr *listen;
	unsigned n_listen;
	struct io_addr *advertise; /* told by SendTargets instead of the connection's own address */
	unsigned n_advertise;
	unsigned threads;
	enum engine engine;
	bool r2t_line;         /* --r2t line */
	unsigned spin_us;
	uint64_t cache;        /* bytes for files' pages */
	char *trace, *state_dir, *run_dir;
	struct param_offer offer;
};
