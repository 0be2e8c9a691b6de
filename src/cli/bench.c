/* bench.c - `berth bench`: the arguments, the clock of the run, and what is told of it.
 *
 * Each job is a thread (job.c); this one only sleeps, sets the phase and shows progress. What is
 * measured is the time between the end of the ramp and the stop: requests that end in between
 * count. */
#include "bench.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include "args.h"
#include "check.h"
#include "cli.h"
#include "client.h"
#include "log.h"
#include "outcome.h"
#include "parse.h"
#include "pattern.h"
#include "why.h"

enum { JOBS_MAX = 256, CONNS_MAX = 65536, MEMORY_MAX_SHIFT = 36 };

/* The arguments, as they are written. */
struct words {
	const char *rw, *congestion;
	uint64_t bs, depth, jobs, conns, time_s, ramp_s, offset, size, pdu, rate, spin_us, mix;
	bool verify, json, digest;
	struct client_words client;
};

static const struct words defaults = {
	.rw = "randread", .bs = 4096, .depth = 1, .jobs = 1, .time_s = 10, .mix = 50};

/* clang-format off */
static const struct { const char *name; bool random; int read_percent; } modes[] = {
	{"read", false, 100}, {"write", false, 0}, {"rw", false, -1}, {"readwrite", false, -1},
	{"randread", true, 100}, {"randwrite", true, 0}, {"randrw", true, -1},
};

#define TABLE(w) {                                                                                             \
	{"--rw", ARG_WORD, &(w)->rw, 0, 0, "HOW", "read, write, rw, randread, randwrite or randrw (randread)"}, \
	{"--rwmixread", ARG_NUMBER, &(w)->mix, 0, 100, "PERCENT", "reads among a mixture (50)"},                 \
	{"--bs", ARG_SIZE, &(w)->bs, 512, 16 << 20, "SIZE", "bytes a request (4k)"},                             \
	{"--iodepth", ARG_NUMBER, &(w)->depth, 1, BERTH_DEPTH_MAX, "N", "requests under way on each connection (1)"}, \
	{"--numjobs", ARG_NUMBER, &(w)->jobs, 1, JOBS_MAX, "N", "threads; at most one for each connection (1)"},                                  \
	{"--connections", ARG_NUMBER, &(w)->conns, 1, CONNS_MAX, "N", "sessions, spread over the threads (one for each)"}, \
	{"--time", ARG_TIME, &(w)->time_s, 1, 1000000, "S", "how long to measure: seconds, or 5m, 2h (10)"},     \
	{"--ramp", ARG_TIME, &(w)->ramp_s, 0, 1000000, "S", "how long before, not measured (0)"},                \
	{"--offset", ARG_SIZE, &(w)->offset, 0, 1ull << 62, "SIZE", "where the region begins (0)"},               \
	{"--size", ARG_SIZE, &(w)->size, 512, 1ull << 62, "SIZE", "bytes of the region (to the end of the disk)"}, \
	{"--pdu", ARG_SIZE, &(w)->pdu, 512, 0xffffff, "SIZE", "data PDUs at most so long, in both directions (256k; the target's)"}, \
	{"--rate", ARG_NUMBER, &(w)->rate, 1, 100000000, "IOPS", "no more requests a second than this"},         \
	{"--spin", ARG_NUMBER, &(w)->spin_us, 0, 1000000, "US", "look for answers so long before sleeping (0)"}, \
	{"--verify", ARG_FLAG, &(w)->verify, 0, 0, NULL, "write patterns, and check everything that is read"},   \
	{"--congestion", ARG_WORD, &(w)->congestion, 0, 0, "NAME", "TCP congestion control: reno, cubic, bbr (the system's)"}, \
	CLIENT_ROWS(&(w)->client, "0: not"),                                                                     \
	{"--digest", ARG_FLAG, &(w)->digest, 0, 0, NULL, "ask for CRC32C digests of headers and data"},          \
	{"--json", ARG_FLAG, &(w)->json, 0, 0, NULL, "print the results as JSON"},                               \
	{NULL} }
/* clang-format on */

static int usage(const char *why)
{
	log_plain("bench: %s", why);
	return EXIT_USAGE;
}

static void help(void)
{
	struct words w = defaults;
	const struct arg table[] = TABLE(&w);

	puts("Usage: berth bench [OPTION...] iscsi://HOST[:PORT]/TARGET/LUN\n\n"
	     "Puts load on a disk and tells rate, throughput and latency. Writing destroys what the region holds.\n");
	args_help(table, stdout);
}

/* settle - the words as a plan. 0, or -EINVAL with one line in err. */
static int settle(struct bench *b, struct words *w, char *err, size_t len)
{
	size_t m = 0;

	while (m < ARRAY_LEN(modes) && strcmp(modes[m].name, w->rw) != 0)
		m++;
	if (m == ARRAY_LEN(modes))
		return why_not(err, len, -EINVAL,
			"--rw %s: must be read, write, rw, randread, randwrite or randrw", w->rw);
	if (w->bs % 512)
		return why_not(
			err, len, -EINVAL, "--bs %s: must be a multiple of 512 bytes", SIZE(w->bs));
	if (!w->conns)
		w->conns = w->jobs;
	w->jobs = w->jobs < w->conns ? w->jobs : w->conns;
	if ((w->bs * w->depth * w->conns) >> MEMORY_MAX_SHIFT)
		return why_not(err, len, -EINVAL,
			"--bs times --iodepth times --connections is %s of memory: must be less than %s",
			SIZE(w->bs * w->depth * w->conns), SIZE(1ull << MEMORY_MAX_SHIFT));
	b->random = modes[m].random;
	b->read_percent =
		modes[m].read_percent < 0 ? (unsigned)w->mix : (unsigned)modes[m].read_percent;
	b->rw = w->rw;
	b->verify = w->verify;
	b->bs = w->bs;
	b->depth = w->depth;
	b->n_jobs = w->jobs;
	b->n_conns = w->conns;
	b->rate = w->rate;
	b->spin_ns = w->spin_us * 1000;
	b->offset = w->offset;
	b->size = w->size;
	b->options.depth = (unsigned)w->depth;
	b->options.congestion = w->congestion;
	b->options.header_digest = b->options.data_digest = w->digest;
	if (w->pdu)
		b->options.max_recv_data = b->options.max_send_data = (uint32_t)w->pdu;
	return 0;
}

/* fit - the region onto the disk. 0, or -EINVAL with one line in err. */
static int fit(struct bench *b, char *err, size_t len)
{
	const struct berth_disk *d = &b->disk;
	uint64_t disk_len = d->n_blocks * d->block_len;

	if (b->bs % d->block_len || b->offset % d->block_len)
		return why_not(err, len, -EINVAL,
			"%s %s: must be a multiple of the disk's block of %s",
			b->bs % d->block_len ? "--bs" : "--offset",
			SIZE(b->bs % d->block_len ? b->bs : b->offset), SIZE(d->block_len));
	if (b->bs / d->block_len > d->max_blocks)
		return why_not(err, len, -EINVAL, "--bs %s: the disk takes at most %s a request",
			SIZE(b->bs), SIZE((uint64_t)d->max_blocks * d->block_len));
	if (b->offset >= disk_len)
		return why_not(err, len, -EINVAL, "--offset %s: the disk ends at %s",
			SIZE(b->offset), SIZE(disk_len));
	if (b->size > disk_len - b->offset)
		return why_not(err, len, -EINVAL, "--size %s: the disk has %s%s", SIZE(b->size),
			SIZE(disk_len - b->offset), b->offset ? " behind --offset" : "");
	if (!b->size)
		b->size = disk_len - b->offset;
	b->n_units = b->size / b->bs;
	if (b->n_units < (b->verify ? b->n_conns * b->depth : 1))
		return why_not(err, len, -EINVAL, "the region of %s is too small for %s",
			SIZE(b->size),
			b->verify ? "all requests under way at once, which --verify keeps apart"
				  : "one request");
	if (b->read_percent < 100 && d->read_only)
		return why_not(err, len, -EROFS, "the disk is read-only");
	return 0;
}

static int look_at_disk(struct bench *b, char *err, size_t len)
{
	struct berth_options o = b->options;
	struct berth_session *s;
	int rc;

	o.depth = 1;
	rc = berth_open_wait(&s, &b->url, &o, err, len);
	if (rc)
		return rc;
	rc = berth_disk_wait(s, &b->disk);
	if (rc == -ENXIO)
		snprintf(err, len, "the target has no such LUN");
	else if (rc)
		snprintf(err, len, "this LUN does not tell its size: %s", strerror(-rc));
	berth_close(s);
	return rc;
}

/* --- the run --- */

static double seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void cpu_now(double *userp, double *systemp)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	*userp = seconds(u.ru_utime);
	*systemp = seconds(u.ru_stime);
}

static uint64_t done_so_far(const struct job *jobs, uint64_t n)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < n; i++)
		sum += atomic_load_explicit(&jobs[i].n_done, memory_order_relaxed);
	return sum;
}

/* sleep_until - false: a job is in trouble. */
static bool sleep_until(
	struct bench *b, const struct job *jobs, struct progress *p, uint64_t end, const char *what)
{
	uint64_t last = 0, last_ns = bench_clock(), now;

	while ((now = bench_clock()) < end && !atomic_load(&b->trouble) && !client_caught()) {
		uint64_t left = end - now, step = left < 50000000 ? left : 50000000;
		struct timespec t = {.tv_nsec = (long)step};
		char text[32];

		nanosleep(&t, NULL);
		if (p->on && bench_clock() - last_ns >= 500000000) {
			uint64_t n = done_so_far(jobs, b->n_jobs);
			double rate = (double)(n - last) * 1e9 / (double)(bench_clock() - last_ns);

			progress_say(p, "%s: %.0f s left, %.0f requests/s, %s/s", what,
				(double)left / 1e9, rate, client_bytes(rate * (double)b->bs, text));
			last = n;
			last_ns = bench_clock();
		}
	}
	return !atomic_load(&b->trouble);
}

/* conduct - the phases, once all jobs are ready. */
static void conduct(struct bench *b, const struct words *w, struct job *jobs, struct outcome *o)
{
	struct timespec t = {.tv_nsec = 1000000};
	struct progress p;
	double user, system;
	uint64_t begin;

	progress_init(&p);
	while (atomic_load(&b->n_ready) < b->n_jobs) {
		progress_say(&p, b->verify ? "connecting, writing patterns" : "connecting");
		nanosleep(&t, NULL);
	}
	client_catch(); /* what has been measured by then is told */
	atomic_store(&b->phase, BENCH_RAMP);
	if (w->ramp_s)
		sleep_until(b, jobs, &p, bench_clock() + w->ramp_s * 1000000000, "ramp");
	cpu_now(&user, &system);
	begin = bench_clock();
	atomic_store(&b->phase, BENCH_RUN);
	sleep_until(b, jobs, &p, begin + w->time_s * 1000000000, "run");
	atomic_store(&b->phase, BENCH_STOP);
	o->ns = bench_clock() - begin;
	o->interrupted = client_caught();
	cpu_now(&o->cpu_user, &o->cpu_system);
	o->cpu_user -= user;
	o->cpu_system -= system;
	if (b->verify && b->read_percent < 100)
		progress_say(&p, "reading everything once more");
	progress_end(&p);
}

/* --- from start to end --- */

static int start_jobs(struct bench *b, struct job *jobs, pthread_t *threads)
{
	for (uint64_t i = 0; i < b->n_jobs; i++) {
		struct job *j = &jobs[i];
		int rc;

		j->b = b;
		j->index = (unsigned)i;
		j->n_conns = (unsigned)(b->n_conns / b->n_jobs + (i < b->n_conns % b->n_jobs));
		rc = pthread_create(&threads[i], NULL, job_run, j);
		if (rc) { /* those that run end at once */
			atomic_store(&b->trouble, true);
			atomic_store(&b->phase, BENCH_STOP);
			while (i-- > 0)
				pthread_join(threads[i], NULL);
			return -rc;
		}
	}
	return 0;
}

/* first_trouble - of the job that met it; others may only have been told to stop. */
static const struct job *first_trouble(const struct bench *b, const struct job *jobs)
{
	for (uint64_t i = 0; i < b->n_jobs; i++) {
		if (jobs[i].error)
			return &jobs[i];
	}
	return NULL;
}

static int measure(struct bench *b, const struct words *w, struct job *jobs, struct outcome *o)
{
	pthread_t threads[JOBS_MAX];
	const struct job *bad;
	int rc = start_jobs(b, jobs, threads);

	if (rc) {
		log_plain("bench: %s", strerror(-rc));
		return EXIT_RUNTIME;
	}
	conduct(b, w, jobs, o);
	for (uint64_t i = 0; i < b->n_jobs; i++) {
		pthread_join(threads[i], NULL);
		outcome_add(o, &jobs[i]);
	}
	bad = first_trouble(b, jobs);
	if (bad) {
		log_plain("bench: %s%s", bad->mismatch ? "VERIFY FAILED: " : "", bad->why);
		return bad->mismatch ? EXIT_RUNTIME : client_exit(bad->error);
	}
	if (w->json)
		outcome_tell_json(o, b);
	else
		outcome_tell(o, b);
	return EXIT_OK;
}

static void raise_limit(uint64_t n_conns)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) || l.rlim_cur >= 2 * n_conns + 64)
		return;
	l.rlim_cur = l.rlim_max;
	setrlimit(RLIMIT_NOFILE, &l);
}

static int run(struct bench *b, const struct words *w)
{
	char err[CLI_WHY] = "", label[CLIENT_LABEL];
	struct job *jobs;
	struct outcome *o;
	int rc = look_at_disk(b, err, sizeof(err));

	if (!rc) {
		rc = fit(b, err, sizeof(err));
		if (rc == -EINVAL)
			return usage(err);
	}
	if (rc) {
		log_plain("bench: %s: %s", client_label(&b->url, label), err);
		return client_exit(rc);
	}
	if (getrandom(&b->run, sizeof(b->run), 0) != sizeof(b->run))
		b->run = bench_clock();
	raise_limit(b->n_conns);
	jobs = aligned_alloc(64, b->n_jobs * sizeof(*jobs));
	o = calloc(1, sizeof(*o));
	rc = EXIT_RUNTIME;
	if (jobs && o) {
		memset(jobs, 0, b->n_jobs * sizeof(*jobs));
		rc = measure(b, w, jobs, o);
	}
	free(jobs);
	free(o);
	return rc;
}

int cmd_bench(int argc, char **argv)
{
	static struct bench b;
	struct words w = defaults;
	const struct arg table[] = TABLE(&w);
	const char *url;
	char err[CLI_WHY];
	unsigned n;
	int rc = args_parse(table, argc, argv, &url, 1, &n, err, sizeof(err));

	if (rc == ARGS_HELP) {
		help();
		return EXIT_OK;
	}
	if (rc)
		return usage(err);
	if (!n)
		return usage("no disk is named (iscsi://HOST[:PORT]/TARGET/LUN)");
	if (berth_url_parse(&b.url, url, err, sizeof(err)))
		return usage(err);
	if (!*b.url.target)
		return usage("the URL names no target");
	if (settle(&b, &w, err, sizeof(err)))
		return usage(err);
	rc = client_settle(&w.client, &b.url, &b.options, err, sizeof(err));
	if (rc) {
		usage(err);
		return client_exit(rc);
	}
	return client_leave(run(&b, &w));
}
