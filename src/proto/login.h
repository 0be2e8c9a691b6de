/* login.h - the login phase of one connection, target side: a request goes in, a response comes out.
 *
 * No socket, no session table: what only the rest of the target can know (does this target exist, is
 * it reachable for this initiator, which TSIH) is asked through LOGIN_IDENTIFIED and answered
 * with login_accept() or login_refuse(). Source: RFC 7143 chapters 6, 11.12, 11.13, 13.
 *
 * Stages: security (CSG 0; AuthMethod None, or CHAP when the offer has a list of users: then nobody gets past
 * it without) -> operational (CSG 1) -> full feature. LOGIN_IDENTIFIED comes when the names are known and proved. Texts may span several PDUs (C bit, either direction), at most LOGIN_TEXT_MAX together.
 * A login takes at most LOGIN_PDUS_MAX requests: an endless negotiation is refused.
 *
 * Thread: the connection's reactor. Ownership: the login owns its buffers until login_deinit(). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "param.h"
#include "pdu.h"

enum { LOGIN_TEXT_MAX = 64 << 10, LOGIN_PDUS_MAX = 64 };

/* Status-Class << 8 | Status-Detail (11.13.5). */
enum login_status {
	LOGIN_SUCCESS = 0x0000,
	LOGIN_MOVED_TEMP = 0x0101,
	LOGIN_MOVED_PERM = 0x0102,
	LOGIN_INITIATOR_ERROR = 0x0200,
	LOGIN_AUTH_FAILED = 0x0201,
	LOGIN_FORBIDDEN = 0x0202,
	LOGIN_NOT_FOUND = 0x0203,
	LOGIN_TARGET_REMOVED = 0x0204,
	LOGIN_UNSUPPORTED_VERSION = 0x0205,
	LOGIN_TOO_MANY_CONNECTIONS = 0x0206,
	LOGIN_MISSING_PARAMETER = 0x0207,
	LOGIN_CANT_INCLUDE = 0x0208,
	LOGIN_SESSION_TYPE = 0x0209,
	LOGIN_NO_SESSION = 0x020a,
	LOGIN_INVALID_DURING_LOGIN = 0x020b,
	LOGIN_TARGET_ERROR = 0x0300,
	LOGIN_UNAVAILABLE = 0x0301,
	LOGIN_OUT_OF_RESOURCES = 0x0302,
};

enum login_step {
	LOGIN_WAIT,       /* an answer is ready in rsp; more requests are to come */
	LOGIN_IDENTIFIED, /* nothing to send yet: names, ISID, TSIH, CID are known; accept or refuse, once */
	LOGIN_DONE,       /* the last answer is ready; params hold; then full feature phase */
	LOGIN_FAILED,     /* an answer with a status is ready; send it and close */
};

struct login {
	/* known from LOGIN_IDENTIFIED on */
	char initiator[ISCSI_NAME_MAX + 1];
	char target[ISCSI_NAME_MAX + 1]; /* empty in a discovery session */
	char alias[TEXT_VALUE_MAX + 1];
	bool discovery;
	uint8_t isid[6];
	uint16_t tsih, cid;
	uint32_t cmdsn, statsn; /* of the request; statsn is the next one to use */

	char user[TEXT_VALUE_MAX + 1]; /* who proved to be whom by CHAP; empty: nobody */
	struct params params;   /* the results, valid at LOGIN_DONE */

	/* the answer: login.c's to write, the caller's to send. The text is borrowed until the next
	 * call, login_deinit() included: the caller copies it. */
	struct pdu rsp;
	const void *rsp_text;
	uint32_t rsp_text_len;

	enum login_status status; /* at LOGIN_FAILED */
	char why[120];            /* one line for the log */

	struct login_state *state; /* private */
};

/* random: 32 bytes for the challenge of CHAP and one for its number, nobody's guess. portal_group: for
 * TargetPortalGroupTag, told in the first answer of a normal session. */
enum { LOGIN_RANDOM_LEN = 33 };
int login_init(struct login *l, const struct param_offer *offer, uint16_t portal_group,
	const uint8_t random[LOGIN_RANDOM_LEN]); /* -ENOMEM */
void login_deinit(struct login *l); /* safe to call twice */

/* login_rx - one Login Request and its data segment (borrowed). Any PDU may be hostile. A request that
 * comes between LOGIN_IDENTIFIED and the caller's word spoils the login: LOGIN_FAILED, and a later
 * login_accept() or login_refuse() says LOGIN_FAILED too, leaving the answer as it is. */
enum login_step login_rx(struct login *l, const struct pdu *req, const void *data, uint32_t len);

/* login_refuse() also takes back a LOGIN_DONE whose answer was not sent.
 * After LOGIN_IDENTIFIED. tsih: of the session, told in the last answer (new: the caller's choice;
 * nonzero). */
enum login_step login_accept(struct login *l, uint16_t tsih, const char *target_alias);
enum login_step login_refuse(struct login *l, enum login_status status, const char *why);

/* The command numbers of the session as they stand now, for the answer's ExpCmdSN and MaxCmdSN, are
 * set by the sender of rsp, not here. */
