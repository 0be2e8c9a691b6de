/* test-end.c - a destination file: made, claimed, and given up again after a failure. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "end.h"

static struct end end, other;
static char err[256];

static bool is_there(const char *name)
{
	return access(name, F_OK) == 0;
}

static void open_new(struct end *e)
{
	assert_int_equal(end_open(e, "new", true, NULL, err, sizeof(err)), 0);
}

static void expect(int rc, int want, const char *says)
{
	assert_int_equal(rc, want);
	if (!strstr(err, says))
		fail_msg("\"%s\" does not say \"%s\"", err, says);
}

static void what_was_made_and_holds_nothing_goes(void **state)
{
	open_new(&end);
	assert_int_equal(end_claim(&end, err, sizeof(err)), 0);
	assert_int_equal(end_prepare(&end, 1 << 20, err, sizeof(err)), 0);
	assert_true(end_undo(&end));
	end_close(&end);
	assert_false(is_there("new"));
}

static void what_was_there_or_holds_something_stays(void **state)
{
	open_new(&end);
	end_close(&end);
	open_new(&end);
	assert_false(end_undo(&end));
	end_close(&end);
	unlink("new");
	open_new(&end);
	assert_int_equal(pwrite(end.fd, "x", 1, 1 << 20), 1);
	assert_false(end_undo(&end));
	end_close(&end);
	assert_true(is_there("new"));
	unlink("new");
}

/* Two that begin at once have the same destination: one makes it, the other may be the first to lock it. */
static void what_another_has_claimed_stays(void **state)
{
	open_new(&end);
	open_new(&other);
	assert_true(end.made && !other.made);
	assert_int_equal(end_claim(&other, err, sizeof(err)), 0);
	expect(end_claim(&end, err, sizeof(err)), -EBUSY, "new: in use by another process");
	assert_false(end_undo(&end));
	end_close(&end);
	end_close(&other);
	assert_true(is_there("new"));
	unlink("new");
}

/* .. or locks it when it has been removed: what it would write nobody would find. */
static void what_has_lost_its_name_is_not_claimed(void **state)
{
	open_new(&end);
	open_new(&other);
	assert_true(end_undo(&end));
	end_close(&end);
	expect(end_claim(&other, err, sizeof(err)), -ESTALE, "new: was replaced");
	end_close(&other);
	open_new(&other);
	assert_int_equal(rename("new", "old"), 0);
	open_new(&end);
	expect(end_claim(&other, err, sizeof(err)), -ESTALE, "new: was replaced");
	assert_int_equal(end_claim(&end, err, sizeof(err)), 0);
	end_close(&other);
	end_close(&end);
	unlink("new");
	unlink("old");
}

/* A link to what is not there yet is followed, as by cp; what it leads to is not ours to remove. */
static void a_link_is_followed(void **state)
{
	assert_int_equal(symlink("behind", "new"), 0);
	open_new(&end);
	assert_int_equal(end_claim(&end, err, sizeof(err)), 0);
	assert_false(end_undo(&end));
	end_close(&end);
	assert_true(is_there("behind"));
	unlink("new");
	unlink("behind");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_made_and_holds_nothing_goes),
		cmocka_unit_test(what_was_there_or_holds_something_stays),
		cmocka_unit_test(what_another_has_claimed_stays),
		cmocka_unit_test(what_has_lost_its_name_is_not_claimed),
		cmocka_unit_test(a_link_is_followed),
	};
	char dir[] = "/tmp/test-end-XXXXXX";
	int rc;

	if (!mkdtemp(dir) || chdir(dir))
		return 1;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return rc;
}
