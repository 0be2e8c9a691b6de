/* text.c - any bytes as a text of key=value pairs, in one piece or in several; each pair as a name and as a
 * parameter; the pairs written again are the same pairs. */
#include <stdlib.h>
#include "door.h"
#include "param.h"
#include "text.h"

enum { MAX_LEN = 8 << 10 };

/* add - the pieces are as long as the fuzzer says. False: it does not fit, and the text is as it was. */
static bool add(struct text *t, const uint8_t *data, size_t len, size_t piece)
{
	for (size_t at = 0; at < len; at += piece) {
		uint32_t before = t->len;
		int r = text_add_bytes(t, data + at, (uint32_t)MIN(piece, len - at));

		check(r == 0 || r == TEXT_TOO_LONG);
		if (r) {
			check(t->len == before);
			return false;
		}
	}
	check(t->len == len && t->len <= t->max);
	return true;
}

static void look(const char *key, const char *value)
{
	struct param_offer o;
	char why[160] = "";

	param_offer_default(&o);
	if (param_offer_set(&o, key, value, why, sizeof(why)) < 0)
		check(why[0] && strlen(why) < sizeof(why));
	if (iscsi_name_valid(value))
		check(strlen(value) <= ISCSI_NAME_MAX && strlen(value) > 4);
}

/* walk - every pair into `out`; -1 when the text holds something that is none. */
static int walk(struct text *t, struct text *out)
{
	uint32_t pos = 0, last = 0;
	char *key, *value;
	int r;

	while ((r = text_next(t, &pos, &key, &value)) == 1) {
		check(pos > last && pos <= t->len);
		check(key >= t->buf && value > key && value + strlen(value) < t->buf + t->len);
		check(*key && strlen(key) <= 63 && !strchr(key, '='));
		check(text_add(out, key, value) == 0);
		look(key, value);
		last = pos;
	}
	return r;
}

/* check_again - what was written is read back as it was. (text_next() cuts pairs apart in place: hence the copy.) */
static void check_again(struct text *pairs)
{
	struct text again;
	uint8_t *copy = malloc(pairs->len + 1);

	check(copy);
	if (pairs->len)
		memcpy(copy, pairs->buf, pairs->len);
	text_init(&again, 2 * MAX_LEN);
	check(walk(pairs, &again) == 0);
	check(again.len == pairs->len && (!again.len || !memcmp(again.buf, copy, again.len)));
	free(copy);
	text_deinit(&again);
	text_deinit(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct feed f = {data, len};
	size_t piece = feed_u8(&f) + 1u;
	struct text t, pairs;

	text_init(&t, MAX_LEN);
	text_init(&pairs, 2 * MAX_LEN);
	if (add(&t, f.at, f.left, piece) && walk(&t, &pairs) == 0)
		check_again(&pairs);
	text_deinit(&t);
	text_deinit(&pairs);
	return 0;
}
