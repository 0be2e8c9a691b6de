/* output.c - see output.h. */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli.h"
#include "log.h"

void output_hold(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0 &&
			open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
			exit(EXIT_RUNTIME);
	}
}

int output_flush(void)
{
	bool lost = ferror(stdout);
	int rc = fflush(stdout) ? -errno : lost ? -EIO : 0;

	__fpurge(stdout);
	clearerr(stdout);
	return rc;
}

int output_end(int code)
{
	int rc = output_flush();

	if (!rc)
		return code;
	log_plain("standard output: %s", strerror(-rc));
	return code == EXIT_OK ? EXIT_RUNTIME : code;
}
