/* sense.c - what a refusal says, to the byte (SPC-4 4.5, SAM-5 5.3): both formats, INFORMATION, field pointers of every
 * CDB bit that must be zero and of parameter lists; and what is said of lengths that do not agree: residual counts in both
 * directions (RFC 7143 11.4.5), additional header segments. */
#include "ask.h"

enum { ROOM = 4096, BLOCK = 512, LIST = 24 };
#define BAD_CDB SENSE(5, 0x24, 0)
#define BAD_IU  SENSE(5, 0x0e, 3)

static void set_descriptors(struct peer *p, bool on)
{
	uint8_t list[4 + 12] = {0}, page[64];

	EXPECT_EQ(ask(p, CDB(0x1a, 8, 0x0a, [4] = 64), IN, page, sizeof(page)), 0);
	memcpy(list + 4, page + 4, 12);
	list[6] = (uint8_t)((list[6] & ~4) | (on ? 4 : 0));
	EXPECT_EQ(ask(p, CDB(0x15, 0x10, [4] = sizeof(list)), OUT, list, sizeof(list)), 0);
}

/* --- every bit of every CDB --- */

/* A command of the list: the bits that mean something in it, as the target tells (SPC-4 6.35.3). */
struct usage {
	uint8_t op, sa, len, bits[16];
	bool has_sa;
};

static void usage_of(struct peer *p, struct usage *u)
{
	uint8_t buf[64];

	EXPECT_EQ(
		ask(p, CDB(0xa3, 0x0c, u->has_sa ? 2 : 1, u->op, 0, u->sa, [9] = 64), IN, buf, 64),
		0);
	EXPECT_EQ(buf[1] & 7, 3);
	u->len = (uint8_t)get_be(buf + 2, 2);
	EXPECT(u->len <= 16 && buf[4] == u->op, "usage of %02x", u->op);
	memcpy(u->bits, buf + 4, u->len);
}

static unsigned usages(struct peer *p, struct usage *u)
{
	uint8_t *buf = scene_alloc(ROOM);
	unsigned n;

	EXPECT_EQ(ask(p, CDB(0xa3, 0x0c, [8] = 16), IN, buf, ROOM), 0);
	n = (unsigned)get_be(buf, 4) / 8;
	for (unsigned i = 0; i < n; i++) {
		const uint8_t *at = buf + 4 + 8 * i;

		u[i] = (struct usage){.op = at[0], .sa = at[3], .has_sa = at[5] & 1};
		usage_of(p, &u[i]);
	}
	return n;
}

static void expect_field(
	const struct peer_task *t, bool descriptors, bool in_cdb, unsigned byte, unsigned bit)
{
	const uint8_t *s = t->st.sense, *field = descriptors ? s + 12 : s + 15;

	if (descriptors) /* 4.5.2.4.2 */
		EXPECT(t->st.sense_len == 16 && s[0] == 0x72 && s[7] == 8 && s[8] == 2 && s[9] == 6,
			"no descriptor");
	else
		EXPECT(t->st.sense_len == 18 && s[0] == 0x70 && s[7] == 10, "no fixed format");
	EXPECT_EQ(field[0] & 0xc0, 0x80 | (in_cdb ? 0x40 : 0)); /* SKSV, C/D */
	EXPECT_EQ(get_be(field + 1, 2), byte);
	EXPECT(bit > 7 || (field[0] & 0xf) == (8 | bit), "bit %u is named as %02x", bit, field[0]);
}

/* One bit that must be zero: the sense names it (SPC-4 4.5.2.4.2), and nothing is asked for or sent. */
static void every_reserved_bit(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL);
	struct usage *u = scene_alloc(128 * sizeof(*u));
	unsigned n = usages(p, u), n_bits = 0;
	struct peer_task t;

	for (unsigned descriptors = 0; descriptors < 2; descriptors++) {
		set_descriptors(p, descriptors);
		for (unsigned i = 0; i < n; i++) {
			for (unsigned bit = 8; bit < 8u * u[i].len; bit++) {
				uint8_t cdb[16] = {u[i].op, u[i].has_sa ? u[i].sa : 0};
				unsigned end;

				if (u[i].bits[bit / 8] >> bit % 8 & 1 || (u[i].has_sa && bit < 13))
					continue;
				if (descriptors && (bit + i) % 7) /* a part of them */
					continue;
				cdb[bit / 8] |= (uint8_t)(1 << bit % 8);
				end = ask_to(p, cdb, NO_DATA, NULL, 0, &t);
				EXPECT(end == BAD_CDB, "%02x/%02x with byte %u bit %u: %06x",
					u[i].op, u[i].sa, bit / 8, bit % 8, end);
				expect_field(&t, descriptors, true, bit / 8, bit % 8);
				n_bits++;
			}
		}
	}
	EXPECT(n_bits > 1500, "only %u bits", n_bits);
}

/* Opcodes and service actions that are in no list. */
static void what_there_is_not(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL);
	struct usage *u = scene_alloc(128 * sizeof(*u));
	unsigned n = usages(p, u);
	struct peer_task t;

	for (unsigned op = 0; op < 256; op++) {
		bool known = false, has_sa = false;

		for (unsigned i = 0; i < n; i++) {
			known |= u[i].op == op;
			has_sa |= u[i].op == op && u[i].has_sa;
		}
		if (!known)
			EXPECT_EQ(ask(p, CDB((uint8_t)op), NO_DATA, NULL, 0), SENSE(5, 0x20, 0));
		for (unsigned sa = 0; sa < 32 && has_sa; sa++) {
			bool there = false;

			for (unsigned i = 0; i < n; i++)
				there |= u[i].op == op && u[i].sa == sa;
			if (there)
				continue;
			EXPECT_EQ(ask_to(p, CDB((uint8_t)op, (uint8_t)sa), NO_DATA, NULL, 0, &t),
				BAD_CDB);
			expect_field(&t, false, true, 1, 4);
		}
	}
}

/* --- whole sense data --- */

/* clang-format off */
static const struct sense_row {
	const char *name;
	uint8_t cdb[16];
	enum way way;
	uint32_t len;
	uint8_t list[LIST * 2]; /* or data: zeros, but for these */
	unsigned n_fixed, n_descriptors;
	uint8_t fixed[18], descriptors[32];
} sense_rows[] = {
	{"LBA behind the end: the first that is not there", {0x28, 0, 0x10, [8] = 1}, IN, BLOCK, {0}, 18, 20,
		{0xf0, 0, 5, 0x10, 0, 0, 0, 10, 0, 0, 0, 0, 0x21}, {0x72, 5, 0x21, 0, 0, 0, 0, 12, 0, 10, 0x80, [16] = 0x10}},
	{"opcode", {0xff}, NO_DATA, 0, {0}, 18, 8,
		{0x70, 0, 5, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x20}, {0x72, 5, 0x20}},
	{"COMPARE AND WRITE: the byte that differs (SBC-3 5.2)", {0x89, [9] = 8, [13] = 2}, OUT, 4 * BLOCK, {[40] = 1}, 18, 20,
		{0xf0, 0, 0x0e, 0, 0, 0, 40, 10, 0, 0, 0, 0, 0x1d}, {0x72, 0x0e, 0x1d, 0, 0, 0, 0, 12, 0, 10, 0x80, [19] = 40}},
	{"VERIFY", {0x2f, 2, [5] = 8, [8] = 2}, OUT, 2 * BLOCK, {[40] = 1}, 18, 8,
		{0x70, 0, 0x0e, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x1d}, {0x72, 0x0e, 0x1d}},
	{"UNMAP behind the end", {0x42, [8] = 24}, OUT, 24, {0, 22, 0, 16, [12] = 1, [19] = 1}, 18, 20,
		{0xf0, 0, 5, 1, 0, 0, 0, 10, 0, 0, 0, 0, 0x21}, {0x72, 5, 0x21, 0, 0, 0, 0, 12, 0, 10, 0x80, [16] = 1}},
	{"too short a list", {0x5f, [8] = 20}, OUT, 20, {0}, 18, 8,
		{0x70, 0, 5, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x1a}, {0x72, 5, 0x1a}},
	{"APTPL, where nothing is kept", {0x5f, 0x06, [8] = 24}, OUT, 24, {[15] = 1, [20] = 1}, 18, 16,
		{0x70, 0, 5, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x26, 0, 0, 0x80, 0, 20}, {0x72, 5, 0x26, 0, 0, 0, 0, 8, 2, 6, 0, 0, 0x80, 0, 20}},
	{"a type that there is not", {0x5f, 0x01, 0x02, [8] = 24}, OUT, 24, {0}, 18, 16,
		{0x70, 0, 5, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x24, 0, 0, 0xcb, 0, 2}, {0x72, 5, 0x24, 0, 0, 0, 0, 8, 2, 6, 0, 0, 0xcb, 0, 2}},
	{"mode page that there is not", {0x15, 0x10, [4] = 6}, OUT, 6, {[4] = 0x07, 10}, 18, 16,
		{0x70, 0, 5, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x26, 0, 0, 0x8d, 0, 4}, {0x72, 5, 0x26, 0, 0, 0, 0, 8, 2, 6, 0, 0, 0x8d, 0, 4}},
	{"WRITE SAME over the end", {0x93, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f}, NO_DATA, 0, {0}, 18, 20,
		{0xf0, 0, 5, 0, 2, 0, 0, 10, 0, 0, 0, 0, 0x21}, {0x72, 5, 0x21, 0, 0, 0, 0, 12, 0, 10, 0x80, [17] = 2}},
};
/* clang-format on */

static void to_the_byte(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL);
	uint8_t *buf = scene_alloc(ROOM);
	struct peer_task t;

	for (unsigned descriptors = 0; descriptors < 2; descriptors++) {
		set_descriptors(p, descriptors);
		for (unsigned i = 0; i < sizeof(sense_rows) / sizeof(sense_rows[0]); i++) {
			const struct sense_row *r = &sense_rows[i];
			const uint8_t *want = descriptors ? r->descriptors : r->fixed;
			uint32_t n = descriptors ? r->n_descriptors : r->n_fixed;

			memset(buf, 0, ROOM);
			memcpy(buf, r->list, sizeof(r->list));
			ask_to(p, r->cdb, r->way, buf, r->len, &t);
			EXPECT(t.st.sense_len == n, "%s: %u bytes of sense, expected %u", r->name,
				t.st.sense_len, n);
			for (unsigned b = 0; b < n; b++)
				EXPECT(t.st.sense[b] == want[b],
					"%s: byte %u of sense is %02x, expected %02x", r->name, b,
					t.st.sense[b], want[b]);
		}
	}
}

/* REQUEST SENSE: the state of the unit in the format that DESC asks for, cut where the CDB says (SPC-4 6.39). */
static void asked_for(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL), *other = daemon_peer(d, NULL);
	uint8_t buf[252];
	struct peer_task t;

	EXPECT_EQ(ask_to(p, CDB(0x03, [4] = 252), IN, buf, sizeof(buf), &t), 0);
	EXPECT(t.got == 18 && buf[0] == 0x70 && buf[2] == 0 && buf[12] == 0,
		"nothing is the matter");
	EXPECT_EQ(ask_to(p, CDB(0x03, 1, [4] = 252), IN, buf, sizeof(buf), &t), 0);
	EXPECT(t.got == 8 && buf[0] == 0x72 && buf[1] == 0 && buf[2] == 0,
		"likewise, as descriptors");
	EXPECT_EQ(ask_to(p, CDB(0x03, [4] = 5), IN, buf, sizeof(buf), &t), 0);
	EXPECT_EQ(t.got, 5);
	EXPECT_EQ(peer_expect_tmf(other, peer_send_tmf(other, 5, PEER_NONE, 0)), 0);
	EXPECT_EQ(ask_to(p, CDB(0x03, 1, [4] = 252), IN, buf, sizeof(buf), &t),
		0); /* an attention, which is told by it */
	EXPECT(buf[1] == 6 && buf[2] == 0x29 && buf[3] == 3, "sense %x/%02x/%02x", buf[1], buf[2],
		buf[3]);
	EXPECT_EQ(ready(p), 0);
	EXPECT_EQ(ask(p, CDB(0x1b, [4] = 0), NO_DATA, NULL, 0), 0); /* stopped */
	EXPECT_EQ(ask_to(p, CDB(0x03, [4] = 252), IN, buf, sizeof(buf), &t), 0);
	EXPECT(buf[2] == 2 && get_be(buf + 12, 2) == 0x0402, "sense %x/%02x/%02x", buf[2], buf[12],
		buf[13]);
	at_unit(p, 5); /* where there is no unit (6.39) */
	EXPECT_EQ(ask_to(p, CDB(0x03, [4] = 252), IN, buf, sizeof(buf), &t), 0);
	EXPECT(buf[2] == 5 && get_be(buf + 12, 2) == 0x2500, "sense %x/%02x/%02x", buf[2], buf[12],
		buf[13]);
	EXPECT_EQ(ready(p), SENSE(5, 0x25, 0));
}

/* --- lengths that do not agree --- */

/* clang-format off */
static const struct {
	const char *name;
	uint8_t cdb[16];
	enum way way;
	uint32_t edtl;
	unsigned end;
	int residual; /* negative: underflow */
} lengths[] = {
	{"READ, as much",                  {0x28, [8] = 8},               IN,      4096, 0, 0},
	{"READ, less room",                {0x28, [8] = 8},               IN,      512,  0, 3584},
	{"READ, less than a block",        {0x28, [8] = 8},               IN,      100,  0, 3996},
	{"READ, more room",                {0x28, [8] = 8},               IN,      8192, 0, -4096},
	{"READ, no room",                  {0x28, [8] = 8},               NO_DATA, 0,    0, 4096},
	{"READ(6) of 256",                 {0x08},                        IN,      4096, 0, 126976},
	{"READ of nothing",                {0x28},                        IN,      4096, 0, -4096},
	{"READ that is refused",           {0x28, 0, 0x7f, [8] = 8},      IN,      4096, SENSE(5, 0x21, 0), -4096},
	{"WRITE, as much",                 {0x2a, [8] = 8},               OUT,     4096, 0, 0},
	{"WRITE, less data",               {0x2a, [8] = 8},               OUT,     512,  0, 3584},
	{"WRITE, half a block",            {0x2a, [8] = 8},               OUT,     700,  BAD_IU, 3396},
	{"WRITE, more data",               {0x2a, [8] = 8},               OUT,     8192, 0, -4096},
	{"WRITE, no data",                 {0x2a, [8] = 8},               NO_DATA, 0,    0, 4096},
	{"WRITE of nothing",               {0x2a},                        OUT,     512,  0, -512},
	{"WRITE that is refused",          {0x2a, 0, 0x7f, [8] = 8},      OUT,     4096, SENSE(5, 0x21, 0), -4096},
	{"WRITE, the other direction",     {0x2a, [8] = 8},               IN,      4096, BAD_IU, -4096},
	{"READ, the other direction",      {0x28, [8] = 8},               OUT,     4096, 0, -4096}, /* as libiscsi has it */
	{"INQUIRY, less room",             {0x12, [4] = 96},              IN,      36,   0, 60},
	{"INQUIRY, more room",             {0x12, [4] = 36},              IN,      255,  0, -219},
	{"INQUIRY, no room",               {0x12, [4] = 36},              NO_DATA, 0,    0, 36},
	{"TEST UNIT READY with room",      {0x00},                        IN,      512,  0, -512},
	{"TEST UNIT READY with data",      {0x00},                        OUT,     512,  0, -512},
	{"SYNCHRONIZE CACHE with data",    {0x35},                        OUT,     4096, 0, -4096},
	{"MODE SELECT, more data",         {0x15, 0x10, [4] = 4},         OUT,     64,   0, -60},
	{"PERSISTENT RESERVE OUT, less",   {0x5f, 6, [8] = 24},           OUT,     20,   SENSE(5, 0x1a, 0), 4},
	{"no such command",                {0xff},                        OUT,     512,  SENSE(5, 0x20, 0), -512},
};
/* clang-format on */

static void residuals(struct daemon *d)
{
	struct peer_params wants[] = {peer_params_default(), peer_params_default()};
	uint8_t *buf = scene_alloc(ROOM * 2);

	wants[1].initial_r2t = false; /* unasked data, which nobody may want */
	wants[1].immediate_data = true;
	for (unsigned w = 0; w < 2; w++) {
		struct peer *p = daemon_peer(d, &wants[w]);

		for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
			int want = lengths[i].residual;
			struct peer_task t;
			unsigned end;

			memset(buf, 0, ROOM * 2);
			end = ask_to(p, lengths[i].cdb, lengths[i].way, buf, lengths[i].edtl, &t);
			EXPECT(end == lengths[i].end, "%s: ends with %06x", lengths[i].name, end);
			EXPECT(t.st.overflow == (want > 0) && t.st.underflow == (want < 0) &&
					t.st.residual == (uint32_t)(want < 0 ? -want : want),
				"%s: %s%s%u, expected %d", lengths[i].name,
				t.st.overflow ? "over " : "", t.st.underflow ? "under " : "",
				t.st.residual, want);
			EXPECT(lengths[i].way != IN ||
					t.got == lengths[i].edtl - (want < 0 ? (uint32_t)-want : 0),
				"%s: %u bytes", lengths[i].name, t.got);
		}
		peer_ping(p, 3);
	}
}

/* Additional header segments (RFC 7143 11.2.2): a longer CDB is no command here, and two directions are none either. Any
 * other type is told as what it is; the session goes on behind each. */
static void header_segments(struct daemon *d)
{
	static const struct {
		const char *name;
		uint8_t ahs[20];
		uint32_t len;
		bool both;
	} rows[] = {
		{"extended CDB",
			{0, 17, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, 20,
			false},
		{"read length of two directions", {0, 5, 2, 0, 0, 0, 2, 0}, 8, true},
	};
	struct peer *p = daemon_peer(d, NULL);

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct peer_cmd c = {
			.cdb = {0x7f, [7] = 24}, .read = true, .write = rows[i].both, .edtl = 512};
		struct peer_pdu pdu;
		struct peer_status st;
		uint32_t itt;

		if (rows[i].both)
			memcpy(c.cdb, (uint8_t[16]){0x53, [8] = 1}, 16); /* XDWRITEREAD(10) */
		itt = peer_cmd_pdu(p, &pdu, &c);
		pdu.ahs = rows[i].ahs;
		pdu.ahs_len = rows[i].len;
		pdu_set(&pdu, AHS_LEN, rows[i].len / 4);
		peer_send(p, &pdu);
		peer_expect_status(p, itt, &st);
		EXPECT(end_of(&st) == (rows[i].both ? BAD_IU : SENSE(5, 0x20, 0)), "%s: %06x",
			rows[i].name, end_of(&st));
		peer_ping(p, 5);
	}
	EXPECT_EQ(ready(p), 0);
}

static const struct scene_case cases[] = {
	CASE(every_reserved_bit, .ours = true),
	CASE(what_there_is_not, .ours = true),
	CASE(to_the_byte, .ours = true),
	CASE(asked_for, .ours = true),
	CASE(residuals, .ours = true),
	CASE(header_segments, .ours = true),
};
SCENES(cases)
