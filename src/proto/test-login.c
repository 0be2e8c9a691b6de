/* test-login.c - the login as a table of conversations, each also said in two pieces at every
 * split; faults, limits, long answers, and an initiator's half joined to ours in memory. Texts are
 * written with '\n' for the NUL that ends a pair. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "check.h"
#include "login.h"
#include "nego.h"

enum { TSIH = 0x0a0b, GROUP = 1, ITT = 0x1234, CMDSN = 100, STATSN = 50 };
static const uint8_t dice[LOGIN_RANDOM_LEN] = {7, 1, 2, 3};
static const uint8_t isid[6] = {0x40, 1, 2, 3, 4, 5};

static struct param_offer offer;

/* --- one request --- */

struct turn {
	uint8_t csg;
	uint8_t t; /* NSG + 1; 0: T is not set */
	const char *say, *hear;
	uint8_t heard_t;          /* the same, of the answer */
	enum login_status status; /* of a turn that ends the login */
	bool done;
};

/* clang-format off */
#define SAY(stage, text)      .csg = stage, .say = text
#define TRANSIT(nsg)          .t = (nsg) + 1, .heard_t = (nsg) + 1
#define WANTS(nsg)            .t = (nsg) + 1
#define HEAR(text)            .hear = text
#define GRANTED               .done = true
#define REFUSED(code)         .status = LOGIN_##code
enum { SEC = 0, OP = 1, FFP = 3 };
/* clang-format on */

static struct pdu request(uint8_t csg, uint8_t t, bool c)
{
	struct pdu p = {
		.opcode = OP_LOGIN_REQUEST,
		.immediate = true,
		.final = t != 0,
		.itt = ITT,
		.cmdsn = CMDSN,
		.expstatsn = STATSN,
		.login = {.c = c, .csg = csg, .nsg = t ? (uint8_t)(t - 1) : 0, .cid = 9},
	};

	memcpy(p.login.isid, isid, sizeof(isid));
	return p;
}

/* rx - as a caller does it: accepts whoever has come as far as LOGIN_IDENTIFIED. */
static enum login_step rx(struct login *l, const struct pdu *p, const char *data, uint32_t len)
{
	enum login_step step;
	char *copy = malloc(len + 1); /* exactly as long as it is: the sanitizer looks */

	memcpy(copy, data, len);
	step = login_rx(l, p, copy, len);
	free(copy);
	if (step == LOGIN_IDENTIFIED) {
		assert_string_equal(l->initiator, "iqn.i");
		assert_string_equal(l->target, l->discovery ? "" : "iqn.t");
		step = login_accept(l, TSIH, "alias");
	}
	return step;
}

static char *with_nul(const char *text)
{
	static char buf[4096];

	snprintf(buf, sizeof(buf), "%s", text);
	for (char *p = buf; *p; p++)
		if (*p == '\n')
			*p = '\0';
	return buf;
}

/* check_answer - what every answer must have, and its text. */
static void check_answer(const struct login *l, const char *hear, uint8_t heard_t, uint32_t statsn)
{
	assert_int_equal(l->rsp.opcode, OP_LOGIN_RESPONSE);
	assert_int_equal(l->rsp.itt, ITT);
	assert_int_equal(l->rsp.statsn, statsn);
	assert_int_equal(l->statsn, statsn + 1);
	assert_memory_equal(l->rsp.login.isid, isid, sizeof(isid));
	assert_int_equal(l->rsp.login.version_max, 0);
	assert_int_equal(l->rsp.login.version_active, 0);
	assert_int_equal(l->rsp.data_len, l->rsp_text_len);
	assert_int_equal(l->rsp.final, heard_t != 0);
	assert_int_equal(l->rsp.login.nsg, heard_t ? heard_t - 1 : 0);
	assert_int_equal(l->rsp.login.tsih, heard_t == FFP + 1 ? TSIH : 0);
	assert_false(l->rsp.login.c);
	assert_int_equal(l->rsp_text_len, strlen(hear));
	if (l->rsp_text_len)
		assert_memory_equal(l->rsp_text, with_nul(hear), l->rsp_text_len);
}

static void check_end(const struct login *l, const struct turn *t, enum login_step step)
{
	if (t->status) {
		assert_int_equal(step, LOGIN_FAILED);
		assert_int_equal(l->status, t->status);
		assert_int_equal(l->rsp.login.status_class, t->status >> 8);
		assert_int_equal(l->rsp.login.status_detail, t->status & 0xff);
		assert_int_equal(l->rsp_text_len, 0);
		assert_false(l->rsp.final);
		assert_true(l->why[0]);
		return;
	}
	assert_int_equal(step, t->done ? LOGIN_DONE : LOGIN_WAIT);
}

/* converse - the turns in order; each text is cut behind `cut` bytes and said in two requests. */
static void converse(struct login *l, const struct turn *t, size_t cut)
{
	uint32_t statsn = STATSN;
	enum login_step step;

	assert_int_equal(login_init(l, &offer, GROUP, dice), 0);
	for (; t->say; t++) {
		const char *say = t->say;
		char *bytes;
		uint32_t len = (uint32_t)strlen(say), first = 0;
		struct pdu p;

		bytes = malloc(len + 1);
		memcpy(bytes, with_nul(say), len);
		if (cut < len) {
			first = (uint32_t)cut;
			p = request(t->csg, 0, true);
			step = rx(l, &p, bytes, first);
			if (step != LOGIN_FAILED) {
				assert_int_equal(step, LOGIN_WAIT);
				check_answer(l, "", 0, statsn++);
			}
		}
		p = request(t->csg, t->t, false);
		step = rx(l, &p, bytes + first, len - first);
		free(bytes);
		check_end(l, t, step);
		if (t->status)
			return;
		check_answer(l, t->hear, t->heard_t, statsn++);
	}
}

/* --- the conversations --- */

#define WHO   "InitiatorName=iqn.i\n"
#define NAMES WHO "TargetName=iqn.t\nSessionType=Normal\n"
#define US    "TargetPortalGroupTag=1\nTargetAlias=alias\n"
#define OURS  "MaxRecvDataSegmentLength=262144\n"

/* clang-format off */
static const struct conversation {
	const char *name;
	struct turn turns[6];
} conversations[] = {
	{ "straight to operational", {
		{ SAY(OP, NAMES "HeaderDigest=None\nMaxBurstLength=262144\n"), TRANSIT(FFP),
		  HEAR("HeaderDigest=None\nMaxBurstLength=262144\n" US OURS), GRANTED } } },
	{ "names alone are enough", {
		{ SAY(OP, NAMES), TRANSIT(FFP), HEAR(US OURS), GRANTED } } },
	{ "security, then operational", {
		{ SAY(SEC, NAMES "AuthMethod=None\n"), TRANSIT(OP), HEAR("AuthMethod=None\n" US) },
		{ SAY(OP, "InitialR2T=No\nImmediateData=Yes\n"), TRANSIT(FFP),
		  HEAR("InitialR2T=No\nImmediateData=Yes\n" OURS), GRANTED } } },
	{ "security settled before it is left", {
		{ SAY(SEC, NAMES "AuthMethod=CHAP,None\n"), HEAR("AuthMethod=None\n" US) },
		{ SAY(SEC, ""), TRANSIT(OP), HEAR("") },
		{ SAY(OP, ""), TRANSIT(FFP), HEAR(OURS), GRANTED } } },
	{ "no AuthMethod in the security stage", {
		{ SAY(SEC, NAMES), TRANSIT(OP), HEAR(US) },
		{ SAY(OP, ""), TRANSIT(FFP), HEAR(OURS), GRANTED } } },
	{ "security, and at once full feature: the defaults hold", {
		{ SAY(SEC, NAMES "AuthMethod=None\n"), TRANSIT(FFP), HEAR("AuthMethod=None\n" US), GRANTED } } },
	{ "several operational requests; ours is declared once", {
		{ SAY(OP, NAMES "MaxBurstLength=512\n"), HEAR("MaxBurstLength=512\n" US OURS) },
		{ SAY(OP, "MaxOutstandingR2T=2\n"), HEAR("MaxOutstandingR2T=2\n") },
		{ SAY(OP, "FirstBurstLength=512\n"), TRANSIT(FFP), HEAR("FirstBurstLength=512\n"), GRANTED } } },
	{ "discovery", {
		{ SAY(OP, WHO "SessionType=Discovery\nMaxBurstLength=512\nErrorRecoveryLevel=0\n"), TRANSIT(FFP),
		  HEAR("MaxBurstLength=Irrelevant\nErrorRecoveryLevel=0\n" OURS), GRANTED } } },
	{ "discovery through security", {
		{ SAY(SEC, WHO "SessionType=Discovery\nAuthMethod=None\n"), TRANSIT(OP), HEAR("AuthMethod=None\n") },
		{ SAY(OP, "DefaultTime2Wait=0\nIFMarker=No\n"), TRANSIT(FFP),
		  HEAR("DefaultTime2Wait=0\nIFMarker=No\n" OURS), GRANTED } } },
	{ "names again in the operational stage, as libiscsi says them", {
		{ SAY(SEC, NAMES "AuthMethod=None\n"), TRANSIT(OP), HEAR("AuthMethod=None\n" US) },
		{ SAY(OP, NAMES "MaxBurstLength=512\nFirstBurstLength=512\n"), TRANSIT(FFP),
		  HEAR("MaxBurstLength=512\nFirstBurstLength=512\n" OURS), GRANTED } } },
	{ "unknown keys", {
		{ SAY(OP, NAMES "X-org.a=1\nFoo=Bar\n"), TRANSIT(FFP),
		  HEAR("X-org.a=NotUnderstood\nFoo=NotUnderstood\n" US OURS), GRANTED } } },
	{ "only CHAP", {
		{ SAY(SEC, NAMES "AuthMethod=CHAP\n"), TRANSIT(OP), REFUSED(AUTH_FAILED) } } },
	{ "no InitiatorName", {
		{ SAY(OP, "TargetName=iqn.t\n"), TRANSIT(FFP), REFUSED(MISSING_PARAMETER) } } },
	{ "no TargetName", {
		{ SAY(OP, WHO), TRANSIT(FFP), REFUSED(MISSING_PARAMETER) } } },
	{ "nothing at all", {
		{ SAY(SEC, ""), TRANSIT(OP), REFUSED(MISSING_PARAMETER) } } },
	{ "an empty InitiatorName", {
		{ SAY(SEC, "InitiatorName=\nTargetName=iqn.t\n"), TRANSIT(OP), REFUSED(INITIATOR_ERROR) } } },
	{ "an unprintable InitiatorName", {
		{ SAY(SEC, "InitiatorName=iqn.\033[2J\nTargetName=iqn.t\n"), TRANSIT(OP), REFUSED(INITIATOR_ERROR) } } },
	{ "a strange SessionType", {
		{ SAY(OP, NAMES "X-a=1\n"), HEAR("X-a=NotUnderstood\n" US OURS) },
		{ SAY(OP, "SessionType=Strange\n"), TRANSIT(FFP), REFUSED(INITIATOR_ERROR) } } },
	{ "a strange SessionType at once", {
		{ SAY(OP, WHO "TargetName=iqn.t\nSessionType=Strange\n"), TRANSIT(FFP), REFUSED(SESSION_TYPE) } } },
	{ "SessionType late", {
		{ SAY(OP, WHO "TargetName=iqn.t\n"), HEAR(US OURS) },
		{ SAY(OP, "SessionType=Discovery\n"), TRANSIT(FFP), REFUSED(INITIATOR_ERROR) } } },
	{ "a key twice", {
		{ SAY(OP, NAMES "MaxBurstLength=512\n"), HEAR("MaxBurstLength=512\n" US OURS) },
		{ SAY(OP, "MaxBurstLength=512\n"), TRANSIT(FFP), REFUSED(INITIATOR_ERROR) } } },
	{ "another name later", {
		{ SAY(OP, NAMES), HEAR(US OURS) },
		{ SAY(OP, "InitiatorName=iqn.j\n"), REFUSED(INITIATOR_ERROR) } } },
	{ "operational key in the security stage", {
		{ SAY(SEC, NAMES "MaxBurstLength=512\n"), TRANSIT(OP), REFUSED(INITIATOR_ERROR) } } },
	{ "SendTargets in the login", {
		{ SAY(OP, NAMES "SendTargets=All\n"), TRANSIT(FFP), REFUSED(INITIATOR_ERROR) } } },
	{ "not a pair", {
		{ SAY(OP, NAMES "garbage\n"), TRANSIT(FFP), REFUSED(INITIATOR_ERROR) } } },
	{ "no end of the last pair", {
		{ SAY(OP, NAMES "MaxBurstLength=512"), TRANSIT(FFP), REFUSED(INITIATOR_ERROR) } } },
	{ "a key name of 64 bytes", {
		{ SAY(OP, NAMES "K23456789012345678901234567890123456789012345678901234567890123x=1\n"),
		  TRANSIT(FFP), REFUSED(INITIATOR_ERROR) } } },
	{ "back to security", {
		{ SAY(OP, NAMES), WANTS(SEC), REFUSED(INITIATOR_ERROR) } } },
	{ "from a stage to itself", {
		{ SAY(OP, NAMES), WANTS(OP), REFUSED(INITIATOR_ERROR) } } },
	{ "to the stage that does not exist", {
		{ SAY(SEC, NAMES), WANTS(2), REFUSED(INITIATOR_ERROR) } } },
	{ "begins in the stage that does not exist", {
		{ SAY(2, NAMES), TRANSIT(FFP), REFUSED(INITIATOR_ERROR) } } },
	{ "begins in full feature", {
		{ SAY(FFP, NAMES), REFUSED(INITIATOR_ERROR) } } },
	{ "a stage that was not granted", {
		{ SAY(SEC, NAMES "AuthMethod=None\n"), HEAR("AuthMethod=None\n" US) },
		{ SAY(OP, "MaxBurstLength=512\n"), TRANSIT(FFP), REFUSED(INITIATOR_ERROR) } } },
	{ "a stage that is over", {
		{ SAY(OP, NAMES), HEAR(US OURS) },
		{ SAY(SEC, ""), REFUSED(INITIATOR_ERROR) } } },
};
/* clang-format on */

static void conversations_whole_and_cut(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(conversations); i++) {
		size_t longest = 0;

		for (const struct turn *t = conversations[i].turns; t->say; t++)
			longest = MAX(longest, strlen(t->say));
		for (size_t cut = 0; cut <= longest; cut++) { /* at `longest` nothing is cut */
			struct login l;

			if (!cut)
				print_message("%s\n", conversations[i].name);
			converse(&l, conversations[i].turns, cut);
			login_deinit(&l);
			login_deinit(&l);
		}
	}
}

/* --- results --- */

/* same_params - field by field: structures are copied without their padding. */
static void same_params(const struct params *a, const struct params *b)
{
	for (enum key k = 0; k < N_KEYS; k++)
		assert_int_equal(param_get(a, &key_rows[k]), param_get(b, &key_rows[k]));
	assert_int_equal(a->max_send_data, b->max_send_data);
}

static void what_is_known_at_the_end(void **state)
{
	static const struct turn turns[] = {
		{SAY(OP, NAMES
			 "InitiatorAlias=me\nInitialR2T=No\nMaxBurstLength=131072\nFirstBurstLength=8192\n"
			 "MaxRecvDataSegmentLength=32768\nMaxOutstandingR2T=4\n"),
			TRANSIT(FFP),
			HEAR("InitialR2T=No\nMaxBurstLength=131072\nFirstBurstLength=8192\nMaxOutstandingR2T=4\n" US
					OURS),
			GRANTED},
		{.say = NULL},
	};
	struct login l;

	converse(&l, turns, 1000);
	assert_string_equal(l.alias, "me");
	assert_int_equal(l.cid, 9);
	assert_int_equal(l.cmdsn, CMDSN);
	assert_int_equal(l.statsn, STATSN + 1);
	assert_int_equal(l.tsih, TSIH);
	assert_false(l.discovery || l.params.initial_r2t);
	assert_true(l.params.immediate_data);
	assert_int_equal(l.params.max_burst, 131072);
	assert_int_equal(l.params.first_burst, 8192);
	assert_int_equal(l.params.max_send_data, 32768);
	assert_int_equal(l.params.max_recv_data, 262144);
	assert_int_equal(l.params.max_outstanding_r2t, 4);
	login_deinit(&l);
	assert_int_equal(l.params.max_burst, 131072); /* outlives the login's buffers */
	assert_string_equal(l.initiator, "iqn.i");
}

static void nothing_negotiated_leaves_the_defaults(void **state)
{
	static const struct turn turns[] = {
		{SAY(SEC, NAMES), TRANSIT(FFP), HEAR(US), GRANTED},
		{.say = NULL},
	};
	struct params def;
	struct login l;

	param_default(&def);
	converse(&l, turns, 1000);
	same_params(&l.params, &def);
	login_deinit(&l);
}

/* --- the caller's word --- */

#define BEGIN(l, stage, t, text)                                                                   \
	do {                                                                                       \
		struct pdu p_ = request(stage, t, false);                                          \
		assert_int_equal(login_init(l, &offer, GROUP, dice), 0);                           \
		assert_int_equal(login_rx(l, &p_, with_nul(text), (uint32_t)strlen(text)),         \
			LOGIN_IDENTIFIED);                                                         \
	} while (0)

static void the_caller_refuses(void **state)
{
	struct login l;

	BEGIN(&l, OP, FFP + 1, NAMES);
	assert_int_equal(login_refuse(&l, LOGIN_NOT_FOUND, "no such target"), LOGIN_FAILED);
	assert_int_equal(l.status, LOGIN_NOT_FOUND);
	assert_int_equal(l.rsp.login.status_class, 2);
	assert_int_equal(l.rsp.login.status_detail, 3);
	assert_string_equal(l.why, "no such target");
	assert_int_equal(l.rsp.login.tsih, 0);
	assert_int_equal(login_accept(&l, TSIH, NULL), LOGIN_FAILED);
	login_deinit(&l);
}

static void a_request_while_the_caller_thinks(void **state)
{
	struct pdu p = request(OP, FFP + 1, false);
	struct login l;

	BEGIN(&l, OP, FFP + 1, NAMES);
	assert_int_equal(login_rx(&l, &p, "", 0), LOGIN_FAILED);
	assert_int_equal(l.status, LOGIN_INITIATOR_ERROR);
	assert_int_equal(login_accept(&l, TSIH, NULL), LOGIN_FAILED);
	login_deinit(&l);
}

static void a_request_after_the_end(void **state)
{
	struct pdu p = request(OP, FFP + 1, false);
	struct login l;

	BEGIN(&l, OP, FFP + 1, NAMES);
	assert_int_equal(login_accept(&l, TSIH, NULL), LOGIN_DONE);
	assert_int_equal(login_rx(&l, &p, "", 0), LOGIN_FAILED);
	assert_int_equal(login_rx(&l, &p, "", 0), LOGIN_FAILED);
	login_deinit(&l);
}

static void a_login_into_a_session(void **state)
{
	struct pdu p = request(OP, FFP + 1, false);
	struct login l;

	p.login.tsih = TSIH;
	assert_int_equal(login_init(&l, &offer, GROUP, dice), 0);
	assert_int_equal(login_rx(&l, &p, with_nul(NAMES), sizeof(NAMES) - 1), LOGIN_IDENTIFIED);
	assert_int_equal(l.tsih, TSIH);
	assert_int_equal(login_refuse(&l, LOGIN_NO_SESSION, "no such session"), LOGIN_FAILED);
	assert_int_equal(l.rsp.login.tsih, TSIH); /* 11.13.3: as it came */
	login_deinit(&l);
}

/* --- headers that change --- */

static void what_must_stand_still(void **state)
{
	for (int what = 0; what < 8; what++) {
		struct pdu p = request(OP, 0, false);
		struct login l;

		BEGIN(&l, OP, 0, NAMES);
		assert_int_equal(login_accept(&l, TSIH, NULL), LOGIN_WAIT);
		p.itt += what == 0;
		p.cmdsn += what == 1;
		p.login.cid = (uint16_t)(p.login.cid + (what == 2));
		p.login.isid[5] = (uint8_t)(p.login.isid[5] + (what == 3));
		p.login.tsih = what == 4;
		p.expstatsn += what == 5;        /* may move */
		p.login.version_max = what == 6; /* may be higher */
		if (what == 7)
			p.login.version_min = 1;
		assert_int_equal(login_rx(&l, &p, "", 0),
			what == 5 || what == 6 ? LOGIN_WAIT : LOGIN_FAILED);
		if (what < 5)
			assert_int_equal(l.status, LOGIN_INITIATOR_ERROR);
		if (what == 7)
			assert_int_equal(l.status, LOGIN_UNSUPPORTED_VERSION);
		login_deinit(&l);
	}
}

static void a_version_that_we_do_not_speak(void **state)
{
	struct pdu p = request(OP, FFP + 1, false);
	struct login l;

	p.login.version_min = 1;
	p.login.version_max = 2;
	assert_int_equal(login_init(&l, &offer, GROUP, dice), 0);
	assert_int_equal(login_rx(&l, &p, with_nul(NAMES), sizeof(NAMES) - 1), LOGIN_FAILED);
	assert_int_equal(l.status, LOGIN_UNSUPPORTED_VERSION);
	assert_memory_equal(l.rsp.login.isid, isid, sizeof(isid));
	assert_int_equal(l.rsp.itt, ITT);
	login_deinit(&l);
}

static void t_and_c_together(void **state)
{
	struct pdu p = request(OP, FFP + 1, true);
	struct login l;

	assert_int_equal(login_init(&l, &offer, GROUP, dice), 0);
	assert_int_equal(login_rx(&l, &p, with_nul(NAMES), sizeof(NAMES) - 1), LOGIN_FAILED);
	assert_int_equal(l.status, LOGIN_INITIATOR_ERROR);
	login_deinit(&l);
}

/* --- limits --- */

static void a_segment_is_at_most_8192(void **state)
{
	static char zeros[8193];
	struct pdu p = request(SEC, 0, true);
	struct login l;

	assert_int_equal(login_init(&l, &offer, GROUP, dice), 0);
	assert_int_equal(login_rx(&l, &p, zeros, 8192), LOGIN_WAIT);
	assert_int_equal(login_rx(&l, &p, zeros, 8193), LOGIN_FAILED);
	assert_int_equal(l.status, LOGIN_INITIATOR_ERROR);
	login_deinit(&l);
}

static void a_text_is_at_most_64_kib(void **state)
{
	static char zeros[8192];
	struct pdu p = request(SEC, 0, true);
	struct login l;

	assert_int_equal(login_init(&l, &offer, GROUP, dice), 0);
	for (int i = 0; i < 8; i++)
		assert_int_equal(login_rx(&l, &p, zeros, 8192), LOGIN_WAIT);
	assert_int_equal(login_rx(&l, &p, zeros, 1), LOGIN_FAILED);
	assert_int_equal(l.status, LOGIN_INITIATOR_ERROR);
	login_deinit(&l);
}

static void a_login_does_not_go_on_for_ever(void **state)
{
	struct pdu p = request(SEC, 0, false);
	struct login l;

	BEGIN(&l, SEC, 0, NAMES);
	assert_int_equal(login_accept(&l, TSIH, NULL), LOGIN_WAIT);
	for (int i = 1; i < LOGIN_PDUS_MAX; i++)
		assert_int_equal(login_rx(&l, &p, "", 0), LOGIN_WAIT);
	assert_int_equal(login_rx(&l, &p, "", 0), LOGIN_FAILED);
	assert_int_equal(l.status, LOGIN_INITIATOR_ERROR);
	login_deinit(&l);
}

/* say_long - `len` bytes in requests of 8192 with C, the last with T. */
static enum login_step say_long(struct login *l, const char *text, uint32_t len)
{
	enum login_step step = LOGIN_WAIT;

	for (uint32_t at = 0; at < len && step == LOGIN_WAIT; at += 8192) {
		bool last = len - at <= 8192;
		struct pdu p = request(OP, last ? FFP + 1 : 0, !last);

		step = rx(l, &p, text + at, last ? len - at : 8192);
	}
	return step;
}

static uint32_t many_keys(char *text, unsigned n)
{
	char *at = text;

	memcpy(at, with_nul(NAMES), sizeof(NAMES) - 1);
	at += sizeof(NAMES) - 1;
	for (unsigned i = 0; i < n; i++)
		at += sprintf(at, "K%u=", i) + 1;
	return (uint32_t)(at - text);
}

static void a_long_answer_comes_in_pieces(void **state)
{
	char *text = malloc(1 << 17), *heard = malloc(1 << 17), want[40];
	uint32_t len = many_keys(text, 2500), n = 0, pieces = 0, at = 0;
	struct login l;
	enum login_step step;

	assert_int_equal(login_init(&l, &offer, GROUP, dice), 0);
	step = say_long(&l, text, len);
	for (;;) {
		struct pdu p = request(OP, FFP + 1, false);

		assert_true(l.rsp_text_len <= 8192);
		memcpy(heard + n, l.rsp_text, l.rsp_text_len);
		n += l.rsp_text_len;
		pieces++;
		if (step == LOGIN_DONE)
			break;
		assert_int_equal(step, LOGIN_WAIT);
		assert_true(l.rsp.login.c);
		assert_false(l.rsp.final);
		assert_int_equal(l.rsp_text_len, 8192);
		step = login_rx(&l, &p, "", 0);
	}
	assert_true(l.rsp.final);
	assert_false(l.rsp.login.c);
	assert_int_equal(pieces, n / 8192 + 1);
	assert_true(pieces > 4);
	for (unsigned i = 0; i < 2500; i++) {
		int w = sprintf(want, "K%u=NotUnderstood", i) + 1;

		assert_memory_equal(heard + at, want, (size_t)w);
		at += (uint32_t)w;
	}
	login_deinit(&l);
	free(text);
	free(heard);
}

static void text_into_a_long_answer(void **state)
{
	char *text = malloc(1 << 17);
	uint32_t len = many_keys(text, 2500);

	for (int c = 0; c < 2; c++) {
		struct pdu p = request(OP, 0, c);
		struct login l;

		assert_int_equal(login_init(&l, &offer, GROUP, dice), 0);
		assert_int_equal(say_long(&l, text, len), LOGIN_WAIT);
		assert_int_equal(login_rx(&l, &p, with_nul("A=1\n"), c ? 0 : 4), LOGIN_FAILED);
		assert_int_equal(l.status, LOGIN_INITIATOR_ERROR);
		login_deinit(&l);
	}
	free(text);
}

static void ten_thousand_keys(void **state)
{
	char *text = malloc(1 << 18);
	uint32_t len = many_keys(text, 10000);
	struct login l;

	assert_int_equal(login_init(&l, &offer, GROUP, dice), 0);
	assert_int_equal(say_long(&l, text, len), LOGIN_FAILED);
	assert_int_equal(l.status, LOGIN_INITIATOR_ERROR);
	login_deinit(&l);
	len = many_keys(text, 7000); /* a legal text, whose answer does not fit */
	assert_true(len < LOGIN_TEXT_MAX);
	assert_int_equal(login_init(&l, &offer, GROUP, dice), 0);
	assert_int_equal(say_long(&l, text, len), LOGIN_FAILED);
	assert_string_equal(l.why, "more keys than can be answered");
	login_deinit(&l);
	free(text);
}

/* --- a limit of ours that the initiator must hear --- */

static void a_held_limit_is_answered_before_the_end(void **state)
{
	struct param_offer usual = offer;
	static const struct turn answered[] = {
		{SAY(OP, NAMES), WANTS(FFP),
			HEAR(US OURS "MaxBurstLength=4096\nFirstBurstLength=4096\n")},
		{SAY(OP, "MaxBurstLength=4096\nFirstBurstLength=2048\n"), TRANSIT(FFP), HEAR(""),
			GRANTED},
		{.say = NULL},
	};
	static const struct turn ignored[] = {
		{SAY(OP, NAMES), WANTS(FFP),
			HEAR(US OURS "MaxBurstLength=4096\nFirstBurstLength=4096\n")},
		{SAY(OP, ""), TRANSIT(FFP), REFUSED(INITIATOR_ERROR)},
		{.say = NULL},
	};
	struct login l;

	offer.v.max_burst = 4096;
	converse(&l, answered, 1000);
	assert_int_equal(l.params.max_burst, 4096);
	assert_int_equal(l.params.first_burst, 2048);
	login_deinit(&l);
	converse(&l, ignored, 1000);
	login_deinit(&l);
	offer = usual;
}

/* --- two ends --- */

/* The initiator's half: what it says is its nego's, headers go through their bytes. */
static void two_ends_log_in(void **state)
{
	static const enum key keys[] = {KEY_HEADER_DIGEST, KEY_INITIAL_R2T, KEY_IMMEDIATE_DATA,
		KEY_MAX_RECV_DATA, KEY_MAX_BURST, KEY_FIRST_BURST, KEY_MAX_OUTSTANDING_R2T,
		KEY_ERROR_RECOVERY};
	struct text say, heard;
	enum login_step step = LOGIN_WAIT;
	struct params mine;
	struct login l;
	struct nego n;

	text_init(&say, 8192);
	text_init(&heard, 8192);
	nego_init(&n, NEGO_INITIATOR, NEGO_SECURITY, true, &offer, NULL);
	assert_int_equal(login_init(&l, &offer, GROUP, dice), 0);
	assert_int_equal(nego_say(&n, KEY_INITIATOR_NAME, "iqn.i", &say), 0);
	assert_int_equal(nego_say(&n, KEY_TARGET_NAME, "iqn.t", &say), 0);
	assert_int_equal(nego_offer(&n, KEY_AUTH_METHOD, &say), 0);
	for (int stage = SEC; stage <= OP; stage++) {
		struct pdu req = request((uint8_t)stage, stage == SEC ? OP + 1 : FFP + 1, false);
		uint8_t bhs[BHS_LEN];
		struct pdu there, back;

		n.stage = (enum nego_stage)stage;
		for (size_t i = 0; stage == OP && i < ARRAY_LEN(keys); i++)
			assert_int_equal(nego_offer(&n, keys[i], &say), 0);
		req.data_len = say.len;
		pdu_encode(&req, bhs);
		assert_int_equal(pdu_decode(&there, bhs), PDU_OK);
		step = rx(&l, &there, say.buf, say.len);
		text_clear(&say);
		pdu_encode(&l.rsp, bhs);
		assert_int_equal(pdu_decode(&back, bhs), PDU_OK);
		assert_true(back.final && !back.login.c);
		assert_int_equal(back.login.csg, stage);
		text_clear(&heard);
		assert_int_equal(text_add_bytes(&heard, l.rsp_text, back.data_len), 0);
		assert_int_equal(nego_rx(&n, &heard, &say), 0);
		assert_int_equal(say.len, 0);
	}
	assert_int_equal(step, LOGIN_DONE);
	assert_int_equal(nego_pending(&n), 0);
	assert_string_equal(nego_value(&n, KEY_TARGET_PORTAL_GROUP_TAG), "1");
	mine = nego_result(&n);
	assert_int_equal(mine.max_send_data, l.params.max_recv_data);
	assert_int_equal(mine.first_burst, l.params.first_burst);
	same_params(&mine, &l.params); /* both have declared the same length */
	login_deinit(&l);
	nego_deinit(&n);
	text_deinit(&say);
	text_deinit(&heard);
}

/* --- no memory --- */

static int fail_at; /* the n-th allocation from now fails; 0: none */

void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);

void *__wrap_calloc(size_t n, size_t size)
{
	return fail_at && --fail_at == 0 ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
	return fail_at && --fail_at == 0 ? NULL : __real_realloc(p, size);
}

static void each_allocation_may_fail(void **state)
{
	int n_failed = 0;

	for (int n = 1;; n++) {
		struct pdu p = request(OP, FFP + 1, false);
		enum login_step step;
		struct login l;

		fail_at = n;
		if (login_init(&l, &offer, GROUP, dice) == 0) {
			step = rx(&l, &p, with_nul(NAMES "MaxBurstLength=512\n"),
				sizeof(NAMES "MaxBurstLength=512\n") - 1);
			if (step == LOGIN_FAILED)
				assert_int_equal(l.status, LOGIN_OUT_OF_RESOURCES);
			else
				assert_int_equal(step, LOGIN_WAIT); /* our FirstBurstLength is yet
								       to be answered */
		}
		login_deinit(&l);
		if (fail_at)
			break;
		n_failed++;
	}
	fail_at = 0;
	assert_true(n_failed >= 4); /* the state, the text in, what is kept, the text out */
}

/* --- a storm --- */

static void random_requests_are_survived(void **state)
{
	static const char *const bits[] = {"InitiatorName=iqn.i", "TargetName=iqn.t", "", "=",
		"MaxBurstLength=512", "AuthMethod=None", "AuthMethod=CHAP", "SessionType=Discovery",
		"Foo=1", "\xff", "HeaderDigest=CRC32C,None"};
	unsigned n_done = 0;

	srand(11);
	for (int round = 0; round < 20000; round++) {
		enum login_step step = LOGIN_WAIT;
		struct login l;

		assert_int_equal(login_init(&l, &offer, GROUP, dice), 0);
		for (int i = 0; i < 12 && step == LOGIN_WAIT; i++) {
			uint8_t t = rand() % 2 ? 0 : (uint8_t)(1 + rand() % 4);
			struct pdu p =
				request(rand() % 8 ? l.rsp.opcode ? l.rsp.final ? l.rsp.login.nsg
										: l.rsp.login.csg
								  : (uint8_t)(rand() % 2)
						   : (uint8_t)(rand() % 4),
					t, rand() % 8 == 0);
			char text[400];
			uint32_t len = 0;

			for (int j = i ? rand() % 3 : 2 + rand() % 3; j > 0; j--)
				len += (uint32_t)sprintf(text + len, "%s",
					       bits[i || j > 2 ? (size_t)rand() % ARRAY_LEN(bits)
							       : (size_t)j - 1]) +
				       1;
			if (rand() % 16 == 0 && len)
				len--;
			step = login_rx(&l, &p, text, len);
			if (step == LOGIN_IDENTIFIED)
				step = rand() % 4 ? login_accept(&l, TSIH, NULL)
						  : login_refuse(&l, LOGIN_NOT_FOUND, "no");
			assert_true(step != LOGIN_IDENTIFIED);
			assert_true(l.rsp_text_len <= 8192);
			assert_int_equal(step == LOGIN_FAILED, l.rsp.login.status_class != 0);
		}
		n_done += step == LOGIN_DONE;
		login_deinit(&l);
	}
	assert_true(n_done > 100);
}

static int setup(void **state)
{
	param_offer_default(&offer);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(conversations_whole_and_cut),
		cmocka_unit_test(what_is_known_at_the_end),
		cmocka_unit_test(nothing_negotiated_leaves_the_defaults),
		cmocka_unit_test(the_caller_refuses),
		cmocka_unit_test(a_request_while_the_caller_thinks),
		cmocka_unit_test(a_request_after_the_end),
		cmocka_unit_test(a_login_into_a_session),
		cmocka_unit_test(what_must_stand_still),
		cmocka_unit_test(a_version_that_we_do_not_speak),
		cmocka_unit_test(t_and_c_together),
		cmocka_unit_test(a_segment_is_at_most_8192),
		cmocka_unit_test(a_text_is_at_most_64_kib),
		cmocka_unit_test(a_login_does_not_go_on_for_ever),
		cmocka_unit_test(a_long_answer_comes_in_pieces),
		cmocka_unit_test(text_into_a_long_answer),
		cmocka_unit_test(ten_thousand_keys),
		cmocka_unit_test(a_held_limit_is_answered_before_the_end),
		cmocka_unit_test(two_ends_log_in),
		cmocka_unit_test(each_allocation_may_fail),
		cmocka_unit_test(random_requests_are_survived),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
