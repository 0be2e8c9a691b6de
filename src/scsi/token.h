/* token.h - ROD tokens (SPC-4 5.17.6, SBC-3 4.28): a name of 512 bytes for some blocks of a unit.
 *
 * A token is made by POPULATE TOKEN and used by WRITE USING TOKEN at any unit of the same server, by whoever
 * has its bytes: it holds 256 random bits that nobody can guess, and the name of its unit. Its type is
 * access upon reference: what is written is what the blocks hold when it is used. It lives for a while at
 * most, and shorter when nobody uses it. Of tokens that have ended it is remembered how, so that their use is
 * refused with the true reason.
 *
 * Thread: any; one lock. */
#pragma once

#include "lun.h"
#include "sense.h"

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
	ROD_ZERO = 0xffff0001, /* SBC-3: names no unit's blocks, and is no secret */
};

struct block_range {
	uint64_t off, len; /* bytes */
};

struct token_content {
	struct lu *lu; /* NULL: zeros without end */
	unsigned n;
	struct block_range ranges[TOKEN_RANGES];
	uint64_t len;
};

/* token_new - idle_s of 0: the default. The bytes into p. False: no memory. */
bool token_new(struct io *io, const struct token_content *content, uint32_t idle_s, uint8_t *p);
/* token_use - what it stands for, and its units' n_copies is one more until token_used(). SENSE_NONE, or why not. */
enum sense token_use(struct io *io, const struct lu *near, const uint8_t *p, struct token_content *content);
void token_used(const struct token_content *content);
void token_delete(const uint8_t *p); /* DEL_TKN; unknown ones: nothing */
void tokens_revoke(struct lu *l);    /* its content is another: sanitized */
void tokens_forget(struct lu *l);    /* the unit goes */
