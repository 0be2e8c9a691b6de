/* refuse.c - what follows a refused PDU: one reaction for each row of refusal.tbl, in one place. */
#include "rx.h"
#include "log.h"
#include "task.h"
#include "worker.h"

enum scope { IGNORE, REJECT, TASK, CONN };

static const struct refusal {
	const char *label;
	enum scope scope;
	unsigned detail; /* Reject reason, or sense */
} refusals[] = {
#define REFUSAL(e, label, scope, detail)                                                           \
	[CTR_REFUSED_##e - CTR_REFUSED_FIRST] = {label, scope, detail},
#include "refusal.tbl"
#undef REFUSAL
};

/* conn_reject - a Reject PDU carries the header that was refused (RFC 7143 11.17). */
void conn_reject(struct conn *c, uint8_t reason)
{
	struct tx *tx = tx_new(c->w);

	if (!tx || !tx_own(tx, c->rx_bhs ? c->rx_bhs : c->rx_kept, BHS_LEN)) {
		if (tx)
			tx->done(tx, false);
		conn_end(c, "no memory for a reject");
		return;
	}
	tx->pdu.opcode = OP_REJECT;
	tx->pdu.final = true;
	tx->pdu.itt = ITT_NONE;
	tx->pdu.reject.reason = reason;
	tx->takes_statsn = true;
	tx_push(c, tx);
}

void conn_refuse(struct conn *c, enum counter why, struct task *task)
{
	const struct refusal *r = &refusals[why - CTR_REFUSED_FIRST];
	char name[96];

	count(why, 1);
	log_debug("%s: refused opcode 0x%02x itt 0x%08x: %s", conn_name(c, name, sizeof(name)),
		c->rx.opcode, c->rx.itt, r->label);
	c->rx_ignore = true;
	/* Before the session stands there is nobody to reject to (RFC 7143 6.3: the login fails). */
	if (r->scope == CONN || c->phase == PHASE_LOGIN) {
		conn_end(c, "refused PDU, opcode 0x%02x: %s", c->rx.opcode, r->label);
		return;
	}
	switch (r->scope) {
	case REJECT:
		conn_reject(c, (uint8_t)r->detail);
		break;
	case TASK:
		if (task)
			task_fail(task, r->detail);
		break;
	default:
		break;
	}
}
