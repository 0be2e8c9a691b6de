/* medium.c - START STOP UNIT (SBC-3 5.25) and PREVENT ALLOW MEDIUM REMOVAL (SBC-3 5.14).
 *
 * A medium is kept in as long as some nexus prevents its removal; each takes back only its own
 * word, a reset and the end of a nexus take it back too. Whoever loads a medium knows; all others
 * are told that there may be another. */
#include "attention.h"
#include "body.h"
#include "check.h"
#include "medium.h"

/* medium_prevented - some nexus keeps it in. */
static bool medium_prevented(const struct lu *l)
{
	struct lu_map *m = l->map;
	bool prevented = false;

	pthread_mutex_lock(&m->lock);
	list_for_each(at, &m->nexuses) {
		const struct nexus *n = list_entry(at, struct nexus, link);

		prevented |= l->lun < n->n_lus && n->lus[l->lun].prevents;
	}
	pthread_mutex_unlock(&m->lock);
	return prevented;
}

void medium_allow(struct lu *l)
{
	struct lu_map *m = l->map;

	if (!m)
		return;
	pthread_mutex_lock(&m->lock);
	list_for_each(at, &m->nexuses) {
		struct nexus *n = list_entry(at, struct nexus, link);

		if (l->lun < n->n_lus)
			n->lus[l->lun].prevents = false;
	}
	pthread_mutex_unlock(&m->lock);
}

/* Only the lower bit means the medium; 10b and 11b are obsolete words about changers. */
void prevent_execute(struct scsi_cmd *c)
{
	struct nexus *n = c->nexus;

	if (c->cdb[4] & 0x02) {
		sense_cdb(c, 4, 1);
	} else if (c->lu->lun < n->n_lus) {
		pthread_mutex_lock(&n->luns->lock);
		n->lus[c->lu->lun].prevents = c->cdb[4] & 0x01;
		pthread_mutex_unlock(&n->luns->lock);
	}
	cmd_done(c);
}

enum { SSU_START = 0x01, SSU_LOEJ = 0x02, SSU_NO_FLUSH = 0x04 };

static void settle(struct scsi_cmd *c)
{
	struct lu *l = c->lu;
	bool start = c->cdb[4] & SSU_START;

	if (c->cdb[4] & SSU_LOEJ) {
		bool out = lu_state(l) & LU_EJECTED;

		lu_state_set(l, LU_EJECTED, !start);
		if (out && start)
			attention_raise_all(l, ATTENTION_MEDIUM_CHANGED, c->nexus);
	}
	/* A removable medium that is stopped but not ejected turns again when it is wanted, as its
	 * drives do (and libiscsi's StartStopUnit.NoLoej expects); a fixed disk waits to be started
	 * (SBC-3 5.22). */
	if (start || !l->removable)
		lu_state_set(l, LU_STOPPED, !start);
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
	if (!(flags & SSU_LOEJ) && lu_state(c->lu) & LU_EJECTED && flags & SSU_START) {
		sense_set(c, SENSE_MEDIUM_NOT_PRESENT);
		cmd_done(c);
		return;
	}
	/* Neither out nor in (SBC-3 5.25: LOEJ 1 while removal is prevented). */
	if (flags & SSU_LOEJ && medium_prevented(c->lu)) {
		sense_set(c, SENSE_REMOVAL_PREVENTED);
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
