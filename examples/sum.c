/* sum.c - reads a whole disk with sixteen requests under way, in a loop of its own around poll(): how a session
 * fits into any event loop. The sum is the same in whatever order the answers come.
 *
 *     cc sum.c $(pkg-config --cflags --libs berth) -o sum
 *     ./sum iscsi://192.0.2.1/iqn.2026-11.example:d/0 */
#include <berth/initiator.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH = 16, PIECE = 256 << 10 };

struct reader {
	struct berth_session *s;
	struct berth_disk disk;
	uint64_t next, sum; /* the next block to ask for */
	unsigned n_flying;
	int error;
	struct piece {
		struct reader *r;
		unsigned char *buf;
		uint64_t lba;
		uint32_t n_blocks;
	} pieces[DEPTH];
};

static void on_read(void *ctx, const struct berth_result *result);

/* ask - for the next piece of the disk, if there is one. */
static void ask(struct piece *p)
{
	struct reader *r = p->r;
	uint64_t left = r->disk.n_blocks - r->next, most = PIECE / r->disk.block_len;
	struct iovec iov = {p->buf, 0};
	int rc;

	if (!left || r->error)
		return;
	p->lba = r->next;
	p->n_blocks = (uint32_t)(left < most ? left : most);
	iov.iov_len = (size_t)p->n_blocks * r->disk.block_len;
	rc = berth_read(r->s, p->lba, p->n_blocks, &iov, 1, on_read, p);
	if (rc < 0) {
		r->error = rc;
		return;
	}
	r->next += p->n_blocks;
	r->n_flying++;
}

/* A callback may queue the next request. */
static void on_read(void *ctx, const struct berth_result *result)
{
	struct piece *p = ctx;
	size_t len = (size_t)p->n_blocks * p->r->disk.block_len;
	char why[128];

	p->r->n_flying--;
	if (result->error) {
		fprintf(stderr, "sum: block %llu: %s\n", (unsigned long long)p->lba,
			berth_result_text(result, why, sizeof(why)));
		p->r->error = result->error;
		return;
	}
	for (size_t i = 0; i < len; i += 8) {
		uint64_t word;

		memcpy(&word, p->buf + i, 8);
		p->r->sum += word * (2 * (p->lba * p->r->disk.block_len + i) + 1);
	}
	ask(p);
}

static int read_all(struct reader *r)
{
	for (unsigned i = 0; i < DEPTH; i++) {
		r->pieces[i] = (struct piece){.r = r, .buf = malloc(PIECE)};
		if (!r->pieces[i].buf)
			return -1;
		ask(&r->pieces[i]);
	}
	berth_flush(r->s); /* what was queued outside of a callback leaves now */
	while (r->n_flying) {
		struct pollfd p = {.fd = berth_fd(r->s), .events = POLLIN};

		poll(&p, 1, berth_timeout_ms(r->s));
		if (berth_service(r->s))
			break;
	}
	return r->error;
}

int main(int argc, char **argv)
{
	static struct reader r;
	struct berth_options options = {.depth = DEPTH, .reconnect_ms = 10000};
	struct berth_url url;
	char err[256];
	int rc;

	if (argc != 2 || berth_url_parse(&url, argv[1], err, sizeof(err))) {
		fprintf(stderr, "sum: %s\n", argc != 2 ? "one URL, please" : err);
		return 2;
	}
	if (berth_open_wait(&r.s, &url, &options, err, sizeof(err))) {
		fprintf(stderr, "sum: %s\n", err);
		return 1;
	}
	rc = berth_disk_wait(r.s, &r.disk);
	if (!rc)
		rc = read_all(&r);
	if (!rc)
		printf("%016llx\n", (unsigned long long)r.sum);
	berth_close(r.s); /* before the buffers: what is under way ends here */
	for (unsigned i = 0; i < DEPTH; i++)
		free(r.pieces[i].buf);
	return rc ? 1 : 0;
}
