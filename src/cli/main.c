/* main.c - the table of subcommands. */
#include "cli.h"

#include <stdio.h>
#include <string.h>
#include "args.h"
#include "check.h"
#include "log.h"
#include "output.h"

struct subcommand {
	const char *name, *also, *letter;
	int (*run)(int argc, char **argv);
	const char *help;
};

/* clang-format off */
static const struct subcommand subcommands[] = {
	{"serve",   NULL,        NULL, cmd_serve,   "serve disks over iSCSI (berth serve --help)"},
	{"bench",   NULL,        NULL, cmd_bench,   "put load on a disk and measure (berth bench --help)"},
	{"copy",    NULL,        NULL, cmd_copy,    "copy between files and disks (berth copy --help)"},
	{"version", "--version", "-V", cmd_version, "print the version"},
	{"help",    "--help",    "-h", cmd_help,    "this text, or that of a subcommand (berth help serve)"},
};
/* clang-format on */

static const struct subcommand *find_subcommand(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(subcommands); i++) {
		const struct subcommand *s = &subcommands[i];

		if (!strcmp(s->name, name) ||
			(s->also && (!strcmp(s->also, name) || !strcmp(s->letter, name))))
			return s;
	}
	return NULL;
}

static void print_help(FILE *f)
{
	fputs("Usage: berth SUBCOMMAND [ARGUMENT...]\n\n"
	      "Berth hands disks to other machines over iSCSI.\n\n",
		f);
	for (size_t i = 0; i < ARRAY_LEN(subcommands); i++)
		fprintf(f, "  %-10s %s\n", subcommands[i].name, subcommands[i].help);
	fputs("\nTry: berth serve --ram 1G\n", f);
}

static int no_such(const char *name)
{
	log_plain("%s: no such subcommand (see berth help)", name);
	return EXIT_USAGE;
}

int cmd_help(int argc, char **argv)
{
	static const struct arg none[] = {{NULL}};
	const struct subcommand *s;
	const char *name;
	char err[CLI_WHY];
	unsigned n = 0;
	int rc = args_parse(none, argc, argv, &name, 1, &n, err, sizeof(err));

	if (rc < 0) {
		log_plain("help: %s", err);
		return EXIT_USAGE;
	}
	s = n ? find_subcommand(name) : NULL;
	if (n && !s)
		return no_such(name);
	if (s && s->run != cmd_help)
		return s->run(2, (char *[]){(char *)s->name, "--help", NULL});
	print_help(stdout);
	return EXIT_OK;
}

int main(int argc, char **argv)
{
	const struct subcommand *s;

	output_hold();
	if (argc < 2) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	s = find_subcommand(argv[1]);
	if (!s)
		return no_such(argv[1]);
	argv[1] = (char *)s->name;
	return output_end(s->run(argc - 1, argv + 1));
}
