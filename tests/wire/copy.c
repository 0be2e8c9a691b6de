/* copy.c - copies that the target makes by itself: EXTENDED COPY in both formats and tokens, between units of memory and
 * files, what is known of them afterwards, who forbids them, and lists that lie. */
#include "copy.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { N = 3000, LEN = N * BLOCK, FAR_LBA = 40000 };

/* copy - by one of the ways; asked of the destination's unit, or for a token of the source's and then of it. */
static struct peer_status copy(struct peer *p, const struct units *u, enum way way, unsigned from,
	uint64_t from_lba, unsigned to, uint64_t lba, uint16_t n)
{
	const struct segment s = {.from = (uint16_t)from,
		.to = (uint16_t)to,
		.from_lba = from_lba,
		.lba = lba,
		.n = n};
	struct list *l = scene_alloc(sizeof(*l));
	uint8_t token[TOKEN_LEN];

	if (way == TOKEN) {
		at(p, from);
		make_token(p, token, from_lba, n);
		write_list(l, token, 78, lba, n);
	} else {
		copy_list(l, u, way, 0, &s);
	}
	at(p, to);
	return send_list(p, l);
}

static void fill(struct peer *p, unsigned lun, uint64_t lba, uint32_t n, uint64_t seed)
{
	uint8_t *buf = scene_alloc((size_t)n * BLOCK);

	pattern(buf, (size_t)n * BLOCK, seed, 0);
	at(p, lun);
	peer_write(p, lba, n, buf);
}

/* holds - blocks [skip, skip + n) of the pattern. */
static void holds(
	struct peer *p, unsigned lun, uint64_t lba, uint32_t n, uint64_t seed, uint32_t skip)
{
	uint8_t *buf = scene_alloc((size_t)n * BLOCK);

	at(p, lun);
	peer_read(p, lba, n, buf);
	pattern_expect(buf, (size_t)n * BLOCK, seed, (uint64_t)skip * BLOCK);
}

/* Each way, within a unit and between them, at the same and at other places in a page; nothing beside it changes. */
static void every_way_and_place(struct daemon *d)
{
	static const struct {
		unsigned from, to;
		uint64_t from_lba, lba;
	} rows[] = {
		{0, 0, 0, FAR_LBA},
		{0, 0, 3, FAR_LBA + 6},
		{0, 1, 5, FAR_LBA + 5},
		{1, 0, 8, FAR_LBA + 1},
		{1, 1, 1, FAR_LBA + 9},
	};
	struct peer *p = daemon_peer(d, NULL);
	struct units u;

	learn_names(p, &u);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (enum way way = 0; way < N_WAYS; way++) {
			uint64_t seed = 10 * (i + 1) + way;
			struct peer_status st;

			fill(p, rows[i].from, rows[i].from_lba, N, seed);
			fill(p, rows[i].to, rows[i].lba - 1, N + 2, 1000);
			st = copy(p, &u, way, rows[i].from, rows[i].from_lba, rows[i].to,
				rows[i].lba, N);
			must_be(&st, 0, 0, 0);
			holds(p, rows[i].to, rows[i].lba, N, seed, 0);
			holds(p, rows[i].from, rows[i].from_lba, N, seed, 0);
			holds(p, rows[i].to, rows[i].lba - 1, 1, 1000, 0);
			holds(p, rows[i].to, rows[i].lba + N, 1, 1000, N + 1);
		}
	}
}

static void ranges_that_overlap(struct daemon *d)
{
	static const int moves[] = {1, 8, 800, -1, -8, -800, 0};
	struct peer *p = daemon_peer(d, NULL);
	struct units u;

	learn_names(p, &u);
	for (unsigned i = 0; i < sizeof(moves) / sizeof(moves[0]); i++) {
		for (enum way way = 0; way < N_WAYS; way++) {
			struct peer_status st;

			fill(p, 0, 1000, N, i + 1);
			st = copy(p, &u, way, 0, 1000, 0, (uint64_t)(1000 + moves[i]), N);
			must_be(&st, 0, 0, 0);
			holds(p, 0, (uint64_t)(1000 + moves[i]), N, i + 1, 0);
		}
	}
}

/* shares - can the file system of the image share extents? */
static bool shares(const struct daemon *d)
{
	char path[2][120];
	int fd[2];
	bool can;

	for (unsigned i = 0; i < 2; i++) {
		snprintf(path[i], sizeof(path[i]), "%s.%u", d->file, i);
		fd[i] = open(path[i], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		EXPECT(fd[i] >= 0, "%s cannot be made", path[i]);
	}
	EXPECT(pwrite(fd[0], path, 1, 0) == 1, "%s cannot be written", path[0]);
	can = ioctl(fd[1], FICLONE, fd[0]) == 0;
	for (unsigned i = 0; i < 2; i++) {
		close(fd[i]);
		unlink(path[i]);
	}
	return can;
}

/* --- what is cold goes from place to place in the file by itself, where that can be had; it stays out of the cache --- */
static void what_is_cold_stays_so(struct daemon *d)
{
	enum { BIG = 16384 };
	struct peer *p = daemon_peer(d, NULL);
	uint8_t *bytes = scene_alloc((size_t)BIG * BLOCK);
	int fd = open(d->file, O_WRONLY | O_CLOEXEC);
	struct peer_status st;
	struct dump dump;
	struct units u;

	pattern(bytes, (size_t)BIG * BLOCK, 5, 0);
	EXPECT(fd >= 0 && pwrite(fd, bytes, (size_t)BIG * BLOCK, 0) == (ssize_t)BIG * BLOCK,
		"%s cannot be written", d->file);
	close(fd);
	learn_names(p, &u);
	st = copy(p, &u, LID4, 0, 0, 0, FAR_LBA, BIG);
	must_be(&st, 0, 0, 0);
	daemon_dump(d, &dump);
	scene_note("%llu bytes cloned", (unsigned long long)dump_get(&dump, "cloned_bytes"));
	EXPECT_EQ(dump_get(&dump, "cloned_bytes"), shares(d) ? BIG * BLOCK : 0);
	EXPECT_EQ(dump_get(&dump, "mapped_pages{cache}"), 0);
	holds(p, 0, FAR_LBA, BIG, 5, 0);
}

/* --- what is known afterwards --- */
static void its_status_can_be_asked_for(struct daemon *d)
{
	const struct segment s = {.to = 1, .n = N}, far = {.to = 1, .lba = UINT64_MAX, .n = 1};
	struct peer *p = daemon_peer(d, NULL), *other = daemon_peer(d, NULL);
	struct list *l = scene_alloc(sizeof(*l));
	uint8_t info[600], token[TOKEN_LEN];
	struct peer_status st;
	struct units u;

	learn_names(p, &u);
	at(p, 0);
	st = receive(p, 0, 9, info, 12);
	must_be(&st, 5, 0x24, 0);
	copy_list(l, &u, LID1, 9, &s);
	st = send_list(p, l);
	must_be(&st, 0, 0, 0);
	st = receive(p, 0, 9, info, 12);
	must_be(&st, 0, 0, 0);
	EXPECT_EQ(info[4] & 0x7f, 1);
	EXPECT_EQ(get(info + 8, 4), LEN);
	st = receive(p, 4, 9, info, sizeof(info)); /* it did not fail */
	must_be(&st, 5, 0x24, 0);
	at(other, 0);
	st = receive(other, 0, 9, info, 12); /* nor is it known to others */
	must_be(&st, 5, 0x24, 0);

	copy_list(l, &u, LID4, 0x01020304, &s);
	st = send_list(p, l);
	must_be(&st, 0, 0, 0);
	st = receive(p, 5, 0x01020304, info, sizeof(info));
	must_be(&st, 0, 0, 0);
	EXPECT_EQ(info[5], 1);
	EXPECT_EQ(get(info + 16, 8), LEN);

	copy_list(l, &u, LID1, 10, &far);
	st = send_list(p, l);
	must_be(&st, 0x0a, 0x0d, 2);
	st = receive(p, 4, 10, info, sizeof(info));
	must_be(&st, 0, 0, 0);
	EXPECT_EQ(info[60 + 2] & 0x0f, 0x0a);

	make_token(p, token, 0, 8);
	st = receive(p, 7, 0x01020304, info, sizeof(info)); /* it has no token */
	must_be(&st, 5, 0x24, 0);
	st = receive(p, 7, 77, info, 4); /* cut, as all data are */
	must_be(&st, 0, 0, 0);
	EXPECT_EQ(get(info, 4), 32 + 4 + 2 + TOKEN_LEN - 4);
	st = receive(p, 3, 0, info, sizeof(info)); /* operating parameters */
	must_be(&st, 0, 0, 0);
	EXPECT_EQ(get(info, 4), 42);
}

/* --- tokens --- */
static void tokens_good_and_bad(struct daemon *d)
{
	static const struct {
		uint16_t byte;
		uint8_t ascq;
	} rows[] = {{0, 1}, {6, 0x0a}, {8, 4}, {16, 5}, {128, 5}, {511, 5}};
	struct peer *p = daemon_peer(d, NULL), *other = daemon_peer(d, NULL);
	struct list *l = scene_alloc(sizeof(*l));
	uint8_t token[TOKEN_LEN], *zeros = scene_alloc(64 * BLOCK);
	struct peer_status st;

	at(other, 1);
	peer_settle(other);
	fill(p, 0, 0, 64, 1);
	make_token(p, token, 0, 64);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		token[rows[i].byte] ^= 0x10;
		write_list(l, token, 78, 1000, 64);
		st = send_list(p, l);
		must_be(&st, 5, 0x23, rows[i].ascq);
		token[rows[i].byte] ^= 0x10;
	}
	at(other, 1); /* whoever has it may use it, at any unit */
	write_list(l, token, 78, 1000, 64);
	st = send_list(other, l);
	must_be(&st, 0, 0, 0);
	holds(other, 1, 1000, 64, 1, 0);
	fill(other, 0, 63, 1, 2); /* a block of it changes */
	at(p, 0);
	st = send_list(p, l);
	must_be(&st, 5, 0x23, 6);
	st = send_list(p, l); /* and stays so */
	must_be(&st, 5, 0x23, 6);
	memset(l->bytes + 16, 0, TOKEN_LEN); /* the token of zeros */
	put32(l->bytes + 16, 0xffff0001);
	put16(l->bytes + 16 + 6, 504);
	at(other, 1);
	st = send_list(other, l);
	must_be(&st, 0, 0, 0);
	peer_read(other, 1000, 64, zeros);
	for (unsigned i = 0; i < 64 * BLOCK; i++)
		EXPECT(!zeros[i], "byte %u is not zero", i);
}

/* --- reservations of another nexus --- */

static void reserve(struct peer *p, unsigned lun, uint8_t type, bool on)
{
	uint8_t list[24] = {0};
	struct peer_task t = {.buf = list};
	static const uint8_t key[8] = {1, 2, 3, 4, 5, 6, 7, 8};

	at(p, lun);
	for (unsigned i = 0; i < 2; i++) {
		bool reg = on ? i == 0 : i == 1;

		memset(list, 0, sizeof(list));
		memcpy(list + (reg && on ? 8 : 0), key, 8);
		t = (struct peer_task){.cmd = {.write = true, .edtl = 24}, .buf = list};
		t.cmd.cdb[0] = 0x5f;
		t.cmd.cdb[1] = reg ? 0 : on ? 1 : 2;
		t.cmd.cdb[2] = reg ? 0 : type;
		t.cmd.cdb[8] = 24;
		peer_start(p, &t);
		peer_wait(p, &t);
		must_be(&t.st, 0, 0, 0);
	}
}

static void reservations_of_both_units_count(struct daemon *d)
{
	static const struct {
		unsigned lun;   /* that is reserved: source 0, destination 1 */
		uint8_t type;   /* 1: write exclusive, 3: exclusive access */
		unsigned asked; /* of which unit */
		bool good, conflict;
	} rows[] = {
		{0, 1, 1, true, false}, /* the source may be read */
		{0, 3, 1, false, false},
		{1, 1, 0, false, false},
		{1, 3, 0, false, false},
		{0, 1, 0, false, true}, /* the command itself conflicts */
		{1, 1, 1, false, true},
	};
	const struct segment s = {.from = 0, .to = 1, .n = 8};
	struct peer *p = daemon_peer(d, NULL), *holder = daemon_peer(d, NULL);
	struct list *l = scene_alloc(sizeof(*l));
	struct peer_status st;
	struct units u;

	learn_names(p, &u);
	for (unsigned i = 0; i < N_UNITS; i++) {
		at(holder, i);
		peer_settle(holder);
	}
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		reserve(holder, rows[i].lun, rows[i].type, true);
		for (enum way way = LID1; way <= LID4; way++) {
			copy_list(l, &u, way, 0, &s);
			at(p, rows[i].asked);
			st = send_list(p, l);
			if (rows[i].conflict)
				EXPECT_EQ(st.status, 0x18);
			else if (rows[i].good)
				must_be(&st, 0, 0, 0);
			else
				must_be(&st, 0x0a, 0x0d, 1);
			at(holder, rows[i].asked);
			st = send_list(holder, l);
			must_be(&st, 0, 0, 0);
		}
		reserve(holder, rows[i].lun, rows[i].type, false);
	}
}

#define UNITS .args = {"--ram", "64M"}, .ours = true
#define ON_FILE(fn, opts)                                                                          \
	{                                                                                          \
		.name = #fn "_file", .run = fn, .file = 64 << 20, .options = opts, UNITS           \
	}
static const struct scene_case cases[] = {
	CASE(every_way_and_place, UNITS),
	ON_FILE(every_way_and_place, ",mode=write-back"),
	{.name = "every_way_and_place_through",
		.run = every_way_and_place,
		.file = 64 << 20,
		.options = ",mode=write-through",
		UNITS},
	CASE(ranges_that_overlap, UNITS),
	ON_FILE(ranges_that_overlap, ",mode=write-back"),
	{.name = "what_is_cold_stays_so", .run = what_is_cold_stays_so, .file = 64 << 20, UNITS},
	{.name = "what_is_cold_stays_so_on_tmpfs",
		.run = what_is_cold_stays_so,
		.file = 64 << 20,
		.on_tmpfs = true,
		UNITS},
	CASE(its_status_can_be_asked_for, UNITS),
	CASE(tokens_good_and_bad, UNITS),
	ON_FILE(tokens_good_and_bad, ""),
	CASE(reservations_of_both_units_count, UNITS),
};
SCENES(cases)
