/* nexus.c - the life of a session's connection: opening, service, loss, and the way back. See
 * nexus.h for the states. All trouble meets in nexus_fault(), which only notes it; nexus_lost()
 * acts on it once no received bytes are being walked over. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>
#include "check.h"
#include "nexus.h"
#include "portal.h"

enum { TURNS_MAX = 16, TICK_MS = 250, BACKOFF_MS = 100, BACKOFF_MS_MAX = 2000, MOVES_MAX = 4 };

#define MS 1000000ull

void nexus_now(struct berth_session *s)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	s->now_ns = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void nexus_fault(struct berth_session *s, int error, const char *fmt, ...)
{
	va_list ap;

	if (s->fault)
		return; /* the first is the cause */
	s->fault = error;
	va_start(ap, fmt);
	vsnprintf(s->why, sizeof(s->why), fmt, ap);
	va_end(ap);
}

/* --- connecting --- */

static void connect_failed(struct berth_session *s, int error)
{
	char text[IO_ADDR_TEXT];

	nexus_fault(s, error, "%s: %s", io_addr_text(&s->addr[s->at_addr], text), strerror(-error));
}

static int open_socket(struct berth_session *s)
{
	const struct io_addr *a = &s->addr[s->at_addr];
	struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT};
	int one = 1;

	s->fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return -errno;
	setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (s->opt.congestion && setsockopt(s->fd, IPPROTO_TCP, TCP_CONGESTION, s->opt.congestion,
					 (socklen_t)strlen(s->opt.congestion)) < 0) {
		nexus_fault(
			s, -EINVAL, "%s: no congestion control of this system", s->opt.congestion);
		return -EINVAL;
	}
	s->want_out = true;
	if (connect(s->fd, &a->sa, a->len) < 0 && errno != EINPROGRESS)
		return -errno;
	return epoll_ctl(s->poll_fd, EPOLL_CTL_ADD, s->fd, &ev) < 0 ? -errno : 0;
}

static void begin_connect(struct berth_session *s)
{
	int rc;

	s->state = NX_CONNECTING;
	s->limit_ns = s->now_ns + s->opt.connect_ms * MS;
	rc = open_socket(s);
	if (rc < 0)
		connect_failed(s, rc);
}

static void offer_of(const struct berth_session *s, struct param_offer *o)
{
	const struct berth_options *opt = &s->opt;

	param_offer_default(o);
	o->v.max_recv_data = opt->max_recv_data;
	o->v.max_burst = opt->max_burst;
	o->v.first_burst = opt->first_burst;
	o->v.max_outstanding_r2t = REQUEST_R2TS;
	o->v.initial_r2t = opt->initial_r2t;
	o->v.immediate_data = !opt->no_immediate_data;
	o->v.header_digest = opt->header_digest;
	o->v.data_digest = opt->data_digest;
}

/* proof_of - with fresh random numbers for each login: a challenge must not come twice. */
static int proof_of(const struct berth_session *s, struct proof *proof)
{
	const struct berth_url *u = &s->url;
	struct proof_secrets with = {u->user, u->password, u->target_user, u->target_password};
	uint8_t random[PROOF_RANDOM_LEN];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	proof_init(proof, &with, random);
	proof->short_hashes = s->short_hashes;
	return 0;
}

static void begin_login(struct berth_session *s)
{
	struct param_offer offer;
	struct proof proof;

	offer_of(s, &offer);
	if (proof_of(s, &proof)) {
		nexus_fault(s, -EIO, "no random numbers for CHAP");
		return;
	}
	param_default(&s->params);
	framer_init(&s->framer, &nexus_framer_ops, s, s->pool->scratch, &s->dpt);
	s->state = NX_LOGIN;
	s->counted_before = s->counted;
	if (signon_init(&s->signon, &offer, s->initiator, s->discovery ? NULL : s->target, s->isid,
		    &proof))
		nexus_fault(s, -ENOMEM, "out of memory");
	s->text_due = true;
}

static void look_connected(struct berth_session *s)
{
	struct pollfd p = {.fd = s->fd, .events = POLLOUT};
	int error = 0;
	socklen_t len = sizeof(error);

	if (poll(&p, 1, 0) <= 0)
		return;
	getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error)
		connect_failed(s, -error);
	else
		begin_login(s);
}

void nexus_ready(struct berth_session *s)
{
	const struct signon *so = &s->signon;
	uint32_t most = s->opt.max_send_data;

	s->params = so->params;
	s->cut = most && most < so->params.max_send_data ? most : so->params.max_send_data;
	s->cmdsn = so->cmdsn;
	s->expstatsn = so->expstatsn;
	s->window = (struct cmd_window){.expcmdsn = so->expcmdsn, .maxcmdsn = so->maxcmdsn};
	s->framer.cut =
		s->params.max_recv_data; /* a guess, corrected by the first longer or shorter one */
	framer_digests(&s->framer, s->params.header_digest, s->params.data_digest);
	s->state = NX_FULL;
	s->counted = s->counted_before;
	s->n_reconnects += s->once_ready;
	s->once_ready = true;
	s->once_answered = false;
	s->n_attempts = 0;
	s->ping_ns = 0;
	s->heard_ns = s->now_ns;
	s->tick_ns = 0;
	s->why[0] = '\0';
}

/* --- loss --- */

/* drop - whatever belongs to this connection. */
static void drop(struct berth_session *s)
{
	if (s->fd >= 0)
		close(s->fd); /* and it is out of the epoll set */
	s->fd = -1;
	if (s->out.batch)
		list_push_front(&s->pool->batches, &s->out.batch->link);
	s->out.batch = NULL;
	s->out.sent = s->out.made;
	s->text_due = s->text_asks_more = false;
	s->n_pongs = 0;
	s->ping_ns = 0;
	s->rx_request = NULL;
	requests_lost(s);
	signon_deinit(&s->signon);
	framer_deinit(&s->framer);
	dpt_deinit(&s->dpt);
	dpt_init(&s->dpt, ++s->incarnation & 0x7fff); /* tags of the old connection are strangers */
}

void nexus_die(struct berth_session *s, int error)
{
	if (s->state == NX_DEAD)
		return;
	drop(s);
	s->state = NX_DEAD;
	s->error = error;
	requests_end_all(s, error);
}

static void wait_for_another(struct berth_session *s, bool was_ready)
{
	uint64_t pause =
		MIN((uint64_t)BACKOFF_MS << MIN(s->n_attempts, 8), (uint64_t)BACKOFF_MS_MAX);

	if (was_ready)
		s->give_up_ns = s->now_ns + s->opt.reconnect_ms * MS;
	s->wake_ns = s->now_ns + (s->n_attempts++ ? pause * MS : 0);
	s->state = NX_WAITING;
}

/* is_hopeless - trying again would end in the same way. A target that was there is looked for longer: tgt and
 * others listen before they know their targets. */
static bool is_hopeless(const struct berth_session *s, int error)
{
	return error == -EACCES || error == -ENOMEM || error == -ECANCELED ||
	       (error == -ENOENT && !s->once_ready);
}

/* nexus_lost - the connection is gone: again, or DEAD. */
static void nexus_lost(struct berth_session *s, int error)
{
	bool was_ready = s->state == NX_FULL, connecting = s->state == NX_CONNECTING;
	bool shorter = s->state == NX_LOGIN && !s->short_hashes && s->signon.refused &&
		       proof_may_be_too_long(&s->signon.proof);
	char moved[256];

	snprintf(moved, sizeof(moved), "%s", error == -EREMCHG ? s->signon.moved : "");
	s->fault = 0;
	if (shorter) {
		s->short_hashes = true;
		drop(s);
		begin_connect(s);
		return;
	}
	if (s->state == NX_LEAVING || is_hopeless(s, error)) {
		nexus_die(s, error);
		return;
	}
	drop(s);
	if (*moved && s->n_moves++ < MOVES_MAX && !portal_find_text(moved, s->addr, &s->n_addr)) {
		s->at_addr = 0;
		begin_connect(s);
		return;
	}
	if (connecting && s->at_addr + 1 < s->n_addr) {
		s->at_addr++;
		begin_connect(s);
		return;
	}
	s->at_addr = 0;
	if (s->once_ready && s->opt.reconnect_ms && (was_ready || s->now_ns < s->give_up_ns))
		wait_for_another(s, was_ready);
	else
		nexus_die(s, error == -EAGAIN ? -EBUSY : error);
}

/* --- service --- */

/* receive - one call into the plan's places. False: nothing more is there now. */
static bool receive(struct berth_session *s)
{
	struct msghdr m = {0};
	unsigned n_iov;
	ssize_t n;

	m.msg_iov = (struct iovec *)(uintptr_t)framer_plan(&s->framer, &n_iov);
	m.msg_iovlen = n_iov;
	do
		n = recvmsg(s->fd, &m, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n <= 0) {
		if (!n)
			nexus_fault(s, -ECONNRESET, "the target closed the connection");
		else if (errno != EAGAIN)
			nexus_fault(s, -errno, "receiving: %s", strerror(errno));
		return false;
	}
	nexus_now(s);
	s->receive_calls++;
	s->received_bytes += (uint64_t)n;
	s->heard_ns = s->now_ns;
	s->ping_ns = 0;
	framer_landed(&s->framer, (size_t)n);
	return !s->fault && (size_t)n == framer_plan_len(&s->framer);
}

static void keep_alive(struct berth_session *s)
{
	uint64_t patience = s->opt.keepalive_ms * MS;
	struct request *r;

	if (s->ping_ns && s->now_ns - s->ping_ns >= 2 * patience) {
		nexus_fault(s, -ETIMEDOUT, "the target has fallen silent");
		return;
	}
	if (s->ping_ns || s->now_ns - s->heard_ns < patience)
		return;
	r = request_take(s, REQ_PING, true);
	if (!r)
		return;
	r->done = NULL;
	r->timeout_ms = s->opt.keepalive_ms * 3;
	s->ping_ns = s->now_ns;
	request_queue(s, r);
}

static void tick(struct berth_session *s)
{
	bool signing = s->state == NX_CONNECTING || s->state == NX_LOGIN;

	if (signing && s->now_ns >= s->limit_ns)
		nexus_fault(s, -ETIMEDOUT, "no login within %u ms", s->opt.connect_ms);
	if (s->state == NX_WAITING && s->now_ns >= s->wake_ns)
		begin_connect(s);
	if (s->now_ns < s->tick_ns)
		return;
	s->tick_ns = s->now_ns + TICK_MS * MS;
	if (s->n_active)
		requests_tick(s);
	if (s->state == NX_FULL)
		keep_alive(s);
	list_for_each(node, &s->later) {
		struct request *r = list_entry(node, struct request, link);

		s->tick_ns = MIN(s->tick_ns, r->again_ns);
	}
}

int berth_service(struct berth_session *s)
{
	struct counters *was = counters;
	bool more = true;

	counters = &s->counted;
	nexus_now(s);
	for (unsigned i = 0; more && i < TURNS_MAX; i++) {
		if (s->state == NX_CONNECTING)
			look_connected(s);
		more = s->fd >= 0 && s->state != NX_CONNECTING && !s->fault && receive(s);
		if (!more)
			tick(s);
		nexus_tell(s);
		nexus_send(s);
		if (s->fault) {
			nexus_lost(s, s->fault);
			nexus_tell(s);
			more = s->state == NX_WAITING || s->state == NX_CONNECTING;
		}
	}
	counters = was;
	return s->state == NX_DEAD ? s->error : 0;
}

void berth_flush(struct berth_session *s)
{
	nexus_send(s);
}

int berth_fd(const struct berth_session *s)
{
	return s->poll_fd;
}

int berth_timeout_ms(const struct berth_session *s)
{
	uint64_t at = UINT64_MAX;
	struct timespec t;
	uint64_t now;

	if (s->fault || !list_empty(&s->ended))
		return 0;
	switch (s->state) {
	case NX_DEAD:
		return -1;
	case NX_WAITING:
		at = s->wake_ns;
		break;
	case NX_CONNECTING:
	case NX_LOGIN:
		at = s->limit_ns;
		break;
	default:
		at = s->ping_ns ? s->ping_ns + 2 * s->opt.keepalive_ms * MS
				: s->heard_ns + s->opt.keepalive_ms * MS;
		at = MAX(at, s->tick_ns); /* where it is looked at */
		break;
	}
	if (s->n_active)
		at = MIN(at, s->tick_ns);
	clock_gettime(CLOCK_MONOTONIC, &t);
	now = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
	return at <= now ? 0 : (int)MIN((at - now) / MS + 1, (uint64_t)3600000);
}
