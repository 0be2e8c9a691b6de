/* check.h - assertions about ourselves.
 *
 * check() states what must hold whatever a peer or the machine does; it stays on in release builds
 * and ends the process with file, line and expression. Nothing that a peer sent, and no error of
 * the machine, may ever reach it. slow_check() is the same for walks that cost (on in debug builds). */
#pragma once

#include <stddef.h>
#include <stdint.h>

_Noreturn void check_failed(const char *file, int line, const char *expr);

#define check(expr) ((expr) ? (void)0 : check_failed(__FILE__, __LINE__, #expr))
#ifdef NDEBUG
#define slow_check(expr) ((void)0)
#else
#define slow_check(expr) check(expr)
#endif

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

static inline uint64_t round_up(uint64_t n, uint64_t unit)
{
	return (n + unit - 1) / unit * unit;
}

static inline uint64_t round_down(uint64_t n, uint64_t unit)
{
	return n / unit * unit;
}
