/* outbox.c - the order in which things leave, and how they are cut.
 *
 *   1. a login or text of ours, answers to the target's pings, then task management and the like
 *   2. unasked Data-Outs (they must follow their commands in the same order: RFC 7143 4.2.5.2)
 *   3. commands, as far as the command window reaches, each with its immediate data
 *   4. Data-Outs that R2Ts have asked for, in the order of the R2Ts' arrival
 *
 * Neighbouring headers share a vector: thirty reads are one. Payload is never copied; a Data-Out
 * ends early when its vectors do not fit, which is the initiator's right. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include "check.h"
#include "digest.h"
#include "iov.h"
#include "nexus.h"
#include "tag.h"

enum { SPARE_VECTORS = 4 }; /* a header, pads, and the next header */

/* --- batches --- */

static struct batch *batch_take(struct berth_pool *p)
{
	struct list *node = list_pop(&p->batches);
	struct batch *b = node ? list_entry(node, struct batch, link) : malloc(sizeof(*b));

	if (b) {
		list_init(&b->link);
		b->vec = b->n_vec = b->n_pdus = 0;
		b->bytes = b->bhs_len = 0;
	}
	return b;
}

static bool batch_has_room(const struct batch *b)
{
	return b->n_pdus < BATCH_PDUS && b->bytes < BATCH_BYTES &&
	       BATCH_VECTORS - b->n_vec > SPARE_VECTORS;
}

static void batch_add(struct batch *b, const void *base, size_t len)
{
	struct iovec *last = b->n_vec ? &b->iov[b->n_vec - 1] : NULL;

	b->bytes += (uint32_t)len;
	if (last && (const char *)last->iov_base + last->iov_len == (const char *)base) {
		last->iov_len += len;
		return;
	}
	b->iov[b->n_vec++] = (struct iovec){(void *)(uintptr_t)base, len};
}

/* put_trailer - pad and digest of the payload in the vectors from `first` on (RFC 7143 11.2.3). */
static void put_trailer(struct batch *b, unsigned first, uint32_t len, bool digest)
{
	uint8_t *t = b->trailer[b->n_pdus];
	uint32_t pad = pad_len(len);

	memset(t, 0, pad);
	if (digest) {
		uint32_t crc = digest_add_iov(DIGEST_START, b->iov + first, b->n_vec - first, NULL);

		digest_put(t + pad, digest_add(crc, t, pad));
		pad += DIGEST_LEN;
	}
	if (pad)
		batch_add(b, t, pad);
}

/* put_pdu - with `len` bytes from `at` on, or fewer for want of vectors; returns how many. Such a
 * PDU is not the last of its sequence, unless nothing may follow it. */
static uint32_t put_pdu(struct berth_session *s, struct batch *b, struct pdu *p, struct place at,
	uint32_t len, bool always_final)
{
	uint8_t *bhs = b->bhs + b->bhs_len;
	size_t got = 0;

	batch_add(b, bhs, BHS_LEN + s->framer.header_digest);
	b->bhs_len += BHS_LEN + s->framer.header_digest;
	if (len) {
		unsigned first = b->n_vec, room = BATCH_VECTORS - first - (SPARE_VECTORS - 1);

		b->n_vec += place_fill(at, len, b->iov + first, room, &got);
		b->bytes += (uint32_t)got;
		if (got < len && !always_final)
			p->final = false;
		put_trailer(b, first, (uint32_t)got, s->framer.data_digest);
	}
	p->data_len = (uint32_t)got;
	pdu_encode(p, bhs);
	if (s->framer.header_digest)
		digest_put(bhs + BHS_LEN, digest_add(DIGEST_START, bhs, BHS_LEN));
	b->n_pdus++;
	return (uint32_t)got;
}

/* --- one kind of PDU each --- */

static void put_text(struct berth_session *s, struct batch *b)
{
	struct iovec iov;
	struct pdu p;
	const void *text;
	uint32_t len;

	s->text_due = false;
	if (s->state == NX_LOGIN) {
		signon_request(&s->signon, &p, &text, &len);
	} else {
		struct request *r = s->texter;

		text = s->text_out.buf;
		len = s->text_asks_more ? 0 : s->text_out.len;
		p = (struct pdu){
			.opcode = OP_TEXT_REQUEST,
			.immediate = true,
			.final = true,
			.itt = r->itt,
			.ttt = s->text_ttt,
			.cmdsn = s->cmdsn,
			.expstatsn = s->expstatsn,
		};
	}
	iov = (struct iovec){(void *)(uintptr_t)text, len};
	put_pdu(s, b, &p, (struct place){.iov = &iov, .n = 1}, len, true);
}

static void put_pong(struct berth_session *s, struct batch *b)
{
	unsigned last = --s->n_pongs;
	struct pdu p = {
		.opcode = OP_NOP_OUT, /* 11.18: an answer has no task and is immediate */
		.immediate = true,
		.final = true,
		.itt = ITT_NONE,
		.ttt = s->pong[last].ttt,
		.lun = s->pong[last].lun,
		.cmdsn = s->cmdsn,
		.expstatsn = s->expstatsn,
	};

	put_pdu(s, b, &p, (struct place){0}, 0, true);
}

/* put_data - Data-Outs of one request, as long as there is room. */
static void put_data(struct berth_session *s, struct batch *b, struct request *r)
{
	while (r->n_asked && batch_has_room(b)) {
		struct asked *a = &r->asked[0];
		uint32_t off = a->offset + a->sent, left = a->length - a->sent;
		uint32_t len = MIN(left, s->cut);
		struct pdu p = {
			.opcode = OP_DATA_OUT,
			.final = len == left,
			.lun = r->lun,
			.itt = r->itt,
			.ttt = a->ttt,
			.expstatsn = s->expstatsn,
			.data = {.datasn = a->datasn++, .offset = off},
		};

		a->sent += put_pdu(s, b, &p,
			place_at((struct place){.iov = r->iov, .n = r->n_iov}, off), len, false);
		if (a->sent == a->length) {
			r->n_asked--;
			for (unsigned i = 0; i < r->n_asked; i++)
				r->asked[i] = r->asked[i + 1];
		}
	}
	r->batch = s->out.made;
	if (!r->n_asked)
		list_remove(&r->due);
}

/* give_tag - the request's place in the data pointer table. 0 or -errno. */
static int give_tag(struct berth_session *s, struct request *r)
{
	int rc;

	if (r->kind == REQ_SCSI && r->reads && r->length) {
		struct window w;

		window_init(&w, r, 0, r->lun, 0, r->length,
			(struct place){.iov = r->iov, .n = r->n_iov});
		rc = dpt_grant(&s->dpt, &w, &r->e);
	} else {
		rc = dpt_name(&s->dpt, r, &r->e);
	}
	if (rc)
		return rc == DPT_FULL ? -EAGAIN : rc;
	r->itt = r->e->w.itt = dpt_tag(&s->dpt, r->e);
	return 0;
}

/* put_command - with as much immediate data as was agreed; what may follow unasked is put on the
 * due list. */
static void put_command(struct berth_session *s, struct batch *b, struct request *r)
{
	const struct params *pa = &s->params;
	uint32_t unasked = 0, immediate = 0;
	struct pdu p = {
		.opcode = OP_SCSI_COMMAND,
		.lun = r->lun,
		.itt = r->itt,
		.ttt = TAG_NONE,
		.cmdsn = r->cmdsn,
		.expstatsn = s->expstatsn,
		.cmd = {.read = r->reads, .write = r->writes, .attr = 1, .edtl = r->length},
	};

	memcpy(p.cmd.cdb, r->cdb, sizeof(r->cdb));
	if (r->writes) {
		if (pa->immediate_data) /* 13.11, 13.14 */
			immediate = MIN(MIN(r->length, pa->first_burst), s->cut);
		unasked = pa->initial_r2t ? immediate : MIN(r->length, pa->first_burst); /* 13.10 */
		r->batch = s->out.made;
	}
	p.final = pa->initial_r2t || unasked == immediate;
	immediate = put_pdu(
		s, b, &p, (struct place){.iov = r->iov, .n = r->n_iov}, immediate, pa->initial_r2t);
	if (!p.final) {
		r->asked[r->n_asked++] = (struct asked){
			.ttt = TAG_NONE, .offset = immediate, .length = unasked - immediate};
		list_push_front(&s->due, &r->due);
	}
}

static void put_other(struct berth_session *s, struct batch *b, struct request *r)
{
	static const uint8_t opcode_of[] = {
		[REQ_TMF] = OP_TASK_MGMT,
		[REQ_PING] = OP_NOP_OUT,
		[REQ_LOGOUT] = OP_LOGOUT_REQUEST,
	};
	struct pdu p = {
		.opcode = opcode_of[r->kind],
		.immediate = true,
		.final = true,
		.itt = r->itt,
		.ttt = TAG_NONE,
		.cmdsn = s->cmdsn,
		.expstatsn = s->expstatsn,
	};

	if (r->kind == REQ_TMF) {
		p.lun = r->lun;
		p.tmf.function = r->function;
		p.tmf.ref_itt = r->ref_itt;
		p.tmf.ref_cmdsn = r->ref_cmdsn;
	} else if (r->kind == REQ_PING) {
		p.lun = r->lun;
	}
	r->cmdsn = s->cmdsn; /* what had been sent before it, for the end of a reset */
	put_pdu(s, b, &p, (struct place){0}, 0, true);
}

/* put_request - the first of the queue. False: it has to wait. */
static bool put_request(struct berth_session *s, struct batch *b)
{
	struct request *r = list_first(&s->queue, struct request, link);

	if (s->state != NX_FULL && (s->state != NX_LEAVING || r->kind != REQ_LOGOUT))
		return false;
	if (r->kind == REQ_SCSI && !sn_le(s->cmdsn, s->window.maxcmdsn))
		return false;
	if (give_tag(s, r))
		return false;
	list_remove(&r->link);
	list_push_back(&s->active, &r->link);
	r->state = REQ_SENT;
	if (r->kind == REQ_SCSI) {
		r->cmdsn = s->cmdsn++;
		put_command(s, b, r);
	} else if (r->kind == REQ_TEXT) {
		s->texter = r;
		s->text_due = true;
	} else {
		put_other(s, b, r);
	}
	return true;
}

static struct request *first_due(struct berth_session *s)
{
	return list_empty(&s->due) ? NULL : list_first(&s->due, struct request, due);
}

static void fill(struct berth_session *s, struct batch *b)
{
	struct request *r;

	if (s->text_due)
		put_text(s, b);
	while (s->n_pongs && batch_has_room(b))
		put_pong(s, b);
	while (batch_has_room(b)) {
		r = first_due(s);
		if (r && r->asked[0].ttt == TAG_NONE)
			put_data(s, b, r);
		else if (list_empty(&s->queue) || !put_request(s, b))
			break;
		if (s->text_due)
			put_text(s, b);
	}
	while ((r = first_due(s)) && batch_has_room(b))
		put_data(s, b, r);
}

static bool anything(const struct berth_session *s)
{
	return s->text_due || s->n_pongs || !list_empty(&s->queue) || !list_empty(&s->due);
}

/* --- the socket --- */

static void want_room(struct berth_session *s, bool yes)
{
	struct epoll_event ev = {.events = EPOLLIN | (yes ? EPOLLOUT : 0)};

	if (s->want_out != yes && !epoll_ctl(s->poll_fd, EPOLL_CTL_MOD, s->fd, &ev))
		s->want_out = yes;
}

static void batch_sent(struct batch *b, size_t n)
{
	b->bytes -= (uint32_t)n;
	b->vec += iov_moved(b->iov + b->vec, n);
}

/* push - one sendmsg of the batch under way. False: no more now. */
static bool push(struct berth_session *s)
{
	struct batch *b = s->out.batch;
	struct msghdr m = {.msg_iov = b->iov + b->vec, .msg_iovlen = b->n_vec - b->vec};
	ssize_t n = sendmsg(s->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0 && errno == EINTR)
		return true;
	if (n < 0) {
		if (errno == EAGAIN)
			want_room(s, true);
		else
			nexus_fault(s, -errno, "sending: %s", strerror(errno));
		return false;
	}
	s->send_calls++;
	s->sent_bytes += (uint64_t)n;
	batch_sent(b, (size_t)n);
	if (b->bytes) {
		want_room(s, true);
		return false;
	}
	s->out.batch = NULL;
	s->out.sent = s->out.made;
	list_push_front(&s->pool->batches, &b->link);
	if (!list_empty(&s->linger))
		requests_batch_sent(s);
	return true;
}

void nexus_send(struct berth_session *s)
{
	if (s->fd < 0 || s->state == NX_CONNECTING)
		return;
	while (!s->fault) {
		if (!s->out.batch) {
			if (!anything(s))
				break;
			s->out.batch = batch_take(s->pool);
			if (!s->out.batch) {
				nexus_fault(s, -ENOMEM, "out of memory");
				return;
			}
			s->out.made++;
			fill(s, s->out.batch);
			if (!s->out.batch->bytes) { /* the queue waits for the command window */
				list_push_front(&s->pool->batches, &s->out.batch->link);
				s->out.batch = NULL;
				s->out.sent = s->out.made;
				break;
			}
		}
		if (!push(s))
			return;
	}
	if (s->want_out)
		want_room(s, false);
}
