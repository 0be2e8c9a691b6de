/* conflict.c - every type of reservation against every command, from whoever holds it, is registered, or neither (SPC-4
 * table 65, SBC-3 table 13; SPC-2 5.5.1 for RESERVE). A row a command; what does not conflict must end as it ends without
 * a reservation. */
#include "ask.h"

enum { K1 = 0x1001, K2 = 0x1002, ROOM = 1024 };
enum who { HOLDER, REGISTRANT, STRANGER, N_WHO };
static const char *const who_names[] = {"the holder", "a registrant", "a stranger"};

/* What a reservation of another nexus does to it. */
enum class {
	ALWAYS,  /* nothing at all */
	STARTS,  /* only RESERVE refuses it */
	READS,   /* so does a type that excludes readers */
	WRITES,  /* so does every type */
	OLD,     /* RESERVE: registrations refuse it, too */
	RELEASES /* RELEASE: registrations refuse it; who holds no RESERVE releases nothing */
};

/* clang-format off */
static const struct row {
	const char *name;
	enum class class;
	uint8_t cdb[16];
	enum way way;
	uint32_t len;
	unsigned alone; /* how it ends where nobody is in the way */
} rows[] = {
	{"TEST UNIT READY",         STARTS, {0x00},                              NO_DATA, 0,    0},
	{"REQUEST SENSE",           ALWAYS, {0x03, [4] = 252},                   IN,      252,  0},
	{"READ(6)",                 READS,  {0x08, [4] = 1},                     IN,      512,  0},
	{"READ(10)",                READS,  {0x28, [8] = 1},                     IN,      512,  0},
	{"READ(12)",                READS,  {0xa8, [9] = 1},                     IN,      512,  0},
	{"READ(16)",                READS,  {0x88, [13] = 1},                    IN,      512,  0},
	{"READ(10) of nothing",     READS,  {0x28},                              NO_DATA, 0,    0},
	{"WRITE(6)",                WRITES, {0x0a, [4] = 1},                     OUT,     512,  0},
	{"WRITE(10)",               WRITES, {0x2a, [8] = 1},                     OUT,     512,  0},
	{"WRITE(12)",               WRITES, {0xaa, [9] = 1},                     OUT,     512,  0},
	{"WRITE(16)",               WRITES, {0x8a, [13] = 1},                    OUT,     512,  0},
	{"WRITE(10) of nothing",    WRITES, {0x2a},                              NO_DATA, 0,    0},
	{"WRITE ATOMIC(16)",        WRITES, {0x9c, [13] = 1},                    OUT,     512,  0},
	{"WRITE AND VERIFY(10)",    WRITES, {0x2e, [8] = 1},                     OUT,     512,  0},
	{"WRITE AND VERIFY(12)",    WRITES, {0xae, [9] = 1},                     OUT,     512,  0},
	{"WRITE AND VERIFY(16)",    WRITES, {0x8e, [13] = 1},                    OUT,     512,  0},
	{"VERIFY(10)",              READS,  {0x2f, [8] = 1},                     NO_DATA, 0,    0},
	{"VERIFY(12)",              READS,  {0xaf, [9] = 1},                     NO_DATA, 0,    0},
	{"VERIFY(16)",              READS,  {0x8f, [13] = 1},                    NO_DATA, 0,    0},
	{"WRITE SAME(10)",          WRITES, {0x41, [8] = 1},                     OUT,     512,  0},
	{"WRITE SAME(16)",          WRITES, {0x93, 1, [13] = 1},                 NO_DATA, 0,    0},
	{"UNMAP",                   WRITES, {0x42},                              NO_DATA, 0,    0},
	{"GET LBA STATUS",          READS,  {0x9e, 0x12, [13] = 24},             IN,      24,   0},
	{"COMPARE AND WRITE",       WRITES, {0x89},                              NO_DATA, 0,    0},
	{"ORWRITE(16)",             WRITES, {0x8b, [13] = 1},                    OUT,     512,  0},
	{"PRE-FETCH(10)",           READS,  {0x34, [8] = 1},                     NO_DATA, 0,    0},
	{"PRE-FETCH(16)",           READS,  {0x90, [13] = 1},                    NO_DATA, 0,    0},
	{"SYNCHRONIZE CACHE(10)",   WRITES, {0x35},                              NO_DATA, 0,    0},
	{"SYNCHRONIZE CACHE(16)",   WRITES, {0x91},                              NO_DATA, 0,    0},
	{"SANITIZE, OVERWRITE",     WRITES, {0x48, 0x01},                        NO_DATA, 0,    SENSE(5, 0x24, 0)},
	{"SANITIZE, EXIT FAILURE",  WRITES, {0x48, 0x1f},                        NO_DATA, 0,    0},
	{"READ DEFECT DATA(10)",    READS,  {0x37, [8] = 4},                     IN,      4,    0},
	{"READ DEFECT DATA(12)",    READS,  {0xb7, [9] = 8},                     IN,      8,    0},
	{"READ CAPACITY(10)",       ALWAYS, {0x25},                              IN,      8,    0},
	{"READ CAPACITY(16)",       ALWAYS, {0x9e, 0x10, [13] = 32},             IN,      32,   0},
	{"INQUIRY",                 ALWAYS, {0x12, [4] = 96},                    IN,      96,   0},
	{"REPORT LUNS",             ALWAYS, {0xa0, [9] = 64},                    IN,      64,   0},
	{"REPORT TARGET PORT GROUPS", ALWAYS, {0xa3, 0x0a, [9] = 64},            IN,      64,   0},
	{"SET TARGET PORT GROUPS",  WRITES, {0xa4, 0x0a},                        NO_DATA, 0,    0},
	{"REPORT OPERATION CODES",  READS,  {0xa3, 0x0c, 0x01, 0x28, [9] = 64},  IN,      64,   0},
	{"REPORT FUNCTIONS",        READS,  {0xa3, 0x0d, [9] = 64},              IN,      64,   0},
	{"LOG SENSE",               ALWAYS, {0x4d, 0, 0x40, [8] = 64},           IN,      64,   0},
	{"MODE SENSE(6)",           READS,  {0x1a, 0, 0x3f, [4] = 255},          IN,      255,  0},
	{"MODE SENSE(10)",          READS,  {0x5a, 0, 0x3f, [8] = 255},          IN,      255,  0},
	{"MODE SELECT(6)",          WRITES, {0x15, 0x10},                        NO_DATA, 0,    0},
	{"MODE SELECT(10)",         WRITES, {0x55, 0x10},                        NO_DATA, 0,    0},
	{"STOP",                    WRITES, {0x1b, 1, [4] = 0x10},               NO_DATA, 0,    0},
	{"START",                   STARTS, {0x1b, [4] = 0x01},                  NO_DATA, 0,    0},
	{"ALLOW REMOVAL",           ALWAYS, {0x1e},                              NO_DATA, 0,    0},
	{"PREVENT REMOVAL",         WRITES, {0x1e, [4] = 1},                     NO_DATA, 0,    0},
	{"EXTENDED COPY(LID1)",     WRITES, {0x83, 0x00},                        NO_DATA, 0,    0},
	{"EXTENDED COPY(LID4)",     WRITES, {0x83, 0x01},                        NO_DATA, 0,    0},
	{"COPY OPERATION ABORT",    WRITES, {0x83, 0x1c, [5] = 9},               NO_DATA, 0,    SENSE(5, 0x24, 0)},
	{"COPY PARAMETERS",         WRITES, {0x84, 0x03, [12] = 255},            IN,      255,  0},
	{"COPY STATUS(LID1)",       WRITES, {0x84, 0x00, 77, [13] = 64},         IN,      64,   SENSE(5, 0x24, 0)},
	{"POPULATE TOKEN",          READS,  {0x83, 0x10},                        NO_DATA, 0,    0},
	{"WRITE USING TOKEN",       WRITES, {0x83, 0x11},                        NO_DATA, 0,    0},
	{"ROD TOKEN INFORMATION",   WRITES, {0x84, 0x07, [5] = 77, [13] = 64},   IN,      64,   SENSE(5, 0x24, 0)},
	{"READ KEYS",               STARTS, {0x5e, 0x00, [8] = 64},              IN,      64,   0},
	{"READ RESERVATION",        STARTS, {0x5e, 0x01, [8] = 64},              IN,      64,   0},
	{"REPORT CAPABILITIES",     STARTS, {0x5e, 0x02, [8] = 64},              IN,      64,   0},
	{"READ FULL STATUS",        STARTS, {0x5e, 0x03, [7] = 4},               IN,      1024, 0},
	{"RESERVE(6)",              OLD,    {0x16},                              NO_DATA, 0,    0},
	{"RESERVE(10)",             OLD,    {0x56},                              NO_DATA, 0,    0},
	{"RELEASE(6)",              RELEASES, {0x17},                            NO_DATA, 0,    0},
	{"RELEASE(10)",             RELEASES, {0x57},                            NO_DATA, 0,    0},
};
static const struct type { uint8_t code; bool reads, registrants; } types[] = { /* others may read; so may registrants all */
	{1, true, false}, {3, false, false}, {5, true, true}, {6, false, true}, {7, true, true}, {8, false, true}};
/* clang-format on */

enum { N_ROWS = sizeof(rows) / sizeof(rows[0]), N_TYPES = sizeof(types) / sizeof(types[0]) };

static unsigned run(struct peer *p, const struct row *r)
{
	static uint8_t buf[ROOM];

	memset(buf, 0, sizeof(buf));
	return ask(p, r->cdb, r->way, buf, r->len);
}

static void expect_row(
	struct peer *p, const struct row *r, bool allowed, const char *who, unsigned type)
{
	unsigned end = run(p, r), want = allowed ? r->alone : CONFLICT;

	EXPECT(end == want, "%s of %s under type %u: ended with %08x, expected %08x", r->name, who,
		type, end, want);
}

/* Without a reservation every row ends as it says. What it did is undone. */
static void alone(struct peer *a, struct peer *b)
{
	for (unsigned i = 0; i < N_ROWS; i++)
		expect_row(a, &rows[i], true, "anybody", 0);
	run(a, &(struct row){.cdb = {0x1e}});
	run(a, &(struct row){.cdb = {0x57}});
	peer_settle(a);
	peer_settle(b);
}

static bool allowed_by(const struct type *t, enum who who, enum class c)
{
	if (c == OLD || c == RELEASES) /* whoever asks */
		return false;
	if (who == HOLDER || (who == REGISTRANT && t->registrants))
		return true;
	return c == ALWAYS || c == STARTS || (c == READS && t->reads);
}

static void every_type_and_command(struct daemon *d)
{
	struct peer *p[N_WHO];

	for (enum who w = 0; w < N_WHO; w++)
		p[w] = daemon_peer(d, NULL);
	alone(p[0], p[1]);
	peer_settle(p[STRANGER]);
	for (unsigned t = 0; t < N_TYPES; t++) {
		EXPECT_EQ(pr_out(p[HOLDER], PR_IGNORE, 0, 0, K1, 0), 0);
		EXPECT_EQ(pr_out(p[REGISTRANT], PR_IGNORE, 0, 0, K2, 0), 0);
		EXPECT_EQ(pr_out(p[HOLDER], PR_RESERVE, types[t].code, K1, 0, 0), 0);
		for (enum who w = 0; w < N_WHO; w++)
			for (unsigned i = 0; i < N_ROWS; i++)
				expect_row(p[w], &rows[i], allowed_by(&types[t], w, rows[i].class),
					who_names[w], types[t].code);
		EXPECT_EQ(pr_out(p[HOLDER], PR_CLEAR, 0, K1, 0, 0), 0);
		EXPECT_EQ(ready(p[REGISTRANT]), SENSE(6, 0x2a, 3));
		for (enum who w = 0; w < N_WHO; w++)
			run(p[w], &(struct row){.cdb = {0x1e}});
	}
}

/* PERSISTENT RESERVE OUT by itself (SPC-4 table 66): by action, from each of them; what is refused changes nothing. */
static void every_action(struct daemon *d)
{
	static const struct {
		uint8_t action, type;
		uint64_t key, new_key;
		bool registrant, stranger; /* allowed */
	} actions[] = {
		{PR_RESERVE, 3, K2, 0, false, false},
		{PR_RELEASE, 1, K2, 0, true, false},
		{PR_CLEAR, 0, K2 + 1, 0, false, false},
		{PR_PREEMPT, 1, K2 + 1, K1, false, false},
		{PR_PREEMPT_ABORT, 1, 0, K1, false, false},
		{PR_MOVE, 0, K2, K2, false, false},
		{PR_REGISTER, 0, K2, K2, true, false},
		{PR_IGNORE, 0, 0, K2, true, true},
	};
	struct peer *a = daemon_peer(d, NULL), *b = daemon_peer(d, NULL), *c = daemon_peer(d, NULL);
	uint8_t *buf = scene_alloc(ROOM);

	for (unsigned t = 0; t < N_TYPES; t++) {
		unsigned type = types[t].code;
		bool every = type >= 7;

		EXPECT_EQ(pr_out(a, PR_IGNORE, 0, 0, K1, 0), 0);
		EXPECT_EQ(pr_out(b, PR_IGNORE, 0, 0, K2, 0), 0);
		EXPECT_EQ(pr_out(a, PR_RESERVE, type, K1, 0, 0), 0);
		for (unsigned i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
			unsigned asked = actions[i].action == PR_RELEASE ? type : actions[i].type;
			unsigned end = 0;

			if (!every || actions[i].action != PR_RELEASE) /* all registrants hold it */
				end = pr_out(b, actions[i].action, asked, actions[i].key,
					actions[i].new_key, 0);
			EXPECT(end == (actions[i].registrant ? 0 : CONFLICT),
				"type %u, action %u of a registrant: %08x", type, actions[i].action,
				end);
			end = pr_out(
				c, actions[i].action, asked, actions[i].key, actions[i].new_key, 0);
			EXPECT(end == (actions[i].stranger ? 0 : CONFLICT),
				"type %u, action %u of a stranger: %08x", type, actions[i].action,
				end);
		}
		EXPECT_EQ(pr_out(c, PR_IGNORE, 0, 0, 0, 0), 0);
		EXPECT_EQ(pr_in(a, PR_RESERVATION, buf), 16);
		EXPECT_EQ(get_be(buf + 8, 8), every ? 0 : K1);
		EXPECT_EQ(buf[21], type);
		EXPECT_EQ(pr_in(a, PR_KEYS, buf), 16);
		EXPECT_EQ(pr_out(a, PR_CLEAR, 0, K1, 0, 0), 0);
		EXPECT_EQ(ready(b), SENSE(6, 0x2a, 3));
		EXPECT_EQ(ready(c), 0);
	}
}

static void every_command_under_reserve(struct daemon *d)
{
	struct peer *a = daemon_peer(d, NULL), *b = daemon_peer(d, NULL);

	EXPECT_EQ(ask(a, CDB(0x56), NO_DATA, NULL, 0), 0);
	for (unsigned i = 0; i < N_ROWS; i++)
		if (rows[i].class != RELEASES)
			expect_row(a, &rows[i], true, who_names[HOLDER], 0);
	for (unsigned i = 0; i < N_ROWS; i++)
		expect_row(b, &rows[i], rows[i].class == ALWAYS || rows[i].class == RELEASES,
			who_names[STRANGER], 0);
	EXPECT_EQ(pr_out(b, PR_IGNORE, 0, 0, K2, 0), CONFLICT);
	EXPECT_EQ(ask(a, CDB(0x17), NO_DATA, NULL, 0), 0);
	EXPECT_EQ(pr_out(b, PR_IGNORE, 0, 0, K2, 0), 0);
}

/* Every command of REPORT SUPPORTED OPERATION CODES has a row here: a new one needs its class, too. What remains can only
 * be asked for with data, and is of the class of its neighbours. */
static void every_command_has_a_row(struct daemon *d)
{
	static const uint16_t others[] = {0x4802, 0x4803, 0x8401, 0x8404, 0x8405, 0x5f00};
	struct peer *p = daemon_peer(d, NULL);
	uint8_t *buf = scene_alloc(4096);
	unsigned end = ask(p, CDB(0xa3, 0x0c, [8] = 16), IN, buf, 4096);
	uint32_t len = (uint32_t)get_be(buf, 4);

	EXPECT_EQ(end, 0);
	EXPECT(len % 8 == 0 && len > 8 * 60, "a list of %u bytes", len);
	for (uint32_t at = 4; at < 4 + len; at += 8) {
		bool has_action = buf[at + 5] & 1, found = buf[at] == 0x5f;

		for (unsigned i = 0; i < N_ROWS; i++)
			found |= rows[i].cdb[0] == buf[at] &&
				 (!has_action || (rows[i].cdb[1] & 0x1f) == buf[at + 3]);
		for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++)
			found |= others[i] == (buf[at] << 8 | buf[at + 3]);
		EXPECT(found, "no row for command %02x/%02x", buf[at], buf[at + 3]);
	}
}

static const struct scene_case cases[] = {
	CASE(every_type_and_command, .ours = true),
	CASE(every_action, .ours = true),
	CASE(every_command_under_reserve, .ours = true),
	CASE(every_command_has_a_row, .ours = true),
};
SCENES(cases)
