/* peer-tcp.c - the peer's bytes over a TCP socket; every wait has an end. */
#include "peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct tcp {
	int fd;
};

static bool wait_for(struct tcp *t, short events, int timeout_ms)
{
	struct pollfd pfd = {.fd = t->fd, .events = events};

	return poll(&pfd, 1, timeout_ms) > 0;
}

static long tcp_send(void *ctx, const void *buf, size_t len, int timeout_ms)
{
	struct tcp *t = ctx;
	ssize_t n = send(t->fd, buf, len, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN) {
		if (!wait_for(t, POLLOUT, timeout_ms))
			return -ETIMEDOUT;
		n = send(t->fd, buf, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? -ETIMEDOUT : -errno;
	return n;
}

static long tcp_recv(void *ctx, void *buf, size_t room, int timeout_ms)
{
	struct tcp *t = ctx;
	ssize_t n = recv(t->fd, buf, room, MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN && timeout_ms) {
		if (!wait_for(t, POLLIN, timeout_ms))
			return -ETIMEDOUT;
		n = recv(t->fd, buf, room, MSG_DONTWAIT);
	}
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? -ETIMEDOUT : -errno;
	return n;
}

static void tcp_close(void *ctx, bool abrupt)
{
	struct tcp *t = ctx;
	struct linger now = {.l_onoff = 1, .l_linger = 0};

	if (abrupt)
		setsockopt(t->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(t->fd);
	free(t);
}

static const struct peer_transport tcp_transport = {tcp_send, tcp_recv, tcp_close};

/* try_connect - NULL when refused. */
static struct peer *try_connect(const char *host, uint16_t port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct tcp *t = malloc(sizeof(*t));
	int one = 1;

	EXPECT(inet_pton(AF_INET, host, &to.sin_addr) == 1, "%s is not an address", host);
	t->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	EXPECT(t->fd >= 0, "socket: %s", strerror(errno));
	if (connect(t->fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		tcp_close(t, false);
		return NULL;
	}
	setsockopt(t->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return peer_new(&tcp_transport, t);
}

struct peer *peer_connect(const char *host, uint16_t port)
{
	struct peer *p = try_connect(host, port);

	EXPECT(p, "connection to %s:%u refused", host, port);
	return p;
}

void peer_set_recv_buffer(struct peer *p, int bytes)
{
	struct tcp *t = p->ctx;

	if (p->transport == &tcp_transport)
		setsockopt(t->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}
