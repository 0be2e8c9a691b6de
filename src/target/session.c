/* session.c - making one, its pages, its tasks, its end (see session.h). */
#include "session.h"

#include <stdlib.h>
#include <string.h>
#include "digest.h"
#include "load.h"
#include "order.h"
#include "rx.h"
#include "server_in.h"
#include "volume.h"
#include "worker.h"

/* --- making one --- */

static struct quota *find_quota(struct nexus *n, struct arena *a)
{
	struct session *s = container_of(n, struct session, nexus);

	for (unsigned i = 0; i < s->n_quotas; i++) {
		if (s->quotas[i].a == a)
			return &s->quotas[i];
	}
	return NULL;
}

struct session *session_new(struct worker *w, struct node *node, const struct login *l)
{
	struct session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->w = w;
	s->node = node;
	s->tsih = server_tsih(w->server);
	memcpy(s->isid, l->isid, sizeof(s->isid));
	memcpy(s->initiator, l->initiator, sizeof(s->initiator));
	memcpy(s->user, l->user, sizeof(s->user));
	list_init(&s->link);
	list_init(&s->node_link);
	list_init(&s->tasks);
	for (unsigned i = 0; i < SESSION_BUCKETS; i++)
		list_init(&s->by_itt[i]);
	s->limit = SESSION_WINDOW;
	order_init(s);
	nexus_init(&s->nexus);
	if (node) {
		s->nexus.luns = &node->luns;
		s->nexus.port = PORTAL_GROUP;
		s->nexus.find_quota = find_quota;
		snprintf(s->nexus.target, sizeof(s->nexus.target), "%s,t,0x%04x", node->name,
			PORTAL_GROUP);
		snprintf(s->nexus.initiator, sizeof(s->nexus.initiator),
			"%s,i,0x%02x%02x%02x%02x%02x%02x", l->initiator, l->isid[0], l->isid[1],
			l->isid[2], l->isid[3], l->isid[4], l->isid[5]);
	}
	if (node && nexus_open(&s->nexus)) {
		nexus_deinit(&s->nexus);
		free(s);
		return NULL;
	}
	return s;
}

static void session_free(struct session *s)
{
	load_put(s, s->w, 0);
	if (s->node) {
		pthread_mutex_lock(&s->node->lock);
		list_remove(&s->node_link);
		pthread_mutex_unlock(&s->node->lock);
	}
	for (unsigned i = 0; i < s->n_quotas; i++)
		arena_revoke(&s->quotas[i]);
	nexus_deinit(&s->nexus);
	list_remove(&s->link);
	free(s);
}

/* --- pages --- */

/* reserve_in - a burst, and FirstBurst times the command window, of one arena. Early sessions may have a sixteenth of
 * what can be promised; the more have some, the smaller the share of one more, so that a thousand find
 * room. Who has only connected has none. The window is cut first, then the burst, down to 64 KiB and one command. */
static bool reserve_in(struct session *s, struct volume *v, const struct params *p)
{
	struct arena *a = volume_arena(v);
	enum { LEAST_BURST = 65536 / ARENA_PAGE + 1 };
	uint64_t share = arena_n_promisable(a) / MAX(16u, 4 * (arena_n_quotas(a) + 1));
	bool unsolicited = p->immediate_data || !p->initial_r2t;
	uint64_t burst = p->max_burst / ARENA_PAGE + 1;
	uint64_t first = unsolicited ? p->first_burst / ARENA_PAGE + 2 : 0;
	uint64_t window, n;
	struct quota *q = &s->quotas[s->n_quotas];

	if (burst + first > share)
		burst = MIN(burst, MAX(share / 2, (uint64_t)LEAST_BURST));
	window = !first                  ? s->limit
		 : share > burst + first ? MIN((share - burst) / first, s->limit)
					 : 1;
	n = burst + first * window;
	volume_make_room(v, (uint32_t)n);
	if (arena_grant(a, q, (uint32_t)n))
		return false;
	s->n_quotas++;
	s->limit = (unsigned)window;
	return true;
}

bool session_reserve(struct session *s, const struct params *p)
{
	if (!s->node)
		return true;
	s->nexus.functions = rx_tmf_functions(p->protocol_level);
	for (unsigned i = 0; i < s->node->luns.n; i++) {
		struct lu *lu = s->node->luns.lu[i];
		struct volume *v = lu ? lu_volume(lu) : NULL;

		if (v && p->data_digest)
			digest_keep(volume_arena(v));
		if (!v || find_quota(&s->nexus, volume_arena(v)))
			continue;
		if (s->n_quotas == SESSION_ARENAS)
			return true; /* further arenas are served from their open pages */
		if (!reserve_in(s, v, p))
			return false;
	}
	return true;
}

/* --- the end --- */

static void session_done(struct io_work *work)
{
	struct session *s = container_of(work, struct session, done);
	struct conn *next = s->successor;

	session_free(s);
	if (next && next->state == CONN_ADMITTING)
		session_admit_here(next);
}

void session_settled(struct session *s)
{
	if (s->c)
		conn_settled(s->c);
	if (s->c || s->n_tasks || s->done.fn)
		return;
	/* Later in this turn: the caller may still hold the task. */
	s->done.fn = session_done;
	list_init(&s->done.link);
	io_defer(s->w->io, &s->done);
}

/* In the turn of session_place(), on the reactor of all logins: no other session has looked at this one yet, and
 * none may from now on, since it could not be waited for where it was said to be. */
void session_recall(struct session *s)
{
	pthread_mutex_lock(&s->node->lock);
	list_remove(&s->node_link);
	pthread_mutex_unlock(&s->node->lock);
	load_put(s, s->c->w, s->weight);
}

void session_close(struct session *s)
{
	nexus_leave(&s->nexus);
	list_for_each_safe(node, next, &s->tasks)
		task_abort(list_entry(node, struct task, link), NULL);
}

void session_leave(struct session *s)
{
	/* It may itself be waiting for an older session's end. */
	list_for_each(node, &s->w->sessions) {
		struct session *o = list_entry(node, struct session, link);

		if (o->successor == s->c)
			o->successor = NULL;
	}
	s->c = NULL;
	session_settled(s);
}

/* --- tasks --- */

static struct list *bucket(struct session *s, uint32_t itt)
{
	return &s->by_itt[(itt ^ itt >> 8 ^ itt >> 16) % SESSION_BUCKETS];
}

struct task *session_find(struct session *s, uint32_t itt)
{
	list_for_each(node, bucket(s, itt)) {
		struct task *t = list_entry(node, struct task, hash);

		if (t->itt == itt && t->state != TASK_ABORTING)
			return t;
	}
	return NULL;
}

void session_add(struct session *s, struct task *t)
{
	list_push_back(&s->tasks, &t->link);
	list_push_back(bucket(s, t->itt), &t->hash);
	s->n_tasks++;
	t->counted = true;
	if (t->immediate)
		s->n_immediate++;
	else
		s->n_counted++;
}

void session_remove(struct session *s, struct task *t)
{
	list_remove(&t->link);
	list_remove(&t->hash);
	s->n_tasks--;
}

bool session_receiving(const struct session *s)
{
	list_for_each(node, &s->tasks) {
		if (list_entry(node, struct task, link)->state == TASK_RECEIVING)
			return true;
	}
	return false;
}

void session_grant(struct session *s)
{
	list_for_each_safe(node, next, &s->tasks)
		task_grant(list_entry(node, struct task, link));
}
