/* faults.c - disks that fail and disks that are slow (error= and delay= of a disk): what the initiator is told, and
 * that what is aborted or reset meanwhile is answered only when the disk can do nothing more for it. */
#include <string.h>
#include "fault.h"

enum { ABORT_TASK = 1, LUN_RESET = 5, COMPLETE = 0, NO_TASK = 1 };
enum { DELAY_MS = 300 };

#define SLOW_WRITES "64M,delay=write:300ms"
#define SLOW_READS  "64M,delay=read:300ms"

/* --- the disk fails --- */
static void an_unreadable_block_is_named(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL);
	uint8_t *buf = scene_alloc(LEN);

	pattern(buf, LEN, 1, 0);
	peer_write(p, 960, N, buf); /* in the cache: the disk is not asked */
	peer_read(p, 960, N, buf);
	expect_unreadable(p, 4000, 1, 4000);
	expect_unreadable(p, 3900, N, 4000);
	expect_unreadable(p, 4000, 7, 4000);
	expect_unreadable(p, 4003, 4, 4003);
	expect_unreadable(p, 2048, 4096, 4000);
	peer_read(p, 3900, 100, buf);
	peer_read(p, 4008, N, buf);
	peer_write(p, 3992, 24, buf); /* whole pages: nothing has to be read for it */
	peer_read(p, 3992, 24, buf);
}

static void a_failed_write_is_told_and_tried_again(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL);
	uint8_t *old = scene_alloc(LEN), *fresh = scene_alloc(LEN), *now = scene_alloc(LEN);
	struct peer_status st;

	pattern(old, LEN, 1, 0);
	pattern(fresh, LEN, 2, 0);
	peer_write(p, 0, N, old);
	st = peer_rw(p, true, 1000, N, fresh);
	expect_error(&st, 3, 0x0c, 0);
	st = peer_rw(p, true, 1000, N, fresh);
	expect_error(&st, 3, 0x0c, 0);
	peer_write(p, 1000, N, fresh); /* the third time it works */
	peer_read(p, 1000, N, now);
	pattern_expect(now, LEN, 2, 0);
	peer_read(p, 0, N, now);
	pattern_expect(now, LEN, 1, 0);
}

static void no_space_is_no_medium_error(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL);
	uint8_t *buf = scene_alloc(LEN);
	struct peer_status st;

	pattern(buf, LEN, 1, 0);
	st = peer_rw(p, true, 0, N, buf);
	expect_error(&st, 7, 0x27, 7);
	peer_write(p, 0, N, buf);
	peer_read(p, 0, N, buf);
	pattern_expect(buf, LEN, 1, 0);
}

/* A hole of a write-through disk is durable when it has been flushed, so UNMAP flushes, and failed here. The flush
 * that is asked for must not say that all is well because one was tried. */
/* UNMAP punches and flushes again a few times before it gives up; then two flushes fail. */
static void a_failed_flush_is_told_each_time(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL);
	uint8_t *buf = scene_alloc(LEN);
	struct peer_status st;

	pattern(buf, LEN, 1, 0);
	peer_write(p, 0, N, buf);
	st = unmap(p);
	expect_error(&st, 3, 0x0c, 0);
	for (unsigned i = 0; i < 2; i++) {
		st = sync_cache(p);
		expect_error(&st, 3, 0x0c, 0);
	}
	EXPECT_EQ(sync_cache(p).status, 0);
	EXPECT_EQ(sync_cache(p).status, 0);
}

static void holes_are_punched_again_after_a_failed_flush(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL);

	EXPECT_EQ(unmap(p).status, 0);
	EXPECT_EQ(sync_cache(p).status, 0);
}

static void fua_both_ways(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL);
	uint8_t *buf = scene_alloc(LEN);
	struct peer_task t;

	for (unsigned i = 0; i < 2; i++) {
		pattern(buf, LEN, 3, 0);
		peer_task_rw(&t, !i, 64, N, buf);
		t.cmd.cdb[1] = 0x08;
		peer_start(p, &t);
		peer_wait(p, &t);
		EXPECT_EQ(t.st.status, 0);
	}
	pattern_expect(buf, LEN, 3, 0);
}

/* --- the disk is slow --- */
/* What has been sent to the disk ends there, whatever is said: the answer must wait for it. */
static void an_abort_waits_for_the_disk(struct daemon *d, bool write)
{
	struct peer *p = daemon_peer(d, NULL), *q = daemon_peer(d, NULL);
	uint8_t *buf = scene_alloc(LEN);
	uint32_t cmdsn, itt;
	struct peer_r2t r;
	int64_t start;

	pattern(buf, LEN, 1, 0);
	cmdsn = p->cmdsn;
	if (write) {
		itt = peer_send_write(p, 0, N);
		peer_expect_r2t(p, itt, &r);
		peer_answer(p, &r, buf);
		scene_sleep(30);
	} else {
		itt = peer_send_read(p, 0, N);
	}
	start = scene_now_ms();
	EXPECT_EQ(peer_expect_tmf(p, peer_send_tmf(p, ABORT_TASK, itt, cmdsn)), COMPLETE);
	EXPECT(scene_now_ms() - start > DELAY_MS / 3, "answered after %lld ms: before the disk",
		(long long)(scene_now_ms() - start));
	peer_ping(p, 5); /* no status comes behind it */
	peer_read(q, 0, N, buf);
	if (write) /* it had reached the disk: whole, then */
		pattern_expect(buf, LEN, 1, 0);
	EXPECT_EQ(peer_expect_tmf(p, peer_send_tmf(p, ABORT_TASK, itt, cmdsn)), NO_TASK);
}

static void an_aborted_write_is_waited_for(struct daemon *d)
{
	an_abort_waits_for_the_disk(d, true);
}

static void an_aborted_read_is_waited_for(struct daemon *d)
{
	an_abort_waits_for_the_disk(d, false);
}

static void a_reset_waits_for_all_of_the_unit(struct daemon *d)
{
	enum { TASKS = 8 };
	struct peer *p = daemon_peer(d, NULL), *q = daemon_peer(d, NULL);
	struct peer_task tasks[TASKS];
	uint8_t *buf = scene_alloc(TASKS * LEN), *now = scene_alloc(LEN);
	struct peer_status st;
	int64_t start = scene_now_ms();

	for (unsigned i = 0; i < TASKS; i++) {
		pattern(buf + i * LEN, LEN, 10 + i, 0);
		peer_task_rw(&tasks[i], true, i * N, N, buf + i * LEN);
		peer_start(i % 2 ? q : p, &tasks[i]);
	}
	for (unsigned i = 0; i < 40; i++) {
		peer_step(p, 1);
		peer_step(q, 1);
	}
	p->tasks = NULL; /* what is told from now on is not theirs */
	q->tasks = NULL;
	EXPECT_EQ(peer_expect_tmf(p, peer_send_tmf(p, LUN_RESET, 0, 0)), COMPLETE);
	EXPECT(scene_now_ms() - start > DELAY_MS / 3, "answered before the disk");
	st = plain(q, 0);
	expect_error(&st, 6, 0x29, 3);
	st = plain(p, 0); /* it asked for the reset itself; told all the same, or not */
	for (unsigned i = 0; i < TASKS; i++) { /* each is there, or is not: none half */
		peer_read(q, i * N, N, now);
		pattern_expect(now, LEN, now[0] || now[1] || now[2] ? 10 + i : 0, 0);
	}
}

static void the_connection_ends_first(struct daemon *d)
{
	uint8_t *buf = scene_alloc(LEN);

	for (unsigned i = 0; i < 4; i++) {
		struct peer *p = daemon_peer(d, NULL);
		struct peer_r2t r;

		if (i % 2) {
			peer_expect_r2t(p, peer_send_write(p, i * N, N), &r);
			peer_answer(p, &r, buf);
		} else {
			peer_send_read(p, i * N, N);
		}
		scene_sleep(20);
		if (i < 2)
			peer_reset(p);
		else
			peer_close(p);
	}
}

/* SIGTERM comes while the disk works: what runs is finished and answered. */
static void the_server_is_stopped_meanwhile(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL);
	uint8_t *buf = scene_alloc(LEN);
	struct peer_pdu pdu;
	struct peer_r2t r;
	uint32_t itt;

	pattern(buf, LEN, 1, 0);
	itt = peer_send_write(p, 0, N);
	peer_expect_r2t(p, itt, &r);
	peer_answer(p, &r, buf);
	scene_sleep(30);
	daemon_begin_stop(d);
	peer_expect(p, &pdu, PEER_ASYNC); /* it asks us to log out */
	peer_expect_good(p, itt);
	peer_close(p);
	daemon_stop(d);
}

/* Completions in any order, errors among them: what is told good is there. */
static void late_and_in_any_order(struct daemon *d)
{
	enum { SLOTS = 16, ROUNDS = 30 };
	struct peer *p = daemon_peer(d, NULL);
	struct peer_task t[SLOTS];
	uint8_t *buf = scene_alloc(SLOTS * LEN), *now = scene_alloc(LEN);
	unsigned n_failed = 0;

	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned i = 0; i < SLOTS; i++) {
			pattern(buf + i * LEN, LEN, round * SLOTS + i, 0);
			peer_task_rw(&t[i], true, i * N, N, buf + i * LEN);
			peer_start(p, &t[i]);
		}
		peer_wait_all(p);
		for (unsigned i = 0; i < SLOTS; i++) {
			if (t[i].st.status) {
				expect_error(&t[i].st, 3, 0x0c, 0);
				n_failed++;
				continue;
			}
			peer_read(p, i * N, N, now);
			pattern_expect(now, LEN, round * SLOTS + i, 0);
		}
	}
	EXPECT(n_failed > 10 && n_failed < SLOTS * ROUNDS / 2, "%u failed", n_failed);
}

/* A stream in small pieces, many of them at once: neighbours go to the disk together, and each is answered. */
static void small_pieces_of_a_stream(struct daemon *d)
{
	enum { PIECES = 32, PIECE = LEN / 16, ROUNDS = 8 };
	struct peer_params want = peer_params_default();
	struct peer_task *t = scene_alloc(PIECES * sizeof(*t));
	uint8_t *out = scene_alloc(PIECES * PIECE), *now = scene_alloc(PIECES * PIECE);
	struct dump dump;
	struct peer *p;

	want.immediate_data = true;
	p = daemon_peer(d, &want);
	for (uint64_t round = 0; round < ROUNDS; round++) {
		uint64_t lba = round * PIECES * (PIECE / BLOCK);

		pattern(out, PIECES * PIECE, round, 0);
		peer_hold(p);
		for (unsigned i = 0; i < PIECES; i++) {
			peer_task_rw(&t[i], true, lba + i * (PIECE / BLOCK), PIECE / BLOCK,
				out + i * PIECE);
			peer_start(p, &t[i]);
		}
		peer_flush(p);
		peer_wait_all(p);
		for (unsigned i = 0; i < PIECES; i++)
			EXPECT_EQ(t[i].st.status, 0);
		peer_read(p, lba, PIECES * (PIECE / BLOCK), now);
		pattern_expect(now, PIECES * PIECE, round, 0);
	}
	daemon_dump(d, &dump);
	EXPECT_EQ(dump_get(&dump, "disk_requests{write}"), PIECES * ROUNDS);
	EXPECT(dump_get(&dump, "disk_requests{joined}") >= PIECES * ROUNDS / 4,
		"only %lu of %u writes were joined", dump_get(&dump, "disk_requests{joined}"),
		PIECES * ROUNDS);
}

static const struct scene_case cases[] = {
	CASE(an_unreadable_block_is_named, .ram = "64M,error=read:lba=4000-4007", .ours = true),
	CASE(a_failed_write_is_told_and_tried_again, .ram = "64M,error=write:lba=1000-1063:count=2",
		.ours = true),
	CASE(no_space_is_no_medium_error, .ram = "64M,error=write:errno=ENOSPC:count=1",
		.ours = true),
	CASE(a_failed_flush_is_told_each_time, .ram = "64M,error=flush:count=11", .ours = true),
	CASE(holes_are_punched_again_after_a_failed_flush, .ram = "64M,error=flush:count=2",
		.ours = true),
	CASE(fua_both_ways, .ram = "64M,delay=any:2ms", .ours = true),
	CASE(an_aborted_write_is_waited_for, .ram = SLOW_WRITES, .ours = true),
	CASE(an_aborted_read_is_waited_for, .ram = SLOW_READS, .ours = true),
	CASE(a_reset_waits_for_all_of_the_unit, .ram = SLOW_WRITES, .ours = true),
	CASE(the_connection_ends_first, .ram = "64M,delay=any:300ms", .ours = true),
	CASE(the_server_is_stopped_meanwhile, .ram = SLOW_WRITES, .ours = true),
	CASE(late_and_in_any_order,
		.ram = "64M,delay=write:1ms:jitter=exp,error=write:rate=0.1:seed=7", .ours = true),
	CASE(small_pieces_of_a_stream, .file = 32 << 20, .options = ",mode=write-through",
		.ours = true),
};
SCENES(cases)
