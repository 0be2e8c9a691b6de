/* copy.c - `berth copy`: from a file or disk to a file or disk, with several requests under way.
 *
 * The loop takes each slot (piece.h) as far as it goes without waiting, then sends what has gathered and waits for
 * answers. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "args.h"
#include "check.h"
#include "cli.h"
#include "client.h"
#include "end.h"
#include "log.h"
#include "parse.h"
#include "piece.h"

enum { PIECE = 1 << 20 };

static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* --- the loop --- */

static void serve(struct copying *c, struct end *e)
{
	struct berth_info info;
	int rc;

	if (!e->s)
		return;
	rc = berth_service(e->s);
	if (rc) {
		berth_info(e->s, &info);
		copy_fail(c, e, rc, *info.why ? info.why : strerror(-rc));
	}
}

static int shorter(int a, int b)
{
	return a < 0 ? b : b < 0 ? a : MIN(a, b);
}

static void wait_for_answers(struct copying *c)
{
	struct end *const ends[] = {&c->src, &c->dst};
	struct pollfd p[2];
	int timeout = -1;

	for (unsigned i = 0; i < 2; i++) {
		p[i] = (struct pollfd){.fd = -1, .events = POLLIN};
		if (!ends[i]->s)
			continue;
		berth_flush(ends[i]->s);
		p[i].fd = berth_fd(ends[i]->s);
		timeout = shorter(timeout, berth_timeout_ms(ends[i]->s));
	}
	poll(p, 2, timeout);
	serve(c, &c->src);
	serve(c, &c->dst);
}

static void show(struct copying *c)
{
	double share = c->len ? (double)c->done / (double)c->len : 1;
	double s = (double)(clock_ns() - c->begin_ns) / 1e9;
	char bar[31], done[32], all[32], rate[32];

	if (!c->progress.on)
		return;
	for (unsigned i = 0; i < 30; i++)
		bar[i] = share * 30 > i ? '#' : '.';
	bar[30] = '\0';
	progress_say(&c->progress, "%s [%s] %3.0f %%  %s of %s  %s/s",
		c->verifying ? "verify" : "copy", bar, share * 100,
		client_bytes((double)c->done, done), client_bytes((double)c->len, all),
		client_bytes(s > 0 ? (double)c->done / s : 0, rate));
}

static void look_for_signals(struct copying *c)
{
	if (client_caught())
		copy_fail(c, &c->dst, -EINTR, "interrupted");
}

/* nothing_to_do - until an answer comes. One may have come while a slot asked for holes: then its own slot has. */
static bool nothing_to_do(const struct copying *c)
{
	bool waiting = false;

	for (uint64_t i = 0; i < c->depth; i++) {
		const struct slot *s = &c->slots[i];

		if (!s->io.waiting && (s->step != IDLE || c->pos < c->len))
			return false;
		waiting |= s->io.waiting;
	}
	return waiting;
}

/* pass - once over all pieces. */
static int pass(struct copying *c)
{
	c->pos = c->done = c->data_from = c->data_to = 0;
	c->begin_ns = clock_ns();
	do {
		for (uint64_t i = 0; i < c->depth; i++)
			slot_advance(c, &c->slots[i]);
		show(c);
		if (nothing_to_do(c))
			wait_for_answers(c);
		look_for_signals(c);
	} while (!c->error && (c->pos < c->len || c->n_busy));
	return c->error; /* what is still under way ends with its session, before the buffers do */
}

static int take_buffers(struct copying *c)
{
	for (uint64_t i = 0; i < c->depth; i++) {
		struct slot *s = &c->slots[i];

		s->buf = aligned_alloc(4096, round_up(c->piece, 4096));
		s->copy = c->verify ? aligned_alloc(4096, round_up(c->piece, 4096)) : NULL;
		if (!s->buf || (c->verify && !s->copy))
			return -ENOMEM;
	}
	return 0;
}

/* plan - sizes that suit both. */
static int plan(struct copying *c)
{
	uint32_t unit = MAX(end_unit(&c->src), end_unit(&c->dst));
	int rc;

	if (end_same(&c->src, &c->dst)) {
		copy_fail(c, &c->dst, -EINVAL, "is the source itself");
		return c->error;
	}
	c->len = c->src.len;
	rc = end_claim(&c->dst, c->why, sizeof(c->why));
	if (rc) {
		c->error = rc;
		return rc;
	}
	client_catch(); /* from here on something has to be said about what is left */
	rc = end_prepare(&c->dst, c->len, c->why, sizeof(c->why));
	c->touched = !rc;
	if (!rc && round_up(c->len, end_unit(&c->dst)) > c->dst.len) {
		copy_fail(c, &c->dst, -ENOSPC, "the last block of the source does not fit");
		return c->error;
	}
	c->piece = MIN(MIN((uint64_t)PIECE, end_max(&c->src)), end_max(&c->dst));
	c->piece = MAX(round_down(c->piece, MAX(unit, 4096u)), unit);
	if (!rc)
		rc = take_buffers(c);
	if (rc == -ENOMEM)
		copy_fail(c, &c->src, rc, "out of memory");
	else if (rc)
		c->error = rc;
	return rc;
}

static void tell_of_losses(const struct end *e, bool verified)
{
	struct berth_info info;

	if (!e->s)
		return;
	berth_info(e->s, &info);
	if (info.n_reconnects && !verified)
		log_warn(
			"%s: the connection was lost %u times; what the target had not made durable "
			"before may be missing (--verify would tell)",
			e->label, info.n_reconnects);
}

static int copy(struct copying *c)
{
	char data[32], zero[32], rate[32];
	double s;

	if (plan(c) || pass(c))
		return c->error;
	c->error = end_sync(&c->dst, c->why, sizeof(c->why));
	if (c->error)
		return c->error;
	c->touched = false;
	s = (double)(clock_ns() - c->begin_ns) / 1e9;
	if (c->verify) {
		c->verifying = true;
		if (pass(c))
			return c->error;
	}
	progress_end(&c->progress);
	tell_of_losses(&c->dst, c->verify);
	if (c->dst.len > c->len)
		log_info("%s: is longer than the source; the rest was left as it is", c->dst.label);
	printf("%" PRIu64 " bytes: %s written, %s zeros, %.1f s, %s/s%s\n", c->len,
		client_bytes((double)c->n_data, data), client_bytes((double)c->n_zero, zero), s,
		client_bytes(s > 0 ? (double)c->len / s : 0, rate), c->verify ? ", verified" : "");
	return 0;
}

/* clang-format off */
#define TABLE(c) {                                                                                         \
	{"--verify", ARG_FLAG, &(c)->verify, 0, 0, NULL, "read the copy back and compare it"},               \
	CLIENT_ROWS(&(c)->client, "30"),                                                                     \
	{"--iodepth", ARG_NUMBER, &(c)->depth, 1, DEPTH_MAX, "N", "pieces of 1 MiB under way at once (8)"},  \
	{NULL} }
/* clang-format on */

static void help(void)
{
	static struct copying c;
	const struct arg table[] = TABLE(&c);

	puts("Usage: berth copy [OPTION...] SOURCE DESTINATION\n\n"
	     "Copies a disk image. Each of the two is a file, a block device, or\n"
	     "iscsi://HOST[:PORT]/TARGET/LUN. What the destination holds is lost.\n");
	args_help(table, stdout);
}

static int usage(const char *why)
{
	log_plain("copy: %s", why);
	return EXIT_USAGE;
}

/* state_of - what the destination holds after a failure, as the end of its line. */
static const char *state_of(const struct copying *c, char *text, size_t len)
{
	text[0] = '\0';
	if (c->touched)
		snprintf(text, len, " (%s holds only a part of the copy: %s of %s)", c->dst.label,
			SIZE(c->done), SIZE(c->len));
	else if (c->verifying && !c->differs)
		snprintf(text, len,
			" (the copy is whole and durable, but only %s of %s of it are compared)",
			SIZE(c->done), SIZE(c->len));
	return text;
}

static int run(struct copying *c, const char *src, const char *dst)
{
	char state[CLIENT_LABEL + 120];
	int rc = end_open(&c->src, src, false, &c->client, c->why, sizeof(c->why));

	/* Nothing is made before it is known that there is something to copy. */
	if (!rc)
		rc = end_claim(&c->src, c->why, sizeof(c->why));
	if (!rc)
		rc = end_open(&c->dst, dst, true, &c->client, c->why, sizeof(c->why));
	if (!rc) {
		progress_init(&c->progress);
		rc = copy(c);
		progress_end(&c->progress);
	}
	if (rc && !c->verifying && end_undo(&c->dst))
		c->touched = false;
	end_close(&c->src);
	end_close(&c->dst);
	for (uint64_t i = 0; i < c->depth; i++) {
		free(c->slots[i].buf);
		free(c->slots[i].copy);
	}
	if (rc)
		log_plain("copy: %s%s%s", c->differs ? "VERIFY FAILED: " : "", c->why,
			state_of(c, state, sizeof(state)));
	return c->differs ? EXIT_RUNTIME : client_exit(rc);
}

int cmd_copy(int argc, char **argv)
{
	struct copying *c = calloc(1, sizeof(*c));
	const char *words[2];
	char err[CLI_WHY];
	unsigned n = 0;
	int rc;

	if (!c)
		return EXIT_RUNTIME;
	c->depth = 8;
	c->client.reconnect_s = 30;
	{
		const struct arg table[] = TABLE(c);

		rc = args_parse(table, argc, argv, words, 2, &n, err, sizeof(err));
	}
	if (rc == ARGS_HELP) {
		help();
		rc = EXIT_OK;
	} else if (rc) {
		rc = usage(err);
	} else if (n != 2) {
		rc = usage("needs a source and a destination");
	} else {
		rc = run(c, words[0], words[1]);
	}
	free(c);
	return client_leave(rc);
}
