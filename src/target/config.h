/* config.h - what `berth serve` is asked to do, as plain values.
 *
 * Filled by control/options.c (command line) and later by a configuration file; checked by
 * config_check(). Ownership: strings and arrays belong to the config (config_deinit()).
 * No thread owns it: it is complete before server_new() borrows it, and does not change then. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "chap.h"
#include "fault.h"
#include "io.h"
#include "param.h"
#include "reactor.h"

struct config_disk {
	char *path;            /* NULL: RAM */
	uint64_t size;         /* --ram SIZE, or size= (0: the file's) */
	uint32_t block;        /* 512 or 4096 */
	uint32_t physical;     /* 512 or 4096, at least block */
	bool ro, removable;
	enum { MODE_DEFAULT, MODE_BACK, MODE_THROUGH } mode; /* of a file; a RAM disk with faults is written through */
	bool has_uuid;
	uint8_t uuid[16];
	unsigned target;       /* index into config.targets */
	unsigned lun;
	struct fault *faults;  /* how it is to misbehave, the first next to the disk */
	unsigned n_faults;
	char *text;            /* as it was given, for messages */
	bool made;             /* the image was not there before this start (identity.h) .. */
	uint64_t made_dev, made_ino; /* .. and is this file */
};

struct config {
	char **targets;        /* iSCSI names */
	unsigned n_targets;
	struct config_disk *disks;
	unsigned n_disks;
	struct io_addr *listen;
	unsigned n_listen;
	/* told by SendTargets instead of the connection's own address; port 0: the connection's own port */
	struct io_addr *advertise;
	unsigned n_advertise;
	unsigned threads;
	enum engine engine;
	bool r2t_line;         /* --r2t line */
	unsigned spin_us;
	uint64_t cache;        /* bytes for files' pages */
	bool cache_given;      /* or what a quarter of memory comes to, when there is so much */
	uint64_t dirty_limit;  /* bytes of them that may wait to be written; 0: half */
	bool discard_dirty, adopt_anyway;
	int memory_fd;         /* a buffer memory that the service manager has kept; -1: none */
	char *trace, *state_dir, *run_dir;
	char *chap_file;       /* NULL: there is no list of users; read into chap by whoever runs the server */
	struct param_offer offer;  /* offer.chap points at chap when there is a list of users */
	struct chap_db chap;
	bool verbose;          /* -v: log_level LOG_DEBUG, set by whoever runs the server */
};

#define CONFIG_STATE_DIR "/var/lib/berth" /* where state_dir is NULL */

enum {
	CONFIG_PORT = 3260,
	CONFIG_THREADS_MAX = 64,
	CONFIG_TARGETS_MAX = 1024,
	CONFIG_LUNS_MAX = 16384,            /* flat addressing, as struct lu_map */
	CONFIG_SPIN_US_MAX = 1000 * 1000,
	CONFIG_CACHE_MIN = 32 << 20,        /* the longest landing is 16 MiB, and others must go on beside it */
};

/* config_init - every default but the listen address and the target, which config_finish() adds where
 * nothing was said. */
void config_init(struct config *c);
void config_deinit(struct config *c); /* safe to call twice */

/* The makers: copy what they are given; -ENOMEM. Later disks belong to the target added last; a disk
 * before the first target makes the default one, iqn.2026-11.io.berth:HOST. */
int config_add_target(struct config *c, const char *iqn);
int config_add_disk(struct config *c, const char *text, struct config_disk **diskp);
int config_add_fault(struct config_disk *d, const struct fault *f);
int config_add_listen(struct config *c, const struct io_addr *a);
int config_add_advertise(struct config *c, const struct io_addr *a);
int config_finish(struct config *c);

/* config_default_iqn - the default target's name out of a host name, made of legal characters (RFC 7143
 * 4.2.7.2: lower case letters, digits, dot, dash, colon). */
void config_default_iqn(const char *host, char *buf, size_t len);

/* config_check - does it make sense as a whole? 0, or -EINVAL with one line in err, which names the
 * argument and the reason. */
int config_check(const struct config *c, char *err, size_t err_len);
