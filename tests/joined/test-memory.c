/* test-memory.c - a conversation in which the target's 1st, 2nd, ... request for memory fails (torture.h).
 *
 * Login, commands of many kinds, task management, text, logout. Whichever allocation fails: a command ends with GOOD,
 * BUSY, TASK SET FULL, or a sense for want of resources (that may itself be missing); a function is done or rejected; a
 * text is refused as what may be sent again; a login is refused with "out of resources"; or the connection ends. What
 * was acknowledged is there. With memory again somebody else is served, and nothing of the first conversation is left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "be.h"
#include "house.h"
#include "log.h"
#include "torture.h"

enum {
	KIB = 1024,
	MIB = 1024 * KIB,
	RAM = 4 * MIB,
	CHECK_CONDITION = 0x02,
	UNIT_ATTENTION = 6,
	BUSY = 0x08,
	TASK_SET_FULL = 0x28,
	RESOURCE = 0x55, /* SYSTEM RESOURCE FAILURE and its kin; no room for a registration */
	OUT_OF_RESOURCES = 0x0302,
	ABORT_TASK = 1,
	LUN_RESET = 5,
	COMPLETE = 0,
	REJECTED = 255,
	LONG_OPERATION = 0x0a,
	BLOCK = 512,
	PATIENCE = 1000, /* events */
};

#define SECOND UINT64_C(1000000000)

static jmp_buf gone;
static struct house house;
static struct peer *speaker;
static const struct peer_transport *stream;
static uint8_t bytes[MIB], expected[RAM];

/* A connection may end for want of memory, and for nothing else. */
static void on_fail(const char *text)
{
	if (torture_hit() && speaker && (speaker->ended || speaker->broken))
		longjmp(gone, 1);
	fprintf(stderr, "%s\n", text);
	_exit(1);
}

static bool in_target(void)
{
	return sim_in_turn(house.sim);
}

/* --- commands --- */

/* is_mute - a sense that there was no memory to carry. */
static bool is_mute(const struct peer_status *st)
{
	return st->status == CHECK_CONDITION && !st->key && !st->asc;
}

/* is_good - GOOD; else it is for want of memory that it is not, or that a unit attention was not told before (settle). */
static bool is_good(const struct peer_status *st)
{
	if (!st->response && !st->status)
		return true;
	EXPECT(torture_hit() && !st->response &&
			(st->status == BUSY || st->status == TASK_SET_FULL || is_mute(st) ||
				st->asc == RESOURCE || st->key == UNIT_ATTENTION),
		"response 0x%02x, status 0x%02x, sense %x/%02x/%02x", st->response, st->status,
		st->key, st->asc, st->ascq);
	return false;
}

/* patient_recv - where one allocation has failed the answer comes soon: ten seconds are waited for pages, and what
 * else has to be tried again is at the next tick. Where all fail there is memory again after a while: by then there
 * must be an answer, or the end. */
static long patient_recv(void *ctx, void *buf, size_t room, int timeout_ms)
{
	uint64_t from = sim_now(house.sim);

	for (unsigned i = 0; i < 2 * PATIENCE; i++) {
		long n = stream->recv(ctx, buf, room, 0);

		if (n != -ETIMEDOUT) {
			EXPECT(i >= PATIENCE || sim_now(house.sim) - from <= 16 * SECOND,
				"an answer after %lu s",
				(unsigned long)((sim_now(house.sim) - from) / SECOND));
			return n;
		}
		if (i == PATIENCE)
			torture_disarm();
		sim_step(house.sim);
	}
	return -ETIMEDOUT;
}

static struct peer *patient_connect(void)
{
	static struct peer_transport patient;
	struct peer *p = house_connect(&house);

	stream = p->transport;
	patient = *stream;
	patient.recv = patient_recv;
	p->transport = &patient;
	p->timeout_ms = 1; /* the simulation's time is another */
	return p;
}

static bool run(struct peer *p, struct peer_task *t)
{
	peer_start(p, t);
	peer_wait(p, t);
	return is_good(&t->st);
}

/* settle - unit attentions are told, as long as there is memory to ask with. */
static void settle(struct peer *p)
{
	struct peer_task t;

	do {
		t = (struct peer_task){.itt = 0};
		peer_start(p, &t);
		peer_wait(p, &t);
	} while (t.st.status == CHECK_CONDITION && (t.st.key == UNIT_ATTENTION || is_mute(&t.st)));
	is_good(&t.st);
}

static bool in(struct peer *p, uint32_t len, const uint8_t cdb[16])
{
	struct peer_task t = {.cmd = {.read = true, .edtl = len}, .buf = bytes};

	memcpy(t.cmd.cdb, cdb, 16);
	return run(p, &t);
}

static bool out(struct peer *p, uint8_t *data, uint32_t len, const uint8_t cdb[16])
{
	struct peer_task t = {.cmd = {.write = true, .edtl = len}, .buf = data};

	memcpy(t.cmd.cdb, cdb, 16);
	return run(p, &t);
}
#define CDB(...)                                                                                   \
	(const uint8_t[16])                                                                        \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}

/* write_some - what is not acknowledged has not happened. */
static void write_some(struct peer *p, uint64_t lba, uint32_t n, uint8_t byte)
{
	struct peer_task t;

	memset(bytes, byte, (size_t)n * BLOCK);
	peer_task_rw(&t, true, lba, n, bytes);
	if (run(p, &t))
		memset(expected + lba * BLOCK, byte, (size_t)n * BLOCK);
}

static void read_some(struct peer *p, uint64_t lba, uint32_t n)
{
	struct peer_task t;

	peer_task_rw(&t, false, lba, n, bytes);
	if (run(p, &t))
		EXPECT(!memcmp(bytes, expected + lba * BLOCK, (size_t)n * BLOCK),
			"%u blocks at %lu are not what was acknowledged", n, (unsigned long)lba);
}

static void change(struct peer *p)
{
	uint8_t list[40] = {0, 38, 0, 32}, key[24] = {0};

	/* COMPARE AND WRITE of what is there */
	memcpy(bytes, expected + 64 * KIB, BLOCK);
	memset(bytes + BLOCK, 0x77, BLOCK);
	if (out(p, bytes, 2 * BLOCK, CDB(0x89, 0, 0, 0, 0, 0, 0, 0, 0, 128, 0, 0, 0, 1)))
		memset(expected + 64 * KIB, 0x77, BLOCK);
	/* WRITE SAME of a block, UNMAP of two ranges */
	memset(bytes, 0x66, BLOCK);
	if (out(p, bytes, BLOCK, CDB(0x93, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 1, 0)))
		memset(expected + 768 * BLOCK, 0x66, 256 * BLOCK);
	list[15] = 8;
	put_be32(list + 16, 16);
	put_be64(list + 24, 1024);
	put_be32(list + 32, 64);
	if (out(p, list, sizeof(list), CDB(0x42, 0, 0, 0, 0, 0, 0, 0, sizeof(list)))) {
		memset(expected + 8 * BLOCK, 0, 16 * BLOCK);
		memset(expected + 1024 * BLOCK, 0, 64 * BLOCK);
	}
	/* a registration comes and goes */
	put_be64(key + 8, 0x1234);
	if (out(p, key, sizeof(key), CDB(0x5f, 0, 0, 0, 0, 0, 0, 0, sizeof(key)))) {
		in(p, 64, CDB(0x5e, 0, 0, 0, 0, 0, 0, 0, 64));
		memset(key, 0, sizeof(key));
		put_be64(key, 0x1234);
		out(p, key, sizeof(key), CDB(0x5f, 0, 0, 0, 0, 0, 0, 0, sizeof(key)));
	}
}

static void ask(struct peer *p)
{
	in(p, 255, CDB(0x12, 1, 0x83, 0, 255));
	in(p, 255, CDB(0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 255));
	in(p, 255, CDB(0x1a, 0, 0x3f, 0, 255));
	in(p, 255, CDB(0xa3, 0x0c, 0, 0, 0, 0, 0, 0, 0, 255));
}

/* give_up - a write that waits for its data is aborted, or all are by a reset. */
static void give_up(struct peer *p, uint8_t function)
{
	uint32_t itt = peer_send_write(p, 256, 8);
	struct peer_pdu pdu;
	struct peer_status st;

	peer_recv(p, &pdu);
	if (pdu_get(&pdu, OPCODE) == PEER_RESPONSE) {
		peer_status_of(&pdu, &st);
		EXPECT(!is_good(&st), "GOOD without data");
		return;
	}
	EXPECT(pdu_get(&pdu, OPCODE) == PEER_R2T, "got %s", peer_describe(&pdu));
	peer_send_tmf(p, function, function == ABORT_TASK ? itt : PEER_NONE, p->cmdsn - 1);
	peer_recv(p, &pdu);
	EXPECT(pdu_get(&pdu, OPCODE) == PEER_TASK_MGMT_RSP, "got %s", peer_describe(&pdu));
	EXPECT(pdu_get(&pdu, RESPONSE) == COMPLETE ||
			(torture_hit() && pdu_get(&pdu, RESPONSE) == REJECTED),
		"function %u: %s", function, peer_describe(&pdu));
}

/* say - a Text Request, answered, or refused as what may be sent again. */
static void say(struct peer *p)
{
	static const char all[] = "SendTargets=All";
	struct peer_pdu pdu;

	peer_pdu(p, &pdu, PEER_TEXT, PEER_F, peer_itt(p), all, sizeof(all));
	pdu_set(&pdu, TTT, PEER_NONE);
	p->cmdsn++;
	peer_send(p, &pdu);
	peer_recv(p, &pdu);
	EXPECT(pdu_get(&pdu, OPCODE) == PEER_TEXT_RSP ||
			(torture_hit() && pdu_get(&pdu, OPCODE) == PEER_REJECT &&
				pdu_get(&pdu, RESPONSE) == LONG_OPERATION),
		"a text: %s", peer_describe(&pdu));
}

/* ping - a NOP-Out, which comes back. (peer_ping() would leave its bytes behind where the connection ends.) */
static void ping(struct peer *p)
{
	struct peer_pdu pdu;

	peer_pdu(p, &pdu, PEER_NOP_OUT | PEER_IMMEDIATE, PEER_F, peer_itt(p), bytes, 100);
	pdu_set(&pdu, TTT, PEER_NONE);
	peer_send(p, &pdu);
	peer_expect(p, &pdu, PEER_NOP_IN);
}

static void converse(struct peer *p, const struct peer_params *want)
{
	unsigned status = peer_try_login(p, 1, want, NULL);

	if (status) {
		EXPECT(torture_hit() && status == OUT_OF_RESOURCES, "login: %04x", status);
		return;
	}
	settle(p);
	for (uint32_t n = 1; n <= MIB / BLOCK; n *= 8) {
		write_some(p, 3, n, (uint8_t)(n + 1));
		read_some(p, 1, n);
	}
	ask(p);
	change(p);
	read_some(p, 0, 2048);
	say(p);
	ping(p);
	give_up(p, ABORT_TASK);
	give_up(p, LUN_RESET);
	settle(p);
	read_some(p, 200, 200);
	peer_try_logout(p, 0, 0);
}

/* --- the body --- */

static void all_is_well(void)
{
	struct peer *p = patient_connect();

	speaker = NULL;
	p->isid = 0x800000000077;
	peer_login(p, &(struct peer_params){true, true, 1, 65536, 65536, 65536});
	peer_settle(p);
	for (uint64_t lba = 0; lba < 2 * MIB / BLOCK; lba += MIB / BLOCK)
		read_some(p, lba, MIB / BLOCK);
	write_some(p, 0, 64, 1);
	read_some(p, 0, 64);
	peer_logout(p);
}

static void empty(void)
{
	house_calm(&house, 60 * SECOND);
	house_empty(&house);
}

static void body(void *ctx)
{
	log_level = LOG_ERROR;
	peer_on_fail = on_fail;
	torture_where = in_target;
	house_open(&house, &(struct house_params){.seed = 1, .ram = RAM});
	speaker = patient_connect();
	torture_arm();
	if (!setjmp(gone))
		converse(speaker, ctx);
	torture_disarm();
	peer_close(speaker);
	empty();
	all_is_well();
	empty();
	house_close(&house);
}

static void data_with_the_command(void **state)
{
	struct peer_params want = {false, true, 1, 65536, 65536, 65536};

	assert_true(torture(body, &want) > 20);
}

static void data_that_is_asked_for(void **state)
{
	struct peer_params want = {true, false, 4, 262144, 65536, 65536};

	assert_true(torture(body, &want) > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(data_with_the_command),
		cmocka_unit_test(data_that_is_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
