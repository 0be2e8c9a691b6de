/* sock.c - TCP sockets driven by readiness, the same for both real engines.
 *
 * Each socket of a reactor has a slot; the epoll set knows the slot, the slot knows the socket.
 * A closed or detached socket leaves its slot at once, but the slot is used again only after all
 * events of the batch at hand have been looked at. So no event can reach a socket that is gone, or
 * one that took its place.
 *
 * io_want() only notes the wish; sock_apply() tells the kernel once, before the reactor sleeps, so
 * that a wish taken back within a turn costs nothing. A socket of which nothing is wanted stays in
 * the set, edge-triggered and with no event: the kernel always reports errors and hang-ups, and
 * level-triggered they would keep the loop awake.
 *
 * Accepting without descriptors. When accept() finds none (or no memory), the connection stays in
 * the backlog and the listener stays ready: level-triggered, that is a busy loop. So the listener
 * rests for PAUSE_NS and says so once. */
#include "engine.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "counter.h"
#include "log.h"

enum {
	PAUSE_NS = 100 * 1000 * 1000,
	ACCEPT_TRIES = 16, /* connections that died in the backlog, passed over in one call */
};

struct slot {
	struct list link; /* changed, idle or dead */
	struct engine_core *engine;
	struct io_sock *sock; /* NULL: nobody's */
	unsigned armed;       /* IO_IN, IO_OUT as the kernel knows them */
	uint32_t lowat;
	struct io_timer rest; /* of a listener */
	bool told;
};

void sock_init(struct engine_core *e)
{
	list_init(&e->slots.changed);
	list_init(&e->slots.idle);
	list_init(&e->slots.dead);
}

void sock_deinit(struct engine_core *e)
{
	struct list *node;

	list_splice_back(&e->slots.idle, &e->slots.dead);
	while ((node = list_pop(&e->slots.idle)))
		free(list_entry(node, struct slot, link));
}

static void rest_over(struct io_timer *t)
{
	struct slot *slot = container_of(t, struct slot, rest);

	if (!list_linked(&slot->link))
		list_push_back(&slot->engine->slots.changed, &slot->link);
}

static struct slot *slot_take(struct engine_core *e, struct io_sock *s)
{
	struct list *node = list_pop(&e->slots.idle);
	struct slot *slot = node ? list_entry(node, struct slot, link) : malloc(sizeof(*slot));

	if (!slot)
		return NULL;
	*slot = (struct slot){.engine = e, .sock = s, .lowat = 1};
	list_init(&slot->link);
	io_timer_init(&slot->rest, rest_over);
	return slot;
}

static void slot_drop(struct slot *slot)
{
	struct engine_core *e = slot->engine;

	io_timer_stop(&e->io, &slot->rest);
	if (slot->lowat > 1)
		e->n_bursts--;
	slot->sock = NULL;
	list_remove(&slot->link);
	list_push_back(&e->slots.dead, &slot->link);
}

static struct epoll_event event_for(struct slot *slot, unsigned want)
{
	struct epoll_event ev = {.data.ptr = slot};

	if (want & IO_IN)
		ev.events |= EPOLLIN;
	if (want & IO_OUT)
		ev.events |= EPOLLOUT;
	if (!want)
		ev.events = EPOLLET;
	return ev;
}

static int slot_enter(struct engine_core *e, struct io_sock *s, int fd)
{
	struct slot *slot = slot_take(e, s);
	struct epoll_event ev = event_for(slot, 0);
	int rc = 0;

	if (!slot)
		return -ENOMEM;
	if (epoll_ctl(e->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0) {
		rc = -errno;
		slot_drop(slot);
		return rc;
	}
	s->handle = fd;
	s->want = 0;
	s->engine = slot;
	return 0;
}

static int slot_leave(struct engine_core *e, struct io_sock *s)
{
	int fd = s->handle;

	check(epoll_ctl(e->epoll_fd, EPOLL_CTL_DEL, fd, NULL) == 0);
	slot_drop(s->engine);
	s->handle = -1;
	s->want = 0;
	s->engine = NULL;
	return fd;
}

void sock_apply(struct engine_core *e)
{
	struct list *node;

	while ((node = list_pop(&e->slots.changed))) {
		struct slot *slot = list_entry(node, struct slot, link);
		unsigned want = slot->rest.index ? 0 : slot->sock->want;
		struct epoll_event ev = event_for(slot, want);

		if (want == slot->armed)
			continue;
		check(epoll_ctl(e->epoll_fd, EPOLL_CTL_MOD, slot->sock->handle, &ev) == 0);
		slot->armed = want;
	}
}

/* An error or hang-up is told as IO_IN to everyone who wants anything. */
static unsigned ready_of(const struct io_sock *s, uint32_t events)
{
	unsigned ready = 0;

	if (events & EPOLLIN)
		ready |= IO_IN;
	if (events & EPOLLOUT)
		ready |= IO_OUT;
	ready &= s->want;
	if (events & (EPOLLERR | EPOLLHUP) && s->want)
		ready |= IO_IN;
	return ready;
}

bool sock_dispatch(struct engine_core *e)
{
	bool some = false;

	for (int i = 0; i < e->n_events; i++) {
		struct slot *slot = e->events[i].data.ptr;
		unsigned ready;

		if (!slot || !slot->sock)
			continue; /* the wake-up, or closed by a callback of this batch */
		ready = ready_of(slot->sock, e->events[i].events);
		if (!ready)
			continue;
		some = true;
		slot->sock->on_ready(slot->sock, ready);
	}
	e->n_events = 0;
	list_splice_back(&e->slots.idle, &e->slots.dead);
	return some;
}

void sock_want(struct io *io, struct io_sock *s, unsigned want)
{
	struct slot *slot = s->engine;

	s->want = want;
	if (!list_linked(&slot->link))
		list_push_back(&slot->engine->slots.changed, &slot->link);
}

static int set_option(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int bind_and_listen(int fd, struct io_addr *addr)
{
	int rc = set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);

	if (rc == 0 && addr->sa.sa_family == AF_INET6)
		rc = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (rc < 0)
		return rc;
	if (bind(fd, &addr->sa, addr->len) < 0 || listen(fd, SOMAXCONN) < 0)
		return -errno;
	addr->len = sizeof(addr->in6);
	return getsockname(fd, &addr->sa, &addr->len) < 0 ? -errno : 0;
}

int sock_listen(struct io *io, struct io_sock *s, struct io_addr *addr)
{
	int fd = socket(addr->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0)
		return -errno;
	rc = bind_and_listen(fd, addr);
	if (rc == 0)
		rc = slot_enter(engine_of(io), s, fd);
	if (rc < 0)
		close(fd);
	return rc;
}

static void listener_rest(struct slot *slot, int error)
{
	struct io *io = &slot->engine->io;

	if (!slot->told)
		log_warn("cannot accept connections for want of resources (%s), trying on",
			strerror(error));
	slot->told = true;
	/* Without memory for the timer it stays awake: slower, not wrong. */
	if (io_timer_set(io, &slot->rest, io_now(io) + PAUSE_NS) == 0 && !list_linked(&slot->link))
		list_push_back(&slot->engine->slots.changed, &slot->link);
}

/* accept(2): on Linux the errors of a connection that died in the backlog come out of accept(). */
static bool peer_is_gone(int error)
{
	switch (error) {
	case EINTR:
	case ECONNABORTED:
	case EPROTO:
	case EPERM: /* a firewall rule */
	case ENETDOWN:
	case ENOPROTOOPT:
	case EHOSTDOWN:
	case ENONET:
	case EHOSTUNREACH:
	case EOPNOTSUPP:
	case ENETUNREACH:
	case ETIMEDOUT:
		return true;
	default:
		return false;
	}
}

int sock_accept(struct io *io, struct io_sock *s, struct io_addr *peer)
{
	struct slot *slot = s->engine;

	for (int i = 0; i < ACCEPT_TRIES; i++) {
		int fd;

		peer->len = sizeof(peer->in6);
		fd = accept4(s->handle, &peer->sa, &peer->len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			slot->told = false;
			return fd;
		}
		if (peer_is_gone(errno))
			continue;
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			listener_rest(slot, errno);
			return -EAGAIN;
		}
		return -errno;
	}
	return -EAGAIN;
}

int sock_attach(struct io *io, struct io_sock *s, int handle)
{
	struct engine_core *e = engine_of(io);
	int flags = fcntl(handle, F_GETFL), rc;

	if (flags < 0)
		return -errno;
	if (!(flags & O_NONBLOCK))
		fcntl(handle, F_SETFL, flags | O_NONBLOCK);
	/* Refused by a connection that is reset already, which io_recv() will tell. */
	set_option(handle, IPPROTO_TCP, TCP_NODELAY, 1);
	if (e->user_timeout_ms)
		set_option(handle, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)e->user_timeout_ms);
	rc = slot_enter(e, s, handle);
	if (rc < 0)
		close(handle);
	return rc;
}

int sock_detach(struct io *io, struct io_sock *s)
{
	sock_lowat(io, s, 1);
	return slot_leave(engine_of(io), s);
}

void sock_close(struct io *io, struct io_sock *s)
{
	if (s->handle >= 0)
		close(slot_leave(engine_of(io), s));
}

ssize_t sock_recv(struct io *io, struct io_sock *s, const struct iovec *iov, unsigned n)
{
	ssize_t got;

	do
		got = readv(s->handle, iov, (int)MIN(n, ENGINE_MAX_IOV));
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	if (got > 0) {
		count(CTR_RECEIVE_CALLS, 1);
		count(CTR_RECEIVED_BYTES, (uint64_t)got);
		engine_of(io)->n_turn_bytes += (uint64_t)got;
	}
	return got;
}

ssize_t sock_send(struct io *io, struct io_sock *s, const struct iovec *iov, unsigned n)
{
	struct msghdr msg = {
		.msg_iov = (struct iovec *)iov,
		.msg_iovlen = MIN(n, ENGINE_MAX_IOV),
	};
	ssize_t sent;

	do
		sent = sendmsg(s->handle, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return -errno;
	if (sent > 0) {
		count(CTR_SEND_CALLS, 1);
		count(CTR_SENT_BYTES, (uint64_t)sent);
	}
	return sent;
}

/* The kernel lowers the mark to half the receive buffer and grows the buffer for it, and the end of
 * the stream is ready whatever the mark: it can be too high only for what the peer will send. */
void sock_lowat(struct io *io, struct io_sock *s, uint32_t bytes)
{
	struct slot *slot = s->engine;
	uint32_t mark = MIN(MAX(bytes, 1), INT_MAX);

	if (mark == slot->lowat || set_option(s->handle, SOL_SOCKET, SO_RCVLOWAT, (int)mark) < 0)
		return;
	if (slot->lowat > 1)
		slot->engine->n_bursts--;
	if (mark > 1)
		slot->engine->n_bursts++;
	slot->lowat = mark;
}

int sock_local(struct io *io, struct io_sock *s, struct io_addr *a)
{
	a->len = sizeof(a->in6);
	return getsockname(s->handle, &a->sa, &a->len) < 0 ? -errno : 0;
}
