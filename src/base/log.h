/* log.h - what the operator reads on standard error.
 *
 * One line a call, "berth: level: text"; callable from any thread; text from a peer is printed with
 * log_text(), which makes control characters harmless. No call on the path of a READ or WRITE. */
#pragma once

#include <stddef.h>

enum log_level { LOG_SILENT = -1, LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

extern enum log_level log_level; /* lines above it are dropped; LOG_INFO at start */

void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...)                                                                             \
	(log_level >= LOG_DEBUG ? log_line(LOG_DEBUG, __VA_ARGS__) : (void)0)

/* log_text - `len` bytes of foreign text made printable into buf (always ended by NUL); returns buf. */
const char *log_text(char *buf, size_t buf_len, const void *text, size_t len);
