/* login.c - conversations of the login phase: good ones at both stages, and everything that is not
 * one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "scene.h"

static const char NAMES[] = "InitiatorName=iqn.2026-11.io.berth.test:peer\n";

/* usable - the session works: a write comes back, and the logout ends it. */
static void usable(struct peer *p)
{
	uint8_t out[4096], in[4096];

	peer_settle(p);
	pattern(out, sizeof(out), p->isid, 0);
	peer_write(p, 64, 8, out);
	peer_read(p, 64, 8, in);
	EXPECT(!memcmp(in, out, sizeof(in)), "read back something else");
	peer_logout(p);
}

static void log_in_from(struct daemon *d, unsigned csg, const struct peer_cut *cut)
{
	struct peer_params want = peer_params_default();
	struct peer *p = daemon_connect(d);

	peer_set_cut(p, cut);
	EXPECT_EQ(peer_try_login(p, csg, &want, NULL), 0);
	EXPECT(p->params.initial_r2t && !p->params.immediate_data, "not what was offered");
	EXPECT(peer_said(p, "TargetPortalGroupTag"), "no TargetPortalGroupTag"); /* 13.9 */
	usable(p);
}

static void operational_stage(struct daemon *d)
{
	log_in_from(d, 1, NULL);
}

static void both_stages(struct daemon *d)
{
	log_in_from(d, 0, NULL);
}

static void byte_by_byte(struct daemon *d)
{
	log_in_from(d, 0, &(struct peer_cut){.every = 1});
	log_in_from(d, 1, &(struct peer_cut){.every = 47, .delay_us = 200});
}

static void security_stage_to_full_feature(struct daemon *d)
{
	struct peer *p = daemon_connect(d);
	struct peer_pdu pdu;
	char keys[600];

	snprintf(keys, sizeof(keys), "%sSessionType=Normal\nTargetName=%s\nAuthMethod=None\n",
		NAMES, d->iqn);
	peer_send_login(p, PEER_F, 0, 3, keys);
	EXPECT_EQ(peer_expect_login(p, &pdu), 0);
	EXPECT_EQ(pdu_get(&pdu, FLAGS) & (PEER_F | 15), PEER_F | 3);
	EXPECT(!strcmp(peer_said(p, "AuthMethod") ? peer_said(p, "AuthMethod") : "", "None"),
		"AuthMethod is not answered");
	p->params.max_burst = 262144; /* nothing negotiated: the RFC's defaults */
	p->params.max_recv_data = 8192;
	p->full = true;
	usable(p);
}

/* The text is cut in the middle of a key: the C bit says that more comes, and the target may answer
 * nothing of it but an empty response before it has all (RFC 7143 6.2, 11.12.2). */
static void continued_text(struct daemon *d)
{
	struct peer *p = daemon_connect(d);
	char keys[600], text[600];
	struct peer_pdu pdu;
	uint32_t len;

	snprintf(keys, sizeof(keys),
		"%sTargetName=%s\nSessionType=Normal\nInitialR2T=Yes\nImmediateData=No\n", NAMES,
		d->iqn);
	len = peer_text(text, sizeof(text), keys);
	for (uint32_t at = 0, piece = 29; at < len; at += piece) {
		bool last = at + piece >= len;

		piece = last ? len - at : piece;
		peer_login_pdu(p, &pdu, last ? PEER_F : PEER_C, 1, 3, text + at, piece);
		peer_send(p, &pdu);
		EXPECT_EQ(peer_expect_login(p, &pdu), 0);
		EXPECT(last || (!pdu.data_len && !(pdu_get(&pdu, FLAGS) & PEER_F)),
			"an answer to half a text");
	}
	EXPECT_EQ(pdu_get(&pdu, FLAGS) & (PEER_F | 3), PEER_F | 3);
	p->params.max_burst = 262144;
	p->params.max_recv_data = 8192;
	p->full = true;
	usable(p);
}

static void answers(struct daemon *d)
{
	static const struct {
		const char *said, *key, *heard;
	} rows[] = {
		{"X-com.example.colour=blue\n", "X-com.example.colour", "NotUnderstood"},
		{"Colour=blue\n", "Colour", "NotUnderstood"},
		{"IFMarker=No\n", "IFMarker",
			"Reject"}, /* 13.25: obsolete, Reject or NotUnderstood */
	};
	struct peer_params want = peer_params_default();

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct peer *p = daemon_connect(d);
		const char *heard;

		EXPECT_EQ(peer_try_login(p, 1, &want, rows[i].said), 0);
		heard = peer_said(p, rows[i].key);
		EXPECT(heard && (!strcmp(heard, rows[i].heard) || !strcmp(heard, "NotUnderstood") ||
					!strcmp(heard, "No")),
			"%s is answered with %s", rows[i].key, heard ? heard : "nothing");
		usable(p);
	}
}

/* Outside its range a value is answered with Reject, or the login fails; it is never taken. */
static void values_out_of_range(struct daemon *d)
{
	static const char *const said[] = {"MaxConnections=0\n", "DefaultTime2Wait=99999\n",
		"ErrorRecoveryLevel=7\n", "MaxOutstandingR2T=0\n", "DataPDUInOrder=Perhaps\n",
		"HeaderDigest=MD5\n"};

	for (unsigned i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
		struct peer *p = daemon_connect(d);
		char keys[700], key[64];
		const char *heard;
		struct peer_pdu pdu;

		snprintf(keys, sizeof(keys), "%sTargetName=%s\nSessionType=Normal\n%s", NAMES,
			d->iqn, said[i]);
		snprintf(key, sizeof(key), "%.*s", (int)strcspn(said[i], "="), said[i]);
		peer_send_login(p, 0, 1, 0, keys);
		if (peer_expect_login(p, &pdu) == 0) {
			heard = peer_said(p, key);
			EXPECT(heard && !strcmp(heard, "Reject"), "%s is answered with %s", key,
				heard ? heard : "nothing");
		}
		peer_close(p);
	}
}

static void discovery(struct daemon *d)
{
	struct peer_params want = peer_params_default();
	struct peer *p = daemon_connect(d);
	char here[100], named[300];
	const char *found;

	p->discovery = true;
	EXPECT_EQ(peer_try_login(p, 1, &want, NULL), 0);
	snprintf(here, sizeof(here), "%s:%u,", d->host, d->port);
	snprintf(named, sizeof(named), "SendTargets=%s", d->iqn);
	for (unsigned i = 0; i < 2; i++) {
		peer_ask(p, i ? named : "SendTargets=All");
		found = peer_said(p, "TargetName");
		EXPECT(found && !strcmp(found, d->iqn), "TargetName is %s",
			found ? found : "missing");
		found = peer_said(p, "TargetAddress");
		EXPECT(found && !strncmp(found, here, strlen(here)) && found[strlen(here)],
			"TargetAddress is %s, expected %sTAG", found ? found : "missing", here);
	}
	peer_ask(p, "SendTargets=iqn.2026-11.io.berth:nobody");
	EXPECT(!peer_said(p, "TargetName"), "a target that does not exist was told");
	peer_logout(p);
}

static void commands_in_discovery(struct daemon *d)
{
	struct peer_params want = peer_params_default();
	struct peer *p = daemon_connect(d);
	struct peer_cmd c = {0};
	struct peer_pdu pdu;

	p->discovery = true;
	EXPECT_EQ(peer_try_login(p, 0, &want, NULL), 0);
	peer_cmd_pdu(p, &pdu, &c);
	peer_send(p, &pdu);
	p->cmdsn--; /* RFC 7143 4.2.2.1: a PDU that is rejected uses up its number or not: go on
		       either way */
	peer_expect_reject(p, 0, &pdu);
	p->cmdsn = p->expcmdsn;
	peer_logout(p);
}

/* --- refusals: a status, then the end --- */
static void refused(struct peer *p, unsigned low, unsigned high)
{
	struct peer_pdu pdu;
	unsigned status = peer_expect_login(p, &pdu);

	EXPECT(status >= low && status <= high, "status 0x%04x, expected 0x%04x to 0x%04x", status,
		low, high);
	peer_expect_close(p);
	peer_close(p);
}

static void refused_keys(struct daemon *d, const char *keys, unsigned low, unsigned high)
{
	struct peer *p = daemon_connect(d);

	peer_send_login(p, PEER_F, 1, 3, keys);
	refused(p, low, high);
}

static void missing_and_wrong_names(struct daemon *d)
{
	char keys[400];

	snprintf(keys, sizeof(keys), "SessionType=Normal\nTargetName=%s\n", d->iqn);
	refused_keys(d, keys, 0x0207, 0x0207);
	snprintf(keys, sizeof(keys), "%sSessionType=Normal\n", NAMES);
	refused_keys(d, keys, 0x0207, 0x0207);
	snprintf(keys, sizeof(keys), "%sTargetName=iqn.2026-11.io.berth:nobody\n", NAMES);
	refused_keys(d, keys, 0x0203, 0x0203);
	snprintf(keys, sizeof(keys), "InitiatorName=not a name\nTargetName=%s\n", d->iqn);
	refused_keys(d, keys, 0x0200, 0x02ff);
	snprintf(keys, sizeof(keys), "%sTargetName=%s\nSessionType=Strange\n", NAMES, d->iqn);
	refused_keys(d, keys, 0x0200, 0x02ff);
}

static void version_and_session(struct daemon *d)
{
	struct peer *p;
	char keys[400], text[400];
	struct peer_pdu pdu;
	uint32_t len;

	snprintf(keys, sizeof(keys), "%sTargetName=%s\nSessionType=Normal\n", NAMES, d->iqn);
	len = peer_text(text, sizeof(text), keys);
	p = daemon_connect(d);
	peer_login_pdu(p, &pdu, PEER_F, 1, 3, text, len);
	pdu_set(&pdu, VERSION_MAX, 2);
	pdu_set(&pdu, VERSION_MIN, 1);
	peer_send(p, &pdu);
	refused(p, 0x0205, 0x0205);

	p = daemon_connect(d); /* a TSIH that nobody gave */
	p->tsih = 0x7777;
	peer_send_login(p, PEER_F, 1, 3, keys);
	refused(p, 0x020a, 0x020a);
}

static void only_chap(struct daemon *d)
{
	struct peer *p = daemon_connect(d);
	char keys[400];

	snprintf(keys, sizeof(keys), "%sTargetName=%s\nAuthMethod=CHAP\n", NAMES, d->iqn);
	peer_send_login(p, PEER_F, 0, 1, keys);
	refused(p, 0x0200, 0x02ff);
}

static void second_connection_of_a_session(struct daemon *d)
{
	struct peer *a = daemon_peer(d, NULL), *b = daemon_connect(d);
	char keys[400];

	b->isid = a->isid;
	b->tsih = a->tsih;
	b->cid = 2;
	snprintf(keys, sizeof(keys), "%sTargetName=%s\nSessionType=Normal\n", NAMES, d->iqn);
	peer_send_login(b, PEER_F, 1, 3, keys);
	refused(b, 0x0200, 0x02ff); /* MaxConnections is 1 */
	peer_ping(a, 16);
}

/* --- what is no login at all --- */
/* ends - the connection ends; a Login Response with a status may come first, nothing else. */
static void ends(struct peer *p)
{
	struct peer_pdu pdu;
	enum peer_got got = peer_poll(p, &pdu, p->timeout_ms);

	EXPECT(got != PEER_TIMEOUT, "the target neither answers nor closes");
	if (got == PEER_GOT) {
		EXPECT(pdu_get(&pdu, OPCODE) == PEER_LOGIN_RSP && pdu_get(&pdu, STATUS_CLASS),
			"got %s", peer_describe(&pdu));
		peer_expect_close(p);
	}
	peer_close(p);
}

static void garbage(struct daemon *d)
{
	static const char *const texts[] = {"no pair at all", "=value", "Key", "\n\n\n",
		"InitiatorName=a\nInitiatorName=b", "\x01\x02=\x03"};
	uint8_t noise[1024];
	struct peer *p;

	for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		p = daemon_connect(d);
		peer_send_login(p, PEER_F, 1, 3, texts[i]);
		ends(p);
	}
	p = daemon_connect(d); /* a text that does not end with NUL */
	{
		struct peer_pdu pdu;

		peer_login_pdu(p, &pdu, PEER_F, 1, 3, "InitiatorName=x", 15);
		peer_send(p, &pdu);
		ends(p);
	}
	for (unsigned i = 0; i < 50; i++) { /* not even a PDU */
		for (unsigned k = 0; k < sizeof(noise); k++)
			noise[k] = (uint8_t)scene_random(256);
		noise[0] = i % 2 ? noise[0] : 0x43;
		noise[4] = i % 3 ? noise[4] : 0;
		noise[5] = 0;
		p = daemon_connect(d);
		peer_send_bytes(p, noise, sizeof(noise));
		peer_close(p);
	}
	operational_stage(d);
}

/* RFC 7143 6.1: before a login nothing but a login; once it has begun, a status 020b tells so. */
static void other_pdu_first(struct daemon *d)
{
	static const uint8_t opcodes[] = {PEER_NOP_OUT, PEER_COMMAND, PEER_DATA_OUT, PEER_LOGOUT,
		PEER_TEXT, PEER_SNACK, PEER_LOGIN_RSP, 0x1e};
	struct peer *p;
	struct peer_pdu pdu;
	char keys[400];

	for (unsigned i = 0; i < sizeof(opcodes); i++) {
		p = daemon_connect(d);
		peer_pdu(p, &pdu, opcodes[i], PEER_F, 1, NULL, 0);
		peer_send(p, &pdu);
		ends(p);
	}
	p = daemon_connect(d);
	snprintf(keys, sizeof(keys), "%sTargetName=%s\nSessionType=Normal\n", NAMES, d->iqn);
	peer_send_login(p, 0, 1, 0, keys);
	EXPECT_EQ(peer_expect_login(p, &pdu), 0);
	peer_pdu(p, &pdu, PEER_NOP_OUT | PEER_IMMEDIATE, PEER_F, 1, NULL, 0);
	peer_send(p, &pdu);
	ends(p);
}

static void segment_too_long(struct daemon *d)
{
	static const uint32_t lens[] = {8193, 65536, 0xffffff};
	struct peer_pdu pdu;

	for (unsigned i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		struct peer *p = daemon_connect(d);

		peer_login_pdu(p, &pdu, PEER_F, 1, 3, NULL, 0);
		pdu_set(&pdu, DATA_LEN,
			lens[i]); /* 13.12: 8192 until something else was declared */
		peer_send(p, &pdu);
		ends(p);
	}
}

static void endless(struct daemon *d)
{
	struct peer *p = daemon_connect(d);
	struct peer_pdu pdu;
	unsigned i, status = 0;
	char keys[400];

	snprintf(keys, sizeof(keys), "%sTargetName=%s\nSessionType=Normal\n", NAMES, d->iqn);
	for (i = 0; i < 1000 && !status; i++) {
		peer_send_login(p, 0, 1, 0, i ? "" : keys);
		p->text_len = 0;
		status = peer_expect_login(p, &pdu);
	}
	EXPECT(status, "a login of %u requests is still going on", i);
	peer_expect_close(p);
}

static void logins_cut_short(struct daemon *d)
{
	char keys[400];

	snprintf(keys, sizeof(keys), "%sTargetName=%s\nSessionType=Normal\n", NAMES, d->iqn);
	for (unsigned i = 0; i < 100; i++) {
		struct peer *p = daemon_connect(d);
		struct peer_pdu pdu;

		peer_login_pdu(p, &pdu, PEER_F, 1, 3, NULL, 0);
		pdu_set(&pdu, DATA_LEN, 200);
		peer_send_bytes(p, pdu.bhs, scene_random(PEER_BHS + 1));
		if (i % 3 == 0)
			peer_reset(p);
		else
			peer_close(p);
	}
	operational_stage(d);
}

/* --- several sessions --- */
/* Same names, same ISID, TSIH 0: the old session is gone before the new login is answered (6.3.5).
 */
static void reinstatement(struct daemon *d)
{
	struct peer_params want = peer_params_default();
	struct peer *a = daemon_peer(d, NULL), *b;
	uint8_t *old = scene_alloc(65536), *fresh = scene_alloc(65536), *now = scene_alloc(65536);
	struct peer_r2t r;

	pattern(old, 65536, 1, 0);
	pattern(fresh, 65536, 2, 0);
	peer_write(a, 0, 128, old);
	peer_expect_r2t(a, peer_send_write(a, 0, 128), &r);
	peer_answer_part(a, &r, 0, fresh, 0, 32768);

	b = daemon_connect(d);
	b->isid = a->isid;
	EXPECT_EQ(peer_try_login(b, 1, &want, NULL), 0);
	a->timeout_ms = 500; /* it was closed before: nothing to wait for */
	peer_expect_close(a);
	peer_settle(b);
	peer_read(b, 0, 128, now);
	EXPECT(!memcmp(now, old, 65536), "half of the ended write is visible");
	peer_close(a);
	usable(b);
}

static void two_sessions(struct daemon *d)
{
	struct peer *a = daemon_peer(d, NULL), *b = daemon_peer(d, NULL), *c;
	uint8_t out[512], in[512];

	EXPECT(a->tsih != b->tsih, "two sessions with one TSIH");
	pattern(out, sizeof(out), 3, 0);
	peer_write(a, 7, 1, out);
	peer_read(b, 7, 1, in);
	EXPECT(!memcmp(in, out, sizeof(in)), "one session does not see the other's write");
	c = daemon_connect(d); /* the same ISID from another initiator is another session */
	c->isid = a->isid;
	snprintf(c->initiator, sizeof(c->initiator), "iqn.2026-11.io.berth.test:other");
	peer_login(c, &c->params);
	peer_settle(c);
	peer_ping(a, 0);
	peer_logout(c);
	peer_logout(b);
	peer_ping(a, 5);
	peer_logout(a);
}

static const struct scene_case cases[] = {
	CASE(operational_stage),
	CASE(both_stages),
	CASE(byte_by_byte),
	CASE(security_stage_to_full_feature),
	CASE(continued_text),
	CASE(answers),
	CASE(values_out_of_range),
	CASE(discovery),
	CASE(commands_in_discovery),
	CASE(missing_and_wrong_names),
	CASE(version_and_session),
	CASE(only_chap),
	CASE(second_connection_of_a_session),
	CASE(garbage),
	CASE(other_pdu_first),
	CASE(segment_too_long),
	CASE(endless, .ours = true),
	CASE(logins_cut_short),
	CASE(reinstatement),
	CASE(two_sessions),
};
SCENES(cases)
