/* lost.c - somebody does away with the image while it is served: cuts it off, removes it, replaces it. The unit fails,
 * in words; nothing is hidden behind zeros, nothing is made longer again, what is in memory stays, and the server
 * lives. Each case with a disk that is written through, and with one that is written back. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include "fault.h"

enum { SIZE = 32 << 20, END = SIZE / BLOCK - N, FAR = (8 << 20) / BLOCK };

static bool writes_back(const struct daemon *d)
{
	return d->arg != NULL;
}

static void expect_failed_unit(const struct peer_status *st)
{
	expect_error(st, 4, 0x3e, 1);
}

static struct peer_status try_write(struct peer *p, uint64_t lba, unsigned seed)
{
	uint8_t *buf = scene_alloc(LEN);

	pattern(buf, LEN, seed, 0);
	return peer_rw(p, true, lba, N, buf);
}

static struct peer_status try_read(struct peer *p, uint64_t lba)
{
	return peer_rw(p, false, lba, N, scene_alloc(LEN));
}

static void expect_content(struct peer *p, uint64_t lba, unsigned seed)
{
	uint8_t *buf = scene_alloc(LEN);

	peer_read(p, lba, N, buf);
	pattern_expect(buf, LEN, seed, 0);
}

/* It has not done all that it was asked, and its exit code says so. */
static void stop(struct daemon *d, struct peer *p)
{
	peer_close(p);
	daemon_stop_with(d, 1);
}

static off_t size_of(const struct daemon *d)
{
	struct stat st;

	EXPECT(stat(d->file, &st) == 0, "%s: %s", d->file, strerror(errno));
	return st.st_size;
}

/* Something at both ends, and it is on the disk. */
static struct peer *filled(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL);

	EXPECT_EQ(try_write(p, 0, 1).status, 0);
	EXPECT_EQ(try_write(p, END, 2).status, 0);
	EXPECT_EQ(sync_cache(p).status, 0);
	return p;
}

static void cut(const struct daemon *d, off_t size)
{
	EXPECT(truncate(d->file, size) == 0, "%s: %s", d->file, strerror(errno));
}

/* A read finds out; from then on nothing is promised. */
static void a_read_behind_the_end(struct daemon *d)
{
	struct peer *p = filled(d);
	struct peer_status st;

	cut(d, SIZE / 8);
	st = try_read(p, FAR);
	expect_failed_unit(&st);
	st = try_write(p, FAR, 3);
	expect_failed_unit(&st);
	st = try_write(p, 4096, 3); /* before the end too: it is not the disk that it was */
	expect_failed_unit(&st);
	st = sync_cache(p);
	expect_failed_unit(&st);
	st = try_read(p, 4096);
	expect_failed_unit(&st);
	expect_content(p, 0, 1); /* what is in memory */
	expect_content(p, END, 2);
	EXPECT_EQ(size_of(d), SIZE / 8);
	EXPECT(daemon_says(d, "somebody has cut it off"), "it does not say so");
	stop(d, p);
}

/* The write itself must not make the file long again, with a hole where data were. */
static void a_write_behind_the_end(struct daemon *d)
{
	struct peer *p = filled(d);
	struct peer_status st;

	cut(d, 0);
	st = try_write(p, END, 3);
	if (writes_back(d)) { /* it was not known yet; the flush finds out, and the next write */
		EXPECT_EQ(st.status, 0);
		st = sync_cache(p);
		expect_failed_unit(&st);
	} else {
		expect_failed_unit(&st);
	}
	EXPECT_EQ(size_of(d), 0);
	st = try_write(p, 0, 3);
	expect_failed_unit(&st);
	EXPECT_EQ(st.deferred, writes_back(d)); /* one that was acknowledged is in memory only */
	st = try_write(p, 0, 3);
	expect_failed_unit(&st);
	st = sync_cache(p);
	expect_failed_unit(&st);
	if (writes_back(d))
		expect_content(p, END, 3);
	stop(d, p);
	if (writes_back(d)) {
		EXPECT(daemon_says(d, "64K of acknowledged data are not on their disks"),
			"it does not say what is left");
	}
}

/* A flush with nothing to flush still promises what is not there any more. */
static void a_flush_after_the_end(struct daemon *d)
{
	struct peer *p = filled(d);
	struct peer_status st;

	cut(d, SIZE - 4096);
	st = sync_cache(p);
	expect_failed_unit(&st);
	stop(d, p);
}

/* Cut off and made as long as before: it looks the same, and is empty. Only who looks in between can know. */
static void cut_and_made_long_again(struct daemon *d)
{
	struct peer *p = filled(d);
	struct peer_status st;

	cut(d, 0);
	st = sync_cache(p);
	expect_failed_unit(&st);
	cut(d, SIZE);
	st = try_read(p, FAR);
	expect_failed_unit(&st);
	st = try_write(p, FAR, 3);
	expect_failed_unit(&st);
	stop(d, p);
}

/* It goes on while there is a descriptor, but nothing can be durable in a file that nobody will find again. */
static void without_a_name(struct daemon *d)
{
	struct peer *p = filled(d);
	struct peer_status st;

	EXPECT(unlink(d->file) == 0, "%s: %s", d->file, strerror(errno));
	st = try_write(p, FAR, 3);
	if (writes_back(d)) {
		EXPECT_EQ(st.status, 0);
		st = sync_cache(p);
	}
	expect_failed_unit(&st);
	st = try_write(p, 0, 3);
	expect_failed_unit(&st);
	EXPECT_EQ(try_read(p, FAR + N).status, 0);
	expect_content(p, 0, 1);
	expect_content(p, END, 2);
	EXPECT(daemon_says(d, "somebody has removed it"), "it does not say so");
	if (writes_back(d))
		expect_content(p, FAR, 3);
	stop(d, p);
}

static void replaced(struct daemon *d)
{
	struct peer *p = filled(d);
	struct peer_status st;
	char command[500];

	snprintf(command, sizeof(command), "cp '%s' '%s.new' && mv '%s.new' '%s'", d->file, d->file,
		d->file, d->file);
	EXPECT(system(command) == 0, "%s", command);
	st = sync_cache(p);
	expect_failed_unit(&st);
	st = try_write(p, 0, 3);
	expect_failed_unit(&st);
	expect_content(p, 0, 1);
	stop(d, p);
}

/* With many on their way: whatever is read afterwards is what was acknowledged, or an error. */
static void under_load(struct daemon *d)
{
	enum { SLOTS = 16, STEP = SIZE / BLOCK / SLOTS, ROUNDS = 2000 };
	struct peer *p = daemon_peer(d, NULL);
	struct peer_task t[SLOTS];
	unsigned acked[SLOTS] = {0}, sent[SLOTS], n_failed = 0, n_read = 0;
	uint8_t *buf = scene_alloc(SLOTS * LEN), *now = scene_alloc(LEN);

	for (unsigned round = 1; round <= ROUNDS && n_failed < 4 * SLOTS; round++) {
		for (unsigned i = 0; i < SLOTS; i++) {
			sent[i] = round * SLOTS + i;
			pattern(buf + i * LEN, LEN, sent[i], 0);
			peer_task_rw(&t[i], true, i * STEP, N, buf + i * LEN);
			peer_start(p, &t[i]);
		}
		if (round == 20)
			cut(d, SIZE / 2);
		peer_wait_all(p);
		for (unsigned i = 0; i < SLOTS; i++) {
			n_failed += t[i].st.status != 0;
			if (t[i].st.status)
				expect_failed_unit(&t[i].st);
			else
				acked[i] = sent[i];
		}
	}
	EXPECT(n_failed, "no write has failed");
	for (unsigned i = 0; i < SLOTS; i++) {
		struct peer_status st = peer_rw(p, false, i * STEP, N, now);

		if (st.status)
			expect_failed_unit(&st);
		else
			pattern_expect(now, LEN, acked[i], 0);
		n_read += !st.status;
	}
	EXPECT(!writes_back(d) || n_read == SLOTS, "%u of %u are in memory", n_read, SLOTS);
	stop(d, p);
}

/* --- a full file system under a thin image --- */
static void little_is_left(struct daemon *d)
{
	enum { MIB = 1 << 20, SMALL = 24 };
	char dir[100], image[140], options[80];
	const char *args[] = {image, NULL};
	struct peer_status st = {0};
	struct daemon a;
	struct peer *p, *q;
	uint8_t *buf = scene_alloc(MIB), *now = scene_alloc(MIB);
	unsigned n = 0, n_attentions = 0;

	snprintf(dir, sizeof(dir), "%s/small", d->dir);
	snprintf(image, sizeof(image), "%s/thin.img,size=64M,mode=%s", dir,
		writes_back(d) ? "write-back" : "write-through");
	snprintf(options, sizeof(options), "size=%uM", SMALL);
	EXPECT(mkdir(dir, 0700) == 0, "%s: %s", dir, strerror(errno));
	if (mount("none", dir, "tmpfs", 0, options)) {
		scene_note("a small file system cannot be mounted here: nothing was tested");
		rmdir(dir);
		return;
	}
	daemon_start(&a, args, &(struct daemon_disk){.ram = "8M"});
	p = daemon_connect(&a);
	p->lun = 1ull << 48;
	q = daemon_connect(&a);
	q->lun = p->lun;
	for (unsigned i = 0; i < 2; i++) {
		struct peer_params want = peer_params_default();

		peer_login(i ? q : p, &want);
		peer_settle(i ? q : p);
	}
	/* The mark is at 64/32 MiB. */
	while (st.status == 0 || n_attentions == 0) {
		EXPECT(n < SMALL + 8, "the end of the file system is nowhere");
		pattern(buf, MIB, n, 0);
		st = peer_rw(p, true, n * (MIB / BLOCK), MIB / BLOCK, buf);
		if (st.status == 0 && writes_back(d))
			st = sync_cache(p);
		scene_sleep(150); /* it is looked at ten times a second */
		if (st.status && st.key == 6) {
			expect_error(&st, 6, 0x38, 7);
			EXPECT(n >= SMALL - 3 && n <= SMALL, "told after %u MiB", n);
			n_attentions++;
			st.status = 0;
			continue; /* again */
		}
		n += st.status == 0;
	}
	expect_error(&st, 7, 0x27, 7);
	EXPECT_EQ(n_attentions, 1);
	st = plain(q, 0); /* the other is told too, once */
	expect_error(&st, 6, 0x38, 7);
	EXPECT_EQ(plain(q, 0).status, 0);
	for (unsigned i = 0; i < n; i++) {
		peer_read(q, i * (MIB / BLOCK), MIB / BLOCK, now);
		pattern_expect(now, MIB, i, 0);
	}
	peer_close(p);
	peer_close(q);
	daemon_stop_with(&a, writes_back(d));
	daemon_remove(&a, false);
	umount2(dir, MNT_DETACH);
	rmdir(dir);
}

#define THROUGH(fn)                                                                                \
	{                                                                                          \
		.name = #fn "_through", .run = fn, .file = SIZE, .options = ",mode=write-through", \
		.ours = true                                                                       \
	}
#define BACK(fn)                                                                                   \
	{                                                                                          \
		.name = #fn "_back", .run = fn, .file = SIZE, .options = ",mode=write-back",       \
		.arg = "back", .ours = true                                                        \
	}

static const struct scene_case cases[] = {
	THROUGH(a_read_behind_the_end),
	BACK(a_read_behind_the_end),
	THROUGH(a_write_behind_the_end),
	BACK(a_write_behind_the_end),
	THROUGH(a_flush_after_the_end),
	BACK(a_flush_after_the_end),
	THROUGH(cut_and_made_long_again),
	BACK(cut_and_made_long_again),
	THROUGH(without_a_name),
	BACK(without_a_name),
	THROUGH(replaced),
	BACK(replaced),
	THROUGH(under_load),
	BACK(under_load),
	THROUGH(little_is_left),
	BACK(little_is_left),
};
SCENES(cases)
