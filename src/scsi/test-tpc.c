/* test-tpc.c - third-party copies: EXTENDED COPY, what is known of it afterwards, and the page that tells of
 * it (SPC-4 6.3 to 6.5, 6.17 to 6.24, 7.8.17; SBC-3 5.7, 5.46). */
#include "tpctest.h"

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

/* Wherever it comes, between two pieces or within one, what was reset has no status of its own. */
static void a_reset_of_the_unit_aborts_it(void **state)
{
	struct scsi_cmd c;

	for (unsigned turns = 0; turns < 400; turns++) {
		begin_long(&c, 7);
		for (unsigned i = 0; i < turns && c.state == SCSI_RUNNING; i++)
			rig_turn(&rig);
		if (c.state == SCSI_DONE) {
			assert_true(turns > 2);
			scsi_release(&c);
			return;
		}
		lu_reset(rig.map.lu[BIG]);
		end_long(&c);
		assert_true(c.aborted);
		BAD(NONE(BIG, CDB(0x00)), 6, 0x29, 0x03); /* told of the reset */
	}
	fail();
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
	assert_int_equal(get_be32(d + 72), 0x00800001);
	assert_int_equal(get_be32(d + 136), 0xffff0001);
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
		TEST(a_reset_of_the_unit_aborts_it),
		TEST(it_can_be_answered_at_once),
		TEST(what_runs_in_the_background_ends_with_its_nexus),
		TEST(a_sanitize_operation_waits_for_copies_to_its_unit),
		TEST(the_page_tells_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
