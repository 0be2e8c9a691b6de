/* atomic.c - WRITE ATOMIC(16) (SBC-4 5.48): what memory promises, it keeps; files and devices promise nothing and so do not
 * have it, in whichever mode: a power cut may tear what a file system was given in one piece. */
#include "ask.h"

enum { BLOCK = 512, MOST = 2048, N = 256, LEN = N * BLOCK, N_ROUNDS = 150 };

static const uint8_t *limits(struct peer *p)
{
	uint8_t *page = scene_alloc(64);

	EXPECT_EQ(ask(p, CDB(0x12, 1, 0xb0, 0, 64), IN, page, 64), 0);
	return page;
}

/* supported - of REPORT SUPPORTED OPERATION CODES: 1 is no, 3 as the standard has it. */
static unsigned supported(struct peer *p)
{
	uint8_t buf[64];

	EXPECT_EQ(ask(p, CDB(0xa3, 0x0c, 1, 0x9c, [9] = 64), IN, buf, 64), 0);
	return buf[1] & 7;
}

static unsigned write_atomic(struct peer *p, uint32_t lba, uint16_t n, uint16_t boundary, void *buf,
	uint32_t len, struct peer_task *t)
{
	uint8_t cdb[16] = {0x9c};

	put_be(cdb + 2, 8, lba);
	put_be(cdb + 10, 2, boundary);
	put_be(cdb + 12, 2, n);
	return ask_to(p, cdb, OUT, buf, len, t);
}

static void as_promised(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL);
	uint8_t *buf = scene_alloc((MOST + 1) * BLOCK), *now = scene_alloc(MOST * BLOCK);
	const uint8_t *page = limits(p);
	struct peer_task t;

	EXPECT_EQ(get_be(page + 44, 4), MOST);
	EXPECT(!get_be(page + 48, 8) && !get_be(page + 56, 8),
		"alignment, granularity or boundaries");
	EXPECT_EQ(supported(p), 3);
	pattern(buf, MOST * BLOCK, 1, 0);
	EXPECT_EQ(write_atomic(p, 5, MOST, 0, buf, MOST * BLOCK, &t), 0);
	peer_read(p, 5, MOST, now);
	pattern_expect(now, MOST * BLOCK, 1, 0);
	EXPECT_EQ(write_atomic(p, 5, 0, 0, NULL, 0, &t), 0);
	EXPECT_EQ(write_atomic(p, 5, MOST + 1, 0, buf, (MOST + 1) * BLOCK, &t), SENSE(5, 0x24, 0));
	EXPECT_EQ(get_be(t.st.sense + 16, 2), 12);
	EXPECT_EQ(write_atomic(p, 5, 8, 4, buf, 8 * BLOCK, &t),
		SENSE(5, 0x24, 0)); /* there is no boundary */
	EXPECT_EQ(write_atomic(p, 5, 8, 0, buf, 7 * BLOCK, &t),
		SENSE(5, 0x0e, 3)); /* a part of it is not it */
	peer_read(p, 5, MOST, now);
	pattern_expect(now, MOST * BLOCK, 1, 0);
}

/* Two write over each other, a third reads: it sees one of the two, whole. */
static void whole_or_not(struct daemon *d)
{
	struct peer *writers[2] = {daemon_peer(d, NULL), daemon_peer(d, NULL)},
		    *reader = daemon_peer(d, NULL);
	uint8_t *data[2] = {scene_alloc(LEN), scene_alloc(LEN)}, *seen = scene_alloc(LEN);
	unsigned n_of[2] = {0};

	memset(data[1], 1, LEN);
	for (unsigned round = 0; round < scene_effort(N_ROUNDS); round++) {
		struct peer_task t[2], r;

		for (unsigned i = 0; i < 2; i++) {
			t[i] = (struct peer_task){
				.cmd = {.write = true, .edtl = LEN}, .buf = data[i]};
			memcpy(t[i].cmd.cdb, CDB(0x9c, [9] = 3, [12] = N >> 8), 16);
			peer_start(writers[i], &t[i]);
		}
		while (!t[0].done || !t[1].done) {
			peer_task_rw(&r, false, 3, N, seen);
			peer_start(reader, &r);
			for (unsigned i = 0; i < 2; i++)
				if (!t[i].done)
					peer_step(writers[i], 1);
			peer_wait(reader, &r);
			EXPECT(seen[0] < 2 && !memcmp(seen, data[seen[0]], LEN),
				"round %u: a part of each", round);
			n_of[seen[0]]++;
		}
		EXPECT(t[0].st.status == 0 && t[1].st.status == 0, "a write failed");
	}
	scene_note("%u and %u were seen", n_of[0], n_of[1]);
}

static void not_there(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL);
	uint8_t *buf = scene_alloc(8 * BLOCK);
	const uint8_t *page = limits(p);
	struct peer_task t;

	EXPECT(!get_be(page + 44, 4) && !get_be(page + 48, 8) && !get_be(page + 56, 8),
		"something is promised");
	EXPECT_EQ(supported(p), 1);
	EXPECT_EQ(write_atomic(p, 0, 8, 0, buf, 8 * BLOCK, &t), SENSE(5, 0x20, 0));
}

static const struct scene_case cases[] = {
	CASE(as_promised, .ours = true),
	CASE(whole_or_not, .args = {"--threads", "2"}, .ours = true),
	{.name = "not_of_a_file", .run = not_there, .file = 8 << 20, .ours = true},
	{.name = "not_of_a_file_through",
		.run = not_there,
		.file = 8 << 20,
		.options = ",mode=write-through",
		.ours = true},
	{.name = "not_of_larger_blocks",
		.run = not_there,
		.file = 8 << 20,
		.options = ",block=4096",
		.ours = true},
};
SCENES(cases)
