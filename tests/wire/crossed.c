/* crossed.c - two things that meet: a task that ends while its data is still being read, a
 * connection that ends while it moves or while something of it is being settled, numbers of
 * commands that never run.
 *
 * Each looks at what must hold afterwards: the old data to the byte, every later command answered,
 * and (by the end of each case) nothing lent, no task and no session left. */
#include <stdio.h>
#include <string.h>
#include "scene.h"

enum { BLOCK = 512, LEN = 65536, LBA = 40, N_BLOCKS = LEN / BLOCK };
enum { ABORT_TASK = 1, LUN_RESET = 5, COMPLETE = 0 };

static uint8_t *filled(uint64_t seed)
{
	uint8_t *p = scene_alloc(LEN);

	pattern(p, LEN, seed, 0);
	return p;
}

static void expect_content(struct peer *p, uint64_t lba, uint64_t seed)
{
	uint8_t *now = scene_alloc(LEN);

	peer_read(p, lba, N_BLOCKS, now);
	pattern_expect(now, LEN, seed, 0);
}

/* Half of a command's immediate data: the rest is sent later. */
static void send_half(struct peer *p, const struct peer_cmd *c, uint32_t *ittp, uint32_t first)
{
	struct peer_pdu pdu;

	*ittp = peer_cmd_pdu(p, &pdu, c);
	peer_send_bytes(p, pdu.bhs, PEER_BHS);
	peer_send_bytes(p, c->data, first);
}

/* --- a command that fails when it has hardly begun --- */

/* late_bytes_reach_nobody - what is left of a's failed command comes when its pages are those of b's. */
static void late_bytes_reach_nobody(struct peer *a, const struct peer_cmd *c, struct peer *b)
{
	uint8_t *old = filled(1);

	for (unsigned i = 0; i < 32; i++)
		peer_write(b, i * N_BLOCKS, N_BLOCKS, old);
	peer_send_bytes(a, (const uint8_t *)c->data + 4096, LEN - 4096);
	peer_ping(a, 7);
	for (unsigned i = 0; i < 32; i++)
		expect_content(b, i * N_BLOCKS, 1);
}

/* Its immediate data is more than FirstBurstLength, so it fails while most of it is still to come.
 * The pages it had are another's by then: what comes late must not reach them. */
static void immediate_data_of_a_failed_command(struct daemon *d)
{
	struct peer_params want = peer_params_default();
	struct peer_cmd c = {.write = true, .edtl = LEN, .data = filled(2), .data_len = LEN};
	struct peer *a, *b = daemon_peer(d, NULL);
	uint32_t itt;

	want.immediate_data = true;
	want.first_burst = 4096;
	a = daemon_peer(d, &want);
	cdb_rw(c.cdb, true, LBA, N_BLOCKS);
	send_half(a, &c, &itt, 4096);
	peer_expect_sense(a, itt, 0xb, 0x0c, 0x0c);
	late_bytes_reach_nobody(a, &c, b);
	peer_write(a, LBA, N_BLOCKS, c.data);
	expect_content(b, LBA, 2);
}

/* The same for one that says it reads and writes, which none of ours does. */
static void immediate_data_of_a_bidirectional_command(struct daemon *d)
{
	struct peer_params want = peer_params_default();
	struct peer_cmd c = {
		.write = true, .read = true, .edtl = LEN, .data = filled(2), .data_len = LEN};
	struct peer *a, *b = daemon_peer(d, NULL);
	uint32_t itt;

	want.immediate_data = true;
	a = daemon_peer(d, &want);
	cdb_rw(c.cdb, true, LBA, N_BLOCKS);
	send_half(a, &c, &itt, 4096);
	peer_expect_sense(a, itt, 0x5, 0x0e, 0x03);
	late_bytes_reach_nobody(a, &c, b);
}

/* A command with a parameter list; must be GOOD. */
static void tell(struct peer *p, const uint8_t cdb[10], void *list, uint32_t len)
{
	struct peer_task t = {.cmd = {.write = true, .edtl = len}, .buf = list};

	memcpy(t.cmd.cdb, cdb, 10);
	peer_start(p, &t);
	peer_wait(p, &t);
	EXPECT_EQ(t.st.status, 0);
}

/* Persistent Reserve Out; type 3 is exclusive access. */
static void reserve(struct peer *p, uint8_t action, uint8_t key, uint8_t new_key)
{
	uint8_t list[24] = {[7] = key, [15] = new_key};

	tell(p, (uint8_t[10]){0x5f, action, 3, [8] = sizeof(list)}, list, sizeof(list));
}

/* TAS of the control mode page: who is aborted by another gets a status. */
static void with_task_aborted(struct peer *p)
{
	uint8_t list[16] = {[4] = 0x0a, 10, 0x22, 0x10, 0, 0x40, [12] = 1, 44};

	tell(p, (uint8_t[10]){0x15, 0x10, [4] = sizeof(list)}, list, sizeof(list));
}

/* Preempted and aborted while its unasked data is still to come: the status TASK ABORTED waits in a queue that
 * nobody reads. The pages it had are another's by then. */
static void unasked_data_of_a_preempted_command(struct daemon *d)
{
	enum {
		REGISTER = 6,
		RESERVE = 1,
		PREEMPT_AND_ABORT = 5,
		MIB = 1 << 20,
		TASK_ABORTED = 0x40
	};
	struct peer_params want = peer_params_default();
	struct peer_cmd c = {.write = true, .more = true, .edtl = LEN};
	struct peer_r2t r = {.ttt = PEER_NONE};
	uint8_t *old = filled(1), *late = filled(2);
	struct peer *a, *b = daemon_peer(d, NULL);
	struct peer_pdu pdu;
	struct peer_status st;

	want.initial_r2t = false;
	a = daemon_peer(d, &want);
	with_task_aborted(b);
	peer_settle(a);
	peer_set_recv_buffer(a, 65536);
	reserve(a, REGISTER, 0, 1);
	reserve(b, REGISTER, 0, 2);
	reserve(a, RESERVE, 1, 0);
	cdb_rw(c.cdb, true, LBA, N_BLOCKS);
	r.itt = peer_send_cmd(a, &c);
	r.lun = a->lun;
	peer_ping(a, 7);
	for (unsigned i = 0; i < 16; i++)
		peer_send_read(a, 0, MIB / BLOCK);
	scene_sleep(50); /* they are in the queue */
	reserve(b, PREEMPT_AND_ABORT, 2, 1);
	for (unsigned i = 0; i < 32; i++)
		peer_write(b, i * N_BLOCKS, N_BLOCKS, old);
	for (unsigned i = 0; i < 16; i++)
		peer_send_data_out(a, &r, i, i * 4096, late + i * 4096, 4096, i == 15);
	for (unsigned n = 0; n < 17;) {
		peer_recv(a, &pdu);
		peer_status_of(&pdu, &st);
		n += !st.in_data || pdu.bhs[1] & 1; /* the last one has the status */
		EXPECT(pdu_get(&pdu, ITT) != r.itt || st.status == TASK_ABORTED, "%s",
			peer_describe(&pdu));
	}
	peer_ping(a, 7);
	for (unsigned i = 0; i < 32; i++)
		expect_content(b, i * N_BLOCKS, 1);
}

/* write_unasked - the first blocks, in Data-Outs of 8 KiB that nobody asked for. */
static void write_unasked(struct peer *p, const uint8_t *data)
{
	struct peer_cmd c = {.write = true, .more = true, .edtl = LEN};
	struct peer_r2t r = {.ttt = PEER_NONE};

	cdb_rw(c.cdb, true, 0, N_BLOCKS);
	r.itt = peer_send_cmd(p, &c);
	for (unsigned i = 0; i < 8; i++)
		peer_send_data_out(p, &r, i, i * 8192, data + i * 8192, 8192, i == 7);
	peer_expect_good(p, r.itt);
}

/* A command of b takes the place in memory of one of a that has just ended, and a part of its data is in when a goes
 * on: what comes on a's connection is not to land where b's is. a's ended with unasked Data-Outs or immediate data, b's
 * brings the same. */
static void half_of_another_connections_data(struct daemon *d)
{
	struct peer_params want = peer_params_default();
	uint8_t *mine = filled(1), *other = filled(2);
	struct peer *p[2];

	want.initial_r2t = false;
	want.immediate_data = true;
	want.first_burst = LEN;
	for (unsigned i = 0; i < 2; i++)
		p[i] = daemon_peer(d, &want);
	for (unsigned way = 0; way < 8; way++) {
		struct peer_cmd small = {
			.write = true, .edtl = 4096, .data = mine, .data_len = 4096};
		struct peer_cmd c = {.write = true, .edtl = LEN, .data = other, .data_len = LEN};
		struct peer_r2t r = {.ttt = PEER_NONE};
		uint32_t itt[8];

		write_unasked(p[0], mine); /* how a cuts is known */
		cdb_rw(small.cdb, true, 0, 8);
		cdb_rw(c.cdb, true, 1000, N_BLOCKS);
		if (way & 1)
			peer_expect_good(p[0], peer_send_cmd(p[0], &small));
		if (way & 2) {
			c.data_len = 0;
			c.more = true;
			r.itt = peer_send_cmd(p[1], &c);
			peer_ping(p[1], 0);
			peer_send_data_out(p[1], &r, 0, 0, other, LEN / 2, false);
		} else {
			send_half(p[1], &c, &r.itt, way & 4 ? 4096 : LEN / 2);
		}
		scene_sleep(20); /* it is in */
		peer_hold(p[0]);
		for (unsigned i = 0; i < 8; i++)
			itt[i] = peer_send_cmd(p[0], &small);
		peer_flush(p[0]);
		for (unsigned i = 0; i < 8; i++)
			peer_expect_good(p[0], itt[i]);
		if (way & 2)
			peer_send_data_out(p[1], &r, 1, LEN / 2, other + LEN / 2, LEN / 2, true);
		else
			peer_send_bytes(p[1], other + (way & 4 ? 4096 : LEN / 2),
				LEN - (way & 4 ? 4096 : LEN / 2));
		peer_expect_good(p[1], r.itt);
		expect_content(p[1], 1000, 2);
		expect_content(p[1], 0, 1);
	}
}

/* Two initiators whose names differ in the last letter of 223, with the same ISID: one's reservation is not the
 * other's. */
static void long_names_are_told_apart(struct daemon *d)
{
	enum { REGISTER = 6, RESERVE = 1, CONFLICT = 0x18 };
	struct peer *p[2];
	struct peer_cmd ready = {
		.cdb = {0x1b, [4] = 0x10}}; /* START STOP UNIT: for the holder alone */
	struct peer_status st;

	for (unsigned i = 0; i < 2; i++) {
		struct peer_params want = peer_params_default();

		p[i] = daemon_connect(d);
		memset(p[i]->initiator, 'n', 222);
		memcpy(p[i]->initiator, "iqn.2026-11.x:", 14);
		p[i]->initiator[222] = (char)('a' + i);
		p[i]->initiator[223] = '\0';
		p[i]->isid = 0x400001370000;
		EXPECT_EQ(peer_try_login(p[i], 1, &want, NULL), 0);
		peer_settle(p[i]);
	}
	reserve(p[0], REGISTER, 0, 1);
	reserve(p[0], RESERVE, 1, 0);
	peer_expect_status(p[1], peer_send_cmd(p[1], &ready), &st);
	EXPECT_EQ(st.status, CONFLICT);
}

/* --- numbers --- */

/* A command behind the failed one came first and waits for its number. */
static void one_waits_behind_a_failed_command(struct daemon *d)
{
	struct peer_params want = peer_params_default();
	struct peer_cmd c = {.write = true, .edtl = LEN, .data = filled(2), .data_len = LEN},
			ready = {0};
	struct peer_pdu bad, next;
	struct peer *a;
	uint32_t itt, waits;

	want.immediate_data = true;
	want.first_burst = 4096;
	a = daemon_peer(d, &want);
	cdb_rw(c.cdb, true, LBA, N_BLOCKS);
	itt = peer_cmd_pdu(a, &bad, &c);
	waits = peer_cmd_pdu(a, &next, &ready);
	peer_send(a, &next);
	peer_expect_nothing(a, 100);
	peer_send(a, &bad);
	for (unsigned i = 0; i < 2; i++) { /* in either order */
		struct peer_pdu answer;
		struct peer_status st;

		peer_expect(a, &answer, PEER_RESPONSE);
		peer_status_of(&answer, &st);
		EXPECT(pdu_get(&answer, ITT) == (st.status ? itt : waits), "%s",
			peer_describe(&answer));
		EXPECT(!st.status || st.asc == 0x0c, "%s", peer_describe(&answer));
	}
	peer_ping(a, 7);
}

/* A command that waits for a lower number is aborted: its own number counts as received. */
static void a_held_command_is_aborted(struct daemon *d)
{
	struct peer_cmd ready = {0};
	struct peer *a = daemon_peer(d, NULL);

	for (unsigned i = 0; i < 100; i++) {
		struct peer_pdu first, held;
		uint32_t n = a->cmdsn, itt = peer_cmd_pdu(a, &first, &ready);
		uint32_t held_itt = peer_cmd_pdu(a, &held, &ready);

		peer_send(a, &held);
		EXPECT_EQ(peer_expect_tmf(a, peer_send_tmf(a, ABORT_TASK, held_itt, n + 1)),
			COMPLETE);
		peer_send(a, &first);
		peer_expect_good(a, itt);
		peer_expect_good(a, peer_send_cmd(a, &ready));
	}
}

/* The same by a reset that another asked for, with all the window held. */
static void held_commands_are_reset(struct daemon *d)
{
	enum { N = 100 };
	struct peer_cmd ready = {0};
	struct peer *a = daemon_peer(d, NULL), *b = daemon_peer(d, NULL);
	struct peer_pdu first, held;
	uint32_t itt = peer_cmd_pdu(a, &first, &ready);

	for (unsigned i = 0; i < N; i++) {
		peer_cmd_pdu(a, &held, &ready);
		peer_send(a, &held);
	}
	peer_ping(a, 7);
	EXPECT_EQ(peer_expect_tmf(b, peer_send_tmf(b, LUN_RESET, PEER_NONE, 0)), COMPLETE);
	peer_settle(b);
	peer_send(a, &first);
	peer_expect_sense(a, itt, 6, 0x29, 3); /* unit attention: the reset */
	for (unsigned i = 0; i < 2 * N; i++)
		peer_expect_good(a, peer_send_cmd(a, &ready));
}

/* Data that spoils a held command fails it; its number still counts. */
static void a_held_command_fails(struct daemon *d)
{
	struct peer_params want = peer_params_default();
	struct peer_cmd c = {.write = true, .more = true, .edtl = LEN}, ready = {0};
	struct peer_r2t r = {.ttt = PEER_NONE};
	struct peer_pdu first, held;
	uint8_t *data = filled(2);
	struct peer *a;
	uint32_t itt;

	want.initial_r2t = false;
	a = daemon_peer(d, &want);
	itt = peer_cmd_pdu(a, &first, &ready);
	cdb_rw(c.cdb, true, LBA, N_BLOCKS);
	r.itt = peer_cmd_pdu(a, &held, &c);
	r.lun = a->lun;
	peer_send(a, &held);
	peer_send_data_out(a, &r, 5, 0, data, 4096, false); /* DataSN 5 is not the first */
	peer_expect_sense(a, r.itt, 0xb, 0x4b, 0);
	peer_send(a, &first);
	peer_expect_good(a, itt);
	for (unsigned i = 0; i < 200; i++)
		peer_expect_good(a, peer_send_cmd(a, &ready));
}

/* --- a connection that ends --- */

/* ... behind an abort in the same breath: the task that is to be settled goes with it. */
static void abort_and_the_end_together(struct daemon *d)
{
	struct peer *a = daemon_peer(d, NULL);
	uint8_t *data = filled(2);
	struct peer_pdu pdu;
	struct peer_r2t r;
	uint32_t itt;

	a->segment = 4096;
	peer_write(
		a, LBA, N_BLOCKS, data); /* so that the server knows how we cut, and looks ahead */
	itt = peer_send_write(a, LBA, N_BLOCKS);
	peer_expect_r2t(a, itt, &r);
	peer_answer_part(a, &r, 0, data, 0, 16384);
	peer_hold(a);
	peer_send_tmf(a, ABORT_TASK, itt, a->cmdsn - 1);
	peer_pdu(a, &pdu, PEER_NOP_OUT | PEER_IMMEDIATE, PEER_F, 0x77, NULL, 0);
	pdu_set(&pdu, DATA_LEN, 0xffffff); /* more than any segment may have */
	peer_send(a, &pdu);
	peer_flush(a);
	peer_expect_close(a);
	daemon_settled(d);
}

/* ... by a logout, whose answer waits behind data that nobody fetches while writes come to their end: it is the last
 * that is said. */
static void logout_with_writes_under_way(struct daemon *d)
{
	enum { MIB = 1 << 20 };
	struct peer_params want = peer_params_default();
	struct peer_cmd same = {.cdb = {0x93, [12] = 0x7f, [13] = 0xff},
		.write = true,
		.edtl = BLOCK,
		.data = filled(3),
		.data_len = BLOCK};
	struct peer_pdu pdu;
	struct peer *a;

	want.immediate_data = true;
	a = daemon_peer(d, &want);
	peer_set_recv_buffer(a, 65536);
	for (unsigned i = 0; i < 16; i++)
		peer_send_read(a, i * MIB / BLOCK, MIB / BLOCK);
	for (unsigned i = 0; i < 6; i++)
		peer_send_cmd(a, &same);
	peer_pdu(a, &pdu, PEER_LOGOUT | PEER_IMMEDIATE, PEER_F, peer_itt(a), NULL, 0);
	peer_send(a, &pdu);
	scene_sleep(500);
	do
		peer_recv(a, &pdu);
	while (pdu_get(&pdu, OPCODE) != PEER_LOGOUT_RSP);
	peer_expect_close(a);
}

/* ... by a byte behind the login request that would move it to another reactor. */
static void more_behind_a_login_request(struct daemon *d)
{
	enum { N = 40 };

	for (unsigned i = 0; i < N; i++) {
		struct peer *p[4];

		for (unsigned k = 0; k < 4; k++) {
			char keys[600];

			p[k] = daemon_connect(d);
			snprintf(keys, sizeof(keys),
				"InitiatorName=%s.%u\nTargetName=%s\nSessionType=Normal\n",
				p[k]->initiator, k, p[k]->target);
			peer_hold(p[k]);
			peer_send_login(p[k], PEER_F, 1, 3, keys);
			peer_send_bytes(p[k], "more", 4);
			peer_flush(p[k]);
		}
		for (unsigned k = 0; k < 4; k++)
			peer_reset(p[k]);
	}
	daemon_settled(d);
}

static const struct scene_case cases[] = {
	CASE(immediate_data_of_a_failed_command, .ours = true),
	CASE(immediate_data_of_a_bidirectional_command, .ours = true),
	CASE(unasked_data_of_a_preempted_command, .ours = true),
	CASE(half_of_another_connections_data, .args = {"--threads", "1"}, .ours = true),
	CASE(long_names_are_told_apart, .ours = true),
	CASE(one_waits_behind_a_failed_command, .ours = true),
	CASE(a_held_command_is_aborted, .ours = true),
	CASE(held_commands_are_reset, .ours = true),
	CASE(a_held_command_fails, .ours = true),
	CASE(abort_and_the_end_together, .ours = true),
	CASE(logout_with_writes_under_way, .file = 64 << 20, .ours = true),
	CASE(more_behind_a_login_request, .args = {"--threads", "2"}, .ours = true),
};
SCENES(cases)
