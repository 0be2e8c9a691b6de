/* scene.c - runs the cases of a program, each with a server of its own, and speaks TAP. */
#include "scene.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct block {
	struct block *next;
	_Alignas(16) char bytes[];
};

static struct block *blocks;
static jmp_buf back;
static char why[800];
static uint64_t random_state;
static struct daemon server;

/* --- small things --- */
void *scene_alloc(size_t len)
{
	struct block *b = calloc(1, sizeof(*b) + len);

	EXPECT(b, "no memory");
	b->next = blocks;
	blocks = b;
	return b->bytes;
}

static void free_blocks(void)
{
	while (blocks) {
		struct block *b = blocks;

		blocks = b->next;
		free(b);
	}
}

void scene_note(const char *fmt, ...)
{
	va_list ap;

	printf("# ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
}

int64_t scene_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void scene_sleep(int ms)
{
	nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000L}, NULL);
}

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

uint64_t scene_random(uint64_t below)
{
	random_state += 0x9e3779b97f4a7c15;
	return mix(random_state) % below;
}

/* Words of eight bytes by their place; `off` and `len` may cut them anywhere. */
static uint8_t pattern_byte(uint64_t seed, uint64_t at)
{
	return (uint8_t)(mix(seed * 0x9e3779b97f4a7c15 + at / 8 + 1) >> at % 8 * 8);
}

void pattern(void *buf, size_t len, uint64_t seed, uint64_t off)
{
	uint8_t *b = buf;
	size_t i = 0;

	for (; i < len && (off + i) % 8; i++)
		b[i] = pattern_byte(seed, off + i);
	for (; i + 8 <= len; i += 8) {
		uint64_t word = mix(seed * 0x9e3779b97f4a7c15 + (off + i) / 8 + 1);

		memcpy(b + i, &word, 8);
	}
	for (; i < len; i++)
		b[i] = pattern_byte(seed, off + i);
}

void pattern_expect(const void *buf, size_t len, uint64_t seed, uint64_t off)
{
	const uint8_t *b = buf;
	uint8_t want[4096];

	for (size_t at = 0, n; at < len; at += n) {
		n = len - at < sizeof(want) ? len - at : sizeof(want);
		pattern(want, n, seed, off + at);
		if (!memcmp(b + at, want, n))
			continue;
		for (size_t i = 0; i < n; i++)
			EXPECT(b[at + i] == want[i],
				"byte 0x%zx (place 0x%llx) is 0x%02x, expected 0x%02x", at + i,
				(unsigned long long)(off + at + i), b[at + i], want[i]);
	}
}

/* --- running --- */
static void on_fail(const char *text)
{
	snprintf(why, sizeof(why), "%s", text);
	longjmp(back, 1);
}

/* play - the whole of one case; false when an expectation broke (why tells which). */
static bool play(const struct scene_case *c)
{
	if (setjmp(back))
		return false;
	peer_strict = !getenv("BERTH_URL");
	daemon_start(&server, c->args,
		&(struct daemon_disk){.ram = c->file  ? NULL
					     : c->ram ? c->ram
						      : "64M",
			.file = c->file,
			.options = c->options,
			.on_tmpfs = c->on_tmpfs});
	server.arg = c->arg;
	c->run(&server);
	peer_close_all();
	daemon_settled(&server);
	daemon_stop(&server);
	return true;
}

static bool wanted(const char *name, int argc, char **argv)
{
	bool any = false;

	for (int i = 1; i < argc; i++) {
		any = true;
		if (!strcmp(argv[i], name))
			return true;
	}
	return !any;
}

static bool play_and_tell(unsigned number, const struct scene_case *c)
{
	int64_t start = scene_now_ms();
	bool ok;

	if (c->ours && getenv("BERTH_URL")) {
		printf("ok %u - %s # SKIP only on a server of our own\n", number, c->name);
		return true;
	}
	random_state = 1;
	ok = play(c);
	if (!ok) /* closing may fail again, and must not jump into a frame that is gone */
		scene_note("%s", why);
	peer_close_all();
	daemon_remove(&server, !ok);
	free_blocks();
	printf("%s %u - %s\n", ok ? "ok" : "not ok", number, c->name);
	scene_note("%lld ms", (long long)(scene_now_ms() - start));
	fflush(stdout);
	return ok;
}

unsigned scene_slow(void)
{
	const char *text = getenv("BERTH_SLOW");
	unsigned long slow = text ? strtoul(text, NULL, 10) : 1;

	return slow ? (unsigned)slow : 1;
}

uint64_t scene_effort(uint64_t n)
{
	unsigned slow = scene_slow();

	return slow > 4 ? n * 4 / slow : n;
}

int scene_main(const struct scene_case *cases, size_t n_cases, int argc, char **argv)
{
	unsigned n = 0, n_bad = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	peer_on_fail = on_fail;
	if (argc > 1 && !strcmp(argv[1], "-l")) {
		for (size_t i = 0; i < n_cases; i++)
			printf("%s\n", cases[i].name);
		return 0;
	}
	if (!getenv("BERTH") && !getenv("BERTH_URL")) {
		printf("1..0 # SKIP BERTH does not name the program\n");
		return 0;
	}
	for (size_t i = 0; i < n_cases; i++)
		n += wanted(cases[i].name, argc, argv);
	printf("1..%u\n", n);
	n = 0;
	for (size_t i = 0; i < n_cases; i++)
		if (wanted(cases[i].name, argc, argv))
			n_bad += !play_and_tell(++n, &cases[i]);
	return n_bad || !n ? 1 : 0;
}
