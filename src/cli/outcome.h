/* outcome.h - what a run of `berth bench` has found, and how it is told: in lines for people, as JSON for programs.
 * The JSON is an interface (docs/berth-bench.1): names are added, never changed. */
#pragma once

#include "bench.h"

struct outcome {
	uint64_t ns;                 /* measured time */
	bool interrupted;            /* a signal ended it early */
	double cpu_user, cpu_system; /* seconds of this process between the marks */
	struct histogram read, write, read_due, write_due;
	uint64_t n_checked, n_reconnects, receive_calls, send_calls, placed_bytes, copied_bytes;
};

void outcome_add(struct outcome *o, const struct job *j); /* once its thread has ended */
void outcome_tell(const struct outcome *o, const struct bench *b);
void outcome_tell_json(const struct outcome *o, const struct bench *b);
