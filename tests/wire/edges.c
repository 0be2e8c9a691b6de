/* edges.c - every command with a range of blocks at every edge of the disk and of its fields (SBC-3 4.5): the last
 * block, one more, lengths of zero, LBAs that lose their upper half, sums that pass 2^32 and 2^64. A row a command, a row an
 * edge. */
#include "ask.h"

enum { BYTES = 64 << 20, END = BYTES / 512, MOST = 9, TO_THE_END = 1, IS_256 = 2 };
#define OUT_OF_RANGE SENSE(5, 0x21, 0)

/* clang-format off */
/* n_len 0: it has no length.   each: buffers of a block's size that a block takes.   zero: what a length of 0 means, when it is
 * not nothing. */
static const struct command {
	const char *name;
	uint8_t op, second, lba_at, lba_len, n_at, n_len;
	enum way way;
	uint8_t each, zero;
} commands[] = {
	{"READ(6)",              0x08, 0,    1, 3, 4,  1, IN,      1, IS_256},
	{"READ(10)",             0x28, 0,    2, 4, 7,  2, IN,      1, 0},
	{"READ(12)",             0xa8, 0,    2, 4, 6,  4, IN,      1, 0},
	{"READ(16)",             0x88, 0,    2, 8, 10, 4, IN,      1, 0},
	{"WRITE(6)",             0x0a, 0,    1, 3, 4,  1, OUT,     1, IS_256},
	{"WRITE(10)",            0x2a, 0,    2, 4, 7,  2, OUT,     1, 0},
	{"WRITE(12)",            0xaa, 0,    2, 4, 6,  4, OUT,     1, 0},
	{"WRITE(16)",            0x8a, 0,    2, 8, 10, 4, OUT,     1, 0},
	{"WRITE ATOMIC(16)",     0x9c, 0,    2, 8, 12, 2, OUT,     1, 0},
	{"WRITE AND VERIFY(10)", 0x2e, 0,    2, 4, 7,  2, OUT,     1, 0},
	{"WRITE AND VERIFY(12)", 0xae, 0,    2, 4, 6,  4, OUT,     1, 0},
	{"WRITE AND VERIFY(16)", 0x8e, 0,    2, 8, 10, 4, OUT,     1, 0},
	{"VERIFY(10)",           0x2f, 0,    2, 4, 7,  2, NO_DATA, 0, 0},
	{"VERIFY(12)",           0xaf, 0,    2, 4, 6,  4, NO_DATA, 0, 0},
	{"VERIFY(16)",           0x8f, 0,    2, 8, 10, 4, NO_DATA, 0, 0},
	{"ORWRITE(16)",          0x8b, 0,    2, 8, 10, 4, OUT,     1, 0},
	{"COMPARE AND WRITE",    0x89, 0,    2, 8, 13, 1, OUT,     2, 0},
	{"WRITE SAME(10)",       0x41, 8,    2, 4, 7,  2, OUT,     0, TO_THE_END},
	{"WRITE SAME(16)",       0x93, 9,    2, 8, 10, 4, NO_DATA, 0, TO_THE_END},
	{"PRE-FETCH(10)",        0x34, 0,    2, 4, 7,  2, NO_DATA, 0, TO_THE_END},
	{"PRE-FETCH(16)",        0x90, 0,    2, 8, 10, 4, NO_DATA, 0, TO_THE_END},
	{"SYNCHRONIZE CACHE(10)", 0x35, 0,   2, 4, 7,  2, NO_DATA, 0, TO_THE_END},
	{"SYNCHRONIZE CACHE(16)", 0x91, 0,   2, 8, 10, 4, NO_DATA, 0, TO_THE_END},
	{"GET LBA STATUS",       0x9e, 0x12, 2, 8, 0,  0, IN,      0, 0},
};
/* from: of the disk's end, or of nothing. */
static const struct edge { bool from_end; uint64_t at; uint32_t n; bool ok; } edges[] = {
	{false, 0, 1, true}, {false, 0, MOST, true}, {true, -1ull, 1, true}, {true, -8ull, 8, true},
	{true, -1ull, 2, false}, {true, -8ull, 9, false}, {true, 0, 0, false}, {true, 0, 1, false}, {true, 1, 0, false},
	{false, 0x7fffffff, 1, false}, {false, 0x80000000, 1, false}, {false, 0xffffffff, 1, false}, {false, 0xffffffff, 2, false},
	{false, 1ull << 32, 1, false}, {false, 1ull << 32 | 5, 1, false}, {false, 1ull << 55, 1, false}, /* times 512: nothing */
	{false, (1ull << 55) + 1, 1, false}, {false, 1ull << 52, 1, false},
	{false, INT64_MAX, 1, false}, {false, 1ull << 63, 1, false}, {false, -8ull, 8, false}, {false, -8ull, 9, false},
	{false, -1ull, 1, false}, {false, -1ull, 2, false}, {false, -1ull, 0, false},
};
/* clang-format on */

static void run(
	struct peer *p, const struct command *c, const struct edge *e, uint32_t block, uint8_t *buf)
{
	uint64_t end = BYTES / block, lba = e->from_end ? end + e->at : e->at;
	uint32_t len = c->way == NO_DATA ? 0
		       : c->each         ? c->each * e->n * block
		       : c->n_len        ? block
					 : 24;
	uint8_t cdb[16] = {c->op};
	bool ok = e->ok || (!c->n_len && lba < end);
	unsigned is, want = ok ? 0 : OUT_OF_RANGE;

	if (c->lba_len < 8 && lba >> (c->lba_len == 3 ? 21 : 8 * c->lba_len))
		return;
	if (c->zero == IS_256 && !e->n)
		return;
	put_be(cdb + c->lba_at, c->lba_len, lba);
	cdb[1] |= c->second;
	if (c->n_len)
		put_be(cdb + c->n_at, c->n_len, e->n);
	else
		cdb[13] = 24;
	memset(buf, 0, MOST * 2 * 4096);
	is = ask(p, cdb, len ? c->way : NO_DATA, buf, len);
	EXPECT(is == want, "%s of %u blocks at 0x%llx: %08x, expected %08x", c->name, e->n,
		(unsigned long long)lba, is, want);
}

static void every_edge(struct daemon *d)
{
	uint32_t block = d->arg ? *(const uint32_t *)d->arg : 512;
	struct peer *p = daemon_peer(d, NULL);
	uint8_t *buf = scene_alloc(MOST * 2 * 4096), *capacity = scene_alloc(32);

	EXPECT_EQ(ask(p, CDB(0x9e, 0x10, [13] = 32), IN, capacity, 32), 0);
	EXPECT_EQ(get_be(capacity, 8), BYTES / block - 1);
	for (unsigned c = 0; c < sizeof(commands) / sizeof(commands[0]); c++)
		for (unsigned e = 0; e < sizeof(edges) / sizeof(edges[0]); e++)
			run(p, &commands[c], &edges[e], block, buf);
}

/* What length 0 means, seen by what it does: nothing, 256 blocks, or all to the end. */
static void lengths_of_zero(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL);
	uint8_t *buf = scene_alloc(256 * 512), *now = scene_alloc(512);
	struct peer_task t;

	memset(buf, 7, 256 * 512);
	EXPECT_EQ(ask(p, CDB(0x0a), OUT, buf, 256 * 512), 0);
	EXPECT_EQ(ask_to(p, CDB(0x08), IN, buf, 256 * 512, &t), 0);
	EXPECT_EQ(t.got, 256 * 512);
	EXPECT_EQ(buf[256 * 512 - 1], 7);
	EXPECT_EQ(ask(p, CDB(0x2a), NO_DATA, NULL, 0), 0);
	peer_read(p, 0, 1, now);
	EXPECT_EQ(now[0], 7);
	memset(buf, 9, 128 * 512);
	peer_write(p, END - 128, 128, buf);
	EXPECT_EQ(ask(p, CDB(0x93, 9, [7] = 0x01, [8] = 0xff, [9] = 0xc0), NO_DATA, NULL, 0),
		0); /* from END - 64 on */
	peer_read(p, END - 65, 1, now);
	EXPECT_EQ(now[511], 9);
	peer_read(p, END - 64, 1, now);
	EXPECT_EQ(now[0], 0);
	peer_read(p, END - 1, 1, now);
	EXPECT_EQ(now[511], 0);
	EXPECT_EQ(ask(p, CDB(0x93, 9, [9] = 0x80), NO_DATA, NULL, 0),
		SENSE(5, 0x24, 0)); /* more than VPD B0h allows */
	peer_read(p, 0x80, 1, now);
	EXPECT_EQ(now[0], 7);
}

/* Ranges of UNMAP, one of which is wrong: nothing of the list is done. */
static void ranges_of_unmap(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL);
	uint8_t *buf = scene_alloc(4096), list[40] = {0, 38, 0, 32};

	memset(buf, 5, 4096);
	for (unsigned e = 0; e < sizeof(edges) / sizeof(edges[0]); e++) {
		uint64_t lba = edges[e].from_end ? END + edges[e].at : edges[e].at;
		bool ok = edges[e].ok || (edges[e].n == 0 && lba == END);
		unsigned end;

		peer_write(p, 800, 8, buf);
		put_be(list + 8, 8, 800);
		put_be(list + 16, 4, 8);
		put_be(list + 24, 8, lba);
		put_be(list + 32, 4, edges[e].n);
		end = ask(p, CDB(0x42, [8] = sizeof(list)), OUT, list, sizeof(list));
		EXPECT(end == (ok ? 0 : OUT_OF_RANGE), "%u blocks at 0x%llx: %06x", edges[e].n,
			(unsigned long long)lba, end);
		peer_read(p, 800, 8, buf);
		EXPECT(buf[0] == (ok ? 0 : 5), "%u blocks at 0x%llx: the range before it was %s",
			edges[e].n, (unsigned long long)lba, ok ? "left" : "given back");
		memset(buf, 5, 4096);
	}
}

static const uint32_t large = 4096;
static const struct scene_case cases[] = {
	CASE(every_edge, .ours = true),
	{.name = "every_edge_4096",
		.run = every_edge,
		.ram = "64M,block=4096",
		.arg = &large,
		.ours = true},
	CASE(lengths_of_zero, .ours = true),
	CASE(ranges_of_unmap, .ours = true),
};
SCENES(cases)
