/* copy.c - EXTENDED COPY, COPY OPERATION ABORT (SPC-4 6.3 to 6.5).
 *
 * The list is read (copy_list.c), then every segment is settled before the first byte moves: which units,
 * which blocks. So a list with a mistake in it does nothing. Segments are carried out in order. */
#include <stdlib.h>
#include "copy_job.h"
#include "copy_list.h"
#include "check.h"

/* A list that is longer than any that we take needs no place (SPC-4 6.4.1). */
void copy_prepare(struct scsi_cmd *c)
{
	uint32_t len = get_be32(c->cdb + 10);

	if (len > COPY_LIST_ROOM)
		sense_set(c, SENSE_PARAMETER_LIST_LENGTH);
	else if (cmd_wish(c, len, 1))
		cmd_list(c);
}

/* --- segments to extents --- */

/* What is wrong with a segment: which, and at which of its bytes (SPC-4 5.17.7.3). */
static bool segment_fails(struct sense_data *bad, enum sense why, unsigned segment, unsigned byte)
{
	*bad = (struct sense_data){
		.why = why,
		.has_specific = true,
		.specific = segment,
		.field = FIELD_SEGMENT,
		.byte = (uint16_t)byte,
		.bit = -1,
	};
	return false;
}

static enum sense find_unit(
	const struct scsi_cmd *c, const struct copy_list *l, uint16_t id, struct lu **lp)
{
	const struct copy_cscd *d;

	*lp = c->lu;
	if (id == CSCD_SELF)
		return SENSE_NONE;
	if (id >= l->n_cscds)
		return SENSE_UNREACHABLE_TARGET;
	d = &l->cscds[id];
	*lp = lu_by_name(c->lu, d->set, d->type, d->id, d->id_len);
	if (!*lp)
		return SENSE_TARGET_NOT_REACHABLE;
	/* A count of blocks of another size would mean something else. */
	if (d->device != 0 || (d->block && d->block != (*lp)->block))
		return SENSE_WRONG_TARGET_TYPE;
	return SENSE_NONE;
}

static bool in_unit(const struct lu *l, uint64_t lba, uint64_t bytes)
{
	uint64_t n_blocks = lu_n_blocks(l), n = bytes >> l->shift;

	return lba <= n_blocks && n <= n_blocks - lba;
}

enum {
	AT_SOURCE = 4,
	AT_DESTINATION = 6,
	AT_BLOCKS = 10,
	AT_SOURCE_LBA = 12,
	AT_DESTINATION_LBA = 20
};

static bool settle_segment(const struct scsi_cmd *c, const struct copy_list *l, unsigned i,
	struct copy_job *j, struct sense_data *bad)
{
	const struct copy_segment *s = &l->segments[i];
	struct lu *from, *to;
	uint64_t bytes;
	enum sense why;

	why = find_unit(c, l, s->source, &from);
	if (why != SENSE_NONE)
		return segment_fails(bad, why, i, AT_SOURCE);
	why = find_unit(c, l, s->destination, &to);
	if (why != SENSE_NONE)
		return segment_fails(bad, why, i, AT_DESTINATION);
	bytes = (uint64_t)s->n << (s->dc ? to : from)->shift;
	if (bytes % from->block || bytes % to->block)
		return segment_fails(bad, SENSE_INEXACT_SEGMENT, i, AT_BLOCKS);
	if (!in_unit(from, s->source_lba, bytes))
		return segment_fails(bad, SENSE_TARGET_NOT_REACHABLE, i, AT_SOURCE_LBA);
	if (!in_unit(to, s->destination_lba, bytes))
		return segment_fails(bad, SENSE_TARGET_NOT_REACHABLE, i, AT_DESTINATION_LBA);
	why = job_refusal(j, from, false);
	if (why != SENSE_NONE)
		return segment_fails(bad, why, i, AT_SOURCE);
	why = job_refusal(j, to, true);
	if (why != SENSE_NONE)
		return segment_fails(bad, why, i, AT_DESTINATION);
	job_add(j, (struct copy_extent){.source = from,
			   .source_off = s->source_lba << from->shift,
			   .destination = to,
			   .off = s->destination_lba << to->shift,
			   .len = bytes,
			   .segment = (uint16_t)i});
	return true;
}

static void copy_settle(struct scsi_cmd *c, const struct copy_list *l)
{
	struct copy_job *j = job_new(c, l->list_id, l->n_segments);
	struct sense_data bad;

	if (!j) {
		c->status = SCSI_BUSY;
		cmd_done(c);
		return;
	}
	j->listed = l->usage != USAGE_NONE;
	j->held = l->usage == USAGE_HOLD;
	j->n_segments = (uint16_t)l->n_segments;
	for (unsigned i = 0; i < l->n_segments; i++) {
		if (settle_segment(c, l, i, j, &bad))
			continue;
		sense_put(c, &bad);
		job_fails_unbegun(j, &bad);
		cmd_done(c);
		return;
	}
	job_begin(j, l->immed);
}

void copy_execute(struct scsi_cmd *c)
{
	bool lid4 = c->row->sa == 0x01;
	struct copy_list *l;
	struct sense_data bad;

	if (c->out_full == 0) { /* nothing to do is no error (SPC-4 6.4.1) */
		cmd_done(c);
		return;
	}
	l = malloc(sizeof(*l));
	if (!l) {
		c->status = SCSI_BUSY;
		cmd_done(c);
		return;
	}
	if (!copy_list_parse(l, c->body->data, c->out_len, lid4, &bad)) {
		sense_put(c, &bad);
		cmd_done(c);
	} else if (!job_may_begin(c, l->list_id, l->usage != USAGE_NONE)) {
		cmd_done(c);
	} else {
		copy_settle(c, l);
	}
	free(l);
}

/* --- COPY OPERATION ABORT (SPC-4 6.3) --- */

void copy_abort_execute(struct scsi_cmd *c)
{
	struct copy_job *j = job_find(c, get_be32(c->cdb + 2));

	if (j && job_runs(j)) {
		job_terminate(j, c);
		return;
	}
	if (!j)
		sense_cdb(c, 2, -1);
	cmd_done(c);
}
