/* login.c - the login phase as a small machine; what the keys mean is nego.c's affair.
 *
 *   from   what happens                                              to      by
 *   HEAR   a piece of text, C=1: put aside, an empty answer          HEAR    step_hear()
 *   HEAR   the first whole text: the names                                   step_identify()
 *   HEAR   a text of CHAP, while there is something to prove         HEAR    step_prove()
 *   HEAR   named and proved                                          ASK     step_text()
 *   ASK    login_accept(), then as for any whole text                        answer_text()
 *   HEAR   a whole text: the answer fits one PDU, T not granted      HEAR    tell()
 *          ... is longer than one PDU: its first piece, C=1          TELL    tell()
 *   TELL   an empty request: the next piece                          TELL    tell()
 *          ... the last piece, T not granted                         HEAR    tell()
 *   any    the last piece, T granted, into the operational stage     HEAR    transit()
 *          ... into full feature                                     DONE    transit()
 *   any    a fault of the peer or of ours, login_refuse()            FAILED  fail()
 *
 * HEAR: `in` holds what has come of a text.  ASK: the names are known, the answers to the first
 * text wait in `out`.  TELL: `out` from out_pos on is still to be said.  DONE, FAILED: the last
 * word is in rsp; nothing more is taken.
 *
 * The stage (CSG) moves only when the request asks for it and nothing is left to say or to hear. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "chap.h"
#include "check.h"
#include "login.h"
#include "nego.h"
#include "tag.h"

enum {
	STAGE_SECURITY = 0, /* 11.12.3 */
	STAGE_OPERATIONAL = 1,
	STAGE_FULL_FEATURE = 3,
};

enum { PIECE_MAX = 8192 }; /* 13.12: the default MaxRecvDataSegmentLength holds during the login */

enum { VERSION = 0x00 }; /* 11.12.4: of RFC 3720 and RFC 7143 */

struct login_state {
	enum { HEAR, TELL, ASK, DONE, FAILED } state;
	uint8_t stage;   /* the CSG that the next request must have */
	bool identified; /* the names are known */
	bool proved;     /* nothing more to authenticate */
	bool asked;      /* ASK has been reached */
	uint16_t portal_group;
	struct chap chap;
	bool transit; /* T and NSG of the request under way */
	uint8_t next_stage;
	unsigned n_pdus;
	uint32_t itt;
	struct text in, out;
	uint32_t out_pos;
	uint16_t new_tsih;
	struct nego nego;
};

int login_init(struct login *l, const struct param_offer *offer, uint16_t portal_group,
	const uint8_t random[LOGIN_RANDOM_LEN])
{
	struct login_state *s = calloc(1, sizeof(*s));

	memset(l, 0, sizeof(*l));
	if (!s)
		return -ENOMEM;
	text_init(&s->in, LOGIN_TEXT_MAX);
	text_init(&s->out, LOGIN_TEXT_MAX);
	nego_init(&s->nego, NEGO_TARGET, NEGO_SECURITY, true, offer, NULL);
	s->portal_group = portal_group;
	s->proved = !offer->chap;
	chap_init(&s->chap, offer->chap, random[0], random + 1);
	l->state = s;
	return 0;
}

void login_deinit(struct login *l)
{
	struct login_state *s = l->state;

	if (!s)
		return;
	text_deinit(&s->in);
	text_deinit(&s->out);
	nego_deinit(&s->nego);
	free(s);
	l->state = NULL;
	l->rsp_text = NULL;
	l->rsp_text_len = 0;
}

/* --- answers --- */

/* respond - the fields that every answer has (11.13); `len` bytes of text from `text` on. */
static void respond(struct login *l, const void *text, uint32_t len)
{
	struct login_state *s = l->state;

	l->rsp = (struct pdu){
		.opcode = OP_LOGIN_RESPONSE,
		.itt = s->itt,
		.ttt = TAG_NONE,
		.data_len = len,
		.statsn = l->statsn++,
		.login = {.version_max = VERSION,
			.version_active = VERSION,
			.csg = s->stage,
			.tsih = l->tsih},
	};
	memcpy(l->rsp.login.isid, l->isid, sizeof(l->isid));
	l->rsp_text = len ? text : NULL;
	l->rsp_text_len = len;
}

static enum login_step fail(struct login *l, enum login_status status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static enum login_step fail(struct login *l, enum login_status status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(l->why, sizeof(l->why), fmt, ap);
	va_end(ap);
	l->state->state = FAILED;
	l->status = status;
	respond(l, NULL, 0);
	l->rsp.login.csg = 0; /* reserved when the status is not success (11.13.6) */
	l->rsp.login.status_class = (uint8_t)(status >> 8);
	l->rsp.login.status_detail = (uint8_t)status;
	return LOGIN_FAILED;
}

/* transit - the request's T is granted: the answer says so and the stage moves (6.3, 11.13.3). */
static enum login_step transit(struct login *l)
{
	struct login_state *s = l->state;

	l->rsp.final = true;
	l->rsp.login.nsg = s->next_stage;
	s->stage = s->next_stage;
	if (s->stage != STAGE_FULL_FEATURE) {
		s->nego.stage = NEGO_OPERATIONAL;
		return LOGIN_WAIT;
	}
	l->tsih = s->new_tsih; /* 11.13.3: told in the last answer */
	l->rsp.login.tsih = l->tsih;
	l->params = nego_result(&s->nego);
	s->state = DONE;
	return LOGIN_DONE;
}

/* tell - the next piece of `out`; T is granted with the last one. */
static enum login_step tell(struct login *l)
{
	struct login_state *s = l->state;
	uint32_t left = s->out.len - s->out_pos, len = MIN(left, (uint32_t)PIECE_MAX);

	respond(l, len ? s->out.buf + s->out_pos : NULL, len);
	s->out_pos += len;
	if (len < left) {
		l->rsp.login.c = true;
		s->state = TELL;
		return LOGIN_WAIT;
	}
	s->state = HEAR;
	if (s->transit && !nego_pending(&s->nego))
		return transit(l);
	return LOGIN_WAIT;
}

static enum login_step nego_failed(struct login *l, int r)
{
	if (r == -ENOMEM)
		return fail(l, LOGIN_OUT_OF_RESOURCES, "out of memory");
	if (r == NEGO_TOO_LONG)
		return fail(l, LOGIN_INITIATOR_ERROR, "more keys than can be answered");
	return fail(l, LOGIN_INITIATOR_ERROR, "%s", l->state->nego.why);
}

/* answer_text - what we have to say of ourselves, and then all of it. */
static enum login_step answer_text(struct login *l)
{
	struct login_state *s = l->state;
	unsigned pending = nego_pending(&s->nego);
	int r = 0;

	if (pending && s->transit)
		return fail(l, LOGIN_INITIATOR_ERROR,
			"a key that was offered to the initiator was not answered");
	if (s->stage == STAGE_OPERATIONAL && !nego_said(&s->nego, KEY_MAX_RECV_DATA))
		r = nego_offer(&s->nego, KEY_MAX_RECV_DATA, &s->out);
	if (!r && s->transit && s->next_stage == STAGE_FULL_FEATURE)
		r = nego_hold(&s->nego, &s->out);
	return r ? nego_failed(l, r) : tell(l);
}

/* --- requests --- */

struct fault {
	enum login_status status; /* LOGIN_SUCCESS: none */
	const char *why;
};

/* take_first - what the first request alone tells (11.12). StatSN may start anywhere (11.13.4); the
 * number that the initiator expects pleases also one that compares. */
static void take_first(struct login *l, const struct pdu *req)
{
	struct login_state *s = l->state;

	memcpy(l->isid, req->login.isid, sizeof(l->isid));
	l->tsih = req->login.tsih;
	l->cid = req->login.cid;
	l->cmdsn = req->cmdsn;
	l->statsn = req->expstatsn;
	s->itt = req->itt;
	s->stage = req->login.csg == STAGE_SECURITY ? STAGE_SECURITY : STAGE_OPERATIONAL;
	s->nego.stage = s->stage == STAGE_SECURITY ? NEGO_SECURITY : NEGO_OPERATIONAL;
	s->nego.leading = l->tsih == 0;
}

/* One login, one task: these stand still from its first request to its last (6.3, 11.12.8). */
static bool same_login(const struct login *l, const struct pdu *req)
{
	return req->itt == l->state->itt && req->login.cid == l->cid && req->cmdsn == l->cmdsn &&
	       !memcmp(req->login.isid, l->isid, sizeof(l->isid)) && req->login.tsih == l->tsih;
}

static struct fault find_fault(const struct login *l, const struct pdu *req, uint32_t len)
{
	const struct login_state *s = l->state;
	uint8_t csg = req->login.csg, nsg = req->login.nsg;

	if (s->state != HEAR && s->state != TELL)
		return (struct fault){
			LOGIN_INITIATOR_ERROR, "a request before the last one was answered"};
	if (req->login.version_min > VERSION) /* 11.12.4.2 */
		return (struct fault){LOGIN_UNSUPPORTED_VERSION, "only version 0x00 is supported"};
	if (!same_login(l, req))
		return (struct fault){
			LOGIN_INITIATOR_ERROR, "ITT, CID, CmdSN, ISID or TSIH changed"};
	if (s->n_pdus > LOGIN_PDUS_MAX)
		return (struct fault){LOGIN_INITIATOR_ERROR, "too many requests in one login"};
	if (len > PIECE_MAX) /* 13.12 */
		return (struct fault){
			LOGIN_INITIATOR_ERROR, "a data segment of more than 8192 bytes"};
	if (csg != s->stage) /* 11.12.3 */
		return (struct fault){LOGIN_INITIATOR_ERROR, "the current stage is another"};
	if (req->final && req->login.c) /* 11.12.2 */
		return (struct fault){LOGIN_INITIATOR_ERROR, "T and C are both set"};
	if (req->final && (nsg <= csg || (nsg != STAGE_OPERATIONAL && nsg != STAGE_FULL_FEATURE)))
		return (struct fault){LOGIN_INITIATOR_ERROR, "no such next stage"};
	if (s->state == TELL && (len || req->login.c)) /* 6.2: an empty request asks for the rest */
		return (struct fault){
			LOGIN_INITIATOR_ERROR, "text while an answer was not yet complete"};
	return (struct fault){LOGIN_SUCCESS, NULL};
}

/* name_ok - the initiator's name is its identity here, no more: it is not graded by 4.2.7, which
 * real initiators take lightly, but it must be fit to be compared and printed. */
static bool name_ok(const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < len; i++)
		if ((unsigned char)name[i] <= ' ' || name[i] == 0x7f)
			return false;
	return len >= 1 && len <= ISCSI_NAME_MAX;
}

/* step_identify - the first whole text must tell who wants what (4.2.7, 13.4, 13.5, 13.21). */
static enum login_step step_identify(struct login *l)
{
	struct login_state *s = l->state;
	const char *initiator = nego_value(&s->nego, KEY_INITIATOR_NAME);
	const char *target = nego_value(&s->nego, KEY_TARGET_NAME);

	l->discovery = s->nego.params.discovery;
	if (!initiator)
		return fail(l, LOGIN_MISSING_PARAMETER, "InitiatorName is missing");
	if (!name_ok(initiator))
		return fail(l, LOGIN_INITIATOR_ERROR, "InitiatorName is not a name");
	if (!l->discovery && !target)
		return fail(
			l, LOGIN_MISSING_PARAMETER, "TargetName is missing in a normal session");
	snprintf(l->initiator, sizeof(l->initiator), "%s", initiator);
	if (!l->discovery)
		snprintf(l->target, sizeof(l->target), "%s", target);
	if (l->discovery && s->nego.offer->open_discovery && !s->nego.params.auth_method)
		s->proved = true; /* nobody said CHAP */
	s->identified = true;
	return LOGIN_WAIT;
}

/* say_group - 13.9: in the first answer that follows a TargetName. */
static int say_group(struct login *l)
{
	struct login_state *s = l->state;
	char group[8];

	if (l->discovery || nego_said(&s->nego, KEY_TARGET_PORTAL_GROUP_TAG))
		return 0;
	snprintf(group, sizeof(group), "%u", s->portal_group);
	return nego_say(&s->nego, KEY_TARGET_PORTAL_GROUP_TAG, group, &s->out);
}

/* step_prove - who wants in must show who it is, before anything is done in its name. LOGIN_IDENTIFIED here says
 * that it has. */
static enum login_step step_prove(struct login *l)
{
	struct login_state *s = l->state;
	const char *why = "authentication is required", *user;
	int r = CHAP_REFUSED;

	if (s->stage == STAGE_SECURITY && nego_heard(&s->nego, KEY_AUTH_METHOD))
		r = chap_step(&s->chap, &s->nego, &s->out, &why);
	else if (s->stage == STAGE_SECURITY && !s->transit)
		r = CHAP_MORE;
	switch (r) {
	case CHAP_MORE:
		s->transit = false;
		r = say_group(l);
		return r ? nego_failed(l, r) : tell(l);
	case CHAP_VERIFIED:
		user = nego_value(&s->nego, KEY_CHAP_N);
		snprintf(l->user, sizeof(l->user), "%s", user ? user : "");
		s->proved = true;
		return LOGIN_IDENTIFIED;
	case CHAP_REFUSED:
		return fail(l, LOGIN_AUTH_FAILED, "%s", why);
	default:
		return nego_failed(l, r);
	}
}

/* rejected_key - a value that we could not take and without which there is no login. */
static struct fault rejected_key(const struct nego *n)
{
	if (nego_rejected(n, KEY_AUTH_METHOD)) /* 6.3.2 */
		return (struct fault){
			LOGIN_AUTH_FAILED, "none of the offered AuthMethods is supported"};
	if (nego_rejected(n, KEY_SESSION_TYPE))
		return (struct fault){LOGIN_SESSION_TYPE, "SessionType is not known"};
	if (nego_rejected(n, KEY_INITIATOR_NAME) || nego_rejected(n, KEY_TARGET_NAME))
		return (struct fault){LOGIN_INITIATOR_ERROR, "a name of more than 223 bytes"};
	return (struct fault){LOGIN_SUCCESS, NULL};
}

/* step_text - a whole text is in `in`. */
static enum login_step step_text(struct login *l)
{
	struct login_state *s = l->state;
	enum login_step step;
	const char *alias;
	struct fault f;
	int r;

	text_clear(&s->out);
	s->out_pos = 0;
	r = nego_rx(&s->nego, &s->in, &s->out);
	text_clear(&s->in);
	if (r)
		return nego_failed(l, r);
	f = rejected_key(&s->nego);
	if (f.status)
		return fail(l, f.status, "%s", f.why);
	alias = nego_value(&s->nego, KEY_INITIATOR_ALIAS);
	snprintf(l->alias, sizeof(l->alias), "%s", alias ? alias : "");
	if (!s->identified) {
		step = step_identify(l);
		if (step == LOGIN_FAILED)
			return step;
	}
	if (s->nego.params.discovery != l->discovery)
		return fail(l, LOGIN_INITIATOR_ERROR, "SessionType came after the first request");
	if (!s->proved) {
		step = step_prove(l);
		if (step != LOGIN_IDENTIFIED)
			return step;
	}
	if (s->asked)
		return answer_text(l);
	s->asked = true;
	s->state = ASK;
	return LOGIN_IDENTIFIED;
}

/* step_hear - one request's piece of text. */
static enum login_step step_hear(
	struct login *l, const struct pdu *req, const void *data, uint32_t len)
{
	struct login_state *s = l->state;
	int r = text_add_bytes(&s->in, data, len);

	if (r == TEXT_TOO_LONG)
		return fail(
			l, LOGIN_INITIATOR_ERROR, "a text of more than %u bytes", LOGIN_TEXT_MAX);
	if (r)
		return fail(l, LOGIN_OUT_OF_RESOURCES, "out of memory");
	if (req->login.c) { /* 11.12.2: an empty answer asks for the rest */
		respond(l, NULL, 0);
		return LOGIN_WAIT;
	}
	return step_text(l);
}

enum login_step login_rx(struct login *l, const struct pdu *req, const void *data, uint32_t len)
{
	struct login_state *s = l->state;
	struct fault f;

	if (s->n_pdus++ == 0)
		take_first(l, req);
	f = find_fault(l, req, len);
	if (f.status)
		return fail(l, f.status, "%s", f.why);
	s->transit = req->final;
	s->next_stage = req->login.nsg;
	return s->state == TELL ? tell(l) : step_hear(l, req, data, len);
}

/* --- the caller's word --- */

enum login_step login_accept(struct login *l, uint16_t tsih, const char *target_alias)
{
	struct login_state *s = l->state;
	int r;

	if (s->state != ASK) /* the peer spoilt it meanwhile */
		return LOGIN_FAILED;
	check(tsih != 0);
	s->new_tsih = tsih;
	s->state = HEAR;
	r = say_group(l);
	if (!r && !l->discovery && target_alias && *target_alias)
		r = nego_say(&s->nego, KEY_TARGET_ALIAS, target_alias, &s->out);
	return r ? nego_failed(l, r) : answer_text(l);
}

enum login_step login_refuse(struct login *l, enum login_status status, const char *why)
{
	if (l->state->state != ASK && l->state->state != DONE)
		return LOGIN_FAILED;
	return fail(l, status, "%s", why);
}
