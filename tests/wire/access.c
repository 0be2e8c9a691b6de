/* access.c - asymmetric access (SPC-4 5.15, 6.37, 6.45): each state, what it lets through, how it is reported and changed,
 * and who is told. */
#include "ask.h"

enum { OPTIMIZED, NON_OPTIMIZED, STANDBY, UNAVAILABLE, N_STATES };
enum { GROUP = 1, ROOM = 255 };
#define CHANGED    SENSE(6, 0x2a, 6)
#define BAD_LIST   SENSE(5, 0x26, 0)
#define BAD_LENGTH SENSE(5, 0x1a, 0)

static const unsigned refused[N_STATES] = {0, 0, SENSE(2, 0x04, 0x0b), SENSE(2, 0x04, 0x0c)};

static unsigned set_state_of(struct peer *p, unsigned state, uint16_t group, struct peer_task *t)
{
	uint8_t list[8] = {[4] = (uint8_t)state};

	put_be(list + 6, 2, group);
	return ask_to(p, CDB(0xa4, 0x0a, [9] = 8), OUT, list, 8, t);
}

static unsigned set_state(struct peer *p, unsigned state)
{
	struct peer_task t;

	return set_state_of(p, state, GROUP, &t);
}

/* clang-format off */
static const struct row {
	const char *name;
	unsigned until; /* the last state that lets it through */
	uint8_t cdb[16];
	enum way way;
	uint32_t len;
} rows[] = { /* 5.15.2.4.2 to 5.15.2.4.5 */
	{"TEST UNIT READY",    NON_OPTIMIZED, {0x00},                             NO_DATA, 0},
	{"READ(10)",           NON_OPTIMIZED, {0x28, [8] = 1},                    IN,      512},
	{"WRITE(10)",          NON_OPTIMIZED, {0x2a, [8] = 1},                    OUT,     512},
	{"VERIFY(10)",         NON_OPTIMIZED, {0x2f, [8] = 1},                    NO_DATA, 0},
	{"SYNCHRONIZE CACHE",  NON_OPTIMIZED, {0x35},                             NO_DATA, 0},
	{"UNMAP",              NON_OPTIMIZED, {0x42},                             NO_DATA, 0},
	{"READ CAPACITY(16)",  NON_OPTIMIZED, {0x9e, 0x10, [13] = 32},            IN,      32},
	{"START",              NON_OPTIMIZED, {0x1b, [4] = 1},                    NO_DATA, 0},
	{"EXTENDED COPY",      NON_OPTIMIZED, {0x83},                             NO_DATA, 0},
	{"MODE SENSE(6)",      STANDBY,       {0x1a, 0, 0x3f, [4] = 255},         IN,      255},
	{"MODE SELECT(6)",     STANDBY,       {0x15, 0x10},                       NO_DATA, 0},
	{"LOG SENSE",          STANDBY,       {0x4d, 0, 0x40, [8] = 64},          IN,      64},
	{"READ KEYS",          STANDBY,       {0x5e, 0, [8] = 64},                IN,      64},
	{"OPERATION CODES",    STANDBY,       {0xa3, 0x0c, 0x01, 0x28, [9] = 64}, IN,      64},
	{"INQUIRY",            UNAVAILABLE,   {0x12, [4] = 96},                   IN,      96},
	{"REPORT LUNS",        UNAVAILABLE,   {0xa0, [9] = 64},                   IN,      64},
	{"REQUEST SENSE",      UNAVAILABLE,   {0x03, [4] = 18},                   IN,      18},
	{"REPORT GROUPS",      UNAVAILABLE,   {0xa3, 0x0a, [9] = 64},             IN,      64},
	{"SET GROUPS",         UNAVAILABLE,   {0xa4, 0x0a},                       NO_DATA, 0},
};
/* clang-format on */

/* REPORT TARGET PORT GROUPS, in both formats: one group, of one port; who changed it last. */
static void expect_reported(struct peer *p, unsigned state, unsigned status)
{
	const uint8_t group[12] = {
		(uint8_t)state, 0x0f, 0, GROUP, 0, (uint8_t)status, 0, 1, 0, 0, 0, 1};
	uint8_t buf[ROOM] = {0};

	EXPECT_EQ(ask(p, CDB(0xa3, 0x0a, [9] = ROOM), IN, buf, ROOM), 0);
	EXPECT_EQ(get_be(buf, 4), 12);
	EXPECT(!memcmp(buf + 4, group, 12), "state %u, status %u are reported as %02x, %02x", state,
		status, buf[4], buf[9]);
	EXPECT_EQ(ask(p, CDB(0xa3, 0x2a, [9] = ROOM), IN, buf, ROOM), 0);
	EXPECT_EQ(get_be(buf, 4), 16);
	EXPECT_EQ(buf[4], 0x10); /* format 1, the extended header */
	EXPECT(!memcmp(buf + 8, group, 12), "otherwise with the extended header");
}

static void each_state(struct daemon *d)
{
	struct peer *a = daemon_peer(d, NULL), *b = daemon_peer(d, NULL);
	uint8_t buf[512];

	expect_reported(a, OPTIMIZED, 0);
	for (unsigned i = 1; i < 2 * N_STATES; i++) { /* all, twice, and back */
		unsigned state = i * 3 % N_STATES;

		EXPECT_EQ(set_state(a, state), 0);
		EXPECT_EQ(ready(b), CHANGED);
		EXPECT_EQ(ready(b), refused[state]);
		EXPECT_EQ(set_state(a, state), 0); /* no change, nobody is told */
		for (unsigned k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
			for (unsigned who = 0; who < 2; who++) {
				unsigned end = ask(who ? b : a, rows[k].cdb, rows[k].way, buf,
						 rows[k].len),
					 want = state <= rows[k].until ? 0 : refused[state];

				EXPECT(end == want, "%s in state %u ends with %06x, expected %06x",
					rows[k].name, state, end, want);
			}
		}
		expect_reported(i % 2 ? a : b, state, state ? 1 : 0);
		at_unit(b, 1); /* the other unit of the group has a state of its own */
		peer_settle(b);
		at_unit(b, 0);
	}
}

/* The sense of a state is what REQUEST SENSE tells, too; a reset of the unit leaves the state (it is no mode). */
static void asked_and_reset(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL), *late;
	struct peer_params want = peer_params_default();
	uint8_t sense[18];

	EXPECT_EQ(set_state(p, STANDBY), 0);
	EXPECT_EQ(ask(p, CDB(0x03, [4] = 18), IN, sense, 18), 0);
	EXPECT_EQ(sense[2] & 0xf, 2);
	EXPECT_EQ(get_be(sense + 12, 2), 0x040b);
	EXPECT_EQ(peer_expect_tmf(p, peer_send_tmf(p, 5, PEER_NONE, 0)), 0);
	EXPECT_EQ(ready(p), SENSE(6, 0x29, 3));
	EXPECT_EQ(ready(p), refused[STANDBY]);
	late = daemon_connect(d);
	peer_login(late, &want);
	EXPECT_EQ(ready(late), SENSE(6, 0x29, 0)); /* who is new is told so first */
	EXPECT_EQ(ready(late), refused[STANDBY]);
	EXPECT_EQ(set_state(late, OPTIMIZED), 0);
	EXPECT_EQ(ready(p), CHANGED);
	EXPECT_EQ(ready(p), 0);
}

static void lists_that_are_wrong(struct daemon *d)
{
	/* clang-format off */
	static const struct { const char *name; uint8_t state; uint16_t group; unsigned end, byte; } words[] = {
		{"a state between",    4,    1, BAD_LIST, 4}, {"offline",       0x0e, 1, BAD_LIST, 4},
		{"transitioning",      0x0f, 1, BAD_LIST, 4}, {"reserved bits", 0x82, 1, BAD_LIST, 4},
		{"another group",      2,    2, BAD_LIST, 6}, {"no group",      2,    0, BAD_LIST, 6},
	};
	/* clang-format on */
	struct peer *p = daemon_peer(d, NULL), *other = daemon_peer(d, NULL);
	uint8_t list[16] = {[4] = 2, [7] = GROUP, [8] = 9, [11] = GROUP};
	struct peer_task t;

	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		unsigned end = set_state_of(p, words[i].state, words[i].group, &t);

		EXPECT(end == words[i].end, "%s: %06x", words[i].name, end);
		EXPECT_EQ(t.st.sense[15] & 0xc0, 0x80);
		EXPECT(get_be(t.st.sense + 16, 2) == words[i].byte, "%s: byte %u", words[i].name,
			t.st.sense[17]);
	}
	EXPECT_EQ(ask_to(p, CDB(0xa4, 0x0a, [9] = 12), OUT, list, 12, &t),
		BAD_LIST); /* the second is wrong */
	EXPECT_EQ(get_be(t.st.sense + 16, 2), 8);
	for (unsigned len = 1; len < 8; len++)
		EXPECT_EQ(ask(p, CDB(0xa4, 0x0a, [9] = (uint8_t)len), OUT, list, len), BAD_LENGTH);
	EXPECT_EQ(ask(p, CDB(0xa4, 0x0a, [9] = 10), OUT, list, 10), BAD_LENGTH);
	EXPECT_EQ(ready(other), 0); /* nothing was done, nobody was told */
	expect_reported(p, OPTIMIZED, 0);
}

static const struct scene_case cases[] = {
	CASE(each_state, .args = {"--ram", "1M"}, .ram = "1M", .ours = true),
	CASE(asked_and_reset, .ram = "1M", .ours = true),
	CASE(lists_that_are_wrong, .ram = "1M", .ours = true),
	{.name = "two_reactors",
		.run = each_state,
		.args = {"--threads", "2", "--ram", "1M"},
		.ram = "1M",
		.ours = true},
};
SCENES(cases)
