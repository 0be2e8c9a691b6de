/* placement.c - the proof of direct placement, by the server's own counters: solicited whole-page
 * writes are delivered by the socket into their final pages, with few receive calls and not one
 * byte copied. */
#include <string.h>
#include "scene.h"

enum { BLOCK = 512, MIB = 1 << 20, TOTAL = 64 };

struct shape {
	uint32_t max_burst, max_r2t, segment;
	uint32_t most_calls; /* receive calls a MiB; 0: not asked */
};

static uint64_t rise(const struct dump *before, const struct dump *after, const char *name)
{
	return dump_get(after, name) - dump_get(before, name);
}

/* Depth 1: the next write starts when the last is answered. */
static void solicited(struct daemon *d)
{
	const struct shape *s = d->arg;
	struct peer_params want = peer_params_default();
	uint8_t *out = scene_alloc(MIB), *in = scene_alloc(MIB);
	struct dump before, after;
	struct peer *p;
	uint64_t calls;

	want.max_burst = want.first_burst = s->max_burst;
	want.max_r2t = s->max_r2t;
	p = daemon_peer(d, &want);
	EXPECT_EQ(p->params.max_burst, s->max_burst);
	p->segment = s->segment;
	daemon_dump(d, &before);
	for (unsigned i = 0; i < TOTAL; i++) {
		pattern(out, MIB, 1, (uint64_t)i * MIB);
		peer_write(p, (uint64_t)i * MIB / BLOCK, MIB / BLOCK, out);
	}
	daemon_dump(d, &after);
	EXPECT_EQ(rise(&before, &after, "copied_bytes{merge}"), 0);
	EXPECT_EQ(rise(&before, &after, "copied_bytes{tail}"), 0);
	EXPECT_EQ(rise(&before, &after, "copied_bytes{guess}"), 0);
	EXPECT_EQ(rise(&before, &after, "placed_bytes"), (uint64_t)TOTAL * MIB);
	EXPECT_EQ(dump_sum(&after, "refused_pdus"), dump_sum(&before, "refused_pdus"));
	calls = rise(&before, &after, "receive_calls");
	scene_note("%.2f receive calls a MiB, %llu wrong guesses", (double)calls / TOTAL,
		(unsigned long long)rise(&before, &after, "wrong_guesses"));
	EXPECT(!s->most_calls || calls <= (uint64_t)TOTAL * s->most_calls,
		"%llu receive calls for %d MiB", (unsigned long long)calls, TOTAL);
	for (unsigned i = 0; i < TOTAL; i++) {
		peer_read(p, (uint64_t)i * MIB / BLOCK, MIB / BLOCK, in);
		pattern_expect(in, MIB, 1, (uint64_t)i * MIB);
	}
}

/* A sector into a page that has content: the rest of the page is merged, and counted to the byte.
 */
static void merges_are_counted(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL);
	uint8_t page[4096], sector[BLOCK], now[4096];
	struct dump before, after;

	pattern(page, sizeof(page), 1, 0);
	pattern(sector, sizeof(sector), 2, 0);
	peer_write(p, 8, 8, page);
	daemon_dump(d, &before);
	peer_write(p, 10, 1, sector);
	daemon_dump(d, &after);
	EXPECT_EQ(rise(&before, &after, "copied_bytes{merge}"), sizeof(page) - sizeof(sector));
	EXPECT_EQ(rise(&before, &after, "copied_bytes{tail}"), 0);
	EXPECT_EQ(rise(&before, &after, "placed_bytes"), sizeof(sector));
	peer_read(p, 8, 8, now);
	memcpy(page + 2 * BLOCK, sector, BLOCK);
	EXPECT(!memcmp(now, page, sizeof(page)), "the merged page is wrong");
}

/* Every payload byte has a way that is counted, also where nobody could foresee it. */
static void unasked_data_is_accounted(struct daemon *d)
{
	struct peer_params want = peer_params_default();
	uint8_t *out = scene_alloc(65536);
	struct dump before, after;
	struct peer *p;
	uint64_t ways;

	want.initial_r2t = false;
	want.immediate_data = true;
	p = daemon_peer(d, &want);
	p->odd_seed = 77;
	daemon_dump(d, &before);
	for (unsigned i = 0; i < 100; i++) {
		pattern(out, 65536, i, 0);
		peer_write(p, i * 8, 128, out);
	}
	daemon_dump(d, &after);
	ways = rise(&before, &after, "placed_bytes") + rise(&before, &after, "copied_bytes{tail}") +
	       rise(&before, &after, "copied_bytes{guess}");
	EXPECT(ways >= 100 * 65536, "%llu bytes are accounted for", (unsigned long long)ways);
}

#define SHAPE(title, ...)                                                                          \
	{                                                                                          \
		.name = title, .run = solicited, .ours = true, .arg = &(const struct shape)        \
		{                                                                                  \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}

static const struct scene_case cases[] = {
	/* clang-format off */
	SHAPE("8_KiB_in_bursts_of_1_MiB",     .max_burst = MIB,       .max_r2t = 1, .segment = 8192, .most_calls = 10),
	SHAPE("8_KiB_in_bursts_of_256_KiB",   .max_burst = 256 << 10, .max_r2t = 4, .segment = 8192, .most_calls = 10),
	SHAPE("64_KiB_in_bursts_of_256_KiB",  .max_burst = 256 << 10, .max_r2t = 1, .segment = 65536),
	SHAPE("256_KiB_in_bursts_of_256_KiB", .max_burst = 256 << 10, .max_r2t = 1),
	SHAPE("4_KiB_in_bursts_of_64_KiB",    .max_burst = 64 << 10,  .max_r2t = 8, .segment = 4096),
	/* clang-format on */
	CASE(merges_are_counted, .ours = true),
	CASE(unasked_data_is_accounted, .ours = true),
};
SCENES(cases)
