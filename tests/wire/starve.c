/* starve.c - peers that ask for all and bring nothing; the others go on.
 *
 * Many connections start as many writes as they may, of the greatest length, and never send a byte.
 * Their landings may take every page that nobody was promised; what a connection was promised (one
 * burst at least) it gets all the same, in time. When the silent ones go, everything is as before.
 */
#include <string.h>
#include "scene.h"

enum { BLOCK = 512, MIB = 1 << 20, N_SILENT = 80, N_COMMANDS = 24 };
enum { GOOD = 0, BUSY = 0x08 };

/* silent - a peer that asked for much; NULL when the server has no room for another session. */
static struct peer *silent(struct daemon *d, const struct peer_params *want, uint32_t n_blocks)
{
	struct peer *p = daemon_connect(d);
	unsigned status = peer_try_login(p, 1, want, NULL);

	if (status) {
		EXPECT(status == 0x0302 || status == 0x0301, "login refused with 0x%04x", status);
		peer_expect_close(p);
		peer_close(p);
		return NULL;
	}
	peer_settle(p);
	for (unsigned i = 0; i < N_COMMANDS && (int32_t)(p->maxcmdsn - p->cmdsn) >= 0; i++) {
		struct peer_cmd c = {.write = true, .edtl = n_blocks * BLOCK};

		cdb_rw(c.cdb, true, scene_random(1024), n_blocks);
		c.more = !p->params.initial_r2t; /* unsolicited Data-Outs are announced, and do not
						    come */
		peer_send_cmd(p, &c);
	}
	return p;
}

static void must_go_on(struct peer *p, unsigned n, uint32_t n_blocks, uint64_t seed)
{
	uint8_t *out = scene_alloc(n_blocks * BLOCK), *in = scene_alloc(n_blocks * BLOCK);
	int64_t start = scene_now_ms(), longest = 0;

	for (unsigned i = 0; i < n; i++) {
		int64_t before = scene_now_ms();

		pattern(out, n_blocks * BLOCK, seed + i, 0);
		peer_write(p, 2048 + i * 7, n_blocks, out);
		peer_read(p, 2048 + i * 7, n_blocks, in);
		pattern_expect(in, n_blocks * BLOCK, seed + i, 0);
		if (scene_now_ms() - before > longest)
			longest = scene_now_ms() - before;
	}
	scene_note("%u writes and reads of %u blocks in %lld ms, the longest %lld ms", n, n_blocks,
		(long long)(scene_now_ms() - start), (long long)longest);
}

/* one_longer - a write of many bursts needs pages that nobody promised: where there are none it waits, and then it is
 * BUSY (SAM-5 5.3.1). */
static void one_longer(struct peer *p, uint8_t status)
{
	uint8_t *out = scene_alloc(MIB);
	int64_t start = scene_now_ms();
	struct peer_status st;
	int timeout_ms = p->timeout_ms;

	p->timeout_ms = 45000;
	pattern(out, MIB, 77, 0);
	st = peer_rw(p, true, 4096, MIB / BLOCK, out);
	EXPECT_EQ(st.status, status);
	p->timeout_ms = timeout_ms;
	scene_note("a write of 1 MiB ended with status 0x%02x after %lld ms", st.status,
		(long long)(scene_now_ms() - start));
}

/* newcomer - logs in as soon as the server has seen the others go. */
static struct peer *newcomer(struct daemon *d)
{
	struct peer_params want = peer_params_default();
	int64_t start = scene_now_ms();

	for (;;) {
		struct peer *p = daemon_connect(d);
		unsigned status = peer_try_login(p, 1, &want, NULL);

		if (!status) {
			peer_settle(p);
			return p;
		}
		EXPECT(scene_now_ms() - start < p->timeout_ms, "still refused: 0x%04x", status);
		peer_close(p);
		scene_sleep(20);
	}
}

/* longer: how a write of more than was promised ends meanwhile. */
static void everybody_else_works(
	struct daemon *d, const struct peer_params *want, uint32_t n_blocks, uint8_t longer)
{
	struct peer *before = daemon_peer(d, NULL), *late, *quiet[N_SILENT] = {NULL};
	struct peer_params standard = peer_params_default();
	unsigned n = 0;

	must_go_on(before, 4, 128, 1);
	while (n < N_SILENT && (quiet[n] = silent(d, want, n_blocks)) != NULL)
		n++;
	scene_note("%u silent peers", n);
	EXPECT(n, "not one silent peer was let in");
	must_go_on(before, 50, 128, 2);
	peer_ping(before, 1000);
	late = daemon_connect(d); /* a newcomer works, or is told that there is no room */
	switch (peer_try_login(late, 1, &standard, NULL)) {
	case 0:
		peer_settle(late);
		must_go_on(late, 10, 128, 4);
		break;
	case 0x0301:
	case 0x0302:
		peer_expect_close(late);
		break;
	default:
		FAIL("the newcomer was refused otherwise");
	}
	one_longer(before, longer);
	must_go_on(before, 10, 128, 3);
	while (n)
		peer_close(quiet[--n]);
	peer_close(late);
	late = newcomer(d);
	must_go_on(late, 10, 2048, 5);
	must_go_on(before, 10, 2048, 6);
}

static void solicited_landings(struct daemon *d)
{
	struct peer_params want = peer_params_default();

	want.max_burst = want.first_burst = 256 << 10;
	want.max_r2t = 32;
	everybody_else_works(d, &want, MIB / BLOCK, BUSY);
}

static void unsolicited_landings(struct daemon *d)
{
	struct peer_params want = peer_params_default();

	want.initial_r2t = false;
	want.immediate_data = true;
	everybody_else_works(d, &want, 65536 / BLOCK, GOOD);
}

static void longest_commands(struct daemon *d)
{
	struct peer_params want = peer_params_default();

	want.max_burst = 16 << 20;
	want.max_r2t = 32;
	everybody_else_works(d, &want, 8 * MIB / BLOCK, BUSY);
}

/* Pages that the cache merely keeps are no reason to turn somebody away. */
static void logins_with_a_full_cache(struct daemon *d)
{
	struct peer *first = daemon_peer(d, NULL);
	uint8_t *buf = scene_alloc(MIB);

	for (unsigned i = 0; i < 128; i++) { /* all of the disk, twice the cache */
		pattern(buf, MIB, i % 64, 0);
		if (i < 64)
			peer_write(first, (uint64_t)i * MIB / BLOCK, MIB / BLOCK, buf);
		else
			peer_read(first, (uint64_t)(i - 64) * MIB / BLOCK, MIB / BLOCK, buf);
		pattern_expect(buf, MIB, i % 64, 0);
	}
	for (unsigned i = 0; i < 4; i++)
		must_go_on(daemon_peer(d, NULL), 4, 128, i);
}

/* What is asked for alone, burst by burst, needs little: a hundred such sessions have room in 64
 * MiB. */
static void a_hundred_sessions(struct daemon *d)
{
	enum { N = 100 };
	struct peer **all = scene_alloc(N * sizeof(struct peer *));

	for (unsigned i = 0; i < N; i++)
		all[i] = daemon_peer(d, NULL);
	for (unsigned i = 0; i < N; i++) {
		uint8_t *out = scene_alloc(65536), *in = scene_alloc(65536);

		pattern(out, 65536, i, 0);
		peer_write(all[i], i * 128 + 3, 128, out);
		peer_read(all[N - 1 - i], i * 128 + 3, 128, in);
		pattern_expect(in, 65536, i, 0);
	}
}

/* window - how many commands a session of its kind may have under way. */
static unsigned window(struct daemon *d)
{
	struct peer_params want = peer_params_default();
	struct peer *p = daemon_connect(d);
	unsigned n;

	want.immediate_data = true;
	want.initial_r2t = false;
	peer_login(p, &want);
	n = p->maxcmdsn - p->cmdsn + 1;
	peer_close(p);
	return n;
}

/* Whoever connects and says nothing takes none of the pages that a session is promised. */
static void half_open_logins_take_nothing(struct daemon *d)
{
	enum { N = 200 };
	unsigned alone = window(d);

	EXPECT(alone > 1 && alone < PEER_WINDOW, "a window of %u", alone); /* the pages decide */
	daemon_settled(d);
	for (unsigned i = 0; i < N; i++)
		daemon_connect(d);
	EXPECT_EQ(window(d), alone);
}

static const struct scene_case cases[] = {
	CASE(solicited_landings, .ram = "16M", .ours = true),
	CASE(unsolicited_landings, .ram = "16M", .ours = true),
	CASE(longest_commands, .ram = "16M", .ours = true),
	{.name = "solicited_landings_file",
		.run = solicited_landings,
		.file = 16 << 20,
		.args = {"--cache", "32M"},
		.ours = true},
	CASE(a_hundred_sessions, .ours = true),
	CASE(half_open_logins_take_nothing, .ours = true),
	CASE(logins_with_a_full_cache, .file = 64 << 20, .args = {"--cache", "32M"}, .ours = true),
};
SCENES(cases)
