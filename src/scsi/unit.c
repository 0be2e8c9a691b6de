/* unit.c - the unit itself: TEST UNIT READY, REQUEST SENSE. */
#include "attention.h"
#include "body.h"
#include "sanitize.h"

/* The validator has said that the unit is ready (cdb_check_state). SPC-4 6.47 */
void ready_execute(struct scsi_cmd *c)
{
	cmd_done(c);
}

static void tell_state(const struct lu *l, struct sense_data *s)
{
	uint32_t state = lu_state(l);

	if (state & LU_SANITIZING) {
		s->why = SENSE_SANITIZING;
		s->field = FIELD_PROGRESS;
		s->byte = sanitize_progress(l);
	} else if (state & LU_UNAVAILABLE) {
		s->why = SENSE_UNAVAILABLE;
	} else if (state & LU_STANDBY) {
		s->why = SENSE_STANDBY;
	} else if (state & LU_EJECTED) {
		s->why = SENSE_MEDIUM_NOT_PRESENT;
	} else if (state & LU_STOPPED) {
		s->why = SENSE_LUN_STOPPED;
	}
}

/* SPC-4 6.39. What autosense would not have told already: a pending unit attention (which it
 * clears), else the state of the unit. A LUN without a unit is told in the parameter data, with
 * status GOOD. */
void request_sense_execute(struct scsi_cmd *c)
{
	struct sense_data s = {.why = SENSE_NONE};
	uint8_t *p = cmd_in(c, SCSI_SENSE_MAX);

	if (!p) {
		cmd_done(c);
		return;
	}
	if (c->lu) {
		s.why = attention_take(c->nexus, c->lu);
		if (s.why == SENSE_NONE)
			tell_state(c->lu, &s);
	} else {
		s.why = SENSE_LUN_NOT_SUPPORTED;
	}
	cmd_in_done(c, (uint32_t)sense_encode(&s, c->cdb[1] & 0x01, p), c->cdb[4]);
}
