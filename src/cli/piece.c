/* piece.c - see piece.h. */
#include "piece.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "check.h"

enum { STRETCH = 1 << 16 };

void copy_fail(struct copying *c, const struct end *e, int error, const char *why)
{
	if (c->error)
		return;
	c->error = error;
	snprintf(c->why, sizeof(c->why), "%s: %s", e->label, why);
}

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
	copy_fail(c, &c->dst, -EILSEQ, why);
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

void slot_advance(struct copying *c, struct slot *s)
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
			copy_fail(
				c, s->step == READING ? &c->src : &c->dst, s->io.error, s->io.why);
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
