/* effect.c - what each task management function does to whom: running tasks, unit attentions, reservations, what prevents
 * removal, mode parameters; of the nexus that asks and of another one, at the unit that is named and at another one
 * (RFC 7143 11.5.1, RFC 7144 4, SAM-5 6.3, 7). A row a function; every cell is looked at. (function.c has what a function
 * answers, and to what nonsense.) */
#include "ask.h"

enum { N_BLOCKS = 16, LEN = N_BLOCKS * 512, KEY = 0x77, N_UNITS = 2 };
enum { RESET_UA = SENSE(6, 0x29, 3), LOSS_UA = SENSE(6, 0x29, 7), MODE_UA = SENSE(6, 0x2a, 1) };
enum side { OWN, OTHER, N_SIDES };

/* clang-format off */
/* ends: tasks at this unit, at the other unit, of the asker and of another nexus.   ua: what each learns, likewise.
 * own6, other6: RESERVE of the asker, of the other nexus ends.   allow: who may eject although the asker, the other nexus
 * had prevented it.   mode: parameters are as in the beginning again. */
static const struct row {
	const char *name;
	uint8_t function, answer;
	bool ends[N_SIDES][N_UNITS];
	unsigned ua[N_SIDES][N_UNITS];
	bool reserve[N_SIDES], allow[N_SIDES], mode;
} rows[] = {
	{"ABORT TASK",              1, 0, {{1, 0}, {0, 0}}},
	{"ABORT TASK SET",          2, 0, {{1, 0}, {0, 0}}},
	{"CLEAR ACA",               3, 5, {{0, 0}, {0, 0}}},
	{"CLEAR TASK SET",          4, 0, {{1, 0}, {0, 0}}}, /* TST 001b: a set a nexus */
	{"LOGICAL UNIT RESET",      5, 0, {{1, 0}, {1, 0}}, {{RESET_UA, 0}, {RESET_UA, 0}}, {1, 1}, {1, 1}, 1},
	{"TARGET WARM RESET",       6, 0, {{1, 1}, {1, 1}}, {{RESET_UA, RESET_UA}, {RESET_UA, RESET_UA}}, {1, 1}, {1, 1}, 1},
	{"TASK REASSIGN",           8, 4, {{0, 0}, {0, 0}}},
	{"QUERY TASK",              9, 7, {{0, 0}, {0, 0}}},
	{"QUERY TASK SET",         10, 7, {{0, 0}, {0, 0}}},
	{"I_T NEXUS RESET",        11, 0, {{1, 1}, {0, 0}}, {{LOSS_UA, LOSS_UA}, {0, 0}}, {1, 0}, {1, 0}, 0},
	{"QUERY ASYNCHRONOUS EVENT", 12, 0, {{0, 0}, {0, 0}}},
	{"nothing known",          77, 5, {{0, 0}, {0, 0}}},
};
/* clang-format on */
enum { N_ROWS = sizeof(rows) / sizeof(rows[0]) };

static const char *const side_names[] = {"its own", "the other's"};

static struct peer *modern_peer(struct daemon *d)
{
	struct peer_params want = peer_params_default();
	struct peer *p = daemon_connect(d);

	EXPECT_EQ(peer_try_login(p, 1, &want, "iSCSIProtocolLevel=2\n"), 0);
	daemon_settle(d, p);
	return p;
}

static uint8_t call(struct peer *p, uint8_t function, uint32_t itt, uint32_t cmdsn)
{
	return peer_expect_tmf(p, peer_send_tmf(p, function, itt, cmdsn));
}

static void cold_reset(struct daemon *d, struct peer *sides[])
{
	EXPECT_EQ(call(sides[OWN], 7, PEER_NONE, 0), 0);
	for (enum side s = 0; s < N_SIDES; s++) {
		peer_expect_close(sides[s]);
		peer_close(sides[s]);
	}
	for (enum side s = 0; s < N_SIDES; s++)
		sides[s] = modern_peer(d);
}

/* --- tasks and unit attentions --- */

struct open_write {
	uint32_t itt, cmdsn;
	struct peer_r2t r;
};

static void open_writes(struct peer *p, struct open_write w[N_UNITS])
{
	for (unsigned u = 0; u < N_UNITS; u++) {
		at_unit(p, u);
		w[u].cmdsn = p->cmdsn;
		w[u].itt = peer_send_write(p, 0, N_BLOCKS);
		peer_expect_r2t(p, w[u].itt, &w[u].r);
	}
	at_unit(p, 0);
}

/* Its data comes whatever has become of it: what was ended says nothing, all others are GOOD. */
static void close_writes(
	struct peer *p, struct open_write w[N_UNITS], const bool ends[N_UNITS], const uint8_t *data)
{
	for (unsigned u = 0; u < N_UNITS; u++) {
		peer_answer(p, &w[u].r, data);
		if (!ends[u])
			peer_expect_good(p, w[u].itt);
	}
	peer_ping(p, 3);
}

static void tasks_and_attentions(struct daemon *d)
{
	struct peer *sides[N_SIDES] = {modern_peer(d), modern_peer(d)};
	uint8_t *data = scene_alloc(LEN);
	struct open_write w[N_SIDES][N_UNITS];

	for (unsigned i = 0; i < N_ROWS; i++) {
		const struct row *r = &rows[i];
		uint8_t answer;

		for (enum side s = 0; s < N_SIDES; s++)
			open_writes(sides[s], w[s]);
		answer = call(sides[OWN], r->function, w[OWN][0].itt, w[OWN][0].cmdsn);
		EXPECT(answer == r->answer, "%s is answered with %u", r->name, answer);
		for (enum side s = 0; s < N_SIDES; s++)
			close_writes(sides[s], w[s], r->ends[s], data);
		for (enum side s = 0; s < N_SIDES; s++) {
			for (unsigned u = 0; u < N_UNITS; u++) {
				unsigned end;

				at_unit(sides[s], u);
				end = ready(sides[s]);
				EXPECT(end == r->ua[s][u], "%s: %s unit %u says %06x", r->name,
					side_names[s], u, end);
				EXPECT_EQ(r->ua[s][u] ? ready(sides[s]) : 0, 0);
			}
			at_unit(sides[s], 0);
		}
	}
}

/* TAS (SPC-4 7.5.10): what another nexus has ended says so by its status, and only that. The mode parameters go back in
 * the same reset, and so it is set anew for each. */
static void set_tas(struct peer *p, bool on)
{
	uint8_t list[4 + 12] = {0}, page[64];

	EXPECT_EQ(ask(p, CDB(0x1a, 8, 0x0a, [4] = 64), IN, page, sizeof(page)), 0);
	memcpy(list + 4, page + 4, 12);
	list[9] = (uint8_t)((list[9] & ~0x40) | (on ? 0x40 : 0));
	EXPECT_EQ(ask(p, CDB(0x15, 0x10, [4] = sizeof(list)), OUT, list, sizeof(list)), 0);
}

static void task_aborted_status(struct daemon *d)
{
	struct peer *sides[N_SIDES] = {modern_peer(d), modern_peer(d)};
	uint8_t *data = scene_alloc(LEN);

	for (unsigned i = 0; i < N_ROWS; i++) {
		const struct row *r = &rows[i];
		struct open_write w[N_SIDES][N_UNITS];
		struct peer_status st;

		set_tas(sides[OWN], true); /* of unit 0 alone */
		while (ready(sides[OTHER]) >> 16 == 6)
			;
		for (enum side s = 0; s < N_SIDES; s++)
			open_writes(sides[s], w[s]);
		EXPECT_EQ(call(sides[OWN], r->function, w[OWN][0].itt, w[OWN][0].cmdsn), r->answer);
		if (r->ends[OTHER][0]) {
			peer_expect_status(sides[OTHER], w[OTHER][0].itt, &st);
			EXPECT(st.status == 0x40 && !st.sense_len, "%s: status %02x", r->name,
				st.status);
		}
		for (enum side s = 0; s < N_SIDES; s++)
			close_writes(sides[s], w[s], r->ends[s], data);
		for (enum side s = 0; s < N_SIDES; s++) {
			for (unsigned u = 0; u < N_UNITS; u++) {
				at_unit(sides[s], u);
				while (ready(sides[s]) >> 16 == 6)
					;
			}
			at_unit(sides[s], 0);
		}
	}
}

/* --- what a nexus holds of a unit --- */

/* told - TEST UNIT READY until there is no unit attention any more. */
static unsigned told(struct peer *p)
{
	unsigned end;

	do
		end = ready(p);
	while (end >> 16 == 6);
	return end;
}

static void reservations(struct daemon *d)
{
	struct peer *sides[N_SIDES] = {modern_peer(d), modern_peer(d)};

	for (unsigned i = 0; i <= N_ROWS; i++) {
		for (enum side s = 0; s < N_SIDES; s++) {
			bool ends = i == N_ROWS || rows[i].reserve[s];
			unsigned end;

			EXPECT_EQ(ask(sides[s], CDB(0x56), NO_DATA, NULL, 0), 0);
			if (i == N_ROWS)
				cold_reset(d, sides);
			else
				call(sides[OWN], rows[i].function, PEER_NONE,
					sides[OWN]->cmdsn - 1);
			end = told(sides[!s]);
			EXPECT(end == (ends ? 0 : CONFLICT), "%s: RESERVE of %s side: %08x",
				i == N_ROWS ? "TARGET COLD RESET" : rows[i].name, side_names[s],
				end);
			EXPECT_EQ(told(sides[s]), 0);
			EXPECT_EQ(ask(sides[s], CDB(0x57), NO_DATA, NULL, 0), 0);
		}
	}
}

/* SPC-4 5.12.1: no reset and no loss of a nexus touches these; the key is that of the port, and is there again with it. */
static void persistent_reservations(struct daemon *d)
{
	struct peer *sides[N_SIDES] = {modern_peer(d), modern_peer(d)}, *again;
	uint8_t *buf = scene_alloc(1024);
	struct peer_params want = peer_params_default();

	EXPECT_EQ(pr_out(sides[OTHER], PR_IGNORE, 0, 0, KEY, 0), 0);
	EXPECT_EQ(pr_out(sides[OTHER], PR_RESERVE, 3, KEY, 0, 0), 0);
	for (unsigned i = 0; i < N_ROWS; i++) {
		call(sides[OWN], rows[i].function, PEER_NONE, sides[OWN]->cmdsn - 1);
		EXPECT_EQ(told(sides[OWN]), 0);
		EXPECT_EQ(ask(sides[OWN], CDB(0x28, [8] = 1), IN, buf, 512), CONFLICT);
		call(sides[OTHER], rows[i].function, PEER_NONE, sides[OTHER]->cmdsn - 1);
		EXPECT_EQ(told(sides[OTHER]), 0);
		EXPECT_EQ(ask(sides[OTHER], CDB(0x28, [8] = 1), IN, buf, 512), 0);
		EXPECT_EQ(told(sides[OWN]), 0);
	}
	again = daemon_connect(d);
	again->isid = sides[OTHER]->isid;
	cold_reset(d, sides);
	EXPECT_EQ(ask(sides[OWN], CDB(0x28, [8] = 1), IN, buf, 512), CONFLICT);
	EXPECT_EQ(ask(sides[OTHER], CDB(0x28, [8] = 1), IN, buf, 512), CONFLICT); /* another port */
	peer_login(again, &want);
	peer_settle(again);
	EXPECT_EQ(ask(again, CDB(0x28, [8] = 1), IN, buf, 512), 0);
	EXPECT_EQ(pr_out(again, PR_RELEASE, 3, KEY, 0, 0), 0);
	EXPECT_EQ(ask(sides[OWN], CDB(0x28, [8] = 1), IN, buf, 512), 0);
}

static void prevention(struct daemon *d)
{
	struct peer *sides[N_SIDES] = {modern_peer(d), modern_peer(d)};

	for (unsigned i = 0; i <= N_ROWS; i++) {
		for (enum side s = 0; s < N_SIDES; s++) {
			bool may = i == N_ROWS || rows[i].allow[s];
			unsigned end;

			EXPECT_EQ(ask(sides[s], CDB(0x1e, [4] = 1), NO_DATA, NULL, 0), 0);
			if (i == N_ROWS)
				cold_reset(d, sides);
			else
				call(sides[OWN], rows[i].function, PEER_NONE,
					sides[OWN]->cmdsn - 1);
			EXPECT_EQ(told(sides[OWN]), 0);
			EXPECT_EQ(told(sides[OTHER]), 0);
			end = ask(sides[!s], CDB(0x1b, [4] = 2), NO_DATA, NULL, 0);
			EXPECT(end == (may ? 0 : SENSE(5, 0x53, 2)),
				"%s: prevented by %s side: %06x",
				i == N_ROWS ? "TARGET COLD RESET" : rows[i].name, side_names[s],
				end);
			EXPECT_EQ(ask(sides[!s], CDB(0x1b, [4] = 3), NO_DATA, NULL, 0),
				may ? 0 : SENSE(5, 0x53, 2));
			EXPECT_EQ(told(sides[s]), 0);
			EXPECT_EQ(ask(sides[s], CDB(0x1e), NO_DATA, NULL, 0), 0);
		}
	}
}

/* select_d_sense - what the page says, but for this bit; false: it says so already. */
static bool select_d_sense(struct peer *p, bool on)
{
	uint8_t list[4 + 12] = {0}, page[64];

	EXPECT_EQ(ask(p, CDB(0x1a, 8, 0x0a, [4] = 64), IN, page, sizeof(page)), 0);
	if (!(page[6] & 0x04) == !on)
		return false;
	memcpy(list + 4, page + 4, 12);
	list[6] ^= 0x04;
	EXPECT_EQ(ask(p, CDB(0x15, 0x10, [4] = sizeof(list)), OUT, list, sizeof(list)), 0);
	return true;
}

/* D_SENSE, which nobody keeps: a reset of the unit takes it back, and 29h says so. */
static void mode_parameters(struct daemon *d)
{
	struct peer *sides[N_SIDES] = {modern_peer(d), modern_peer(d)};

	for (unsigned i = 0; i <= N_ROWS; i++) {
		bool back = i == N_ROWS || rows[i].mode;
		const char *name = i == N_ROWS ? "TARGET COLD RESET" : rows[i].name;
		unsigned end;

		EXPECT(select_d_sense(sides[OTHER], true), "%s: it was set before", name);
		end = ready(sides[OWN]);
		EXPECT(end == MODE_UA, "%s: the asker is told %06x", name, end);
		if (i == N_ROWS)
			cold_reset(d, sides);
		else
			call(sides[OWN], rows[i].function, PEER_NONE, sides[OWN]->cmdsn - 1);
		end = ready(sides[OTHER]);
		EXPECT(end == (i < N_ROWS && back ? RESET_UA : 0),
			"%s: the other side is told %06x", name, end);
		EXPECT_EQ(ready(sides[OTHER]), 0);
		EXPECT_EQ(told(sides[OWN]), 0);
		EXPECT(select_d_sense(sides[OTHER], false) == !back, "%s: the parameters", name);
		EXPECT_EQ(told(sides[OWN]), 0);
	}
}

static const struct scene_case cases[] = {
	CASE(tasks_and_attentions, .args = {"--ram", "16M"}, .ram = "16M", .ours = true),
	CASE(task_aborted_status, .args = {"--ram", "16M"}, .ram = "16M", .ours = true),
	CASE(reservations, .args = {"--ram", "16M"}, .ram = "16M", .ours = true),
	CASE(persistent_reservations, .args = {"--ram", "16M"}, .ram = "16M", .ours = true),
	CASE(prevention, .args = {"--ram", "16M"}, .ram = "16M,removable", .ours = true),
	CASE(mode_parameters, .args = {"--ram", "16M"}, .ram = "16M", .ours = true),
	{.name = "task_aborted_status_two_reactors",
		.run = task_aborted_status,
		.args = {"--threads", "2", "--ram", "16M"},
		.ram = "16M",
		.ours = true},
	{.name = "two_reactors",
		.run = tasks_and_attentions,
		.args = {"--threads", "2", "--ram", "16M"},
		.ram = "16M",
		.ours = true},
};
SCENES(cases)
