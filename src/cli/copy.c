/* copy.c - `berth copy`: from a file or disk to a file or disk, with several requests under way.
 *
 * A slot carries one piece at a time through its steps; the loop takes each as far as it goes
 * without waiting, then sends what has gathered and waits for answers:
 *
 *   copying:    idle -> reading -> (writing | zeroing), a stretch after the other -> idle
 *   verifying:  idle -> reading -> reading the copy -> compared -> idle
 *
 * Holes of a source, file or thin disk, are not read. Zeros, holes or not, stay holes in a file, and are
 * given to a thin disk without their bytes. */
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

enum { PIECE = 1 << 20, STRETCH = 1 << 16, DEPTH_MAX = END_DEPTH };

enum step { IDLE, READING, READING_COPY, WRITING, ZEROING };

struct slot {
	enum step step;
	bool hole; /* known to be zeros without being read */
	uint64_t off;
	uint64_t len;  /* of the source */
	uint64_t at;   /* so much of it the destination has */
	uint64_t part; /* on its way there */
	bool zero;     /* so are the bytes of the part */
	uint8_t *buf, *copy;
	struct slot_io io;
};

struct copying {
	struct end src, dst;
	struct client_words client;
	bool verify, verifying;
	bool touched; /* the destination is no longer what it was */
	uint64_t depth, piece, len, pos, done;
	uint64_t n_data, n_zero; /* bytes written, and bytes that were zeros */
	uint64_t data_from, data_to;
	struct slot slots[DEPTH_MAX];
	unsigned n_busy;
	int error;
	bool differs;
	char why[CLI_WHY];
	struct progress progress;
	uint64_t begin_ns;
};

static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void fail(struct copying *c, const struct end *e, int error, const char *why)
{
	if (c->error)
		return;
	c->error = error;
	snprintf(c->why, sizeof(c->why), "%s: %s", e->label, why);
}

/* --- pieces --- */

static bool is_zero(const uint8_t *buf, size_t len)
{
	return !buf[0] && !memcmp(buf, buf + 1, len - 1);
}

/* next_piece - false: all are given out. */
static bool next_piece(struct copying *c, struct slot *s)
{
	uint64_t most = c->piece;

	if (c->pos >= c->len || c->error)
		return false;
	if (c->pos >= c->data_to)
		end_data(&c->src, c->pos, &c->data_from, &c->data_to);
	s->off = c->pos;
	s->at = 0;
	s->hole = c->pos < c->data_from;
	if (s->hole && !c->verifying)
		most = MAX(round_down(MIN(end_max_zero(&c->dst), 64ull << 20), c->piece), c->piece);
	s->len = MIN((s->hole ? c->data_from : MIN(c->data_to, c->len)) - c->pos, most);
	c->pos += s->len;
	return true;
}

/* The destination takes whole blocks: behind the end of the source are zeros. */
static uint64_t padded(const struct copying *c, uint64_t len)
{
	return round_up(len, end_unit(&c->dst));
}

/* stretch - the length of what comes next in the piece: zeros, or none of them, as far as the destination makes a
 * difference between the two. */
static uint64_t stretch(const struct copying *c, const struct slot *s, bool *zerop)
{
	const uint8_t *from = s->buf + s->at;
	uint64_t left = s->len - s->at, n = left;

	if (s->hole) {
		*zerop = true;
		return left;
	}
	if (end_takes_zeros(&c->dst))
		n = MIN(left, STRETCH);
	*zerop = is_zero(from, n);
	while (n < left && is_zero(from + n, MIN(left - n, STRETCH)) == *zerop)
		n += MIN(left - n, STRETCH);
	return n;
}

static void give_stretch(struct copying *c, struct slot *s)
{
	uint64_t off = s->off + s->at;
	uint8_t *from = s->buf + s->at;

	s->part = stretch(c, s, &s->zero);
	if (s->zero && end_zero(&c->dst, &s->io, off, padded(c, s->part))) {
		s->step = ZEROING;
		return;
	}
	if (s->hole) { /* may be longer than the buffer */
		s->part = MIN(s->part, c->piece);
		from = memset(s->buf, 0, padded(c, s->part));
	}
	s->step = WRITING;
	end_write(&c->dst, &s->io, off, from, (uint32_t)padded(c, s->part));
}

static void finish_piece(struct copying *c, struct slot *s)
{
	s->step = IDLE;
	c->n_busy--;
}

static void stretch_given(struct copying *c, struct slot *s)
{
	*(s->zero ? &c->n_zero : &c->n_data) += s->part;
	c->done += s->part;
	s->at += s->part;
	if (s->at < s->len)
		give_stretch(c, s);
	else
		finish_piece(c, s);
}

static void compare(struct copying *c, struct slot *s)
{
	uint64_t at = 0;
	char why[80];

	if (!memcmp(s->buf, s->copy, s->len))
		return;
	while (s->buf[at] == s->copy[at])
		at++;
	snprintf(why, sizeof(why), "differs from the source at offset %" PRIu64, s->off + at);
	c->differs = true;
	fail(c, &c->dst, -EILSEQ, why);
}

static void begin_piece(struct copying *c, struct slot *s)
{
	c->n_busy++;
	if (s->hole && !c->verifying) {
		give_stretch(c, s);
		return;
	}
	memset(s->buf + s->len, 0, padded(c, s->len) - s->len);
	s->step = READING;
	if (s->hole)
		memset(s->buf, 0, s->len);
	else
		end_read(&c->src, &s->io, s->off, s->buf, (uint32_t)s->len);
}

static void was_read(struct copying *c, struct slot *s)
{
	if (c->verifying) {
		s->step = READING_COPY;
		end_read(&c->dst, &s->io, s->off, s->copy, (uint32_t)padded(c, s->len));
	} else {
		give_stretch(c, s);
	}
}

static void was_read_back(struct copying *c, struct slot *s)
{
	compare(c, s);
	c->done += s->len;
	finish_piece(c, s);
}

/* advance - one slot as far as it goes, to the end of a piece at most: from file to file nothing ever waits, and
 * between two pieces there are progress and signals to see to. */
static void advance(struct copying *c, struct slot *s)
{
	if (s->io.waiting || (s->step == IDLE && !next_piece(c, s)))
		return;
	if (s->step == IDLE)
		begin_piece(c, s);
	while (!s->io.waiting && s->step != IDLE) {
		if (s->step == ZEROING && s->io.error == -EREMOTEIO) {
			c->dst.no_same =
				true; /* a thin disk that does not know WRITE SAME after all */
			give_stretch(c, s);
			continue;
		}
		if (s->io.error) {
			fail(c, s->step == READING ? &c->src : &c->dst, s->io.error, s->io.why);
			finish_piece(c, s);
			return;
		}
		if (s->step == READING)
			was_read(c, s);
		else if (s->step == READING_COPY)
			was_read_back(c, s);
		else
			stretch_given(c, s);
	}
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
		fail(c, e, rc, *info.why ? info.why : strerror(-rc));
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
		fail(c, &c->dst, -EINTR, "interrupted");
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
			advance(c, &c->slots[i]);
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
		fail(c, &c->dst, -EINVAL, "is the source itself");
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
		fail(c, &c->dst, -ENOSPC, "the last block of the source does not fit");
		return c->error;
	}
	c->piece = MIN(MIN((uint64_t)PIECE, end_max(&c->src)), end_max(&c->dst));
	c->piece = MAX(round_down(c->piece, MAX(unit, 4096u)), unit);
	if (!rc)
		rc = take_buffers(c);
	if (rc == -ENOMEM)
		fail(c, &c->src, rc, "out of memory");
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
