/* storm.c - hundreds of initiators come at once while somebody works: all get in, whoever was there is served
 * meanwhile, and reactors are loaded alike afterwards.
 *
 * The crowd is a process of its own, so that the one who works is not held up by it. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "scene.h"

enum { MOST = 1000, LATE_MS = 1000 };

struct storm {
	unsigned n, n_bursts; /* initiators, and in how many goes they come */
	unsigned silent;      /* so many more connect for each one, and say nothing */
};

/* --- the crowd --- */

struct crowd {
	pid_t pid;
	int say, hear;
};

static const char *const keys =
	"InitiatorName=iqn.2026-11.io.berth:storm\nSessionType=Normal\nTargetName=%s\n"
	"MaxRecvDataSegmentLength=65536\nImmediateData=No\nInitialR2T=Yes";

static void crowd_failed(const char *text)
{
	printf("# the crowd: %s\n", text);
	fflush(stdout);
	_exit(1);
}

/* come - [from, to) connect, then all send their login, then all look for the answer. */
static void come(struct daemon *d, struct peer **all, unsigned from, unsigned to, unsigned silent)
{
	char text[PEER_TEXT_LEN];
	struct peer_pdu pdu;

	snprintf(text, sizeof(text), keys, d->iqn);
	for (unsigned i = from; i < to; i++) {
		for (unsigned k = 0; k < silent; k++)
			daemon_connect(d);
		all[i] = daemon_connect(d);
		all[i]->isid = 0x800000000000 + i;
	}
	for (unsigned i = from; i < to; i++)
		peer_send_login(all[i], PEER_F, 1, 3, text);
	for (unsigned i = from; i < to; i++) {
		EXPECT_EQ(peer_expect_login(all[i], &pdu), 0);
		EXPECT(pdu_get(&pdu, FLAGS) & PEER_F, "the login takes another round");
		all[i]->full = true;
		all[i]->tsih = (uint16_t)pdu_get(&pdu, TSIH);
	}
}

/* Each of them can work; one byte says that all are in, and the end of the other pipe that they may go. */
static _Noreturn void crowd_main(struct daemon *d, const struct storm *s, int say, int hear)
{
	static struct peer *all[MOST];
	char byte = 0;

	peer_on_fail = crowd_failed;
	for (unsigned b = 0; b < s->n_bursts; b++)
		come(d, all, s->n * b / s->n_bursts, s->n * (b + 1) / s->n_bursts, s->silent);
	for (unsigned i = 0; i < s->n; i++)
		peer_ping(all[i], 16);
	EXPECT(write(say, &byte, 1) == 1, "nobody is there");
	EXPECT_EQ(read(hear, &byte, 1), 0);
	for (unsigned i = 0; i < s->n; i += 2)
		peer_reset(all[i]);
	_exit(0); /* the others end as a process that was killed ends them */
}

static struct crowd crowd_start(struct daemon *d, const struct storm *s)
{
	struct crowd c;
	int to[2], from[2];

	EXPECT(pipe(to) == 0 && pipe(from) == 0, "no descriptors: %s", strerror(errno));
	fflush(stdout);
	c.pid = fork();
	EXPECT(c.pid >= 0, "fork: %s", strerror(errno));
	if (!c.pid) {
		close(to[1]);
		crowd_main(d, s, from[1], to[0]);
	}
	close(to[0]);
	close(from[1]);
	c.say = to[1];
	c.hear = from[0];
	return c;
}

/* crowd_end - they go. */
static void crowd_end(struct crowd *c)
{
	int status;

	close(c->say);
	close(c->hear);
	EXPECT(waitpid(c->pid, &status, 0) == c->pid, "waitpid: %s", strerror(errno));
	EXPECT_EQ(status, 0);
}

/* --- the one who works --- */

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* read_on - 4 KiB at a time until the crowd is in; returns the longest wait, in us. */
static uint32_t read_on(struct peer *p, const struct crowd *c)
{
	enum { ROOM = 1 << 20 };
	uint32_t *took = scene_alloc(ROOM * sizeof(*took));
	uint8_t buf[4096];
	unsigned n = 0;
	struct pollfd in = {.fd = c->hear, .events = POLLIN};
	char byte;

	for (; n < ROOM && !poll(&in, 1, 0); n++) {
		uint64_t at = now_us();
		uint64_t page = scene_random(256);

		peer_read(p, page * 8, 8, buf);
		took[n] = (uint32_t)(now_us() - at);
		pattern_expect(buf, sizeof(buf), 7, page * 4096);
	}
	EXPECT(read(c->hear, &byte, 1) == 1, "not all of them got in");
	EXPECT(n, "nothing was read meanwhile");
	qsort(took, n, sizeof(*took), by_value);
	scene_note("%u reads meanwhile: median %u us, 99 %% %u us, worst %u us", n, took[n / 2],
		took[n - n / 100 - 1], took[n - 1]);
	return took[n - 1];
}

static void more_descriptors(void)
{
	struct rlimit limit;

	EXPECT(getrlimit(RLIMIT_NOFILE, &limit) == 0, "getrlimit: %s", strerror(errno));
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static unsigned sessions_on(const struct dump *d, unsigned reactor)
{
	char name[40];

	snprintf(name, sizeof(name), "reactor_sessions{%u}", reactor);
	return (unsigned)dump_get(d, name);
}

/* expect_spread - sessions on two reactors, as many on each but for `uneven`. */
static void expect_spread(struct daemon *d, unsigned n, unsigned uneven)
{
	unsigned a, b;
	struct dump dump;

	daemon_dump(d, &dump);
	a = sessions_on(&dump, 0);
	b = sessions_on(&dump, 1);
	scene_note("sessions: %u and %u", a, b);
	EXPECT_EQ(a + b, n);
	EXPECT(a <= b + uneven && b <= a + uneven, "%u sessions on one reactor, %u on the other", a,
		b);
}

static void storm(struct daemon *d)
{
	const struct storm *s = d->arg;
	struct peer *p = daemon_peer(d, NULL);
	uint8_t *buf = scene_alloc(1 << 20);
	uint32_t worst;
	struct dump dump;
	struct crowd c;

	more_descriptors();
	pattern(buf, 1 << 20, 7, 0);
	peer_write(p, 0, 2048, buf);
	c = crowd_start(d, s);
	worst = read_on(p, &c);
	EXPECT(worst < LATE_MS * 1000 * scene_slow(), "a read took %u us", worst);
	daemon_dump(d, &dump);
	EXPECT_EQ(dump_get(&dump, "connections"), s->n * (1 + s->silent) + 1);
	expect_spread(d, s->n + 1, 2 + s->n / 16); /* who works weighs more */
	crowd_end(&c);
	peer_ping(p, 64);
}

/* --- those who come one by one --- */

/* Every second one goes, which is all of one reactor; those who come afterwards take their places. */
static void places_that_are_free_again(struct daemon *d)
{
	enum { N = 16 };
	struct peer *p[N];
	int64_t give_up = scene_now_ms() + 5000;
	struct dump dump;

	for (unsigned i = 0; i < N; i++)
		p[i] = daemon_peer(d, NULL);
	expect_spread(d, N, 0);
	for (unsigned i = 0; i < N; i += 2)
		peer_close(p[i]);
	do
		daemon_dump(d, &dump);
	while (dump_get(&dump, "sessions") > N / 2 && scene_now_ms() < give_up);
	EXPECT_EQ(sessions_on(&dump, 0) * sessions_on(&dump, 1), 0);
	for (unsigned i = 0; i < N; i += 2)
		daemon_peer(d, NULL);
	expect_spread(d, N, 0);
}

/* Of two that are there, one works. Those who come then go to the other one's reactor until it has as much to carry. */
static void who_works_weighs_more(struct daemon *d)
{
	enum { N = 8, WORK_MS = 5500 };
	struct peer *busy = daemon_peer(d, NULL);
	int64_t end = scene_now_ms() + WORK_MS;
	unsigned a, b;
	struct dump dump;

	daemon_peer(d, NULL);
	expect_spread(d, 2, 0);
	for (uint8_t page[4096]; scene_now_ms() < end;)
		peer_read(busy, scene_random(256) * 8, 8, page);
	daemon_dump(d, &dump);
	a = (unsigned)dump_get(&dump, "reactor_load{0}");
	b = (unsigned)dump_get(&dump, "reactor_load{1}");
	scene_note("load: %u and %u", a, b);
	EXPECT(a > 4 * b || b > 4 * a, "a load of %u, and of %u", a, b);
	for (unsigned i = 0; i < N; i++)
		daemon_peer(d, NULL);
	daemon_dump(d, &dump);
	EXPECT(a > b ? sessions_on(&dump, 1) >= sessions_on(&dump, 0) + 3
		     : sessions_on(&dump, 0) >= sessions_on(&dump, 1) + 3,
		"%u sessions on one reactor, %u on the other", sessions_on(&dump, 0),
		sessions_on(&dump, 1));
}

#define STORM(title, ...)                                                                          \
	{                                                                                          \
		.name = title, .run = storm, .arg = &(const struct storm){__VA_ARGS__},            \
		.args = {"--threads", "2"}, .ram = "256M", .ours = true                            \
	}

static const struct scene_case cases[] = {
	STORM("all_at_once", .n = MOST, .n_bursts = 1),
	STORM("in_four_goes", .n = MOST, .n_bursts = 4),
	STORM("with_silent_ones_among_them", .n = MOST / 2, .n_bursts = 1, .silent = 1),
	CASE(places_that_are_free_again, .args = {"--threads", "2"}, .ours = true),
	CASE(who_works_weighs_more, .args = {"--threads", "2"}, .ours = true),
};
SCENES(cases)
