/* player.c - what players hear, how commands end and are given up, resets, logins. What they send is in command.c. */
#include "player.h"

#include <string.h>
#include "be.h"
#include "check.h"
#include "counter.h"
#include "session.h"

enum { TMF_ABORT = 1, TMF_RESET = 5, RSP_COMPLETE = 0, RSP_NO_TASK = 1, KEY_UNIT_ATTENTION = 6 };

/* --- a task's end --- */

static bool changes(const struct player_task *t)
{
	return t->kind == KIND_WRITE || t->kind == KIND_ZERO || t->kind == KIND_COPY;
}

/* is_unsent - data is missing without which it cannot happen. */
static bool is_unsent(const struct player_task *t)
{
	return t->sent < t->out;
}

/* gone - it will not be answered, and its write cannot happen any more. What was not sent whole
 * never did. */
static void gone(struct player *p, struct player_task *t)
{
	if (is_unsent(t)) {
		model_void(model_of(p, t), t->number);
	} else if (changes(t)) {
		model_doubt(model_of(p, t), t->number);
		p->look.lun = t->at;
		p->look.lba = t->lba;
		p->look.n = MIN(t->n, PLAYER_BLOCKS);
		p->look.times = 6;
	}
}

/* give_up - nothing is awaited; the data that was asked for still goes out, or not. */
static void give_up(struct player *p, struct player_task *t)
{
	t->state = t->n_due && draw(p, 2) ? TASK_GIVEN_UP : TASK_FREE;
}

/* cut - the connection is gone. A write that was sent whole may yet happen, until a login settles
 * it. */
static void cut(struct player *p, struct player_task *t)
{
	if (t->state == TASK_UNDER_WAY && changes(t)) {
		if (is_unsent(t)) {
			model_void(model_of(p, t), t->number);
		} else {
			check(p->n_cut < sizeof(p->cut) / sizeof(p->cut[0]));
			p->cut[p->n_cut].lun = t->at;
			p->cut[p->n_cut++].number = t->number;
		}
	}
	t->state = TASK_FREE;
}

static void is_good(struct player *p, struct player_task *t)
{
	struct model *m = model_of(p, t);

	switch (t->kind) {
	case KIND_READ:
		game_count(p->g, EV_READS);
		if (t->lun && counter_sum(CTR_EVICTED_PAGES) > t->evicted)
			game_count(p->g, EV_EVICTIONS);
		model_check(m, t->lba, t->n, t->begun, t->buf);
		break;
	case KIND_FLUSH:
		game_count(p->g, EV_FLUSHES);
		model_flushed(m, t->lba, t->n, t->begun);
		break;
	case KIND_WRITE:
	case KIND_ZERO:
	case KIND_COPY:
		model_sure(m, t->number, p->g->durable[t->at] || t->fua);
	}
}

static void answered(struct player *p, struct player_task *t, const struct peer_status *st)
{
	bool good = st->response == 0 && st->status == 0;

	game_count(p->g, good ? EV_GOOD : EV_FAILED);
	if (good)
		is_good(p, t);
	else if (changes(t) && (st->key == KEY_UNIT_ATTENTION || st->status != 2))
		model_void(model_of(p, t), t->number);
	else
		gone(p, t);
	give_up(p, t);
}

/* --- what comes in --- */

static struct player_task *find(struct player *p, uint32_t itt)
{
	for (unsigned i = 0; i < PLAYER_TASKS; i++) {
		if (p->tasks[i].state != TASK_FREE && p->tasks[i].itt == itt)
			return &p->tasks[i];
	}
	return NULL;
}

static void hear_r2t(struct player *p, const struct peer_pdu *pdu)
{
	struct player_task *t = find(p, (uint32_t)pdu_get(pdu, ITT));
	uint32_t at = (uint32_t)pdu_get(pdu, OFFSET), len = (uint32_t)pdu_get(pdu, DESIRED);

	if (!t || t->state != TASK_UNDER_WAY)
		return; /* given up while the R2T was on its way */
	EXPECT(at == t->asked && len && len <= p->p->params.max_burst && at + len <= t->out,
		"R2T for %u bytes at %u, expected from %u on", len, at, t->asked);
	EXPECT(t->n_due < p->p->params.max_r2t && t->n_due < PLAYER_R2TS,
		"more R2Ts than MaxOutstandingR2T");
	t->due[t->n_due].ttt = (uint32_t)pdu_get(pdu, TTT);
	t->due[t->n_due].at = at;
	t->due[t->n_due].end = at + len;
	t->due[t->n_due++].datasn = 0;
	t->asked = at + len;
}

static void hear_answer(struct player *p, const struct peer_pdu *pdu)
{
	struct player_task *t = find(p, (uint32_t)pdu_get(pdu, ITT));
	struct peer_status st;
	bool is_data = pdu_get(pdu, OPCODE) == PEER_DATA_IN;

	EXPECT(t && t->state == TASK_UNDER_WAY, "an answer for no task: %s", peer_describe(pdu));
	if (is_data) {
		EXPECT(t->kind == KIND_READ && pdu_get(pdu, OFFSET) == t->got &&
				t->got + pdu->data_len <= t->n * MODEL_BLOCK,
			"Data-In of %u bytes at %u", pdu->data_len, t->got);
		memcpy(t->buf + t->got, pdu->data, pdu->data_len);
		t->got += pdu->data_len;
		if (!(pdu_get(pdu, FLAGS) & 1))
			return;
	}
	peer_status_of(pdu, &st);
	EXPECT(st.status || t->kind != KIND_READ || t->got == t->n * MODEL_BLOCK,
		"GOOD after %u of %u bytes", t->got, t->n * MODEL_BLOCK);
	answered(p, t, &st);
}

/* reset_begins - whoever else has a command under way on the unit may lose it without a word. */
static void reset_begins(struct player *p, unsigned lun)
{
	p->reset_open[lun] = true;
	for (unsigned i = 0; i < p->g->n_players; i++) {
		struct player *o = &p->g->players[i];

		for (unsigned k = 0; k < PLAYER_TASKS; k++)
			o->tasks[k].maybe_lost |= o != p && o->tasks[k].lun == lun;
	}
}

bool reset_among(const struct player *p, unsigned lun)
{
	for (unsigned i = 0; i < p->g->n_players; i++) {
		if (&p->g->players[i] != p && p->g->players[i].reset_open[lun])
			return true;
	}
	return false;
}

/* reset_over - who asked for the reset loses what it sent before it, and no more. */
static void reset_over(struct player *p)
{
	p->reset_open[p->function_lun] = false;
	for (unsigned k = 0; k < PLAYER_TASKS; k++) {
		struct player_task *t = &p->tasks[k];

		if (t->state != TASK_UNDER_WAY || t->lun != p->function_lun ||
			t->begun > p->function_begun)
			continue;
		gone(p, t);
		give_up(p, t);
	}
}

static void hear_function(struct player *p, const struct peer_pdu *pdu)
{
	uint8_t response = (uint8_t)pdu_get(pdu, RESPONSE), function = p->function;
	struct player_task *t = find(p, p->ref_itt);

	EXPECT(function && pdu_get(pdu, ITT) == p->function_itt, "an answer to no function");
	p->function = 0;
	if (function == TMF_RESET) {
		EXPECT_EQ(response, RSP_COMPLETE);
		reset_over(p);
		return;
	}
	EXPECT(response == RSP_COMPLETE || response == RSP_NO_TASK, "ABORT TASK: response %u",
		response);
	if (!t || t->state != TASK_UNDER_WAY)
		return;
	EXPECT(response == RSP_COMPLETE || t->maybe_lost, "no such task, and it was not answered");
	gone(p, t);
	give_up(p, t);
}

static void hear_pdu(struct player *p, const struct peer_pdu *pdu)
{
	switch (pdu_get(pdu, OPCODE)) {
	case PEER_R2T:
		hear_r2t(p, pdu);
		return;
	case PEER_DATA_IN:
	case PEER_RESPONSE:
		hear_answer(p, pdu);
		return;
	case PEER_TASK_MGMT_RSP:
		hear_function(p, pdu);
		return;
	case PEER_NOP_IN:
		return;
	case PEER_REJECT:
		EXPECT(p->n_wrong--, "a Reject, and nothing wrong was sent: %s",
			peer_describe(pdu));
		return;
	}
	FAIL("got %s", peer_describe(pdu));
}

void player_cut(struct player *p, bool abrupt)
{
	for (unsigned i = 0; i < PLAYER_TASKS; i++)
		cut(p, &p->tasks[i]);
	p->function = 0;
	if (abrupt)
		peer_reset(p->p);
	else
		peer_close(p->p);
	p->p = NULL;
}

void player_orphan(struct player *p)
{
	while (p->p) {
		if (!player_hear(p))
			sim_step(p->g->h->sim);
	}
	for (unsigned i = 0; i < PLAYER_TASKS; i++)
		p->tasks[i].state = TASK_FREE;
	memset(p->reset_open, 0, sizeof(p->reset_open));
	p->n_cut = 0;
}

bool player_hear(struct player *p)
{
	struct peer_pdu pdu;

	if (!p->p)
		return false;
	switch (peer_poll(p->p, &pdu, 0)) {
	case PEER_GOT:
		hear_pdu(p, &pdu);
		return true;
	case PEER_ENDED:
		player_cut(p, false);
		return true;
	case PEER_TIMEOUT:
		break;
	}
	return false;
}

/* --- what goes out --- */

/* due_on - so many bytes of the oldest window are out. */
static void due_on(struct player_task *t, uint32_t len)
{
	t->due[0].at += len;
	if (t->due[0].at < t->due[0].end)
		return;
	memmove(t->due, t->due + 1, --t->n_due * sizeof(t->due[0]));
	if (!t->n_due && t->state == TASK_GIVEN_UP)
		t->state = TASK_FREE;
}

/* send_data - one Data-Out. Now and then its number is wrong: that is the end of the task, and what
 * follows of the window comes too late. */
static void send_data(struct player *p, struct player_task *t)
{
	struct peer_r2t r = {.itt = t->itt, .ttt = t->due[0].ttt, .lun = (uint64_t)t->lun << 48};
	uint32_t at = t->due[0].at, left = t->due[0].end - at,
		 len = MIN(left, p->p->params.max_send_data);
	bool is_wrong = t->state == TASK_UNDER_WAY && !draw(p, 300);

	if (draw(p, 2))
		len = MIN(len, p->p->segment);
	if (!draw(p, 4))
		len = 1 + draw(p, len);
	t->due[0].datasn += is_wrong;
	p->n_wrong += is_wrong;
	peer_send_data_out(p->p, &r, t->due[0].datasn++, at, t->buf + at, len, len == left);
	t->sent += is_wrong ? 0 : len;
	due_on(t, len);
}

static struct player_task *any_due(struct player *p)
{
	unsigned from = draw(p, PLAYER_TASKS);

	for (unsigned i = 0; i < PLAYER_TASKS; i++) {
		struct player_task *t = &p->tasks[(from + i) % PLAYER_TASKS];

		if (t->state != TASK_FREE && t->n_due)
			return t;
	}
	return NULL;
}

static bool is_of(const struct player *p, const struct worker *w)
{
	list_for_each(node, &w->sessions) {
		if (list_entry(node, struct session, link)->isid[5] == p->number)
			return true;
	}
	return false;
}

/* on_another_reactor - commands are under way elsewhere than where this player's session is. */
static bool on_another_reactor(const struct player *p)
{
	struct server *s = p->g->h->server;

	for (unsigned i = 0; i < server_n_workers(s); i++) {
		const struct worker *w = server_worker(s, i);

		if (w->n_tasks && !is_of(p, w))
			return true;
	}
	return false;
}

static void send_function(struct player *p, uint8_t function)
{
	struct player_task *t = &p->tasks[draw(p, PLAYER_TASKS)];

	if (p->function || (function == TMF_ABORT && t->state != TASK_UNDER_WAY))
		return;
	p->function = function;
	p->function_lun = function == TMF_ABORT ? t->lun : draw(p, p->g->n_luns);
	p->function_begun = model_tick(&p->g->models[p->function_lun]);
	p->ref_itt = function == TMF_ABORT ? t->itt : PEER_NONE;
	p->p->lun = (uint64_t)p->function_lun << 48;
	p->function_itt =
		peer_send_tmf(p->p, function, p->ref_itt, function == TMF_ABORT ? t->cmdsn : 0);
	if (function == TMF_ABORT) {
		game_count(p->g, EV_ABORTS);
		if (t->n_due && t->sent)
			game_count(p->g, EV_ABORTS_IN_BURST);
		return;
	}
	game_count(p->g, EV_RESETS);
	if (on_another_reactor(p))
		game_count(p->g, EV_RESETS_ACROSS);
	reset_begins(p, p->function_lun);
	if (draw(p, 2)) /* a command right behind it is not of its business */
		send_command(p);
}

static void send_ping(struct player *p)
{
	struct peer_pdu pdu;
	static const uint8_t text[300];

	peer_pdu(p->p, &pdu, PEER_NOP_OUT | PEER_IMMEDIATE, PEER_F, peer_itt(p->p), text,
		draw(p, sizeof(text)));
	pdu_set(&pdu, TTT, PEER_NONE);
	peer_send(p->p, &pdu);
}

static void begin_something(struct player *p)
{
	uint32_t what = draw(p, 400);

	if (what < 2) {
		game_count(p->g, EV_CUTS);
		player_cut(p, draw(p, 2));
		if (draw(p, 2))
			player_login(p);
	} else if (what < 4) {
		player_login(p);
	} else if (what < 7) {
		send_function(p, TMF_RESET);
	} else if (what < 40) {
		send_function(p, TMF_ABORT);
	} else if (what < 50) {
		send_ping(p);
	} else {
		send_command(p);
	}
}

void player_act(struct player *p, bool begin)
{
	struct player_task *t;

	if (!p->p) {
		if (begin && !draw(p, 20))
			player_login(p);
		return;
	}
	while (draw(p, 8) && player_hear(p))
		;
	if (!p->p)
		return;
	t = any_due(p);
	if (t && draw(p, 4))
		send_data(p, t);
	else if (begin)
		begin_something(p);
}

bool player_busy(const struct player *p)
{
	for (unsigned i = 0; i < PLAYER_TASKS; i++) {
		const struct player_task *t = &p->tasks[i];

		if (t->state != TASK_FREE && (t->n_due || !t->maybe_lost))
			return true;
	}
	return p->function;
}

/* --- logins --- */

static struct peer_params any_params(const struct player *p)
{
	static const uint32_t bursts[] = {512, 1536, 4096, 16384, 65536, 262144};
	struct peer_params q = {.initial_r2t = draw(p, 2),
		.immediate_data = draw(p, 2),
		.max_r2t = 1 + draw(p, PLAYER_R2TS),
		.max_burst = bursts[draw(p, p->g->bursts)],
		.max_recv_data = bursts[draw(p, 6)]};

	q.first_burst = MIN(q.max_burst, bursts[draw(p, p->g->bursts)]);
	return q;
}

/* player_login - the same name each time. What an older connection of it had under way is settled
 * when the answer is there (RFC 7143 6.3.5): none of it can still reach the disk. */
void player_login(struct player *p)
{
	struct peer *old = p->p;
	struct peer *fresh = house_connect(p->g->h);
	struct peer_params ask = any_params(p);
	struct peer_pdu pdu;

	fresh->isid = 0x800000000000 + p->number;
	game_count(p->g, EV_LOGINS);
	peer_login(fresh, &ask);
	for (unsigned i = 0; i < 1000000 && old; i++) {
		enum peer_got got = peer_poll(old, &pdu, 0);

		if (got == PEER_GOT)
			hear_pdu(p, &pdu);
		if (got == PEER_ENDED) {
			player_cut(p, false);
			old = NULL;
		} else if (got == PEER_TIMEOUT) {
			sim_step(p->g->h->sim);
		}
	}
	EXPECT(!old, "a new login of the same port does not end the old session");
	memset(p->reset_open, 0, sizeof(p->reset_open));
	while (p->n_cut) {
		p->n_cut--;
		model_doubt(&p->g->models[p->cut[p->n_cut].lun], p->cut[p->n_cut].number);
	}
	p->p = fresh;
	fresh->segment = 1 + draw(p, 20000);
}
