/* wait.c - each call that waits: queue, serve until the callback, tell. And what takes several
 * commands. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "be.h"
#include "check.h"
#include "nexus.h"
#include "tag.h"

struct waiting {
	struct berth_session *s;
	struct berth_result result;
	bool ended;
};

static void on_ended(void *ctx, const struct berth_result *r)
{
	struct waiting *w = ctx;

	w->result = *r;
	if (r->sense) {
		memcpy(w->s->last_sense, r->sense, r->sense_len);
		w->result.sense = w->s->last_sense;
	}
	w->ended = true;
}

/* finish - rc: what the queueing call returned. */
static int finish(struct waiting *w, int rc, struct berth_result *r)
{
	if (rc < 0)
		w->result.error = rc;
	else
		berth_wait(w->s, &w->ended); /* a session that dies ends its requests first */
	if (r)
		*r = w->result;
	return w->result.error;
}

int berth_read_wait(struct berth_session *s, uint64_t lba, uint32_t n_blocks, void *buf, size_t len,
	struct berth_result *r)
{
	struct waiting w = {.s = s};
	struct iovec iov = {buf, len};

	return finish(&w, berth_read(s, lba, n_blocks, &iov, 1, on_ended, &w), r);
}

int berth_write_wait(struct berth_session *s, uint64_t lba, uint32_t n_blocks, const void *buf,
	size_t len, struct berth_result *r)
{
	struct waiting w = {.s = s};
	struct iovec iov = {(void *)(uintptr_t)buf, len};

	return finish(&w, berth_write(s, lba, n_blocks, &iov, 1, on_ended, &w), r);
}

int berth_unmap_wait(
	struct berth_session *s, uint64_t lba, uint32_t n_blocks, struct berth_result *r)
{
	struct waiting w = {.s = s};

	return finish(&w, berth_unmap(s, lba, n_blocks, on_ended, &w), r);
}

int berth_write_same_wait(struct berth_session *s, uint64_t lba, uint32_t n_blocks,
	const void *block, uint32_t block_len, struct berth_result *r)
{
	struct waiting w = {.s = s};

	return finish(&w, berth_write_same(s, lba, n_blocks, block, block_len, on_ended, &w), r);
}

int berth_sync_wait(struct berth_session *s, struct berth_result *r)
{
	struct waiting w = {.s = s};

	return finish(&w, berth_sync(s, on_ended, &w), r);
}

int berth_command_wait(
	struct berth_session *s, const struct berth_command *c, struct berth_result *r)
{
	struct waiting w = {.s = s};

	return finish(&w, berth_command(s, c, on_ended, &w), r);
}

int berth_abort_wait(struct berth_session *s, int request)
{
	struct waiting w = {.s = s};

	return finish(&w, berth_abort(s, request, on_ended, &w), NULL);
}

int berth_lun_reset_wait(struct berth_session *s)
{
	struct waiting w = {.s = s};

	return finish(&w, berth_lun_reset(s, on_ended, &w), NULL);
}

/* --- what the disk says of itself --- */

enum { ASK_LEN = 252, UA_TRIES = 16, LUN_NOT_SUPPORTED = 0x2500 };

/* ask - a command with data-in, again after each UNIT ATTENTION. Bytes that came, or -errno. */
static int ask(
	struct berth_session *s, const uint8_t *cdb, size_t cdb_len, uint8_t *buf, uint32_t len)
{
	struct iovec iov = {buf, len};
	struct berth_command c = {
		.lun = -1, .in = &iov, .n_in = len ? 1 : 0, .flags = BERTH_REPEATABLE};
	struct berth_result r;
	int rc;

	memset(buf, 0, len);
	memcpy(c.cdb, cdb, cdb_len);
	rc = berth_command_wait(s, &c, &r);
	if (rc == -EREMOTEIO && berth_sense_code(&r) == LUN_NOT_SUPPORTED)
		return -ENXIO;
	return rc ? rc : (int)r.transferred;
}

static int ask_page(struct berth_session *s, uint8_t page, uint8_t *buf)
{
	uint8_t cdb[6] = {0x12, 1, page, 0, ASK_LEN, 0}; /* INQUIRY, EVPD: SPC-4 6.6 */
	int n = ask(s, cdb, sizeof(cdb), buf, ASK_LEN);

	return n >= 4 && buf[1] == page ? n : 0;
}

static int ask_capacity(struct berth_session *s, struct berth_disk *d)
{
	uint8_t cdb[16] = {0x9e, 0x10, [13] = 32}, ten[10] = {0x25}, buf[32];
	int n = ask(s, cdb, sizeof(cdb), buf, sizeof(buf)); /* SBC-3 5.16 */

	if (n >= 16) {
		d->n_blocks = get_be64(buf) + 1;
		d->block_len = get_be32(buf + 8);
		d->thin = buf[14] & 0x80;
		d->zeros = buf[14] & 0x40;
	} else if (n == -EREMOTEIO) { /* an old target */
		n = ask(s, ten, sizeof(ten), buf, 8);
		if (n >= 8) {
			d->n_blocks = (uint64_t)get_be32(buf) + 1;
			d->block_len = get_be32(buf + 4);
		}
	}
	if (n < 0)
		return n;
	/* Lengths of a transfer are 32 bit sums of blocks; what is outside is no disk we can use.
	 */
	return n >= 8 && d->block_len >= 256 && d->block_len <= 65536 && d->n_blocks &&
			       d->n_blocks <= INT64_MAX / d->block_len
		       ? 0
		       : -EPROTO;
}

static uint32_t or_limit(uint32_t told, uint32_t limit)
{
	return told && told < limit ? told : limit;
}

static void ask_limits(struct berth_session *s, struct berth_disk *d)
{
	uint8_t buf[ASK_LEN], mode[6] = {0x1a, 0x08, 0x08, 0, ASK_LEN, 0};
	uint32_t most = (16u << 20) / d->block_len;
	int n = ask_page(s, 0xb0, buf); /* SBC-3 6.5.3 */

	d->max_blocks = or_limit(n >= 12 ? get_be32(buf + 8) : 0, most);
	d->max_same_blocks =
		or_limit(n >= 44 ? (uint32_t)MIN(get_be64(buf + 36), UINT32_MAX) : 0, most);
	d->max_unmap_blocks = d->thin && n >= 24 ? get_be32(buf + 20) : 0;
	n = ask_page(s, 0xb2, buf); /* 6.5.4 */
	if (n < 6 || !(buf[5] & 0x80))
		d->max_unmap_blocks = 0;
	n = ask(s, mode, sizeof(mode), buf, ASK_LEN); /* MODE SENSE(6), caching page */
	if (n >= 4)
		d->read_only = buf[2] & 0x80;
	if (n >= 7 && (buf[4] & 0x3f) == 0x08)
		d->write_cache = buf[6] & 0x04;
}

int berth_disk_wait(struct berth_session *s, struct berth_disk *d)
{
	uint8_t ready[6] = {0}, none[1];
	int rc;

	memset(d, 0, sizeof(*d));
	/* What the unit has to say of its past comes first. */
	for (unsigned i = 0; i < UA_TRIES; i++) {
		rc = ask(s, ready, sizeof(ready), none, 0);
		if (rc != -EREMOTEIO)
			break;
	}
	rc = ask_capacity(s, d);
	if (!rc)
		ask_limits(s, d);
	return rc;
}

/* --- discovery --- */

/* tell_found - RFC 7143 appendix C: a TargetName, then its addresses. A target that names none is
 * at the portal. */
static int tell_found(struct berth_session *s, berth_found *found, void *ctx)
{
	char *key, *value, *target = NULL;
	char here[IO_ADDR_TEXT];
	uint32_t pos = 0;
	bool told = true;
	int more, rc = 0;

	io_addr_text(&s->addr[s->at_addr], here);
	do {
		more = text_next(&s->text_in, &pos, &key, &value);
		if (more < 0)
			return -EPROTO;
		if (more && strcmp(key, "TargetAddress") == 0 && target) {
			told = true;
			rc = found(ctx, target, value);
		} else if (!more || strcmp(key, "TargetName") == 0) {
			if (target && !told)
				rc = found(ctx, target, here);
			target = value;
			told = false;
		}
	} while (more && !rc);
	return rc;
}

static int ask_targets(struct berth_session *s, struct berth_result *result)
{
	struct waiting w = {.s = s};
	struct request *r = request_take(s, REQ_TEXT, true);

	if (!r || text_add(&s->text_out, "SendTargets", "All"))
		return -ENOMEM;
	s->text_ttt = TAG_NONE;
	r->done = on_ended;
	r->ctx = &w;
	return finish(&w, request_queue(s, r), result);
}

int berth_discover_wait(const struct berth_url *u, const struct berth_options *o,
	berth_found *found, void *ctx, char *err, size_t err_len)
{
	struct berth_url portal = *u;
	struct berth_session *s;
	struct berth_info info;
	int rc;

	portal.target[0] = '\0';
	rc = berth_open_wait(&s, &portal, o, err, err_len);
	if (rc)
		return rc;
	rc = ask_targets(s, NULL);
	if (!rc)
		rc = tell_found(s, found, ctx);
	berth_info(s, &info);
	if (rc < 0)
		snprintf(err, err_len, "%s", *info.why ? info.why : strerror(-rc));
	berth_close(s);
	return rc;
}
