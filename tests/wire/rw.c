/* rw.c - good conversations of the full feature phase: reads and writes with every parameter,
 * residuals, command order and window, ping, text, logout, task management. */
#include <stdio.h>
#include <string.h>
#include "scene.h"

enum { BLOCK = 512, MIB = 1 << 20, ITEMS = 64 };

/* round_trip - a write and its read of n blocks, and the blocks around untouched. */
static void round_trip(struct peer *p, uint64_t lba, uint32_t n, uint64_t seed)
{
	size_t len = (size_t)n * BLOCK;
	uint8_t *out = scene_alloc(len), *in = scene_alloc(len);

	pattern(out, len, seed, lba * BLOCK);
	peer_write(p, lba, n, out);
	peer_read(p, lba, n, in);
	pattern_expect(in, len, seed, lba * BLOCK);
}

static void one_variation(struct daemon *d, const struct peer_params *want, uint64_t seed)
{
	static const uint32_t n_blocks[] = {1, 7, 200};
	struct peer *p = daemon_connect(d);

	EXPECT_EQ(peer_try_login(p, seed & 1, want, NULL), 0);
	peer_settle(p);
	for (unsigned i = 0; i < sizeof(n_blocks) / sizeof(n_blocks[0]); i++)
		round_trip(p, 3 + scene_random(4000), n_blocks[i], seed * 8 + i);
	peer_logout(p);
}

/* All combinations; a failure names the login it broke with. */
static void parameter_variations(struct daemon *d, bool initial_r2t, bool immediate_data)
{
	static const uint32_t firsts[] = {512, 4096, 65536}, bursts[] = {1024, 65536, 1 << 20};
	static const uint32_t r2ts[] = {1, 4, 32}, segments[] = {512, 8192, 262144};
	unsigned n = 0;

	for (unsigned i = 0; i < 81; i++) {
		struct peer_params want = {.initial_r2t = initial_r2t,
			.immediate_data = immediate_data,
			.first_burst = firsts[i % 3],
			.max_burst = bursts[i / 3 % 3],
			.max_r2t = r2ts[i / 9 % 3],
			.max_recv_data = segments[i / 27]};

		if (want.first_burst > want.max_burst)
			continue; /* 13.14: not lawful */
		scene_note("InitialR2T %d ImmediateData %d first %u burst %u r2ts %u segment %u",
			want.initial_r2t, want.immediate_data, want.first_burst, want.max_burst,
			want.max_r2t, want.max_recv_data);
		one_variation(d, &want, ++n);
	}
}

static void variations_all_asked_for(struct daemon *d)
{
	parameter_variations(d, true, false);
}

static void variations_immediate_data(struct daemon *d)
{
	parameter_variations(d, true, true);
}

static void variations_unsolicited(struct daemon *d)
{
	parameter_variations(d, false, false);
}

static void variations_immediate_and_unsolicited(struct daemon *d)
{
	parameter_variations(d, false, true);
}

static void sizes_up_to_16_mib(struct daemon *d)
{
	static const uint32_t n_blocks[] = {
		1, 2, 7, 8, 9, 63, 64, 65, 255, 256, 257, 2048, 2049, 16384, 32767, 32768};
	struct peer_params want = peer_params_default();
	struct peer *p;

	want.max_burst = 256 << 10;
	want.max_r2t = 4;
	p = daemon_peer(d, &want);
	for (unsigned i = 0; i < sizeof(n_blocks) / sizeof(n_blocks[0]); i++)
		round_trip(p, i % 3 * 5, n_blocks[i], 100 + i);
	peer_logout(p);
}

static void above_16_mib(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL);
	uint32_t n = 16 * MIB / BLOCK + 1;

	peer_expect_sense(
		p, peer_send_write(p, 0, n), 5, 0x24, 0); /* SBC-3: MAXIMUM TRANSFER LENGTH */
	peer_expect_sense(p, peer_send_read(p, 0, n), 5, 0x24, 0);
	round_trip(p, 0, 8, 1);
}

static void outside_the_disk(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL);
	uint64_t end = 64 * MIB / BLOCK;

	peer_expect_sense(p, peer_send_read(p, end, 1), 5, 0x21, 0);
	peer_expect_sense(p, peer_send_write(p, end - 1, 2), 5, 0x21, 0);
	peer_expect_sense(p, peer_send_write(p, UINT64_MAX, 8), 5, 0x21, 0);
	round_trip(p, end - 1, 1, 1);
}

static void status_in_the_last_data_in(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL);
	uint8_t *buf = scene_alloc(MIB);
	struct peer_status st = peer_rw(p, false, 0, MIB / BLOCK, buf);

	EXPECT(st.status == 0 && st.in_data, "a good read has a SCSI Response of its own");
	for (size_t i = 0; i < MIB; i++)
		EXPECT(buf[i] == 0, "a disk never written reads as 0x%02x at 0x%zx", buf[i], i);
}

/* --- residuals (RFC 7143 11.4.5) --- */
static struct peer_status rw_with_edtl(
	struct peer *p, bool write, uint64_t lba, uint32_t n_blocks, uint32_t edtl, void *buf)
{
	struct peer_task t;

	peer_task_rw(&t, write, lba, n_blocks, buf);
	t.cmd.edtl = edtl;
	peer_start(p, &t);
	peer_wait(p, &t);
	return t.st;
}

static void underflow(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL);
	uint8_t *fresh = scene_alloc(8192), *now = scene_alloc(8192);
	struct peer_task t = {.buf = now, .cmd = {.read = true, .edtl = 512}};
	struct peer_status st;

	round_trip(p, 0, 16, 1);
	pattern(fresh, 8192, 2, 0);
	st = rw_with_edtl(p, true, 0, 8, 8192, fresh);
	EXPECT(st.status == 0 && st.underflow && !st.overflow, "write: no underflow told");
	EXPECT_EQ(st.residual, 4096);
	peer_read(p, 0, 16, now);
	pattern_expect(now, 4096, 2, 0);
	pattern_expect(now + 4096, 4096, 1, 4096);
	st = rw_with_edtl(p, false, 0, 8, 8192, now);
	EXPECT(st.status == 0 && st.underflow && !st.overflow, "read: no underflow told");
	EXPECT_EQ(st.residual, 4096);
	peer_start(p, &t); /* TEST UNIT READY has no data at all */
	peer_wait(p, &t);
	EXPECT(t.st.status == 0 && t.st.underflow && t.st.residual == 512, "TEST UNIT READY");
}

static void overflow(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL);
	uint8_t *fresh = scene_alloc(8192), *now = scene_alloc(8192);
	struct peer_status st;

	round_trip(p, 0, 16, 1);
	st = rw_with_edtl(p, false, 0, 16, 4096, now);
	EXPECT(st.status == 0 && st.overflow && st.residual == 4096, "read: no overflow told");
	pattern_expect(now, 4096, 1, 0);
	pattern(fresh, 8192, 2, 0);
	st = rw_with_edtl(p, true, 0, 16, 4096, fresh);
	EXPECT(st.status == 2 || (st.overflow && st.residual == 4096), "write: no overflow told");
	peer_read(p, 0, 16, now);
	pattern_expect(now, 4096, st.status == 0 ? 2 : 1, 0);
	pattern_expect(now + 4096, 4096, 1, 4096); /* bytes that never came are not written */
}

/* --- order and window --- */
/* The later number arrives first: it waits, and what it writes is what stays (4.2.2.1). */
static void command_order(struct daemon *d)
{
	struct peer_params want = peer_params_default();
	uint8_t first[BLOCK], second[BLOCK], now[BLOCK];
	struct peer_cmd c = {.write = true, .edtl = BLOCK, .data_len = BLOCK};
	struct peer_pdu one, two;
	struct peer *p;
	uint32_t itt_one, itt_two;

	want.immediate_data = true;
	p = daemon_peer(d, &want);
	pattern(first, BLOCK, 1, 0);
	pattern(second, BLOCK, 2, 0);
	cdb_rw(c.cdb, true, 9, 1);
	c.data = first;
	itt_one = peer_cmd_pdu(p, &one, &c);
	c.data = second;
	itt_two = peer_cmd_pdu(p, &two, &c);
	peer_send(p, &two);
	peer_expect_nothing(p, 200);
	peer_ping(p, 4); /* an immediate command does not wait for the gap */
	peer_send(p, &one);
	peer_expect_good(p, itt_one);
	peer_expect_good(p, itt_two);
	peer_read(p, 9, 1, now);
	EXPECT(!memcmp(now, second, BLOCK), "the commands ran in the order of arrival");
}

static void immediate_commands(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL);
	struct peer_cmd c = {.immediate = true};
	uint32_t exp;

	peer_ping(p, 0);
	exp = p->expcmdsn;
	for (unsigned i = 0; i < 20; i++)
		peer_expect_good(p, peer_send_cmd(p, &c));
	EXPECT_EQ(p->expcmdsn, exp); /* they use up no number */
	EXPECT_EQ(p->expcmdsn, p->cmdsn);
	round_trip(p, 0, 8, 1);
}

/* With their data withheld, no more than 128 commands fit; then all of them end well. */
static void window_is_bounded(struct daemon *d)
{
	enum { MOST = 200, LEN = 8 * BLOCK };
	struct peer *p = daemon_peer(d, NULL);
	struct peer_r2t *r2ts = scene_alloc(MOST * sizeof(*r2ts));
	uint8_t *buf = scene_alloc(MOST * LEN), *now = scene_alloc(MOST * LEN);
	unsigned n = 0, n_r2ts = 0;
	struct peer_pdu pdu;

	pattern(buf, MOST * LEN, 1, 0);
	while (n < MOST) {
		if ((int32_t)(p->maxcmdsn - p->cmdsn) >= 0) {
			peer_send_write(p, n * 8, 8);
			n++;
		}
		if (peer_poll(p, &pdu, (int32_t)(p->maxcmdsn - p->cmdsn) >= 0 ? 0 : 300) !=
			PEER_GOT) {
			if ((int32_t)(p->maxcmdsn - p->cmdsn) < 0)
				break;
			continue;
		}
		EXPECT_EQ(pdu_get(&pdu, OPCODE), PEER_R2T);
		r2ts[n_r2ts++] = (struct peer_r2t){.itt = (uint32_t)pdu_get(&pdu, ITT),
			.ttt = (uint32_t)pdu_get(&pdu, TTT),
			.length = (uint32_t)pdu_get(&pdu, DESIRED),
			.lun = p->lun};
	}
	EXPECT(n >= 2 && n <= PEER_WINDOW, "%u commands are under way", n);
	for (unsigned i = 0, good = 0; good < n;) {
		uint32_t first = p->next_itt - n; /* the ITTs were given in order */

		if (i < n_r2ts) {
			peer_answer(p, &r2ts[i], buf + (r2ts[i].itt - first) * LEN);
			i++;
			continue;
		}
		peer_recv(p, &pdu);
		if (pdu_get(&pdu, OPCODE) == PEER_R2T) {
			r2ts[n_r2ts++] = (struct peer_r2t){.itt = (uint32_t)pdu_get(&pdu, ITT),
				.ttt = (uint32_t)pdu_get(&pdu, TTT),
				.length = (uint32_t)pdu_get(&pdu, DESIRED),
				.lun = p->lun};
			continue;
		}
		EXPECT(pdu_get(&pdu, OPCODE) == PEER_RESPONSE && pdu_get(&pdu, STATUS) == 0,
			"got %s", peer_describe(&pdu));
		good++;
	}
	peer_read(p, 0, n * 8, now);
	pattern_expect(now, n * LEN, 1, 0);
}

static void pipelined(struct daemon *d)
{
	enum { LEN = 64 << 10 };
	struct peer_params want = peer_params_default();
	struct peer_task *tasks = scene_alloc(ITEMS * sizeof(*tasks));
	uint8_t *out = scene_alloc(ITEMS * LEN), *in = scene_alloc(ITEMS * LEN);
	struct peer *p;

	want.immediate_data = true;
	want.first_burst = 8192;
	want.max_r2t = 4;
	p = daemon_peer(d, &want);
	for (unsigned round = 0; round < 4; round++) {
		pattern(out, ITEMS * LEN, round, 0);
		for (unsigned write = 2; write--;) {
			for (unsigned i = 0; i < ITEMS; i++) {
				peer_task_rw(&tasks[i], write, i * LEN / BLOCK + 1, LEN / BLOCK,
					(write ? out : in) + i * LEN);
				peer_start(p, &tasks[i]);
			}
			peer_wait_all(p);
			for (unsigned i = 0; i < ITEMS; i++)
				EXPECT(tasks[i].st.status == 0, "task %u: status 0x%02x", i,
					tasks[i].st.status);
		}
		pattern_expect(in, ITEMS * LEN, round, 0);
	}
	peer_logout(p);
}

/* As many R2Ts as were agreed come without a byte of data; their windows are answered last first.
 */
static void r2ts_outstanding(struct daemon *d)
{
	static const uint32_t agreed[] = {1, 3, 8, 32};
	enum { LEN = 256 << 10, WINDOW = 8192 };

	for (unsigned i = 0; i < sizeof(agreed) / sizeof(agreed[0]); i++) {
		struct peer_params want = peer_params_default();
		uint8_t *out = scene_alloc(LEN), *in = scene_alloc(LEN);
		struct peer_r2t r[32];
		struct peer *p;
		uint32_t itt;

		want.max_burst = want.first_burst = WINDOW;
		want.max_r2t = agreed[i];
		p = daemon_peer(d, &want);
		EXPECT_EQ(p->params.max_r2t, agreed[i]); /* up to 32 are offered */
		pattern(out, LEN, agreed[i], 0);
		itt = peer_send_write(p, 0, LEN / BLOCK);
		for (uint32_t at = 0, k; at < LEN;) {
			for (k = 0; k < agreed[i] && at < LEN; k++) {
				peer_expect_r2t(p, itt, &r[k]);
				EXPECT_EQ(r[k].offset, at);
				at += r[k].length;
			}
			if (at == agreed[i] * WINDOW)
				peer_expect_nothing(p, 50);
			while (k--)
				peer_answer(p, &r[k], out);
		}
		peer_expect_good(p, itt);
		peer_read(p, 0, LEN / BLOCK, in);
		pattern_expect(in, LEN, agreed[i], 0);
		peer_logout(p);
	}
}

/* --- ping, text, logout, task management --- */
static void pings(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL);
	struct peer_pdu pdu;

	peer_ping(p, 0);
	peer_ping(p, 1);
	peer_ping(p, 4095);
	peer_ping(p, 65536);
	/* ITT 0xffffffff wants no answer (11.18) */
	peer_pdu(p, &pdu, PEER_NOP_OUT | PEER_IMMEDIATE, PEER_F, PEER_NONE, "quiet", 5);
	pdu_set(&pdu, TTT, PEER_NONE);
	peer_send(p, &pdu);
	peer_expect_nothing(p, 150);
	/* and one that takes a number */
	peer_pdu(p, &pdu, PEER_NOP_OUT, PEER_F, peer_itt(p), "ping", 4);
	pdu_set(&pdu, TTT, PEER_NONE);
	p->cmdsn++;
	peer_send(p, &pdu);
	peer_expect(p, &pdu, PEER_NOP_IN);
	EXPECT(pdu.data_len == 4 && !memcmp(pdu.data, "ping", 4), "another echo");
	EXPECT_EQ(p->expcmdsn, p->cmdsn);
}

static void text_in_full_feature(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL);
	const char *name;

	peer_ask(p, "SendTargets=\n"); /* the empty value: this session's target (appendix C) */
	name = peer_said(p, "TargetName");
	EXPECT(name && !strcmp(name, d->iqn), "TargetName is %s", name ? name : "missing");
	peer_ask(p, "X-strange=1\n");
	EXPECT(peer_said(p, "X-strange") && !strcmp(peer_said(p, "X-strange"), "NotUnderstood"),
		"an unknown key is not answered so");
	round_trip(p, 0, 8, 1);
}

/* Texts that ask for nothing this side could give: a Reject each, and the connection stays. */
static void text_of_nonsense(struct daemon *d)
{
	static const char *const nonsense[] = {"SendTargetsPlease=All\n", "SendTargets=Alle\n",
		"SendTargets=A\n", "sENDtARGETS=aLL\n", "SendTargets", "MaxBurstLength=512\n"};
	struct peer *p = daemon_peer(d, NULL);

	for (unsigned i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
		char text[64];
		struct peer_pdu pdu;
		uint32_t len = strchr(nonsense[i], '\n')
				       ? peer_text(text, sizeof(text), nonsense[i])
				       : (uint32_t)strlen(strcpy(text, nonsense[i]));

		peer_pdu(p, &pdu, PEER_TEXT, PEER_F, peer_itt(p), text, len);
		pdu_set(&pdu, TTT, PEER_NONE);
		p->cmdsn++;
		peer_send(p, &pdu);
		peer_expect(p, &pdu, PEER_REJECT);
		EXPECT_EQ(pdu_get(&pdu, RESPONSE), 4); /* protocol error */
		peer_ask(p, "SendTargets=All\n");
		EXPECT(peer_said(p, "TargetName"), "the target is not told");
	}
	peer_ask(p, "Colour=blue\nMaxRecvDataSegmentLength=8192\n");
	EXPECT(peer_said(p, "Colour") && !strcmp(peer_said(p, "Colour"), "NotUnderstood"),
		"beside a known key an unknown one is answered");
	round_trip(p, 0, 8, 1);
}

static void logout_reasons(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL);

	EXPECT_EQ(peer_try_logout(p, 2, p->cid), 2);      /* recovery: not supported at level 0 */
	EXPECT_EQ(peer_try_logout(p, 1, p->cid + 7u), 1); /* CID not found */
	round_trip(p, 0, 8, 1);
	EXPECT_EQ(peer_try_logout(p, 1, p->cid), 0); /* this connection */
	peer_expect_close(p);
	p = daemon_peer(d, NULL);
	peer_logout(p);
}

static void task_management(struct daemon *d)
{
	static const uint8_t unsupported[] = {0, 3, 14, 63};
	struct peer *p = daemon_peer(d, NULL);
	uint64_t lun = p->lun;

	/* ABORT TASK of a task long gone: 1, the task does not exist */
	EXPECT_EQ(peer_expect_tmf(p, peer_send_tmf(p, 1, 0x1234, p->cmdsn - 1)), 1);
	EXPECT_EQ(
		peer_expect_tmf(p, peer_send_tmf(p, 5, PEER_NONE, 0)), 0); /* LOGICAL UNIT RESET */
	peer_settle(p);
	p->lun = (uint64_t)99 << 48;
	EXPECT_EQ(peer_expect_tmf(p, peer_send_tmf(p, 5, PEER_NONE, 0)), 2); /* no such LUN */
	p->lun = lun;
	for (unsigned i = 0; i < sizeof(unsupported); i++) {
		uint8_t got = peer_expect_tmf(p, peer_send_tmf(p, unsupported[i], PEER_NONE, 0));

		EXPECT(got == 5, "function %u is answered with %u", unsupported[i], got);
	}
	round_trip(p, 0, 8, 1);
}

static void no_such_lun(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL);
	struct peer_cmd c = {0};

	p->lun = (uint64_t)77 << 48;
	peer_expect_sense(p, peer_send_cmd(p, &c), 5, 0x25, 0);
	peer_expect_sense(p, peer_send_write(p, 0, 8), 5, 0x25, 0);
}

static const struct scene_case cases[] = {
	CASE(variations_all_asked_for),
	CASE(variations_immediate_data),
	CASE(variations_unsolicited),
	CASE(variations_immediate_and_unsolicited),
	CASE(sizes_up_to_16_mib),
	CASE(above_16_mib, .ours = true),
	CASE(outside_the_disk),
	CASE(status_in_the_last_data_in),
	CASE(underflow),
	CASE(overflow),
	CASE(command_order),
	CASE(immediate_commands),
	CASE(window_is_bounded),
	CASE(pipelined),
	CASE(r2ts_outstanding),
	CASE(pings),
	CASE(text_in_full_feature),
	CASE(text_of_nonsense),
	CASE(logout_reasons),
	CASE(task_management),
	CASE(no_such_lun),
};
SCENES(cases)
