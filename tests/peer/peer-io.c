/* peer-io.c - the peer's commands: by hand (command, R2T, Data-Out, status), or served by itself.
 *
 * What the target may ask and send for a task is checked here: R2TSN and DataSN count from 0,
 * offsets follow on each other (DataSequenceInOrder and DataPDUInOrder are Yes), no R2T and no
 * Data-In sequence above MaxBurstLength, nothing for a task that does not run. */
#include "peer.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK = 512, F_OVERFLOW = 4, F_UNDERFLOW = 2, F_STATUS = 1 };
enum { CMD_READ = 0x40, CMD_WRITE = 0x20, ATTR_SIMPLE = 1 };

void cdb_rw(uint8_t cdb[16], bool write, uint64_t lba, uint32_t n_blocks)
{
	memset(cdb, 0, 16);
	cdb[0] = write ? 0x8a : 0x88;
	for (unsigned i = 0; i < 8; i++)
		cdb[2 + i] = (uint8_t)(lba >> (56 - 8 * i));
	for (unsigned i = 0; i < 4; i++)
		cdb[10 + i] = (uint8_t)(n_blocks >> (24 - 8 * i));
}

uint32_t peer_cmd_pdu(struct peer *p, struct peer_pdu *pdu, const struct peer_cmd *c)
{
	uint32_t itt = c->itt ? c->itt : peer_itt(p);
	uint8_t flags = (uint8_t)((c->more ? 0 : PEER_F) | (c->read ? CMD_READ : 0) |
				  (c->write ? CMD_WRITE : 0) | (c->attr ? c->attr : ATTR_SIMPLE));

	peer_pdu(p, pdu, PEER_COMMAND | (c->immediate ? PEER_IMMEDIATE : 0), flags, itt, c->data,
		c->data_len);
	pdu_set(pdu, LUN, p->lun);
	pdu_set(pdu, EDTL, c->edtl);
	memcpy(pdu->bhs + 32, c->cdb, sizeof(c->cdb));
	if (!c->immediate)
		p->cmdsn++;
	return itt;
}

uint32_t peer_send_cmd(struct peer *p, const struct peer_cmd *c)
{
	struct peer_pdu pdu;
	uint32_t itt = peer_cmd_pdu(p, &pdu, c);

	peer_send(p, &pdu);
	return itt;
}

static uint32_t send_rw(struct peer *p, bool write, uint64_t lba, uint32_t n_blocks)
{
	struct peer_cmd c = {.read = !write, .write = write, .edtl = n_blocks * BLOCK};

	cdb_rw(c.cdb, write, lba, n_blocks);
	return peer_send_cmd(p, &c);
}

uint32_t peer_send_write(struct peer *p, uint64_t lba, uint32_t n_blocks)
{
	return send_rw(p, true, lba, n_blocks);
}

uint32_t peer_send_read(struct peer *p, uint64_t lba, uint32_t n_blocks)
{
	return send_rw(p, false, lba, n_blocks);
}

/* --- data out --- */
static void r2t_of(const struct peer *p, const struct peer_pdu *pdu, struct peer_r2t *r)
{
	*r = (struct peer_r2t){
		.itt = (uint32_t)pdu_get(pdu, ITT),
		.ttt = (uint32_t)pdu_get(pdu, TTT),
		.r2tsn = (uint32_t)pdu_get(pdu, DATASN),
		.offset = (uint32_t)pdu_get(pdu, OFFSET),
		.length = (uint32_t)pdu_get(pdu, DESIRED),
		.lun = pdu_get(pdu, LUN),
	};
	EXPECT(r->ttt != PEER_NONE, "R2T with the reserved TTT");
	EXPECT(r->length && r->length <= p->params.max_burst, "R2T of %u bytes", r->length);
	EXPECT(r->lun == p->lun, "R2T with another LUN");
	EXPECT(pdu->data_len == 0, "R2T with data");
}

void peer_expect_r2t(struct peer *p, uint32_t itt, struct peer_r2t *r)
{
	struct peer_pdu pdu;

	peer_expect(p, &pdu, PEER_R2T);
	r2t_of(p, &pdu, r);
	EXPECT_EQ(r->itt, itt);
}

void peer_data_out_pdu(struct peer *p, struct peer_pdu *pdu, const struct peer_r2t *r,
	uint32_t datasn, uint32_t offset, const void *data, uint32_t len, bool final)
{
	peer_pdu(p, pdu, PEER_DATA_OUT, final ? PEER_F : 0, r->itt, data, len);
	pdu_set(pdu, CMDSN, 0); /* reserved in a Data-Out */
	pdu_set(pdu, LUN, r->lun);
	pdu_set(pdu, TTT, r->ttt);
	pdu_set(pdu, DATASN, datasn);
	pdu_set(pdu, OFFSET, offset);
}

void peer_send_data_out(struct peer *p, const struct peer_r2t *r, uint32_t datasn, uint32_t offset,
	const void *data, uint32_t len, bool final)
{
	struct peer_pdu pdu;

	peer_data_out_pdu(p, &pdu, r, datasn, offset, data, len, final);
	peer_send(p, &pdu);
}

static uint32_t segment_len(struct peer *p, uint32_t left)
{
	uint32_t len = p->params.max_send_data;

	if (p->segment && p->segment < len)
		len = p->segment;
	if (p->odd_seed) {
		p->odd_seed = p->odd_seed * 6364136223846793005 + 1442695040888963407;
		len = 1 + (uint32_t)(p->odd_seed >> 33) % len;
	}
	return len < left ? len : left;
}

uint32_t peer_answer_part(struct peer *p, const struct peer_r2t *r, uint32_t datasn,
	const uint8_t *base, uint32_t from, uint32_t to)
{
	bool held = p->held;

	peer_hold(p);
	for (uint32_t at = from, len; at < to; at += len) {
		len = segment_len(p, to - at);
		peer_send_data_out(
			p, r, datasn++, at, base + at, len, at + len == r->offset + r->length);
	}
	if (!held)
		peer_flush(p);
	return datasn;
}

void peer_answer(struct peer *p, const struct peer_r2t *r, const uint8_t *base)
{
	peer_answer_part(p, r, 0, base, r->offset, r->offset + r->length);
}

/* --- status --- */
void peer_status_of(const struct peer_pdu *pdu, struct peer_status *st)
{
	uint8_t flags = pdu->bhs[1], op = (uint8_t)pdu_get(pdu, OPCODE);
	const uint8_t *sense = pdu->data + 2;
	bool descriptors = pdu->data_len >= 2 + 8 && (sense[0] & 0x7f) >= 0x72;

	*st = (struct peer_status){.in_data = op == PEER_DATA_IN};
	if (op != PEER_RESPONSE && !(op == PEER_DATA_IN && flags & F_STATUS))
		return;
	st->response = op == PEER_RESPONSE ? (uint8_t)pdu_get(pdu, RESPONSE) : 0;
	st->status = (uint8_t)pdu_get(pdu, STATUS);
	st->overflow = flags & F_OVERFLOW;
	st->underflow = flags & F_UNDERFLOW;
	st->residual = (uint32_t)pdu_get(pdu, RESIDUAL);
	if (op == PEER_RESPONSE && pdu->data_len >= 2) { /* RFC 7143 11.4.7 */
		st->sense_len = (uint32_t)(pdu->data[0] << 8 | pdu->data[1]);
		EXPECT(st->sense_len <= sizeof(st->sense) && st->sense_len <= pdu->data_len - 2,
			"SenseLength %u in %u bytes", st->sense_len, pdu->data_len);
		memcpy(st->sense, sense, st->sense_len);
	}
	if (op != PEER_RESPONSE || pdu->data_len < 2 + (descriptors ? 8 : 14))
		return;
	st->deferred = sense[0] & 0x01;
	if (descriptors) { /* SPC-4 4.5.2 */
		st->key = sense[1] & 0xf;
		st->asc = sense[2];
		st->ascq = sense[3];
	} else {
		st->key = sense[2] & 0xf;
		st->asc = sense[12];
		st->ascq = sense[13];
		st->has_info = sense[0] & 0x80;
		for (unsigned i = 3; i < 7; i++)
			st->info = st->info << 8 | sense[i];
	}
}

void peer_expect_status(struct peer *p, uint32_t itt, struct peer_status *st)
{
	struct peer_pdu pdu;

	peer_expect(p, &pdu, PEER_RESPONSE);
	EXPECT_EQ(pdu_get(&pdu, ITT), itt);
	peer_status_of(&pdu, st);
}

void peer_expect_good(struct peer *p, uint32_t itt)
{
	struct peer_status st;

	peer_expect_status(p, itt, &st);
	EXPECT(st.response == 0 && st.status == 0,
		"expected GOOD, got response 0x%02x status 0x%02x sense %x/%02x/%02x", st.response,
		st.status, st.key, st.asc, st.ascq);
}

void peer_expect_sense(struct peer *p, uint32_t itt, uint8_t key, uint8_t asc, uint8_t ascq)
{
	struct peer_status st;

	peer_expect_status(p, itt, &st);
	EXPECT(st.status == 2 && st.key == key && st.asc == asc && st.ascq == ascq,
		"expected CHECK CONDITION %x/%02x/%02x, got status 0x%02x %x/%02x/%02x", key, asc,
		ascq, st.status, st.key, st.asc, st.ascq);
}

uint8_t peer_expect_reject(struct peer *p, uint8_t reason, const struct peer_pdu *about)
{
	struct peer_pdu pdu;
	uint8_t got;

	peer_expect(p, &pdu, PEER_REJECT);
	got = (uint8_t)pdu_get(&pdu, RESPONSE);
	EXPECT(!reason || got == reason, "Reject reason 0x%02x, expected 0x%02x", got, reason);
	EXPECT_EQ(pdu_get(&pdu, ITT), PEER_NONE);
	EXPECT(pdu.data_len >= PEER_BHS && !memcmp(pdu.data, about->bhs, PEER_BHS),
		"the Reject does not carry the header it is about"); /* RFC 7143 11.17.4 */
	return got;
}

/* --- ping and task management --- */
void peer_ping(struct peer *p, uint32_t len)
{
	uint8_t *data = malloc(len + 1);
	uint32_t itt = peer_itt(p);
	struct peer_pdu pdu;

	for (uint32_t i = 0; i < len; i++)
		data[i] = (uint8_t)(itt * 7 + i * 13 + (i >> 8));
	peer_pdu(p, &pdu, PEER_NOP_OUT | PEER_IMMEDIATE, PEER_F, itt, data, len);
	pdu_set(&pdu, TTT, PEER_NONE);
	peer_send(p, &pdu);
	peer_expect(p, &pdu, PEER_NOP_IN);
	EXPECT_EQ(pdu_get(&pdu, ITT), itt);
	EXPECT_EQ(pdu_get(&pdu, TTT), PEER_NONE);
	EXPECT(pdu.data_len == len && !memcmp(pdu.data, data, len),
		"the echo is not what was sent");
	free(data);
}

uint32_t peer_send_tmf(struct peer *p, uint8_t function, uint32_t ref_itt, uint32_t ref_cmdsn)
{
	uint32_t itt = peer_itt(p);
	struct peer_pdu pdu;

	peer_pdu(p, &pdu, PEER_TASK_MGMT | PEER_IMMEDIATE, PEER_F | function, itt, NULL, 0);
	pdu_set(&pdu, LUN, p->lun);
	pdu_set(&pdu, REF_ITT, ref_itt);
	pdu_set(&pdu, REF_CMDSN, ref_cmdsn);
	peer_send(p, &pdu);
	return itt;
}

uint8_t peer_expect_tmf(struct peer *p, uint32_t itt)
{
	struct peer_pdu pdu;

	peer_expect(p, &pdu, PEER_TASK_MGMT_RSP);
	EXPECT_EQ(pdu_get(&pdu, ITT), itt);
	return (uint8_t)pdu_get(&pdu, RESPONSE);
}

/* --- tasks that serve themselves --- */
static bool window_open(const struct peer *p)
{
	return (int32_t)(p->maxcmdsn - p->cmdsn) >= 0;
}

static void send_unasked(struct peer *p, struct peer_task *t, uint32_t to)
{
	struct peer_r2t none = {.itt = t->itt, .ttt = PEER_NONE, .lun = p->lun, .length = to};

	peer_answer_part(p, &none, 0, t->buf, t->asked, to);
	t->asked = to;
}

void peer_start(struct peer *p, struct peer_task *t)
{
	const struct peer_params *n = &p->params;
	uint32_t burst = t->cmd.edtl < n->first_burst ? t->cmd.edtl : n->first_burst;
	bool held = p->held;

	while (!window_open(p)) {
		peer_flush(p);
		peer_step(p, p->timeout_ms);
	}
	peer_hold(p);
	t->asked = t->datasn = t->r2tsn = t->got = t->burst = 0;
	t->done = false;
	if (t->cmd.write && n->immediate_data) {
		t->cmd.data = t->buf;
		t->asked = burst < n->max_send_data ? burst : n->max_send_data;
	}
	t->cmd.data_len = t->asked;
	t->cmd.more = t->cmd.write && !n->initial_r2t && t->asked < burst;
	t->itt = peer_send_cmd(p, &t->cmd);
	if (t->cmd.more)
		send_unasked(p, t, burst);
	t->next = p->tasks;
	p->tasks = t;
	if (!held)
		peer_flush(p);
}

static void task_r2t(struct peer *p, struct peer_task *t, const struct peer_pdu *pdu)
{
	struct peer_r2t r;

	r2t_of(p, pdu, &r);
	EXPECT(t->cmd.write, "R2T for a command without data-out");
	EXPECT_EQ(r.r2tsn, t->r2tsn++);
	EXPECT_EQ(r.offset, t->asked);
	EXPECT(r.length <= t->cmd.edtl - t->asked, "R2T reaches past the data");
	t->asked += r.length;
	peer_answer(p, &r, t->buf);
}

static void task_done(struct peer *p, struct peer_task *t, const struct peer_pdu *pdu)
{
	peer_status_of(pdu, &t->st);
	t->done = true;
	for (struct peer_task **at = &p->tasks; *at; at = &(*at)->next) {
		if (*at == t) {
			*at = t->next;
			return;
		}
	}
}

static void task_data_in(struct peer *p, struct peer_task *t, const struct peer_pdu *pdu)
{
	uint8_t flags = pdu->bhs[1];

	EXPECT(t->cmd.read, "Data-In for a command without data-in");
	EXPECT_EQ(pdu_get(pdu, DATASN), t->datasn++);
	EXPECT_EQ(pdu_get(pdu, OFFSET), t->got);
	EXPECT(pdu->data_len <= t->cmd.edtl - t->got, "Data-In reaches past the data");
	memcpy(t->buf + t->got, pdu->data, pdu->data_len);
	t->got += pdu->data_len;
	t->burst += pdu->data_len;
	EXPECT(!peer_strict || t->burst <= p->params.max_burst,
		"Data-In sequence above MaxBurstLength");
	if (flags & PEER_F)
		t->burst = 0;
	if (!(flags & F_STATUS))
		return;
	EXPECT(flags & PEER_F, "status in a Data-In without F"); /* 11.7.3 */
	task_done(p, t, pdu);
}

static void task_response(struct peer *p, struct peer_task *t, const struct peer_pdu *pdu)
{
	if (peer_strict && pdu_get(pdu, RESPONSE) == 0 && pdu_get(pdu, STATUS) == 0)
		EXPECT_EQ(pdu_get(pdu, EXP_DATASN), t->cmd.read ? t->datasn : t->r2tsn);
	task_done(p, t, pdu);
}

void peer_step(struct peer *p, int timeout_ms)
{
	struct peer_pdu pdu;
	struct peer_task *t = p->tasks;
	enum peer_got got = peer_poll(p, &pdu, timeout_ms);

	EXPECT(got != PEER_ENDED, "the target closed the connection");
	if (got == PEER_TIMEOUT) {
		EXPECT(timeout_ms < p->timeout_ms, "no answer within %d ms", timeout_ms);
		return;
	}
	while (t && t->itt != pdu_get(&pdu, ITT))
		t = t->next;
	EXPECT(t, "got %s for no running task", peer_describe(&pdu));
	switch (pdu_get(&pdu, OPCODE)) {
	case PEER_R2T:
		task_r2t(p, t, &pdu);
		return;
	case PEER_DATA_IN:
		task_data_in(p, t, &pdu);
		return;
	case PEER_RESPONSE:
		task_response(p, t, &pdu);
		return;
	}
	FAIL("got %s", peer_describe(&pdu));
}

void peer_wait(struct peer *p, struct peer_task *t)
{
	while (!t->done)
		peer_step(p, p->timeout_ms);
}

void peer_wait_all(struct peer *p)
{
	while (p->tasks)
		peer_step(p, p->timeout_ms);
}

void peer_task_rw(struct peer_task *t, bool write, uint64_t lba, uint32_t n_blocks, void *buf)
{
	*t = (struct peer_task){.buf = buf};
	t->cmd.read = !write;
	t->cmd.write = write;
	t->cmd.edtl = n_blocks * BLOCK;
	cdb_rw(t->cmd.cdb, write, lba, n_blocks);
}

struct peer_status peer_rw(struct peer *p, bool write, uint64_t lba, uint32_t n_blocks, void *buf)
{
	struct peer_task t;

	peer_task_rw(&t, write, lba, n_blocks, buf);
	peer_start(p, &t);
	peer_wait(p, &t);
	return t.st;
}

static void must_be_good(const struct peer_status *st, const char *what)
{
	EXPECT(st->response == 0 && st->status == 0 && !st->overflow && !st->underflow,
		"%s: response 0x%02x, status 0x%02x, sense %x/%02x/%02x, residual %u", what,
		st->response, st->status, st->key, st->asc, st->ascq, st->residual);
}

void peer_write(struct peer *p, uint64_t lba, uint32_t n_blocks, const void *buf)
{
	union {
		const void *in;
		void *out;
	} bytes = {buf}; /* a write's task only reads them */
	struct peer_status st = peer_rw(p, true, lba, n_blocks, bytes.out);

	must_be_good(&st, "WRITE");
}

void peer_read(struct peer *p, uint64_t lba, uint32_t n_blocks, void *buf)
{
	struct peer_status st = peer_rw(p, false, lba, n_blocks, buf);

	must_be_good(&st, "READ");
}

void peer_settle(struct peer *p)
{
	struct peer_task t;

	for (unsigned tries = 0; tries < 5; tries++) {
		t = (struct peer_task){0};
		peer_start(p, &t);
		peer_wait(p, &t);
		if (t.st.status == 0)
			return;
		EXPECT(t.st.status == 2 && t.st.key == 6,
			"TEST UNIT READY: status 0x%02x, %x/%02x/%02x", t.st.status, t.st.key,
			t.st.asc, t.st.ascq);
	}
	FAIL("unit attentions do not end");
}
