/* test-serve.c - what `berth serve` does with signals, its two output streams and its exit code. The server
 * itself is played by this file: whatever matters here is when it is called. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "cli.h"
#include "server.h"

/* --- a server that is no server --- */

static int start_error, stop_error;
static uint64_t unclean; /* bytes that it never gets rid of */

int server_new(struct server **sp, const struct config *c, char *err, size_t err_len)
{
	if (start_error) {
		snprintf(err, err_len, "%s: made to fail", c->disks[0].text);
		return start_error;
	}
	*sp = (struct server *)sp;
	return 0;
}

void server_print(const struct server *s, FILE *f)
{
	fputs("iscsi://here/0\n", f);
}

void server_dump(struct server *s, FILE *f)
{
	fputs("placed_bytes 0\n", f);
}

int server_stop(struct server *s, unsigned timeout_ms, struct server_watch *watch)
{
	fprintf(stderr, "stop within %u\n", timeout_ms);
	while (watch->go_on(watch, unclean) && unclean)
		usleep(10000);
	return stop_error;
}

uint64_t server_unclean_bytes(const struct server *s)
{
	return unclean;
}

int server_memory_fd(const struct server *s)
{
	return -1;
}

struct server *server_free(struct server *s)
{
	fputs("freed\n", stderr);
	return NULL;
}

/* --- a child that serves --- */

struct child {
	pid_t pid;
	int out, err;
	char out_text[4096], err_text[8192];
};

static void start(struct child *c, char **argv)
{
	int out[2], err[2], argc = 0;

	memset(c, 0, sizeof(*c));
	assert_int_equal(pipe(out), 0);
	assert_int_equal(pipe(err), 0);
	while (argv[argc])
		argc++;
	c->pid = fork();
	assert_true(c->pid >= 0);
	if (!c->pid) {
		alarm(20); /* a child that hangs must not outlive the test */
		dup2(out[1], 1);
		dup2(err[1], 2);
		close(out[0]);
		close(err[0]);
		int r = cmd_serve(argc, argv);
		fflush(NULL);
		_exit(r);
	}
	close(out[1]);
	close(err[1]);
	c->out = out[0];
	c->err = err[0];
}

/* wait_for - read fd until the words are there; NULL: until its end. */
static void wait_for(int fd, char *text, size_t room, const char *words)
{
	size_t have = strlen(text);

	while (!words || !strstr(text, words)) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t n;

		if (poll(&p, 1, 15000) != 1)
			fail_msg("no \"%s\" in \"%s\"", words ? words : "end", text);
		n = read(fd, text + have, room - 1 - have);
		if (n <= 0) {
			if (words)
				fail_msg("ended without \"%s\": \"%s\"", words, text);
			return;
		}
		have += (size_t)n;
		text[have] = '\0';
	}
}

static int finish(struct child *c)
{
	int status;

	wait_for(c->out, c->out_text, sizeof(c->out_text), NULL);
	wait_for(c->err, c->err_text, sizeof(c->err_text), NULL);
	close(c->out);
	close(c->err);
	assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
	if (!WIFEXITED(status))
		fail_msg("ended by signal %d", WTERMSIG(status));
	return WEXITSTATUS(status);
}

#define ARGV(...) ((char *[]){"serve", __VA_ARGS__, NULL})
#define SAYS(text, words)                                                                          \
	do {                                                                                       \
		if (!strstr(text, words))                                                          \
			fail_msg("no \"%s\" in \"%s\"", words, text);                              \
	} while (0)

static int quiet(void **state)
{
	start_error = stop_error = 0;
	unclean = 0;
	return 0;
}

static void ready_after_the_urls_then_stopped(void **state)
{
	static const int signals[] = {SIGTERM, SIGINT};

	for (size_t i = 0; i < 2; i++) {
		struct child c;

		start(&c, ARGV("--ram", "1M"));
		wait_for(c.out, c.out_text, sizeof(c.out_text), "ready\n");
		assert_string_equal(c.out_text, "iscsi://here/0\nready\n");
		kill(c.pid, signals[i]);
		assert_int_equal(finish(&c), EXIT_OK);
		SAYS(c.err_text, "stop within 4000");
		SAYS(c.err_text, "freed");
	}
}

static void usr1_dumps_and_goes_on(void **state)
{
	struct child c;

	start(&c, ARGV("--ram", "1M"));
	wait_for(c.out, c.out_text, sizeof(c.out_text), "ready\n");
	for (unsigned i = 0; i < 2; i++) {
		c.err_text[0] = '\0';
		kill(c.pid, SIGUSR1);
		wait_for(c.err, c.err_text, sizeof(c.err_text), "placed_bytes 0\n");
	}
	kill(c.pid, SIGTERM);
	assert_int_equal(finish(&c), EXIT_OK);
	assert_string_equal(
		c.out_text, "iscsi://here/0\nready\n"); /* the dump is not for programs */
}

static void a_reader_that_went_away(void **state)
{
	struct child c;

	start(&c, ARGV("--ram", "1M"));
	wait_for(c.out, c.out_text, sizeof(c.out_text), "ready\n");
	close(c.out);
	c.out = open("/dev/null", O_RDONLY | O_CLOEXEC);
	kill(c.pid, SIGPIPE);
	kill(c.pid, SIGUSR1);
	wait_for(c.err, c.err_text, sizeof(c.err_text), "placed_bytes 0\n");
	kill(c.pid, SIGTERM);
	assert_int_equal(finish(&c), EXIT_OK);
}

static void errors_of_the_start_have_codes(void **state)
{
	static const struct {
		int error, code;
	} rows[] = {{-ENOENT, EXIT_NOT_FOUND}, {-EACCES, EXIT_DENIED}, {-EBUSY, EXIT_IN_USE},
		{-EADDRINUSE, EXIT_IN_USE}, {-EINVAL, EXIT_CONFIG}, {-EIO, EXIT_RUNTIME}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct child c;

		start_error = rows[i].error;
		start(&c, ARGV("--ram", "1M"));
		assert_int_equal(finish(&c), rows[i].code);
		assert_string_equal(c.out_text, "");
		SAYS(c.err_text, "berth: --ram 1M: made to fail\n");
	}
}

static void what_was_not_written_is_told(void **state)
{
	struct child c;

	stop_error = -EIO;
	start(&c, ARGV("--ram", "1M"));
	wait_for(c.out, c.out_text, sizeof(c.out_text), "ready\n");
	kill(c.pid, SIGTERM);
	assert_int_equal(finish(&c), EXIT_RUNTIME);
	SAYS(c.err_text, "not all was written");
}

static void a_second_signal_leaves_the_rest_in_memory(void **state)
{
	struct child c;

	unclean = 5 << 20;
	start(&c, ARGV("--ram", "1M"));
	wait_for(c.out, c.out_text, sizeof(c.out_text), "ready\n");
	kill(c.pid, SIGTERM);
	wait_for(c.err, c.err_text, sizeof(c.err_text), "stop within");
	usleep(100000);
	assert_int_equal(waitpid(c.pid, NULL, WNOHANG), 0);
	kill(c.pid, SIGTERM);
	assert_int_equal(finish(&c), EXIT_RUNTIME);
	SAYS(c.err_text, "5M of acknowledged data");
	SAYS(c.err_text, "freed");
}

static void usage(void **state)
{
	struct child c;

	start(&c, (char *[]){"serve", NULL});
	assert_int_equal(finish(&c), EXIT_USAGE);
	assert_string_equal(c.err_text, "berth: no disk to serve (give a FILE or --ram SIZE)\n");
	start(&c, ARGV("--ram", "12x"));
	assert_int_equal(finish(&c), EXIT_USAGE);
	assert_string_equal(c.err_text, "berth: --ram 12x: not a size (try 512M, 1G)\n");
	start(&c, ARGV("--help"));
	assert_int_equal(finish(&c), EXIT_OK);
	SAYS(c.out_text, "Usage: berth serve");
	start(&c, ARGV("/nonexistent/berth.img"));
	assert_int_equal(finish(&c), EXIT_NOT_FOUND);
	SAYS(c.err_text, "berth: /nonexistent/berth.img: No such file");
}

static void strangers_are_warned_of(void **state)
{
	static const struct {
		char *listen;
		bool warned;
	} rows[] = {{"127.0.0.1:3260", false}, {"127.1.2.3:0", false}, {"[::1]:3260", false},
		{"0.0.0.0:3260", true}, {"[::]:3260", true}, {"192.0.2.1:3260", true}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct child c;

		start(&c, ARGV("--ram", "1M", "--listen", rows[i].listen));
		wait_for(c.out, c.out_text, sizeof(c.out_text), "ready\n");
		kill(c.pid, SIGTERM);
		assert_int_equal(finish(&c), EXIT_OK);
		assert_int_equal(!!strstr(c.err_text, "no authentication"), rows[i].warned);
	}
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup(fn, quiet)
	const struct CMUnitTest tests[] = {T(ready_after_the_urls_then_stopped),
		T(usr1_dumps_and_goes_on), T(a_reader_that_went_away),
		T(errors_of_the_start_have_codes), T(what_was_not_written_is_told),
		T(a_second_signal_leaves_the_rest_in_memory), T(usage), T(strangers_are_warned_of)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
