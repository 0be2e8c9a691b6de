/* test-url.c - URLs, results in words, and the retry rule: what is pure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "berth/initiator.h"
#include "retry.h"

#define URL(text, h, p, us, pw, t, l)                                                              \
	do {                                                                                       \
		struct berth_url u;                                                                \
		char err[300] = "";                                                                \
		assert_int_equal(berth_url_parse(&u, text, err, sizeof(err)), 0);                  \
		assert_string_equal(err, "");                                                      \
		assert_string_equal(u.host, h);                                                    \
		assert_string_equal(u.port, p);                                                    \
		assert_string_equal(u.user, us);                                                   \
		assert_string_equal(u.password, pw);                                               \
		assert_string_equal(u.target, t);                                                  \
		assert_int_equal(u.lun, l);                                                        \
	} while (0)
#define URL_BAD(text, word)                                                                        \
	do {                                                                                       \
		struct berth_url u;                                                                \
		char err[900] = "";                                                                \
		assert_true(berth_url_parse(&u, text, err, sizeof(err)) < 0);                      \
		assert_non_null(strstr(err, word));                                                \
	} while (0)

static void urls(void **state)
{
	URL("iscsi://h", "h", "3260", "", "", "", 0);
	URL("iscsi://h/", "h", "3260", "", "", "", 0);
	URL("iscsi://10.0.0.1:99/iqn.2026-11.x:y", "10.0.0.1", "99", "", "", "iqn.2026-11.x:y", 0);
	URL("iscsi://h/iqn.2026-11.x:y/7", "h", "3260", "", "", "iqn.2026-11.x:y", 7);
	URL("iscsi://h/iqn.2026-11.x%3ay/16383", "h", "3260", "", "", "iqn.2026-11.x:y", 16383);
	URL("iscsi://[::1]/eui.0123456789abcdef/1", "::1", "3260", "", "", "eui.0123456789abcdef",
		1);
	URL("iscsi://[fe80::1%eth0]:1/iqn.2026-11.x", "fe80::1%eth0", "1", "", "", "iqn.2026-11.x",
		0);
	URL("iscsi://u@h", "h", "3260", "u", "", "", 0);
	URL("iscsi://user%secret@h:5", "h", "5", "user", "secret", "", 0);
	URL("iscsi://u%p@h/iqn.2026-11.x:y/3?target_user=t&target_password=s%26cret", "h", "3260",
		"u", "p", "iqn.2026-11.x:y", 3);
	URL("iscsi://h/iqn.2026-11.x:y?target_password=a/b@c", "h", "3260", "", "",
		"iqn.2026-11.x:y", 0);
	URL("iscsi://h?target_user=t", "h", "3260", "", "", "", 0);
	URL("iscsi://us%40er:pa%2fss@h", "h", "3260", "us@er", "pa/ss", "", 0);
}

static void secrets(void **state)
{
	static const char *const bad[] = {
		"iscsi://me%hidden@h:0/x?target_user=disk&target_password=hidden",
		"iscsi://me%hidden@h/iqn.2026-11.x:y/99999?target_password=hidden",
		"iscsi://me%hidden@h/nothing",
		"iscsi://me:hidden@h/iqn.2026-11.x:y/0?password=hidden", "iscsi://me%hid%00den@h/"};
	struct berth_url u;
	char err[900];

	berth_url_parse(&u,
		"iscsi://u%p@h/iqn.2026-11.x:y/3?target_user=t&target_password=s%26cret", err,
		sizeof(err));
	assert_string_equal(u.target_user, "t");
	assert_string_equal(u.target_password, "s&cret");
	/* What is said of a bad one tells nobody's password. */
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_true(berth_url_parse(&u, bad[i], err, sizeof(err)) < 0);
		assert_null(strstr(err, "hid"));
		assert_non_null(strstr(err, "iscsi://h"));
	}
}

static void bad_urls(void **state)
{
	char longer[700] = "iscsi://h/iqn.2026-11.";

	URL_BAD("", "iscsi://");
	URL_BAD("http://h/", "iscsi://");
	URL_BAD("iscsi://", "HOST");
	URL_BAD("iscsi:///iqn.2026-11.x/0", "HOST");
	URL_BAD("iscsi://h:0", "HOST");
	URL_BAD("iscsi://h:70000", "HOST");
	URL_BAD("iscsi://h:12x", "HOST");
	URL_BAD("iscsi://[::1", "HOST");
	URL_BAD("iscsi://[::1]x", "HOST");
	URL_BAD("iscsi://h/disk", "target");
	URL_BAD("iscsi://h/iqn.2026-11.x%zz", "target");
	URL_BAD("iscsi://h/iqn.2026-11.x/", "LUN");
	URL_BAD("iscsi://h/iqn.2026-11.x/16384", "LUN");
	URL_BAD("iscsi://h/iqn.2026-11.x/1/2", "LUN");
	URL_BAD("iscsi://h/iqn.2026-11.x/-1", "LUN");
	URL_BAD("iscsi://u:%4@h", "password");
	memset(longer + strlen(longer), 'a', 500);
	URL_BAD(longer, "target");
	memset(longer + strlen("iscsi://"), 'a', 600);
	URL_BAD(longer, "HOST");
}

#define TEXT(r, text)                                                                              \
	do {                                                                                       \
		char buf[100];                                                                     \
		assert_string_equal(berth_result_text(&r, buf, sizeof(buf)), text);                \
	} while (0)

static void results(void **state)
{
	static const uint8_t fixed[18] = {0x70, 0, 0x05, [12] = 0x21},
			     described[8] = {0x72, 0x0e, 0x1d};
	struct berth_result
		good = {0},
		late = {.error = -110},
		beyond = {.error = -121, .status = 2, .sense = fixed, .sense_len = 18},
		differs = {.error = -121, .status = 2, .sense = described, .sense_len = 8},
		short_sense = {.error = -121, .status = 2, .sense = fixed, .sense_len = 2},
		busy = {.error = -121, .status = 8}, odd = {.error = -121, .status = 0x7f};

	TEXT(good, "GOOD");
	TEXT(late, "Connection timed out");
	TEXT(beyond, "CHECK CONDITION: ILLEGAL REQUEST (05h/21h/00h)");
	TEXT(differs, "CHECK CONDITION: MISCOMPARE (0eh/1dh/00h)");
	TEXT(short_sense, "CHECK CONDITION");
	TEXT(busy, "BUSY");
	TEXT(odd, "status 7fh");
	assert_int_equal(berth_sense_key(&beyond), 5);
	assert_int_equal(berth_sense_code(&beyond), 0x2100);
	assert_int_equal(berth_sense_key(&short_sense), 0);
	assert_int_equal(berth_sense_code(&short_sense), 0);
}

#define WRITE(at, n) ((struct change){.repeat = REPEAT_UNLESS_OVERLAPPED, .lba = at, .n_blocks = n})
#define OVERLAP(a, b, yes)                                                                         \
	do {                                                                                       \
		struct change x = a, y = b;                                                        \
		assert_int_equal(change_overlap(&x, &y), yes);                                     \
		assert_int_equal(change_overlap(&y, &x), yes);                                     \
	} while (0)

static void overlaps(void **state)
{
	OVERLAP(WRITE(10, 5), WRITE(10, 5), true);
	OVERLAP(WRITE(10, 5), WRITE(14, 1), true);
	OVERLAP(WRITE(10, 5), WRITE(15, 1), false);
	OVERLAP(WRITE(10, 5), WRITE(0, 10), false);
	OVERLAP(WRITE(10, 5), WRITE(0, 11), true);
	OVERLAP(WRITE(10, 5), WRITE(0, 1000), true);
	OVERLAP(WRITE(0, UINT32_MAX), WRITE(UINT64_MAX, 1), false);
	OVERLAP(WRITE(UINT64_MAX, 1), WRITE(UINT64_MAX, 9), true);
	OVERLAP(WRITE(10, 5), ((struct change){.repeat = REPEAT_ALWAYS, .lba = 10, .n_blocks = 5}),
		false);
	OVERLAP(WRITE(10, 5),
		((struct change){
			.repeat = REPEAT_UNLESS_OVERLAPPED, .lun = 1, .lba = 10, .n_blocks = 5}),
		false);
}

static void repeats(void **state)
{
	struct change c = WRITE(1, 1);

	assert_true(change_may_repeat(&c));
	c.overlapped = true;
	assert_false(change_may_repeat(&c));
	c.repeat = REPEAT_ALWAYS;
	assert_true(change_may_repeat(&c));
	c.overlapped = false;
	c.repeat = REPEAT_UNBEGUN;
	assert_false(change_may_repeat(&c));
	c.repeat = REPEAT_NEVER;
	assert_false(change_may_repeat(&c));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(urls),
		cmocka_unit_test(secrets),
		cmocka_unit_test(bad_urls),
		cmocka_unit_test(results),
		cmocka_unit_test(overlaps),
		cmocka_unit_test(repeats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
