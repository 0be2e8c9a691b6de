/* lconn.c - a PDU comes in, its payload has a place, an answer goes out.
 *
 * READs are known from their CDB alone and become Data-In PDUs whose vectors are drawn at random
 * when the batch is made. A WRITE gets its pages when its command comes, R2Ts as the negotiated
 * parameters ask, and GOOD when all is in. */
#include "limit.h"

#include <stdlib.h>
#include <string.h>
#include "be.h"
#include "check.h"
#include "iov.h"

/* --- pages --- */

static uint64_t draw(struct limit *l)
{
	l->rng ^= l->rng >> 12;
	l->rng ^= l->rng << 25;
	l->rng ^= l->rng >> 27;
	return l->rng * 2685821657736338717ull >> 32;
}

/* draw_vectors - places for `len` bytes; returns how many vectors, at most max; *lenp: their bytes.
 */
static unsigned draw_vectors(
	struct limit *l, uint32_t len, struct iovec *iov, unsigned max, uint32_t *lenp)
{
	uint32_t left = len;
	unsigned n = 0;

	for (; left && n < max; n++) {
		uint32_t here = MIN(left, l->run * ARENA_PAGE);
		uint64_t page = draw(l) * (LIMIT_PAGES - l->run + 1) >> 32;

		iov[n] = (struct iovec){(char *)l->base + page * ARENA_PAGE, here};
		left -= here;
	}
	*lenp = len - left;
	return n;
}

void limit_init(struct limit *l, unsigned run)
{
	struct arena_params p = {.name = "limit", .kind = ARENA_RAM, .n_pages = LIMIT_PAGES};
	struct run taken;
	unsigned n_runs;
	uint32_t n_quota;

	*l = (struct limit){.run = run, .rng = 7};
	list_init(&l->free_writes);
	if (run < 1 || run > ARENA_MAX_RUN || arena_new(&l->arena, &p) ||
		rx_scratch_new(&l->scratch))
		limit_die("no memory");
	/* All of it, in steps as a disk's growth would take it: with huge pages where those come (huge.h). */
	for (unsigned i = 0; i < LIMIT_PAGES / ARENA_MAX_RUN; i++)
		check(!arena_take(l->arena, ARENA_OPEN, NULL, ARENA_MAX_RUN, true, &taken, 1,
			&n_runs, &n_quota));
	l->base = arena_base(l->arena);
	memset(l->base, 0x5a, (size_t)LIMIT_PAGES * ARENA_PAGE);
	param_offer_default(&l->offer);
}

/* --- saying --- */

static struct say *say(struct lconn *c, enum opcode op, uint32_t itt)
{
	struct say *s = &c->says[(c->say + c->n_says++) % SAY_RING];

	if (c->n_says == SAY_RING)
		limit_die("too much to say");
	*s = (struct say){.pdu.opcode = op,
		.pdu.final = true,
		.pdu.itt = itt,
		.pdu.ttt = TAG_NONE,
		.numbered = true};
	return s;
}

static void say_data(struct say *s, const void *data, uint32_t len)
{
	if (!len)
		return;
	s->data = malloc(len + 4);
	check(s->data);
	memcpy(s->data, data, len);
	memset((char *)s->data + len, 0, 4);
	s->len = len;
}

/* --- batches --- */

static void batch_pdu(struct lconn *c, const struct pdu *p, unsigned n_pdus)
{
	struct pdu out = *p;

	if (p->opcode != OP_LOGIN_RESPONSE) {
		out.expcmdsn = c->expcmdsn;
		out.maxcmdsn = c->expcmdsn + LIMIT_WINDOW - 1;
	}
	pdu_encode(&out, c->headers[n_pdus]);
	c->iov[c->n_vec++] = (struct iovec){c->headers[n_pdus], BHS_LEN};
}

/* batch_data_in - one Data-In; returns its bytes. It ends early where vectors do. */
static uint32_t batch_data_in(struct lconn *c, struct say *s, unsigned n_pdus)
{
	uint32_t burst_left = c->params.max_burst - s->pdu.data.offset % c->params.max_burst;
	uint32_t len = MIN(MIN(s->left, c->params.max_send_data), burst_left), got;
	unsigned header = c->n_vec;
	unsigned n = draw_vectors(c->l, len, c->iov + header + 1, BATCH_VECTORS - header - 2, &got);

	s->left -= got;
	s->pdu.data_len = got;
	s->pdu.data.has_status = !s->left;
	s->pdu.final = !s->left || got == burst_left;
	if (s->pdu.data.has_status)
		s->pdu.statsn = c->statsn++;
	batch_pdu(c, &s->pdu, n_pdus);
	c->n_vec += n;
	if (pad_len(got))
		c->iov[c->n_vec++] = (struct iovec){c->headers, pad_len(got)};
	s->pdu.data.datasn++;
	s->pdu.data.offset += got;
	return got;
}

static void batch_plain(struct lconn *c, struct say *s, unsigned n_pdus)
{
	s->pdu.data_len = s->len;
	s->pdu.statsn = c->statsn;
	c->statsn += s->numbered;
	batch_pdu(c, &s->pdu, n_pdus);
	if (!s->len)
		return;
	memcpy(c->words + c->n_words, s->data, s->len + pad_len(s->len));
	free(s->data);
	c->iov[c->n_vec++] = (struct iovec){c->words + c->n_words, s->len + pad_len(s->len)};
	c->n_words += s->len + pad_len(s->len);
}

static bool batch_has_room(const struct lconn *c, unsigned n_pdus, size_t bytes)
{
	return n_pdus < BATCH_PDUS && bytes < BATCH_BYTES && BATCH_VECTORS - c->n_vec >= 4 &&
	       c->n_words < sizeof(c->words) / 2;
}

struct iovec *lconn_tx_plan(struct lconn *c, unsigned *np)
{
	size_t bytes = 0;

	if (c->vec == c->n_vec) {
		c->vec = c->n_vec = 0;
		c->n_words = 0;
		for (unsigned n = 0; c->n_says && batch_has_room(c, n, bytes); n++) {
			struct say *s = &c->says[c->say];

			if (s->data_in)
				bytes += batch_data_in(c, s, n);
			else
				batch_plain(c, s, n);
			if (s->left)
				continue;
			c->say = (c->say + 1) % SAY_RING;
			c->n_says--;
		}
	}
	*np = c->n_vec - c->vec;
	return *np ? c->iov + c->vec : NULL;
}

void lconn_tx_sent(struct lconn *c, size_t n)
{
	c->vec += iov_moved(c->iov + c->vec, n);
}

/* --- READ and the small commands --- */

static void read_or_ask(struct lconn *c)
{
	const struct pdu *p = &c->rx;
	uint8_t op = p->cmd.cdb[0], data[512];
	bool reads = op == 0x08 || op == 0x28 || op == 0xa8 || op == 0x88;
	int len = reads ? (int)p->cmd.edtl : limit_answer(p->cmd.cdb, data);
	struct say *s = say(c, len > 0 ? OP_DATA_IN : OP_SCSI_RESPONSE, p->itt);
	static const uint8_t sense[20] = {0, 18, 0x70, 0, 5, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x24};

	if (reads && p->cmd.edtl) {
		s->data_in = true;
		s->left = p->cmd.edtl;
	} else if (len > 0) {
		uint32_t n = MIN((uint32_t)len, p->cmd.edtl);

		say_data(s, data, n);
		s->pdu.data.has_status = true;
		s->pdu.data.underflow = n < p->cmd.edtl;
		s->pdu.data.residual = p->cmd.edtl - n;
	} else if (len < 0) {
		s->pdu.rsp.status = 2;
		say_data(s, sense, sizeof(sense));
	}
}

/* --- WRITE --- */

static struct lwrite *write_new(struct lconn *c)
{
	struct list *node = list_pop(&c->l->free_writes);
	struct lwrite *w = node ? list_entry(node, struct lwrite, link) : calloc(1, sizeof(*w));

	check(w);
	if (!w->iov)
		w->iov = malloc((LIMIT_MOST / ARENA_PAGE + 1) * sizeof(*w->iov));
	check(w->iov);
	list_push_back(&c->writes, &w->link);
	return w;
}

static void write_grant(struct lconn *c, struct lwrite *w)
{
	struct xfer_limits lim = xfer_limits_of(&c->params);
	struct place start = {.iov = w->iov, .n = w->n_iov};
	uint32_t off, len;

	while (xfer_next(&w->xfer, &lim, w->xfer.length, &off, &len)) {
		struct window win;
		struct dpt_entry *e;
		struct say *s;

		window_init(&win, w, w->itt, 0, off, len, place_at(start, off));
		if (dpt_grant(&c->dpt, &win, &e))
			limit_die("no slot");
		s = say(c, OP_R2T, w->itt);
		s->numbered = false;
		s->pdu.ttt = dpt_tag(&c->dpt, e);
		s->pdu.r2t.r2tsn = w->xfer.r2tsn - 1;
		s->pdu.r2t.offset = off;
		s->pdu.r2t.length = len;
	}
}

static void write_go(struct lconn *c, struct lwrite *w)
{
	if (window_left(&w->unsolicited) || window_left(&w->immediate))
		return;
	if (!xfer_complete(&w->xfer)) {
		write_grant(c, w);
		return;
	}
	say(c, OP_SCSI_RESPONSE, w->itt)->pdu.rsp.exp_datasn = w->xfer.r2tsn;
	list_remove(&w->link);
	list_push_front(&c->l->free_writes, &w->link);
}

static void write_begin(struct lconn *c, struct rx_target *t)
{
	const struct pdu *p = &c->rx;
	struct xfer_limits lim = xfer_limits_of(&c->params);
	struct lwrite *w = write_new(c);
	struct place start = {.iov = w->iov};
	uint32_t got;

	w->itt = p->itt;
	if (p->cmd.edtl > LIMIT_MOST ||
		xfer_init(&w->xfer, &lim, p->cmd.edtl, p->cmd.edtl, p->data_len, p->final))
		limit_die("a write of %u bytes that is not as negotiated", p->cmd.edtl);
	start.n = w->n_iov = draw_vectors(c->l, p->cmd.edtl, w->iov, LIMIT_MOST / ARENA_PAGE, &got);
	window_init(&w->immediate, w, p->itt, p->lun, 0, p->data_len, start);
	window_init(&w->unsolicited, w, p->itt, p->lun, p->data_len,
		w->xfer.unsolicited - p->data_len, place_at(start, p->data_len));
	c->write = w;
	c->window = &w->immediate;
	c->entry = NULL;
	if (w->unsolicited.length)
		c->framer.unsolicited = &w->unsolicited;
	if (p->data_len)
		*t = (struct rx_target){.place = start, .window = &w->immediate};
}

static void data_out_begin(struct lconn *c, struct rx_target *t)
{
	const struct pdu *p = &c->rx;
	struct data_out h = {.itt = p->itt,
		.ttt = p->ttt,
		.datasn = p->data.datasn,
		.offset = p->data.offset,
		.length = p->data_len,
		.final = p->final};
	enum counter why;

	c->entry = NULL;
	if (p->ttt == TAG_NONE) {
		c->window = c->framer.unsolicited;
		if (!c->window || window_check(c->window, &h, &why) != DATA_OUT_PLACE)
			limit_die("unsolicited data that is not as announced");
	} else if (dpt_check(&c->dpt, &h, &c->window, &c->entry, &why) != DATA_OUT_PLACE) {
		limit_die("a Data-Out that was not asked for");
	}
	c->write = c->window->task;
	*t = (struct rx_target){.place = c->window->next, .window = c->window};
}

static void data_in(struct lconn *c)
{
	struct lwrite *w = c->write;

	c->write = NULL;
	if (c->window != &w->immediate || c->rx.data_len) {
		window_count(c->window, c->rx.data_len);
		xfer_arrived(&w->xfer, c->rx.data_len, c->entry && !window_left(c->window));
	}
	if (c->framer.unsolicited == c->window && !window_left(c->window))
		c->framer.unsolicited = NULL;
	if (c->entry && !window_left(c->window))
		dpt_close(&c->dpt, c->entry);
	write_go(c, w);
}

/* --- login, ping, logout --- */

static void log_in(struct lconn *c)
{
	enum login_step step = login_rx(c->login, &c->rx, c->text, c->rx.data_len);
	struct say *s;

	if (step == LOGIN_IDENTIFIED)
		step = login_accept(c->login, ++c->l->n_conns, NULL);
	if (step == LOGIN_FAILED)
		limit_die("login: %s", c->login->why);
	if (step == LOGIN_DONE && (c->login->params.header_digest || c->login->params.data_digest))
		limit_die("digests are not part of the yardstick");
	s = say(c, OP_LOGIN_RESPONSE, c->rx.itt);
	s->pdu = c->login->rsp;
	s->pdu.expcmdsn = c->rx.cmdsn;
	s->pdu.maxcmdsn = c->rx.cmdsn + LIMIT_WINDOW - 1;
	say_data(s, c->login->rsp_text, c->login->rsp_text_len);
	if (step != LOGIN_DONE)
		return;
	c->params = c->login->params;
	c->expcmdsn = c->rx.cmdsn;
	login_deinit(c->login);
	free(c->login);
	c->login = NULL;
}

static void ping(struct lconn *c)
{
	if (c->rx.itt != ITT_NONE)
		say_data(say(c, OP_NOP_IN, c->rx.itt), c->text, c->rx.data_len);
}

static void log_out(struct lconn *c)
{
	say(c, OP_LOGOUT_RESPONSE, c->rx.itt);
	c->leaving = true;
}

/* --- the framer's two questions --- */

static int header(void *ctx, const uint8_t *bhs, struct rx_target *t)
{
	struct lconn *c = ctx;

	if (pdu_decode(&c->rx, bhs))
		limit_die("a PDU that breaks the rules");
	c->write = NULL;
	if (!c->login && !c->rx.immediate && c->rx.opcode != OP_DATA_OUT)
		c->expcmdsn = c->rx.cmdsn + 1;
	if (c->rx.opcode == OP_SCSI_COMMAND && c->rx.cmd.write) {
		write_begin(c, t);
	} else if (c->rx.opcode == OP_DATA_OUT) {
		data_out_begin(c, t);
	} else if (c->rx.data_len) {
		c->text = malloc(c->rx.data_len);
		check(c->text);
		c->text_iov = (struct iovec){c->text, c->rx.data_len};
		t->place = (struct place){.iov = &c->text_iov, .n = 1};
	}
	return RX_MORE;
}

static int payload(void *ctx, bool damaged)
{
	struct lconn *c = ctx;

	switch (c->rx.opcode) {
	case OP_SCSI_COMMAND:
		if (!c->write)
			read_or_ask(c);
		else
			data_in(c);
		break;
	case OP_DATA_OUT:
		data_in(c);
		break;
	case OP_LOGIN_REQUEST:
		log_in(c);
		break;
	case OP_NOP_OUT:
		ping(c);
		break;
	case OP_LOGOUT_REQUEST:
		log_out(c);
		break;
	default:
		limit_die("opcode 0x%02x", c->rx.opcode);
	}
	free(c->text);
	c->text = NULL;
	return RX_MORE;
}

static const struct framer_ops framer_ops = {.header = header, .payload = payload};

struct lconn *lconn_new(struct limit *l, int fd)
{
	static const uint8_t dice[LOGIN_RANDOM_LEN];
	struct lconn *c = calloc(1, sizeof(*c));

	check(c);
	c->fd = fd;
	c->l = l;
	c->statsn = 1;
	list_init(&c->writes);
	param_default(&c->params);
	c->login = malloc(sizeof(*c->login));
	check(c->login && !login_init(c->login, &l->offer, 1, dice) &&
		!dpt_init(&c->dpt, ++l->n_conns));
	framer_init(&c->framer, &framer_ops, c, l->scratch, &c->dpt);
	c->framer.stores = true;
	return c;
}

void lconn_free(struct lconn *c)
{
	struct list *node;

	while ((node = list_pop(&c->writes)))
		list_push_front(&c->l->free_writes, node);
	for (; c->n_says; c->n_says--, c->say = (c->say + 1) % SAY_RING)
		free(c->says[c->say].data);
	framer_deinit(&c->framer);
	dpt_deinit(&c->dpt);
	if (c->login)
		login_deinit(c->login);
	free(c->login);
	free(c->text);
	free(c);
}
