/* fault.c - see fault.h: the words of the command line, and what all three kinds share. */
#include "fault.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "parse.h"

/* --- words --- */
struct reading {
	struct fault *f;
	char *why;
	size_t why_len;
};

static int __attribute__((format(printf, 2, 3))) refuse(struct reading *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->why, r->why_len, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static int set_ops(struct reading *r, char *text)
{
	/* clang-format off */
	static const struct { const char *name; unsigned ops; } rows[] = {
		{"read", FAULT_READ},   {"write", FAULT_WRITE}, {"unmap", FAULT_UNMAP},
		{"flush", FAULT_FLUSH}, {"any", FAULT_ANY}};
	/* clang-format on */
	char *save, *word = strtok_r(text, "+", &save);

	r->f->ops = 0;
	for (; word; word = strtok_r(NULL, "+", &save)) {
		size_t i = 0;

		while (i < ARRAY_LEN(rows) && strcmp(word, rows[i].name))
			i++;
		if (i == ARRAY_LEN(rows))
			return refuse(r,
				"'%s' is no operation (read, write, unmap, flush, any, joined by +)",
				word);
		r->f->ops |= rows[i].ops;
	}
	return r->f->ops ? 0 : refuse(r, "no operation (read, write, unmap, flush, any)");
}

static int set_lba(struct reading *r, const char *value)
{
	if (!parse_u64(&value, UINT64_MAX, &r->f->first))
		return refuse(r, "lba: not FIRST or FIRST-LAST");
	r->f->last = r->f->first;
	if (*value == '-') {
		value++;
		if (!parse_u64(&value, UINT64_MAX, &r->f->last))
			return refuse(r, "lba: not FIRST or FIRST-LAST");
	}
	if (*value || r->f->last < r->f->first)
		return refuse(r, "lba: not FIRST or FIRST-LAST");
	return 0;
}

static int set_rate(struct reading *r, const char *value)
{
	char *end;

	r->f->rate = strtod(value, &end);
	if (*end || end == value || !(r->f->rate >= 0 && r->f->rate <= 1))
		return refuse(r, "rate: must be from 0 to 1");
	return 0;
}

static int set_errno(struct reading *r, const char *value)
{
	for (int e = 1; e < 134; e++) {
		const char *name = strerrorname_np(e);

		if (name && !strcmp(name, value)) {
			r->f->error = -e;
			return 0;
		}
	}
	return refuse(r, "errno: no error has the name '%s' (try EIO, ENOSPC)", value);
}

static int set_count(struct reading *r, const char *value)
{
	if (!parse_u64(&value, UINT64_MAX, &r->f->count) || *value)
		return refuse(r, "count: not a number");
	return 0;
}

static int set_seed(struct reading *r, const char *value)
{
	if (!parse_u64(&value, UINT64_MAX, &r->f->seed) || *value)
		return refuse(r, "seed: not a number");
	return 0;
}

static int set_time(struct reading *r, const char *value)
{
	/* clang-format off */
	static const struct { const char *unit; uint64_t ns; } rows[] = {
		{"us", 1000}, {"ms", 1000 * 1000}, {"s", 1000 * 1000 * 1000}};
	/* clang-format on */
	uint64_t n;

	if (parse_u64(&value, UINT32_MAX, &n)) {
		for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
			if (!strcmp(value, rows[i].unit)) {
				r->f->delay_ns = n * rows[i].ns;
				return 0;
			}
		}
	}
	return refuse(r, "not a time (try 500us, 5ms, 2s)");
}

static int set_jitter(struct reading *r, const char *value)
{
	static const char *const names[] = {
		[JITTER_NONE] = "none", [JITTER_UNIFORM] = "uniform", [JITTER_EXP] = "exp"};

	for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
		if (!strcmp(value, names[i])) {
			r->f->jitter = i;
			return 0;
		}
	}
	return refuse(r, "jitter: must be none, uniform or exp");
}

static int set_cut(struct reading *r, char *value)
{
	r->f->tear = !strcmp(value, "tear");
	if (!r->f->tear && strcmp(value, "forget"))
		return refuse(r, "must be forget or tear");
	return 0;
}

static int set_flush(struct reading *r, const char *value)
{
	r->f->lies = true;
	return strcmp(value, "ignored") ? refuse(r, "flush: must be ignored") : 0;
}

/* clang-format off */
static const struct word {
	const char *name;
	unsigned kinds;
	int (*set)(struct reading *r, const char *value);
} words[] = {
	{"lba",    1 << FAULT_ERROR | 1 << FAULT_DELAY,                    set_lba},
	{"rate",   1 << FAULT_ERROR | 1 << FAULT_DELAY,                    set_rate},
	{"count",  1 << FAULT_ERROR | 1 << FAULT_DELAY,                    set_count},
	{"errno",  1 << FAULT_ERROR,                                       set_errno},
	{"jitter", 1 << FAULT_DELAY,                                       set_jitter},
	{"flush",  1 << FAULT_POWER,                                       set_flush},
	{"seed",   1 << FAULT_ERROR | 1 << FAULT_DELAY | 1 << FAULT_POWER, set_seed},
};
/* clang-format on */

static int set_word(struct reading *r, char *word)
{
	char *value = strchr(word, '=');

	if (value)
		*value++ = '\0';
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (strcmp(words[i].name, word) || !(words[i].kinds & 1u << r->f->kind))
			continue;
		return value && *value ? words[i].set(r, value)
				       : refuse(r, "%s needs a value", word);
	}
	return refuse(r, "'%s' is not known there", word);
}

int fault_parse(struct fault *f, enum fault_kind kind, const char *text, char *why, size_t why_len)
{
	struct reading r = {f, why, why_len};
	char copy[256], *rest = copy, *word;
	int rc;

	*f = (struct fault){
		.kind = kind, .last = UINT64_MAX, .rate = 1, .count = UINT64_MAX, .error = -EIO};
	if (strlen(text) >= sizeof(copy))
		return refuse(&r, "too long");
	strcpy(copy, text);
	word = strsep(&rest, ":");
	rc = kind == FAULT_POWER ? set_cut(&r, word) : set_ops(&r, word);
	if (!rc && kind == FAULT_DELAY) {
		word = strsep(&rest, ":");
		rc = word ? set_time(&r, word) : refuse(&r, "needs a time (try write:5ms)");
	}
	while (!rc && (word = strsep(&rest, ":")))
		rc = set_word(&r, word);
	return rc;
}

/* --- filters --- */
void filter_init(struct filter *x, const struct backend_ops *ops, struct backend *inner,
	const struct fault *f)
{
	x->b = (struct backend){.ops = ops, .info = inner->info, .path = inner->path};
	x->b.opened = inner->opened;
	x->inner = inner;
	x->f = *f;
	x->n_left = f->count;
}

struct backend *filter_free(struct backend *b)
{
	struct filter *x = container_of(b, struct filter, b);

	backend_free(x->inner);
	free(x);
	return NULL;
}

int filter_stamp(struct backend *b, struct backend_stamp *s)
{
	return backend_stamp(container_of(b, struct filter, b)->inner, s);
}

int filter_look(struct backend *b)
{
	struct backend *inner = container_of(b, struct filter, b)->inner;

	return inner->ops->look ? inner->ops->look(inner) : 0;
}

int filter_room(struct backend *b, struct backend_room *r)
{
	return backend_room(container_of(b, struct filter, b)->inner, r);
}

void filter_pass(struct filter *x, struct io *io, struct backend_req *r)
{
	x->inner->ops->submit(x->inner, io, r);
}

static void on_later(struct io_work *work)
{
	struct backend_req *r = container_of(work, struct backend_req, later);

	r->disk.done(&r->disk, r->disk.res);
}

void filter_end(struct io *io, struct backend_req *r, int64_t res)
{
	r->disk.res = res;
	r->later.fn = on_later;
	list_init(&r->later.link);
	io_defer(io, &r->later);
}

/* splitmix64: each number of the sequence by itself, so that threads need no lock. */
uint64_t filter_roll(struct filter *x)
{
	uint64_t z = x->f.seed +
		     (__atomic_add_fetch(&x->n_rolls, 1, __ATOMIC_RELAXED)) * 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static unsigned op_of(enum io_disk_kind kind)
{
	static const unsigned ops[] = {
		[IO_READ] = FAULT_READ,
		[IO_WRITE] = FAULT_WRITE,
		[IO_FLUSH] = FAULT_FLUSH,
		[IO_PUNCH] = FAULT_UNMAP,
		[IO_ZERO] = FAULT_UNMAP,
		[IO_HOLE] = 0,
		[IO_CLONE] = FAULT_WRITE,
	};

	return ops[kind];
}

static bool in_range(const struct filter *x, const struct io_disk *d)
{
	if (d->kind == IO_FLUSH)
		return true;
	return d->off / x->block <= x->f.last && (d->off + d->len - 1) / x->block >= x->f.first;
}

static bool take_one(uint64_t *leftp)
{
	uint64_t left = __atomic_load_n(leftp, __ATOMIC_RELAXED);

	while (left && left != UINT64_MAX &&
		!__atomic_compare_exchange_n(
			leftp, &left, left - 1, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
	return left;
}

bool filter_hits(struct filter *x, const struct io_disk *d)
{
	if (!(x->f.ops & op_of(d->kind)) || !in_range(x, d))
		return false;
	if (x->f.rate < 1 && (double)(filter_roll(x) >> 11) * 0x1p-53 >= x->f.rate)
		return false;
	return take_one(&x->n_left);
}

int fault_wrap(struct backend **bp, const struct fault *f, uint32_t block)
{
	struct filter *x;

	if (f->kind == FAULT_POWER)
		return power_new(bp, *bp, f);
	x = calloc(1, sizeof(*x));
	if (!x)
		return -ENOMEM;
	filter_init(x, f->kind == FAULT_ERROR ? &error_ops : &delay_ops, *bp, f);
	x->block = block;
	*bp = &x->b;
	return 0;
}
