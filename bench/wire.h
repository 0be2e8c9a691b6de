/* wire.h - one connection of the load driver: login, a pipeline of READs and WRITEs, nothing else.
 *
 * Made to cost little and to do the same every time, so that two builds of a server can be
 * compared by counting their instructions. Payload that comes in is read and thrown away; payload
 * that goes out is one buffer, sent from over and over. All of a turn leaves in one sendmsg.
 * It has an encoder of its own and no error recovery: a server that says anything but GOOD ends
 * the program with one line that says what came.
 *
 * Thread: one. It lives as long as the program. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WIRE_BHS = 48 };

struct wire_params { /* offered; the results afterwards */
	bool initial_r2t, immediate_data;
	uint32_t max_burst, first_burst, max_r2t;
	uint32_t recv_data; /* ours */
	uint32_t send_data; /* longest Data-Out: the target's, and no more than asked for */
};

struct wire_url {
	char host[64], port[8], target[224];
	unsigned lun;
};

struct wire;
/* wire_parse - iscsi://host:port/target/lun; false: none. */
bool wire_parse(struct wire_url *u, const char *text);
/* wire_open - connected, logged in, unit attentions taken. depth: commands under way at most. */
struct wire *wire_open(
	const struct wire_url *u, const struct wire_params *want, unsigned index, unsigned depth);
int wire_fd(const struct wire *w);
void wire_capacity(struct wire *w, uint64_t *n_blocksp, uint32_t *blockp);

void wire_limit(struct wire *w, unsigned depth); /* fewer under way from now on */
/* wire_may_start - a free slot, and the command window is open. */
bool wire_may_start(const struct wire *w);
void wire_start(
	struct wire *w, bool write, uint64_t lba, uint32_t n_blocks, uint32_t len, uint64_t now_ns);
/* wire_flush - send what is queued; false: the socket is full, wait until it is writable. */
bool wire_flush(struct wire *w);
/* wire_receive - what is there; done(ctx, start_ns) for each command that ended. */
void wire_receive(struct wire *w, void (*done)(void *ctx, uint64_t start_ns), void *ctx);

_Noreturn void wire_die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
