/* rx.c - the dispatcher: every rule of the row is checked here, once, for all opcodes.
 *
 * Order of the checks: the header by itself (pdu_decode), the phase, the length of the data segment, the
 * command number. What fails is acted on by conn_refuse() from refusal.tbl; the payload of a refused PDU
 * is drained. A PDU that came before its turn by CmdSN is held when it is a SCSI Command; other
 * requests of a gap are refused, since over one connection a gap is the initiator's mistake. */
#include "rx.h"

#include <stdlib.h>
#include <string.h>
#include "session.h"
#include "task.h"
#include "worker.h"

static const struct rx_handler handlers[0x40] = {
	[OP_NOP_OUT] = {NULL, rx_nop_out},
	[OP_SCSI_COMMAND] = {rx_scsi_command_header, rx_scsi_command},
	[OP_TASK_MGMT] = {NULL, rx_task_mgmt},
	[OP_LOGIN_REQUEST] = {NULL, rx_login_request},
	[OP_TEXT_REQUEST] = {NULL, rx_text_request},
	[OP_DATA_OUT] = {rx_data_out_header, rx_data_out},
	[OP_LOGOUT_REQUEST] = {NULL, rx_logout_request},
	[OP_SNACK_REQUEST] = {NULL, rx_snack_request},
};

enum { LOGIN_DATA_MAX = 8192 }; /* RFC 7143 13.12: MaxRecvDataSegmentLength before it is declared */

struct tx *rx_reply(struct conn *c, enum opcode op)
{
	struct tx *tx = tx_new(c->w);

	if (!tx) {
		conn_end(c, "no memory for an answer");
		return NULL;
	}
	tx->pdu.opcode = op;
	tx->pdu.final = true;
	tx->pdu.itt = c->rx.itt;
	tx->pdu.ttt = TAG_NONE;
	tx->takes_statsn = true;
	return tx;
}

/* number - the CmdSN rule (RFC 7143 4.2.2.1). True: go on. */
static bool number(struct conn *c, const struct opcode_row *row)
{
	struct session *s = c->s;

	if (!row->cmdsn || c->state != CONN_FULL || c->rx.opcode == OP_SCSI_COMMAND)
		return true; /* a SCSI Command is numbered by its own handler: it may be held */
	switch (session_order(s, c->rx.cmdsn, c->rx.immediate)) {
	case TURN_NOW:
		session_advance(s);
		return true;
	case TURN_HELD:
		conn_refuse(c, CTR_REFUSED_CMDSN_GAP, NULL);
		return false;
	case TURN_IGNORE:
		conn_refuse(c, CTR_REFUSED_CMDSN, NULL);
		return false;
	}
	return false;
}

/* use_up - a request that is rejected has used up its number all the same (RFC 7143 4.2.2.1). */
static void use_up(struct conn *c, const struct opcode_row *row)
{
	if (!row || !row->cmdsn || c->state != CONN_FULL)
		return;
	if (session_order(c->s, c->rx.cmdsn, c->rx.immediate) == TURN_NOW)
		session_advance(c->s);
}

/* opaque - room for a data segment that is no payload of a landing (text, ping). */
static bool opaque(struct conn *c, struct rx_target *t)
{
	if (!c->rx.data_len)
		return true;
	c->rx_data = malloc(c->rx.data_len);
	if (!c->rx_data)
		return false;
	c->rx_iov = (struct iovec){c->rx_data, c->rx.data_len};
	t->place = (struct place){.iov = &c->rx_iov, .n = 1};
	return true;
}

/* plain_header - a request without a header handler: what its payload handler may need of the header. */
static void plain_header(struct conn *c, const uint8_t *bhs, struct rx_target *t)
{
	memcpy(c->rx_kept, bhs, BHS_LEN);
	if (!opaque(c, t))
		conn_end(c, "no memory for a data segment of %u bytes", c->rx.data_len);
}

static int rx_header(void *ctx, const uint8_t *bhs, struct rx_target *t)
{
	struct conn *c = ctx;
	const struct opcode_row *row;
	uint32_t longest = c->state == CONN_FULL ? c->params.max_recv_data : LOGIN_DATA_MAX;
	int why = pdu_decode(&c->rx, bhs);

	c->rx_bhs = bhs;
	c->rx_ignore = false;
	c->last_rx_ns = io_now(c->w->io);
	row = opcode_find(c->rx.opcode);
	if (c->state == CONN_LOGOUT)
		c->rx_ignore = true;
	else if (bhs_data_len(bhs) > longest)
		conn_refuse(c, CTR_REFUSED_TOO_LONG, NULL);
	else if (why) {
		use_up(c, row);
		conn_refuse(c, why, NULL);
	} else if (c->state == CONN_ADMITTING || !row->legal[c->phase])
		conn_refuse(c, CTR_REFUSED_PHASE, NULL);
	else if (number(c, row)) {
		if (row->cmdsn || row->op == OP_DATA_OUT)
			conn_acknowledged(c, c->rx.expstatsn);
		if (c->framer.data_digest)
			memcpy(c->rx_kept, bhs, BHS_LEN); /* for the Reject of damaged data */
		if (handlers[row->op].header)
			handlers[row->op].header(c, t);
		else
			plain_header(c, bhs, t);
	}
	c->rx_bhs = NULL;
	return c->state == CONN_ENDING ? RX_STOP : RX_MORE;
}

/* damaged_data - RFC 7143 7.8: the PDU is rejected; at level 0 the task whose data it was ends. */
static void damaged_data(struct conn *c)
{
	struct task *t = c->rx_task;

	c->rx_task = NULL;
	conn_refuse(c, CTR_REFUSED_DATA_DIGEST, NULL);
	if (t && c->state == CONN_FULL)
		task_fail(t, SENSE_DATA_CRC_ERROR);
	if (c->rx.opcode == OP_SCSI_COMMAND)
		session_advance(c->s);
}

static int rx_payload(void *ctx, bool damaged)
{
	struct conn *c = ctx;
	bool moves;

	if (!c->rx_ignore && c->state != CONN_LOGOUT) {
		if (damaged)
			damaged_data(c);
		else
			handlers[c->rx.opcode].payload(c);
	}
	free(c->rx_data);
	c->rx_data = NULL;
	moves = c->moving;
	return c->state == CONN_ENDING || moves ? RX_STOP : RX_MORE;
}

static void rx_header_damaged(void *ctx)
{
	struct conn *c = ctx;

	count(CTR_REFUSED_HEADER_DIGEST, 1);
	conn_end(c, "a header digest is wrong");
}

const struct framer_ops rx_framer_ops = {
	.header = rx_header, .payload = rx_payload, .header_damaged = rx_header_damaged};
