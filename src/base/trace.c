/* trace.c - whole lines gathered in one buffer, written when it is full, flushed or closed.
 *
 * When the file takes no more (full disk), the trace is switched off with one line in the log: a
 * trace with silent holes would prove nothing. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "check.h"
#include "log.h"
#include "trace.h"

enum { LINE_ROOM = 1024, BUF_ROOM = 64 << 10 };

bool trace_on;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int trace_fd = -1; /* from here on under lock */
static size_t buf_len;
static char buf[BUF_ROOM];

static void flush_locked(void)
{
	size_t at = 0;

	while (at < buf_len && trace_fd >= 0) {
		ssize_t n = write(trace_fd, buf + at, buf_len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			log_error(
				"trace: %s, no more is written", strerror(n < 0 ? errno : ENOSPC));
			close(trace_fd);
			trace_fd = -1;
			break;
		}
		at += (size_t)n;
	}
	buf_len = 0;
}

int trace_open(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0)
		return -errno;
	trace_close();
	pthread_mutex_lock(&lock);
	trace_fd = fd;
	pthread_mutex_unlock(&lock);
	trace_on = true;
	return 0;
}

void trace_flush(void)
{
	if (!trace_on)
		return;
	pthread_mutex_lock(&lock);
	flush_locked();
	pthread_mutex_unlock(&lock);
}

void trace_close(void)
{
	trace_flush();
	trace_on = false;
	pthread_mutex_lock(&lock);
	if (trace_fd >= 0)
		close(trace_fd);
	trace_fd = -1;
	pthread_mutex_unlock(&lock);
}

void trace_line(const char *fmt, ...)
{
	char line[LINE_ROOM];
	va_list ap;
	size_t len;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	len = MIN((size_t)n, sizeof(line) - 1);
	line[len++] = '\n'; /* where the NUL was */
	pthread_mutex_lock(&lock);
	if (buf_len + len > sizeof(buf))
		flush_locked();
	memcpy(buf + buf_len, line, len);
	buf_len += len;
	pthread_mutex_unlock(&lock);
}
