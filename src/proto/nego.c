/* nego.c - see nego.h. A text is read twice over: first its pairs are sorted to their rows, then
 * the rows are taken in the order of key.tbl, so that a result may depend on results above it
 * wherever in the text its key stood. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "check.h"
#include "nego.h"
#include "parse.h"

/* What has happened to a key. HEARD: the peer has said it. SAID: we have. OFFERED: an answer to us
 * may come. AWAITED: it must. REJECTED: we did. */
enum { HEARD = 1, SAID = 2, OFFERED = 4, AWAITED = 8, REJECTED = 16 };

enum {
	KEPT_MAX = 4096
}; /* all declared texts together: eight rows of at most 255 bytes, and names */

void nego_init(struct nego *n, enum nego_role role, enum nego_stage stage, bool leading,
	const struct param_offer *offer, const struct params *now)
{
	memset(n, 0, sizeof(*n));
	n->role = role;
	n->stage = stage;
	n->leading = leading;
	n->offer = offer;
	if (now)
		n->params = *now;
	else
		param_default(&n->params);
	text_init(&n->kept, KEPT_MAX);
}

void nego_deinit(struct nego *n)
{
	text_deinit(&n->kept);
}

const char *nego_value(const struct nego *n, enum key k)
{
	return n->at[k] ? n->kept.buf + n->at[k] - 1 : NULL;
}

bool nego_heard(const struct nego *n, enum key k)
{
	return n->state[k] & HEARD;
}

bool nego_said(const struct nego *n, enum key k)
{
	return n->state[k] & SAID;
}

bool nego_rejected(const struct nego *n, enum key k)
{
	return n->state[k] & REJECTED;
}

unsigned nego_pending(const struct nego *n)
{
	unsigned pending = 0;

	for (enum key k = 0; k < N_KEYS; k++)
		pending += (n->state[k] & AWAITED) != 0;
	return pending;
}

static int protocol_error(struct nego *n, const struct key_row *row, const char *what)
{
	snprintf(n->why, sizeof(n->why), "%s %s", row->name, what);
	return NEGO_PROTOCOL_ERROR;
}

/* --- values --- */

/* The words that are answers and never offers (6.2). */
static bool is_reserved(const char *value)
{
	return !strcmp(value, "Reject") || !strcmp(value, "Irrelevant") ||
	       !strcmp(value, "NotUnderstood");
}

/* own_value - what we want of this row. 13.14: FirstBurstLength is never above MaxBurstLength,
 * neither the one that holds so far nor the one that we may yet ask for. */
static uint32_t own_value(const struct nego *n, const struct key_row *row)
{
	uint32_t v = param_get(&n->offer->v, row);

	if (row == &key_rows[KEY_FIRST_BURST])
		v = MIN(v, MIN(n->params.max_burst, n->offer->v.max_burst));
	return v;
}

static uint32_t combine(const struct key_row *row, uint32_t a, uint32_t b)
{
	switch (row->result) {
	case RESULT_AND:
		return a && b;
	case RESULT_OR:
		return a || b;
	case RESULT_MIN:
		return MIN(a, b);
	case RESULT_MAX:
		return MAX(a, b);
	default:
		return a;
	}
}

static bool parse_bool(const char *value, uint32_t *vp)
{
	*vp = !strcmp(value, "Yes");
	return *vp || !strcmp(value, "No");
}

static bool parse_number(const struct key_row *row, const char *value, uint32_t *vp)
{
	uint64_t v;

	if (!parse_u64(&value, row->max, &v) || *value || v < row->min)
		return false;
	*vp = (uint32_t)v;
	return true;
}

/* may_choose - a target with a list of who may log in takes CHAP or nothing, but for a discovery that is open; without
 * one there is nobody to check. An initiator without a secret has only None to offer; one that has a secret also
 * logs in where none is asked for. */
static bool may_choose(const struct nego *n, const struct key_row *row, uint32_t word)
{
	if (row != &key_rows[KEY_AUTH_METHOD])
		return true;
	if (n->role == NEGO_INITIATOR)
		return word <= n->offer->v.auth_method;
	if (n->offer->chap && n->offer->open_discovery && n->params.discovery)
		return true;
	return word == (n->offer->chap != NULL);
}

/* parse_list - the first item that is one of our words (6.2.1); what we do not know is passed over.
 */
static bool parse_list(
	const struct nego *n, const struct key_row *row, const char *value, uint32_t *vp)
{
	char word[32];

	for (;;) {
		size_t len = strcspn(value, ",");

		for (uint32_t i = 0; i < row->own; i++) {
			key_words(row, i, 1, word, sizeof(word));
			if (strlen(word) == len && !memcmp(word, value, len) &&
				may_choose(n, row, i)) {
				*vp = i;
				return true;
			}
		}
		if (!value[len])
			return false;
		value += len + 1;
	}
}

static bool parse_value(
	const struct nego *n, const struct key_row *row, const char *value, uint32_t *vp)
{
	switch (row->type) {
	case KEY_TYPE_BOOL:
		return parse_bool(value, vp);
	case KEY_TYPE_LIST:
		return parse_list(n, row, value, vp);
	default:
		return parse_number(row, value, vp);
	}
}

static int add_value(struct text *out, const struct key_row *row, uint32_t v)
{
	char word[32];

	if (row->type == KEY_TYPE_BOOL)
		return text_add(out, row->name, v ? "Yes" : "No");
	if (row->type == KEY_TYPE_LIST)
		return text_add(out, row->name, key_words(row, v, 1, word, sizeof(word)));
	return text_addf(out, row->name, "%u", v);
}

/* irrelevant - as far as the rows above have been settled. */
static bool irrelevant(const struct nego *n, const struct key_row *row)
{
	switch (row->unless) {
	case UNLESS_DISC:
		return n->params.discovery;
	case UNLESS_NOFB: /* 13.14 */
		return n->params.discovery || (n->params.initial_r2t && !n->params.immediate_data);
	default:
		return false;
	}
}

/* --- one key that the peer has sent --- */

static int reject_value(struct nego *n, enum key k, struct text *out)
{
	n->state[k] |= REJECTED;
	return text_add(out, key_rows[k].name, "Reject"); /* 6.2.2 */
}

/* take_kept - a declared text. Saying the same again is let pass although 6.3 forbids it: libiscsi
 * repeats InitiatorName, TargetName and SessionType in the operational stage. */
static int take_kept(struct nego *n, enum key k, const char *value, struct text *out)
{
	uint32_t at = n->kept.len;
	int r;

	if (n->at[k])
		return strcmp(nego_value(n, k), value)
			       ? protocol_error(n, &key_rows[k], "was said twice")
			       : 0;
	if (strlen(value) > key_rows[k].max)
		return reject_value(n, k, out);
	r = text_add_bytes(&n->kept, value, (uint32_t)strlen(value) + 1);
	if (!r)
		n->at[k] = at + 1;
	return r;
}

/* take_declared - one word or number that needs no answer. The peer's is stored, ours is not
 * touched. */
static int take_declared(struct nego *n, enum key k, const char *value, struct text *out)
{
	const struct key_row *row = &key_rows[k];
	struct key_row place = *row;
	uint32_t v;

	if (!parse_value(n, row, value, &v)) {
		if (n->state[k] & HEARD)
			return protocol_error(n, row, "was said twice");
		n->state[k] |= HEARD;
		return reject_value(n, k, out);
	}
	if (row->type == KEY_TYPE_EACH)
		place.at = row->peer_at;
	if (n->state[k] & HEARD && v != param_get(&n->params, &place))
		return protocol_error(n, row, "was said twice");
	n->state[k] |= HEARD;
	param_put(&n->params, &place, v);
	return 0;
}

static int take_offer(struct nego *n, enum key k, const char *value, struct text *out)
{
	const struct key_row *row = &key_rows[k];
	uint32_t v;

	if (n->state[k] & (HEARD | SAID)) /* 6.3, 6.4: once */
		return protocol_error(n, row, "was negotiated twice");
	n->state[k] |= HEARD;
	if (irrelevant(n, row))
		return text_add(out, row->name, "Irrelevant");
	if (row->type == KEY_TYPE_FIXED)
		return text_add(out, row->name, row->words);
	if (strlen(value) > TEXT_VALUE_MAX || !parse_value(n, row, value, &v))
		return reject_value(n, k, out);
	if (row->type != KEY_TYPE_LIST)
		v = combine(row, v, own_value(n, row));
	param_put(&n->params, row, v);
	return add_value(out, row, v);
}

/* take_answer - to an offer of ours: it must be a value that the result function can have given. */
static int take_answer(struct nego *n, enum key k, const char *value)
{
	const struct key_row *row = &key_rows[k];
	uint32_t v;

	n->state[k] = (uint8_t)((n->state[k] | HEARD) & ~(OFFERED | AWAITED));
	if (!parse_value(n, row, value, &v))
		return protocol_error(n, row, "was answered with no value of its kind");
	if (row->type != KEY_TYPE_LIST && combine(row, v, own_value(n, row)) != v)
		return protocol_error(n, row, "was answered outside of what was offered");
	param_put(&n->params, row, v);
	return 0;
}

/* take_refusal - Reject, Irrelevant or NotUnderstood: legal only about something that we said. */
static int take_refusal(struct nego *n, enum key k, const char *value)
{
	if (!(n->state[k] & SAID))
		return protocol_error(
			n, &key_rows[k], "was offered with a reserved word"); /* 6.2 */
	n->state[k] = (uint8_t)((n->state[k] | HEARD) & ~(OFFERED | AWAITED));
	if (!strcmp(value, "Reject")) /* 7.12: none of the choices is acceptable */
		return protocol_error(n, &key_rows[k], "as we offered it was rejected");
	return 0; /* the default stays */
}

/* wrong_time - may this side say this key now (13, "Use" and "Senders")? NULL: yes. */
static const char *wrong_time(const struct nego *n, const struct key_row *row)
{
	enum key_from peer = n->role == NEGO_TARGET ? FROM_I : FROM_T;

	if (!(row->from & peer))
		return "is not the sender's to say";
	if (n->stage == NEGO_FULL)
		return row->use == USE_ALL || row->use == USE_FFP ? NULL : "belongs into the login";
	if (row->use == USE_FFP)
		return "belongs into the full feature phase";
	if (row->use == USE_LO && !n->leading)
		return "belongs into a leading login";
	if (row->stage == STAGE_SEC && n->stage != NEGO_SECURITY)
		return "belongs into the security stage";
	if (row->stage == STAGE_OP && n->stage != NEGO_OPERATIONAL)
		return "belongs into the operational stage";
	return NULL;
}

static int take_key(struct nego *n, enum key k, const char *value, struct text *out)
{
	const struct key_row *row = &key_rows[k];
	const char *wrong;

	if (is_reserved(value))
		return take_refusal(n, k, value);
	wrong = wrong_time(n, row);
	if (wrong)
		return protocol_error(n, row, wrong);
	if (row->type == KEY_TYPE_TEXT)
		return take_kept(n, k, value, out);
	if (row->result == RESULT_DECLARE)
		return take_declared(n, k, value, out);
	if (n->state[k] & OFFERED)
		return take_answer(n, k, value);
	return take_offer(n, k, value, out);
}

/* may_repeat - 6.3: no key twice; a declaration that only says the same again is let pass
 * (take_kept()). */
static bool may_repeat(const struct key_row *row, const char *first, const char *again)
{
	return row->result == RESULT_DECLARE && !strcmp(first, again);
}

/* sort_pairs - each known key's value to its row; an unknown key is answered at once. */
static int sort_pairs(
	struct nego *n, struct text *in, const char *value_of[N_KEYS], struct text *out)
{
	uint32_t pos = 0;
	char *key, *value;
	int r;

	while ((r = text_next(in, &pos, &key, &value)) > 0) {
		enum key k = key_find(key);

		if (k == KEY_NONE) {
			n->n_made_up += strncmp(key, "X-", 2) && strncmp(key, "X#", 2);
			/* A refusal of a key that we never said asks for nothing. */
			r = is_reserved(value) ? 0 : text_add(out, key, "NotUnderstood");
			if (r)
				return r;
			continue;
		}
		if (value_of[k] && !may_repeat(&key_rows[k], value_of[k], value))
			return protocol_error(n, &key_rows[k], "stands twice in one text");
		value_of[k] = value;
		n->n_known++;
	}
	if (r < 0) {
		snprintf(n->why, sizeof(n->why), "the text is not made of key=value pairs");
		return NEGO_MALFORMED;
	}
	return 0;
}

int nego_rx(struct nego *n, struct text *in, struct text *out)
{
	const char *value_of[N_KEYS] = {NULL};
	int r = sort_pairs(n, in, value_of, out);

	for (enum key k = 0; k < N_KEYS && !r; k++)
		if (value_of[k])
			r = take_key(n, k, value_of[k], out);
	if (r == NEGO_TOO_LONG)
		snprintf(n->why, sizeof(n->why), "more keys than can be answered");
	return r;
}

/* --- what we say ourselves --- */

int nego_say(struct nego *n, enum key k, const char *value, struct text *out)
{
	n->state[k] |= SAID;
	return text_add(out, key_rows[k].name, value);
}

/* settled - does our own word decide the result, so that no answer is needed (6.2.2)? */
static bool settled(const struct key_row *row, uint32_t own)
{
	return (row->result == RESULT_AND && !own) || (row->result == RESULT_OR && own);
}

/* preference - all built words of a list that may be chosen, the one that we want first (6.2.1). */
static const char *preference(
	const struct nego *n, const struct key_row *row, uint32_t own, char *buf, size_t len)
{
	size_t at;

	own = own < row->own ? own : 0;
	key_words(row, own, 1, buf, len);
	for (uint32_t i = 0; i < row->own; i++) {
		at = strlen(buf);
		if (i != own && at + 1 < len && may_choose(n, row, i)) {
			buf[at] = ',';
			key_words(row, i, 1, buf + at + 1, len - at - 1);
		}
	}
	return buf;
}

int nego_offer(struct nego *n, enum key k, struct text *out)
{
	const struct key_row *row = &key_rows[k];
	uint32_t own = own_value(n, row);
	char words[64];

	check(row->type != KEY_TYPE_TEXT && row->type != KEY_TYPE_FIXED);
	check(!(n->state[k] & SAID));
	if (row->type == KEY_TYPE_EACH) {
		n->state[k] |= SAID;
		param_put(&n->params, row, own);
		return add_value(out, row, own);
	}
	n->state[k] |= SAID | OFFERED | AWAITED;
	if (row->type == KEY_TYPE_LIST)
		return text_add(out, row->name, preference(n, row, own, words, sizeof(words)));
	if (settled(row, own)) {
		n->state[k] = (uint8_t)(n->state[k] & ~AWAITED);
		param_put(&n->params, row, own);
	}
	return add_value(out, row, own);
}

int nego_hold(struct nego *n, struct text *out)
{
	int r = 0;

	if (!n->leading || n->stage != NEGO_OPERATIONAL) /* the rows are all LO */
		return 0;
	for (enum key k = 0; k < N_KEYS && !r; k++) {
		const struct key_row *row = &key_rows[k];
		uint32_t now = param_get(&n->params, row);

		if (!row->hold || n->state[k] || irrelevant(n, row))
			continue;
		if (combine(row, now, own_value(n, row)) != now)
			r = nego_offer(n, k, out);
	}
	return r;
}

struct params nego_result(const struct nego *n)
{
	struct params p = n->params;

	p.first_burst = MIN(p.first_burst, p.max_burst);
	return p;
}
