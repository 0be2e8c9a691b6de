/* option.h - what the parser's files share: where the words go, how they are refused, values of several options.
 *
 *   options.c       the options of `berth serve`, their table and the parser
 *   disk_options.c  what may stand behind a disk (`FILE,size=10G,ro`), a table as well
 *
 * A row of a table is all that an option needs: parser, --help and messages read it. Thread: main. */
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include "config.h"

struct parser {
	struct config *c;
	char *err;
	size_t err_len;
	const char *where; /* the argument under way, as it is named in messages */
	const char *option, *value; /* of a disk, under way; NULL: none, or no value */
};

/* option_refuse - one line, "WHERE: text" or "WHERE: OPTION=VALUE: text", into p->err; -EINVAL. */
int option_refuse(struct parser *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int option_text(char **textp, const char *value); /* a copy instead of what was there; -ENOMEM */
int option_size(struct parser *p, const char *value, uint64_t *bytesp);

/* option_disk - one more disk, out of its name (or size, when `ram`) and the words behind it. */
int option_disk(struct parser *p, const char *text, bool ram);
void option_disk_help(FILE *f); /* a line for each word */
