/* signon.h - the login phase of one connection, initiator side: the mirror of proto/login.h.
 *
 * No socket: a request comes out, a response goes in. The security stage comes first (AuthMethod=None, or CHAP when
 * there is a secret: proof.h), then the operational stage, in which everything is offered at once; with a target
 * that has nothing to ask this takes two round trips, CHAP takes two more. Source: RFC 7143 chapters 6, 11.12,
 * 11.13, 13.
 *
 * Any response may be hostile. Ownership: owns its texts until signon_deinit(). */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "nego.h"
#include "pdu.h"
#include "proof.h"
#include "text.h"

enum { SIGNON_PDUS_MAX = 32, SIGNON_TEXT_MAX = 64 << 10 };

enum signon_step {
	SIGNON_SEND,   /* signon_request() tells what to send next */
	SIGNON_DONE,   /* params, tsih, cmdsn and expstatsn hold: full feature phase */
	SIGNON_MOVED,  /* the target is at `moved` (host:port) */
	SIGNON_FAILED, /* why and error tell */
};

struct signon {
	/* given */
	uint8_t isid[6];
	uint16_t cid;
	uint32_t itt;
	/* found */
	struct params params;
	uint16_t tsih;
	uint32_t cmdsn, expstatsn, expcmdsn, maxcmdsn;
	char moved[256];
	int error;     /* at SIGNON_FAILED: -EACCES, -ENOENT, -EAGAIN (try later), -EPROTO, -ENOMEM */
	char why[120];
	bool refused;  /* by the target, in the security stage, and as our fault (11.13.5) */
	/* private */
	uint8_t stage;
	bool heard, ask_more;
	bool stay;        /* there is something to prove yet: no T */
	struct proof proof;
	unsigned n_pdus;
	struct param_offer offer;
	struct nego nego;
	struct text in, out;
	const char *initiator, *target;
};

/* signon_init - the names are borrowed; target NULL: a discovery session. proof (copied, its secrets borrowed), or NULL
 * where there is nothing to prove. 0 or -ENOMEM. */
int signon_init(struct signon *so, const struct param_offer *offer, const char *initiator, const char *target,
	const uint8_t isid[6], const struct proof *proof);
void signon_deinit(struct signon *so); /* safe to call twice, and on one that is all zero */

/* signon_request - the next Login Request and its text, borrowed until signon_rx(). */
void signon_request(struct signon *so, struct pdu *req, const void **textp, uint32_t *lenp);
/* signon_rx - one Login Response and its data segment (borrowed). */
enum signon_step signon_rx(struct signon *so, const struct pdu *rsp, const void *data, uint32_t len);
