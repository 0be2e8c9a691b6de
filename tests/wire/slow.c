/* slow.c - peers that do not read, do not answer, or do nothing at all.
 *
 * What waits for a peer that stopped reading is bounded: pages are pinned and not copied, and the
 * server stops taking more from it. Others are served meanwhile. Resident memory is not looked at
 * under a sanitizer (BERTH_SANITIZED), which keeps freed memory. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "scene.h"

enum { BLOCK = 512, MIB = 1 << 20, AREA = 16, N_READS = 64 };

static void fill(struct peer *p, uint64_t mib, unsigned n, uint64_t seed)
{
	uint8_t *out = scene_alloc(MIB);

	for (unsigned i = 0; i < n; i++) {
		pattern(out, MIB, seed, (mib + i) * MIB);
		peer_write(p, (mib + i) * MIB / BLOCK, MIB / BLOCK, out);
	}
}

static void expect_rss(struct daemon *d, uint64_t before, uint64_t most)
{
	uint64_t now = d->pid ? daemon_rss(d) : before;

	scene_note("resident: %llu KiB before, %llu KiB now", (unsigned long long)before >> 10,
		(unsigned long long)now >> 10);
	if (!getenv("BERTH_SANITIZED"))
		EXPECT(now <= before + most, "resident memory grew");
}

static void reads_that_nobody_fetches(struct daemon *d)
{
	struct peer_params want = peer_params_default();
	struct peer_task *tasks = scene_alloc(N_READS * sizeof(*tasks));
	uint8_t *in = scene_alloc((size_t)N_READS * MIB), *buf = scene_alloc(MIB);
	struct peer *good = daemon_peer(d, NULL), *slow;
	uint64_t rss;

	want.max_burst = want.max_recv_data = 1 << 20;
	slow = daemon_peer(d, &want);
	peer_set_recv_buffer(slow, 65536);
	fill(good, 0, 2 * AREA, 1);
	rss = d->pid ? daemon_rss(d) : 0;
	for (unsigned i = 0; i < N_READS; i++) {
		peer_task_rw(&tasks[i], false, (uint64_t)(i % AREA) * MIB / BLOCK, MIB / BLOCK,
			in + (size_t)i * MIB);
		peer_start(slow, &tasks[i]);
	}
	for (unsigned i = 0; i < 10; i++) {
		fill(good, AREA, AREA, 1 + i);
		peer_read(good, (AREA + i) * MIB / BLOCK, MIB / BLOCK, buf);
		pattern_expect(buf, MIB, 1 + i, (uint64_t)(AREA + i) * MIB);
		peer_ping(good, 100);
	}
	expect_rss(d, rss, 16 * MIB);
	peer_wait_all(slow);
	for (unsigned i = 0; i < N_READS; i++) {
		EXPECT(tasks[i].st.status == 0, "read %u: status 0x%02x", i, tasks[i].st.status);
		pattern_expect(in + (size_t)i * MIB, MIB, 1, (uint64_t)(i % AREA) * MIB);
	}
	peer_ping(slow, 100);
}

/* The readers ask for more than the cache holds, and fetch nothing of it: what others miss is read
 * all the same, if need be after the wait that a task without pages has. */
static void more_pinned_than_the_cache(struct daemon *d)
{
	enum { N_SLOW = 4 };
	struct peer *slow[N_SLOW], *good = daemon_peer(d, NULL);
	uint8_t *buf = scene_alloc(65536);

	for (unsigned i = 0; i < N_SLOW; i++) {
		slow[i] = daemon_peer(d, NULL);
		peer_set_recv_buffer(slow[i], 65536);
	}
	fill(good, 0, 64, 1);
	for (unsigned i = 0; i < N_SLOW; i++)
		for (unsigned k = 0; k < 32; k++)
			peer_send_read(slow[i], (i * 8 + k % 16) * MIB / BLOCK, 4 * MIB / BLOCK);
	scene_sleep(200);
	for (unsigned i = 0; i < 100; i++) {
		uint64_t off = (40 * MIB + i * 131072) & ~(uint64_t)65535;

		peer_read(good, off / BLOCK, 128, buf);
		pattern_expect(buf, 65536, 1, off);
		peer_write(good, off / BLOCK, 128, buf);
	}
	for (unsigned i = 0; i < N_SLOW; i++)
		peer_reset(slow[i]);
	fill(good, 0, 64, 2);
}

/* Echoes are asked for without end and never fetched: at some time the server takes no more. */
static void echoes_that_nobody_fetches(struct daemon *d)
{
	enum { MOST = 512 };
	struct peer *good = daemon_peer(d, NULL), *slow = daemon_peer(d, NULL);
	uint8_t *ping = scene_alloc(PEER_BHS + 65536);
	uint64_t rss = d->pid ? daemon_rss(d) : 0, sent = 0;
	struct peer_pdu pdu;
	long n = 0;

	peer_set_recv_buffer(slow, 65536);
	peer_pdu(slow, &pdu, PEER_NOP_OUT | PEER_IMMEDIATE, PEER_F, 0x77, NULL, 0);
	pdu_set(&pdu, TTT, PEER_NONE);
	pdu_set(&pdu, DATA_LEN, 65536);
	memcpy(ping, pdu.bhs, PEER_BHS);
	for (unsigned i = 0; i < MOST * 16 && n != -ETIMEDOUT; i++) {
		for (size_t at = 0; at < PEER_BHS + 65536; at += (size_t)n) {
			n = slow->transport->send(
				slow->ctx, ping + at, PEER_BHS + 65536 - at, 1000);
			if (n < 0)
				break;
			sent += (uint64_t)n;
		}
		if (n < 0 && n != -ETIMEDOUT)
			break; /* it may also end such a connection */
	}
	scene_note("%llu KiB were taken", (unsigned long long)sent >> 10);
	expect_rss(d, rss, 48 * MIB);
	fill(good, 0, 4, 1);
	peer_ping(good, 10);
	peer_reset(slow);
}

/* Persistent Reserve Out, REGISTER AND IGNORE (6) or PREEMPT (4), type 3 (exclusive access). */
static uint32_t send_reserve(struct peer *p, unsigned action, uint8_t key, uint8_t new_key)
{
	uint8_t *list = scene_alloc(24);
	struct peer_cmd c = {.cdb = {0x5f, (uint8_t)action, 3, [8] = 24},
		.write = true,
		.edtl = 24,
		.data = list,
		.data_len = 24};

	list[7] = key;
	list[15] = new_key;
	return peer_send_cmd(p, &c);
}

/* Who fences a node that has stopped reading waits until its writes have ended, not until it has fetched their
 * answers. */
static void preempt_does_not_wait_for_who_does_not_read(struct daemon *d)
{
	struct peer_params want = peer_params_default();
	struct peer *slow, *good;
	uint8_t *block = scene_alloc(BLOCK);
	struct peer_cmd same = {.cdb = {0x93, [12] = 0x7f, [13] = 0xff},
		.write = true,
		.edtl = BLOCK,
		.data = block,
		.data_len = BLOCK};
	int64_t start;

	want.immediate_data = true;
	good = daemon_peer(d, &want);
	slow = daemon_peer(d, &want);
	fill(good, 0, AREA, 1);
	peer_set_recv_buffer(slow, 65536);
	peer_expect_good(slow, send_reserve(slow, 6, 0, 1));
	peer_expect_good(good, send_reserve(good, 6, 0, 2));
	peer_expect_good(slow, send_reserve(slow, 1, 1, 0));
	pattern(block, BLOCK, 9, 0);
	for (unsigned i = 0; i < AREA; i++)
		peer_send_read(slow, (uint64_t)i * MIB / BLOCK, MIB / BLOCK);
	for (unsigned i = 0; i < 6; i++) /* 16 MiB each, at different places */
		peer_send_cmd(slow, (same.cdb[8] = (uint8_t)i, &same));
	scene_sleep(10); /* they have begun */
	start = scene_now_ms();
	good->timeout_ms = 20000;
	peer_expect_good(good, send_reserve(good, 4, 2, 1));
	scene_note("preempted after %lld ms", (long long)(scene_now_ms() - start));
	peer_reset(slow);
}

/* The target asks after 30 s of silence whether we live; who answers stays, who does not is closed.
 */
static void keepalive(struct daemon *d)
{
	struct peer *alive = daemon_peer(d, NULL), *dead = daemon_peer(d, NULL);
	int64_t start = scene_now_ms();
	struct peer_pdu pdu;

	dead->answer_pings = false;
	EXPECT(peer_poll(dead, &pdu, 45000) == PEER_GOT, "no NOP-In within 45 s");
	EXPECT(pdu_get(&pdu, OPCODE) == PEER_NOP_IN && pdu_get(&pdu, ITT) == PEER_NONE &&
			pdu_get(&pdu, TTT) != PEER_NONE,
		"got %s", peer_describe(&pdu));
	EXPECT(scene_now_ms() - start > 20000, "the first NOP-In came too early");
	peer_expect_nothing(alive, 3000);
	EXPECT(alive->n_pings, "no NOP-In for the other connection");
	while (peer_poll(dead, &pdu, 100) != PEER_ENDED) {
		peer_expect_nothing(alive, 500);
		EXPECT(scene_now_ms() - start < 95000, "a dead connection is kept for ever");
	}
	scene_note("closed after %lld ms", (long long)(scene_now_ms() - start));
	peer_ping(alive, 10);
	peer_logout(alive);
}

static uint64_t cpu_ticks(const struct daemon *d)
{
	char path[40], text[512] = "", *at;
	unsigned long user, system;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", d->pid);
	f = fopen(path, "re");
	EXPECT(f && fgets(text, sizeof(text), f), "%s", path);
	fclose(f);
	at = strrchr(text, ')');
	EXPECT(at && sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
			     &system) == 2,
		"%s", path);
	return user + system;
}

static void idle_costs_nothing(struct daemon *d)
{
	enum { N = 10 };
	uint64_t before;

	for (unsigned i = 0; i < N; i++)
		peer_ping(daemon_peer(d, NULL), 10);
	scene_sleep(300); /* spinning after work ends */
	before = cpu_ticks(d);
	scene_sleep(3000);
	EXPECT(cpu_ticks(d) - before <= 1, "an idle server took %llu ticks in 3 s",
		(unsigned long long)(cpu_ticks(d) - before));
}

static const struct scene_case cases[] = {
	CASE(reads_that_nobody_fetches),
	CASE(more_pinned_than_the_cache, .file = 64 << 20, .args = {"--cache", "32M"},
		.ours = true),
	CASE(echoes_that_nobody_fetches, .ours = true),
	CASE(preempt_does_not_wait_for_who_does_not_read, .file = 64 << 20, .ours = true),
	CASE(keepalive, .ours = true),
	CASE(idle_costs_nothing, .ours = true),
};
SCENES(cases)
