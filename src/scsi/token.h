/* token.h - ROD tokens (SPC-4 5.17.6, SBC-3 4.28): a name of 512 bytes for some blocks of a unit.
 *
 * A token is made by POPULATE TOKEN and used by WRITE USING TOKEN at any unit of the same server, by whoever
 * has its bytes: it holds 256 random bits that nobody can guess, and the name of its unit. As a rule it stands for what
 * its blocks held when it was made (point in time copy, change vulnerable): when one of them has changed it is
 * revoked, also while it is in use (volume/watch.h). Who asks for access upon reference gets what the blocks hold
 * at its use. A token lives for a while at most, and shorter when nobody uses it. Of tokens that have ended it is
 * remembered how, so that their use is refused with the true reason.
 *
 * Thread: any; one lock. */
#pragma once

#include "lun.h"
#include "sense.h"
#include "watch.h"

enum {
	TOKEN_RANGES = 32,          /* a command's block ranges */
	TOKENS = 1024,              /* that there can be, with those that ended lately; the oldest give way */
	TOKEN_LIFE_S = 24 * 3600,
	TOKEN_IDLE_DEFAULT_S = 60,
	TOKEN_IDLE_MAX_S = 3600,
};
#define TOKEN_MAX_BYTES (1ull << 30) /* a token, and a WRITE USING TOKEN */

enum rod_type { /* SPC-4 table 90 */
	ROD_DEFAULT = 0x00000000,
	ROD_UPON_REFERENCE = 0x00010000,
	ROD_POINT_IN_TIME = 0x00800000, /* the default of these, which is the next one */
	ROD_CHANGE_VULNERABLE = 0x00800001,
	ROD_ANY_POINT_IN_TIME = 0x0080ffff,
	ROD_ZERO = 0xffff0001, /* SBC-3: names no unit's blocks, and is no secret */
};

struct block_range {
	uint64_t off, len; /* bytes */
};

struct token_content {
	struct lu *lu; /* NULL: zeros without end */
	bool upon_reference;
	struct watch *watch; /* of the blocks; NULL: they may change */
	unsigned n;
	struct block_range ranges[TOKEN_RANGES];
	uint64_t len;
};

/* token_new - idle_s of 0: the default. The bytes into p. Watches its blocks by itself. False: no memory. */
bool token_new(struct io *io, const struct token_content *content, uint32_t idle_s, uint8_t *p);
/* token_use - what it stands for; its unit's n_copies is one more, and the watch is held, until token_used(). SENSE_NONE, or why not. */
enum sense token_use(struct io *io, const struct lu *near, const uint8_t *p, struct token_content *content);
void token_used(const struct token_content *content);
void token_delete(const uint8_t *p); /* DEL_TKN; unknown ones: nothing */
void tokens_revoke(struct lu *l);    /* its content is another: sanitized */
void tokens_forget(struct lu *l);    /* the unit goes */
