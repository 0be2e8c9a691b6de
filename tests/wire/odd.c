/* odd.c - lawful but odd: Data-Outs cut where nobody expects it, streams in the smallest pieces.
 *
 * The receive plan guesses where an initiator cuts. These peers make every guess wrong, by the
 * place, by the size, or by what comes between; every byte is right all the same, so every write
 * must end GOOD and read back, with nothing refused. */
#include <string.h>
#include "scene.h"

enum { BLOCK = 512, MIB = 1 << 20 };

static struct peer *peer_with_burst(struct daemon *d, uint32_t burst, uint32_t n_r2ts)
{
	struct peer_params want = peer_params_default();

	want.max_burst = want.first_burst = burst;
	want.max_r2t = n_r2ts;
	return daemon_peer(d, &want);
}

static void expect_nothing_refused(struct daemon *d)
{
	struct dump dump;

	if (!d->pid)
		return;
	daemon_dump(d, &dump);
	EXPECT_EQ(dump_sum(&dump, "refused_pdus"), 0);
	scene_note("%llu wrong guesses, %llu bytes guessed wrong",
		(unsigned long long)dump_get(&dump, "wrong_guesses"),
		(unsigned long long)dump_get(&dump, "copied_bytes{guess}"));
}

/* write_cut - one write whose windows are cut into the given lengths, over and over; 0 is lawful
 * too. */
static void write_cut(struct peer *p, uint64_t lba, uint32_t n_blocks, const uint32_t *cuts,
	unsigned n_cuts, uint64_t seed)
{
	uint32_t len = n_blocks * BLOCK;
	uint8_t *out = scene_alloc(len), *in = scene_alloc(len);
	uint32_t itt = peer_send_write(p, lba, n_blocks);
	struct peer_r2t r;
	unsigned k = 0;

	pattern(out, len, seed, 0);
	for (uint32_t done = 0; done < len; done += r.length) {
		uint32_t end, datasn = 0;

		peer_expect_r2t(p, itt, &r);
		end = r.offset + r.length;
		peer_hold(p);
		for (uint32_t at = r.offset, n; at < end; at += n) {
			n = cuts[k++ % n_cuts];
			n = n < end - at ? n : end - at;
			peer_send_data_out(p, &r, datasn++, at, out + at, n, at + n == end);
		}
		peer_flush(p);
	}
	peer_expect_good(p, itt);
	peer_read(p, lba, n_blocks, in);
	pattern_expect(in, len, seed, 0);
}

/* A real initiator was seen to cut 9216 bytes into 2848 + 6368. */
static void split_2848_6368(struct daemon *d)
{
	static const uint32_t cuts[] = {2848, 6368};
	struct peer *p = peer_with_burst(d, 65536, 1);

	for (unsigned i = 0; i < 50; i++)
		write_cut(p, i * 18 + i % 5, 18, cuts, 2, i);
	write_cut(p, 8, 2048, cuts, 2, 99);
	expect_nothing_refused(d);
}

static void lengths_with_padding(struct daemon *d)
{
	static const uint32_t cuts[] = {1, 3, 511, 2847, 4095, 4097, 2, 8191};
	struct peer *p = peer_with_burst(d, 65536, 4);

	for (unsigned i = 0; i < 20; i++)
		write_cut(p, i * 3, 128, cuts, sizeof(cuts) / sizeof(cuts[0]), i);
	expect_nothing_refused(d);
}

static void single_bytes(struct daemon *d)
{
	static const uint32_t one[] = {1};
	struct peer *p = peer_with_burst(d, 65536, 1);

	write_cut(p, 5, 16, one, 1, 1);
	expect_nothing_refused(d);
}

static void empty_data_outs(struct daemon *d)
{
	static const uint32_t cuts[] = {0, 4096, 0, 0, 512, 0, 8192, 100};
	struct peer *p = peer_with_burst(d, 65536, 2);

	for (unsigned i = 0; i < 20; i++)
		write_cut(p, i, 64, cuts, sizeof(cuts) / sizeof(cuts[0]), i);
	expect_nothing_refused(d);
}

/* Regular for a while, so that the plan believes it, then otherwise. */
static void habit_changes(struct daemon *d)
{
	static const uint32_t cuts[] = {
		8192, 8192, 8192, 8192, 8192, 8192, 8191, 1, 4096, 4096, 12288, 65536, 16384, 48};
	struct peer *p = peer_with_burst(d, 256 << 10, 2);

	for (unsigned i = 0; i < 30; i++)
		write_cut(p, i * 8, 1000 + i, cuts, sizeof(cuts) / sizeof(cuts[0]), i);
	expect_nothing_refused(d);
}

/* Other PDUs stand between the Data-Outs of a window: pings, commands, another task's Data-Outs. */
static void other_pdus_between(struct daemon *d)
{
	enum { N = 4, LEN = 128 << 10, PART = 8192 };
	struct peer_params want = peer_params_default();
	struct peer_r2t r[N];
	struct peer_cmd ready = {0};
	uint8_t *out = scene_alloc(N * LEN), *in = scene_alloc(N * LEN);
	struct peer_pdu pdu;
	struct peer *p;
	unsigned owed = N;

	want.max_burst = LEN;
	p = daemon_peer(d, &want);
	pattern(out, N * LEN, 1, 0);
	for (unsigned i = 0; i < N; i++)
		peer_expect_r2t(p, peer_send_write(p, i * LEN / BLOCK, LEN / BLOCK), &r[i]);
	peer_hold(p);
	for (uint32_t at = 0, n = 0; at < LEN; at += PART, n++) {
		for (unsigned i = 0; i < N; i++)
			peer_send_data_out(
				p, &r[i], n, at, out + i * LEN + at, PART, at + PART == LEN);
		if (n % 3)
			continue;
		peer_send_cmd(p, &ready);
		peer_pdu(p, &pdu, PEER_NOP_OUT | PEER_IMMEDIATE, PEER_F, peer_itt(p), out, n * 37);
		pdu_set(&pdu, TTT, PEER_NONE);
		peer_send(p, &pdu);
		owed += 2;
	}
	peer_flush(p);
	while (owed--) {
		peer_recv(p, &pdu);
		EXPECT(pdu_get(&pdu, OPCODE) == PEER_NOP_IN ||
				(pdu_get(&pdu, OPCODE) == PEER_RESPONSE &&
					pdu_get(&pdu, STATUS) == 0),
			"got %s", peer_describe(&pdu));
	}
	peer_read(p, 0, N * LEN / BLOCK, in);
	pattern_expect(in, N * LEN, 1, 0);
	expect_nothing_refused(d);
}

/* Several windows are open; their data comes in another order than they were granted. */
static void windows_answered_backwards(struct daemon *d)
{
	enum { LEN = 256 << 10, N = 32, PART = LEN / N };
	struct peer *p = peer_with_burst(d, PART, N);
	uint8_t *out = scene_alloc(LEN), *in = scene_alloc(LEN);
	struct peer_r2t r[N];

	p->segment = 3000;
	for (unsigned round = 0; round < 10; round++) {
		uint32_t itt = peer_send_write(p, 1, LEN / BLOCK);

		pattern(out, LEN, round, 0);
		for (unsigned i = 0; i < N; i++)
			peer_expect_r2t(p, itt, &r[i]);
		peer_hold(p);
		for (unsigned i = 0; i < N; i++)
			peer_answer(p, &r[(i * 13 + round) % N], out);
		peer_flush(p);
		peer_expect_good(p, itt);
		peer_read(p, 1, LEN / BLOCK, in);
		pattern_expect(in, LEN, round, 0);
	}
	expect_nothing_refused(d);
}

/* Random everything, several tasks at once, in pieces of any size. */
static void always_falsifies(struct daemon *d)
{
	enum { N = 8, MOST = 128 << 10, ROUNDS = 60 };
	struct peer_params want = peer_params_default();
	struct peer_task *tasks = scene_alloc(N * sizeof(*tasks));
	uint8_t *out = scene_alloc(N * MOST), *in = scene_alloc(MOST);
	struct peer *p;

	want.initial_r2t = false;
	want.immediate_data = true;
	want.first_burst = 20000;
	want.max_burst = 50000;
	want.max_r2t = 4;
	p = daemon_peer(d, &want);
	p->odd_seed = 12345;
	for (unsigned round = 0; round < ROUNDS; round++) {
		peer_set_cut(
			p, round % 2 ? &(struct peer_cut){.random = 9000, .seed = round} : NULL);
		peer_hold(p);
		for (unsigned i = 0; i < N; i++) {
			uint32_t n = 1 + (uint32_t)scene_random(MOST / BLOCK);

			pattern(out + i * MOST, MOST, round * N + i, 0);
			peer_task_rw(
				&tasks[i], true, i * 1000 + scene_random(99), n, out + i * MOST);
			peer_start(p, &tasks[i]);
		}
		peer_flush(p);
		peer_wait_all(p);
		for (unsigned i = 0; i < N; i++) {
			const uint8_t *cdb = tasks[i].cmd.cdb;
			uint64_t lba = (uint64_t)cdb[8] << 8 | cdb[9];

			EXPECT(tasks[i].st.status == 0, "status 0x%02x", tasks[i].st.status);
			peer_read(p, lba, tasks[i].cmd.edtl / BLOCK, in);
			pattern_expect(in, tasks[i].cmd.edtl, round * N + i, 0);
		}
	}
	expect_nothing_refused(d);
}

/* --- the stream in pieces --- */
static void a_write_byte_by_byte(struct daemon *d)
{
	static const uint32_t cuts[] = {2848, 5344};
	struct peer *p = peer_with_burst(d, 65536, 1);

	peer_set_cut(p, &(struct peer_cut){.every = 1});
	write_cut(p, 3, 16, cuts, 2, 1);
	peer_set_cut(p, &(struct peer_cut){.every = 48});
	write_cut(p, 3, 128, cuts, 2, 2);
	peer_set_cut(p, &(struct peer_cut){.every = 49, .delay_us = 50});
	write_cut(p, 3, 128, cuts, 2, 3);
	expect_nothing_refused(d);
}

/* Two Data-Outs of 4 KiB, the stream cut in two at each place around its PDU boundaries. */
static void every_split_near_a_boundary(struct daemon *d)
{
	static const uint32_t half[] = {4096};
	static const uint32_t marks[] = {48, 96, 96 + 4096, 144 + 4096, 144 + 8192};
	struct peer *p = peer_with_burst(d, 65536, 1);

	for (unsigned m = 0; m < sizeof(marks) / sizeof(marks[0]); m++) {
		for (int off = -9; off <= 9; off++) {
			uint64_t at = (uint64_t)((int)marks[m] + off);

			peer_set_cut(p, &(struct peer_cut){.at = &at, .n_at = 1, .delay_us = 300});
			write_cut(p, 8, 16, half, 1, at);
			peer_set_cut(p, NULL);
		}
	}
	expect_nothing_refused(d);
}

/* The command's own data is longer than what its CDB takes: the rest is drained, and told as
 * residual, wherever the stream is cut. */
static void more_data_than_the_cdb_takes(struct daemon *d)
{
	enum { LEN = 8192 };
	struct peer_params want = peer_params_default();
	uint8_t *out = scene_alloc(LEN), *in = scene_alloc(LEN);
	struct peer *p;

	want.immediate_data = true;
	want.initial_r2t = false;
	want.first_burst = LEN;
	p = daemon_peer(d, &want);
	for (unsigned i = 0; i < 60; i++) {
		uint64_t at = 10 + (uint64_t)i * 150;
		struct peer_task t;

		p->segment = i % 2 ? 2000 : 0;
		pattern(out, LEN, i, 0);
		peer_write(p, 0, LEN / BLOCK, out);
		pattern(out, LEN, 100 + i, 0);
		peer_task_rw(&t, true, 0, 1 + i % 3, out);
		t.cmd.edtl = LEN;
		peer_set_cut(p, &(struct peer_cut){.at = &at, .n_at = 1, .delay_us = 2000});
		peer_start(p, &t);
		peer_set_cut(p, NULL);
		peer_wait(p, &t);
		EXPECT(t.st.status == 0 && t.st.underflow, "status 0x%02x, underflow %d",
			t.st.status, t.st.underflow);
		EXPECT_EQ(t.st.residual, LEN - (1 + i % 3) * BLOCK);
		peer_read(p, 0, LEN / BLOCK, in);
		pattern_expect(in, (1 + i % 3) * BLOCK, 100 + i, 0);
		pattern_expect(in + (1 + i % 3) * BLOCK, LEN - (1 + i % 3) * BLOCK, i,
			(1 + i % 3) * BLOCK);
	}
	expect_nothing_refused(d);
}

static const struct scene_case cases[] = {
	CASE(split_2848_6368),
	CASE(lengths_with_padding),
	CASE(single_bytes),
	CASE(empty_data_outs),
	CASE(habit_changes),
	CASE(other_pdus_between),
	CASE(windows_answered_backwards, .ours = true),
	CASE(always_falsifies),
	CASE(a_write_byte_by_byte),
	CASE(every_split_near_a_boundary),
	CASE(more_data_than_the_cdb_takes),
};
SCENES(cases)
