/* share.c - several connections write to the same pages at once, a million commands in each of the two races that
 * matter most; no acknowledged sector is lost.
 *
 * Each sector carries a stamp: who wrote it, and when. A round is over when all of its writes are
 * answered; then every sector must carry a stamp of the last round that wrote it, whole. While a
 * round is under way a third connection reads, and must never see half a sector, nor half a write.
 *
 * Images lie on tmpfs: what a sync costs on this machine's disk says nothing about the order of things.
 */
#include <string.h>
#include "scene.h"

enum { BLOCK = 512, N_SECTORS = 512, BATCH = 32, READ = 64 };
enum { SLOW_MS = 15000 }; /* a race's time under a checker */

/* A race is over when so many writes are answered; where a checker makes them slow, when its time is. */
struct race {
	uint64_t goal, n;
	int64_t start;
};

static struct race race_begin(const struct daemon *d)
{
	const uint64_t *goal = d->arg;

	return (struct race){.goal = scene_effort(*goal), .start = scene_now_ms()};
}

static bool race_goes_on(const struct race *r)
{
	return r->n < r->goal && (scene_slow() == 1 || scene_now_ms() - r->start < SLOW_MS);
}

static void race_end(const struct race *r)
{
	scene_note("%llu of %llu writes in %lld ms", (unsigned long long)r->n,
		(unsigned long long)r->goal, (long long)(scene_now_ms() - r->start));
}

static struct peer *writer(struct daemon *d)
{
	struct peer_params want = peer_params_default();

	want.immediate_data = true;
	return daemon_peer(d, &want);
}

/* --- stamps --- */
static void stamp(uint8_t *sector, uint64_t id, uint64_t lba)
{
	pattern(sector, BLOCK, id, lba * BLOCK);
	memcpy(sector, &id, sizeof(id));
}

/* stamp_of - the sector's id; it must be whole. 0: never written. */
static uint64_t stamp_of(const uint8_t *sector, uint64_t lba)
{
	uint8_t want[BLOCK] = {0};
	uint64_t id;

	memcpy(&id, sector, sizeof(id));
	if (id)
		stamp(want, id, lba);
	EXPECT(!memcmp(sector, want, BLOCK), "sector %llu is torn: stamp 0x%llx, other bytes",
		(unsigned long long)lba, (unsigned long long)id);
	return id;
}

/* --- different sectors of the same pages --- */
/* One writer's half: the even or the odd sectors, in a new order each round. */
struct half {
	struct peer *p;
	struct peer_task *tasks;
	uint8_t *bytes;
	uint16_t order[N_SECTORS / 2];
};

static void half_init(struct half *h, struct daemon *d, unsigned parity)
{
	h->p = writer(d);
	h->tasks = scene_alloc(N_SECTORS / 2 * sizeof(*h->tasks));
	h->bytes = scene_alloc((size_t)N_SECTORS / 2 * BLOCK);
	for (unsigned i = 0; i < N_SECTORS / 2; i++)
		h->order[i] = (uint16_t)(2 * i + parity);
}

static void half_shuffle(struct half *h)
{
	for (unsigned i = N_SECTORS / 2; i > 1; i--) {
		unsigned k = (unsigned)scene_random(i);
		uint16_t t = h->order[i - 1];

		h->order[i - 1] = h->order[k];
		h->order[k] = t;
	}
}

static void half_batch(struct half *h, unsigned from, uint64_t id)
{
	peer_hold(h->p);
	for (unsigned i = from; i < from + BATCH; i++) {
		uint8_t *sector = h->bytes + (size_t)i * BLOCK;

		stamp(sector, id, h->order[i]);
		peer_task_rw(&h->tasks[i], true, h->order[i], 1, sector);
		peer_start(h->p, &h->tasks[i]);
	}
	peer_flush(h->p);
}

static void half_end(struct half *h)
{
	peer_wait_all(h->p);
	for (unsigned i = 0; i < N_SECTORS / 2; i++)
		EXPECT(h->tasks[i].st.status == 0, "sector %u: status 0x%02x", h->order[i],
			h->tasks[i].st.status);
}

/* look - at some sectors; each is of this round, or still of the one before. */
static void look(
	struct peer *reader, uint8_t *buf, uint64_t lba, unsigned n, uint64_t low, uint64_t high)
{
	peer_read(reader, lba, n, buf);
	for (unsigned i = 0; i < n; i++) {
		uint64_t id = stamp_of(buf + (size_t)i * BLOCK, lba + i);

		EXPECT(id >= low && id <= high, "sector %llu: stamp %llu, expected %llu to %llu",
			(unsigned long long)(lba + i), (unsigned long long)id,
			(unsigned long long)low, (unsigned long long)high);
	}
}

static void sectors_of_the_same_pages(struct daemon *d)
{
	struct race race = race_begin(d);
	uint8_t *buf = scene_alloc((size_t)N_SECTORS * BLOCK);
	struct peer *reader = daemon_peer(d, NULL);
	struct half *h = scene_alloc(2 * sizeof(*h));
	uint64_t round = 0;

	half_init(&h[0], d, 0);
	half_init(&h[1], d, 1);
	while (race_goes_on(&race)) {
		round++;
		half_shuffle(&h[0]);
		half_shuffle(&h[1]);
		for (unsigned from = 0; from < N_SECTORS / 2; from += BATCH) {
			half_batch(&h[0], from, round);
			half_batch(&h[1], from, round);
			if (from / BATCH % 4 == 1)
				look(reader, buf, scene_random(N_SECTORS - READ), READ, round - 1,
					round);
		}
		half_end(&h[0]);
		half_end(&h[1]);
		look(reader, buf, 0, N_SECTORS, round, round);
		race.n += N_SECTORS;
	}
	race_end(&race);
}

/* --- the same range, by both, whole or not at all --- */
enum { SPAN = 43, DEPTH = 8 };

struct span {
	struct peer_task tasks[DEPTH];
	uint8_t bytes[DEPTH][SPAN * BLOCK];
};

static void span_start(struct peer *p, struct span *s, uint64_t lba, uint64_t first_id)
{
	peer_hold(p);
	for (unsigned i = 0; i < DEPTH; i++) {
		for (unsigned k = 0; k < SPAN; k++)
			stamp(s->bytes[i] + k * BLOCK, first_id + i, lba + k);
		peer_task_rw(&s->tasks[i], true, lba, SPAN, s->bytes[i]);
		peer_start(p, &s->tasks[i]);
	}
	peer_flush(p);
}

static uint64_t one_stamp(struct peer *reader, uint8_t *buf, uint64_t lba)
{
	uint64_t id;

	peer_read(reader, lba, SPAN, buf);
	id = stamp_of(buf, lba);
	for (unsigned k = 1; k < SPAN; k++)
		EXPECT(stamp_of(buf + k * BLOCK, lba + k) == id,
			"half a write is visible at sector %u", k);
	return id;
}

/* The range starts and ends inside pages, and crosses a border of map lines (2 MiB: also one of
 * locks). */
static void whole_writes_only(struct daemon *d)
{
	struct race race = race_begin(d);
	const uint64_t lba = (2 << 20) / BLOCK - 11;
	struct span *a = scene_alloc(sizeof(*a)), *b = scene_alloc(sizeof(*b));
	struct peer *pa = writer(d), *pb = writer(d), *reader = daemon_peer(d, NULL);
	uint8_t *buf = scene_alloc(SPAN * BLOCK);
	uint64_t id = 1, seen;

	for (; race_goes_on(&race); id += 2 * DEPTH) {
		span_start(pa, a, lba, id);
		span_start(pb, b, lba, id + DEPTH);
		for (unsigned i = 0; i < 4; i++) {
			seen = one_stamp(reader, buf, lba);
			EXPECT(seen + 2 * DEPTH >= id && seen < id + 2 * DEPTH,
				"a write of another round is visible");
			peer_step(pa, 0);
			peer_step(pb, 0);
		}
		peer_wait_all(pa);
		peer_wait_all(pb);
		seen = one_stamp(reader, buf, lba);
		EXPECT(seen >= id && seen < id + 2 * DEPTH,
			"a whole round of answered writes is lost");
		race.n += 2 * DEPTH;
	}
	race_end(&race);
}

/* --- overlapping ranges of any size --- */
enum { AREA = 64, WRITES = 64, LONGEST = 12 };

struct overlap {
	struct peer_task task;
	uint64_t lba;
	uint32_t n;
	uint8_t bytes[LONGEST * BLOCK];
};

/* overlap_start - in one go, by turns; where each sector was written this round. */
static void overlap_start(struct peer *const *p, struct overlap *w, uint64_t id, bool *written)
{
	peer_hold(p[0]);
	peer_hold(p[1]);
	for (unsigned i = 0; i < WRITES; i++) {
		w[i].n = 1 + (uint32_t)scene_random(LONGEST);
		w[i].lba = scene_random(AREA - w[i].n + 1);
		for (unsigned k = 0; k < w[i].n; k++) {
			stamp(w[i].bytes + k * BLOCK, id + i, w[i].lba + k);
			written[w[i].lba + k] = true;
		}
		peer_task_rw(&w[i].task, true, w[i].lba, w[i].n, w[i].bytes);
		peer_start(p[i % 2], &w[i].task);
	}
	peer_flush(p[0]);
	peer_flush(p[1]);
}

static void overlapping_ranges(struct daemon *d)
{
	struct race race = race_begin(d);
	struct overlap *w = scene_alloc(WRITES * sizeof(*w));
	struct peer *p[2] = {writer(d), writer(d)}, *reader = daemon_peer(d, NULL);
	uint8_t *buf = scene_alloc(AREA * BLOCK);
	uint64_t held[AREA] = {0}, id = 1;

	for (; race_goes_on(&race); id += WRITES) {
		bool written[AREA] = {false};

		overlap_start(p, w, id, written);
		peer_wait_all(p[0]);
		peer_wait_all(p[1]);
		peer_read(reader, 0, AREA, buf);
		for (unsigned k = 0; k < AREA; k++) {
			uint64_t now = stamp_of(buf + k * BLOCK, k);

			if (!written[k]) {
				EXPECT_EQ(now, held[k]);
				continue;
			}
			EXPECT(now >= id && now < id + WRITES, "sector %u lost its write", k);
			EXPECT(k >= w[now - id].lba && k < w[now - id].lba + w[now - id].n,
				"sector %u has the stamp of a write elsewhere", k);
			held[k] = now;
		}
		for (unsigned i = 0; i < WRITES; i++)
			EXPECT(w[i].task.st.status == 0, "write %u: status 0x%02x", i,
				w[i].task.st.status);
		race.n += WRITES;
	}
	race_end(&race);
}

#define SHARE(title, fn, n_writes, ...)                                                            \
	{                                                                                          \
		.name = title, .run = fn, .arg = &(const uint64_t){n_writes},                      \
		.args = {"--threads", "2"}, .ours = true, .on_tmpfs = true, __VA_ARGS__            \
	}
#define THROUGH .file = 16 << 20, .options = ",mode=write-through"
#define BACK    .file = 16 << 20, .options = ",mode=write-back"

static const struct scene_case cases[] = {
	/* clang-format off */
	SHARE("sectors_of_the_same_pages_ram",     sectors_of_the_same_pages, 1000000),
	SHARE("whole_writes_only_ram",             whole_writes_only,           30000),
	SHARE("overlapping_ranges_ram",            overlapping_ranges,        1000000),
	SHARE("sectors_of_the_same_pages_through", sectors_of_the_same_pages, 1000000, THROUGH),
	SHARE("whole_writes_only_through",         whole_writes_only,           30000, THROUGH),
	SHARE("overlapping_ranges_through",        overlapping_ranges,        1000000, THROUGH),
	SHARE("sectors_of_the_same_pages_back",    sectors_of_the_same_pages,  200000, BACK),
	SHARE("whole_writes_only_back",            whole_writes_only,           30000, BACK),
	SHARE("overlapping_ranges_back",           overlapping_ranges,         200000, BACK),
	/* clang-format on */
};
SCENES(cases)
