/* cli.h - the subcommands of `berth` and what their exit codes mean. */
#pragma once

enum cli_exit { /* the same for every subcommand */
	EXIT_OK = 0,
	EXIT_RUNTIME = 1,
	EXIT_USAGE = 2,
	EXIT_NOT_RUNNING = 3,
	EXIT_NOT_FOUND = 4,
	EXIT_DENIED = 5,
	EXIT_CONFIG = 6,
	EXIT_IN_USE = 7,
};

enum { CLI_WHY = 4096 + 512 }; /* room for one line: a path, and what is wrong with it */

/* Each gets its own name in argv[0] and its arguments behind it, and returns an exit code. */
int cmd_serve(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_copy(int argc, char **argv);
int cmd_version(int argc, char **argv);
int cmd_help(int argc, char **argv);
