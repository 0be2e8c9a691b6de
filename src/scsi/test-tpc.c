/* test-tpc.c - third-party copies: EXTENDED COPY, what is known of it afterwards, tokens, and the page that tells of
 * them (SPC-4 6.3 to 6.5, 6.17 to 6.24, 7.8.17; SBC-3 5.7, 5.46). */
#include "copy_list.h"
#include "copy_job.h"
#include "expect.h"
#include "token.h"

enum { NO_ID = 3 << 3, NO_HOLD = 2 << 3 };

static uint8_t list[8192];

/* --- lists --- */
static uint32_t list_1(uint8_t id, uint8_t usage)
{
	memset(list, 0, sizeof(list));
	list[0] = id;
	list[1] = usage;
	return 16;
}

static uint32_t list_4(uint32_t id, uint8_t flags)
{
	memset(list, 0, sizeof(list));
	list[0] = 1;
	list[3] = 32;
	list[15] = flags;
	list[16] = 0xff;
	put_be32(list + 20, id);
	return 48;
}

static uint32_t add_cscd(uint32_t at, unsigned lun)
{
	uint8_t names[64];

	inquiry_names(rig.map.lu[lun], names);
	list[at] = 0xe4;
	memcpy(list + at + 4, names, 4 + names[3]);
	put_be24(list + at + 29, rig.map.lu[lun]->block);
	if (list[16] == 0xff)
		put_be16(list + 42, get_be16(list + 42) + 32);
	else
		put_be16(list + 2, get_be16(list + 2) + 32);
	return at + 32;
}

static uint32_t add_segment(
	uint32_t at, uint16_t from, uint16_t to, uint64_t from_lba, uint64_t lba, uint16_t n)
{
	list[at] = 0x02;
	put_be16(list + at + 2, 24);
	put_be16(list + at + 4, from);
	put_be16(list + at + 6, to);
	put_be16(list + at + 10, n);
	put_be64(list + at + 12, from_lba);
	put_be64(list + at + 20, lba);
	if (list[16] == 0xff)
		put_be16(list + 44, get_be16(list + 44) + 28);
	else
		put_be32(list + 8, get_be32(list + 8) + 28);
	return at + 28;
}

/* One segment between two units, list identifier 7. */
static uint32_t simple(unsigned from, unsigned to, uint64_t from_lba, uint64_t lba, uint16_t n)
{
	uint32_t at = list_1(7, 0);

	at = add_cscd(at, from);
	at = add_cscd(at, to);
	return add_segment(at, 0, 1, from_lba, lba, n);
}

#define COPY(sa, len)     CDB(0x83, sa, [12] = (uint8_t)((len) >> 8), [13] = (uint8_t)(len))
#define RECEIVE(sa, id)   CDB(0x84, sa, (uint8_t)(id), [12] = 0xff)
#define RECEIVE_4(sa, id) CDB(0x84, sa, 0, 0, 0, id, [12] = 0xff)
#define TOKEN_CDB(sa, id, n)                                                                       \
	CDB(0x83, sa, [9] = id, [12] = (uint8_t)((n) >> 8), [13] = (uint8_t)(n))
#define RUN(lun, len) OUT(lun, COPY(0, len), list, len)

/* --- content --- */
static void write_blocks(unsigned lun, uint32_t lba, uint16_t n, const void *from)
{
	GOOD(OUT(lun,
		CDB(0x2a, 0, 0, 0, (uint8_t)(lba >> 8), (uint8_t)lba, 0, (uint8_t)(n >> 8),
			(uint8_t)n),
		from, n * rig.map.lu[lun]->block));
}

static const uint8_t *read_blocks(unsigned lun, uint32_t lba, uint16_t n)
{
	GOOD(IN(lun,
		CDB(0x28, 0, 0, 0, (uint8_t)(lba >> 8), (uint8_t)lba, 0, (uint8_t)(n >> 8),
			(uint8_t)n),
		n * rig.map.lu[lun]->block));
	return rig.in;
}

#define HOLDS(lun, lba, n, what)                                                                   \
	assert_memory_equal(read_blocks(lun, lba, n), what, (n)*rig.map.lu[lun]->block)

/* COPY ABORTED with this code, of segment `n` and at this byte of it */
#define ABORTED(command, asc, ascq, n, byte)                                                       \
	do {                                                                                       \
		BAD(command, 0x0a, asc, ascq);                                                     \
		assert_int_equal(get_be32(rig.last.sense + 8), n);                                 \
		assert_int_equal(rig.last.sense[15], 0xa0);                                        \
		assert_int_equal(get_be16(rig.last.sense + 16), byte);                             \
	} while (0)

/* --- what a copy does --- */
static void it_copies_inside_a_unit_and_between_units(void **state)
{
	fill(1, 64 * 512);
	write_blocks(DISK, 0, 64, data);
	GOOD(RUN(DISK, simple(DISK, DISK, 0, 1024, 64)));
	HOLDS(DISK, 1024, 64, data);
	GOOD(RUN(DISK, simple(DISK, FAR, 3, 5, 17)));
	HOLDS(FAR, 5, 17, data + 3 * 512);
	GOOD(RUN(DISK, simple(DISK, BIG, 0, 9, 64))); /* blocks of another size */
	HOLDS(BIG, 9, 8, data);
	GOOD(RUN(REMOVABLE, simple(BIG, REMOVABLE, 9, 100, 8))); /* asked of any of them */
	HOLDS(REMOVABLE, 100, 64, data);
}

static void ranges_may_overlap(void **state)
{
	fill(2, 700 * 512);
	write_blocks(DISK, 0, 700, data);
	GOOD(RUN(DISK, simple(DISK, DISK, 0, 3, 600)));
	HOLDS(DISK, 3, 600, data);
	write_blocks(DISK, 0, 700, data);
	GOOD(RUN(DISK, simple(DISK, DISK, 5, 0, 600)));
	HOLDS(DISK, 0, 600, data + 5 * 512);
}

static void segments_are_carried_out_in_order(void **state)
{
	uint32_t at = list_1(1, 0);

	fill(3, 8 * 512);
	write_blocks(DISK, 0, 8, data);
	at = add_cscd(at, DISK);
	at = add_segment(at, 0, 0, 0, 100, 8);
	at = add_segment(at, 0, 0, 100, 200, 8);
	at = add_segment(at, 0xffff, 0xffff, 200, 300, 8);
	at = add_segment(at, 0, 0, 0, 0, 0); /* of no blocks: nothing */
	GOOD(RUN(DISK, at));
	HOLDS(DISK, 300, 8, data);
}

static void dc_counts_the_destinations_blocks(void **state)
{
	uint32_t len = simple(DISK, BIG, 0, 0, 2);

	fill(4, 16 * 512);
	write_blocks(DISK, 0, 16, data);
	list[len - 28 + 1] = 0x02;
	GOOD(RUN(DISK, len));
	HOLDS(BIG, 0, 2, data);
}

static void what_does_not_come_out_even_is_refused(void **state)
{
	ABORTED(RUN(DISK, simple(DISK, BIG, 0, 0, 9)), 0x26, 0x0a, 0, 10);
	GOOD(RUN(DISK, simple(DISK, BIG, 0, 0, 16)));
}

static void the_longer_format_does_the_same(void **state)
{
	uint32_t at = list_4(0x01020304, 0);

	fill(5, 8 * 512);
	write_blocks(DISK, 0, 8, data);
	at = add_cscd(at, DISK);
	at = add_segment(at, 0, 0, 0, 50, 8);
	GOOD(OUT(DISK, COPY(1, at), list, at));
	HOLDS(DISK, 50, 8, data);
	GOOD(IN(DISK, CDB(0x84, 5, 1, 2, 3, 4, [12] = 0xff), 0xff00));
	assert_int_equal(rig.in_len, 32);
	assert_int_equal(get_be32(rig.in), 28);
	assert_int_equal(rig.in[4], 1);
	assert_int_equal(rig.in[5], COPY_GOOD);
	assert_int_equal(get_be64(rig.in + 16), 8 * 512);
	assert_int_equal(get_be16(rig.in + 24), 1);
}

static void a_list_of_nothing_does_nothing(void **state)
{
	GOOD(NONE(DISK, COPY(0, 0)));
	GOOD(RUN(DISK, list_1(1, 0)));
}

/* --- mistakes in the list: a byte changed in one that is good --- */
static const struct mistake {
	uint16_t byte;
	uint8_t value;
	uint8_t asc, ascq;
	int pointer; /* -1: none */
	uint8_t bit; /* with BPV, or 0 */
} mistakes[] = {
	{1, 0x08, 0x26, 0x00, 1, 0x8c},   /* LIST ID USAGE 01b */
	{1, NO_ID, 0x26, 0x00, 0, 0x80},  /* 11b with an identifier */
	{3, 63, 0x26, 0x00, 2, 0x80},     /* a length that no descriptors have */
	{3, 0xff, 0x1a, 0x00, -1, 0},     /* more than came */
	{8, 1, 0x1a, 0x00, -1, 0},        /* far more */
	{11, 27, 0x1a, 0x00, -1, 0},      /* a part of a segment */
	{15, 1, 0x26, 0x0b, 12, 0x80},    /* inline data */
	{16, 0xe0, 0x26, 0x07, 16, 0x80}, /* kinds of descriptors that we do not know */
	{48, 0xe5, 0x26, 0x07, 48, 0x80}, {80, 0x03, 0x26, 0x09, 80, 0x80},
	{21, 0x13, 0x26, 0x00, 21, 0x8d}, /* a port's name */
	{23, 21, 0x26, 0x00, 23, 0x80},   /* longer than the descriptor */
	{23, 0, 0x26, 0x00, 23, 0x80}, {83, 23, 0x26, 0x00, 82, 0x80}, /* a segment's own length */
};

static void each_mistake_is_named_with_its_place(void **state)
{
	for (unsigned i = 0; i < ARRAY_LEN(mistakes); i++) {
		const struct mistake *m = &mistakes[i];
		uint32_t len = simple(DISK, FAR, 0, 0, 1);

		list[m->byte] = m->value;
		BAD(RUN(DISK, len), 5, m->asc, m->ascq);
		assert_int_equal(rig.last.sense[15], m->bit);
		if (m->pointer >= 0)
			assert_int_equal(get_be16(rig.last.sense + 16), m->pointer);
	}
}

static void mistakes_of_the_longer_header(void **state)
{
	static const struct {
		uint8_t byte, value, pointer;
	} rows[] = {{0, 0, 0}, {3, 31, 2}, {16, 0xfe, 16}};

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		uint32_t len = add_cscd(list_4(1, 0), DISK);

		list[rows[i].byte] = rows[i].value;
		BAD(OUT(DISK, COPY(1, len), list, len), 5, 0x26, 0);
		assert_int_equal(get_be16(rig.last.sense + 16), rows[i].pointer);
	}
}

static void lists_that_are_cut_off_are_refused(void **state)
{
	uint32_t len = simple(DISK, FAR, 0, 0, 1);

	for (uint32_t n = 1; n < len; n++)
		BAD(RUN(DISK, n), 5, 0x1a, 0);
	BAD(OUT(DISK, COPY(0, 5000), list, 5000), 5, 0x1a, 0);
}

static void there_are_limits(void **state)
{
	uint32_t at = list_1(1, 0);

	for (unsigned i = 0; i <= COPY_MAX_CSCDS; i++)
		at = add_cscd(at, DISK);
	BAD(RUN(DISK, at), 5, 0x26, 0x06);
	at = add_cscd(list_1(1, 0), DISK);
	for (unsigned i = 0; i <= COPY_MAX_SEGMENTS; i++)
		at = add_segment(at, 0, 0, 0, 8, 1);
	BAD(RUN(DISK, at), 5, 0x26, 0x08);
}

/* --- units that cannot be had --- */
static void units_are_found_or_told_as_not_there(void **state)
{
	uint32_t len = simple(DISK, FAR, 0, 0, 1);

	list[24] ^= 1; /* of a unit that we do not have */
	ABORTED(RUN(DISK, len), 0x0d, 0x02, 0, 4);
	simple(DISK, FAR, 0, 0, 1);
	put_be16(list + 80 + 6, 2); /* no such descriptor */
	ABORTED(RUN(DISK, len), 0x08, 0x04, 0, 6);
	simple(DISK, FAR, 0, 0, 1);
	list[17] = 0x01; /* a tape */
	ABORTED(RUN(DISK, len), 0x0d, 0x03, 0, 4);
	simple(DISK, FAR, 0, 0, 1);
	put_be24(list + 16 + 29, 4096); /* another block length than it has */
	ABORTED(RUN(DISK, len), 0x0d, 0x03, 0, 4);
	ABORTED(RUN(DISK, simple(DISK, FAR, 2047, 0, 2)), 0x0d, 0x02, 0, 12);
	ABORTED(RUN(DISK, simple(DISK, FAR, 0, 2047, 2)), 0x0d, 0x02, 0, 20);
	ABORTED(RUN(DISK, simple(DISK, FAR, UINT64_MAX, 0, 2)), 0x0d, 0x02, 0, 12);
}

/* What cannot be done is seen before anything is done. */
static void a_mistake_in_a_later_segment_keeps_the_first_from_being_done(void **state)
{
	uint32_t at = add_cscd(list_1(7, 0), DISK);

	fill(6, 512);
	write_blocks(DISK, 0, 1, data);
	at = add_segment(at, 0, 0, 0, 10, 1);
	at = add_segment(at, 0, 0, 0, BLOCKS, 1);
	ABORTED(RUN(DISK, at), 0x0d, 0x02, 1, 20);
	assert_true(is_zero(read_blocks(DISK, 10, 1), 512));
}

static void a_write_protected_destination_is_refused(void **state)
{
	ABORTED(RUN(DISK, simple(DISK, RO, 0, 0, 1)), 0x0d, 0x01, 0, 6);
	BAD(RUN(RO, simple(DISK, RO, 0, 0, 1)), 7, 0x27, 0);
	GOOD(RUN(RO, simple(RO, DISK, 0, 0, 1)));
}

static void a_stopped_unit_cannot_be_reached(void **state)
{
	GOOD(NONE(FAR, CDB(0x1b, 0, 0, 0, 0)));
	ABORTED(RUN(DISK, simple(DISK, FAR, 0, 0, 1)), 0x0d, 0x02, 0, 6);
	ABORTED(RUN(DISK, simple(FAR, DISK, 0, 0, 1)), 0x0d, 0x02, 0, 4);
	BAD(RUN(FAR, simple(DISK, FAR, 0, 0, 1)), 2, 0x04, 0x02);
}

/* --- reservations, by the other nexus --- */
static void reserve(unsigned lun, uint8_t type)
{
	uint8_t out[24] = {0};

	out[15] = 0x77;
	AS_OTHER(GOOD(OUT(lun, CDB(0x5f, 0, 0, 0, 0, 0, 0, 0, 24), out, 24)));
	memset(out, 0, sizeof(out));
	out[7] = 0x77;
	AS_OTHER(GOOD(OUT(lun, CDB(0x5f, 1, type, 0, 0, 0, 0, 0, 24), out, 24)));
}

static void reservations_of_both_units_count(void **state)
{
	uint32_t len;

	reserve(FAR, 1); /* write exclusive */
	len = simple(DISK, FAR, 0, 0, 1);
	ABORTED(RUN(DISK, len), 0x0d, 0x01, 0, 6);
	GOOD(RUN(DISK, simple(FAR, DISK, 0, 0, 1)));
	CONFLICT(RUN(FAR, simple(FAR, DISK, 0, 0, 1))); /* its own class is that of a write */
	reserve(REMOVABLE, 3);                          /* exclusive access */
	ABORTED(RUN(DISK, simple(REMOVABLE, DISK, 0, 0, 1)), 0x0d, 0x01, 0, 4);
	AS_OTHER(GOOD(RUN(DISK, simple(REMOVABLE, FAR, 0, 0, 1)))); /* the holder may */
}

/* --- what is known afterwards --- */
static void its_status_can_be_asked_for(void **state)
{
	FIELD(IN(DISK, RECEIVE(0, 7), 0xff00), 2, -1);
	GOOD(RUN(DISK, simple(DISK, FAR, 0, 0, 5)));
	GOOD(IN(DISK, RECEIVE(0, 7), 0xff00));
	assert_int_equal(rig.in_len, 12);
	assert_int_equal(get_be32(rig.in), 8);
	assert_int_equal(rig.in[4], 0x81);
	assert_int_equal(get_be16(rig.in + 5), 1);
	assert_int_equal(rig.in[7], 0);
	assert_int_equal(get_be32(rig.in + 8), 5 * 512);
	FIELD(IN(DISK, RECEIVE(4, 7), 0xff00), 2, -1); /* it did not fail */
	FIELD(IN(DISK, RECEIVE(1, 7), 0xff00), 2, -1); /* and holds nothing */
	FIELD(IN(FAR, RECEIVE(0, 7), 0xff00), 2, -1);  /* nor is it this unit's */
	AS_OTHER(FIELD(IN(DISK, RECEIVE(0, 7), 0xff00), 2, -1));
}

static void it_is_not_kept_when_nobody_wants_it(void **state)
{
	uint32_t len = simple(DISK, FAR, 0, 0, 5);

	list[1] = NO_HOLD;
	GOOD(RUN(DISK, len));
	FIELD(IN(DISK, RECEIVE(0, 7), 0xff00), 2, -1);
	list[0] = 0;
	list[1] = NO_ID;
	GOOD(RUN(DISK, len));
	FIELD(IN(DISK, RECEIVE(0, 0), 0xff00), 2, -1);
}

static void why_it_failed_can_be_asked_for(void **state)
{
	BAD(RUN(DISK, simple(DISK, FAR, 0, 2047, 2)), 0x0a, 0x0d, 2);
	GOOD(IN(DISK, RECEIVE(0, 7), 0xff00));
	assert_int_equal(rig.in[4], 0x82);
	GOOD(IN(DISK, RECEIVE(4, 7), 0xff00));
	assert_int_equal(rig.in_len, 60 + 18);
	assert_int_equal(get_be32(rig.in), 56 + 18);
	assert_int_equal(rig.in[56], 0x02);
	assert_int_equal(get_be16(rig.in + 58), 18);
	assert_int_equal(rig.in[60 + 2], 0x0a);
}

static void a_reset_or_the_end_of_the_nexus_forgets_it(void **state)
{
	GOOD(RUN(DISK, simple(DISK, FAR, 0, 0, 5)));
	lu_reset(rig.map.lu[DISK]);
	BAD(IN(DISK, RECEIVE(0, 7), 0xff00), 6, 0x29, 3);
	FIELD(IN(DISK, RECEIVE(0, 7), 0xff00), 2, -1);
	GOOD(RUN(DISK, simple(DISK, FAR, 0, 0, 5)));
	nexus_leave(&rig.nexus);
	FIELD(IN(DISK, RECEIVE(0, 7), 0xff00), 2, -1);
}

static void the_oldest_are_forgotten_first(void **state)
{
	for (unsigned i = 0; i <= COPY_JOBS; i++) {
		uint32_t len = simple(DISK, FAR, 0, 0, 1);

		list[0] = (uint8_t)i;
		GOOD(RUN(DISK, len));
	}
	FIELD(IN(DISK, RECEIVE(0, 0), 0xff00), 2, -1);
	GOOD(IN(DISK, RECEIVE(0, 1), 0xff00));
}

static void its_parameters(void **state)
{
	GOOD(IN(DISK, RECEIVE(3, 0), 0xff00));
	assert_int_equal(rig.in_len, 46);
	assert_int_equal(get_be32(rig.in), 42);
	assert_int_equal(rig.in[4], 1);
	assert_int_equal(get_be16(rig.in + 8), COPY_MAX_CSCDS);
	assert_int_equal(get_be16(rig.in + 10), COPY_MAX_SEGMENTS);
	assert_int_equal(get_be32(rig.in + 12), COPY_MAX_LIST);
	assert_int_equal(rig.in[37], 9);
	assert_int_equal(rig.in[43], 2);
	assert_int_equal(rig.in[44], 0x02);
	assert_int_equal(rig.in[45], 0xe4);
	GOOD(IN(DISK, CDB(0x84, 3, [13] = 4), 4)); /* cut, as all data are */
	assert_int_equal(rig.in_len, 4);
}

/* --- while it runs --- */
/* A copy of 60 MiB, begun and not ended: 15 steps of the reactor at least. */
static void begin_long(struct scsi_cmd *c, uint8_t id)
{
	uint32_t len = simple(BIG, BIG, 0, 1, 15000);

	list[0] = id;
	rig_begin(&rig, c, BIG, COPY(0, len), false, true, len);
	rig_fill(c, list);
	scsi_execute(c);
	rig_turn(&rig);
	assert_int_equal(c->state, SCSI_RUNNING);
}

static void end_long(struct scsi_cmd *c)
{
	while (c->state != SCSI_DONE)
		assert_true(rig_turn(&rig));
	rig.last = *c;
	scsi_release(c);
}

static void a_list_identifier_is_taken_while_it_runs(void **state)
{
	struct scsi_cmd c;

	begin_long(&c, 7);
	rig.stop_turns = true;
	BAD(RUN(BIG, simple(BIG, BIG, 0, 1, 1)), 5, 0x00, 0x16);
	GOOD(IN(BIG, RECEIVE(0, 7), 0xff00));
	assert_int_equal(rig.in[4], 0x80); /* in progress */
	GOOD(IN(BIG, RECEIVE_4(5, 7), 0xff00));
	assert_int_equal(rig.in[5], COPY_FOREGROUND);
	rig.stop_turns = false;
	end_long(&c);
	assert_int_equal(c.status, SCSI_GOOD);
}

static void it_can_be_aborted_between_steps(void **state)
{
	struct scsi_cmd c;

	begin_long(&c, 7);
	assert_false(scsi_abort(&c));
	end_long(&c);
	assert_true(rig.last.aborted);
	GOOD(IN(BIG, RECEIVE_4(5, 7), 0xff00));
	assert_int_equal(rig.in[5], COPY_TERMINATED);
	assert_true(get_be64(rig.in + 16) < 15000ull * 4096);
}

static void another_command_can_end_it(void **state)
{
	struct scsi_cmd c, ender;

	FIELD(NONE(BIG, CDB(0x83, 0x1c, 0, 0, 0, 7)), 2, -1);
	begin_long(&c, 7);
	rig_begin(&rig, &ender, BIG, CDB(0x83, 0x1c, 0, 0, 0, 7), false, false, 0);
	scsi_execute(&ender);
	end_long(&ender); /* when the other has ended */
	assert_int_equal(rig.last.status, SCSI_GOOD);
	assert_int_equal(c.state, SCSI_DONE);
	assert_int_equal(c.status, SCSI_CHECK_CONDITION);
	assert_int_equal(c.sense[2], 0x0a);
	scsi_release(&c);
	GOOD(NONE(BIG, CDB(0x83, 0x1c, 0, 0, 0, 7))); /* it has ended already */
}

static void a_reset_of_the_destination_ends_it(void **state)
{
	struct scsi_cmd c;

	begin_long(&c, 7);
	lu_reset(rig.map.lu[BIG]);
	end_long(&c);
	assert_true(c.status != SCSI_GOOD);
}

static void it_can_be_answered_at_once(void **state)
{
	uint32_t at = list_4(9, 1);

	fill(7, 4096);
	write_blocks(BIG, 0, 1, data);
	at = add_cscd(at, BIG);
	at = add_segment(at, 0, 0, 0, 1, 15000);
	rig.stop_turns = true;
	GOOD(OUT(BIG, COPY(1, at), list, at));
	GOOD(IN(BIG, RECEIVE_4(5, 9), 0xff00));
	assert_int_equal(rig.in[5], COPY_BACKGROUND);
	rig.stop_turns = false;
	while (rig_turn(&rig))
		;
	GOOD(IN(BIG, RECEIVE_4(5, 9), 0xff00));
	assert_int_equal(rig.in[5], COPY_GOOD);
	HOLDS(BIG, 1, 1, data);
}

static void what_runs_in_the_background_ends_with_its_nexus(void **state)
{
	uint32_t at = list_4(9, 1);

	at = add_cscd(at, BIG);
	at = add_segment(at, 0, 0, 0, 1, 15000);
	rig.stop_turns = true;
	GOOD(OUT(BIG, COPY(1, at), list, at));
	assert_true(rig.map.lu[BIG]->n_copies > 0);
	assert_false(lu_leave(rig.map.lu[BIG], &rig.io));
	nexus_leave(&rig.nexus);
	rig.stop_turns = false;
	while (rig_turn(&rig))
		;
	assert_int_equal(rig.map.lu[BIG]->n_copies, 0);
	assert_true(lu_leave(rig.map.lu[BIG], &rig.io));
}

/* --- tokens --- */
static uint8_t token[TOKEN_LEN];

static uint32_t ranges(uint32_t head, unsigned n, const struct block_range *r)
{
	put_be16(list, (uint16_t)(head + 16 * n - 2));
	put_be16(list + head - 2, (uint16_t)(16 * n));
	for (unsigned i = 0; i < n; i++) {
		put_be64(list + head + 16 * i, r[i].off);
		put_be32(list + head + 16 * i + 8, (uint32_t)r[i].len);
	}
	return head + 16 * n;
}

static uint32_t populate_list(unsigned n, const struct block_range *r)
{
	memset(list, 0, sizeof(list));
	return ranges(16, n, r);
}

static uint32_t write_list(uint64_t offset, unsigned n, const struct block_range *r)
{
	memset(list, 0, sizeof(list));
	put_be64(list + 8, offset);
	memcpy(list + 16, token, TOKEN_LEN);
	return ranges(536, n, r);
}

#define POPULATE(lun, len) OUT(lun, TOKEN_CDB(0x10, 1, len), list, len)
#define WRITE(lun, len)    OUT(lun, TOKEN_CDB(0x11, 2, len), list, len)
#define RANGE(lba, n)                                                                              \
	1, &(struct block_range)                                                                   \
	{                                                                                          \
		lba, n                                                                             \
	}

static void make_token(unsigned lun, uint64_t lba, uint32_t n)
{
	GOOD(POPULATE(lun, populate_list(RANGE(lba, n))));
	GOOD(IN(lun, RECEIVE_4(7, 1), 0xff00));
	assert_int_equal(rig.in_len, 32 + 4 + 2 + 512);
	assert_int_equal(get_be32(rig.in), 32 + 4 + 2 + 512 - 4);
	assert_int_equal(rig.in[4], 0x10);
	assert_int_equal(rig.in[5], COPY_GOOD);
	assert_int_equal(rig.in[15], 0xf1);
	assert_int_equal(get_be64(rig.in + 16), n);
	assert_int_equal(get_be32(rig.in + 32), 2 + 512);
	memcpy(token, rig.in + 38, TOKEN_LEN);
	assert_int_equal(get_be16(token + 6), 504);
}

static uint64_t written(unsigned lun, uint8_t status)
{
	GOOD(IN(lun, RECEIVE_4(7, 2), 0xff00));
	assert_int_equal(rig.in[4], 0x11);
	assert_int_equal(rig.in[5], status);
	assert_int_equal(get_be32(rig.in + 32), 0); /* no token */
	return get_be64(rig.in + 16);
}

static void a_token_stands_for_blocks(void **state)
{
	fill(8, 64 * 512);
	write_blocks(DISK, 0, 64, data);
	make_token(DISK, 0, 64);
	GOOD(WRITE(DISK, write_list(0, RANGE(1000, 64))));
	assert_int_equal(written(DISK, COPY_GOOD), 64);
	HOLDS(DISK, 1000, 64, data);
	GOOD(WRITE(FAR, write_list(3, RANGE(5, 10)))); /* at another unit, from an offset on */
	HOLDS(FAR, 5, 10, data + 3 * 512);
	GOOD(WRITE(BIG, write_list(1, RANGE(5, 7)))); /* in its own blocks */
	HOLDS(BIG, 5, 7, data + 4096);
	AS_OTHER(GOOD(WRITE(FAR, write_list(0, RANGE(100, 1))))); /* whoever has it may use it */
}

static void ranges_are_filled_in_order(void **state)
{
	static const struct block_range from[] = {{10, 3}, {0, 5}, {20, 0}, {30, 2}};
	static const struct block_range to[] = {{100, 4}, {200, 6}};

	fill(9, 64 * 512);
	write_blocks(DISK, 0, 64, data);
	GOOD(POPULATE(DISK, populate_list(4, from)));
	GOOD(IN(DISK, RECEIVE_4(7, 1), 0xff00));
	memcpy(token, rig.in + 38, TOKEN_LEN);
	GOOD(WRITE(DISK, write_list(0, 2, to)));
	assert_int_equal(written(DISK, COPY_GOOD), 10);
	HOLDS(DISK, 100, 3, data + 10 * 512);
	HOLDS(DISK, 103, 1, data);
	HOLDS(DISK, 200, 4, data + 512);
	HOLDS(DISK, 204, 2, data + 30 * 512);
}

static void a_token_gives_no_more_than_it_has(void **state)
{
	fill(10, 8 * 512);
	write_blocks(DISK, 0, 8, data);
	write_blocks(DISK, 100, 8, data);
	make_token(DISK, 0, 4);
	GOOD(WRITE(DISK, write_list(2, RANGE(100, 8))));
	assert_int_equal(written(DISK, COPY_PARTLY), 2);
	HOLDS(DISK, 102, 6, data + 2 * 512);
	BAD(WRITE(DISK, write_list(5, RANGE(100, 8))), 5, 0x26, 0);
	assert_int_equal(get_be16(rig.last.sense + 16), 8);
}

static void the_zero_token_writes_zeros(void **state)
{
	fill(11, 64 * 512);
	write_blocks(DISK, 0, 64, data);
	memset(token, 0, sizeof(token));
	put_be32(token, 0xffff0001);
	put_be16(token + 6, 504);
	GOOD(WRITE(DISK, write_list(0, RANGE(8, 16))));
	assert_int_equal(written(DISK, COPY_GOOD), 16);
	HOLDS(DISK, 0, 8, data);
	assert_true(is_zero(read_blocks(DISK, 8, 16), 16 * 512));
	HOLDS(DISK, 24, 40, data + 24 * 512);
}

static void other_tokens_are_refused(void **state)
{
	static const struct {
		uint16_t byte;
		uint8_t ascq;
	} rows[] = {
		{0, 0x01},
		{3, 0x01},
		{6, 0x0a},
		{7, 0x0a},
		{8, 0x04},
		{15, 0x04},
		{16, 0x05},
		{63, 0x05},
		{128, 0x05},
		{159, 0x05},
		{511, 0x05},
	};

	make_token(DISK, 0, 4);
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		token[rows[i].byte] ^= 0x10;
		BAD(WRITE(DISK, write_list(0, RANGE(100, 1))), 5, 0x23, rows[i].ascq);
		token[rows[i].byte] ^= 0x10;
	}
	GOOD(WRITE(DISK, write_list(0, RANGE(100, 1))));
}

static void no_two_tokens_are_alike(void **state)
{
	uint8_t first[TOKEN_LEN];

	make_token(DISK, 0, 4);
	memcpy(first, token, TOKEN_LEN);
	make_token(DISK, 0, 4);
	assert_memory_not_equal(first + 128, token + 128, 32);
	memcpy(token + 8, first + 8, 8); /* one's number with the other's secret */
	BAD(WRITE(DISK, write_list(0, RANGE(100, 1))), 5, 0x23, 0x05);
}

static void tokens_end(void **state)
{
	const uint64_t second = 1000000000;
	uint32_t len;

	make_token(DISK, 0, 4);
	rig.io.now_ns += (TOKEN_IDLE_DEFAULT_S - 1) * second;
	GOOD(WRITE(DISK, write_list(0, RANGE(100, 1))));
	rig.io.now_ns += (TOKEN_IDLE_DEFAULT_S - 1) * second; /* used meanwhile */
	GOOD(WRITE(DISK, write_list(0, RANGE(100, 1))));
	rig.io.now_ns += TOKEN_IDLE_DEFAULT_S * second;
	BAD(WRITE(DISK, write_list(0, RANGE(100, 1))), 5, 0x23, 0x07);

	make_token(DISK, 0, 4);
	len = write_list(0, RANGE(100, 1));
	list[2] = 0x02; /* DEL_TKN */
	GOOD(WRITE(DISK, len));
	BAD(WRITE(DISK, write_list(0, RANGE(100, 1))), 5, 0x23, 0x09);

	make_token(DISK, 0, 4);
	tokens_revoke(rig.map.lu[DISK]);
	BAD(WRITE(DISK, write_list(0, RANGE(100, 1))), 5, 0x23, 0x06);
}

static void a_token_may_live_longer(void **state)
{
	uint32_t len = populate_list(RANGE(0, 1));

	put_be32(list + 4, TOKEN_IDLE_MAX_S);
	GOOD(POPULATE(DISK, len));
	GOOD(IN(DISK, RECEIVE_4(7, 1), 0xff00));
	memcpy(token, rig.in + 38, TOKEN_LEN);
	rig.io.now_ns += (TOKEN_IDLE_MAX_S - 1) * 1000000000ull;
	GOOD(WRITE(DISK, write_list(0, RANGE(100, 1))));
	populate_list(RANGE(0, 1));
	put_be32(list + 4, TOKEN_IDLE_MAX_S + 1);
	BAD(POPULATE(DISK, len), 5, 0x26, 0);
	assert_int_equal(get_be16(rig.last.sense + 16), 4);
}

static void lists_of_ranges_are_checked(void **state)
{
	static const struct block_range twice[] = {{0, 8}, {100, 8}, {7, 1}};
	struct block_range many[TOKEN_RANGES + 1];
	uint32_t len;

	GOOD(NONE(DISK, TOKEN_CDB(0x10, 1, 0)));
	for (uint32_t n = 1; n < 32; n++) {
		populate_list(RANGE(0, 1));
		BAD(POPULATE(DISK, n), 5, 0x1a, 0);
	}
	len = populate_list(RANGE(0, 1));
	put_be16(list, 29); /* less than a descriptor */
	BAD(POPULATE(DISK, len), 5, 0x26, 0);
	len = populate_list(RANGE(0, 1));
	put_be16(list + 14, 15);
	BAD(POPULATE(DISK, len), 5, 0x26, 0);
	assert_int_equal(get_be16(rig.last.sense + 16), 14);
	OUT_OF_RANGE(POPULATE(DISK, populate_list(RANGE(BLOCKS, 1))));
	OUT_OF_RANGE(POPULATE(DISK, populate_list(RANGE(UINT64_MAX, 1))));
	BAD(POPULATE(DISK, populate_list(3, twice)), 5, 0x26, 0);
	assert_int_equal(get_be16(rig.last.sense + 16), 16 + 32);
	for (unsigned i = 0; i <= TOKEN_RANGES; i++)
		many[i] = (struct block_range){i, 1};
	BAD(POPULATE(DISK, populate_list(TOKEN_RANGES + 1, many)), 5, 0x26, 0x08);
	GOOD(POPULATE(DISK, populate_list(TOKEN_RANGES, many)));
	len = populate_list(RANGE(0, 1));
	list[2] = 0x02; /* RTV: a type that we have, and one that we have not */
	put_be32(list + 8, 0x00010000);
	GOOD(POPULATE(DISK, len));
	put_be32(list + 8, 0x00800000);
	BAD(POPULATE(DISK, len), 5, 0x26, 0);
	assert_int_equal(get_be16(rig.last.sense + 16), 8);
}

static void writing_a_token_minds_reservations_and_protection(void **state)
{
	make_token(DISK, 0, 4);
	BAD(WRITE(RO, write_list(0, RANGE(100, 1))), 7, 0x27, 0);
	reserve(FAR, 1);
	CONFLICT(WRITE(FAR, write_list(0, RANGE(100, 1))));
	reserve(DISK, 3); /* the source */
	BAD(WRITE(REMOVABLE, write_list(0, RANGE(100, 1))), 0x0a, 0x0d, 0x01);
}

/* A copy asked of one unit writes to another that is to be erased: it ends first. */
static void a_sanitize_operation_waits_for_copies_to_its_unit(void **state)
{
	struct volume *v = lu_volume(rig.map.lu[BIG]);
	struct scsi_cmd c, eraser;
	uint32_t len;

	make_token(BIG, 0, 4);
	fill(12, 256 * 4096);
	write_blocks(BIG, 0, 256, data);
	len = simple(BIG, BIG, 0, 5000, 5000);
	rig_begin(&rig, &c, DISK, COPY(0, len), false, true, len);
	rig_fill(&c, list);
	rig_begin(&rig, &eraser, BIG, CDB(0x48, 0x82), false, false, 0);
	scsi_execute(&c);
	scsi_execute(&eraser);
	for (unsigned i = 0; i < 12; i++)
		rig_turn(&rig);
	assert_int_equal(c.state, SCSI_RUNNING);
	assert_int_equal(volume_mapped_bytes(v), 2 << 20); /* nothing is erased yet */
	end_long(&c);
	end_long(&eraser);
	assert_int_equal(rig.last.status, SCSI_GOOD);
	while (rig_turn(&rig))
		;
	assert_int_equal(volume_mapped_bytes(v), 0);
	assert_int_equal(rig.map.lu[BIG]->n_copies, 0);
	BAD(WRITE(DISK, write_list(0, RANGE(100, 1))), 5, 0x23, 0x06);
}

/* --- the page --- */
static const uint8_t *descriptor(uint16_t type)
{
	for (uint32_t at = 4; at < rig.in_len; at += 4 + get_be16(rig.in + at + 2))
		if (get_be16(rig.in + at) == type)
			return rig.in + at;
	fail();
	return NULL;
}

static void the_page_tells_all(void **state)
{
	const uint8_t *d;

	GOOD(IN(DISK, CDB(0x12, 1, 0x8f, 4, 0), 1024));
	assert_int_equal(rig.in_len, 4 + get_be16(rig.in + 2));
	d = descriptor(0x0000);
	assert_int_equal(get_be16(d + 10), TOKEN_RANGES);
	assert_int_equal(get_be64(d + 20), TOKEN_MAX_BYTES / 512);
	d = descriptor(0x0001);
	assert_memory_equal(d + 4,
		((uint8_t[]){15, 0x83, 5, 0, 1, 0x10, 0x11, 0x1c, 0x84, 6, 0, 1, 3, 4, 5, 7}), 16);
	d = descriptor(0x0008);
	assert_memory_equal(d + 4, ((uint8_t[]){2, 0x02, 0xe4}), 3);
	d = descriptor(0x0108);
	assert_int_equal(get_be32(d + 8), 0x00010000);
	assert_int_equal(get_be32(d + 72), 0xffff0001);
	GOOD(IN(DISK, CDB(0x12, 0, 0, 0, 96), 96));
	assert_int_equal(rig.in[5] & 0x08, 0x08); /* 3PC */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_copies_inside_a_unit_and_between_units),
		TEST(ranges_may_overlap),
		TEST(segments_are_carried_out_in_order),
		TEST(dc_counts_the_destinations_blocks),
		TEST(what_does_not_come_out_even_is_refused),
		TEST(the_longer_format_does_the_same),
		TEST(a_list_of_nothing_does_nothing),
		TEST(each_mistake_is_named_with_its_place),
		TEST(mistakes_of_the_longer_header),
		TEST(lists_that_are_cut_off_are_refused),
		TEST(there_are_limits),
		TEST(units_are_found_or_told_as_not_there),
		TEST(a_mistake_in_a_later_segment_keeps_the_first_from_being_done),
		TEST(a_write_protected_destination_is_refused),
		TEST(a_stopped_unit_cannot_be_reached),
		TEST(reservations_of_both_units_count),
		TEST(its_status_can_be_asked_for),
		TEST(it_is_not_kept_when_nobody_wants_it),
		TEST(why_it_failed_can_be_asked_for),
		TEST(a_reset_or_the_end_of_the_nexus_forgets_it),
		TEST(the_oldest_are_forgotten_first),
		TEST(its_parameters),
		TEST(a_list_identifier_is_taken_while_it_runs),
		TEST(it_can_be_aborted_between_steps),
		TEST(another_command_can_end_it),
		TEST(a_reset_of_the_destination_ends_it),
		TEST(it_can_be_answered_at_once),
		TEST(what_runs_in_the_background_ends_with_its_nexus),
		TEST(a_token_stands_for_blocks),
		TEST(ranges_are_filled_in_order),
		TEST(a_token_gives_no_more_than_it_has),
		TEST(the_zero_token_writes_zeros),
		TEST(other_tokens_are_refused),
		TEST(no_two_tokens_are_alike),
		TEST(tokens_end),
		TEST(a_token_may_live_longer),
		TEST(lists_of_ranges_are_checked),
		TEST(writing_a_token_minds_reservations_and_protection),
		TEST(a_sanitize_operation_waits_for_copies_to_its_unit),
		TEST(the_page_tells_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
