/* sanitize_cmd.c - SANITIZE (SBC-3 5.24): what it asks for, whether it may, and the way out of an operation that failed. */
#include <string.h>
#include "be.h"
#include "body.h"
#include "sanitize_in.h"

enum { INVERT = 0x80, LIST_HEAD = 4 }; /* of its list (table 104) */

void sanitize_prepare(struct scsi_cmd *c)
{
	uint32_t len = get_be16(c->cdb + 7);

	if (c->row->sa != OVERWRITE) {
		if (len)
			sense_cdb(c, 7, -1);
		return;
	}
	if (len <= LIST_HEAD || len > LIST_HEAD + c->lu->block)
		sense_cdb(c, 7, -1);
	else if (cmd_wish(c, len, len))
		cmd_list(c);
}

/* check_list - SBC-3 table 104: INVERT and the count, the pattern's length, the pattern, repeated
 * to fill a block. What is wrong in it is told as wrong of the CDB: libiscsi 1.19 knows only that.
 */
static bool check_list(struct scsi_cmd *c)
{
	const uint8_t *p = c->body->data;
	uint32_t len;

	if (c->out_len != c->out_full) {
		sense_set(c, SENSE_PARAMETER_LIST_LENGTH);
		return false;
	}
	len = get_be16(p + 2);
	if ((p[0] & 0x1f) == 0 || p[0] & 0x60 || p[1] || len == 0 ||
		len != c->out_len - LIST_HEAD) {
		sense_cdb(c, 7, -1);
		return false;
	}
	return true;
}

/* take_order - what the command asks for, to be kept. */
static void take_order(struct scsi_cmd *c, struct sanitize *s)
{
	const uint8_t *p = c->body->data;
	bool overwrite = c->row->sa == OVERWRITE;
	uint32_t len = overwrite ? get_be16(p + 2) : 0;

	pthread_mutex_lock(&s->lock);
	s->action = c->row->sa;
	s->ause = c->cdb[1] & AUSE;
	s->failed = false;
	s->invert = overwrite && p[0] & INVERT;
	s->passes = overwrite ? p[0] & 0x1f : 1;
	for (uint32_t i = 0; i < c->lu->block; i++)
		s->pattern[i] = overwrite ? p[LIST_HEAD + i % len] : 0;
	pthread_mutex_unlock(&s->lock);
}

/* was_for_exit - the last one was asked for with AUSE; another reactor may be asking for the next. */
static bool was_for_exit(struct sanitize *s)
{
	bool ause;

	pthread_mutex_lock(&s->lock);
	ause = s->ause;
	pthread_mutex_unlock(&s->lock);
	return ause;
}

/* SBC-3 4.11.3: out of a failed operation, if it was asked for with AUSE. */
static void exit_failure(struct scsi_cmd *c)
{
	struct lu *l = c->lu;

	if (!(lu_state(l) & LU_SANITIZE_FAILED)) {
		cmd_done(c);
		return;
	}
	if (!was_for_exit(l->sanitize)) {
		sense_cdb(c, 1, 4);
		cmd_done(c);
		return;
	}
	pthread_mutex_lock(&l->sanitize->lock);
	l->sanitize->failed = false;
	pthread_mutex_unlock(&l->sanitize->lock);
	lu_state_set(l, LU_SANITIZE_FAILED, false);
	cmd_keep(c);
}

void sanitize_execute(struct scsi_cmd *c)
{
	struct lu *l = c->lu;
	struct sanitize *s = l->sanitize;
	uint32_t before;

	if (c->row->sa == EXIT_FAILED) {
		exit_failure(c);
		return;
	}
	/* SBC-3 4.11.1: who failed without AUSE is not let out by asking once more, with it. */
	if (lu_state(l) & LU_SANITIZE_FAILED && c->cdb[1] & AUSE && !was_for_exit(s))
		sense_cdb(c, 1, 5);
	if (c->status != SCSI_GOOD || (c->row->sa == OVERWRITE && !check_list(c))) {
		cmd_done(c);
		return;
	}
	before = atomic_fetch_or(&l->state, LU_SANITIZING);
	if (before & LU_SANITIZING) { /* another reactor was quicker */
		sense_progress(c, SENSE_SANITIZING, sanitize_progress(l));
		cmd_done(c);
		return;
	}
	take_order(c, s);
	sanitize_begin(s, c->io, c);
}
