/* bench.h - what `berth bench` was asked for, and what one of its threads does and finds. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "berth/initiator.h"
#include "due.h"
#include "histogram.h"

struct bench {
	/* asked for */
	struct berth_url url;
	struct berth_options options;
	const char *rw; /* as it was written */
	bool random, verify;
	unsigned read_percent;
	uint64_t bs, depth, n_jobs, n_conns, rate, spin_ns, offset, size;
	/* the disk's */
	struct berth_disk disk;
	uint64_t n_units; /* requests of bs bytes that the region has room for */
	uint64_t run;     /* number of this run, in every pattern */
	/* between the threads */
	atomic_uint n_ready; /* jobs that are connected, and whose fill is done */
	atomic_int phase;    /* enum bench_phase, set by the main thread */
	atomic_bool trouble; /* a job has failed: all may end */
};

enum bench_phase { BENCH_SETUP, BENCH_RAMP, BENCH_RUN, BENCH_STOP };

struct bench_conn;
struct bench_flight;

/* A thread with its connections. What main reads while it runs is atomic and relaxed. */
struct job {
	struct bench *b;
	unsigned index, n_conns;
	struct bench_conn *conns;
	struct berth_pool *pool;
	struct due due;
	struct bench_flight *idle, **idle_end; /* held back by --rate, the one that waits longest first */
	int epoll;
	int phase;                 /* as last looked at */
	bool filling, checking;    /* --verify: before and after the run */
	unsigned n_flying;
	uint64_t random;
	uint64_t now_ns;
	_Alignas(64) _Atomic uint64_t n_done; /* in phase RUN, both directions */
	struct histogram read, write;
	struct histogram read_due, write_due; /* --rate: from when they were due */
	uint64_t n_checked;
	/* the library's own view of all connections at the end */
	uint64_t receive_calls, send_calls, placed_bytes, copied_bytes, n_reconnects;
	int error;
	bool mismatch;
	char why[256];
};

/* job_run - the thread's body; its end is when all is sent and answered. */
void *job_run(void *job);
uint64_t bench_clock(void);
