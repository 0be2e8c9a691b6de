/* conn.c - a connection's life, its timers, and the four calls. */
#include "conn.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "load.h"
#include "log.h"
#include "rx.h"
#include "server_in.h"
#include "session.h"
#include "sn.h"
#include "task.h"
#include "trace.h"
#include "worker.h"

enum {
	TX_LIMIT = 20 << 20, /* payload queued: a peer that does not read is not read either */
	TX_PDUS_LIMIT = 4096,
};
static const uint64_t second_ns = 1000000000;
static const uint64_t login_ns = 15 * second_ns; /* a login takes no longer */
static const uint64_t ping_ns = 30 * second_ns;  /* silence before our NOP-In, and for its answer */
static const uint64_t tick_ns = 5 * second_ns;
enum { LOGOUT_S = 2 }; /* to log out in, when the server stops; RFC 7143 11.9.1 */

static void conn_tick(struct io_timer *t);

struct conn *conn_new(struct worker *w, const struct conn_host *host, void *host_ctx,
	const struct io_addr *local, const struct io_addr *peer)
{
	struct conn *c = calloc(1, sizeof(*c));
	uint8_t dice[LOGIN_RANDOM_LEN];

	if (!c)
		return NULL;
	io_random(w->io, dice, sizeof(dice));
	c->w = w;
	c->host = host;
	c->host_ctx = host_ctx;
	c->local = *local;
	c->peer = *peer;
	c->state = CONN_LOGIN;
	c->phase = PHASE_LOGIN;
	c->statsn = 1;
	list_init(&c->parting);
	list_init(&c->waiting);
	list_init(&c->link);
	list_init(&c->reap.link);
	tx_queue_init(&c->tx);
	io_timer_init(&c->timer, conn_tick);
	param_default(&c->params);
	c->last_rx_ns = io_now(w->io);
	c->login = malloc(sizeof(*c->login));
	if (!c->login || login_init(c->login, server_offer(w->server), PORTAL_GROUP, dice))
		goto fail;
	if (conntab_add(server_conns(w->server), c, &c->index))
		goto fail_login;
	if (dpt_init(&c->dpt, c->index) || io_timer_set(w->io, &c->timer, io_now(w->io) + login_ns))
		goto fail_index;
	framer_init(&c->framer, &rx_framer_ops, c, w->scratch, &c->dpt);
	c->framer.stores = true;
	list_push_back(&w->conns, &c->link);
	return c;
fail_index:
	conntab_remove(server_conns(w->server), c->index);
fail_login:
	login_deinit(c->login);
fail:
	free(c->login);
	free(c);
	return NULL;
}

const char *conn_name(const struct conn *c, char *buf, size_t len)
{
	char peer[IO_ADDR_TEXT];

	snprintf(buf, len, "connection %u from %s", c->index, io_addr_text(&c->peer, peer));
	return buf;
}

/* --- the end --- */

static void conn_reap(struct io_work *work)
{
	struct conn *c = container_of(work, struct conn, reap);

	if (trace_on)
		trace_flush(); /* perhaps nobody else comes for long */
	if (c->s) {
		session_leave(c->s);
		c->s = NULL;
	}
	conntab_remove(server_conns(c->w->server), c->index);
	dpt_deinit(&c->dpt);
	framer_deinit(&c->framer);
	io_timer_stop(c->w->io, &c->timer);
	list_remove(&c->link);
	free(c->rx_data);
	if (c->text)
		text_deinit(c->text);
	free(c->text);
	if (c->answer)
		text_deinit(c->answer);
	free(c->answer);
	if (c->login)
		login_deinit(c->login);
	free(c->login);
	free(c);
}

void conn_settled(struct conn *c)
{
	if (c->state != CONN_ENDING || c->reaping || c->n_functions || (c->s && c->s->n_tasks))
		return;
	c->reaping = true;
	c->reap.fn = conn_reap;
	io_defer(c->w->io, &c->reap);
}

void conn_end(struct conn *c, const char *fmt, ...)
{
	char name[96];
	va_list ap;

	if (c->state == CONN_ENDING)
		return;
	va_start(ap, fmt);
	vsnprintf(c->why, sizeof(c->why), fmt, ap);
	va_end(ap);
	if (c->phase != PHASE_LOGIN || c->state == CONN_ADMITTING)
		log_often(LOG_INFO, "%s: ended: %s", conn_name(c, name, sizeof(name)), c->why);
	else
		log_debug("%s: ended: %s", conn_name(c, name, sizeof(name)), c->why);
	c->state = CONN_ENDING;
	io_timer_stop(c->w->io, &c->timer);
	c->host->ended(c);
	if (c->moving)
		session_recall(c->s);
	tx_queue_drop(c);
	task_part(c); /* nothing more is parsed: who waits for the end of the walk need not */
	if (c->s)
		session_close(c->s);
	conn_settled(c);
}

/* --- the server stops --- */

bool conn_async(struct conn *c, enum async_event event, uint64_t lun, uint16_t parameter3)
{
	struct tx *tx;

	if (c->state != CONN_FULL || c->phase != PHASE_FULL)
		return false;
	tx = tx_new(c->w);
	if (!tx)
		return false;
	tx->pdu.opcode = OP_ASYNC;
	tx->pdu.final = true;
	tx->pdu.itt = ITT_NONE;
	tx->pdu.lun = lun;
	tx->pdu.async.event = event;
	tx->pdu.async.parameter3 = parameter3;
	tx->takes_statsn = true;
	tx_push(c, tx);
	return true;
}

bool conn_farewell(struct conn *c)
{
	uint64_t now = io_now(c->w->io);

	if (!c->asked && conn_async(c, ASYNC_LOGOUT, 0, LOGOUT_S)) {
		c->asked = true;
		c->asked_ns = now;
	}
	c->leaving = !c->asked || now - c->asked_ns >= LOGOUT_S * second_ns;
	return c->leaving;
}

/* --- moving to another reactor --- */

void conn_moved(struct conn *c, struct worker *to)
{
	/* The list and the timer of the old reactor were left by conn_leaving(). */
	c->w = to;
	c->moving = false;
	framer_move(&c->framer, to->scratch);
	list_push_back(&to->conns, &c->link);
	if (io_timer_set(to->io, &c->timer, io_now(to->io) + login_ns)) {
		conn_end(c, "no memory for a timer");
		return;
	}
	session_admit_here(c);
}

void conn_leaving(struct conn *c)
{
	io_timer_stop(c->w->io, &c->timer);
	list_remove(&c->link);
}

/* --- timers: login, stalled tasks, keepalive --- */

static void conn_ping(struct conn *c, uint64_t now)
{
	struct tx *tx;

	if (c->ping && now - c->ping_ns >= ping_ns) {
		conn_end(c, "no answer to NOP-In for 30 s");
		return;
	}
	if (c->ping || now - c->last_rx_ns < ping_ns)
		return;
	tx = tx_new(c->w);
	if (!tx)
		return;
	/* RFC 7143 11.19: ITT reserved, a TTT to be echoed, StatSN told but not used up. */
	tx->pdu.opcode = OP_NOP_IN;
	tx->pdu.final = true;
	tx->pdu.itt = ITT_NONE;
	tx->pdu.ttt = tag_make(index_make(0, TAG_OTHER_FIRST), c->index);
	c->ping = true;
	c->ping_ns = now;
	tx_push(c, tx);
}

static void tick_tasks(struct conn *c, uint64_t now)
{
	list_for_each_safe(node, next, &c->s->tasks)
		task_tick(list_entry(node, struct task, link), now);
}

static void conn_tick(struct io_timer *timer)
{
	struct conn *c = container_of(timer, struct conn, timer);
	uint64_t now = io_now(c->w->io);

	if (c->state != CONN_FULL) {
		conn_end(c, c->state == CONN_LOGOUT ? "closed after its last answer"
						    : "login took too long");
		return;
	}
	if (trace_on)
		trace_flush();
	if (c->s) {
		tick_tasks(c, now);
		load_look(c->s);
	}
	conn_ping(c, now);
	if (c->tx.n) /* perhaps there was no memory to send it with */
		conn_kick(c);
	if (c->state != CONN_ENDING && io_timer_set(c->w->io, &c->timer, now + tick_ns))
		conn_end(c, "no memory for a timer");
}

void conn_full(struct conn *c)
{
	c->state = CONN_FULL;
	check(!io_timer_set(
		c->w->io, &c->timer, io_now(c->w->io) + tick_ns)); /* it is set: it only moves */
}

/* --- numbers --- */

void conn_acknowledged(struct conn *c, uint32_t expstatsn)
{
	if (sn_lt(c->expstatsn, expstatsn) && sn_le(expstatsn, c->statsn))
		c->expstatsn = expstatsn;
}

void conn_window(struct conn *c, uint32_t *expp, uint32_t *maxp)
{
	struct session *s = c->s;

	if (!s || c->state == CONN_ADMITTING || c->login) {
		*expp = *maxp = c->login ? c->login->cmdsn : 0;
		return;
	}
	cmd_window_open(&s->cmdsn, s->limit - MIN(s->n_counted, s->limit));
	*expp = s->cmdsn.expcmdsn;
	*maxp = s->cmdsn.maxcmdsn;
}

/* --- the four calls --- */

const struct iovec *conn_rx_plan(struct conn *c, unsigned *np)
{
	return framer_plan(&c->framer, np);
}

int conn_rx_landed(struct conn *c, size_t n)
{
	int rc;

	c->walking = true;
	rc = framer_landed(&c->framer, n);
	c->walking = false;
	if (c->moving && (framer_unread(&c->framer) || !framer_idle(&c->framer)))
		conn_end(c, "a login request came before the answer to the one before it");
	else if (rc == RX_STOP && !c->moving) /* unless it has ended by itself */
		conn_end(c, "no memory for a long header");
	if (c->state == CONN_ENDING || c->moving)
		return RX_STOP;
	if (!list_empty(&c->parting))
		task_part(c);
	return c->state == CONN_ENDING ? RX_STOP : RX_MORE;
}

bool conn_rx_wanted(const struct conn *c)
{
	if (c->leaving && c->s && !session_receiving(c->s))
		return false;
	return c->tx.bytes < TX_LIMIT && c->tx.n < TX_PDUS_LIMIT && c->state != CONN_LOGOUT;
}

const struct iovec *conn_tx_plan(struct conn *c, unsigned *np)
{
	return tx_plan(c, np);
}

void conn_tx_sent(struct conn *c, size_t n)
{
	tx_sent(c, n);
	if (c->close_after && !c->tx.n && !c->tx.batch)
		conn_end(c, "%s", c->phase == PHASE_LOGIN ? "login refused" : "logged out");
}

void conn_kick(struct conn *c)
{
	c->host->kick(c);
}
