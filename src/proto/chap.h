/* chap.h - the target's half of CHAP, one-way and mutual (RFC 7143 12.1.3, RFC 1994), and the sums of both halves
 * (the initiator's is initiator/proof.h).
 *
 *   initiator                            target
 *   CHAP_A=<list>                ->
 *                                <-      CHAP_A=<one> CHAP_I=<id> CHAP_C=<challenge>
 *   CHAP_N=<name> CHAP_R=<response>
 *   [CHAP_I=<id> CHAP_C=<challenge>] ->
 *                                <-      [CHAP_N=<name> CHAP_R=<response>]
 *
 * A response is HASH(id, secret, challenge). Large binary values come as hex ("0x...") or base64 ("0b..."); a name is
 * plain text whatever it begins with. Hashes: SHA3-256, SHA-256, SHA-1, MD5, in the initiator's order.
 *
 * Ownership: the database belongs to the configuration and is read-only while logins run. Pure: no socket, no
 * clock; the random bytes of a challenge are handed in. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "nego.h"

enum { CHAP_SECRET_MAX = 255, CHAP_CHALLENGE_LEN = 32, CHAP_BINARY_MAX = 1024 };

struct chap_user {
	char *name, *secret;
};

/* Who may log in, and what the target says of itself when it is asked (mutual). */
struct chap_db {
	struct chap_user *users;
	unsigned n_users;
	struct chap_user self; /* name NULL: mutual authentication is not possible */
};

/* chap_db_load - out of a file of lines, empty ones and those beginning with '#' left out:
 *     NAME SECRET           an initiator that may log in
 *     =NAME SECRET          what the target answers to an initiator's challenge
 * Words are separated by blanks; "in double quotes" where they contain blanks or begin with '=' or '#'. 0, or -errno
 * with one line in err; -EUCLEAN: what the file holds is no such list. It must not be readable by everybody. */
int chap_db_load(struct chap_db *db, const char *path, char *err, size_t err_len);
void chap_db_deinit(struct chap_db *db); /* safe to call twice */

struct chap {
	const struct chap_db *db;
	enum { CHAP_BEGIN, CHAP_CHALLENGED, CHAP_DONE } state;
	unsigned algorithm; /* as in CHAP_A */
	uint8_t id;
	uint8_t challenge[CHAP_CHALLENGE_LEN];
};

/* Named ends of chap_step(). */
enum { CHAP_MORE = 0, CHAP_VERIFIED = 1, CHAP_REFUSED = 2 };

void chap_init(struct chap *c, const struct chap_db *db, uint8_t id, const uint8_t challenge[CHAP_CHALLENGE_LEN]);
/* chap_step - the initiator's keys of this text are in `n`; ours go to `out`. CHAP_REFUSED: *whyp is one line for the
 * log (the initiator is told no more than that it failed); -ENOMEM. */
int chap_step(struct chap *c, const struct nego *n, struct text *out, const char **whyp);

/* chap_binary - hex or base64 into bytes; the length, or -1 when it is neither or longer than max. */
int chap_binary(const char *text, uint8_t *out, size_t max);
/* chap_say - a binary value of at most 64 bytes, as hex. 0, TEXT_TOO_LONG or -ENOMEM. */
int chap_say(struct text *out, enum key k, const uint8_t *bytes, size_t len);
/* chap_list - the algorithms that this library has, the strongest first, as CHAP_A names them; none above `most`. */
enum { CHAP_LIST_LEN = 32, CHAP_SHA1 = 6 };
void chap_list(char list[CHAP_LIST_LEN], unsigned most);
bool chap_can(unsigned algorithm);
/* chap_response - HASH(id, secret, challenge); its length, or 0 when this library lacks the algorithm. */
unsigned chap_response(unsigned algorithm, uint8_t id, const char *secret, const uint8_t *challenge, size_t len,
	uint8_t out[64]);
