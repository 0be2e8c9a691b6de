/* broken.c - streams that end anywhere, and streams of noise. No answer is owed to them; the server
 * must live, keep nothing, and what was written before must be there to the byte. */
#include <string.h>
#include "scene.h"

enum { BLOCK = 512, LEN = 65536, KEPT_LBA = 4096 };

static void keep(struct peer *p)
{
	uint8_t *old = scene_alloc(LEN);

	pattern(old, LEN, 1, 0);
	peer_write(p, 0, LEN / BLOCK, old);
	peer_write(p, KEPT_LBA, LEN / BLOCK, old);
}

static void expect_kept(struct peer *p, uint64_t lba)
{
	uint8_t *now = scene_alloc(LEN);

	peer_read(p, lba, LEN / BLOCK, now);
	pattern_expect(now, LEN, 1, 0);
}

/* A write is cut after every so many bytes of its Data-Outs, by an end or a reset. */
static void cut_anywhere(struct daemon *d)
{
	struct peer *good = daemon_peer(d, NULL);
	uint8_t *fresh = scene_alloc(LEN), *stream = scene_alloc(2 * LEN);

	keep(good);
	pattern(fresh, LEN, 2, 0);
	for (uint32_t cut = 0; cut < LEN + 400; cut += cut < 200 ? 7 : 3001) {
		struct peer *p = daemon_peer(d, NULL);
		struct peer_pdu pdu;
		struct peer_r2t r;
		size_t n = 0;

		peer_expect_r2t(p, peer_send_write(p, 0, LEN / BLOCK), &r);
		for (uint32_t at = 0; at < LEN; at += 8192) {
			peer_data_out_pdu(
				p, &pdu, &r, at / 8192, at, fresh + at, 8192, at + 8192 == LEN);
			memcpy(stream + n, pdu.bhs, PEER_BHS);
			memcpy(stream + n + PEER_BHS, pdu.data, 8192);
			n += PEER_BHS + 8192;
		}
		peer_send_bytes(p, stream, cut < n ? cut : n - 1);
		if (cut & 1)
			peer_reset(p);
		else
			peer_close(p);
		expect_kept(good, 0);
	}
}

/* Reads are asked for and the asker goes away with the answers under way. */
static void cut_while_reading(struct daemon *d)
{
	struct peer *good = daemon_peer(d, NULL);

	keep(good);
	for (unsigned i = 0; i < 40; i++) {
		struct peer *p = daemon_peer(d, NULL);

		for (unsigned k = 0; k < 1 + i % 20; k++)
			peer_send_read(p, 0, 4096);
		scene_sleep((int)(i % 4));
		if (i & 1)
			peer_reset(p);
		else
			peer_close(p);
	}
	expect_kept(good, KEPT_LBA);
}

/* spoil - some bytes of a header turned, but never the LBA and length of a command: it may write
 * where it was meant to, and nowhere else. */
static void spoil(uint8_t *bhs)
{
	unsigned limit = (bhs[0] & 0x3f) == PEER_COMMAND ? 32 : PEER_BHS;

	for (uint64_t n = 1 + scene_random(3); n--;)
		bhs[scene_random(limit)] ^= (uint8_t)(1 << scene_random(8));
	if ((bhs[0] & 0x3f) == PEER_COMMAND && limit == PEER_BHS)
		bhs[0] = 0x3e; /* another PDU became a command by chance */
	if (scene_random(4))
		bhs[5] = 0; /* mostly lengths that do not just swallow the rest */
}

static void one_storm(struct daemon *d)
{
	struct peer_params want = peer_params_default();
	struct peer *p = daemon_connect(d);
	uint8_t *data = scene_alloc(4096);
	struct peer_cmd c = {.write = true, .edtl = 4096};
	struct peer_r2t r = {.lun = p->lun, .length = 4096};

	want.immediate_data = scene_random(2);
	want.initial_r2t = scene_random(2);
	peer_login(p, &want);
	peer_settle(p);
	pattern(data, 4096, scene_random(1000), 0);
	peer_hold(p);
	for (unsigned i = 0; i < 40; i++) {
		struct peer_pdu pdu;

		cdb_rw(c.cdb, true, scene_random(64), 8);
		c.more = scene_random(2);
		c.data = data;
		c.data_len = scene_random(2) ? 4096 : 0;
		r.itt = peer_cmd_pdu(p, &pdu, &c);
		if (scene_random(3) == 0)
			spoil(pdu.bhs);
		peer_send(p, &pdu);
		r.ttt = scene_random(2) ? PEER_NONE : (uint32_t)scene_random(PEER_NONE);
		peer_data_out_pdu(
			p, &pdu, &r, 0, 0, data, (uint32_t)scene_random(4097), scene_random(2));
		spoil(pdu.bhs);
		peer_send(p, &pdu);
	}
	peer_flush(p);
	scene_sleep((int)scene_random(4));
	peer_reset(p);
}

static void storms(struct daemon *d)
{
	struct peer *good = daemon_peer(d, NULL);

	keep(good);
	for (unsigned i = 0; i < 150; i++) {
		one_storm(d);
		if (i % 10 == 0)
			expect_kept(good, KEPT_LBA);
	}
	expect_kept(good, KEPT_LBA);
	peer_ping(good, 100);
}

/* Noise after a good login: each connection ends or waits for more, others go on. */
static void noise(struct daemon *d)
{
	struct peer *good = daemon_peer(d, NULL);
	uint8_t *bytes = scene_alloc(LEN);

	keep(good);
	for (unsigned i = 0; i < 60; i++) {
		struct peer *p = daemon_peer(d, NULL);

		for (unsigned k = 0; k < LEN; k++)
			bytes[k] = (uint8_t)scene_random(256);
		for (unsigned k = 0; k < LEN; k += PEER_BHS)
			bytes[k] = (uint8_t)(bytes[k] == 1 || bytes[k] == 0x41 ? 0 : bytes[k]);
		peer_send_bytes(p, bytes, 1 + scene_random(LEN));
		peer_close(p);
	}
	expect_kept(good, 0);
	expect_kept(good, KEPT_LBA);
}

static void connections_that_say_nothing(struct daemon *d)
{
	enum { N = 200 };
	struct peer **idle = scene_alloc(N * sizeof(struct peer *)), *good;

	for (unsigned i = 0; i < N; i++)
		idle[i] = daemon_connect(d);
	good = daemon_peer(d, NULL);
	keep(good);
	expect_kept(good, 0);
	for (unsigned i = 0; i < N; i++)
		peer_close(idle[i]);
	peer_ping(good, 1);
}

static const struct scene_case cases[] = {
	CASE(cut_anywhere),
	CASE(cut_while_reading),
	CASE(storms, .ours = true),
	CASE(noise, .ours = true),
	CASE(connections_that_say_nothing),
};
SCENES(cases)
