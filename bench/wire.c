/* wire.c - the load: commands out, answers in (see wire.h).
 *
 * What is to be said stands in a ring of jobs: a command with its immediate data, or a stretch of
 * Data-Outs (unsolicited, or an R2T's window). A batch takes headers and vectors from the head of
 * the ring until it is as long as one call should carry; jobs are cut anywhere between two PDUs.
 * Headers that come in with a data segment are kept until it is through, so that a command ends
 * with its last byte. */
#include "wire_in.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include "be.h"
#include "check.h"
#include "iov.h"

enum { BATCH_BYTES = 2 << 20 };

/* --- out --- */

static void job_add(struct wire *w, struct job j)
{
	if (w->n_jobs == JOBS)
		wire_die("the target asks for more than can be");
	w->jobs[(w->job + w->n_jobs++) % JOBS] = j;
}

void wire_limit(struct wire *w, unsigned depth)
{
	w->limit = MIN(depth, w->depth);
}

bool wire_may_start(const struct wire *w)
{
	return w->n_busy < w->limit && (int32_t)(w->maxcmdsn - w->cmdsn) >= 0;
}

void wire_start(
	struct wire *w, bool write, uint64_t lba, uint32_t n_blocks, uint32_t len, uint64_t now_ns)
{
	unsigned i = 0;

	while (w->slots[i].busy)
		i++;
	w->slots[i] = (struct slot){now_ns, lba, n_blocks, len, true, write};
	w->n_busy++;
	w->cmdsn++;
	job_add(w, (struct job){.slot = (uint16_t)i, .command = true});
}

static uint8_t *batch_header(struct wire *w, unsigned n_pdus)
{
	w->iov[w->n_vec++] = (struct iovec){w->headers[n_pdus], WIRE_BHS};
	return w->headers[n_pdus];
}

static void batch_data(struct wire *w, uint8_t *bhs, uint32_t at, uint32_t len)
{
	put_be24(bhs + 5, len);
	if (len)
		w->iov[w->n_vec++] = (struct iovec){wire_payload + at, (len + 3) & ~3u};
}

/* A command PDU; unsolicited Data-Outs that must follow become the job that it was. */
static uint32_t batch_command(struct wire *w, struct job *j, unsigned n_pdus, uint32_t cmdsn)
{
	const struct slot *s = &w->slots[j->slot];
	uint32_t unasked = s->write && !w->p.initial_r2t ? MIN(s->len, w->p.first_burst) : 0;
	uint32_t now = s->write && w->p.immediate_data
			       ? MIN(MIN(s->len, w->p.first_burst), w->p.send_data)
			       : 0;
	uint8_t *bhs = batch_header(w, n_pdus);

	unasked = MAX(unasked, now);
	wire_header(w, bhs, COMMAND, (s->write ? 0x20 : 0x40) | 1, j->slot);
	bhs[1] |= now == unasked ? FINAL : 0;
	memcpy(bhs + 8, w->lun, 8);
	put_be32(bhs + 20, s->len);
	put_be32(bhs + 24, cmdsn);
	bhs[32] = s->write ? 0x8a : 0x88;
	put_be64(bhs + 34, s->lba);
	put_be32(bhs + 42, s->n_blocks);
	batch_data(w, bhs, 0, now);
	*j = (struct job){.slot = j->slot, .ttt = 0xffffffffu, .at = now, .end = unasked};
	return now;
}

static uint32_t batch_data_out(struct wire *w, struct job *j, unsigned n_pdus)
{
	uint32_t len = MIN(j->end - j->at, w->p.send_data);
	uint8_t *bhs = batch_header(w, n_pdus);

	wire_header(w, bhs, DATA_OUT, j->at + len == j->end ? FINAL : 0, j->slot);
	put_be32(bhs + 24, 0);
	if (j->ttt != 0xffffffffu)
		memcpy(bhs + 8, w->lun, 8);
	put_be32(bhs + 20, j->ttt);
	put_be32(bhs + 36, j->datasn++);
	put_be32(bhs + 40, j->at);
	batch_data(w, bhs, j->at, len);
	j->at += len;
	return len;
}

static void batch_fill(struct wire *w)
{
	size_t bytes = 0;
	uint32_t cmdsn = w->cmdsn;

	for (unsigned i = 0; i < w->n_jobs; i++)
		cmdsn -= w->jobs[(w->job + i) % JOBS].command;
	w->vec = w->n_vec = 0;
	for (unsigned n = 0; w->n_jobs && n < BATCH_PDUS && bytes < BATCH_BYTES; n++) {
		struct job *j = &w->jobs[w->job];

		bytes += j->command ? batch_command(w, j, n, cmdsn++) : batch_data_out(w, j, n);
		if (j->at < j->end)
			continue;
		w->job = (w->job + 1) % JOBS;
		w->n_jobs--;
	}
}

bool wire_flush(struct wire *w)
{
	while (w->vec < w->n_vec || w->n_jobs) {
		struct msghdr msg = {0};
		ssize_t n;

		if (w->vec == w->n_vec)
			batch_fill(w);
		msg.msg_iov = w->iov + w->vec;
		msg.msg_iovlen = w->n_vec - w->vec;
		n = sendmsg(w->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			return false;
		if (n < 0)
			wire_die("send: %s", strerror(errno));
		w->vec += iov_moved(w->iov + w->vec, (size_t)n);
	}
	return true;
}

/* --- in --- */

static void ended(struct wire *w, const uint8_t *bhs, void (*done)(void *, uint64_t), void *ctx)
{
	uint32_t i = get_be32(bhs + 16);

	if (i >= w->depth || !w->slots[i].busy)
		wire_die("an answer to nothing we asked");
	if (bhs[2] || bhs[3])
		wire_die("%s at block %llu: response 0x%02x status 0x%02x",
			w->slots[i].write ? "WRITE" : "READ", (unsigned long long)w->slots[i].lba,
			bhs[2], bhs[3]);
	w->slots[i].busy = false;
	w->n_busy--;
	done(ctx, w->slots[i].start_ns);
}

static void answer_ping(struct wire *w, const uint8_t *ping)
{
	uint8_t bhs[WIRE_BHS];

	if (get_be32(ping + 20) == 0xffffffffu)
		return;
	while (!wire_flush(w))
		poll(&(struct pollfd){w->fd, POLLOUT, 0}, 1, -1);
	wire_header(w, bhs, NOP_OUT | 0x40, FINAL, 0xffffffffu);
	memcpy(bhs + 8, ping + 8, 8);
	memcpy(bhs + 20, ping + 20, 4);
	wire_send(w, bhs, WIRE_BHS);
}

static void heard(struct wire *w, const uint8_t *bhs, void (*done)(void *, uint64_t), void *ctx)
{
	uint8_t op = bhs[0] & 0x3f;
	bool numbered = op == RESPONSE || (op == DATA_IN && bhs[1] & 1);

	if (numbered)
		w->expstatsn = get_be32(bhs + 24) + 1;
	if ((int32_t)(get_be32(bhs + 32) - w->maxcmdsn) > 0)
		w->maxcmdsn = get_be32(bhs + 32);
	if (numbered)
		ended(w, bhs, done, ctx);
	else if (op == R2T)
		job_add(w, (struct job){.slot = (uint16_t)get_be32(bhs + 16),
				   .ttt = get_be32(bhs + 20),
				   .at = get_be32(bhs + 40),
				   .end = get_be32(bhs + 40) + get_be32(bhs + 44)});
	else if (op == NOP_IN)
		answer_ping(w, bhs);
	else if (op != DATA_IN)
		wire_die("an answer with opcode 0x%02x", op);
}

/* parse - returns how many bytes are through. */
static size_t parse(struct wire *w, void (*done)(void *, uint64_t), void *ctx)
{
	size_t at = 0;

	for (;;) {
		size_t part = MIN(w->skip, w->have - at);
		const uint8_t *bhs;

		at += part;
		if (w->skip && !(w->skip -= part))
			heard(w, w->kept, done, ctx);
		if (w->skip || w->have - at < WIRE_BHS)
			return at;
		bhs = w->in + at;
		at += WIRE_BHS;
		w->skip = (get_be24(bhs + 5) + 3) & ~3u;
		if (w->skip)
			memcpy(w->kept, bhs, WIRE_BHS);
		else
			heard(w, bhs, done, ctx);
	}
}

void wire_receive(struct wire *w, void (*done)(void *ctx, uint64_t start_ns), void *ctx)
{
	ssize_t n = recv(w->fd, w->in + w->have, IN_LEN - w->have, MSG_DONTWAIT);
	size_t through;

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0)
		wire_die("the target hung up: %s", n ? strerror(errno) : "end of the stream");
	w->have += (size_t)n;
	through = parse(w, done, ctx);
	w->have -= through;
	memmove(w->in, w->in + through, w->have);
}
