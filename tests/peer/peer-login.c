/* peer-login.c - the peer's login, text and logout. */
#include "peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 40 }; /* of one negotiation */

uint32_t peer_text(char *buf, size_t room, const char *keys)
{
	size_t len = strlen(keys);

	if (!len)
		return 0;
	EXPECT(len + 1 <= room, "text of %zu bytes has no room", len);
	for (size_t i = 0; i <= len; i++)
		buf[i] = keys[i] == '\n' ? '\0' : keys[i];
	if (keys[len - 1] == '\n')
		return (uint32_t)len;
	return (uint32_t)len + 1;
}

const char *peer_said(const struct peer *p, const char *key)
{
	size_t key_len = strlen(key);

	for (uint32_t at = 0; at < p->text_len; at += (uint32_t)strlen(p->text + at) + 1)
		if (!strncmp(p->text + at, key, key_len) && p->text[at + key_len] == '=')
			return p->text + at + key_len + 1;
	return NULL;
}

/* hear - one more piece of the target's text. */
static void hear(struct peer *p, const struct peer_pdu *pdu)
{
	EXPECT(p->text_len + pdu->data_len < sizeof(p->text), "the target talks too much");
	if (pdu->data_len)
		memcpy(p->text + p->text_len, pdu->data, pdu->data_len);
	p->text_len += pdu->data_len;
	p->text[p->text_len] = '\0';
	if (pdu->data_len && !(pdu_get(pdu, FLAGS) & PEER_C))
		EXPECT(p->text[p->text_len - 1] == '\0', "the text does not end with NUL");
}

void peer_login_pdu(struct peer *p, struct peer_pdu *pdu, uint8_t flags, unsigned csg, unsigned nsg,
	const void *text, uint32_t len)
{
	flags = (uint8_t)(flags | csg << 2 | (flags & PEER_F ? nsg : 0));
	peer_pdu(p, pdu, PEER_LOGIN | PEER_IMMEDIATE, flags, 0, text, len);
	pdu_set(pdu, ISID, p->isid);
	pdu_set(pdu, TSIH, p->tsih);
	pdu_set(pdu, CID, p->cid);
}

void peer_send_login(struct peer *p, uint8_t flags, unsigned csg, unsigned nsg, const char *keys)
{
	char text[PEER_TEXT_LEN];
	struct peer_pdu pdu;

	peer_login_pdu(p, &pdu, flags, csg, nsg, text, peer_text(text, sizeof(text), keys));
	peer_send(p, &pdu);
}

unsigned peer_expect_login(struct peer *p, struct peer_pdu *pdu)
{
	unsigned status;

	peer_expect(p, pdu, PEER_LOGIN_RSP);
	status = (unsigned)(pdu_get(pdu, STATUS_CLASS) << 8 | pdu_get(pdu, STATUS_DETAIL));
	EXPECT_EQ(pdu_get(pdu, VERSION_MAX), 0);
	EXPECT_EQ(pdu_get(pdu, ITT), 0);
	if (!status) {
		EXPECT_EQ(pdu_get(pdu, ISID), p->isid);
		hear(p, pdu);
	}
	return status;
}

static uint32_t said_number(const struct peer *p, const char *key, uint32_t otherwise)
{
	const char *v = peer_said(p, key);

	return v && *v >= '0' && *v <= '9' ? (uint32_t)strtoul(v, NULL, 0) : otherwise;
}

static bool said_yes(const struct peer *p, const char *key, bool otherwise)
{
	const char *v = peer_said(p, key);

	return v ? !strcmp(v, "Yes") : otherwise;
}

static bool said_crc(const struct peer *p, const char *key)
{
	const char *v = peer_said(p, key);

	return v && !strcmp(v, "CRC32C");
}

/* learn - the results: for every key that we offered the target's answer is the result; where it is
 * none (Irrelevant) our own offer holds. */
static void learn(struct peer *p, const struct peer_params *want)
{
	struct peer_params *r = &p->params;

	*r = (struct peer_params){
		.initial_r2t = said_yes(p, "InitialR2T", true),
		.immediate_data = said_yes(p, "ImmediateData", true),
		.max_r2t = said_number(p, "MaxOutstandingR2T", 1),
		.max_burst = said_number(p, "MaxBurstLength", want->max_burst),
		.first_burst = said_number(p, "FirstBurstLength", want->first_burst),
		.max_recv_data = want->max_recv_data,
		.max_send_data = said_number(p, "MaxRecvDataSegmentLength", 8192),
		.header_digest = said_crc(p, "HeaderDigest"),
		.data_digest = said_crc(p, "DataDigest"),
	};
	EXPECT(r->header_digest == want->header_digest && r->data_digest == want->data_digest,
		"digests are not as asked for");
	if (p->discovery)
		return;
	/* An offer is a limit: each result function only narrows it. */
	EXPECT(r->initial_r2t || !want->initial_r2t, "InitialR2T is an OR");
	EXPECT(!r->immediate_data || want->immediate_data, "ImmediateData is an AND");
	EXPECT(r->max_r2t && r->max_r2t <= want->max_r2t, "MaxOutstandingR2T %u", r->max_r2t);
	EXPECT(r->max_burst >= 512 && r->max_burst <= want->max_burst, "MaxBurstLength %u",
		r->max_burst);
	EXPECT(r->first_burst >= 512 && r->first_burst <= want->first_burst, "FirstBurstLength %u",
		r->first_burst);
	EXPECT(r->max_send_data >= 512 && r->max_send_data <= 0xffffff,
		"MaxRecvDataSegmentLength %u", r->max_send_data);
}

static void offer(const struct peer *p, const struct peer_params *want, char *text, size_t room)
{
	int n = snprintf(text, room,
		"HeaderDigest=%s\nDataDigest=%s\nMaxRecvDataSegmentLength=%u\n"
		"DefaultTime2Wait=2\nDefaultTime2Retain=0\nErrorRecoveryLevel=0\n",
		want->header_digest ? "CRC32C" : "None", want->data_digest ? "CRC32C" : "None",
		want->max_recv_data);

	if (!p->discovery)
		n += snprintf(text + n, room - (size_t)n,
			"InitialR2T=%s\nImmediateData=%s\nMaxOutstandingR2T=%u\nMaxBurstLength=%u\n"
			"FirstBurstLength=%u\nMaxConnections=1\nDataPDUInOrder=Yes\n"
			"DataSequenceInOrder=Yes\n",
			want->initial_r2t ? "Yes" : "No", want->immediate_data ? "Yes" : "No",
			want->max_r2t, want->max_burst, want->first_burst);
	EXPECT((size_t)n < room, "the offer has no room");
}

static void introduce(const struct peer *p, unsigned csg, char *text, size_t room)
{
	int n = snprintf(text, room, "InitiatorName=%s\nSessionType=%s\n", p->initiator,
		p->discovery ? "Discovery" : "Normal");

	if (!p->discovery)
		n += snprintf(text + n, room - (size_t)n, "TargetName=%s\n", p->target);
	if (csg == 0)
		n += snprintf(text + n, room - (size_t)n, "AuthMethod=None\n");
	EXPECT((size_t)n < room, "the introduction has no room");
}

unsigned peer_try_login(
	struct peer *p, unsigned csg, const struct peer_params *want, const char *extra)
{
	char text[PEER_TEXT_LEN] = "";
	bool offered = false;
	struct peer_pdu pdu;
	unsigned status;

	p->text_len = 0;
	introduce(p, csg, text, sizeof(text));
	for (unsigned round = 0; round < ROUNDS; round++) {
		size_t used = strlen(text);

		if (csg == 1 && !offered) {
			offer(p, want, text + used, sizeof(text) - used);
			strncat(text, extra ? extra : "", sizeof(text) - strlen(text) - 1);
			offered = true;
		}
		peer_send_login(p, PEER_F, csg, csg == 0 ? 1 : 3, text);
		status = peer_expect_login(p, &pdu);
		if (status)
			return status;
		text[0] = '\0';
		EXPECT_EQ(pdu_get(&pdu, FLAGS) >> 2 & 3, csg);
		if (!(pdu_get(&pdu, FLAGS) & PEER_F))
			continue; /* more of its text, or another round: we have nothing to add */
		csg = pdu_get(&pdu, FLAGS) & 3;
		if (csg != 3)
			continue;
		p->tsih = (uint16_t)pdu_get(&pdu, TSIH);
		EXPECT(p->tsih, "the target gave no TSIH");
		learn(p, want);
		p->full = true;
		return 0;
	}
	FAIL("the login does not end");
}

void peer_login(struct peer *p, const struct peer_params *want)
{
	unsigned status = peer_try_login(p, 1, want, NULL);

	EXPECT(!status, "login refused with status 0x%04x", status);
}

void peer_ask(struct peer *p, const char *keys)
{
	char text[PEER_TEXT_LEN];
	uint32_t itt = peer_itt(p), ttt = PEER_NONE;
	uint32_t len = peer_text(text, sizeof(text), keys);
	struct peer_pdu pdu;

	p->text_len = 0;
	for (unsigned round = 0; round < ROUNDS; round++) {
		peer_pdu(p, &pdu, PEER_TEXT, PEER_F, itt, text, len);
		pdu_set(&pdu, TTT, ttt);
		p->cmdsn++;
		peer_send(p, &pdu);
		peer_expect(p, &pdu, PEER_TEXT_RSP);
		EXPECT_EQ(pdu_get(&pdu, ITT), itt);
		hear(p, &pdu);
		ttt = (uint32_t)pdu_get(&pdu, TTT);
		if (pdu_get(&pdu, FLAGS) & PEER_F) {
			EXPECT(ttt == PEER_NONE, "the last Text Response has a TTT"); /* 11.11.4 */
			return;
		}
		EXPECT(ttt != PEER_NONE, "a Text Response to be continued has no TTT");
		len = 0;
	}
	FAIL("the text does not end");
}

unsigned peer_try_logout(struct peer *p, unsigned reason, uint16_t cid)
{
	uint32_t itt = peer_itt(p);
	struct peer_pdu pdu;

	peer_pdu(p, &pdu, PEER_LOGOUT, (uint8_t)(PEER_F | reason), itt, NULL, 0);
	pdu_set(&pdu, CID, cid);
	p->cmdsn++;
	peer_send(p, &pdu);
	peer_expect(p, &pdu, PEER_LOGOUT_RSP);
	EXPECT_EQ(pdu_get(&pdu, ITT), itt);
	return (unsigned)pdu_get(&pdu, RESPONSE);
}

void peer_logout(struct peer *p)
{
	EXPECT_EQ(peer_try_logout(p, 0, p->cid), 0);
	peer_expect_close(p);
	peer_close(p);
}
