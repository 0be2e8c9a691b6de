/* test-nexus.c - a session against a target whose every word is scripted: placement, order, loss and lies. */
#include <errno.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>
#include "dummy.h"
#include "nexus.h"
#include "tag.h"

enum { BLOCK = 512, N = 8 };

struct end_of {
	bool ended;
	struct berth_result r;
	uint8_t sense[96];
	unsigned order;
};

static struct dummy d;
static struct end_of ends[N];
static uint8_t buf[N][256 << 10], out[256 << 10];
static unsigned n_ended;

static void on_end(void *ctx, const struct berth_result *r)
{
	struct end_of *e = ctx;

	assert_false(e->ended); /* once */
	e->ended = true;
	e->r = *r;
	if (r->sense)
		memcpy(e->sense, r->sense, r->sense_len);
	e->order = ++n_ended;
}

static int set_up(void **state)
{
	memset(ends, 0, sizeof(ends));
	memset(buf, 0xee, sizeof(buf));
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(i * 7 + i / 251);
	n_ended = 0;
	dummy_init(&d);
	return 0;
}

static int tear_down(void **state)
{
	dummy_deinit(&d);
	return 0;
}

static void begin(struct berth_options o)
{
	struct berth_url u;
	char err[200];

	dummy_url(&d, &u);
	assert_int_equal(berth_open(&d.s, &u, &o, err, sizeof(err)), 0);
	dummy_login(&d);
}

static void end(void)
{
	dummy_hang_up(&d);
	berth_close(d.s);
}

static int read_at(unsigned i, uint64_t lba, uint32_t len)
{
	struct iovec iov = {buf[i], len};
	int n = berth_read(d.s, lba, len / BLOCK, &iov, 1, on_end, &ends[i]);

	assert_true(n >= 0);
	berth_flush(d.s);
	return n;
}

static int write_at(unsigned i, uint64_t lba, uint32_t len)
{
	struct iovec iov = {out, len};
	int n = berth_write(d.s, lba, len / BLOCK, &iov, 1, on_end, &ends[i]);

	assert_true(n >= 0);
	berth_flush(d.s);
	return n;
}

#define ENDED(i, err)                                                                              \
	do {                                                                                       \
		for (unsigned t = 0; t < 2000 && !ends[i].ended; t++)                              \
			dummy_serve(&d, 1);                                                        \
		assert_true(ends[i].ended);                                                        \
		assert_int_equal(ends[i].r.error, err);                                            \
	} while (0)
#define FAILED_SESSION(err)                                                                        \
	do {                                                                                       \
		struct berth_info info;                                                            \
		for (unsigned t = 0; t < 500 && berth_service(d.s) == 0; t++)                      \
			dummy_serve(&d, 1);                                                        \
		berth_info(d.s, &info);                                                            \
		assert_int_equal(info.state, BERTH_FAILED);                                        \
		assert_int_equal(info.error, err);                                                 \
		assert_true(info.why[0] != 0);                                                     \
	} while (0)

/* --- placement --- */

static void reads_in_any_order(void **state)
{
	uint32_t itt[4];

	begin((struct berth_options){0});
	for (unsigned i = 0; i < 4; i++)
		read_at(i, i * 8, 4096);
	for (unsigned i = 0; i < 4; i++) {
		itt[i] = dummy_hear(&d, OP_SCSI_COMMAND)->itt;
		assert_int_equal(d.rx.cmd.edtl, 4096);
		assert_true(d.rx.lun == 3ull << 48);
	}
	for (unsigned i = 4; i-- > 0;)
		dummy_data_in(&d, itt[i], 0, 0, out + i * 4096, 4096, true);
	for (unsigned i = 0; i < 4; i++) {
		ENDED(i, 0);
		assert_int_equal(ends[i].r.transferred, 4096);
		assert_memory_equal(buf[i], out + i * 4096, 4096);
		assert_int_equal(buf[i][4096], 0xee);
	}
	assert_true(ends[3].order < ends[0].order);
	end();
}

/* One read, in pieces of every odd kind, into scattered vectors; another in between. */
static void reads_in_pieces(void **state)
{
	static const uint32_t cuts[] = {1, 511, 4, 3000, 9000, 3868}; /* 16384 */
	struct iovec iov[3] = {{buf[0], 1000}, {buf[0] + 2000, 15000}, {buf[0] + 20000, 384}};
	uint32_t at = 0, first, second;

	begin((struct berth_options){0});
	assert_true(berth_read(d.s, 0, 32, iov, 3, on_end, &ends[0]) >= 0);
	read_at(1, 99, 512);
	first = dummy_hear(&d, OP_SCSI_COMMAND)->itt;
	second = dummy_hear(&d, OP_SCSI_COMMAND)->itt;
	for (unsigned i = 0; i < 6; i++) {
		dummy_data_in(&d, first, i, at, out + at, cuts[i], false);
		at += cuts[i];
		if (i == 2)
			dummy_data_in(&d, second, 0, 0, out, 512, true);
		if (i & 1)
			dummy_serve(&d, 3);
	}
	assert_int_equal(at, 16384);
	dummy_status(&d, first, 0);
	ENDED(0, 0);
	ENDED(1, 0);
	assert_memory_equal(buf[0], out, 1000);
	assert_memory_equal(buf[0] + 2000, out + 1000, 15000);
	assert_memory_equal(buf[0] + 20000, out + 16000, 384);
	assert_int_equal(buf[0][1000], 0xee);
	assert_int_equal(buf[0][20384], 0xee);
	end();
}

/* However the stream is cut: within headers, within payload, between. */
static void reads_in_crumbs(void **state)
{
	static const uint32_t crumbs[] = {7, 48, 113, 1448};

	for (size_t i = 0; i < sizeof(crumbs) / sizeof(crumbs[0]); i++) {
		tear_down(NULL);
		set_up(NULL);
		d.crumb = crumbs[i];
		reads_in_pieces(state);
		tear_down(NULL);
		set_up(NULL);
		d.crumb = crumbs[i];
		reads_in_any_order(state);
	}
}

static void short_reads(void **state)
{
	struct iovec iov = {buf[0], 252};
	struct berth_command c = {.cdb = {0x12}, .lun = -1, .in = &iov, .n_in = 1};
	struct pdu p = {.opcode = OP_DATA_IN,
		.final = true,
		.ttt = TAG_NONE,
		.data_len = 36,
		.data = {.has_status = true, .underflow = true, .residual = 216}};

	begin((struct berth_options){0});
	assert_true(berth_command(d.s, &c, on_end, &ends[0]) >= 0);
	p.itt = dummy_hear(&d, OP_SCSI_COMMAND)->itt;
	dummy_say(&d, &p, out);
	ENDED(0, 0);
	assert_int_equal(ends[0].r.transferred, 36);
	/* The same without being told is a lie. */
	assert_true(berth_command(d.s, &c, on_end, &ends[1]) >= 0);
	dummy_data_in(&d, dummy_hear(&d, OP_SCSI_COMMAND)->itt, 0, 0, out, 36, true);
	FAILED_SESSION(-EPROTO);
	ENDED(1, -ECONNRESET);
	end();
}

/* --- writes --- */

/* gather - Data-Outs of one sequence into buf[7] at their offsets; F ends it. */
static uint32_t gather(uint32_t itt, uint32_t ttt, uint32_t from, uint32_t most)
{
	uint32_t at = from, datasn = 0;

	do {
		dummy_hear(&d, OP_DATA_OUT);
		assert_int_equal(d.rx.itt, itt);
		assert_int_equal(d.rx.ttt, ttt);
		assert_int_equal(d.rx.data.datasn, datasn++);
		assert_int_equal(d.rx.data.offset, at);
		assert_true(d.rx.data_len <= most);
		memcpy(buf[7] + at, d.data, d.rx.data_len);
		at += d.rx.data_len;
	} while (!d.rx.final);
	return at;
}

static void ask_for(uint32_t itt, uint32_t ttt, uint32_t r2tsn, uint32_t offset, uint32_t length)
{
	struct pdu p = {.opcode = OP_R2T,
		.itt = itt,
		.ttt = ttt,
		.r2t = {.r2tsn = r2tsn, .offset = offset, .length = length}};

	dummy_say(&d, &p, NULL);
}

static void writes_unasked_and_asked(void **state)
{
	uint32_t itt, at;

	d.max_recv_data = 8192;
	begin((struct berth_options){0});
	write_at(0, 0, 256 << 10);
	itt = dummy_hear(&d, OP_SCSI_COMMAND)->itt;
	assert_int_equal(d.rx.data_len, 8192); /* immediate */
	assert_false(d.rx.final);
	memcpy(buf[7], d.data, 8192);
	at = gather(itt, TAG_NONE, 8192, 8192);
	assert_int_equal(at, 65536); /* FirstBurstLength */
	ask_for(itt, 0x11, 0, 65536, 100000);
	ask_for(itt, 0x22, 1, 165536, (256 << 10) - 165536);
	at = gather(itt, 0x11, 65536, 8192);
	at = gather(itt, 0x22, at, 8192);
	assert_int_equal(at, 256 << 10);
	assert_memory_equal(buf[7], out, 256 << 10);
	assert_false(ends[0].ended);
	dummy_status(&d, itt, 0);
	ENDED(0, 0);
	assert_int_equal(ends[0].r.transferred, 256 << 10);
	end();
}

static void writes_only_asked(void **state)
{
	uint32_t itt;

	d.initial_r2t = true;
	begin((struct berth_options){.no_immediate_data = true, .max_send_data = 4096});
	write_at(0, 0, 10240);
	itt = dummy_hear(&d, OP_SCSI_COMMAND)->itt;
	assert_int_equal(d.rx.data_len, 0);
	assert_true(d.rx.final);
	assert_true(dummy_silence(&d));
	ask_for(itt, 0x33, 0, 5000, 5240);
	assert_int_equal(gather(itt, 0x33, 5000, 4096), 10240);
	ask_for(itt, 0x34, 1, 0, 5000);
	assert_int_equal(gather(itt, 0x34, 0, 4096), 5000);
	assert_memory_equal(buf[7], out, 10240);
	dummy_status(&d, itt, 0);
	ENDED(0, 0);
	end();
}

/* --- the command window --- */

static void window_is_kept(void **state)
{
	uint32_t itt[3];

	d.window = 2;
	begin((struct berth_options){0});
	for (unsigned i = 0; i < 3; i++)
		read_at(i, i, 512);
	itt[0] = dummy_hear(&d, OP_SCSI_COMMAND)->itt;
	itt[1] = dummy_hear(&d, OP_SCSI_COMMAND)->itt;
	assert_true(dummy_silence(&d));
	dummy_data_in(&d, itt[0], 0, 0, out, 512, true); /* opens it again */
	itt[2] = dummy_hear(&d, OP_SCSI_COMMAND)->itt;
	dummy_data_in(&d, itt[1], 0, 0, out, 512, true);
	dummy_data_in(&d, itt[2], 0, 0, out, 512, true);
	for (unsigned i = 0; i < 3; i++)
		ENDED(i, 0);
	end();
}

static void depth_is_kept(void **state)
{
	struct iovec iov = {buf[0], 512};

	begin((struct berth_options){.depth = 2});
	read_at(0, 0, 512);
	read_at(1, 0, 512);
	assert_int_equal(berth_read(d.s, 0, 1, &iov, 1, on_end, &ends[2]), -EAGAIN);
	end();
	assert_int_equal(ends[0].r.error, -ECANCELED);
	assert_int_equal(ends[1].r.error, -ECANCELED);
	assert_false(ends[2].ended);
}

/* --- statuses --- */

static void sense_is_told(void **state)
{
	static const uint8_t sense[20] = {0, 18, 0x70, 0, 3, [9] = 10, [14] = 0x11};
	struct pdu p = {.opcode = OP_SCSI_RESPONSE, .data_len = 20, .rsp.status = 2};

	begin((struct berth_options){0});
	read_at(0, 0, 512);
	p.itt = dummy_hear(&d, OP_SCSI_COMMAND)->itt;
	dummy_say(&d, &p, sense);
	ENDED(0, -EREMOTEIO);
	ends[0].r.sense = ends[0].sense;
	assert_int_equal(ends[0].r.sense_len, 18);
	assert_int_equal(berth_sense_key(&ends[0].r), 3);
	assert_int_equal(berth_sense_code(&ends[0].r), 0x1100);
	end();
}

static void not_begun_is_begun_again(void **state)
{
	static const uint8_t attention[20] = {0, 18, 0x70, 0, 6, [9] = 10, [14] = 0x29};
	struct pdu p = {.opcode = OP_SCSI_RESPONSE, .data_len = 20, .rsp.status = 2};
	uint32_t itt;

	begin((struct berth_options){0});
	write_at(0, 0, 512);
	p.itt = dummy_hear(&d, OP_SCSI_COMMAND)->itt;
	dummy_say(&d, &p, attention);
	itt = dummy_hear(&d, OP_SCSI_COMMAND)->itt;
	assert_int_not_equal(itt, p.itt);
	assert_memory_equal(d.data, out, 512);
	dummy_status(&d, itt, 8);                                     /* BUSY */
	dummy_status(&d, dummy_hear(&d, OP_SCSI_COMMAND)->itt, 0x28); /* TASK SET FULL */
	dummy_status(&d, dummy_hear(&d, OP_SCSI_COMMAND)->itt, 0);
	ENDED(0, 0);
	end();
}

/* A flush, too; but what was written before a reset may be gone with it, and then a second flush would promise in vain. */
static void a_flush_is_begun_again_unless_it_met_a_reset(void **state)
{
	static const uint8_t reset[20] = {0, 18, 0x70, 0, 6, [9] = 10, [14] = 0x29};
	static const uint8_t other[20] = {0, 18, 0x70, 0, 6, [9] = 10, [14] = 0x2a, 0x09};
	struct pdu p = {.opcode = OP_SCSI_RESPONSE, .data_len = 20, .rsp.status = 2};

	begin((struct berth_options){0});
	assert_true(berth_sync(d.s, on_end, &ends[0]) >= 0);
	p.itt = dummy_hear(&d, OP_SCSI_COMMAND)->itt;
	dummy_say(&d, &p, reset); /* the session is new */
	p.itt = dummy_hear(&d, OP_SCSI_COMMAND)->itt;
	dummy_say(&d, &p, other);                                  /* nothing is lost by that */
	dummy_status(&d, dummy_hear(&d, OP_SCSI_COMMAND)->itt, 8); /* BUSY */
	dummy_hear(&d, OP_SCSI_COMMAND);
	assert_int_equal(d.rx.cmd.cdb[0], 0x35);
	dummy_status(&d, d.rx.itt, 0);
	ENDED(0, 0);
	assert_true(berth_sync(d.s, on_end, &ends[1]) >= 0);
	p.itt = dummy_hear(&d, OP_SCSI_COMMAND)->itt;
	dummy_say(&d, &p, reset);
	ENDED(1, -EREMOTEIO);
	end();
}

/* --- task management --- */

static void answer_tmf(uint8_t response)
{
	struct pdu p = {.opcode = OP_TASK_MGMT_RSP, .itt = d.rx.itt, .tmf_rsp.response = response};

	dummy_say(&d, &p, NULL);
}

static void aborts(void **state)
{
	uint32_t itt;
	int n;

	begin((struct berth_options){0});
	n = read_at(0, 0, 512);
	itt = dummy_hear(&d, OP_SCSI_COMMAND)->itt;
	assert_true(berth_abort(d.s, n, on_end, &ends[1]) >= 0);
	dummy_hear(&d, OP_TASK_MGMT);
	assert_int_equal(d.rx.tmf.function, TMF_ABORT_TASK);
	assert_int_equal(d.rx.tmf.ref_itt, itt);
	assert_false(ends[0].ended);
	answer_tmf(TMF_RSP_COMPLETE);
	ENDED(1, 0);
	ENDED(0, -ECANCELED);
	assert_true(ends[0].order < ends[1].order);
	/* Once more: its number means nothing any more. */
	assert_true(berth_abort(d.s, n, on_end, &ends[2]) >= 0);
	ENDED(2, -ENOENT);
	end();
}

static void resets(void **state)
{
	begin((struct berth_options){0});
	read_at(0, 0, 512);
	dummy_hear(&d, OP_SCSI_COMMAND);
	assert_true(berth_lun_reset(d.s, on_end, &ends[1]) >= 0);
	berth_flush(d.s);
	read_at(2, 0, 512); /* after it */
	dummy_hear(&d, OP_TASK_MGMT);
	assert_int_equal(d.rx.tmf.function, TMF_LUN_RESET);
	answer_tmf(TMF_RSP_COMPLETE);
	ENDED(1, 0);
	ENDED(0, -ECANCELED);
	assert_false(ends[2].ended);
	dummy_data_in(&d, dummy_hear(&d, OP_SCSI_COMMAND)->itt, 0, 0, out, 512, true);
	ENDED(2, 0);
	end();
}

static void late_commands_are_aborted(void **state)
{
	begin((struct berth_options){.command_ms = 50});
	read_at(0, 0, 512);
	dummy_hear(&d, OP_SCSI_COMMAND);
	dummy_hear(&d, OP_TASK_MGMT);
	assert_int_equal(d.rx.tmf.function, TMF_ABORT_TASK);
	answer_tmf(TMF_RSP_COMPLETE);
	ENDED(0, -ETIMEDOUT);
	read_at(1, 0, 512); /* the session goes on */
	dummy_data_in(&d, dummy_hear(&d, OP_SCSI_COMMAND)->itt, 0, 0, out, 512, true);
	ENDED(1, 0);
	end();
}

/* --- pings --- */

static void pings(void **state)
{
	struct pdu ping = {
		.opcode = OP_NOP_IN, .final = true, .itt = ITT_NONE, .ttt = 0x1234, .lun = 7};
	struct pdu answer = {.opcode = OP_NOP_IN, .final = true, .ttt = TAG_NONE};

	begin((struct berth_options){.keepalive_ms = 100});
	dummy_say(&d, &ping, NULL);
	dummy_hear(&d, OP_NOP_OUT);
	assert_int_equal(d.rx.ttt, 0x1234);
	assert_true(d.rx.itt == ITT_NONE && d.rx.immediate && d.rx.lun == 7);
	dummy_hear(&d, OP_NOP_OUT); /* its own, after a silence */
	assert_true(d.rx.itt != ITT_NONE && d.rx.ttt == TAG_NONE);
	answer.itt = d.rx.itt;
	dummy_say(&d, &answer, NULL);
	dummy_hear(&d, OP_NOP_OUT); /* not answered */
	FAILED_SESSION(-ETIMEDOUT);
	end();
}

/* --- loss --- */

static void what_is_repeated(void **state)
{
	begin((struct berth_options){.reconnect_ms = 5000});
	write_at(0, 0, 1024); /* overlapped by 3: never again */
	read_at(1, 0, 512);
	write_at(2, 8, 512);
	write_at(3, 1, 512);
	assert_true(berth_sync(d.s, on_end, &ends[4]) >= 0);
	write_at(5, 100, 512); /* will have been answered */
	for (unsigned i = 0; i < 6; i++)
		dummy_hear(&d, OP_SCSI_COMMAND);
	dummy_status(&d, d.rx.itt, 0);
	ENDED(5, 0);
	dummy_hang_up(&d);
	ENDED(0, -ECONNRESET);
	ENDED(4, -ECONNRESET);
	dummy_login(&d);
	dummy_hear(&d, OP_SCSI_COMMAND); /* in their old order */
	assert_int_equal(d.rx.cmd.cdb[0], 0x28);
	dummy_data_in(&d, d.rx.itt, 0, 0, out, 512, true);
	dummy_hear(&d, OP_SCSI_COMMAND);
	assert_int_equal(d.rx.cmd.cdb[5], 8);
	dummy_status(&d, d.rx.itt, 0);
	dummy_hear(&d, OP_SCSI_COMMAND);
	assert_int_equal(d.rx.cmd.cdb[5], 1);
	dummy_status(&d, d.rx.itt, 0);
	ENDED(1, 0);
	ENDED(2, 0);
	ENDED(3, 0);
	assert_true(dummy_silence(&d));
	end();
}

/* One that was told BUSY and waits was asked for on the connection that is lost, like one that is under way. */
static void a_flush_that_waits_is_lost_too(void **state)
{
	begin((struct berth_options){.reconnect_ms = 5000});
	assert_true(berth_sync(d.s, on_end, &ends[0]) >= 0);
	dummy_status(&d, dummy_hear(&d, OP_SCSI_COMMAND)->itt, 8);
	dummy_hang_up(&d);
	ENDED(0, -ECONNRESET);
	dummy_login(&d);
	assert_true(dummy_silence(&d));
	end();
}

/* A read of which half has come begins anew; what came is overwritten. */
static void half_a_read(void **state)
{
	struct berth_info info;

	begin((struct berth_options){.reconnect_ms = 5000});
	read_at(0, 0, 8192);
	dummy_data_in(&d, dummy_hear(&d, OP_SCSI_COMMAND)->itt, 0, 0, out + 100, 4096, false);
	dummy_serve(&d, 3);
	dummy_hang_up(&d);
	dummy_login(&d);
	dummy_data_in(&d, dummy_hear(&d, OP_SCSI_COMMAND)->itt, 0, 0, out, 8192, true);
	ENDED(0, 0);
	assert_memory_equal(buf[0], out, 8192);
	berth_info(d.s, &info);
	assert_int_equal(info.n_reconnects, 1);
	end();
}

static void without_reconnect_all_ends(void **state)
{
	begin((struct berth_options){0});
	read_at(0, 0, 512);
	dummy_hear(&d, OP_SCSI_COMMAND);
	dummy_hang_up(&d);
	ENDED(0, -ECONNRESET);
	FAILED_SESSION(-ECONNRESET);
	end();
}

static void gives_up_in_the_end(void **state)
{
	begin((struct berth_options){.reconnect_ms = 200});
	read_at(0, 0, 512);
	dummy_hear(&d, OP_SCSI_COMMAND);
	dummy_deinit(&d); /* nobody listens any more */
	ENDED(0, -ECONNREFUSED);
	FAILED_SESSION(-ECONNREFUSED);
	berth_close(d.s);
	dummy_init(&d);
}

/* --- lies --- */

struct lie {
	uint32_t itt_xor, datasn, offset, len;
};

static void lies_about_data(void **state)
{
	static const struct lie lies[] = {
		{0x00010000, 0, 0, 512}, /* a slot that nobody has */
		{0x04000000, 0, 0, 512}, /* another generation */
		{0x00000001, 0, 0, 512}, /* another connection */
		{0, 1, 0, 512},
		{0, 0, 4, 508},
		{0, 0, 0, 516},
		{0, 0, 0xffffff00, 512},
	};

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		tear_down(NULL);
		set_up(NULL);
		begin((struct berth_options){0});
		read_at(0, 0, 512);
		dummy_data_in(&d, dummy_hear(&d, OP_SCSI_COMMAND)->itt ^ lies[i].itt_xor,
			lies[i].datasn, lies[i].offset, out, lies[i].len, true);
		FAILED_SESSION(-EPROTO);
		ENDED(0, -ECONNRESET);
		assert_int_equal(buf[0][512], 0xee);
		end();
	}
}

static void lies_about_writes(void **state)
{
	static const uint32_t r2ts[][3] = {/* r2tsn, offset, length */
		{1, 0, 512}, {0, 0, 0}, {0, 0, 4097}, {0, 4096, 1}, {0, 0xffffffff, 0xffffffff}};

	for (size_t i = 0; i < sizeof(r2ts) / sizeof(r2ts[0]); i++) {
		tear_down(NULL);
		set_up(NULL);
		d.initial_r2t = true;
		begin((struct berth_options){.no_immediate_data = true});
		write_at(0, 0, 4096);
		ask_for(dummy_hear(&d, OP_SCSI_COMMAND)->itt, 5, r2ts[i][0], r2ts[i][1],
			r2ts[i][2]);
		FAILED_SESSION(-EPROTO);
		ENDED(0, -ECONNRESET);
		end();
	}
}

static void other_nonsense(void **state)
{
	struct pdu words[] = {
		{.opcode = OP_SCSI_RESPONSE, .itt = 0x7fff0000},
		{.opcode = OP_TASK_MGMT_RSP, .itt = 3},
		{.opcode = OP_LOGIN_RESPONSE, .final = true},
		{.opcode = OP_REJECT, .itt = ITT_NONE, .reject.reason = 4},
		{.opcode = OP_TEXT_RESPONSE, .itt = 9, .final = true, .ttt = TAG_NONE},
		{.opcode = OP_SCSI_COMMAND, .itt = 9, .final = true},
		{.opcode = OP_R2T, .itt = 0, .ttt = 1, .r2t.length = 1},
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		tear_down(NULL);
		set_up(NULL);
		begin((struct berth_options){0});
		dummy_say(&d, &words[i], NULL);
		FAILED_SESSION(-EPROTO);
		end();
	}
}

/* A text answer that has more to say, and a Reject of the question in the same breath: nothing more is asked. */
static void rejects_what_it_answers(void **state)
{
	static const int on = 1, off = 0;
	struct berth_url u;
	char err[200];
	uint8_t refused[BHS_LEN];
	struct request *r;
	struct pdu more = {.opcode = OP_TEXT_RESPONSE, .ttt = 1, .text.c = true},
		   reject = {.opcode = OP_REJECT,
			   .itt = ITT_NONE,
			   .reject.reason = 4,
			   .data_len = BHS_LEN};

	dummy_url(&d, &u);
	u.target[0] = '\0';
	assert_int_equal(berth_open(&d.s, &u, NULL, err, sizeof(err)), 0);
	dummy_login(&d);
	r = request_take(d.s, REQ_TEXT, true);
	assert_int_equal(text_add(&d.s->text_out, "SendTargets", "All"), 0);
	d.s->text_ttt = TAG_NONE;
	r->done = on_end;
	r->ctx = &ends[0];
	request_queue(d.s, r);
	berth_flush(d.s);
	more.itt = dummy_hear(&d, OP_TEXT_REQUEST)->itt;
	pdu_encode(&d.rx, refused);
	assert_int_equal(setsockopt(d.fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on)), 0);
	dummy_say(&d, &more, NULL);
	dummy_say(&d, &reject, refused);
	assert_int_equal(setsockopt(d.fd, IPPROTO_TCP, TCP_CORK, &off, sizeof(off)), 0);
	ENDED(0, -EPROTO);
	assert_true(dummy_silence(&d));
	end();
}

/* A target that answers for good where it has not read the data yet: the buffers are held until they are out. */
static void answer_before_the_data(void **state)
{
	uint32_t itt;

	d.max_recv_data = 65536;
	begin((struct berth_options){0});
	write_at(0, 0, 65536);
	itt = dummy_hear(&d, OP_SCSI_COMMAND)->itt;
	dummy_status(&d, itt, 0);
	ENDED(0, 0);
	end();
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(reads_in_any_order),
		CASE(reads_in_pieces),
		CASE(reads_in_crumbs),
		CASE(short_reads),
		CASE(writes_unasked_and_asked),
		CASE(writes_only_asked),
		CASE(window_is_kept),
		CASE(depth_is_kept),
		CASE(sense_is_told),
		CASE(not_begun_is_begun_again),
		CASE(a_flush_is_begun_again_unless_it_met_a_reset),
		CASE(aborts),
		CASE(resets),
		CASE(late_commands_are_aborted),
		CASE(pings),
		CASE(what_is_repeated),
		CASE(half_a_read),
		CASE(a_flush_that_waits_is_lost_too),
		CASE(without_reconnect_all_ends),
		CASE(gives_up_in_the_end),
		CASE(lies_about_data),
		CASE(lies_about_writes),
		CASE(other_nonsense),
		CASE(rejects_what_it_answers),
		CASE(answer_before_the_data),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
