/* test-text.c - pairs in and out of a text, pieces, limits, hostile bytes; iSCSI names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "check.h"
#include "text.h"

#define ADD(t, s) assert_int_equal(text_add_bytes(t, s, sizeof(s) - 1), 0)
#define PAIR(t, pos, k, v)                                                                         \
	do {                                                                                       \
		char *k_, *v_;                                                                     \
		assert_int_equal(text_next(t, pos, &k_, &v_), 1);                                  \
		assert_string_equal(k_, k);                                                        \
		assert_string_equal(v_, v);                                                        \
	} while (0)
#define STOP(t, pos, end)                                                                          \
	do {                                                                                       \
		char *k_, *v_;                                                                     \
		assert_int_equal(text_next(t, pos, &k_, &v_), end);                                \
	} while (0)

static void pairs_come_out_as_they_went_in(void **state)
{
	struct text t;
	uint32_t pos = 0;

	text_init(&t, 100);
	assert_int_equal(text_add(&t, "A", "1"), 0);
	assert_int_equal(text_add(&t, "Empty", ""), 0);
	assert_int_equal(text_addf(&t, "B", "%d,%s", 2, "x=y"), 0);
	assert_int_equal(t.len, 4 + 7 + 8);
	assert_memory_equal(t.buf, "A=1\0Empty=\0B=2,x=y", 19);
	PAIR(&t, &pos, "A", "1");
	PAIR(&t, &pos, "Empty", "");
	PAIR(&t, &pos, "B", "2,x=y");
	STOP(&t, &pos, 0);
	STOP(&t, &pos, 0);
	text_deinit(&t);
	text_deinit(&t);
}

static void a_pair_may_come_in_pieces(void **state)
{
	static const char whole[] = "MaxBurstLength=262144\0HeaderDigest=None\0";

	for (uint32_t cut = 0; cut <= sizeof(whole) - 1; cut++) {
		uint32_t pos = 0;
		struct text t;

		text_init(&t, 1000);
		assert_int_equal(text_add_bytes(&t, whole, cut), 0);
		assert_int_equal(
			text_add_bytes(&t, whole + cut, (uint32_t)sizeof(whole) - 1 - cut), 0);
		PAIR(&t, &pos, "MaxBurstLength", "262144");
		PAIR(&t, &pos, "HeaderDigest", "None");
		STOP(&t, &pos, 0);
		text_deinit(&t);
	}
}

static void a_text_stops_growing_at_its_limit(void **state)
{
	struct text t;

	text_init(&t, 2000);
	for (int i = 0; i < 20; i++)
		assert_int_equal(text_add_bytes(&t, (char[100]){0}, 100), 0);
	assert_int_equal(text_add_bytes(&t, "x", 1), TEXT_TOO_LONG);
	assert_int_equal(text_add(&t, "", ""), TEXT_TOO_LONG);
	assert_int_equal(text_add_bytes(&t, NULL, 0), 0);
	assert_int_equal(text_add_bytes(&t, "x", UINT32_MAX), TEXT_TOO_LONG);
	assert_int_equal(t.len, 2000);
	assert_true(t.room <= 2000);
	text_clear(&t);
	assert_int_equal(text_add(&t, "K", "v"), 0);
	assert_int_equal(t.len, 4);
	text_deinit(&t);
}

static void an_empty_text_has_no_pair(void **state)
{
	uint32_t pos = 0;
	struct text t;

	text_init(&t, 10);
	STOP(&t, &pos, 0);
	text_deinit(&t);
}

static void padding_between_pairs_is_passed_over(void **state)
{
	uint32_t pos = 0;
	struct text t;

	text_init(&t, 100);
	ADD(&t, "\0\0A=1\0\0\0B=2\0\0\0\0");
	PAIR(&t, &pos, "A", "1");
	PAIR(&t, &pos, "B", "2");
	STOP(&t, &pos, 0);
	text_deinit(&t);
}

#define HOSTILE(s)                                                                                 \
	do {                                                                                       \
		uint32_t pos_ = 0;                                                                 \
		struct text t_;                                                                    \
		text_init(&t_, 1000);                                                              \
		ADD(&t_, s);                                                                       \
		STOP(&t_, &pos_, -1);                                                              \
		STOP(&t_, &pos_, -1);                                                              \
		text_deinit(&t_);                                                                  \
	} while (0)
#define SIXTY_THREE "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz01234567890"

static void hostile_texts_are_no_pairs(void **state)
{
	uint32_t pos = 0;
	struct text t;

	HOSTILE("A=1");
	HOSTILE("A\0");
	HOSTILE("no equal sign\0B=2\0");
	HOSTILE("=value\0");
	HOSTILE("Key with space=1\0");
	HOSTILE("K\xc3\xa4se=1\0");
	HOSTILE("K\x01=1\0");
	HOSTILE(SIXTY_THREE "x=1\0");
	HOSTILE("=\0");
	text_init(&t, 1000);
	ADD(&t, SIXTY_THREE "=1\0X-com.example.a_b=1\0X#Node+@=\0bad");
	PAIR(&t, &pos, SIXTY_THREE, "1");
	PAIR(&t, &pos, "X-com.example.a_b", "1");
	PAIR(&t, &pos, "X#Node+@", "");
	STOP(&t, &pos, -1);
	text_deinit(&t);
}

static void random_bytes_stay_inside(void **state)
{
	srand(7);
	for (int round = 0; round < 20000; round++) {
		static const char some[] = "Aa0=\0\0,Z.\xff";
		uint32_t len = (uint32_t)rand() % 64, pos = 0, n = 0;
		char *bytes = malloc(len + 1), *k, *v;
		struct text t;
		int r;

		for (uint32_t i = 0; i < len; i++)
			bytes[i] = some[(size_t)rand() % (sizeof(some) - 1)];
		text_init(&t, 64);
		assert_int_equal(text_add_bytes(&t, bytes, len), 0);
		while ((r = text_next(&t, &pos, &k, &v)) == 1) {
			assert_true(pos <= len);
			assert_true(v + strlen(v) < t.buf + len);
			assert_true(++n <= len);
		}
		assert_true(r == 0 || r == -1);
		text_deinit(&t);
		free(bytes);
	}
}

static void names(void **state)
{
	static const char *const good[] = {
		"iqn.2026-11.io.berth:myhost",
		"iqn.2001-04.com.example",
		"iqn.2001-04.com.example:storage.disk2:sys1.xyz",
		"iqn.1999-12.x-y.z:\xc3\xa4",
		"eui.02004567A425678D",
		"naa.52004567BA64678D",
		"naa.62004567BA64678D0123456789ABCDEF",
	};
	static const char *const bad[] = {
		"",
		"iqn.",
		"iqn.2026-11.",
		"iqn.2026-11",
		"iqn.2026-13.com.example",
		"iqn.2026-00.com.example",
		"iqn.226-11.com.example",
		"iqn.2026-11-com.example",
		"iqn.2026-11.com.Example",
		"iqn.2026-11.com.example:a b",
		"iqn.2026-11.com.example:a/b",
		"iqn.2026-11.:x",
		"iqn.2026-11.com.example:a_b",
		"eui.02004567A425678",
		"eui.02004567A425678G",
		"eui.02004567A425678D0",
		"naa.52004567BA64678D0",
		"naa.",
		"disk",
		"IQN.2026-11.com.example",
	};
	char name[230];

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(iscsi_name_valid(good[i]));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(iscsi_name_valid(bad[i]));
	memset(name, 'a', sizeof(name));
	memcpy(name, "iqn.2026-11.c:", 14);
	name[223] = '\0';
	assert_true(iscsi_name_valid(name));
	name[223] = 'a';
	name[224] = '\0';
	assert_false(iscsi_name_valid(name));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pairs_come_out_as_they_went_in),
		cmocka_unit_test(a_pair_may_come_in_pieces),
		cmocka_unit_test(a_text_stops_growing_at_its_limit),
		cmocka_unit_test(an_empty_text_has_no_pair),
		cmocka_unit_test(padding_between_pairs_is_passed_over),
		cmocka_unit_test(hostile_texts_are_no_pairs),
		cmocka_unit_test(random_bytes_stay_inside),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
