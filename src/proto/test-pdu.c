/* test-pdu.c - every PDU against bytes written out by hand, the rules, and a storm of random
 * headers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "check.h"
#include "pdu.h"
#include "tag.h"

/* --- what pdu.tbl says, as data --- */

/* clang-format off */
struct field { uint8_t op, at, len, mask; bool one; };
static const struct field fields[] = {
#define PDU(e) { OP_##e, 0, 0, 0, false },
#define END
#define ONE(a, m)             { 0xff, a, 1, m, true },
#define BIT(a, m, f)          { 0xff, a, 1, m, false },
#define BITS(a, m, f, max)    { 0xff, a, 1, m, false },
#define U8(a, f)              { 0xff, a, 1, 0xff, false },
#define U16(a, f)             { 0xff, a, 2, 0xff, false },
#define U32(a, f)             { 0xff, a, 4, 0xff, false },
#define U64(a, f)             { 0xff, a, 8, 0xff, false },
#define BYTES(a, l, f)        { 0xff, a, l, 0xff, false },
#include "pdu.tbl"
};

static const uint8_t opcodes[] = {
#define PDU_IN(e, ...)  OP_##e,
#define PDU_OUT(e, ...) OP_##e,
#include "opcode.tbl"
};
/* clang-format on */

/* map_of - the bits of a PDU's header that mean something; ones: those always 1. Fails on an
 * overlap. */
static void map_of(uint8_t op, uint8_t map[BHS_LEN], uint8_t ones[BHS_LEN])
{
	const struct opcode_row *row = opcode_find(op);
	bool mine = false, seen = false;

	memset(map, 0, BHS_LEN);
	memset(ones, 0, BHS_LEN);
	map[0] = row->immediate ? 0x7f : 0x3f;
	memset(map + 4, 0xff, 4);
	memset(map + 16, 0xff, 4);
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		const struct field *f = &fields[i];

		if (f->op != 0xff) {
			mine = f->op == op;
			seen |= mine;
			continue;
		}
		for (int j = 0; mine && j < f->len; j++) {
			assert_int_equal(map[f->at + j] & f->mask, 0);
			map[f->at + j] |= f->mask;
			ones[f->at + j] |= f->one ? f->mask : 0;
		}
	}
	assert_true(seen);
}

static void fields_do_not_overlap(void **state)
{
	uint8_t map[BHS_LEN], ones[BHS_LEN];

	for (size_t i = 0; i < ARRAY_LEN(opcodes); i++)
		map_of(opcodes[i], map, ones);
}

static void table_is_found_by_opcode(void **state)
{
	unsigned found = 0;

	for (unsigned op = 0; op < 256; op++) {
		const struct opcode_row *row = opcode_find((uint8_t)op);

		found += row != NULL;
		if (row) {
			assert_int_equal(row->op, op);
			assert_int_equal(row->from_initiator, op < 0x20);
		}
	}
	assert_int_equal(found, ARRAY_LEN(opcodes));
	assert_int_equal(found, 18);
	assert_true(opcode_find(OP_LOGIN_REQUEST)->legal[PHASE_LOGIN]);
	assert_false(opcode_find(OP_LOGIN_REQUEST)->legal[PHASE_FULL]);
	assert_false(opcode_find(OP_SCSI_COMMAND)->legal[PHASE_DISCOVERY]);
	assert_true(opcode_find(OP_SCSI_COMMAND)->legal[PHASE_FULL]);
	assert_string_equal(opcode_find(OP_DATA_OUT)->name, "data_out");
}

/* --- bytes by hand --- */

struct sample {
	const char *hex; /* spaces are for the eye */
	struct pdu p;
};

#define LUN     0x0001000000000000ull
#define TO      .cmdsn = 0x11121314, .expstatsn = 0x21222324
#define BACK    .statsn = 0x31323334, .expcmdsn = 0x41424344, .maxcmdsn = 0x51525354
#define SN_TO   "11121314 21222324"
#define SN_BACK "31323334 41424344 51525354"

/* clang-format off */
static const struct sample samples[] = {
	{ "40800000 00000007 0001000000000000 a1a2a3a4 b1b2b3b4" SN_TO "00000000 00000000 00000000 00000000",
	  { .opcode = OP_NOP_OUT, .immediate = true, .data_len = 7, .lun = LUN, .itt = 0xa1a2a3a4, .ttt = 0xb1b2b3b4, TO } },
	{ "01a10000 00001000 0001000000000000 a1a2a3a4 00002000" SN_TO "2a000000 00010000 10000000 00000000",
	  { .opcode = OP_SCSI_COMMAND, .final = true, .data_len = 0x1000, .lun = LUN, .itt = 0xa1a2a3a4, TO,
	    .cmd = { .write = true, .attr = 1, .edtl = 0x2000, .cdb = { 0x2a, 0, 0, 0, 0, 1, 0, 0, 0x10 } } } },
	{ "01c40000 02000000 0001000000000000 a1a2a3a4 00002000" SN_TO "28000000 00010000 10000000 000000ff",
	  { .opcode = OP_SCSI_COMMAND, .final = true, .ahs_len_words = 2, .lun = LUN, .itt = 0xa1a2a3a4, TO,
	    .cmd = { .read = true, .attr = 4, .edtl = 0x2000,
	             .cdb = { 0x28, 0, 0, 0, 0, 1, 0, 0, 0x10, [15] = 0xff } } } },
	{ "42810000 00000000 0001000000000000 a1a2a3a4 c1c2c3c4" SN_TO "d1d2d3d4 e1e2e3e4 00000000 00000000",
	  { .opcode = OP_TASK_MGMT, .immediate = true, .lun = LUN, .itt = 0xa1a2a3a4, TO,
	    .tmf = { TMF_ABORT_TASK, .ref_itt = 0xc1c2c3c4, .ref_cmdsn = 0xd1d2d3d4, .exp_datasn = 0xe1e2e3e4 } } },
	{ "43870201 00000123 010203040506 0708 a1a2a3a4 090a0000" SN_TO "00000000 00000000 00000000 00000000",
	  { .opcode = OP_LOGIN_REQUEST, .immediate = true, .final = true, .data_len = 0x123, .itt = 0xa1a2a3a4, TO,
	    .login = { .csg = 1, .nsg = 3, .version_max = 2, .version_min = 1, .isid = { 1, 2, 3, 4, 5, 6 },
	               .tsih = 0x0708, .cid = 0x090a } } },
	{ "43400000 00002000 010203040506 0000 a1a2a3a4 00010000" SN_TO "00000000 00000000 00000000 00000000",
	  { .opcode = OP_LOGIN_REQUEST, .immediate = true, .data_len = 0x2000, .itt = 0xa1a2a3a4, TO,
	    .login = { .c = true, .isid = { 1, 2, 3, 4, 5, 6 }, .cid = 1 } } },
	{ "04800000 00000010 0001000000000000 a1a2a3a4 ffffffff" SN_TO "00000000 00000000 00000000 00000000",
	  { .opcode = OP_TEXT_REQUEST, .final = true, .data_len = 16, .lun = LUN, .itt = 0xa1a2a3a4, .ttt = TAG_NONE, TO } },
	{ "04400000 00000010 0001000000000000 a1a2a3a4 ffffffff" SN_TO "00000000 00000000 00000000 00000000",
	  { .opcode = OP_TEXT_REQUEST, .data_len = 16, .lun = LUN, .itt = 0xa1a2a3a4, .ttt = TAG_NONE, .text = { .c = true }, TO } },
	{ "05800000 00002000 0001000000000000 a1a2a3a4 00100123 00000000 21222324 00000000 00000002 00004000 00000000",
	  { .opcode = OP_DATA_OUT, .final = true, .data_len = 0x2000, .lun = LUN, .itt = 0xa1a2a3a4, .ttt = 0x00100123,
	    .expstatsn = 0x21222324, .data = { .datasn = 2, .offset = 0x4000 } } },
	{ "06810000 00000000 0000000000000000 a1a2a3a4 0a0b0000" SN_TO "00000000 00000000 00000000 00000000",
	  { .opcode = OP_LOGOUT_REQUEST, .itt = 0xa1a2a3a4, TO, .ttt = TAG_NONE, .logout = { .reason = 1, .cid = 0x0a0b } } },
	{ "10830000 00000000 0001000000000000 a1a2a3a4 b1b2b3b4 00000000 21222324 00000000 00000000 00000005 00000006",
	  { .opcode = OP_SNACK_REQUEST, .lun = LUN, .itt = 0xa1a2a3a4, .ttt = 0xb1b2b3b4, .expstatsn = 0x21222324,
	    .snack = { .type = 3, .begrun = 5, .runlength = 6 } } },
	{ "20800000 00000000 0001000000000000 ffffffff b1b2b3b4" SN_BACK "00000000 00000000 00000000",
	  { .opcode = OP_NOP_IN, .lun = LUN, .itt = ITT_NONE, .ttt = 0xb1b2b3b4, BACK } },
	{ "21940002 00000014 0000000000000000 a1a2a3a4 00000000" SN_BACK "00000007 00000008 00000009",
	  { .opcode = OP_SCSI_RESPONSE, .data_len = 20, .itt = 0xa1a2a3a4, BACK,
	    .rsp = { .bidi_overflow = true, .overflow = true, .status = 2, .exp_datasn = 7, .bidi_residual = 8, .residual = 9 } } },
	{ "218a0100 00000000 0000000000000000 a1a2a3a4 00000000" SN_BACK "00000000 00000000 00000009",
	  { .opcode = OP_SCSI_RESPONSE, .itt = 0xa1a2a3a4, BACK,
	    .rsp = { .bidi_underflow = true, .underflow = true, .response = 1, .residual = 9 } } },
	{ "2280ff00 00000000 0000000000000000 a1a2a3a4 00000000" SN_BACK "00000000 00000000 00000000",
	  { .opcode = OP_TASK_MGMT_RSP, .itt = 0xa1a2a3a4, BACK, .tmf_rsp = { TMF_RSP_REJECTED } } },
	{ "23840201 00000009 010203040506 0708 a1a2a3a4 00000000" SN_BACK "02070000 00000000 00000000",
	  { .opcode = OP_LOGIN_RESPONSE, .final = true, .data_len = 9, .itt = 0xa1a2a3a4, BACK,
	    .login = { .csg = 1, .version_max = 2, .version_active = 1, .isid = { 1, 2, 3, 4, 5, 6 }, .tsih = 0x0708,
	               .status_class = 2, .status_detail = 7 } } },
	{ "24400000 00000009 0001000000000000 a1a2a3a4 b1b2b3b4" SN_BACK "00000000 00000000 00000000",
	  { .opcode = OP_TEXT_RESPONSE, .data_len = 9, .lun = LUN, .itt = 0xa1a2a3a4, .ttt = 0xb1b2b3b4, BACK, .text = { .c = true } } },
	{ "25830018 00001000 0001000000000000 a1a2a3a4 ffffffff" SN_BACK "00000003 00003000 00000200",
	  { .opcode = OP_DATA_IN, .final = true, .data_len = 0x1000, .lun = LUN, .itt = 0xa1a2a3a4, .ttt = TAG_NONE, BACK,
	    .data = { .datasn = 3, .offset = 0x3000, .underflow = true, .has_status = true, .status = 0x18, .residual = 0x200 } } },
	{ "25c50000 00001000 0001000000000000 a1a2a3a4 b1b2b3b4" SN_BACK "00000003 00003000 00000200",
	  { .opcode = OP_DATA_IN, .final = true, .data_len = 0x1000, .lun = LUN, .itt = 0xa1a2a3a4, .ttt = 0xb1b2b3b4, BACK,
	    .data = { .ack = true, .datasn = 3, .offset = 0x3000, .overflow = true, .has_status = true, .residual = 0x200 } } },
	{ "26800200 00000000 0000000000000000 a1a2a3a4 00000000" SN_BACK "00000000 00020014 00000000",
	  { .opcode = OP_LOGOUT_RESPONSE, .itt = 0xa1a2a3a4, BACK, .logout_rsp = { 2, .time2wait = 2, .time2retain = 20 } } },
	{ "31800000 00000000 0001000000000000 a1a2a3a4 00110123" SN_BACK "00000001 00004000 00008000",
	  { .opcode = OP_R2T, .lun = LUN, .itt = 0xa1a2a3a4, .ttt = 0x00110123, BACK,
	    .r2t = { .r2tsn = 1, .offset = 0x4000, .length = 0x8000 } } },
	{ "32800000 00000000 0001000000000000 ffffffff 00000000" SN_BACK "01020304 05060708 00000000",
	  { .opcode = OP_ASYNC, .lun = LUN, .itt = ITT_NONE, BACK, .async = { 1, 2, 0x0304, 0x0506, 0x0708 } } },
	{ "3f800900 00000030 0000000000000000 ffffffff 00000000" SN_BACK "000000aa 00000000 00000000",
	  { .opcode = OP_REJECT, .data_len = 48, .itt = ITT_NONE, BACK, .reject = { REJECT_INVALID_PDU_FIELD, 0xaa } } },
};
/* clang-format on */

static void from_hex(const char *hex, uint8_t b[BHS_LEN])
{
	unsigned n = 0;

	for (; *hex; hex++) {
		unsigned v = (unsigned)(*hex <= '9' ? *hex - '0' : *hex - 'a' + 10);

		if (*hex == ' ')
			continue;
		assert_true(n / 2 < BHS_LEN);
		b[n / 2] = (uint8_t)(n & 1 ? b[n / 2] | v : v << 4);
		n++;
	}
	assert_int_equal(n, 2 * BHS_LEN);
}

static void each_pdu_has_the_bytes_of_the_rfc(void **state)
{
	uint8_t seen[64] = {0};

	for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
		uint8_t want[BHS_LEN], got[BHS_LEN];
		struct pdu p;

		from_hex(samples[i].hex, want);
		pdu_encode(&samples[i].p, got);
		assert_memory_equal(got, want, BHS_LEN);
		assert_int_equal(pdu_decode(&p, want), PDU_OK);
		memset(got, 0x5a, sizeof(got));
		pdu_encode(&p, got);
		assert_memory_equal(got, want, BHS_LEN);
		seen[p.opcode] = 1;
	}
	for (size_t i = 0; i < ARRAY_LEN(opcodes); i++)
		assert_int_equal(seen[opcodes[i]], 1);
}

static void decoded_values_are_in_host_order(void **state)
{
	uint8_t b[BHS_LEN];
	struct pdu p;

	from_hex(samples[1].hex, b);
	assert_int_equal(pdu_decode(&p, b), PDU_OK);
	assert_true(p.cmd.write && p.final && !p.cmd.read && !p.immediate);
	assert_int_equal(p.lun, LUN);
	assert_int_equal(p.itt, 0xa1a2a3a4);
	assert_int_equal(p.ttt, TAG_NONE);
	assert_int_equal(p.cmd.edtl, 0x2000);
	assert_int_equal(p.cmdsn, 0x11121314);
	assert_int_equal(p.expstatsn, 0x21222324);
	assert_int_equal(p.data_len, 0x1000);
	assert_int_equal(bhs_data_len(b), 0x1000);
	assert_int_equal(bhs_ahs_len(b), 0);
	from_hex(samples[2].hex, b);
	assert_int_equal(bhs_ahs_len(b), 8);
	assert_int_equal(pad_len(5), 3);
	assert_int_equal(pad_len(8), 0);
}

/* --- rules --- */

#define REFUSED(why, ...)                                                                          \
	do {                                                                                       \
		struct pdu in_ = {__VA_ARGS__}, out_;                                              \
		uint8_t b_[BHS_LEN];                                                               \
		pdu_encode(&in_, b_);                                                              \
		assert_int_equal(pdu_decode(&out_, b_), why);                                      \
		assert_int_equal(out_.opcode, in_.opcode);                                         \
		assert_int_equal(out_.itt, in_.itt);                                               \
		assert_int_equal(out_.data_len, in_.data_len);                                     \
	} while (0)
#define ACCEPTED(...) REFUSED(PDU_OK, __VA_ARGS__)

static void lengths_that_an_opcode_cannot_have(void **state)
{
	REFUSED(CTR_REFUSED_LENGTH, .opcode = OP_TASK_MGMT, .data_len = 1);
	REFUSED(CTR_REFUSED_LENGTH, .opcode = OP_LOGOUT_REQUEST, .data_len = 4);
	REFUSED(CTR_REFUSED_LENGTH, .opcode = OP_SNACK_REQUEST, .data_len = DATA_SEGMENT_MAX);
	REFUSED(CTR_REFUSED_LENGTH, .opcode = OP_R2T, .data_len = 4);
	for (size_t i = 0; i < ARRAY_LEN(opcodes); i++)
		if (opcodes[i] != OP_SCSI_COMMAND)
			REFUSED(CTR_REFUSED_LENGTH, .opcode = opcodes[i], .ahs_len_words = 1);
	ACCEPTED(.opcode = OP_SCSI_COMMAND, .final = true, .ahs_len_words = 255);
	ACCEPTED(.opcode = OP_DATA_OUT, .data_len = DATA_SEGMENT_MAX);
	ACCEPTED(.opcode = OP_NOP_OUT, .data_len = 5, .itt = ITT_NONE);
}

static void flags_that_contradict_each_other(void **state)
{
	REFUSED(CTR_REFUSED_FLAGS, .opcode = OP_SCSI_COMMAND, .cmd.read = true);
	REFUSED(CTR_REFUSED_FLAGS, .opcode = OP_SCSI_COMMAND);
	ACCEPTED(.opcode = OP_SCSI_COMMAND, .cmd.write = true);
	REFUSED(CTR_REFUSED_FLAGS, .opcode = OP_SCSI_COMMAND, .final = true, .cmd.read = true,
		.data_len = 1);
	ACCEPTED(.opcode = OP_SCSI_COMMAND, .final = true, .cmd.write = true, .data_len = 1);
	REFUSED(CTR_REFUSED_FLAGS, .opcode = OP_SCSI_COMMAND, .final = true, .cmd.attr = 5);
	REFUSED(CTR_REFUSED_FLAGS, .opcode = OP_LOGOUT_REQUEST, .logout.reason = 3);
	REFUSED(CTR_REFUSED_FLAGS, .opcode = OP_SNACK_REQUEST, .snack.type = 4);
	REFUSED(CTR_REFUSED_FLAGS, .opcode = OP_TEXT_REQUEST, .final = true, .text.c = true);
	REFUSED(CTR_REFUSED_FLAGS, .opcode = OP_TEXT_RESPONSE, .final = true, .text.c = true);
	REFUSED(CTR_REFUSED_FLAGS, .opcode = OP_DATA_IN, .data.has_status = true);
	REFUSED(CTR_REFUSED_FLAGS, .opcode = OP_DATA_IN, .final = true, .data.overflow = true);
	REFUSED(CTR_REFUSED_FLAGS, .opcode = OP_SCSI_RESPONSE,
		.rsp = {.overflow = true, .underflow = true});
	REFUSED(CTR_REFUSED_FLAGS, .opcode = OP_SCSI_RESPONSE,
		.rsp = {.bidi_overflow = true, .bidi_underflow = true});
	ACCEPTED(.opcode = OP_TASK_MGMT,
		.tmf.function = 0x7f); /* answered by the target, not refused */
	ACCEPTED(.opcode = OP_LOGIN_REQUEST, .final = true,
		.login.c = true); /* login.c answers it */
}

static void the_reserved_task_tag_is_no_task(void **state)
{
	REFUSED(CTR_REFUSED_ITT, .opcode = OP_SCSI_COMMAND, .final = true, .itt = ITT_NONE);
	REFUSED(CTR_REFUSED_ITT, .opcode = OP_TASK_MGMT, .itt = ITT_NONE);
	REFUSED(CTR_REFUSED_ITT, .opcode = OP_TEXT_REQUEST, .itt = ITT_NONE);
	REFUSED(CTR_REFUSED_ITT, .opcode = OP_LOGOUT_REQUEST, .itt = ITT_NONE);
	REFUSED(CTR_REFUSED_ITT, .opcode = OP_DATA_OUT, .itt = ITT_NONE);
	ACCEPTED(.opcode = OP_NOP_OUT, .immediate = true, .itt = ITT_NONE);
}

static void unknown_opcodes(void **state)
{
	uint8_t b[BHS_LEN] = {0};
	struct pdu p;

	for (unsigned op = 0; op < 64; op++) {
		b[0] = (uint8_t)(0xc0 | op); /* the bit above I is reserved */
		b[1] = 0x80;
		b[6] = 3;
		b[19] = 9;
		if (opcode_find((uint8_t)op))
			continue;
		assert_int_equal(pdu_decode(&p, b), CTR_REFUSED_OPCODE);
		assert_int_equal(p.opcode, op);
		assert_int_equal(p.itt, 9);
		assert_int_equal(p.data_len, 0x300);
	}
}

static void immediate_only_where_it_can_be(void **state)
{
	uint8_t b[BHS_LEN] = {0x40 | OP_DATA_OUT};
	struct pdu p;

	assert_int_equal(pdu_decode(&p, b), PDU_OK);
	assert_false(p.immediate);
}

/* --- random headers --- */

static uint64_t seed = 0x9e3779b97f4a7c15ull;

static uint8_t random_byte(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint8_t)(seed >> 32);
}

/* Whatever comes: an accepted header, written again, is the same but for its reserved bits. */
static void random_headers_survive_a_round_trip(void **state)
{
	unsigned n_ok = 0;

	for (unsigned round = 0; round < 200000; round++) {
		uint8_t b[BHS_LEN], again[BHS_LEN], map[BHS_LEN], ones[BHS_LEN];
		struct pdu p;
		int r;

		for (int i = 0; i < BHS_LEN; i++)
			b[i] = random_byte();
		b[0] = (uint8_t)(b[0] & 0xc0) | opcodes[random_byte() % ARRAY_LEN(opcodes)];
		if (round & 1)
			b[4] = 0;
		if (round & 2)
			b[5] = b[6] = b[7] = 0;
		r = pdu_decode(&p, b);
		assert_true(r == PDU_OK || r == CTR_REFUSED_LENGTH || r == CTR_REFUSED_FLAGS ||
			    r == CTR_REFUSED_ITT);
		if (r != PDU_OK)
			continue;
		n_ok++;
		map_of(p.opcode, map, ones);
		pdu_encode(&p, again);
		for (int i = 0; i < BHS_LEN; i++)
			assert_int_equal(again[i], (b[i] & map[i]) | ones[i]);
	}
	assert_true(n_ok > 50000);
}

static void single_bits_of_a_good_header(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
		uint8_t b[BHS_LEN], again[BHS_LEN], map[BHS_LEN], ones[BHS_LEN];
		struct pdu p;

		from_hex(samples[i].hex, b);
		map_of(samples[i].p.opcode, map, ones);
		for (unsigned bit = 6; bit < BHS_LEN * 8; bit++) { /* the same opcode */
			uint8_t mask = (uint8_t)(1 << bit % 8);
			bool means = (map[bit / 8] & ~ones[bit / 8]) & mask;

			b[bit / 8] ^= mask;
			if (pdu_decode(&p, b) == PDU_OK) {
				pdu_encode(&p, again);
				b[bit / 8] ^= means ? 0 : mask;
				assert_memory_equal(again, b, BHS_LEN);
				b[bit / 8] ^= means ? mask : 0;
			} else {
				assert_true(means);
				b[bit / 8] ^= mask;
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_do_not_overlap),
		cmocka_unit_test(table_is_found_by_opcode),
		cmocka_unit_test(each_pdu_has_the_bytes_of_the_rfc),
		cmocka_unit_test(decoded_values_are_in_host_order),
		cmocka_unit_test(lengths_that_an_opcode_cannot_have),
		cmocka_unit_test(flags_that_contradict_each_other),
		cmocka_unit_test(the_reserved_task_tag_is_no_task),
		cmocka_unit_test(unknown_opcodes),
		cmocka_unit_test(immediate_only_where_it_can_be),
		cmocka_unit_test(random_headers_survive_a_round_trip),
		cmocka_unit_test(single_bits_of_a_good_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
