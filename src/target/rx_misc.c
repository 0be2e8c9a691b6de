/* rx_misc.c - NOP-Out, Text, Logout, SNACK: the requests that move no blocks. */
#include <stdlib.h>
#include "nego.h"
#include "rx.h"
#include "server_in.h"
#include "session.h"
#include "text.h"
#include "worker.h"

enum { TEXT_MAX = 64 << 10 };

/* --- NOP-Out (RFC 7143 11.18) --- */

void rx_nop_out(struct conn *c)
{
	struct tx *tx;

	if (c->rx.ttt != TAG_NONE && c->rx.ttt == tag_make(index_make(0, TAG_OTHER_FIRST), c->index))
		c->ping = false;
	if (c->rx.itt == ITT_NONE)
		return; /* an answer of the initiator, or a number it wanted to tell */
	tx = rx_reply(c, OP_NOP_IN);
	if (!tx)
		return;
	tx->pdu.lun = c->rx.lun;
	if (c->rx.data_len) {
		/* The ping data goes back as it came, no more than the initiator can take. */
		tx->owned = c->rx_data;
		c->rx_data = NULL;
		tx->iov = (struct iovec){tx->owned, MIN(c->rx.data_len, c->params.max_send_data)};
		tx->data = (struct place){.iov = &tx->iov, .n = 1};
		tx->left = tx->iov.iov_len;
	}
	tx_push(c, tx);
}

/* --- Text (RFC 7143 11.10, 11.11, appendix C) --- */

static void text_end(struct text **tp)
{
	if (*tp) {
		text_deinit(*tp);
		free(*tp);
		*tp = NULL;
	}
}

static struct text *text_begin(void)
{
	struct text *t = malloc(sizeof(*t));

	if (t)
		text_init(t, TEXT_MAX);
	return t;
}

static int send_targets(struct conn *c, const char *value, struct text *answer)
{
	const struct config *cfg = server_config(c->w->server);
	struct node *n;
	int rc = 0;

	for (unsigned i = 0; !rc && (n = server_node(c->w->server, i)); i++) {
		bool own = c->s->node == n;

		/* All: every target in a discovery session, only its own in a normal one. Empty: the session's own. */
		if ((!strcmp(value, "All") && (c->phase == PHASE_DISCOVERY || own)) || !strcmp(value, n->name) ||
			(!*value && own))
			rc = node_send_targets(answer, n, &c->local, cfg->advertise, cfg->n_advertise);
	}
	return rc;
}

/* text_answer - go through the pairs; false: not a text, or no memory. */
static bool text_answer(struct conn *c, struct text *in, struct text *out)
{
	struct nego n;
	uint32_t pos = 0;
	char *key, *value;
	int more, rc = 0;

	nego_init(&n, server_offer(c->w->server), &c->params, c->phase == PHASE_DISCOVERY);
	while (!rc && (more = text_next(in, &pos, &key, &value)) == 1) {
		if (!strcmp(key, "SendTargets"))
			rc = send_targets(c, value, out);
		else
			rc = nego_key(&n, key, value, out);
	}
	return !rc && !more;
}

/* text_reply - the next piece of the answer; C and a TTT when there is more. */
static void text_reply(struct conn *c)
{
	struct text *a = c->answer;
	uint32_t len = MIN(a->len - c->answer_at, c->params.max_send_data);
	struct tx *tx = rx_reply(c, OP_TEXT_RESPONSE);

	if (!tx)
		return;
	if (!tx_own(tx, a->buf + c->answer_at, len)) {
		tx->done(tx, false);
		conn_end(c, "no memory for a text answer");
		return;
	}
	c->answer_at += len;
	tx->pdu.text.c = c->answer_at < a->len;
	tx->pdu.final = !tx->pdu.text.c;
	if (tx->pdu.text.c) {
		tx->pdu.ttt = tag_make(index_make(0, TAG_OTHER_FIRST + 1), c->index);
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
	tx->pdu.ttt = tag_make(index_make(0, TAG_OTHER_FIRST + 1), c->index);
	c->text_itt = c->rx.itt;
	tx_push(c, tx);
}

void rx_text_request(struct conn *c)
{
	bool goes_on = c->rx.ttt != TAG_NONE;

	if (goes_on && (c->rx.itt != c->text_itt || (!c->text && !c->answer) ||
			       c->rx.ttt != tag_make(index_make(0, TAG_OTHER_FIRST + 1), c->index))) {
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
		c->text = text_begin();
	}
	if (!c->text || text_add_bytes(c->text, c->rx_data, c->rx.data_len)) {
		text_end(&c->text);
		conn_reject(c, REJECT_PROTOCOL_ERROR);
		return;
	}
	if (c->rx.text.c) {
		text_more(c);
		return;
	}
	c->answer = text_begin();
	c->answer_at = 0;
	if (!c->answer || !text_answer(c, c->text, c->answer)) {
		text_end(&c->text);
		text_end(&c->answer);
		conn_reject(c, REJECT_PROTOCOL_ERROR);
		return;
	}
	text_end(&c->text);
	text_reply(c);
}

/* --- Logout (RFC 7143 11.14, 11.15) --- */


enum { LOGOUT_DONE = 0, LOGOUT_NO_CID = 1, LOGOUT_NO_RECOVERY = 2 };

void rx_logout_request(struct conn *c)
{
	struct tx *tx = rx_reply(c, OP_LOGOUT_RESPONSE);
	uint8_t reason = c->rx.logout.reason;

	if (!tx)
		return;
	if (reason == 2)
		tx->pdu.logout_rsp.response = LOGOUT_NO_RECOVERY;
	else if (reason == 1 && c->rx.logout.cid != c->cid)
		tx->pdu.logout_rsp.response = LOGOUT_NO_CID;
	else if (reason > 2) {
		tx->done(tx, false);
		conn_reject(c, REJECT_INVALID_PDU_FIELD);
		return;
	}
	if (tx->pdu.logout_rsp.response == LOGOUT_DONE) {
		c->close_after = true;
		c->state = CONN_LOGOUT;
	}
	tx_push(c, tx);
}

/* --- SNACK (RFC 7143 11.16): only above error recovery level 0 --- */

void rx_snack_request(struct conn *c)
{
	conn_reject(c, REJECT_SNACK);
}
