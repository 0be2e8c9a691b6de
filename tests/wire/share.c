/* share.c - several connections write to the same pages at once; no acknowledged sector is lost.
 *
 * Each sector carries a stamp: who wrote it, and when. A round is over when all of its writes are
 * answered; then every sector must carry a stamp of the last round that wrote it, whole. While a
 * round is under way a third connection reads, and must never see half a sector, nor half a write.
 */
#include <string.h>
#include "scene.h"

enum { BLOCK = 512, N_SECTORS = 512, BATCH = 32, READ = 64 };

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
struct limits {
	uint64_t n_writes;
	int64_t ms;
};

static struct limits limits_of(const struct daemon *d)
{
	const struct limits *l = d->arg;

	return (struct limits){scene_effort(l->n_writes), (int64_t)scene_effort((uint64_t)l->ms)};
}

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
	const struct limits limits = limits_of(d);
	uint8_t *buf = scene_alloc((size_t)N_SECTORS * BLOCK);
	struct peer *reader = daemon_peer(d, NULL);
	int64_t start = scene_now_ms();
	struct half *h = scene_alloc(2 * sizeof(*h));
	uint64_t round = 0, n = 0;

	half_init(&h[0], d, 0);
	half_init(&h[1], d, 1);
	while (n < limits.n_writes && scene_now_ms() - start < limits.ms) {
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
		n += N_SECTORS;
	}
	scene_note("%llu sector writes in %lld ms", (unsigned long long)n,
		(long long)(scene_now_ms() - start));
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
	const struct limits limits = limits_of(d);
	const uint64_t lba = (2 << 20) / BLOCK - 11;
	struct span *a = scene_alloc(sizeof(*a)), *b = scene_alloc(sizeof(*b));
	struct peer *pa = writer(d), *pb = writer(d), *reader = daemon_peer(d, NULL);
	uint8_t *buf = scene_alloc(SPAN * BLOCK);
	int64_t start = scene_now_ms();
	uint64_t id = 1, seen, n = 0;

	for (; n < limits.n_writes && scene_now_ms() - start < limits.ms; id += 2 * DEPTH) {
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
		n += 2 * DEPTH * SPAN;
	}
	scene_note("%llu sector writes in %lld ms", (unsigned long long)n,
		(long long)(scene_now_ms() - start));
}

/* --- overlapping ranges of any size --- */
enum { AREA = 256, WRITES = 24, LONGEST = 40 };

struct overlap {
	struct peer_task task;
	uint64_t lba;
	uint32_t n;
	uint8_t bytes[LONGEST * BLOCK];
};

static void overlapping_ranges(struct daemon *d)
{
	const struct limits limits = limits_of(d);
	struct overlap *w = scene_alloc(WRITES * sizeof(*w));
	struct peer *p[2] = {writer(d), writer(d)}, *reader = daemon_peer(d, NULL);
	uint8_t *buf = scene_alloc(AREA * BLOCK);
	uint64_t held[AREA] = {0}, id = 1, n = 0;
	int64_t start = scene_now_ms();

	for (; n < limits.n_writes && scene_now_ms() - start < limits.ms; id += WRITES) {
		bool written[AREA] = {false};

		for (unsigned i = 0; i < WRITES; i++) {
			w[i].n = 1 + (uint32_t)scene_random(LONGEST);
			w[i].lba = scene_random(AREA - w[i].n + 1);
			for (unsigned k = 0; k < w[i].n; k++) {
				stamp(w[i].bytes + k * BLOCK, id + i, w[i].lba + k);
				written[w[i].lba + k] = true;
			}
			peer_task_rw(&w[i].task, true, w[i].lba, w[i].n, w[i].bytes);
			peer_start(p[i % 2], &w[i].task);
			n += w[i].n;
		}
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
	}
	scene_note("%llu sector writes in %lld ms", (unsigned long long)n,
		(long long)(scene_now_ms() - start));
}

#define SHARE(title, fn, n, most_ms, ...)                                                          \
	{                                                                                          \
		.name = title, .run = fn, .arg = &(const struct limits){n, most_ms},               \
		.args = {"--threads", "2"}, .ours = true, __VA_ARGS__                              \
	}

static const struct scene_case cases[] = {
	/* clang-format off */
	SHARE("sectors_of_the_same_pages_ram",  sectors_of_the_same_pages, 1000000, 40000),
	SHARE("whole_writes_only_ram",          whole_writes_only,          400000, 10000),
	SHARE("overlapping_ranges_ram",         overlapping_ranges,         400000, 10000),
	SHARE("sectors_of_the_same_pages_file", sectors_of_the_same_pages, 1000000, 20000, .file = 16 << 20),
	SHARE("whole_writes_only_file",         whole_writes_only,          400000, 6000,  .file = 16 << 20),
	SHARE("overlapping_ranges_file",        overlapping_ranges,         400000, 6000,  .file = 16 << 20),
	/* clang-format on */
};
SCENES(cases)
