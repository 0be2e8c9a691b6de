/* test-joined.c - the target's protocol core and the tests' initiator joined in memory: each
 * conversation whole, one byte at a time, and with every split.
 *
 * A conversation logs in, writes, reads back what it wrote and its neighbours, and logs out. After
 * each of them the house must be empty. What a solicited write may copy is nothing, wherever the
 * stream is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include "counter.h"
#include "log.h"
#include "wire.h"

enum { KIB = 1024, MIB = 1024 * 1024, LBA = 37 };

struct variant {
	const char *name;
	uint32_t len;
	struct peer_params ask;
	uint32_t segment; /* longest Data-Out */
	bool unasked;     /* some data comes without R2T, and may be copied out of the tail */
};

static const struct variant small[] = {
	{"solicited", 8 * KIB, {true, false, 1, 65536, 8192, 65536}, 0, false},
	{"solicited in odd pieces", 8 * KIB, {true, false, 1, 65536, 8192, 65536}, 2848, false},
	{"immediate", 8 * KIB, {true, true, 1, 65536, 8192, 65536}, 0, true},
	{"unsolicited", 8 * KIB, {false, false, 1, 65536, 8192, 65536}, 3000, true},
	{"immediate, unsolicited and solicited", 8 * KIB, {false, true, 2, 2048, 4096, 65536}, 1021,
		true},
	{"several R2Ts", 8 * KIB, {true, false, 4, 1536, 1024, 65536}, 512, false},
};

static const struct variant large[] = {
	{"solicited", MIB, {true, false, 1, 256 * KIB, 65536, 262144}, 64 * KIB, false},
	{"four R2Ts at once", MIB, {true, false, 4, 128 * KIB, 65536, 262144}, 8 * KIB, false},
	{"unsolicited first", MIB, {false, true, 4, 100 * KIB, 65536, 262144}, 30001, true},
};

static uint8_t *bytes_of(uint32_t len, uint64_t seed)
{
	uint8_t *b = malloc(len);

	for (uint32_t i = 0; i < len; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		b[i] = (uint8_t)(seed >> 56);
	}
	return b;
}

static uint64_t n_conversations;

/* converse - one conversation, cut as the wire says. Returns how many bytes the initiator sent. */
static uint64_t converse(
	struct house *h, struct wire *w, const struct variant *v, const struct wire_cut *cut)
{
	struct peer *p = wire_connect(w, h, cut);
	uint64_t copied;
	uint32_t n = v->len / 512;
	uint8_t *out = bytes_of(v->len, ++n_conversations), *in = malloc(v->len + 1024);

	peer_login(p, &v->ask);
	peer_settle(p);
	p->segment = v->segment;
	copied = counter_sum(CTR_COPIED_TAIL) + counter_sum(CTR_COPIED_GUESS);
	peer_write(p, LBA, n, out);
	copied = counter_sum(CTR_COPIED_TAIL) + counter_sum(CTR_COPIED_GUESS) - copied;
	peer_read(p, LBA - 1, n + 2, in);
	if (memcmp(in + 512, out, v->len))
		fail_msg("%s: cut at %llu: bytes differ", v->name, (unsigned long long)cut->at[0]);
	for (unsigned i = 0; i < 512; i++)
		assert_false(in[i] || in[512 + v->len + i]);
	if (!v->unasked && copied)
		fail_msg("%s: cut at %llu: %llu bytes copied", v->name,
			(unsigned long long)cut->at[0], (unsigned long long)copied);
	peer_logout(p);
	house_calm(h, 0);
	house_empty(h);
	free(out);
	free(in);
	return w->sent;
}

static struct house *open_house(uint64_t ram, bool line)
{
	struct house *h = malloc(sizeof(*h));

	house_open(h, &(struct house_params){.seed = 1, .ram = ram, .r2t_line = line});
	return h;
}

static void close_house(struct house *h)
{
	house_close(h);
	free(h);
}

static void test_pieces_of_one_length(void **state)
{
	static const uint32_t every[] = {0, 1, 2, 47, 48, 49, 1000, 4096};
	struct wire w;

	for (unsigned line = 0; line < 2; line++) {
		struct house *h = open_house(4 * MIB, line);

		for (unsigned i = 0; i < ARRAY_LEN(small); i++) {
			for (unsigned k = 0; k < ARRAY_LEN(every); k++) {
				converse(h, &w, &small[i], &(struct wire_cut){.every = every[k]});
				wire_deinit(&w);
			}
		}
		close_house(h);
	}
}

static void test_answers_a_byte_at_a_time(void **state)
{
	struct house *h = open_house(4 * MIB, false);
	struct wire w;

	for (unsigned i = 0; i < ARRAY_LEN(small); i++) {
		converse(h, &w, &small[i], &(struct wire_cut){.answers = 1});
		wire_deinit(&w);
	}
	close_house(h);
}

static void test_every_split(void **state)
{
	struct house *h = open_house(4 * MIB, false);
	struct wire w;

	for (unsigned i = 0; i < ARRAY_LEN(small); i++) {
		uint64_t len = converse(h, &w, &small[i], &(struct wire_cut){.every = 0});

		wire_deinit(&w);
		for (uint64_t at = 1; at < len; at++) {
			converse(h, &w, &small[i], &(struct wire_cut){.at = {at}});
			wire_deinit(&w);
		}
	}
	close_house(h);
}

/* Cuts one byte before, at, and one byte behind each PDU's beginning, and behind its header. */
static void test_large_writes_cut_at_pdus(void **state)
{
	struct house *h = open_house(4 * MIB, false);
	struct wire whole, w;

	for (unsigned i = 0; i < ARRAY_LEN(large); i++) {
		converse(h, &whole, &large[i], &(struct wire_cut){.every = 0});
		for (size_t k = 1; k < whole.n_starts; k++) {
			uint64_t at = whole.starts[k];

			for (unsigned d = 0; d < 3; d++) {
				converse(h, &w, &large[i], &(struct wire_cut){.at = {at - 1 + d}});
				wire_deinit(&w);
			}
			converse(h, &w, &large[i],
				&(struct wire_cut){.at = {at - 1, at + 1, at + 47, at + 49}});
			wire_deinit(&w);
		}
		wire_deinit(&whole);
	}
	close_house(h);
}

/* The initiator expects to send more than the CDB takes: what is too much goes nowhere. */
static void test_more_data_than_the_device_takes(void **state)
{
	struct house *h = open_house(4 * MIB, false);

	for (unsigned more = 0; more < 2; more++) {
		struct wire w;
		struct peer *p = wire_connect(&w, h, &(struct wire_cut){.every = 777});
		struct peer_task t;
		uint8_t *out = bytes_of(16 * KIB, 5), in[8 * KIB];

		peer_login(p, &(struct peer_params){false, true, 1, 65536, 65536, 65536});
		peer_settle(p);
		peer_task_rw(&t, true, 8, 8, out); /* 4 KiB of .. */
		t.cmd.edtl = 16 * KIB;
		p->segment = more ? 5000 : 0;
		peer_start(p, &t);
		peer_wait(p, &t);
		assert_int_equal(t.st.status, 0);
		assert_true(t.st.underflow);
		assert_int_equal(t.st.residual, 12 * KIB);
		peer_read(p, 8, 16, in);
		assert_memory_equal(in, out, 4 * KIB);
		for (unsigned i = 4 * KIB; i < 8 * KIB; i++)
			assert_int_equal(in[i], 0);
		peer_logout(p);
		house_calm(h, 0);
		house_empty(h);
		free(out);
		wire_deinit(&w);
	}
	close_house(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pieces_of_one_length),
		cmocka_unit_test(test_answers_a_byte_at_a_time),
		cmocka_unit_test(test_every_split),
		cmocka_unit_test(test_large_writes_cut_at_pdus),
		cmocka_unit_test(test_more_data_than_the_device_takes),
	};

	log_level = getenv("BERTH_DEBUG") ? LOG_DEBUG : LOG_ERROR;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
