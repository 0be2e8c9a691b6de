/* users.c - who has proved to be one user does not get at what belongs to another. */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "scene.h"

enum { FORBIDDEN = 0x0202, MD5_LEN = 16, SECRET = 13 };

static const char alice[] = "secret of ali", bob[] = "secret of bob";

/* chap_text - CHAP_N and CHAP_R by MD5, out of the target's CHAP_I and CHAP_C (RFC 7143 12.1.3). */
static void chap_text(
	const struct peer *p, const char *user, const char *secret, char *text, size_t room)
{
	const char *challenge = peer_said(p, "CHAP_C");
	uint8_t in[1 + SECRET + 64], out[MD5_LEN];
	unsigned len = 0, n;

	in[len++] = (uint8_t)atoi(peer_said(p, "CHAP_I"));
	memcpy(in + len, secret, SECRET);
	len += SECRET;
	for (unsigned byte; len < sizeof(in) &&
			    sscanf(challenge + 2 + 2 * (len - 1 - SECRET), "%2x", &byte) == 1;)
		in[len++] = (uint8_t)byte;
	EXPECT(EVP_Digest(in, len, out, &n, EVP_md5(), NULL), "no MD5");
	n = (unsigned)snprintf(text, room, "CHAP_N=%s\nCHAP_R=0x", user);
	for (unsigned i = 0; i < MD5_LEN; i++)
		n += (unsigned)snprintf(text + n, room - n, "%02x", out[i]);
	snprintf(text + n, room - n, "\n");
}

/* log_in - the status that it ends with; 0: in full feature phase. */
static unsigned log_in(struct peer *p, const char *user, const char *secret)
{
	struct peer_params want = peer_params_default();
	struct peer_pdu pdu;
	char text[800];
	unsigned status;

	p->isid = 0x800000000001;
	snprintf(text, sizeof(text),
		"InitiatorName=%s\nSessionType=Normal\nTargetName=%s\nAuthMethod=CHAP\n",
		p->initiator, p->target);
	peer_send_login(p, 0, 0, 0, text);
	EXPECT_EQ(peer_expect_login(p, &pdu), 0);
	peer_send_login(p, 0, 0, 0, "CHAP_A=5\n");
	EXPECT_EQ(peer_expect_login(p, &pdu), 0);
	chap_text(p, user, secret, text, sizeof(text));
	peer_send_login(p, PEER_F, 0, 1, text);
	status = peer_expect_login(p, &pdu);
	return status ? status : peer_try_login(p, 1, &want, NULL);
}

/* Bob says Alice's name and ISID: her session is not his to end. Alice herself may begin it anew. */
static void another_users_session(struct daemon *d)
{
	struct daemon guarded = {0};
	char path[96];
	const char *args[] = {"--chap-file", path, NULL};
	struct peer *a, *b;
	FILE *f;

	snprintf(path, sizeof(path), "%s/users", d->dir);
	f = fopen(path, "we");
	EXPECT(f && fprintf(f, "alice \"%s\"\nbob \"%s\"\n", alice, bob) > 0 && !fclose(f), "%s",
		path);
	EXPECT(!chmod(path, 0600), "%s", path);
	daemon_start(&guarded, args, &(struct daemon_disk){.ram = "16M"});
	a = daemon_connect(&guarded);
	EXPECT_EQ(log_in(a, "alice", alice), 0);
	b = daemon_connect(&guarded);
	EXPECT_EQ(log_in(b, "bob", bob), FORBIDDEN);
	peer_expect_close(b);
	peer_ping(a, 7);
	b = daemon_connect(&guarded);
	EXPECT_EQ(log_in(b, "alice", alice), 0);
	peer_expect_close(a);
	peer_logout(b);
	daemon_stop(&guarded);
	daemon_remove(&guarded, false);
	remove(path);
}

static const struct scene_case cases[] = {
	CASE(another_users_session, .ours = true),
};
SCENES(cases)
