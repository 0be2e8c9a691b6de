/* reserve.c - see reserve.h: who is registered, who holds what, and the one question that all other
 * commands have. */
#include <stdlib.h>
#include <string.h>
#include "be.h"
#include "body.h"
#include "check.h"
#include "lun.h"
#include "reserve.h"

void reserve_init(struct reserve *r)
{
	pthread_mutex_init(&r->lock, NULL);
	list_init(&r->registrants);
}

void reserve_deinit(struct reserve *r)
{
	while (!list_empty(&r->registrants))
		reserve_remove(r, list_first(&r->registrants, struct registrant, link));
	pthread_mutex_destroy(&r->lock);
}

/* --- registrants --- */

struct registrant *reserve_find(const struct reserve *r, const char *name, uint16_t port)
{
	list_for_each(l, &r->registrants) {
		struct registrant *g = list_entry(l, struct registrant, link);

		if ((g->all_ports || g->port == port) && strcmp(g->name, name) == 0)
			return g;
	}
	return NULL;
}

struct registrant *reserve_add(struct reserve *r, const char *name, uint16_t port, uint64_t key)
{
	struct registrant *g;

	if (r->n_registrants == RESERVE_MAX || strlen(name) >= PORT_NAME_MAX)
		return NULL;
	g = calloc(1, sizeof(*g));
	if (!g)
		return NULL;
	strcpy(g->name, name);
	g->port = port;
	g->key = key;
	list_push_back(&r->registrants, &g->link);
	r->n_registrants++;
	return g;
}

/* SPC-4 5.12.11: with its holder a reservation ends; one that all registrants hold, with the last
 * of them. */
void reserve_remove(struct reserve *r, struct registrant *g)
{
	list_remove(&g->link);
	r->n_registrants--;
	if (r->holder == g) {
		r->holder = NULL;
		r->type = PR_NONE;
	}
	if (pr_every(r->type) && r->n_registrants == 0)
		r->type = PR_NONE;
	free(g);
}

bool reserve_holds(const struct reserve *r, const struct registrant *g)
{
	return g && r->type != PR_NONE && (pr_every(r->type) || r->holder == g);
}

void reserve_show(struct lu *l)
{
	lu_state_set(l, LU_RESERVED,
		l->reserve.holder6 || l->reserve.type != PR_NONE || l->reserve.n_registrants);
}

/* --- the question --- */

/* SPC-4 table 65, SBC-3 table 13: what a command may do, by the reservation of another nexus. */
bool reserve_allows(const struct reserve *r, bool registered, bool holds, enum cdb_conflict c)
{
	if (r->type == PR_NONE || holds || (pr_registrants(r->type) && registered))
		return true;
	switch (c) {
	case CONFLICT_NEVER:
	case CONFLICT_RESERVE:
		return true;
	case CONFLICT_READ:
		return r->type == PR_WRITE || r->type == PR_WRITE_REGISTRANTS ||
		       r->type == PR_WRITE_EVERY;
	default:
		return false;
	}
}

/* settle_class - the two commands whose class is in their CDB (SPC-4 table 65, SBC-3 table 13): to
 * start is always allowed, and so is to allow removal again. */
static enum cdb_conflict settle_class(const uint8_t *cdb, enum cdb_conflict c)
{
	if (c == CONFLICT_START)
		return (cdb[4] & 0xf1) == 0x01 ? CONFLICT_RESERVE : CONFLICT_WRITE;
	if (c == CONFLICT_PREVENT)
		return cdb[4] & 0x03 ? CONFLICT_WRITE : CONFLICT_NEVER;
	return c;
}

bool reserve_conflict(struct lu *l, const struct nexus *n, const uint8_t *cdb, enum cdb_conflict c)
{
	struct reserve *r = &l->reserve;
	const struct registrant *g;
	bool conflict;

	c = settle_class(cdb, c);
	if (c == CONFLICT_NEVER)
		return false;
	pthread_mutex_lock(&r->lock);
	if (r->holder6) { /* SPC-2 5.5.1; who does not hold it releases nothing, which is GOOD
			     (7.18) */
		conflict = r->holder6 != n && c != CONFLICT_RELEASE;
	} else if (c == CONFLICT_TAKE || c == CONFLICT_RELEASE) {
		/* SPC-2 5.5.1: these and persistent reservations exclude each other. */
		conflict = r->n_registrants > 0;
	} else {
		g = r->type == PR_NONE ? NULL : reserve_find(r, n->initiator, n->port);
		conflict = !reserve_allows(r, g, reserve_holds(r, g), c);
	}
	pthread_mutex_unlock(&r->lock);
	return conflict;
}

void reserve_forget(struct lu *l, const struct nexus *n)
{
	struct reserve *r = &l->reserve;

	if (!(lu_state(l) & LU_RESERVED))
		return;
	pthread_mutex_lock(&r->lock);
	if (!n || r->holder6 == n)
		r->holder6 = NULL;
	reserve_show(l);
	pthread_mutex_unlock(&r->lock);
}

/* --- kept over a restart: type, holder, then each registrant --- */

enum { KEPT_HEAD = 4, KEPT_EACH = 12 };

size_t reserve_encode(struct lu *l, uint8_t *p, size_t room)
{
	struct reserve *r = &l->reserve;
	size_t len = KEPT_HEAD;
	unsigned i = 0;

	pthread_mutex_lock(&r->lock);
	if (!r->aptpl || !r->n_registrants) {
		pthread_mutex_unlock(&r->lock);
		return 0;
	}
	p[0] = r->type;
	p[1] = 0xff;
	put_be16(p + 2, (uint16_t)r->n_registrants);
	list_for_each(link, &r->registrants) {
		const struct registrant *g = list_entry(link, struct registrant, link);
		size_t name_len = strlen(g->name);

		check(len + KEPT_EACH + name_len <= room);
		if (g == r->holder)
			p[1] = (uint8_t)i;
		put_be64(p + len, g->key);
		put_be16(p + len + 8, g->port);
		p[len + 10] = g->all_ports;
		p[len + 11] = (uint8_t)name_len;
		memcpy(p + len + KEPT_EACH, g->name, name_len);
		len += KEPT_EACH + name_len;
		i++;
	}
	pthread_mutex_unlock(&r->lock);
	return len;
}

bool reserve_decode(struct lu *l, const uint8_t *p, size_t len)
{
	struct reserve *r = &l->reserve;
	size_t at = KEPT_HEAD;
	unsigned n;

	if (len < KEPT_HEAD || (p[0] != PR_NONE && !pr_type_valid(p[0])))
		return false;
	n = get_be16(p + 2);
	for (unsigned i = 0; i < n; i++) {
		struct registrant *g;
		char name[PORT_NAME_MAX] = "";
		size_t name_len;

		if (len - at < KEPT_EACH)
			return false;
		name_len = p[at + 11];
		if (name_len >= PORT_NAME_MAX || len - at - KEPT_EACH < name_len)
			return false;
		memcpy(name, p + at + KEPT_EACH, name_len);
		g = reserve_add(r, name, get_be16(p + at + 8), get_be64(p + at));
		if (!g)
			return false;
		g->all_ports = p[at + 10];
		if (p[1] == i)
			r->holder = g;
		at += KEPT_EACH + name_len;
	}
	if (at != len || !r->holder != (p[0] == PR_NONE || pr_every(p[0])))
		return false;
	r->type = p[0];
	r->aptpl = true;
	reserve_show(l);
	return true;
}

/* --- RESERVE and RELEASE of SPC-2 (7.18, 7.21); conflicts were found by the validator --- */

void reserve_execute(struct scsi_cmd *c)
{
	struct reserve *r = &c->lu->reserve;

	pthread_mutex_lock(&r->lock);
	/* Between the validator and here somebody on another reactor may have been quicker. */
	if (r->n_registrants || (r->holder6 && r->holder6 != c->nexus))
		c->status = SCSI_RESERVATION_CONFLICT;
	else
		r->holder6 = c->nexus;
	reserve_show(c->lu);
	pthread_mutex_unlock(&r->lock);
	cmd_done(c);
}

void release_execute(struct scsi_cmd *c)
{
	reserve_forget(c->lu, c->nexus);
	cmd_done(c);
}
