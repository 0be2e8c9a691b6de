/* proof.h - the initiator's half of CHAP, one-way and mutual (RFC 7143 12.1.3; the target's half and the sums are in
 * proto/chap.h).
 *
 *   BEGIN     AuthMethod is offered                     the target chose None           -> DONE, unless it must prove itself
 *                                                       it chose CHAP: CHAP_A is said   -> ASKED
 *   ASKED     CHAP_A, CHAP_I, CHAP_C have come          CHAP_N, CHAP_R are said         -> DONE
 *                                                       and a challenge of ours         -> ANSWERED
 *   ANSWERED  CHAP_N, CHAP_R have come and are right                                    -> DONE
 *
 * Only in DONE may the login leave the security stage. Pure: the random bytes of our challenge are handed in.
 * Ownership: the secrets are borrowed until the login has ended. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "chap.h"

/* What we say, and what the target has to: empty where there is nothing. */
struct proof_secrets {
	const char *user, *password;
	const char *target_user, *target_password;
};

enum { PROOF_RANDOM_LEN = 1 + CHAP_CHALLENGE_LEN };

struct proof {
	struct proof_secrets with;
	bool short_hashes;  /* offer SHA-1 and MD5 alone */
	enum { PROOF_BEGIN, PROOF_ASKED, PROOF_ANSWERED, PROOF_DONE } state;
	unsigned algorithm;
	uint8_t id;
	uint8_t challenge[CHAP_CHALLENGE_LEN];
};

/* Named ends of proof_step(). */
enum {
	PROOF_WAIT = 0,    /* what `out` holds has to be said, and the stage stays */
	PROOF_READY = 1,   /* nothing more to say than what `out` holds: the stage may end with it */
	PROOF_REFUSED = 2, /* *whyp is one line */
};

void proof_init(struct proof *p, const struct proof_secrets *with, const uint8_t random[PROOF_RANDOM_LEN]);
/* proof_step - the target's keys of this text are in `n`; ours go to `out`. Also -ENOMEM. */
int proof_step(struct proof *p, struct nego *n, struct text *out, const char **whyp);

/* proof_may_be_too_long - the response that was refused is longer than what older targets have room for (tgt 1.0.85 chooses
 * SHA-256, and then keeps 20 bytes): another login with short_hashes may succeed. It gives away no more than
 * the offer of all hashes did. */
static inline bool proof_may_be_too_long(const struct proof *p)
{
	return p->algorithm > CHAP_SHA1;
}

static inline bool proof_is_mutual(const struct proof *p)
{
	return p->with.target_password && *p->with.target_password;
}
/* proof_offers - there is a secret: CHAP is offered. */
static inline bool proof_offers(const struct proof *p)
{
	return p->with.password && *p->with.password;
}
