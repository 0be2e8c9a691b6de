/* login.c - any sequence of Login Requests: it ends, every answer can be sent, and what was agreed lies within
 * what the keys allow.
 *
 * Input: a byte of choices, then requests: header byte 1 (T, C, CSG, NSG), two bytes of length, the text. */
#include "door.h"
#include "login.h"

enum { WRONG_TSIH = 1, REFUSE = 2, DIGESTS = 4 };

static const uint8_t dice[LOGIN_RANDOM_LEN] = {1, 2, 3};

static void check_answer(const struct login *l)
{
	uint8_t bhs[BHS_LEN];

	check(l->rsp.opcode == OP_LOGIN_RESPONSE);
	check(l->rsp_text_len <= LOGIN_TEXT_MAX && l->rsp.data_len == l->rsp_text_len);
	check(!l->rsp_text_len || l->rsp_text);
	check(!(l->rsp.login.c && l->rsp.final)); /* RFC 7143 11.13.2 */
	if (l->rsp_text_len)
		check(memchr(l->rsp_text, '=', l->rsp_text_len) || l->rsp.login.c);
	pdu_encode(&l->rsp, bhs);
}

static void check_params(const struct params *p)
{
	check(p->max_send_data >= 512 && p->max_send_data <= DATA_SEGMENT_MAX);
	check(p->max_recv_data >= 512 && p->max_recv_data <= DATA_SEGMENT_MAX);
	check(p->first_burst <= p->max_burst && p->first_burst >= 512);
	check(p->max_burst <= DATA_SEGMENT_MAX);
	check(p->max_outstanding_r2t >= 1 && p->max_outstanding_r2t <= 65535);
	check(p->max_connections == 1 && p->error_recovery_level == 0);
}

static enum login_step identified(struct login *l, uint8_t choices)
{
	check(strlen(l->initiator) && strlen(l->initiator) <= ISCSI_NAME_MAX);
	check(strlen(l->target) <= ISCSI_NAME_MAX);
	if (choices & REFUSE)
		return login_refuse(l, LOGIN_NOT_FOUND, "no such target");
	return login_accept(l, 1, "fuzz");
}

static struct pdu next_request(struct feed *f, uint8_t choices, const uint8_t **textp)
{
	uint8_t flags = feed_u8(f);
	struct pdu p = {.opcode = OP_LOGIN_REQUEST,
		.immediate = true,
		.itt = 7,
		.ttt = ITT_NONE,
		.cmdsn = 1};
	size_t len;

	p.final = flags >> 7;
	p.login.c = flags >> 6 & 1;
	p.login.csg = flags >> 2 & 3;
	p.login.nsg = flags & 3;
	p.login.isid[0] = 0x80;
	p.login.tsih = choices & WRONG_TSIH;
	*textp = feed_rest(f, &len);
	p.data_len = (uint32_t)len;
	return p;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct feed f = {data, len};
	uint8_t choices = feed_u8(&f);
	struct param_offer offer;
	struct login l;
	enum login_step step = LOGIN_WAIT;
	unsigned n = 0;

	param_offer_default(&offer);
	offer.v.header_digest = offer.v.data_digest = choices & DIGESTS;
	check(login_init(&l, &offer, 1, dice) == 0);
	while (step == LOGIN_WAIT && f.left) {
		const uint8_t *text;
		struct pdu req = next_request(&f, choices, &text);

		step = login_rx(&l, &req, text, req.data_len);
		check(++n <= LOGIN_PDUS_MAX + 1); /* an endless negotiation is refused */
		if (step == LOGIN_IDENTIFIED)
			step = identified(&l, choices);
		check(step != LOGIN_IDENTIFIED); /* asked once */
		check_answer(&l);
	}
	if (step == LOGIN_DONE)
		check_params(&l.params);
	if (step == LOGIN_FAILED)
		check(l.status != LOGIN_SUCCESS && l.why[0]);
	login_deinit(&l);
	login_deinit(&l);
	return 0;
}
