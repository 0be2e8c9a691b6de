/* config.c - the values of a configuration: their defaults, their memory, and whether they make
 * sense together. What a text means is the business of whoever read it (control/options.c). */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "check.h"
#include "parse.h"
#include "sysmem.h"
#include "text.h"

enum {
	THREADS_DEFAULT_MAX = 8,
	SPIN_US_DEFAULT = 50,
	BLOCK_DEFAULT = 512,
	PHYSICAL_DEFAULT = 4096
};
#define CACHE_DEFAULT_MAX (4ull << 30)
#define IQN_PREFIX        "iqn.2026-11.io.berth:"

/* allowed_cpus - as many reactors as the machine lets us run at once: a container's CPU set counts,
 * not the number of CPUs in the box. */
static unsigned allowed_cpus(void)
{
	cpu_set_t set;
	int n;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 1;
	n = CPU_COUNT(&set);
	return (unsigned)MAX(1, n);
}

void config_init(struct config *c)
{
	memset(c, 0, sizeof(*c));
	c->threads = MIN(allowed_cpus(), (unsigned)THREADS_DEFAULT_MAX);
	c->engine = ENGINE_AUTO;
	c->spin_us = SPIN_US_DEFAULT;
	c->cache = round_down(MIN(sysmem_total("") / 4, CACHE_DEFAULT_MAX), 1 << 20);
	c->cache = MAX(c->cache, (uint64_t)CONFIG_CACHE_MIN);
	c->memory_fd = -1;
	param_offer_default(&c->offer);
}

void config_deinit(struct config *c)
{
	for (unsigned i = 0; i < c->n_targets; i++)
		free(c->targets[i]);
	for (unsigned i = 0; i < c->n_disks; i++) {
		free(c->disks[i].path);
		free(c->disks[i].text);
		free(c->disks[i].faults);
	}
	free(c->targets);
	free(c->disks);
	free(c->listen);
	free(c->advertise);
	free(c->trace);
	free(c->state_dir);
	free(c->run_dir);
	free(c->chap_file);
	chap_db_deinit(&c->chap);
	memset(c, 0, sizeof(*c));
}

/* grow - room for one more element; the array stays as it is when there is no memory. */
static int grow(void *arrayp, unsigned n, size_t size)
{
	void *old, *bigger;

	memcpy(&old, arrayp, sizeof(old));
	bigger = reallocarray(old, (size_t)n + 1, size);
	if (!bigger)
		return -ENOMEM;
	memcpy(arrayp, &bigger, sizeof(bigger));
	return 0;
}

int config_add_target(struct config *c, const char *iqn)
{
	char *copy = strdup(iqn);

	if (!copy || grow(&c->targets, c->n_targets, sizeof(*c->targets)) < 0) {
		free(copy);
		return -ENOMEM;
	}
	c->targets[c->n_targets++] = copy;
	return 0;
}

void config_default_iqn(const char *host, char *buf, size_t len)
{
	size_t at = (size_t)snprintf(buf, len, "%s", IQN_PREFIX);

	check(at < len);
	if (!*host)
		host = "localhost";
	for (; *host && at + 1 < MIN(len, (size_t)ISCSI_NAME_MAX + 1); host++) {
		char ch = (char)tolower((unsigned char)*host);

		if (!(ch >= 'a' && ch <= 'z') && !(ch >= '0' && ch <= '9') && ch != '.')
			ch = '-';
		buf[at++] = ch;
	}
	buf[at] = '\0';
}

static int add_default_target(struct config *c)
{
	char host[256] = "", iqn[ISCSI_NAME_MAX + 1];

	if (gethostname(host, sizeof(host) - 1) < 0)
		host[0] = '\0';
	config_default_iqn(host, iqn, sizeof(iqn));
	return config_add_target(c, iqn);
}

int config_add_disk(struct config *c, const char *text, struct config_disk **diskp)
{
	struct config_disk d = {.block = BLOCK_DEFAULT, .physical = PHYSICAL_DEFAULT};

	if (!c->n_targets && add_default_target(c) < 0)
		return -ENOMEM;
	d.target = c->n_targets - 1;
	for (unsigned i = 0; i < c->n_disks; i++)
		d.lun += c->disks[i].target == d.target;
	d.text = strdup(text);
	if (!d.text || grow(&c->disks, c->n_disks, sizeof(*c->disks)) < 0) {
		free(d.text);
		return -ENOMEM;
	}
	*diskp = &c->disks[c->n_disks];
	c->disks[c->n_disks++] = d;
	return 0;
}

static int add_addr(struct io_addr **listp, unsigned *np, const struct io_addr *a)
{
	if (grow(listp, *np, sizeof(*a)) < 0)
		return -ENOMEM;
	(*listp)[(*np)++] = *a;
	return 0;
}

int config_add_fault(struct config_disk *d, const struct fault *f)
{
	if (grow(&d->faults, d->n_faults, sizeof(*f)) < 0)
		return -ENOMEM;
	d->faults[d->n_faults++] = *f;
	return 0;
}

int config_add_listen(struct config *c, const struct io_addr *a)
{
	return add_addr(&c->listen, &c->n_listen, a);
}

int config_add_advertise(struct config *c, const struct io_addr *a)
{
	return add_addr(&c->advertise, &c->n_advertise, a);
}

int config_finish(struct config *c)
{
	struct io_addr loopback = {.in = {.sin_family = AF_INET,
					   .sin_port = htons(CONFIG_PORT),
					   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
		.len = sizeof(loopback.in)};

	if (!c->n_listen && config_add_listen(c, &loopback) < 0)
		return -ENOMEM;
	return 0;
}

/* --- does it make sense? --- */

static int __attribute__((format(printf, 3, 4)))
refuse(char *err, size_t err_len, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, err_len, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static bool is_block_size(uint32_t n)
{
	return n == 512 || n == 4096;
}

static int check_disk(const struct config_disk *d, char *err, size_t err_len)
{
	if (!is_block_size(d->block))
		return refuse(err, err_len, "%s: block must be 512 or 4096", d->text);
	if (!is_block_size(d->physical))
		return refuse(err, err_len, "%s: physical must be 512 or 4096", d->text);
	if (d->physical < d->block)
		return refuse(err, err_len, "%s: physical=%u is less than block=%u", d->text,
			d->physical, d->block);
	if (d->size % d->block)
		return refuse(err, err_len,
			"%s: the size, %s, is not a multiple of the block size (%u)", d->text,
			SIZE(d->size), d->block);
	if (!d->path && !d->size)
		return refuse(err, err_len, "%s: a RAM disk needs a size", d->text);
	if (d->lun >= CONFIG_LUNS_MAX)
		return refuse(err, err_len, "%s: more than %d disks in one target", d->text,
			CONFIG_LUNS_MAX);
	if (!d->path && !d->n_faults && d->mode)
		return refuse(err, err_len, "%s: mode= is for files and devices", d->text);
	return 0;
}

/* The names as given; links and second names of one image are found by the image's lock. */
static int check_paths_differ(const struct config *c, char *err, size_t err_len)
{
	for (unsigned i = 0; i < c->n_disks; i++) {
		for (unsigned k = 0; c->disks[i].path && k < i; k++) {
			if (c->disks[k].path && !strcmp(c->disks[i].path, c->disks[k].path))
				return refuse(err, err_len, "%s: given twice", c->disks[i].path);
		}
	}
	return 0;
}

static int check_targets(const struct config *c, char *err, size_t err_len)
{
	for (unsigned i = 0; i < c->n_targets; i++) {
		bool used = false;

		if (!iscsi_name_valid(c->targets[i]))
			return refuse(err, err_len,
				"--target %s: not an iSCSI name "
				"(iqn.2026-11.com.example:name, lower case)",
				c->targets[i]);
		for (unsigned k = 0; k < i; k++) {
			if (!strcmp(c->targets[i], c->targets[k]))
				return refuse(
					err, err_len, "--target %s: given twice", c->targets[i]);
		}
		for (unsigned k = 0; k < c->n_disks; k++)
			used |= c->disks[k].target == i;
		if (!used)
			return refuse(
				err, err_len, "--target %s: no disk follows it", c->targets[i]);
	}
	return 0;
}

static int check_numbers(const struct config *c, char *err, size_t err_len)
{
	if (!c->n_disks)
		return refuse(err, err_len, "no disk to serve (give a FILE or --ram SIZE)");
	if (c->n_targets > CONFIG_TARGETS_MAX)
		return refuse(err, err_len, "--target: more than %d targets", CONFIG_TARGETS_MAX);
	if (!c->threads || c->threads > CONFIG_THREADS_MAX)
		return refuse(err, err_len, "--threads %u: must be 1 to %d", c->threads,
			CONFIG_THREADS_MAX);
	if (c->cache < CONFIG_CACHE_MIN)
		return refuse(err, err_len, "--cache %s: must be at least %s", SIZE(c->cache),
			SIZE(CONFIG_CACHE_MIN));
	if (c->dirty_limit > c->cache / 4 * 3)
		return refuse(err, err_len,
			"--dirty-limit %s: must be at most %s, three quarters of --cache",
			SIZE(c->dirty_limit), SIZE(c->cache / 4 * 3));
	if (c->discard_dirty && c->adopt_anyway)
		return refuse(err, err_len, "--discard-dirty and --adopt-anyway: only one of them");
	return 0;
}

int config_check(const struct config *c, char *err, size_t err_len)
{
	int r = check_numbers(c, err, err_len);

	if (!r)
		r = check_targets(c, err, err_len);
	for (unsigned i = 0; !r && i < c->n_disks; i++)
		r = check_disk(&c->disks[i], err, err_len);
	return r ? r : check_paths_differ(c, err, err_len);
}
