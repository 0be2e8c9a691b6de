/* rx_login.c - Login Request: login.c says what to answer, this file carries it. */
#include "rx.h"

#include <stdlib.h>
#include "log.h"
#include "server_in.h"
#include "session.h"
#include "worker.h"

static void full_feature(struct conn *c)
{
	struct login *l = c->login;
	char name[96];

	c->params = l->params;
	c->phase = l->discovery ? PHASE_DISCOVERY : PHASE_FULL;
	c->cid = l->cid;
	conn_full(c);
	c->framer.n_small = 0;
	framer_digests(&c->framer, c->params.header_digest, c->params.data_digest);
	log_often(LOG_INFO, "%s: %s login of %s%s%s", conn_name(c, name, sizeof(name)),
		l->discovery ? "discovery" : "normal", l->initiator, l->discovery ? "" : " to ",
		l->discovery ? "" : l->target);
	login_deinit(l);
	free(l);
	c->login = NULL;
}

static void answer(struct conn *c)
{
	struct login *l = c->login;
	struct tx *tx = tx_new(c->w);

	if (!tx || !tx_own(tx, l->rsp_text, l->rsp_text_len)) {
		if (tx)
			tx->done(tx, false);
		conn_end(c, "no memory for a login answer");
		return;
	}
	tx->pdu = l->rsp;
	tx->takes_statsn = true;
	tx_push(c, tx);
}

void rx_login_step(struct conn *c, enum login_step step)
{
	char name[96];

	switch (step) {
	case LOGIN_WAIT:
		c->state = CONN_LOGIN;
		answer(c);
		break;
	case LOGIN_IDENTIFIED:
		session_admit(c);
		break;
	case LOGIN_DONE:
		if (!session_reserve(c->s, &c->login->params)) {
			rx_login_step(c, login_refuse(c->login, LOGIN_OUT_OF_RESOURCES,
						 "no buffer memory is left"));
			return;
		}
		answer(c);
		if (c->state != CONN_ENDING)
			full_feature(c);
		break;
	case LOGIN_FAILED:
		log_often(LOG_INFO, "%s: login refused: %s", conn_name(c, name, sizeof(name)),
			c->login->why);
		count(CTR_REFUSED_LOGIN, 1);
		answer(c);
		c->close_after = true;
		if (c->state != CONN_ENDING)
			c->state = CONN_LOGOUT;
		break;
	}
}

void rx_login_request(struct conn *c)
{
	rx_login_step(c, login_rx(c->login, &c->rx, c->rx_data, c->rx.data_len));
}
