/* why.c - see why.h. */
#include "why.h"

#include <stdarg.h>
#include <stdio.h>

int why_not(char *err, size_t err_len, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, err_len, fmt, ap);
	va_end(ap);
	return rc;
}
