/* double.h - for tests: units on a volume that is a double.
 *
 * It holds no content, ends each operation as it is told, at once or when it is told, and takes landings from a real,
 * small arena. Linked with it, malloc() and calloc() fail when they are told to. */
#pragma once

#include "expect.h"

struct fake {
	int end;          /* of the next operations */
	uint64_t bad;     /* where they say that it was; 0: they do not */
	bool hold;        /* they wait for fake_finish() */
	bool source;      /* it was the reading of a copy that failed */
	bool cancel_ends; /* volume_cancel() ends the held one from inside */
	struct vol_op *held;
	unsigned n_ops, n_cancels, n_bases, n_soon;
	bool durable, dpo;   /* the last op's */
	unsigned fail_alloc; /* so many allocations fail */
	bool can_back, back; /* write-back */
	uint32_t n_faults;   /* of it */
	int fault;
	bool has_room, low; /* of what it may still take */
	uint32_t n_lows;
};
extern struct fake fake;
void fake_finish(int end); /* the operation that is held */

/* LUN 0: 1 GiB in blocks of 512. 1: as long as a volume can be. 2: on a disk that turns and has no holes. 10:
 * thin_unit(). */
enum { DISK, HUGE_DISK, THICK, THIN = 10 };
static struct lu *disk;
static unsigned n_done, n_rooms;

static inline void on_done(struct scsi_cmd *c)
{
	n_done++;
}

static inline void on_room(struct scsi_cmd *c)
{
	n_rooms++;
	scsi_room(c);
}

static const struct scsi_ops ops = {.done = on_done, .room = on_room};

static inline int setup(void **state)
{
	static struct backend thick = {.info = {.caps = BACKEND_ROTATES}};

	memset(&fake, 0, sizeof(fake));
	n_done = n_rooms = 0;
	rig_init(&rig);
	disk = rig_unit(&rig, &(struct rig_unit){.lun = DISK, .size = 1 << 30, .block = 512});
	rig_unit(&rig, &(struct rig_unit){.lun = HUGE_DISK, .size = 1ULL << 62, .block = 512});
	rig_unit(&rig, &(struct rig_unit){
			       .lun = THICK, .size = 1 << 20, .block = 4096, .backend = &thick});
	return 0;
}

static inline int teardown(void **state)
{
	while (rig_turn(&rig))
		;
	rig_deinit(&rig);
	return 0;
}

#define WRITE_8K CDB(0x2a, 0, 0, 0, 0, 8, 0, 0, 16)

static inline void begin(struct scsi_cmd *c, const uint8_t *cdb, uint32_t edtl, uint32_t unsolicited)
{
	memset(c, 0, sizeof(*c));
	c->ops = &ops;
	c->io = &rig.io;
	c->nexus = &rig.nexus;
	c->lun = scsi_lun_wire(DISK);
	memcpy(c->cdb, cdb, SCSI_CDB_MAX);
	c->write = edtl > 0;
	c->edtl = edtl;
	c->unsolicited = unsolicited;
	scsi_prepare(c);
}

static inline uint64_t lent(void)
{
	return arena_n_lent(volume_arena(disk->volume));
}

/* A unit whose file system tells how much room it has left. */
static inline void thin_unit(void)
{
	static struct backend thin = {.info = {.caps = BACKEND_WRITE | BACKEND_PUNCH}};

	fake.has_room = true;
	rig_unit(&rig,
		&(struct rig_unit){.lun = THIN, .size = 1 << 30, .block = 4096, .backend = &thin});
	NONE(THIN, CDB(0)); /* it is new */
}

/* --- every command that asks something of the volume --- */

static const uint8_t unmap_two[] = {0, 38, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0, 0, 8, 0, 0, 0, 0};

static const struct {
	uint8_t cdb[16];
	bool read;
	uint32_t edtl;
	const uint8_t *from;
	unsigned asc; /* of the machine's error: a read's or a write's */
} commands[] = {
	{{0x28, 0, 0, 0, 0, 8, 0, 0, 16}, true, 8192, NULL, 0x11},
	{{0x2a, 0, 0, 0, 0, 8, 0, 0, 16}, false, 8192, data, 0x0c},
	{{0x2f, 0, 0, 0, 0, 8, 0, 0, 16}, false, 0, NULL, 0x11},
	{{0x2f, 2, 0, 0, 0, 8, 0, 0, 16}, false, 8192, data, 0x11}, {{0x35}, false, 0, NULL, 0x0c},
	{{0x41, 0, 0, 0, 0, 8, 0, 0, 16}, false, 512, data, 0x0c},
	{{0x42, 0, 0, 0, 0, 0, 0, 0, 40}, false, 40, unmap_two, 0x0c},
	{{0x89, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 2}, false, 2048, data, 0x0c},
	{{0x1b}, false, 0, NULL, 0x0c}, /* the last: it stops the unit */
};

#define EACH_COMMAND(i) for (unsigned i = 0; i < ARRAY_LEN(commands); i++)
#define RUN(i)                                                                                     \
	rig_run(&rig, DISK, commands[i].cdb, commands[i].read,                                     \
		!commands[i].read && commands[i].edtl, commands[i].edtl, commands[i].from)
