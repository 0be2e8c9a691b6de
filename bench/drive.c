/* drive.c - a load that is the same every time, for `make bench-compare` and for the profiles.
 *
 * Where `berth bench` is a tool for people, this is the yardstick's own hand: it depends on nothing
 * but src/base, so that a driver of today can be run against a server of any commit, and with
 * --count it asks for exactly so many commands at places that a fixed seed chooses.
 * Prints one JSON object. --fill writes the whole volume once, in order, before anything is
 * counted (with --time 0 nothing else); --scatter overwrites it in blocks of 4 KiB in random order. */
#include <dirent.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>
#include "check.h"
#include "parse.h"
#include "wire.h"

enum { STEPS = 64, BUCKETS = 60 * STEPS, MAX_CONNS = 4096, MAX_EVENTS = 256 };

struct load {
	unsigned reads; /* per cent */
	bool random;
	uint64_t bs;
	unsigned depth, n_conns;
	uint64_t count; /* 0: by time */
	double seconds;
	bool poll, lockstep;
};

struct run {
	struct load l;
	struct wire **wires;
	bool *full; /* waits for room in the socket */
	int epoll_fd;
	uint64_t n_blocks;
	uint32_t block;
	uint64_t rng, next, n_started, n_done, now_ns, end_ns;
	bool waiting;           /* of --lockstep: for all that is under way */
	uint64_t hist[BUCKETS]; /* of latencies, STEPS for each power of two */
	uint32_t *order;        /* of --scatter */
};

static uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t rng_next(uint64_t *s) /* xorshift64* */
{
	*s ^= *s >> 12;
	*s ^= *s << 25;
	*s ^= *s >> 27;
	return *s * 2685821657736338717ull;
}

/* --- latencies --- */

static void hist_add(uint64_t *hist, uint64_t ns)
{
	unsigned top = 63 - (unsigned)__builtin_clzll(ns | STEPS);
	unsigned shift = top - 6;

	hist[MIN(shift * STEPS + (ns >> shift), BUCKETS - 1)]++;
}

static double percentile(const uint64_t *hist, double part)
{
	uint64_t at = 0, n = 0;

	for (unsigned i = 0; i < BUCKETS; i++)
		n += hist[i];
	for (unsigned i = 0; n && i < BUCKETS; i++) {
		unsigned shift = i < 2 * STEPS ? 0 : i / STEPS - 1;

		at += hist[i];
		if ((double)at >= part * (double)n)
			return (double)((uint64_t)(i - shift * STEPS) << shift) / 1000;
	}
	return 0;
}

/* --- the load --- */

static bool may_go_on(const struct run *r)
{
	if (r->waiting)
		return false;
	if (r->l.count)
		return r->n_started < r->l.count;
	return r->now_ns < r->end_ns;
}

static void start_one(struct run *r, struct wire *w)
{
	uint32_t n = (uint32_t)(r->l.bs / r->block);
	uint64_t places = r->n_blocks / n, at;
	bool write = rng_next(&r->rng) % 100 >= r->l.reads;

	if (r->order)
		at = r->order[r->next++];
	else if (r->l.random)
		at = rng_next(&r->rng) % places;
	else
		at = r->next++ % places;
	r->n_started++;
	wire_start(w, write, at * n, n, (uint32_t)r->l.bs, r->now_ns);
}

static void on_done(void *ctx, uint64_t start_ns)
{
	struct run *r = ctx;

	r->n_done++;
	hist_add(r->hist, r->now_ns - start_ns);
}

static void want(struct run *r, unsigned i, bool full)
{
	struct epoll_event ev = {.events = EPOLLIN | (full ? EPOLLOUT : 0), .data.u32 = i};

	if (full == r->full[i])
		return;
	r->full[i] = full;
	check(!epoll_ctl(r->epoll_fd, EPOLL_CTL_MOD, wire_fd(r->wires[i]), &ev));
}

static void turn(struct run *r, unsigned i)
{
	struct wire *w = r->wires[i];

	while (may_go_on(r) && wire_may_start(w))
		start_one(r, w);
	want(r, i, !wire_flush(w));
}

static void run(struct run *r, const struct load *l)
{
	struct epoll_event ev[MAX_EVENTS];

	r->l = *l;
	r->n_started = r->n_done = r->next = 0;
	r->waiting = false;
	memset(r->hist, 0, sizeof(r->hist));
	r->now_ns = clock_ns();
	r->end_ns = r->now_ns + (uint64_t)(l->seconds * 1e9);
	for (unsigned i = 0; i < l->n_conns; i++) {
		wire_limit(r->wires[i], l->depth);
		turn(r, i);
	}
	while (r->n_done < r->n_started || may_go_on(r)) {
		int n = epoll_wait(r->epoll_fd, ev, MAX_EVENTS, l->poll ? 0 : -1);

		r->now_ns = clock_ns();
		for (int e = 0; e < n; e++)
			if (ev[e].events & ~(unsigned)EPOLLOUT)
				wire_receive(r->wires[ev[e].data.u32], on_done, r);
		r->waiting = l->lockstep && r->n_done < r->n_started;
		for (int e = 0; e < n; e++)
			turn(r, ev[e].data.u32);
		for (unsigned i = 0; l->lockstep && !r->waiting && i < l->n_conns; i++)
			turn(r, i);
	}
}

static void connect_all(
	struct run *r, const struct wire_url *u, const struct wire_params *p, const struct load *l)
{
	r->wires = calloc(l->n_conns, sizeof(*r->wires));
	r->full = calloc(l->n_conns, sizeof(*r->full));
	r->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	check(r->wires && r->full && r->epoll_fd >= 0);
	for (unsigned i = 0; i < l->n_conns; i++) {
		struct epoll_event ev = {.events = EPOLLIN, .data.u32 = i};

		r->wires[i] = wire_open(u, p, i, MAX(l->depth, i ? 1 : 8));
		check(!epoll_ctl(r->epoll_fd, EPOLL_CTL_ADD, wire_fd(r->wires[i]), &ev));
	}
	wire_capacity(r->wires[0], &r->n_blocks, &r->block);
	if (l->bs % r->block || l->bs / r->block > r->n_blocks)
		wire_die("the volume has blocks of %u bytes", r->block);
}

/* --- before the load --- */

static void fill(struct run *r)
{
	struct load l = {.bs = 1 << 20, .depth = 8, .n_conns = 1};

	l.count = r->n_blocks * r->block / l.bs;
	run(r, &l);
}

static void scatter(struct run *r)
{
	struct load l = {.bs = 4096, .depth = 8, .n_conns = 1};
	uint64_t rng = 11;

	l.count = r->n_blocks * r->block / l.bs;
	r->order = malloc(l.count * sizeof(*r->order));
	check(r->order && l.count <= UINT32_MAX);
	for (uint32_t i = 0; i < l.count; i++) {
		uint32_t j = (uint32_t)(rng_next(&rng) % (i + 1));

		r->order[i] = r->order[j];
		r->order[j] = i;
	}
	run(r, &l);
	free(r->order);
	r->order = NULL;
}

/* --- options --- */

static double cpu_seconds(void)
{
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	return (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
	       (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;
}

/* server_ns - what the threads of a process have run. Asked here, since only the driver knows when its
 * connections stand and the load begins. */
static uint64_t server_ns(unsigned pid)
{
	char path[320];
	uint64_t sum = 0;
	struct dirent *at;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%u/task", pid);
	dir = opendir(path);
	while (dir && (at = readdir(dir))) {
		unsigned long long ns;
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%u/task/%s/schedstat", pid, at->d_name);
		f = *at->d_name == '.' ? NULL : fopen(path, "r");
		if (f && fscanf(f, "%llu", &ns) == 1)
			sum += ns;
		if (f)
			fclose(f);
	}
	if (dir)
		closedir(dir);
	return sum;
}

static uint64_t number(const char *text, uint64_t max)
{
	uint64_t v;

	if (!parse_size(text, max, &v))
		wire_die("%s is no size up to %llu", text, (unsigned long long)max);
	return v;
}

static const char usage[] =
	"Usage: drive [OPTION...] iscsi://HOST:PORT/TARGET/LUN\n"
	"      --rw read|write|randread|randwrite|rw|randrw   (randread)\n"
	"      --mix PERCENT      of reads, for rw and randrw (70)\n"
	"      --bs SIZE          (4K)      --iodepth N       a connection (1)\n"
	"      --connections N    (1)       --count N         commands; else\n"
	"      --time SECONDS     (2)       --pdu SIZE        longest data segment, both ways (256K)\n"
	"      --seed N           (1)       --poll            never sleep\n"
	"      --lockstep         iodepth commands at once, then wait for all of them\n"
	"      --pid PID          of the server: its CPU time during the load is told too\n"
	"      --solicited        every write waits for its R2T\n"
	"      --fill, --scatter  write all of the volume first, in order; at random\n"
	"      --wait             say so and wait for a line of input before the load\n"
	"      --hold SECONDS     keep the connections so long after the load\n";

struct options {
	struct load l;
	struct wire_params p;
	uint64_t seed;
	unsigned pid;
	double hold;
	int fill, scatter, wait, solicited, poll, lockstep;
	const char *rw;
};

static void parse_rw(struct options *o, unsigned mix)
{
	const char *rw = o->rw;

	o->l.random = !strncmp(rw, "rand", 4);
	rw += o->l.random ? 4 : 0;
	if (!strcmp(rw, "read"))
		o->l.reads = 100;
	else if (!strcmp(rw, "rw"))
		o->l.reads = mix;
	else if (strcmp(rw, "write"))
		wire_die("--rw %s is unknown", o->rw);
}

static void parse_options(struct options *o, int argc, char **argv)
{
	const struct option longs[] = {{"rw", 1, 0, 'r'}, {"mix", 1, 0, 'm'}, {"bs", 1, 0, 'b'},
		{"iodepth", 1, 0, 'd'}, {"connections", 1, 0, 'c'}, {"count", 1, 0, 'n'},
		{"time", 1, 0, 't'}, {"pdu", 1, 0, 'p'}, {"seed", 1, 0, 's'}, {"hold", 1, 0, 'h'},
		{"pid", 1, 0, 'P'}, {"poll", 0, &o->poll, 1}, {"lockstep", 0, &o->lockstep, 1},
		{"solicited", 0, &o->solicited, 1}, {"fill", 0, &o->fill, 1},
		{"wait", 0, &o->wait, 1}, {"scatter", 0, &o->scatter, 1}, {0}};
	unsigned mix = 70;
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'r':
			o->rw = optarg;
			break;
		case 'm':
			mix = (unsigned)number(optarg, 100);
			break;
		case 'b':
			o->l.bs = number(optarg, 16 << 20);
			break;
		case 'd':
			o->l.depth = (unsigned)number(optarg, 1024);
			break;
		case 'c':
			o->l.n_conns = (unsigned)number(optarg, MAX_CONNS);
			break;
		case 'n':
			o->l.count = number(optarg, UINT64_MAX);
			break;
		case 't':
			o->l.seconds = strtod(optarg, NULL);
			break;
		case 'p':
			o->p.recv_data = o->p.send_data = (uint32_t)number(optarg, 0xffffff);
			break;
		case 's':
			o->seed = number(optarg, UINT64_MAX);
			break;
		case 'P':
			o->pid = (unsigned)number(optarg, UINT32_MAX);
			break;
		case 'h':
			o->hold = strtod(optarg, NULL);
			break;
		case 0:
			break;
		default:
			fputs(usage, stderr);
			exit(2);
		}
	}
	parse_rw(o, mix);
	o->l.poll = o->poll;
	o->l.lockstep = o->lockstep;
	if (o->solicited) {
		o->p.initial_r2t = true;
		o->p.immediate_data = false;
	}
	if (optind != argc - 1 || !o->l.depth || !o->l.n_conns || !o->seed || !o->l.bs) {
		fputs(usage, stderr);
		exit(2);
	}
}

static void report(const struct run *r, double seconds, double cpu, uint64_t server)
{
	double n = (double)r->n_done;

	printf("{\"ops\": %llu, \"seconds\": %.4f, \"rate\": %.1f, \"mib_s\": %.2f, \"client_cpu_us\": %.3f, "
	       "\"p50_us\": %.2f, \"p99_us\": %.2f, \"p999_us\": %.2f, \"server_cpu_us\": %.4f}\n",
		(unsigned long long)r->n_done, seconds, n / seconds,
		n * (double)r->l.bs / seconds / 1048576, cpu * 1e6 / n, percentile(r->hist, .5),
		percentile(r->hist, .99), percentile(r->hist, .999), (double)server / 1000 / n);
}

int main(int argc, char **argv)
{
	struct options o = {
		.l = {.bs = 4096, .depth = 1, .n_conns = 1, .seconds = 2},
		.p = {.immediate_data = true,
			.max_burst = 1 << 20,
			.first_burst = 64 << 10,
			.max_r2t = 8,
			.recv_data = 256 << 10,
			.send_data = 256 << 10},
		.seed = 1,
		.rw = "randread",
	};
	struct run r = {.rng = 1};
	struct wire_url u;
	uint64_t from, server;
	double cpu;

	parse_options(&o, argc, argv);
	if (!wire_parse(&u, argv[optind]))
		wire_die("%s is no iscsi://HOST:PORT/TARGET/LUN", argv[optind]);
	connect_all(&r, &u, &o.p, &o.l);
	if (o.fill)
		fill(&r);
	if (o.scatter)
		scatter(&r);
	r.rng = o.seed * 0x9e3779b97f4a7c15u | 1;
	if (o.wait) {
		puts("filled");
		fflush(stdout);
		if (getchar() == EOF)
			return 0;
	}
	if (!o.l.count && o.l.seconds <= 0)
		return 0;
	server = o.pid ? server_ns(o.pid) : 0;
	cpu = cpu_seconds();
	from = clock_ns();
	run(&r, &o.l);
	report(&r, (double)(clock_ns() - from) / 1e9, cpu_seconds() - cpu,
		o.pid ? server_ns(o.pid) - server : 0);
	fflush(stdout);
	if (o.hold > 0)
		nanosleep(&(struct timespec){(time_t)o.hold, 0}, NULL);
	return 0;
}
