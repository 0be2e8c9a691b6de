/* rx_misc.c - NOP-Out, Logout, SNACK: the requests that move no blocks. */
#include "rx.h"
#include "session.h"
#include "worker.h"

/* --- NOP-Out (RFC 7143 11.18) --- */

void rx_nop_out(struct conn *c)
{
	struct tx *tx;

	if (c->rx.ttt != TAG_NONE &&
		c->rx.ttt == tag_make(index_make(0, TAG_OTHER_FIRST), c->index))
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
	tx_push(c, tx);
	if (tx->pdu.logout_rsp.response != LOGOUT_DONE)
		return;
	/* 11.15: nothing is said behind it; what is under way ends with the connection. */
	if (c->s)
		nexus_leave(&c->s->nexus);
	c->close_after = true;
	c->state = CONN_LOGOUT;
}

/* --- SNACK (RFC 7143 11.16): only above error recovery level 0 --- */

void rx_snack_request(struct conn *c)
{
	conn_reject(c, REJECT_SNACK);
}
