/* log.c - one line a write(2), so that lines of several threads never mix.
 *
 * A line that is longer than LINE_MAX_LEN is cut and ends in "...". errno is kept, so that a caller
 * may log first and return -errno afterwards. */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "check.h"
#include "log.h"

enum { LINE_MAX_LEN = 1024 };

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

void log_line(enum log_level level, const char *fmt, ...)
{
	char line[LINE_MAX_LEN];
	int saved = errno, head, body;
	size_t len, room;
	va_list ap;

	if (level > log_level)
		return;
	head = snprintf(line, sizeof(line), "berth: %s: ", level_names[level]);
	room = sizeof(line) - (size_t)head; /* the NUL's place becomes the newline's */
	va_start(ap, fmt);
	errno = saved; /* for %m */
	body = vsnprintf(line + head, room, fmt, ap);
	va_end(ap);
	len = (size_t)head + (body < 0 ? 0 : MIN((size_t)body, room - 1));
	if (body > 0 && (size_t)body >= room)
		memcpy(line + len - 3, "...", 3);
	line[len++] = '\n';
	write_all(line, len);
	errno = saved;
}

static bool is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '\\';
}

const char *log_text(char *buf, size_t buf_len, const void *text, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *s = text;
	size_t at = 0, keep = 0, n = 0;

	check(buf_len > 0);
	/* n: what all of it needs; keep: how many bytes of it go before "..." if it does not fit.
	 */
	for (size_t i = 0; i < len && n < buf_len; i++) {
		n += is_plain(s[i]) ? 1 : 4;
		if (n + 3 < buf_len)
			keep = i + 1;
	}
	if (n < buf_len)
		keep = len;
	for (size_t i = 0; i < keep; i++) {
		if (is_plain(s[i])) {
			buf[at++] = (char)s[i];
			continue;
		}
		buf[at++] = '\\';
		buf[at++] = 'x';
		buf[at++] = hex[s[i] >> 4];
		buf[at++] = hex[s[i] & 15];
	}
	for (unsigned dots = 3; keep < len && dots > 0 && at + 1 < buf_len; dots--)
		buf[at++] = '.';
	buf[at] = '\0';
	return buf;
}
