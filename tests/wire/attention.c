/* attention.c - what a new session is told first (SAM-5 5.14, 6.2): POWER ON, RESET, OR BUS DEVICE RESET OCCURRED, once at
 * each unit, whatever it asks first; what asks without being told, and what hears of it otherwise. */
#include "ask.h"

enum { N_UNITS = 3, BLOCK = 512, ROOM = 512 };
#define POWER_ON SENSE(6, 0x29, 0)
#define RESET    SENSE(6, 0x29, 3)

static struct peer *newcomer(const struct daemon *d)
{
	struct peer_params want = peer_params_default();
	struct peer *p = daemon_connect(d);

	peer_login(p, &want);
	return p;
}

/* clang-format off */
static const struct row {
	const char *name;
	uint8_t cdb[16];
	enum way way;
	uint32_t len;
	unsigned end; /* when there is no attention any more */
} told[] = {
	{"TEST UNIT READY",     {0x00},                             NO_DATA, 0,     0},
	{"READ(10)",            {0x28, [8] = 1},                    IN,      BLOCK, 0},
	{"READ(16)",            {0x88, [13] = 1},                   IN,      BLOCK, 0},
	{"SYNCHRONIZE CACHE",   {0x35},                             NO_DATA, 0,     0},
	{"READ CAPACITY(10)",   {0x25},                             IN,      8,     0},
	{"READ CAPACITY(16)",   {0x9e, 0x10, [13] = 32},            IN,      32,    0},
	{"MODE SENSE(6)",       {0x1a, 0, 0x3f, [4] = 255},         IN,      255,   0},
	{"MODE SELECT(6)",      {0x15, 0x10},                       NO_DATA, 0,     0},
	{"LOG SENSE",           {0x4d, 0, 0x40, [8] = 64},          IN,      64,    0},
	{"START STOP UNIT",     {0x1b, [4] = 1},                    NO_DATA, 0,     0},
	{"PREVENT ALLOW",       {0x1e},                             NO_DATA, 0,     0},
	{"RELEASE(6)",          {0x17},                             NO_DATA, 0,     0},
	{"READ KEYS",           {0x5e, 0, [8] = 64},                IN,      64,    0},
	{"REPORT GROUPS",       {0xa3, 0x0a, [9] = 64},             IN,      64,    0},
	{"OPERATION CODES",     {0xa3, 0x0c, 0x01, 0x28, [9] = 64}, IN,      64,    0},
	{"COPY PARAMETERS",     {0x84, 0x03, [12] = 255},           IN,      255,   0},
	{"a bit that is wrong", {0x28, 0xff, [8] = 1},              IN,      BLOCK, SENSE(5, 0x24, 0)},
	{"behind the end",      {0x28, 0, 0x7f, [8] = 1},           IN,      BLOCK, SENSE(5, 0x21, 0)},
	{"no such command",     {0xff},                             NO_DATA, 0,     SENSE(5, 0x20, 0)},
}, not_told[] = {
	{"INQUIRY",             {0x12, [4] = 96},                   IN,      96,    0},
	{"INQUIRY of a page",   {0x12, 1, 0x83, [4] = 255},         IN,      255,   0},
	{"a page that is not",  {0x12, 1, 0xfe, [4] = 255},         IN,      255,   SENSE(5, 0x24, 0)},
	{"REPORT LUNS",         {0xa0, [9] = 255},                  IN,      255,   0},
};
/* clang-format on */

static void expect_end(struct peer *p, const struct row *r, unsigned want, const char *when)
{
	uint8_t buf[ROOM];
	unsigned end = ask(p, r->cdb, r->way, buf, r->len);

	EXPECT(end == want, "%s %s: %06x, expected %06x", r->name, when, end, want);
}

/* Units are fixed, removable and write-protected; the first command of each may be any. */
static void whatever_comes_first(struct daemon *d)
{
	for (unsigned i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
		struct peer *p = newcomer(d);

		for (unsigned u = 0; u < N_UNITS; u++) {
			at_unit(p, u);
			expect_end(p, &told[i], POWER_ON, "as the first");
		}
		for (unsigned u = 0; u < N_UNITS; u++) {
			at_unit(p, u);
			expect_end(p, &told[i], told[i].end, "as the second");
		}
		peer_logout(p);
	}
}

static void passes_and_leaves_it(struct daemon *d)
{
	for (unsigned i = 0; i < sizeof(not_told) / sizeof(not_told[0]); i++) {
		struct peer *p = newcomer(d);

		expect_end(p, &not_told[i], not_told[i].end, "as the first");
		expect_end(p, &not_told[i], not_told[i].end, "as the second");
		EXPECT_EQ(ready(p), POWER_ON);
		EXPECT_EQ(ready(p), 0);
		peer_logout(p);
	}
}

/* It is in the data of REQUEST SENSE, which ends with GOOD, at this unit only. */
static void asked_for(struct daemon *d)
{
	struct peer *p = newcomer(d);
	uint8_t sense[18];

	EXPECT_EQ(ask(p, CDB(0x03, [4] = 18), IN, sense, sizeof(sense)), 0);
	EXPECT(sense[2] == 6 && get_be(sense + 12, 2) == 0x2900, "sense %x/%02x/%02x", sense[2],
		sense[12], sense[13]);
	EXPECT_EQ(ask(p, CDB(0x03, [4] = 18), IN, sense, sizeof(sense)), 0);
	EXPECT(sense[2] == 0 && get_be(sense + 12, 2) == 0, "again: %x/%02x/%02x", sense[2],
		sense[12], sense[13]);
	EXPECT_EQ(ready(p), 0);
	at_unit(p, 1);
	EXPECT_EQ(ready(p), POWER_ON);
	at_unit(p, N_UNITS); /* where no unit is nothing was switched on */
	EXPECT_EQ(ready(p), SENSE(5, 0x25, 0));
}

/* Two ports are two nexuses: each is told, whatever the other has heard. */
static void each_session_by_itself(struct daemon *d)
{
	struct peer *a = newcomer(d), *b = newcomer(d), *late;

	EXPECT_EQ(ready(a), POWER_ON);
	EXPECT_EQ(ready(a), 0);
	late = newcomer(d);
	EXPECT_EQ(ready(a), 0);
	EXPECT_EQ(ready(b), POWER_ON);
	EXPECT_EQ(ready(b), 0);
	EXPECT_EQ(ready(late), POWER_ON);
	EXPECT_EQ(ready(late), 0);
}

/* A port that comes again, however it went, is a nexus that was lost: the same word. */
static void comes_again(struct daemon *d)
{
	struct peer *p = newcomer(d), *again;

	for (unsigned i = 0; i < 3; i++) {
		EXPECT_EQ(ready(p), POWER_ON);
		EXPECT_EQ(ready(p), 0);
		again = daemon_connect(d);
		again->isid = p->isid;
		if (i == 0)
			peer_logout(p);
		else if (i == 1)
			peer_reset(p);
		peer_login(again, &(struct peer_params){true, false, 1, 65536, 65536,
					  65536}); /* i == 2: reinstated */
		if (i == 2) {
			peer_expect_close(p);
			peer_close(p);
		}
		p = again;
	}
	EXPECT_EQ(ready(p), POWER_ON);
	EXPECT_EQ(ready(p), 0);
}

/* It outweighs what happens before it is told, and takes nothing of that along. */
static void before_all_others(struct daemon *d)
{
	struct peer *a = daemon_peer(d, NULL), *p = newcomer(d);

	EXPECT_EQ(peer_expect_tmf(a, peer_send_tmf(a, 5, PEER_NONE, 0)), 0);
	EXPECT_EQ(ready(p), POWER_ON);
	EXPECT_EQ(ready(p), RESET);
	EXPECT_EQ(ready(p), 0);
}

/* A write that is told so was not begun, whichever way its data comes. */
static void nothing_is_begun(struct daemon *d)
{
	struct peer *a = daemon_peer(d, NULL);
	struct peer_params wants[] = {peer_params_default(), peer_params_default()};
	uint8_t old[8 * BLOCK], fresh[8 * BLOCK], now[8 * BLOCK];

	wants[1].immediate_data = true;
	wants[1].initial_r2t = false;
	pattern(old, sizeof(old), 1, 0);
	pattern(fresh, sizeof(fresh), 2, 0);
	peer_write(a, 0, 8, old);
	for (unsigned w = 0; w < 2; w++) {
		struct peer *p = daemon_connect(d);

		peer_login(p, &wants[w]);
		EXPECT_EQ(ask(p, CDB(0x2a, [8] = 8), OUT, fresh, sizeof(fresh)), POWER_ON);
		peer_read(a, 0, 8, now);
		pattern_expect(now, sizeof(now), 1, 0);
		EXPECT_EQ(ask(p, CDB(0x2a, [8] = 8), OUT, fresh, sizeof(fresh)), 0);
		peer_read(a, 0, 8, now);
		pattern_expect(now, sizeof(now), 2, 0);
		peer_write(a, 0, 8, old);
		peer_logout(p);
	}
}

/* Of a dozen commands under way at once one is told, the others are carried out. */
static void one_of_many(struct daemon *d)
{
	struct peer *p = newcomer(d);
	struct peer_task t[12];
	uint8_t buf[12][BLOCK];
	unsigned n_told = 0;

	for (unsigned i = 0; i < 12; i++) {
		peer_task_rw(&t[i], false, i, 1, buf[i]);
		peer_start(p, &t[i]);
	}
	peer_wait_all(p);
	for (unsigned i = 0; i < 12; i++) {
		unsigned end = end_of(&t[i].st);

		EXPECT(end == 0 || end == POWER_ON, "READ %u ends with %06x", i, end);
		n_told += end != 0;
	}
	EXPECT_EQ(n_told, 1);
}

#define UNITS .args = {"--ram", "1M,removable", "--ram", "1M,ro"}, .ram = "1M", .ours = true
static const struct scene_case cases[] = {
	CASE(whatever_comes_first, UNITS),
	CASE(passes_and_leaves_it, .ours = true),
	CASE(asked_for, UNITS),
	CASE(each_session_by_itself),
	CASE(comes_again, .ours = true),
	CASE(before_all_others),
	CASE(nothing_is_begun),
	CASE(one_of_many),
	{.name = "two_reactors",
		.run = each_session_by_itself,
		.args = {"--threads", "2"},
		.ours = true},
};
SCENES(cases)
