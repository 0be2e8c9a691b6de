/* version.c - `berth version`. */
#include "cli.h"

#include <stdio.h>

int cmd_version(int argc, char **argv)
{
	puts("berth " BERTH_VERSION);
	return EXIT_OK;
}
