/* rx_text.c - Text Requests (RFC 7143 11.10, 11.11, appendix C): SendTargets, and parameters that may change in the
 * full feature phase.
 *
 * A request may come in pieces (C bit): each piece but the last is answered by an empty response that asks for
 * more. An answer longer than the initiator's MaxRecvDataSegmentLength goes in pieces likewise; it asks for
 * each with an empty request. One text negotiation at a time; a new one drops the old. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "nego.h"
#include "rx.h"
#include "server_in.h"
#include "session.h"
#include "text.h"
#include "worker.h"

enum {
	TEXT_MAX = 64 << 10,  /* of a request */
	ANSWER_MAX = 4 << 20, /* 1024 long names, many addresses */
	TEXT_SLOT = TAG_OTHER_FIRST + 1,
};

static void text_end(struct text **tp)
{
	if (*tp) {
		text_deinit(*tp);
		free(*tp);
		*tp = NULL;
	}
}

static struct text *text_begin(uint32_t max)
{
	struct text *t = malloc(sizeof(*t));

	if (t)
		text_init(t, max);
	return t;
}

/* send_targets - All: every target in a discovery session, its own in a normal one. Empty: the session's own. A name
 * that nobody here has gets an empty answer; what is no name at all is refused. */
static int send_targets(struct conn *c, const char *value, struct text *answer)
{
	const struct config *cfg = server_config(c->w->server);
	struct node *n;
	int rc = *value && strcmp(value, "All") && !iscsi_name_valid(value) ? NEGO_PROTOCOL_ERROR
									    : 0;

	for (unsigned i = 0; !rc && (n = server_node(c->w->server, i)); i++) {
		bool own = c->s->node == n;
		bool all = !strcmp(value, "All") && (c->phase == PHASE_DISCOVERY || own);

		if (all || !strcasecmp(value, n->name) || (!*value && own))
			rc = node_send_targets(
				answer, n, &c->local, cfg->advertise, cfg->n_advertise);
	}
	return rc;
}

/* text_answer - 0; -ENOMEM; or positive: not a text, or a broken rule. Nothing of it holds then. */
static int text_answer(struct conn *c, struct text *in, struct text *out)
{
	struct nego n;
	const char *targets;
	int rc;

	nego_init(&n, NEGO_TARGET, NEGO_FULL, true, server_offer(c->w->server), &c->params);
	rc = nego_rx(&n, in, out);
	/* libiscsi's suite asks for this one; an answer of NotUnderstood alone it takes for a broken target list. */
	if (!rc && c->phase == PHASE_FULL && nego_made_up(&n))
		rc = NEGO_PROTOCOL_ERROR;
	targets = rc ? NULL : nego_value(&n, KEY_SEND_TARGETS);
	if (targets)
		rc = send_targets(c, targets, out);
	if (!rc)
		c->params = n.params;
	nego_deinit(&n);
	return rc;
}

/* text_reply - the next piece of the answer; C and a TTT when there is more. */
static void text_reply(struct conn *c)
{
	struct text *a = c->answer;
	uint32_t len = MIN(a->len - c->answer_at, c->params.max_send_data);
	struct tx *tx = rx_reply(c, OP_TEXT_RESPONSE);

	if (!tx)
		return;
	if (!tx_own(tx, len ? a->buf + c->answer_at : NULL, len)) {
		tx->done(tx, false);
		conn_end(c, "no memory for a text answer");
		return;
	}
	c->answer_at += len;
	tx->pdu.text.c = c->answer_at < a->len;
	tx->pdu.final = !tx->pdu.text.c;
	if (tx->pdu.text.c) {
		tx->pdu.ttt = tag_make(index_make(0, TEXT_SLOT), c->index);
		c->text_itt = c->rx.itt;
	} else {
		text_end(&c->answer);
	}
	tx_push(c, tx);
}

/* text_more - the initiator has more to say: an empty answer asks for it. */
static void text_more(struct conn *c)
{
	struct tx *tx = rx_reply(c, OP_TEXT_RESPONSE);

	if (!tx)
		return;
	tx->pdu.final = false;
	tx->pdu.ttt = tag_make(index_make(0, TEXT_SLOT), c->index);
	c->text_itt = c->rx.itt;
	tx_push(c, tx);
}

/* text_fail - RFC 7143 11.17.1: what only lacks memory may be sent again. */
static void text_fail(struct conn *c, int rc)
{
	text_end(&c->text);
	text_end(&c->answer);
	conn_reject(c, rc == -ENOMEM ? REJECT_LONG_OPERATION : REJECT_PROTOCOL_ERROR);
}

void rx_text_request(struct conn *c)
{
	bool goes_on = c->rx.ttt != TAG_NONE;
	int rc;

	if (goes_on && (c->rx.itt != c->text_itt || (!c->text && !c->answer) ||
			       c->rx.ttt != tag_make(index_make(0, TEXT_SLOT), c->index))) {
		conn_reject(c, REJECT_PROTOCOL_ERROR);
		return;
	}
	if (goes_on && c->answer) {
		text_reply(c);
		return;
	}
	if (!goes_on) {
		text_end(&c->text);
		text_end(&c->answer);
		c->text = text_begin(TEXT_MAX);
	}
	rc = c->text ? text_add_bytes(c->text, c->rx_data, c->rx.data_len) : -ENOMEM;
	if (rc) {
		text_fail(c, rc);
		return;
	}
	if (c->rx.text.c) {
		text_more(c);
		return;
	}
	c->answer = text_begin(ANSWER_MAX);
	c->answer_at = 0;
	rc = c->answer ? text_answer(c, c->text, c->answer) : -ENOMEM;
	if (rc) {
		text_fail(c, rc);
		return;
	}
	text_end(&c->text);
	text_reply(c);
}
