/* daemon.c - starts `berth serve` on a free port of 127.0.0.1, and looks after it by its process
 * number.
 *
 * Standard error is a memory file: it never blocks the server, and is read from where the last look
 * ended. A dump (SIGUSR1) has ended when its rows are there and nothing more comes for a moment. */
#include "daemon.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "scene.h"

enum { START_MS = 20000, STOP_MS = 20000, SETTLE_MS = 8000, DUMP_MS = 5000, QUIET_MS = 60 };
enum { LINE = 600, TALK = 20000 };

/* --- looking at what it says --- */
static size_t said_len(const struct daemon *d)
{
	struct stat st;

	return fstat(d->err, &st) ? 0 : (size_t)st.st_size;
}

/* said_from - standard error from an offset on, ended by NUL; the case's memory. */
static char *said_from(const struct daemon *d, size_t from)
{
	size_t len = said_len(d) - from;
	char *text = scene_alloc(len + 1);
	ssize_t n = pread(d->err, text, len, (off_t)from);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static bool row_parse(struct dump_row *r, const char *line)
{
	unsigned long long value;
	int end = 0;

	if (sscanf(line, "%55[^ ] %llu%n", r->name, &value, &end) != 2 || line[end])
		return false;
	r->value = value;
	return true;
}

static void dump_parse(struct dump *out, char *text)
{
	char *save = NULL;

	out->n = 0;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (out->n < DAEMON_ROWS && row_parse(&out->rows[out->n], line))
			out->n++;
}

static const struct dump_row *dump_find(const struct dump *d, const char *name)
{
	for (unsigned i = 0; i < d->n; i++)
		if (!strcmp(d->rows[i].name, name))
			return &d->rows[i];
	return NULL;
}

uint64_t dump_get(const struct dump *d, const char *name)
{
	const struct dump_row *r = dump_find(d, name);

	EXPECT(r, "the server's dump has no row %s", name);
	return r->value;
}

uint64_t dump_sum(const struct dump *d, const char *name_start)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < d->n; i++)
		if (!strncmp(d->rows[i].name, name_start, strlen(name_start)))
			sum += d->rows[i].value;
	return sum;
}

void daemon_dump(struct daemon *d, struct dump *out)
{
	size_t from = said_len(d), len = from;
	int64_t start = scene_now_ms(), changed = start;

	EXPECT(d->pid && kill(d->pid, SIGUSR1) == 0, "no server to ask");
	for (;;) {
		int64_t now = scene_now_ms();

		if (said_len(d) != len) {
			len = said_len(d);
			changed = now;
		} else if (len > from && now - changed >= QUIET_MS) {
			dump_parse(out, said_from(d, from));
			if (dump_find(out, "sessions") && dump_find(out, "receive_calls"))
				return;
		}
		EXPECT(now - start < DUMP_MS, "the server did not answer SIGUSR1");
		scene_sleep(5);
	}
}

/* left_over - the first row that says that something is still there, or NULL. */
static const char *left_over(const struct dump *d)
{
	static const char *const rows[] = {
		"sessions", "connections", "tasks", "granted", "draining"};
	char mapped[56], shared[56];

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (dump_get(d, rows[i]))
			return rows[i];
	for (unsigned i = 0; i < d->n; i++) {
		if (strncmp(d->rows[i].name, "lent_pages", 10))
			continue;
		snprintf(mapped, sizeof(mapped), "mapped_pages%s", d->rows[i].name + 10);
		snprintf(shared, sizeof(shared), "shared_pages%s", d->rows[i].name + 10);
		if (d->rows[i].value + dump_get(d, shared) != dump_get(d, mapped))
			return d->rows[i].name;
	}
	return NULL;
}

void daemon_settled(struct daemon *d)
{
	int64_t start = scene_now_ms();
	const char *left;
	struct dump dump;

	if (!d->pid)
		return;
	for (;;) {
		daemon_dump(d, &dump);
		left = left_over(&dump);
		if (!left)
			return;
		EXPECT(scene_now_ms() - start < SETTLE_MS, "left over: %s %llu", left,
			(unsigned long long)dump_get(&dump, left));
		scene_sleep(100);
	}
}

/* --- starting --- */
static void take_url(struct daemon *d, const char *url)
{
	unsigned port, lun;

	EXPECT(sscanf(url, "iscsi://%63[^:]:%u/%223[^/]/%u", d->host, &port, d->iqn, &lun) == 4,
		"not a URL: %s", url);
	d->port = (uint16_t)port;
	d->lun = lun;
}

static void run_child(const struct daemon *d, char *const *argv, int out)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* should we be killed ourselves */
	dup2(out, STDOUT_FILENO);
	dup2(d->err, STDERR_FILENO);
	execv(argv[0], argv);
	dprintf(STDERR_FILENO, "%s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

/* expect_ready - one URL a LUN, then `ready`; the first URL is the one we use. */
static void expect_ready(struct daemon *d)
{
	char text[LINE * 8] = "", *line, *end;
	size_t len = 0;
	int64_t give_up = scene_now_ms() + START_MS;

	for (;;) {
		struct pollfd pfd = {.fd = d->out, .events = POLLIN};
		int64_t left = give_up - scene_now_ms();
		ssize_t n;

		EXPECT(left > 0 && poll(&pfd, 1, (int)left) > 0, "the server does not get ready");
		n = read(d->out, text + len, sizeof(text) - 1 - len);
		EXPECT(n > 0, "the server ended before it was ready");
		len += (size_t)n;
		text[len] = '\0';
		if (!strcmp(text, "ready\n") || strstr(text, "\nready\n"))
			break;
	}
	for (line = text; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		*end = '\0';
		if (!strcmp(line, "ready"))
			break;
		if (d->n_luns++ == 0)
			take_url(d, line);
	}
	EXPECT(d->n_luns, "ready, but no URL");
}

static void make_dir(struct daemon *d)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(d->dir, sizeof(d->dir), "%.40s/berth-XXXXXX", tmp ? tmp : "/tmp");
	EXPECT(mkdtemp(d->dir), "%s: %s", d->dir, strerror(errno));
	snprintf(d->trace, sizeof(d->trace), "%s/trace", d->dir);
	/* Where there is no such tmpfs the server finds another, or says so. */
	snprintf(d->run, sizeof(d->run), "/dev/shm/berth-XXXXXX");
	if (!mkdtemp(d->run))
		snprintf(d->run, sizeof(d->run), "%s", d->dir);
}

static void make_file(struct daemon *d, uint64_t size, bool on_tmpfs)
{
	int fd;

	snprintf(d->file, sizeof(d->file), "%s/disk.img", on_tmpfs ? d->run : d->dir);
	fd = open(d->file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	EXPECT(fd >= 0 && ftruncate(fd, (off_t)size) == 0, "%s: %s", d->file, strerror(errno));
	close(fd);
}

/* arguments - "--trace" without a value gets the case's own file. */
static unsigned arguments(
	struct daemon *d, char **argv, const char *const *args, const struct daemon_disk *disk)
{
	static char env[LINE], text[LINE];
	unsigned n = 0;
	char *save = NULL, *engine = getenv("BERTH_ENGINE");

	argv[n++] = getenv("BERTH");
	argv[n++] = (char *)"serve";
	argv[n++] = (char *)"--listen";
	argv[n++] = (char *)"127.0.0.1:0";
	argv[n++] = (char *)"--target";
	argv[n++] = (char *)"iqn.2026-11.io.berth:test";
	argv[n++] = (char *)"--cache";
	argv[n++] = (char *)"64M";
	argv[n++] = (char *)"--run-dir";
	argv[n++] = d->run;
	if (disk->ram)
		argv[n++] = (char *)"--ram";
	snprintf(text, sizeof(text), "%s%s", disk->ram ? disk->ram : d->file,
		disk->options ? disk->options : "");
	argv[n++] = text;
	if (engine && *engine) {
		argv[n++] = (char *)"--engine";
		argv[n++] = engine;
	}
	snprintf(env, sizeof(env), "%s", getenv("BERTH_ARGS") ? getenv("BERTH_ARGS") : "");
	for (char *a = strtok_r(env, " ", &save); a && n < 30; a = strtok_r(NULL, " ", &save))
		argv[n++] = a;
	for (; *args; args++) {
		argv[n++] = (char *)*args;
		if (!strcmp(*args, "--trace"))
			argv[n++] = d->trace;
	}
	argv[n] = NULL;
	return n;
}

void daemon_start(struct daemon *d, const char *const *args, const struct daemon_disk *disk)
{
	char *argv[DAEMON_ARGS];
	int out[2];

	*d = (struct daemon){.out = -1, .err = -1};
	if (getenv("BERTH_URL")) {
		take_url(d, getenv("BERTH_URL"));
		return;
	}
	make_dir(d);
	if (!disk->ram)
		make_file(d, disk->file, disk->on_tmpfs);
	arguments(d, argv, args, disk);
	d->err = memfd_create("stderr", MFD_CLOEXEC);
	EXPECT(d->err >= 0 && pipe2(out, O_CLOEXEC) == 0, "no descriptors: %s", strerror(errno));
	fcntl(d->err, F_SETFL, O_APPEND);
	d->pid = fork();
	if (d->pid == 0)
		run_child(d, argv, out[1]);
	close(out[1]);
	d->out = out[0];
	EXPECT(d->pid > 0, "fork: %s", strerror(errno));
	expect_ready(d);
}

/* --- ending --- */
static bool ended(struct daemon *d, int timeout_ms, int *statusp)
{
	int64_t give_up = scene_now_ms() + timeout_ms;

	for (;;) {
		pid_t pid = waitpid(d->pid, statusp, WNOHANG);

		if (pid == d->pid || pid < 0) {
			d->pid = 0;
			return true;
		}
		if (scene_now_ms() >= give_up)
			return false;
		scene_sleep(5);
	}
}

void daemon_begin_stop(struct daemon *d)
{
	if (!d->stopping)
		kill(d->pid, SIGTERM);
	d->stopping = true;
}

void daemon_stop_with(struct daemon *d, int want)
{
	static const char *const words[] = {
		"AddressSanitizer", "ThreadSanitizer", "LeakSanitizer", "runtime error:"};
	const char *said;
	int status = 0;

	if (!d->pid)
		return;
	daemon_begin_stop(d);
	EXPECT(ended(d, STOP_MS, &status), "the server does not end on SIGTERM");
	EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == want, "the server ended with %s %d",
		WIFSIGNALED(status) ? "signal" : "status",
		WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	said = said_from(d, 0);
	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		EXPECT(!strstr(said, words[i]), "%s spoke", words[i]);
}

void daemon_stop(struct daemon *d)
{
	daemon_stop_with(d, 0);
}

bool daemon_says(const struct daemon *d, const char *text)
{
	return strstr(said_from(d, 0), text) != NULL;
}

/* A server that was killed leaves its memory. */
static void remove_run(const struct daemon *d)
{
	DIR *dir = d->run[0] ? opendir(d->run) : NULL;
	struct dirent *e;

	while (dir && (e = readdir(dir)))
		if (!strncmp(e->d_name, "memory.", 7))
			unlinkat(dirfd(dir), e->d_name, 0);
	if (dir)
		closedir(dir);
	rmdir(d->run);
}

void daemon_remove(struct daemon *d, bool talk)
{
	char text[TALK + 1], *save = NULL;
	struct dump_row row;
	size_t len, from;
	int status;
	ssize_t n;

	if (d->pid > 0) {
		kill(d->pid, SIGKILL);
		ended(d, STOP_MS, &status);
	}
	if (d->err >= 0 && talk) {
		len = said_len(d);
		from = len > TALK ? len - TALK : 0;
		n = pread(d->err, text, TALK, (off_t)from);
		text[n > 0 ? n : 0] = '\0';
		for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save))
			if (!row_parse(&row, l)) /* not the dumps */
				scene_note("server: %s", l);
	}
	if (d->err >= 0)
		close(d->err);
	if (d->out >= 0)
		close(d->out);
	if (d->dir[0]) {
		unlink(d->trace);
		unlink(d->file);
		remove_run(d);
		rmdir(d->dir);
	}
	*d = (struct daemon){.out = -1, .err = -1};
}

uint64_t daemon_rss(const struct daemon *d)
{
	char path[40], text[120] = "";
	unsigned long long size, resident = 0;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/statm", d->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	EXPECT(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0, "%s: %s", path, strerror(errno));
	close(fd);
	EXPECT(sscanf(text, "%llu %llu", &size, &resident) == 2, "%s", path);
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* --- peers --- */
struct peer *daemon_connect(const struct daemon *d)
{
	struct peer *p = peer_connect(d->host, d->port);

	snprintf(p->target, sizeof(p->target), "%s", d->iqn);
	p->lun = (uint64_t)d->lun << 48; /* peripheral addressing (SAM-5 4.7.7.2) */
	return p;
}

void daemon_settle(const struct daemon *d, struct peer *p)
{
	uint64_t own = p->lun;

	for (unsigned i = 0; i < d->n_luns; i++) {
		p->lun = (uint64_t)i << 48;
		peer_settle(p);
	}
	p->lun = own;
}

struct peer *daemon_peer(const struct daemon *d, const struct peer_params *want)
{
	struct peer_params standard = peer_params_default();
	struct peer *p = daemon_connect(d);

	peer_login(p, want ? want : &standard);
	daemon_settle(d, p);
	return p;
}
