/* session_admit.c - a login becomes a session, in three steps.
 *
 * session_admit() looks the node up and, under the node's lock, puts a session of this name into its table: a new
 * one on the least loaded reactor, or, where an old one of the same initiator port exists, behind that one on its
 * reactor. session_admit_here() then runs on the session's reactor: it ends the old session and waits until its tasks
 * have settled (no I/O of them can still reach the backend) before the login is answered. */
#include "session.h"

#include <string.h>
#include "load.h"
#include "rx.h"
#include "server_in.h"
#include "worker.h"

static bool same_port(const struct session *s, const struct login *l)
{
	return !memcmp(s->isid, l->isid, sizeof(s->isid)) && !strcmp(s->initiator, l->initiator);
}

static void refuse(struct conn *c, enum login_status status, const char *why)
{
	rx_login_step(c, login_refuse(c->login, status, why));
}

/* port_of_another - has somebody else, by CHAP, a session of this initiator port? A name alone does not end it. */
static bool port_of_another(struct node *n, const struct login *l)
{
	bool found = false;

	pthread_mutex_lock(&n->lock);
	list_for_each(node, &n->sessions) {
		const struct session *s = list_entry(node, struct session, node_link);

		found |= same_port(s, l) && strcmp(s->user, l->user) != 0;
	}
	pthread_mutex_unlock(&n->lock);
	return found;
}

/* session_of_tsih - is there a session that this login claims to belong to? */
static bool session_of_tsih(struct node *n, const struct login *l)
{
	bool found = false;

	pthread_mutex_lock(&n->lock);
	list_for_each(node, &n->sessions) {
		const struct session *s = list_entry(node, struct session, node_link);

		found |= s->tsih == l->tsih && same_port(s, l);
	}
	pthread_mutex_unlock(&n->lock);
	return found;
}

/* session_place - a new session in the node's table, on its predecessor's reactor or the least loaded one. */
static struct session *session_place(struct conn *c, struct node *n)
{
	struct session *s = session_new(c->w, n, c->login);
	struct worker *w = load_least(c->w->server, c->w);

	if (!s)
		return NULL;
	pthread_mutex_lock(&n->lock);
	list_for_each(node, &n->sessions) {
		const struct session *old = list_entry(node, struct session, node_link);

		if (same_port(old, c->login))
			w = old->w;
	}
	load_put(s, w, LOAD_NEW);
	list_push_back(&n->sessions, &s->node_link);
	pthread_mutex_unlock(&n->lock);
	return s;
}

void session_admit(struct conn *c)
{
	const struct login *l = c->login;
	struct node *n = NULL;

	c->state = CONN_ADMITTING;
	if (!l->discovery) {
		n = server_find_node(c->w->server, l->target);
		if (!n) {
			refuse(c, LOGIN_NOT_FOUND, "no such target");
			return;
		}
		if (port_of_another(n, l)) {
			refuse(c, LOGIN_FORBIDDEN,
				"another user has a session of this initiator port");
			return;
		}
	}
	if (l->tsih) {
		if (n && session_of_tsih(n, l))
			refuse(c, LOGIN_TOO_MANY_CONNECTIONS, "MaxConnections is 1");
		else
			refuse(c, LOGIN_NO_SESSION, "no session with this TSIH");
		return;
	}
	c->s = n ? session_place(c, n) : session_new(c->w, NULL, l);
	if (!c->s) {
		refuse(c, LOGIN_OUT_OF_RESOURCES, "no memory");
		return;
	}
	c->s->c = c;
	if (c->s->w != c->w) {
		c->moving = true;
		c->host->move(c, c->s->w);
	} else {
		session_admit_here(c);
	}
}

/* predecessor - an older session of the same initiator port on this node. It is always on this
 * reactor: session_place() saw to that. The newest older one: each waits for the one before it. */
static struct session *predecessor(const struct session *s, const struct login *l)
{
	struct session *old = NULL;

	if (!s->node)
		return NULL;
	pthread_mutex_lock(&s->node->lock);
	list_for_each(node, &s->node->sessions) {
		struct session *o = list_entry(node, struct session, node_link);

		if (o == s)
			break;
		if (same_port(o, l))
			old = o;
	}
	pthread_mutex_unlock(&s->node->lock);
	return old;
}

void session_admit_here(struct conn *c)
{
	struct session *s = c->s, *old = predecessor(s, c->login);

	if (!list_linked(&s->link))
		list_push_back(&c->w->sessions, &s->link);
	if (old) {
		old->successor = c;
		if (old->c)
			conn_end(old->c, "reinstated by a new login of the same initiator port");
		return; /* session_settled(old) goes on */
	}
	s->seen_cmdsn = c->login->cmdsn;
	cmd_window_init(
		&s->cmdsn, c->login->cmdsn, 1); /* opens when the pages for it are promised */
	rx_login_step(c, login_accept(c->login, s->tsih, NULL));
}
