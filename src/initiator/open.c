/* open.c - how a session comes to be and goes; pools; what a session tells of itself. */
#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <unistd.h>
#include "check.h"
#include "nexus.h"
#include "portal.h"

enum { LOGOUT_MS = 1000, SEND_MAX = 0xffffff };

/* --- pools --- */

struct berth_pool *berth_pool_new(void)
{
	struct berth_pool *p = calloc(1, sizeof(*p));

	if (!p || rx_scratch_new(&p->scratch)) {
		free(p);
		return NULL;
	}
	list_init(&p->batches);
	p->refs = 1;
	return p;
}

void berth_pool_free(struct berth_pool *p)
{
	struct list *node;

	if (!p || --p->refs)
		return;
	while ((node = list_pop(&p->batches)))
		free(list_entry(node, struct batch, link));
	rx_scratch_free(p->scratch);
	free(p);
}

/* --- options --- */

/* default_name - of this host, in the letters that a name may have (RFC 7143 4.2.7.2). */
static void default_name(char name[ISCSI_NAME_MAX + 1])
{
	char host[65] = "";

	gethostname(host, sizeof(host) - 1);
	for (char *c = host; *c; c++)
		*c = isalnum((unsigned char)*c) ? (char)tolower((unsigned char)*c) : '-';
	snprintf(name, ISCSI_NAME_MAX + 1, "iqn.2026-11.io.berth:client.%s",
		*host ? host : "nobody");
}

static void or_default(unsigned *value, unsigned by_default)
{
	if (!*value)
		*value = by_default;
}

static int settle_options(
	struct berth_session *s, const struct berth_options *o, char *err, size_t len)
{
	struct berth_options *opt = &s->opt;

	if (o)
		*opt = *o;
	or_default(&opt->depth, 128);
	or_default(&opt->max_recv_data, 262144);
	or_default(&opt->max_burst, 1048576);
	or_default(&opt->first_burst, 65536);
	or_default(&opt->connect_ms, 10000);
	or_default(&opt->command_ms, 30000);
	or_default(&opt->keepalive_ms, 5000);
	if (opt->depth > BERTH_DEPTH_MAX) {
		snprintf(err, len, "a depth of %u is more than %u", opt->depth, BERTH_DEPTH_MAX);
		return -EINVAL;
	}
	if (opt->max_recv_data < 512 || opt->max_recv_data > SEND_MAX || opt->max_burst < 512 ||
		opt->max_burst > SEND_MAX || opt->first_burst < 512 ||
		opt->first_burst > SEND_MAX || (opt->max_send_data && opt->max_send_data < 512)) {
		snprintf(err, len, "the length of a PDU or burst is not from 512 to %u", SEND_MAX);
		return -EINVAL;
	}
	if (!opt->initiator_name) {
		default_name(s->initiator);
		return 0;
	}
	if (!iscsi_name_valid(opt->initiator_name)) {
		snprintf(err, len, "%s: not the name of an iSCSI initiator", opt->initiator_name);
		return -EINVAL;
	}
	snprintf(s->initiator, sizeof(s->initiator), "%s", opt->initiator_name);
	return 0;
}

/* --- sessions --- */

static struct berth_session *session_new(void)
{
	size_t len = round_up(sizeof(struct berth_session), _Alignof(struct berth_session));
	struct berth_session *s = aligned_alloc(_Alignof(struct berth_session), len);

	if (!s)
		return NULL;
	memset(s, 0, sizeof(*s));
	s->fd = s->poll_fd = -1;
	s->state = NX_WAITING;
	list_init(&s->free);
	list_init(&s->queue);
	list_init(&s->active);
	list_init(&s->due);
	list_init(&s->later);
	list_init(&s->linger);
	list_init(&s->ended);
	text_init(&s->text_out, 4096);
	text_init(&s->text_in, 1 << 20);
	dpt_init(&s->dpt, 0);
	return s;
}

static void session_free(struct berth_session *s)
{
	if (s->poll_fd >= 0)
		close(s->poll_fd);
	berth_pool_free(s->pool);
	text_deinit(&s->text_out);
	text_deinit(&s->text_in);
	requests_deinit(s);
	dpt_deinit(&s->dpt);
	free(s->rx_data);
	explicit_bzero(&s->url, sizeof(s->url));
	free(s);
}

static int take_pool(struct berth_session *s)
{
	s->pool = s->opt.pool;
	if (s->pool)
		s->pool->refs++;
	else
		s->pool = berth_pool_new();
	return s->pool ? 0 : -ENOMEM;
}

/* take_isid - type "random" (RFC 7143 11.12.5), the same for the session's whole life. */
static int take_isid(struct berth_session *s)
{
	if (getrandom(s->isid, sizeof(s->isid), 0) != sizeof(s->isid))
		return -errno;
	s->isid[0] = 0x80;
	return 0;
}

/* look_at_secrets - what CHAP would not work with, or not be worth its name (RFC 7143 12.1.3). NULL: nothing. */
static const char *look_at_secrets(const struct berth_url *u)
{
	if (*u->user && !*u->password)
		return "a user without a password";
	if (*u->password && !*u->user)
		return "a password without a user";
	if ((*u->target_user || *u->target_password) && !*u->password)
		return "a target is asked to prove itself only by who has a password";
	if (*u->target_user && !*u->target_password)
		return "a target_user without a target_password";
	if (*u->target_password && !strcmp(u->password, u->target_password))
		return "the target's password is the user's too";
	return NULL;
}

static int session_init(struct berth_session *s, const struct berth_url *u,
	const struct berth_options *o, char *err, size_t err_len)
{
	const char *wrong = look_at_secrets(u);
	int rc = settle_options(s, o, err, err_len);

	if (rc)
		return rc;
	if (wrong) {
		snprintf(err, err_len, "%s: %s", u->host, wrong);
		return -EINVAL;
	}
	s->url = *u;
	snprintf(s->target, sizeof(s->target), "%s", u->target);
	s->discovery = !*s->target;
	s->lun = lun_on_wire(u->lun);
	rc = portal_find(u->host, u->port, s->addr, &s->n_addr);
	if (rc) {
		snprintf(err, err_len, "%s: %s", u->host,
			rc == -ENOENT ? "no such host" : strerror(-rc));
		return rc;
	}
	s->poll_fd = epoll_create1(EPOLL_CLOEXEC);
	rc = s->poll_fd < 0 ? -errno : take_pool(s);
	if (!rc)
		rc = requests_init(s);
	if (!rc)
		rc = take_isid(s);
	if (rc)
		snprintf(err, err_len, "%s", strerror(-rc));
	return rc;
}

int berth_open(struct berth_session **sp, const struct berth_url *u, const struct berth_options *o,
	char *err, size_t err_len)
{
	struct berth_session *s = session_new();
	int rc;

	*sp = NULL;
	if (!s) {
		snprintf(err, err_len, "out of memory");
		return -ENOMEM;
	}
	rc = session_init(s, u, o, err, err_len);
	if (rc) {
		session_free(s);
		return rc;
	}
	rc = berth_service(s); /* begins to connect */
	if (rc) {
		snprintf(err, err_len, "%s", s->why);
		berth_close(s);
		return rc;
	}
	*sp = s;
	return 0;
}

/* serve - wait for the descriptor and serve once. */
static int serve(struct berth_session *s)
{
	struct pollfd p = {.fd = s->poll_fd, .events = POLLIN};

	berth_flush(s);
	poll(&p, 1, berth_timeout_ms(s));
	return berth_service(s);
}

int berth_wait(struct berth_session *s, const bool *endedp)
{
	int rc = s->state == NX_DEAD ? berth_service(s) : 0;

	while (!*endedp && !rc)
		rc = serve(s);
	return *endedp ? 0 : rc;
}

int berth_open_wait(struct berth_session **sp, const struct berth_url *u,
	const struct berth_options *o, char *err, size_t err_len)
{
	int rc = berth_open(sp, u, o, err, err_len);

	while (!rc && (*sp)->state != NX_FULL) {
		rc = (*sp)->state == NX_DEAD ? (*sp)->error : serve(*sp);
		if (rc)
			snprintf(err, err_len, "%s", *(*sp)->why ? (*sp)->why : strerror(-rc));
	}
	if (rc && *sp) {
		berth_close(*sp);
		*sp = NULL;
	}
	return rc;
}

/* leave - Logout, and as long as that takes (RFC 7143 11.14). */
static void leave(struct berth_session *s)
{
	struct request *r = request_take(s, REQ_LOGOUT, true);
	uint64_t limit = s->now_ns + LOGOUT_MS * 1000000ull;

	if (!r)
		return;
	r->done = NULL;
	r->timeout_ms = LOGOUT_MS;
	request_queue(s, r);
	s->state = NX_LEAVING;
	while (s->n_active && s->state == NX_LEAVING && s->now_ns < limit)
		serve(s);
}

void berth_close(struct berth_session *s)
{
	if (!s)
		return;
	/* With requests under way their buffers are only safe once the connection is gone. */
	if (s->state == NX_FULL && !s->n_active && !s->fault)
		leave(s);
	s->closing = true;
	nexus_die(s, -ECANCELED);
	nexus_tell(s);
	session_free(s);
}

void berth_info(const struct berth_session *s, struct berth_info *i)
{
	/* clang-format off */
	static const enum berth_state state_of[] = {
		[NX_CONNECTING] = BERTH_CONNECTING, [NX_LOGIN] = BERTH_CONNECTING, [NX_FULL] = BERTH_READY,
		[NX_LEAVING] = BERTH_READY,         [NX_WAITING] = BERTH_CONNECTING, [NX_DEAD] = BERTH_FAILED,
	};
	/* clang-format on */
	uint32_t room = s->window.maxcmdsn - s->cmdsn + 1;

	*i = (struct berth_info){
		.state = state_of[s->state],
		.error = s->error,
		.why = s->why,
		.n_active = s->n_active,
		.n_reconnects = s->n_reconnects,
		.window = s->state == NX_FULL && (int32_t)room > 0 ? room : 0,
		.max_recv_data = s->params.max_recv_data,
		.max_send_data = s->cut,
		.max_burst = s->params.max_burst,
		.first_burst = s->params.first_burst,
		.initial_r2t = s->params.initial_r2t,
		.immediate_data = s->params.immediate_data,
		.header_digest = s->params.header_digest,
		.data_digest = s->params.data_digest,
		.received_bytes = s->received_bytes,
		.sent_bytes = s->sent_bytes,
		.receive_calls = s->receive_calls,
		.send_calls = s->send_calls,
		.placed_bytes = s->counted.v[CTR_PLACED_BYTES],
		.copied_bytes = s->counted.v[CTR_COPIED_TAIL] + s->counted.v[CTR_COPIED_GUESS],
	};
	if (i->state == BERTH_CONNECTING && s->once_ready)
		i->state = BERTH_RECONNECTING;
}
