/* test-signon.c - both ends of the login phase joined in memory, and answers that no target should give. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "login.h"
#include "signon.h"

#define INITIATOR "iqn.2026-11.test:initiator"
#define TARGET    "iqn.2026-11.test:target"

static const uint8_t dice[LOGIN_RANDOM_LEN] = {1, 2, 3};

static const uint8_t isid[6] = {0x80, 1, 2, 3, 4, 5};

struct pair {
	struct signon so;
	struct login l;
	struct param_offer i, t;
	struct proof proof; /* all zero: there is nothing to prove */
	unsigned n_round_trips;
};

static void pair_init(struct pair *p, const char *target)
{
	assert_int_equal(signon_init(&p->so, &p->i, INITIATOR, target, isid, &p->proof), 0);
	assert_int_equal(login_init(&p->l, &p->t, 1, dice), 0);
}

static void pair_deinit(struct pair *p)
{
	signon_deinit(&p->so);
	signon_deinit(&p->so); /* twice is safe */
	login_deinit(&p->l);
}

/* Through the codec, as on the wire. */
static void over_the_wire(struct pdu *p)
{
	uint8_t bhs[BHS_LEN];

	pdu_encode(p, bhs);
	assert_int_equal(pdu_decode(p, bhs), PDU_OK);
}

/* converse - until one of them has an end; what the initiator's is. */
static enum signon_step converse(struct pair *p, enum login_status refuse)
{
	for (unsigned i = 0; i < 20; i++) {
		struct pdu req, rsp;
		const void *text;
		uint32_t len;
		enum login_step t;
		enum signon_step s;

		signon_request(&p->so, &req, &text, &len);
		over_the_wire(&req);
		assert_int_equal(req.data_len, len);
		t = login_rx(&p->l, &req, text, len);
		if (t == LOGIN_IDENTIFIED)
			t = refuse ? login_refuse(&p->l, refuse, "no")
				   : login_accept(&p->l, 77, NULL);
		rsp = p->l.rsp;
		rsp.expcmdsn = 1;
		rsp.maxcmdsn = 32;
		over_the_wire(&rsp);
		s = signon_rx(&p->so, &rsp, p->l.rsp_text, p->l.rsp_text_len);
		p->n_round_trips++;
		if (s != SIGNON_SEND) {
			if (s == SIGNON_DONE)
				assert_int_equal(t, LOGIN_DONE);
			return s;
		}
	}
	fail_msg("no end");
	return SIGNON_FAILED;
}

static struct pair *new_pair(void)
{
	static struct pair p;

	memset(&p, 0, sizeof(p));
	param_offer_default(&p.i);
	param_offer_default(&p.t);
	return &p;
}

#define SAME(field) assert_int_equal(p->so.params.field, p->l.params.field)

static void check_agree(struct pair *p)
{
	SAME(initial_r2t);
	SAME(immediate_data);
	SAME(max_burst);
	SAME(first_burst);
	SAME(max_outstanding_r2t);
	SAME(error_recovery_level);
	SAME(header_digest);
	SAME(data_digest);
	assert_int_equal(p->so.params.max_send_data, p->l.params.max_recv_data);
	assert_int_equal(p->so.params.max_recv_data, p->l.params.max_send_data);
}

static void both_agree(void **state)
{
	struct pair *p = new_pair();

	pair_init(p, TARGET);
	assert_int_equal(converse(p, LOGIN_SUCCESS), SIGNON_DONE);
	assert_int_equal(p->n_round_trips, 2);
	assert_int_equal(p->so.tsih, 77);
	assert_int_equal(p->so.maxcmdsn, 32);
	assert_string_equal(p->l.initiator, INITIATOR);
	assert_string_equal(p->l.target, TARGET);
	check_agree(p);
	pair_deinit(p);
}

/* Each wish of either side, alone: the results are the same at both ends. */
static void wishes(void **state)
{
	for (unsigned i = 0; i < 12; i++) {
		struct pair *p = new_pair();
		struct params *v = i & 1 ? &p->t.v : &p->i.v;

		switch (i / 2) {
		case 0:
			v->initial_r2t = true;
			break;
		case 1:
			v->immediate_data = false;
			break;
		case 2:
			v->initial_r2t = true;
			v->immediate_data = false;
			break;
		case 3:
			v->max_burst = 4096;
			break;
		case 4:
			v->max_recv_data = 512;
			break;
		case 5:
			v->first_burst = 512;
			break;
		}
		pair_init(p, TARGET);
		assert_int_equal(converse(p, LOGIN_SUCCESS), SIGNON_DONE);
		check_agree(p);
		pair_deinit(p);
	}
}

static void digests_are_preferred(void **state)
{
	struct pair *p = new_pair();

	p->i.v.header_digest = p->i.v.data_digest = true;
	pair_init(p, TARGET);
	assert_int_equal(converse(p, LOGIN_SUCCESS), SIGNON_DONE);
	assert_true(p->so.params.header_digest && p->so.params.data_digest);
	check_agree(p);
	pair_deinit(p);
}

static void discovers(void **state)
{
	struct pair *p = new_pair();

	pair_init(p, NULL);
	assert_int_equal(converse(p, LOGIN_SUCCESS), SIGNON_DONE);
	assert_true(p->l.discovery);
	pair_deinit(p);
}

static void is_refused(void **state)
{
	static const struct {
		enum login_status status;
		int error;
	} rows[] = {{LOGIN_NOT_FOUND, -ENOENT}, {LOGIN_FORBIDDEN, -EACCES},
		{LOGIN_AUTH_FAILED, -EACCES}, {LOGIN_UNAVAILABLE, -EAGAIN},
		{LOGIN_OUT_OF_RESOURCES, -EAGAIN}, {0x02ff, -EPROTO}, {0x0399, -EAGAIN}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pair *p = new_pair();

		pair_init(p, TARGET);
		assert_int_equal(converse(p, rows[i].status), SIGNON_FAILED);
		assert_int_equal(p->so.error, rows[i].error);
		assert_non_null(strstr(p->so.why, "refused"));
		pair_deinit(p);
	}
}

/* --- answers by hand --- */

static struct pdu answer(uint8_t csg, uint8_t nsg, bool final)
{
	return (struct pdu){.opcode = OP_LOGIN_RESPONSE,
		.final = final,
		.statsn = 5,
		.login = {.csg = csg, .nsg = nsg}};
}

/* first - the answer to the first request. */
static enum signon_step first(struct pair *p, struct pdu rsp, const char *text, uint32_t len)
{
	pair_init(p, TARGET);
	return signon_rx(&p->so, &rsp, text, len);
}

#define TEXT(t) t, sizeof(t)

static void moves(void **state)
{
	struct pair *p = new_pair();
	struct pdu rsp = answer(0, 0, false);

	rsp.login.status_class = 1;
	rsp.login.status_detail = 1;
	assert_int_equal(first(p, rsp, TEXT("TargetAddress=10.1.2.3:99,4")), SIGNON_MOVED);
	assert_string_equal(p->so.moved, "10.1.2.3:99");
	pair_deinit(p);
	p = new_pair();
	assert_int_equal(first(p, rsp, NULL, 0), SIGNON_FAILED);
	pair_deinit(p);
}

#define FAILS(rsp, ...)                                                                            \
	do {                                                                                       \
		struct pair *p = new_pair();                                                       \
		assert_int_equal(first(p, rsp, __VA_ARGS__), SIGNON_FAILED);                       \
		assert_int_equal(p->so.error, -EPROTO);                                            \
		pair_deinit(p);                                                                    \
	} while (0)

static void nonsense(void **state)
{
	struct pdu c_and_t = answer(0, 1, true);

	c_and_t.login.c = true;
	FAILS(answer(1, 3, true), NULL, 0);                 /* another stage */
	FAILS(answer(0, 1, true), NULL, 0);                 /* AuthMethod without an answer */
	FAILS(answer(0, 2, true), TEXT("AuthMethod=None")); /* no such stage */
	FAILS(answer(0, 0, true), TEXT("AuthMethod=None"));
	FAILS(answer(0, 1, true), TEXT("AuthMethod=CHAP")); /* was not offered */
	FAILS(answer(0, 1, true), TEXT("AuthMethod=None\0AuthMethod=None"));
	FAILS(answer(0, 1, true), "AuthMethod=None", 15); /* no NUL */
	FAILS(answer(0, 1, true), TEXT("AuthMethod"));
	FAILS(c_and_t, TEXT("AuthMethod=None"));
}

/* 11.13.4: the StatSN of a refusal need not go on from the last one; and what is refused because it may be too long is
 * told apart from what we refuse. */
static void refusal_without_a_number(void **state)
{
	struct pair *p = new_pair();
	struct pdu rsp = answer(0, 0, false);

	assert_int_equal(first(p, rsp, TEXT("AuthMethod=None")), SIGNON_SEND);
	rsp.statsn = 0;
	rsp.login.status_class = 2;
	rsp.login.status_detail = 1;
	assert_int_equal(signon_rx(&p->so, &rsp, NULL, 0), SIGNON_FAILED);
	assert_int_equal(p->so.error, -EACCES);
	assert_true(p->so.refused);
	assert_false(proof_may_be_too_long(&p->so.proof));
	pair_deinit(p);
}

static void pieces(void **state)
{
	struct pair *p = new_pair();
	struct pdu rsp = answer(0, 0, false), req;
	const void *text;
	uint32_t len;

	rsp.login.c = true;
	assert_int_equal(first(p, rsp, "AuthMet", 7), SIGNON_SEND);
	signon_request(&p->so, &req, &text, &len);
	assert_false(req.final);
	assert_int_equal(len, 0);
	assert_int_equal(req.expstatsn, 6);
	rsp = answer(0, 0, false);
	rsp.statsn = 6;
	assert_int_equal(signon_rx(&p->so, &rsp, TEXT("hod=None")), SIGNON_SEND);
	signon_request(&p->so, &req, &text, &len);
	assert_true(req.final);
	assert_int_equal(req.login.nsg, 1);
	pair_deinit(p);
}

static void endless(void **state)
{
	struct pair *p = new_pair();
	struct pdu rsp = answer(0, 0, false);
	enum signon_step s = first(p, rsp, TEXT("AuthMethod=None"));
	unsigned n = 1;

	for (; s == SIGNON_SEND && n < 1000; n++) {
		rsp.statsn++;
		s = signon_rx(&p->so, &rsp, NULL, 0);
	}
	assert_int_equal(s, SIGNON_FAILED);
	assert_true(n <= SIGNON_PDUS_MAX + 1);
	pair_deinit(p);
}

/* --- CHAP --- */

static struct chap_user users[] = {{"me", "the-secret-of-me"}, {"0xother", "another-secret"}};
static const struct chap_db db = {users, 2, {"disk", "the-other-way"}};
static const struct chap_db no_self = {users, 2, {NULL, NULL}};
static const uint8_t our_dice[PROOF_RANDOM_LEN] = {9, 8, 7};

static struct pair *chap_pair(const struct chap_db *who, const char *user, const char *password,
	const char *target_password)
{
	struct pair *p = new_pair();
	struct proof_secrets with = {user, password, "", target_password};

	p->t.chap = who;
	proof_init(&p->proof, &with, our_dice);
	return p;
}

/* Who is named gets in, and sees that the target is who it should be. */
static void proves_itself(void **state)
{
	/* clang-format off */
	static const struct {
		const char *user, *password, *target_password;
		const struct chap_db *db;
		int error; /* 0: in */
	} rows[] = {
		{"me",      "the-secret-of-me", "",              &db,      0},
		{"0xother", "another-secret",   "",              &db,      0},
		{"me",      "the-secret-of-me", "the-other-way", &db,      0},
		{"me",      "another-secret",   "",              &db,      -EACCES},
		{"nobody",  "the-secret-of-me", "",              &db,      -EACCES},
		{"",        "",                 "",              &db,      -EACCES},
		{"me",      "the-secret-of-me", "not-the-one",   &db,      -EACCES},
		{"me",      "the-secret-of-me", "the-other-way", &no_self, -EACCES},
		{"me",      "the-secret-of-me", "",              NULL,     0},       /* nobody asks */
		{"me",      "the-secret-of-me", "the-other-way", NULL,     -EACCES}, /* but we do */
	};
	/* clang-format on */

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pair *p = chap_pair(
			rows[i].db, rows[i].user, rows[i].password, rows[i].target_password);
		const char *target = i & 1 ? NULL : TARGET; /* a discovery session too */

		pair_init(p, target);
		assert_int_equal(
			converse(p, LOGIN_SUCCESS), rows[i].error ? SIGNON_FAILED : SIGNON_DONE);
		assert_int_equal(p->so.error, rows[i].error);
		if (!rows[i].error && rows[i].db)
			assert_string_equal(p->l.user, rows[i].user);
		pair_deinit(p);
	}
}

#define CHOSEN "AuthMethod=CHAP"
#define ASKS   "CHAP_A=7\0CHAP_I=3\0CHAP_C=0x00112233445566778899aabbccddeeff"

/* hears - the first two texts of the target, then a third; the end of each but the last is SIGNON_SEND. */
static enum signon_step hears(struct pair *p, const char *second, uint32_t second_len,
	const char *third, uint32_t third_len, bool final)
{
	struct pdu rsp = answer(0, 0, false);
	enum signon_step s;

	s = first(p, rsp, TEXT(CHOSEN));
	if (s != SIGNON_SEND)
		return s;
	rsp.statsn++;
	s = signon_rx(&p->so, &rsp, second, second_len);
	if (s != SIGNON_SEND || !third)
		return s;
	rsp = answer(0, final, final);
	rsp.statsn += 2;
	return signon_rx(&p->so, &rsp, third, third_len);
}

#define WORDS(t) t, sizeof(t) > 1 ? sizeof(t) : 0
#define LIES(mutual, error_, second, third)                                                        \
	do {                                                                                       \
		struct pair *p = chap_pair(&db, "me", "the-secret-of-me", mutual);                 \
		assert_int_equal(hears(p, WORDS(second), WORDS(third), true), SIGNON_FAILED);      \
		assert_int_equal(p->so.error, error_);                                             \
		pair_deinit(p);                                                                    \
	} while (0)

static void lies_about_chap(void **state)
{
	/* A target that says nothing of itself, or something wrong, or our own words. */
	LIES("the-other-way", -EACCES, ASKS, "");
	LIES("the-other-way", -EACCES, ASKS, "CHAP_N=disk");
	LIES("the-other-way", -EACCES, ASKS, "CHAP_N=disk\0CHAP_R=0x00");
	LIES("the-other-way", -EACCES, ASKS,
		"CHAP_N=disk\0CHAP_R=0x0000000000000000000000000000000000000000000000000000000000000000");
	LIES("the-other-way", -EACCES, ASKS, "CHAP_N=disk\0CHAP_R=nonsense");
	/* A challenge that is none. */
	LIES("", -EACCES, "", "");
	LIES("", -EACCES, "CHAP_A=7\0CHAP_I=3", "");
	LIES("", -EACCES, "CHAP_A=7\0CHAP_I=999\0CHAP_C=0x01", "");
	LIES("", -EACCES, "CHAP_A=99\0CHAP_I=3\0CHAP_C=0x01", "");
	LIES("", -EACCES, "CHAP_A=7\0CHAP_I=3\0CHAP_C=0xzz", "");
	LIES("", -EACCES, "CHAP_A=7\0CHAP_I=3\0CHAP_C=", "");
	LIES("", -EPROTO, "CHAP_A=Reject", "");
}

/* The target cannot leave the stage before all is said. */
static void cuts_chap_short(void **state)
{
	struct pair *p = chap_pair(&db, "me", "the-secret-of-me", "the-other-way");

	assert_int_equal(first(p, answer(0, 1, true), TEXT("AuthMethod=None")), SIGNON_FAILED);
	pair_deinit(p);
	p = chap_pair(&db, "me", "the-secret-of-me", "the-other-way");
	assert_int_equal(first(p, answer(0, 3, true), TEXT(CHOSEN)), SIGNON_FAILED);
	pair_deinit(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_agree),
		cmocka_unit_test(wishes),
		cmocka_unit_test(digests_are_preferred),
		cmocka_unit_test(discovers),
		cmocka_unit_test(is_refused),
		cmocka_unit_test(moves),
		cmocka_unit_test(nonsense),
		cmocka_unit_test(refusal_without_a_number),
		cmocka_unit_test(pieces),
		cmocka_unit_test(endless),
		cmocka_unit_test(proves_itself),
		cmocka_unit_test(lies_about_chap),
		cmocka_unit_test(cuts_chap_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
