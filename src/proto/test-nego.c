/* test-nego.c - each key's rule as a row, wrong times and wrong sides, and two ends joined in
 * memory. Texts are written with '\n' for the NUL that ends a pair. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "check.h"
#include "nego.h"

static struct param_offer offer;

/* hear - a text from the peer; the answers, with '\n', in `answer`. */
static int hear(struct nego *n, const char *say, char *answer, size_t answer_len)
{
	struct text in, out;
	int r;

	text_init(&in, 1 << 16);
	text_init(&out, 1 << 16);
	assert_int_equal(text_add_bytes(&in, say, (uint32_t)strlen(say)), 0);
	for (uint32_t i = 0; i < in.len; i++)
		if (in.buf[i] == '\n')
			in.buf[i] = '\0';
	r = nego_rx(n, &in, &out);
	assert_true(out.len < answer_len);
	for (uint32_t i = 0; i < out.len; i++)
		answer[i] = out.buf[i] ? out.buf[i] : '\n';
	answer[out.len] = '\0';
	text_deinit(&in);
	text_deinit(&out);
	return r;
}

#define D         "SessionType=Discovery\n"
#define NOUNASKED "InitialR2T=Yes\nImmediateData=No\n"

/* clang-format off */
enum { S = NEGO_SECURITY, O = NEGO_OPERATIONAL, F = NEGO_FULL };
static const struct rule {
	int stage;
	const char *say, *hear;
} rules[] = {
	/* declarations are not answered */
	{ S, "InitiatorName=iqn.x\nInitiatorAlias=a\nTargetName=t\nSessionType=Normal\n", "" },
	{ O, "X#NodeArchitecture=a,b\n", "" },
	{ O, "MaxRecvDataSegmentLength=512\n", "" },
	{ O, "MaxRecvDataSegmentLength=16777215\n", "" },
	{ O, "MaxRecvDataSegmentLength=511\n", "MaxRecvDataSegmentLength=Reject\n" },
	{ O, "MaxRecvDataSegmentLength=16777216\n", "MaxRecvDataSegmentLength=Reject\n" },
	/* lists: the first that we know, in the peer's order */
	{ S, "AuthMethod=None\n", "AuthMethod=None\n" },
	{ S, "AuthMethod=CHAP,None\n", "AuthMethod=None\n" },
	{ S, "AuthMethod=CHAP\n", "AuthMethod=Reject\n" },
	{ S, "AuthMethod=\n", "AuthMethod=Reject\n" },
	{ O, "HeaderDigest=None\n", "HeaderDigest=None\n" },
	{ O, "HeaderDigest=CRC32C,None\nDataDigest=None,CRC32C\n", "HeaderDigest=CRC32C\nDataDigest=None\n" },
	{ O, "HeaderDigest=CRC32C\n", "HeaderDigest=CRC32C\n" },
	{ O, "HeaderDigest=Non\n", "HeaderDigest=Reject\n" },
	{ O, "HeaderDigest=NoneX,None\n", "HeaderDigest=None\n" },
	{ O, "HeaderDigest=,,None\n", "HeaderDigest=None\n" },
	{ O, "HeaderDigest=none\n", "HeaderDigest=Reject\n" },
	{ O, "TaskReporting=FastAbort,ResponseFence,RFC3720\n", "TaskReporting=FastAbort\n" },
	{ O, "TaskReporting=Soon,ResponseFence\n", "TaskReporting=ResponseFence\n" },
	{ O, "TaskReporting=Soon\n", "TaskReporting=Reject\n" },
	/* yes and no */
	{ O, "InitialR2T=Yes\n", "InitialR2T=Yes\n" },
	{ O, "InitialR2T=No\n", "InitialR2T=No\n" },
	{ O, "ImmediateData=Yes\n", "ImmediateData=Yes\n" },
	{ O, "ImmediateData=No\n", "ImmediateData=No\n" },
	{ O, "ImmediateData=yes\n", "ImmediateData=Reject\n" },
	{ O, "ImmediateData=\n", "ImmediateData=Reject\n" },
	{ O, "DataPDUInOrder=No\nDataSequenceInOrder=No\n", "DataPDUInOrder=Yes\nDataSequenceInOrder=Yes\n" },
	{ O, "DataPDUInOrder=Yes\n", "DataPDUInOrder=Yes\n" },
	/* numbers */
	{ O, "MaxBurstLength=262144\n", "MaxBurstLength=262144\n" },
	{ O, "MaxBurstLength=16776192\n", "MaxBurstLength=1048576\n" },
	{ O, "MaxBurstLength=0x40000\n", "MaxBurstLength=262144\n" },
	{ O, "MaxBurstLength=0X40000\n", "MaxBurstLength=262144\n" },
	{ O, "MaxBurstLength=511\n", "MaxBurstLength=Reject\n" },
	{ O, "MaxBurstLength=16777216\n", "MaxBurstLength=Reject\n" },
	{ O, "MaxBurstLength=99999999999999999999999999\n", "MaxBurstLength=Reject\n" },
	{ O, "MaxBurstLength=-1\n", "MaxBurstLength=Reject\n" },
	{ O, "MaxBurstLength=1024k\n", "MaxBurstLength=Reject\n" },
	{ O, "MaxBurstLength= 1024\n", "MaxBurstLength=Reject\n" },
	{ O, "MaxBurstLength=0x\n", "MaxBurstLength=Reject\n" },
	{ O, "MaxBurstLength=\n", "MaxBurstLength=Reject\n" },
	{ O, "MaxBurstLength=None\n", "MaxBurstLength=Reject\n" },
	{ O, "FirstBurstLength=262144\n", "FirstBurstLength=65536\n" },
	{ O, "FirstBurstLength=8192\n", "FirstBurstLength=8192\n" },
	{ O, "FirstBurstLength=65536\nMaxBurstLength=16384\n", "MaxBurstLength=16384\nFirstBurstLength=16384\n" },
	{ O, "MaxOutstandingR2T=1\n", "MaxOutstandingR2T=1\n" },
	{ O, "MaxOutstandingR2T=65535\n", "MaxOutstandingR2T=32\n" },
	{ O, "MaxOutstandingR2T=0\n", "MaxOutstandingR2T=Reject\n" },
	{ O, "MaxConnections=8\n", "MaxConnections=1\n" },
	{ O, "DefaultTime2Wait=2\nDefaultTime2Retain=0\n", "DefaultTime2Wait=2\nDefaultTime2Retain=0\n" },
	{ O, "DefaultTime2Wait=0\nDefaultTime2Retain=3600\n", "DefaultTime2Wait=0\nDefaultTime2Retain=0\n" },
	{ O, "DefaultTime2Wait=3601\n", "DefaultTime2Wait=Reject\n" },
	{ O, "ErrorRecoveryLevel=2\n", "ErrorRecoveryLevel=0\n" },
	{ O, "ErrorRecoveryLevel=3\n", "ErrorRecoveryLevel=Reject\n" },
	{ O, "iSCSIProtocolLevel=3\n", "iSCSIProtocolLevel=2\n" },
	{ O, "iSCSIProtocolLevel=2\n", "iSCSIProtocolLevel=2\n" },
	{ O, "iSCSIProtocolLevel=1\n", "iSCSIProtocolLevel=1\n" },
	{ O, "iSCSIProtocolLevel=0\n", "iSCSIProtocolLevel=0\n" },
	/* what cannot apply */
	{ O, NOUNASKED "FirstBurstLength=8192\n", NOUNASKED "FirstBurstLength=Irrelevant\n" },
	{ O, "FirstBurstLength=8192\n" NOUNASKED, NOUNASKED "FirstBurstLength=Irrelevant\n" },
	{ O, "InitialR2T=No\nImmediateData=No\nFirstBurstLength=8192\n", "InitialR2T=No\nImmediateData=No\nFirstBurstLength=8192\n" },
	{ O, D "MaxBurstLength=512\nFirstBurstLength=512\n", "MaxBurstLength=Irrelevant\nFirstBurstLength=Irrelevant\n" },
	{ O, "InitialR2T=Yes\nImmediateData=Yes\n" D, "InitialR2T=Irrelevant\nImmediateData=Irrelevant\n" },
	{ O, D "MaxConnections=1\nMaxOutstandingR2T=1\n", "MaxConnections=Irrelevant\nMaxOutstandingR2T=Irrelevant\n" },
	{ O, D "DataPDUInOrder=No\nDataSequenceInOrder=No\n", "DataPDUInOrder=Irrelevant\nDataSequenceInOrder=Irrelevant\n" },
	{ O, D "TaskReporting=RFC3720\niSCSIProtocolLevel=1\n", "TaskReporting=Irrelevant\niSCSIProtocolLevel=Irrelevant\n" },
	{ O, D "ErrorRecoveryLevel=0\nHeaderDigest=None\nDefaultTime2Wait=2\n", "HeaderDigest=None\nDefaultTime2Wait=2\nErrorRecoveryLevel=0\n" },
	/* obsolete and foreign */
	{ O, "IFMarker=No\nOFMarker=Yes\n", "IFMarker=No\nOFMarker=No\n" },
	{ O, "IFMarkInt=2048~8192\nOFMarkInt=2048\n", "IFMarkInt=Reject\nOFMarkInt=Reject\n" },
	{ O, "RDMAExtensions=Yes\n", "RDMAExtensions=No\n" },
	{ O, "X-com.example.fast=Yes\n", "X-com.example.fast=NotUnderstood\n" },
	{ O, "Maxburstlength=512\n", "Maxburstlength=NotUnderstood\n" },
	{ O, "Foo=NotUnderstood\n", "" },
	{ S, "CHAP_A=5\n", "" },
	{ S, "CHAP_X=5\n", "CHAP_X=NotUnderstood\n" },
	/* full feature phase */
	{ F, "MaxRecvDataSegmentLength=1024\n", "" },
	{ F, "InitiatorAlias=new\n", "" },
	{ F, "SendTargets=All\n", "" },
	{ F, "X-a=1\nFoo=2\n", "X-a=NotUnderstood\nFoo=NotUnderstood\n" },
	{ F, "", "" },
};

static const struct { int stage; const char *say; int end; const char *why; } faults[] = {
	{ O, "MaxBurstLength=512\nMaxBurstLength=512\n", NEGO_PROTOCOL_ERROR, "MaxBurstLength stands twice in one text" },
	{ O, "IFMarker=No\nIFMarker=No\n", NEGO_PROTOCOL_ERROR, "IFMarker stands twice in one text" },
	{ O, "InitiatorName=a\nInitiatorName=b\n", NEGO_PROTOCOL_ERROR, "InitiatorName stands twice in one text" },
	{ O, "MaxBurstLength=Reject\n", NEGO_PROTOCOL_ERROR, "MaxBurstLength was offered with a reserved word" },
	{ O, "MaxBurstLength=Irrelevant\n", NEGO_PROTOCOL_ERROR, "MaxBurstLength was offered with a reserved word" },
	{ O, "HeaderDigest=NotUnderstood\n", NEGO_PROTOCOL_ERROR, "HeaderDigest was offered with a reserved word" },
	{ O, "InitiatorName=Reject\n", NEGO_PROTOCOL_ERROR, "InitiatorName was offered with a reserved word" },
	{ O, "TargetAlias=x\n", NEGO_PROTOCOL_ERROR, "TargetAlias is not the sender's to say" },
	{ O, "TargetPortalGroupTag=1\n", NEGO_PROTOCOL_ERROR, "TargetPortalGroupTag is not the sender's to say" },
	{ O, "SendTargets=All\n", NEGO_PROTOCOL_ERROR, "SendTargets belongs into the full feature phase" },
	{ O, "AuthMethod=None\n", NEGO_PROTOCOL_ERROR, "AuthMethod belongs into the security stage" },
	{ S, "MaxBurstLength=512\n", NEGO_PROTOCOL_ERROR, "MaxBurstLength belongs into the operational stage" },
	{ S, "MaxRecvDataSegmentLength=512\n", NEGO_PROTOCOL_ERROR, "MaxRecvDataSegmentLength belongs into the operational stage" },
	{ F, "MaxBurstLength=512\n", NEGO_PROTOCOL_ERROR, "MaxBurstLength belongs into the login" },
	{ F, "HeaderDigest=None\n", NEGO_PROTOCOL_ERROR, "HeaderDigest belongs into the login" },
	{ F, "InitiatorName=x\n", NEGO_PROTOCOL_ERROR, "InitiatorName belongs into the login" },
	{ O, "MaxBurstLength\n", NEGO_MALFORMED, "the text is not made of key=value pairs" },
	{ O, "MaxBurstLength=512", NEGO_MALFORMED, "the text is not made of key=value pairs" },
	{ O, "=\n", NEGO_MALFORMED, "the text is not made of key=value pairs" },
};
/* clang-format on */

static void each_key_by_its_row(void **state)
{
	char answer[4096];

	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		struct nego n;

		nego_init(&n, NEGO_TARGET, (enum nego_stage)rules[i].stage, true, &offer, NULL);
		assert_int_equal(hear(&n, rules[i].say, answer, sizeof(answer)), 0);
		assert_string_equal(answer, rules[i].hear);
		nego_deinit(&n);
	}
}

static void faults_of_the_peer(void **state)
{
	char answer[4096];

	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		struct nego n;

		nego_init(&n, NEGO_TARGET, (enum nego_stage)faults[i].stage, true, &offer, NULL);
		assert_int_equal(hear(&n, faults[i].say, answer, sizeof(answer)), faults[i].end);
		assert_string_equal(n.why, faults[i].why);
		nego_deinit(&n);
		nego_deinit(&n);
	}
}

/* --- over several texts --- */

static struct nego target(enum nego_stage stage)
{
	struct nego n;

	nego_init(&n, NEGO_TARGET, stage, true, &offer, NULL);
	return n;
}

#define HEAR(n, say, want)                                                                         \
	do {                                                                                       \
		char answer_[4096];                                                                \
		assert_int_equal(hear(n, say, answer_, sizeof(answer_)), 0);                       \
		assert_string_equal(answer_, want);                                                \
	} while (0)
#define FAULT(n, say, why_)                                                                        \
	do {                                                                                       \
		char answer_[4096];                                                                \
		assert_int_equal(hear(n, say, answer_, sizeof(answer_)), NEGO_PROTOCOL_ERROR);     \
		assert_string_equal((n)->why, why_);                                               \
	} while (0)

static void a_key_is_negotiated_once(void **state)
{
	struct nego n = target(NEGO_OPERATIONAL);

	HEAR(&n, "MaxBurstLength=8192\n", "MaxBurstLength=8192\n");
	FAULT(&n, "MaxBurstLength=8192\n", "MaxBurstLength was negotiated twice");
	nego_deinit(&n);

	n = target(NEGO_OPERATIONAL);
	HEAR(&n, "MaxBurstLength=1\n", "MaxBurstLength=Reject\n");
	FAULT(&n, "MaxBurstLength=8192\n", "MaxBurstLength was negotiated twice");
	nego_deinit(&n);
}

static void a_declaration_may_be_repeated_not_changed(void **state)
{
	struct nego n = target(NEGO_SECURITY);

	HEAR(&n, "InitiatorName=iqn.a\nSessionType=Normal\n", "");
	n.stage = NEGO_OPERATIONAL;
	HEAR(&n, "InitiatorName=iqn.a\nSessionType=Normal\nMaxRecvDataSegmentLength=4096\n", "");
	assert_string_equal(nego_value(&n, KEY_INITIATOR_NAME), "iqn.a");
	HEAR(&n, "MaxRecvDataSegmentLength=4096\n", "");
	FAULT(&n, "MaxRecvDataSegmentLength=4097\n", "MaxRecvDataSegmentLength was said twice");
	FAULT(&n, "SessionType=Discovery\n", "SessionType was said twice");
	FAULT(&n, "InitiatorName=iqn.b\n", "InitiatorName was said twice");
	nego_deinit(&n);
}

static void results_are_kept(void **state)
{
	struct nego n = target(NEGO_OPERATIONAL);
	struct params p;

	HEAR(&n,
		"InitialR2T=No\nImmediateData=Yes\nMaxBurstLength=131072\nFirstBurstLength=32768\n"
		"MaxRecvDataSegmentLength=65536\nMaxOutstandingR2T=4\nDefaultTime2Wait=5\n",
		"InitialR2T=No\nImmediateData=Yes\nMaxBurstLength=131072\nFirstBurstLength=32768\n"
		"MaxOutstandingR2T=4\nDefaultTime2Wait=5\n");
	p = nego_result(&n);
	assert_false(p.initial_r2t);
	assert_true(p.immediate_data);
	assert_int_equal(p.max_burst, 131072);
	assert_int_equal(p.first_burst, 32768);
	assert_int_equal(p.max_send_data, 65536);
	assert_int_equal(p.max_recv_data, 8192); /* until we have declared ours */
	assert_int_equal(p.max_outstanding_r2t, 4);
	assert_int_equal(p.default_time2wait, 5);
	assert_int_equal(p.default_time2retain, 20); /* not mentioned */
	nego_deinit(&n);
}

static void a_bad_value_leaves_the_default(void **state)
{
	struct nego n = target(NEGO_OPERATIONAL);

	HEAR(&n, "MaxBurstLength=none\n", "MaxBurstLength=Reject\n");
	assert_true(nego_rejected(&n, KEY_MAX_BURST));
	assert_true(nego_heard(&n, KEY_MAX_BURST));
	assert_int_equal(nego_result(&n).max_burst, 262144);
	nego_deinit(&n);
}

static void first_burst_never_passes_max_burst(void **state)
{
	struct nego n = target(NEGO_OPERATIONAL);

	HEAR(&n, "FirstBurstLength=65536\n", "FirstBurstLength=65536\n");
	HEAR(&n, "MaxBurstLength=16384\n", "MaxBurstLength=16384\n");
	assert_int_equal(nego_result(&n).first_burst, 16384);
	nego_deinit(&n);
}

static void a_second_connection_has_fewer_keys(void **state)
{
	struct nego n;

	nego_init(&n, NEGO_TARGET, NEGO_OPERATIONAL, false, &offer, NULL);
	HEAR(&n, "HeaderDigest=None\nMaxRecvDataSegmentLength=8192\n", "HeaderDigest=None\n");
	FAULT(&n, "MaxBurstLength=8192\n", "MaxBurstLength belongs into a leading login");
	nego_deinit(&n);
}

static void long_values(void **state)
{
	char say[400] = "InitiatorAlias=", want[400], *end = say + strlen(say);
	struct nego n = target(NEGO_OPERATIONAL);

	memset(end, 'a', 256);
	strcpy(end + 256, "\n");
	HEAR(&n, say, "InitiatorAlias=Reject\n");
	assert_null(nego_value(&n, KEY_INITIATOR_ALIAS));
	nego_deinit(&n);

	n = target(NEGO_OPERATIONAL);
	strcpy(end + 255, "\n");
	HEAR(&n, say, "");
	assert_int_equal(strlen(nego_value(&n, KEY_INITIATOR_ALIAS)), 255);
	nego_deinit(&n);

	n = target(NEGO_OPERATIONAL);
	snprintf(say, sizeof(say), "HeaderDigest=%0255d,None\n", 0);
	snprintf(want, sizeof(want), "HeaderDigest=Reject\n");
	HEAR(&n, say, want);
	nego_deinit(&n);
}

/* --- limits of ours that the peer does not mention --- */

static char *said(struct text *out)
{
	static char buf[4096];

	assert_true(out->len < sizeof(buf));
	for (uint32_t i = 0; i < out->len; i++)
		buf[i] = out->buf[i] ? out->buf[i] : '\n';
	buf[out->len] = '\0';
	return buf;
}

static void a_tighter_limit_is_offered(void **state)
{
	struct param_offer tight = offer;
	struct text out;
	struct nego n;

	text_init(&out, 4096);
	n = target(NEGO_OPERATIONAL);
	assert_int_equal(nego_hold(&n, &out), 0);
	assert_string_equal(said(&out), ""); /* our usual limits are not below the defaults */
	nego_deinit(&n);

	tight.v.max_burst = 16384;
	tight.v.immediate_data = false;
	nego_init(&n, NEGO_TARGET, NEGO_OPERATIONAL, true, &tight, NULL);
	assert_int_equal(nego_hold(&n, &out), 0);
	assert_string_equal(said(&out), "ImmediateData=No\nMaxBurstLength=16384\n");
	assert_int_equal(nego_pending(&n), 1); /* a No to an AND needs no answer */
	assert_false(nego_result(&n).immediate_data);
	HEAR(&n, "MaxBurstLength=8192\n", "");
	assert_int_equal(nego_pending(&n), 0);
	assert_int_equal(nego_result(&n).max_burst, 8192);
	HEAR(&n, "ImmediateData=No\n", ""); /* but may have one */
	nego_deinit(&n);

	nego_init(&n, NEGO_TARGET, NEGO_OPERATIONAL, true, &tight, NULL);
	text_clear(&out);
	assert_int_equal(nego_hold(&n, &out), 0);
	FAULT(&n, "MaxBurstLength=16385\n",
		"MaxBurstLength was answered outside of what was offered");
	nego_deinit(&n);

	nego_init(&n, NEGO_TARGET, NEGO_OPERATIONAL, true, &tight, NULL);
	assert_int_equal(nego_hold(&n, &out), 0);
	FAULT(&n, "MaxBurstLength=Reject\n", "MaxBurstLength as we offered it was rejected");
	nego_deinit(&n);
	text_deinit(&out);
}

static void first_burst_follows_a_small_max_burst(void **state)
{
	struct nego n = target(NEGO_OPERATIONAL);
	struct text out;

	text_init(&out, 4096);
	HEAR(&n, "MaxBurstLength=4096\nInitialR2T=No\n", "InitialR2T=No\nMaxBurstLength=4096\n");
	assert_int_equal(nego_hold(&n, &out), 0);
	assert_string_equal(
		said(&out), "FirstBurstLength=4096\n"); /* the default 65536 would break 13.14 */
	nego_deinit(&n);
	text_deinit(&out);
}

/* --- two ends --- */

/* same_params - field by field: structures are copied without their padding. */
static void same_params(const struct params *a, const struct params *b)
{
	for (enum key k = 0; k < N_KEYS; k++)
		assert_int_equal(param_get(a, &key_rows[k]), param_get(b, &key_rows[k]));
	assert_int_equal(a->max_send_data, b->max_send_data);
}

static const enum key offered[] = {KEY_HEADER_DIGEST, KEY_DATA_DIGEST, KEY_TASK_REPORTING,
	KEY_INITIAL_R2T, KEY_IMMEDIATE_DATA, KEY_DATA_PDU_IN_ORDER, KEY_DATA_SEQ_IN_ORDER,
	KEY_MAX_CONNECTIONS, KEY_MAX_BURST, KEY_FIRST_BURST, KEY_MAX_OUTSTANDING_R2T, KEY_TIME2WAIT,
	KEY_TIME2RETAIN, KEY_ERROR_RECOVERY, KEY_PROTOCOL_LEVEL, KEY_MAX_RECV_DATA};

static void random_offer(struct param_offer *o)
{
	param_offer_default(o);
	o->v.initial_r2t = rand() & 1;
	o->v.immediate_data = rand() & 1;
	o->v.max_burst = 512 + (uint32_t)rand() % 1000000;
	o->v.first_burst = 512 + (uint32_t)rand() % 1000000;
	o->v.max_outstanding_r2t = 1 + (uint32_t)rand() % 32;
	o->v.default_time2wait = (uint32_t)rand() % 3601;
	o->v.default_time2retain = (uint32_t)rand() % 3601;
	o->v.max_recv_data = 512 + (uint32_t)rand() % 1000000;
}

/* Both ends must come to the same results, whatever either of them wants and whichever keys are
 * said. */
static void two_ends_agree(void **state)
{
	srand(1);
	for (int round = 0; round < 3000; round++) {
		struct param_offer oi, ot;
		struct params pi, pt;
		struct text a, b;
		struct nego i, t;
		int trips = 0;

		random_offer(&oi);
		random_offer(&ot);
		text_init(&a, 4096);
		text_init(&b, 4096);
		nego_init(&i, NEGO_INITIATOR, NEGO_OPERATIONAL, true, &oi, NULL);
		nego_init(&t, NEGO_TARGET, NEGO_OPERATIONAL, true, &ot, NULL);
		for (size_t k = 0; k < ARRAY_LEN(offered); k++)
			if (rand() % 4)
				assert_int_equal(nego_offer(&i, offered[k], &a), 0);
		do {
			text_clear(&b);
			assert_int_equal(nego_rx(&t, &a, &b), 0);
			if (!nego_said(&t, KEY_MAX_RECV_DATA))
				assert_int_equal(nego_offer(&t, KEY_MAX_RECV_DATA, &b), 0);
			assert_int_equal(nego_hold(&t, &b), 0);
			text_clear(&a);
			assert_int_equal(nego_rx(&i, &b, &a), 0);
			assert_true(trips++ < 3);
		} while (a.len);
		assert_int_equal(nego_pending(&i), 0);
		assert_int_equal(nego_pending(&t), 0);
		pi = nego_result(&i);
		pt = nego_result(&t);
		assert_int_equal(pi.max_recv_data, pt.max_send_data);
		assert_int_equal(pi.max_send_data, pt.max_recv_data);
		assert_true(
			pt.max_burst <= ot.v.max_burst); /* held, said by the initiator or not */
		assert_true(pt.first_burst <= pt.max_burst);
		pi.max_recv_data = pt.max_recv_data;
		pi.max_send_data = pt.max_send_data;
		same_params(&pi, &pt);
		nego_deinit(&i);
		nego_deinit(&t);
		text_deinit(&a);
		text_deinit(&b);
	}
}

/* --- full feature phase --- */

static void a_new_segment_length_later(void **state)
{
	struct params now;
	struct nego n;

	param_default(&now);
	now.max_burst = 4096;
	now.max_send_data = 65536;
	nego_init(&n, NEGO_TARGET, NEGO_FULL, true, &offer, &now);
	HEAR(&n, "MaxRecvDataSegmentLength=1024\nSendTargets=iqn.a\n", "");
	assert_int_equal(n.params.max_send_data, 1024);
	assert_int_equal(n.params.max_burst, 4096);
	assert_string_equal(nego_value(&n, KEY_SEND_TARGETS), "iqn.a");
	nego_deinit(&n);
}

static void ten_thousand_keys_do_not_fit(void **state)
{
	struct nego n = target(NEGO_OPERATIONAL);
	struct text in, out;

	text_init(&in, 1 << 20);
	text_init(&out, 1 << 16);
	for (int i = 0; i < 10000; i++)
		assert_int_equal(text_addf(&in, "K", "%d", i), 0);
	assert_int_equal(nego_rx(&n, &in, &out), NEGO_TOO_LONG);
	assert_string_equal(n.why, "more keys than can be answered");
	nego_deinit(&n);
	text_deinit(&in);
	text_deinit(&out);
}

static void random_texts_are_survived(void **state)
{
	static const char *const bits[] = {"MaxBurstLength", "=", "\0", "512", "Reject", "None",
		",", "Yes", "InitialR2T", "FirstBurstLength", "HeaderDigest", "IFMarkInt", "x",
		"SessionType", "Discovery", "MaxRecvDataSegmentLength", "NotUnderstood",
		"AuthMethod", "TargetAlias", "\xff"};

	srand(3);
	for (int round = 0; round < 20000; round++) {
		struct nego n = target((enum nego_stage)(rand() % 3));
		struct text in, out;
		int r;

		text_init(&in, 1024);
		text_init(&out, 256);
		for (int i = rand() % 24; i > 0; i--) {
			const char *b = bits[(size_t)rand() % ARRAY_LEN(bits)];

			assert_int_equal(text_add_bytes(&in, b, *b ? (uint32_t)strlen(b) : 1), 0);
		}
		r = nego_rx(&n, &in, &out);
		assert_in_range(r, 0, NEGO_PROTOCOL_ERROR);
		assert_true(out.len <= 256);
		assert_true(nego_result(&n).first_burst <= nego_result(&n).max_burst);
		nego_deinit(&n);
		text_deinit(&in);
		text_deinit(&out);
	}
}

static int setup(void **state)
{
	param_offer_default(&offer);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_key_by_its_row),
		cmocka_unit_test(faults_of_the_peer),
		cmocka_unit_test(a_key_is_negotiated_once),
		cmocka_unit_test(a_declaration_may_be_repeated_not_changed),
		cmocka_unit_test(results_are_kept),
		cmocka_unit_test(a_bad_value_leaves_the_default),
		cmocka_unit_test(first_burst_never_passes_max_burst),
		cmocka_unit_test(a_second_connection_has_fewer_keys),
		cmocka_unit_test(long_values),
		cmocka_unit_test(a_tighter_limit_is_offered),
		cmocka_unit_test(first_burst_follows_a_small_max_burst),
		cmocka_unit_test(two_ends_agree),
		cmocka_unit_test(a_new_segment_length_later),
		cmocka_unit_test(ten_thousand_keys_do_not_fit),
		cmocka_unit_test(random_texts_are_survived),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
