/* param.h - the operational parameters of a session and connection, out of key.tbl.
 *
 * Each key is a row of key.tbl: type, default, range, result function, use, who may send it, RFC 7143
 * section, and the value that Berth offers (with its reason). struct params holds the results;
 * param_default() fills the RFC's defaults, login and text negotiation (nego.h) change them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ISCSI_NAME_MAX = 223, TEXT_VALUE_MAX = 255 };

struct params {
	/* session */
	bool discovery;
	bool initial_r2t, immediate_data;
	bool data_pdu_in_order, data_sequence_in_order;
	uint32_t max_outstanding_r2t, max_burst, first_burst;
	uint32_t default_time2wait, default_time2retain;
	uint32_t max_connections, error_recovery_level;
	uint32_t protocol_level; /* RFC 7143 13.24 */
	uint32_t task_reporting; /* word of TaskReporting (13.23) */
	/* connection */
	uint32_t auth_method;    /* word of AuthMethod: 0 None, 1 CHAP */
	uint32_t max_send_data;  /* the peer's MaxRecvDataSegmentLength */
	uint32_t max_recv_data;  /* ours, as declared */
	bool header_digest, data_digest;
};

enum { TASK_REPORTING_RFC3720, TASK_REPORTING_FENCE, TASK_REPORTING_FAST_ABORT };

void param_default(struct params *p);

/* What this side offers and accepts: the same table, one value a key. Changed by `--param KEY=VALUE`. */
struct chap_db;
struct param_offer {
	struct params v;
	const struct chap_db *chap; /* who may log in; NULL: everybody, without authentication */
	bool open_discovery;        /* with chap: who only asks where the targets are need not prove anything */
};
void param_offer_default(struct param_offer *o);
/* param_offer_set - 0, or -EINVAL with a one-line reason in err (key unknown, value outside the range).
 * Numbers may have a suffix (1M). */
int param_offer_set(struct param_offer *o, const char *key, const char *value, char *err, size_t err_len);

/* --- the table --- */
enum key {
#define KEY_TEXT(e, ...)  KEY_##e,
#define KEY_LIST(e, ...)  KEY_##e,
#define KEY_BOOL(e, ...)  KEY_##e,
#define KEY_NUM(e, ...)   KEY_##e,
#define KEY_EACH(e, ...)  KEY_##e,
#define KEY_FIXED(e, ...) KEY_##e,
#include "key.tbl"
	N_KEYS,
	KEY_NONE = N_KEYS
};

enum key_type { KEY_TYPE_TEXT, KEY_TYPE_LIST, KEY_TYPE_BOOL, KEY_TYPE_NUM, KEY_TYPE_EACH, KEY_TYPE_FIXED };
enum key_result { RESULT_DECLARE, RESULT_FIRST, RESULT_AND, RESULT_OR, RESULT_MIN, RESULT_MAX };
enum key_use { USE_LO, USE_IO, USE_FFP, USE_ALL };
enum key_from { FROM_I = 1, FROM_T = 2, FROM_IT = 3 };
enum key_stage { STAGE_SEC, STAGE_OP, STAGE_ANY };
enum key_unless { UNLESS_ALWAYS, UNLESS_DISC, UNLESS_NOFB };

struct key_row {
	const char *name;
	const char *words;     /* LIST: its values; FIXED: the answer */
	enum key_type type;
	enum key_result result;
	enum key_use use;
	enum key_from from;
	enum key_stage stage;
	enum key_unless unless;
	bool hold;
	uint32_t min, max, cap; /* TEXT: max is its longest value */
	uint32_t by_default, own; /* LIST: own is how many of the words are built */
	uint16_t at, width;    /* place of the result in struct params; width 0: nowhere */
	uint16_t peer_at;      /* EACH: place of the peer's */
};
extern const struct key_row key_rows[N_KEYS];

enum key key_find(const char *name); /* KEY_NONE */

/* A row's value in *p, whatever its width; 0 for rows without a place. */
uint32_t param_get(const struct params *p, const struct key_row *row);
void param_put(struct params *p, const struct key_row *row, uint32_t v);
/* The n-th word of a list row into buf (first .. first + count - 1, joined by commas). */
const char *key_words(const struct key_row *row, unsigned first, unsigned count, char *buf, size_t buf_len);
