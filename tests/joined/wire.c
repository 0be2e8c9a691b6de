/* wire.c - the host of a connection that moves bytes by hand. */
#include "wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "conn.h"

int wire_in_target;

static void wire_kick(struct conn *c) {}

static void wire_move(struct conn *c, struct worker *to)
{
	FAIL("a house with one reactor has nowhere to move to");
}

static void wire_ended(struct conn *c)
{
	struct wire *w = c->host_ctx;

	w->c = NULL;
}

static const struct conn_host wire_host = {
	.kick = wire_kick, .move = wire_move, .ended = wire_ended};

/* --- where PDUs begin --- */

static void watch(struct wire *w, const uint8_t *b, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		uint64_t at = w->sent + i, in_pdu = at - w->next_start;

		if (at < w->next_start)
			continue;
		w->head[in_pdu] = b[i];
		if (!in_pdu) {
			if (w->n_starts == w->room_starts) {
				w->room_starts = w->room_starts ? w->room_starts * 2 : 64;
				w->starts = realloc(w->starts, w->room_starts * sizeof(*w->starts));
				check(w->starts);
			}
			w->starts[w->n_starts++] = at;
		}
		if (in_pdu == 7) {
			uint32_t data =
				(uint32_t)w->head[5] << 16 | (uint32_t)w->head[6] << 8 | w->head[7];

			w->next_start += PEER_BHS + w->head[4] * 4u + ((data + 3) & ~3u);
		}
	}
}

/* --- the peer's side --- */

static size_t piece(const struct wire *w, size_t len)
{
	for (unsigned i = 0; i < ARRAY_LEN(w->cut.at); i++) {
		if (w->cut.at[i] > w->sent)
			return MIN(len, w->cut.at[i] - w->sent);
	}
	return w->cut.every ? MIN(len, w->cut.every) : len;
}

static void land(struct wire *w, const uint8_t *b, size_t len)
{
	while (len && w->c) {
		unsigned n_iov;
		const struct iovec *iov = conn_rx_plan(w->c, &n_iov);
		size_t done = 0;

		for (unsigned i = 0; i < n_iov && done < len; i++) {
			size_t part = MIN(iov[i].iov_len, len - done);

			memcpy(iov[i].iov_base, b + done, part);
			done += part;
		}
		b += done;
		len -= done;
		if (conn_rx_landed(w->c, done) == RX_STOP)
			return;
	}
}

static long wire_send(void *ctx, const void *buf, size_t len, int timeout_ms)
{
	struct wire *w = ctx;
	size_t n = piece(w, len);

	if (!w->c)
		return -EPIPE;
	watch(w, buf, n);
	wire_in_target++;
	land(w, buf, n);
	w->sent += n;
	house_calm(w->h, 0);
	wire_in_target--;
	return (long)n;
}

static long take_answers(struct wire *w, void *buf, size_t room)
{
	const struct iovec *iov;
	size_t done = 0;
	unsigned n_iov;

	house_calm(w->h, 0);
	if (!w->c)
		return 0;
	iov = conn_tx_plan(w->c, &n_iov);
	if (w->cut.answers)
		room = MIN(room, w->cut.answers);
	for (unsigned i = 0; i < n_iov && done < room; i++) {
		size_t part = MIN(iov[i].iov_len, room - done);

		memcpy((uint8_t *)buf + done, iov[i].iov_base, part);
		done += part;
	}
	if (!done)
		return -ETIMEDOUT;
	conn_tx_sent(w->c, done);
	return (long)done;
}

static long wire_recv(void *ctx, void *buf, size_t room, int timeout_ms)
{
	long n;

	wire_in_target++;
	n = take_answers(ctx, buf, room);
	wire_in_target--;
	return n;
}

static void wire_close(void *ctx, bool abrupt)
{
	struct wire *w = ctx;

	if (w->c)
		conn_end(w->c, "closed by the initiator");
	house_calm(w->h, 0);
}

static const struct peer_transport transport = {
	.send = wire_send, .recv = wire_recv, .close = wire_close};

struct peer *wire_connect(struct wire *w, struct house *h, const struct wire_cut *cut)
{
	struct peer *p;

	*w = (struct wire){.h = h, .cut = *cut};
	w->c = conn_new(server_worker(h->server, 0), &wire_host, w, &h->addr, &h->addr);
	EXPECT(w->c, "no memory for a connection");
	p = peer_new(&transport, w);
	snprintf(p->target, sizeof(p->target), "%s", HOUSE_TARGET);
	return p;
}

void wire_deinit(struct wire *w)
{
	free(w->starts);
	w->starts = NULL;
}
