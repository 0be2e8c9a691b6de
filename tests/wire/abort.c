/* abort.c - writes that do not come to their end: stalled, aborted, reset, cut.
 *
 * Until its last byte is in nobody sees anything of a write; when it ends early the old data is
 * there to the byte. What an initiator lawfully still sends for a task that is gone is drained
 * without a word. */
#include <string.h>
#include "scene.h"

enum { BLOCK = 512, LEN = 256 << 10, WINDOW = 64 << 10, N_BLOCKS = LEN / BLOCK };
enum { ABORT_TASK = 1, LUN_RESET = 5, COMPLETE = 0 };

/* Known old data, a second connection, and a write of which three and a half windows of four are
 * in. */
struct stage {
	struct peer *a, *b;
	uint8_t *fresh, *now;
	uint32_t itt, cmdsn, datasn;
	struct peer_r2t r[4];
};

static void set_stage(struct daemon *d, struct stage *s, uint32_t max_r2t)
{
	struct peer_params want = peer_params_default();

	want.max_r2t = max_r2t;
	s->a = daemon_peer(d, &want);
	s->b = daemon_peer(d, NULL);
	s->a->segment = 8192;
	s->fresh = scene_alloc(LEN);
	s->now = scene_alloc(LEN);
	pattern(s->fresh, LEN, 1, 0);
	peer_write(s->b, 3, N_BLOCKS, s->fresh);
	pattern(s->fresh, LEN, 2, 0);
}

static void half_a_write(struct stage *s)
{
	uint32_t n = s->a->params.max_r2t;

	s->cmdsn = s->a->cmdsn;
	s->itt = peer_send_write(s->a, 3, N_BLOCKS);
	for (unsigned i = 0; i < 4; i++) {
		if (n == 1 || i == 0)
			for (unsigned k = 0; k < n; k++)
				peer_expect_r2t(s->a, s->itt, &s->r[i + k]);
		if (i < 3)
			peer_answer(s->a, &s->r[i], s->fresh);
	}
	s->datasn = peer_answer_part(
		s->a, &s->r[3], 0, s->fresh, s->r[3].offset, s->r[3].offset + WINDOW / 2);
}

static void other_half(struct stage *s)
{
	peer_answer_part(s->a, &s->r[3], s->datasn, s->fresh, s->r[3].offset + WINDOW / 2, LEN);
}

static void expect_content(struct stage *s, struct peer *by, uint64_t seed)
{
	peer_read(by, 3, N_BLOCKS, s->now);
	pattern_expect(s->now, LEN, seed, 0);
}

static void works_again(struct stage *s)
{
	peer_write(s->a, 3, N_BLOCKS, s->fresh);
	expect_content(s, s->b, 2);
}

static void stalls_and_goes_on(struct daemon *d)
{
	struct stage s;

	set_stage(d, &s, 4);
	half_a_write(&s);
	expect_content(&s, s.b, 1);
	scene_sleep(500);
	expect_content(&s, s.b, 1);
	other_half(&s);
	peer_expect_good(s.a, s.itt);
	expect_content(&s, s.b, 2);
}

static void aborted(struct daemon *d)
{
	for (uint32_t max_r2t = 1; max_r2t <= 4; max_r2t += 3) {
		struct stage s;

		set_stage(d, &s, max_r2t);
		half_a_write(&s);
		EXPECT_EQ(peer_expect_tmf(s.a, peer_send_tmf(s.a, ABORT_TASK, s.itt, s.cmdsn)),
			COMPLETE);
		expect_content(&s, s.b, 1);
		other_half(&s); /* late, and lawful */
		peer_ping(s.a, 7);
		expect_content(&s, s.a, 1);
		works_again(&s);
		peer_close(s.a);
		peer_close(s.b);
	}
}

/* The whole second half is on its way behind the abort, in the same segment of the stream. */
static void aborted_with_data_behind(struct daemon *d)
{
	struct dump before, after;
	struct stage s;
	uint32_t itt;

	set_stage(d, &s, 4);
	half_a_write(&s);
	if (d->pid)
		daemon_dump(d, &before);
	peer_hold(s.a);
	itt = peer_send_tmf(s.a, ABORT_TASK, s.itt, s.cmdsn);
	other_half(&s);
	peer_flush(s.a);
	EXPECT_EQ(peer_expect_tmf(s.a, itt), COMPLETE);
	peer_ping(s.a, 7);
	expect_content(&s, s.b, 1);
	if (d->pid) {
		daemon_dump(d, &after);
		EXPECT_EQ(dump_sum(&after, "refused_pdus"), dump_sum(&before, "refused_pdus"));
		EXPECT_EQ(dump_get(&after, "drained_bytes") - dump_get(&before, "drained_bytes"),
			WINDOW / 2);
		EXPECT_EQ(dump_get(&after, "draining"), 0); /* F came */
	}
	works_again(&s);
}

/* The ITT is free again after the answer: a new write uses it while the old one's data still comes.
 */
static void itt_used_again(struct daemon *d)
{
	struct peer_cmd c = {.write = true, .edtl = WINDOW};
	struct peer_r2t r;
	struct stage s;

	set_stage(d, &s, 4);
	half_a_write(&s);
	EXPECT_EQ(peer_expect_tmf(s.a, peer_send_tmf(s.a, ABORT_TASK, s.itt, s.cmdsn)), COMPLETE);
	cdb_rw(c.cdb, true, 3, WINDOW / BLOCK);
	c.itt = s.itt;
	peer_send_cmd(s.a, &c);
	peer_expect_r2t(s.a, s.itt, &r);
	peer_answer_part(s.a, &r, 0, s.fresh, 0, WINDOW / 2);
	other_half(&s);
	peer_answer_part(s.a, &r, WINDOW / 2 / s.a->segment, s.fresh, WINDOW / 2, WINDOW);
	peer_expect_good(s.a, s.itt);
	peer_read(s.b, 3, N_BLOCKS, s.now);
	pattern_expect(s.now, WINDOW, 2, 0);
	pattern_expect(s.now + WINDOW, LEN - WINDOW, 1, WINDOW);
}

/* Many aborts with their windows left half open: slots go round, nothing is lost. */
static void aborts_without_end(struct daemon *d)
{
	struct stage s;

	set_stage(d, &s, 4);
	for (unsigned i = 0; i < 300; i++) {
		half_a_write(&s);
		EXPECT_EQ(peer_expect_tmf(s.a, peer_send_tmf(s.a, ABORT_TASK, s.itt, s.cmdsn)),
			COMPLETE);
		if (i % 2)
			other_half(&s);
	}
	expect_content(&s, s.b, 1);
	works_again(&s);
}

/* 11.5.1: a command that has not arrived, but whose number is in the window, counts as received and
 * aborted: the numbers behind it are not held up. */
static void aborted_before_it_came(struct daemon *d)
{
	struct peer_cmd ready = {0};
	struct peer_pdu late;
	struct stage s;
	uint32_t itt, lost;

	set_stage(d, &s, 1);
	lost = s.a->cmdsn;
	itt = peer_cmd_pdu(s.a, &late, &ready); /* not sent */
	EXPECT_EQ(peer_expect_tmf(s.a, peer_send_tmf(s.a, ABORT_TASK, itt, lost)), COMPLETE);
	peer_expect_good(s.a, peer_send_cmd(s.a, &ready));
	peer_send(s.a, &late); /* its number has been: dropped */
	peer_ping(s.a, 3);
	works_again(&s);
}

/* --- reset --- */
static void reset_by(struct daemon *d, bool own)
{
	struct stage s;
	struct peer *by;

	set_stage(d, &s, 4);
	by = own ? s.a : s.b;
	half_a_write(&s);
	EXPECT_EQ(peer_expect_tmf(by, peer_send_tmf(by, LUN_RESET, PEER_NONE, 0)), COMPLETE);
	peer_settle(s.b);
	expect_content(&s, s.b, 1);
	other_half(&s);
	peer_settle(s.a); /* unit attention: reset occurred; and no status of the aborted task */
	expect_content(&s, s.a, 1);
	works_again(&s);
}

static void lun_reset_by_itself(struct daemon *d)
{
	reset_by(d, true);
}

static void lun_reset_by_another(struct daemon *d)
{
	reset_by(d, false);
}

/* Resets among writes: after each the content is whole, as the last write or one of this round left
 * it. */
static void resets_under_load(struct daemon *d)
{
	enum { N = 16 };
	struct peer_task *tasks = scene_alloc(N * sizeof(*tasks));
	uint64_t seed = 1, n_new = 0;
	struct stage s;

	set_stage(d, &s, 4);
	for (unsigned round = 0; round < 30; round++) {
		pattern(s.fresh, LEN, 2 + round, 0);
		for (unsigned i = 0; i < N; i++) {
			peer_task_rw(&tasks[i], true, 3, N_BLOCKS, s.fresh);
			peer_start(s.a, &tasks[i]);
		}
		for (uint64_t i = scene_random(60); i--;)
			peer_step(s.a, 1);
		EXPECT_EQ(peer_expect_tmf(s.b, peer_send_tmf(s.b, LUN_RESET, PEER_NONE, 0)),
			COMPLETE);
		peer_settle(s.b);
		peer_read(s.b, 3, N_BLOCKS, s.now);
		if (!memcmp(s.now, s.fresh, 64)) {
			seed = 2 + round;
			n_new++;
		}
		pattern_expect(s.now, LEN, seed, 0);
		peer_close(s.a);
		s.a = daemon_peer(d, NULL);
		s.a->segment = 8192;
		expect_content(&s, s.a, seed); /* nothing of it came afterwards */
	}
	scene_note("%llu of 30 rounds wrote", (unsigned long long)n_new);
	pattern(s.fresh, LEN, 2, 0);
	works_again(&s);
}

/* --- the connection ends --- */
static void closed_with_writes_in_flight(struct daemon *d)
{
	for (unsigned how = 0; how < 3; how++) {
		struct stage s;

		set_stage(d, &s, 4);
		for (unsigned i = 0; i < 4; i++)
			half_a_write(&s);
		if (how == 0)
			peer_close(s.a);
		else if (how == 1)
			peer_reset(s.a);
		else
			peer_logout(s.a);
		expect_content(&s, s.b, 1);
		peer_close(s.b);
		daemon_settled(d);
	}
}

/* A window without progress for 30 s ends its task; one with a little now and then does not. */
static void thirty_seconds_without_progress(struct daemon *d)
{
	int64_t start = scene_now_ms(), end;
	struct peer_r2t r;
	struct stage s;
	uint32_t itt;

	set_stage(d, &s, 4);
	half_a_write(&s);
	itt = peer_send_write(s.b, 2000, 128);
	peer_expect_r2t(s.b, itt, &r);
	for (unsigned i = 0; i < 3; i++) {
		peer_answer_part(s.b, &r, i, s.fresh, i * 512, (i + 1) * 512);
		peer_expect_nothing(s.b, 8000);
	}
	s.a->timeout_ms = 45000;
	peer_expect_sense(s.a, s.itt, 0xb, 0x4b, 6);
	end = scene_now_ms();
	EXPECT(end - start > 25000 && end - start < 45000, "ended after %lld ms",
		(long long)(end - start));
	other_half(&s);
	peer_ping(s.a, 3);
	expect_content(&s, s.a, 1);
	for (unsigned i = 3; i < 5; i++) {
		peer_answer_part(s.b, &r, i, s.fresh, i * 512, (i + 1) * 512);
		peer_expect_nothing(s.b, 4000);
	}
	peer_answer_part(s.b, &r, 5, s.fresh, 5 * 512, r.length);
	peer_expect_good(s.b, itt);
	works_again(&s);
}

/* A whole window of writes announced unasked data, and a reset ends all of them before it comes: each is drained. */
static void unasked_data_of_a_whole_window(struct daemon *d)
{
	enum { N = 100, PART = 4096 };
	struct peer_params want = peer_params_default();
	struct peer_cmd c = {.write = true, .more = true, .edtl = PART};
	struct peer_r2t r[N] = {{0}};
	struct peer *a, *b = daemon_peer(d, NULL);
	uint8_t *data = scene_alloc(PART);
	unsigned n = 0;

	want.initial_r2t = false;
	a = daemon_peer(d, &want);
	for (; n < N && (int32_t)(a->maxcmdsn - a->cmdsn) >= 0; n++) {
		cdb_rw(c.cdb, true, n * 8, PART / BLOCK);
		r[n].itt = peer_send_cmd(a, &c);
		r[n].ttt = PEER_NONE;
		r[n].lun = a->lun;
	}
	scene_note("%u writes", n);
	EXPECT(n > 16, "that is no window");
	peer_ping(a, 7);
	EXPECT_EQ(peer_expect_tmf(b, peer_send_tmf(b, LUN_RESET, PEER_NONE, 0)), COMPLETE);
	for (unsigned i = 0; i < n; i++) {
		peer_send_data_out(a, &r[i], 0, 0, data, PART / 2, false);
		peer_send_data_out(a, &r[i], 1, PART / 2, data, PART / 2, true);
	}
	peer_ping(a, 7);
	peer_settle(a);
	peer_settle(b);
}

static const struct scene_case cases[] = {
	CASE(stalls_and_goes_on, .ours = true),
	CASE(aborted, .ours = true),
	CASE(aborted_with_data_behind, .ours = true),
	CASE(itt_used_again, .ours = true),
	CASE(aborts_without_end, .ours = true),
	CASE(aborted_before_it_came, .ours = true),
	CASE(lun_reset_by_itself, .ours = true),
	CASE(lun_reset_by_another, .ours = true),
	CASE(resets_under_load, .ours = true),
	CASE(unasked_data_of_a_whole_window, .ours = true),
	CASE(closed_with_writes_in_flight, .ours = true),
	CASE(thirty_seconds_without_progress, .ours = true),
	{.name = "aborted_file", .run = aborted, .file = 64 << 20, .ours = true},
	{.name = "aborts_without_end_file",
		.run = aborts_without_end,
		.file = 64 << 20,
		.ours = true},
	{.name = "lun_reset_by_another_file",
		.run = lun_reset_by_another,
		.file = 64 << 20,
		.ours = true},
	{.name = "resets_under_load_file",
		.run = resets_under_load,
		.file = 64 << 20,
		.ours = true},
	{.name = "closed_with_writes_in_flight_file",
		.run = closed_with_writes_in_flight,
		.file = 64 << 20,
		.ours = true},
};
SCENES(cases)
