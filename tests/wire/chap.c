/* chap.c - CHAP on the wire (RFC 7143 12.1.3, RFC 1994), a row a login: each hash, values in hex and in base64, names that
 * look like values, and everything that must not be let in: wrong and repeated answers, other identifiers, the target's own
 * challenge thrown back at it. The answers are computed here, by libcrypto alone. */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "scene.h"

enum {
	VALUE_MAX = 1100,
	VALUE_TEXT = 2 * VALUE_MAX + 4,
	TEXT = 6000,
	REFUSED = 0x0201,
	BAD_REQUEST = 0x0200
};

static const struct user {
	const char *name, *secret;
} users[] = {{"alice", "a secret of alice"}, {"0xa1", "begins like hex"},
	{"0bYWxpY2U=", "begins like base64"}, {"0x", "a bare prefix"},
	{"iqn.2026-11.io.berth.test:peer", "its own name"}, {"alice2", "0x6120736563726574"}};
static const struct user self = {"0bdisk", "what the target says"};
enum { N_USERS = sizeof(users) / sizeof(users[0]) };

static const struct hash {
	const char *code;
	const EVP_MD *(*md)(void);
} hashes[] = {{"5", EVP_md5}, {"6", EVP_sha1}, {"7", EVP_sha256}, {"8", EVP_sha3_256}};

/* --- values --- */
struct value {
	uint8_t bytes[VALUE_MAX];
	size_t len;
};

static void value_from(struct value *v, const char *text)
{
	unsigned byte;

	v->len = 0;
	EXPECT(!strncmp(text, "0x", 2) && strlen(text) < 2 * VALUE_MAX,
		"'%s' is no value of the target's", text);
	for (text += 2; sscanf(text, "%2x", &byte) == 1; text += 2)
		v->bytes[v->len++] = (uint8_t)byte;
}

enum form { HEX, HEX_CAPITAL, BASE64, BASE64_CAPITAL, N_FORMS };

static void value_text(const struct value *v, enum form form, char *text)
{
	size_t n = 2;

	if (form == BASE64 || form == BASE64_CAPITAL) {
		strcpy(text, form == BASE64 ? "0b" : "0B");
		EVP_EncodeBlock((unsigned char *)text + 2, v->bytes, (int)v->len);
		return;
	}
	strcpy(text, form == HEX ? "0x" : "0X");
	for (size_t i = 0; i < v->len; i++)
		n += (size_t)sprintf(text + n, form == HEX ? "%02x" : "%02X", v->bytes[i]);
}

/* respond - hash of identifier, secret and challenge. */
static void respond(struct value *v, const struct hash *h, unsigned id, const char *secret,
	const struct value *challenge)
{
	uint8_t in[1 + 64 + VALUE_MAX];
	size_t n = strlen(secret);
	unsigned len;

	in[0] = (uint8_t)id;
	memcpy(in + 1, secret, n);
	memcpy(in + 1 + n, challenge->bytes, challenge->len);
	EXPECT(EVP_Digest(in, 1 + n + challenge->len, v->bytes, &len, h->md(), NULL), "no hash %s",
		h->code);
	v->len = len;
}

/* --- a login, step by step --- */
struct login {
	struct peer *p;
	const struct hash *h;
	unsigned id;
	struct value challenge;
};

static void expect_more(struct peer *p, unsigned want)
{
	struct peer_pdu pdu;
	unsigned status;

	p->text_len = 0;
	status = peer_expect_login(p, &pdu);
	EXPECT(status == want, "status %04x, expected %04x", status, want);
}

/* begin - up to the target's challenge. */
static void begin(const struct daemon *d, struct login *l, const struct hash *h)
{
	char text[600];

	l->p = daemon_connect(d);
	l->h = h;
	snprintf(text, sizeof(text),
		"InitiatorName=%s\nSessionType=Normal\nTargetName=%s\nAuthMethod=CHAP\n",
		l->p->initiator, l->p->target);
	peer_send_login(l->p, 0, 0, 0, text);
	expect_more(l->p, 0);
	EXPECT(!strcmp(peer_said(l->p, "AuthMethod"), "CHAP"), "another method");
	snprintf(text, sizeof(text), "CHAP_A=%s\n", h->code);
	peer_send_login(l->p, 0, 0, 0, text);
	expect_more(l->p, 0);
	EXPECT(!strcmp(peer_said(l->p, "CHAP_A"), h->code), "hash %s", peer_said(l->p, "CHAP_A"));
	l->id = (unsigned)atoi(peer_said(l->p, "CHAP_I"));
	value_from(&l->challenge, peer_said(l->p, "CHAP_C"));
	EXPECT(l->id < 256 && l->challenge.len >= 16, "identifier %u, challenge of %zu bytes",
		l->id, l->challenge.len);
}

static void answer_text(char *text, const char *name, const struct value *v, enum form form)
{
	char value[VALUE_TEXT];

	value_text(v, form, value);
	snprintf(text, TEXT, "CHAP_N=%s\nCHAP_R=%s\n", name, value);
}

static void answer(struct login *l, const struct user *u, enum form form, char *text)
{
	struct value v;

	respond(&v, l->h, l->id, u->secret, &l->challenge);
	answer_text(text, u->name, &v, form);
}

/* let_in - the rest of a login that was let in: it works. */
static void let_in(struct peer *p)
{
	struct peer_params want = peer_params_default();

	expect_more(p, 0);
	EXPECT_EQ(peer_try_login(p, 1, &want, NULL), 0);
	peer_settle(p);
	peer_logout(p);
}

static void turned_away(struct peer *p, unsigned status)
{
	struct peer_pdu pdu;
	unsigned is = peer_expect_login(p, &pdu);

	EXPECT(is == status, "status %04x, expected %04x", is, status);
	EXPECT(!peer_said(p, "CHAP_R"), "the target answers who is not let in");
	peer_expect_close(p);
	peer_close(p);
}

static void start(struct daemon *d, struct daemon *guarded, char *path)
{
	const char *args[] = {"--chap-file", path, NULL};
	FILE *f;

	sprintf(path, "%s/users", d->dir);
	f = fopen(path, "we");
	EXPECT(f, "no file %s", path);
	for (unsigned i = 0; i < N_USERS; i++)
		fprintf(f, "\"%s\" \"%s\"\n", users[i].name, users[i].secret);
	fprintf(f, "=%s \"%s\"\n", self.name, self.secret);
	EXPECT(!fclose(f) && !chmod(path, 0600), "%s", path);
	daemon_start(guarded, args, &(struct daemon_disk){.ram = "1M"});
}

static void stop(struct daemon *guarded, const char *path)
{
	peer_close_all();
	daemon_settled(guarded);
	daemon_stop(guarded);
	daemon_remove(guarded, false);
	remove(path);
}

/* --- who is let in --- */
static void every_hash_form_and_name(struct daemon *d)
{
	struct daemon g = {0};
	char path[96], text[TEXT];

	start(d, &g, path);
	for (unsigned h = 0; h < sizeof(hashes) / sizeof(hashes[0]); h++) {
		for (unsigned i = 0; i < N_USERS * N_FORMS;
			i += h == 2 ? 1 : 5) { /* all of one hash, a part of the others */
			struct login l;

			begin(&g, &l, &hashes[h]);
			answer(&l, &users[i % N_USERS], (enum form)(i / N_USERS), text);
			peer_send_login(l.p, PEER_F, 0, 1, text);
			let_in(l.p);
		}
	}
	stop(&g, path);
}

/* The first of the initiator's list that the target knows. */
static void lists_of_hashes(struct daemon *d)
{
	static const struct {
		const char *list, *chosen;
	} rows[] = {{"8,7,6,5", "8"}, {"6,5", "6"}, {"99,7", "7"}, {"1,2,3,4,5", "5"}, {"9", NULL},
		{"", NULL}, {"SHA-256", NULL}, {"0", NULL}, {"55", NULL}};
	struct daemon g = {0};
	char path[96], text[600];

	start(d, &g, path);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct peer *p = daemon_connect(&g);

		snprintf(text, sizeof(text),
			"InitiatorName=%s\nSessionType=Normal\nTargetName=%s\nAuthMethod=CHAP\nCHAP_A=%s\n",
			p->initiator, p->target, rows[i].list);
		peer_send_login(p, 0, 0, 0, text);
		if (!rows[i].chosen) {
			turned_away(p, REFUSED);
			continue;
		}
		expect_more(p, 0);
		EXPECT(!strcmp(peer_said(p, "CHAP_A"), rows[i].chosen), "of %s it took %s",
			rows[i].list, peer_said(p, "CHAP_A"));
		peer_close(p);
	}
	stop(&g, path);
}

/* --- who is not --- */
static void wrong_answers(struct daemon *d)
{
	static const struct {
		const char *name, *keys;
	} rows[] = {
		/* %R: a right response */
		{"no name", "CHAP_R=%R\n"},
		{"no response", "CHAP_N=alice\n"},
		{"an empty name", "CHAP_N=\nCHAP_R=%R\n"},
		{"another's name", "CHAP_N=0xa1\nCHAP_R=%R\n"},
		{"a stranger", "CHAP_N=mallory\nCHAP_R=%R\n"},
		{"the name in hex", "CHAP_N=0x616c696365\nCHAP_R=%R\n"},
		{"the name in base64", "CHAP_N=0bYWxpY2U=\nCHAP_R=%R\n"},
		{"another case", "CHAP_N=Alice\nCHAP_R=%R\n"},
		{"no bytes", "CHAP_N=alice\nCHAP_R=0x\n"},
		{"half a byte more", "CHAP_N=alice\nCHAP_R=%R0\n"},
		{"a byte more", "CHAP_N=alice\nCHAP_R=%R00\n"},
		{"no form", "CHAP_N=alice\nCHAP_R=12345\n"},
		{"not hex", "CHAP_N=alice\nCHAP_R=0xgg\n"},
		{"not base64", "CHAP_N=alice\nCHAP_R=0b!!!!\n"},
		{"nothing at all", ""},
		{"the hash once more", "CHAP_A=7\n"},
		{"half a challenge", "CHAP_N=alice\nCHAP_R=%R\nCHAP_I=1\n"},
		{"the other half", "CHAP_N=alice\nCHAP_R=%R\nCHAP_C=0x0102\n"},
		{"an identifier that is too big",
			"CHAP_N=alice\nCHAP_R=%R\nCHAP_I=256\nCHAP_C=0x0102\n"},
		{"an identifier that is none",
			"CHAP_N=alice\nCHAP_R=%R\nCHAP_I=x\nCHAP_C=0x0102\n"},
		{"an empty challenge", "CHAP_N=alice\nCHAP_R=%R\nCHAP_I=1\nCHAP_C=0x\n"},
		{"a wrong answer with a challenge",
			"CHAP_N=alice\nCHAP_R=0x0011223344556677889900112233445566778899001122334455667788990011\n"
			"CHAP_I=1\nCHAP_C=0x0102\n"},
	};
	struct daemon g = {0};
	char path[96], text[TEXT], right[200];

	start(d, &g, path);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct login l;
		struct value v;
		struct peer_pdu pdu;
		size_t n = 0;
		unsigned status;

		begin(&g, &l, &hashes[2]);
		respond(&v, l.h, l.id, users[0].secret, &l.challenge);
		value_text(&v, HEX, right);
		for (const char *k = rows[i].keys; *k; k++) {
			if (k[0] == '%' && k[1] == 'R') {
				n += (size_t)sprintf(text + n, "%s", right);
				k++;
			} else {
				text[n++] = *k;
			}
		}
		text[n] = '\0';
		l.p->text_len = 0;
		peer_send_login(l.p, PEER_F, 0, 1, text);
		status = peer_expect_login(l.p, &pdu);
		EXPECT(!peer_said(l.p, "CHAP_R"), "%s: it is answered", rows[i].name);
		if (!status) { /* it waits for the rest, and is not let on */
			EXPECT(!strstr(rows[i].keys, "CHAP_N") && !(pdu_get(&pdu, FLAGS) & PEER_F),
				"%s: it was let on", rows[i].name);
		} else {
			EXPECT(status >> 8 == 2, "%s: status %04x", rows[i].name, status);
			peer_expect_close(l.p);
		}
		peer_close(l.p);
	}
	stop(&g, path);
}

/* What was right once is right for its own challenge only: the response of another connection, of another identifier. */
static void answers_of_other_times(struct daemon *d)
{
	struct daemon g = {0};
	char path[96], text[TEXT], old[TEXT];
	struct login a, b;
	struct value v;

	start(d, &g, path);
	begin(&g, &a, &hashes[2]);
	answer(&a, &users[0], HEX, old);
	peer_send_login(a.p, PEER_F, 0, 1, old);
	let_in(a.p);
	for (unsigned i = 0; i < 8; i++) { /* the same, played again */
		begin(&g, &b, &hashes[2]);
		EXPECT(b.challenge.len != a.challenge.len ||
				memcmp(b.challenge.bytes, a.challenge.bytes, a.challenge.len),
			"the same challenge twice");
		peer_send_login(b.p, PEER_F, 0, 1, old);
		turned_away(b.p, REFUSED);
	}
	begin(&g, &b, &hashes[2]);
	respond(&v, b.h, (b.id + 1) & 0xff, users[0].secret, &b.challenge);
	answer_text(text, users[0].name, &v, HEX);
	peer_send_login(b.p, PEER_F, 0, 1, text);
	turned_away(b.p, REFUSED);
	begin(&g, &b, &hashes[2]);
	respond(&v, &hashes[0], b.id, users[0].secret,
		&b.challenge); /* by another hash than agreed on */
	answer_text(text, users[0].name, &v, HEX);
	peer_send_login(b.p, PEER_F, 0, 1, text);
	turned_away(b.p, REFUSED);
	stop(&g, path);
}

/* --- both ways --- */
static void the_target_proves_itself(struct daemon *d)
{
	static const size_t lengths[] = {1, 2, 15, 16, 32, 255, 1024};
	struct daemon g = {0};
	char path[96], text[TEXT], value[VALUE_TEXT];

	start(d, &g, path);
	for (unsigned i = 0; i < 4 * sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct value mine = {.len = lengths[i / 4]}, want, got;
		struct login l;
		size_t n;

		pattern(mine.bytes, mine.len, i, 0);
		begin(&g, &l, &hashes[i % 4]);
		answer(&l, &users[i % N_USERS], HEX, text);
		value_text(&mine, (enum form)(i % N_FORMS), value);
		n = strlen(text);
		snprintf(text + n, sizeof(text) - n, "CHAP_I=%u\nCHAP_C=%s\n", i * 9, value);
		peer_send_login(l.p, PEER_F, 0, 1, text);
		expect_more(l.p, 0);
		EXPECT(peer_said(l.p, "CHAP_N") && !strcmp(peer_said(l.p, "CHAP_N"), self.name),
			"it calls itself otherwise");
		value_from(&got, peer_said(l.p, "CHAP_R"));
		respond(&want, l.h, i * 9, self.secret, &mine);
		EXPECT(got.len == want.len && !memcmp(got.bytes, want.bytes, want.len),
			"challenge of %zu bytes: another response", mine.len);
		peer_close(l.p);
	}
	stop(&g, path);
}

/* Its own challenge is not answered, in whatever form; nor is one that is longer than any (12.1.3). */
static void challenges_that_are_not_answered(struct daemon *d)
{
	struct daemon g = {0};
	char path[96], text[TEXT], value[VALUE_TEXT];

	start(d, &g, path);
	for (unsigned i = 0; i < N_FORMS + 1; i++) {
		struct value mine = {.len = 1025};
		struct login l;
		size_t n;

		begin(&g, &l, &hashes[2]);
		if (i < N_FORMS)
			mine = l.challenge;
		answer(&l, &users[0], HEX, text);
		value_text(&mine, (enum form)(i % N_FORMS), value);
		n = strlen(text);
		snprintf(text + n, sizeof(text) - n, "CHAP_I=%u\nCHAP_C=%s\n", i % 2 ? l.id : 3,
			value);
		peer_send_login(l.p, PEER_F, 0, 1, text);
		turned_away(l.p, REFUSED);
	}
	stop(&g, path);
}

/* --- around it --- */
static void no_way_around(struct daemon *d)
{
	static const struct {
		unsigned csg, nsg;
		const char *keys;
	} rows[] = {{1, 3, ""}, {1, 3, "AuthMethod=None\n"}, {0, 1, "AuthMethod=None\n"},
		{0, 3, "AuthMethod=None\n"}, {0, 1, ""}, {0, 3, ""},
		{0, 1, "AuthMethod=KRB5,SRP\n"},
		{0, 1, "AuthMethod=None,CHAP\nCHAP_N=alice\nCHAP_R=0x00\n"}};
	struct daemon g = {0};
	char path[96], text[600];

	start(d, &g, path);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct peer *p = daemon_connect(&g);
		struct peer_pdu pdu;
		unsigned status;

		snprintf(text, sizeof(text),
			"InitiatorName=%s\nSessionType=Normal\nTargetName=%s\n%s", p->initiator,
			p->target, rows[i].keys);
		peer_send_login(p, PEER_F, rows[i].csg, rows[i].nsg, text);
		status = peer_expect_login(p, &pdu);
		if (!status) { /* it goes on asking; nothing opens */
			EXPECT(!(pdu_get(&pdu, FLAGS) & PEER_F), "row %u: it was let on", i);
			peer_send_login(p, PEER_F, 1, 3, "");
			status = peer_expect_login(p, &pdu);
		}
		EXPECT(status >> 8 == 2, "row %u: status %04x", i, status);
		peer_expect_close(p);
		peer_close(p);
	}
	stop(&g, path);
}

static const struct scene_case cases[] = {
	CASE(every_hash_form_and_name, .ram = "1M", .ours = true),
	CASE(lists_of_hashes, .ram = "1M", .ours = true),
	CASE(wrong_answers, .ram = "1M", .ours = true),
	CASE(answers_of_other_times, .ram = "1M", .ours = true),
	CASE(the_target_proves_itself, .ram = "1M", .ours = true),
	CASE(challenges_that_are_not_answered, .ram = "1M", .ours = true),
	CASE(no_way_around, .ram = "1M", .ours = true),
};
SCENES(cases)
