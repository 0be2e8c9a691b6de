/* node.c - target nodes and what discovery tells of them. */
#include "node.h"

#include <stdlib.h>
#include <string.h>

struct node *node_new(const char *name)
{
	struct node *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->name = strdup(name);
	if (!n->name) {
		free(n);
		return NULL;
	}
	pthread_mutex_init(&n->lock, NULL);
	list_init(&n->sessions);
	lu_map_init(&n->luns);
	return n;
}

struct node *node_free(struct node *n)
{
	if (!n)
		return NULL;
	check(list_empty(&n->sessions));
	for (unsigned i = 0; i < n->luns.n; i++)
		lu_free(n->luns.lu[i]);
	lu_map_deinit(&n->luns);
	pthread_mutex_destroy(&n->lock);
	free(n->name);
	free(n);
	return NULL;
}

static int add_address(struct text *t, const struct io_addr *a)
{
	char text[IO_ADDR_TEXT];

	return text_addf(t, "TargetAddress", "%s,%u", io_addr_text(a, text), PORTAL_GROUP);
}

int node_send_targets(struct text *t, const struct node *n, const struct io_addr *local,
	const struct io_addr *advertise, unsigned n_advertise)
{
	int rc = text_add(t, "TargetName", n->name);

	if (!rc && !n_advertise)
		rc = add_address(t, local);
	for (unsigned i = 0; !rc && i < n_advertise; i++) {
		struct io_addr a = advertise[i];

		if (!a.in.sin_port)
			a.in.sin_port = local->in.sin_port;
		rc = add_address(t, &a);
	}
	return rc;
}
