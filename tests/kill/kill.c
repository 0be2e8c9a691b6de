/* kill.c - nothing acknowledged is lost: the server is killed at random moments, started again, and read back.
 *
 *   kill MODE kill|power|lie|forget N      (MODE: write-through, write-back)
 *
 * kill: SIGKILL; each acknowledged write must be there. In write-through the run directory is deleted before the
 * next start: nothing may depend on it. power: the disk has a volatile cache that goes with the program
 * (power=tear), and the run directory goes with it in each mode: what was acknowledged under FUA, or before a
 * SYNCHRONIZE CACHE, must be there; in write-through that is everything. At the end SIGTERM, and the image itself
 * is compared.
 *
 * lie and forget prove that the test can fail: what the server relies on is not there, and blocks must be found lost
 * within N times. lie: as power, and the disk has not done the flushes that it answered. forget: as kill, and the run
 * directory is deleted in write-back, whose memory it is.
 *
 * The client has DEPTH writes under way, of any length and place, among them UNMAPs, FUA and flushes. Some servers
 * are killed before they are ready. Prints TAP, and counts as "name value". */
#include "berth/initiator.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "model.h"
#include "server.h"

enum {
	SIZE = 16 << 20,
	N_BLOCKS = SIZE / BLOCK,
	DEPTH = 24,
	LONGEST = 96,
	CHUNK = 1024,
	LIFE_US = 60000
};

enum what { WRITE, WRITE_FUA, UNMAP, FLUSH };

struct slot {
	struct run *run;
	enum what what;
	bool busy;
	uint32_t lba, n;
	uint64_t number, since;
	struct iovec iov;
	uint8_t bytes[LONGEST * BLOCK];
	uint8_t list[24];
};

struct run {
	struct server server;
	struct model model;
	struct berth_session *session;
	struct slot slots[DEPTH];
	uint64_t random;
	bool power, through, forget, lost_is_right, dead;
	unsigned n_kills, n_early, n_flushes, n_errors;
	uint8_t chunk[CHUNK * BLOCK];
};

static uint64_t random_below(struct run *r, uint64_t n)
{
	return model_random(&r->random) % n;
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* --- load --- */
static void begin_some(struct run *r);

static void on_done(void *ctx, const struct berth_result *res)
{
	struct slot *s = ctx;
	struct run *r = s->run;
	bool good = !res->error;

	s->busy = false;
	if (!good && !r->dead && res->error == -EREMOTEIO)
		die("the server refused a command: status 0x%02x, sense %x", res->status,
			berth_sense_key(res));
	if (s->what == FLUSH) {
		if (good)
			model_flushed(&r->model, s->since);
		r->n_flushes += good;
	} else {
		model_end(&r->model, s->lba, s->n, s->number, good, s->what == WRITE_FUA);
	}
	if (good && !r->dead)
		begin_some(r);
}

static void put_be(uint8_t *p, unsigned n, uint64_t v)
{
	while (n--) {
		p[n] = (uint8_t)v;
		v >>= 8;
	}
}

static int send_fua(struct run *r, struct slot *s)
{
	struct berth_command c = {.cdb = {0x8a, 0x08}, .lun = -1, .out = &s->iov, .n_out = 1};

	put_be(c.cdb + 2, 8, s->lba);
	put_be(c.cdb + 10, 4, s->n);
	return berth_command(r->session, &c, on_done, s);
}

static int send_it(struct run *r, struct slot *s)
{
	switch (s->what) {
	case WRITE:
		return berth_write(r->session, s->lba, s->n, &s->iov, 1, on_done, s);
	case WRITE_FUA:
		return send_fua(r, s);
	case UNMAP:
		return berth_unmap(r->session, s->lba, s->n, on_done, s);
	default:
		return berth_sync(r->session, on_done, s);
	}
}

/* Half of all writes go to one part in sixteen of the disk: the same pages again and again. */
static uint32_t pick_lba(struct run *r, uint32_t n)
{
	return (uint32_t)random_below(r, (random_below(r, 2) ? N_BLOCKS / 16 : N_BLOCKS) - n);
}

static bool begin_one(struct run *r, struct slot *s)
{
	uint64_t dice = random_below(r, 100);

	s->what = dice < 4 ? FLUSH : dice < 10 ? UNMAP : dice < 22 ? WRITE_FUA : WRITE;
	s->n = (uint32_t)(random_below(r, 4) ? 8 * (1 + random_below(r, 4))
					     : 1 + random_below(r, LONGEST));
	s->lba = pick_lba(r, s->n);
	if (s->n % 8 == 0)
		s->lba &= ~7u;
	s->since = r->model.now;
	if (s->what != FLUSH && !model_begin(&r->model, s->lba, s->n, s->what == UNMAP, &s->number))
		return false;
	if (s->what == WRITE || s->what == WRITE_FUA)
		model_fill(s->bytes, s->lba, s->n, s->number);
	s->iov = (struct iovec){s->bytes, s->n * BLOCK};
	s->busy = true;
	if (send_it(r, s) >= 0)
		return true;
	s->busy = false;
	if (s->what != FLUSH)
		model_end(&r->model, s->lba, s->n, s->number, false, false);
	return false;
}

static void begin_some(struct run *r)
{
	for (unsigned i = 0; i < DEPTH; i++)
		for (unsigned tries = 0; !r->slots[i].busy && tries < 8; tries++)
			begin_one(r, &r->slots[i]);
}

/* serve_until - false: the session is over. */
static bool serve_until(struct run *r, uint64_t end_us)
{
	while (now_us() < end_us) {
		struct pollfd p = {.fd = berth_fd(r->session), .events = POLLIN};
		uint64_t now = now_us();

		poll(&p, 1, now < end_us ? (int)((end_us - now) / 1000) : 0);
		if (berth_service(r->session))
			return false;
	}
	return true;
}

static void log_in(struct run *r)
{
	static const struct berth_command ready = {.lun = -1, .flags = BERTH_REPEATABLE};
	struct berth_options o = {.depth = DEPTH + 1};
	struct berth_url url;
	char err[200];

	if (berth_url_parse(&url, r->server.url, err, sizeof(err)) ||
		berth_open_wait(&r->session, &url, &o, err, sizeof(err)))
		die("%s: %s", r->server.url, err);
	if (berth_command_wait(r->session, &ready, NULL)) /* power on is told */
		die("%s: not ready", r->server.url);
}

/* What is under way when the server dies may be done or not. */
static void load_and_kill(struct run *r)
{
	r->dead = false;
	begin_some(r);
	berth_flush(r->session);
	if (!serve_until(r, now_us() + 500 + random_below(r, LIFE_US)))
		die("the server ended the session by itself");
	r->dead = true;
	server_kill(&r->server);
	r->n_kills++;
	while (!berth_service(r->session)) /* what it still said counts */
		poll(&(struct pollfd){.fd = berth_fd(r->session), .events = POLLIN}, 1, 10);
	berth_close(r->session);
	r->session = NULL;
	for (unsigned i = 0; i < DEPTH; i++)
		if (r->slots[i].busy)
			die("a request did not end with its session");
}

/* --- reading back --- */
static void read_back(struct run *r)
{
	for (uint32_t lba = 0; lba < N_BLOCKS; lba += CHUNK) {
		struct berth_result res;

		if (berth_read_wait(r->session, lba, CHUNK, r->chunk, sizeof(r->chunk), &res))
			die("start %u: a read at %u failed", r->server.n_starts, lba);
		model_check(&r->model, lba, CHUNK, r->chunk);
	}
	if (r->model.n_lost && !r->lost_is_right)
		die("start %u: %llu blocks lost: %s", r->server.n_starts,
			(unsigned long long)r->model.n_lost, r->model.why);
}

static void compare_image(struct run *r)
{
	int fd = open(r->server.image, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die("%s: %s", r->server.image, strerror(errno));
	for (uint32_t lba = 0; lba < N_BLOCKS; lba += CHUNK) {
		if (pread(fd, r->chunk, sizeof(r->chunk), (off_t)lba * BLOCK) != sizeof(r->chunk))
			die("the image is shorter than it was");
		model_check(&r->model, lba, CHUNK, r->chunk);
	}
	close(fd);
	if (r->model.n_lost)
		die("the image lacks %llu blocks: %s", (unsigned long long)r->model.n_lost,
			r->model.why);
}

/* A start that is cut short, now and then: it must not spoil what the next one finds. */
static void start_again(struct run *r)
{
	while (random_below(r, 4) == 0) {
		server_begin(&r->server);
		usleep((useconds_t)random_below(r, 20000));
		server_kill(&r->server);
		r->n_early++;
	}
	server_start(&r->server);
	log_in(r);
}

static void one_life(struct run *r)
{
	load_and_kill(r);
	if (r->power || r->through || r->forget)
		server_forget(&r->server);
	start_again(r);
	read_back(r);
}

static void print_counts(const struct run *r)
{
	printf("kills %u\n", r->n_kills + r->n_early);
	printf("kills_before_ready %u\n", r->n_early);
	printf("flushes_acknowledged %u\n", r->n_flushes);
	printf("blocks_acknowledged %llu\n", (unsigned long long)r->model.n_acked);
	printf("blocks_checked %llu\n", (unsigned long long)r->model.n_checked);
	printf("blocks_lost %llu\n", (unsigned long long)r->model.n_lost);
}

/* The last life ends in order, and the image must then have all that was acknowledged. */
static void last_life(struct run *r)
{
	r->dead = false;
	begin_some(r);
	berth_flush(r->session);
	serve_until(r, now_us() + LIFE_US);
	r->dead = true;
	while (!serve_until(r, now_us() + 1000))
		die("the server ended the session by itself");
	for (unsigned i = 0; i < DEPTH; i++)
		while (r->slots[i].busy)
			if (!serve_until(r, now_us() + 1000))
				die("the server ended the session by itself");
	berth_close(r->session);
	r->session = NULL;
	server_stop(&r->server);
	model_flushed(&r->model, UINT64_MAX); /* an orderly end has flushed */
	compare_image(r);
}

/* Nothing is lost by a server that keeps its word over a disk that does. */
static void lose_nothing(struct run *r, const char *mode, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		one_life(r);
	last_life(r);
	print_counts(r);
	if (!r->model.n_acked)
		die("nothing was acknowledged: nothing was tested");
	printf("ok 1 - %s, %u times %s: nothing acknowledged was lost\n", mode, n,
		r->power ? "without power" : "killed");
}

static void lose_something(struct run *r, const char *mode, const char *how, unsigned n)
{
	unsigned i;

	for (i = 0; i < n && !r->model.n_lost; i++)
		one_life(r);
	print_counts(r);
	if (!r->model.n_lost)
		die("%s: what should have been lost was not, or was not missed", how);
	printf("ok 1 - %s, %s: blocks were lost the %u. time, as they had to be: %s\n", mode, how,
		i, r->model.why);
}

int main(int argc, char **argv)
{
	static struct run r;
	const char *mode = argc > 1 ? argv[1] : "", *how = argc > 2 ? argv[2] : "",
		   *seed = getenv("KILL_SEED");
	unsigned n = argc > 3 ? (unsigned)atoi(argv[3]) : 14;
	bool lie = !strcmp(how, "lie");

	r.power = lie || !strcmp(how, "power");
	r.forget = !strcmp(how, "forget");
	r.lost_is_right = lie || r.forget;
	r.through = !strcmp(mode, "write-through");
	r.random = seed ? strtoull(seed, NULL, 0) : now_us();
	printf("1..1\n# KILL_SEED=%llu\n", (unsigned long long)r.random);
	signal(SIGPIPE, SIG_IGN);
	model_init(&r.model, N_BLOCKS, r.power && !r.through);
	for (unsigned i = 0; i < DEPTH; i++)
		r.slots[i].run = &r;
	snprintf(r.server.options, sizeof(r.server.options), ",mode=%s%s", mode,
		lie       ? ",power=tear:flush=ignored"
		: r.power ? ",power=tear"
			  : "");
	server_prepare(&r.server, SIZE);
	server_start(&r.server);
	log_in(&r);
	if (r.lost_is_right)
		lose_something(&r, mode, how, n);
	else
		lose_nothing(&r, mode, n);
	server_remove(&r.server);
	model_deinit(&r.model);
	return 0;
}
