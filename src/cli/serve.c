/* serve.c - `berth serve`: from the arguments to a running server, and from a signal to its orderly end.
 *
 * Signals are taken by this thread alone, with sigwait: they are blocked before the server starts its
 * reactors, which inherit that. Standard output belongs to programs (URLs, then `ready`); everything for
 * people goes to standard error. */
#include "cli.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif
#include "check.h"
#include "identity.h"
#include "log.h"
#include "options.h"
#include "server.h"

enum { STOP_MS = 4000 }; /* of the five seconds that a stop may take; the rest is for closing */

/* notify - tell the service manager, if there is one. */
static void notify(const char *state)
{
#ifdef HAVE_SYSTEMD
	sd_notify(0, state);
#endif
}

/* exit_of - what an error of the server's start means to a script. */
static int exit_of(int error)
{
	/* clang-format off */
	static const struct { int error, code; } rows[] = {
		{-EINVAL, EXIT_CONFIG},     {-EISDIR, EXIT_CONFIG},
		{-ENOENT, EXIT_NOT_FOUND}, {-ENOTDIR, EXIT_NOT_FOUND}, {-ENXIO, EXIT_NOT_FOUND},
		{-EACCES, EXIT_DENIED},    {-EPERM, EXIT_DENIED},      {-EROFS, EXIT_DENIED},
		{-EBUSY, EXIT_IN_USE},     {-EADDRINUSE, EXIT_IN_USE}, {-EAGAIN, EXIT_IN_USE},
		{-ETXTBSY, EXIT_IN_USE},
	};
	/* clang-format on */

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].error == error)
			return rows[i].code;
	}
	return EXIT_RUNTIME;
}

static bool is_loopback(const struct io_addr *a)
{
	if (a->sa.sa_family == AF_INET)
		return ntohl(a->in.sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(&a->in6.sin6_addr) ||
	       (IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr) && a->in6.sin6_addr.s6_addr[12] == 127);
}

static void warn_of_strangers(const struct config *c)
{
	char text[IO_ADDR_TEXT];

	for (unsigned i = 0; !c->offer.chap && i < c->n_listen; i++) {
		if (!is_loopback(&c->listen[i]))
			log_warn(
				"%s can be reached from other machines, and there is no authentication: "
				"whoever connects can read and write",
				io_addr_text(&c->listen[i], text));
	}
}

/* take_descriptors - as many as we may have: the usual soft limit is there for programs that use select(), and a
 * disk takes two, a connection one. */
static void take_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* block_signals - a shell starts background jobs with SIGINT ignored; here it is obeyed all the same. */
static void block_signals(sigset_t *set)
{
	signal(SIGINT, SIG_DFL);
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* serve_until_stopped - the main thread's whole life while the reactors work. */
static void serve_until_stopped(struct server *s, const sigset_t *set)
{
	for (;;) {
		int sig = 0;

		if (sigwait(set, &sig))
			continue;
		if (sig == SIGUSR1) {
			server_dump(s, stderr);
			fflush(stderr);
			continue;
		}
		log_info("%s: stopping", sig == SIGTERM ? "SIGTERM" : "SIGINT");
		return;
	}
}

/* hurry_next_time - a second SIGTERM or Ctrl-C during the stop ends the process at once, as people
 * expect; one that came together with the first is forgotten. */
static void hurry_next_time(const sigset_t *set)
{
	signal(SIGUSR1, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	pthread_sigmask(SIG_UNBLOCK, set, NULL);
}

static int run(const struct config *c, const sigset_t *set)
{
	struct server *s = NULL;
	char err[256] = "";
	int r = server_new(&s, c, err, sizeof(err));

	if (r < 0) {
		fprintf(stderr, "berth: %s\n", *err ? err : strerror(-r));
		return exit_of(r);
	}
	server_print(s, stdout);
	puts("ready");
	if (fflush(stdout) < 0)
		log_warn("standard output: %s", strerror(errno));
	notify("READY=1");

	serve_until_stopped(s, set);
	notify("STOPPING=1");
	hurry_next_time(set);
	r = server_stop(s, STOP_MS);
	server_free(s);
	if (r < 0)
		log_error("stopped, but not all was written: %s", strerror(-r));
	return r < 0 ? EXIT_RUNTIME : EXIT_OK;
}

static int serve(struct config *c)
{
	char err[256] = "";
	sigset_t set;
	int r;

	if (c->verbose)
		log_level = LOG_DEBUG;
	r = identity_fill(c, err, sizeof(err));
	if (r < 0) {
		fprintf(stderr, "berth: %s\n", err);
		return exit_of(r);
	}
	warn_of_strangers(c);
	take_descriptors();
	block_signals(&set);
	return run(c, &set);
}

int cmd_serve(int argc, char **argv)
{
	struct config c;
	char err[512] = "";
	int r = options_parse(&c, argc - 1, argv + 1, err, sizeof(err));

	switch (r) {
	case OPTIONS_SERVE:
		r = serve(&c);
		break;
	case OPTIONS_HELP:
		options_help(stdout);
		r = EXIT_OK;
		break;
	case OPTIONS_VERSION:
		r = cmd_version(argc, argv);
		break;
	case -EINVAL:
		fprintf(stderr, "berth: %s\n", err);
		r = EXIT_USAGE;
		break;
	default:
		fprintf(stderr, "berth: %s\n", strerror(-r));
		r = EXIT_RUNTIME;
		break;
	}
	config_deinit(&c);
	return r;
}
