/* fault.h - verbs for conversations with a disk that fails. */
#pragma once

#include "scene.h"

enum { BLOCK = 512, LEN = 64 << 10, N = LEN / BLOCK, CHECK_CONDITION = 2 };

static inline void expect_error(const struct peer_status *st, uint8_t key, uint8_t asc, uint8_t ascq)
{
	EXPECT(st->status == CHECK_CONDITION && st->key == key && st->asc == asc &&
			st->ascq == ascq,
		"expected CHECK CONDITION %x/%02x/%02x, got status 0x%02x %x/%02x/%02x", key, asc,
		ascq, st->status, st->key, st->asc, st->ascq);
}

static inline struct peer_status plain(struct peer *p, uint8_t op)
{
	struct peer_cmd c = {.cdb = {op}};
	struct peer_status st;

	peer_expect_status(p, peer_send_cmd(p, &c), &st);
	return st;
}

static inline struct peer_status sync_cache(struct peer *p)
{
	return plain(p, 0x35);
}

static inline struct peer_status unmap(struct peer *p)
{
	static uint8_t list[24] = {0, 22, 0, 16, [15] = 0x40, [18] = 1};
	struct peer_task t = {
		.cmd = {.cdb = {0x42, [8] = sizeof(list)}, .write = true, .edtl = sizeof(list)},
		.buf = list};

	peer_start(p, &t);
	peer_wait(p, &t);
	return t.st;
}

static inline void expect_unreadable(struct peer *p, uint64_t lba, uint32_t n, uint32_t bad)
{
	uint8_t *buf = scene_alloc(n * BLOCK);
	struct peer_status st = peer_rw(p, false, lba, n, buf);

	expect_error(&st, 3, 0x11, 0);
	EXPECT(st.has_info, "no INFORMATION");
	EXPECT_EQ(st.info, bad);
}

