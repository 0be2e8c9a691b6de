/* disk_options.c - what may stand behind a disk: `FILE,size=10G,ro`. See option.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "identity.h"
#include "option.h"

struct disk_option {
	const char *name;
	bool takes;
	int (*set)(struct parser *p, struct config_disk *d, const char *value);
	const char *help;
};

/* --- what a disk may be --- */

static int disk_size(struct parser *p, struct config_disk *d, const char *value)
{
	if (!d->path)
		return option_refuse(p, "--ram has its size in front");
	if (option_size(p, value, &d->size) < 0)
		return -EINVAL;
	return d->size ? 0 : option_refuse(p, "a disk of no size");
}

static int set_block(struct parser *p, const char *value, uint32_t *blockp)
{
	if (!strcmp(value, "512"))
		*blockp = 512;
	else if (!strcmp(value, "4096") || !strcasecmp(value, "4K"))
		*blockp = 4096;
	else
		return option_refuse(p, "must be 512 or 4096");
	return 0;
}

static int disk_block(struct parser *p, struct config_disk *d, const char *value)
{
	return set_block(p, value, &d->block);
}

static int disk_physical(struct parser *p, struct config_disk *d, const char *value)
{
	return set_block(p, value, &d->physical);
}

static int disk_uuid(struct parser *p, struct config_disk *d, const char *value)
{
	d->has_uuid = uuid_parse(value, d->uuid);
	return d->has_uuid ? 0 : option_refuse(p, "not a UUID (32 hexadecimal digits, 8-4-4-4-12)");
}

static int disk_ro(struct parser *p, struct config_disk *d, const char *value)
{
	d->ro = true;
	return 0;
}

static int disk_mode(struct parser *p, struct config_disk *d, const char *value)
{
	if (!strcmp(value, "write-back"))
		d->mode = MODE_BACK;
	else if (!strcmp(value, "write-through"))
		d->mode = MODE_THROUGH;
	else
		return option_refuse(p, "must be write-back or write-through");
	return 0;
}

static int disk_removable(struct parser *p, struct config_disk *d, const char *value)
{
	d->removable = true;
	return 0;
}

static int add_fault(
	struct parser *p, struct config_disk *d, enum fault_kind kind, const char *value)
{
	struct fault f;
	char why[160];

	if (fault_parse(&f, kind, value, why, sizeof(why)) < 0)
		return option_refuse(p, "%s", why);
	for (unsigned i = 0; kind == FAULT_POWER && i < d->n_faults; i++)
		if (d->faults[i].kind == FAULT_POWER)
			return option_refuse(p, "was given twice");
	return config_add_fault(d, &f);
}

static int disk_error(struct parser *p, struct config_disk *d, const char *value)
{
	return add_fault(p, d, FAULT_ERROR, value);
}

static int disk_delay(struct parser *p, struct config_disk *d, const char *value)
{
	return add_fault(p, d, FAULT_DELAY, value);
}

static int disk_power(struct parser *p, struct config_disk *d, const char *value)
{
	return add_fault(p, d, FAULT_POWER, value);
}

/* clang-format off */
static const struct disk_option disk_options[] = {
	{"size",      true,  disk_size,      "size=SIZE           make FILE, sparse, of this size when it is not there"},
	{"block",     true,  disk_block,     "block=512|4096      logical block size (512)"},
	{"physical",  true,  disk_physical,  "physical=512|4096   physical block size (4096)"},
	{"uuid",      true,  disk_uuid,      "uuid=UUID           the identity that initiators see"},
	{"mode",      true,  disk_mode,      "mode=write-back|write-through   when a write is acknowledged (write-back)"},
	{"ro",        false, disk_ro,        "ro                  read-only"},
	{"removable", false, disk_removable, "removable           a removable medium"},
	{"error",     true,  disk_error,     "error=OP[:lba=N-M][:rate=P][:errno=NAME][:count=N]   to test with: make it fail"},
	{"delay",     true,  disk_delay,     "delay=OP:TIME[:jitter=uniform|exp][:lba=..][:rate=P]   make it late"},
	{"power",     true,  disk_power,     "power=forget|tear  what is not flushed is lost when the program ends"},
};
/* clang-format on */

/* take_word - the text up to the next comma, which is cut off; NULL when there is none left. A comma
 * that belongs to the text is written "\,", a backslash before a comma "\\". */
static char *take_word(char **restp)
{
	char *word = *restp, *in = word, *out = word;

	if (!word)
		return NULL;
	for (; *in && *in != ','; in++) {
		if (*in == '\\' && (in[1] == ',' || in[1] == '\\'))
			in++;
		*out++ = *in;
	}
	*restp = *in ? in + 1 : NULL;
	*out = '\0';
	return word;
}

static const struct disk_option *find_disk_option(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(disk_options); i++) {
		if (!strcmp(disk_options[i].name, name))
			return &disk_options[i];
	}
	return NULL;
}

static int set_disk_option(struct parser *p, struct config_disk *d, char *word)
{
	char *value = strchr(word, '=');
	const struct disk_option *o;
	int r;

	if (value)
		*value++ = '\0';
	o = find_disk_option(word);
	if (!o)
		return option_refuse(p,
			"'%s' is no option of a disk (size=, block=, physical=, uuid=, mode=, ro, "
			"removable, error=, delay=, power=; a comma in a file name is written \\,)",
			word);
	if (o->takes && (!value || !*value))
		return option_refuse(p, "%s needs a value", word);
	if (!o->takes && value)
		return option_refuse(p, "%s takes no value", word);
	p->option = word;
	p->value = value;
	r = o->set(p, d, value);
	p->option = NULL;
	return r;
}

static int set_disk_words(struct parser *p, struct config_disk *d, bool ram, char *rest)
{
	char *word = take_word(&rest);
	int r;

	if (!*word)
		return option_refuse(p, ram ? "needs a size" : "needs a file name");
	if (ram) {
		r = option_size(p, word, &d->size);
		if (!r && !d->size)
			r = option_refuse(p, "a disk of no size");
	} else {
		r = option_text(&d->path, word);
	}
	while (!r && (word = take_word(&rest)))
		r = set_disk_option(p, d, word);
	return r;
}

int option_disk(struct parser *p, const char *text, bool ram)
{
	struct config_disk *d;
	char *words;
	int r = config_add_disk(p->c, p->where, &d);

	if (r < 0)
		return r;
	words = strdup(text);
	if (!words)
		return -ENOMEM;
	r = set_disk_words(p, d, ram, words);
	free(words);
	return r;
}

void option_disk_help(FILE *f)
{
	for (size_t i = 0; i < ARRAY_LEN(disk_options); i++)
		fprintf(f, "  %s\n", disk_options[i].help);
}
