/* register.c - registrations for others and of others (SPC-4 5.12.7, 5.12.8, 5.12.11): SPEC_I_PT, ALL_TG_PT, REGISTER AND
 * MOVE, PREEMPT; who may do what afterwards, who is told, what READ FULL STATUS says of it, and that all of it is there
 * again, to the byte, when the server was killed and APTPL was set. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "ask.h"

enum { K1 = 0x1111, K2 = 0x2222, K3 = 0x3333, ROOM = 1024, BLOCK = 512 };
enum { EXCLUSIVE = 3, EXCLUSIVE_REGISTRANTS = 6, EXCLUSIVE_EVERY = 8 };
#define BAD_LIST   SENSE(5, 0x26, 0)
#define BAD_LENGTH SENSE(5, 0x1a, 0)

static unsigned may_read(struct peer *p)
{
	uint8_t buf[BLOCK];

	return ask(p, CDB(0x28, [8] = 1), IN, buf, BLOCK);
}

/* transport_id - of a port, or (isid 0) of a device; the length (SPC-4 7.6.4.6). */
static uint32_t transport_id(uint8_t *at, const char *name, uint64_t isid)
{
	char text[PEER_NAME_LEN + 32];
	size_t n = isid ? (size_t)sprintf(text, "%s,i,0x%012llX", name, (unsigned long long)isid)
			: (size_t)sprintf(text, "%s", name);
	size_t room = (n + 1 + 3) & ~(size_t)3;

	room = room < 20 ? 20 : room;
	memset(at, 0, 4 + room);
	at[0] = isid ? 0x45 : 0x05;
	put_be(at + 2, 2, room);
	memcpy(at + 4, text, n);
	return (uint32_t)(4 + room);
}

/* list_ports - a REGISTER list with SPEC_I_PT for these. */
static uint32_t list_ports(uint8_t *list, uint64_t key, unsigned flags,
	const struct peer *const *ports, unsigned n, bool devices)
{
	uint32_t len = 28;

	memset(list, 0, 28);
	put_be(list + 8, 8, key);
	list[20] = (uint8_t)(SPEC_I_PT | flags);
	for (unsigned i = 0; i < n; i++)
		len += transport_id(list + len, ports[i]->initiator, devices ? 0 : ports[i]->isid);
	put_be(list + 24, 4, len - 28);
	return len;
}

static unsigned send_list(struct peer *p, unsigned action, uint8_t *list, uint32_t len)
{
	return ask(p, CDB(0x5f, (uint8_t)action, [7] = (uint8_t)(len >> 8), (uint8_t)len), OUT,
		list, len);
}

static unsigned move(
	struct peer *p, uint64_t key, uint64_t new_key, unsigned flags, const struct peer *to)
{
	uint8_t list[400] = {[17] = (uint8_t)flags, [19] = 1}; /* relative target port 1 */
	uint32_t id_len = transport_id(list + 24, to->initiator, to->isid);

	put_be(list, 8, key);
	put_be(list + 8, 8, new_key);
	put_be(list + 20, 4, id_len);
	return send_list(p, PR_MOVE, list, 24 + id_len);
}

/* registered - the descriptor of a port in READ FULL STATUS, or NULL. */
static const uint8_t *registered(const uint8_t *buf, const struct peer *p)
{
	uint8_t id[400];
	uint32_t n = transport_id(id, p->initiator, p->isid);

	for (const uint8_t *at = buf + 8; at < buf + 8 + get_be(buf + 4, 4);
		at += 24 + get_be(at + 20, 4))
		if (get_be(at + 20, 4) == n &&
			!strcasecmp((const char *)at + 28, (const char *)id + 4))
			return at;
	return NULL;
}

static void expect_registered(
	struct peer *by, const struct peer *p, uint64_t key, bool all_ports, unsigned type)
{
	uint8_t *buf = scene_alloc(ROOM);
	const uint8_t *at;

	pr_in(by, PR_FULL, buf);
	at = registered(buf, p);
	EXPECT(!at == !key, "%s registered", at ? "it is" : "it is not");
	if (!at)
		return;
	EXPECT_EQ(get_be(at, 8), key);
	EXPECT_EQ(at[12], (all_ports ? 2 : 0) | (type ? 1 : 0)); /* ALL_TG_PT, R_HOLDER */
	EXPECT_EQ(at[13], type);
	EXPECT_EQ(get_be(at + 18, 2), all_ports ? 0 : 1);
}

/* --- SPEC_I_PT, ALL_TG_PT --- */
static void for_others(struct daemon *d)
{
	struct peer *a = daemon_peer(d, NULL), *b = daemon_peer(d, NULL), *c = daemon_peer(d, NULL);
	uint8_t *list = scene_alloc(ROOM);

	for (unsigned all = 0; all < 2; all++) {
		uint32_t len = list_ports(
			list, K1, all ? ALL_TG_PT : 0, (const struct peer *const[]){b}, 1, false);

		EXPECT_EQ(send_list(a, PR_REGISTER, list, len), 0);
		expect_registered(c, a, K1, all, 0);
		expect_registered(c, b, K1, all, 0);
		expect_registered(c, c, 0, false, 0);
		EXPECT_EQ(pr_out(a, PR_RESERVE, EXCLUSIVE_REGISTRANTS, K1, 0, 0), 0);
		EXPECT_EQ(may_read(b), 0);
		EXPECT_EQ(may_read(c), CONFLICT);
		EXPECT_EQ(pr_out(b, PR_CLEAR, 0, K1, 0, 0), 0);
		EXPECT_EQ(ready(a), SENSE(6, 0x2a, 3));
	}
	/* a device stands for all of its ports that are logged in: all three, which have one name */
	EXPECT_EQ(send_list(a, PR_REGISTER, list,
			  list_ports(list, K1, 0, (const struct peer *const[]){b}, 1, true)),
		0);
	expect_registered(c, b, K1, false, 0);
	expect_registered(c, c, K1, false, 0);
	EXPECT_EQ(pr_in(c, PR_KEYS, list), 24);
}

/* A port that is not logged in is registered by its name, and is so when it comes. */
static void for_one_that_comes_later(struct daemon *d)
{
	struct peer *a = daemon_peer(d, NULL), *later = daemon_connect(d);
	struct peer_params want = peer_params_default();
	uint8_t *list = scene_alloc(ROOM);

	EXPECT_EQ(send_list(a, PR_REGISTER, list,
			  list_ports(list, K1, 0, (const struct peer *const[]){later}, 1, false)),
		0);
	EXPECT_EQ(pr_out(a, PR_RESERVE, EXCLUSIVE_EVERY, K1, 0, 0), 0);
	expect_registered(a, later, K1, false, EXCLUSIVE_EVERY);
	peer_login(later, &want);
	peer_settle(later);
	EXPECT_EQ(may_read(later), 0);
	EXPECT_EQ(pr_out(later, PR_RELEASE, EXCLUSIVE_EVERY, K1, 0, 0),
		0); /* all registrants hold it */
	EXPECT_EQ(ready(a), SENSE(6, 0x2a, 4));
}

/* All of them or none (5.12.7); the flags that do not go together. */
static void lists_that_are_wrong(struct daemon *d)
{
	struct peer *a = daemon_peer(d, NULL), *b = daemon_peer(d, NULL), *c = daemon_peer(d, NULL);
	const struct peer *const both[] = {b, c};
	uint8_t *good = scene_alloc(ROOM), *list = scene_alloc(ROOM);
	uint32_t len = list_ports(good, K1, 0, both, 2, false),
		 second = 28 + 4 + (uint32_t)get_be(good + 30, 2);
	const struct {
		const char *name;
		uint32_t at;
		uint8_t value;
		uint32_t len;
		unsigned end;
	} rows[] = {
		{"another protocol", second, 0x46, len, BAD_LIST},
		{"a format that there is not", second, 0x85, len, BAD_LIST},
		{"a port said to be a device", second, 0x05, len, BAD_LIST},
		{"a name of no length", second + 4, 0, len, BAD_LIST},
		{"an odd length", second + 3, good[second + 3] + 1, len, BAD_LIST},
		{"a length over the end", second + 3, good[second + 3] + 4, len, BAD_LIST},
		{"a list that is cut", 0, 0, len - 4, BAD_LENGTH},
		{"a longer list", 27, good[27] + 4, len, BAD_LENGTH},
		{"no list at all", 0, 0, 24, BAD_LENGTH},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		unsigned end;

		memcpy(list, good, len);
		if (rows[i].at)
			list[rows[i].at] = rows[i].value;
		end = send_list(a, PR_REGISTER, list, rows[i].len);
		EXPECT(end == rows[i].end, "%s: %06x", rows[i].name, end);
		EXPECT_EQ(pr_in(a, PR_KEYS, list), 0);
	}
	EXPECT_EQ(send_list(a, PR_IGNORE, good, len),
		BAD_LENGTH); /* SPEC_I_PT is REGISTER's alone: 24 bytes */
	EXPECT_EQ(pr_out(a, PR_IGNORE, 0, 0, K1, SPEC_I_PT), BAD_LIST);
	EXPECT_EQ(pr_out(c, PR_REGISTER, 0, 0, K3, 0), 0);
	EXPECT_EQ(send_list(a, PR_REGISTER, good, len), CONFLICT); /* one of them is registered */
	expect_registered(a, b, 0, false, 0);
	EXPECT_EQ(pr_out(a, PR_REGISTER, 0, 0, K1, 0), 0);
	put_be(good, 8, K1);
	EXPECT_EQ(send_list(a, PR_REGISTER, good, len),
		BAD_LIST); /* who is registered registers nobody */
	EXPECT_EQ(pr_in(a, PR_KEYS, list), 16);
}

/* --- REGISTER AND MOVE --- */
static void moved(struct daemon *d)
{
	struct peer *a = daemon_peer(d, NULL), *b = daemon_peer(d, NULL), *c = daemon_peer(d, NULL);

	for (unsigned leave = 0; leave < 2; leave++) {
		EXPECT_EQ(pr_out(a, PR_IGNORE, 0, 0, K1, 0), 0);
		EXPECT_EQ(move(a, K1, K2, 0, b), CONFLICT); /* nothing is held */
		EXPECT_EQ(pr_out(a, PR_RESERVE, EXCLUSIVE, K1, 0, 0), 0);
		EXPECT_EQ(move(c, K1, K2, 0, b), CONFLICT); /* not registered */
		EXPECT_EQ(move(a, K2, K2, 0, b), CONFLICT); /* another key */
		EXPECT_EQ(move(a, K1, 0, 0, b), BAD_LIST);
		EXPECT_EQ(move(a, K1, K2, 0, a), BAD_LIST);      /* to itself */
		EXPECT_EQ(move(a, K1, K2, leave ? 2 : 0, b), 0); /* UNREG */
		expect_registered(c, b, K2, false, EXCLUSIVE);
		expect_registered(c, a, leave ? 0 : K1, false, 0);
		EXPECT_EQ(may_read(a), CONFLICT);
		EXPECT_EQ(may_read(b), 0);
		EXPECT_EQ(ready(a), 0); /* nobody is told */
		EXPECT_EQ(ready(b), 0);
		EXPECT_EQ(move(b, K2, K3, 0, a), 0); /* and back, with another key */
		expect_registered(c, a, K3, false, EXCLUSIVE);
		EXPECT_EQ(may_read(b), CONFLICT);
		EXPECT_EQ(pr_out(a, PR_CLEAR, 0, K3, 0, 0), 0);
		EXPECT_EQ(ready(b), SENSE(6, 0x2a, 3));
	}
	EXPECT_EQ(pr_out(a, PR_IGNORE, 0, 0, K1, 0), 0);
	EXPECT_EQ(pr_out(a, PR_RESERVE, EXCLUSIVE_EVERY, K1, 0, 0), 0);
	EXPECT_EQ(
		move(a, K1, K2, 0, b), CONFLICT); /* held by all: there is nobody to move it from */
}

/* --- PREEMPT --- */
static void preempted(struct daemon *d)
{
	struct peer *a = daemon_peer(d, NULL), *b = daemon_peer(d, NULL), *c = daemon_peer(d, NULL);
	struct peer_cmd w = {.write = true, .edtl = 4096};
	struct peer_r2t r;
	uint32_t itt;

	for (unsigned abort = 0; abort < 2; abort++) {
		unsigned action = abort ? PR_PREEMPT_ABORT : PR_PREEMPT;

		EXPECT_EQ(pr_out(a, PR_IGNORE, 0, 0, K1, 0), 0);
		EXPECT_EQ(pr_out(b, PR_IGNORE, 0, 0, K2, 0), 0);
		EXPECT_EQ(pr_out(c, PR_IGNORE, 0, 0, K2, 0), 0); /* the same key: both go */
		EXPECT_EQ(pr_out(b, PR_RESERVE, EXCLUSIVE, K2, 0, 0), 0);
		EXPECT_EQ(pr_out(a, action, EXCLUSIVE_REGISTRANTS, K1, K3, 0),
			CONFLICT); /* nobody's */
		EXPECT_EQ(pr_out(a, action, EXCLUSIVE_REGISTRANTS, K1, 0, 0), BAD_LIST);
		cdb_rw(w.cdb, true, 0, 8);
		itt = 0;
		if (abort) { /* a task of who is preempted ends */
			itt = peer_send_cmd(b, &w);
			peer_expect_r2t(b, itt, &r);
		}
		EXPECT_EQ(pr_out(a, action, EXCLUSIVE_REGISTRANTS, K1, K2, 0), 0);
		if (abort) {
			peer_answer(b, &r, scene_alloc(4096));
			peer_ping(b, 1);
		}
		EXPECT_EQ(ready(b), SENSE(6, 0x2a, 5));
		EXPECT_EQ(ready(c), SENSE(6, 0x2a, 5));
		EXPECT_EQ(ready(b), abort ? SENSE(6, 0x2f, 0)
					  : 0); /* TAS is 0: its task ended without a word */
		EXPECT_EQ(ready(a), 0);
		expect_registered(c, a, K1, false, EXCLUSIVE_REGISTRANTS);
		EXPECT_EQ(may_read(b), CONFLICT);
		EXPECT_EQ(pr_out(a, PR_CLEAR, 0, K1, 0, 0), 0);
		EXPECT_EQ(ready(b), 0);
		EXPECT_EQ(ready(c), 0);
	}
}

/* --- over a kill --- */

static struct peer *serve(struct daemon *s, const char *image, const char *state, uint64_t isid)
{
	const char *args[] = {image, "--state-dir", state, NULL};
	struct peer_params want = peer_params_default();
	struct peer *p;

	if (image)
		daemon_start(s, args, &(struct daemon_disk){.ram = "1M"});
	p = daemon_connect(s);
	p->isid = isid;
	at_unit(p, 1);
	peer_login(p, &want);
	peer_settle(p);
	return p;
}

/* What leads to the state that must be there again; the last action of each says APTPL or keeps what was said. */
static void tell_story(unsigned story, struct peer *a, struct peer *b)
{
	static const uint8_t types[] = {1, 3, 5, 6, 7, 8};
	uint8_t *list = scene_alloc(ROOM);

	if (story < sizeof(types)) {
		EXPECT_EQ(pr_out(a, PR_IGNORE, 0, 0, K1, APTPL | (story % 2 ? ALL_TG_PT : 0)), 0);
		EXPECT_EQ(pr_out(b, PR_IGNORE, 0, 0, K2, APTPL), 0);
		EXPECT_EQ(pr_out(a, PR_RESERVE, types[story], K1, 0, 0), 0);
	} else if (story == sizeof(types)) {
		EXPECT_EQ(send_list(a, PR_REGISTER, list,
				  list_ports(list, K1, APTPL, (const struct peer *const[]){b}, 1,
					  false)),
			0);
	} else if (story == sizeof(types) + 1) {
		EXPECT_EQ(pr_out(a, PR_IGNORE, 0, 0, K1, APTPL), 0);
		EXPECT_EQ(pr_out(a, PR_RESERVE, EXCLUSIVE, K1, 0, 0), 0);
		EXPECT_EQ(move(a, K1, K2, 1, b), 0); /* APTPL of MOVE */
	} else {
		EXPECT_EQ(pr_out(a, PR_IGNORE, 0, 0, K1, APTPL), 0);
		EXPECT_EQ(pr_out(b, PR_IGNORE, 0, 0, K2, APTPL), 0);
		EXPECT_EQ(pr_out(a, PR_RESERVE, EXCLUSIVE, K1, 0, 0), 0);
		EXPECT_EQ(pr_out(b, PR_PREEMPT, EXCLUSIVE_REGISTRANTS, K2, K1, 0), 0);
	}
}

static void after_a_kill(struct daemon *d)
{
	enum { N_STORIES = 9, ISID_A = 0x31, ISID_B = 0x32, ISID_C = 0x33 };
	char image[128], state[128], command[300];
	uint8_t *before = scene_alloc(ROOM), *now = scene_alloc(ROOM);
	struct daemon s;
	struct peer *a, *b, *c;
	unsigned reads[3];
	int fd;

	snprintf(image, sizeof(image), "%s/kept.img", d->dir);
	snprintf(state, sizeof(state), "%s/state", d->dir);
	fd = open(image, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	EXPECT(fd >= 0 && ftruncate(fd, 8 << 20) == 0, "%s: %s", image, strerror(errno));
	close(fd);
	a = serve(&s, image, state, ISID_A);
	for (unsigned i = 0; i < N_STORIES; i++) {
		uint32_t len;

		scene_note("story %u", i);
		b = serve(&s, NULL, NULL, ISID_B);
		c = serve(&s, NULL, NULL, ISID_C);
		tell_story(i, a, b);
		while (ready(a) >> 16 == 6)
			;
		reads[0] = may_read(a);
		reads[1] = may_read(b);
		reads[2] = may_read(c);
		len = pr_in(c, PR_FULL, before);
		EXPECT(len, "nothing is registered");
		kill(s.pid, SIGKILL);
		waitpid(s.pid, NULL, 0);
		s.pid = 0;
		peer_close_all();
		daemon_remove(&s, false);
		a = serve(&s, image, state, ISID_A);
		b = serve(&s, NULL, NULL, ISID_B);
		c = serve(&s, NULL, NULL, ISID_C);
		EXPECT_EQ(pr_in(c, PR_FULL, now), len);
		EXPECT_EQ(get_be(now, 4), 0); /* PRGENERATION begins anew (5.12.5) */
		EXPECT(!memcmp(now + 4, before + 4, len + 4), "READ FULL STATUS is another one");
		EXPECT_EQ(may_read(a), reads[0]);
		EXPECT_EQ(may_read(b), reads[1]);
		EXPECT_EQ(may_read(c), reads[2]);
		pr_in(c, PR_CAPABILITIES, now);
		EXPECT_EQ(now[3] & 1, 1); /* PTPL_A */
		pr_out(b, PR_IGNORE, 0, 0, K3, APTPL);
		EXPECT_EQ(pr_out(b, PR_CLEAR, 0, K3, 0, 0), 0);
		while (ready(a) >> 16 == 6)
			;
		peer_close(b);
		peer_close(c);
	}
	peer_logout(a);
	daemon_stop(&s);
	daemon_remove(&s, false);
	snprintf(command, sizeof(command), "rm -r '%s' '%s'", image, state);
	EXPECT(system(command) == 0, "%s", command);
}

static const struct scene_case cases[] = {
	CASE(for_others, .ram = "1M", .ours = true),
	CASE(for_one_that_comes_later, .ram = "1M", .ours = true),
	CASE(lists_that_are_wrong, .ram = "1M", .ours = true),
	CASE(moved, .ram = "1M", .ours = true),
	CASE(preempted, .ram = "1M", .ours = true),
	{.name = "preempted_two_reactors",
		.run = preempted,
		.ram = "1M",
		.args = {"--threads", "2"},
		.ours = true},
	CASE(after_a_kill, .ram = "1M", .ours = true),
};
SCENES(cases)
