/* back.c - a disk that is written back, on a file, and fails or is slow: what was acknowledged stays, is readable all the
 * time and tried again; who asks for durability is told, and so is the next write. (faults.c is the same for disks
 * that are written through.) */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "fault.h"

enum { LUN_RESET = 5, COMPLETE = 0, DELAY_MS = 300, SIZE = 32 << 20 };

static void write_now(struct peer *p, uint64_t lba, unsigned seed)
{
	uint8_t *buf = scene_alloc(LEN);

	pattern(buf, LEN, seed, 0);
	peer_write(p, lba, N, buf);
}

static void expect_now(struct peer *p, uint64_t lba, unsigned seed)
{
	uint8_t *buf = scene_alloc(LEN);

	peer_read(p, lba, N, buf);
	pattern_expect(buf, LEN, seed, 0);
}

/* What lies in the file itself. */
static void expect_file(const struct daemon *d, uint64_t lba, unsigned seed)
{
	uint8_t *buf = scene_alloc(LEN);
	int fd = open(d->file, O_RDONLY | O_CLOEXEC);

	EXPECT(fd >= 0 && pread(fd, buf, LEN, (off_t)(lba * BLOCK)) == LEN, "%s: %s", d->file,
		strerror(errno));
	close(fd);
	pattern_expect(buf, LEN, seed, 0);
}

static struct peer_status fua(struct peer *p, bool write, uint64_t lba, unsigned seed)
{
	uint8_t *buf = scene_alloc(LEN);
	struct peer_task t;

	if (write)
		pattern(buf, LEN, seed, 0);
	peer_task_rw(&t, write, lba, N, buf);
	t.cmd.cdb[1] = 0x08;
	peer_start(p, &t);
	peer_wait(p, &t);
	if (!write && !t.st.status)
		pattern_expect(buf, LEN, seed, 0);
	return t.st;
}

static void flush_at_last(struct peer *p)
{
	for (unsigned i = 0; i < 20; i++)
		if (sync_cache(p).status == 0)
			return;
	FAIL("SYNCHRONIZE CACHE fails again and again");
}

/* --- the disk fails --- */
static void an_unreadable_block_is_named(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL);
	uint8_t *buf = scene_alloc(LEN);
	struct peer_status st;

	expect_unreadable(p, 4000, 1, 4000);
	expect_unreadable(p, 3900, N, 4000);
	expect_unreadable(p, 2048, 4096, 4000);
	peer_read(p, 3900, 100, buf);
	st = peer_rw(p, true, 4001, 2, buf); /* the rest of the page cannot be had */
	EXPECT_EQ(st.status, CHECK_CONDITION);
	EXPECT_EQ(st.key, 3);
	peer_write(p, 3992, 24, buf); /* whole pages: nothing has to be read for it */
	peer_read(p, 3992, 24, buf);
	flush_at_last(p);
}

/* The flush that finds out fails; the next write of each nexus is told, once; all is readable, and in the end there. */
static void a_failed_write_is_told(struct daemon *d, uint8_t key, uint8_t asc, uint8_t ascq)
{
	struct peer *p = daemon_peer(d, NULL), *q = daemon_peer(d, NULL);
	struct peer_status st;

	write_now(p, 1000, 1);
	expect_now(q, 1000, 1);
	st = sync_cache(p);
	expect_error(&st, key, asc, ascq);
	EXPECT(!st.deferred, "the flush itself has failed");
	expect_now(p, 1000, 1);
	for (unsigned i = 0; i < 2; i++) {
		st = peer_rw(i ? q : p, true, 0, N, scene_alloc(LEN));
		expect_error(&st, key, asc, ascq);
		EXPECT(st.deferred, "it was acknowledged before");
		write_now(i ? q : p, 0, 2);
	}
	flush_at_last(p);
	expect_now(q, 1000, 1);
	expect_file(d, 1000, 1);
	expect_file(d, 0, 2);
}

static void a_failed_write_is_told_by_flush_and_write(struct daemon *d)
{
	a_failed_write_is_told(d, 3, 0x0c, 0);
}

static void no_space_is_no_medium_error(struct daemon *d)
{
	a_failed_write_is_told(d, 7, 0x27, 7);
}

/* A flush of the disk that fails has lost what was written before it, so all of that is written again. */
static void a_failed_flush_is_told_and_all_is_written_again(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL);
	struct peer_status st;
	struct dump a, b;

	write_now(p, 64, 1);
	for (unsigned i = 0; i < 3; i++) {
		daemon_dump(d, &a);
		st = sync_cache(p);
		expect_error(&st, 3, 0x0c, 0);
		daemon_dump(d, &b);
		EXPECT(dump_get(&b, "disk_requests{write}") > dump_get(&a, "disk_requests{write}"),
			"round %u: flushed again without a write", i);
	}
	EXPECT_EQ(sync_cache(p).status, 0);
	expect_file(d, 64, 1);
}

static void fua_is_told_when_it_fails(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL);
	struct peer_status st = fua(p, true, 1000, 1);

	expect_error(&st, 3, 0x0c, 0);
	expect_now(p, 1000, 1);      /* it was committed; it is not durable */
	st = fua(p, false, 1000, 1); /* a READ with FUA writes what is dirty first */
	EXPECT(st.status == 0 || st.key == 3, "READ with FUA: sense %x", st.key);
	flush_at_last(p);
	EXPECT_EQ(fua(p, false, 1000, 1).status, 0);
	expect_file(d, 1000, 1);
}

/* Errors all the time: each write is acknowledged, and each is there. */
static void errors_at_random_lose_nothing(struct daemon *d)
{
	enum { SLOTS = 16, ROUNDS = 40 };
	struct peer *p = daemon_peer(d, NULL);
	struct peer_task t[SLOTS];
	unsigned now[SLOTS] = {0}, n_deferred = 0, n_failed = 0;
	uint8_t *buf = scene_alloc(SLOTS * LEN);

	for (unsigned round = 1; round <= ROUNDS; round++) {
		for (unsigned i = 0; i < SLOTS; i++) {
			pattern(buf + i * LEN, LEN, round * SLOTS + i, 0);
			peer_task_rw(&t[i], true, i * N, N, buf + i * LEN);
			peer_start(p, &t[i]);
		}
		peer_wait_all(p);
		for (unsigned i = 0; i < SLOTS; i++) {
			EXPECT(!t[i].st.status || t[i].st.deferred, "a write has failed by itself");
			n_deferred += t[i].st.deferred;
			if (!t[i].st.status)
				now[i] = round * SLOTS + i;
		}
		n_failed += sync_cache(p).status != 0;
		for (unsigned i = 0; i < SLOTS; i++)
			expect_now(p, i * N, now[i]);
	}
	EXPECT(n_failed && n_deferred, "%u flushes and %u writes were told", n_failed, n_deferred);
	for (unsigned i = 0; sync_cache(p).status; i++)
		EXPECT(i < 200, "no flush succeeds");
	for (unsigned i = 0; i < SLOTS; i++)
		expect_file(d, i * N, now[i]);
}

/* --- the disk is slow --- */
static void a_write_does_not_wait_and_a_flush_does(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL);
	int64_t start = scene_now_ms();

	write_now(p, 0, 1);
	EXPECT(scene_now_ms() - start < DELAY_MS / 2, "a write has waited for the disk");
	start = scene_now_ms();
	EXPECT_EQ(sync_cache(p).status, 0);
	EXPECT(scene_now_ms() - start > DELAY_MS / 2, "answered before the disk");
	expect_file(d, 0, 1);
	start = scene_now_ms();
	EXPECT_EQ(fua(p, true, 64, 2).status, 0);
	EXPECT(scene_now_ms() - start > DELAY_MS / 2, "FUA answered before the disk");
}

/* SYNCHRONIZE CACHE with IMMED is answered at once (SBC-3 5.18), and begins. */
static void immed_does_not_wait(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL);
	struct peer_cmd c = {.cdb = {0x35, 0x02}};
	int64_t start;

	write_now(p, 0, 1);
	start = scene_now_ms();
	peer_expect_good(p, peer_send_cmd(p, &c));
	EXPECT(scene_now_ms() - start < DELAY_MS / 2, "IMMED has waited for the disk");
	scene_sleep(3 * DELAY_MS); /* the background by itself waits for five seconds */
	expect_file(d, 0, 1);
}

static void a_reset_waits_for_a_flush(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL), *q = daemon_peer(d, NULL);
	struct peer_cmd c = {.cdb = {0x35}};
	int64_t start;

	write_now(p, 0, 1);
	peer_send_cmd(p, &c);
	peer_flush(p);
	scene_sleep(50);
	start = scene_now_ms();
	EXPECT_EQ(peer_expect_tmf(q, peer_send_tmf(q, LUN_RESET, 0, 0)), COMPLETE);
	EXPECT(scene_now_ms() - start > DELAY_MS / 3, "answered before the disk");
	plain(q, 0); /* that there was a reset */
	expect_now(q, 0, 1);
	flush_at_last(q);
	expect_file(d, 0, 1);
}

/* What is dirty when SIGTERM comes is written, however slow the disk is. */
static void the_server_is_stopped_meanwhile(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL);

	for (unsigned i = 0; i < 16; i++)
		write_now(p, i * 2048, i + 1);
	peer_close(p);
	daemon_stop(d);
	for (unsigned i = 0; i < 16; i++)
		expect_file(d, i * 2048, i + 1);
}

/* --- what is read before it is asked for --- */
static uint64_t n_reads(struct daemon *d)
{
	struct dump dump;

	daemon_dump(d, &dump);
	return dump_get(&dump, "disk_requests{read}");
}

/* PRE-FETCH (SBC-3 5.8, 5.9) brings in what it names: to read that costs no request to the disk. */
static void prefetch_is_worth_it(struct daemon *d)
{
	enum { LBA = 5000, FAR = 30000, LONG = 4096 };
	struct peer *p = daemon_peer(d, NULL);
	struct peer_cmd ten = {.cdb = {0x34, 0, 0, 0, LBA >> 8, LBA & 0xff, 0, LONG >> 8, 0}};
	struct peer_cmd sixteen = {
		.cdb = {0x90, 0, 0, 0, 0, 0, 0, 0, FAR >> 8, FAR & 0xff, 0, 0, LONG >> 8, 0}};
	uint8_t *buf = scene_alloc(LONG * BLOCK);
	uint64_t before = n_reads(d), after;

	peer_expect_good(p, peer_send_cmd(p, &ten));
	peer_expect_good(p, peer_send_cmd(p, &sixteen));
	after = n_reads(d);
	EXPECT(after >= before + 2 && after <= before + 64, "%llu requests",
		(unsigned long long)(after - before));
	peer_read(p, LBA, LONG, buf);
	for (unsigned i = 0; i < LONG; i += 8)
		peer_read(p, FAR + i, 8, buf);
	EXPECT_EQ(n_reads(d), after);
	peer_read(p, LBA + 2 * LONG, 8, buf); /* the counter counts */
	EXPECT(n_reads(d) > after, "a read that misses asks the disk");
}

/* The place that cannot be read is behind what the initiator asks for, and only read-ahead goes there. */
static void a_failed_read_ahead_is_nobodys_error(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL);
	uint8_t *buf = scene_alloc(LEN);

	for (unsigned lba = 0; lba < 3968; lba += 64)
		peer_read(p, lba, 64, buf);
	EXPECT(!daemon_says(d, "cannot read"), "what nobody asked for is logged");
	expect_unreadable(p, 4000, 8, 4000);
	EXPECT(daemon_says(d, "cannot read"), "what somebody asked for is not logged");
}

#define ROW(fn, opts)                                                                              \
	{                                                                                          \
		.name = #fn, .run = fn, .file = SIZE, .options = opts, .ours = true                \
	}

static const struct scene_case cases[] = {
	ROW(an_unreadable_block_is_named, ",error=read:lba=4000-4007"),
	ROW(a_failed_write_is_told_by_flush_and_write, ",error=write:lba=1000-1063:count=1"),
	ROW(no_space_is_no_medium_error, ",error=write:lba=1000-1063:errno=ENOSPC:count=1"),
	ROW(a_failed_flush_is_told_and_all_is_written_again, ",error=flush:count=3"),
	ROW(fua_is_told_when_it_fails, ",error=write:lba=1000-1063:count=1"),
	ROW(errors_at_random_lose_nothing,
		",delay=write:1ms:jitter=exp,error=write+flush:rate=0.1:seed=7"),
	ROW(a_write_does_not_wait_and_a_flush_does, ",delay=write:300ms"),
	ROW(immed_does_not_wait, ",delay=write:300ms"),
	ROW(a_reset_waits_for_a_flush, ",delay=flush:300ms"),
	ROW(the_server_is_stopped_meanwhile, ",delay=write:100ms:jitter=exp"),
	ROW(prefetch_is_worth_it, NULL),
	ROW(a_failed_read_ahead_is_nobodys_error, ",error=read:lba=4000-4007"),
};
SCENES(cases)
