/* options.c - see options.h and option.h. */
#include "options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "option.h"
#include "parse.h"

/* One row of the table. set() gets the value, NULL where takes is NULL. */
struct option {
	const char *name;
	const char *takes; /* NULL: nothing */
	char letter;
	int (*set)(struct parser *p, const char *value);
	const char *help;
};

int option_refuse(struct parser *p, const char *fmt, ...)
{
	va_list ap;
	int n = snprintf(p->err, p->err_len, "%s: %s%s%s%s", p->where, p->option ? p->option : "",
		p->option && p->value ? "=" : "", p->option && p->value ? p->value : "",
		p->option ? ": " : "");

	if (n < 0 || (size_t)n >= p->err_len)
		return -EINVAL;
	va_start(ap, fmt);
	vsnprintf(p->err + n, p->err_len - (size_t)n, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* --- values --- */

int option_text(char **textp, const char *value)
{
	char *copy = strdup(value);

	if (!copy)
		return -ENOMEM;
	free(*textp);
	*textp = copy;
	return 0;
}

int option_size(struct parser *p, const char *value, uint64_t *bytesp)
{
	if (!parse_size(value, INT64_MAX, bytesp))
		return option_refuse(p, "not a size (try 512M, 1G)");
	return 0;
}

static int set_number(struct parser *p, const char *value, uint64_t min, uint64_t max, unsigned *np)
{
	const char *at = value;
	uint64_t n;

	if (!parse_u64(&at, max, &n) || *at || n < min)
		return option_refuse(p, "must be a number from %llu to %llu",
			(unsigned long long)min, (unsigned long long)max);
	*np = (unsigned)n;
	return 0;
}

static int set_addr(struct parser *p, const char *value, struct io_addr *a)
{
	if (io_addr_parse(a, value, strlen(value)) < 0)
		return option_refuse(
			p, "not ADDR:PORT (try 127.0.0.1:3260, [::1]:3260, 0.0.0.0:3260)");
	return 0;
}

/* --- the options --- */

static int on_ram(struct parser *p, const char *value)
{
	return option_disk(p, value, true);
}

static int on_target(struct parser *p, const char *value)
{
	return config_add_target(p->c, value);
}

static int on_listen(struct parser *p, const char *value)
{
	struct io_addr a;
	int r = set_addr(p, value, &a);

	return r ? r : config_add_listen(p->c, &a);
}

/* The port may be left out: initiators are then told the port that they came in by. */
static int on_advertise(struct parser *p, const char *value)
{
	struct io_addr a;
	char with_port[IO_ADDR_TEXT + 8];
	const char *bracket = strrchr(value, ']'), *colon = strrchr(bracket ? bracket : value, ':');

	if (!colon && strlen(value) < IO_ADDR_TEXT) {
		snprintf(with_port, sizeof(with_port), "%s:0", value);
		value = with_port;
	}
	if (io_addr_parse(&a, value, strlen(value)) < 0)
		return option_refuse(
			p, "not ADDR[:PORT] (try 192.0.2.1, 192.0.2.1:3260, [2001:db8::1])");
	return config_add_advertise(p->c, &a);
}

static int on_threads(struct parser *p, const char *value)
{
	return set_number(p, value, 1, CONFIG_THREADS_MAX, &p->c->threads);
}

static int on_engine(struct parser *p, const char *value)
{
	/* clang-format off */
	static const struct { const char *name; enum engine engine; } rows[] = {
		{"auto", ENGINE_AUTO}, {"epoll", ENGINE_EPOLL}, {"uring", ENGINE_URING}};
	/* clang-format on */

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (!strcmp(value, rows[i].name)) {
			p->c->engine = rows[i].engine;
			return 0;
		}
	}
	return option_refuse(p, "must be epoll, uring or auto");
}

static int on_r2t(struct parser *p, const char *value)
{
	p->c->r2t_line = !strcmp(value, "line");
	if (!p->c->r2t_line && strcmp(value, "burst"))
		return option_refuse(p, "must be burst or line");
	return 0;
}

static int on_spin(struct parser *p, const char *value)
{
	return set_number(p, value, 0, CONFIG_SPIN_US_MAX, &p->c->spin_us);
}

static int on_cache(struct parser *p, const char *value)
{
	int r = option_size(p, value, &p->c->cache);

	p->c->cache_given = true;
	if (!r && p->c->cache < CONFIG_CACHE_MIN)
		r = option_refuse(p, "must be at least %s", SIZE(CONFIG_CACHE_MIN));
	return r;
}

static int on_dirty_limit(struct parser *p, const char *value)
{
	int r = option_size(p, value, &p->c->dirty_limit);

	if (!r && p->c->dirty_limit < 1 << 20)
		r = option_refuse(p, "must be at least 1M");
	return r;
}

static int on_discard_dirty(struct parser *p, const char *value)
{
	p->c->discard_dirty = true;
	return 0;
}

static int on_adopt_anyway(struct parser *p, const char *value)
{
	p->c->adopt_anyway = true;
	return 0;
}

static int on_trace(struct parser *p, const char *value)
{
	return option_text(&p->c->trace, value);
}

static int on_state_dir(struct parser *p, const char *value)
{
	return option_text(&p->c->state_dir, value);
}

static int on_run_dir(struct parser *p, const char *value)
{
	return option_text(&p->c->run_dir, value);
}

static int on_param(struct parser *p, const char *value)
{
	const char *eq = strchr(value, '=');
	char key[64], why[160];

	if (!eq || eq == value || (size_t)(eq - value) >= sizeof(key))
		return option_refuse(p, "not KEY=VALUE (try MaxBurstLength=262144)");
	snprintf(key, sizeof(key), "%.*s", (int)(eq - value), value);
	if (param_offer_set(&p->c->offer, key, eq + 1, why, sizeof(why)) < 0)
		return option_refuse(p, "%s", why);
	return 0;
}

static int on_chap_file(struct parser *p, const char *value)
{
	return p->c->chap_file ? option_refuse(p, "was given twice")
			       : option_text(&p->c->chap_file, value);
}

static int on_open_discovery(struct parser *p, const char *value)
{
	p->c->offer.open_discovery = true;
	return 0;
}

static int on_verbose(struct parser *p, const char *value)
{
	p->c->verbose = true;
	return 0;
}

static int on_help(struct parser *p, const char *value)
{
	return OPTIONS_HELP;
}

static int on_version(struct parser *p, const char *value)
{
	return OPTIONS_VERSION;
}

/* clang-format off */
static const struct option options[] = {
	{"ram",       "SIZE[,option...]", 0,   on_ram,       "a disk in memory; repeatable"},
	{"target",    "IQN",              0,   on_target,    "later disks belong to this target; repeatable\n"
							     "(iqn.2026-11.io.berth: and the host's name)"},
	{"listen",    "ADDR:PORT",        0,   on_listen,    "where initiators connect; repeatable; port 0: any\n"
							     "(127.0.0.1:3260)"},
	{"advertise", "ADDR[:PORT]",      0,   on_advertise, "tell initiators this address (behind a translation);\n"
							     "repeatable"},
	{"threads",   "N",                0,   on_threads,   "reactors (one a CPU, at most 8)"},
	{"engine",    "epoll|uring|auto", 0,   on_engine,    "how the kernel is asked (auto: uring where it is allowed)"},
	{"r2t",       "burst|line",       0,   on_r2t,       "one R2T for a burst, or one for each arena line (burst)"},
	{"spin",      "US",               0,   on_spin,      "look for work so long before sleeping, microseconds (50)"},
	{"cache",     "SIZE",             0,   on_cache,     "buffer memory for files (a quarter of memory, at most 4G)"},
	{"dirty-limit", "SIZE",           0,   on_dirty_limit, "of it, what may wait to be written (half)"},
	{"discard-dirty", NULL,           0,   on_discard_dirty, "drop what an earlier run acknowledged and did not write"},
	{"adopt-anyway", NULL,            0,   on_adopt_anyway, "write it even to an image that somebody else has changed"},
	{"trace",     "FILE",             0,   on_trace,     "write where each byte was placed, command by command"},
	{"state-dir", "DIR",              0,   on_state_dir, "what must survive a reboot"},
	{"run-dir",   "DIR",              0,   on_run_dir,   "buffer memory lives here, on tmpfs (/run/berth, else\n"
							     "$XDG_RUNTIME_DIR/berth, else /dev/shm/berth-UID)"},
	{"param",     "KEY=VALUE",        0,   on_param,     "offer this value of an iSCSI key; repeatable"},
	{"chap-file", "FILE",             0,   on_chap_file, "who may log in (CHAP): lines of NAME SECRET, and =NAME SECRET\n"
							     "for what the target answers (mutual)"},
	{"open-discovery", NULL,          0,   on_open_discovery, "with --chap-file: tell everybody where the targets are"},
	{"verbose",   NULL,               'v', on_verbose,   "say more on standard error"},
	{"help",      NULL,               'h', on_help,      "this text"},
	{"version",   NULL,               'V', on_version,   "the version"},
};
/* clang-format on */

static const struct option *find_option(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		if (strlen(options[i].name) == len && !memcmp(options[i].name, name, len))
			return &options[i];
	}
	return NULL;
}

static const struct option *find_letter(const char *arg)
{
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		if (options[i].letter && options[i].letter == arg[1] && !arg[2])
			return &options[i];
	}
	return NULL;
}

/* set_option - argv[*ip] is an option; *ip moves on when its value is the next argument. Messages name
 * both words, as in "--ram 12x". */
static int set_option(struct parser *p, int argc, char **argv, int *ip)
{
	const char *arg = argv[*ip], *value = NULL;
	size_t len = strcspn(arg, "=");
	const struct option *o =
		!strncmp(arg, "--", 2) ? find_option(arg + 2, len - 2) : find_letter(arg);
	char where[256];

	p->where = arg;
	if (!o)
		return option_refuse(p, "no such option (see berth serve --help)");
	if (arg[len] == '=' && arg[1] == '-')
		value = arg + len + 1;
	if (!o->takes)
		return value ? option_refuse(p, "takes no value") : o->set(p, NULL);
	if (!value && *ip + 1 < argc)
		value = argv[++*ip];
	if (!value || !*value)
		return option_refuse(p, "needs %s", o->takes);
	snprintf(where, sizeof(where), "--%s %s", o->name, value);
	p->where = where;
	return o->set(p, value);
}

static int set_all(struct parser *p, int argc, char **argv)
{
	bool only_disks = false;
	int r = 0;

	for (int i = 0; !r && i < argc; i++) {
		if (!only_disks && !strcmp(argv[i], "--")) {
			only_disks = true;
		} else if (!only_disks && argv[i][0] == '-' && argv[i][1]) {
			r = set_option(p, argc, argv, &i);
		} else {
			p->where = *argv[i] ? argv[i] : "''";
			r = option_disk(p, argv[i], false);
		}
	}
	return r;
}

int options_parse(struct config *c, int argc, char **argv, char *err, size_t err_len)
{
	struct parser p = {.c = c, .err = err, .err_len = err_len, .where = ""};
	int r;

	config_init(c);
	r = set_all(&p, argc, argv);
	if (!r)
		r = config_finish(c);
	return r ? r : config_check(c, err, err_len);
}

/* print_help - the lines of one option; further lines of its text stand below the first. */
static void print_help(FILE *f, const struct option *o)
{
	const char *text = o->help;
	char left[64];

	snprintf(left, sizeof(left), "%s%c%s--%s%s%s", o->letter ? "-" : " ",
		o->letter ? o->letter : ' ', o->letter ? ", " : "  ", o->name, o->takes ? " " : "",
		o->takes ? o->takes : "");
	while (*text) {
		int len = (int)strcspn(text, "\n");

		fprintf(f, "  %-30s %.*s\n", left, len, text);
		left[0] = '\0';
		text += len + (text[len] == '\n');
	}
}

void options_help(FILE *f)
{
	fputs("Usage: berth serve [OPTION...] DISK...\n\n"
	      "Serve disks to iSCSI initiators until SIGTERM. A DISK is FILE[,option...] (an image or\n"
	      "a block device) or --ram SIZE[,option...]; they are LUN 0, 1, 2 ... of their target.\n\n"
	      "Options of a disk (a comma in a file name is written \\,):\n",
		f);
	option_disk_help(f);
	fputs("\nOptions (defaults in brackets):\n", f);
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		print_help(f, &options[i]);
	fputs("\nStandard output gets one line a LUN, iscsi://ADDR:PORT/IQN/LUN, then `ready`.\n"
	      "SIGUSR1 prints counters and tables on standard error. Exit: 0 ok, 1 runtime, 2 usage,\n"
	      "4 not found, 5 denied, 6 configuration invalid, 7 in use.\n",
		f);
}
