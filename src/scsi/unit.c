/* unit.c - the unit itself: TEST UNIT READY, REQUEST SENSE, START STOP UNIT. */
#include "attention.h"
#include "body.h"

/* The validator has said that the unit is ready (cdb_check_state). SPC-4 6.47 */
void ready_execute(struct scsi_cmd *c)
{
	cmd_done(c);
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
			s.why = lu_not_ready(c->lu);
	} else {
		s.why = SENSE_LUN_NOT_SUPPORTED;
	}
	cmd_in_done(c, (uint32_t)sense_encode(&s, c->cdb[1] & 0x01, p), c->cdb[4]);
}

enum { SSU_START = 0x01, SSU_LOEJ = 0x02, SSU_NO_FLUSH = 0x04 };

static void settle(struct scsi_cmd *c)
{
	struct lu *l = c->lu;
	bool start = c->cdb[4] & SSU_START;

	if (c->cdb[4] & SSU_LOEJ)
		atomic_store(&l->ejected, !start);
	/* A removable medium that is stopped but not ejected turns again when it is wanted, as its
	 * drives do (and libiscsi's StartStopUnit.NoLoej expects); a fixed disk waits to be started
	 * (SBC-3 5.22). */
	if (start || !l->removable)
		atomic_store(&l->stopped, !start);
}

static void flushed(struct vol_op *op, int end)
{
	struct scsi_cmd *c = cmd_of(op);

	if (end == 0)
		settle(c);
	cmd_end(c, end, SENSE_WRITE_ERROR);
}

/* SBC-3 5.22. Power conditions other than 'as START says' are all the same to a disk without a
 * motor: they are taken and change nothing; START and LOEJ are then ignored. IMMED asks to be
 * answered early, which may be late. */
void start_stop_execute(struct scsi_cmd *c)
{
	uint8_t flags = c->cdb[4];

	if (flags & 0xf0) {
		cmd_done(c);
		return;
	}
	if (flags & SSU_LOEJ && !c->lu->removable) {
		sense_cdb(c, 4, 1);
		cmd_done(c);
		return;
	}
	if (!(flags & SSU_LOEJ) && atomic_load(&c->lu->ejected) && flags & SSU_START) {
		sense_set(c, SENSE_MEDIUM_NOT_PRESENT);
		cmd_done(c);
		return;
	}
	if (flags & (SSU_START | SSU_NO_FLUSH)) {
		settle(c);
		cmd_done(c);
		return;
	}
	volume_flush(cmd_op(c, 0, volume_size(c->lu->volume), flushed));
}
