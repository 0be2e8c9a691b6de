/* inbox.c - what comes from the target, one handler for each PDU. The mirror of the target's
 * Data-Out: an ITT is a tag of the data pointer table, so that a Data-In's header alone says where
 * its payload belongs.
 *
 * Nothing that a target sends is trusted: each handler ends the connection (nexus_fault) on what it
 * cannot make sense of, and leaves requests as they are. */
#include <errno.h>
#include <stdlib.h>
#include "be.h"
#include "check.h"
#include "nexus.h"
#include "tag.h"

enum { RX_DATA_MAX = 1 << 20, TEXT_IN_MAX = 1 << 20 };
enum { ASYNC_LOGOUT = 1, ASYNC_DROP = 2, ASYNC_DROP_ALL = 3 }; /* 11.9.1 */

static void take_window(struct berth_session *s, const struct pdu *p)
{
	/* 4.2.2.1: a pair that contradicts itself is ignored, and so is one that is older than
	 * ours. */
	if (sn_lt(p->maxcmdsn, p->expcmdsn - 1))
		return;
	if (sn_lt(s->window.maxcmdsn, p->maxcmdsn))
		s->window.maxcmdsn = p->maxcmdsn;
	if (sn_lt(s->window.expcmdsn, p->expcmdsn))
		s->window.expcmdsn = p->expcmdsn;
}

static void take_statsn(struct berth_session *s, const struct pdu *p)
{
	if (sn_le(s->expstatsn, p->statsn))
		s->expstatsn = p->statsn + 1;
}

/* task_of - the request that a tag names, of this kind. */
static struct request *task_of(struct berth_session *s, uint32_t itt, enum request_kind kind)
{
	struct dpt_entry *e = dpt_find(&s->dpt, itt);
	struct request *r = e ? e->w.task : NULL;

	return r && r->kind == kind ? r : NULL;
}

/* --- headers: where does the payload go? --- */

static bool place_data_in(struct berth_session *s, struct rx_target *t)
{
	const struct pdu *p = &s->rx;
	struct request *r = task_of(s, p->itt, REQ_SCSI);
	struct data_out h = {
		.itt = p->itt,
		.datasn = p->data.datasn,
		.offset = p->data.offset,
		.length = p->data_len,
	};
	enum counter why;

	if (unlikely(!r || !r->reads || !r->length)) {
		nexus_fault(s, -EPROTO, "Data-In for no read of ours (ITT %08x)", p->itt);
		return false;
	}
	if (unlikely(!window_check_in(&r->e->w, &h, &why))) {
		nexus_fault(s, -EPROTO,
			"Data-In out of place (ITT %08x, DataSN %u, offset %u, length %u)", p->itt,
			h.datasn, h.offset, h.length);
		return false;
	}
	s->rx_request = r;
	t->place = r->e->w.next;
	t->window = &r->e->w;
	return true;
}

/* place_other - text, sense data and the like: into a buffer of the session. */
static bool place_other(struct berth_session *s, struct rx_target *t)
{
	uint32_t len = s->rx.data_len;

	if (!len)
		return true;
	if (len > RX_DATA_MAX) {
		nexus_fault(s, -EPROTO, "opcode %02x with %u bytes", s->rx.opcode, len);
		return false;
	}
	if (len > s->rx_room) {
		uint8_t *room = realloc(s->rx_data, round_up(len, 512));

		if (!room) {
			nexus_fault(s, -ENOMEM, "out of memory");
			return false;
		}
		s->rx_data = room;
		s->rx_room = (uint32_t)round_up(len, 512);
	}
	s->rx_iov = (struct iovec){s->rx_data, len};
	t->place = (struct place){.iov = &s->rx_iov, .n = 1};
	return true;
}

static int on_header(void *ctx, const uint8_t *bhs, struct rx_target *t)
{
	struct berth_session *s = ctx;
	struct pdu *p = &s->rx;
	int rule = pdu_decode(p, bhs);
	bool ok;

	s->rx_request = NULL;
	if (unlikely(rule != PDU_OK || p->data_len > s->params.max_recv_data || p->ahs_len_words)) {
		nexus_fault(s, -EPROTO, "a PDU that makes no sense (opcode %02x, length %u)",
			p->opcode, p->data_len);
		return RX_STOP;
	}
	if (p->opcode == OP_DATA_IN)
		ok = place_data_in(s, t);
	else
		ok = place_other(s, t);
	return ok ? RX_MORE : RX_STOP;
}

/* --- whole PDUs --- */

static void read_answered(struct berth_session *s, struct request *r, uint8_t status,
	bool underflow, uint32_t residual)
{
	uint32_t missing = r->length - r->arrived;

	r->transferred = r->arrived;
	/* 11.4.5: what is missing without the target saying so is missing. */
	if (status == 0 && missing && !(underflow && residual == missing)) {
		nexus_fault(s, -EPROTO, "a read ended %u bytes short", missing);
		return;
	}
	request_answered(s, r, status);
}

static void rx_data_in(struct berth_session *s)
{
	const struct pdu *p = &s->rx;
	struct request *r = s->rx_request;

	if (unlikely(!r))
		return;
	window_count(&r->e->w, p->data_len);
	r->arrived = r->e->w.filled;
	if (!p->data.has_status)
		return;
	take_statsn(s, p);
	read_answered(s, r, p->data.status, p->data.underflow, p->data.residual);
}

/* take_sense - 11.4.7.2: SenseLength and so many bytes. */
static void take_sense(struct berth_session *s, struct request *r)
{
	uint32_t room = s->rx.data_len, len;

	if (room < 2)
		return;
	len = get_be16(s->rx_data);
	len = MIN(MIN(len, room - 2), (uint32_t)SENSE_ROOM);
	memcpy(r->sense, s->rx_data + 2, len);
	r->sense_len = (uint8_t)len;
}

static void rx_scsi_response(struct berth_session *s)
{
	const struct pdu *p = &s->rx;
	struct request *r = task_of(s, p->itt, REQ_SCSI);

	take_statsn(s, p);
	if (!r) {
		nexus_fault(s, -EPROTO, "a response for no command of ours (ITT %08x)", p->itt);
		return;
	}
	if (p->rsp.response) { /* 11.4.3: 1 is a failure of the target's; no status then */
		request_end(s, r, -EIO);
		return;
	}
	take_sense(s, r);
	if (r->reads) {
		read_answered(s, r, p->rsp.status, p->rsp.underflow, p->rsp.residual);
		return;
	}
	r->transferred = r->length;
	if (p->rsp.underflow)
		r->transferred -= MIN(p->rsp.residual, r->length);
	if (p->rsp.status)
		r->transferred = 0;
	request_answered(s, r, p->rsp.status);
}

static void rx_r2t(struct berth_session *s)
{
	const struct pdu *p = &s->rx;
	struct request *r = task_of(s, p->itt, REQ_SCSI);
	uint64_t end = (uint64_t)p->r2t.offset + p->r2t.length;

	if (!r || !r->writes || !p->r2t.length || end > r->length || p->ttt == TAG_NONE ||
		p->r2t.r2tsn != r->r2tsn || r->n_asked > s->params.max_outstanding_r2t ||
		r->n_asked == ARRAY_LEN(r->asked)) {
		nexus_fault(s, -EPROTO,
			"an R2T out of place (ITT %08x, R2TSN %u, offset %u, length %u)", p->itt,
			p->r2t.r2tsn, p->r2t.offset, p->r2t.length);
		return;
	}
	r->r2tsn++;
	r->asked[r->n_asked++] =
		(struct asked){.ttt = p->ttt, .offset = p->r2t.offset, .length = p->r2t.length};
	if (!list_linked(&r->due))
		list_push_back(&s->due, &r->due);
}

/* ended_by_reset - commands of the unit that left before the function did. */
static void ended_by_reset(struct berth_session *s, const struct request *tmf)
{
	list_for_each_safe(node, tmp, &s->active) {
		struct request *r = list_entry(node, struct request, link);

		if (r->kind == REQ_SCSI && r->lun == tmf->lun && sn_lt(r->cmdsn, tmf->cmdsn))
			request_end(s, r, -ECANCELED);
	}
}

static void rx_task_mgmt_rsp(struct berth_session *s)
{
	struct request *r = task_of(s, s->rx.itt, REQ_TMF), *ref;
	uint8_t answer = s->rx.tmf_rsp.response;

	take_statsn(s, &s->rx);
	if (!r) {
		nexus_fault(s, -EPROTO, "an answer to no task management of ours");
		return;
	}
	ref = r->ref >= 0 ? request_find(s, r->ref) : NULL;
	/* 11.6.1: "no such task" too means that no answer will come any more. */
	if (ref && (answer == TMF_RSP_COMPLETE || answer == TMF_RSP_NO_TASK))
		request_end(s, ref, ref->aborting ? ref->error : -ECANCELED);
	if (r->function == TMF_LUN_RESET && answer == TMF_RSP_COMPLETE)
		ended_by_reset(s, r);
	request_end(s, r,
		answer == TMF_RSP_COMPLETE        ? 0
		: answer == TMF_RSP_NO_TASK       ? -ENOENT
		: answer == TMF_RSP_NOT_SUPPORTED ? -EOPNOTSUPP
						  : -EREMOTEIO);
}

static void rx_nop_in(struct berth_session *s)
{
	const struct pdu *p = &s->rx;

	if (p->itt != ITT_NONE) {
		struct request *r = task_of(s, p->itt, REQ_PING);

		take_statsn(s, p);
		if (r)
			request_end(s, r, 0);
		else
			nexus_fault(s, -EPROTO, "an answer to no ping of ours");
		return;
	}
	if (p->ttt == TAG_NONE)
		return; /* 11.19: only the numbers */
	if (s->n_pongs == ARRAY_LEN(s->pong)) {
		nexus_fault(s, -EPROTO, "more pings than can be answered");
		return;
	}
	s->pong[s->n_pongs].ttt = p->ttt;
	s->pong[s->n_pongs++].lun = p->lun;
}

static void rx_login_response(struct berth_session *s)
{
	if (s->out.batch || s->text_due) {
		nexus_fault(s, -EPROTO, "a login answer before the question");
		return;
	}
	switch (signon_rx(&s->signon, &s->rx, s->rx_data, s->rx.data_len)) {
	case SIGNON_SEND:
		s->text_due = true;
		break;
	case SIGNON_DONE:
		nexus_ready(s);
		break;
	case SIGNON_MOVED:
		nexus_fault(s, -EREMCHG, "the target has moved to %s", s->signon.moved);
		break;
	case SIGNON_FAILED:
		nexus_fault(s, s->signon.error, "%s", s->signon.why);
		break;
	}
}

static void rx_text_response(struct berth_session *s)
{
	const struct pdu *p = &s->rx;
	struct request *r = task_of(s, p->itt, REQ_TEXT);

	take_statsn(s, p);
	if (!r || s->text_due || s->out.batch ||
		text_add_bytes(&s->text_in, s->rx_data, p->data_len)) {
		nexus_fault(s, -EPROTO, "a text answer that makes no sense");
		return;
	}
	if (p->final) {
		request_end(s, r, 0);
		return;
	}
	/* 11.11.1, 6.2: more is to come, and is asked for with an empty request of the same tags.
	 */
	s->text_ttt = p->ttt;
	s->text_asks_more = s->text_due = true;
}

static void rx_logout_response(struct berth_session *s)
{
	struct request *r = task_of(s, s->rx.itt, REQ_LOGOUT);

	if (r)
		request_end(s, r, 0);
}

static void rx_async(struct berth_session *s)
{
	take_statsn(s, &s->rx);
	if (s->rx.async.event >= ASYNC_LOGOUT && s->rx.async.event <= ASYNC_DROP_ALL)
		nexus_fault(s, -ECONNRESET, "the target asked us to leave");
}

/* rx_reject - 11.17: the header of what it refused comes back. */
static void rx_reject(struct berth_session *s)
{
	struct pdu refused;
	struct request *r = NULL;

	take_statsn(s, &s->rx);
	if (s->rx.data_len >= BHS_LEN) {
		struct dpt_entry *e;

		pdu_decode(&refused, s->rx_data);
		e = dpt_find(&s->dpt, refused.itt);
		r = e ? e->w.task : NULL;
	}
	if (r && r->kind != REQ_SCSI)
		request_end(s, r, -EPROTO);
	else /* a command number may be lost with it: only a new session is in step again */
		nexus_fault(
			s, -EPROTO, "the target rejected a PDU (reason %02x)", s->rx.reject.reason);
}

static int on_payload(void *ctx, bool damaged)
{
	struct berth_session *s = ctx;
	const struct pdu *p = &s->rx;

	if (unlikely(damaged)) { /* error recovery level 0: a new connection (7.8) */
		nexus_fault(s, -EBADMSG, "a data digest is wrong");
		return RX_STOP;
	}

	if (s->state == NX_LOGIN) {
		if (p->opcode == OP_LOGIN_RESPONSE)
			rx_login_response(s);
		else
			nexus_fault(s, -EPROTO, "no login answer but opcode %02x", p->opcode);
		return s->fault ? RX_STOP : RX_MORE;
	}
	take_window(s, p);
	switch (p->opcode) {
#define PDU(op, handler)                                                                           \
	case op:                                                                                   \
		handler(s);                                                                        \
		break
		PDU(OP_DATA_IN, rx_data_in);
		PDU(OP_SCSI_RESPONSE, rx_scsi_response);
		PDU(OP_R2T, rx_r2t);
		PDU(OP_NOP_IN, rx_nop_in);
		PDU(OP_TASK_MGMT_RSP, rx_task_mgmt_rsp);
		PDU(OP_TEXT_RESPONSE, rx_text_response);
		PDU(OP_LOGOUT_RESPONSE, rx_logout_response);
		PDU(OP_ASYNC, rx_async);
		PDU(OP_REJECT, rx_reject);
#undef PDU
	default:
		nexus_fault(s, -EPROTO, "opcode %02x is not a target's to send", p->opcode);
	}
	return s->fault ? RX_STOP : RX_MORE;
}

static void on_header_damaged(void *ctx)
{
	nexus_fault(ctx, -EBADMSG, "a header digest is wrong");
}

const struct framer_ops nexus_framer_ops = {
	.header = on_header, .payload = on_payload, .header_damaged = on_header_damaged};
