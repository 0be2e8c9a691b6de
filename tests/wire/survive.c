/* survive.c - what must be there again after a kill: registrations and reservations with APTPL (SPC-4 5.12.5),
 * and only those. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "scene.h"

enum { KEY = 0x5eed, EXCLUSIVE = 3 };

static char image[128], state[128];

/* Two disks: memory, which keeps nothing, and the image, which is ours. */
static struct peer *serve(struct daemon *a)
{
	const char *args[] = {image, "--state-dir", state, NULL};
	struct peer_params want = peer_params_default();
	struct peer *p;

	daemon_start(a, args, &(struct daemon_disk){.ram = "8M"});
	p = daemon_connect(a);
	p->isid = 0x800000beef01; /* the same port each time */
	p->lun = 1ull << 48;
	peer_login(p, &want);
	peer_settle(p);
	return p;
}

static void kill_it(struct daemon *a, struct peer *p)
{
	kill(a->pid, SIGKILL);
	waitpid(a->pid, NULL, 0);
	a->pid = 0;
	peer_reset(p);
	daemon_remove(a, false);
}

static void persist_out(
	struct peer *p, uint8_t action, uint8_t type, uint64_t key, uint64_t new_key, bool aptpl)
{
	uint8_t list[24] = {[20] = aptpl};
	struct peer_task t = {
		.cmd = {.cdb = {0x5f, action, type, [8] = 24}, .write = true, .edtl = 24},
		.buf = list};

	for (unsigned i = 0; i < 8; i++) {
		list[i] = (uint8_t)(key >> (56 - 8 * i));
		list[8 + i] = (uint8_t)(new_key >> (56 - 8 * i));
	}
	peer_start(p, &t);
	peer_wait(p, &t);
	EXPECT_EQ(t.st.status, 0);
}

static uint32_t persist_in(struct peer *p, uint8_t action, uint8_t *buf)
{
	struct peer_task t = {
		.cmd = {.cdb = {0x5e, action, [8] = 64}, .read = true, .edtl = 64}, .buf = buf};

	peer_start(p, &t);
	peer_wait(p, &t);
	EXPECT_EQ(t.st.status, 0);
	return (uint32_t)buf[4] << 24 | (uint32_t)buf[5] << 16 | (uint32_t)buf[6] << 8 | buf[7];
}

static void reservations(struct daemon *d)
{
	struct peer_params want = peer_params_default();
	uint8_t *buf = scene_alloc(64);
	struct daemon a;
	struct peer *p, *other;
	char command[300];
	int fd;

	snprintf(image, sizeof(image), "%s/other.img", d->dir);
	snprintf(state, sizeof(state), "%s/state", d->dir);
	fd = open(image, O_RDWR | O_CREAT | O_EXCL, 0600);
	EXPECT(fd >= 0 && ftruncate(fd, 8 << 20) == 0, "%s: %s", image, strerror(errno));
	close(fd);

	p = serve(&a); /* without APTPL nothing stays */
	persist_out(p, 0, 0, 0, KEY, false);
	persist_out(p, 1, EXCLUSIVE, KEY, 0, false);
	kill_it(&a, p);
	p = serve(&a);
	EXPECT_EQ(persist_in(p, 0, buf), 0);

	persist_out(p, 0, 0, 0, KEY, true);
	persist_out(p, 1, EXCLUSIVE, KEY, 0, false);
	kill_it(&a, p);
	for (unsigned i = 0; i < 2; i++) { /* with it, over and over */
		p = serve(&a);
		EXPECT_EQ(persist_in(p, 0, buf), 8);
		EXPECT_EQ(buf[14] << 8 | buf[15], KEY);
		EXPECT_EQ(persist_in(p, 1, buf), 16);
		EXPECT_EQ(buf[21], EXCLUSIVE);
		other = daemon_connect(&a); /* and it is enforced */
		other->lun = p->lun;
		peer_login(other, &want);
		peer_settle(other);
		EXPECT_EQ(peer_rw(other, false, 0, 1, scene_alloc(512)).status, 0x18);
		peer_read(p, 0, 1, scene_alloc(512));
		peer_close(other);
		kill_it(&a, p);
	}
	p = serve(&a);
	persist_out(p, 0, 0, KEY, 0, true); /* the last one has gone, for good */
	kill_it(&a, p);
	p = serve(&a);
	EXPECT_EQ(persist_in(p, 0, buf), 0);
	peer_logout(p);
	daemon_stop(&a);
	daemon_remove(&a, false);
	snprintf(command, sizeof(command), "rm -r '%s' '%s'", image, state);
	EXPECT(system(command) == 0, "%s", command);
}

static const struct scene_case cases[] = {
	CASE(reservations, .ours = true),
};
SCENES(cases)
