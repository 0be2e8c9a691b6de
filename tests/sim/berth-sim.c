/* berth-sim.c - the whole target in one thread: initiators, reactors, network, disks, crashes, in an order out
 * of a seed. Each seed is one game (game.h). */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"
#include "counter.h"
#include "game.h"
#include "log.h"

enum { JOBS_MAX = 64 };

struct options {
	uint64_t from, n_seeds;
	unsigned n_steps, n_jobs;
	uint64_t each; /* times that everything must happen, in a thousand games */
	bool told;
};

/* What one job tells its parent. */
struct report {
	uint64_t n_seeds, events[N_EVENTS];
};

static const char usage[] =
	"berth-sim - play the target against a model of its disks, deterministically\n"
	"\n"
	"usage: berth-sim [--seed N | --seeds N [--from N]] [--steps M] [--jobs J] [--verbose]\n"
	"\n"
	"  --seed N     one game, by its seed\n"
	"  --seeds N    so many games (default 1000), seeds from --from on (default 1)\n"
	"  --steps M    acts of the initiators in each game (default 5000)\n"
	"  --each N     everything that is counted must happen N times in 1000 games, or the status is 1\n"
	"  --jobs J     so many processes (default: one a CPU)\n"
	"  --verbose    tell what happens, and what the target logs\n"
	"\n"
	"Prints what happened and how often, as lines \"name value\". The first difference between what\n"
	"was read and what may be there ends the run with status 1, its seed and step, and the command that repeats it.\n";

static const char *const event_names[N_EVENTS] = {
#define EVENT(e, name, text) [EV_##e] = name,
#include "event.tbl"
#undef EVENT
};

static struct game_params now;

static void tell_how_to_repeat(uint64_t seed, unsigned n_steps)
{
	fprintf(stderr, "berth-sim: repeat with: berth-sim --seed %llu --steps %u --verbose\n",
		(unsigned long long)seed, n_steps);
}

static _Noreturn void failed(const char *text)
{
	fprintf(stderr, "berth-sim: seed %llu, step %u: %s\n", (unsigned long long)now.seed,
		game_step(), text);
	tell_how_to_repeat(now.seed, now.n_steps);
	exit(1);
}

/* play - the seeds of job j. The same seed is the same run, else no failure could be found again: each
 * job's first seed is played twice. *atp is the seed under way, for whoever outlives this process. */
static void play(const struct options *o, unsigned job, struct report *r, uint64_t *atp)
{
	for (uint64_t i = job; i < o->n_seeds; i += o->n_jobs) {
		uint64_t again[N_EVENTS] = {0}, hash;

		now = (struct game_params){
			.seed = o->from + i, .n_steps = o->n_steps, .told = o->told};
		*atp = now.seed;
		hash = game_play(&now, r->events);
		if (i == job && !o->told && game_play(&now, again) != hash)
			failed("two runs of it differ");
		r->n_seeds++;
	}
}

static void add(struct report *to, const struct report *r)
{
	to->n_seeds += r->n_seeds;
	for (unsigned i = 0; i < N_EVENTS; i++)
		to->events[i] += r->events[i];
}

static void print(const struct options *o, const struct report *r)
{
	printf("seeds %llu\nsteps %llu\n", (unsigned long long)r->n_seeds,
		(unsigned long long)(r->n_seeds * o->n_steps));
	for (unsigned i = 0; i < N_EVENTS; i++)
		printf("%s %llu\n", event_names[i], (unsigned long long)r->events[i]);
	printf("differences 0\n");
}

/* is_enough - a run that hardly ever meets a case proves nothing about it. */
static bool is_enough(const struct options *o, const struct report *r)
{
	uint64_t least = o->each * r->n_seeds / 1000;
	bool enough = true;

	for (unsigned i = 0; i < N_EVENTS; i++) {
		if (r->events[i] < least) {
			fprintf(stderr, "berth-sim: %s happened %llu times, not %llu\n",
				event_names[i], (unsigned long long)r->events[i],
				(unsigned long long)least);
			enough = false;
		}
	}
	return enough;
}

/* --- several processes --- */

struct job {
	pid_t pid;
	int from;
	uint64_t *at; /* shared with it: its seed under way */
};

static int job_start(const struct options *o, unsigned number, struct job *j)
{
	int ends[2];

	if (pipe(ends))
		return -errno;
	j->pid = fork();
	if (j->pid < 0)
		return -errno;
	if (!j->pid) {
		struct report r = {0};

		close(ends[0]);
		play(o, number, &r, j->at);
		_exit(write(ends[1], &r, sizeof(r)) == sizeof(r) ? 0 : 1);
	}
	close(ends[1]);
	j->from = ends[0];
	return 0;
}

/* job_died - who dies of a signal says nothing of his own. */
static void job_died(const struct options *o, const struct job *j, int sig)
{
	fprintf(stderr, "berth-sim: seed %llu: ended by signal %d (%s)\n",
		(unsigned long long)*j->at, sig, strsignal(sig));
	tell_how_to_repeat(*j->at, o->n_steps);
}

/* job_end - its report; what it had to say of a difference it has said. */
static bool job_end(struct job *j, int status, struct report *sum)
{
	struct report r;
	bool good = !status && read(j->from, &r, sizeof(r)) == sizeof(r);

	close(j->from);
	j->pid = 0;
	if (good)
		add(sum, &r);
	return good;
}

static struct job *job_of(struct job *jobs, unsigned n, pid_t pid)
{
	for (unsigned i = 0; i < n; i++) {
		if (jobs[i].pid == pid)
			return &jobs[i];
	}
	return NULL;
}

/* run_jobs - the first difference ends all of them. */
static bool run_jobs(const struct options *o, struct report *sum)
{
	struct job jobs[JOBS_MAX];
	uint64_t *at = mmap(NULL, JOBS_MAX * sizeof(*at), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	bool good = true;
	int status;
	pid_t pid;

	for (unsigned i = 0; i < o->n_jobs; i++) {
		int rc;

		jobs[i].at = &at[i];
		rc = at == MAP_FAILED ? -errno : job_start(o, i, &jobs[i]);
		if (rc) {
			fprintf(stderr, "berth-sim: job %u: %s\n", i, strerror(-rc));
			exit(1);
		}
	}
	while ((pid = wait(&status)) > 0) {
		struct job *j = job_of(jobs, o->n_jobs, pid);

		if (!j || job_end(j, status, sum) || !good)
			continue;
		good = false;
		if (WIFSIGNALED(status))
			job_died(o, j, WTERMSIG(status));
		for (unsigned i = 0; i < o->n_jobs; i++) {
			if (jobs[i].pid)
				kill(jobs[i].pid, SIGKILL);
		}
	}
	return good;
}

/* --- options --- */

static _Noreturn void refuse(const char *word, const char *why)
{
	fprintf(stderr, "berth-sim: %s: %s (see berth-sim --help)\n", word, why);
	exit(2);
}

static uint64_t number(const char *option, const char *text, uint64_t max)
{
	char *end;
	unsigned long long v;

	errno = 0;
	v = strtoull(text, &end, 0);
	if (errno || *end || end == text || *text == '-' || v < 1 || v > max) {
		fprintf(stderr, "berth-sim: %s %s: must be a number from 1 to %llu\n", option, text,
			(unsigned long long)max);
		exit(2);
	}
	return v;
}

static void parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {{"seed", 1, NULL, 's'}, {"seeds", 1, NULL, 'n'},
		{"from", 1, NULL, 'f'}, {"steps", 1, NULL, 'm'}, {"jobs", 1, NULL, 'j'},
		{"each", 1, NULL, 'e'}, {"verbose", 0, NULL, 'v'}, {"help", 0, NULL, 'h'}, {0}};
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":j:vh", longs, NULL)) != -1) {
		if (c == 's') {
			o->from = number("--seed", optarg, UINT64_MAX);
			o->n_seeds = 1;
		} else if (c == 'n') {
			o->n_seeds = number("--seeds", optarg, UINT32_MAX);
		} else if (c == 'f') {
			o->from = number("--from", optarg, UINT64_MAX);
		} else if (c == 'm') {
			o->n_steps = (unsigned)number("--steps", optarg, 100000000);
		} else if (c == 'e') {
			o->each = number("--each", optarg, UINT32_MAX);
		} else if (c == 'j') {
			o->n_jobs = (unsigned)number("--jobs", optarg, JOBS_MAX);
		} else if (c == 'v') {
			o->told = true;
		} else if (c == 'h') {
			fputs(usage, stdout);
			exit(0);
		} else {
			refuse(argv[optind - 1], c == ':' ? "needs a value" : "no such option");
		}
	}
	if (optind < argc)
		refuse(argv[optind], "one word too many");
}

int main(int argc, char **argv)
{
	long n_cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct options o = {.from = 1,
		.n_seeds = getenv("BERTH_SLOW") ? 100 : 1000, /* under sanitizers (HACKING.md) */
		.n_steps = 5000,
		.n_jobs = n_cpus < 1 ? 1 : (unsigned)MIN(n_cpus, JOBS_MAX)};
	static struct counters block;
	struct report sum = {0};
	uint64_t at;

	parse(argc, argv, &o);
	o.n_jobs = (unsigned)MIN(o.n_jobs, o.n_seeds);
	log_level = o.told ? LOG_DEBUG : LOG_SILENT;
	peer_on_fail = failed;
	counters_enter(&block);
	if (o.n_seeds == 1) /* no process of its own, as debuggers like it */
		play(&o, 0, &sum, &at);
	else if (!run_jobs(&o, &sum))
		return 1;
	print(&o, &sum);
	return is_enough(&o, &sum) ? 0 : 1;
}
