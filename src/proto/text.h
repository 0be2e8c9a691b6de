/* text.h - key=value text (RFC 7143 6.1): reading pairs, gathering C-bit pieces, writing pairs.
 *
 * A text is a sequence of "key=value" ended by NUL each. Names are case sensitive, at most 63 bytes,
 * values at most 255 (CHAP and SendTargets values may be longer, up to the whole text).
 * Thread: none. A text owns its buffer until text_deinit(). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
	char *buf;
	uint32_t len, room, max; /* max: the growth stops here */
};

enum { TEXT_TOO_LONG = 1 }; /* named end */

void text_init(struct text *t, uint32_t max);
void text_deinit(struct text *t); /* safe to call twice */
void text_clear(struct text *t);

/* text_add_bytes - one PDU's piece. 0, TEXT_TOO_LONG, -ENOMEM. */
int text_add_bytes(struct text *t, const void *data, uint32_t len);
/* text_add - one pair, with its NUL. 0, TEXT_TOO_LONG, -ENOMEM. */
int text_add(struct text *t, const char *key, const char *value);
int text_addf(struct text *t, const char *key, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* text_next - the pair at *posp, which moves behind it. 1: *keyp and *valuep point into the text, NUL-ended;
 * 0: the end; -1: not a pair (no '=', name too long or of forbidden bytes, no NUL at the end of the text). */
int text_next(struct text *t, uint32_t *posp, char **keyp, char **valuep);

/* iSCSI names (RFC 7143 4.2.7): iqn., eui., naa. with the characters they allow. */
bool iscsi_name_valid(const char *name);
