/* test-reserve.c - reservations: every type against every class of commands, each service action,
 * what others are told, and what a restart brings back. */
#include <stdio.h>
#include "attention.h"
#include "units.h"
#include "reserve.h"
#include "transport_id.h"

enum { NONE_KEY = 0, K1 = 0x1111, K2 = 0x2222 };
enum { REGISTER, RESERVE, RELEASE, CLEAR, PREEMPT, PREEMPT_ABORT, IGNORE, MOVE };

static uint8_t list[512];

/* pr_out - the list of 24 bytes, with the flags of byte 20. */
static void pr_out(unsigned sa, unsigned type, uint64_t key, uint64_t new_key, uint8_t flags)
{
	memset(list, 0, sizeof(list));
	put_be64(list, key);
	put_be64(list + 8, new_key);
	list[20] = flags;
	OUT(DISK, CDB(0x5f, (uint8_t)sa, (uint8_t)type, 0, 0, 0, 0, 0, 24), list, 24);
}

#define PR(sa, type, key, new_key) pr_out(sa, type, key, new_key, 0)
#define PR_IN(sa)                  GOOD(IN(DISK, CDB(0x5e, sa, 0, 0, 0, 0, 0, 4, 0), 1024))

#define KEYS(n, ...)                                                                               \
	do {                                                                                       \
		const uint64_t keys[] = {__VA_ARGS__};                                             \
		const unsigned n_keys = n;                                                         \
		PR_IN(0);                                                                          \
		assert_int_equal(get_be32(rig.in + 4), 8 * n_keys);                                \
		for (unsigned i = 0; i < n_keys; i++)                                              \
			assert_true(get_be64(rig.in + 8 + 8 * i) == keys[i]);                      \
	} while (0)

/* What is reserved: the holder's key and the type; type 0: nothing. */
#define HELD(key, type)                                                                            \
	do {                                                                                       \
		PR_IN(1);                                                                          \
		assert_int_equal(get_be32(rig.in + 4), (type) ? 16 : 0);                           \
		if (type)                                                                          \
			assert_true(get_be64(rig.in + 8) == (key) && rig.in[21] == (type));        \
	} while (0)

#define TOLD(asc, ascq) AS_OTHER(BAD(NONE(DISK, CDB(0)), 6, asc, ascq))
#define NOT_TOLD()      AS_OTHER(GOOD(NONE(DISK, CDB(0))))

static const uint8_t types[] = {1, 3, 5, 6, 7, 8};

/* --- SPC-4 table 65, SBC-3 table 13 --- */

/* clang-format off */
static const struct {
	const char *name;
	uint8_t cdb[16];
	bool read, write;
	uint32_t len;
	/* allowed for: who is not registered with WRITE, ALL; who is registered and holds nothing, with the
	 * same; all others may always; the last: with RESERVE of another */
	bool we, ea, reserve6;
} commands[] = {
	{"TEST UNIT READY", {0},                                   0, 0, 0,   1, 1, 0},
	{"REQUEST SENSE",   {0x03, 0, 0, 0, 18},                   1, 0, 18,  1, 1, 1},
	{"READ(6)",         {0x08, 0, 0, 0, 1},                    1, 0, 512, 1, 0, 0},
	{"WRITE(6)",        {0x0a, 0, 0, 0, 1},                    0, 1, 512, 0, 0, 0},
	{"INQUIRY",         {0x12, 0, 0, 0, 36},                   1, 0, 36,  1, 1, 1},
	{"MODE SENSE(6)",   {0x1a, 0, 0x3f, 0, 255},               1, 0, 255, 1, 0, 0},
	{"MODE SELECT(6)",  {0x15, 0x10},                          0, 0, 0,   0, 0, 0},
	{"STOP",            {0x1b, 0, 0, 0, 0x10},                 0, 0, 0,   0, 0, 0},
	{"START",           {0x1b, 0, 0, 0, 0x01},                 0, 0, 0,   1, 1, 0},
	{"ALLOW REMOVAL",   {0x1e},                                0, 0, 0,   1, 1, 1},
	{"PREVENT REMOVAL", {0x1e, 0, 0, 0, 1},                    0, 0, 0,   0, 0, 0},
	{"READ CAPACITY",   {0x25},                                1, 0, 8,   1, 1, 1},
	{"VERIFY(10)",      {0x2f, 0, 0, 0, 0, 0, 0, 0, 1},        0, 0, 0,   1, 0, 0},
	{"PRE-FETCH(10)",   {0x34, 0, 0, 0, 0, 0, 0, 0, 1},        0, 0, 0,   1, 0, 0},
	{"SYNCHRONIZE",     {0x35},                                0, 0, 0,   0, 0, 0},
	{"READ DEFECTS",    {0x37, 0, 0, 0, 0, 0, 0, 0, 4},        1, 0, 4,   1, 0, 0},
	{"WRITE SAME(10)",  {0x41, 0, 0, 0, 0, 0, 0, 0, 1},        0, 1, 512, 0, 0, 0},
	{"UNMAP",           {0x42},                                0, 0, 0,   0, 0, 0},
	{"SANITIZE EXIT",   {0x48, 0x1f},                          0, 0, 0,   0, 0, 0},
	{"LOG SENSE",       {0x4d, 0, 0x40, 0, 0, 0, 0, 0, 32},    1, 0, 32,  1, 1, 1},
	{"RELEASE(6)",      {0x17},                                0, 0, 0,   0, 0, 1},
	{"RESERVE(6)",      {0x16},                                0, 0, 0,   0, 0, 0},
	{"READ KEYS",       {0x5e, 0, 0, 0, 0, 0, 0, 0, 32},       1, 0, 32,  1, 1, 0},
	{"COMPARE",         {0x89},                                0, 0, 0,   0, 0, 0},
	{"ORWRITE",         {0x8b},                                0, 0, 0,   0, 0, 0},
	{"GET LBA STATUS",  {0x9e, 0x12, [13] = 24},               1, 0, 24,  1, 0, 0},
	{"REPORT LUNS",     {0xa0, [9] = 64},                      1, 0, 64,  1, 1, 1},
	{"REPORT GROUPS",   {0xa3, 0x0a, [9] = 64},                1, 0, 64,  1, 1, 1},
	{"SET GROUPS",      {0xa4, 0x0a},                          0, 0, 0,   0, 0, 0},
};
/* clang-format on */

static void expect(unsigned i, bool allowed)
{
	uint8_t status;

	rig.as_other = true;
	rig_run(&rig, DISK, commands[i].cdb, commands[i].read, commands[i].write, commands[i].len,
		data);
	rig.as_other = false;
	status = rig.last.status;
	if (status != (allowed ? SCSI_GOOD : SCSI_RESERVATION_CONFLICT))
		fail_msg("%s: status %02x", commands[i].name, status);
}

static void test_commands_of_strangers(void **state)
{
	for (unsigned t = 0; t < ARRAY_LEN(types); t++) {
		bool write_only = types[t] == 1 || types[t] == 5 || types[t] == 7;

		GOOD(PR(IGNORE, 0, 0, K1));
		GOOD(PR(RESERVE, types[t], K1, 0));
		for (unsigned i = 0; i < ARRAY_LEN(commands); i++) {
			bool spc2 = commands[i].cdb[0] == 0x16 || commands[i].cdb[0] == 0x17;

			expect(i, !spc2 && (write_only ? commands[i].we : commands[i].ea));
		}
		GOOD(PR(CLEAR, 0, K1, 0));
	}
}

static void test_commands_of_registrants(void **state)
{
	for (unsigned t = 0; t < ARRAY_LEN(types); t++) {
		GOOD(PR(IGNORE, 0, 0, K1));
		AS_OTHER(GOOD(PR(IGNORE, 0, 0, K2)));
		GOOD(PR(RESERVE, types[t], K1, 0));
		for (unsigned i = 0; i < ARRAY_LEN(commands); i++) {
			bool spc2 = commands[i].cdb[0] == 0x16 || commands[i].cdb[0] == 0x17;
			bool may = types[t] >= 5;

			may |= types[t] == 1 ? commands[i].we : commands[i].ea;
			expect(i, !spc2 && may);
		}
		GOOD(PR(CLEAR, 0, K1, 0));
		TOLD(0x2a, 3);
	}
}

static void test_commands_under_reserve(void **state)
{
	GOOD(NONE(DISK, CDB(0x16)));
	GOOD(NONE(DISK, CDB(0x56)));
	for (unsigned i = 0; i < ARRAY_LEN(commands); i++)
		expect(i, commands[i].reserve6);
	AS_OTHER(CONFLICT(PR(IGNORE, 0, 0, K2)));
	GOOD(OUT(DISK, CDB(0x0a, 0, 0, 0, 1), data, 512));
	AS_OTHER(GOOD(NONE(DISK, CDB(0x57))));
	expect(2, false);
	GOOD(NONE(DISK, CDB(0x57)));
	expect(2, true);
}

/* SAM-5 6.3.3, 6.3.4 */
static void test_what_ends_reserve(void **state)
{
	GOOD(NONE(DISK, CDB(0x16)));
	nexus_leave(&rig.other);
	expect(2, false);
	nexus_leave(&rig.nexus);
	expect(2, true);
	GOOD(NONE(DISK, CDB(0x16)));
	lu_reset(rig.map.lu[DISK]);
	TOLD(0x29, 3);
	expect(2, true);
}

static void test_reserve_and_registrations_exclude_each_other(void **state)
{
	BAD(NONE(DISK, CDB(0x16, 1)), 5, 0x24, 0); /* extents */
	GOOD(PR(IGNORE, 0, 0, K1));
	CONFLICT(NONE(DISK, CDB(0x16)));
	CONFLICT(NONE(DISK, CDB(0x17)));
	GOOD(PR(IGNORE, 0, 0, 0));
	GOOD(NONE(DISK, CDB(0x16)));
}

/* --- REGISTER --- */

static void test_register(void **state)
{
	CONFLICT(PR(REGISTER, 0, K1, K1));
	GOOD(PR(REGISTER, 0, 0, K1));
	CONFLICT(PR(REGISTER, 0, 0, K2));
	GOOD(PR(REGISTER, 0, K1, K2));
	KEYS(1, K2);
	GOOD(PR(IGNORE, 0, 77, K1));
	AS_OTHER(GOOD(PR(REGISTER, 0, 0, K1)));
	KEYS(2, K1, K1);
	assert_int_equal(get_be32(rig.in), 4); /* generation */
	GOOD(PR(REGISTER, 0, K1, 0));
	KEYS(1, K1);
	NOT_TOLD();
	GOOD(NONE(DISK, CDB(0)));
}

static void test_register_lists_that_are_wrong(void **state)
{
	BAD(OUT(DISK, CDB(0x5f, 0, 0, 0, 0, 0, 0, 0, 23), list, 23), 5, 0x1a, 0);
	BAD(OUT(DISK, CDB(0x5f, 0, 0, 0, 0, 0, 0, 0, 25), list, 25), 5, 0x1a, 0);
	BAD(OUT(DISK, CDB(0x5f, 0, 0, 0, 0, 0, 0, 0, 24), list, 20), 5, 0x1a, 0);
	BAD(pr_out(REGISTER, 0, 0, K1, 0x01), 5, 0x26, 0); /* APTPL: nothing is kept here */
	assert_int_equal(get_be16(rig.last.sense + 16), 20);
	FIELD(PR(RESERVE, 0x11, K1, 0), 2, 7);
	FIELD(PR(RESERVE, 0x02, K1, 0), 2, 3);
	KEYS(0, 0);
}

static void test_register_is_bounded(void **state)
{
	GOOD(PR(IGNORE, 0, 0, K1));
	for (unsigned i = 1; i < RESERVE_MAX; i++) {
		char name[64];

		snprintf(name, sizeof(name), "iqn.2000-01.com.example:%u,i,0x400001370000", i);
		assert_non_null(reserve_add(&rig.map.lu[DISK]->reserve, name, 1, i));
	}
	AS_OTHER(BAD(PR(IGNORE, 0, 0, K2), 5, 0x55, 4));
	GOOD(IN(DISK, CDB(0x5e, 3, 0, 0, 0, 0, 0, 0xff, 0xff), 0xffff));
	assert_int_equal(get_be32(rig.in) + 0, 1);
	GOOD(PR(CLEAR, 0, K1, 0));
	KEYS(0, 0);
}

/* spec_list - SPEC_I_PT with a port, and with a device that is logged in; its length. */
static uint32_t spec_list(void)
{
	static const char device[] = "iqn.1994-05.com.example:two";
	uint32_t n = 28;

	memset(list, 0, sizeof(list));
	put_be64(list + 8, K1);
	list[20] = 0x08;
	n += (uint32_t)transport_id_put(list + n, "iqn.2000-01.com.example:x,i,0x4000013700AB");
	list[n] = 0x05;
	put_be16(list + n + 2, 28);
	memcpy(list + n + 4, device, sizeof(device));
	n += 32;
	put_be32(list + 24, n - 28);
	return n;
}

#define REGISTER_LISTED(n) OUT(DISK, CDB(0x5f, 0, 0, 0, 0, 0, 0, 0, (uint8_t)(n)), list, n)

static void test_register_for_others(void **state)
{
	uint32_t n = spec_list();

	GOOD(REGISTER_LISTED(n));
	KEYS(3, K1, K1, K1);
	GOOD(IN(DISK, CDB(0x5e, 3, 0, 0, 0, 0, 0, 2, 0), 512));
	assert_string_equal(
		(char *)rig.in + 8 + 24 + 4, "iqn.2000-01.com.example:x,i,0x4000013700ab");
	AS_OTHER(CONFLICT(PR(REGISTER, 0, 0, K2)));
	GOOD(PR(CLEAR, 0, K1, 0));
	/* all or none */
	n = spec_list();
	list[n - 32] = 0x45;
	BAD(REGISTER_LISTED(n), 5, 0x26, 0);
	n = spec_list();
	list[n - 5] = 'x'; /* nobody's name */
	list[n - 4] = 'x';
	BAD(REGISTER_LISTED(n), 5, 0x26, 0);
	n = spec_list();
	BAD(REGISTER_LISTED(n - 4), 5, 0x1a, 0);
	KEYS(0, 0);
	reserve_add(&rig.map.lu[DISK]->reserve, "iqn.2000-01.com.example:x,i,0x4000013700ab", 1, 5);
	n = spec_list();
	CONFLICT(REGISTER_LISTED(n));
	KEYS(1, 5);
}

/* --- RESERVE, RELEASE, CLEAR --- */

static void test_reserve_and_release(void **state)
{
	CONFLICT(PR(RESERVE, 1, 0, 0));
	GOOD(PR(IGNORE, 0, 0, K1));
	CONFLICT(PR(RESERVE, 1, K2, 0));
	for (unsigned t = 0; t < ARRAY_LEN(types); t++) {
		bool every = types[t] >= 7;

		AS_OTHER(GOOD(PR(IGNORE, 0, 0, K2)));
		GOOD(PR(RESERVE, types[t], K1, 0));
		HELD(every ? 0 : K1, types[t]);
		GOOD(PR(RESERVE, types[t], K1, 0)); /* once more */
		CONFLICT(PR(RESERVE, types[(t + 1) % 6], K1, 0));
		AS_OTHER(CONFLICT(PR(RESERVE, types[(t + 1) % 6], K2, 0)));
		BAD(PR(RELEASE, types[(t + 1) % 6], K1, 0), 5, 0x26, 4);
		if (!every)
			AS_OTHER(GOOD(PR(RELEASE, types[t], K2, 0))); /* holds nothing */
		HELD(every ? 0 : K1, types[t]);
		GOOD(PR(RELEASE, types[t], K1, 0));
		HELD(0, 0);
		if (types[t] >= 5)
			TOLD(0x2a, 4);
		NOT_TOLD();
		GOOD(PR(RELEASE, types[t], K1, 0));
	}
}

static void test_holder_goes(void **state)
{
	for (unsigned t = 0; t < ARRAY_LEN(types); t++) {
		bool every = types[t] >= 7;

		GOOD(PR(IGNORE, 0, 0, K1));
		AS_OTHER(GOOD(PR(IGNORE, 0, 0, K2)));
		GOOD(PR(RESERVE, types[t], K1, 0));
		GOOD(PR(REGISTER, 0, K1, 0));
		HELD(0, every ? types[t] : 0);
		if (types[t] == 5 || types[t] == 6)
			TOLD(0x2a, 4);
		NOT_TOLD();
		AS_OTHER(GOOD(PR(REGISTER, 0, K2, 0)));
		HELD(0, 0);
	}
}

static void test_clear(void **state)
{
	GOOD(PR(IGNORE, 0, 0, K1));
	AS_OTHER(GOOD(PR(IGNORE, 0, 0, K2)));
	GOOD(PR(RESERVE, 3, K1, 0));
	AS_OTHER(CONFLICT(PR(CLEAR, 0, K1, 0)));
	AS_OTHER(GOOD(PR(CLEAR, 0, K2, 0)));
	BAD(NONE(DISK, CDB(0)), 6, 0x2a, 3);
	KEYS(0, 0);
	HELD(0, 0);
	AS_OTHER(GOOD(NONE(DISK, CDB(0))));
}

/* --- PREEMPT --- */

static void both(unsigned type)
{
	GOOD(PR(IGNORE, 0, 0, K1));
	AS_OTHER(GOOD(PR(IGNORE, 0, 0, K2)));
	if (type)
		GOOD(PR(RESERVE, type, K1, 0));
}

static void test_preempt_a_registration(void **state)
{
	both(0);
	AS_OTHER(CONFLICT(PR(PREEMPT, 1, K1, K1))); /* not his key */
	BAD(PR(PREEMPT, 1, K1, 0), 5, 0x26, 0);
	CONFLICT(PR(PREEMPT, 1, K1, 77));
	GOOD(PR(PREEMPT, 1, K1, K2));
	KEYS(1, K1);
	HELD(0, 0);
	TOLD(0x2a, 5);
	NOT_TOLD();
}

static void test_preempt_the_holder(void **state)
{
	for (unsigned t = 0; t < 4; t++) {
		both(types[t]);
		AS_OTHER(FIELD(PR(PREEMPT, 2, K2, K1), 2, -1));
		AS_OTHER(GOOD(PR(t % 2 ? PREEMPT : PREEMPT_ABORT, 3, K2, K1)));
		BAD(NONE(DISK, CDB(0)), 6, 0x2a, 5);
		HELD(K2, 3);
		KEYS(1, K2);
		CONFLICT(IN(DISK, CDB(0x08, 0, 0, 0, 1), 512));
		AS_OTHER(GOOD(PR(CLEAR, 0, K2, 0)));
	}
}

static void test_preempt_with_all_registrants(void **state)
{
	both(7);
	AS_OTHER(CONFLICT(PR(PREEMPT, 1, K2, 77)));
	AS_OTHER(GOOD(PR(PREEMPT, 1, K2, K1))); /* a registration only */
	BAD(NONE(DISK, CDB(0)), 6, 0x2a, 5);
	HELD(0, 7);
	GOOD(PR(IGNORE, 0, 0, K1));
	GOOD(PR(PREEMPT, 1, K1, 0)); /* everybody */
	HELD(K1, 1);
	KEYS(1, K1);
	TOLD(0x2a, 5);
}

/* Who stays registered learns that the type is another one. */
static void test_preempt_changes_the_type(void **state)
{
	both(5);
	assert_non_null(reserve_add(&rig.map.lu[DISK]->reserve, "iqn.x:y,i,0x1", 1, 77));
	GOOD(PR(PREEMPT, 6, K1, K1)); /* his own */
	HELD(K1, 6);
	KEYS(3, K1, K2, 77);
	TOLD(0x2a, 4);
}

/* The others' commands are ended, or waited for, before the answer. */
struct host {
	struct scsi_host h;
	struct scsi_sweep *s;
	bool fail;
};

static int on_sweep(struct scsi_host *h, struct scsi_sweep *s)
{
	struct host *host = container_of(h, struct host, h);

	if (host->fail)
		return -ENOMEM;
	host->s = s;
	return 0;
}

static void test_preempt_sweeps(void **state)
{
	struct host host = {.h.sweep = on_sweep};
	struct scsi_cmd c;

	both(3);
	rig.map.lu[DISK]->host = &host.h;
	memset(list, 0, 24);
	put_be64(list, K1);
	put_be64(list + 8, K2);
	for (unsigned sa = PREEMPT; sa <= PREEMPT_ABORT; sa++) {
		AS_OTHER(GOOD(PR(IGNORE, 0, 0, K2)));
		memset(list, 0, 24);
		put_be64(list, K1);
		put_be64(list + 8, K2);
		rig_begin(&rig, &c, DISK, CDB(0x5f, (uint8_t)sa, 3, 0, 0, 0, 0, 0, 24), false, true,
			24);
		rig_fill(&c, list);
		scsi_execute(&c);
		assert_int_equal(c.state, SCSI_RUNNING);
		assert_true(scsi_waits(&c));
		assert_int_equal(host.s->kind, sa == PREEMPT ? SWEEP_WAIT : SWEEP_ABORT);
		assert_true(
			host.s->match(host.s, &rig.other) && !host.s->match(host.s, &rig.nexus));
		assert_ptr_equal(host.s->except, &c);
		host.s->done(host.s);
		while (rig_turn(&rig))
			;
		assert_int_equal(c.state, SCSI_DONE);
		assert_int_equal(c.status, SCSI_GOOD);
		scsi_release(&c);
		TOLD(0x2a, 5);
	}
	AS_OTHER(GOOD(PR(IGNORE, 0, 0, K2)));
	host.fail = true;
	PR(PREEMPT_ABORT, 3, K1, K2);
	assert_int_equal(rig.last.status, SCSI_BUSY);
	rig.map.lu[DISK]->host = NULL;
}

/* --- REGISTER AND MOVE --- */

static uint32_t move_list(const char *name, uint64_t key, uint64_t new_key, uint8_t flags)
{
	size_t n = transport_id_put(list + 24, name);

	memset(list, 0, 24);
	put_be64(list, key);
	put_be64(list + 8, new_key);
	list[17] = flags;
	put_be16(list + 18, 1);
	put_be32(list + 20, (uint32_t)n);
	return (uint32_t)n + 24;
}

#define MOVE_TO(name, key, new_key, flags)                                                         \
	do {                                                                                       \
		uint32_t n = move_list(name, key, new_key, flags);                                 \
		OUT(DISK, CDB(0x5f, MOVE, 0, 0, 0, 0, 0, 0, (uint8_t)n), list, n);                 \
	} while (0)

static void test_move(void **state)
{
	both(0);
	CONFLICT(MOVE_TO(rig.other.initiator, K1, K2, 0)); /* holds nothing */
	GOOD(PR(RESERVE, 3, K1, 0));
	BAD(MOVE_TO(rig.other.initiator, K1, 0, 0), 5, 0x26, 0);
	BAD(MOVE_TO(rig.nexus.initiator, K1, 5, 0), 5, 0x26, 0); /* to himself */
	BAD(MOVE_TO(rig.other.initiator, K1, 5, 1), 5, 0x26, 0); /* APTPL */
	GOOD(MOVE_TO(rig.other.initiator, K1, 0x55, 0));
	HELD(0x55, 3);
	KEYS(2, K1, 0x55);
	AS_OTHER(GOOD(MOVE_TO("iqn.2000-01.com.example:new,i,0x400001370009", 0x55, 0x66, 2)));
	KEYS(2, K1, 0x66);
	HELD(0x66, 3);
}

/* A list that names no port, though its own length says so: nothing is read behind it. */
static void test_move_to_nobody(void **state)
{
	both(0);
	GOOD(PR(RESERVE, 3, K1, 0));
	move_list("", K1, 5, 0);
	put_be32(list + 20, 0);
	BAD(OUT(DISK, CDB(0x5f, MOVE, 0, 0, 0, 0, 0, 0, 24), list, 24), 5, 0x26, 0);
	HELD(K1, 3);
	KEYS(2, K1, K2);
}

/* --- what is told --- */

static void test_capabilities(void **state)
{
	PR_IN(2);
	assert_memory_equal(rig.in, ((uint8_t[]){0, 8, 0x0c, 0x90, 0xea, 0x01, 0, 0}), 8);
	GOOD(IN(DISK, CDB(0x5e, 2, 0, 0, 0, 0, 0, 0, 4), 4));
	assert_int_equal(rig.in_len, 4);
}

static void test_full_status(void **state)
{
	both(6);
	PR_IN(3);
	assert_int_equal(get_be32(rig.in + 4) + 8, rig.in_len);
	for (unsigned i = 0, at = 8; i < 2; i++) {
		const uint8_t *d = rig.in + at;
		const struct nexus *n = i ? &rig.other : &rig.nexus;

		assert_true(get_be64(d) == (i ? K2 : K1));
		assert_int_equal(d[12], i ? 0 : 1);
		assert_int_equal(d[13], i ? 0 : 6);
		assert_int_equal(get_be16(d + 18), 1);
		assert_int_equal(d[24], 0x45);
		assert_string_equal((const char *)d + 28, n->initiator);
		assert_int_equal(get_be32(d + 20) % 4, 0);
		assert_int_equal(get_be32(d + 20), get_be16(d + 26) + 4);
		at += 24 + get_be32(d + 20);
	}
	lu_reset(rig.map.lu[DISK]); /* changes nothing (SPC-4 5.12.5) */
	BAD(NONE(DISK, CDB(0)), 6, 0x29, 3);
	HELD(K1, 6);
}

/* --- kept --- */

struct store {
	struct lu_store s;
	uint8_t record[LU_RECORD_MAX];
	uint32_t len;
	unsigned n_saves;
	int error;
	struct io_work later;
	struct lu_save *save;
};

static void on_later(struct io_work *w)
{
	struct store *t = container_of(w, struct store, later);

	t->save->done(t->save, t->error);
}

static void store_save(struct lu_store *s, struct lu_save *save)
{
	struct store *t = container_of(s, struct store, s);

	memcpy(t->record, save->data, save->len);
	t->len = save->len;
	t->n_saves++;
	t->save = save;
	t->later.fn = on_later;
	list_init(&t->later.link);
	io_post(save->io, &t->later);
}

static struct lu_store *store_free(struct lu_store *s)
{
	return NULL;
}

static struct store store = {.s = {.save = store_save, .free = store_free}};

/* restart - the unit is made anew out of what was kept. */
static void restart(void)
{
	rig_deinit(&rig);
	rig_init(&rig);
	rig_unit(&rig, &(struct rig_unit){.lun = DISK,
			       .size = 1 << 20,
			       .block = 512,
			       .store = &store.s,
			       .record = store.len ? store.record : NULL,
			       .record_len = store.len});
}

static void test_kept_over_a_restart(void **state)
{
	static const uint8_t every[] = {1, 3, 5, 6, 7, 8};

	for (unsigned t = 0; t < ARRAY_LEN(every); t++) {
		store.len = 0;
		restart();
		GOOD(pr_out(IGNORE, 0, 0, K1, 0x01));
		AS_OTHER(GOOD(pr_out(IGNORE, 0, 0, K2, 0x01)));
		GOOD(PR(RESERVE, every[t], K1, 0));
		restart();
		KEYS(2, K1, K2);
		HELD(every[t] >= 7 ? 0 : K1, every[t]);
		PR_IN(2);
		assert_memory_equal(rig.in, ((uint8_t[]){0, 8, 0x0d, 0x91, 0xea, 0x01}), 6);
		if (every[t] < 5)
			AS_OTHER(CONFLICT(OUT(DISK, CDB(0x0a, 0, 0, 0, 1), data, 512)));
		GOOD(PR(CLEAR, 0, K1, 0));
		restart();
		KEYS(0, 0);
	}
}

/* The last registration says whether (SPC-4 5.12.5). */
static void test_kept_no_more(void **state)
{
	store.len = 0;
	restart();
	GOOD(pr_out(IGNORE, 0, 0, K1, 0x01));
	GOOD(pr_out(IGNORE, 0, 0, K1, 0x00));
	restart();
	KEYS(0, 0);
	store.n_saves = 0;
	GOOD(pr_out(IGNORE, 0, 0, K1, 0x00));
	assert_int_equal(store.n_saves, 0);
	store.error = -ENOSPC;
	BAD(pr_out(IGNORE, 0, 0, K1, 0x01), 4, 0x44, 0);
	store.error = 0;
	GOOD(PR(CLEAR, 0, K1, 0));
}

/* Commands of two nexuses at once share saves; each is answered after its own. */
static void test_saves_are_shared(void **state)
{
	struct scsi_cmd c[8];

	store.len = 0;
	restart();
	store.n_saves = 0;
	for (unsigned i = 0; i < 8; i++) {
		memset(list, 0, 24);
		put_be64(list + 8, i + 1);
		list[20] = 1;
		rig.as_other = i % 2;
		rig_begin(&rig, &c[i], DISK, CDB(0x5f, IGNORE, 0, 0, 0, 0, 0, 0, 24), false, true,
			24);
		rig_fill(&c[i], list);
		scsi_execute(&c[i]);
		assert_int_equal(c[i].state, SCSI_RUNNING);
	}
	rig.as_other = false;
	while (rig_turn(&rig))
		;
	assert_int_equal(store.n_saves, 2);
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(c[i].state, SCSI_DONE);
		assert_int_equal(c[i].status, SCSI_GOOD);
		scsi_release(&c[i]);
	}
	restart();
	KEYS(2, 7, 8);
}

static void test_records_that_are_broken(void **state)
{
	struct lu_params p = {.lun = 1, .target = "t", .block = 512, .physical = 512};
	struct lu *l = NULL;
	uint8_t bad[LU_RECORD_MAX];

	store.len = 0;
	restart();
	GOOD(pr_out(IGNORE, 0, 0, K1, 0x01));
	GOOD(PR(RESERVE, 3, K1, 0));
	p.volume = lu_volume(rig.map.lu[DISK]); /* not taken when it fails */
	for (uint32_t len = 0; len < store.len; len++) {
		p.record = store.record;
		p.record_len = len;
		if (len == 8)
			continue; /* a record without sections */
		assert_int_equal(lu_new(&l, &p), -EBADMSG);
	}
	p.record = bad;
	p.record_len = store.len;
	for (uint32_t at = 0; at < 16; at++) { /* the rest are keys and names */
		memcpy(bad, store.record, store.len);
		bad[at] ^= 0x80;
		if (lu_new(&l, &p) == 0)
			fail_msg("byte %u", at);
	}
	GOOD(PR(CLEAR, 0, K1, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_commands_of_strangers),
		TEST(test_commands_of_registrants),
		TEST(test_commands_under_reserve),
		TEST(test_what_ends_reserve),
		TEST(test_reserve_and_registrations_exclude_each_other),
		TEST(test_register),
		TEST(test_register_lists_that_are_wrong),
		TEST(test_register_is_bounded),
		TEST(test_register_for_others),
		TEST(test_reserve_and_release),
		TEST(test_holder_goes),
		TEST(test_clear),
		TEST(test_preempt_a_registration),
		TEST(test_preempt_the_holder),
		TEST(test_preempt_with_all_registrants),
		TEST(test_preempt_changes_the_type),
		TEST(test_preempt_sweeps),
		TEST(test_move),
		TEST(test_move_to_nobody),
		TEST(test_capabilities),
		TEST(test_full_status),
		TEST(test_kept_over_a_restart),
		TEST(test_kept_no_more),
		TEST(test_saves_are_shared),
		TEST(test_records_that_are_broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
