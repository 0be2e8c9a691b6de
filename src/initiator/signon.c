/* signon.c - see signon.h. What is to be said gathers in `out`; a response is gathered in `in`
 * until its C bit is gone, then read as a whole. T stands in every request but those that only ask
 * for more, and those that come before the last word of CHAP. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "check.h"
#include "signon.h"
#include "sn.h"
#include "tag.h"

enum { SECURITY = 0, OPERATIONAL = 1, FULL_FEATURE = 3 }; /* 11.12.3 */

/* What the operational stage offers, in the order of key.tbl; the first rows in a discovery session
 * too. */
static const enum key offers[] = {
	KEY_HEADER_DIGEST,
	KEY_DATA_DIGEST,
	KEY_MAX_RECV_DATA,
	KEY_TIME2WAIT,
	KEY_TIME2RETAIN,
	KEY_ERROR_RECOVERY,
	KEY_INITIAL_R2T,
	KEY_IMMEDIATE_DATA,
	KEY_DATA_PDU_IN_ORDER,
	KEY_DATA_SEQ_IN_ORDER,
	KEY_MAX_CONNECTIONS,
	KEY_MAX_BURST,
	KEY_FIRST_BURST,
	KEY_MAX_OUTSTANDING_R2T,
};
enum { N_DISCOVERY_OFFERS = 6 };

static enum signon_step fail(struct signon *so, int error, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static enum signon_step fail(struct signon *so, int error, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(so->why, sizeof(so->why), fmt, ap);
	va_end(ap);
	so->error = error;
	return SIGNON_FAILED;
}

static int say_names(struct signon *so)
{
	struct nego *n = &so->nego;
	int r = nego_say(n, KEY_INITIATOR_NAME, so->initiator, &so->out);

	if (!r && so->target)
		r = nego_say(n, KEY_TARGET_NAME, so->target, &so->out);
	if (!r)
		r = nego_say(n, KEY_SESSION_TYPE, so->target ? "Normal" : "Discovery", &so->out);
	if (!r)
		r = nego_offer(n, KEY_AUTH_METHOD, &so->out);
	return r;
}

static int say_offers(struct signon *so)
{
	size_t n = so->target ? ARRAY_LEN(offers) : N_DISCOVERY_OFFERS;
	int r = 0;

	for (size_t i = 0; i < n && !r; i++)
		r = nego_offer(&so->nego, offers[i], &so->out);
	return r;
}

int signon_init(struct signon *so, const struct param_offer *offer, const char *initiator,
	const char *target, const uint8_t isid[6], const struct proof *proof)
{
	memset(so, 0, sizeof(*so));
	memcpy(so->isid, isid, sizeof(so->isid));
	so->offer = *offer;
	if (proof)
		so->proof = *proof;
	so->stay = proof_offers(&so->proof);
	so->offer.v.auth_method = so->stay; /* the word of key.tbl: CHAP first */
	so->initiator = initiator;
	so->target = target;
	so->cmdsn = 1;
	so->stage = SECURITY;
	text_init(&so->in, SIGNON_TEXT_MAX);
	text_init(&so->out, SIGNON_TEXT_MAX);
	nego_init(&so->nego, NEGO_INITIATOR, NEGO_SECURITY, true, &so->offer, NULL);
	so->nego.params.discovery = !target;
	return say_names(so) ? -ENOMEM : 0;
}

void signon_deinit(struct signon *so)
{
	text_deinit(&so->in);
	text_deinit(&so->out);
	nego_deinit(&so->nego);
}

void signon_request(struct signon *so, struct pdu *req, const void **textp, uint32_t *lenp)
{
	bool final = !so->ask_more && !so->stay;

	*req = (struct pdu){
		.opcode = OP_LOGIN_REQUEST,
		.immediate = true,
		.final = final,
		.itt = so->itt,
		.ttt = TAG_NONE,
		.data_len = so->ask_more ? 0 : so->out.len,
		.cmdsn = so->cmdsn,
		.expstatsn = so->expstatsn,
		.login = {.csg = so->stage,
			.nsg = !final                  ? 0
			       : so->stage == SECURITY ? OPERATIONAL
						       : FULL_FEATURE,
			.cid = so->cid},
	};
	memcpy(req->login.isid, so->isid, sizeof(so->isid));
	*textp = so->out.buf;
	*lenp = req->data_len;
}

/* --- responses --- */

/* refused - Status-Class and -Detail (11.13.5) in words, and as what it means to a caller. */
static enum signon_step refused(struct signon *so, uint8_t class, uint8_t detail)
{
	/* clang-format off */
	static const struct { uint8_t class, detail; int error; const char *text; } rows[] = {
		{2, 0x00, -EPROTO,  "initiator error"},
		{2, 0x01, -EACCES,  "authentication failed, or is demanded"},
		{2, 0x02, -EACCES,  "not allowed for this initiator"},
		{2, 0x03, -ENOENT,  "no such target"},
		{2, 0x04, -ENOENT,  "the target was removed"},
		{2, 0x05, -EPROTO,  "unsupported version"},
		{2, 0x06, -EUSERS,  "too many connections"},
		{2, 0x07, -EPROTO,  "missing parameter"},
		{2, 0x09, -EPROTO,  "session type not supported"},
		{3, 0x00, -EAGAIN,  "target error"},
		{3, 0x01, -EAGAIN,  "service unavailable"},
		{3, 0x02, -EAGAIN,  "out of resources"},
	};
	/* clang-format on */

	so->refused = class == 2 && so->stage == SECURITY;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].class == class && rows[i].detail == detail)
			return fail(so, rows[i].error, "login refused: %s", rows[i].text);
	}
	return fail(so, class == 3 ? -EAGAIN : -EPROTO, "login refused: status %02x%02x", class,
		detail);
}

/* moved - 11.13.5, class 1: the text has the new TargetAddress, whose tag is of no use here. */
static enum signon_step moved(struct signon *so)
{
	char *key, *value;
	uint32_t pos = 0;

	while (text_next(&so->in, &pos, &key, &value) > 0) {
		if (!strcmp(key, "TargetAddress")) {
			snprintf(so->moved, sizeof(so->moved), "%.*s", (int)strcspn(value, ","),
				value);
			return SIGNON_MOVED;
		}
	}
	return fail(so, -EPROTO, "the target has moved and does not say where");
}

/* transit - T was granted: the next stage, or the end (6.3). */
static enum signon_step transit(struct signon *so, const struct pdu *rsp)
{
	if (nego_pending(&so->nego))
		return fail(so, -EPROTO, "a key that was offered was not answered");
	if (so->stage == SECURITY && proof_offers(&so->proof) && so->proof.state != PROOF_DONE)
		return fail(so, -EACCES, "login: the target does not prove who it is");
	if (rsp->login.nsg == FULL_FEATURE) {
		so->tsih = rsp->login.tsih;
		so->params = nego_result(&so->nego);
		return SIGNON_DONE;
	}
	if (so->stage != SECURITY || rsp->login.nsg != OPERATIONAL)
		return fail(so, -EPROTO, "login: the target chose an impossible stage");
	so->stage = OPERATIONAL;
	so->nego.stage = NEGO_OPERATIONAL;
	return say_offers(so) ? fail(so, -ENOMEM, "out of memory") : SIGNON_SEND;
}

/* prove - what the security stage still needs. SIGNON_SEND, or SIGNON_FAILED. */
static enum signon_step prove(struct signon *so)
{
	const char *why = "";
	int r = proof_step(&so->proof, &so->nego, &so->out, &why);

	if (r == PROOF_REFUSED)
		return fail(so, -EACCES, "login: %s", why);
	if (r < 0)
		return fail(so, -ENOMEM, "out of memory");
	so->stay = r == PROOF_WAIT;
	return SIGNON_SEND;
}

static enum signon_step read_text(struct signon *so, const struct pdu *rsp)
{
	int r;

	text_clear(&so->out);
	r = nego_rx(&so->nego, &so->in, &so->out);
	text_clear(&so->in);
	if (r == -ENOMEM)
		return fail(so, -ENOMEM, "out of memory");
	if (r)
		return fail(so, -EPROTO, "login: %s", so->nego.why);
	if (so->stage == SECURITY && proof_offers(&so->proof) && prove(so) == SIGNON_FAILED)
		return SIGNON_FAILED;
	return rsp->final ? transit(so, rsp) : SIGNON_SEND;
}

enum signon_step signon_rx(struct signon *so, const struct pdu *rsp, const void *data, uint32_t len)
{
	/* 11.13.4: only in a success the number counts; tgt leaves it at 0 when it refuses. */
	if (so->heard && rsp->statsn != so->expstatsn && !rsp->login.status_class)
		return fail(so, -EPROTO, "login: a status number is missing");
	so->heard = true;
	so->expstatsn = rsp->statsn + 1;
	so->expcmdsn = rsp->expcmdsn;
	so->maxcmdsn = rsp->maxcmdsn;
	if (++so->n_pdus > SIGNON_PDUS_MAX)
		return fail(so, -EPROTO, "login: the target does not come to an end");
	if (text_add_bytes(&so->in, data, len))
		return fail(so, -EPROTO, "login: the target says too much");
	if (rsp->login.status_class == 1)
		return moved(so);
	if (rsp->login.status_class)
		return refused(so, rsp->login.status_class, rsp->login.status_detail);
	if (rsp->login.csg != so->stage || (rsp->final && rsp->login.c))
		return fail(so, -EPROTO, "login: the target is in another stage");
	if (rsp->final && (so->ask_more || so->stay))
		return fail(so, -EPROTO, "login: the target moves on unasked");
	so->ask_more = rsp->login.c;
	if (so->ask_more) {
		text_clear(&so->out);
		return SIGNON_SEND;
	}
	return read_text(so, rsp);
}
