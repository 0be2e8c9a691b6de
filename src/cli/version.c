/* version.c - `berth version`. */
#include "cli.h"

#include <stdio.h>
#include "args.h"
#include "log.h"

int cmd_version(int argc, char **argv)
{
	static const struct arg none[] = {{NULL}};
	char err[CLI_WHY];
	unsigned n;

	switch (args_parse(none, argc, argv, NULL, 0, &n, err, sizeof(err))) {
	case ARGS_RUN:
		puts("berth " BERTH_VERSION);
		return EXIT_OK;
	case ARGS_HELP:
		puts("Usage: berth version\n\nPrints the version.\n");
		args_help(none, stdout);
		return EXIT_OK;
	default:
		log_plain("version: %s", err);
		return EXIT_USAGE;
	}
}
