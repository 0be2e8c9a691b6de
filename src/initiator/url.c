/* url.c - iscsi://[user[%password]@]host[:port][/target[/lun]][?target_user=NAME&target_password=SECRET]. What is said
 * about a URL names it without its user and what follows '?': passwords do not belong into logs. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "berth/initiator.h"
#include "parse.h"
#include "portal.h"
#include "text.h"

enum { LUN_MAX = 16383 };

static const char scheme[] = "iscsi://";

static int refuse(char *err, size_t err_len, const char *text, const char *why)
{
	size_t len = strcspn(text, "?");
	size_t head = strncmp(text, scheme, strlen(scheme)) ? 0 : strlen(scheme);
	const char *at = memchr(text + head, '@', strcspn(text + head, "/?"));
	const char *rest = at ? at + 1 : text + head;

	snprintf(
		err, err_len, "%.*s%.*s: %s", (int)head, text, (int)(text + len - rest), rest, why);
	return -EINVAL;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* decode - %XX of `len` bytes; false: too long, or bad. */
static bool decode(const char *from, size_t len, char *to, size_t room)
{
	for (size_t i = 0; i < len; i++) {
		char c = from[i];

		if (c == '%') {
			if (len - i < 3 || hex(from[i + 1]) < 0 || hex(from[i + 2]) < 0)
				return false;
			c = (char)(hex(from[i + 1]) << 4 | hex(from[i + 2]));
			i += 2;
		}
		if (!c || !--room)
			return false;
		*to++ = c;
	}
	*to = '\0';
	return true;
}

/* split_user - "user%password": the first '%' that is not a %XX of the name parts them, as libiscsi
 * has it. */
static bool split_user(struct berth_url *u, const char *text, size_t len)
{
	size_t at = 0;

	while (at < len && (text[at] != '%' || (len - at >= 3 && hex(text[at + 1]) >= 0 &&
						       hex(text[at + 2]) >= 0)))
		at += text[at] == '%' ? 3 : 1;
	if (!decode(text, at, u->user, sizeof(u->user)))
		return false;
	return at >= len || decode(text + at + 1, len - at - 1, u->password, sizeof(u->password));
}

/* split_login - "user:password" too, since a password may begin with what looks like %XX. */
static bool split_login(struct berth_url *u, const char *text, size_t len)
{
	const char *colon = memchr(text, ':', len);
	size_t user_len = colon ? (size_t)(colon - text) : len;

	if (!colon)
		return split_user(u, text, len);
	return decode(text, user_len, u->user, sizeof(u->user)) &&
	       decode(colon + 1, len - user_len - 1, u->password, sizeof(u->password));
}

/* take_words - NAME=VALUE pairs behind '?', with the names that libiscsi gives them. */
static bool take_words(struct berth_url *u, const char *at)
{
	const struct {
		const char *name;
		char *to;
		size_t room;
	} rows[] = {
		{"target_user=", u->target_user, sizeof(u->target_user)},
		{"target_password=", u->target_password, sizeof(u->target_password)},
	};

	while (*at) {
		size_t len = strcspn(at, "&"), i = 0;

		while (i < 2 && strncmp(at, rows[i].name, strlen(rows[i].name)) != 0)
			i++;
		if (i == 2 || !decode(at + strlen(rows[i].name), len - strlen(rows[i].name),
				      rows[i].to, rows[i].room))
			return false;
		at += len + (at[len] == '&');
	}
	return true;
}

int berth_url_parse(struct berth_url *u, const char *text, char *err, size_t err_len)
{
	const char *at, *slash, *user_end, *words;
	uint64_t lun = 0;

	memset(u, 0, sizeof(*u));
	if (strncmp(text, scheme, strlen(scheme)) != 0)
		return refuse(err, err_len, text, "does not begin with iscsi://");
	at = text + strlen(scheme);
	words = text + strcspn(text, "?");
	if (*words && !take_words(u, words + 1))
		return refuse(err, err_len, text,
			"behind '?' only target_user=NAME and target_password=SECRET are known");
	slash = at + strcspn(at, "/?");
	user_end = memchr(at, '@', (size_t)(slash - at));
	if (user_end) {
		if (!split_login(u, at, (size_t)(user_end - at)))
			return refuse(err, err_len, text, "the user or password makes no sense");
		at = user_end + 1;
	}
	if (!portal_split(at, (size_t)(slash - at), u->host, u->port))
		return refuse(err, err_len, text,
			"not HOST[:PORT] behind iscsi:// (ports are 1 to 65535, IPv6 addresses stand in brackets)");
	if (*slash != '/' || slash + 1 == words)
		return 0;
	at = slash + 1;
	slash = at + strcspn(at, "/?");
	if (!decode(at, (size_t)(slash - at), u->target, sizeof(u->target)) ||
		!iscsi_name_valid(u->target))
		return refuse(err, err_len, text, "not the name of an iSCSI target");
	if (*slash != '/')
		return 0;
	at = slash + 1;
	if (!parse_u64(&at, LUN_MAX, &lun) || at != words)
		return refuse(err, err_len, text, "the LUN is not a number from 0 to 16383");
	u->lun = (uint16_t)lun;
	return 0;
}
