/* attribute.c - task attributes within the task set of one nexus and one unit (SAM-5 8.9): what waits for
 * what. A write whose data does not come is a command that does not end. */
#include <string.h>
#include "scene.h"

enum { SIMPLE = 1, ORDERED, HEAD, ACA };
enum { N_BLOCKS = 16, LEN = N_BLOCKS * 512, MOST = 8 };
enum { ABORT_TASK = 1, LUN_RESET = 5 };

static uint32_t send_ready(struct peer *p, uint8_t attr)
{
	struct peer_cmd c = {.attr = attr};

	return peer_send_cmd(p, &c);
}

static uint32_t send_write(struct peer *p, uint8_t attr, struct peer_r2t *r)
{
	struct peer_cmd c = {.write = true, .edtl = LEN, .attr = attr};
	uint32_t itt;

	cdb_rw(c.cdb, true, 0, N_BLOCKS);
	itt = peer_send_cmd(p, &c);
	peer_expect_r2t(p, itt, r);
	return itt;
}

/* The next PDU is the status, GOOD, of this command. */
static void expect_next(struct peer *p, uint32_t itt)
{
	struct peer_pdu pdu;

	peer_expect(p, &pdu, PEER_RESPONSE);
	EXPECT_EQ(pdu_get(&pdu, ITT), itt);
	EXPECT_EQ(pdu_get(&pdu, STATUS), 0);
}

/* A row: the attribute of a write that stands open, those of the commands behind it, and which of these are answered
 * before its data has come ('+', the others '-'). The others follow it in their order. */
static const struct row {
	uint8_t open, behind[MOST];
	const char *answered;
} rows[] = {
	{SIMPLE, {SIMPLE, SIMPLE}, "++"},
	{SIMPLE, {ORDERED}, "-"},
	{SIMPLE, {SIMPLE, ORDERED, SIMPLE, SIMPLE}, "+---"},
	{SIMPLE, {ORDERED, HEAD}, "-+"},
	{SIMPLE, {ORDERED, SIMPLE, HEAD, ORDERED, HEAD, SIMPLE}, "--+-+-"},
	{SIMPLE, {HEAD, SIMPLE, HEAD}, "+++"},
	{ORDERED, {SIMPLE, HEAD, ORDERED, SIMPLE}, "-+--"},
	{ORDERED, {HEAD, HEAD}, "++"},
	{HEAD, {SIMPLE, ORDERED, HEAD, SIMPLE}, "--+-"},
	{HEAD, {HEAD}, "+"},
};

static void run_row(struct daemon *d, const struct row *row)
{
	struct peer *p = daemon_peer(d, NULL), *other = daemon_peer(d, NULL);
	uint8_t *data = scene_alloc(LEN);
	uint32_t itts[MOST], writing;
	size_t n = strlen(row->answered);
	struct peer_r2t r;

	writing = send_write(p, row->open, &r);
	for (size_t i = 0; i < n; i++)
		itts[i] = send_ready(p, row->behind[i]);
	for (size_t i = 0; i < n; i++)
		if (row->answered[i] == '+')
			expect_next(p, itts[i]);
	peer_expect_nothing(p, 60);
	/* Another unit has a set of its own, and so has another nexus. */
	p->lun = 1ull << 48;
	peer_settle(p);
	p->lun = 0;
	peer_expect_good(other, send_ready(other, ORDERED));
	peer_answer(p, &r, data);
	expect_next(p, writing);
	for (size_t i = 0; i < n; i++)
		if (row->answered[i] == '-')
			expect_next(p, itts[i]);
	peer_logout(p);
	peer_logout(other);
}

static void every_row(struct daemon *d)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		scene_note("row %zu", i);
		run_row(d, &rows[i]);
	}
}

/* Who waits goes on when what it waits for is aborted. */
static void abort_of_what_is_in_the_way(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL);
	uint32_t writing, waiting[3];
	uint32_t cmdsn = p->cmdsn;
	struct peer_r2t r;

	writing = send_write(p, ORDERED, &r);
	for (unsigned i = 0; i < 3; i++)
		waiting[i] = send_ready(p, i == 1 ? ORDERED : SIMPLE);
	peer_expect_nothing(p, 60);
	/* and one that waits can be aborted itself */
	EXPECT_EQ(peer_expect_tmf(p, peer_send_tmf(p, ABORT_TASK, waiting[1], cmdsn + 2)), 0);
	peer_expect_nothing(p, 60);
	EXPECT_EQ(peer_expect_tmf(p, peer_send_tmf(p, ABORT_TASK, writing, cmdsn)), 0);
	expect_next(p, waiting[0]);
	expect_next(p, waiting[2]);
}

static void reset_and_gone(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL), *b = daemon_peer(d, NULL);
	struct peer_r2t r;

	for (unsigned round = 0; round < 2; round++) {
		send_write(p, ORDERED, &r);
		for (unsigned i = 0; i < 40; i++)
			send_ready(p, i % 5 ? SIMPLE : ORDERED);
		peer_ping(p, 1); /* all of them have come */
		if (round == 0) {
			EXPECT_EQ(peer_expect_tmf(b, peer_send_tmf(b, LUN_RESET, PEER_NONE, 0)), 0);
			peer_settle(p); /* without an answer of those */
		}
	}
	peer_reset(p);
	peer_settle(b);
}

/* The order is that of CmdSN, not that in which the PDUs came. */
static void held_for_a_gap(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL);
	uint8_t *data = scene_alloc(LEN);
	struct peer_cmd c = {.write = true, .edtl = LEN};
	struct peer_pdu missing;
	uint32_t writing, ordered, simple;
	struct peer_r2t r;

	cdb_rw(c.cdb, true, 0, N_BLOCKS);
	writing = peer_cmd_pdu(p, &missing, &c);
	ordered = send_ready(p, ORDERED);
	simple = send_ready(p, SIMPLE);
	peer_expect_nothing(p, 60);
	peer_send(p, &missing);
	peer_expect_r2t(p, writing, &r);
	peer_expect_nothing(p, 60);
	peer_answer(p, &r, data);
	expect_next(p, writing);
	expect_next(p, ordered);
	expect_next(p, simple);
}

/* Real I/O: an ORDERED read between writes of the same blocks sees the ones before it and none of those behind. */
static void ordered_reads_among_writes(struct daemon *d)
{
	enum { ROUNDS = 12, BLOCKS = 256, BYTES = BLOCKS * 512 };
	struct peer *p = daemon_peer(d, NULL);
	struct peer_task writes[ROUNDS], reads[ROUNDS];

	for (unsigned round = 0; round < 4; round++) {
		for (unsigned i = 0; i < ROUNDS; i++) {
			uint8_t *out = scene_alloc(BYTES);

			pattern(out, BYTES, round * ROUNDS + i, 0);
			peer_task_rw(&writes[i], true, 64, BLOCKS, out);
			peer_task_rw(&reads[i], false, 64, BLOCKS, scene_alloc(BYTES));
			reads[i].cmd.attr = ORDERED;
			peer_start(p, &writes[i]);
			peer_start(p, &reads[i]);
		}
		peer_wait_all(p);
		for (unsigned i = 0; i < ROUNDS; i++) {
			EXPECT_EQ(writes[i].st.status, 0);
			EXPECT_EQ(reads[i].st.status, 0);
			pattern_expect(reads[i].buf, BYTES, round * ROUNDS + i, 0);
		}
	}
}

/* No ACA condition is ever there: the attribute and the NACA bit are refused (SAM-5 8.9.5, SPC-4 6.6.2). */
static void aca_is_refused(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL);
	struct peer_cmd c = {.cdb = {[5] = 0x04}};

	peer_expect_sense(p, send_ready(p, ACA), 5, 0x49, 0);
	peer_expect_sense(p, peer_send_cmd(p, &c), 5, 0x24, 0);
	peer_expect_good(p, send_ready(p, SIMPLE));
}

#define TWO_UNITS .args = {"--ram", "64M"}
static const struct scene_case cases[] = {
	CASE(every_row, TWO_UNITS),
	CASE(abort_of_what_is_in_the_way),
	CASE(reset_and_gone),
	CASE(held_for_a_gap),
	CASE(ordered_reads_among_writes),
	{.name = "ordered_reads_of_a_file", .run = ordered_reads_among_writes, .file = 8 << 20},
	{.name = "ordered_reads_of_a_slow_disk",
		.run = ordered_reads_among_writes,
		.ram = "64M,delay=any:2ms:jitter=uniform"},
	CASE(aca_is_refused),
};
SCENES(cases)
