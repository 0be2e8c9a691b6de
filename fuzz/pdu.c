/* pdu.c - any 48 bytes: decoded inside known limits, and what is decoded can be encoded to mean the same. */
#include "door.h"
#include "pdu.h"

static void check_limits(const struct pdu *p, const uint8_t *bhs)
{
	check(p->data_len <= DATA_SEGMENT_MAX && p->data_len == bhs_data_len(bhs));
	check(p->opcode <= 0x3f && p->ahs_len_words * 4u == bhs_ahs_len(bhs));
	check(!p->immediate || opcode_find(p->opcode)->immediate);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct feed f = {data, len};
	uint8_t bhs[BHS_LEN], again[BHS_LEN];
	struct pdu p, q;
	int why;

	feed_bytes(&f, bhs, sizeof(bhs));
	memset(&p, 0, sizeof(p));
	why = pdu_decode(&p, bhs);
	if (why != PDU_OK) { /* a Reject and a drain can be made of it */
		check(why >= CTR_REFUSED_TAG_FOREIGN && why < N_COUNTERS);
		check(p.data_len == bhs_data_len(bhs));
		return 0;
	}
	check(opcode_find(p.opcode));
	check_limits(&p, bhs);
	pdu_encode(&p, again);
	memset(&q, 0, sizeof(q));
	check(pdu_decode(&q, again) == PDU_OK);
	check(q.opcode == p.opcode && q.itt == p.itt && q.lun == p.lun && q.data_len == p.data_len);
	check(q.final == p.final && q.immediate == p.immediate && q.ttt == p.ttt);
	check(q.cmdsn == p.cmdsn && q.expstatsn == p.expstatsn && q.statsn == p.statsn);
	pdu_encode(&q, bhs);
	check(!memcmp(bhs, again, sizeof(bhs)));
	return 0;
}
