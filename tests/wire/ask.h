/* ask.h - verbs of conversations that are tables: one command from beginning to end, and how it ended in one word. */
#pragma once

#include <string.h>
#include "scene.h"

/* How a command ended: 0 is GOOD, CHECK CONDITION its sense, any other status stands in the top byte. */
#define SENSE(key, asc, ascq) ((unsigned)((key) << 16 | (asc) << 8 | (ascq)))
#define CONFLICT	      0x18000000u
#define BUSY		      0x08000000u
#define FULL		      0x28000000u

enum way { NO_DATA, IN, OUT };

static inline unsigned end_of(const struct peer_status *st)
{
	EXPECT(st->response == 0, "response %02x", st->response);
	EXPECT(st->status != 2 || st->key || st->asc, "CHECK CONDITION without sense");
	if (st->status == 2)
		return SENSE(st->key, st->asc, st->ascq);
	return (unsigned)st->status << 24;
}

/* ask_to - len bytes of buf go there, or come here. The task is the caller's: what came, status and residual. */
static inline unsigned ask_to(
	struct peer *p, const uint8_t *cdb, enum way way, void *buf, uint32_t len, struct peer_task *t)
{
	*t = (struct peer_task){.cmd = {.read = way == IN, .write = way == OUT, .edtl = len}, .buf = buf};
	memcpy(t->cmd.cdb, cdb, 16);
	peer_start(p, t);
	peer_wait(p, t);
	return end_of(&t->st);
}

static inline unsigned ask(struct peer *p, const uint8_t *cdb, enum way way, void *buf, uint32_t len)
{
	struct peer_task t;

	return ask_to(p, cdb, way, buf, len, &t);
}

#define CDB(...) ((const uint8_t[16]){__VA_ARGS__})

static inline unsigned ready(struct peer *p)
{
	return ask(p, CDB(0), NO_DATA, NULL, 0);
}

static inline void at_unit(struct peer *p, unsigned lun)
{
	p->lun = (uint64_t)lun << 48;
}

static inline void put_be(uint8_t *at, unsigned n, uint64_t v)
{
	while (n--) {
		at[n] = (uint8_t)v;
		v >>= 8;
	}
}

static inline uint64_t get_be(const uint8_t *at, unsigned n)
{
	uint64_t v = 0;

	while (n--)
		v = v << 8 | *at++;
	return v;
}

/* --- PERSISTENT RESERVE OUT and IN (SPC-4 6.15, 6.16) --- */
enum { PR_REGISTER, PR_RESERVE, PR_RELEASE, PR_CLEAR, PR_PREEMPT, PR_PREEMPT_ABORT, PR_IGNORE, PR_MOVE };
enum { PR_KEYS, PR_RESERVATION, PR_CAPABILITIES, PR_FULL };
enum { APTPL = 1, ALL_TG_PT = 4, SPEC_I_PT = 8, PR_LIST = 24 };

static inline unsigned pr_out(
	struct peer *p, unsigned action, unsigned type, uint64_t key, uint64_t new_key, unsigned flags)
{
	uint8_t list[PR_LIST] = {[20] = (uint8_t)flags};

	put_be(list, 8, key);
	put_be(list + 8, 8, new_key);
	return ask(p, CDB(0x5f, (uint8_t)action, (uint8_t)type, [8] = PR_LIST), OUT, list, PR_LIST);
}

/* pr_in - what follows the header (buf: 1024 bytes, the answer whole). */
static inline uint32_t pr_in(struct peer *p, unsigned action, uint8_t *buf)
{
	unsigned end = ask(p, CDB(0x5e, (uint8_t)action, [7] = 4), IN, buf, 1024);

	EXPECT_EQ(end, 0);
	return (uint32_t)get_be(buf + 4, 4);
}
