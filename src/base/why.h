/* why.h - the one line that tells why something could not be had, beside the -errno that its caller gets. */
#pragma once

#include <stddef.h>

/* why_not - the text into err (cut where it is too long); returns rc. */
int why_not(char *err, size_t err_len, int rc, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
