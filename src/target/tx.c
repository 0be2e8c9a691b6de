/* tx.c - batches: PDUs become headers and vectors, and sent bytes release what they pinned. */
#include "tx.h"

#include <stdlib.h>
#include <string.h>
#include "conn.h"
#include "digest.h"
#include "iov.h"
#include "session.h"
#include "worker.h"

/* One PDU of a batch. `end`: its tx is through with it. */
struct batch_pdu {
	uint8_t bhs[BHS_LEN + DIGEST_LEN];
	uint8_t trailer[4 + DIGEST_LEN]; /* pad and data digest */
	uint32_t len;                    /* header, payload, pad and digests */
	struct tx *end;
};

struct batch {
	struct list link;
	unsigned vec, n_vec; /* vectors [vec, n_vec) are still to send */
	unsigned pdu, n_pdus;
	size_t bytes;
	uint32_t pdu_sent; /* bytes sent of pdus[pdu] */
	struct iovec iov[BATCH_VECTORS];
	struct batch_pdu pdus[BATCH_PDUS];
};

void tx_queue_init(struct tx_queue *q)
{
	*q = (struct tx_queue){.batch = NULL};
	list_init(&q->list);
}

void tx_init(struct tx *tx)
{
	*tx = (struct tx){.owned = NULL};
	list_init(&tx->link);
}

/* --- txs that free themselves --- */

static void tx_free(struct tx *tx, bool sent)
{
	struct worker *w = tx->owner;

	free(tx->owned);
	list_push_front(&w->free_txs, &tx->link);
}

struct tx *tx_new(struct worker *w)
{
	struct list *node = list_pop(&w->free_txs);
	struct tx *tx = node ? list_entry(node, struct tx, link) : malloc(sizeof(*tx));

	if (!tx)
		return NULL;
	tx_init(tx);
	tx->owner = w;
	tx->done = tx_free;
	return tx;
}

bool tx_own(struct tx *tx, const void *data, uint32_t len)
{
	if (!len)
		return true;
	tx->owned = malloc(len);
	if (!tx->owned)
		return false;
	memcpy(tx->owned, data, len);
	tx->iov = (struct iovec){tx->owned, len};
	tx->data = (struct place){.iov = &tx->iov, .n = 1};
	tx->left = len;
	return true;
}

void tx_free_lists(struct worker *w)
{
	struct list *node;

	while ((node = list_pop(&w->free_txs)))
		free(list_entry(node, struct tx, link));
	while ((node = list_pop(&w->free_batches)))
		free(list_entry(node, struct batch, link));
}

/* --- the queue --- */

void tx_push(struct conn *c, struct tx *tx)
{
	if (c->state == CONN_ENDING || c->close_after) { /* the last word was said */
		tx->done(tx, false);
		return;
	}
	list_push_back(&c->tx.list, &tx->link);
	c->tx.n++;
	c->tx.bytes += tx->left;
	conn_kick(c);
}

static void batch_drop(struct conn *c)
{
	struct batch *b = c->tx.batch;

	if (!b)
		return;
	for (unsigned i = b->pdu; i < b->n_pdus; i++) {
		struct tx *tx = b->pdus[i].end;

		if (tx)
			tx->done(tx, false);
	}
	c->tx.batch = NULL;
	list_push_front(&c->w->free_batches, &b->link);
}

void tx_queue_drop(struct conn *c)
{
	struct list *node;

	batch_drop(c);
	while ((node = list_pop(&c->tx.list))) {
		struct tx *tx = list_entry(node, struct tx, link);

		tx->done(tx, false);
	}
	c->tx.n = 0;
	c->tx.bytes = 0;
}

/* --- filling a batch --- */

static void batch_vector(struct batch *b, void *base, size_t len)
{
	b->iov[b->n_vec++] = (struct iovec){base, len};
	b->bytes += len;
}

/* data_in_len - of the next Data-In PDU of a sequence. A burst of MaxBurstLength ends with F
 * (RFC 7143 13.13). */
static uint32_t data_in_len(const struct conn *c, const struct tx *tx, bool *finalp)
{
	uint32_t burst = c->params.max_burst;
	uint32_t burst_left = burst - (tx->offset < burst ? tx->offset : tx->offset % burst);
	uint32_t len = (uint32_t)MIN(tx->left, MIN(c->params.max_send_data, burst_left));

	*finalp = len == burst_left;
	return len;
}

/* data_in_fields - the last PDU carries the status, and it alone (RFC 7143 11.7.3). What a PDU in the middle
 * says otherwise is put into *mid, so that the last one still finds it. */
static struct pdu *data_in_fields(struct tx *tx, struct pdu *mid, uint32_t offset, bool final)
{
	struct pdu *p = &tx->pdu;

	if (unlikely(tx->left || !tx->has_status)) {
		*mid = *p;
		p = mid;
		p->data.overflow = p->data.underflow = false;
		p->data.residual = 0;
	}
	p->data.datasn = tx->datasn++;
	p->data.offset = offset;
	p->final = final || !tx->left;
	p->data.has_status = !tx->left && tx->has_status;
	return p;
}

/* batch_payload - vectors for `len` bytes of the tx; returns how many bytes found room. */
static uint32_t batch_payload(struct batch *b, struct tx *tx, uint32_t len)
{
	size_t got = 0;
	unsigned room = BATCH_VECTORS - b->n_vec - 1; /* one is kept for the pad */

	b->n_vec += place_fill(tx->data, len, b->iov + b->n_vec, room, &got);
	b->bytes += got;
	tx->data = place_at(tx->data, got);
	tx->left -= got;
	tx->offset += (uint32_t)got;
	return (uint32_t)got;
}

static void batch_number(struct conn *c, struct tx *tx, struct pdu *p)
{
	bool numbered = tx->data_in ? p->data.has_status : tx->takes_statsn;

	if (p->opcode != OP_DATA_IN || numbered)
		p->statsn = c->statsn;
	if (numbered)
		c->statsn++;
	conn_window(c, &p->expcmdsn, &p->maxcmdsn);
}

/* batch_trailer - pad and data digest of the payload in the vectors behind `header`; their length. */
static uint32_t batch_trailer(struct conn *c, struct batch *b, unsigned header, uint32_t payload,
	struct arena *sums, bool digest)
{
	uint8_t *trailer = b->pdus[b->n_pdus].trailer;
	uint32_t pad = pad_len(payload), len = pad;

	memset(trailer, 0, 4);
	if (payload && digest && c->framer.data_digest) {
		uint32_t crc = digest_add_iov(
			DIGEST_START, b->iov + header + 1, b->n_vec - header - 1, sums);

		digest_put(trailer + pad, digest_add(crc, trailer, pad));
		len += DIGEST_LEN;
	}
	if (len)
		batch_vector(b, trailer, len);
	return len;
}

/* batch_pdu - one PDU from the head of the queue; false: no room, it waits for the next batch. */
static bool batch_pdu(struct conn *c, struct batch *b)
{
	struct tx *tx = list_first(&c->tx.list, struct tx, link);
	struct batch_pdu *out = &b->pdus[b->n_pdus];
	struct pdu mid, *p = &tx->pdu;
	bool ends_burst = false;
	uint32_t len = tx->data_in ? data_in_len(c, tx, &ends_burst) : (uint32_t)tx->left;
	uint32_t offset = tx->offset, got;
	unsigned header = b->n_vec;
	bool digest = p->opcode !=
		      OP_LOGIN_RESPONSE; /* the last one still comes without (RFC 7143 13.1) */

	batch_vector(b, out->bhs, BHS_LEN);
	got = batch_payload(b, tx, len);
	/* More vectors than fit: the PDU ends early, the rest goes into further PDUs of the sequence. What
	 * is no sequence fits into an empty batch. */
	check(got == len || (tx->data_in && got));
	if (tx->data_in)
		p = data_in_fields(tx, &mid, offset, ends_burst && got == len);
	p->data_len = got;
	batch_number(c, tx, p);
	pdu_encode(p, out->bhs);
	out->len = BHS_LEN + got + batch_trailer(c, b, header, got, tx->sums, digest);
	if (digest && c->framer.header_digest) {
		digest_put(out->bhs + BHS_LEN, digest_add(DIGEST_START, out->bhs, BHS_LEN));
		b->iov[header].iov_len += DIGEST_LEN;
		b->bytes += DIGEST_LEN;
		out->len += DIGEST_LEN;
	}
	out->end = NULL;
	c->tx.bytes -= got;
	b->n_pdus++;
	if (!tx->left) {
		out->end = tx;
		list_remove(&tx->link);
		c->tx.n--;
	}
	return true;
}

static struct batch *batch_take(struct worker *w)
{
	struct list *node = list_pop(&w->free_batches);
	struct batch *b = node ? list_entry(node, struct batch, link) : malloc(sizeof(*b));

	if (b) {
		list_init(&b->link);
		b->vec = b->n_vec = b->pdu = b->n_pdus = 0;
		b->bytes = 0;
		b->pdu_sent = 0;
	}
	return b;
}

static bool batch_has_room(const struct batch *b)
{
	return b->n_pdus < BATCH_PDUS && b->bytes < BATCH_BYTES && BATCH_VECTORS - b->n_vec >= 8;
}

const struct iovec *tx_plan(struct conn *c, unsigned *np)
{
	struct batch *b = c->tx.batch;

	*np = 0;
	if (!b) {
		if (list_empty(&c->tx.list))
			return NULL;
		b = c->tx.batch = batch_take(c->w);
		if (!b)
			return NULL;
		while (!list_empty(&c->tx.list) && batch_has_room(b) && batch_pdu(c, b))
			;
	}
	*np = b->n_vec - b->vec;
	return b->iov + b->vec;
}

/* --- sent bytes --- */

void tx_sent(struct conn *c, size_t n)
{
	struct batch *b = c->tx.batch;

	check(b);
	b->vec += iov_moved(b->iov + b->vec, n);
	while (n && b->pdu < b->n_pdus) {
		struct batch_pdu *p = &b->pdus[b->pdu];
		size_t part = MIN(n, p->len - b->pdu_sent);
		struct tx *end;

		n -= part;
		b->pdu_sent += (uint32_t)part;
		if (b->pdu_sent < p->len)
			break;
		b->pdu++;
		b->pdu_sent = 0;
		end = p->end;
		p->end = NULL;
		if (end)
			end->done(end, true);
	}
	if (b->vec == b->n_vec) {
		c->tx.batch = NULL;
		list_push_front(&c->w->free_batches, &b->link);
	}
}
