/* pdu.h - header bytes <-> host-order values, and every rule about lengths and reserved bits.
 *
 * After pdu_decode() there are only host-order values inside known limits; nobody else reads a
 * header byte. Both directions are coded and decoded: the target, the initiator library and the
 * tests of the two joined in memory use the same struct. Source: RFC 7143 chapter 11.
 * Pure functions: no memory, no thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "counter.h"

enum {
	BHS_LEN = 48,
	AHS_MAX = 255 * 4,
	HEADER_MAX = BHS_LEN + AHS_MAX + 4, /* and a header digest */
	DATA_SEGMENT_MAX = 0xffffff,
};
#define ITT_NONE 0xffffffffu

enum opcode {
#define PDU_IN(e, name, op, ...)  OP_##e = op,
#define PDU_OUT(e, name, op, ...) OP_##e = op,
#include "opcode.tbl"
#undef PDU_IN
#undef PDU_OUT
};

enum phase { PHASE_LOGIN, PHASE_DISCOVERY, PHASE_FULL };
enum pdu_data { DATA_NONE, DATA_TEXT, DATA_PING, DATA_XFER, DATA_CMD, DATA_ANY };

/* A row of opcode.tbl for the dispatcher; NULL from opcode_find() for what the table lacks. */
struct opcode_row {
	const char *name;
	uint8_t op;
	bool from_initiator;
	bool legal[3]; /* by enum phase */
	bool immediate, cmdsn;
	enum pdu_data data;
};
const struct opcode_row *opcode_find(uint8_t op);

enum { REJECT_DATA_DIGEST = 0x02, REJECT_SNACK = 0x03, REJECT_PROTOCOL_ERROR = 0x04,
	REJECT_COMMAND_NOT_SUPPORTED = 0x05, REJECT_IMMEDIATE_COMMAND = 0x06,
	REJECT_TASK_IN_PROGRESS = 0x07, REJECT_INVALID_DATA_ACK = 0x08,
	REJECT_INVALID_PDU_FIELD = 0x09, REJECT_LONG_OPERATION = 0x0a,
	REJECT_WAITING_FOR_LOGOUT = 0x0c }; /* RFC 7143 11.17.1 */

enum { TMF_ABORT_TASK = 1, TMF_ABORT_TASK_SET = 2, TMF_CLEAR_ACA = 3, TMF_CLEAR_TASK_SET = 4,
	TMF_LUN_RESET = 5, TMF_TARGET_WARM_RESET = 6, TMF_TARGET_COLD_RESET = 7,
	TMF_TASK_REASSIGN = 8, TMF_QUERY_TASK = 9, TMF_QUERY_TASK_SET = 10,
	TMF_I_T_NEXUS_RESET = 11, TMF_QUERY_ASYNC_EVENT = 12 }; /* 11.5.1, RFC 7144 */
enum { TMF_RSP_COMPLETE = 0, TMF_RSP_NO_TASK = 1, TMF_RSP_NO_LUN = 2, TMF_RSP_STILL_ALLEGIANT = 3,
	TMF_RSP_NO_FAILOVER = 4, TMF_RSP_NOT_SUPPORTED = 5, TMF_RSP_AUTH_FAILED = 6,
	TMF_RSP_SUCCEEDED = 7, TMF_RSP_REJECTED = 255 }; /* 11.6.1 */

struct pdu {
	uint8_t opcode;
	bool immediate; /* I bit */
	bool final;     /* F bit (T bit of a login) */
	uint8_t ahs_len_words;
	uint32_t data_len;
	uint64_t lun;   /* eight bytes as on the wire, in host order; where the opcode has one */
	uint32_t itt;
	uint32_t ttt;   /* where the opcode has one, else TAG_NONE */
	uint32_t cmdsn, expstatsn;           /* from the initiator */
	uint32_t statsn, expcmdsn, maxcmdsn; /* from the target */
	union {
		struct {
			bool read, write;
			uint8_t attr; /* 11.3.1: 0 untagged, 1 simple, 2 ordered, 3 head of queue, 4 ACA */
			uint32_t edtl;
			uint8_t cdb[16];
		} cmd;
		struct {
			uint8_t function;
			uint32_t ref_itt, ref_cmdsn, exp_datasn;
		} tmf;
		struct {
			uint8_t response;
			uint32_t info; /* 24 bits, the lowest byte reserved (RFC 7144) */
		} tmf_rsp;
		struct {
			bool c; /* continue */
			uint8_t csg, nsg, version_max, version_min, version_active;
			uint8_t isid[6];
			uint16_t tsih, cid;
			uint8_t status_class, status_detail;
		} login; /* both directions; `final` is T */
		struct {
			bool c;
		} text; /* both directions */
		struct {
			uint32_t datasn, offset;
			bool ack, overflow, underflow, has_status; /* Data-In only */
			uint8_t status;
			uint32_t residual;
		} data; /* Data-Out and Data-In */
		struct {
			uint8_t reason; /* 0 session, 1 connection, 2 recovery */
			uint16_t cid;
		} logout;
		struct {
			uint8_t response;
			uint16_t time2wait, time2retain;
		} logout_rsp;
		struct {
			bool bidi_overflow, bidi_underflow, overflow, underflow;
			uint8_t response, status;
			uint32_t exp_datasn, residual, bidi_residual;
		} rsp;
		struct {
			uint32_t r2tsn, offset, length;
		} r2t;
		struct {
			uint8_t reason;
			uint32_t datasn;
		} reject;
		struct {
			uint8_t event, vcode;
			uint16_t parameter1, parameter2, parameter3;
		} async;
		struct {
			uint8_t type;
			uint32_t begrun, runlength;
		} snack;
	};
};

/* pdu_decode - a BHS into *p. 0, or the CTR_REFUSED_... rule that the header breaks by itself
 * (unknown opcode, AHS or data where the opcode has none, reserved or contradictory flags, the
 * reserved ITT); *p then holds at least opcode, itt and the lengths, so that a Reject can be built and the
 * payload drained, and all fields of an opcode that is known: a rejected command still takes its CmdSN
 * (11.17). F is true where it has no meaning of its own; T and C of a login are login.c's to judge. */
enum { PDU_OK = 0 };
int pdu_decode(struct pdu *p, const uint8_t bhs[BHS_LEN]);

/* pdu_encode - the BHS of *p, DataSegmentLength included; reserved bytes are zero. */
void pdu_encode(const struct pdu *p, uint8_t bhs[BHS_LEN]);

/* Lengths straight from the bytes, for the framer: they hold for every opcode (11.2.1). */
static inline uint32_t bhs_ahs_len(const uint8_t *bhs) { return (uint32_t)bhs[4] * 4; }
static inline uint32_t bhs_data_len(const uint8_t *bhs) { return (uint32_t)bhs[5] << 16 | (uint32_t)bhs[6] << 8 | bhs[7]; }
static inline uint32_t pad_len(uint32_t data_len) { return -data_len & 3; }
