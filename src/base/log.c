/* log.c - one line a write(2), so that lines of several threads never mix.
 *
 * A line that is longer than LINE_MAX_LEN is cut and ends in "...". errno is kept, so that a caller
 * may log first and return -errno afterwards. */
#include "log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

enum { LINE_MAX_LEN = 4096 + 1024 }; /* a path, and why it cannot be had */

enum log_level log_level = LOG_INFO;

static const char *const level_names[] = {
	[LOG_ERROR] = "error",
	[LOG_WARN] = "warning",
	[LOG_INFO] = "info",
	[LOG_DEBUG] = "debug",
};

static void write_all(const char *p, size_t len)
{
	while (len > 0) {
		ssize_t n = write(STDERR_FILENO, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return; /* nobody reads: there is no better place to say so */
		p += n;
		len -= (size_t)n;
	}
}

__attribute__((format(printf, 2, 0))) static void say(
	enum log_level level, const char *fmt, va_list ap)
{
	char line[LINE_MAX_LEN];
	int saved = errno, head, body;
	size_t len, room;

	head = snprintf(line, sizeof(line), "berth: %s%s",
		level == LOG_SILENT ? "" : level_names[level], level == LOG_SILENT ? "" : ": ");
	room = sizeof(line) - (size_t)head; /* the NUL's place becomes the newline's */
	errno = saved;                      /* for %m */
	body = vsnprintf(line + head, room, fmt, ap);
	len = (size_t)head + (body < 0 ? 0 : MIN((size_t)body, room - 1));
	if (body > 0 && (size_t)body >= room)
		memcpy(line + len - 3, "...", 3);
	for (size_t i = (size_t)head; i < len; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	line[len++] = '\n';
	write_all(line, len);
	errno = saved;
}

void log_plain(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(LOG_SILENT, fmt, ap);
	va_end(ap);
}

void log_line(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	if (level > log_level)
		return;
	va_start(ap, fmt);
	say(level, fmt, ap);
	va_end(ap);
}

/* --- what comes often --- */

bool log_often_may(struct log_often *o, uint64_t now_ns, unsigned *n_left_outp)
{
	*n_left_outp = 0;
	if (now_ns - o->since_ns >= LOG_OFTEN_S * UINT64_C(1000000000)) {
		*n_left_outp = o->n_left_out;
		*o = (struct log_often){.since_ns = now_ns};
	}
	if (o->n_said == LOG_OFTEN_LINES) {
		o->n_left_out++;
		return false;
	}
	o->n_said++;
	return true;
}

void log_often_line(struct log_often *o, enum log_level level, const char *fmt, ...)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of all accounts */
	int saved = errno;
	unsigned n_left_out;
	struct timespec t;
	va_list ap;
	bool may;

	if (level > log_level)
		return;
	clock_gettime(CLOCK_MONOTONIC, &t);
	pthread_mutex_lock(&lock);
	may = log_often_may(o, (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec, &n_left_out);
	pthread_mutex_unlock(&lock);
	errno = saved;
	if (!may)
		return;
	if (n_left_out)
		log_line(level, "%u lines like the next one were left out", n_left_out);
	va_start(ap, fmt);
	say(level, fmt, ap);
	va_end(ap);
}
