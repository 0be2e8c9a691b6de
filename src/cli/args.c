/* args.c - see args.h. A value stands behind its option as the next word or after '='. */
#include "args.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include "parse.h"

static int refuse(char *err, size_t len, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int refuse(char *err, size_t len, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, len, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static const struct arg *find(const struct arg *table, const char *word, size_t len)
{
	for (; table->name; table++) {
		if (strlen(table->name) == len && !memcmp(table->name, word, len))
			return table;
	}
	return NULL;
}

static bool parse_time(const char *text, uint64_t max, uint64_t *vp)
{
	static const struct {
		char suffix;
		uint64_t seconds;
	} rows[] = {{'\0', 1}, {'s', 1}, {'m', 60}, {'h', 3600}};
	const char *at = text;

	if (!parse_u64(&at, max, vp) || (*at && at[1]))
		return false;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (*at == rows[i].suffix) {
			*vp *= rows[i].seconds;
			return *vp <= max;
		}
	}
	return false;
}

static int take_value(const struct arg *a, const char *value, char *err, size_t err_len)
{
	const char *at = value;
	uint64_t v = 0;
	bool ok;

	if (a->type == ARG_WORD) {
		*(const char **)a->to = value;
		return 0;
	}
	ok = a->type == ARG_SIZE   ? parse_size(value, a->max, &v)
	     : a->type == ARG_TIME ? parse_time(value, a->max, &v)
				   : parse_u64(&at, a->max, &v) && !*at;
	if (!ok || v < a->min) {
		if (a->type == ARG_SIZE)
			return refuse(err, err_len, "%s %s: not a size of %s to %s (try 4k, 64M)",
				a->name, value, SIZE(a->min), SIZE(a->max));
		if (a->type == ARG_TIME)
			return refuse(err, err_len,
				"%s %s: not a time of %llu to %llu seconds (try 10, 90s, 5m)",
				a->name, value, (unsigned long long)a->min,
				(unsigned long long)a->max);
		return refuse(err, err_len, "%s %s: not a number from %llu to %llu", a->name, value,
			(unsigned long long)a->min, (unsigned long long)a->max);
	}
	*(uint64_t *)a->to = v;
	return 0;
}

int args_parse(const struct arg *table, int argc, char **argv, const char **words,
	unsigned max_words, unsigned *n_wordsp, char *err, size_t err_len)
{
	bool options = true;
	unsigned n = 0;

	for (int i = 1; i < argc; i++) {
		const char *word = argv[i], *value;
		size_t len = strcspn(word, "=");
		const struct arg *a;

		if (options && !strcmp(word, "--")) {
			options = false;
			continue;
		}
		if (!options || word[0] != '-' || !word[1]) {
			if (n == max_words)
				return refuse(err, err_len,
					"%s: one word too many (see berth %s --help)", word,
					argv[0]);
			words[n++] = word;
			continue;
		}
		if (!strcmp(word, "--help") || !strcmp(word, "-h"))
			return ARGS_HELP;
		a = find(table, word, len);
		if (!a)
			return refuse(err, err_len, "%.*s: no such option (see berth %s --help)",
				(int)len, word, argv[0]);
		if (a->type == ARG_FLAG) {
			if (word[len])
				return refuse(err, err_len, "%s: takes no value", a->name);
			*(bool *)a->to = true;
			continue;
		}
		value = word[len] ? word + len + 1 : i + 1 < argc ? argv[++i] : NULL;
		if (!value || !*value)
			return refuse(err, err_len, "%s: needs %s", a->name, a->value);
		if (take_value(a, value, err, err_len))
			return -EINVAL;
	}
	*n_wordsp = n;
	return ARGS_RUN;
}

void args_help(const struct arg *table, FILE *f)
{
	for (; table->name; table++) {
		char left[40];

		snprintf(left, sizeof(left), "%s%s%s", table->name, table->value ? " " : "",
			table->value ? table->value : "");
		fprintf(f, "  %-22s %s\n", left, table->help);
	}
	fprintf(f, "  %-22s %s\n", "--help", "this text");
}
