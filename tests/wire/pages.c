/* pages.c - log pages and mode pages (SPC-4 7.3, 7.5; SBC-3 6.3, 6.4): which there are, what each says, every bit of every
 * mode page set the other way, and what is saved over a kill. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "ask.h"

enum { ROOM = 512, CUMULATIVE = 0x40 };
enum { CURRENT, CHANGEABLE, DEFAULT, SAVED, N_VALUES };
#define MODE_UA    SENSE(6, 0x2a, 1)
#define BAD_CDB    SENSE(5, 0x24, 0)
#define BAD_LIST   SENSE(5, 0x26, 0)
#define BAD_LENGTH SENSE(5, 0x1a, 0)
#define NOT_SAVED  SENSE(5, 0x39, 0)

/* pointer - the field that INVALID FIELD names: byte << 4 | bit; bit 8: none. */
static unsigned pointer(const struct peer_task *t)
{
	const uint8_t *s = t->st.sense;

	EXPECT(t->st.sense_len == 18 && s[0] == 0x70 && s[15] & 0x80, "no field pointer");
	return (unsigned)(get_be(s + 16, 2) << 4 | (s[15] & 0x08 ? s[15] & 7 : 8));
}

static unsigned list_error(const struct peer_task *t)
{
	EXPECT(!(t->st.sense[15] & 0x40), "C/D says that it is the CDB");
	return pointer(t);
}

/* --- LOG SENSE --- */

static unsigned log_sense(struct peer *p, uint8_t page, uint8_t sub, uint16_t first, uint8_t *buf,
	struct peer_task *t)
{
	memset(buf, 0, ROOM);
	return ask_to(p,
		CDB(0x4d, 0, page, sub, 0, (uint8_t)(first >> 8), (uint8_t)first, ROOM >> 8,
			ROOM & 0xff),
		IN, buf, ROOM, t);
}

/* log_parameter - its value; NULL: it is not there. */
static const uint8_t *log_parameter(const uint8_t *buf, uint16_t code)
{
	for (const uint8_t *at = buf + 4; at < buf + 4 + get_be(buf + 2, 2); at += 4 + at[3])
		if (get_be(at, 2) == code)
			return at + 4;
	return NULL;
}

/* clang-format off */
static const struct log_row {
	uint8_t page, sub;
	uint16_t len; /* behind the header */
	uint8_t bytes[12]; /* from there */
	unsigned n;
} log_rows[] = {
	{0x00, 0x00, 5,  {0x00, 0x0c, 0x0d, 0x19, 0x2f}, 5},
	{0x00, 0xff, 12, {0, 0, 0, 0xff, 0x0c, 0, 0x0d, 0, 0x19, 0, 0x2f, 0}, 12},
	{0x0c, 0x00, 12, {0, 2, 3, 8}, 4},
	{0x0d, 0x00, 6,  {0, 0, 3, 2, 0, 0xff}, 6},
	{0x19, 0x00, 92, {0, 1, 3, 64}, 4},
	{0x2f, 0x00, 8,  {0, 0, 3, 4, 0, 0, 0xff, 0}, 8},
};
/* How LOG SENSE is refused: page control and code, subpage, PARAMETER POINTER; the field. */
static const struct { uint8_t page, sub; uint16_t first; unsigned field; } log_errors[] = {
	{0x0d, 0, 0, 0x27}, {0x8d, 0, 0, 0x27}, {0xcd, 0, 0, 0x27}, /* thresholds, defaults */
	{CUMULATIVE | 0x01, 0, 0, 0x25}, {CUMULATIVE | 0x3f, 0, 0, 0x25},
	{CUMULATIVE | 0x0d, 1, 0, 0x37}, {CUMULATIVE | 0x0d, 0xff, 0, 0x37}, {CUMULATIVE, 1, 0, 0x37},
	{CUMULATIVE | 0x0d, 0, 1, 0x58}, {CUMULATIVE | 0x19, 0, 4, 0x58},
};
/* clang-format on */

static void log_pages(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL);
	uint8_t *buf = scene_alloc(ROOM);
	struct peer_task t;

	for (unsigned i = 0; i < sizeof(log_rows) / sizeof(log_rows[0]); i++) {
		const struct log_row *r = &log_rows[i];

		EXPECT_EQ(log_sense(p, CUMULATIVE | r->page, r->sub, 0, buf, &t), 0);
		EXPECT_EQ(buf[0], r->page | (r->sub ? 0x40 : 0));
		EXPECT_EQ(buf[1], r->sub);
		EXPECT_EQ(get_be(buf + 2, 2), r->len);
		EXPECT_EQ(t.got, 4u + r->len);
		EXPECT(!memcmp(buf + 4, r->bytes, r->n), "page %02x/%02x", r->page, r->sub);
		EXPECT_EQ(ask_to(p, CDB(0x4d, 0, CUMULATIVE | r->page, r->sub, [8] = 3), IN, buf, 3,
				  &t),
			0);
		EXPECT_EQ(t.got, 3);
	}
	for (unsigned i = 0; i < sizeof(log_errors) / sizeof(log_errors[0]); i++) {
		EXPECT_EQ(log_sense(p, log_errors[i].page, log_errors[i].sub, log_errors[i].first,
				  buf, &t),
			BAD_CDB);
		EXPECT_EQ(pointer(&t), log_errors[i].field);
		EXPECT_EQ(t.st.sense[15] & 0x40, 0x40);
	}
	EXPECT_EQ(ask_to(p, CDB(0x4d, 1, CUMULATIVE, [8] = 4), IN, buf, 4, &t), BAD_CDB); /* SP */
	EXPECT_EQ(pointer(&t), 0x10);
	EXPECT_EQ(log_sense(p, CUMULATIVE | 0x19, 0, 2, buf, &t), 0); /* the first is left out */
	EXPECT(!log_parameter(buf, 1) && log_parameter(buf, 2) && log_parameter(buf, 3),
		"PARAMETER POINTER");
}

/* What was done is what is counted, by whichever session, and of this unit only; what is given back is no longer used. */
static void log_counts(struct daemon *d)
{
	enum { N = 2048 };
	struct peer *a = daemon_peer(d, NULL), *b = daemon_peer(d, NULL);
	uint8_t *buf = scene_alloc(ROOM), *data = scene_alloc(N * 512);
	uint8_t list[24] = {0, 22, 0, 16, [18] = N >> 8};
	const uint8_t *v;
	struct peer_task t;
	uint32_t used;

	log_sense(a, CUMULATIVE | 0x0c, 0, 0, buf, &t);
	EXPECT_EQ(get_be(log_parameter(buf, 2), 4), 0);
	memset(data, 1, N * 512);
	peer_write(a, 0, N, data);
	peer_write(b, 8, 1, data);
	for (unsigned i = 0; i < 3; i++)
		peer_read(i % 2 ? a : b, 0, 100, data);
	at_unit(b, 1);
	peer_settle(b);
	peer_read(b, 0, 7, data);
	log_sense(a, CUMULATIVE | 0x19, 0, 0, buf, &t);
	v = log_parameter(buf, 1);
	EXPECT_EQ(get_be(v, 8), 3);
	EXPECT_EQ(get_be(v + 8, 8), 2);
	EXPECT_EQ(get_be(v + 16, 8), N + 1);
	EXPECT_EQ(get_be(v + 24, 8), 300);
	peer_logout(b);
	log_sense(a, CUMULATIVE | 0x19, 0, 0, buf, &t);
	EXPECT_EQ(get_be(log_parameter(buf, 1), 8), 3); /* it stays when the session goes */
	log_sense(a, CUMULATIVE | 0x0c, 0, 0, buf, &t);
	used = (uint32_t)get_be(log_parameter(buf, 2), 4);
	EXPECT(used > 0, "a MiB was written and none is used");
	EXPECT_EQ(log_parameter(buf, 2)[4], 1); /* of this unit alone */
	EXPECT_EQ(ask(a, CDB(0x42, [8] = sizeof(list)), OUT, list, sizeof(list)), 0);
	log_sense(a, CUMULATIVE | 0x0c, 0, 0, buf, &t);
	EXPECT_EQ(get_be(log_parameter(buf, 2), 4), 0);
}

/* --- MODE SENSE --- */

/* clang-format off */
static const struct mode_row {
	uint8_t page, sub, len;
	uint8_t mask[8]; /* of what can be changed, from byte 2 on; of memory WCE (08h) cannot */
} mode_rows[] = {
	{0x01, 0, 12, {0}},
	{0x02, 0, 16, {0}},
	{0x08, 0, 20, {0x04}},
	{0x0a, 0, 12, {0x04, 0, 0x08, 0x40}}, /* D_SENSE, SWP, TAS */
	{0x1c, 0, 12, {0}},
};
/* clang-format on */
enum { N_MODE_ROWS = sizeof(mode_rows) / sizeof(mode_rows[0]) };

static unsigned mode_sense(struct peer *p, unsigned values, uint8_t page, uint8_t sub, uint8_t *buf,
	struct peer_task *t)
{
	memset(buf, 0, ROOM);
	return ask_to(p, CDB(0x5a, 8, (uint8_t)(values << 6 | page), sub, [7] = ROOM >> 8), IN, buf,
		ROOM, t);
}

/* A list with one page as it is now. */
static uint32_t mode_list(struct peer *p, const struct mode_row *r, uint8_t *list)
{
	uint8_t buf[ROOM];
	struct peer_task t;

	EXPECT_EQ(mode_sense(p, CURRENT, r->page, r->sub, buf, &t), 0);
	memset(list, 0, 8);
	memcpy(list + 8, buf + 8, r->len);
	return 8u + r->len;
}

static unsigned mode_select(
	struct peer *p, uint8_t *list, uint32_t len, bool save, struct peer_task *t)
{
	return ask_to(p, CDB(0x55, 0x10 | save, [8] = (uint8_t)len), OUT, list, len, t);
}

static void mode_pages(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL);
	uint8_t *buf = scene_alloc(ROOM), *current = scene_alloc(ROOM);
	bool in_memory = !d->file[0];
	struct peer_task t;
	uint32_t at = 8;
	bool kept;

	EXPECT_EQ(mode_sense(p, CURRENT, 0x3f, 0, current, &t), 0);
	kept = current[8] & 0x80; /* PS; saved_over_a_kill has one that is */
	EXPECT_EQ(get_be(current, 2), t.got - 2);
	EXPECT_EQ(current[3], 0x10);                 /* DPOFUA */
	for (unsigned i = 0; i < N_MODE_ROWS; i++) { /* all of them, ascending */
		const struct mode_row *r = &mode_rows[i];

		EXPECT_EQ(current[at] & 0x7f, r->page);
		EXPECT_EQ(current[at + 1], r->len - 2);
		for (unsigned v = CURRENT; v < N_VALUES; v++) {
			unsigned end = mode_sense(p, v, r->page, r->sub, buf, &t);

			if (v == SAVED && !kept) {
				EXPECT_EQ(end, NOT_SAVED);
				continue;
			}
			EXPECT_EQ(end, 0);
			EXPECT_EQ(t.got, 8u + r->len);
			EXPECT_EQ(buf[8] >> 7, kept);
			if (v != CHANGEABLE)
				EXPECT(!memcmp(buf + 8, current + at, r->len),
					"page %02x, values %u", r->page, v);
			for (unsigned b = 2; b < r->len && v == CHANGEABLE; b++)
				EXPECT_EQ(buf[8 + b],
					b < 2 + sizeof(r->mask) && !(r->page == 8 && in_memory)
						? r->mask[b - 2]
						: 0);
		}
		at += r->len;
	}
	EXPECT_EQ(at, get_be(current, 2) + 2);
	EXPECT_EQ(mode_sense(p, CURRENT, 0x3f, 0xff, buf, &t), 0);
	EXPECT(t.got >= at, "with subpages it is less");
	EXPECT_EQ(mode_sense(p, CURRENT, 0x03, 0, buf, &t), BAD_CDB);
	EXPECT_EQ(pointer(&t), 0x25);
	EXPECT_EQ(mode_sense(p, CURRENT, 0x0a, 0x17, buf, &t), BAD_CDB);
	EXPECT_EQ(pointer(&t), 0x37);
}

/* Block descriptors: of both CDBs, short and long, and left out. */
static void mode_descriptors(struct daemon *d)
{
	static const struct {
		uint8_t cdb[16];
		unsigned head, descriptor;
	} rows[] = {{{0x1a, 0, 0x0a, [4] = 255}, 4, 8}, {{0x1a, 8, 0x0a, [4] = 255}, 4, 0},
		{{0x5a, 0, 0x0a, [8] = 255}, 8, 8}, {{0x5a, 8, 0x0a, [8] = 255}, 8, 0},
		{{0x5a, 0x10, 0x0a, [8] = 255}, 8, 16}, {{0x5a, 0x18, 0x0a, [8] = 255}, 8, 0}};
	struct peer *p = daemon_peer(d, NULL);
	uint8_t *buf = scene_alloc(ROOM);
	struct peer_task t;

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		unsigned head = rows[i].head, n = rows[i].descriptor;

		EXPECT_EQ(ask_to(p, rows[i].cdb, IN, buf, 255, &t), 0);
		EXPECT_EQ(t.got, head + n + 12);
		EXPECT_EQ(head == 8 ? get_be(buf + 6, 2) : buf[3], n);
		EXPECT_EQ(buf[head + n] & 0x3f, 0x0a);
		if (n == 8)
			EXPECT(get_be(buf + head, 4) == 131072 && get_be(buf + head + 5, 3) == 512,
				"short descriptor");
		if (n == 16)
			EXPECT(get_be(buf + head, 8) == 131072 && get_be(buf + head + 12, 4) == 512,
				"long descriptor");
	}
}

/* --- MODE SELECT --- */

/* Every bit of every page the other way: what CHANGEABLE names is taken, all else refused with its byte and bit, and
 * nothing of the list is done (SPC-4 6.11). */
static void every_bit(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL), *other = daemon_peer(d, NULL);
	uint8_t list[64], mask[ROOM], now[64];
	unsigned n_taken = 0;
	struct peer_task t;

	for (unsigned i = 0; i < N_MODE_ROWS; i++) {
		const struct mode_row *r = &mode_rows[i];

		EXPECT_EQ(mode_sense(p, CHANGEABLE, r->page, r->sub, mask, &t), 0);
		for (unsigned bit = 16; bit < 8u * r->len; bit++) {
			uint32_t len = mode_list(p, r, list);
			uint8_t flip = (uint8_t)(1 << bit % 8);
			bool may = mask[8 + bit / 8] & flip;
			unsigned end;

			list[8 + bit / 8] ^= flip;
			end = mode_select(p, list, len, false, &t);
			EXPECT(end == (may ? 0 : BAD_LIST), "page %02x, byte %u, bit %u: %06x",
				r->page, bit / 8, bit % 8, end);
			if (!may) {
				EXPECT_EQ(list_error(&t), (8 + bit / 8) << 4 | bit % 8);
				continue;
			}
			n_taken++;
			EXPECT_EQ(ready(other), MODE_UA);
			mode_list(p, r, now);
			EXPECT(!memcmp(now, list, len), "page %02x is not what was selected",
				r->page);
			EXPECT_EQ(mode_select(p, list, len, false, &t),
				0); /* no change, nobody is told */
			EXPECT_EQ(ready(other), 0);
			list[8 + bit / 8] ^= flip;
			EXPECT_EQ(mode_select(p, list, len, false, &t), 0);
			EXPECT_EQ(ready(other), MODE_UA);
		}
	}
	EXPECT_EQ(n_taken, d->file[0] ? 4 : 3);
	EXPECT_EQ(ready(p), 0);
	EXPECT_EQ(ready(other), 0);
}

/* Lists that are wrong, with the bytes that say so; one wrong page spoils a good one before it. */
static void lists_that_are_wrong(struct daemon *d)
{
	/* clang-format off */
	static const struct { const char *name; uint8_t at, value; int len; unsigned end, field; } rows[] = {
		{"nothing is wrong",         0,  0x00, 0,  0,          0},
		{"a page that is not there", 8,  0x03, 0,  BAD_LIST,   0x085},
		{"a subpage of it",          8,  0x4a, 0,  BAD_LIST,   0x086},
		{"page length",              9,  11,   0,  BAD_LIST,   0x098},
		{"second page",              20, 0x07, 0,  BAD_LIST,   0x145},
		{"second page's length",     21, 9,    0,  BAD_LIST,   0x158},
		{"descriptor length",        7,  4,    0,  BAD_LIST,   0x068},
		{"descriptor behind the end", 7, 200,  0,  BAD_LENGTH, 0},
		{"cut in the header",        0,  0,    7,  BAD_LENGTH, 0},
		{"cut in a page header",     0,  0,    9,  BAD_LENGTH, 0},
		{"cut in a page",            0,  0,    15, BAD_LENGTH, 0},
		{"cut in the second",        0,  0,    23, BAD_LENGTH, 0},
		{"the first alone",          0,  0,    20, 0,          0},
		{"the header alone",         0,  0,    8,  0,          0},
	};
	/* clang-format on */
	struct peer *p = daemon_peer(d, NULL), *other = daemon_peer(d, NULL);
	uint8_t good[64], list[64], second[64];
	struct peer_task t;

	mode_list(p, &mode_rows[3], good);
	mode_list(p, &mode_rows[4], second);
	memcpy(good + 20, second + 8, 12);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		unsigned end;

		memcpy(list, good, sizeof(list));
		if (rows[i].end)
			list[13] |= 0x40; /* TAS, to be spoiled */
		if (rows[i].at)
			list[rows[i].at] = rows[i].value;
		end = mode_select(p, list, rows[i].len ? (uint32_t)rows[i].len : 32, false, &t);
		EXPECT(end == rows[i].end, "%s: %06x", rows[i].name, end);
		if (end == BAD_LIST)
			EXPECT(list_error(&t) == rows[i].field, "%s: field %03x", rows[i].name,
				list_error(&t));
		EXPECT_EQ(ready(other), 0);
	}
	EXPECT_EQ(ask_to(p, CDB(0x55, 0x00, [8] = 20), OUT, good, 20, &t), BAD_CDB); /* PF */
	EXPECT_EQ(pointer(&t), 0x14);
	if (!d->file[0]) {
		EXPECT_EQ(mode_select(p, good, 20, true, &t), BAD_CDB); /* SP */
		EXPECT_EQ(pointer(&t), 0x10);
	}
}

/* --- saved --- */

static struct peer *serve(struct daemon *a, const char *image, const char *state)
{
	const char *args[] = {image, "--state-dir", state, NULL};
	struct peer *p;

	daemon_start(a, args, &(struct daemon_disk){.ram = "1M"});
	p = daemon_peer(a, NULL);
	at_unit(p, 1);
	peer_settle(p);
	return p;
}

static void expect_tas(struct peer *p, unsigned values, bool on)
{
	struct peer_task t;
	uint8_t buf[ROOM];

	EXPECT_EQ(mode_sense(p, values, 0x0a, 0, buf, &t), 0);
	EXPECT(!(buf[13] & 0x40) == !on, "TAS of values %u is not %u", values, on);
}

/* SP keeps it over a kill and a reset; without SP it is gone after either (SPC-4 5.14). */
static void saved_over_a_kill(struct daemon *d)
{
	char image[128], state[128], command[300];
	uint8_t list[64];
	struct daemon a;
	struct peer_task t;
	int fd;

	snprintf(image, sizeof(image), "%s/saved.img", d->dir);
	snprintf(state, sizeof(state), "%s/state", d->dir);
	fd = open(image, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	EXPECT(fd >= 0 && ftruncate(fd, 8 << 20) == 0, "%s: %s", image, strerror(errno));
	close(fd);
	for (unsigned save = 0; save < 4; save++) { /* set; save it; clear; save that */
		struct peer *p = serve(&a, image, state);
		bool on = save<2, was = save> 1;

		expect_tas(p, CURRENT, was);
		expect_tas(p, SAVED, was);
		mode_list(p, &mode_rows[3], list);
		list[13] = (uint8_t)((list[13] & ~0x40) | (on ? 0x40 : 0));
		EXPECT_EQ(mode_select(p, list, 20, save % 2, &t), 0);
		expect_tas(p, CURRENT, on);
		expect_tas(p, DEFAULT, false);
		expect_tas(p, SAVED, save % 2 ? on : was);
		EXPECT_EQ(peer_expect_tmf(p, peer_send_tmf(p, 5, PEER_NONE, 0)), 0);
		EXPECT_EQ(ready(p), SENSE(6, 0x29, 3));
		expect_tas(p, CURRENT, save % 2 ? on : was);
		kill(a.pid, SIGKILL);
		waitpid(a.pid, NULL, 0);
		a.pid = 0;
		peer_reset(p);
		daemon_remove(&a, false);
	}
	expect_tas(serve(&a, image, state), CURRENT, false);
	peer_close_all();
	daemon_stop(&a);
	daemon_remove(&a, false);
	snprintf(command, sizeof(command), "rm -r '%s' '%s'", image, state);
	EXPECT(system(command) == 0, "%s", command);
}

static const struct scene_case cases[] = {
	CASE(log_pages, .ours = true),
	CASE(log_counts, .args = {"--ram", "8M"}, .ours = true),
	CASE(mode_pages, .ours = true),
	{.name = "mode_pages_file", .run = mode_pages, .file = 64 << 20, .ours = true},
	CASE(mode_descriptors, .ours = true),
	CASE(every_bit, .ours = true),
	{.name = "every_bit_file", .run = every_bit, .file = 64 << 20, .ours = true},
	CASE(lists_that_are_wrong, .ours = true),
	CASE(saved_over_a_kill, .ram = "1M", .ours = true),
};
SCENES(cases)
