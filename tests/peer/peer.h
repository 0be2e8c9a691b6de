/* peer.h - an initiator to talk with, well or badly.
 *
 * It has an encoder of its own (bhs.tbl) and shares no code with src/proto, so that one mistake
 * cannot stand on both sides and look right. Three layers:
 *
 *   bytes   a transport (TCP, or two callbacks into a protocol core), pieces cut as asked for
 *   PDUs    struct peer_pdu: 48 header bytes, every field settable to any lie, and a data segment
 *   verbs   peer_login(), peer_send_cmd(), peer_expect_r2t(), peer_read(), peer_write() ...
 *
 * Every wait is bounded. What a good target must always keep is checked on each PDU that comes in:
 * StatSN without a gap, ExpCmdSN and MaxCmdSN never moving back, the window never above its limit,
 * no data segment above what was declared, DataSN, R2TSN and offsets in order. A broken expectation
 * goes to peer_on_fail (the scene runner's, or the user's own) and does not return.
 *
 * Thread: one. Ownership: a PDU that was received borrows the peer's buffer until the next one is.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum peer_field {
#define FIELD(name, at, bytes) PF_##name,
#include "bhs.tbl"
#undef FIELD
};

enum {
	PEER_BHS = 48,
	PEER_NAME_LEN = 224,
	PEER_TEXT_LEN = 8192,
	PEER_WINDOW = 128, /* the most commands a target may let us have under way */
};
#define PEER_NONE 0xffffffffu /* the reserved tag, ITT and TTT */

enum peer_opcode {
	PEER_NOP_OUT = 0x00,
	PEER_COMMAND = 0x01,
	PEER_TASK_MGMT = 0x02,
	PEER_LOGIN = 0x03,
	PEER_TEXT = 0x04,
	PEER_DATA_OUT = 0x05,
	PEER_LOGOUT = 0x06,
	PEER_SNACK = 0x10,
	PEER_NOP_IN = 0x20,
	PEER_RESPONSE = 0x21,
	PEER_TASK_MGMT_RSP = 0x22,
	PEER_LOGIN_RSP = 0x23,
	PEER_TEXT_RSP = 0x24,
	PEER_DATA_IN = 0x25,
	PEER_LOGOUT_RSP = 0x26,
	PEER_R2T = 0x31,
	PEER_ASYNC = 0x32,
	PEER_REJECT = 0x3f,
	PEER_IMMEDIATE = 0x40, /* the I bit of the opcode byte */
	PEER_F = 0x80,	       /* of the flags byte */
	PEER_C = 0x40,	       /* of texts */
};

/* --- bytes --- */
/* timeout_ms 0 asks without waiting. ctx is the peer's; close ends it. */
struct peer_transport {
	/* how many were taken (> 0), -ETIMEDOUT, or -errno: the stream is broken */
	long (*send)(void *ctx, const void *buf, size_t len, int timeout_ms);
	/* how many came (> 0), 0 the end of the stream, -ETIMEDOUT, or -errno */
	long (*recv)(void *ctx, void *buf, size_t room, int timeout_ms);
	/* abrupt: a reset rather than an orderly end, where the transport knows the difference */
	void (*close)(void *ctx, bool abrupt);
};

/* How what we send is cut into pieces. */
struct peer_cut {
	uint32_t every; /* pieces of this many bytes; 0: no such cut */
	const uint64_t
		*at; /* or: cut at these offsets, counted from peer_set_cut() on, ascending */
	unsigned n_at;
	uint32_t random; /* or: pieces of 1 .. random bytes */
	uint64_t seed;
	unsigned delay_us; /* between pieces */
};

/* What is asked for at login; holds the results afterwards. */
struct peer_params {
	bool initial_r2t, immediate_data;
	uint32_t max_r2t, max_burst, first_burst;
	uint32_t max_recv_data; /* ours, declared */
	uint32_t max_send_data; /* the target's, out of its answer */
	bool header_digest, data_digest; /* CRC32C; otherwise None */
};
struct peer_params peer_params_default(void); /* InitialR2T=Yes, ImmediateData=No, 64 KiB bursts */

struct peer_task;

struct peer {
	const struct peer_transport *transport;
	void *ctx;
	struct peer *next; /* of all open ones */

	/* identity */
	char initiator[PEER_NAME_LEN], target[PEER_NAME_LEN];
	bool discovery;
	uint64_t isid; /* 48 bits */
	uint16_t tsih, cid;
	uint64_t lun; /* as on the wire */

	/* numbers */
	uint32_t cmdsn, expstatsn, next_itt;
	uint32_t expcmdsn, maxcmdsn; /* the target's, latest */
	bool numbered;		     /* the target's numbers are known */
	bool full;		     /* full feature phase */
	struct peer_params params;

	/* habits */
	int timeout_ms;
	bool answer_pings; /* answer the target's NOP-In by ourselves (default) */
	uint32_t segment;  /* longest Data-Out that we send; 0: as long as the target takes */
	uint64_t odd_seed; /* nonzero: Data-Outs of random length instead */
	unsigned n_pings;  /* NOP-Ins of the target seen */
	bool spoil_header, spoil_data; /* the digest of the next PDU that is sent is wrong */

	/* streams */
	struct peer_cut cut;
	uint64_t cut_sent;
	uint8_t *out, *in;
	size_t out_len, out_room, in_off, in_len, in_room;
	bool held, ended, broken;

	struct peer_task *tasks;  /* started with peer_start() and not finished */
	char text[PEER_TEXT_LEN]; /* what the target said in the last login or text */
	uint32_t text_len;
};

extern bool peer_strict; /* false: let pass the habits of other makers' targets (BERTH_URL) */

/* A peer over any transport; takes ctx. Peers that are still open end with their case. */
struct peer *peer_new(const struct peer_transport *t, void *ctx);
struct peer *peer_connect(const char *host, uint16_t port);	/* TCP; fails when refused */
void peer_close(struct peer *p);
void peer_reset(struct peer *p); /* ends with RST */
void peer_close_all(void);
void peer_set_cut(struct peer *p, const struct peer_cut *cut); /* NULL: whole */
void peer_set_recv_buffer(struct peer *p, int bytes); /* TCP: how much the kernel may hold for us */

/* peer_hold - gather what is sent from now on; peer_flush sends it in one go and ends the
 * gathering. */
void peer_hold(struct peer *p);
void peer_flush(struct peer *p);
void peer_send_bytes(struct peer *p, const void *buf, size_t len);

/* --- PDUs --- */
struct peer_pdu {
	uint8_t bhs[PEER_BHS];
	const uint8_t *ahs,
		*data; /* sent as they are, whatever the header claims; data is padded */
	uint32_t ahs_len, data_len;
};

void peer_put(uint8_t *bhs, enum peer_field f, uint64_t v);
uint64_t peer_get(const uint8_t *bhs, enum peer_field f);
#define pdu_set(pdu, field, v) peer_put((pdu)->bhs, PF_##field, (v))
#define pdu_get(pdu, field)    peer_get((pdu)->bhs, PF_##field)

/* peer_pdu - a header with opcode, flags, ITT, the session's numbers (no CmdSN is used up) and a
 * data segment. */
void peer_pdu(struct peer *p, struct peer_pdu *pdu, uint8_t opcode, uint8_t flags, uint32_t itt,
	const void *data, uint32_t data_len);
void peer_send(struct peer *p, const struct peer_pdu *pdu);
uint32_t peer_itt(struct peer *p); /* a fresh one */
/* peer_digest - of one buffer after another; 0 before the first. On the wire its lowest byte comes first. */
uint32_t peer_digest(uint32_t digest, const void *buf, size_t len);

enum peer_got { PEER_GOT, PEER_TIMEOUT, PEER_ENDED };
enum peer_got peer_poll(struct peer *p, struct peer_pdu *pdu, int timeout_ms);
void peer_recv(struct peer *p, struct peer_pdu *pdu);			/* must come in time */
void peer_expect(struct peer *p, struct peer_pdu *pdu, uint8_t opcode); /* and must be this */
void peer_expect_close(struct peer *p); /* the stream ends, and nothing comes before */
void peer_expect_nothing(struct peer *p, int ms);
const char *peer_describe(const struct peer_pdu *pdu); /* one line, static buffer */

/* --- login and text (peer-login.c) --- */
/* peer_text - "A=B\nC=D" as the wire wants it, each pair ended by NUL; returns the length. */
uint32_t peer_text(char *buf, size_t room, const char *keys);
const char *peer_said(const struct peer *p, const char *key); /* the target's value, or NULL */
/* One Login Request with csg, nsg; flags of PEER_F (T) and PEER_C. */
void peer_login_pdu(struct peer *p, struct peer_pdu *pdu, uint8_t flags, unsigned csg, unsigned nsg,
	const void *text, uint32_t len);
void peer_send_login(struct peer *p, uint8_t flags, unsigned csg, unsigned nsg, const char *keys);
/* peer_expect_login - its answer: Status-Class << 8 | Status-Detail; the text is gathered in
 * p->text. */
unsigned peer_expect_login(struct peer *p, struct peer_pdu *pdu);
/* peer_login - the whole of it from stage csg (0 or 1) with p's identity; extra keys may be NULL.
 */
unsigned peer_try_login(
	struct peer *p, unsigned csg, const struct peer_params *want, const char *extra);
void peer_login(struct peer *p, const struct peer_params *want); /* must succeed */
/* peer_ask - a Text Request, answered to the end; p->text holds the answer. */
void peer_ask(struct peer *p, const char *keys);
void peer_logout(struct peer *p); /* closes the session, expects the end, frees the peer */
unsigned peer_try_logout(struct peer *p, unsigned reason, uint16_t cid); /* the response code */

/* --- commands (peer-io.c) --- */
struct peer_cmd {
	uint8_t cdb[16];
	bool read, write, immediate;
	bool more;	    /* F bit clear: unsolicited Data-Outs follow */
	uint8_t attr;	    /* 0: SIMPLE */
	uint32_t edtl, itt; /* itt 0: a fresh one */
	const void *data;   /* immediate data */
	uint32_t data_len;
};
void cdb_rw(uint8_t cdb[16], bool write, uint64_t lba, uint32_t n_blocks); /* the 16-byte forms */
/* peer_cmd_pdu uses up a CmdSN (unless immediate) and returns the ITT. */
uint32_t peer_cmd_pdu(struct peer *p, struct peer_pdu *pdu, const struct peer_cmd *c);
uint32_t peer_send_cmd(struct peer *p, const struct peer_cmd *c);
/* A WRITE(16) with nothing but the command: its data must be asked for. Blocks of 512 bytes. */
uint32_t peer_send_write(struct peer *p, uint64_t lba, uint32_t n_blocks);
uint32_t peer_send_read(struct peer *p, uint64_t lba, uint32_t n_blocks);

struct peer_r2t {
	uint32_t itt, ttt, r2tsn, offset, length;
	uint64_t lun;
};
void peer_expect_r2t(struct peer *p, uint32_t itt, struct peer_r2t *r);
void peer_data_out_pdu(struct peer *p, struct peer_pdu *pdu, const struct peer_r2t *r,
	uint32_t datasn, uint32_t offset, const void *data, uint32_t len, bool final);
void peer_send_data_out(struct peer *p, const struct peer_r2t *r, uint32_t datasn, uint32_t offset,
	const void *data, uint32_t len, bool final);
/* peer_answer - all Data-Outs of [from, to) of the command's data (base is its byte 0), in one go;
 * F on the last when `to` is the window's end. Returns the next DataSN. */
uint32_t peer_answer_part(struct peer *p, const struct peer_r2t *r, uint32_t datasn,
	const uint8_t *base, uint32_t from, uint32_t to);
void peer_answer(struct peer *p, const struct peer_r2t *r, const uint8_t *base);

struct peer_status {
	uint8_t response, status, key, asc, ascq;
	bool deferred; /* what failed was acknowledged before (SPC-4 4.5.7) */
	bool overflow, underflow, in_data; /* in_data: it rode in the last Data-In */
	uint32_t residual;
	bool has_info; /* INFORMATION of the fixed format */
	uint32_t info;
	uint8_t sense[64]; /* as it came, behind its length */
	uint32_t sense_len;
};
void peer_status_of(const struct peer_pdu *pdu, struct peer_status *st);
void peer_expect_status(struct peer *p, uint32_t itt, struct peer_status *st); /* a SCSI Response */
void peer_expect_good(struct peer *p, uint32_t itt);
void peer_expect_sense(struct peer *p, uint32_t itt, uint8_t key, uint8_t asc, uint8_t ascq);
/* peer_expect_reject - the Reject must carry the header it is about. reason 0: any. Returns it. */
uint8_t peer_expect_reject(struct peer *p, uint8_t reason, const struct peer_pdu *about);
void peer_ping(struct peer *p, uint32_t len); /* NOP-Out; its echo must be the very next PDU */
uint32_t peer_send_tmf(struct peer *p, uint8_t function, uint32_t ref_itt, uint32_t ref_cmdsn);
uint8_t peer_expect_tmf(struct peer *p, uint32_t itt);

/* A command that the peer serves by itself while others run: R2Ts are answered, Data-Ins gathered.
 */
struct peer_task {
	struct peer_cmd cmd;
	uint8_t *buf; /* [0, cmd.edtl); borrowed */
	uint32_t itt;
	/* its state */
	struct peer_task *next;
	uint32_t asked, datasn, r2tsn, got, burst;
	bool done;
	struct peer_status st;
};
/* peer_start - sends as much unasked data as was negotiated. */
void peer_start(struct peer *p, struct peer_task *t);
void peer_step(struct peer *p, int timeout_ms); /* one PDU for any running task; none: nothing */
void peer_wait(struct peer *p, struct peer_task *t);
void peer_wait_all(struct peer *p);
/* peer_task_rw - as 16-byte READ or WRITE of n_blocks of 512. */
void peer_task_rw(struct peer_task *t, bool write, uint64_t lba, uint32_t n_blocks, void *buf);

struct peer_status peer_rw(struct peer *p, bool write, uint64_t lba, uint32_t n_blocks, void *buf);
void peer_write(
	struct peer *p, uint64_t lba, uint32_t n_blocks, const void *buf); /* must be GOOD */
void peer_read(struct peer *p, uint64_t lba, uint32_t n_blocks, void *buf);
/* peer_settle - TEST UNIT READY until unit attentions are told. */
void peer_settle(struct peer *p);

/* --- failing --- */
extern void (*peer_on_fail)(const char *text); /* must not return */
_Noreturn void peer_fail(const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
#define FAIL(...)	  peer_fail(__FILE__, __LINE__, __VA_ARGS__)
#define EXPECT(cond, ...) ((cond) ? (void)0 : FAIL(__VA_ARGS__))
/* Both sides as unsigned long, in the message by name. */
#define EXPECT_EQ(a, b)                                                                            \
	do {                                                                                       \
		unsigned long a_ = (a), b_ = (b);                                                  \
		EXPECT(a_ == b_, "%s is 0x%lx, expected 0x%lx (%s)", #a, a_, b_, #b);              \
	} while (0)
