/* addr.c - socket addresses as text: "1.2.3.4:3260", "[fe80::1%eth0]:3260".
 *
 * Numbers only, no name is looked up. A zone may be an interface's name or its number; it is shown
 * by name while the interface has one. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include "check.h"
#include "io.h"
#include "parse.h"

static bool parse_port(const char *s, uint16_t *portp)
{
	uint64_t v;

	if (s[0] == '0' &&
		s[1]) /* "0" asks for a free port; no other leading zero, no hexadecimal */
		return false;
	if (!parse_u64(&s, UINT16_MAX, &v) || *s)
		return false;
	*portp = (uint16_t)v;
	return true;
}

static bool parse_zone(const char *s, uint32_t *zonep)
{
	uint64_t v;

	*zonep = if_nametoindex(s);
	if (*zonep != 0)
		return true;
	if (!parse_u64(&s, UINT32_MAX, &v) || *s || v == 0)
		return false;
	*zonep = (uint32_t)v;
	return true;
}

static int parse_v6(struct io_addr *a, char *host, uint16_t port)
{
	char *zone = strchr(host, '%');

	memset(a, 0, sizeof(*a));
	if (zone) {
		*zone++ = '\0';
		if (!parse_zone(zone, &a->in6.sin6_scope_id))
			return -EINVAL;
	}
	if (inet_pton(AF_INET6, host, &a->in6.sin6_addr) != 1)
		return -EINVAL;
	a->in6.sin6_family = AF_INET6;
	a->in6.sin6_port = htons(port);
	a->len = sizeof(a->in6);
	return 0;
}

static int parse_v4(struct io_addr *a, const char *host, uint16_t port)
{
	memset(a, 0, sizeof(*a));
	if (inet_pton(AF_INET, host, &a->in.sin_addr) != 1)
		return -EINVAL;
	a->in.sin_family = AF_INET;
	a->in.sin_port = htons(port);
	a->len = sizeof(a->in);
	return 0;
}

int io_addr_parse(struct io_addr *a, const char *text, size_t len)
{
	char s[IO_ADDR_TEXT + 16], *colon;
	size_t host_len;
	uint16_t port;

	if (len >= sizeof(s) || memchr(text, '\0', len))
		return -EINVAL;
	memcpy(s, text, len);
	s[len] = '\0';
	colon = strrchr(s, ':');
	if (!colon || !parse_port(colon + 1, &port))
		return -EINVAL;
	*colon = '\0';
	host_len = (size_t)(colon - s);
	if (s[0] != '[')
		return parse_v4(a, s, port);
	if (s[host_len - 1] != ']')
		return -EINVAL;
	s[host_len - 1] = '\0';
	return parse_v6(a, s + 1, port);
}

const char *io_addr_text(const struct io_addr *a, char buf[IO_ADDR_TEXT])
{
	char host[INET6_ADDRSTRLEN] = "", zone[IF_NAMESIZE + 1] = "";
	uint32_t id;

	switch (a->sa.sa_family) {
	case AF_INET:
		inet_ntop(AF_INET, &a->in.sin_addr, host, sizeof(host));
		snprintf(buf, IO_ADDR_TEXT, "%s:%u", host, ntohs(a->in.sin_port));
		break;
	case AF_INET6:
		inet_ntop(AF_INET6, &a->in6.sin6_addr, host, sizeof(host));
		id = a->in6.sin6_scope_id;
		if (id != 0) {
			zone[0] = '%';
			if (!if_indextoname(id, zone + 1))
				snprintf(zone + 1, IF_NAMESIZE, "%u", id);
		}
		snprintf(buf, IO_ADDR_TEXT, "[%s%s]:%u", host, zone, ntohs(a->in6.sin6_port));
		break;
	default:
		snprintf(buf, IO_ADDR_TEXT, "?");
	}
	return buf;
}
