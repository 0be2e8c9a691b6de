/* server.c - see server.h. What it says on standard error is kept in one file, and shown when a test fails. */
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_MS = 30000 };

static struct server *running; /* for die() */

static void remove_tree(const char *path)
{
	pid_t pid = fork();

	if (pid == 0) {
		execlp("rm", "rm", "-rf", "--", path, (char *)NULL);
		_exit(127);
	}
	waitpid(pid, NULL, 0);
}

static void show_last_words(const struct server *s)
{
	char path[128], line[400];
	FILE *f;

	snprintf(path, sizeof(path), "%s/err", s->dir);
	f = fopen(path, "re");
	if (!f)
		return;
	if (fseek(f, -3000, SEEK_END) == 0 && !fgets(line, sizeof(line), f))
		line[0] = '\0'; /* the rest of one */
	while (fgets(line, sizeof(line), f))
		printf("# server: %s", line);
	fclose(f);
}

void die(const char *fmt, ...)
{
	va_list ap;

	printf("not ok 1 - ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	if (running) {
		show_last_words(running);
		server_remove(running);
	}
	exit(1);
}

/* Buffer memory that outlives the process must be on tmpfs, and what is killed needs a directory of its own. */
void server_prepare(struct server *s, uint64_t size)
{
	const char *tmp = getenv("TMPDIR");
	int fd;

	s->program = getenv("BERTH");
	s->engine = getenv("BERTH_ENGINE");
	running = s;
	if (!s->program)
		die("BERTH is the program to test");
	snprintf(s->dir, sizeof(s->dir), "%.40s/berth-kill-XXXXXX", tmp ? tmp : "/tmp");
	strcpy(s->run_dir, "/dev/shm/berth-kill-XXXXXX");
	if (!mkdtemp(s->dir) || !mkdtemp(s->run_dir))
		die("no directory: %s", strerror(errno));
	snprintf(s->image, sizeof(s->image), "%s/disk.img", s->dir);
	fd = open(s->image, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)size))
		die("%s: %s", s->image, strerror(errno));
	close(fd);
}

static void run_child(const struct server *s, int out)
{
	char disk[300], state[80], err[80];
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL); /* should we be killed ourselves */
	snprintf(disk, sizeof(disk), "%s%s", s->image, s->options);
	snprintf(state, sizeof(state), "%s/state", s->dir);
	snprintf(err, sizeof(err), "%s/err", s->dir);
	mkdir(state, 0700);
	mkdir(s->run_dir, 0700);
	fd = open(err, O_WRONLY | O_CREAT | O_APPEND, 0600);
	dup2(out, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	execl(s->program, s->program, "serve", "--listen", "127.0.0.1:0", "--target",
		"iqn.2026-11.io.berth:kill", "--engine", s->engine ? s->engine : "auto",
		"--threads", "2", "--cache", "32M", "--state-dir", state, "--run-dir", s->run_dir,
		disk, (char *)NULL);
	dprintf(STDERR_FILENO, "%s: %s\n", s->program, strerror(errno));
	_exit(127);
}

void server_begin(struct server *s)
{
	int out[2];

	if (pipe2(out, O_CLOEXEC))
		die("pipe: %s", strerror(errno));
	fflush(stdout);
	s->pid = fork();
	if (s->pid == 0)
		run_child(s, out[1]);
	close(out[1]);
	s->out = out[0];
	s->n_starts++;
	if (s->pid < 0)
		die("fork: %s", strerror(errno));
}

/* server_await - ready; false: it ended before. */
static bool server_await(struct server *s)
{
	char text[1024] = "";
	size_t len = 0;

	while (!strstr(text, "ready\n")) {
		struct pollfd p = {.fd = s->out, .events = POLLIN};
		ssize_t n;

		if (poll(&p, 1, PATIENCE_MS) <= 0)
			die("start %u: the server does not get ready", s->n_starts);
		n = read(s->out, text + len, sizeof(text) - 1 - len);
		if (n <= 0)
			return false;
		len += (size_t)n;
		text[len] = '\0';
	}
	if (sscanf(text, "%511s", s->url) != 1)
		die("ready, but no URL");
	return true;
}

void server_start(struct server *s)
{
	server_begin(s);
	if (!server_await(s))
		die("start %u: the server ended before it was ready", s->n_starts);
}

static int reap(struct server *s)
{
	int status = 0;

	waitpid(s->pid, &status, 0);
	close(s->out);
	s->pid = 0;
	return status;
}

void server_kill(struct server *s)
{
	kill(s->pid, SIGKILL);
	reap(s);
}

void server_stop(struct server *s)
{
	int status;

	kill(s->pid, SIGTERM);
	status = reap(s);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		die("after SIGTERM the server ended with status 0x%x", (unsigned)status);
}

void server_forget(struct server *s)
{
	remove_tree(s->run_dir);
}

void server_remove(struct server *s)
{
	if (s->pid > 0)
		server_kill(s);
	remove_tree(s->run_dir);
	remove_tree(s->dir);
	running = NULL;
}
