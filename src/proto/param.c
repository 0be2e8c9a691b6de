/* param.c - key.tbl as an array, and the values of struct params reached by row. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "check.h"
#include "param.h"
#include "parse.h"

/* clang-format off */
#define AT(m)   .at = offsetof(struct params, m), .width = sizeof(((struct params *)0)->m)
#define NOWHERE .width = 0

const struct key_row key_rows[N_KEYS] = {
#define KEY_TEXT(e, n, longest, u, sc, f, st)                                                         \
	[KEY_##e] = { .name = n, .type = KEY_TYPE_TEXT, .result = RESULT_DECLARE, .max = longest,       \
		.use = USE_##u, .from = FROM_##f, .stage = STAGE_##st },
#define KEY_LIST(e, n, w, o, r, u, sc, f, st, un, ...)                                                \
	[KEY_##e] = { .name = n, .type = KEY_TYPE_LIST, .result = RESULT_##r, .words = w, .own = o,     \
		.use = USE_##u, .from = FROM_##f, .stage = STAGE_##st, .unless = UNLESS_##un, __VA_ARGS__ },
#define KEY_BOOL(e, n, r, d, o, fr, u, sc, f, st, un, h, ...)                                         \
	[KEY_##e] = { .name = n, .type = KEY_TYPE_BOOL, .result = RESULT_##r, .by_default = d,          \
		.own = o, .cap = fr, .use = USE_##u, .from = FROM_##f, .stage = STAGE_##st,             \
		.unless = UNLESS_##un, .hold = h, __VA_ARGS__ },
#define KEY_NUM(e, n, r, lo, hi, d, o, c, u, sc, f, st, un, h, ...)                                   \
	[KEY_##e] = { .name = n, .type = KEY_TYPE_NUM, .result = RESULT_##r, .min = lo, .max = hi,      \
		.by_default = d, .own = o, .cap = c, .use = USE_##u, .from = FROM_##f,                  \
		.stage = STAGE_##st, .unless = UNLESS_##un, .hold = h, __VA_ARGS__ },
#define KEY_EACH(e, n, lo, hi, d, o, c, u, sc, f, st, place, peer)                                    \
	[KEY_##e] = { .name = n, .type = KEY_TYPE_EACH, .result = RESULT_DECLARE, .min = lo, .max = hi, \
		.by_default = d, .own = o, .cap = c, .use = USE_##u, .from = FROM_##f,                  \
		.stage = STAGE_##st, place, .peer_at = offsetof(struct params, peer) },
#define KEY_FIXED(e, n, answer, u, sc, f, st)                                                         \
	[KEY_##e] = { .name = n, .type = KEY_TYPE_FIXED, .result = RESULT_FIRST, .words = answer,       \
		.use = USE_##u, .from = FROM_##f, .stage = STAGE_##st },
#include "key.tbl"
};
/* clang-format on */

enum key key_find(const char *name)
{
	enum key k = 0;

	while (k < N_KEYS && strcmp(key_rows[k].name, name))
		k++;
	return k;
}

uint32_t param_get(const struct params *p, const struct key_row *row)
{
	const char *field = (const char *)p + row->at;
	uint32_t v;

	if (row->width == sizeof(bool))
		return *(const bool *)field;
	if (row->width != sizeof(v))
		return 0;
	memcpy(&v, field, sizeof(v));
	return v;
}

void param_put(struct params *p, const struct key_row *row, uint32_t v)
{
	char *field = (char *)p + row->at;

	if (row->width == sizeof(bool))
		*(bool *)field = v != 0;
	else if (row->width == sizeof(v))
		memcpy(field, &v, sizeof(v));
}

void param_default(struct params *p)
{
	memset(p, 0, sizeof(*p));
	for (enum key k = 0; k < N_KEYS; k++)
		param_put(p, &key_rows[k], key_rows[k].by_default);
	p->max_send_data = p->max_recv_data;
}

static bool is_value(const struct key_row *row)
{
	return row->type == KEY_TYPE_BOOL || row->type == KEY_TYPE_NUM ||
	       row->type == KEY_TYPE_EACH;
}

void param_offer_default(struct param_offer *o)
{
	o->chap = NULL;
	o->open_discovery = false;
	param_default(&o->v);
	for (enum key k = 0; k < N_KEYS; k++)
		if (is_value(&key_rows[k]))
			param_put(&o->v, &key_rows[k], key_rows[k].own);
}

const char *key_words(
	const struct key_row *row, unsigned first, unsigned count, char *buf, size_t buf_len)
{
	const char *from = row->words, *to;

	while (first-- > 0)
		from = strchr(from, ',') + 1;
	to = from;
	while (count-- > 0)
		to += strcspn(to, ",") + (count > 0);
	snprintf(buf, buf_len, "%.*s", (int)(to - from), from);
	return buf;
}

/* --- what the operator may change --- */

static int set_bool(
	struct param_offer *o, const struct key_row *row, const char *value, char *err, size_t len)
{
	bool yes = !strcmp(value, "Yes");

	if (!yes && strcmp(value, "No")) {
		snprintf(err, len, "%s: '%s' is neither Yes nor No", row->name, value);
		return -EINVAL;
	}
	if (!row->cap && yes != row->own) {
		snprintf(err, len, "%s: only %s is supported", row->name, row->own ? "Yes" : "No");
		return -EINVAL;
	}
	param_put(&o->v, row, yes);
	return 0;
}

static int set_number(
	struct param_offer *o, const struct key_row *row, const char *value, char *err, size_t len)
{
	uint64_t v;

	if (!parse_size(value, row->cap, &v) || v < row->min) {
		if (row->min == row->cap)
			snprintf(err, len, "%s: only %u is supported, not '%s'", row->name,
				row->cap, value);
		else
			snprintf(err, len, "%s: '%s' is not a number from %u to %u", row->name,
				value, row->min, row->cap);
		return -EINVAL;
	}
	param_put(&o->v, row, (uint32_t)v);
	return 0;
}

static int set_list(const struct key_row *row, const char *value, char *err, size_t len)
{
	char words[64];

	if (!strcmp(value, key_words(row, 0, row->own, words, sizeof(words))))
		return 0;
	snprintf(err, len, "%s: only %s is supported, not '%s'", row->name, words, value);
	return -EINVAL;
}

int param_offer_set(
	struct param_offer *o, const char *key, const char *value, char *err, size_t err_len)
{
	enum key k = key_find(key);
	const struct key_row *row = k == KEY_NONE ? NULL : &key_rows[k];

	if (!row) {
		snprintf(err, err_len, "'%s' is not a key of RFC 7143", key);
		return -EINVAL;
	}
	if (row->type == KEY_TYPE_BOOL)
		return set_bool(o, row, value, err, err_len);
	if (row->type == KEY_TYPE_NUM || row->type == KEY_TYPE_EACH)
		return set_number(o, row, value, err, err_len);
	if (row->type == KEY_TYPE_LIST && row->result == RESULT_FIRST)
		return set_list(row, value, err, err_len);
	snprintf(err, err_len, "%s: is not a parameter that can be set", row->name);
	return -EINVAL;
}
