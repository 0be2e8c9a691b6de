/* job.c - one thread of `berth bench`: connections with `depth` requests each, kept busy.
 *
 * Nothing here allocates once it runs, and each turn of the loop is one epoll_wait, then for each
 * connection that has answers one receive and one send, whatever their number. A request ends when
 * the receive has ended that brought its answer; what is sent in its stead begins then.
 *
 * --verify: each connection owns a part of the region, so that it alone knows which write of a unit
 * was the last. version[] has it, with a bit for units under way: no unit has two requests at a
 * time. Before the clock starts, and when there are reads, each unit is written once; each read of
 * the run is checked against the version; after the clock has stopped, and when there were writes,
 * each unit that has a version is read once more. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <time.h>
#include "check.h"
#include "job_in.h"
#include "pattern.h"

enum { EVENTS = 64, IDLE_MS = 50, SWEEP_NS = 200000000 };
#define BUSY 0x80000000u

uint64_t bench_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t job_random(struct job *j)
{
	uint64_t x = j->random;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	j->random = x;
	return x * 0x2545f4914f6cdd1dull;
}

static uint64_t random_below(struct job *j, uint64_t n)
{
	return (uint64_t)((unsigned __int128)job_random(j) * n >> 64);
}

void job_fail(struct job *j, int error, const char *what)
{
	if (!j->error) {
		j->error = error;
		snprintf(j->why, sizeof(j->why), "%s", what);
	}
	atomic_store(&j->b->trouble, true);
}

/* --- which request comes next --- */

static uint64_t next_in_turn(struct bench_conn *c)
{
	uint64_t unit = c->cursor++;

	if (c->cursor == c->n_units)
		c->cursor = 0;
	return unit;
}

/* choose_run - a unit of the run; false: all that may be used are under way. */
static bool choose_run(struct bench_conn *c, struct bench_flight *f)
{
	struct job *j = c->job;
	struct bench *b = j->b;

	f->writes = b->read_percent == 0 ||
		    (b->read_percent < 100 && random_below(j, 100) >= b->read_percent);
	f->unit = b->random ? random_below(j, c->n_units) : next_in_turn(c);
	if (!c->version)
		return true;
	for (uint64_t i = 0; i < c->n_units; i++) {
		if (!(c->version[f->unit] & BUSY))
			return true;
		f->unit = f->unit + 1 == c->n_units ? 0 : f->unit + 1;
	}
	return false;
}

/* choose - false: nothing more for this connection in this phase. */
static bool choose(struct bench_conn *c, struct bench_flight *f)
{
	struct job *j = c->job;

	if (j->filling) {
		f->writes = true;
		f->unit = c->cursor;
		return c->cursor < c->n_units && ++c->cursor;
	}
	if (j->checking) {
		f->writes = false;
		while (c->cursor < c->n_units && !c->version[c->cursor])
			c->cursor++;
		f->unit = c->cursor;
		return c->cursor < c->n_units && ++c->cursor;
	}
	return j->phase != BENCH_STOP && choose_run(c, f);
}

static void on_done(void *ctx, const struct berth_result *r);

static void launch(struct bench_flight *f)
{
	struct bench_conn *c = f->conn;
	struct job *j = c->job;
	struct bench *b = j->b;
	struct iovec iov = {f->buf, b->bs};
	uint32_t n_blocks = (uint32_t)(b->bs / b->disk.block_len);
	uint64_t offset;
	int rc;

	if (j->error || !choose(c, f))
		return;
	offset = b->offset + (c->first + f->unit) * b->bs;
	if (c->version) {
		if (f->writes) {
			uint32_t seq = (c->version[f->unit] + 1) & ~BUSY;

			c->version[f->unit] = seq ? seq : 1;
			pattern_fill(f->buf, b->bs, b->run, offset, c->version[f->unit]);
		}
		c->version[f->unit] |= BUSY;
	}
	f->start_ns = j->now_ns;
	rc = f->writes
		     ? berth_write(c->s, offset / b->disk.block_len, n_blocks, &iov, 1, on_done, f)
		     : berth_read(c->s, offset / b->disk.block_len, n_blocks, &iov, 1, on_done, f);
	if (rc < 0)
		job_fail(j, rc, strerror(-rc));
	else
		j->n_flying++;
}

/* --- answers --- */

static void check_data(struct bench_conn *c, struct bench_flight *f)
{
	struct job *j = c->job;
	struct bench *b = j->b;
	uint32_t seq = c->version[f->unit] &= ~BUSY;
	uint64_t offset = b->offset + (c->first + f->unit) * b->bs;

	if (f->writes || !seq)
		return;
	j->n_checked++;
	if (!j->error &&
		pattern_check(f->buf, b->bs, b->run, offset, seq, j->why, sizeof(j->why))) {
		j->mismatch = true;
		j->error = -EILSEQ;
		atomic_store(&b->trouble, true);
	}
}

/* pace - now, or when one is due. */
static void pace(struct job *j, struct bench_flight *f)
{
	if (!j->b->rate || j->filling || j->checking) {
		launch(f);
		return;
	}
	if (!j->idle)
		j->idle_end = &j->idle;
	f->next = NULL;
	*j->idle_end = f;
	j->idle_end = &f->next;
}

static void count(struct job *j, const struct bench_flight *f)
{
	histogram_add(f->writes ? &j->write : &j->read, j->now_ns - f->start_ns);
	if (j->b->rate)
		histogram_add(f->writes ? &j->write_due : &j->read_due, j->now_ns - f->due_ns);
	atomic_store_explicit(&j->n_done,
		atomic_load_explicit(&j->n_done, memory_order_relaxed) + 1, memory_order_relaxed);
}

static void on_done(void *ctx, const struct berth_result *r)
{
	struct bench_flight *f = ctx;
	struct bench_conn *c = f->conn;
	struct job *j = c->job;

	j->n_flying--;
	if (unlikely(r->error == -ECANCELED))
		return; /* we are closing */
	j->now_ns = r->ended_ns;
	if (unlikely(r->error)) {
		char text[128], why[240];

		snprintf(why, sizeof(why), "%s at offset %llu: %s", f->writes ? "write" : "read",
			(unsigned long long)(j->b->offset + (c->first + f->unit) * j->b->bs),
			berth_result_text(r, text, sizeof(text)));
		job_fail(j, r->error, why);
		return;
	}
	if (c->version)
		check_data(c, f);
	if (j->phase == BENCH_RUN && !j->checking)
		count(j, f);
	pace(j, f);
}

/* --- the loop --- */

static void serve(struct job *j, struct bench_conn *c)
{
	int rc;

	rc = berth_service(c->s);
	if (rc) {
		struct berth_info info;

		berth_info(c->s, &info);
		job_fail(j, rc, *info.why ? info.why : strerror(-rc));
	}
}

static void serve_all(struct job *j)
{
	for (unsigned i = 0; i < j->n_conns; i++)
		serve(j, &j->conns[i]);
}

/* release - as many of those held back as are due by now. */
static void release(struct job *j)
{
	uint64_t now = bench_clock();

	while (j->idle && (due_ns(&j->due) <= now || j->phase == BENCH_STOP)) {
		struct bench_flight *f = j->idle;

		j->idle = f->next;
		j->now_ns = now;
		f->due_ns = due_ns(&j->due);
		due_took(&j->due);
		launch(f);
		if (!j->idle || j->idle->conn != f->conn || due_ns(&j->due) > now)
			berth_flush(f->conn->s);
	}
}

/* wait_for_events - at most until a request is due that could begin. */
static int wait_for_events(struct job *j, struct epoll_event *ev)
{
	uint64_t begin, now, until;
	struct timespec t = {.tv_nsec = IDLE_MS * 1000000};
	int n = 0;

	if (!j->b->spin_ns && !j->idle)
		return epoll_pwait2(j->epoll, ev, EVENTS, &t, NULL);
	begin = now = bench_clock();
	until = begin + (uint64_t)t.tv_nsec;
	if (j->idle)
		until = MAX(MIN(until, due_ns(&j->due)), begin);
	while (!n && now < until && now - begin < j->b->spin_ns) {
		n = epoll_wait(j->epoll, ev, EVENTS, 0);
		now = bench_clock();
	}
	if (n)
		return n;
	t.tv_nsec = (long)(until > now ? until - now : 0);
	return epoll_pwait2(j->epoll, ev, EVENTS, &t, NULL);
}

/* loop - until nothing is under way any more. */
static void loop(struct job *j)
{
	struct epoll_event ev[EVENTS];
	uint64_t swept = bench_clock();

	while ((j->n_flying || j->idle) && !j->error) {
		int n = wait_for_events(j, ev);

		j->phase = atomic_load_explicit(&j->b->phase, memory_order_relaxed);
		for (int i = 0; i < n; i++)
			serve(j, ev[i].data.ptr);
		if (j->idle)
			release(j);
		j->now_ns = bench_clock();
		if (j->now_ns - swept > SWEEP_NS) { /* timeouts, and connections that fell silent */
			swept = j->now_ns;
			serve_all(j);
		}
		if (atomic_load_explicit(&j->b->trouble, memory_order_relaxed))
			break;
	}
}

static void launch_all(struct job *j)
{
	j->now_ns = bench_clock();
	for (unsigned i = 0; i < j->n_conns; i++) {
		struct bench_conn *c = &j->conns[i];

		for (uint64_t k = 0; k < j->b->depth; k++)
			pace(j, &c->flights[k]);
		berth_flush(c->s);
	}
}

static void from_the_start(struct job *j)
{
	for (unsigned i = 0; i < j->n_conns; i++)
		j->conns[i].cursor = 0;
}

static void fill(struct job *j)
{
	if (!j->b->verify || j->b->read_percent == 0)
		return;
	j->filling = true;
	launch_all(j);
	loop(j);
	j->filling = false;
}

static void check_all(struct job *j)
{
	if (!j->b->verify || j->b->read_percent == 100 || j->error)
		return;
	j->checking = true;
	from_the_start(j);
	launch_all(j);
	loop(j);
	j->checking = false;
}

/* spread - sequential streams begin at different places, so that connections do not follow each
 * other. */
static void spread(struct job *j)
{
	for (unsigned i = 0; i < j->n_conns; i++) {
		struct bench_conn *c = &j->conns[i];
		uint64_t number = j->index + (uint64_t)i * j->b->n_jobs;

		c->cursor = c->version ? 0 : c->n_units / j->b->n_conns * number % c->n_units;
	}
}

/* --- beginning and end --- */

static void set_up(struct job *j)
{
	j->conns = calloc(j->n_conns, sizeof(*j->conns));
	j->pool = berth_pool_new();
	j->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!j->conns || !j->pool || j->epoll < 0) {
		job_fail(j, -ENOMEM, "out of memory");
		return;
	}
	for (unsigned i = 0; i < j->n_conns && !atomic_load(&j->b->trouble); i++) {
		if (bench_conn_init(&j->conns[i], j, j->index + (uint64_t)i * j->b->n_jobs))
			return;
	}
}

/* wait_for_the_others - connections are kept alive meanwhile. */
static void wait_for_the_others(struct job *j)
{
	struct timespec t = {.tv_nsec = 200000};
	uint64_t swept = bench_clock();

	while (atomic_load(&j->b->phase) == BENCH_SETUP) {
		nanosleep(&t, NULL);
		if (j->error || bench_clock() - swept < SWEEP_NS)
			continue;
		swept = bench_clock();
		serve_all(j);
	}
}

void *job_run(void *ctx)
{
	struct job *j = ctx;

	prctl(PR_SET_TIMERSLACK, 1ul); /* the kernel's 50 us would be told as the target's */
	j->random = (j->b->run ^ (j->index + 1) * 0x9e3779b97f4a7c15ull) | 1;
	set_up(j);
	if (!j->error)
		fill(j);
	atomic_fetch_add(&j->b->n_ready, 1);
	wait_for_the_others(j);
	if (!atomic_load(&j->b->trouble)) {
		j->phase = BENCH_RAMP;
		spread(j);
		due_init(&j->due, j->b->rate, j->index, j->b->n_jobs, bench_clock());
		launch_all(j);
		loop(j);
		check_all(j);
	}
	for (unsigned i = 0; j->conns && i < j->n_conns; i++)
		bench_conn_deinit(&j->conns[i]);
	free(j->conns);
	berth_pool_free(j->pool);
	return NULL;
}
