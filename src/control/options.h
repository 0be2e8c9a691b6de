/* options.h - the arguments of `berth serve` become a struct config.
 *
 * One table holds every option: its name, what it takes, what it sets and its line in --help. A text
 * that does not make sense is refused with one line that names the argument and the reason. Thread: main. */
#pragma once

#include <stdio.h>
#include "config.h"

enum { OPTIONS_SERVE = 0, OPTIONS_HELP = 1, OPTIONS_VERSION = 2 };

/* options_parse - argv without the program's and the subcommand's name into *c (config_init() is done here;
 * config_deinit() is the caller's, whatever comes back). OPTIONS_SERVE: *c is complete and checked;
 * OPTIONS_HELP, OPTIONS_VERSION: asked for; -EINVAL: usage, one line in err; -ENOMEM. */
int options_parse(struct config *c, int argc, char **argv, char *err, size_t err_len);

/* options_help - the text of `berth serve --help`. */
void options_help(FILE *f);
