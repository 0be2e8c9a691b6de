/* framer.h - a byte stream becomes PDUs, and every payload byte its berth. No socket, no clock.
 *
 * Receiving. framer_plan() answers where the next bytes of the stream belong; whoever moves bytes
 * fills the vectors in order and says framer_landed(n). The plan is a predictive gather:
 *
 *   rest of a header or payload that is under way,
 *   then, for each Data-Out still due in the burst under way, and in the other granted windows (grant order) as far
 *   as trust reaches, a header slot and the final place of its payload,
 *   then the look-ahead tail for whatever follows.
 *
 * Headers are checked when they are in. Where the initiator cut its PDUs otherwise, the bytes that
 * landed by the wrong guess are put in stream order and parsed again (copied_bytes{guess}).
 * Safety: a predicted place lies in fresh pages of this connection's own granted windows, which
 * nobody sees before commit; no byte counts before its header has been checked. Between two PDUs target.window is
 * only compared: what it points to may be another connection's by then.
 *
 * A plan never outlives the turn: framer_plan(), one receive call, framer_landed(), with nothing in
 * between. The scratch (tail, header slots, room for parsing again) belongs to the reactor and
 * is lent to each plan; between turns a connection keeps only an unfinished header.
 *
 * The user of the framer answers through struct framer_ops; calls come in stream order. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "dpt.h"
#include "pdu.h"

enum {
	PLAN_VECTORS = 512,
	PLAN_BYTES = 1 << 20,   /* predicted payload in one plan, and the scratch for parsing again */
	TAIL_SHORT = 256,
	TAIL_SMALL = 4 << 10,
	TAIL_LARGE = 128 << 10,
	SINK_LEN = 64 << 10,
	HEADER_SLOT = 64,       /* 48 + header digest, one cache line */
};

struct rx_scratch; /* one a reactor */
int rx_scratch_new(struct rx_scratch **sp);
struct rx_scratch *rx_scratch_free(struct rx_scratch *s);

/* Where the payload of a PDU goes. */
struct rx_target {
	struct place place;      /* n == 0: to the sink */
	struct window *window;   /* placed payload of a write; its cursor moves as PDUs complete. NULL: other */
};

/* What becomes of the stream after a call up. */
enum { RX_MORE = 0, RX_STOP = 1 }; /* RX_STOP: the connection is ending, parse no further */

struct framer_ops {
	/* header - a whole header is in (AHS behind it, at bhs + 48). Fill *t for a payload of
	 * bhs_data_len(bhs) bytes; a t left empty drains it. */
	int (*header)(void *ctx, const uint8_t *bhs, struct rx_target *t);
	/* payload - the PDU whose header was told last is complete (also when it has no payload).
	 * damaged: its data digest is wrong; the bytes lie where they were told, and count for nothing. */
	int (*payload)(void *ctx, bool damaged);
	/* header_damaged - a header digest is wrong: where the next PDU begins is unknown (RFC 7143 7.7). */
	void (*header_damaged)(void *ctx);
};

struct framer {
	const struct framer_ops *ops;
	void *ctx;
	struct rx_scratch *scratch;
	struct dpt *dpt;
	struct window *unsolicited; /* the user's: unsolicited data that is due now, or NULL */
	bool stores;                 /* the user's: nobody is about to look at what is placed */
	uint8_t header_digest, data_digest; /* bytes: 0 or 4; set by framer_digests() */

	/* where the stream stands */
	enum rx_state { RX_HEADER, RX_PAYLOAD, RX_TRAILER } state;
	uint32_t need;            /* bytes still missing of this part */
	uint32_t pdu_len;         /* data segment of the PDU under way */
	struct rx_target target;  /* its place moves along */
	size_t unread;
	uint32_t crc;             /* of the payload so far, while there is a data digest */
	uint8_t trailer[8];       /* pad and digest */
	uint16_t header_have;     /* of an unfinished header; its length is header_have + need */
	uint8_t bhs[BHS_LEN + 4];
	uint8_t *long_header;     /* with AHS; made when a first one comes, HEADER_MAX */

	/* what the plan has learnt of this initiator */
	uint32_t cut;             /* how long it cuts its Data-Outs; 0: not known yet */
	uint8_t n_small;          /* small PDUs in a row: two make the tail large */
	bool large;               /* the last PDU that was none of a burst was not small: what follows will be moved, too */
	uint8_t n_small_data;     /* small Data-Outs or Data-Ins in a row: two, and the tail takes what is not guessed */
	bool in_burst;            /* the last PDU was a Data-Out of a window that is still open */
	bool at_burst;            /* ... the first one behind what was no burst, or another's end */
	uint32_t reach;           /* how many bytes are guessed beyond the burst under way: more, the more came so */
	uint16_t shy, shy_next;       /* PDUs for which nothing beyond it is guessed; the next such time */
	uint16_t careful, careful_next; /* PDUs for which nothing is guessed */
};

void framer_init(struct framer *f, const struct framer_ops *ops, void *ctx, struct rx_scratch *s, struct dpt *dpt);
void framer_deinit(struct framer *f); /* safe to call twice */

/* framer_plan - the vectors to receive into; borrowed until framer_landed(). Never empty. */
const struct iovec *framer_plan(struct framer *f, unsigned *n_iovp);
/* framer_landed - n bytes have landed there (1 <= n <= the plan's). RX_STOP when a call up said so. */
int framer_landed(struct framer *f, size_t n);
/* framer_plan_len - bytes that the last plan has room for. */
size_t framer_plan_len(const struct framer *f);
/* framer_due - bytes known to be coming (rest of the PDU under way, unsolicited data, granted windows), at most `most`. */
uint32_t framer_due(const struct framer *f, uint32_t most);
/* framer_digests - from the next PDU on; to be called between two (login ends with its last payload call). */
void framer_digests(struct framer *f, bool header, bool data);
/* framer_move - another reactor's scratch from now on. */
static inline void framer_move(struct framer *f, struct rx_scratch *s) { f->scratch = s; }
/* framer_unread - bytes of the last walk behind an RX_STOP: landed and not parsed. */
static inline size_t framer_unread(const struct framer *f) { return f->unread; }
/* framer_idle - between two PDUs, nothing unfinished. */
bool framer_idle(const struct framer *f);
