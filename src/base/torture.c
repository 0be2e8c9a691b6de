/* torture.c - see torture.h. */
#include "torture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <cmocka.h>

enum { EACH = 64, MOST = 20000, ALL_GOOD = 0, NONE_LEFT = 77 };

static bool armed, hit, for_ever; /* armed before threads begin, read by all */
static unsigned fail_at, n_seen;
bool (*torture_where)(void);

static bool fails(void)
{
	unsigned n;

	if (!__atomic_load_n(&armed, __ATOMIC_RELAXED) || (torture_where && !torture_where()))
		return false;
	n = __atomic_add_fetch(&n_seen, 1, __ATOMIC_RELAXED);
	if (n != fail_at && !(for_ever && n > fail_at))
		return false;
	__atomic_store_n(&hit, true, __ATOMIC_RELAXED);
	return true;
}

#define ALLOCATOR(type, name, params, args)                                                        \
	type __real_##name params;                                                                 \
	type __wrap_##name params;                                                                 \
	type __wrap_##name params                                                                  \
	{                                                                                          \
		return fails() ? NULL : __real_##name args;                                        \
	}

ALLOCATOR(void *, malloc, (size_t n), (n))
ALLOCATOR(void *, calloc, (size_t n, size_t size), (n, size))
ALLOCATOR(void *, realloc, (void *p, size_t n), (p, n))
ALLOCATOR(void *, aligned_alloc, (size_t align, size_t n), (align, n))
ALLOCATOR(char *, strdup, (const char *s), (s))
ALLOCATOR(char *, strndup, (const char *s, size_t n), (s, n))

void torture_arm(void)
{
	__atomic_store_n(&armed, true, __ATOMIC_RELAXED);
}

void torture_disarm(void)
{
	__atomic_store_n(&armed, false, __ATOMIC_RELAXED);
}

bool torture_hit(void)
{
	return __atomic_load_n(&hit, __ATOMIC_RELAXED);
}

static int run_child(void (*body)(void *), void *ctx)
{
	pid_t pid;
	int status = -1;

	fflush(stdout);
	fflush(stderr);
	pid = fork();
	if (pid == 0) {
		body(ctx);
		torture_disarm();
		exit(torture_hit() ? ALL_GOOD : NONE_LEFT);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		fail_msg("no child");
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

unsigned torture(void (*body)(void *), void *ctx)
{
	unsigned n = 0;

	for (int how = 0; how < 2; how++) {
		int end = ALL_GOOD;

		for_ever = how;
		for (n = 0; n < MOST && end == ALL_GOOD;) {
			n += n < EACH ? 1 : n / 16;
			fail_at = n;
			end = run_child(body, ctx);
		}
		if (end != NONE_LEFT)
			fail_msg("allocation %u%s failed, and the run ended with %d", n,
				how ? " and all after it" : "", end);
	}
	return n - 1;
}
