/* job_conn.c - a connection of `berth bench`: its session, its part of the region, its buffers. */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include "check.h"
#include "job_in.h"
#include "pattern.h"

/* meet - what a disk tells a new session (UNIT ATTENTION) it says to this, not in place of a read's data, which would
 * have to be moved, and not while the clock runs. Whatever else is wrong the requests will find out. */
static void meet(struct bench_conn *c)
{
	static const struct berth_command ready = {.lun = -1, .flags = BERTH_REPEATABLE};

	berth_command_wait(c->s, &ready, NULL); /* TEST UNIT READY */
	berth_info(c->s, &c->met);
}

int bench_conn_init(struct bench_conn *c, struct job *j, uint64_t number)
{
	struct bench *b = j->b;
	struct berth_options o = b->options;
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
	int rc;

	c->job = j;
	c->first = b->verify ? b->n_units * number / b->n_conns : 0;
	c->n_units = b->verify ? b->n_units * (number + 1) / b->n_conns - c->first : b->n_units;
	c->memory_len = round_up(b->bs, 4096) * b->depth;
	c->memory = mmap(
		NULL, c->memory_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	c->flights = calloc(b->depth, sizeof(*c->flights));
	if (b->verify)
		c->version = calloc(c->n_units, sizeof(*c->version));
	if (c->memory == MAP_FAILED || !c->flights || (b->verify && !c->version)) {
		job_fail(j, -ENOMEM, "out of memory");
		return -ENOMEM;
	}
	madvise(c->memory, c->memory_len, MADV_HUGEPAGE);
	for (uint64_t i = 0; i < b->depth; i++) {
		c->flights[i] = (struct bench_flight){
			.conn = c, .buf = c->memory + i * round_up(b->bs, 4096)};
		pattern_fill(c->flights[i].buf, b->bs / PATTERN_SECTOR * PATTERN_SECTOR, b->run, i,
			number);
	}
	o.pool = j->pool;
	rc = berth_open_wait(&c->s, &b->url, &o, j->why, sizeof(j->why));
	if (!rc && epoll_ctl(j->epoll, EPOLL_CTL_ADD, berth_fd(c->s), &ev) < 0)
		rc = -errno;
	if (rc) {
		j->error = rc;
		atomic_store(&b->trouble, true);
		return rc;
	}
	meet(c);
	return 0;
}

void bench_conn_deinit(struct bench_conn *c)
{
	struct job *j = c->job;
	struct berth_info info;

	if (!j)
		return;
	if (c->s) {
		berth_info(c->s, &info);
		j->receive_calls += info.receive_calls - c->met.receive_calls;
		j->send_calls += info.send_calls - c->met.send_calls;
		j->placed_bytes += info.placed_bytes - c->met.placed_bytes;
		j->copied_bytes += info.copied_bytes - c->met.copied_bytes;
		j->n_reconnects += info.n_reconnects;
		berth_close(c->s);
	}
	free(c->flights);
	free(c->version);
	if (c->memory != MAP_FAILED)
		munmap(c->memory, c->memory_len);
}
