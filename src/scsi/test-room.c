/* test-room.c - WRITEs that find no pages, or wait for the base of one. */
#include "double.h"

static struct scsi_cmd cmd;

static struct arena *arena(void)
{
	return volume_arena(disk->volume);
}

static struct run hog; /* what a silent peer holds */

static void take_all_but(uint32_t n)
{
	unsigned n_runs;
	uint32_t n_quota;

	assert_int_equal(arena_take(arena(), ARENA_OPEN, NULL, (uint32_t)arena_n_open(arena()) - n,
				 false, &hog, 1, &n_runs, &n_quota),
		0);
}

static void give_back(uint32_t n)
{
	arena_unref(arena(), hog.page + hog.n_pages - n, n);
	hog.n_pages -= n;
}

static void end_write(struct scsi_cmd *c)
{
	assert_int_equal(c->out_have, c->out_len);
	scsi_execute(c);
	assert_int_equal(c->status, SCSI_GOOD);
	scsi_release(c);
}

static void turns(void)
{
	while (rig_turn(&rig))
		;
}

static void test_base_is_fetched_for_partial_pages(void **state)
{
	GOOD(OUT(DISK, CDB(0x2a, 0, 0, 0, 0, 8, 0, 0, 8), data, 4096));
	assert_int_equal(fake.n_bases, 0);
	GOOD(OUT(DISK, CDB(0x2a, 0, 0, 0, 0, 9, 0, 0, 8), data, 4096));
	GOOD(OUT(DISK, CDB(0x2a, 0, 0, 0, 0, 8, 0, 0, 7), data, 7 * 512));
	assert_int_equal(fake.n_bases, 2);
}

static void test_landing_waits_for_pages(void **state)
{
	struct scsi_cmd second;

	take_all_but(1);
	begin(&cmd, WRITE_8K, 8192, 0);
	begin(&second, CDB(0x2a, 0, 0, 0, 0, 8, 0, 0, 8), 4096, 0);
	assert_int_equal(cmd.status, SCSI_GOOD);
	assert_true(
		cmd.out_len == 8192 && cmd.out_have == 0); /* one page is not taken in advance */
	assert_int_equal(second.out_have, 0);              /* and nobody overtakes */
	turns();
	assert_int_equal(n_rooms, 0);
	give_back(1);
	turns();
	assert_true(cmd.out_have == 8192 && second.out_have == 0);
	end_write(&cmd);
	turns();
	assert_int_equal(second.out_have, 4096);
	end_write(&second);
	give_back(hog.n_pages);
}

static void test_unsolicited_bytes_have_places_at_once(void **state)
{
	take_all_but(1);
	begin(&cmd, WRITE_8K, 8192, 4096);
	assert_true(cmd.out_have == 4096 && cmd.out_len == 8192);
	give_back(1);
	turns();
	assert_int_equal(cmd.out_have, 8192);
	assert_int_equal(cmd.n_out_iov, 2);
	end_write(&cmd);
	give_back(hog.n_pages);
	take_all_but(0);
	begin(&cmd, WRITE_8K, 8192, 4096);
	assert_int_equal(cmd.status, SCSI_TASK_SET_FULL);
	assert_true(cmd.out_len == 0 && cmd.n_out_iov == 0 && cmd.out_full == 8192);
	scsi_execute(&cmd);
	assert_int_equal(n_done, 2);
	scsi_release(&cmd);
	give_back(hog.n_pages);
}

static void test_transfer_larger_than_all_memory(void **state)
{
	begin(&cmd, CDB(0x2a, 0, 0, 0, 0, 8, 0, 8, 0), 2048 * 512, 0);
	assert_int_equal(cmd.status, SCSI_TASK_SET_FULL);
	scsi_fail(&cmd, SENSE_INTERNAL_FAILURE);
	scsi_release(&cmd);
}

/* A waiting command goes away: queued, called but not yet run, by abort or by verdict. */
static void test_waiting_commands_go_away(void **state)
{
	for (unsigned how = 0; how < 4; how++) {
		take_all_but(1);
		begin(&cmd, WRITE_8K, 8192, 4096);
		if (how & 1)
			give_back(1); /* the call is posted now */
		if (how & 2)
			assert_true(scsi_abort(&cmd));
		else
			scsi_fail(&cmd, SENSE_INITIATOR_TIMEOUT);
		scsi_release(&cmd);
		n_rooms = 0;
		turns();
		assert_int_equal(n_rooms, 0);
		give_back(hog.n_pages);
		assert_int_equal(lent(), 0);
	}
	GOOD(OUT(DISK, WRITE_8K, data, 8192));
}

/* The same, with the pages arriving by themselves while the post still travels. */
static void test_room_found_before_the_call(void **state)
{
	take_all_but(1);
	begin(&cmd, WRITE_8K, 8192, 0);
	give_back(3);
	scsi_room(&cmd);
	assert_int_equal(cmd.out_have, 8192);
	end_write(&cmd);
	turns();
	assert_int_equal(n_rooms, 0);
	give_back(hog.n_pages);
}

/* What comes back to the nexus's own quota is no open page; the arena's queue does not see it. */
static void test_pages_of_the_quota_come_back(void **state)
{
	struct scsi_cmd second, third;

	assert_int_equal(arena_grant(arena(), &rig.quota, 2), 0);
	rig.nexus.quota = &rig.quota;
	take_all_but(0);
	begin(&cmd, WRITE_8K, 8192, 0);
	assert_int_equal(cmd.out_have, 8192);
	begin(&second, WRITE_8K, 8192, 0);
	begin(&third, WRITE_8K, 8192, 0);
	assert_true(second.out_have == 0 && third.out_have == 0);
	end_write(&cmd);
	turns();
	assert_true(second.out_have == 8192 && third.out_have == 0);
	end_write(&second);
	turns();
	end_write(&third);
	assert_int_equal(rig.quota.n_used, 0);
	give_back(hog.n_pages);
	arena_revoke(&rig.quota);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_base_is_fetched_for_partial_pages),
		TEST(test_landing_waits_for_pages),
		TEST(test_unsolicited_bytes_have_places_at_once),
		TEST(test_transfer_larger_than_all_memory),
		TEST(test_waiting_commands_go_away),
		TEST(test_room_found_before_the_call),
		TEST(test_pages_of_the_quota_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
