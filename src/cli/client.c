/* client.c - see client.h. */
#include "client.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
#include "check.h"
#include "cli.h"

enum { EVERY_NS = 200000000 };

int client_exit(int error)
{
	/* clang-format off */
	static const struct { int error, code; } rows[] = {
		{-ECONNREFUSED, EXIT_NOT_RUNNING}, {-EHOSTUNREACH, EXIT_NOT_RUNNING}, {-ENETUNREACH, EXIT_NOT_RUNNING},
		{-ENOENT, EXIT_NOT_FOUND},         {-ENOTDIR, EXIT_NOT_FOUND},
		{-EACCES, EXIT_DENIED},            {-EPERM, EXIT_DENIED},            {-EROFS, EXIT_DENIED},
		{-EBUSY, EXIT_IN_USE},             {-ETXTBSY, EXIT_IN_USE},
	};
	/* clang-format on */

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].error == error)
			return rows[i].code;
	}
	return error < 0 ? EXIT_RUNTIME : EXIT_OK;
}

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
