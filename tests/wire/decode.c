/* decode.c - sg3-utils' view of a disk: its decoders read our raw answers without a complaint, and find in them what
 * is there. A row an answer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "scene.h"

enum { ROOM = 1024 };

static const struct row {
	uint8_t cdb[16];
	const char *tool; /* what decodes a file of hexadecimal digits, whose name follows */
	const char *says; /* what must be in its words */
} rows[] = {
	{{0x12, 0, 0, 4, 0}, "sg_inq --inhex=", "Vendor identification: BERTH"},
	{{0x12, 0, 0, 4, 0}, "sg_inq -d --inhex=", "SBC-3"},
	{{0x12, 1, 0x00, 4, 0}, "sg_vpd --page=sv --inhex=", "Block limits"},
	{{0x12, 1, 0x00, 4, 0}, "sg_inq --page=0 --inhex=", "Device identification"},
	{{0x12, 1, 0x80, 4, 0}, "sg_vpd --page=sn --inhex=", "Unit serial number"},
	{{0x12, 1, 0x80, 4, 0}, "sg_inq --page=0x80 --inhex=", "serial"},
	{{0x12, 1, 0x83, 4, 0}, "sg_vpd --page=di --inhex=", "SCSI name string"},
	{{0x12, 1, 0x83, 4, 0}, "sg_inq --page=0x83 --inhex=", "T10 vendor identification"},
	{{0x12, 1, 0x83, 4, 0}, "sg_vpd --page=di --inhex=", "iqn."},
	{{0x12, 1, 0x83, 4, 0}, "sg_vpd --page=di --inhex=", "Target port group: 0x1"},
	{{0x12, 1, 0x85, 4, 0}, "sg_vpd --page=mna --inhex=", "Management network"},
	{{0x12, 1, 0x86, 4, 0}, "sg_vpd --page=ei --inhex=", "HEADSUP=1 ORDSUP=1 SIMPSUP=1"},
	{{0x12, 1, 0x86, 4, 0}, "sg_inq --page=0x86 --inhex=", "LUICLR=1"},
	{{0x12, 1, 0x87, 4, 0}, "sg_vpd --page=mpp --inhex=", "shared"},
	{{0x12, 1, 0x88, 4, 0}, "sg_vpd --page=sp --inhex=", "Relative port=1"},
	{{0x12, 1, 0xb0, 4, 0},
		"sg_vpd --page=bl --inhex=", "Maximum compare and write length: 255"},
	{{0x12, 1, 0xb0, 4, 0}, "sg_vpd --page=bl --inhex=", "Maximum atomic transfer length: 2"},
	{{0x12, 1, 0xb1, 4, 0}, "sg_vpd --page=bdc --inhex=", "Non-rotating medium"},
	{{0x12, 1, 0xb2, 4, 0}, "sg_vpd --page=lbpv --inhex=", "thin provisioned"},
	{{0x4d, 0, 0x40, 0, 0, 0, 0, 4, 0}, "sg_logs --in=", "Supported log pages"},
	{{0x4d, 0, 0x40, 0xff, 0, 0, 0, 4, 0}, "sg_logs --in=", "subpages"},
	{{0x4d, 0, 0x4c, 0, 0, 0, 0, 4, 0}, "sg_logs --in=", "Used LBA mapping"},
	{{0x4d, 0, 0x4d, 0, 0, 0, 0, 4, 0}, "sg_logs --in=", "Temperature"},
	{{0x4d, 0, 0x59, 0, 0, 0, 0, 4, 0}, "sg_logs --in=", "number of read commands"},
	{{0x4d, 0, 0x6f, 0, 0, 0, 0, 4, 0}, "sg_logs --in=", "Informational Exceptions"},
};

/* What the tools say about bytes that they cannot make sense of. */
static const char *const complaints[] = {"trunc", "bad ", "too short", "unexpected", "malformed",
	"unable", "invalid", "error", "unknown"};

static uint32_t fetch(struct peer *p, const uint8_t *cdb, uint8_t *buf)
{
	struct peer_task t = {.cmd = {.read = true, .edtl = ROOM}, .buf = buf};

	memcpy(t.cmd.cdb, cdb, 16);
	peer_start(p, &t);
	peer_wait(p, &t);
	EXPECT_EQ(t.st.status, 0);
	EXPECT(t.got > 0, "there is no answer");
	return t.got;
}

static void write_hex(const char *path, const uint8_t *bytes, uint32_t n)
{
	FILE *f = fopen(path, "w");

	EXPECT(f != NULL, "no file %s", path);
	for (uint32_t i = 0; i < n; i++)
		fprintf(f, "%02x%c", bytes[i], i % 16 == 15 ? '\n' : ' ');
	fclose(f);
}

static void run_row(struct peer *p, const struct row *row, const char *path)
{
	uint8_t *buf = scene_alloc(ROOM);
	char command[256], said[8192] = "";
	uint32_t len = fetch(p, row->cdb, buf);
	size_t n;
	FILE *f;

	write_hex(path, buf, len);
	snprintf(command, sizeof(command), "%s%s 2>&1", row->tool, path);
	f = popen(command, "r");
	EXPECT(f != NULL, "no shell");
	n = fread(said, 1, sizeof(said) - 1, f);
	said[n] = '\0';
	EXPECT(pclose(f) == 0, "%s says: %s", row->tool, said);
	EXPECT(strstr(said, row->says), "'%s' is not in the words of %s: %s", row->says, row->tool,
		said);
	for (unsigned i = 0; i < sizeof(complaints) / sizeof(complaints[0]); i++)
		EXPECT(!strcasestr(said, complaints[i]), "%s complains: %s", row->tool, said);
}

static void sg3_utils(struct daemon *d)
{
	struct peer *p = daemon_peer(d, NULL);
	char path[] = "/tmp/berth-decode-XXXXXX";
	int fd = mkstemp(path);

	EXPECT(fd >= 0, "no file");
	close(fd);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		scene_note("%s %02x %02x %02x", rows[i].tool, rows[i].cdb[0], rows[i].cdb[1],
			rows[i].cdb[2]);
		run_row(p, &rows[i], path);
	}
	unlink(path);
}

static const struct scene_case cases[] = {
	CASE(sg3_utils, .ours = true),
	{.name = "sg3_utils_4096", .run = sg3_utils, .ram = "64M,block=4096", .ours = true},
};
SCENES(cases)
