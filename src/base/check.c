/* check.c - the end of the process when one of our own promises is broken. */
#include <stdlib.h>
#include "check.h"
#include "log.h"

_Noreturn void check_failed(const char *file, int line, const char *expr)
{
	log_error("%s:%d: check failed: %s", file, line, expr);
	abort();
}
