/* test-options-memory.c - a command line that runs out of memory anywhere is told so, and nothing is left of it. */
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
	/* a file of users is refused with a line that says why */
	TORTURE(torture_hit() ? r == -ENOMEM || r == -EINVAL : r == OPTIONS_SERVE);
	config_deinit(&c);
}

static void a_command_line(void **state)
{
	assert_true(torture(parse, NULL) > 15);
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
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_command_line)};

	return cmocka_run_group_tests(tests, write_users, remove_users);
}
