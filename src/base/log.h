/* log.h - what the operator reads on standard error.
 *
 * One line a call, "berth: level: text", whatever is in the text: control characters become '?'. Callable from any
 * thread. No call on the path of a READ or WRITE.
 *
 * What a peer can bring about as often as it likes (log in, be refused, leave) is logged with log_often(): each place
 * in the code may say LOG_OFTEN_LINES lines in LOG_OFTEN_S seconds, so that nobody fills a disk from outside. How
 * many more there were is told with the next one that may be said. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_SILENT = -1, LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

extern enum log_level log_level; /* lines above it are dropped; LOG_INFO at start */

/* log_plain - "berth: text": the last words of a program that cannot do what it was asked. */
void log_plain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...)                                                                             \
	(log_level >= LOG_DEBUG ? log_line(LOG_DEBUG, __VA_ARGS__) : (void)0)

enum { LOG_OFTEN_LINES = 100, LOG_OFTEN_S = 60 };

/* One place's account; zeros at the start. */
struct log_often {
	uint64_t since_ns;
	unsigned n_said, n_left_out;
};
/* log_often_may - may one more line be said at this time? *n_left_outp: so many could not, before this one; told once. */
bool log_often_may(struct log_often *o, uint64_t now_ns, unsigned *n_left_outp);
void log_often_line(struct log_often *o, enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define log_often(level, ...)                                                                      \
	do {                                                                                       \
		static struct log_often often_;                                                    \
		log_often_line(&often_, level, __VA_ARGS__);                                       \
	} while (0)
