/* limit.h - one connection of the yardstick: the framer's user, without a socket. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "arena.h"
#include "dpt.h"
#include "framer.h"
#include "login.h"
#include "param.h"
#include "pdu.h"
#include "xfer.h"

#define LIMIT_TARGET "iqn.2026-11.io.berth:limit"

enum {
	LIMIT_PAGES = (1 << 30) / ARENA_PAGE,
	LIMIT_WINDOW = 128,    /* commands */
	LIMIT_MOST = 16 << 20, /* bytes of a command */
	SAY_RING = 4 * LIMIT_WINDOW,
	BATCH_PDUS = 128,
	BATCH_VECTORS = 1000,
	BATCH_BYTES = 2 << 20,
};

struct limit {
	struct arena *arena;
	void *base;
	unsigned run; /* pages for each draw */
	uint64_t rng;
	struct param_offer offer;
	struct rx_scratch *scratch;
	struct list free_writes;
	uint16_t n_conns;
};

/* A WRITE under way. */
struct lwrite {
	struct list link;
	uint32_t itt;
	struct xfer xfer;
	struct window immediate, unsolicited;
	struct iovec *iov; /* LIMIT_MOST / ARENA_PAGE + 1 */
	unsigned n_iov;
};

/* What is to be said: a PDU, or all Data-Ins of a READ. */
struct say {
	struct pdu pdu;
	bool data_in, numbered;
	uint32_t left; /* of a READ */
	uint32_t len;
	void *data; /* freed when it is in a batch's copy */
};

struct lconn {
	struct lconn *next;
	int fd, lowat;
	uint32_t events;
	struct limit *l;
	struct framer framer;
	struct dpt dpt;
	struct login *login; /* NULL: full feature phase */
	struct params params;
	struct pdu rx;
	struct lwrite *write; /* whose data is coming in */
	struct window *window;
	struct dpt_entry *entry;
	uint8_t *text; /* data of a login or a ping */
	struct iovec text_iov;
	struct list writes;
	uint32_t statsn, expcmdsn;
	bool leaving;

	struct say says[SAY_RING];
	unsigned say, n_says;
	uint8_t headers[BATCH_PDUS][BHS_LEN];
	struct iovec iov[BATCH_VECTORS];
	unsigned vec, n_vec;
	uint8_t words[16384]; /* data of the batch that lies in no page */
	uint32_t n_words;
};

void limit_init(struct limit *l, unsigned run);
_Noreturn void limit_die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

struct lconn *lconn_new(struct limit *l, int fd);
void lconn_free(struct lconn *c);
struct iovec *lconn_tx_plan(struct lconn *c, unsigned *np); /* NULL: nothing to say */
void lconn_tx_sent(struct lconn *c, size_t n);

/* answers.c: parameter data of the few commands that are no READ or WRITE; returns its length,
 * -1: CHECK CONDITION. */
int limit_answer(const uint8_t *cdb, uint8_t data[512]);
