/* test-param.c - the key table's own sanity, RFC defaults, and what `--param` may change. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "check.h"
#include "param.h"

static void defaults_are_the_rfcs(void **state)
{
	struct params p;

	param_default(&p);
	assert_false(p.discovery);
	assert_true(p.initial_r2t);              /* 13.10 */
	assert_true(p.immediate_data);           /* 13.11 */
	assert_int_equal(p.max_recv_data, 8192); /* 13.12 */
	assert_int_equal(p.max_send_data, 8192);
	assert_int_equal(p.max_burst, 262144);  /* 13.13 */
	assert_int_equal(p.first_burst, 65536); /* 13.14 */
	assert_int_equal(p.default_time2wait, 2);
	assert_int_equal(p.default_time2retain, 20);
	assert_int_equal(p.max_outstanding_r2t, 1);
	assert_true(p.data_pdu_in_order && p.data_sequence_in_order);
	assert_int_equal(p.error_recovery_level, 0);
	assert_int_equal(p.max_connections, 1);
	assert_int_equal(p.protocol_level, 1);
	assert_false(p.header_digest || p.data_digest);
}

static void the_table_is_consistent(void **state)
{
	char words[64];

	for (enum key k = 0; k < N_KEYS; k++) {
		const struct key_row *row = &key_rows[k];

		assert_non_null(row->name);
		assert_in_range(strlen(row->name), 1, 63);
		assert_int_equal(key_find(row->name), k); /* no name twice */
		if (row->type == KEY_TYPE_NUM || row->type == KEY_TYPE_EACH) {
			assert_true(row->min <= row->by_default && row->by_default <= row->max);
			assert_true(row->min <= row->own && row->own <= row->cap &&
				    row->cap <= row->max);
			assert_int_equal(row->width, sizeof(uint32_t));
		}
		if (row->type == KEY_TYPE_BOOL)
			assert_int_equal(row->width, sizeof(bool));
		if (row->type == KEY_TYPE_LIST)
			for (uint32_t i = 0; i < row->own; i++)
				assert_in_range(
					strlen(key_words(row, i, 1, words, sizeof(words))), 1, 31);
		if (row->hold)
			assert_int_equal(row->use, USE_LO); /* nego_hold() relies on it */
	}
	assert_int_equal(key_find("initiatorname"), KEY_NONE); /* 6.1: case matters */
	assert_int_equal(key_find(""), KEY_NONE);
}

static void words_of_a_list(void **state)
{
	const struct key_row *row = &key_rows[KEY_TASK_REPORTING];
	char buf[64];

	assert_string_equal(key_words(row, 0, 1, buf, sizeof(buf)), "RFC3720");
	assert_string_equal(key_words(row, 1, 1, buf, sizeof(buf)), "ResponseFence");
	assert_string_equal(key_words(row, 1, 2, buf, sizeof(buf)), "ResponseFence,FastAbort");
	assert_string_equal(
		key_words(row, 0, 3, buf, sizeof(buf)), "RFC3720,ResponseFence,FastAbort");
}

static void values_are_reached_by_row(void **state)
{
	struct params p;

	param_default(&p);
	param_put(&p, &key_rows[KEY_MAX_BURST], 4096);
	assert_int_equal(p.max_burst, 4096);
	assert_int_equal(param_get(&p, &key_rows[KEY_MAX_BURST]), 4096);
	param_put(&p, &key_rows[KEY_INITIAL_R2T], 0);
	assert_false(p.initial_r2t);
	param_put(&p, &key_rows[KEY_TARGET_NAME], 1); /* has no place */
	assert_int_equal(param_get(&p, &key_rows[KEY_TARGET_NAME]), 0);
}

static void our_offer(void **state)
{
	struct param_offer o;

	param_offer_default(&o);
	assert_false(o.v.initial_r2t);
	assert_true(o.v.immediate_data);
	assert_int_equal(o.v.max_recv_data, 262144);
	assert_int_equal(o.v.max_burst, 1048576);
	assert_int_equal(o.v.first_burst, 65536);
	assert_int_equal(o.v.max_outstanding_r2t, 32);
	assert_int_equal(o.v.max_connections, 1);
	assert_int_equal(o.v.error_recovery_level, 0);
}

/* clang-format off */
static const struct { const char *key, *value, *err; uint32_t v; } settings[] = {
	{ "MaxBurstLength",           "512",      NULL, 512 },
	{ "MaxBurstLength",           "0x10000",  NULL, 65536 },
	{ "MaxBurstLength",           "4M",       NULL, 4194304 },
	{ "MaxBurstLength",           "16777215", NULL, 16777215 },
	{ "MaxBurstLength",           "16777216", "MaxBurstLength: '16777216' is not a number from 512 to 16777215", 0 },
	{ "MaxBurstLength",           "511",      "MaxBurstLength: '511' is not a number from 512 to 16777215", 0 },
	{ "MaxBurstLength",           "",         "MaxBurstLength: '' is not a number from 512 to 16777215", 0 },
	{ "MaxBurstLength",           "big",      "MaxBurstLength: 'big' is not a number from 512 to 16777215", 0 },
	{ "FirstBurstLength",         "-1",       "FirstBurstLength: '-1' is not a number from 512 to 16777215", 0 },
	{ "MaxRecvDataSegmentLength", "1M",       NULL, 1048576 },
	{ "MaxOutstandingR2T",        "1",        NULL, 1 },
	{ "MaxOutstandingR2T",        "33",       "MaxOutstandingR2T: '33' is not a number from 1 to 32", 0 },
	{ "InitialR2T",               "Yes",      NULL, 1 },
	{ "ImmediateData",            "No",       NULL, 0 },
	{ "ImmediateData",            "maybe",    "ImmediateData: 'maybe' is neither Yes nor No", 0 },
	{ "DataPDUInOrder",           "No",       "DataPDUInOrder: only Yes is supported", 0 },
	{ "DataPDUInOrder",           "Yes",      NULL, 1 },
	{ "MaxConnections",           "1",        NULL, 1 },
	{ "MaxConnections",           "4",        "MaxConnections: only 1 is supported, not '4'", 0 },
	{ "ErrorRecoveryLevel",       "2",        "ErrorRecoveryLevel: only 0 is supported, not '2'", 0 },
	{ "HeaderDigest",             "None,CRC32C", NULL, 0 },
	{ "HeaderDigest",             "CRC32C",   "HeaderDigest: only None,CRC32C is supported, not 'CRC32C'", 0 },
	{ "InitiatorName",            "iqn.x",    "InitiatorName: is not a parameter that can be set", 0 },
	{ "SessionType",              "Normal",   "SessionType: is not a parameter that can be set", 0 },
	{ "IFMarker",                 "No",       "IFMarker: is not a parameter that can be set", 0 },
	{ "maxburstlength",           "512",      "'maxburstlength' is not a key of RFC 7143", 0 },
};
/* clang-format on */

static void what_the_operator_may_set(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
		struct param_offer o, before;
		char err[120] = "";
		int r;

		param_offer_default(&o);
		before = o;
		r = param_offer_set(&o, settings[i].key, settings[i].value, err, sizeof(err));
		if (settings[i].err) {
			assert_int_equal(r, -EINVAL);
			assert_string_equal(err, settings[i].err);
			for (enum key k = 0; k < N_KEYS; k++)
				assert_int_equal(param_get(&o.v, &key_rows[k]),
					param_get(&before.v, &key_rows[k]));
		} else {
			assert_int_equal(r, 0);
			assert_int_equal(param_get(&o.v, &key_rows[key_find(settings[i].key)]),
				settings[i].v);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_the_rfcs),
		cmocka_unit_test(the_table_is_consistent),
		cmocka_unit_test(words_of_a_list),
		cmocka_unit_test(values_are_reached_by_row),
		cmocka_unit_test(our_offer),
		cmocka_unit_test(what_the_operator_may_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
