/* text.c - see text.h. The buffer doubles as it grows, from nothing, never above `max`. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "text.h"

enum { ROOM_FIRST = 512, KEY_NAME_MAX = 63 };

void text_init(struct text *t, uint32_t max)
{
	*t = (struct text){.max = max};
}

void text_deinit(struct text *t)
{
	free(t->buf);
	text_init(t, t->max);
}

void text_clear(struct text *t)
{
	t->len = 0;
}

/* make_room - for `len` more bytes. The sums are made in 64 bit and compared before anything is
 * taken. */
static int make_room(struct text *t, uint64_t len)
{
	uint64_t need = t->len + len, room = t->room ? t->room : ROOM_FIRST;
	char *buf;

	if (need > t->max)
		return TEXT_TOO_LONG;
	if (need <= t->room)
		return 0;
	while (room < need)
		room *= 2;
	room = MIN(room, (uint64_t)t->max);
	buf = realloc(t->buf, room);
	if (!buf)
		return -ENOMEM;
	t->buf = buf;
	t->room = (uint32_t)room;
	return 0;
}

int text_add_bytes(struct text *t, const void *data, uint32_t len)
{
	int r = make_room(t, len);

	if (r || !len)
		return r;
	memcpy(t->buf + t->len, data, len);
	t->len += len;
	return 0;
}

int text_add(struct text *t, const char *key, const char *value)
{
	size_t key_len = strlen(key), value_len = strlen(value);
	int r = make_room(t, (uint64_t)key_len + value_len + 2);

	if (r)
		return r;
	memcpy(t->buf + t->len, key, key_len);
	t->buf[t->len + key_len] = '=';
	memcpy(t->buf + t->len + key_len + 1, value, value_len + 1);
	t->len += (uint32_t)(key_len + value_len + 2);
	return 0;
}

int text_addf(struct text *t, const char *key, const char *fmt, ...)
{
	va_list ap;
	char *value;
	int r;

	va_start(ap, fmt);
	r = vasprintf(&value, fmt, ap);
	va_end(ap);
	if (r < 0)
		return -ENOMEM;
	r = text_add(t, key, value);
	free(value);
	return r;
}

/* 6.1: letters, digits and . - + @ _ in a key's name; '#' in the extension format (13.22). */
static bool key_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr(".-+@_#", c));
}

static bool key_name_valid(const char *name)
{
	size_t len = 0;

	while (key_byte(name[len]))
		len++;
	return len >= 1 && len <= KEY_NAME_MAX && !name[len];
}

int text_next(struct text *t, uint32_t *posp, char **keyp, char **valuep)
{
	char *pair, *nul, *eq;

	/* Empty pairs are let pass: some initiators count their padding into the data segment. */
	while (*posp < t->len && !t->buf[*posp])
		++*posp;
	if (*posp >= t->len)
		return 0;
	pair = t->buf + *posp;
	nul = memchr(pair, '\0', t->len - *posp);
	if (!nul) /* 6.1: every pair, the last too, ends with NUL */
		return -1;
	eq = memchr(pair, '=', (size_t)(nul - pair));
	if (!eq)
		return -1;
	*eq = '\0';
	if (!key_name_valid(pair)) {
		*eq = '=';
		return -1;
	}
	*keyp = pair;
	*valuep = eq + 1;
	*posp = (uint32_t)(nul + 1 - t->buf);
	return 1;
}

/* --- names (4.2.7) --- */

/* 4.2.7.2: after the stringprep profile these and what lies above ASCII remain. */
static bool name_byte(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
	       c == ':' || c >= 0x80;
}

static bool hex_digits(const char *s, size_t n)
{
	return strspn(s, "0123456789abcdefABCDEF") == n && !s[n];
}

/* 4.2.7.4: iqn.YYYY-MM.reversed.domain[:anything] */
static bool iqn_valid(const char *s)
{
	static const char shape[] = "0000-00.";
	int month;

	for (size_t i = 0; shape[i]; i++)
		if (shape[i] == '0' ? s[i] < '0' || s[i] > '9' : s[i] != shape[i])
			return false;
	month = (s[5] - '0') * 10 + s[6] - '0';
	if (month < 1 || month > 12)
		return false;
	s += strlen(shape);
	if (!*s || *s == '.' || *s == ':' || *s == '-')
		return false;
	for (; *s; s++)
		if (!name_byte((unsigned char)*s))
			return false;
	return true;
}

bool iscsi_name_valid(const char *name)
{
	if (strnlen(name, 224) > 223) /* 4.2.7.1 */
		return false;
	if (!strncmp(name, "iqn.", 4))
		return iqn_valid(name + 4);
	if (!strncmp(name, "eui.", 4)) /* 4.2.7.5 */
		return hex_digits(name + 4, 16);
	if (!strncmp(name, "naa.", 4)) /* 4.2.7.6 */
		return hex_digits(name + 4, 16) || hex_digits(name + 4, 32);
	return false;
}
