/* look.c - what a portal has to offer, and what a disk is, with the calls that wait.
 *
 *     cc look.c $(pkg-config --cflags --libs berth) -o look
 *     ./look iscsi://192.0.2.1                          # the targets there
 *     ./look iscsi://192.0.2.1/iqn.2026-11.example:d/0  # that disk, and its first bytes */
#include <berth/initiator.h>
#include <stdio.h>
#include <stdlib.h>

static int on_found(void *ctx, const char *target, const char *address)
{
	(void)ctx;
	printf("%s at %s\n", target, address);
	return 0; /* go on */
}

static int look_at_disk(struct berth_session *s)
{
	struct berth_disk d;
	struct berth_result r;
	unsigned char *block;
	char why[128];
	int rc = berth_disk_wait(s, &d);

	if (rc) {
		fprintf(stderr, "this unit is no disk\n");
		return rc;
	}
	printf("%llu blocks of %u bytes%s%s\n", (unsigned long long)d.n_blocks, d.block_len,
		d.thin ? ", thin" : "", d.read_only ? ", read-only" : "");
	block = malloc(d.block_len);
	if (!block)
		return -1;
	rc = berth_read_wait(s, 0, 1, block, d.block_len, &r);
	if (rc)
		fprintf(stderr, "read: %s\n", berth_result_text(&r, why, sizeof(why)));
	for (unsigned i = 0; !rc && i < 16; i++)
		printf("%02x%c", block[i], i == 15 ? '\n' : ' ');
	free(block);
	return rc;
}

int main(int argc, char **argv)
{
	struct berth_url url;
	struct berth_session *s;
	char err[256];
	int rc;

	if (argc != 2 || berth_url_parse(&url, argv[1], err, sizeof(err))) {
		fprintf(stderr, "look: %s\n", argc != 2 ? "one URL, please" : err);
		return 2;
	}
	if (!*url.target) {
		rc = berth_discover_wait(&url, NULL, on_found, NULL, err, sizeof(err));
	} else {
		rc = berth_open_wait(&s, &url, NULL, err, sizeof(err));
		if (!rc) {
			rc = look_at_disk(s);
			berth_close(s);
			return rc ? 1 : 0;
		}
	}
	if (rc)
		fprintf(stderr, "look: %s\n", err);
	return rc ? 1 : 0;
}
