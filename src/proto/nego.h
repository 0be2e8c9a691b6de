/* nego.h - key=value negotiation by the rows of key.tbl: a text comes in, answers go out.
 *
 * One engine for both ends and for both phases: the login (login.c), Text Requests of the full
 * feature phase, the initiator library. It knows no PDU and no stage transition, only which keys
 * may be said when, by whom, and what comes of them (RFC 7143 6.2, chapters 12 and 13).
 *
 *   a key that is offered to us   is answered, its result goes into `params`
 *   a key that we offered         takes the peer's answer; nego_pending() counts those without
 *   a declared text               is kept: nego_value()
 *   a key that no row knows       is answered NotUnderstood (6.2)
 *   a bad value                   is answered Reject, the default stays, nego_rejected() tells
 *   a key that cannot apply       is answered Irrelevant
 *
 * In the full feature phase: take a nego with the connection's params as they are, run nego_rx(),
 * read `SendTargets` with nego_value() (it is never answered here), then, when the negotiation is
 * over, copy params back. On a named end drop it: nothing of a failed negotiation holds (7.12).
 *
 * Ownership: borrows the offer; owns the texts it keeps until nego_deinit(). */
#pragma once

#include "param.h"
#include "text.h"

enum nego_role { NEGO_TARGET, NEGO_INITIATOR };
enum nego_stage { NEGO_SECURITY, NEGO_OPERATIONAL, NEGO_FULL };

struct nego {
	enum nego_role role;
	enum nego_stage stage; /* the caller moves it on */
	bool leading;          /* first connection of its session */
	const struct param_offer *offer;
	struct params params; /* results so far */
	uint8_t state[N_KEYS];
	uint32_t at[N_KEYS]; /* kept text of the key, + 1 */
	struct text kept;
	unsigned n_known;  /* keys of rows in all texts; what the peer made up (nego_made_up()) */
	unsigned n_made_up;
	char why[96]; /* after a named end: one line, of our own words */
};

/* Named ends of nego_rx(). */
enum {
	NEGO_TOO_LONG = TEXT_TOO_LONG, /* the answers do not fit */
	NEGO_MALFORMED,		       /* not key=value pairs */
	NEGO_PROTOCOL_ERROR, /* a key twice, at the wrong time, by the wrong side, badly answered */
};

/* nego_init - now: the parameters to start from; NULL: the defaults. */
void nego_init(struct nego *n, enum nego_role role, enum nego_stage stage, bool leading,
	const struct param_offer *offer, const struct params *now);
void nego_deinit(struct nego *n); /* safe to call twice */

/* nego_rx - a whole text (its '=' are overwritten); answers are added to `out`. 0, a named end,
 * -ENOMEM. */
int nego_rx(struct nego *n, struct text *in, struct text *out);

/* nego_say - declare a text of ours. nego_offer - offer (or declare) our own value of a key. */
int nego_say(struct nego *n, enum key k, const char *value, struct text *out);
int nego_offer(struct nego *n, enum key k, struct text *out);
/* nego_hold - offer the limits that the peer has not mentioned and that the defaults would break.
 */
int nego_hold(struct nego *n, struct text *out);

unsigned nego_pending(const struct nego *n); /* offers of ours that need an answer and have none */
const char *nego_value(const struct nego *n, enum key k); /* what the peer declared; NULL */
bool nego_heard(const struct nego *n, enum key k);
bool nego_said(const struct nego *n, enum key k);
bool nego_rejected(const struct nego *n, enum key k); /* we answered Reject */

/* nego_made_up - nothing of what was said is a key of the RFC, and some of it has not even the form of a key that
 * others may define (X-, X#; 6.1, 13.22): the texts ask for nothing. */
static inline bool nego_made_up(const struct nego *n) { return n->n_made_up && !n->n_known; }

/* nego_result - the parameters that hold, made consistent where keys were left out (13.14). */
struct params nego_result(const struct nego *n);
