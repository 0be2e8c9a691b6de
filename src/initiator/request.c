/* request.c - the request table: how requests begin, end, wait, and are sent again.
 *
 * A request ends in two steps: its result is put into it wherever that becomes known, and its
 * callback runs later, from nexus_tell(), when no plan names any buffer. Before the callback the
 * slot is free again, so that it can be taken by what the callback queues. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "nexus.h"

enum { TRIES_MAX = 200, LOSSES_MAX = 5, AGAIN_MS = 10, AGAIN_MS_MAX = 500, ABORT_MS = 5000 };
enum { STATUS_GOOD = 0x00, STATUS_CHECK = 0x02, STATUS_BUSY = 0x08, STATUS_FULL = 0x28 };
enum { KEY_UNIT_ATTENTION = 0x06, ASC_RESET = 0x29 };
enum { NUMBER_GENS = 1 << 12 };

#define MS 1000000ull

int requests_init(struct berth_session *s)
{
	s->n_table = s->opt.depth + SPARE_REQUESTS;
	s->n_spare = SPARE_REQUESTS;
	s->table = calloc(s->n_table, sizeof(*s->table));
	if (!s->table)
		return -ENOMEM;
	for (unsigned i = 0; i < s->n_table; i++) {
		list_push_back(&s->free, &s->table[i].link);
		list_init(&s->table[i].due);
	}
	return 0;
}

void requests_deinit(struct berth_session *s)
{
	free(s->table);
	s->table = NULL;
}

/* The most recently freed slot is the warmest. Spare slots are kept for what the library itself
 * must say. */
struct request *request_take(struct berth_session *s, enum request_kind kind, bool spare)
{
	struct list *node;
	struct request *r;

	if (s->n_active >= (spare ? s->n_table : s->n_table - s->n_spare))
		return NULL;
	node = list_pop(&s->free);
	if (!node)
		return NULL;
	r = list_entry(node, struct request, link);
	if (!s->n_active++)
		nexus_now(s); /* nobody may have looked at the clock for long */
	r->kind = kind;
	r->tries = r->losses = r->n_asked = 0;
	r->reads = r->writes = r->aborting = false;
	r->length = r->arrived = r->r2tsn = 0;
	r->n_iov = 0;
	r->e = NULL;
	r->batch = s->out.sent;
	r->lun = s->lun;
	r->change = (struct change){.repeat = REPEAT_NEVER};
	r->timeout_ms = s->opt.command_ms;
	r->error = 0;
	r->status = r->sense_len = 0;
	r->transferred = 0;
	r->ref = -1;
	return r;
}

int request_number(const struct berth_session *s, const struct request *r)
{
	return (int)((unsigned)(r - s->table) | (unsigned)r->gen << 12);
}

struct request *request_find(struct berth_session *s, int number)
{
	unsigned slot = (unsigned)number & 0xfff;
	struct request *r = number >= 0 && slot < s->n_table ? &s->table[slot] : NULL;

	if (!r || r->gen != (unsigned)number >> 12 || r->state == REQ_FREE || r->state == REQ_ENDED)
		return NULL;
	return r;
}

/* note_changes - the later of two changes of a block makes the earlier one unfit for being
 * repeated. */
static void note_changes(struct berth_session *s, const struct request *r)
{
	struct list *const lists[] = {&s->queue, &s->active, &s->later, &s->linger};

	if (!s->opt.reconnect_ms || r->change.repeat != REPEAT_UNLESS_OVERLAPPED)
		return;
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		list_for_each(node, lists[i]) {
			struct request *older = list_entry(node, struct request, link);

			older->change.overlapped |= change_overlap(&older->change, &r->change);
		}
	}
}

int request_queue(struct berth_session *s, struct request *r)
{
	r->state = REQ_QUEUED;
	r->deadline_ns = s->now_ns + r->timeout_ms * MS;
	if (r->kind == REQ_SCSI) {
		note_changes(s, r);
		list_push_back(&s->queue, &r->link);
	} else {
		list_push_front(&s->queue, &r->link); /* it needs no command number */
	}
	return request_number(s, r);
}

/* let_go - the tag is stale from here on, and nothing more of it is sent. */
static void let_go(struct berth_session *s, struct request *r)
{
	list_remove(&r->link);
	list_remove(&r->due);
	r->n_asked = 0;
	if (r->e)
		dpt_close(&s->dpt, r->e);
	r->e = NULL;
	if (s->rx_request == r)
		s->rx_request = NULL;
	if (s->texter == r) {
		s->texter = NULL;
		s->text_due = s->text_asks_more = false;
	}
}

static void to_ended(struct berth_session *s, struct request *r)
{
	bool busy = s->out.batch && sn_lt(s->out.sent, r->batch);

	r->state = busy ? REQ_LINGER : REQ_ENDED;
	list_push_back(busy ? &s->linger : &s->ended, &r->link);
}

void request_end(struct berth_session *s, struct request *r, int error)
{
	let_go(s, r);
	r->error = error;
	to_ended(s, r);
}

void requests_batch_sent(struct berth_session *s)
{
	list_for_each_safe(node, tmp, &s->linger) {
		struct request *r = list_entry(node, struct request, link);

		list_remove(node);
		to_ended(s, r);
	}
}

void nexus_tell(struct berth_session *s)
{
	struct list *node;

	while ((node = list_pop(&s->ended))) {
		struct request *r = list_entry(node, struct request, link);
		struct berth_result result = {
			.error = r->error,
			.status = r->status,
			.sense_len = r->sense_len,
			.transferred = r->transferred,
			.ended_ns = s->now_ns,
		};
		berth_done *done = r->done;
		void *ctx = r->ctx;
		uint8_t sense[SENSE_ROOM];

		if (r->sense_len) {
			memcpy(sense, r->sense, r->sense_len);
			result.sense = sense;
		}
		r->state = REQ_FREE;
		r->gen = (r->gen + 1) % NUMBER_GENS;
		list_push_front(&s->free, &r->link);
		s->n_active--;
		if (done)
			done(ctx, &result);
	}
}

/* --- not begun, or lost: again --- */

/* again - back to the queue as if it had never been sent; at its front for what a connection took
 * along. */
static void again(struct berth_session *s, struct request *r, uint64_t delay_ms)
{
	let_go(s, r);
	r->arrived = r->r2tsn = 0;
	r->status = r->sense_len = 0;
	r->transferred = 0;
	r->state = delay_ms ? REQ_LATER : REQ_QUEUED;
	r->again_ns = s->now_ns + delay_ms * MS;
	list_push_back(delay_ms ? &s->later : &s->queue, &r->link);
	s->tick_ns = MIN(s->tick_ns, r->again_ns);
}

/* is_attention - one that is only news. A flush that is told of a power on or reset (29h) in the middle of a session is
 * not: what had been acknowledged before may be gone, and a second flush would not bring it back. */
static bool is_attention(const struct request *r, bool first)
{
	struct berth_result result = {.sense = r->sense, .sense_len = r->sense_len};

	if (r->status != STATUS_CHECK || berth_sense_key(&result) != KEY_UNIT_ATTENTION)
		return false;
	return first || r->change.repeat != REPEAT_UNBEGUN ||
	       berth_sense_code(&result) >> 8 != ASC_RESET;
}

void request_answered(struct berth_session *s, struct request *r, uint8_t status)
{
	bool busy = status == STATUS_BUSY || status == STATUS_FULL, first = !s->once_answered;

	r->status = status;
	s->once_answered = true;
	if (status == STATUS_GOOD) {
		request_end(s, r, 0);
		return;
	}
	/* The target has not begun it (SAM-5 5.3.1, 5.14): that is safe to do again. A buffer still
	 * in a batch stays. */
	if (r->change.repeat != REPEAT_NEVER && r->tries < TRIES_MAX && !r->aborting &&
		(busy || is_attention(r, first))) {
		uint64_t wait =
			busy ? MIN((uint64_t)AGAIN_MS << MIN(r->tries, 6), AGAIN_MS_MAX) : 0;

		r->tries++;
		again(s, r, wait);
		return;
	}
	request_end(s, r, -EREMOTEIO);
}

/* waiting_lost - what was sent, not begun, and waits to be sent again, if it must not go over another connection. */
static void waiting_lost(struct berth_session *s, struct list *waiting)
{
	list_for_each_safe(node, tmp, waiting) {
		struct request *r = list_entry(node, struct request, link);

		if (r->tries && r->change.repeat == REPEAT_UNBEGUN)
			request_end(s, r, s->closing ? -ECANCELED : -ECONNRESET);
	}
}

void requests_lost(struct berth_session *s)
{
	struct list back;

	list_init(&back);
	requests_batch_sent(s);
	waiting_lost(s, &s->queue);
	waiting_lost(s, &s->later);
	while (!list_empty(&s->active)) {
		struct request *r = list_first(&s->active, struct request, link);

		if (r->aborting) {
			request_end(s, r, r->error);
		} else if (!s->opt.reconnect_ms || !change_may_repeat(&r->change) ||
			   ++r->losses > LOSSES_MAX) {
			request_end(s, r, s->closing ? -ECANCELED : -ECONNRESET);
		} else {
			again(s, r, 0);
			r->deadline_ns =
				s->now_ns + ((uint64_t)s->opt.reconnect_ms + r->timeout_ms) * MS;
			list_remove(&r->link);
			list_push_back(&back, &r->link);
		}
	}
	list_splice_back(&back, &s->queue);
	list_splice_back(&s->queue, &back);
}

void requests_end_all(struct berth_session *s, int error)
{
	struct list *const lists[] = {&s->active, &s->queue, &s->later};

	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		while (!list_empty(lists[i]))
			request_end(s, list_first(lists[i], struct request, link), error);
	}
	requests_batch_sent(s);
}

/* --- time --- */

/* give_up - too late: what has not left ends; what has is aborted first, so that the target is done
 * with it. */
static void give_up(struct berth_session *s, struct request *r)
{
	uint32_t patience = MIN((uint32_t)ABORT_MS, s->opt.command_ms);
	struct request *tmf;

	if (r->state != REQ_SENT) {
		request_end(s, r, -ETIMEDOUT);
		return;
	}
	tmf = r->kind == REQ_SCSI && !r->aborting ? request_take(s, REQ_TMF, true) : NULL;
	if (!tmf) {
		nexus_fault(s, -ETIMEDOUT, "the target does not answer");
		return;
	}
	r->aborting = true;
	r->error = -ETIMEDOUT;
	r->deadline_ns = s->now_ns + patience * MS;
	tmf->function = TMF_ABORT_TASK;
	tmf->ref = request_number(s, r);
	tmf->ref_itt = r->itt;
	tmf->ref_cmdsn = r->cmdsn;
	tmf->lun = r->lun;
	tmf->timeout_ms = patience;
	tmf->done = NULL;
	request_queue(s, tmf);
}

static void look_for_late(struct berth_session *s, struct list *l)
{
	list_for_each_safe(node, tmp, l) {
		struct request *r = list_entry(node, struct request, link);

		if (r->deadline_ns <= s->now_ns && !s->fault)
			give_up(s, r);
	}
}

void requests_tick(struct berth_session *s)
{
	look_for_late(s, &s->active);
	look_for_late(s, &s->queue);
	look_for_late(s, &s->later);
	list_for_each_safe(node, tmp, &s->later) {
		struct request *r = list_entry(node, struct request, link);

		if (r->again_ns <= s->now_ns) {
			list_remove(node);
			r->state = REQ_QUEUED;
			list_push_back(&s->queue, node);
		}
	}
}
