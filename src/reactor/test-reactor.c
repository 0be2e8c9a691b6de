/* test-reactor.c - reactors on threads of their own, both engines: posts between them, sleep, stop,
 * the choice of the engine, and what happens when descriptors or locked memory run out. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "counter.h"
#include "reactor.h"

#define LOAD(p)     __atomic_load_n((p), __ATOMIC_SEQ_CST)
#define STORE(p, v) __atomic_store_n((p), (v), __ATOMIC_SEQ_CST)
/* WAIT - until another thread makes it true; fails the test after ten seconds. */
#define WAIT(cond)                                                                                 \
	do {                                                                                       \
		for (int n_ = 0; !(cond); n_++) {                                                  \
			assert_true(n_ < 20000);                                                   \
			usleep(500);                                                               \
		}                                                                                  \
	} while (0)

static enum engine the_engine;

static bool have_engine(enum engine engine)
{
	struct reactor *r;

	if (reactor_new(&r, 0, &(struct reactor_params){.engine = engine}, NULL) < 0)
		return false;
	reactor_free(r);
	return true;
}

static struct reactor *make(unsigned index, unsigned spin_us)
{
	struct reactor_params p = {.engine = the_engine, .spin_us = spin_us};
	struct reactor *r;

	if (!have_engine(the_engine))
		skip();
	assert_int_equal(reactor_new(&r, index, &p, NULL), 0);
	return r;
}

static struct reactor *start(unsigned index, unsigned spin_us)
{
	struct reactor *r = make(index, spin_us);

	assert_int_equal(reactor_start(r), 0);
	return r;
}

static void finish(struct reactor *r)
{
	reactor_stop(r);
	reactor_join(r);
	reactor_free(r);
}

/* Of two that post to each other: both must be still before either is freed. */
static void finish_both(struct reactor *const r[2])
{
	for (int i = 0; i < 2; i++)
		reactor_stop(r[i]);
	for (int i = 0; i < 2; i++)
		reactor_join(r[i]);
	for (int i = 0; i < 2; i++)
		reactor_free(r[i]);
}

static uint64_t cpu_us(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 +
	       (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

/* A call on a reactor's thread, waited for. */
struct call {
	struct io_work work;
	void (*fn)(struct io *, void *);
	struct io *io;
	void *arg;
	int done;
};

static void call_run(struct io_work *w)
{
	struct call *c = container_of(w, struct call, work);

	c->fn(c->io, c->arg);
	STORE(&c->done, 1);
}

static void call(struct reactor *r, void (*fn)(struct io *, void *), void *arg)
{
	struct call c = {.work.fn = call_run, .fn = fn, .io = reactor_io(r), .arg = arg};

	io_post(c.io, &c.work);
	WAIT(LOAD(&c.done));
}

/* --- posts --- */

enum { SENDERS = 4, POSTS = 20000 };

struct letter {
	struct io_work work;
	unsigned sender, number;
};

static struct {
	struct reactor *to[2];
	unsigned next[2][SENDERS]; /* touched by the reactor's thread alone */
	unsigned n_read, n_wrong;
	struct letter letter[SENDERS][POSTS];
} mail;

static void letter_read(struct io_work *w)
{
	struct letter *l = container_of(w, struct letter, work);
	unsigned *next = &mail.next[l->number % 2][l->sender];

	if (*next != l->number / 2)
		__atomic_add_fetch(&mail.n_wrong, 1, __ATOMIC_RELAXED);
	++*next;
	__atomic_add_fetch(&mail.n_read, 1, __ATOMIC_SEQ_CST);
}

static void *sender_main(void *arg)
{
	unsigned sender = (unsigned)(uintptr_t)arg;

	for (unsigned i = 0; i < POSTS; i++) {
		struct letter *l = &mail.letter[sender][i];

		*l = (struct letter){.work.fn = letter_read, .sender = sender, .number = i};
		io_post(reactor_io(mail.to[i % 2]), &l->work);
		if (i % 1000 == 0)
			usleep(100); /* let them fall asleep */
	}
	return NULL;
}

static void posts_from_many_threads(void **state)
{
	pthread_t t[SENDERS];

	memset(&mail, 0, sizeof(mail));
	for (unsigned i = 0; i < 2; i++)
		mail.to[i] = start(i, i * 20);
	for (uintptr_t i = 0; i < SENDERS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, sender_main, (void *)i), 0);
	for (unsigned i = 0; i < SENDERS; i++)
		pthread_join(t[i], NULL);
	WAIT(LOAD(&mail.n_read) == SENDERS * POSTS);
	assert_int_equal(LOAD(&mail.n_wrong), 0);
	finish_both(mail.to);
}

/* Two reactors throw one piece of work to and fro: a lost wake-up would end the game. */
static struct {
	struct io_work work;
	struct reactor *r[2];
	unsigned n_left;
} ball;

static void ball_hit(struct io_work *w)
{
	unsigned left = LOAD(&ball.n_left);

	STORE(&ball.n_left, left - 1);
	if (left > 1)
		io_post(reactor_io(ball.r[left % 2]), w);
}

static void no_wake_up_is_lost(void **state)
{
	ball.work.fn = ball_hit;
	ball.r[0] = start(0, 0);
	ball.r[1] = start(1, 0);
	STORE(&ball.n_left, 20000);
	io_post(reactor_io(ball.r[0]), &ball.work);
	WAIT(LOAD(&ball.n_left) == 0);
	finish_both(ball.r);
}

/* --- a socket that goes from one running reactor to the other with each message --- */

struct wanderer {
	struct io_sock sock;
	struct io_work work;
	struct reactor *r[2];
	unsigned at;
	int handle;
	unsigned n_moves, n_closed;
};

struct door {
	struct io_sock listener;
	struct io_addr addr;
	struct wanderer *guest;
	unsigned n_ready, n_accepted;
	int kept[64];
};

static void wanderer_arrive(struct io_work *w)
{
	struct wanderer *x = container_of(w, struct wanderer, work);
	struct io *io = reactor_io(x->r[x->at]);

	if (io_attach(io, &x->sock, x->handle) == 0)
		io_want(io, &x->sock, IO_IN);
}

static void wanderer_ready(struct io_sock *s, unsigned ready)
{
	struct wanderer *x = container_of(s, struct wanderer, sock);
	struct io *io = reactor_io(x->r[x->at]);
	char byte;
	struct iovec v = {&byte, 1};

	if (io_recv(io, s, &v, 1) <= 0 || io_send(io, s, &v, 1) != 1) {
		io_close(io, s);
		STORE(&x->n_closed, 1);
		return;
	}
	x->handle = io_detach(io, s);
	x->at = !x->at;
	x->n_moves++;
	io_post(reactor_io(x->r[x->at]), &x->work);
}

static void door_ready(struct io_sock *s, unsigned ready)
{
	struct door *d = container_of(s, struct door, listener);
	struct wanderer *x = d->guest;
	struct io_addr peer;

	x->handle = io_accept(reactor_io(x->r[0]), s, &peer);
	if (x->handle >= 0)
		wanderer_arrive(&x->work);
}

static void door_open(struct io *io, void *arg)
{
	struct door *d = arg;

	io_addr_parse(&d->addr, "127.0.0.1:0", 11);
	if (io_listen(io, &d->listener, &d->addr) == 0)
		io_want(io, &d->listener, IO_IN);
}

static void door_close(struct io *io, void *arg)
{
	struct door *d = arg;

	io_close(io, &d->listener);
}

static int knock(const struct door *d)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, &d->addr.sa, d->addr.len), 0);
	return fd;
}

static void socket_moves_between_threads(void **state)
{
	struct wanderer x = {
		.sock = {.handle = -1, .on_ready = wanderer_ready},
		.work.fn = wanderer_arrive,
		.r = {start(0, 0), start(1, 50)},
	};
	struct door d = {.listener = {.handle = -1, .on_ready = door_ready}, .guest = &x};
	char in;
	int fd;

	call(x.r[0], door_open, &d);
	fd = knock(&d);
	for (char c = 0; c < 100; c++) {
		assert_int_equal(send(fd, &c, 1, 0), 1);
		assert_int_equal(recv(fd, &in, 1, 0), 1);
		assert_int_equal(in, c);
	}
	close(fd);
	WAIT(LOAD(&x.n_closed));
	call(x.r[0], door_close, &d);
	finish_both(x.r);
	assert_int_equal(x.n_moves, 100);
}

/* --- sleep and stop --- */

static void never_ready(struct io_sock *s, unsigned ready)
{
	struct door *d = container_of(s, struct door, listener);

	STORE(&d->n_ready, d->n_ready + 1);
}

static void attach_unwanted(struct io *io, void *arg)
{
	struct door *d = arg;
	struct io_addr peer;

	d->kept[0] = io_accept(io, &d->listener, &peer);
	if (d->kept[0] >= 0 && io_attach(io, &d->guest->sock, d->kept[0]) == 0)
		d->n_accepted = 1;
}

static void detach_unwanted(struct io *io, void *arg)
{
	struct door *d = arg;

	io_close(io, &d->guest->sock);
	io_close(io, &d->listener);
}

static void door_open_unwanted(struct io *io, void *arg)
{
	door_open(io, arg);
	io_want(io, &((struct door *)arg)->listener, 0);
}

static void idle_costs_nothing(void **state)
{
	struct wanderer x = {.sock = {.handle = -1, .on_ready = wanderer_ready}};
	struct door d = {.listener = {.handle = -1, .on_ready = never_ready}, .guest = &x};
	struct linger hard = {.l_onoff = 1};
	struct reactor *r = start(0, 50);
	uint64_t before;
	int fd;

	/* With a reset socket of which nothing is wanted, and a waiting connection likewise. */
	call(r, door_open_unwanted, &d);
	fd = knock(&d);
	call(r, attach_unwanted, &d);
	assert_int_equal(d.n_accepted, 1);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(fd);
	fd = knock(&d);
	usleep(20000);
	before = cpu_us();
	usleep(300 * 1000);
	assert_true(cpu_us() - before < 5000);
	assert_int_equal(LOAD(&d.n_ready), 0);
	close(fd);
	call(r, detach_unwanted, &d);
	finish(r);
}

static struct reactor *signalled;

static void on_alarm(int number)
{
	reactor_stop(signalled);
}

static void stopped_by_a_signal_handler(void **state)
{
	struct sigaction action = {.sa_handler = on_alarm}, before;
	struct itimerval soon = {.it_value.tv_usec = 30000};

	signalled = make(0, 0);
	sigaction(SIGALRM, &action, &before);
	setitimer(ITIMER_REAL, &soon, NULL);
	reactor_run(signalled);
	sigaction(SIGALRM, &before, NULL);
	reactor_free(signalled);
}

static void stopped_before_it_ran(void **state)
{
	struct reactor *r = make(0, 0);

	reactor_stop(r);
	reactor_run(r);
	reactor_free(r);
}

struct self {
	char name[16];
	sigset_t blocked;
	struct counters *counters;
};

static void look_at_self(struct io *io, void *arg)
{
	struct self *self = arg;

	pthread_getname_np(pthread_self(), self->name, sizeof(self->name));
	pthread_sigmask(SIG_SETMASK, NULL, &self->blocked);
	self->counters = counters;
}

static void thread_is_set_up(void **state)
{
	struct reactor *r = start(3, 0);
	struct self self;

	call(r, look_at_self, &self);
	assert_string_equal(self.name, "berth-3");
	assert_true(sigismember(&self.blocked, SIGTERM) && sigismember(&self.blocked, SIGUSR1));
	assert_false(sigismember(&self.blocked, SIGSEGV));
	assert_ptr_equal(self.counters, reactor_counters(r));
	finish(r);
}

/* --- naps --- */

static void ease(struct io *io, void *arg)
{
	io_ease(io, *(uint64_t *)arg);
}

static void hurry(struct io *io, void *arg)
{
	io_hurry(io);
}

static uint64_t naps_of(struct reactor *r)
{
	return LOAD(&reactor_counters(r)->v[CTR_NAPS]);
}

/* Whom it has served can do without it: it looks away, hears posts all the same, and stops when told. */
static void naps_when_nobody_waits(void **state)
{
	struct reactor *r = start(0, 50);
	uint64_t none = 0, some = 100 * 1000, long_ns = 1000 * 1000;

	call(r, ease, &none);
	assert_int_equal(naps_of(r), 0);
	usleep(2000);
	for (int i = 0; i < 3; i++)
		call(r, ease, &some);
	WAIT(naps_of(r) == 3);
	for (int i = 0; i < 100; i++)
		call(r, ease, &long_ns);
	WAIT(naps_of(r) == 103);
	finish(r);
}

static void naps_not_while_somebody_is_in_a_hurry(void **state)
{
	struct reactor *r = start(0, 50);
	struct io *io = reactor_io(r);
	uint64_t some = 100 * 1000;

	for (int i = 0; i < 50; i++) {
		struct call c = {.work.fn = call_run, .fn = hurry, .io = io};
		struct call d = {.work.fn = call_run, .fn = ease, .io = io, .arg = &some};

		io_post(io, &c.work);
		io_post(io, &d.work);
		WAIT(LOAD(&c.done) && LOAD(&d.done));
	}
	/* A pause of this thread between the two posts may let one through. */
	assert_in_range(naps_of(r), 0, 10);
	finish(r);
}

/* --- descriptors run out --- */

static void keep_all(struct io_sock *s, unsigned ready)
{
	struct door *d = container_of(s, struct door, listener);
	struct io_addr peer;
	int fd;

	STORE(&d->n_ready, d->n_ready + 1);
	while ((fd = io_accept(reactor_io(d->guest->r[0]), s, &peer)) >= 0) {
		d->kept[d->n_accepted] = fd;
		STORE(&d->n_accepted, d->n_accepted + 1);
	}
}

/* limit_holds - the kernel knows of this limit. Valgrind keeps it to itself: it lets the kernel accept a
 * connection and then closes it, so that nobody is left to be accepted later. */
static bool limit_holds(FILE *limits, rlim_t want)
{
	unsigned long soft = 0;
	char line[128];

	rewind(limits);
	while (fgets(line, sizeof(line), limits) && sscanf(line, "Max open files %lu", &soft) != 1)
		;
	return soft == want;
}

static void listener_rests_without_descriptors(void **state)
{
	FILE *limits = fopen("/proc/self/limits", "re");
	struct wanderer x = {.r = {start(0, 0)}};
	struct door d = {.listener = {.handle = -1, .on_ready = keep_all}, .guest = &x};
	struct rlimit before, few;
	int fd[3];

	call(x.r[0], door_open, &d);
	for (int i = 0; i < 3; i++)
		fd[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	getrlimit(RLIMIT_NOFILE, &before);
	few = (struct rlimit){(rlim_t)fd[2] + 1, before.rlim_max};
	setrlimit(RLIMIT_NOFILE, &few);
	if (!limit_holds(limits, few.rlim_cur))
		goto out;
	for (int i = 0; i < 3; i++)
		assert_int_equal(connect(fd[i], &d.addr.sa, d.addr.len), 0);
	WAIT(LOAD(&d.n_ready));
	usleep(250 * 1000);
	assert_int_equal(LOAD(&d.n_accepted), 0);
	assert_in_range(LOAD(&d.n_ready), 1, 8);
	setrlimit(RLIMIT_NOFILE, &before);
	WAIT(LOAD(&d.n_accepted) == 3);
out:
	setrlimit(RLIMIT_NOFILE, &before);
	call(x.r[0], door_close, &d);
	finish(x.r[0]);
	fclose(limits);
	for (unsigned i = 0; i < d.n_accepted; i++)
		close(d.kept[i]);
	for (int i = 0; i < 3; i++)
		close(fd[i]);
}

/* --- lent memory --- */

enum { LENT = 20 << 20, AREA = 4 << 20 };

struct transfer {
	struct io_disk d;
	struct iovec iov;
	int fd;
	void *base;
	int lent, done;
	int64_t res;
};

static void transfer_done(struct io_disk *d, int64_t res)
{
	struct transfer *t = container_of(d, struct transfer, d);

	t->res = res;
	STORE(&t->done, 1);
}

static void lend(struct io *io, void *arg)
{
	struct transfer *t = arg;

	t->lent = io_lend_memory(io, t->base, LENT);
}

static void transfer_start(struct io *io, void *arg)
{
	struct transfer *t = arg;

	t->done = 0;
	t->d.fd = t->fd;
	t->d.iov = &t->iov;
	t->d.n_iov = 1;
	t->d.done = transfer_done;
	io_disk(io, &t->d);
}

/* Writes the whole memory to a file in pieces that lie in a chunk, in two, and reads it back. */
static int64_t lend_and_move(struct reactor *r)
{
	struct transfer t = {.fd = fileno(tmpfile())};
	char *base =
		mmap(NULL, 2 * LENT, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	t.base = base;
	for (size_t i = 0; i < LENT; i++)
		base[i] = (char)(i / 4096 * 7 + i);
	fcntl(t.fd, F_SETFL, O_DIRECT);
	call(r, lend, &t);
	for (size_t at = 0; at < LENT; at += AREA) {
		t.iov = (struct iovec){base + at, AREA};
		t.d.kind = IO_WRITE;
		t.d.flags = at ? IO_DURABLE : 0;
		t.d.off = at;
		call(r, transfer_start, &t);
		WAIT(LOAD(&t.done));
		if (t.res != AREA)
			return t.res;
	}
	t.iov = (struct iovec){base + LENT, LENT}; /* not lent */
	t.d.kind = IO_READ;
	t.d.flags = 0;
	t.d.off = 0;
	call(r, transfer_start, &t);
	WAIT(LOAD(&t.done));
	if (t.res != LENT || memcmp(base, base + LENT, LENT))
		return -EILSEQ;
	memset(base, 0, LENT);
	for (size_t at = AREA / 2; at < LENT - AREA; at += AREA) { /* one of them crosses a chunk */
		t.iov = (struct iovec){base + at, AREA};
		t.d.off = at;
		call(r, transfer_start, &t);
		WAIT(LOAD(&t.done));
		if (t.res != AREA || memcmp(base + at, base + LENT + at, AREA))
			return -EILSEQ;
	}
	munmap(base, 2 * LENT);
	close(t.fd);
	return t.lent;
}

static void lent_memory(void **state)
{
	struct reactor *r = start(0, 0);

	assert_int_equal(lend_and_move(r), the_engine == ENGINE_URING ? 0 : -EOPNOTSUPP);
	finish(r);
}

/* Runs fn in a child; its answer is the exit code. */
static int in_child(int (*fn)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(fn());
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int move_without_locked_memory(void)
{
	struct rlimit little = {65536, 65536};
	struct reactor *r;
	int64_t rc;

	setrlimit(RLIMIT_MEMLOCK, &little);
	if (setgroups(0, NULL) < 0 || setresgid(65534, 65534, 65534) < 0 ||
		setresuid(65534, 65534, 65534) < 0)
		return 77;
	if (reactor_new(&r, 0, &(struct reactor_params){.engine = the_engine}, NULL) < 0)
		return 77;
	reactor_start(r);
	rc = lend_and_move(r);
	finish(r);
	return rc == 0 ? 0 : 1;
}

static void little_memory_may_be_locked(void **state)
{
	int rc = in_child(move_without_locked_memory);

	if (rc == 77)
		skip(); /* not root, or no io_uring for nobody */
	assert_int_equal(rc, 0);
}

/* --- the choice of the engine --- */

static int forbid(unsigned number, unsigned answer)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | answer),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = 4, .filter = filter};

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static struct {
	unsigned number, answer;
	const char *reason;
} ban;

/* 0: fell back with the reason, served a request, and io_uring by force is refused. */
static int choose_under_ban(void)
{
	struct transfer t = {.fd = -1};
	struct reactor *r;
	const char *why;

	if (forbid(ban.number, ban.answer) < 0)
		return 77;
	if (reactor_new(&r, 0, &(struct reactor_params){.engine = ENGINE_URING}, &why) >= 0)
		return 1;
	if (reactor_new(&r, 0, &(struct reactor_params){.engine = ENGINE_AUTO}, &why) < 0)
		return 2;
	if (!why || !strstr(why, ban.reason) || strcmp(reactor_io(r)->ops->name, "epoll"))
		return 3;
	reactor_start(r);
	t.d.kind = IO_FLUSH;
	call(r, transfer_start, &t);
	WAIT(LOAD(&t.done));
	finish(r);
	return t.res == -EBADF ? 0 : 4;
}

static void falls_back_to_epoll(void **state)
{
	static const unsigned calls[] = {
		__NR_io_uring_setup, __NR_io_uring_enter, __NR_io_uring_register};
	static const unsigned answers[] = {EPERM, ENOSYS};

	for (unsigned i = 0; i < 6; i++) {
		int rc;

		ban.number = calls[i / 2];
		ban.answer = answers[i % 2];
		ban.reason = i / 2 == 0 ? "io_uring_setup" : "io_uring";
		rc = in_child(choose_under_ban);
		if (rc == 77)
			skip();
		assert_int_equal(rc, 0);
	}
}

static void chooses_io_uring_where_it_can(void **state)
{
	struct reactor *r;
	const char *why = "unset";

	if (!have_engine(ENGINE_URING))
		skip();
	assert_int_equal(
		reactor_new(&r, 0, &(struct reactor_params){.engine = ENGINE_AUTO}, &why), 0);
	assert_null(why);
	assert_string_equal(reactor_io(r)->ops->name, "uring");
	reactor_free(r);
}

static int with_epoll(void **state)
{
	the_engine = ENGINE_EPOLL;
	return 0;
}

static int with_uring(void **state)
{
	the_engine = ENGINE_URING;
	return 0;
}

/* clang-format off */
#define BOTH(fn)                                                                                   \
	{"epoll: " #fn, fn, with_epoll, NULL, NULL}, {"uring: " #fn, fn, with_uring, NULL, NULL}
/* clang-format on */

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(posts_from_many_threads),
		BOTH(no_wake_up_is_lost),
		BOTH(socket_moves_between_threads),
		BOTH(idle_costs_nothing),
		BOTH(stopped_by_a_signal_handler),
		BOTH(stopped_before_it_ran),
		BOTH(thread_is_set_up),
		BOTH(naps_when_nobody_waits),
		BOTH(naps_not_while_somebody_is_in_a_hurry),
		BOTH(listener_rests_without_descriptors),
		BOTH(lent_memory),
		{"uring: little_memory_may_be_locked", little_memory_may_be_locked, with_uring,
			NULL, NULL},
		cmocka_unit_test(falls_back_to_epoll),
		cmocka_unit_test(chooses_io_uring_where_it_can),
	};

	return cmocka_run_group_tests_name("reactor", tests, NULL, NULL);
}
