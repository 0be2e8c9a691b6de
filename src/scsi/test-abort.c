/* test-abort.c - a command that is aborted while the volume works for it, or between two of its steps. */
#include "double.h"

static struct scsi_cmd cmd;

static void test_abort_of_what_runs(void **state)
{
	EACH_COMMAND(i)
	{
		for (fake.cancel_ends = false;; fake.cancel_ends = true) {
			fake.hold = true;
			n_done = fake.n_cancels = 0;
			begin(&cmd, commands[i].cdb, commands[i].read ? 0 : commands[i].edtl, 0);
			cmd.read = commands[i].read;
			cmd.edtl = commands[i].edtl;
			if (commands[i].from)
				rig_fill(&cmd, commands[i].from);
			scsi_execute(&cmd);
			assert_int_equal(n_done, 0);
			assert_false(scsi_abort(&cmd));
			assert_int_equal(fake.n_cancels, 1);
			assert_int_equal(n_done, 0); /* never from inside */
			if (!fake.cancel_ends)
				fake_finish(0);
			while (rig_turn(&rig))
				;
			assert_int_equal(n_done, 1);
			assert_true(cmd.aborted);
			assert_null(fake.held);
			scsi_release(&cmd);
			assert_int_equal(lent(), 0);
			if (fake.cancel_ends)
				break;
		}
	}
}

/* Between two turns of a long command nothing is under way that could be cancelled. */
static void test_abort_between_steps(void **state)
{
	static uint8_t list[8 + 16 * 200];

	put_be16(list + 2, 16 * 200);
	for (unsigned i = 0; i < 200; i++)
		put_be32(list + 8 + 16 * i + 8, 8);
	begin(&cmd, CDB(0x42, 0, 0, 0, 0, 0, 0, sizeof(list) >> 8, sizeof(list) & 0xff),
		sizeof(list), 0);
	rig_fill(&cmd, list);
	scsi_execute(&cmd);
	assert_int_equal(n_done, 0);
	assert_true(fake.n_ops >= 32 && fake.n_ops <= 64);
	assert_true(rig_turn(&rig));
	assert_true(fake.n_ops > 64 && fake.n_ops <= 128);
	assert_false(scsi_abort(&cmd));
	assert_int_equal(n_done, 0);
	while (rig_turn(&rig))
		;
	assert_int_equal(n_done, 1);
	assert_true(cmd.aborted && fake.n_ops <= 128);
	scsi_release(&cmd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_abort_of_what_runs),
		TEST(test_abort_between_steps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
