/* test-options-memory.c - a command line that runs out of memory anywhere is told so, and a file of users; nothing is left of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "options.h"
#include "torture.h"

static char users[] = "test-users-XXXXXX";

static void parse(void *ctx)
{
	char *words[] = {(char *)"--target", (char *)"iqn.2026-11.com.example:a",
		(char *)"a\\,b.img,size=1G,ro", (char *)"--ram",
		(char *)"64M,error=write:errno=ENOSPC,delay=any:1ms,block=4096", (char *)"--listen",
		(char *)"[::1]:0", (char *)"--listen=127.0.0.1:0", (char *)"--advertise",
		(char *)"192.0.2.1", (char *)"--trace", (char *)"t", (char *)"--state-dir",
		(char *)"s", (char *)"--chap-file", users, (char *)"b.img",
		(char *)"c.img,power=tear"};
	struct config c;
	char err[256];
	int r;

	torture_arm();
	r = options_parse(&c, sizeof(words) / sizeof(words[0]), words, err, sizeof(err));
	TORTURE(torture_hit() ? r == -ENOMEM : r == OPTIONS_SERVE);
	config_deinit(&c);
}

static void load(void *arg)
{
	struct chap_db db;
	char err[256];
	int r;

	torture_arm();
	r = chap_db_load(&db, users, err, sizeof(err));
	TORTURE(torture_hit() ? r == -ENOMEM : !r);
	if (!r)
		chap_db_deinit(&db);
}

static void a_command_line(void **state)
{
	assert_true(torture(parse, NULL) > 10);
}

static void a_file_of_users(void **state)
{
	assert_true(torture(load, NULL) > 4);
}

static int write_users(void **state)
{
	int fd = mkstemp(users);

	return fd < 0 || dprintf(fd, "someone a-secret-of-hers\n=disk the-other-way\n") < 0 ||
	       close(fd);
}

static int remove_users(void **state)
{
	return unlink(users);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_command_line), cmocka_unit_test(a_file_of_users)};

	return cmocka_run_group_tests(tests, write_users, remove_users);
}
