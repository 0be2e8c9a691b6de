/* scene.h - a program of conversations: TAP on standard output, one case a conversation.
 *
 * Each case gets a server of its own (daemon.h), so that cases are independent: it is started with
 * the row's arguments, the case talks to it, all peers are closed, and then the server must say
 * that nothing is lent, no task and no session is left, and end with status 0 on SIGTERM. program
 * [-l] [name ...]      only these cases; -l lists them Environment: BERTH (the program),
 * BERTH_ENGINE, BERTH_ARGS (further arguments, by blanks), or BERTH_URL (a target that runs
 * already, to try the verbs on another maker's: cases with `ours` are skipped). */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "daemon.h"
#include "peer.h"

struct scene_case {
	const char *name;
	void (*run)(struct daemon *d);
	const char *args[10]; /* further ones of `berth serve` */
	const char *ram;      /* size of the RAM disk; NULL: "64M" */
	uint64_t file;	      /* serve a file of this many bytes instead .. */
	const char *options;  /* .. with these options, a comma in front; NULL: none */
	bool on_tmpfs;	      /* the file lies where syncing costs nothing */
	const void *arg;      /* the row's own; in d->arg */
	bool ours;	      /* looks at counters, or asks for what only Berth promises */
};
#define CASE(fn, ...)                                                                              \
	{                                                                                          \
		.name = #fn, .run = fn, ##__VA_ARGS__                                              \
	}

/* scene_slow - how much slower a checker makes all of this (BERTH_SLOW, see src/base/effort.h); 1: there is none.
 * scene_effort - a part of n where it is much. */
unsigned scene_slow(void);
uint64_t scene_effort(uint64_t n);

int scene_main(const struct scene_case *cases, size_t n_cases, int argc, char **argv);
#define SCENES(cases)                                                                              \
	int main(int argc, char **argv)                                                            \
	{                                                                                          \
		return scene_main(cases, sizeof(cases) / sizeof((cases)[0]), argc, argv);          \
	}

/* Memory of the case; given back when it ends. Zeroed. */
void *scene_alloc(size_t len);
void scene_note(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* a TAP comment */
int64_t scene_now_ms(void);
void scene_sleep(int ms);
/* A number from a stream that starts anew with each case. */
uint64_t scene_random(uint64_t below);

/* Bytes that tell whose they are and where they belong: no two seeds and no two words agree. */
void pattern(void *buf, size_t len, uint64_t seed, uint64_t off);
void pattern_expect(const void *buf, size_t len, uint64_t seed, uint64_t off);
