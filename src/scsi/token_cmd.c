/* token_cmd.c - POPULATE TOKEN and WRITE USING TOKEN (SBC-3 5.7, 5.46), as Windows' offloaded data transfer uses
 * them. What came of them is asked for with RECEIVE ROD TOKEN INFORMATION (copy_result.c). */
#include <stdlib.h>
#include <string.h>
#include "copy_job.h"
#include "check.h"
#include "token.h"

enum {
	RANGE_LEN = 16,
	POPULATE_HEAD = 16,
	WRITE_HEAD = 536,
	AT_IDLE = 4,
	AT_TYPE = 8,
	AT_OFFSET = 8,
	AT_TOKEN = 16,
};
enum { IMMED = 0x01, RTV = 0x02, DEL_TKN = 0x02 };

static uint32_t head_len(const struct scsi_cmd *c)
{
	return c->row->sa == 0x10 ? POPULATE_HEAD : WRITE_HEAD;
}

void token_prepare(struct scsi_cmd *c)
{
	uint32_t len = get_be32(c->cdb + 10);

	if (len > head_len(c) + 4 * TOKEN_RANGES * RANGE_LEN)
		sense_set(c, SENSE_PARAMETER_LIST_LENGTH);
	else if (cmd_wish(c, len, 1))
		cmd_list(c);
}

/* --- the list --- */

/* check_lengths - what the list says of itself, against what came. */
static bool check_lengths(struct scsi_cmd *c, uint32_t *np)
{
	const uint8_t *p = c->body->data;
	uint32_t head = head_len(c), len, ranges;

	if (c->out_len < head) {
		sense_set(c, SENSE_PARAMETER_LIST_LENGTH);
		return false;
	}
	len = get_be16(p) + 2u;
	ranges = get_be16(p + head - 2);
	if (len > c->out_len || head + ranges > c->out_len) {
		sense_set(c, SENSE_PARAMETER_LIST_LENGTH);
		return false;
	}
	*np = ranges / RANGE_LEN;
	if (len < head + RANGE_LEN)
		sense_list(c, 0, -1);
	else if (!*np || head + *np * RANGE_LEN > len)
		sense_list(c, head - 2, -1);
	else if (*np > TOKEN_RANGES)
		sense_set(c, SENSE_TOO_MANY_SEGMENTS);
	else
		return true;
	return false;
}

static bool overlaps(const struct block_range *r, unsigned n, const struct block_range *with)
{
	for (unsigned i = 0; i < n; i++)
		if (r[i].len && r[i].off < with->off + with->len && with->off < r[i].off + r[i].len)
			return true;
	return false;
}

/* read_ranges - blocks of this unit, none of them twice. */
static bool read_ranges(struct scsi_cmd *c, struct token_content *t)
{
	const struct lu *l = c->lu;
	uint32_t head = head_len(c), n;

	if (!check_lengths(c, &n))
		return false;
	*t = (struct token_content){.lu = c->lu, .n = n};
	for (unsigned i = 0; i < n; i++) {
		uint32_t at = head + i * RANGE_LEN;
		uint64_t lba = get_be64(c->body->data + at),
			 blocks = get_be32(c->body->data + at + 8);
		struct block_range r = {lba << l->shift, blocks << l->shift};

		if (lba > lu_n_blocks(l) || blocks > lu_n_blocks(l) - lba) {
			sense_info(c, SENSE_LBA_OUT_OF_RANGE,
				lba > lu_n_blocks(l) ? lba : lu_n_blocks(l));
			return false;
		}
		t->len += r.len;
		if (t->len > TOKEN_MAX_BYTES) {
			sense_list(c, at + 8, -1);
			return false;
		}
		if (r.len && overlaps(t->ranges, i, &r)) {
			sense_list(c, at, -1);
			return false;
		}
		t->ranges[i] = r;
	}
	return true;
}

/* --- POPULATE TOKEN --- */

static bool is_known_type(uint32_t type)
{
	static const uint32_t types[] = {ROD_DEFAULT, ROD_UPON_REFERENCE, ROD_POINT_IN_TIME,
		ROD_CHANGE_VULNERABLE, ROD_ANY_POINT_IN_TIME};

	for (unsigned i = 0; i < ARRAY_LEN(types); i++)
		if (types[i] == type)
			return true;
	return false;
}

/* Without RTV, or where it asks for any, it is of the type that holds what it promises at least cost. */
static bool check_populate(struct scsi_cmd *c, struct token_content *t)
{
	const uint8_t *p = c->body->data;
	uint32_t type = p[2] & RTV ? get_be32(p + AT_TYPE) : ROD_DEFAULT;

	t->upon_reference = type == ROD_UPON_REFERENCE;
	if (get_be32(p + AT_IDLE) > TOKEN_IDLE_MAX_S)
		sense_list(c, AT_IDLE, -1);
	else if (!is_known_type(type))
		sense_list(c, AT_TYPE, -1);
	else
		return true;
	return false;
}

static void populate(struct scsi_cmd *c, const struct token_content *t)
{
	struct copy_job *j = job_new(c, get_be32(c->cdb + 6), 0);

	if (j)
		j->token = malloc(TOKEN_LEN);
	if (!j || !j->token || !token_new(c->io, t, get_be32(c->body->data + AT_IDLE), j->token)) {
		if (j)
			job_free(j);
		sense_set(c, SENSE_NO_TOKEN_RESOURCES);
		cmd_done(c);
		return;
	}
	j->listed = j->held = true;
	j->bytes = t->len;
	j->n_segments = (uint16_t)t->n;
	job_begin(j, false); /* there is nothing to wait for, with IMMED or without */
}

void populate_execute(struct scsi_cmd *c)
{
	struct token_content t;

	if (c->out_full && read_ranges(c, &t) && check_populate(c, &t) &&
		job_may_begin(c, get_be32(c->cdb + 6), true))
		populate(c, &t);
	else
		cmd_done(c);
}

/* --- WRITE USING TOKEN --- */

/* add_extents - the ranges, filled in order with what the token stands for from `skip` on. */
static void add_extents(struct copy_job *j, const struct token_content *to,
	const struct token_content *from, uint64_t skip)
{
	unsigned i = 0;

	for (unsigned k = 0; k < to->n; k++) {
		for (uint64_t done = 0, n; done < to->ranges[k].len; done += n) {
			struct copy_extent e = {.destination = to->lu,
				.off = to->ranges[k].off + done,
				.segment = (uint16_t)k};

			n = to->ranges[k].len - done;
			while (from->lu && i < from->n && skip >= from->ranges[i].len)
				skip -= from->ranges[i++].len;
			if (from->lu && i == from->n) {
				j->partly = true; /* SBC-3 4.28.4: the rest stays as it was */
				return;
			}
			if (from->lu) {
				n = MIN(n, from->ranges[i].len - skip);
				e.source = from->lu;
				e.source_off = from->ranges[i].off + skip;
				skip += n;
			}
			e.len = n;
			job_add(j, e);
		}
	}
}

/* The last block of a token may be a part of one here, where blocks are larger: it is left out. */
static void cut_to_blocks(const struct lu *l, struct token_content *from)
{
	uint64_t len = round_down(from->len, (uint64_t)l->block), at = 0;

	for (unsigned i = 0; from->lu && i < from->n; i++) {
		from->ranges[i].len = MIN(from->ranges[i].len, len - at);
		at += from->ranges[i].len;
	}
}

static void write_token(
	struct scsi_cmd *c, const struct token_content *to, struct token_content *from)
{
	const uint8_t *p = c->body->data;
	uint64_t skip = get_be64(p + AT_OFFSET) << c->lu->shift;
	struct copy_job *j;

	if (get_be64(p + AT_OFFSET) > from->len >> c->lu->shift) {
		sense_list(c, AT_OFFSET, -1);
		cmd_done(c);
		return;
	}
	j = job_new(c, get_be32(c->cdb + 6), to->n + from->n);
	if (!j) {
		c->status = SCSI_BUSY;
		cmd_done(c);
		return;
	}
	cut_to_blocks(c->lu, from);
	j->listed = j->held = true;
	j->n_segments = (uint16_t)to->n;
	add_extents(j, to, from, skip);
	j->watch = watch_get(from->watch);
	j->own = j->n_extents == 1;
	if (p[2] & DEL_TKN && from->lu)
		token_delete(p + AT_TOKEN);
	job_begin(j, p[2] & IMMED);
}

void write_token_execute(struct scsi_cmd *c)
{
	struct token_content to, from;
	enum sense why;

	if (!c->out_full || !read_ranges(c, &to)) {
		cmd_done(c);
		return;
	}
	why = token_use(c->io, c->lu, c->body->data + AT_TOKEN, &from);
	if (why != SENSE_NONE) {
		sense_set(c, why);
		cmd_done(c);
		return;
	}
	if (job_may_begin(c, get_be32(c->cdb + 6), true))
		write_token(c, &to, &from);
	else
		cmd_done(c);
	token_used(&from);
}
