/* node.h - an iSCSI target node: a name, its logical units, its sessions; and SendTargets.
 *
 * Nodes are made at start and stay. sessions is guarded by lock; everything else is read-only. */
#pragma once

#include <pthread.h>
#include "io.h"
#include "list.h"
#include "scsi.h"
#include "text.h"

enum { PORTAL_GROUP = 1 };

struct node {
	char *name;
	struct lu_map luns;
	pthread_mutex_t lock;
	struct list sessions;
};

struct node *node_new(const char *name); /* NULL: no memory */
struct node *node_free(struct node *n);  /* frees its logical units */

/* node_send_targets - the answer's records for one node (RFC 7143 appendix C): the address is the
 * connection's own, or what --advertise says. */
int node_send_targets(struct text *t, const struct node *n, const struct io_addr *local,
	const struct io_addr *advertise, unsigned n_advertise);
