/* limit.c - the bare yardstick: parse, place, answer, and nothing else.
 *
 * An iSCSI target without anything that makes a target useful: no map, no commit, no sessions, no
 * command order, no checks of a CDB, no reactor. It is built from Berth's own framer, data pointer
 * table and arena, so that what is left between it and Berth is the target's own work. It must not
 * flatter itself: every page of its 1 GiB arena (the kind that a RAM disk has) was touched before
 * it says `ready`; a READ is sent from pages drawn at random, a WRITE lands in pages drawn at
 * random, one draw for each --run pages (1). What is written is therefore not what is read back.
 *
 * One thread, one epoll set. It spins as Berth does (--spin, 50 us after small work), wakes late
 * for bursts as Berth does (SO_RCVLOWAT), and says all of a turn in one sendmsg. It trusts its peer
 * and ends with a line of reason when something is not as it expects. */
#include "limit.h"

#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

enum {
	MAX_EVENTS = 128,
	SMALL_TURN = 65536,
	BURST_MS = 5,
	LOWAT_FROM = 64 << 10,
	LOWAT_MOST = 256 << 10,
	TURNS = 8
};

static struct {
	struct limit limit;
	int epoll_fd, listen_fd;
	uint64_t spin_ns, turn_bytes;
	unsigned n_bursts;
	struct lconn *all;
} server;

void limit_die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "limit: ");
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, "\n");
	va_end(ap);
	exit(1);
}

static uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* --- sockets --- */

static void want(struct lconn *c, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = c};

	if (events == c->events)
		return;
	check(!epoll_ctl(server.epoll_fd, c->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, &ev));
	c->events = events;
}

static void lowat(struct lconn *c, uint32_t due)
{
	int mark = due < LOWAT_FROM ? 1 : (int)due;

	if (mark == c->lowat)
		return;
	setsockopt(c->fd, SOL_SOCKET, SO_RCVLOWAT, &mark, sizeof(mark));
	server.n_bursts += (unsigned)(mark > 1) - (unsigned)(c->lowat > 1);
	c->lowat = mark;
}

static void hang_up(struct lconn *c)
{
	struct lconn **at = &server.all;

	lowat(c, 0);
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	close(c->fd);
	lconn_free(c);
}

static void welcome(void)
{
	int fd = accept4(server.listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), one = 1;
	struct lconn *c;

	if (fd < 0)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	c = lconn_new(&server.limit, fd);
	c->lowat = 1;
	c->next = server.all;
	server.all = c;
	want(c, EPOLLIN);
}

/* --- moving bytes --- */

/* send_all - false: the peer is gone. */
static bool send_all(struct lconn *c)
{
	unsigned n;
	struct iovec *iov;

	while ((iov = lconn_tx_plan(c, &n))) {
		struct msghdr msg = {.msg_iov = iov, .msg_iovlen = n};
		ssize_t sent = sendmsg(c->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0 && errno == EAGAIN) {
			want(c, EPOLLIN | EPOLLOUT);
			return true;
		}
		if (sent < 0)
			return false;
		lconn_tx_sent(c, (size_t)sent);
	}
	want(c, EPOLLIN);
	return !c->leaving;
}

static bool receive(struct lconn *c)
{
	for (unsigned i = 0; i < TURNS; i++) {
		unsigned n;
		const struct iovec *iov = framer_plan(&c->framer, &n);
		size_t whole = framer_plan_len(&c->framer);
		ssize_t got = readv(c->fd, iov, (int)n);

		if (got < 0 && errno == EAGAIN)
			break;
		if (got <= 0)
			return false;
		server.turn_bytes += (uint64_t)got;
		if (framer_landed(&c->framer, (size_t)got) == RX_STOP)
			return false;
		if ((size_t)got < whole)
			break;
	}
	lowat(c, framer_due(&c->framer, LOWAT_MOST));
	return true;
}

static void serve(struct lconn *c, uint32_t ready)
{
	bool alive = true;

	if (ready & (EPOLLIN | EPOLLHUP | EPOLLERR))
		alive = receive(c);
	if (!alive || !send_all(c))
		hang_up(c);
}

/* turn - one look; false: nothing was there. */
static bool turn(int timeout_ms)
{
	struct epoll_event ev[MAX_EVENTS];
	int n = epoll_wait(server.epoll_fd, ev, MAX_EVENTS, timeout_ms);

	server.turn_bytes = 0;
	for (int i = 0; i < n; i++) {
		if (ev[i].data.ptr)
			serve(ev[i].data.ptr, ev[i].events);
		else
			welcome();
	}
	return n > 0;
}

/* A burst that has stopped half-way must not sleep for ever. */
static void wake_bursts(void)
{
	for (struct lconn *c = server.all; c; c = c->next)
		lowat(c, 0);
}

static void loop(void)
{
	for (;;) {
		if (!turn(server.n_bursts ? BURST_MS : -1)) {
			wake_bursts();
			continue;
		}
		for (uint64_t until = clock_ns() + server.spin_ns;
			!server.n_bursts && server.turn_bytes <= SMALL_TURN;) {
			if (turn(0))
				until = clock_ns() + server.spin_ns;
			else if (clock_ns() >= until)
				break;
		}
	}
}

/* --- start --- */

static void listen_at(uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct epoll_event ev = {.events = EPOLLIN};
	socklen_t len = sizeof(a);
	int one = 1;

	server.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	server.listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	setsockopt(server.listen_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(server.listen_fd, (struct sockaddr *)&a, len) ||
		listen(server.listen_fd, SOMAXCONN) ||
		getsockname(server.listen_fd, (struct sockaddr *)&a, &len) ||
		epoll_ctl(server.epoll_fd, EPOLL_CTL_ADD, server.listen_fd, &ev))
		limit_die("port %u: %s", port, strerror(errno));
	printf("iscsi://127.0.0.1:%u/" LIMIT_TARGET "/0\nready\n", ntohs(a.sin_port));
	fflush(stdout);
}

static void on_term(int sig)
{
	_exit(0);
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{"spin", 1, 0, 's'}, {"run", 1, 0, 'r'}, {"port", 1, 0, 'p'}, {0}};
	unsigned spin_us = 50, run = 1, port = 0;
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 's':
			spin_us = (unsigned)atoi(optarg);
			break;
		case 'r':
			run = (unsigned)atoi(optarg);
			break;
		case 'p':
			port = (unsigned)atoi(optarg);
			break;
		default:
			limit_die("options: --spin US, --run PAGES, --port N");
		}
	}
	signal(SIGTERM, on_term);
	signal(SIGINT, on_term);
	server.spin_ns = spin_us * UINT64_C(1000);
	limit_init(&server.limit, run);
	listen_at((uint16_t)port);
	loop();
}
