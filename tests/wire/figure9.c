/* figure9.c - the source's Figure 9 on the wire, and in the trace.
 *
 * A write of 64 KiB that starts in the middle of an arena line of 32 KiB, with one R2T for each
 * line: three windows, whose tags differ in the high half (index of the data pointer table) and
 * agree in the low half (index of the connection table). The trace tells where each Data-Out was
 * placed: data pointer + (Buffer Offset - data offset). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "scene.h"

enum { BLOCK = 512, LINE = 0x8000, LEN = 0x10000, LBA = 0x4000 / BLOCK, SEGMENT = 0x2000 };

static const struct {
	uint32_t offset, length;
} windows[] = {{0, 0x4000}, {0x4000, 0x8000}, {0xc000, 0x4000}}; /* Figure 9B */

static struct peer *peer_with_windows(struct daemon *d, uint32_t n)
{
	struct peer_params want = peer_params_default();
	struct peer *p;

	want.max_burst = want.first_burst = 256 << 10;
	want.max_r2t = n;
	p = daemon_peer(d, &want);
	p->segment = SEGMENT;
	return p;
}

/* --- the trace --- */
enum { MAX_LINES = 64 };

struct trace {
	char *lines[MAX_LINES];
	unsigned n;
};

/* value - of "name=": decimal, or hexadecimal, perhaps grouped as in the figures (0x0010_0123). */
static uint64_t value(const char *line, const char *name)
{
	char key[40], digits[40];
	const char *at;
	unsigned n = 0;

	snprintf(key, sizeof(key), " %s=", name);
	at = strstr(line, key);
	EXPECT(at, "no %s= in the trace line: %s", name, line);
	for (at += strlen(key); *at && *at != ' ' && n < sizeof(digits) - 1; at++)
		if (*at != '_')
			digits[n++] = *at;
	digits[n] = '\0';
	return strtoull(digits, NULL, 0);
}

/* trace_read - the lines of one event about one command. */
static void trace_read(struct daemon *d, struct trace *t, const char *event, uint32_t itt)
{
	char *line = scene_alloc(400);
	FILE *f = fopen(d->trace, "re");
	size_t event_len = strlen(event);

	t->n = 0;
	EXPECT(f, "there is no trace file");
	while (fgets(line, 400, f)) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, event, event_len) || line[event_len] != ' ' ||
			value(line, "itt") != itt)
			continue;
		EXPECT(t->n < MAX_LINES, "too many lines of %s", event);
		t->lines[t->n++] = line;
		line = scene_alloc(400);
	}
	fclose(f);
}

static void check_trace(struct daemon *d, uint32_t itt, const struct peer_r2t *r2ts)
{
	struct trace r2t, entry, data, status;

	trace_read(d, &r2t, "r2t", itt);
	trace_read(d, &entry, "entry", itt);
	trace_read(d, &data, "data", itt);
	trace_read(d, &status, "status", itt);
	EXPECT_EQ(r2t.n, 3);
	EXPECT_EQ(entry.n, 3);
	EXPECT_EQ(data.n, 8);
	EXPECT_EQ(status.n, 1);
	for (unsigned i = 0; i < 3; i++) {
		EXPECT_EQ(value(r2t.lines[i], "ttt"), r2ts[i].ttt);
		EXPECT_EQ(value(r2t.lines[i], "offset"), windows[i].offset);
		EXPECT_EQ(value(r2t.lines[i], "length"), windows[i].length);
		EXPECT_EQ(value(entry.lines[i], "index"), r2ts[i].ttt >> 16); /* Figure 9C */
		EXPECT_EQ(value(entry.lines[i], "offset"), windows[i].offset);
		EXPECT_EQ(value(entry.lines[i], "length"), windows[i].length);
		/* the offset within the line is kept: Figure 9A */
		EXPECT_EQ(value(entry.lines[i], "pointer") % LINE, i ? 0 : 0x4000);
	}
	for (unsigned i = 0; i < 8; i++) { /* Figure 9D */
		uint64_t offset = value(data.lines[i], "offset");
		unsigned w = offset < windows[1].offset ? 0 : offset < windows[2].offset ? 1 : 2;

		EXPECT_EQ(offset, i * SEGMENT);
		EXPECT_EQ(value(data.lines[i], "length"), SEGMENT);
		EXPECT_EQ(value(data.lines[i], "ttt"), r2ts[w].ttt);
		EXPECT_EQ(value(data.lines[i], "place"),
			value(entry.lines[w], "pointer") + offset - windows[w].offset);
	}
}

static void three_lines(struct daemon *d)
{
	struct peer *a = peer_with_windows(d, 3), *b = peer_with_windows(d, 8);
	uint8_t *out = scene_alloc(LEN), *in = scene_alloc(LEN);
	struct peer_r2t mine[3], other[3];
	uint32_t itt_a, itt_b;

	a->next_itt = 0xa001;
	b->next_itt = 0xb001;
	pattern(out, LEN, 1, 0);
	itt_a = peer_send_write(a, LBA, LEN / BLOCK);
	itt_b = peer_send_write(b, 0x10000 + LBA, LEN / BLOCK);
	for (unsigned i = 0; i < 3; i++) {
		peer_expect_r2t(a, itt_a, &mine[i]);
		peer_expect_r2t(b, itt_b, &other[i]);
		EXPECT_EQ(mine[i].offset, windows[i].offset);
		EXPECT_EQ(mine[i].length, windows[i].length);
		EXPECT_EQ(mine[i].ttt & 0xffff, mine[0].ttt & 0xffff);
		EXPECT_EQ(other[i].ttt & 0xffff, other[0].ttt & 0xffff);
		EXPECT((mine[i].ttt & 0xffff) != (other[i].ttt & 0xffff),
			"two connections, one low half");
		for (unsigned k = 0; k < i; k++)
			EXPECT(mine[i].ttt >> 16 != mine[k].ttt >> 16,
				"two windows, one high half");
	}
	for (unsigned i = 0; i < 3; i++) {
		peer_answer(a, &mine[i], out);
		peer_answer(b, &other[i], out);
	}
	peer_expect_good(a, itt_a);
	peer_expect_good(b, itt_b);
	peer_read(b, LBA, LEN / BLOCK, in);
	pattern_expect(in, LEN, 1, 0);
	peer_read(a, 0x10000 + LBA, LEN / BLOCK, in);
	pattern_expect(in, LEN, 1, 0);
	peer_close_all();
	daemon_settled(d);
	daemon_stop(d); /* the trace is whole */
	check_trace(d, itt_a, mine);
}

/* One at a time they come too, each when the one before is full. */
static void one_window_at_a_time(struct daemon *d)
{
	struct peer *p = peer_with_windows(d, 1);
	uint8_t *out = scene_alloc(LEN), *in = scene_alloc(LEN);
	uint32_t itt = peer_send_write(p, LBA, LEN / BLOCK), low = 0;
	struct peer_r2t r;

	pattern(out, LEN, 2, 0);
	for (unsigned i = 0; i < 3; i++) {
		peer_expect_r2t(p, itt, &r);
		EXPECT_EQ(r.r2tsn, i);
		EXPECT_EQ(r.offset, windows[i].offset);
		EXPECT_EQ(r.length, windows[i].length);
		low = i ? low : r.ttt & 0xffff;
		EXPECT_EQ(r.ttt & 0xffff, low);
		peer_answer(p, &r, out);
	}
	peer_expect_good(p, itt);
	peer_read(p, LBA, LEN / BLOCK, in);
	pattern_expect(in, LEN, 2, 0);
}

/* The default policy asks for the same write with one R2T: its entry lists the runs. */
static void burst_policy(struct daemon *d)
{
	struct peer *p = peer_with_windows(d, 3);
	uint8_t *out = scene_alloc(LEN), *in = scene_alloc(LEN);
	uint32_t itt = peer_send_write(p, LBA, LEN / BLOCK);
	struct peer_r2t r;

	pattern(out, LEN, 3, 0);
	peer_expect_r2t(p, itt, &r);
	EXPECT_EQ(r.offset, 0);
	EXPECT_EQ(r.length, LEN);
	peer_answer(p, &r, out);
	peer_expect_good(p, itt);
	peer_read(p, LBA, LEN / BLOCK, in);
	pattern_expect(in, LEN, 3, 0);
}

static const struct scene_case cases[] = {
	CASE(three_lines, .args = {"--r2t", "line", "--trace"}, .ours = true),
	CASE(one_window_at_a_time, .args = {"--r2t", "line"}, .ours = true),
	CASE(burst_policy, .ours = true),
};
SCENES(cases)
