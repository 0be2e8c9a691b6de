/* portal.c - see portal.h. */
#include "portal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "config.h"
#include "link.h"
#include "log.h"
#include "patience.h"
#include "why.h"

static void portal_ready(struct io_sock *sock, unsigned ready)
{
	struct portal *p = container_of(sock, struct portal, sock);
	struct worker *w = p->w;

	/* A few a turn: those who are connected already go on meanwhile. */
	for (unsigned i = 0; i < 64; i++) {
		struct io_addr peer;
		int handle = io_accept(w->io, sock, &peer);

		if (handle < 0)
			return;
		link_new(w, handle, &peer);
	}
	(void)ready;
}

int portals_open(
	struct portals *ps, struct worker *first, const struct config *c, char *err, size_t err_len)
{
	ps->list = calloc(c->n_listen, sizeof(*ps->list));
	if (!ps->list)
		return why_not(err, err_len, -ENOMEM, "no memory");
	for (unsigned i = 0; i < c->n_listen; i++) {
		struct portal *p = &ps->list[i];
		char text[IO_ADDR_TEXT];
		unsigned waited = 0;
		int rc;

		p->w = first;
		p->addr = c->listen[i];
		p->sock.handle = -1;
		p->sock.on_ready = portal_ready;
		do
			rc = io_listen(first->io, &p->sock, &p->addr);
		while (rc == -EADDRINUSE && patience_left(&waited));
		if (rc)
			return why_not(err, err_len, rc, "--listen %s: %s",
				io_addr_text(&c->listen[i], text), strerror(-rc));
		ps->n = i + 1;
		log_info("listening on %s", io_addr_text(&p->addr, text));
	}
	return 0;
}

void portals_accept(struct portals *ps)
{
	for (unsigned i = 0; i < ps->n; i++)
		io_want(ps->list[i].w->io, &ps->list[i].sock, IO_IN);
}

void portals_close(struct portals *ps)
{
	for (unsigned i = 0; i < ps->n; i++)
		io_close(ps->list[i].w->io, &ps->list[i].sock);
}

void portals_free(struct portals *ps)
{
	free(ps->list);
	*ps = (struct portals){0};
}
