/* test-chap.c - values, hashes, the exchange in both directions, and the file of users. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include <errno.h>
#include "chap.h"
#include "check.h"

/* clang-format off */
static const struct { const char *text; int len; const char *bytes; } values[] = {
	{ "0x00ff10", 3, "\x00\xff\x10" },
	{ "0XaB", 1, "\xab" },
	{ "0xabc", 2, "\x0a\xbc" },
	{ "0x", -1, "" }, { "0xg0", -1, "" }, { "ab", -1, "" }, { "", -1, "" }, { "0", -1, "" },
	{ "0bTWFu", 3, "Man" }, { "0bTWE=", 2, "Ma" }, { "0bTQ==", 1, "M" }, { "0BTQ", 1, "M" },
	{ "0bT", -1, "" }, { "0bT*==", -1, "" }, { "0bTQ===", -1, "" }, { "0bTQ==x", -1, "" },
	{ "0x0102030405060708090a", -1, "" }, /* longer than asked for */
};
/* clang-format on */

static void binary_values(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		uint8_t out[8];

		assert_int_equal(chap_binary(values[i].text, out, sizeof(out)), values[i].len);
		if (values[i].len > 0)
			assert_memory_equal(out, values[i].bytes, values[i].len);
	}
}

/* The first bytes of each hash as coreutils and Python have them. */
static void known_hashes(void **state)
{
	static const struct {
		unsigned algorithm, len;
		uint8_t begin[4];
	} want[] = {{5, 16, {0}}, {6, 20, {0xbd, 0x90, 0x01, 0x9a}},
		{7, 32, {0xae, 0x01, 0x68, 0x5b}}, {8, 32, {0xf2, 0x36, 0x0b, 0xbc}}, {9, 0, {0}}};
	static const uint8_t md5[] = {0x46, 0xe4, 0x77, 0x70};
	uint8_t out[64];

	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		assert_int_equal(
			chap_response(want[i].algorithm, 1, "s", (const uint8_t *)"c", 1, out),
			want[i].len);
		if (want[i].begin[0])
			assert_memory_equal(out, want[i].begin, 4);
	}
	assert_int_equal(chap_response(5, 1, "secret", (const uint8_t *)"challenge", 9, out), 16);
	assert_memory_equal(out, md5, 4);
}

/* --- the exchange --- */

static struct chap_user users[] = {{"0xuser", "a-secret-of-hex"}, {"user1", "password-one"}};
static const struct chap_db one_way = {.users = users, .n_users = 2};
static const struct chap_db mutual = {
	.users = users, .n_users = 2, .self = {"disk", "the-other-way"}};

struct exchange {
	struct param_offer offer;
	struct nego n;
	struct chap c;
	struct text out;
	const char *why;
};

static void begin(struct exchange *x, const struct chap_db *db)
{
	static const uint8_t challenge[CHAP_CHALLENGE_LEN] = {9, 8, 7};

	param_offer_default(&x->offer);
	x->offer.chap = db;
	nego_init(&x->n, NEGO_TARGET, NEGO_SECURITY, true, &x->offer, NULL);
	chap_init(&x->c, db, 42, challenge);
	text_init(&x->out, 65536);
}

static void end(struct exchange *x)
{
	nego_deinit(&x->n);
	text_deinit(&x->out);
}

/* say - pairs separated by blanks; the end of chap_step(). */
static int say(struct exchange *x, const char *pairs)
{
	struct text in;
	char copy[4096], *rest = copy, *pair;
	int r;

	text_init(&in, 65536);
	snprintf(copy, sizeof(copy), "%s", pairs);
	while ((pair = strsep(&rest, " ")))
		assert_int_equal(text_add_bytes(&in, pair, (uint32_t)strlen(pair) + 1), 0);
	text_clear(&x->out);
	assert_int_equal(nego_rx(&x->n, &in, &x->out), 0);
	r = chap_step(&x->c, &x->n, &x->out, &x->why);
	text_deinit(&in);
	return r;
}

static const char *heard(const struct exchange *x, const char *key)
{
	for (uint32_t at = 0; at < x->out.len; at += (uint32_t)strlen(x->out.buf + at) + 1) {
		if (!strncmp(x->out.buf + at, key, strlen(key)))
			return x->out.buf + at + strlen(key);
	}
	return "";
}

static void respond_as(
	const struct exchange *x, const char *name, const char *secret, char *buf, size_t len)
{
	uint8_t response[64];
	unsigned n = chap_response(
		x->c.algorithm, x->c.id, secret, x->c.challenge, sizeof(x->c.challenge), response);
	int at = snprintf(buf, len, "CHAP_N=%s CHAP_R=0x", name);

	for (unsigned i = 0; i < n; i++)
		at += snprintf(buf + at, len - (size_t)at, "%02X", response[i]);
}

static void each_algorithm(void **state)
{
	static const char *const offers[] = {"5", "6,5", "7", "8,7,6,5", "99,abc,,7"};
	static const char *const chosen[] = {"5", "6", "7", "8", "7"};

	for (size_t i = 0; i < ARRAY_LEN(offers); i++) {
		struct exchange x;
		char text[512];

		begin(&x, &one_way);
		snprintf(text, sizeof(text), "AuthMethod=CHAP,None CHAP_A=%s", offers[i]);
		assert_int_equal(say(&x, text), CHAP_MORE);
		assert_string_equal(heard(&x, "AuthMethod="), "CHAP");
		assert_string_equal(heard(&x, "CHAP_A="), chosen[i]);
		assert_string_equal(heard(&x, "CHAP_I="), "42");
		assert_int_equal(strlen(heard(&x, "CHAP_C=")), 2 + 2 * CHAP_CHALLENGE_LEN);
		respond_as(&x, "0xuser", "a-secret-of-hex", text, sizeof(text));
		assert_int_equal(say(&x, text), CHAP_VERIFIED);
		end(&x);
	}
}

static void who_is_not_let_in(void **state)
{
	static const struct {
		const char *name, *secret;
	} liars[] = {{"user1", "password-two"}, {"user2", "password-one"},
		{"0xuser", "password-one"}, {"", "password-one"}};

	for (size_t i = 0; i < ARRAY_LEN(liars); i++) {
		struct exchange x;
		char text[512];

		begin(&x, &one_way);
		assert_int_equal(say(&x, "AuthMethod=CHAP CHAP_A=7"), CHAP_MORE);
		respond_as(&x, liars[i].name, liars[i].secret, text, sizeof(text));
		assert_int_equal(say(&x, text), CHAP_REFUSED);
		end(&x);
	}
}

static void broken_answers(void **state)
{
	static const char *const answers[] = {"CHAP_N=user1", "CHAP_R=0x00",
		"CHAP_N=user1 CHAP_R=zz", "CHAP_N=user1 CHAP_R=0x",
		"CHAP_N=user1 CHAP_R=0x00112233445566778899aabbccddeeff"};
	struct exchange x;

	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		begin(&x, &one_way);
		assert_int_equal(say(&x, "AuthMethod=CHAP CHAP_A=5"), CHAP_MORE);
		assert_int_equal(say(&x, answers[i]), CHAP_REFUSED);
		end(&x);
	}
	begin(&x, &one_way);
	assert_int_equal(say(&x, "AuthMethod=CHAP CHAP_A=4,99"), CHAP_REFUSED);
	end(&x);
}

static void both_ways(void **state)
{
	struct exchange x;
	char text[1024], want[140] = "0x";
	uint8_t response[64];

	begin(&x, &mutual);
	assert_int_equal(say(&x, "AuthMethod=CHAP CHAP_A=7"), CHAP_MORE);
	respond_as(&x, "user1", "password-one", text, sizeof(text));
	strcat(text, " CHAP_I=3 CHAP_C=0bTWFuTWFu");
	assert_int_equal(say(&x, text), CHAP_VERIFIED);
	assert_string_equal(heard(&x, "CHAP_N="), "disk");
	chap_response(7, 3, "the-other-way", (const uint8_t *)"ManMan", 6, response);
	for (int i = 0; i < 32; i++)
		sprintf(want + 2 + 2 * i, "%02x", response[i]);
	assert_string_equal(heard(&x, "CHAP_R="), want);
	end(&x);
}

/* Without a secret of its own the target cannot answer; its own challenge it does not answer; half a challenge
 * is none. */
static void not_both_ways(void **state)
{
	const struct chap_db *const dbs[] = {&one_way, &mutual, &mutual};
	const char *const more[] = {" CHAP_I=3 CHAP_C=0x0102", " CHAP_I=42 CHAP_C=", " CHAP_I=3"};

	for (int i = 0; i < 3; i++) {
		struct exchange x;
		char text[1024], own[128];

		begin(&x, dbs[i]);
		assert_int_equal(say(&x, "AuthMethod=CHAP CHAP_A=7"), CHAP_MORE);
		snprintf(own, sizeof(own), "%s", heard(&x, "CHAP_C="));
		respond_as(&x, "user1", "password-one", text, sizeof(text));
		strcat(text, more[i]);
		if (i == 1)
			strcat(text, own);
		assert_int_equal(say(&x, text), CHAP_REFUSED);
		end(&x);
	}
}

/* --- the file --- */

static int load_text(struct chap_db *db, const char *text, mode_t mode, char *err)
{
	char path[] = "chap-file-XXXXXX";
	int fd = mkstemp(path), r;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	fchmod(fd, mode);
	close(fd);
	r = chap_db_load(db, path, err, 256);
	unlink(path);
	return r;
}

static void the_file(void **state)
{
	static const char *const bad[] = {"alice\n", "a b c\n", "\"alice b\n", "a x\na y\n", "",
		"# nobody\n", "a s\n=t s\n", "= secret\n"};
	struct chap_db db;
	char err[256];

	assert_int_equal(
		load_text(&db, "# who\n\nalice  s1 \r\n\"#bob x\" \"s 2\"\n=disk s3\n", 0600, err),
		0);
	assert_int_equal(db.n_users, 2);
	assert_string_equal(db.users[0].secret, "s1");
	assert_string_equal(db.users[1].name, "#bob x");
	assert_string_equal(db.users[1].secret, "s 2");
	assert_string_equal(db.self.name, "disk");
	chap_db_deinit(&db);
	chap_db_deinit(&db);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(load_text(&db, bad[i], 0600, err), -EUCLEAN);
	assert_int_equal(load_text(&db, "a b\n", 0644, err), -EACCES);
	assert_non_null(strstr(err, "everybody"));
	assert_int_equal(chap_db_load(&db, ".", err, sizeof(err)), -EISDIR);
	assert_non_null(strstr(err, "Is a directory"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(binary_values),
		cmocka_unit_test(known_hashes),
		cmocka_unit_test(each_algorithm),
		cmocka_unit_test(who_is_not_let_in),
		cmocka_unit_test(broken_answers),
		cmocka_unit_test(both_ways),
		cmocka_unit_test(not_both_ways),
		cmocka_unit_test(the_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
