/* sanitize.c - SANITIZE on files (SBC-3 4.11, 5.24): what is refused meanwhile, a server that is killed in the middle of
 * it and goes on when it starts again, and the two ways out of one that failed. An operation takes six seconds at least,
 * so several servers are at it at once. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "ask.h"

enum { MIB = 1 << 20, SIZE = 8 * MIB, BLOCK = 512, END_MS = 9000 };
enum {
	OVERWRITE = 1,
	BLOCK_ERASE = 2,
	CRYPTO_ERASE = 3,
	LEAVE_FAILED = 0x1f,
	IMMED = 0x80,
	AUSE = 0x20
};
#define SANITIZING SENSE(2, 0x04, 0x1b)
#define FAILED     SENSE(3, 0x31, 0x03)
#define BAD_CDB    SENSE(5, 0x24, 0)

/* A server with an image and a state directory of its own, which stay when it is killed. The image is unit 1. */
struct server {
	struct daemon d;
	struct peer *p;
	char image[128], state[128];
};

static void serve(struct server *s, const char *options)
{
	char arg[256];
	const char *args[] = {arg, "--state-dir", s->state, NULL};
	struct peer_params want = peer_params_default();

	snprintf(arg, sizeof(arg), "%s%s", s->image, options);
	daemon_start(&s->d, args, &(struct daemon_disk){.ram = "1M"});
	s->p = daemon_connect(&s->d);
	at_unit(s->p, 1);
	peer_login(s->p, &want);
	while (ready(s->p) >> 16 == 6)
		;
}

static void kill_it(struct server *s)
{
	kill(s->d.pid, SIGKILL);
	waitpid(s->d.pid, NULL, 0);
	s->d.pid = 0;
	peer_reset(s->p);
	daemon_remove(&s->d, false);
}

static void kill_and_serve(struct server *s, const char *options)
{
	kill_it(s);
	serve(s, options);
}

static void make(struct server *s, const struct daemon *d, const char *name)
{
	uint8_t *buf = scene_alloc(MIB);
	int fd;

	snprintf(s->image, sizeof(s->image), "%s/%s.img", d->dir, name);
	snprintf(s->state, sizeof(s->state), "%s/%s.state", d->dir, name);
	fd = open(s->image, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	EXPECT(fd >= 0, "%s: %s", s->image, strerror(errno));
	for (unsigned i = 0; i < SIZE / MIB; i++) {
		pattern(buf, MIB, 1, (uint64_t)i * MIB);
		EXPECT(write(fd, buf, MIB) == MIB, "%s", strerror(errno));
	}
	close(fd);
}

static void stop(struct server *s)
{
	char command[300];

	peer_logout(s->p);
	daemon_stop(&s->d);
	daemon_remove(&s->d, false);
	snprintf(command, sizeof(command), "rm -r '%s' '%s'", s->image, s->state);
	EXPECT(system(command) == 0, "%s", command);
}

static unsigned sanitize(struct server *s, uint8_t how)
{
	uint8_t list[4 + 5] = {0x80 | 2, 0, 0, 5, 'b', 'e', 'r', 't', 'h'};
	bool has_list = (how & 0x1f) == OVERWRITE;

	return ask(s->p, CDB(0x48, how, [8] = has_list ? sizeof(list) : 0),
		has_list ? OUT : NO_DATA, list, has_list ? sizeof(list) : 0);
}

/* clang-format off */
static const struct row {
	const char *name;
	uint8_t cdb[16];
	enum way way;
	uint32_t len;
	bool runs; /* all the same: SBC-4 4.11.2 has the list, for a failed operation too (4.11.4) */
} rows[] = {
	{"TEST UNIT READY",    {0x00},                             NO_DATA, 0,   false},
	{"READ(6)",            {0x08, [4] = 1},                    IN,      512, false},
	{"READ(10)",           {0x28, [8] = 1},                    IN,      512, false},
	{"READ(16)",           {0x88, [13] = 1},                   IN,      512, false},
	{"WRITE(10)",          {0x2a, [8] = 1},                    OUT,     512, false},
	{"WRITE AND VERIFY",   {0x2e, [8] = 1},                    OUT,     512, false},
	{"COMPARE AND WRITE",  {0x89, [13] = 0},                   NO_DATA, 0,   false},
	{"ORWRITE",            {0x8b, [13] = 1},                   OUT,     512, false},
	{"VERIFY(10)",         {0x2f, [8] = 1},                    NO_DATA, 0,   false},
	{"PRE-FETCH",          {0x34, [8] = 1},                    NO_DATA, 0,   false},
	{"SYNCHRONIZE CACHE",  {0x35},                             NO_DATA, 0,   false},
	{"READ DEFECTS",       {0x37, [8] = 8},                    IN,      8,   false},
	{"WRITE SAME(16)",     {0x93, 1, [13] = 1},                NO_DATA, 0,   false},
	{"UNMAP",              {0x42},                             NO_DATA, 0,   false},
	{"GET LBA STATUS",     {0x9e, 0x12, [13] = 24},            IN,      24,  false},
	{"POPULATE TOKEN",     {0x83, 0x10},                       NO_DATA, 0,   false},
	{"EXTENDED COPY",      {0x83, 0x00},                       NO_DATA, 0,   false},
	{"COPY PARAMETERS",    {0x84, 0x03, [13] = 64},            IN,      64,  false},
	{"COPY STATUS",        {0x84, 0x00, [13] = 12},            IN,      12,  false},
	{"START",              {0x1b, [4] = 1},                    NO_DATA, 0,   false},
	{"STOP",               {0x1b},                             NO_DATA, 0,   false},
	{"PREVENT",            {0x1e, [4] = 1},                    NO_DATA, 0,   false},
	{"MODE SELECT(6)",     {0x15, 0x10},                       NO_DATA, 0,   false},
	{"MODE SELECT(10)",    {0x55, 0x10},                       NO_DATA, 0,   false},
	{"MODE SENSE, all",    {0x1a, 0, 0x3f, [4] = 255},         IN,      255, false},
	{"... recovery",       {0x1a, 0, 0x01, [4] = 255},         IN,      255, false},
	{"... provisioning",   {0x1a, 0, 0x1c, 2, 255},            IN,      255, false},
	{"... caching",        {0x1a, 0, 0x08, [4] = 255},         IN,      255, true},
	{"... control",        {0x1a, 0, 0x0a, [4] = 255},         IN,      255, true},
	{"... exceptions",     {0x1a, 0, 0x1c, [4] = 255},         IN,      255, true},
	{"MODE SENSE(10)",     {0x5a, 0, 0x02, [8] = 255},         IN,      255, false},
	{"... defaults",       {0x5a, 0, 0x88, [8] = 255},         IN,      255, true},
	{"LOG SENSE, pages",   {0x4d, 0, 0x40, [8] = 64},          IN,      64,  false},
	{"... exceptions",     {0x4d, 0, 0x6f, [8] = 64},          IN,      64,  false},
	{"... temperature",    {0x4d, 0, 0x4d, [8] = 64},          IN,      64,  true},
	{"RESERVE(6)",         {0x16},                             NO_DATA, 0,   false},
	{"RELEASE(10)",        {0x57},                             NO_DATA, 0,   false},
	{"READ KEYS",          {0x5e, 0, [8] = 64},                IN,      64,  false},
	{"READ RESERVATION",   {0x5e, 1, [8] = 64},                IN,      64,  false},
	{"CAPABILITIES",       {0x5e, 2, [8] = 8},                 IN,      8,   false},
	{"FULL STATUS",        {0x5e, 3, [8] = 64},                IN,      64,  false},
	{"REGISTER",           {0x5f, 6, [8] = 24},                OUT,     24,  false},
	{"CLEAR",              {0x5f, 3, [8] = 24},                OUT,     24,  false},
	{"REPORT GROUPS",      {0xa3, 0x0a, [9] = 64},             IN,      64,  false},
	{"SET GROUPS",         {0xa4, 0x0a},                       NO_DATA, 0,   false},
	{"READ CAPACITY(10)",  {0x25},                             IN,      8,   true},
	{"READ CAPACITY(16)",  {0x9e, 0x10, [13] = 32},            IN,      32,  true},
	{"INQUIRY",            {0x12, [4] = 96},                   IN,      96,  true},
	{"INQUIRY of a page",  {0x12, 1, 0xb1, [4] = 96},          IN,      96,  true},
	{"REQUEST SENSE",      {0x03, [4] = 18},                   IN,      18,  true},
	{"REPORT LUNS",        {0xa0, [9] = 64},                   IN,      64,  true},
	{"OPERATION CODES",    {0xa3, 0x0c, 0x01, 0x28, [9] = 64}, IN,      64,  true},
	{"FUNCTIONS",          {0xa3, 0x0d, [9] = 64},             IN,      64,  true},
};
/* clang-format on */

static void expect_state(struct server *s, unsigned state)
{
	uint8_t buf[512] = {0};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		unsigned end = ask(s->p, rows[i].cdb, rows[i].way, buf, rows[i].len);

		EXPECT(end == (rows[i].runs ? 0 : state), "%s ends with %06x, expected %06x",
			rows[i].name, end, rows[i].runs ? 0 : state);
	}
	if (state == SANITIZING) /* and no second one */
		EXPECT_EQ(sanitize(s, BLOCK_ERASE | IMMED), SANITIZING);
}

/* progress - of REQUEST SENSE, which answers GOOD (SBC-3 4.11.2). */
static unsigned progress(struct server *s)
{
	uint8_t sense[18];

	EXPECT_EQ(ask(s->p, CDB(0x03, [4] = 18), IN, sense, sizeof(sense)), 0);
	if (sense[12] != 0x04 || sense[13] != 0x1b)
		return 0;
	EXPECT_EQ(sense[15] & 0x80, 0x80); /* SKSV */
	return (unsigned)get_be(sense + 16, 2);
}

/* see_it_move - right after its begin: it has six seconds to be seen at it. */
static void see_it_move(struct server *s)
{
	unsigned end = SANITIZING;

	while (!progress(s) && (end = ready(s->p)) == SANITIZING)
		scene_sleep(50);
	EXPECT(end == SANITIZING, "it made no progress before its end");
}

static void wait_for_end(struct server *s)
{
	int64_t start = scene_now_ms();
	unsigned end, before = 0;

	while ((end = ready(s->p)) == SANITIZING) {
		unsigned now = progress(s);

		EXPECT(now >= before || !now, "progress goes back from %u to %u", before, now);
		before = now;
		EXPECT(scene_now_ms() - start < END_MS * scene_slow(), "it does not end");
		scene_sleep(50);
	}
	EXPECT_EQ(end, 0);
}

/* Every block, from the disk's own point of view and from ours. */
static void expect_all(struct server *s, const uint8_t *block)
{
	uint8_t *buf = scene_alloc(MIB);

	for (unsigned i = 0; i < SIZE / MIB; i++) {
		peer_read(s->p, (uint64_t)i * MIB / BLOCK, MIB / BLOCK, buf);
		for (unsigned b = 0; b < MIB; b += BLOCK)
			EXPECT(!memcmp(buf + b, block, BLOCK), "block %u is not what it should be",
				(i * MIB + b) / BLOCK);
	}
}

/* What is under way goes on after a kill. */
static void kill_while_at_it(struct server *s, unsigned times)
{
	expect_state(s, SANITIZING);
	for (unsigned i = 0; i < times; i++) {
		scene_sleep(200);
		kill_and_serve(s, "");
		expect_state(s, SANITIZING);
	}
}

/* select_protection - SWP of the control mode page (SPC-4 7.5.10): its current value, or the saved one too. */
static void select_protection(struct server *s, bool on, bool save)
{
	uint8_t page[64], list[4 + 12] = {0};

	EXPECT_EQ(ask(s->p, CDB(0x1a, 8, 0x0a, [4] = 64), IN, page, sizeof(page)), 0);
	memcpy(list + 4, page + 4, 12);
	list[4] &= 0x3f;
	list[8] = on ? 0x08 : 0;
	EXPECT_EQ(ask(s->p, CDB(0x15, save ? 0x11 : 0x10, [4] = sizeof(list)), OUT, list,
			  sizeof(list)),
		0);
}

/* A reset brings the protection back that was kept, where MODE SELECT could not take it away any more: what mends the
 * unit passes all the same. */
static void protect_by_reset(struct server *s)
{
	EXPECT_EQ(peer_expect_tmf(s->p, peer_send_tmf(s->p, 5, PEER_NONE, 0)), 0);
	EXPECT_EQ(ready(s->p), SENSE(6, 0x29, 3));
	expect_state(s, FAILED);
}

/* An operation that failed leaves the unit failed, over a kill too. Asked for with AUSE, EXIT FAILURE MODE is the way
 * out; without, only another one that succeeds, and that without AUSE (4.11.1). */
static void fail(struct server *s, bool ause)
{
	uint8_t with = ause ? AUSE : 0;

	EXPECT_EQ(sanitize(s, LEAVE_FAILED), 0); /* nothing has failed yet */
	if (!ause) {
		select_protection(s, true, true);
		EXPECT_EQ(sanitize(s, BLOCK_ERASE), SENSE(7, 0x27, 2));
		select_protection(s, false, false);
	}
	EXPECT_EQ(sanitize(s, BLOCK_ERASE | with), FAILED);
	expect_state(s, FAILED);
	kill_and_serve(s, "");
	expect_state(s, FAILED);
	if (ause) {
		EXPECT_EQ(sanitize(s, LEAVE_FAILED), 0);
		EXPECT_EQ(ready(s->p), 0);
		kill_and_serve(s, "");
		EXPECT_EQ(ready(s->p), 0);
	} else {
		EXPECT_EQ(sanitize(s, LEAVE_FAILED), BAD_CDB);
		EXPECT_EQ(sanitize(s, BLOCK_ERASE | IMMED | AUSE), BAD_CDB);
		EXPECT_EQ(sanitize(s, OVERWRITE | IMMED | AUSE), BAD_CDB);
		protect_by_reset(s);
	}
	EXPECT_EQ(sanitize(s, CRYPTO_ERASE | IMMED | with), 0);
}

/* An erasure that is killed twice, two passes of overwriting that are killed once (the last one writes the pattern and not
 * its complement, 5.24.2), and two operations that failed. */
static void killed_and_failed(struct daemon *d)
{
	enum { ERASED, OVERWRITTEN, PLAIN, WITH_AUSE, N };
	static const char *const names[N] = {"erase", "over", "plain", "ause"};
	struct server *s = scene_alloc(N * sizeof(*s));
	uint8_t block[BLOCK], zeros[BLOCK] = {0};

	for (unsigned i = 0; i < BLOCK; i++)
		block[i] = (uint8_t) "berth"[i % 5];
	for (unsigned i = 0; i < N; i++) {
		make(&s[i], d, names[i]);
		serve(&s[i], i < PLAIN ? "" : ",error=unmap,error=write");
	}
	EXPECT_EQ(sanitize(&s[ERASED], BLOCK_ERASE | IMMED), 0);
	kill_while_at_it(&s[ERASED], 2);
	EXPECT_EQ(sanitize(&s[OVERWRITTEN], OVERWRITE | IMMED), 0);
	kill_while_at_it(&s[OVERWRITTEN], 1);
	fail(&s[PLAIN], false);
	fail(&s[WITH_AUSE], true);
	see_it_move(&s[WITH_AUSE]);
	for (unsigned i = 0; i < N; i++)
		wait_for_end(&s[i]);
	for (unsigned i = 0; i < N; i++) {
		if (i < PLAIN)
			kill_and_serve(&s[i], ""); /* it is over for good */
		EXPECT_EQ(ready(s[i].p), 0);
		expect_all(&s[i], i == OVERWRITTEN ? block : zeros);
		stop(&s[i]);
	}
}

static const struct scene_case cases[] = {
	CASE(killed_and_failed, .ram = "1M", .ours = true),
};
SCENES(cases)
