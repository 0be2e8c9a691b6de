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
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif
#include "check.h"
#include "identity.h"
#include "log.h"
#include "options.h"
#include "output.h"
#include "parse.h"
#include "server.h"
#include "why.h"

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
		{-EINVAL, EXIT_CONFIG},    {-EISDIR, EXIT_CONFIG},     {-EUCLEAN, EXIT_CONFIG},
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

/* warn_of_nothing - lawful, and good for trying what an initiator does with a disk that it may not write. */
static void warn_of_nothing(const struct config *c)
{
	for (unsigned i = 0; i < c->n_disks; i++) {
		if (!c->disks[i].path && c->disks[i].ro)
			log_warn("%s: a disk in memory that is read-only reads as zeros, always",
				c->disks[i].text);
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

/* block_signals - a shell starts background jobs with SIGINT ignored; here it is obeyed all the same. A SIGHUP that is
 * ignored stays so (nohup), else it is the end of the terminal. */
static void block_signals(sigset_t *set)
{
	struct sigaction hup;

	signal(SIGINT, SIG_DFL);
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGUSR1);
	if (!sigaction(SIGHUP, NULL, &hup) && hup.sa_handler != SIG_IGN)
		sigaddset(set, SIGHUP);
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
		log_info("SIG%s: stopping", sigabbrev_np(sig));
		return;
	}
}

/* --- the buffer memory and the service manager, which keeps it when we die --- */

#define MEMORY_NAME "berth-memory"

/* take_memory - what it has kept of an earlier run; -1: nothing. */
static int take_memory(void)
{
	int fd = -1;
#ifdef HAVE_SYSTEMD
	char **names = NULL;
	int n = sd_listen_fds_with_names(1, &names);

	for (int i = 0; i < n; i++) {
		if (fd < 0 && !strcmp(names[i], MEMORY_NAME))
			fd = SD_LISTEN_FDS_START + i;
		else
			close(SD_LISTEN_FDS_START + i);
		free(names[i]);
	}
	free(names);
#endif
	return fd;
}

static void give_memory(const struct server *s)
{
#ifdef HAVE_SYSTEMD
	int fd = server_memory_fd(s);

	if (fd >= 0)
		sd_pid_notify_with_fds(0, 0, "FDSTORE=1\nFDNAME=" MEMORY_NAME, &fd, 1);
#endif
}

static bool same_file(const struct stat *a, int fd)
{
	struct stat b;

	return fd >= 0 && fstat(fd, &b) == 0 && a->st_dev == b.st_dev && a->st_ino == b.st_ino;
}

/* --- stopping --- */

enum { PROGRESS_MS = 1000, SAY_EVERY = 5 };

struct stop {
	struct server_watch watch;
	const sigset_t *set;
	bool hurry;
	unsigned n_progress;
	struct timespec next;
};

static bool is_due(struct stop *st)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec < st->next.tv_sec ||
		(now.tv_sec == st->next.tv_sec && now.tv_nsec < st->next.tv_nsec))
		return false;
	st->next = now;
	st->next.tv_sec += PROGRESS_MS / 1000;
	return true;
}

/* The service manager gives us more time for as long as there is progress to tell of. */
static void tell_progress(struct stop *st, uint64_t left)
{
	char text[120];

	if (!left || !is_due(st))
		return;
	snprintf(text, sizeof(text), "EXTEND_TIMEOUT_USEC=30000000\nSTATUS=Writing back, %s left",
		SIZE(left));
	notify(text);
	if (++st->n_progress % SAY_EVERY == 0)
		log_info("writing back, %s left", SIZE(left));
}

/* go_on - a second SIGTERM or Ctrl-C leaves the rest in memory, and after it a third one ends the process as people
 * expect. */
static bool go_on(struct server_watch *w, uint64_t left)
{
	struct stop *st = container_of(w, struct stop, watch);
	const struct timespec none = {0};
	int sig;

	tell_progress(st, left);
	while (!st->hurry && (sig = sigtimedwait(st->set, NULL, &none)) > 0)
		st->hurry = sig != SIGUSR1;
	if (st->hurry)
		pthread_sigmask(SIG_UNBLOCK, st->set, NULL);
	return !st->hurry;
}

/* One that came together with the first is forgotten; nobody asks for tables any more. */
static void forget_signals(const sigset_t *set)
{
	const struct timespec none = {0};

	signal(SIGUSR1, SIG_IGN);
	while (sigtimedwait(set, NULL, &none) > 0)
		continue;
}

static int stop(struct server *s, const sigset_t *set)
{
	struct stop st = {.watch.go_on = go_on, .set = set};
	uint64_t left;
	int r;

	notify("STOPPING=1");
	forget_signals(set);
	r = server_stop(s, STOP_MS, &st.watch);
	left = server_unclean_bytes(s);
	if (left)
		log_warn("stopped; %s of acknowledged data are not on their disks: they are left "
			 "in memory, and the next start writes them",
			SIZE(left));
	else if (r < 0)
		log_error("stopped, but not all was written: %s", strerror(-r));
	return left ? -EINTR : r;
}

static int run(struct config *c, const sigset_t *set)
{
	struct server *s = NULL;
	struct stat stored = {0};
	char err[CLI_WHY] = "";
	bool ours;
	int r, told;

	if (c->memory_fd >= 0)
		(void)fstat(c->memory_fd, &stored);
	r = server_new(&s, c, err, sizeof(err));
	if (r < 0) {
		identity_undo(c);
		log_plain("%s", *err ? err : strerror(-r));
		return exit_of(r);
	}
	give_memory(s);
	server_print(s, stdout);
	puts("ready");
	told = output_flush();
	if (told < 0) /* what initiators know already is worth more than a line */
		log_error(
			"standard output: %s: the URLs and `ready` are lost; serving all the same",
			strerror(-told));
	notify("READY=1");

	serve_until_stopped(s, set);
	r = stop(s, set);
	/* What it keeps of disks that were not served stays with it. */
	ours = !stored.st_ino || same_file(&stored, server_memory_fd(s));
	server_free(s);
	if (r >= 0 && ours)
		notify("FDSTOREREMOVE=1\nFDNAME=" MEMORY_NAME);
	return r < 0 ? EXIT_RUNTIME : EXIT_OK;
}

static int load_secrets(struct config *c, char *err, size_t err_len)
{
	char why[CLI_WHY];
	int r;

	if (!c->chap_file)
		return 0;
	r = chap_db_load(&c->chap, c->chap_file, why, sizeof(why));
	if (r < 0)
		return why_not(err, err_len, r, "--chap-file %s", why);
	c->offer.chap = &c->chap;
	return 0;
}

static int serve(struct config *c)
{
	char err[CLI_WHY] = "";
	sigset_t set;
	int r;

	if (c->verbose)
		log_level = LOG_DEBUG;
	r = load_secrets(c, err, sizeof(err));
	if (!r) {
		block_signals(&set); /* whatever is made from here on is also removed */
		r = identity_fill(c, err, sizeof(err));
	}
	if (r < 0) {
		identity_undo(c);
		log_plain("%s", err);
		return exit_of(r);
	}
	warn_of_strangers(c);
	warn_of_nothing(c);
	c->memory_fd = take_memory();
	take_descriptors();
	return run(c, &set);
}

int cmd_serve(int argc, char **argv)
{
	struct config c;
	char err[CLI_WHY] = "";
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
		r = cmd_version(1, argv);
		break;
	case -EINVAL:
		log_plain("%s", err);
		r = EXIT_USAGE;
		break;
	default:
		log_plain("%s", strerror(-r));
		r = EXIT_RUNTIME;
		break;
	}
	config_deinit(&c);
	return r;
}
