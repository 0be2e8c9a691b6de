/* args.h - command lines of subcommands as tables: one row an option, which is also its line of help. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum arg_type {
	ARG_FLAG,   /* bool */
	ARG_WORD,   /* const char *: borrowed from argv */
	ARG_NUMBER, /* uint64_t, min to max */
	ARG_SIZE,   /* uint64_t, bytes; suffixes K, M, G, T, P */
	ARG_TIME,   /* uint64_t, seconds; suffixes s, m, h */
};

struct arg {
	const char *name; /* with its dashes; NULL ends the table */
	enum arg_type type;
	void *to;
	uint64_t min, max;
	const char *value, *help;
};

enum { ARGS_RUN, ARGS_HELP };

/* args_parse - options anywhere, words in between into words[max_words]; "--" ends the options. ARGS_RUN,
 * ARGS_HELP, or -EINVAL with one line in err. argv[0] is the subcommand, for messages. */
int args_parse(const struct arg *table, int argc, char **argv, const char **words, unsigned max_words,
	unsigned *n_wordsp, char *err, size_t err_len);
void args_help(const struct arg *table, FILE *f);
