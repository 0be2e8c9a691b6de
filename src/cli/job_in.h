/* job_in.h - what job.c and job_conn.c share: a thread's connections, and what each has under way. */
#pragma once

#include "bench.h"

struct bench_flight {
	struct bench_conn *conn;
	struct bench_flight *next;
	uint8_t *buf;
	uint64_t unit, start_ns, due_ns;
	bool writes;
};

struct bench_conn {
	struct job *job;
	struct berth_session *s;
	struct bench_flight *flights;
	uint8_t *memory;
	size_t memory_len;
	uint64_t first, n_units, cursor; /* the part of the region, in units */
	uint32_t *version;
	struct berth_info met; /* before its first request */
};

void job_fail(struct job *j, int error, const char *what); /* the first trouble is the one that is told */
/* bench_conn_init - connects, and makes `depth` flights; `number` among the connections of all threads. 0 or -errno, which
 * the job has been told. */
int bench_conn_init(struct bench_conn *c, struct job *j, uint64_t number);
void bench_conn_deinit(struct bench_conn *c); /* of one that is all zero, too; its counts go to the job */
