/* copy_bad.c - lists of copies that lie about their lengths, their places and each other; each is refused with its
 * reason, nothing of it is done, and the next good one works. */
#include "copy.h"

enum { BLOCKS = (64 << 20) / BLOCK };

/* A good list of one way, and what is changed in it. */
struct lie {
	const char *what;
	enum way way;
	uint16_t byte;
	uint8_t width;
	uint64_t value;
	int more;               /* bytes of the list, beside what it says */
	uint8_t key, asc, ascq; /* 0: it is good */
};

static const struct lie lies[] = {
	/* EXTENDED COPY(LID1): header, two CSCDs at 16, a segment at 80 */
	{"as it should be", LID1, 0, 0, 0, 0, 0, 0, 0},
	{"bytes behind it", LID1, 0, 0, 0, 100, 0, 0, 0},
	{"the last byte is missing", LID1, 0, 0, 0, -1, 5, 0x1a, 0},
	{"a header that is cut", LID1, 0, 0, 0, -100, 5, 0x1a, 0},
	{"no usage that there is", LID1, 1, 1, 1 << 3, 0, 5, 0x26, 0},
	{"no identifier, and one", LID1, 0, 1, 5, 0, 5, 0x26, 0},
	{"CSCDs to the moon", LID1, 2, 2, 0xffff, 0, 5, 0x1a, 0},
	{"CSCDs over the segment", LID1, 2, 2, 96, 0, 5, 0x1a, 0},
	{"half a CSCD", LID1, 2, 2, 48, 0, 5, 0x26, 0},
	{"segments to the moon", LID1, 8, 4, 0xffffffff, 0, 5, 0x1a, 0},
	{"sums that wrap", LID1, 8, 4, 0xffffffc0, 0, 5, 0x1a, 0},
	{"half a segment", LID1, 8, 4, 14, 0, 5, 0x1a, 0},
	{"two segments of one", LID1, 8, 4, 56, 0, 5, 0x1a, 0},
	{"inline data", LID1, 12, 4, 1, 0, 5, 0x26, 0x0b},
	{"inline data without end", LID1, 12, 4, 0xffffffff, 0, 5, 0x26, 0x0b},
	{"a CSCD of no type", LID1, 16, 1, 0xe0, 0, 5, 0x26, 0x07},
	{"a tape", LID1, 17, 1, 1, 0, 0x0a, 0x0d, 3},
	{"the name of a port", LID1, 21, 1, 0x13, 0, 5, 0x26, 0},
	{"a name without end", LID1, 23, 1, 255, 0, 5, 0x26, 0},
	{"no name", LID1, 23, 1, 0, 0, 5, 0x26, 0},
	{"a name of nobody", LID1, 30, 1, 0x5a, 0, 0x0a, 0x0d, 2},
	{"blocks of another size", LID1, 45, 3, 4096, 0, 0x0a, 0x0d, 3},
	{"a segment of no type", LID1, 80, 1, 0x7f, 0, 5, 0x26, 0x09},
	{"a segment of another length", LID1, 82, 2, 0xffff, 0, 5, 0x26, 0},
	{"from a CSCD that is not there", LID1, 84, 2, 2, 0, 0x0a, 0x08, 4},
	{"to a CSCD that is not there", LID1, 86, 2, 0xfffe, 0, 0x0a, 0x08, 4},
	{"from the last block on", LID1, 92, 8, BLOCKS - 1, 0, 0x0a, 0x0d, 2},
	{"from nowhere", LID1, 92, 8, UINT64_MAX, 0, 0x0a, 0x0d, 2},
	{"from where bytes wrap", LID1, 92, 8, UINT64_MAX / BLOCK + 1, 0, 0x0a, 0x0d, 2},
	{"to the end", LID1, 100, 8, BLOCKS, 0, 0x0a, 0x0d, 2},
	{"to nowhere", LID1, 100, 8, UINT64_MAX - 7, 0, 0x0a, 0x0d, 2},
	{"nothing", LID1, 90, 2, 0, 0, 0, 0, 0},
	{"more than there is", LID1, 90, 2, 0xffff, 0, 0, 0, 0},
	/* EXTENDED COPY(LID4): a header of 48 bytes */
	{"as it should be", LID4, 0, 0, 0, 0, 0, 0, 0},
	{"the last byte is missing", LID4, 0, 0, 0, -1, 5, 0x1a, 0},
	{"another format", LID4, 0, 1, 0, 0, 5, 0x26, 0},
	{"a header that is longer", LID4, 2, 2, 64, 0, 5, 0x26, 0},
	{"at once, and nobody would know", LID4, 15, 1, 1, 0, 5, 0x26, 0},
	{"no header descriptor", LID4, 16, 1, 0, 0, 5, 0x26, 0},
	{"CSCDs to the moon", LID4, 42, 2, 0xffff, 0, 5, 0x1a, 0},
	{"segments to the moon", LID4, 44, 2, 0xffff, 0, 5, 0x1a, 0},
	{"inline data", LID4, 46, 2, 0xffff, 0, 5, 0x26, 0x0b},
	/* WRITE USING TOKEN: the token at 16, its type is that of zeros; a range at 536 */
	{"as it should be", TOKEN, 0, 0, 0, 0, 0, 0, 0},
	{"a list that is longer than it is", TOKEN, 0, 2, 0xffff, 0, 5, 0x1a, 0},
	{"a list that ends before its range", TOKEN, 0, 2, 540, 0, 5, 0x26, 0},
	{"a list of nothing", TOKEN, 0, 2, 0, 0, 5, 0x26, 0},
	{"ranges to the moon", TOKEN, 534, 2, 0xffff, 0, 5, 0x1a, 0},
	{"half a range", TOKEN, 534, 2, 8, 0, 5, 0x26, 0},
	{"no token", TOKEN, 16, 4, 0, 0, 5, 0x23, 1},
	{"a short token", TOKEN, 22, 2, 500, 0, 5, 0x23, 0x0a},
	{"a range behind the end", TOKEN, 536, 8, BLOCKS, 0, 5, 0x21, 0},
	{"a range where bytes wrap", TOKEN, 536, 8, UINT64_MAX / BLOCK + 1, 0, 5, 0x21, 0},
	{"a range that is longer than all", TOKEN, 544, 4, 0xffffffff, 0, 5, 0x21, 0},
	{"the last byte is missing", TOKEN, 0, 0, 0, -1, 5, 0x1a, 0},
};

static void good_list(struct list *l, const struct units *u, enum way way)
{
	static const struct segment s = {.from = 0, .to = 1, .n = 8};
	uint8_t zeros[TOKEN_LEN] = {0xff, 0xff, 0, 1, 0, 0, 504 >> 8, 504 & 0xff};

	if (way == TOKEN)
		write_list(l, zeros, 5, 0, 8);
	else
		copy_list(l, u, way, 0, &s);
}

static void lie_to(struct peer *p, struct list *l, const struct lie *lie)
{
	struct peer_status st;
	bool as_asked;

	for (unsigned i = 0; i < lie->width; i++)
		l->bytes[lie->byte + i] = (uint8_t)(lie->value >> 8 * (lie->width - 1u - i));
	l->len = (uint32_t)((int)l->len + lie->more);
	put32(l->cdb + 10, l->len);
	st = send_list(p, l);
	as_asked = lie->key ? st.status == 2 && st.key == lie->key && st.asc == lie->asc &&
				      st.ascq == lie->ascq
			    : st.status == 0;
	EXPECT(as_asked && !st.response, "way %u, %s: status %02x, sense %x/%02x/%02x", lie->way,
		lie->what, st.status, st.key, st.asc, st.ascq);
}

static void each_lie_is_named(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL);
	struct list *l = scene_alloc(sizeof(*l));
	struct units u;

	learn_names(p, &u);
	for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		good_list(l, &u, lies[i].way);
		at(p, 1);
		lie_to(p, l, &lies[i]);
	}
	peer_ping(p, 10);
}

/* The CDB and the initiator expect different lengths: what has come counts, and the residual tells (RFC 7143 11.4.5). */
static void lengths_that_do_not_agree(struct daemon *d)
{
	static const struct {
		int in_cdb, expected; /* beside the list's own length */
		uint8_t key, asc;
		bool over, under;
	} rows[] = {
		{0, 400, 0, 0, false, true},
		{400, 0, 0, 0, true, false},
		{-1, 0, 5, 0x1a, false, true},
		{0, -40, 5, 0x1a, true, false},
	};
	struct peer *p = daemon_peer(d, NULL);
	struct list *l = scene_alloc(sizeof(*l));
	struct units u;

	learn_names(p, &u);
	for (enum way way = 0; way < N_WAYS; way++) {
		for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			struct peer_status st;

			good_list(l, &u, way);
			put32(l->cdb + 10, (uint64_t)((int)l->len + rows[i].in_cdb));
			l->len = (uint32_t)((int)l->len + rows[i].expected);
			at(p, 1);
			st = send_list(p, l);
			EXPECT(st.status == (rows[i].key ? 2 : 0) && st.key == rows[i].key &&
					st.asc == rows[i].asc && st.overflow == rows[i].over &&
					st.underflow == rows[i].under,
				"way %u, row %u: status %02x, sense %x/%02x/%02x, residual %u%s%s",
				way, i, st.status, st.key, st.asc, st.ascq, st.residual,
				st.overflow ? " over" : "", st.underflow ? " under" : "");
		}
	}
}

/* One more than there may be, of each kind; and a list that is longer than any. */
static void too_many(struct daemon *d)
{
	static const struct segment s = {.from = 0, .to = 1, .n = 1};
	struct peer *p = daemon_peer(d, NULL);
	struct list *l = scene_alloc(sizeof(*l));
	struct peer_status st;
	struct units u;

	learn_names(p, &u);
	at(p, 1);
	for (unsigned n = 64; n <= 65; n++) {
		copy_list(l, &u, LID1, 0, &s);
		while (get(l->bytes + 8, 4) < n * 28)
			add_segment(l, &s, 8, 4);
		put32(l->cdb + 10, l->len);
		st = send_list(p, l);
		must_be(&st, n > 64 ? 5 : 0, n > 64 ? 0x26 : 0, n > 64 ? 8 : 0);

		copy_list(l, &u, LID1, 0, &s);
		put32(l->bytes + 8, 0);
		l->len = 16;
		put16(l->bytes + 2, 0);
		while (get(l->bytes + 2, 2) < n * 32)
			add_cscd(l, u.names[0], 2);
		put32(l->cdb + 10, l->len);
		st = send_list(p, l);
		must_be(&st, n > 64 ? 5 : 0, n > 64 ? 0x26 : 0, n > 64 ? 6 : 0);
	}
	good_list(l, &u, LID1);
	l->len = LIST_ROOM;
	put32(l->cdb + 10, l->len);
	st = send_list(p, l);
	must_be(&st, 5, 0x1a, 0);
	for (enum way way = 0; way < N_WAYS; way++) {
		good_list(l, &u, way);
		put32(l->cdb + 10, 0xffffffff);
		st = send_list(p, l);
		must_be(&st, 5, 0x1a, 0);
	}
}

/* Bytes of a good list changed at random: it may do what it then says, or be refused; the server lives. */
static void anything(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL);
	struct list *l = scene_alloc(sizeof(*l));
	struct units u;

	learn_names(p, &u);
	for (uint64_t i = 0; i < scene_effort(3000); i++) {
		struct peer_status st;

		good_list(l, &u, (enum way)scene_random(N_WAYS));
		for (uint64_t n = 1 + scene_random(4); n; n--)
			l->bytes[scene_random(l->len)] = (uint8_t)scene_random(256);
		at(p, scene_random(2));
		st = send_list(p, l);
		EXPECT(st.response == 0, "list %llu: response %u", (unsigned long long)i,
			st.response);
	}
	peer_ping(p, 10);
}

#define UNITS .args = {"--ram", "64M"}, .ours = true
static const struct scene_case cases[] = {
	CASE(each_lie_is_named, UNITS),
	CASE(lengths_that_do_not_agree, UNITS),
	CASE(too_many, UNITS),
	CASE(anything, UNITS),
};
SCENES(cases)
