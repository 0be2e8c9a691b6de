/* copy_end.c - copies that do not come to their end: aborted by each function and by COPY OPERATION ABORT, reset, cut; and
 * those that are answered at once and go on. When the end is told nothing moves any more. */
#include "copy.h"

enum { N = 60000, SOURCE = 0, DESTINATION = 65536, BLOCKS = 131072 };
enum { ABORT_TASK = 1, ABORT_TASK_SET, CLEAR_TASK_SET = 4, LUN_RESET, WARM_RESET };
enum { COMPLETE = 0, STATUS_BACKGROUND = 0x12, STATUS_GOOD = 1, STATUS_TERMINATED = 0x60 };

/* Beginning, middle and end of what is copied to. */
static void look(struct peer *p, uint8_t *buf)
{
	for (unsigned i = 0; i < 30; i++)
		peer_read(p, DESTINATION + i * (N / 30), 8, buf + i * 8 * BLOCK);
}

/* still - nothing moves at the destination, and the target knows of no copy. */
static void still(struct daemon *d, struct peer *p)
{
	enum { LOOK = 30 * 8 * BLOCK };
	uint8_t *one = scene_alloc(LOOK), *two = scene_alloc(LOOK);

	at(p, 0);
	peer_settle(p);
	look(p, one);
	scene_sleep(150);
	look(p, two);
	EXPECT(!memcmp(one, two, LOOK), "the copy goes on after its end");
	EXPECT(memcmp(one + LOOK - BLOCK, (uint8_t[BLOCK]){1}, 1), "it had ended by itself");
}

static void source(struct peer *p)
{
	enum { PART = 1500 };
	uint8_t *buf = scene_alloc(PART * BLOCK);

	memset(buf, 1, PART * BLOCK);
	at(p, 0);
	for (unsigned i = 0; i < N; i += PART)
		peer_write(p, SOURCE + i, PART, buf);
}

/* begin - 30 MiB within unit 0, of which each step takes its time; it is on its way. */
static uint32_t begin(struct peer *p, struct list *l, enum way way, uint32_t id, bool immed)
{
	static const struct segment s = {
		.from = 0xffff, .to = 0xffff, .from_lba = SOURCE, .lba = DESTINATION, .n = N};
	struct peer_cmd c = {.write = true};
	struct peer_r2t r;

	memset(l, 0, sizeof(*l));
	l->len = way == LID4 ? 48 : 16;
	if (way == LID4) {
		l->bytes[0] = 1;
		l->bytes[3] = 32;
		l->bytes[15] = immed;
		l->bytes[16] = 0xff;
		put32(l->bytes + 20, id);
	} else {
		l->bytes[0] = (uint8_t)id;
	}
	add_segment(l, &s, way == LID4 ? 44 : 8, way == LID4 ? 2 : 4);
	c.cdb[0] = 0x83;
	c.cdb[1] = way == LID4;
	put32(c.cdb + 10, l->len);
	c.edtl = l->len;
	c.itt = peer_itt(p);
	at(p, 0);
	peer_send_cmd(p, &c);
	peer_expect_r2t(p, c.itt, &r);
	peer_answer(p, &r, l->bytes);
	return c.itt;
}

static void not_yet(struct peer *p)
{
	peer_expect_nothing(p, 60);
}

/* --- each function, of this session or of another --- */
struct ended {
	uint8_t function;
	bool by_other;
};

static void ended(struct daemon *d)
{
	const struct ended *row = d->arg;
	struct peer *p = daemon_peer(d, NULL), *other = daemon_peer(d, NULL);
	struct peer *by = row->by_other ? other : p;
	struct list *l = scene_alloc(sizeof(*l));
	uint32_t itt, cmdsn;
	uint8_t info[600];

	source(p);
	cmdsn = p->cmdsn;
	itt = begin(p, l, LID1, 7, false);
	not_yet(p);
	at(by, 0);
	EXPECT_EQ(peer_expect_tmf(by, peer_send_tmf(by, row->function,
					      row->function == ABORT_TASK ? itt : PEER_NONE,
					      row->function == ABORT_TASK ? cmdsn : 0)),
		COMPLETE);
	still(d, other);
	at(p, 0);
	peer_settle(p);
	if (row->function <= CLEAR_TASK_SET) { /* a reset forgets it (SPC-4 5.17.4.4) */
		struct peer_status st = receive(p, 0, 7, info, 12);

		must_be(&st, 0, 0, 0);
		EXPECT_EQ(info[4] & 0x7f, 2);
		EXPECT(get(info + 8, 4) < N * BLOCK, "it copied all");
	}
	itt = begin(p, l, LID1, 7, false); /* and life goes on */
	not_yet(p);
	peer_expect_tmf(p, peer_send_tmf(p, LUN_RESET, PEER_NONE, 0));
}

/* --- in the background --- */
static void wait_for(struct peer *p, uint32_t id, unsigned status)
{
	uint8_t info[600];
	int64_t start = scene_now_ms();

	do {
		struct peer_status st = receive(p, 5, id, info, sizeof(info));

		must_be(&st, 0, 0, 0);
		EXPECT(info[5] == status || info[5] == STATUS_BACKGROUND, "status %02x", info[5]);
		EXPECT(scene_now_ms() - start < 20000, "it never ends");
		if (info[5] != status)
			scene_sleep(20);
	} while (info[5] != status);
}

static void it_goes_on_when_answered_at_once(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL);
	struct list *l = scene_alloc(sizeof(*l));
	uint8_t *buf = scene_alloc(8 * BLOCK);

	source(p);
	peer_expect_good(p, begin(p, l, LID4, 9, true));
	wait_for(p, 9, STATUS_GOOD);
	peer_read(p, DESTINATION + N - 8, 8, buf);
	EXPECT(buf[8 * BLOCK - 1] == 1, "it says that it is done");
}

static void another_command_ends_it(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL);
	struct list *l = scene_alloc(sizeof(*l));
	struct peer_cmd c = {.cdb = {0x83, 0x1c, 0, 0, 0, 9}};

	source(p);
	peer_expect_good(p, begin(p, l, LID4, 9, true));
	not_yet(p);
	peer_expect_good(p, peer_send_cmd(p, &c));
	still(d, p);
	wait_for(p, 9, STATUS_TERMINATED);
	peer_expect_good(p, peer_send_cmd(p, &c)); /* nothing is left to be ended */
}

static void it_ends_with_its_connection(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL), *other = daemon_peer(d, NULL);
	struct list *l = scene_alloc(sizeof(*l));

	source(p);
	begin(p, l, LID1, 7, false);
	not_yet(p);
	peer_reset(p);
	scene_sleep(300);
	still(d, other);
	p = daemon_peer(d, NULL);
	peer_expect_good(p, begin(p, l, LID4, 9, true)); /* in the background too */
	not_yet(p);
	peer_close(p);
	scene_sleep(300);
	still(d, other);
}

/* One more than a nexus may have under way: TASK SET FULL (SAM-5 5.3.1), until some of them are at their end. */
static void sixty_four_at_once(struct daemon *d)
{
	enum { MOST = 64 };
	struct peer *p = daemon_peer(d, NULL);
	struct list *l = scene_alloc(sizeof(*l));
	int64_t start;
	struct peer_status st;

	source(p);
	for (unsigned id = 0; id < MOST; id++)
		peer_expect_good(p, begin(p, l, LID4, id, true));
	for (unsigned i = 0; i < 3; i++) {
		peer_expect_status(p, begin(p, l, LID4, MOST, true), &st);
		EXPECT_EQ(st.status, 0x28);
	}
	EXPECT_EQ(peer_expect_tmf(p, peer_send_tmf(p, LUN_RESET, PEER_NONE, 0)), COMPLETE);
	peer_settle(p);
	start = scene_now_ms();
	do { /* each ends when the piece that is under way has */
		peer_expect_status(p, begin(p, l, LID4, MOST, true), &st);
		EXPECT(scene_now_ms() - start < 10000, "the set stays full");
	} while (st.status == 0x28);
	EXPECT_EQ(st.status, 0);
	EXPECT_EQ(peer_expect_tmf(p, peer_send_tmf(p, LUN_RESET, PEER_NONE, 0)), COMPLETE);
}

/* Two copies across each other, and writers on both places, all at once. */
static void across_each_other(struct daemon *d)
{
	enum { SMALL = 4000 };
	const struct segment there = {.from = 0, .to = 1, .n = SMALL},
			     back = {.from = 1, .to = 0, .n = SMALL};
	struct peer *p[4];
	struct peer_task t[4];
	struct list *l = scene_alloc(4 * sizeof(*l));
	struct units u;

	for (unsigned i = 0; i < 4; i++)
		p[i] = daemon_peer(d, NULL);
	learn_names(p[0], &u);
	for (unsigned round = 0; round < scene_effort(60); round++) {
		uint8_t *buf = scene_alloc(64 * BLOCK);

		for (unsigned i = 0; i < 4; i++) {
			copy_list(&l[i], &u, (enum way)(i % 2), 0, i < 2 ? &there : &back);
			at(p[i], 0);
			peer_settle(p[i]);
			list_start(p[i], &t[i], &l[i]);
		}
		for (unsigned i = 0; i < 4; i++) {
			peer_wait(p[i], &t[i]);
			must_be(&t[i].st, 0, 0, 0);
		}
		memset(buf, (int)round, 64 * BLOCK);
		at(p[0], round % 2);
		peer_write(p[0], scene_random(SMALL - 64), 64, buf);
	}
}

#define SLOW .ram = "64M,delay=write:25ms"
#define ENDED(title, f, other)                                                                     \
	{                                                                                          \
		.name = title, .run = ended, SLOW, .arg = &(const struct ended){f, other},         \
		.ours = true                                                                       \
	}
#define ENDED_2(title, f, other)                                                                   \
	{                                                                                          \
		.name = title, .run = ended, SLOW, .arg = &(const struct ended){f, other},         \
		.args = {"--threads", "2"}, .ours = true                                           \
	}
static const struct scene_case cases[] = {
	ENDED("abort_task", ABORT_TASK, false),
	ENDED("abort_task_set", ABORT_TASK_SET, false),
	ENDED("clear_task_set", CLEAR_TASK_SET, false),
	ENDED("lun_reset", LUN_RESET, false),
	ENDED("warm_reset", WARM_RESET, false),
	ENDED_2("lun_reset_by_another_reactor", LUN_RESET, true),
	ENDED_2("warm_reset_by_another_reactor", WARM_RESET, true),
	CASE(it_goes_on_when_answered_at_once, SLOW, .ours = true),
	CASE(another_command_ends_it, SLOW, .ours = true),
	CASE(it_ends_with_its_connection, SLOW, .ours = true),
	CASE(sixty_four_at_once, SLOW, .ours = true),
	CASE(across_each_other, .args = {"--ram", "64M", "--threads", "2"}, .ours = true),
	{.name = "across_each_other_file",
		.run = across_each_other,
		.file = 64 << 20,
		.args = {"--ram", "64M", "--threads", "2"},
		.ours = true},
};
SCENES(cases)
