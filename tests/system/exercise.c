/* exercise.c - every kind of call of berth/initiator.h against a live target, ours or another maker's: what each promises,
 * and what a disk holds afterwards. The URL's disk loses its first 16 MiB.
 *
 *     exercise URL [in-order]     speaks TAP; in-order: the target answers in the order of the commands
 *
 * What a target may lack by its own word (UNMAP, WRITE SAME) is skipped there, and said so. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "berth/initiator.h"
#include "check.h"

enum { DEPTH = 32, REGION = 16 << 20, PAGE = 4096 };

static struct berth_url url;
static struct berth_session *s;
static struct berth_disk disk;
static uint8_t *buf, *back;
static bool in_order;
static const char *why; /* of the first expectation of the case that did not hold */

#define EXPECT(what)                                                                               \
	do {                                                                                       \
		if (!(what) && !why)                                                               \
			why = #what;                                                               \
	} while (0)

static uint32_t blocks(uint32_t bytes)
{
	return bytes / disk.block_len;
}

static void fill(uint8_t *p, size_t len, uint32_t seed)
{
	for (size_t i = 0; i < len; i++) {
		seed = seed * 1664525 + 1013904223;
		p[i] = (uint8_t)(seed >> 24);
	}
}

static bool is_all(const uint8_t *p, size_t len, uint8_t value)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] != value)
			return false;
	return true;
}

/* --- requests that are counted --- */

struct flight {
	bool ended;
	unsigned n_calls;
	int error;
};

static void on_done(void *ctx, const struct berth_result *r)
{
	struct flight *f = ctx;

	f->ended = true;
	f->n_calls++;
	f->error = r->error;
}

static void wait_for_all(struct flight *f, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		EXPECT(!berth_wait(s, &f[i].ended));
}

/* --- cases --- */

static void writes_and_reads(void)
{
	struct berth_result r;

	for (uint32_t len = disk.block_len; len <= 4 << 20; len *= 4) {
		fill(buf, len, len);
		memset(back, 0, len);
		EXPECT(!berth_write_wait(s, 3, blocks(len), buf, len, &r));
		EXPECT(r.transferred == len);
		EXPECT(!berth_read_wait(s, 3, blocks(len), back, len, &r));
		EXPECT(r.transferred == len);
		EXPECT(!memcmp(buf, back, len));
	}
	EXPECT(!berth_sync_wait(s, &r));
}

/* Vectors of all lengths, in and out. */
static void scatters(void)
{
	struct iovec out[9], in[5];
	struct flight f[2] = {{0}};
	size_t at = 0, len = 64 * PAGE;

	fill(buf, len, 7);
	memset(back, 0, len);
	for (unsigned i = 0; i < 9; i++) {
		size_t part = i == 8 ? len - at : 1 + i * 7000;

		out[i] = (struct iovec){buf + at, part};
		at += part;
	}
	for (unsigned i = 0; i < 5; i++)
		in[i] = (struct iovec){back + i * len / 5, (i + 1) * len / 5 - i * len / 5};
	EXPECT(berth_write(s, 0, blocks((uint32_t)len), out, 9, on_done, &f[0]) >= 0);
	wait_for_all(f, 1);
	EXPECT(berth_read(s, 0, blocks((uint32_t)len), in, 5, on_done, &f[1]) >= 0);
	wait_for_all(f, 2);
	EXPECT(!f[0].error && !f[1].error);
	EXPECT(!memcmp(buf, back, len));
}

/* read_pages - in turns of n at once. */
static void read_pages(unsigned turns, unsigned n, uint64_t *placedp, uint64_t *copiedp)
{
	struct berth_info before, after;

	berth_info(s, &before);
	while (turns--) {
		struct flight f[DEPTH] = {{0}};

		for (unsigned i = 0; i < n; i++) {
			struct iovec iov = {back + i * PAGE, PAGE};

			EXPECT(berth_read(s, (uint64_t)i * blocks(PAGE), blocks(PAGE), &iov, 1,
				       on_done, &f[i]) >= 0);
		}
		wait_for_all(f, n);
	}
	berth_info(s, &after);
	*placedp = after.placed_bytes - before.placed_bytes;
	*copiedp = after.copied_bytes - before.copied_bytes;
}

/* Reads of whole pages: every byte comes off the socket into its place. With many at once that holds as long as the
 * answers come in order; what does not is moved once more. */
static void places_reads(void)
{
	uint64_t placed, copied;

	read_pages(64, 1, &placed, &copied);
	EXPECT(placed == 64 * PAGE && !copied);
	read_pages(64, DEPTH, &placed, &copied);
	EXPECT(placed + copied >= 64 * DEPTH * PAGE);
	EXPECT(!in_order || !copied);
}

static void keeps_to_its_depth(void)
{
	struct flight f[DEPTH + 1] = {{0}};
	struct iovec iov = {back, PAGE};

	for (unsigned i = 0; i < DEPTH; i++)
		EXPECT(berth_read(s, 0, blocks(PAGE), &iov, 1, on_done, &f[i]) >= 0);
	EXPECT(berth_read(s, 0, blocks(PAGE), &iov, 1, on_done, &f[DEPTH]) == -EAGAIN);
	wait_for_all(f, DEPTH);
	EXPECT(f[DEPTH].n_calls == 0);
	EXPECT(berth_read(s, 0, 0, &iov, 1, on_done, &f[0]) == -EINVAL);
	EXPECT(berth_read(s, 0, 1, &iov, 0, on_done, &f[0]) == -EINVAL);
}

static void gives_back(void)
{
	struct berth_result r;

	fill(buf, 1 << 20, 3);
	EXPECT(!berth_write_wait(s, 0, blocks(1 << 20), buf, 1 << 20, &r));
	EXPECT(!berth_unmap_wait(s, blocks(64 << 10), blocks(128 << 10), &r));
	EXPECT(!berth_read_wait(s, 0, blocks(1 << 20), back, 1 << 20, &r));
	EXPECT(!memcmp(buf, back, 64 << 10));
	EXPECT(!memcmp(buf + (192 << 10), back + (192 << 10), (1 << 20) - (192 << 10)));
	if (disk.zeros)
		EXPECT(is_all(back + (64 << 10), 128 << 10, 0));
}

static void writes_the_same(void)
{
	struct berth_result r;
	uint8_t *block = buf + (2 << 20);

	memset(block, 0xab, disk.block_len);
	EXPECT(!berth_write_same_wait(s, 5, 100, block, disk.block_len, &r));
	EXPECT(!berth_read_wait(s, 5, 100, back, 100 * disk.block_len, &r));
	EXPECT(is_all(back, 100 * disk.block_len, 0xab));
	EXPECT(!berth_write_same_wait(s, 10, 20, NULL, disk.block_len, &r));
	EXPECT(!berth_read_wait(s, 5, 100, back, 100 * disk.block_len, &r));
	EXPECT(is_all(back, 5 * disk.block_len, 0xab));
	EXPECT(is_all(back + 5 * disk.block_len, 20 * disk.block_len, 0));
	EXPECT(is_all(back + 25 * disk.block_len, 75 * disk.block_len, 0xab));
}

static void says_what_is_wrong(void)
{
	struct berth_result r;
	char text[128];

	EXPECT(berth_read_wait(s, disk.n_blocks, 1, back, disk.block_len, &r) == -EREMOTEIO);
	EXPECT(r.status == 0x02);
	EXPECT(berth_sense_key(&r) == 0x05);
	EXPECT(berth_sense_code(&r) == 0x2100);
	EXPECT(!strcmp(berth_result_text(&r, text, sizeof(text)),
		"CHECK CONDITION: ILLEGAL REQUEST (05h/21h/00h)"));
	EXPECT(!berth_read_wait(s, 0, 1, back, disk.block_len, &r)); /* and it goes on */
}

static void any_command(void)
{
	struct iovec iov = {back, 255};
	struct berth_command c = {
		.cdb = {0x12, 0, 0, 0, 255}, .lun = -1, .in = &iov, .n_in = 1}; /* INQUIRY */
	struct berth_command unknown = {.cdb = {0xff}, .lun = -1};
	struct berth_result r;

	EXPECT(!berth_command_wait(s, &c, &r));
	EXPECT(r.transferred >= 36);
	EXPECT((back[0] & 0x1f) == 0); /* a disk */
	c.lun = 77;                    /* nothing there: peripheral qualifier 3 */
	EXPECT(!berth_command_wait(s, &c, &r));
	EXPECT(back[0] == 0x7f);
	EXPECT(berth_command_wait(s, &unknown, &r) == -EREMOTEIO);
	EXPECT(berth_sense_code(&r) == 0x2000);
}

/* Whatever the target makes of it: each request ends once, done or ended, and the session works on. */
static void aborts(void)
{
	struct flight f[DEPTH] = {{0}}, tmf[DEPTH] = {{0}};
	struct iovec iov = {back, 1 << 20};
	int number[DEPTH];
	struct berth_result r;

	for (unsigned i = 0; i < 8; i++)
		number[i] = berth_read(s, 0, blocks(1 << 20), &iov, 1, on_done, &f[i]);
	berth_flush(s);
	for (unsigned i = 0; i < 8; i += 2)
		EXPECT(berth_abort(s, number[i], on_done, &tmf[i]) >= 0);
	wait_for_all(f, 8);
	for (unsigned i = 0; i < 8; i++) {
		EXPECT(f[i].n_calls == 1);
		EXPECT(f[i].error == 0 || (i % 2 == 0 && f[i].error == -ECANCELED));
		if (i % 2 == 0) {
			EXPECT(!berth_wait(s, &tmf[i].ended));
			EXPECT(tmf[i].error == 0 || tmf[i].error == -ENOENT);
		}
	}
	EXPECT(berth_abort_wait(s, number[0]) == -ENOENT); /* long gone */
	EXPECT(!berth_read_wait(s, 0, 1, back, disk.block_len, &r));
}

static void resets(void)
{
	struct flight f[8] = {{0}};
	struct iovec iov = {back, 1 << 20};
	struct berth_result r;

	for (unsigned i = 0; i < 8; i++)
		EXPECT(berth_read(s, 0, blocks(1 << 20), &iov, 1, on_done, &f[i]) >= 0);
	berth_flush(s);
	EXPECT(!berth_lun_reset_wait(s));
	wait_for_all(f, 8);
	for (unsigned i = 0; i < 8; i++)
		EXPECT(f[i].n_calls == 1 && (f[i].error == 0 || f[i].error == -ECANCELED));
	EXPECT(!berth_read_wait(s, 0, 1, back, disk.block_len, &r)); /* past its UNIT ATTENTION */
}

static int on_found(void *ctx, const char *target, const char *address)
{
	*(bool *)ctx |= !strcmp(target, url.target) && strchr(address, ':');
	return 0;
}

static int on_found_enough(void *ctx, const char *target, const char *address)
{
	++*(unsigned *)ctx;
	return 42;
}

static void discovers(void)
{
	char err[256];
	unsigned n = 0;
	bool found = false;

	EXPECT(!berth_discover_wait(&url, NULL, on_found, &found, err, sizeof(err)));
	EXPECT(found);
	EXPECT(berth_discover_wait(&url, NULL, on_found_enough, &n, err, sizeof(err)) == 42);
	EXPECT(n == 1);
}

/* What is under way when a session is closed ends then, once. */
static void closes(void)
{
	struct flight f[DEPTH] = {{0}};
	struct iovec iov = {back, PAGE};

	for (unsigned i = 0; i < DEPTH; i++)
		EXPECT(berth_read(s, 0, blocks(PAGE), &iov, 1, on_done, &f[i]) >= 0);
	berth_flush(s);
	berth_close(s);
	s = NULL;
	for (unsigned i = 0; i < DEPTH; i++)
		EXPECT(f[i].n_calls == 1 && (f[i].error == 0 || f[i].error == -ECANCELED));
}

/* --- all of them --- */

static bool has_same(void)
{
	struct berth_result r;

	return berth_write_same_wait(s, 0, 1, buf, disk.block_len, &r) != -EREMOTEIO;
}

static bool has_unmap(void)
{
	return disk.max_unmap_blocks > 0;
}

/* clang-format off */
static const struct { const char *title; void (*run)(void); bool (*can)(void); } cases[] = {
	{"what is written is read",                        writes_and_reads,   NULL},
	{"vectors of all lengths",                         scatters,           NULL},
	{"reads of whole pages are placed, and not copied", places_reads,      NULL},
	{"no more requests than the session's depth",      keeps_to_its_depth, NULL},
	{"UNMAP",                                          gives_back,         has_unmap},
	{"WRITE SAME",                                     writes_the_same,    has_same},
	{"an error has its sense, and is no end",          says_what_is_wrong, NULL},
	{"any command",                                    any_command,        NULL},
	{"ABORT TASK",                                     aborts,             NULL},
	{"LOGICAL UNIT RESET",                             resets,             NULL},
	{"discovery",                                      discovers,          NULL},
	{"closing with requests under way",                closes,             NULL},
};
/* clang-format on */

static int run_all(void)
{
	int bad = 0;

	printf("1..%zu\n", ARRAY_LEN(cases));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		bool can = !cases[i].can || cases[i].can();

		why = NULL;
		if (can)
			cases[i].run();
		printf("%sok %zu - %s%s\n", why ? "not " : "", i + 1, cases[i].title,
			can ? "" : " # SKIP the target does not have it");
		if (why)
			printf("# does not hold: %s\n", why);
		bad |= why != NULL;
	}
	return bad;
}

int main(int argc, char **argv)
{
	struct berth_options o = {.depth = DEPTH, .command_ms = 20000};
	char err[256];

	in_order = argc == 3 && !strcmp(argv[2], "in-order");
	if (argc < 2 || berth_url_parse(&url, argv[1], err, sizeof(err)))
		return 2;
	buf = aligned_alloc(PAGE, REGION);
	back = aligned_alloc(PAGE, REGION);
	if (!buf || !back || berth_open_wait(&s, &url, &o, err, sizeof(err)) ||
		berth_disk_wait(s, &disk)) {
		printf("1..0 # SKIP no disk: %s\n", err);
		return 1;
	}
	int bad = run_all();

	free(buf);
	free(back);
	return bad;
}
