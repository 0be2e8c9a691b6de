/* function.c - task management beyond ABORT TASK and LOGICAL UNIT RESET: each function, what it
 * does to the tasks of this session and of others, and what it answers to nonsense. */
#include <string.h>
#include "scene.h"

enum {
	ABORT_TASK = 1,
	ABORT_TASK_SET,
	CLEAR_ACA,
	CLEAR_TASK_SET,
	LUN_RESET,
	WARM_RESET,
	COLD_RESET,
	TASK_REASSIGN,
	QUERY_TASK,
	QUERY_TASK_SET,
	NEXUS_RESET,
	QUERY_EVENT
};
enum { COMPLETE = 0, NO_TASK = 1, NO_LUN = 2, NO_FAILOVER = 4, NOT_SUPPORTED = 5, SUCCEEDED = 7 };
enum { N_BLOCKS = 128, LEN = N_BLOCKS * 512, ATTENTION = 6 };

/* peer_at_level - logged in with iSCSIProtocolLevel offered. */
static struct peer *peer_at_level(struct daemon *d, const char *offer, const char *result)
{
	struct peer_params want = peer_params_default();
	struct peer *p = daemon_connect(d);

	EXPECT_EQ(peer_try_login(p, 1, &want, offer), 0);
	EXPECT(!strcmp(peer_said(p, "iSCSIProtocolLevel"), result), "the level is %s, expected %s",
		peer_said(p, "iSCSIProtocolLevel"), result);
	daemon_settle(d, p);
	return p;
}

static struct peer *modern_peer(struct daemon *d)
{
	return peer_at_level(d, "iSCSIProtocolLevel=2\n", "2");
}

static uint8_t ask(struct peer *p, uint8_t function, uint32_t ref_itt, uint32_t ref_cmdsn)
{
	return peer_expect_tmf(p, peer_send_tmf(p, function, ref_itt, ref_cmdsn));
}

static uint8_t ask_at(struct peer *p, uint64_t lun, uint8_t function)
{
	uint64_t own = p->lun;
	uint8_t answer;

	p->lun = lun;
	answer = ask(p, function, PEER_NONE, 0);
	p->lun = own;
	return answer;
}

/* ready - TEST UNIT READY's sense, key << 16 | ASC << 8 | ASCQ; 0: GOOD. */
static unsigned ready(struct peer *p, uint64_t lun)
{
	uint64_t own = p->lun;
	struct peer_cmd c = {0};
	struct peer_status st;

	p->lun = lun;
	peer_expect_status(p, peer_send_cmd(p, &c), &st);
	p->lun = own;
	return st.status ? (unsigned)(st.key << 16 | st.asc << 8 | st.ascq) : 0;
}

static void old_data(struct peer *p, uint8_t *buf)
{
	pattern(buf, LEN, 1, 0);
	peer_write(p, 0, N_BLOCKS, buf);
	pattern(buf, LEN, 2, 0);
}

static void still_old(struct peer *p)
{
	uint8_t *now = scene_alloc(LEN);

	peer_read(p, 0, N_BLOCKS, now);
	pattern_expect(now, LEN, 1, 0);
}

/* A write that waits for its data; the data, which comes whatever has become of it. */
struct open_write {
	uint32_t itt, cmdsn;
	struct peer_r2t r;
};

static void open_write(struct peer *p, struct open_write *w)
{
	w->cmdsn = p->cmdsn;
	w->itt = peer_send_write(p, 0, N_BLOCKS);
	peer_expect_r2t(p, w->itt, &w->r);
}

/* --- one task set --- */

/* ABORT TASK SET and CLEAR TASK SET: ours at this unit, nobody else's, nothing of another unit. */
static void one_task_set(struct daemon *d, uint8_t function)
{
	struct peer *a = daemon_peer(d, NULL), *b = daemon_peer(d, NULL);
	uint8_t *fresh = scene_alloc(LEN);
	struct open_write mine[3], other_unit, others;

	old_data(b, fresh);
	for (unsigned i = 0; i < 3; i++)
		open_write(a, &mine[i]);
	a->lun = 1ull << 48;
	EXPECT_EQ(ready(a, a->lun), 0);
	open_write(a, &other_unit);
	a->lun = 0;
	open_write(b, &others);
	EXPECT_EQ(ask(a, function, PEER_NONE, 0), COMPLETE);
	still_old(b);
	for (unsigned i = 0; i < 3; i++)
		peer_answer(a, &mine[i].r, fresh);
	peer_ping(a, 5); /* drained, and no status came */
	EXPECT_EQ(ready(a, 0), 0);
	EXPECT_EQ(ready(b, 0), 0);
	still_old(b);
	peer_answer(a, &other_unit.r, fresh);
	peer_expect_good(a, other_unit.itt);
	peer_answer(b, &others.r, fresh);
	peer_expect_good(b, others.itt);
}

static void abort_task_set(struct daemon *d)
{
	one_task_set(d, ABORT_TASK_SET);
}

static void clear_task_set(struct daemon *d)
{
	one_task_set(d, CLEAR_TASK_SET);
}

/* Commands that wait behind a missing number are of the set; when the number comes, those behind go
 * on. */
static void a_set_with_a_gap(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL);
	struct peer_cmd c = {0};
	struct peer_pdu missing;
	uint32_t itt, last;

	itt = peer_cmd_pdu(p, &missing, &c);
	for (unsigned i = 0; i < 20; i++)
		peer_send_cmd(p, &c);
	EXPECT_EQ(ask(p, ABORT_TASK_SET, PEER_NONE, 0), COMPLETE);
	last = peer_send_cmd(p, &c);
	peer_expect_nothing(p, 200); /* it waits, too */
	peer_send(p, &missing);
	peer_expect_good(p, itt);
	peer_expect_good(p, last);
	EXPECT_EQ(ready(p, 0), 0);
}

/* The same with a reset by somebody else. */
static void a_gap_and_a_reset(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL), *b = daemon_peer(d, NULL);
	struct peer_cmd c = {0};
	struct peer_pdu missing;
	uint32_t itt = peer_cmd_pdu(p, &missing, &c);

	for (unsigned i = 0; i < 20; i++)
		peer_send_cmd(p, &c);
	peer_ping(p, 1);
	EXPECT_EQ(ask(b, LUN_RESET, PEER_NONE, 0), COMPLETE);
	peer_send(p, &missing);
	peer_expect_sense(p, itt, ATTENTION, 0x29, 3);
	EXPECT_EQ(ready(p, 0), 0);
}

/* Forty functions for the same task in one go: each is answered, and only behind its end. Once it
 * has ended there is no such task (the stream may be cut anywhere). */
static void many_functions_at_once(struct daemon *d)
{
	enum { N = 40 };
	struct peer *a = daemon_peer(d, NULL), *b = daemon_peer(d, NULL);
	uint8_t *fresh = scene_alloc(LEN);
	struct open_write w;
	uint32_t itts[N];

	old_data(b, fresh);
	open_write(a, &w);
	peer_hold(a);
	for (unsigned i = 0; i < N; i++)
		itts[i] = peer_send_tmf(a, i % 2 ? ABORT_TASK_SET : ABORT_TASK, w.itt, w.cmdsn);
	peer_flush(a);
	for (unsigned i = 0; i < N; i++) {
		uint8_t answer = peer_expect_tmf(a, itts[i]);

		EXPECT(answer == COMPLETE || (answer == NO_TASK && i && i % 2 == 0),
			"function %u is answered with %u", i, answer);
	}
	peer_answer(a, &w.r, fresh);
	peer_ping(a, 1);
	still_old(b);
}

/* --- targets --- */

static void warm_reset(struct daemon *d)
{
	struct peer *a = daemon_peer(d, NULL), *b = daemon_peer(d, NULL);
	uint8_t *fresh = scene_alloc(LEN);
	struct open_write first, second;
	uint64_t one = 1ull << 48;

	old_data(b, fresh);
	EXPECT_EQ(ready(a, one), 0);
	EXPECT_EQ(ready(b, one), 0);
	open_write(a, &first);
	a->lun = one;
	open_write(a, &second);
	EXPECT_EQ(ask_at(b, 99ull << 48, WARM_RESET), COMPLETE); /* its LUN field is reserved */
	a->lun = 0;
	peer_answer(a, &first.r, fresh);
	a->lun = one;
	peer_answer(a, &second.r, fresh);
	a->lun = 0;
	for (uint64_t lun = 0; lun <= one; lun += one) {
		EXPECT_EQ(ready(a, lun), 0x62903);
		EXPECT_EQ(ready(a, lun), 0);
		EXPECT_EQ(ready(b, lun), 0x62903);
		EXPECT_EQ(ready(b, lun), 0);
	}
	still_old(b);
}

static void cold_reset(struct daemon *d)
{
	struct peer *a = daemon_peer(d, NULL), *b = daemon_peer(d, NULL), *c;
	uint8_t *fresh = scene_alloc(LEN);
	struct open_write w;

	old_data(b, fresh);
	open_write(a, &w);
	EXPECT_EQ(ask(b, COLD_RESET, PEER_NONE, 0), COMPLETE);
	peer_expect_close(b);
	peer_expect_close(a);
	daemon_settled(d);
	c = daemon_peer(d, NULL);
	still_old(c);
}

/* Two at once, and the one who asked is gone before the answer. */
static void cold_reset_and_gone(struct daemon *d)
{
	for (unsigned i = 0; i < 20; i++) {
		struct peer *a = daemon_peer(d, NULL), *b = daemon_peer(d, NULL);
		struct open_write w;

		open_write(a, &w);
		peer_send_tmf(a, COLD_RESET, PEER_NONE, 0);
		peer_send_tmf(b, i % 2 ? COLD_RESET : WARM_RESET, PEER_NONE, 0);
		if (i % 3)
			peer_reset(a);
		else
			peer_close(a);
		peer_reset(b);
		daemon_settled(d);
	}
	EXPECT_EQ(ready(daemon_peer(d, NULL), 0), 0);
}

/* FastAbort (RFC 7143 13.23, 4.2.3.4): other sessions whose tasks end hear of it, once a unit. Who has not asked for
 * that, has no task there, or did it himself hears nothing. */
static void fast_abort(struct daemon *d)
{
	struct peer_params want = peer_params_default();
	struct peer *fast = daemon_connect(d), *old = daemon_peer(d, NULL), *b = daemon_connect(d);
	struct open_write zero[2], one, others, mine;
	uint8_t *fresh = scene_alloc(LEN);
	struct peer_pdu pdu;

	EXPECT_EQ(peer_try_login(fast, 1, &want, "TaskReporting=FastAbort,RFC3720\n"), 0);
	EXPECT(!strcmp(peer_said(fast, "TaskReporting"), "FastAbort"), "it is not agreed on");
	EXPECT_EQ(peer_try_login(b, 1, &want, "TaskReporting=FastAbort\n"), 0);
	daemon_settle(d, fast);
	daemon_settle(d, b);
	fast->lun = 1ull << 48;
	open_write(fast, &one);
	fast->lun = 0;
	open_write(fast, &zero[0]);
	open_write(fast, &zero[1]);
	open_write(old, &others);
	open_write(b, &mine);
	EXPECT_EQ(ask(b, LUN_RESET, PEER_NONE, 0), COMPLETE); /* b hears nothing but this */
	peer_expect(fast, &pdu, PEER_ASYNC);
	EXPECT_EQ(pdu_get(&pdu, ITT), PEER_NONE);
	EXPECT_EQ(pdu_get(&pdu, LUN), 0);
	EXPECT_EQ(pdu.bhs[36], 5);
	peer_answer(old, &others.r, fresh); /* who has not asked goes on sending, to the sink */
	EXPECT_EQ(ready(old, 0), 0x62903);
	EXPECT_EQ(ready(fast, 0), 0x62903);
	EXPECT_EQ(ready(b, 0), 0x62903);
	EXPECT_EQ(ask(b, WARM_RESET, PEER_NONE, 0), COMPLETE);
	peer_expect(fast, &pdu, PEER_ASYNC);
	EXPECT_EQ(pdu_get(&pdu, LUN), 1ull << 48);
	EXPECT_EQ(pdu.bhs[36], 5);
	EXPECT_EQ(ask(b, LUN_RESET, PEER_NONE, 0), COMPLETE); /* nobody had a task */
	EXPECT_EQ(ready(fast, 0), 0x62903);
	EXPECT_EQ(ready(old, 0), 0x62903);
}

/* --- RFC 7144 --- */

static void levels(struct daemon *d)
{
	struct peer *old = daemon_peer(d, NULL),
		    *one = peer_at_level(d, "iSCSIProtocolLevel=1\n", "1");

	for (uint8_t f = QUERY_TASK; f <= QUERY_EVENT; f++) {
		EXPECT_EQ(ask(old, f, PEER_NONE, 0), NOT_SUPPORTED);
		EXPECT_EQ(ask(one, f, PEER_NONE, 0), NOT_SUPPORTED);
	}
	EXPECT_EQ(
		ask(peer_at_level(d, "iSCSIProtocolLevel=31\n", "2"), QUERY_TASK_SET, PEER_NONE, 0),
		COMPLETE);
}

static void query_task(struct daemon *d)
{
	struct peer *p = modern_peer(d);
	uint8_t *fresh = scene_alloc(LEN);
	struct open_write w;
	uint64_t one = 1ull << 48;

	EXPECT_EQ(ready(p, one), 0);
	EXPECT_EQ(ask(p, QUERY_TASK_SET, PEER_NONE, 0), COMPLETE);
	open_write(p, &w);
	EXPECT_EQ(ask(p, QUERY_TASK, w.itt, w.cmdsn), SUCCEEDED);
	EXPECT_EQ(ask(p, QUERY_TASK_SET, PEER_NONE, 0), SUCCEEDED);
	EXPECT_EQ(ask_at(p, one, QUERY_TASK_SET), COMPLETE);
	p->lun = one; /* of another unit it is not */
	EXPECT_EQ(ask(p, QUERY_TASK, w.itt, w.cmdsn), NO_TASK);
	p->lun = 0;
	EXPECT_EQ(ask(p, QUERY_TASK, w.itt + 77, p->cmdsn), COMPLETE); /* may still come */
	EXPECT_EQ(ask(p, QUERY_TASK, w.itt + 77, w.cmdsn), NO_TASK);
	peer_answer(p, &w.r, fresh);
	peer_expect_good(p, w.itt);
	EXPECT_EQ(ask(p, QUERY_TASK, w.itt, w.cmdsn), NO_TASK);
	EXPECT_EQ(ask(p, QUERY_TASK_SET, PEER_NONE, 0), COMPLETE);
}

static uint64_t query_event(struct peer *p)
{
	uint32_t itt = peer_send_tmf(p, QUERY_EVENT, PEER_NONE, 0);
	struct peer_pdu pdu;

	peer_expect(p, &pdu, PEER_TASK_MGMT_RSP);
	EXPECT_EQ(pdu_get(&pdu, ITT), itt);
	return pdu_get(&pdu, RESPONSE) << 32 | pdu_get(&pdu, LUN) >> 32;
}

static void query_async_event(struct daemon *d)
{
	struct peer *p = modern_peer(d), *b = modern_peer(d);

	EXPECT_EQ(query_event(p), 0);
	EXPECT_EQ(ask(b, LUN_RESET, PEER_NONE, 0), COMPLETE);
	EXPECT_EQ(query_event(p), 7ull << 32 | 0x16290300);
	EXPECT_EQ(query_event(p), 7ull << 32 | 0x16290300); /* asking does not take it */
	EXPECT_EQ(ask(p, NEXUS_RESET, PEER_NONE, 0), COMPLETE);
	EXPECT_EQ(query_event(p), 7ull << 32 | 0x26290300);
	EXPECT_EQ(ready(p, 0), 0x62903);
	EXPECT_EQ(query_event(p), 7ull << 32 | 0x16290700);
	EXPECT_EQ(ready(p, 0), 0x62907);
	EXPECT_EQ(query_event(p), 0);
	EXPECT_EQ(ready(b, 0), 0x62903);
	EXPECT_EQ(ready(b, 0), 0);
}

static void nexus_reset(struct daemon *d)
{
	struct peer *a = modern_peer(d), *b = modern_peer(d);
	uint8_t *fresh = scene_alloc(LEN);
	struct open_write first, second, others;
	uint64_t one = 1ull << 48;

	old_data(b, fresh);
	EXPECT_EQ(ready(a, one), 0);
	open_write(a, &first);
	a->lun = one;
	open_write(a, &second);
	open_write(b, &others);
	EXPECT_EQ(ask(a, NEXUS_RESET, PEER_NONE, 0), COMPLETE);
	peer_answer(a, &second.r, fresh);
	a->lun = 0;
	peer_answer(a, &first.r, fresh);
	EXPECT_EQ(ready(a, 0), 0x62907);
	EXPECT_EQ(ready(a, one), 0x62907);
	EXPECT_EQ(ready(a, one), 0);
	still_old(a);
	EXPECT_EQ(ready(b, 0), 0);
	peer_answer(b, &others.r, fresh);
	peer_expect_good(b, others.itt);
}

/* --- nonsense --- */

static void not_there(struct daemon *d)
{
	static const uint8_t of_a_unit[] = {ABORT_TASK, ABORT_TASK_SET, CLEAR_TASK_SET, LUN_RESET,
		QUERY_TASK, QUERY_TASK_SET, QUERY_EVENT};
	static const uint64_t luns[] = {
		77ull << 48, 0xc001ull << 48, 0x0000000100000000ull, UINT64_MAX, 0x7fffull << 48};
	struct peer *p = modern_peer(d);

	for (unsigned i = 0; i < sizeof(of_a_unit); i++)
		for (unsigned k = 0; k < sizeof(luns) / sizeof(luns[0]); k++)
			EXPECT_EQ(ask_at(p, luns[k], of_a_unit[i]), NO_LUN);
	EXPECT_EQ(ask(p, ABORT_TASK, PEER_NONE, p->cmdsn - 1), NO_TASK);
	EXPECT_EQ(ask(p, CLEAR_ACA, PEER_NONE, 0), NOT_SUPPORTED);
	EXPECT_EQ(ask(p, TASK_REASSIGN, PEER_NONE, 0), NO_FAILOVER);
	EXPECT_EQ(ask(p, 0, PEER_NONE, 0), NOT_SUPPORTED);
	for (unsigned f = QUERY_EVENT + 1; f < 128; f++)
		EXPECT_EQ(ask(p, (uint8_t)f, PEER_NONE, 0), NOT_SUPPORTED);
	EXPECT_EQ(ready(p, 0), 0);
}

/* Any function with any field, among writes: the session goes on. */
static void anything(struct daemon *d)
{
	struct peer *p = modern_peer(d), *b = modern_peer(d);
	struct open_write w;

	for (unsigned i = 0; i < 1500; i++) {
		uint8_t function = (uint8_t)scene_random(14);
		struct peer_pdu pdu;
		uint32_t itt;

		if (function == COLD_RESET)
			continue;
		if (i % 20 == 0) {
			peer_settle(p);
			open_write(p, &w);
		}
		itt = peer_itt(p);
		peer_pdu(p, &pdu, PEER_TASK_MGMT | PEER_IMMEDIATE, (uint8_t)(PEER_F | function),
			itt, NULL, 0);
		pdu_set(&pdu, LUN,
			scene_random(3) << 48 | (scene_random(8) ? 0 : scene_random(1 << 20)));
		pdu_set(&pdu, REF_ITT, scene_random(2) ? w.itt : scene_random(UINT32_MAX));
		/* not a number that is still to come: it would be used up, as it must */
		pdu_set(&pdu, REF_CMDSN, p->cmdsn - 1 - scene_random(1 << 30));
		if (!scene_random(4))
			pdu_set(&pdu, CMDSN, scene_random(UINT32_MAX));
		peer_send(p, &pdu);
		peer_expect_tmf(p, itt);
	}
	peer_settle(p);
	peer_settle(b);
}

/* --- the server stops --- */

static void expect_request(struct peer *p)
{
	struct peer_pdu pdu;

	peer_expect(p, &pdu, PEER_ASYNC);
	EXPECT_EQ(pdu_get(&pdu, ITT), PEER_NONE);
	EXPECT_EQ(pdu.bhs[36], 1);                    /* 11.9.1: logout is asked for ... */
	EXPECT_EQ(pdu.bhs[42] << 8 | pdu.bhs[43], 2); /* ... in so many seconds */
}

static void asked_to_log_out(struct daemon *d)
{
	struct peer *a = daemon_peer(d, NULL), *b = daemon_peer(d, NULL);
	uint8_t *fresh = scene_alloc(LEN);
	int64_t start = scene_now_ms();
	struct open_write w;

	open_write(b, &w);
	daemon_begin_stop(d);
	expect_request(a);
	expect_request(b);
	peer_answer(b, &w.r, fresh);
	peer_expect_good(b, w.itt);
	EXPECT_EQ(ready(b, 0), 0); /* meanwhile life goes on */
	peer_logout(a);
	peer_logout(b);
	daemon_stop(d);
	EXPECT(scene_now_ms() - start < 2000, "who logs out need not be waited for: %lld ms",
		(long long)(scene_now_ms() - start));
}

static void asked_in_vain(struct daemon *d)
{
	struct peer *idle = daemon_peer(d, NULL), *stuck = daemon_peer(d, NULL);
	int64_t start = scene_now_ms();
	struct open_write w;

	open_write(stuck, &w);
	daemon_begin_stop(d);
	expect_request(idle);
	expect_request(stuck);
	peer_expect_close(idle);
	EXPECT(scene_now_ms() - start >= 1900, "it did not wait for the logout");
	peer_expect_close(stuck);
	daemon_stop(d);
	EXPECT(scene_now_ms() - start < 5000, "the stop took %lld ms",
		(long long)(scene_now_ms() - start));
}

static const struct scene_case cases[] = {
	CASE(abort_task_set, .args = {"--ram", "32M"}, .ours = true),
	CASE(clear_task_set, .args = {"--ram", "32M"}, .ours = true),
	CASE(a_set_with_a_gap, .ours = true),
	CASE(a_gap_and_a_reset, .ours = true),
	CASE(many_functions_at_once, .ours = true),
	CASE(fast_abort, .args = {"--ram", "32M"}),
	CASE(warm_reset, .args = {"--ram", "32M"}, .ours = true),
	CASE(cold_reset, .ours = true),
	CASE(cold_reset_and_gone, .args = {"--threads", "2"}, .ours = true),
	CASE(levels, .ours = true),
	CASE(query_task, .args = {"--ram", "32M"}, .ours = true),
	CASE(query_async_event, .ours = true),
	CASE(nexus_reset, .args = {"--ram", "32M"}, .ours = true),
	CASE(not_there, .ours = true),
	CASE(anything, .args = {"--ram", "32M"}, .ours = true),
	CASE(asked_to_log_out, .ours = true),
	CASE(asked_in_vain, .ours = true),
	{.name = "cold_reset_two_reactors",
		.run = cold_reset,
		.args = {"--threads", "2"},
		.ours = true},
	{.name = "warm_reset_two_reactors",
		.run = warm_reset,
		.args = {"--threads", "2", "--ram", "32M"},
		.ours = true},
	{.name = "abort_task_set_file",
		.run = abort_task_set,
		.file = 64 << 20,
		.args = {"--ram", "32M"},
		.ours = true},
};
SCENES(cases)
