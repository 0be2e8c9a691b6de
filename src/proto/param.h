/* param.h - the operational parameters of a session and connection, out of key.tbl.
 *
 * Each key is a row of key.tbl: type, default, range, result function, scope, who may offer, RFC 7143
 * section, and the value that Berth offers (with its reason). struct params holds the results;
 * param_default() fills the RFC's defaults, login and text negotiation change them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ISCSI_NAME_MAX = 223, TEXT_VALUE_MAX = 255 };

struct params {
	/* session */
	bool initial_r2t, immediate_data;
	bool data_pdu_in_order, data_sequence_in_order;
	uint32_t max_outstanding_r2t, max_burst, first_burst;
	uint32_t default_time2wait, default_time2retain;
	uint32_t max_connections, error_recovery_level;
	/* connection */
	uint32_t max_send_data;  /* the peer's MaxRecvDataSegmentLength */
	uint32_t max_recv_data;  /* ours, as declared */
	bool header_digest, data_digest;
};

void param_default(struct params *p);

/* What this side offers and accepts: the same table, one value a key. Changed by `--param KEY=VALUE`. */
struct param_offer {
	struct params v;
};
void param_offer_default(struct param_offer *o);
/* param_offer_set - 0, or -EINVAL with a one-line reason in err (key unknown, value outside the range). */
int param_offer_set(struct param_offer *o, const char *key, const char *value, char *err, size_t err_len);
