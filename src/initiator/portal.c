/* portal.c - see portal.h. */
#include <errno.h>
#include <netdb.h>
#include <string.h>
#include "parse.h"
#include "portal.h"

static bool split_port(const char *text, size_t len, char port[6])
{
	const char *at = text;
	uint64_t v;
	char digits[8] = "";

	if (!len || len > 5)
		return false;
	memcpy(digits, text, len);
	at = digits;
	if (strspn(digits, "0123456789") != len || !parse_u64(&at, UINT16_MAX, &v) || !v)
		return false;
	memcpy(port, digits, 6);
	return true;
}

bool portal_split(const char *text, size_t len, char host[256], char port[6])
{
	const char *end = text + len, *host_end, *rest;

	strcpy(port, "3260");
	if (len && *text == '[') {
		text++;
		host_end = memchr(text, ']', (size_t)(end - text));
		if (!host_end)
			return false;
		rest = host_end + 1;
	} else {
		host_end = memchr(text, ':', len);
		rest = host_end = host_end ? host_end : end;
	}
	if (host_end == text || host_end - text > 255 || memchr(text, '\0', (size_t)(end - text)))
		return false;
	memcpy(host, text, (size_t)(host_end - text));
	host[host_end - text] = '\0';
	if (rest == end)
		return true;
	return *rest == ':' && split_port(rest + 1, (size_t)(end - rest - 1), port);
}

int portal_find(const char *host, const char *port, struct io_addr addr[PORTAL_ADDRS], unsigned *np)
{
	struct addrinfo hints = {
		.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	struct addrinfo *found = NULL;
	int rc = getaddrinfo(host, port, &hints, &found);

	if (rc)
		return rc == EAI_SYSTEM ? -errno : rc == EAI_MEMORY ? -ENOMEM : -ENOENT;
	*np = 0;
	for (struct addrinfo *a = found; a && *np < PORTAL_ADDRS; a = a->ai_next) {
		if (a->ai_addrlen > sizeof(addr->in6))
			continue;
		memset(&addr[*np], 0, sizeof(addr[*np]));
		memcpy(&addr[*np].sa, a->ai_addr, a->ai_addrlen);
		addr[(*np)++].len = a->ai_addrlen;
	}
	freeaddrinfo(found);
	return *np ? 0 : -ENOENT;
}

int portal_find_text(const char *text, struct io_addr addr[PORTAL_ADDRS], unsigned *np)
{
	char host[256], port[6];

	return portal_split(text, strlen(text), host, port) ? portal_find(host, port, addr, np)
							    : -EINVAL;
}
