/* test-token.c - POPULATE TOKEN and WRITE USING TOKEN (SBC-3 5.7, 5.46), and what a token stands for when its blocks
 * change (SPC-4 5.17.6). */
#include "tpctest.h"

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
	put_be32(list + 8, 0x00800002); /* persistent */
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

/* --- when the blocks change --- */

static void make_token_of_type(uint32_t type, uint64_t lba, uint32_t n)
{
	uint32_t len = populate_list(RANGE(lba, n));

	list[2] = 0x02; /* RTV */
	put_be32(list + 8, type);
	GOOD(POPULATE(DISK, len));
	GOOD(IN(DISK, RECEIVE_4(7, 1), 0xff00));
	memcpy(token, rig.in + 38, TOKEN_LEN);
}

static void use_token(void)
{
	WRITE(DISK, write_list(0, RANGE(1000, 4)));
}

#define REVOKED(command) BAD(command, 5, 0x23, 0x06)

/* SPC-4 5.17.6.5.3: a point in time copy, change vulnerable, unless something else is asked for. */
static void a_token_stands_for_its_time(void **state)
{
	static const struct {
		uint32_t asked, is;
	} rows[] = {
		{0x00000000, 0x00800001},
		{0x00010000, 0x00010000},
		{0x00800000, 0x00800001},
		{0x00800001, 0x00800001},
		{0x0080ffff, 0x00800001},
	};

	fill(20, 512);
	make_token(DISK, 8, 8);
	assert_int_equal(get_be32(token), 0x00800001);
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		make_token_of_type(rows[i].asked, 8, 8);
		assert_int_equal(get_be32(token), rows[i].is);
		write_blocks(DISK, 7, 1, data); /* beside it */
		write_blocks(DISK, 16, 1, data);
		GOOD(WRITE(DISK, write_list(0, RANGE(1000, 4))));
		write_blocks(DISK, 15, 1, data);
		if (rows[i].is == 0x00010000)
			GOOD(WRITE(DISK, write_list(0, RANGE(1000, 4))));
		else
			REVOKED(WRITE(DISK, write_list(0, RANGE(1000, 4))));
	}
}

static void by_write(void)
{
	write_blocks(DISK, 9, 1, data);
}

static void by_atomic_write(void)
{
	GOOD(OUT(DISK, CDB(0x9c, 0, [9] = 9, [13] = 1), data, 512));
}

static void by_write_same(void)
{
	GOOD(OUT(DISK, CDB(0x93, 0, [9] = 9, [13] = 1), data, 512));
}

static void by_zeros(void)
{
	GOOD(NONE(DISK, CDB(0x93, 0x09, [9] = 8, [13] = 8)));
}

static void by_unmap(void)
{
	static const uint8_t unmap[24] = {0, 22, 0, 16, [15] = 8, [19] = 8};

	GOOD(OUT(DISK, CDB(0x42, 0, [8] = 24), unmap, 24));
}

static void by_or(void)
{
	GOOD(OUT(DISK, CDB(0x8b, 0, [9] = 9, [13] = 1), data, 512));
}

static void by_compare_and_write(void)
{
	memcpy(data, read_blocks(DISK, 9, 1), 512);
	GOOD(OUT(DISK, CDB(0x89, 0, [9] = 9, [13] = 1), data, 1024));
}

static void by_copy(void)
{
	GOOD(RUN(DISK, simple(FAR, DISK, 0, 15, 4)));
}

/* However the blocks are changed, and whatever size the change has. */
static void every_change_revokes_it(void **state)
{
	static void (*const ways[])(void) = {by_write, by_atomic_write, by_write_same, by_zeros,
		by_unmap, by_or, by_compare_and_write, by_copy};

	for (unsigned i = 0; i < ARRAY_LEN(ways); i++) {
		fill(21 + i, 1024);
		make_token(DISK, 8, 8);
		ways[i]();
		REVOKED(WRITE(DISK, write_list(0, RANGE(1000, 4))));
	}
}

static void reading_changes_nothing(void **state)
{
	make_token(DISK, 8, 8);
	read_blocks(DISK, 8, 8);
	GOOD(NONE(DISK, CDB(0x91, [9] = 0)));
	GOOD(NONE(DISK, CDB(0x8f, [9] = 8, [13] = 8)));
	use_token();
	assert_int_equal(rig.last.status, SCSI_GOOD);
}

/* A use that changes its own source finds it as it was, and is the last one. */
static void a_token_over_its_own_blocks_is_used_once(void **state)
{
	fill(30, 700 * 512);
	write_blocks(DISK, 0, 700, data);
	make_token(DISK, 0, 600);
	GOOD(WRITE(DISK, write_list(0, RANGE(3, 600))));
	HOLDS(DISK, 3, 600, data);
	REVOKED(WRITE(DISK, write_list(0, RANGE(3, 600))));
}

/* Between two steps of its use somebody writes: it ends there, with the reason. */
static void a_change_during_its_use_ends_it(void **state)
{
	struct scsi_cmd c;
	uint32_t len;

	fill(31, 4096);
	make_token(BIG, 0, 1000);
	len = write_list(0, RANGE(5000, 1000));
	rig_begin(&rig, &c, BIG, TOKEN_CDB(0x11, 2, len), false, true, len);
	rig_fill(&c, list);
	scsi_execute(&c);
	assert_int_equal(c.state, SCSI_RUNNING);
	volume_changed(
		lu_volume(rig.map.lu[BIG]), 999 * 4096, 4096, NULL); /* what a write would do */
	while (c.state != SCSI_DONE)
		assert_true(rig_turn(&rig));
	rig.last = c;
	scsi_release(&c);
	assert_int_equal(rig.last.status, SCSI_CHECK_CONDITION);
	assert_int_equal(rig.last.sense[12], 0x23);
	assert_int_equal(rig.last.sense[13], 0x06);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
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
		TEST(a_token_stands_for_its_time),
		TEST(every_change_revokes_it),
		TEST(reading_changes_nothing),
		TEST(a_token_over_its_own_blocks_is_used_once),
		TEST(a_change_during_its_use_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
