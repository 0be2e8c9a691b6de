/* engine.c - one epoll set to sleep in, the wake-up, clock and random bytes of a real engine, and
 * the order of a turn. The promise about sleep and wake-up is in engine.h. */
#include "engine.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>
#include "counter.h"
#include "reactor.h"

static int random_fill(struct engine_core *e)
{
	size_t n = 0;

	while (n < ENGINE_RANDOM) {
		ssize_t got = getrandom(e->random.bytes + n, ENGINE_RANDOM - n, 0);

		if (got < 0 && errno != EINTR)
			return -errno;
		n += got > 0 ? (size_t)got : 0;
	}
	e->random.left = ENGINE_RANDOM;
	return 0;
}

/* The first fill, at init, told whether the machine gives random bytes at all; from then on the
 * kernel does not refuse. Bytes that were given out are wiped. */
void engine_random(struct io *io, void *buf, size_t len)
{
	struct engine_core *e = engine_of(io);
	uint8_t *out = buf;

	while (len) {
		size_t n;
		uint8_t *from;

		if (!e->random.left)
			check(random_fill(e) == 0);
		n = MIN(len, e->random.left);
		e->random.left -= n;
		from = e->random.bytes + e->random.left;
		memcpy(out, from, n);
		explicit_bzero(from, n);
		out += n;
		len -= n;
	}
}

uint64_t engine_clock(struct io *io)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void ring_bell(struct engine_core *e)
{
	int saved = errno; /* may run in a signal handler */
	uint64_t one = 1;
	ssize_t rc = write(e->wake_fd, &one, sizeof(one));

	(void)rc; /* a full counter has woken it already */
	errno = saved;
}

void engine_wake(struct io *io)
{
	struct engine_core *e = engine_of(io);

	if (__atomic_exchange_n(&e->asleep, 0, __ATOMIC_SEQ_CST))
		ring_bell(e);
}

void engine_stop(struct engine_core *e)
{
	__atomic_store_n(&e->stop, 1, __ATOMIC_SEQ_CST);
	ring_bell(e);
}

int engine_init(struct engine_core *e, const struct io_ops *ops, const struct engine_kind *kind,
	unsigned index, unsigned user_timeout_ms)
{
	struct epoll_event wake = {.events = EPOLLIN | EPOLLET};
	int rc;

	*e = (struct engine_core){.kind = kind, .user_timeout_ms = user_timeout_ms};
	io_init(&e->io, ops, index);
	sock_init(e);
	e->epoll_fd = e->wake_fd = -1;
	rc = random_fill(e);
	if (rc < 0)
		goto fail;
	e->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	e->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (e->epoll_fd < 0 || e->wake_fd < 0 ||
		epoll_ctl(e->epoll_fd, EPOLL_CTL_ADD, e->wake_fd, &wake) < 0) {
		rc = -errno;
		goto fail;
	}
	e->io.now_ns = engine_clock(&e->io);
	return 0;
fail:
	engine_deinit(e);
	return rc;
}

void engine_deinit(struct engine_core *e)
{
	if (e->wake_fd >= 0)
		close(e->wake_fd);
	if (e->epoll_fd >= 0)
		close(e->epoll_fd);
	e->wake_fd = e->epoll_fd = -1;
	sock_deinit(e);
	io_deinit(&e->io);
}

/* epoll_wait() counts in milliseconds: a timer may come up to one late, never early. */
static int to_ms(uint64_t ns)
{
	uint64_t ms = ns / 1000000 + (ns % 1000000 != 0);

	return ms > INT_MAX ? -1 : (int)ms;
}

void engine_wait(struct engine_core *e, uint64_t timeout_ns)
{
	if (timeout_ns) {
		__atomic_store_n(&e->asleep, 1, __ATOMIC_SEQ_CST);
		timeout_ns = MIN(timeout_ns, e->kind->may_sleep(e));
		if (io_has_posts(&e->io) || __atomic_load_n(&e->stop, __ATOMIC_SEQ_CST))
			timeout_ns = 0;
	}
	e->n_events = epoll_wait(e->epoll_fd, e->events, ENGINE_EVENTS, to_ms(timeout_ns));
	__atomic_store_n(&e->asleep, 0, __ATOMIC_SEQ_CST);
	if (e->n_events < 0) {
		check(errno == EINTR); /* all its other errors are ours */
		e->n_events = 0;
	}
}

/* Sockets that become ready meanwhile wake nobody, which is the point: their senders' calls get cheaper too. */
void engine_nap(struct engine_core *e, uint64_t ns)
{
	struct pollfd bell = {.fd = e->wake_fd, .events = POLLIN};
	struct timespec ts;
	uint64_t rung;

	__atomic_store_n(&e->asleep, 1, __ATOMIC_SEQ_CST);
	ns = MIN(ns, e->kind->may_sleep(e));
	if (ns && !io_has_posts(&e->io) && !__atomic_load_n(&e->stop, __ATOMIC_SEQ_CST)) {
		ts = (struct timespec){.tv_nsec = (long)ns};
		count(CTR_NAPS, 1);
		/* An old ring may end it at once; it is read here, so that it ends one nap only. */
		if (ppoll(&bell, 1, &ts, NULL) > 0 && read(e->wake_fd, &rung, sizeof(rung)) < 0)
			check(errno == EAGAIN);
	}
	__atomic_store_n(&e->asleep, 0, __ATOMIC_SEQ_CST);
}

bool engine_turn(struct engine_core *e)
{
	bool some;

	e->io.now_ns = engine_clock(&e->io);
	e->io.ease_ns = UINT64_MAX;
	e->n_turn_bytes = 0;
	some = io_run_posts(&e->io);
	some |= io_run_timers(&e->io);
	some |= sock_dispatch(e);
	some |= e->kind->reap(e);
	some |= io_run_deferred(&e->io);
	sock_apply(e);
	e->kind->flush(e);
	return some;
}
