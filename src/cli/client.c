/* client.c - see client.h. */
#include "client.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "chap.h"
#include "check.h"
#include "cli.h"
#include "output.h"
#include "why.h"

enum { EVERY_NS = 200000000 };

int client_exit(int error)
{
	/* clang-format off */
	static const struct { int error, code; } rows[] = {
		{-ECONNREFUSED, EXIT_NOT_RUNNING}, {-EHOSTUNREACH, EXIT_NOT_RUNNING}, {-ENETUNREACH, EXIT_NOT_RUNNING},
		{-ENOENT, EXIT_NOT_FOUND},         {-ENOTDIR, EXIT_NOT_FOUND},          {-ENXIO, EXIT_NOT_FOUND},
		{-EACCES, EXIT_DENIED},            {-EPERM, EXIT_DENIED},            {-EROFS, EXIT_DENIED},
		{-EBUSY, EXIT_IN_USE},             {-ETXTBSY, EXIT_IN_USE},          {-EINVAL, EXIT_USAGE},
		{-EUCLEAN, EXIT_CONFIG},           {-EISDIR, EXIT_CONFIG},
	};
	/* clang-format on */

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].error == error)
			return rows[i].code;
	}
	return error < 0 ? EXIT_RUNTIME : EXIT_OK;
}

/* --- sessions --- */

/* user_of - the line that is meant: of the URL's name, or the only one. */
static const struct chap_user *user_of(const struct chap_db *db, const char *name)
{
	if (!*name)
		return db->n_users == 1 ? &db->users[0] : NULL;
	for (unsigned i = 0; i < db->n_users; i++) {
		if (!strcmp(db->users[i].name, name))
			return &db->users[i];
	}
	return NULL;
}

static int take_secrets(const char *path, struct berth_url *u, char *err, size_t err_len)
{
	const struct chap_user *user;
	struct chap_db db;
	char why[CLI_WHY];
	int rc = chap_db_load(&db, path, why, sizeof(why));

	if (rc)
		return why_not(err, err_len, rc, "--chap-file %s", why);
	user = user_of(&db, u->user);
	if (user) {
		snprintf(u->user, sizeof(u->user), "%s", user->name);
		snprintf(u->password, sizeof(u->password), "%s", user->secret);
		if (db.self.name && !*u->target_password) {
			snprintf(u->target_user, sizeof(u->target_user), "%s", db.self.name);
			snprintf(u->target_password, sizeof(u->target_password), "%s",
				db.self.secret);
		}
	} else {
		rc = why_not(err, err_len, -EINVAL, "--chap-file %s: %s%s", path,
			*u->user ? "has no line for " : "has several users, and the URL names none",
			u->user);
	}
	chap_db_deinit(&db);
	return rc;
}

int client_settle(const struct client_words *w, struct berth_url *u, struct berth_options *o,
	char *err, size_t err_len)
{
	unsigned ms = (unsigned)w->timeout_s * 1000;

	if (ms) {
		o->connect_ms = o->command_ms = ms;
		o->keepalive_ms = MIN(ms / 3, 5000u); /* silence of thrice that is a loss */
	}
	o->reconnect_ms = (unsigned)w->reconnect_s * 1000;
	if (!w->chap_file || *u->password)
		return 0;
	return take_secrets(w->chap_file, u, err, err_len);
}

const char *client_label(const struct berth_url *u, char buf[CLIENT_LABEL])
{
	bool v6 = strchr(u->host, ':');

	int n = snprintf(buf, CLIENT_LABEL, "iscsi://%s%s%s:%s", v6 ? "[" : "", u->host,
		v6 ? "]" : "", u->port);

	if (*u->target)
		snprintf(buf + n, (size_t)(CLIENT_LABEL - n), "/%s/%u", u->target, u->lun);
	return buf;
}

/* --- Ctrl-C --- */

static volatile sig_atomic_t caught;

static void on_signal(int number)
{
	caught = number;
}

void client_catch(void)
{
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};

	static const int numbers[] = {SIGINT, SIGTERM};

	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		struct sigaction was;

		/* A shell has its background jobs ignore Ctrl-C: that stays so. */
		if (!sigaction(numbers[i], NULL, &was) && was.sa_handler != SIG_IGN)
			sigaction(numbers[i], &sa, NULL);
	}
}

int client_caught(void)
{
	return caught;
}

/* A shell stops its script when what it ran has died of Ctrl-C, not when it has exited with a number. */
int client_leave(int code)
{
	if (caught) {
		code = output_end(code);
		signal(caught, SIG_DFL);
		raise(caught);
	}
	return code;
}

/* --- progress --- */

void progress_init(struct progress *p)
{
	*p = (struct progress){.on = isatty(STDERR_FILENO)};
}

void progress_say(struct progress *p, const char *fmt, ...)
{
	struct timespec t;
	uint64_t now;
	va_list ap;

	if (!p->on)
		return;
	clock_gettime(CLOCK_MONOTONIC, &t);
	now = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
	if (p->shown && now - p->last_ns < EVERY_NS)
		return;
	p->last_ns = now;
	p->shown = true;
	fputs("\r\033[K", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fflush(stderr);
}

void progress_end(struct progress *p)
{
	if (p->shown)
		fputs("\r\033[K", stderr);
	p->shown = false;
}

const char *client_bytes(double bytes, char buf[32])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
	unsigned u = 0;

	while (bytes >= 1024 && u + 1 < ARRAY_LEN(units)) {
		bytes /= 1024;
		u++;
	}
	snprintf(buf, 32, u ? "%.1f %s" : "%.0f %s", bytes, units[u]);
	return buf;
}
